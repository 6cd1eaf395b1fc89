// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages a device has written, as the kernel's own VT-d driver reports it, or
 * as it is found out if that reports to nobody. Uses our pasid-testdev, which sets the
 * dirty bits in that driver's page tables.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../lib/pasid_testdev.h"
#include "../lib/skip.h"

#define PAGE		4096UL
#define IOVA		0x40000000UL
/* More than one word of the bitmap */
#define PAGES		200
#define WORDS		((PAGES + 63) / 64)
#define KEEP		IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR

FIXTURE(dirty) {
	struct pt_dev d;
	char *mem;
	__u32 ioas;
	__u32 hwpt;
	__u64 map[WORDS];
};

/* Does the kernel say that dirty pages of the device can be found? */
static int is_reported(struct pt_dev *d, bool *reported)
{
	struct iommu_hw_info info;
	int ret;

	ret = get_hw_info(d->vp.iommufd, d->vp.devid, NULL, 0, &info);
	*reported = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
	return ret;
}

/* The bits of @page up to @last, and no others, in what the kernel reports */
static bool has_only(struct _test_data_dirty *self, unsigned int page,
		     unsigned int last)
{
	unsigned int i;

	for (i = 0; i != PAGES; i++)
		if ((self->map[i / 64] >> (i % 64) & 1) != (i >= page && i <= last))
			return false;
	return true;
}

static bool is_clean(struct _test_data_dirty *self)
{
	return has_only(self, PAGES, PAGES);
}

static int get_dirty(struct _test_data_dirty *self, __u32 flags)
{
	memset(self->map, 0, sizeof(self->map));
	return get_dirty_bitmap(self->d.vp.iommufd, self->hwpt, IOVA,
				PAGES * PAGE, PAGE, self->map, flags);
}

static __u32 store(struct _test_data_dirty *self, unsigned int page)
{
	return pt_store(&self->d, PT_CMD_WALK_WRITE, PT_NO_PASID,
			IOVA + page * PAGE, 0x1234 + page);
}

static __u32 load(struct _test_data_dirty *self, unsigned int page, __u64 *val)
{
	return pt_load(&self->d, PT_CMD_WALK_READ, PT_NO_PASID,
		       IOVA + page * PAGE, val);
}

/* Open the device, unless something is missing for these tests */
static int open_device(struct pt_dev *d, const char **missing)
{
	int ret = pt_open(d);

	*missing = NULL;
	if (ret == -ENODEV)
		*missing = "no pasid-testdev";
	else if (!ret && !(pt_vtd_ecap() & PT_ECAP_DIRTY))
		*missing = "no VT-d with dirty bits";
	return ret;
}

FIXTURE_SETUP(dirty)
{
	const char *missing;
	bool reported;
	int ret = open_device(&self->d, &missing);

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, is_reported(&self->d, &reported));
	if (!reported)
		SKIP(return, "what the kernel's IOMMU drivers find is of no use");
	self->mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, ioas_alloc(self->d.vp.iommufd, &self->ioas));
	ASSERT_EQ(0, ioas_map_at(self->d.vp.iommufd, self->ioas, self->mem,
				 PAGES * PAGE, IOVA));
	ASSERT_EQ(0, hwpt_alloc(self->d.vp.iommufd, self->d.vp.devid, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt));
	ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, self->hwpt));
}

FIXTURE_TEARDOWN(dirty)
{
	EXPECT_EQ(0, pt_close(&self->d));
}

/* What was written, and nothing else, once */
TEST_F(dirty, reported)
{
	__u64 val;

	/* From before, which is not asked for */
	ASSERT_EQ(PT_DONE, store(self, 3));
	ASSERT_EQ(PT_TYPE_SECOND, pt_get(&self->d, PT_TABLE_TYPE));
	ASSERT_EQ(-EINVAL, get_dirty(self, 0));
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(is_clean(self));

	ASSERT_EQ(PT_DONE, load(self, 5, &val));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(is_clean(self));

	ASSERT_EQ(PT_DONE, store(self, 130));
	EXPECT_EQ(0x1234 + 130, *(__u64 *)(self->mem + 130 * PAGE));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(has_only(self, 130, 130));
	printf("# the device reads page 5 and writes page 130 of %u: page 130 is reported as dirty, and no other\n",
	       PAGES);
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(is_clean(self));
}

