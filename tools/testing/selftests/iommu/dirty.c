// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: nothing that a device wrote may ever be reported as clean.
 *
 * On the mock IOMMU driver, with large and with small pages, and as it was built and as
 * Debian builds IOMMU drivers; and that a real IOMMU that cannot report says so.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/fail_nth.h"
#include "../lib/iommufd.h"
#include "../lib/type1.h"

PCI_BORROW(edu, pci_is_edu)

#ifdef HAVE_MOCK_ABI
#include "../lib/mock.h"

#define BASE	(32UL << 20)
#define SIZE	(16UL << 20)
/* What the mock calls a huge page */
#define LARGE	(512 * MOCK_PAGE)
#define KEEP	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR
/* Whether new tables of the mock report to no bitmap, and whether that is made up for */
#define SILENT	"/sys/module/iommufd/parameters/mock_silent"
#define TRACK	"/sys/module/iommufd/parameters/dirty_tracking"

FIXTURE(dirty)
{
	int fd;
	__u32 ioas;
	__u32 hwpt;
	struct mock_device dev;
	size_t pg;
	size_t bits;
	size_t bytes;
	char *mem;
	void *mark;
	void *got;
	long pinned;
};

FIXTURE_VARIANT(dirty)
{
	bool large;
	bool silent;
};

FIXTURE_VARIANT_ADD(dirty, small) {};
FIXTURE_VARIANT_ADD(dirty, large) { .large = true };
FIXTURE_VARIANT_ADD(dirty, small_silent) { .silent = true };
FIXTURE_VARIANT_ADD(dirty, large_silent) { .large = true, .silent = true };

FIXTURE_SETUP(dirty)
{
	struct mock_device none;
	__u32 ioas;

	self->pg = MOCK_PAGE;
	self->bits = SIZE / self->pg;
	self->bytes = self->bits / 8;
	MOCK_OPEN(self->fd);
	if (variant->large)
		hugetlb_reserve(SIZE >> 21);
	self->mem = variant->large ? mem_hugetlb(SIZE) : mem_shared(SIZE);
	if (self->mem == MAP_FAILED)
		SKIP(return, "there are no huge pages");
	if (file_write(SILENT, variant->silent ? "Y" : "N") && variant->silent)
		SKIP(return, "the mock cannot be silent");
	memset(self->mem, 1, SIZE);
	self->pinned = pages_pinned();
	self->mark = calloc(1, self->bytes);
	self->got = calloc(1, self->bytes);
	ASSERT_TRUE(self->mark && self->got);

	/* The table is the only one of its address space */
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, ioas, variant->large ?
				       MOCK_FLAGS_DEVICE_HUGE_IOVA : 0, &none));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, hwpt_alloc(self->fd, none.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt));
	ASSERT_EQ(0, mock_attach(self->fd, self->hwpt, &self->dev));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem, SIZE, BASE));
}

FIXTURE_TEARDOWN(dirty)
{
	close(self->fd);
	file_write(SILENT, "N");
	if (self->pinned)
		EXPECT_EQ(self->pinned, pages_pinned());
}

/* Let the device write to @npages pages from number @first on */
static int write_pages(struct _test_data_dirty *self, unsigned long first,
		       unsigned long npages)
{
	__u64 count;

	memset(self->mark, 0, self->bytes);
	while (npages--) {
		((unsigned char *)self->mark)[first / 8] |= 1 << first % 8;
		first++;
	}
	return mock_make_dirty(self->fd, self->hwpt, BASE, SIZE, self->pg,
			       self->mark, &count);
}

/* Read a range, in pages from BASE on, into an empty bitmap; gives the bits */
static long read_pages(struct _test_data_dirty *self, unsigned long first,
		       unsigned long npages, __u32 flags)
{
	int rc;

	memset(self->got, 0, self->bytes);
	rc = get_dirty_bitmap(self->fd, self->hwpt, BASE + first * self->pg,
			      npages * self->pg, self->pg, self->got, flags);
	return rc ? rc : (long)count_bits(self->got, self->bits);
}

