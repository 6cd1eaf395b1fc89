// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of how an area is cut in two, and of how far a translation reaches.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "fixture_kunit.h"

/* Nothing that a device can see changes where there are no large pages */
static void cut_test_small(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	unsigned int unmaps;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));
	unmaps = fake->driver_unmaps;
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 3);
	KUNIT_EXPECT_EQ(test, fake->driver_unmaps, unmaps);
	fixture_expect_memory(t, fake, SZ_1M, 0, 16 * PAGE_SIZE);
	fixture_expect_pins(t, 0, 16, 1);

	/* The middle goes, with its pins and no others */
	KUNIT_EXPECT_EQ(test, 0,
			fixture_unmap(t, SZ_1M + 4 * PAGE_SIZE, 4 * PAGE_SIZE));
	fixture_expect_memory(t, fake, SZ_1M, 0, 4 * PAGE_SIZE);
	fixture_expect_nothing(t, fake, SZ_1M + 4 * PAGE_SIZE, 4 * PAGE_SIZE);
	fixture_expect_memory(t, fake, SZ_1M + 8 * PAGE_SIZE, 8 * PAGE_SIZE,
			      8 * PAGE_SIZE);
	fixture_expect_pins(t, 0, 4, 1);
	fixture_expect_pins(t, 4, 4, 0);
	fixture_expect_pins(t, 8, 8, 1);
}

/* There is nothing to be cut at the ends, and where nothing is */
static void cut_test_nothing(struct kunit *test)
{
	struct fixture *t = test->priv;

	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iopt_split_at(&t->iopt, 0));
	KUNIT_EXPECT_EQ(test, 0, iopt_split_at(&t->iopt, SZ_1M));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iopt_split_at(&t->iopt, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 1);
	KUNIT_EXPECT_EQ(test, -EINVAL, iopt_split_at(&t->iopt, SZ_1M + 5));
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 1);
}

/* Before there is a domain, and then with one */
static void cut_test_without_domain(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 2 * PAGE_SIZE));
	fixture_expect_pins(t, 0, 8, 0);
	fake = fixture_add_domain(t, COMMON_SIZES);
	fixture_expect_memory(t, fake, SZ_1M, 0, 8 * PAGE_SIZE);
	fixture_expect_pins(t, 0, 8, 1);
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, 2 * PAGE_SIZE));
	fixture_expect_pins(t, 0, 2, 0);
	fixture_expect_pins(t, 2, 6, 1);
}

/* An area ends where the last page of the address space does */
static void cut_test_top(struct kunit *test)
{
	const unsigned long top = ULONG_MAX - 4 * PAGE_SIZE + 1;
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, top, 0, 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iopt_split_at(&t->iopt, top + 3 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_unmap(t, top + 3 * PAGE_SIZE, PAGE_SIZE));
	fixture_expect_memory(t, fake, top, 0, 3 * PAGE_SIZE);
	fixture_expect_pins(t, 3, 1, 0);
}

/* A large page is broken in every domain, and only that one */
static void cut_test_large(struct kunit *test)
{
	const unsigned long npages = 2 * SZ_2M / PAGE_SIZE;
	struct fixture *t = test->priv;
	struct fake_domain *big = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *small = fixture_add_domain(t, SZ_4K);
	unsigned int unmaps;

	t->memory = fake_memory_alloc(test, npages, npages,
				      PROT_READ | PROT_WRITE);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_4M, 0, 2 * SZ_2M));
	KUNIT_ASSERT_EQ(test, big->largest, SZ_2M);

	/* Between two of them there is nothing to break */
	unmaps = big->driver_unmaps;
	KUNIT_EXPECT_EQ(test, 0, iopt_split_at(&t->iopt, SZ_4M + SZ_2M));
	KUNIT_EXPECT_EQ(test, big->driver_unmaps, unmaps);

	unmaps = small->driver_unmaps;
	KUNIT_EXPECT_EQ(test, 0, iopt_split_at(&t->iopt, SZ_4M + SZ_64K));
	KUNIT_EXPECT_EQ(test, small->driver_unmaps, unmaps);
	fixture_expect_memory(t, big, SZ_4M, 0, 2 * SZ_2M);
	fixture_expect_memory(t, small, SZ_4M, 0, 2 * SZ_2M);
	fixture_expect_pins(t, 0, npages, 1);

	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_4M, SZ_64K));
	fixture_expect_nothing(t, big, SZ_4M, SZ_64K);
	fixture_expect_memory(t, big, SZ_4M + SZ_64K, SZ_64K,
			      2 * SZ_2M - SZ_64K);
	fixture_expect_pins(t, 0, SZ_64K / PAGE_SIZE, 0);
	fixture_expect_pins(t, SZ_64K / PAGE_SIZE,
			    npages - SZ_64K / PAGE_SIZE, 1);
}

