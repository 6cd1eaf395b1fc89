// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested translation of vfio-pci: a VT-d first-stage table of ours on a parent of
 * the kernel. Uses our pasid-testdev, which goes through the tables itself, and
 * says what it has seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "kselftest_harness.h"
#include "../lib/pasid_testdev.h"
#include "../lib/stage1.h"

#define PAGE		4096UL
/* In what the parent translates, the tables first, then data */
#define GPA		0x40000000UL
#define TABLES		8
#define DATA		TABLES
#define PAGES		(TABLES + 4)
/* In what the device asks for */
#define IOVA		0x7000abcde000UL
#define ROUNDS		256	/* of what is timed; even */
#define CONTENT(n)	(0x1111111111111111ULL * ((n) + 1))

FIXTURE(nested) {
	struct pt_dev d;
	char *mem;
	struct stage1 table;
	__u32 ioas;
	__u32 parent;
	__u32 hwpt;
};

static __u64 gpa(unsigned int data)
{
	return GPA + (DATA + data) * PAGE;
}

static __u64 *word(struct _test_data_nested *self, unsigned int data)
{
	return (__u64 *)(self->mem + (DATA + data) * PAGE);
}

static __u32 load(struct _test_data_nested *self, __u64 iova, __u64 *val)
{
	return pt_load(&self->d, PT_CMD_WALK_READ, PT_NO_PASID, iova, val);
}

static bool is_refused(struct _test_data_nested *self, __u64 iova)
{
	return pt_is_refused(&self->d, PT_CMD_WALK_READ, PT_NO_PASID, iova);
}

static int alloc_nested(struct _test_data_nested *self, __u32 addr_width,
			__u32 *hwpt)
{
	struct iommu_hwpt_vtd_s1 data;

	stage1_vtd_data(&self->table, &data);
	data.addr_width = addr_width;
	return hwpt_alloc_nested(self->d.vp.iommufd, self->d.vp.devid,
				 self->parent, 0, IOMMU_HWPT_DATA_VTD_S1, &data,
				 sizeof(data), hwpt);
}

static int invalidate(struct _test_data_nested *self, __u64 addr, __u64 npages)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = {
		.addr = addr,
		.npages = npages,
	};
	__u32 num = 1;
	int ret;

	ret = hwpt_invalidate(self->d.vp.iommufd, self->hwpt,
			      IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv,
			      sizeof(inv), &num);
	return ret ? ret : num == 1 ? 0 : -EIO;
}

FIXTURE_SETUP(nested)
{
	unsigned int i;
	int fd, ret;

	ret = pt_open(&self->d);
	if (ret == -ENODEV)
		SKIP(return, "no pasid-testdev");
	ASSERT_EQ(0, ret);
	if (!(pt_vtd_ecap() & PT_ECAP_NEST))
		SKIP(return, "no VT-d with nested translation");
	fd = self->d.vp.iommufd;
	self->mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i != PAGES - DATA; i++)
		*word(self, i) = CONTENT(i);
	stage1_init(&self->table, &stage1_vtd, self->mem, GPA, TABLES);
	ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(0), true));
	ASSERT_TRUE(stage1_map(&self->table, IOVA + PAGE, gpa(1), true));
	ASSERT_EQ(0, ioas_alloc(fd, &self->ioas));
	ASSERT_EQ(0, hwpt_alloc(fd, self->d.vp.devid, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, ioas_map_at(fd, self->ioas, self->mem, PAGES * PAGE, GPA));
	ASSERT_EQ(0, alloc_nested(self, 48, &self->hwpt));
}

FIXTURE_TEARDOWN(nested)
{
	EXPECT_EQ(0, pt_close(&self->d));
}

static void attach(struct __test_metadata *_metadata,
		   struct _test_data_nested *self)
{
	__u64 val;

	ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, self->hwpt));
	ASSERT_EQ(PT_DONE, load(self, IOVA, &val));
	ASSERT_EQ(PT_TYPE_NESTED, pt_get(&self->d, PT_TABLE_TYPE));
	ASSERT_EQ(CONTENT(0), val);
}

TEST_F(nested, both_stages)
{
	__u64 val;

	EXPECT_TRUE(is_refused(self, IOVA));
	attach(_metadata, self);
	EXPECT_EQ(PT_DONE, load(self, IOVA + PAGE, &val));
	EXPECT_EQ(CONTENT(1), val);
	EXPECT_EQ(PT_DONE, pt_store(&self->d, PT_CMD_WALK_WRITE, PT_NO_PASID,
				    IOVA + 8, 0xfeed));
	EXPECT_EQ(0xfeed, word(self, 0)[1]);
	printf("# the device reads and writes 0x%lx through our table to 0x%llx, and through the kernel's to our memory\n",
	       IOVA, (unsigned long long)gpa(0));
	EXPECT_TRUE(is_refused(self, IOVA + 2 * PAGE));
	/* An address of the parent is none of the device's. */
	EXPECT_TRUE(is_refused(self, gpa(0)));
	ASSERT_EQ(0, cdev_detach(self->d.vp.fd));
	EXPECT_TRUE(is_refused(self, IOVA));
	printf("# what our table does not have is refused, and after the detach everything is\n");
}