/* How much of what was written is one entry of the table */
static unsigned long entry(bool large)
{
	return large ? LARGE / MOCK_PAGE : 1;
}

TEST_F(dirty, off)
{
	EXPECT_EQ(-EINVAL, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, false));
	EXPECT_EQ(-EINVAL, read_pages(self, 0, self->bits, 0));
	EXPECT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, false));
}

/* Turned on once more it forgets nothing; turned on again it begins anew */
TEST_F(dirty, on_again)
{
	long n = entry(variant->large);

	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, write_pages(self, 100, 1));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	EXPECT_EQ(n, read_pages(self, 0, self->bits, KEEP));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, false));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, KEEP));
}

/* Ranges that begin or end inside of an entry */
TEST_F(dirty, part_of_entry)
{
	unsigned long n = entry(variant->large);
	/* Entries that are written as a whole or in part */
	unsigned long end = (6 * n + 8 + n - 1) / n * n;
	unsigned long first, npages;

	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	for (first = n; first < 2 * n + 3; first += 1 + n / 7) {
		for (npages = 1; npages < 2 * n + 3; npages += 1 + n / 5) {
			ASSERT_EQ(0, write_pages(self, n, 5 * n + 8));
			ASSERT_EQ(npages, read_pages(self, first, npages, 0));
			ASSERT_TRUE(bit_is_set(self->got, 0) &&
				    bit_is_set(self->got, npages - 1));

			/* What was not asked about has not been forgotten */
			ASSERT_LE(end - n - npages,
				  read_pages(self, 0, self->bits, 0));
			ASSERT_TRUE(bit_is_set(self->got, end - 1));
			if (first > n)
				ASSERT_TRUE(bit_is_set(self->got, n));
			ASSERT_FALSE(bit_is_set(self->got, n - 1) ||
				     bit_is_set(self->got, end));
			ASSERT_EQ(0, read_pages(self, 0, self->bits, 0));
		}
	}
}

/* Page by page, and all of it is found; in the end it is clean */
TEST_F(dirty, page_by_page)
{
	unsigned long n = entry(variant->large);
	unsigned long i;

	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, write_pages(self, n, 2 * n));
	for (i = 0; i < 4 * n; i++)
		ASSERT_EQ(i >= n && i < 3 * n, read_pages(self, i, 1, 0)) {
			TH_LOG("page %lu", i);
		}
	EXPECT_EQ(variant->large ? 2 * n : 0, read_pages(self, 0, 4 * n, 0));
	EXPECT_EQ(0, read_pages(self, 0, 4 * n, 0));
}

/* Small pages behind a part of a large one */
TEST_F(dirty, small_after_large)
{
	__u32 n = entry(true);

	if (!variant->large)
		SKIP(return, "there are no large pages");
	/* The second mapping is shifted, so that it cannot be of large pages */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem, LARGE, BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
				 self->mem + LARGE + self->pg, LARGE,
				 BASE + LARGE));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, write_pages(self, n + 3, 1));
	EXPECT_EQ(1, read_pages(self, n / 2, n, KEEP));
	EXPECT_TRUE(bit_is_set(self->got, n / 2 + 3));
	ASSERT_EQ(0, write_pages(self, 0, 1));
	EXPECT_EQ(n / 2 + 1, read_pages(self, n / 2, n, 0));
	EXPECT_EQ(n, read_pages(self, 0, 2 * n, 0));
	EXPECT_EQ(0, read_pages(self, 0, 2 * n, 0));
}