/* The device keeps translations: one that says "dirty already" has to go with the bit */
TEST_F(dirty, again)
{
	unsigned int i;

	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	for (i = 0; i != 3; i++) {
		ASSERT_EQ(PT_DONE, store(self, 70));
		ASSERT_EQ(PT_DONE, store(self, 71));
		ASSERT_EQ(0, get_dirty(self, 0));
		EXPECT_TRUE(has_only(self, 70, 71));
	}
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(is_clean(self));
}

TEST_F(dirty, kept)
{
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	ASSERT_EQ(PT_DONE, store(self, 63));
	ASSERT_EQ(PT_DONE, store(self, 64));
	ASSERT_EQ(0, get_dirty(self, KEEP));
	EXPECT_TRUE(has_only(self, 63, 64));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(has_only(self, 63, 64));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(is_clean(self));
}

/* Off and on: what was written in between was not asked for */
TEST_F(dirty, off)
{
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, false));
	ASSERT_EQ(PT_DONE, store(self, 0));
	ASSERT_EQ(-EINVAL, get_dirty(self, 0));
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(is_clean(self));
	ASSERT_EQ(PT_DONE, store(self, PAGES - 1));
	ASSERT_EQ(0, get_dirty(self, 0));
	EXPECT_TRUE(has_only(self, PAGES - 1, PAGES - 1));
}

/*
 * Large and small translations: the second half is shifted in its huge pages, so that
 * there can be none of 2 MiB. What is dirty is a whole one.
 */
#define MIXED_IOVA	0x80000000UL
#define MIXED_SIZE	(16UL << 20)
#define MIXED_PAGES	((MIXED_SIZE - PAGE) / PAGE)
#define MIXED_LARGE	(MIXED_SIZE / 2 / PAGE)

static char *map_mixed(struct _test_data_dirty *self)
{
	const unsigned long half = MIXED_SIZE / 2;
	char *mem;

	hugetlb_reserve(MIXED_SIZE >> 21);
	mem = mem_hugetlb(MIXED_SIZE);
	if (mem == MAP_FAILED)
		return NULL;
	memset(mem, 0, MIXED_SIZE);
	if (ioas_map_at(self->d.vp.iommufd, self->ioas, mem, half, MIXED_IOVA) ||
	    ioas_map_at(self->d.vp.iommufd, self->ioas, mem + half + PAGE,
			half - PAGE, MIXED_IOVA + half))
		return NULL;
	return mem;
}

/* Where a page of it is in the memory */
static char *mixed_page(char *mem, unsigned int page)
{
	return mem + (page + (page >= MIXED_LARGE)) * PAGE;
}

/* How many pages the translation of a page covers, and its first one */
static unsigned int mixed_leaf(unsigned int page, unsigned int *first)
{
	*first = page < MIXED_LARGE ? page & ~511U : page;
	return page < MIXED_LARGE ? 512 : 1;
}

static __u32 mixed_store(struct _test_data_dirty *self, unsigned int page,
			 __u64 val)
{
	return pt_store(&self->d, PT_CMD_WALK_WRITE, PT_NO_PASID,
			MIXED_IOVA + page * PAGE, val);
}

static int get_mixed(struct _test_data_dirty *self, unsigned int first,
		     unsigned int npages, __u64 *map, __u32 flags)
{
	memset(map, 0, MIXED_SIZE / PAGE / 8);
	return get_dirty_bitmap(self->d.vp.iommufd, self->hwpt,
				MIXED_IOVA + first * PAGE, npages * PAGE, PAGE,
				map, flags);
}

/* Patterns and ranges at random, against what they must be */
TEST_F(dirty, patterns)
{
	static const unsigned int writes[] = { 1, 0, 3, 150, 20 };
	static __u64 map[MIXED_SIZE / PAGE / 64];
	static bool is_dirty[MIXED_PAGES];
	unsigned int round, i, k = 0, head, sum = 0;
	char *mem = map_mixed(self);

	if (!mem)
		SKIP(return, "there are no huge pages");
	srand(getpid());
	TH_LOG("seed %d", getpid());
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	for (round = 0; round != 25; round++) {
		unsigned int first = rand() % MIXED_PAGES;
		unsigned int n = 1 + rand() % (MIXED_PAGES - first);
		__u32 flags = round % 3 ? 0 : KEEP;

		for (i = 0; i != writes[round % 5]; i++) {
			/* Every other time beside the one before */
			k = i % 2 ? (k + 1) % MIXED_PAGES : rand() % MIXED_PAGES;
			ASSERT_EQ(PT_DONE, mixed_store(self, k, i));
			is_dirty[k - k % 512 * (k < MIXED_LARGE)] = true;
		}
		ASSERT_EQ(0, get_mixed(self, first, n, map, flags));
		for (i = first; i != first + n; i++) {
			mixed_leaf(i, &head);
			ASSERT_EQ(is_dirty[head],
				  map[(i - first) / 64] >> (i - first) % 64 & 1) {
				TH_LOG("page %u of %u from %u on", i, n, first);
			}
			sum += is_dirty[head];
		}
		/* What reaches beyond what was asked for stays as it is */
		for (i = 0; !flags && i < MIXED_PAGES; i += k) {
			k = mixed_leaf(i, &head);
			if (i >= first && i + k <= first + n)
				is_dirty[i] = false;
		}
	}
	printf("# %u pages reported as dirty in 25 readings of large and small translations, each of them and no other one\n",
	       sum);
	EXPECT_LT(100, sum);
}