/* Our table says where writing is allowed. */
TEST_F(nested, read_only)
{
	__u64 val;

	ASSERT_TRUE(stage1_map(&self->table, IOVA + PAGE, gpa(1), false));
	attach(_metadata, self);
	EXPECT_EQ(PT_DONE, load(self, IOVA + PAGE, &val));
	EXPECT_EQ(PT_NO_TRANSLATION,
		  pt_store(&self->d, PT_CMD_WALK_WRITE, PT_NO_PASID,
			   IOVA + PAGE, 0xfeed));
	EXPECT_EQ(CONTENT(1), *word(self, 1));
}

TEST_F(nested, invalidate)
{
	__u64 val;

	attach(_metadata, self);
	EXPECT_EQ(PT_DONE, load(self, IOVA + PAGE, &val));
	ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(2), true));
	ASSERT_TRUE(stage1_map(&self->table, IOVA + PAGE, gpa(3), true));
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	EXPECT_EQ(CONTENT(0), val);
	printf("# our table has another page at 0x%lx, the device still sees the old one\n",
	       IOVA);
	ASSERT_EQ(0, invalidate(self, IOVA, 1));
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	EXPECT_EQ(IOVA, pt_get(&self->d, PT_INVALIDATED));
	EXPECT_EQ(PT_DONE, load(self, IOVA + PAGE, &val));
	EXPECT_EQ(CONTENT(1), val);
	printf("# after HWPT_INVALIDATE of one page it sees the new one, and of the next page still the old one\n");
	ASSERT_EQ(0, invalidate(self, 0, ~0ULL));
	EXPECT_EQ(PT_DONE, load(self, IOVA + PAGE, &val));
	EXPECT_EQ(CONTENT(3), val);
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	printf("# after HWPT_INVALIDATE of everything it sees both\n");
	stage1_unmap(&self->table, IOVA);
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	ASSERT_EQ(0, invalidate(self, IOVA, 1));
	EXPECT_TRUE(is_refused(self, IOVA));
	printf("# what is taken out of our table is refused after HWPT_INVALIDATE\n");
}

/* More than a descriptor of the hardware can name */
TEST_F(nested, invalidate_large)
{
	static const __u64 pages[] = { 513, 1 << 19, 1ULL << 40, 0 };
	unsigned int i;
	__u64 val;

	attach(_metadata, self);
	for (i = 0; i != ARRAY_SIZE(pages); i++) {
		unsigned int data = i % 2 ? 0 : 2;

		ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(data), true));
		ASSERT_EQ(0, invalidate(self, IOVA, pages[i]));
		if (!pages[i])
			break;
		EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
		EXPECT_EQ(CONTENT(data), val);
	}
	/* Two pages, of which the smallest block that has both is large, too */
	ASSERT_TRUE(stage1_map(&self->table, GPA - PAGE, gpa(1), true));
	EXPECT_EQ(PT_DONE, load(self, GPA - PAGE, &val));
	EXPECT_EQ(CONTENT(1), val);
	ASSERT_TRUE(stage1_map(&self->table, GPA - PAGE, gpa(3), true));
	ASSERT_EQ(0, invalidate(self, GPA - PAGE, 2));
	EXPECT_EQ(PT_DONE, load(self, GPA - PAGE, &val));
	EXPECT_EQ(CONTENT(3), val);
}

TEST_F(nested, invalidate_errors)
{
	struct iommu_hwpt_vtd_s1_invalidate inv[3] = {
		{ .addr = IOVA, .npages = 1 },
		{ .addr = IOVA + 1, .npages = 1 },
		{ .addr = IOVA, .npages = 1 },
	};
	int fd = self->d.vp.iommufd;
	__u32 num = 3;

	attach(_metadata, self);
	EXPECT_EQ(-EINVAL, hwpt_invalidate(fd, self->hwpt,
					   IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
					   inv, sizeof(inv[0]), &num));
	EXPECT_EQ(1, num);
	num = 1;
	EXPECT_EQ(-EINVAL, hwpt_invalidate(fd, self->parent,
					   IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
					   inv, sizeof(inv[0]), &num));
	EXPECT_EQ(0, num);
	EXPECT_EQ(0, hwpt_invalidate(fd, self->hwpt,
				     IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, NULL,
				     sizeof(inv[0]), &num));
}

