// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs of vfio-pci: one device sees several address spaces at once. Uses our
 * pasid-testdev behind an emulated VT-d, first-stage or second-stage tables; says
 * what it has seen.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "../lib/pasid_testdev.h"

#define IOVA		0x12340000UL
#define SPACES		3
#define PAGE		4096UL
/* In the memory of each space; what the device writes is as its PASID is */
#define CONTENT(n)	(0x1111111111111111ULL * ((n) + 1))
#define WRITTEN(n)	(0xd0d0000000000000ULL + (n))

/* The first is without a PASID. */
static const __u32 pasid[SPACES] = { PT_NO_PASID, 5, 9 };

FIXTURE(pasid) {
	struct pt_dev d;
	char *mem;
	__u32 ioas[SPACES];
	__u32 hwpt[SPACES];
};

static __u64 *word(struct _test_data_pasid *self, unsigned int space)
{
	return (__u64 *)(self->mem + space * PAGE);
}

static __u32 load(struct _test_data_pasid *self, unsigned int space, __u64 iova,
		  __u64 *val)
{
	return pt_load(&self->d, space ? PT_CMD_ATS_READ : PT_CMD_READ,
		       pasid[space], iova, val);
}

static __u32 store(struct _test_data_pasid *self, unsigned int space,
		   __u64 iova, __u64 val)
{
	return pt_store(&self->d, space ? PT_CMD_ATS_WRITE : PT_CMD_WRITE,
			pasid[space], iova, val);
}

static bool is_refused(struct _test_data_pasid *self, unsigned int space,
		       __u64 iova)
{
	return pt_is_refused(&self->d, space ? PT_CMD_ATS_READ : PT_CMD_READ,
			     pasid[space], iova);
}

static int map(struct _test_data_pasid *self, unsigned int space, __u64 iova)
{
	return ioas_map_at(self->d.vp.iommufd, self->ioas[space],
			   word(self, space), PAGE, iova);
}

/* An address space with one page, and a table for it that PASIDs may have */
static int make_space(struct _test_data_pasid *self, unsigned int space)
{
	int fd = self->d.vp.iommufd, ret;

	ret = ioas_alloc(fd, &self->ioas[space]);
	if (!ret)
		ret = map(self, space, IOVA);
	if (!ret)
		ret = hwpt_alloc(fd, self->d.vp.devid, self->ioas[space],
				 IOMMU_HWPT_ALLOC_PASID, &self->hwpt[space]);
	return ret;
}

static int attach(struct _test_data_pasid *self, unsigned int space,
		  __u32 hwpt)
{
	return space ? cdev_attach_pasid(self->d.vp.fd, pasid[space], hwpt) :
		       cdev_attach_to(self->d.vp.fd, hwpt);
}

/* What the device finds the PASID's table to be, by a walk of its own */
static const char *kind_of_table(struct _test_data_pasid *self,
				 unsigned int space)
{
	__u64 val;

	pt_load(&self->d, PT_CMD_WALK_READ, pasid[space], IOVA, &val);
	switch (pt_get(&self->d, PT_TABLE_TYPE)) {
	case PT_TYPE_FIRST:
		return "first-stage";
	case PT_TYPE_SECOND:
		return "second-stage";
	}
	return "no";
}

FIXTURE_SETUP(pasid)
{
	unsigned int i;
	__u64 ecap;
	int ret;

	ret = pt_open(&self->d);
	if (ret == -ENODEV)
		SKIP(return, "no pasid-testdev");
	ASSERT_EQ(0, ret);
	ecap = pt_vtd_ecap();
	if (!(ecap & PT_ECAP_PASID))
		SKIP(return, "no VT-d with PASIDs");
	if (ecap & PT_ECAP_NEST)
		SKIP(return, "QEMU does not translate by the tables that its VT-d announces here");
	self->mem = mmap(NULL, SPACES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i != SPACES; i++) {
		*word(self, i) = CONTENT(i);
		ASSERT_EQ(0, make_space(self, i));
	}
}

FIXTURE_TEARDOWN(pasid)
{
	EXPECT_EQ(0, pt_close(&self->d));
}

