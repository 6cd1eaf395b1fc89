// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what is told about an address space.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "fixture_kunit.h"

/* Expect @nr runs of each order of @order, and no others */
static void expect_runs(struct fixture *t, unsigned int order, unsigned long nr,
			unsigned int order2, unsigned long nr2)
{
	struct iopt_runs runs;
	unsigned int i;

	KUNIT_EXPECT_EQ(t->test, 0, iopt_count_runs(&t->iopt, &runs));
	for (i = 0; i < ARRAY_SIZE(runs.nr); i++) {
		unsigned long due = (i == order ? nr : 0) +
				    (i == order2 ? nr2 : 0);

		if (runs.nr[i] != due)
			KUNIT_FAIL(t->test, "%lu runs of order %u, not %lu",
				   runs.nr[i], i, due);
	}
}

/* Each page of scattered memory is a run */
static void stats_test_scattered(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake;

	expect_runs(t, 0, 0, 0, 0);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));
	/* Without a domain nothing is pinned */
	expect_runs(t, 0, 0, 0, 0);
	fake = fixture_add_domain(t, COMMON_SIZES);
	expect_runs(t, 0, 16, 0, 0);
	/* A copy counts again, as far as it reaches */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_copy(t, SZ_2M, SZ_1M + 3 * PAGE_SIZE,
				     5 * PAGE_SIZE));
	expect_runs(t, 0, 21, 0, 0);
	KUNIT_ASSERT_EQ(test, 0, fixture_unmap(t, SZ_1M, 16 * PAGE_SIZE));
	expect_runs(t, 0, 5, 0, 0);
	iopt_remove_domain(&t->iopt, &fake->item);
	expect_runs(t, 0, 0, 0, 0);
}

/* Runs, and mappings that begin and end inside of them */
static void stats_test_runs(struct kunit *test)
{
	struct fixture *t = test->priv;

	t->memory = fake_memory_alloc(test, MEMORY_PAGES, 8,
				      PROT_READ | PROT_WRITE);
	fixture_add_domain(t, SZ_2K | COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M, 0, MEMORY_PAGES * PAGE_SIZE));
	expect_runs(t, 3, 8, 0, 0);
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, 5 * PAGE_SIZE,
				       8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_unmap(t, SZ_1M, MEMORY_PAGES * PAGE_SIZE));
	expect_runs(t, 1, 1, 2, 1);
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_2M, 8 * PAGE_SIZE));
	/* Half pages at both ends: all that is touched is pinned */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, SZ_2K, 9 * PAGE_SIZE));
	expect_runs(t, 3, 1, 1, 1);
}

/* A run may continue behind a mapping, but that is another one */
static void stats_test_neighbours(struct kunit *test)
{
	struct fixture *t = test->priv;

	t->memory = fake_memory_alloc(test, MEMORY_PAGES, MEMORY_PAGES,
				      PROT_READ | PROT_WRITE);
	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 32 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M + 32 * PAGE_SIZE,
				       32 * PAGE_SIZE, 32 * PAGE_SIZE));
	expect_runs(t, 5, 2, 0, 0);
	/* The same memory, cut by us */
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, 64 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 64 * PAGE_SIZE));
	expect_runs(t, 6, 1, 0, 0);
	KUNIT_EXPECT_EQ(test, 0,
			iopt_split_at(&t->iopt, SZ_1M + 32 * PAGE_SIZE));
	expect_runs(t, 5, 2, 0, 0);
}

/* There is no IOVA behind the last */
static void stats_test_top(struct kunit *test)
{
	struct fixture *t = test->priv;

	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, 0, 0, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, ULONG_MAX - 4 * PAGE_SIZE + 1, 0,
				       4 * PAGE_SIZE));
	expect_runs(t, 0, 5, 0, 0);
}

/* What an access pins is no business of the address space */
static void stats_test_access(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct page *out[4];

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	fixture_pin_access(t, SZ_1M, 2, 4, out);
	expect_runs(t, 0, 0, 0, 0);
	fixture_add_domain(t, COMMON_SIZES);
	expect_runs(t, 0, 8, 0, 0);
	fixture_unpin_access(t);
	expect_runs(t, 0, 8, 0, 0);
}

/* More than is looked at in one step: no page is counted twice, or not at all */
static void stats_test_steps(struct kunit *test)
{
	const unsigned long npages = IOPT_RUNS_STEP + 32;
	struct fixture *t = test->priv;

	t->memory = fake_memory_alloc(test, npages, 16, PROT_READ | PROT_WRITE);
	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, 0, npages * PAGE_SIZE));
	expect_runs(t, 4, npages / 16, 0, 0);
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(stats_test_scattered),
	KUNIT_CASE(stats_test_runs),
	KUNIT_CASE(stats_test_neighbours),
	KUNIT_CASE(stats_test_top),
	KUNIT_CASE(stats_test_access),
	KUNIT_CASE(stats_test_steps),
	{}
};

static struct kunit_suite stats_suite = {
	.name = "iommufd_stats",
	.init = fixture_init,
	.exit = fixture_exit,
	.test_cases = stats_cases,
};

kunit_test_suite(stats_suite);