/* Huge pages without large translations are tracked page by page */
TEST_F(dirty, no_large_translations)
{
	long all = SIZE / page_size();
	long n = page_size() / self->pg;

	if (!variant->large)
		SKIP(return, "there are no large pages");
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas,
				0));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem, SIZE, BASE));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, write_pages(self, all / 2 * n, 1));
	ASSERT_EQ(0, write_pages(self, (all / 2 + 1) * n, 1));
	/* Each is clean once it has been asked about alone */
	EXPECT_EQ(n, read_pages(self, all / 2 * n, n, 0));
	EXPECT_EQ(n, read_pages(self, 0, self->bits, KEEP));
	EXPECT_TRUE(bit_is_set(self->got, (all / 2 + 1) * n));
	EXPECT_EQ(n, read_pages(self, (all / 2 + 1) * n, n, 0));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
}

TEST_F(dirty, holes)
{
	unsigned long n = entry(variant->large);

	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem + LARGE, LARGE,
				 BASE + LARGE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem, LARGE,
				 BASE + 4 * LARGE));
	ASSERT_EQ(0, write_pages(self, 512, 1));
	EXPECT_EQ(n, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, write_pages(self, 5 * 512 - 1, 1));
	EXPECT_EQ(n, read_pages(self, 0, self->bits, KEEP));
	EXPECT_TRUE(bit_is_set(self->got, 5 * 512 - 1));
	/* What is unmapped and mapped again is clean */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + 4 * LARGE, LARGE));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem, LARGE,
				 BASE + 4 * LARGE));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
}

TEST_F(dirty, arguments)
{
	const __u64 top = ~0ULL - self->pg + 1;
	int fd = self->fd;
	__u64 bits = 0;

	ASSERT_EQ(0, set_dirty_tracking(fd, self->hwpt, true));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(fd, self->hwpt, 0, 0, self->pg,
					    &bits, 0));
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(fd, self->hwpt, top, 0, self->pg,
					    &bits, 0));
	EXPECT_EQ(-EOVERFLOW, get_dirty_bitmap(fd, self->hwpt, top,
					       2 * self->pg, self->pg, &bits,
					       0));
	EXPECT_EQ(-EOVERFLOW, get_dirty_bitmap(fd, self->hwpt, self->pg, top,
					       self->pg, &bits, 0) ?
		  -EOVERFLOW : 0);
	/* The very last page there can be */
	EXPECT_EQ(0, get_dirty_bitmap(fd, self->hwpt, top, self->pg, self->pg,
				      &bits, 0));
	EXPECT_EQ(0, bits);
	EXPECT_EQ(-EINVAL, get_dirty_bitmap(fd, self->hwpt, 0, 1ULL << 63, 1,
					    &bits, 0));
	/* One bit for everything */
	ASSERT_EQ(0, write_pages(self, 7, 1));
	EXPECT_EQ(0, get_dirty_bitmap(fd, self->hwpt, 0, 1ULL << 63,
				      1ULL << 63, &bits, KEEP));
	EXPECT_EQ(1, bits);
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(fd, self->hwpt, BASE, SIZE,
					    self->pg, (void *)(1UL << 63), 0));
	EXPECT_EQ(entry(variant->large), read_pages(self, 0, self->bits, 0));
}

/* A bitmap that ends too early: each bit is in it, or is still to be had */
TEST_F(dirty, fault_loses_nothing)
{
	size_t known = self->bytes / 2;
	unsigned long i;
	char *half;

	half = mem_before_hole(known);
	ASSERT_NE(MAP_FAILED, half);
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, write_pages(self, 0, self->bits));
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(self->fd, self->hwpt, BASE, SIZE,
					    self->pg, half, 0));
	ASSERT_LE(0, read_pages(self, 0, self->bits, 0));
	for (i = 0; i != self->bits; i++)
		ASSERT_TRUE(bit_is_set(self->got, i) ||
			    (i < known * 8 && bit_is_set(half, i)));

	/* Memory that is not to be written */
	ASSERT_EQ(0, write_pages(self, 0, self->bits));
	ASSERT_EQ(0, mprotect(half + known - page_size(), page_size(),
			      PROT_READ));
	EXPECT_EQ(-EFAULT, get_dirty_bitmap(self->fd, self->hwpt, BASE, SIZE,
					    self->pg, half, 0));
	EXPECT_EQ(self->bits, read_pages(self, 0, self->bits, 0));
}

