// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages a device has written, as the kernel's own VT-d driver reports it, or
 * as it is found out if that reports to nobody. Uses our pasid-testdev, which sets the
 * dirty bits in that driver's page tables.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "../lib/pasid_testdev.h"

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

FIXTURE_SETUP(dirty)
{
	bool reported;
	int ret;

	ret = pt_open(&self->d);
	if (ret == -ENODEV)
		SKIP(return, "no pasid-testdev");
	ASSERT_EQ(0, ret);
	if (!(pt_vtd_ecap() & PT_ECAP_DIRTY))
		SKIP(return, "no VT-d with dirty bits");
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
	printf("# the device reads page 5 and writes page 130 of %lu: page 130 is reported as dirty, and no other\n",
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

/* Where the kernel's IOMMU drivers report to nobody, what they find can be used or not */
#define USED	"/sys/module/iommufd/parameters/dirty_tracking"

FIXTURE(silent) {
	struct pt_dev d;
};

FIXTURE_SETUP(silent)
{
	bool reported;
	int ret;

	ret = pt_open(&self->d);
	if (ret == -ENODEV)
		SKIP(return, "no pasid-testdev");
	ASSERT_EQ(0, ret);
	if (!(pt_vtd_ecap() & PT_ECAP_DIRTY))
		SKIP(return, "no VT-d with dirty bits");
	ASSERT_EQ(0, file_write(USED, "N"));
	ASSERT_EQ(0, is_reported(&self->d, &reported));
	if (reported)
		SKIP(return, "the kernel's IOMMU drivers report dirty pages");
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
