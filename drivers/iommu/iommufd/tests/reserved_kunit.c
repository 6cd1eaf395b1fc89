// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of which IOVA may not be used, and which must stay usable.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/sizes.h>

#include "fixture_kunit.h"

static void reserved_test_map(struct kunit *test)
{
	struct fixture *t = test->priv;
	int one, other;
	unsigned long iova, i;

	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, SZ_1M, SZ_2M - 1, &one));
	/* Two owners may want the same, both have to leave */
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, SZ_1M, SZ_2M - 1, &other));
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, 0, 0, &one));

	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_at(t, SZ_1M - PAGE_SIZE, 0, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_at(t, SZ_2M - PAGE_SIZE, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, 0, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_map_at(t, SZ_1M - PAGE_SIZE, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_2M, 0, PAGE_SIZE));

	for (i = 0; i < 8; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_auto(t, 0, MEMORY_PAGES * PAGE_SIZE,
						 &iova));
		KUNIT_EXPECT_TRUE(test,
				  iova + MEMORY_PAGES * PAGE_SIZE <= SZ_1M ||
					  iova >= SZ_2M);
	}

	fixture_unreserve(t, &one);
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_2M, PAGE_SIZE));
	fixture_unreserve(t, &other);
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
}

/* What is mapped or promised cannot be reserved */
static void reserved_test_in_use(struct kunit *test)
{
	struct fixture *t = test->priv;
	int owner;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			fixture_reserve(t, 0, SZ_1M, &owner));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			fixture_reserve(t, SZ_1M + PAGE_SIZE - 1, ULONG_MAX,
					&owner));
	KUNIT_EXPECT_EQ(test, 0, fixture_reserve(t, 0, SZ_1M - 1, &owner));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_reserve(t, SZ_1M + PAGE_SIZE, SZ_1M + PAGE_SIZE,
					&owner));

	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fixture_allow(t, 0, 0));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fixture_allow(t, SZ_1M, SZ_2M));
	KUNIT_EXPECT_EQ(test, 0, fixture_allow(t, SZ_2M, SZ_4M));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			fixture_reserve(t, SZ_4M, SZ_8M, &owner));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			fixture_reserve(t, SZ_2M, SZ_2M, &owner));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_reserve(t, SZ_4M + 1, ULONG_MAX, &owner));
	fixture_unreserve(t, &owner);
}

/* Promised ranges bound what is chosen, not what the user chooses */
static void reserved_test_allowed(struct kunit *test)
{
	struct fixture *t = test->priv;
	unsigned long iova, i;
	int owner;

	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0,
			fixture_allow(t, SZ_16M, SZ_16M + 4 * PAGE_SIZE - 1));
	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_auto(t, 0, PAGE_SIZE, &iova));
		KUNIT_EXPECT_EQ(test, iova & ~(4 * PAGE_SIZE - 1), SZ_16M);
	}
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			fixture_map_auto(t, 0, PAGE_SIZE, &iova));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));

	/* Areas outside of a new promise stay */
	KUNIT_ASSERT_EQ(test, 0, fixture_allow(t, SZ_32M, ULONG_MAX));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_auto(t, 0, PAGE_SIZE, &iova));
	KUNIT_EXPECT_GE(test, iova, SZ_32M);
	/* A failed one changes nothing */
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, SZ_8M, SZ_8M, &owner));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			fixture_allow(t, SZ_8M, SZ_8M + SZ_1M));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_auto(t, 0, PAGE_SIZE, &iova));
	KUNIT_EXPECT_GE(test, iova, SZ_32M);
	fixture_unreserve(t, &owner);
}

static void expect_usable(struct fixture *t, unsigned long from,
			  unsigned long start, unsigned long last)
{
	unsigned long got_start = 1, got_last = 1;

	guard(rwsem_read)(&t->iopt.iova_rwsem);
	KUNIT_EXPECT_TRUE(t->test, iopt_next_usable(&t->iopt, from, &got_start,
						    &got_last));
	KUNIT_EXPECT_EQ(t->test, got_start, start);
	KUNIT_EXPECT_EQ(t->test, got_last, last);
}