struct reader {
	struct _test_data_dirty *self;
	unsigned long first;
	unsigned char *bitmap;
	int rc;
};

/* Every fourth byte of the bitmap; the others are for three other threads */
static void *read_thread(void *arg)
{
	struct reader *reader = arg;
	struct _test_data_dirty *self = reader->self;
	unsigned long i;

	for (i = reader->first; !reader->rc && i < self->bytes; i += 4)
		reader->rc = get_dirty_bitmap(self->fd, self->hwpt,
					      BASE + i * 8 * self->pg,
					      8 * self->pg, self->pg,
					      reader->bitmap + i, 0);
	return NULL;
}

/* Threads that fill the same words of a bitmap do not erase each other's bits */
TEST_F(dirty, shared_words)
{
	unsigned char *bitmap = calloc(1, self->bytes);
	struct reader reader[4];
	pthread_t thread[4];
	unsigned int i, round;

	ASSERT_NE(NULL, bitmap);
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	for (round = 0; round != 3; round++) {
		memset(bitmap, 0, self->bytes);
		ASSERT_EQ(0, write_pages(self, 0, self->bits));
		for (i = 0; i != 4; i++) {
			reader[i] = (struct reader){
				.self = self,
				.first = i,
				.bitmap = bitmap,
			};
			ASSERT_EQ(0, pthread_create(&thread[i], NULL,
						    read_thread, &reader[i]));
		}
		for (i = 0; i != 4; i++) {
			pthread_join(thread[i], NULL);
			EXPECT_EQ(0, reader[i].rc);
		}
		EXPECT_EQ(self->bits, count_bits(bitmap, self->bits));
	}
}

static void *map_thread(void *arg)
{
	struct reader *reader = arg;
	struct _test_data_dirty *self = reader->self;
	unsigned int i;

	for (i = 0; !reader->rc && i != 300; i++) {
		__u64 iova = BASE + SIZE + i % 4 * LARGE;

		reader->rc = ioas_map_at(self->fd, self->ioas,
					 self->mem + i % 3 * LARGE, LARGE,
					 iova);
		if (!reader->rc)
			reader->rc = ioas_unmap(self->fd, self->ioas, iova,
						LARGE);
	}
	return NULL;
}

/* Maps and unmaps go on while the table is read */
TEST_F(dirty, against_maps)
{
	struct reader mapper = { .self = self };
	unsigned long n = entry(variant->large);
	void *big = calloc(2, self->bytes);
	pthread_t thread;
	unsigned int i;

	ASSERT_NE(NULL, big);
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, pthread_create(&thread, NULL, map_thread, &mapper));
	for (i = 0; i != 100; i++) {
		ASSERT_EQ(0, write_pages(self, i * n % self->bits, 1));
		memset(big, 0, self->bytes);
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, self->hwpt, BASE,
					      2 * SIZE, self->pg, big, 0));
		ASSERT_EQ(n, count_bits(big, self->bits));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, mapper.rc);
}

/* As far as there can be differences: pages of which one in 2^@rarity is written */
static void mark_pages(struct _test_data_dirty *self, unsigned int rarity)
{
	unsigned long i;

	memset(self->mark, 0, self->bytes);
	for (i = 0; i != self->bits; i++)
		if (!(rand() >> 8 & ((1U << rarity) - 1)))
			((unsigned char *)self->mark)[i / 8] |= 1 << i % 8;
}

/*
 * Patterns at random, read from one table whose driver reports, and from another one
 * of the same address space. Their bitmaps are the same, to the bit.
 */