static void attach_all(struct __test_metadata *_metadata,
		       struct _test_data_pasid *self)
{
	unsigned int i;

	for (i = 0; i != SPACES; i++)
		ASSERT_EQ(0, attach(self, i, self->hwpt[i]));
}

/* The space that an access without a PASID or with one has is its own. */
static void expect_spaces(struct __test_metadata *_metadata,
			  struct _test_data_pasid *self)
{
	unsigned int i;
	__u64 val;

	for (i = 0; i != SPACES; i++) {
		EXPECT_EQ(PT_DONE, load(self, i, IOVA, &val));
		EXPECT_EQ(*word(self, i), val);
	}
}

TEST_F(pasid, hw_info)
{
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info info;

	ASSERT_EQ(0, get_hw_info(self->d.vp.iommufd, self->d.vp.devid, &vtd,
				 sizeof(vtd), &info));
	EXPECT_EQ(PT_PASID_BITS, info.out_max_pasid_log2);
	/* The device has no execute permission, but it has privileged mode. */
	EXPECT_FALSE(info.out_capabilities & IOMMU_HW_CAP_PCI_PASID_EXEC);
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_PCI_PASID_PRIV);
}

TEST_F(pasid, three_spaces)
{
	unsigned int i, j;

	attach_all(_metadata, self);
	expect_spaces(_metadata, self);
	printf("# one device reads 0x%lx without a PASID, with PASID 5 and with PASID 9: three %s tables, three pages\n",
	       IOVA, kind_of_table(self, 1));
	for (i = 0; i != SPACES; i++)
		ASSERT_EQ(PT_DONE, store(self, i, IOVA + 8, WRITTEN(i)));
	for (i = 0; i != SPACES; i++)
		EXPECT_EQ(WRITTEN(i), word(self, i)[1]);
	printf("# what it writes there is in the page of that address space and in no other\n");
	/* One more page in each space in turn: the others see nothing there. */
	for (i = 0; i != SPACES; i++) {
		__u64 iova = IOVA + (i + 1) * 16 * PAGE, val;

		ASSERT_EQ(0, map(self, i, iova));
		EXPECT_EQ(PT_DONE, load(self, i, iova, &val));
		EXPECT_EQ(CONTENT(i), val);
		for (j = 0; j != SPACES; j++)
			if (j != i)
				EXPECT_TRUE(is_refused(self, j, iova));
	}
	printf("# what is mapped in one address space is refused in the others\n");
}

