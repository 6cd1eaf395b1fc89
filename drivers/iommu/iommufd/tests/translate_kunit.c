// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of translations in a domain that behaves as VT-d's driver does.
 */
#include <kunit/test.h>
#include <linux/sizes.h>

#include "fake_kunit.h"
#include "../translate.h"

#define RW	(IOMMU_READ | IOMMU_WRITE)
#define SIZES	(SZ_4K | SZ_2M | SZ_1G)

static struct fake_domain *vtd(struct kunit *test, unsigned long flush_max)
{
	struct fake_domain *fake = fake_domain_alloc(test, SIZES);

	fake->as_vtd = true;
	fake->unpinned = true;
	fake->item.flush_max = flush_max;
	return fake;
}

static void translate(struct kunit *test, struct fake_domain *fake,
		      unsigned long iova, phys_addr_t phys, size_t length)
{
	KUNIT_ASSERT_EQ(test, 0,
			iopt_translate(&fake->item, iova, phys, length, SZ_1G,
				       RW, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_translate_sync(&fake->item, iova, length));
	KUNIT_EXPECT_EQ(test, phys, fake_domain_phys(fake, iova));
	KUNIT_EXPECT_EQ(test, phys + length - 1,
			fake_domain_phys(fake, iova + length - 1));
}

/* Nothing was unmapped, so there is nothing to flush */
static void translate_test_empty(struct kunit *test)
{
	struct fake_domain *fake = vtd(test, 0);
	struct iopt_gather gather;

	iopt_gather_init(&gather, &fake->item);
	iopt_gather_flush(&gather);
	KUNIT_EXPECT_EQ(test, fake->flushes, 0);
}

/* The fake fails if page-table pages are freed before their flush */
static void translate_test_sizes(struct kunit *test)
{
	struct fake_domain *fake = vtd(test, 0);
	const unsigned long start = SZ_2M - SZ_8K;
	const size_t length = SZ_4M + SZ_16K;

	translate(test, fake, start, SZ_1G + start, length);
	KUNIT_EXPECT_EQ(test, fake->largest, SZ_2M);
	iopt_untranslate_sync(&fake->item, start, length);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
	/* 4K, 2M, 4K pages */
	KUNIT_EXPECT_EQ(test, fake->flushes, 3);
}

/* Ranges that are apart, and ranges that meet, in one gather */
static void translate_test_gather(struct kunit *test)
{
	struct fake_domain *fake = vtd(test, 0);
	struct iopt_gather gather;
	unsigned int i;

	for (i = 0; i < 8; i++)
		translate(test, fake, SZ_1M + i * SZ_4K, SZ_1G + i * SZ_8K,
			  SZ_4K);
	translate(test, fake, SZ_4M, SZ_2G, SZ_2M);
	translate(test, fake, SZ_8M, SZ_1G, SZ_4K);

	iopt_gather_init(&gather, &fake->item);
	for (i = 0; i < 8; i++)
		iopt_untranslate(&gather, SZ_1M + i * SZ_4K, SZ_4K);
	KUNIT_EXPECT_EQ(test, fake->flushes, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_stale, 8);
	iopt_untranslate(&gather, SZ_4M, SZ_2M);
	KUNIT_EXPECT_EQ(test, fake->flushes, 1);
	iopt_untranslate(&gather, SZ_8M, SZ_4K);
	KUNIT_EXPECT_EQ(test, fake->flushes, 2);
	iopt_gather_flush(&gather);
	KUNIT_EXPECT_EQ(test, fake->flushes, 3);
	KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
}

/* The page tables of much memory are not freed all at once */
static void translate_test_much(struct kunit *test)
{
	struct fake_domain *fake = vtd(test, 0);
	struct iopt_gather gather;

	translate(test, fake, SZ_1G, SZ_2G + SZ_2M, SZ_512M);
	translate(test, fake, SZ_1G + SZ_512M, SZ_1G + SZ_2M, SZ_256M);
	iopt_gather_init(&gather, &fake->item);
	/* In two parts, which count together */
	iopt_untranslate(&gather, SZ_1G, SZ_128M);
	iopt_untranslate(&gather, SZ_1G + SZ_128M, SZ_256M);
	KUNIT_EXPECT_EQ(test, fake->flushes, 1);
	iopt_untranslate(&gather, SZ_1G + SZ_128M + SZ_256M, SZ_128M);
	iopt_untranslate(&gather, SZ_1G + SZ_512M, SZ_256M);
	KUNIT_EXPECT_EQ(test, fake->flushes, 2);
	iopt_gather_flush(&gather);
	KUNIT_EXPECT_EQ(test, fake->flushes, 3);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
}

/* The fake fails if a flush is larger than the hardware can do */
static void translate_test_flush_max(struct kunit *test)
{
	static const unsigned long limits[] = { SZ_4K, SZ_64K, SZ_2M };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		struct fake_domain *fake = vtd(test, limits[i]);

		translate(test, fake, SZ_8M - SZ_8K, SZ_1G - SZ_8K,
			  SZ_4M + SZ_8K);
		/* A switch to larger pages flushes as much as it maps */
		KUNIT_EXPECT_LE(test, fake->largest, limits[i]);
		iopt_untranslate_sync(&fake->item, SZ_8M - SZ_8K,
				      SZ_4M + SZ_8K);
		KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
		KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
		/* Small, but across the border of two blocks */
		translate(test, fake, SZ_4M - SZ_4K, SZ_1G, SZ_8K);
		iopt_untranslate_sync(&fake->item, SZ_4M - SZ_4K, SZ_8K);
		KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
	}
}

/* What a driver mapped before it failed is gone, and nothing else is */
static void translate_test_fails(struct kunit *test)
{
	struct fake_domain *fake = vtd(test, SZ_2M);
	unsigned int i;
	int rc;

	translate(test, fake, SZ_16M, SZ_2G, SZ_4K);
	for (i = 1;; i++) {
		fake->fail_in = i;
		rc = iopt_translate(&fake->item, SZ_2M - SZ_64K,
				    SZ_1G - SZ_64K, SZ_8M + SZ_128K, SZ_1G, RW,
				    GFP_KERNEL);
		if (!rc)
			break;
		KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
		KUNIT_EXPECT_EQ(test, fake->nr_live, 1);
		KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
	}
	KUNIT_EXPECT_GE(test, i, 3);
	fake->fail_in = 0;
	iopt_untranslate_sync(&fake->item, SZ_2M - SZ_64K, SZ_8M + SZ_128K);
	iopt_untranslate_sync(&fake->item, SZ_16M, SZ_4K);
}

static struct kunit_case translate_test_cases[] = {
	KUNIT_CASE(translate_test_empty),
	KUNIT_CASE(translate_test_sizes),
	KUNIT_CASE(translate_test_gather),
	KUNIT_CASE(translate_test_much),
	KUNIT_CASE(translate_test_flush_max),
	KUNIT_CASE(translate_test_fails),
	{}
};

static struct kunit_suite translate_test_suite = {
	.name = "iommufd_translate",
	.test_cases = translate_test_cases,
};

kunit_test_suite(translate_test_suite);