TEST_F(dirty, as_reported)
{
	void *want = calloc(1, self->bytes);
	unsigned long sum = 0;
	struct mock_device dev;
	__u32 ioas, reporting;
	unsigned int round;
	__u64 count;

	ASSERT_NE(NULL, want);
	/* In the second half there are small pages in any case */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, SIZE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem, SIZE / 2,
				 BASE));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem + self->pg,
				 SIZE / 2, BASE + SIZE / 2));
	file_write(SILENT, "N");
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, ioas, variant->large ?
				       MOCK_FLAGS_DEVICE_HUGE_IOVA : 0, &dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &reporting));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, reporting, true));
	srand(getpid());
	TH_LOG("seed %d", getpid());

	for (round = 0; round != 60; round++) {
		unsigned int per_bit = 1 << rand() % 3;
		unsigned long first = rand() % self->bits & -per_bit;
		unsigned long n = (rand() % (self->bits - first) & -per_bit) +
				  per_bit;
		__u32 flags = rand() % 2 ? KEEP : 0;

		mark_pages(self, round % 14);
		ASSERT_EQ(0, mock_make_dirty(self->fd, self->hwpt, BASE, SIZE,
					     self->pg, self->mark, &count));
		ASSERT_EQ(0, mock_make_dirty(self->fd, reporting, BASE, SIZE,
					     self->pg, self->mark, &count));
		memset(want, 0, self->bytes);
		memset(self->got, 0, self->bytes);
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, reporting,
					      BASE + first * self->pg,
					      n * self->pg, per_bit * self->pg,
					      want, flags));
		ASSERT_EQ(0, get_dirty_bitmap(self->fd, self->hwpt,
					      BASE + first * self->pg,
					      n * self->pg, per_bit * self->pg,
					      self->got, flags));
		ASSERT_EQ(0, memcmp(want, self->got, self->bytes)) {
			TH_LOG("%lu pages from number %lu on, %u per bit, flags %x",
			       n, first, per_bit, flags);
		}
		sum += count_bits(want, self->bits);
	}
	EXPECT_LT(10000, sum);
	free(want);
}

/* What threads that are the device have written, as many times, and what was copied */
struct writer {
	struct _test_data_dirty *self;
	atomic_uint *version;
	atomic_bool *over;
	atomic_uint writes;
	unsigned int seed;
	int rc;
};

static void *write_thread(void *arg)
{
	struct writer *writer = arg;
	struct _test_data_dirty *self = writer->self;
	unsigned int k;

	while (!writer->rc && !*writer->over) {
		unsigned long first = rand_r(&writer->seed) %
				      (self->bits / 64) * 64;
		__u64 mark = 0, count;

		for (k = rand_r(&writer->seed) % 8; k != 8; k++)
			mark |= 1ULL << rand_r(&writer->seed) % 64;
		for (k = 0; k != 64; k++)
			if (mark >> k & 1)
				atomic_fetch_add(&writer->version[first + k],
						 1);
		writer->rc = mock_make_dirty(self->fd, self->hwpt,
					     BASE + first * self->pg,
					     64 * self->pg, self->pg, &mark,
					     &count);
		atomic_fetch_add(&writer->writes, 1);
	}
	return NULL;
}

/* On a busy machine nobody may have written for a while */
static void wait_for_writes(struct writer *writer, unsigned int nr)
{
	unsigned int before = writer->writes;

	while (!writer->rc && writer->writes - before < nr)
		usleep(1000);
}

