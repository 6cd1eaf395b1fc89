// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA of vfio-pci through whatever page tables the kernel makes for VT-d: our
 * pasid-testdev goes through them itself, keeps what it has found until it is
 * invalidated, and says of which stages they are. That is nested where this runs
 * as the guest of a hypervisor that nests the tables of its VT-d.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "../lib/pasid_testdev.h"

#define PAGE		4096UL
#define IOVA		0x12340000UL
#define SPACES		2
#define ROUNDS		32
/* More than one descriptor can name */
#define MANY		1024
#define CONTENT(n)	(0x0101010101010101ULL * (n) + 0x1000)

FIXTURE(walk) {
	struct pt_dev d;
	char *mem;
	__u32 ioas[SPACES];
};

static __u64 *word(struct _test_data_walk *self, unsigned int page)
{
	return (__u64 *)(self->mem + page * PAGE);
}

static int map(struct _test_data_walk *self, unsigned int space,
	       unsigned int page, unsigned int pages, __u64 iova)
{
	return ioas_map_at(self->d.vp.iommufd, self->ioas[space],
			   word(self, page), pages * PAGE, iova);
}

static int unmap(struct _test_data_walk *self, unsigned int space,
		 unsigned int pages, __u64 iova)
{
	return ioas_unmap(self->d.vp.iommufd, self->ioas[space], iova,
			  pages * PAGE);
}

static __u32 load(struct _test_data_walk *self, __u64 iova, __u64 *val)
{
	return pt_load(&self->d, PT_CMD_WALK_READ, PT_NO_PASID, iova, val);
}

static bool is_refused(struct _test_data_walk *self, __u64 iova)
{
	return pt_is_refused(&self->d, PT_CMD_WALK_READ, PT_NO_PASID, iova);
}

static const char *kind_of_table(struct _test_data_walk *self)
{
	switch (pt_get(&self->d, PT_TABLE_TYPE)) {
	case PT_TYPE_FIRST:
		return "first-stage";
	case PT_TYPE_SECOND:
		return "second-stage";
	case PT_TYPE_NESTED:
		return "nested";
	}
	return "no";
}

FIXTURE_SETUP(walk)
{
	unsigned int i;
	int ret;

	ret = pt_open(&self->d);
	if (ret == -ENODEV)
		SKIP(return, "no pasid-testdev");
	ASSERT_EQ(0, ret);
	if (!(pt_vtd_ecap() & (PT_ECAP_FIRST | PT_ECAP_SECOND)))
		SKIP(return, "no VT-d in scalable mode");
	self->mem = mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i != MANY; i++)
		*word(self, i) = CONTENT(i);
	for (i = 0; i != SPACES; i++)
		ASSERT_EQ(0, ioas_alloc(self->d.vp.iommufd, &self->ioas[i]));
	ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, self->ioas[0]));
}

FIXTURE_TEARDOWN(walk)
{
	EXPECT_EQ(0, pt_close(&self->d));
}

/* Another page at the same address each time: what is stale would show. */
TEST_F(walk, unmap)
{
	unsigned int i;
	__u64 val;

	EXPECT_TRUE(is_refused(self, IOVA));
	for (i = 0; i != ROUNDS; i++) {
		ASSERT_EQ(0, map(self, 0, i, 1, IOVA));
		ASSERT_EQ(PT_DONE, load(self, IOVA, &val));
		ASSERT_EQ(CONTENT(i), val);
		ASSERT_EQ(PT_DONE, pt_store(&self->d, PT_CMD_WALK_WRITE,
					    PT_NO_PASID, IOVA + 8, ~CONTENT(i)));
		ASSERT_EQ(~CONTENT(i), word(self, i)[1]);
		ASSERT_EQ(0, unmap(self, 0, 1, IOVA));
		ASSERT_TRUE(is_refused(self, IOVA));
	}
	printf("# %u times another page at 0x%lx, through %s tables: the device reads and writes that page, and none after the unmap\n",
	       ROUNDS, IOVA, kind_of_table(self));
}

/* Large enough for other invalidations, but all of it in small pages */
TEST_F(walk, unmap_many)
{
	static const unsigned int pages[] = { 0, 1, 511, 512, MANY - 1 };
	unsigned int i;
	__u64 val;

	ASSERT_EQ(0, map(self, 0, 0, MANY, IOVA));
	for (i = 0; i != ARRAY_SIZE(pages); i++) {
		ASSERT_EQ(PT_DONE, load(self, IOVA + pages[i] * PAGE, &val));
		EXPECT_EQ(CONTENT(pages[i]), val);
	}
	ASSERT_EQ(0, unmap(self, 0, MANY, IOVA));
	for (i = 0; i != ARRAY_SIZE(pages); i++)
		EXPECT_TRUE(is_refused(self, IOVA + pages[i] * PAGE));
	printf("# %u pages at 0x%lx, unmapped at once: none is left\n", MANY,
	       IOVA);
}

TEST_F(walk, replace)
{
	unsigned int i, space;
	__u64 val;

	ASSERT_EQ(0, map(self, 0, 0, 1, IOVA));
	ASSERT_EQ(0, map(self, 1, 1, 1, IOVA));
	ASSERT_EQ(0, map(self, 1, 1, 1, IOVA + PAGE));
	for (i = 0; i != ROUNDS; i++) {
		space = i % SPACES;
		ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, self->ioas[space]));
		ASSERT_EQ(PT_DONE, load(self, IOVA, &val));
		ASSERT_EQ(CONTENT(space), val);
		/* Only the second one has something there */
		ASSERT_EQ(!space, is_refused(self, IOVA + PAGE));
	}
	printf("# %u times to the other address space, through %s tables: the device reads the page of that one\n",
	       ROUNDS, kind_of_table(self));
	ASSERT_EQ(0, cdev_detach(self->d.vp.fd));
	EXPECT_TRUE(is_refused(self, IOVA));
}

TEST_HARNESS_MAIN