/* The device keeps translations: without an invalidation it would go on. */
TEST_F(pasid, unmap)
{
	__u32 seen;
	__u64 val;

	attach_all(_metadata, self);
	expect_spaces(_metadata, self);
	seen = pt_get(&self->d, PT_INVALIDATIONS);
	ASSERT_EQ(0, ioas_unmap(self->d.vp.iommufd, self->ioas[1], IOVA, PAGE));
	EXPECT_LT(seen, pt_get(&self->d, PT_INVALIDATIONS));
	EXPECT_TRUE(is_refused(self, 1, IOVA));
	EXPECT_EQ(PT_DONE, load(self, 0, IOVA, &val));
	EXPECT_EQ(CONTENT(0), val);
	EXPECT_EQ(PT_DONE, load(self, 2, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	printf("# unmapped under PASID 5: the device's IOTLB is invalidated, PASID 5 is refused, PASID 9 goes on\n");
	ASSERT_EQ(0, map(self, 1, IOVA));
	expect_spaces(_metadata, self);
}

TEST_F(pasid, detach)
{
	__u64 val;

	attach_all(_metadata, self);
	expect_spaces(_metadata, self);
	EXPECT_EQ(-EBUSY, obj_destroy(self->d.vp.iommufd, self->hwpt[1]));
	ASSERT_EQ(0, cdev_detach_pasid(self->d.vp.fd, pasid[1]));
	EXPECT_TRUE(is_refused(self, 1, IOVA));
	EXPECT_EQ(PT_DONE, load(self, 2, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	EXPECT_EQ(PT_DONE, load(self, 0, IOVA, &val));
	EXPECT_EQ(CONTENT(0), val);
	EXPECT_EQ(0, obj_destroy(self->d.vp.iommufd, self->hwpt[1]));
	printf("# PASID 5 is detached and refused; PASID 9 and what has no PASID go on\n");
}

TEST_F(pasid, replace)
{
	__u64 val;

	attach_all(_metadata, self);
	expect_spaces(_metadata, self);
	ASSERT_EQ(0, attach(self, 1, self->hwpt[2]));
	EXPECT_EQ(PT_DONE, load(self, 1, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	EXPECT_EQ(0, obj_destroy(self->d.vp.iommufd, self->hwpt[1]));
	EXPECT_EQ(PT_DONE, load(self, 2, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	printf("# PASID 5 is moved to the address space of PASID 9 and reads what that has\n");
}

/* The address space of requests without a PASID is replaced beside the others. */
TEST_F(pasid, replace_rid)
{
	__u64 val;

	attach_all(_metadata, self);
	ASSERT_EQ(0, attach(self, 0, self->hwpt[2]));
	EXPECT_EQ(PT_DONE, load(self, 0, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	EXPECT_EQ(PT_DONE, load(self, 1, IOVA, &val));
	EXPECT_EQ(CONTENT(1), val);
	/* Tables without the flag do not go with PASIDs. */
	EXPECT_EQ(-EINVAL, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(PT_DONE, load(self, 0, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	printf("# what has no PASID is moved to another address space, PASID 5 stays where it is\n");
}

/* No translation of PASID 9 was ever asked for when it is attached late. */
TEST_F(pasid, refused_before_attach)
{
	__u64 val;

	ASSERT_EQ(0, attach(self, 0, self->hwpt[0]));
	ASSERT_EQ(0, attach(self, 1, self->hwpt[1]));
	EXPECT_TRUE(is_refused(self, 2, IOVA));
	ASSERT_EQ(0, attach(self, 2, self->hwpt[2]));
	EXPECT_EQ(PT_DONE, load(self, 2, IOVA, &val));
	EXPECT_EQ(CONTENT(2), val);
	printf("# PASID 9 is refused until it is attached\n");
}

TEST_F(pasid, errors)
{
	int fd = self->d.vp.fd;
	__u32 plain;

	/* What has no PASID cannot be on a table that is not for PASIDs. */
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(-EINVAL, attach(self, 1, self->hwpt[1]));
	ASSERT_EQ(0, attach(self, 0, self->hwpt[0]));
	EXPECT_EQ(-EINVAL, attach(self, 1, self->ioas[1]));
	ASSERT_EQ(0, hwpt_alloc(self->d.vp.iommufd, self->d.vp.devid,
				self->ioas[1], 0, &plain));
	EXPECT_EQ(-EINVAL, attach(self, 1, plain));
	EXPECT_EQ(-ENOENT, attach(self, 1, 0x7777));
	EXPECT_EQ(-EBUSY, cdev_attach_pasid(fd, 0, self->hwpt[1]));
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(fd, 1 << PT_PASID_BITS,
					     self->hwpt[1]));
	EXPECT_EQ(0, cdev_attach_pasid(fd, (1 << PT_PASID_BITS) - 1,
				       self->hwpt[1]));
	EXPECT_TRUE(is_refused(self, 1, IOVA));
}

/* A process that dies leaves its PASIDs to the end of its files. */
TEST_F(pasid, close)
{
	unsigned int i;

	attach_all(_metadata, self);
	expect_spaces(_metadata, self);
	pt_close_files(&self->d);
	ASSERT_EQ(0, pt_reopen(&self->d));
	for (i = 0; i != SPACES; i++)
		ASSERT_EQ(0, make_space(self, i));
	ASSERT_EQ(0, attach(self, 0, self->hwpt[0]));
	EXPECT_TRUE(is_refused(self, 1, IOVA));
	EXPECT_TRUE(is_refused(self, 2, IOVA));
	ASSERT_EQ(0, attach(self, 1, self->hwpt[1]));
	ASSERT_EQ(0, attach(self, 2, self->hwpt[2]));
	expect_spaces(_metadata, self);
	printf("# after a close with PASIDs attached the next user's are refused until they are attached\n");
}

TEST_HARNESS_MAIN