static void reserved_test_usable(struct kunit *test)
{
	struct fixture *t = test->priv;
	unsigned long start, last;
	int owner;

	expect_usable(t, 0, 0, ULONG_MAX);
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, 0, SZ_4K - 1, &owner));
	/* Overlapping, nested and adjacent ones are one */
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, SZ_1M, SZ_2M, &owner));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_reserve(t, SZ_1M + 1, SZ_1M + 5, &owner));
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, SZ_2M, SZ_4M, &owner));
	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, SZ_4M + 1, SZ_8M, &owner));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_reserve(t, ULONG_MAX, ULONG_MAX, &owner));

	expect_usable(t, 0, SZ_4K, SZ_1M - 1);
	expect_usable(t, SZ_1M - 1, SZ_1M - 1, SZ_1M - 1);
	expect_usable(t, SZ_1M, SZ_8M + 1, ULONG_MAX - 1);
	expect_usable(t, ULONG_MAX - 1, ULONG_MAX - 1, ULONG_MAX - 1);
	scoped_guard(rwsem_read, &t->iopt.iova_rwsem)
		KUNIT_EXPECT_FALSE(test, iopt_next_usable(&t->iopt, ULONG_MAX,
							  &start, &last));
	fixture_unreserve(t, &owner);
}

/* Nothing is usable at all */
static void reserved_test_all(struct kunit *test)
{
	struct fixture *t = test->priv;
	unsigned long iova, start, last;
	int owner;

	KUNIT_ASSERT_EQ(test, 0, fixture_reserve(t, 0, ULONG_MAX, &owner));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			fixture_map_auto(t, 0, PAGE_SIZE, &iova));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	scoped_guard(rwsem_read, &t->iopt.iova_rwsem)
		KUNIT_EXPECT_FALSE(test, iopt_next_usable(&t->iopt, 0, &start,
							  &last));
	fixture_unreserve(t, &owner);
}

/* Ranges of a device, and conflicts in what it says of its MSI windows */
static const struct iommu_resv_region *fake_regions;
static unsigned int nr_fake_regions;

static void fake_get_resv_regions(struct device *dev, struct list_head *head)
{
	unsigned int i;

	for (i = 0; i < nr_fake_regions; i++) {
		struct iommu_resv_region *region;

		region = iommu_alloc_resv_region(fake_regions[i].start,
						 fake_regions[i].length, 0,
						 fake_regions[i].type,
						 GFP_KERNEL);
		if (region)
			list_add_tail(&region->list, head);
	}
}

static const struct iommu_ops fake_iommu_ops = {
	.get_resv_regions = fake_get_resv_regions,
};

static int reserve_device(struct fixture *t, struct device *dev,
			  const struct iommu_resv_region *regions,
			  unsigned int nr, phys_addr_t *sw_msi)
{
	fake_regions = regions;
	nr_fake_regions = nr;
	return iopt_reserve_device(&t->iopt, dev, sw_msi);
}