/* Pins of an access hold an area together until the access lets go */
static void cut_test_access(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct page *out[4];

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	fixture_pin_access(t, SZ_1M, 2, 4, out);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->asked, 1);
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 2);
	/* Both parts can be used again */
	fixture_pin_access(t, SZ_1M, 0, 4, out);
	KUNIT_EXPECT_FALSE(test, t->pinned->prevent_access);
	fixture_unpin_access(t);
	fixture_pin_access(t, SZ_1M + 4 * PAGE_SIZE, 4, 4, out);
	KUNIT_EXPECT_FALSE(test, t->pinned->prevent_access);
	KUNIT_EXPECT_PTR_EQ(test, out[0], t->memory->pages[4]);
	fixture_unpin_access(t);
}

/* The parts of an area can be copied, and hold their memory alone */
static void cut_test_copy(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 4 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_copy(t, SZ_2M, SZ_1M + 2 * PAGE_SIZE,
				     4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, 8 * PAGE_SIZE));
	fixture_expect_memory(t, fake, SZ_2M, 2 * PAGE_SIZE, 4 * PAGE_SIZE);
	fixture_expect_pins(t, 0, 2, 0);
	fixture_expect_pins(t, 2, 4, 1);
	fixture_expect_pins(t, 6, 2, 0);
}

static void expect_leaf(struct fixture *t, struct fake_domain *fake,
			unsigned long iova, unsigned long start,
			unsigned long length)
{
	unsigned long last;

	guard(rwsem_read)(&t->iopt.iova_rwsem);
	struct iopt_area *area = iopt_area_at(&t->iopt, iova);

	KUNIT_ASSERT_NOT_NULL(t->test, area);
	guard(mutex)(&area->pages->mutex);
	KUNIT_EXPECT_EQ(t->test,
			iopt_area_leaf(area, &fake->domain, iova, &last),
			start);
	KUNIT_EXPECT_EQ(t->test, last, start + (length - 1));
}

/* A translation is as large as area, memory and alignment allow */
static void cut_test_leaf(struct kunit *test)
{
	const unsigned long npages = 2 * SZ_2M / PAGE_SIZE;
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);

	/* Two blocks of 2 MiB, the second one below the first */
	t->memory = fake_memory_alloc(test, npages, npages / 2,
				      PROT_READ | PROT_WRITE);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_4M, 0, 2 * SZ_2M));
	expect_leaf(t, fake, SZ_4M, SZ_4M, SZ_2M);
	expect_leaf(t, fake, SZ_4M + 12345, SZ_4M, SZ_2M);
	expect_leaf(t, fake, SZ_4M + SZ_2M - 1, SZ_4M, SZ_2M);
	expect_leaf(t, fake, SZ_4M + SZ_2M, SZ_4M + SZ_2M, SZ_2M);

	/* Memory or IOVA is out of line */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_16M, PAGE_SIZE,
				       2 * SZ_2M - PAGE_SIZE));
	expect_leaf(t, fake, SZ_16M, SZ_16M, PAGE_SIZE);
	expect_leaf(t, fake, SZ_16M + SZ_2M + 5, SZ_16M + SZ_2M, PAGE_SIZE);
	/* The area has only a part of it */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_32M, 0, SZ_2M - PAGE_SIZE));
	expect_leaf(t, fake, SZ_32M + SZ_1M, SZ_32M + SZ_1M, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_64M + PAGE_SIZE, PAGE_SIZE,
				       2 * SZ_2M - PAGE_SIZE));
	expect_leaf(t, fake, SZ_64M + SZ_1M, SZ_64M + SZ_1M, PAGE_SIZE);
	expect_leaf(t, fake, SZ_64M + SZ_2M, SZ_64M + SZ_2M, SZ_2M);
}

static struct kunit_case cut_cases[] = {
	KUNIT_CASE(cut_test_small),
	KUNIT_CASE(cut_test_nothing),
	KUNIT_CASE(cut_test_without_domain),
	KUNIT_CASE(cut_test_top),
	KUNIT_CASE(cut_test_large),
	KUNIT_CASE(cut_test_access),
	KUNIT_CASE(cut_test_copy),
	KUNIT_CASE(cut_test_leaf),
	{}
};

static struct kunit_suite cut_suite = {
	.name = "iommufd_area_split",
	.init = fixture_init,
	.exit = fixture_exit,
	.test_cases = cut_cases,
};

kunit_test_suite(cut_suite);