TEST_F(nested, unmap_of_the_parent)
{
	__u64 val;

	attach(_metadata, self);
	EXPECT_EQ(PT_DONE, load(self, IOVA + PAGE, &val));
	ASSERT_EQ(0, ioas_unmap(self->d.vp.iommufd, self->ioas, GPA,
				PAGES * PAGE));
	EXPECT_TRUE(is_refused(self, IOVA));
	EXPECT_TRUE(is_refused(self, IOVA + PAGE));
	printf("# the parent is unmapped: the device is refused, without an invalidation of ours\n");
	ASSERT_EQ(0, ioas_map_at(self->d.vp.iommufd, self->ioas, self->mem,
				 PAGES * PAGE, GPA));
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	EXPECT_EQ(CONTENT(0), val);
}

/* A width that the hardware does not have; the driver looks at attach. */
TEST_F(nested, failed_attach)
{
	__u32 wide;
	__u64 val;

	ASSERT_EQ(0, alloc_nested(self, 39, &wide));
	attach(_metadata, self);
	ASSERT_EQ(0, invalidate(self, 0, ~0ULL));
	EXPECT_EQ(-EINVAL, cdev_attach_to(self->d.vp.fd, wide));
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	EXPECT_EQ(CONTENT(0), val);
	EXPECT_EQ(-EBUSY, obj_destroy(self->d.vp.iommufd, self->hwpt));
	EXPECT_EQ(0, obj_destroy(self->d.vp.iommufd, wide));
	printf("# an attach that fails leaves the device on the table that it had\n");
}

/* From one table of ours to another, and to what the parent translates alone */
TEST_F(nested, replace)
{
	int fd = self->d.vp.iommufd;
	__u32 other;
	__u64 val;

	attach(_metadata, self);
	ASSERT_EQ(0, alloc_nested(self, 48, &other));
	ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(2), true));
	ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, other));
	EXPECT_EQ(PT_DONE, load(self, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	EXPECT_EQ(0, obj_destroy(fd, self->hwpt));
	ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, self->parent));
	EXPECT_TRUE(is_refused(self, IOVA));
	EXPECT_EQ(PT_DONE, load(self, gpa(3), &val));
	EXPECT_EQ(CONTENT(3), val);
	EXPECT_EQ(PT_TYPE_SECOND, pt_get(&self->d, PT_TABLE_TYPE));
	EXPECT_EQ(0, obj_destroy(fd, other));
	printf("# replaced by another table of ours, and by the parent: the device sees what these say\n");
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print_times(const char *what, __u64 *ns, unsigned int count)
{
	qsort(ns, count, sizeof(*ns), compare);
	printf("# %s takes %.1f us in the middle of %u, %.1f us at most\n",
	       what, ns[count / 2] / 1000.0, count, ns[count - 1] / 1000.0);
}

/*
 * What a hypervisor does for each change of its guest's tables: the device moves to
 * another one, back and forth, and sees each; a page is invalidated, and it sees
 * the change.
 */
TEST_F(nested, hot_paths)
{
	static __u64 replace[ROUNDS], invalidation[ROUNDS];
	__u32 other, tables[2];
	unsigned int i;
	__u64 val;

	attach(_metadata, self);
	ASSERT_EQ(0, alloc_nested(self, 48, &other));
	tables[0] = other;
	tables[1] = self->hwpt;
	for (i = 0; i != ROUNDS; i++) {
		ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(i % 4), true));
		replace[i] = now_ns();
		ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, tables[i % 2]));
		replace[i] = now_ns() - replace[i];
		ASSERT_EQ(PT_DONE, load(self, IOVA, &val));
		ASSERT_EQ(CONTENT(i % 4), val);
	}
	for (i = 0; i != ROUNDS; i++) {
		ASSERT_TRUE(stage1_map(&self->table, IOVA, gpa(i % 4), true));
		invalidation[i] = now_ns();
		ASSERT_EQ(0, invalidate(self, IOVA, 1));
		invalidation[i] = now_ns() - invalidation[i];
		ASSERT_EQ(PT_DONE, load(self, IOVA, &val));
		ASSERT_EQ(CONTENT(i % 4), val);
	}
	print_times("ATTACH from one nested table to another", replace, ROUNDS);
	print_times("HWPT_INVALIDATE of one page", invalidation, ROUNDS);
}

TEST_F(nested, order_of_destruction)
{
	int fd = self->d.vp.iommufd;

	attach(_metadata, self);
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->hwpt));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->parent));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->ioas));
	ASSERT_EQ(0, cdev_detach(self->d.vp.fd));
	EXPECT_EQ(-EBUSY, obj_destroy(fd, self->parent));
	EXPECT_EQ(0, obj_destroy(fd, self->hwpt));
	EXPECT_EQ(0, obj_destroy(fd, self->parent));
	EXPECT_EQ(0, obj_destroy(fd, self->ioas));
}

TEST_HARNESS_MAIN