/* A migration: what is reported as dirty is copied, and in the end all is as it was written */
TEST_F(dirty, migration)
{
	atomic_uint *version = calloc(self->bits, sizeof(*version));
	unsigned int *copy = calloc(self->bits, sizeof(*copy));
	unsigned long i, bits = 0;
	atomic_bool over = false;
	struct writer writer[3];
	/* It takes three times as long where the driver is silent */
	unsigned int last = variant->silent ? 9 : 29;
	pthread_t thread[3];
	unsigned int t, round;

	ASSERT_TRUE(version && copy);
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	for (t = 0; t != 3; t++) {
		writer[t] = (struct writer){
			.self = self,
			.version = version,
			.over = &over,
			.seed = getpid() + t,
		};
		ASSERT_EQ(0, pthread_create(&thread[t], NULL, write_thread,
					    &writer[t]));
	}
	for (round = 0; round <= last; round++) {
		long n;

		/* The guest is stopped before the last one */
		if (round == last) {
			over = true;
			for (t = 0; t != 3; t++) {
				pthread_join(thread[t], NULL);
				EXPECT_EQ(0, writer[t].rc);
			}
		} else {
			wait_for_writes(&writer[round % 3], 10);
		}
		n = read_pages(self, 0, self->bits, 0);
		ASSERT_LE(0, n);
		bits += n;
		for (i = 0; i != self->bits; i++)
			if (bit_is_set(self->got, i))
				copy[i] = version[i];
	}
	for (i = 0; i != self->bits; i++)
		ASSERT_EQ(version[i], copy[i]) {
			TH_LOG("page %lu", i);
		}
	TH_LOG("%lu pages copied", bits);
	EXPECT_LT(100, bits);
	free(version);
	free(copy);
}

TEST_F(dirty, fail_nth)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	unsigned long n = entry(variant->large);

	if (why)
		SKIP(return, "%s", why);
	while (fail_nth_next(&nth)) {
		int rc = fail_nth_run(&nth, set_dirty_tracking(self->fd,
							       self->hwpt,
							       true));

		EXPECT_FAIL_NTH(&nth, rc);
		ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, false));
	}
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	nth.n = 0;
	nth.injected = true;
	while (fail_nth_next(&nth)) {
		int rc;

		ASSERT_EQ(0, write_pages(self, 0, 1));
		memset(self->got, 0, self->bytes);
		rc = fail_nth_run(&nth, get_dirty_bitmap(self->fd, self->hwpt,
							 BASE, SIZE, self->pg,
							 self->got, 0));
		EXPECT_FAIL_NTH(&nth, rc);
		/* If it is not in the bitmap, then it is still in the table */
		if (!bit_is_set(self->got, 0))
			EXPECT_EQ(n, read_pages(self, 0, self->bits, 0));
	}
}

/* The container's log asks tables that know, and no others */

static long log_bits(struct _test_data_dirty *self)
{
	int rc;

	memset(self->got, 0, self->bytes);
	rc = t1_dirty_bitmap(self->fd, BASE, SIZE, page_size(), self->got,
			     self->bytes);
	return rc ? rc : (long)count_bits(self->got, self->bits);
}

TEST_F(dirty, container)
{
	long all = SIZE / page_size();
	long n = variant->large ? LARGE / (long)page_size() : 1;
	struct mock_device other;
	int access;

	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	ASSERT_EQ(0, t1_set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	EXPECT_EQ(0, log_bits(self));
	ASSERT_EQ(0, write_pages(self, 2048, 2));
	EXPECT_EQ(n, log_bits(self));
	EXPECT_TRUE(bit_is_set(self->got, 1024));
	EXPECT_EQ(0, log_bits(self));
	/* Started twice it goes on */
	ASSERT_EQ(0, write_pages(self, 0, 2));
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	EXPECT_EQ(n, log_bits(self));

	/* One comes that cannot tell, and goes: from then on all is dirty */
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->ioas,
				       MOCK_FLAGS_DEVICE_NO_DIRTY, &other));
	EXPECT_EQ(all, log_bits(self));
	ASSERT_EQ(0, mock_detach(self->fd, &other));
	EXPECT_EQ(all, log_bits(self));

	/* Begun anew, it is exact again */
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	EXPECT_EQ(-EINVAL, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	EXPECT_EQ(0, log_bits(self));

	/* What the CPU writes for a software device no table notes */
	access = mock_access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	EXPECT_EQ(all, log_bits(self));
	close(access);
	EXPECT_EQ(all, log_bits(self));
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));

	/* A table that its user reads himself is not ours to clear */
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	ASSERT_EQ(0, write_pages(self, 0, 1));
	EXPECT_EQ(all, log_bits(self));
	EXPECT_EQ(entry(variant->large), read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, false));

	/* And one that he begins to read is no longer ours */
	ASSERT_EQ(0, t1_dirty(self->fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	EXPECT_EQ(0, log_bits(self));
	EXPECT_EQ(0, read_pages(self, 0, self->bits, 0));
	EXPECT_EQ(all, log_bits(self));
}

/* An entry that is dirty is not taken apart: it would be clean after that */
TEST_F(dirty, container_cut)
{
	long n = entry(variant->large);

	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->ioas));
	ASSERT_EQ(0, t1_set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	ASSERT_EQ(0, write_pages(self, 0, 1));
	ASSERT_EQ(0, write_pages(self, LARGE / self->pg, 1));
	EXPECT_EQ(variant->large ? -EINVAL : 0,
		  t1_unmap(self->fd, BASE + page_size(), page_size()));
	EXPECT_EQ(2 * n, read_pages(self, 0, self->bits, KEEP));
	/* Between two entries there is nothing to forget */
	EXPECT_EQ(variant->large ? 0 : -EAGAIN,
		  t1_unmap(self->fd, BASE, LARGE));
	EXPECT_EQ(n, read_pages(self, 0, self->bits, KEEP));
}

