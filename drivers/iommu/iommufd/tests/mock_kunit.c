// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the mock IOMMU: it finds what its caller does wrong. All that is
 * proven with it rests on that.
 */
#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/platform_device.h>

#include "fake_kunit.h"
#include "../iommufd_private.h"
#include "../mock/hardware.h"

#define IOVA MOCK_APERTURE_START
#define PROT (IOMMU_READ | IOMMU_WRITE)
#define NPAGES 4UL
#define FULL (NPAGES * PAGE_SIZE)

/**
 * struct mock_test - what every test starts with
 * @mdev: a device that takes pages of the CPU's size, too
 * @domain: a domain for it, empty
 * @memory: contiguous memory
 * @pages: its pages, pinned by the test if @pinned
 * @pinned: whether they are
 */
struct mock_test {
	struct mock_device *mdev;
	struct iommu_domain *domain;
	struct fake_memory *memory;
	struct page *pages[NPAGES];
	bool pinned;
};

static void pin(struct kunit *test)
{
	struct mock_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, NPAGES,
			pin_user_pages_fast(t->memory->addr, NPAGES,
					    FOLL_LONGTERM | FOLL_WRITE,
					    t->pages));
	t->pinned = true;
}

static void unpin(struct mock_test *t)
{
	unpin_user_pages(t->pages, NPAGES);
	t->pinned = false;
}

static int mock_test_init(struct kunit *test)
{
	struct mock_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->mdev = mock_device_create(MOCK_FLAGS_DEVICE_HUGE_IOVA);
	if (IS_ERR(t->mdev))
		return PTR_ERR(t->mdev);
	test->priv = t;
	t->domain = iommu_paging_domain_alloc(&t->mdev->pdev->dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->domain));
	t->memory = fake_memory_alloc(test, NPAGES, NPAGES,
				      PROT_READ | PROT_WRITE);
	mock_iommu_expect_misuse(true);
	return 0;
}

static void mock_test_exit(struct kunit *test)
{
	struct mock_test *t = test->priv;

	if (!t)
		return;
	if (t->pinned)
		unpin(t);
	if (!IS_ERR_OR_NULL(t->domain))
		iommu_domain_free(t->domain);
	KUNIT_EXPECT_EQ(test, 0, mock_iommu_expect_misuse(false));
	mock_device_destroy(t->mdev);
}

/* What was found since the last look */
#define EXPECT_MISUSES(nr) \
	KUNIT_EXPECT_EQ(test, nr, mock_iommu_expect_misuse(true))

static int map(struct mock_test *t, unsigned long iova, unsigned long length)
{
	return iommu_map(t->domain, iova, page_to_phys(t->memory->pages[0]),
			 length, PROT, GFP_KERNEL);
}

static void mock_test_proper_use(struct kunit *test)
{
	struct mock_test *t = test->priv;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, FULL));
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(t->domain, IOVA),
			page_to_phys(t->memory->pages[0]));
	KUNIT_EXPECT_EQ(test, FULL, iommu_unmap(t->domain, IOVA, FULL));
	unpin(t);
	EXPECT_MISUSES(0);
}

static void mock_test_map_over(struct kunit *test)
{
	struct mock_test *t = test->priv;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, FULL));
	EXPECT_MISUSES(0);
	KUNIT_EXPECT_EQ(test, -EBUSY, map(t, IOVA, FULL));
	EXPECT_MISUSES(1);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			map(t, IOVA + FULL - MOCK_IO_PAGE_SIZE,
			    MOCK_IO_PAGE_SIZE));
	EXPECT_MISUSES(1);
	/* What was there is as it was */
	KUNIT_EXPECT_EQ(test, FULL, iommu_unmap(t->domain, IOVA, FULL));
	EXPECT_MISUSES(0);
}

static void mock_test_map_before_flush(struct kunit *test)
{
	struct mock_test *t = test->priv;
	struct iommu_iotlb_gather gather;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, PAGE_SIZE));
	iommu_iotlb_gather_init(&gather);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE,
			iommu_unmap_fast(t->domain, IOVA, PAGE_SIZE, &gather));
	EXPECT_MISUSES(0);
	KUNIT_EXPECT_EQ(test, -EBUSY, map(t, IOVA, PAGE_SIZE));
	EXPECT_MISUSES(1);
	iommu_iotlb_sync(t->domain, &gather);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE,
			iommu_unmap(t->domain, IOVA, PAGE_SIZE));
	EXPECT_MISUSES(0);
}

static void mock_test_map_outside(struct kunit *test)
{
	struct mock_test *t = test->priv;

	pin(test);
	KUNIT_EXPECT_EQ(test, -EINVAL, map(t, IOVA - PAGE_SIZE, FULL));
	EXPECT_MISUSES(1);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			map(t, MOCK_APERTURE_LAST - (PAGE_SIZE - 1), FULL));
	EXPECT_MISUSES(1);
}

static void mock_test_map_unpinned(struct kunit *test)
{
	struct mock_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, MOCK_IO_PAGE_SIZE));
	EXPECT_MISUSES(1);
	pin(test);
	KUNIT_EXPECT_EQ(test, MOCK_IO_PAGE_SIZE,
			iommu_unmap(t->domain, IOVA, MOCK_IO_PAGE_SIZE));
	EXPECT_MISUSES(0);
}