/* The device writes while the table is read */
struct mixed_writer {
	struct _test_data_dirty *self;
	atomic_bool over;
	unsigned int writes;
	__u32 rc;
};

static void *write_mixed(void *arg)
{
	struct mixed_writer *w = arg;
	unsigned int seed = getpid();

	w->rc = PT_DONE;
	while (!w->over && w->rc == PT_DONE) {
		w->writes++;
		w->rc = mixed_store(w->self, rand_r(&seed) % MIXED_PAGES,
				    w->writes);
	}
	return NULL;
}

/* What is reported is copied, and in the end the copy is what the device wrote */
TEST_F(dirty, migration)
{
	static __u64 map[MIXED_SIZE / PAGE / 64];
	struct mixed_writer w = { .self = self };
	char *copy = calloc(MIXED_PAGES, PAGE);
	char *mem = map_mixed(self);
	unsigned int round, i, copied = 0;
	pthread_t thread;

	if (!mem)
		SKIP(return, "there are no huge pages");
	ASSERT_NE(NULL, copy);
	ASSERT_EQ(0, set_dirty_tracking(self->d.vp.iommufd, self->hwpt, true));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_mixed, &w));
	for (round = 0; round != 20; round++) {
		usleep(50000);
		/* It is stopped before the last one */
		if (round == 19) {
			w.over = true;
			pthread_join(thread, NULL);
		}
		ASSERT_EQ(0, get_mixed(self, 0, MIXED_PAGES, map, 0));
		for (i = 0; i != MIXED_PAGES; i++) {
			if (!(map[i / 64] >> i % 64 & 1))
				continue;
			memcpy(copy + i * PAGE, mixed_page(mem, i), PAGE);
			copied++;
		}
	}
	EXPECT_EQ(PT_DONE, w.rc);
	for (i = 0; i != MIXED_PAGES; i++)
		ASSERT_EQ(0, memcmp(copy + i * PAGE, mixed_page(mem, i), PAGE)) {
			TH_LOG("page %u", i);
		}
	printf("# a device wrote %u times during 20 readings; %u pages were copied as reported, and the copy is what it wrote\n",
	       w.writes, copied);
	EXPECT_LT(100, w.writes);
	free(copy);
}

/* Where the kernel's IOMMU drivers report to nobody, what they find can be used or not */
#define USED	"/sys/module/iommufd/parameters/dirty_tracking"

FIXTURE(silent) {
	struct pt_dev d;
};

FIXTURE_SETUP(silent)
{
	const char *missing;
	bool reported;
	int ret = open_device(&self->d, &missing);

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, file_write(USED, "N"));
	ASSERT_EQ(0, is_reported(&self->d, &reported));
	if (reported) {
		/* Nothing is torn down after a skip */
		EXPECT_EQ(0, file_write(USED, "Y"));
		SKIP_REST("the kernel's IOMMU drivers report dirty pages");
	}
}

FIXTURE_TEARDOWN(silent)
{
	EXPECT_EQ(0, file_write(USED, "Y"));
	EXPECT_EQ(0, pt_close(&self->d));
}

/* A kernel that was built without iommufd: its driver fills no bitmap */
TEST_F(silent, refused)
{
	__u32 ioas, hwpt;

	ASSERT_EQ(0, ioas_alloc(self->d.vp.iommufd, &ioas));
	EXPECT_EQ(-EOPNOTSUPP,
		  hwpt_alloc(self->d.vp.iommufd, self->d.vp.devid, ioas,
			     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->d.vp.iommufd, self->d.vp.devid, ioas, 0,
				&hwpt));
	printf("# VT-d has dirty bits, this kernel's driver reports them to nobody, and what it finds is not to be used: refused\n");
}

TEST_HARNESS_MAIN