/* Whether a driver that does not report is to be asked page by page can be chosen */
TEST(parameter)
{
	struct mock_device dev;
	struct iommu_hw_info info;
	__u32 ioas, hwpt;
	int fd;

	MOCK_OPEN(fd);
	if (file_write(SILENT, "Y"))
		SKIP(return, "the mock cannot be silent");
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, mock_attach(fd, ioas, &dev));
	ASSERT_EQ(0, file_write(TRACK, "N"));
	EXPECT_EQ(0, get_hw_info(fd, dev.idev, NULL, 0, &info));
	EXPECT_EQ(0, info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(fd, dev.idev, ioas,
					  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					  &hwpt));
	EXPECT_EQ(0, file_write(TRACK, "Y"));
	EXPECT_EQ(0, get_hw_info(fd, dev.idev, NULL, 0, &info));
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	EXPECT_EQ(0, hwpt_alloc(fd, dev.idev, ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));

	/* A driver that reports is not concerned */
	EXPECT_EQ(0, file_write(SILENT, "N"));
	EXPECT_EQ(0, file_write(TRACK, "N"));
	EXPECT_EQ(0, hwpt_alloc(fd, dev.idev, ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_EQ(0, file_write(TRACK, "Y"));
	close(fd);
}
#endif

/*
 * The IOMMU of this machine. Either it can find out what is dirty, or it says
 * so wherever one can ask.
 */
TEST(real)
{
	char path[PATH_MAX];
	struct iommu_hw_info info;
	__u32 devid, ioas, hwpt;
	int fd, dev, rc;
	bool can;

	if (!pci_find_cdev(pci_is_edu, path))
		SKIP(return, "no edu device is bound to vfio-pci with a cdev");
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	dev = cdev_open_path(path);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, cdev_bind(dev, fd, &devid));
	ASSERT_EQ(0, get_hw_info(fd, devid, NULL, 0, &info));
	can = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	rc = hwpt_alloc(fd, devid, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			&hwpt);
	EXPECT_EQ(can ? 0 : -EOPNOTSUPP, rc);
	if (rc) {
		ASSERT_EQ(0, hwpt_alloc(fd, devid, ioas, 0, &hwpt));
		EXPECT_EQ(-EOPNOTSUPP, set_dirty_tracking(fd, hwpt, true));
		EXPECT_EQ(-EOPNOTSUPP, get_dirty_bitmap(fd, hwpt, 0, 4096, 4096,
							&info, 0));
	}
	close(dev);
	close(fd);
}

TEST_HARNESS_MAIN