static void mock_test_unmap_nothing(struct kunit *test)
{
	struct mock_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, 0, iommu_unmap(t->domain, IOVA, PAGE_SIZE));
	EXPECT_MISUSES(1);
	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, PAGE_SIZE));
	/* More than there is: the IOMMU core then tries the rest alone */
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, iommu_unmap(t->domain, IOVA, FULL));
	EXPECT_MISUSES(2);
	KUNIT_EXPECT_EQ(test, 0, iommu_unmap(t->domain, IOVA, PAGE_SIZE));
	EXPECT_MISUSES(1);
}

static void mock_test_unmap_part_of_leaf(struct kunit *test)
{
	struct mock_test *t = test->priv;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			iommu_unmap(t->domain, IOVA, MOCK_IO_PAGE_SIZE));
	EXPECT_MISUSES(1);
	KUNIT_EXPECT_EQ(test, 0,
			iommu_unmap(t->domain, IOVA + MOCK_IO_PAGE_SIZE,
				    MOCK_IO_PAGE_SIZE));
	EXPECT_MISUSES(1);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE,
			iommu_unmap(t->domain, IOVA, PAGE_SIZE));
	EXPECT_MISUSES(0);
}

static void mock_test_unpin_mapped(struct kunit *test)
{
	struct mock_test *t = test->priv;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, MOCK_IO_PAGE_SIZE));
	unpin(t);
	EXPECT_MISUSES(0);
	/* Found when it is unmapped, and again when it is flushed */
	KUNIT_EXPECT_EQ(test, MOCK_IO_PAGE_SIZE,
			iommu_unmap(t->domain, IOVA, MOCK_IO_PAGE_SIZE));
	EXPECT_MISUSES(2);
}

static void mock_test_unpin_before_flush(struct kunit *test)
{
	struct mock_test *t = test->priv;
	struct iommu_iotlb_gather gather;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, MOCK_IO_PAGE_SIZE));
	iommu_iotlb_gather_init(&gather);
	KUNIT_EXPECT_EQ(test, MOCK_IO_PAGE_SIZE,
			iommu_unmap_fast(t->domain, IOVA, MOCK_IO_PAGE_SIZE,
					 &gather));
	unpin(t);
	EXPECT_MISUSES(0);
	iommu_iotlb_sync(t->domain, &gather);
	EXPECT_MISUSES(1);
}

static void mock_test_free_mapped(struct kunit *test)
{
	struct mock_test *t = test->priv;

	pin(test);
	KUNIT_EXPECT_EQ(test, 0, map(t, IOVA, PAGE_SIZE));
	iommu_domain_free(t->domain);
	t->domain = NULL;
	EXPECT_MISUSES(1);
}

/* As much of a context as it takes to bind a device */
static struct iommufd_ctx *mock_test_ctx(struct kunit *test)
{
	struct iommufd_ctx *ictx =
		kunit_kzalloc(test, sizeof(*ictx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ictx);
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1);
	mutex_init(&ictx->groups_lock);
	INIT_LIST_HEAD(&ictx->groups);
	init_waitqueue_head(&ictx->destroy_wait);
	refusal_init(&ictx->refusal);
	return ictx;
}

/* Only a bound device proves that a context owns a group */
static void mock_test_owned_group(struct kunit *test)
{
	struct mock_test *t = test->priv;
	struct device *dev = &t->mdev->pdev->dev;
	struct iommufd_ctx *ictx = mock_test_ctx(test);
	struct iommu_group *group = iommu_group_get(dev);
	struct iommufd_group *igroup;
	struct iommufd_device *idev;
	u32 id;

	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(ictx, group));
	/* As a bind has it that will be refused */
	igroup = iommufd_group_get(ictx, dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(igroup));
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(ictx, group));

	idev = iommufd_device_bind(ictx, dev, &id);
	KUNIT_EXPECT_FALSE(test, IS_ERR(idev));
	if (!IS_ERR(idev)) {
		KUNIT_EXPECT_TRUE(test, iommufd_ctx_has_group(ictx, group));
		iommufd_device_unbind(idev);
	}
	KUNIT_EXPECT_FALSE(test, iommufd_ctx_has_group(ictx, group));
	iommufd_group_put(igroup);
	KUNIT_EXPECT_TRUE(test, list_empty(&ictx->groups));
	iommu_group_put(group);
	xa_destroy(&ictx->objects);
}

static struct kunit_case mock_cases[] = {
	KUNIT_CASE(mock_test_proper_use),
	KUNIT_CASE(mock_test_map_over),
	KUNIT_CASE(mock_test_map_before_flush),
	KUNIT_CASE(mock_test_map_outside),
	KUNIT_CASE(mock_test_map_unpinned),
	KUNIT_CASE(mock_test_unmap_nothing),
	KUNIT_CASE(mock_test_unmap_part_of_leaf),
	KUNIT_CASE(mock_test_unpin_mapped),
	KUNIT_CASE(mock_test_unpin_before_flush),
	KUNIT_CASE(mock_test_free_mapped),
	KUNIT_CASE(mock_test_owned_group),
	{}
};

static struct kunit_suite mock_suite = {
	.name = "iommufd_mock",
	.init = mock_test_init,
	.exit = mock_test_exit,
	.test_cases = mock_cases,
};

kunit_test_suite(mock_suite);