static void reserved_test_device(struct kunit *test)
{
	static const struct iommu_resv_region regions[] = {
		{ .start = SZ_8M, .length = SZ_1M, .type = IOMMU_RESV_MSI},
		{ .start = SZ_16M, .length = SZ_1M, .type = IOMMU_RESV_DIRECT},
		{ .start = SZ_32M,
		 .length = SZ_1M,
		 .type = IOMMU_RESV_DIRECT_RELAXABLE},
		{ .start = SZ_64M, .length = SZ_1M, .type = IOMMU_RESV_SW_MSI},
		{ .start = SZ_128M, .length = SZ_1M, .type = IOMMU_RESV_SW_MSI},
	};
	struct iommu_device iommu = { .ops = &fake_iommu_ops };
	struct dev_iommu dev_iommu = { .iommu_dev = &iommu };
	struct fixture *t = test->priv;
	phys_addr_t sw_msi = PHYS_ADDR_MAX;
	struct device *dev;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->init_name = "fake0";
	dev->iommu = &dev_iommu;

	KUNIT_ASSERT_EQ(test, 0, reserve_device(t, dev, regions, 3, &sw_msi));
	KUNIT_EXPECT_EQ(test, sw_msi, PHYS_ADDR_MAX);
	expect_usable(t, 0, 0, SZ_8M - 1);
	expect_usable(t, SZ_8M, SZ_8M + SZ_1M, SZ_16M - 1);
	expect_usable(t, SZ_16M, SZ_16M + SZ_1M, ULONG_MAX);
	fixture_unreserve(t, dev);
	expect_usable(t, 0, 0, ULONG_MAX);

	/* A window for software-managed MSI is told, two are too many */
	KUNIT_EXPECT_EQ(test, 0,
			reserve_device(t, dev, regions + 1, 3, &sw_msi));
	KUNIT_EXPECT_EQ(test, sw_msi, SZ_64M);
	fixture_unreserve(t, dev);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			reserve_device(t, dev, regions + 1, 4, &sw_msi));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			reserve_device(t, dev, regions, 4, &sw_msi));
	expect_usable(t, 0, 0, ULONG_MAX);

	/* What is mapped is in the way of a device, and none of it stays */
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_16M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			reserve_device(t, dev, regions, 3, &sw_msi));
	expect_usable(t, 0, 0, ULONG_MAX);
}

static void reserved_test_aperture(struct kunit *test)
{
	struct fake_domain *fake = fake_domain_alloc(test, COMMON_SIZES);
	struct fake_domain *wide;
	struct fixture *t = test->priv;
	unsigned long iova;

	fake->domain.geometry.aperture_start = SZ_1M;
	fake->domain.geometry.aperture_end = SZ_2M - 1;

	/* An area on either side keeps the domain out, with nothing changed */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M - PAGE_SIZE, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &fake->item));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_unmap(t, SZ_1M - PAGE_SIZE, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_2M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &fake->item));
	expect_usable(t, 0, 0, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_2M, PAGE_SIZE));
	/* So does a promise */
	KUNIT_ASSERT_EQ(test, 0, fixture_allow(t, SZ_1M, SZ_2M));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &fake->item));
	KUNIT_ASSERT_EQ(test, 0, fixture_allow(t, SZ_1M, SZ_2M - 1));

	KUNIT_ASSERT_EQ(test, 0, iopt_add_domain(&t->iopt, &fake->item));
	expect_usable(t, 0, SZ_1M, SZ_2M - 1);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_at(t, SZ_1M - PAGE_SIZE, 0, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_2M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_map_at(t, SZ_2M - PAGE_SIZE, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_auto(t, 0, PAGE_SIZE, &iova));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			fixture_map_auto(t, 0, SZ_1M - PAGE_SIZE, &iova));

	/* With several domains it is what they have in common */
	wide = fixture_add_domain(t, COMMON_SIZES);
	iopt_remove_domain(&t->iopt, &fake->item);
	expect_usable(t, 0, 0, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_2M, 0, PAGE_SIZE));
	iopt_remove_domain(&t->iopt, &wide->item);
}

static struct kunit_case reserved_cases[] = {
	KUNIT_CASE(reserved_test_map),
	KUNIT_CASE(reserved_test_in_use),
	KUNIT_CASE(reserved_test_allowed),
	KUNIT_CASE(reserved_test_usable),
	KUNIT_CASE(reserved_test_all),
	KUNIT_CASE(reserved_test_device),
	KUNIT_CASE(reserved_test_aperture),
	{}
};

static struct kunit_suite reserved_suite = {
	.name = "iommufd_reserved",
	.init = fixture_init,
	.exit = fixture_exit,
	.test_cases = reserved_cases,
};

kunit_test_suite(reserved_suite);
