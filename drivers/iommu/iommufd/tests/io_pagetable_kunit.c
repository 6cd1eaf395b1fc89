// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of io_pagetable on user memory and on domains that judge: which IOVA is
 * used, what a domain then holds, and when memory is released.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "fixture_kunit.h"

static void iopt_test_map(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	fixture_expect_memory(t, fake, SZ_1M, 0, 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 8);
	fixture_expect_pins(t, 0, 8, 1);
	fixture_expect_pins(t, 8, 8, 0);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_at(t, SZ_2M + 1, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_at(t, SZ_2M, 0, PAGE_SIZE + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_2M, 1, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, fake->nr_live, 8);
}

/* Without a domain nothing is pinned, and what is not memory is not noticed */
static void iopt_test_map_without_domain(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake;
	unsigned long iova;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_auto(t, 8 * PAGE_SIZE, PAGE_SIZE, &iova));
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);

	fake = fixture_add_domain(t, COMMON_SIZES);
	fixture_expect_pins(t, 0, 9, 1);
	fixture_expect_memory(t, fake, SZ_1M, 0, 8 * PAGE_SIZE);
	fixture_expect_memory(t, fake, iova, 8 * PAGE_SIZE, PAGE_SIZE);
	iopt_remove_domain(&t->iopt, &fake->item);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
}

static void iopt_test_map_in_use(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	const unsigned long len = 2 * PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, len));
	KUNIT_EXPECT_EQ(test, -EEXIST, fixture_map_at(t, SZ_1M, 0, len));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fixture_map_at(t, SZ_1M - PAGE_SIZE, 0, len));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fixture_map_at(t, SZ_1M + PAGE_SIZE, 0, len));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fixture_map_at(t, SZ_1M - PAGE_SIZE, 0, 2 * len));
	KUNIT_EXPECT_EQ(test, t->refusal.count, 4);
	KUNIT_EXPECT_EQ(test, t->refusal.error, -EEXIST);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 2);
	fixture_expect_pins(t, 0, 2, 1);

	/* Next to it is free, on both sides */
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M - len, len, len));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M + len, 2 * len, len));
}

/* The last page of the address space is like any other, nothing wraps */
static void iopt_test_top(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	const unsigned long top = ULONG_MAX - PAGE_SIZE + 1;
	unsigned long unmapped;

	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			fixture_map_at(t, top, 0, 2 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, top, 0, PAGE_SIZE));
	fixture_expect_memory(t, fake, top, 0, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EEXIST, fixture_map_at(t, top, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, 0, PAGE_SIZE, PAGE_SIZE));

	KUNIT_EXPECT_EQ(test, -EOVERFLOW, fixture_unmap(t, top, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			fixture_copy(t, SZ_1M, top, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_copy(t, SZ_1M, top, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_copy(t, SZ_1M + PAGE_SIZE, top, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			fixture_copy(t, top, SZ_1M, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, top, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap(&t->iopt, 0, ULONG_MAX, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, 3 * PAGE_SIZE);
}

/* A chosen IOVA is free, usable, and congruent to the memory */
static void iopt_test_auto(struct kunit *test)
{
	struct fixture *t = test->priv;
	unsigned long iova[16], i, j;

	fixture_add_domain(t, COMMON_SIZES);
	for (i = 0; i < ARRAY_SIZE(iova); i++) {
		unsigned long offset = i * 3 * PAGE_SIZE;

		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_auto(t, offset, 2 * PAGE_SIZE,
						 &iova[i]));
		KUNIT_EXPECT_GE(test, iova[i], PAGE_SIZE);
		KUNIT_EXPECT_EQ(test,
				(iova[i] ^ (t->memory->addr + offset)) &
					(2 * PAGE_SIZE - 1),
				0);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_TRUE(test,
					  iova[i] >= iova[j] + 2 * PAGE_SIZE ||
						  iova[j] >=
							  iova[i] +
								  2 * PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_auto(t, 0, PAGE_SIZE + 1, &iova[0]));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_map_auto(t, 1, PAGE_SIZE, &iova[0]));
}

/* A hole that is too small for the best alignment is still found */
static void iopt_test_auto_tight(struct kunit *test)
{
	struct fixture *t = test->priv;
	const unsigned long len = 4 * PAGE_SIZE;
	unsigned long iova;

	fixture_add_domain(t, COMMON_SIZES);
	/* Congruent to nothing but its own page */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_allow(t, SZ_1M + PAGE_SIZE,
				      SZ_1M + PAGE_SIZE + len - 1));
	fixture_memory(t);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_auto(t, 0, len, &iova));
	KUNIT_EXPECT_EQ(test, iova, SZ_1M + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			fixture_map_auto(t, 0, PAGE_SIZE, &iova));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M + PAGE_SIZE, len));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			fixture_map_auto(t, 0, len + PAGE_SIZE, &iova));
}

/* An area may begin and end in the middle of a page until a domain says no */
static void iopt_test_alignment(struct kunit *test)
{
	struct fake_domain *fake = fake_domain_alloc(test, COMMON_SIZES);
	struct fixture *t = test->priv;
	struct iopt_stats stats;
	unsigned long iova;

	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M + 5, 5, 1));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_auto(t, 100, PAGE_SIZE, &iova));
	KUNIT_EXPECT_EQ(test, offset_in_page(iova), 100);
	KUNIT_ASSERT_EQ(test, 0, iopt_get_stats(&t->iopt, &stats));
	KUNIT_EXPECT_EQ(test, stats.alignment, 1);
	KUNIT_EXPECT_EQ(test, stats.areas, 2);
	KUNIT_EXPECT_EQ(test, stats.mapped, PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, stats.pinned, 0);

	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &fake->item));
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, iova, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &fake->item));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M + 5, 1));
	/* IOVA and length are aligned, the memory is not */
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 5, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &fake->item));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, PAGE_SIZE));

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, iopt_add_domain(&t->iopt, &fake->item));
	KUNIT_ASSERT_EQ(test, 0, iopt_get_stats(&t->iopt, &stats));
	KUNIT_EXPECT_EQ(test, stats.alignment, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, stats.pinned, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_2M + 5, 5, 1));

	iopt_remove_domain(&t->iopt, &fake->item);
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_2M + 5, 5, 1));
}

/* A domain with pages smaller than ours can hold parts of a page */
static void iopt_test_small_leaves(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *big = fake_domain_alloc(test, COMMON_SIZES);
	struct fake_domain *fake = fixture_add_domain(t, SZ_2K | SZ_4K);

	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_1M, 0, SZ_1K));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, SZ_2K));
	/* Half a page, three whole ones, half a page; at another offset */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, PAGE_SIZE + SZ_2K,
				       4 * PAGE_SIZE));
	fixture_expect_memory(t, fake, SZ_1M, 0, SZ_2K);
	fixture_expect_memory(t, fake, SZ_2M, PAGE_SIZE + SZ_2K, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 9);
	fixture_expect_pins(t, 0, 6, 1);

	/* A copy of the middle: the end of one page and the start of another */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_copy(t, SZ_4M, SZ_2M + SZ_2K, PAGE_SIZE));
	fixture_expect_memory(t, fake, SZ_4M, 2 * PAGE_SIZE, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0,
			fixture_copy(t, SZ_8M, SZ_2M + PAGE_SIZE, SZ_4K));
	fixture_expect_memory(t, fake, SZ_8M, 2 * PAGE_SIZE + SZ_2K, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_add_domain(&t->iopt, &big->item));
	fixture_expect_memory(t, fake, SZ_2M, PAGE_SIZE + SZ_2K, 4 * PAGE_SIZE);
}

/* Pages larger than ours cannot be had */
static void iopt_test_large_leaves(struct kunit *test)
{
	struct fake_domain *fake = fake_domain_alloc(test, SZ_64K | SZ_2M);
	struct fixture *t = test->priv;

	KUNIT_EXPECT_EQ(test, -EINVAL, iopt_add_domain(&t->iopt, &fake->item));
	KUNIT_EXPECT_TRUE(test, list_empty(&t->iopt.domains));
}

/* One more domain is filled from what is known, with not one pin more */
static void iopt_test_second_domain(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *first = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *second;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 32 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, fixture_copy(t, SZ_2M, SZ_1M, 32 * PAGE_SIZE));
	second = fixture_add_domain(t, COMMON_SIZES);
	fixture_expect_pins(t, 0, 32, 1);
	fixture_expect_memory(t, second, SZ_1M, 0, 32 * PAGE_SIZE);
	fixture_expect_memory(t, second, SZ_2M, 0, 32 * PAGE_SIZE);

	/* A new area goes into both */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_4M, 32 * PAGE_SIZE, PAGE_SIZE));
	fixture_expect_memory(t, first, SZ_4M, 32 * PAGE_SIZE, PAGE_SIZE);
	fixture_expect_memory(t, second, SZ_4M, 32 * PAGE_SIZE, PAGE_SIZE);
	fixture_expect_pins(t, 0, 33, 1);
	/* An old one leaves both, and only then its pages */
	KUNIT_ASSERT_EQ(test, 0, fixture_unmap(t, SZ_4M, PAGE_SIZE));
	fixture_expect_nothing(t, first, SZ_4M, PAGE_SIZE);
	fixture_expect_nothing(t, second, SZ_4M, PAGE_SIZE);
	fixture_expect_pins(t, 32, 1, 0);

	/* The pages stay for the second when the first leaves */
	iopt_remove_domain(&t->iopt, &first->item);
	KUNIT_EXPECT_EQ(test, first->nr_live, 0);
	fixture_expect_pins(t, 0, 32, 1);
	fixture_expect_memory(t, second, SZ_1M, 0, 32 * PAGE_SIZE);
	iopt_remove_domain(&t->iopt, &second->item);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
}

static void iopt_test_copy(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	const unsigned long len = 8 * PAGE_SIZE;

	/* Three areas without a hole between the first two */
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, len));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M + len, 32 * PAGE_SIZE, len));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M + 2 * len + PAGE_SIZE,
				       48 * PAGE_SIZE, len));

	/* The end of one and the start of the next */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_copy(t, SZ_2M, SZ_1M + 4 * PAGE_SIZE, len));
	fixture_expect_memory(t, fake, SZ_2M, 4 * PAGE_SIZE, 4 * PAGE_SIZE);
	fixture_expect_memory(t, fake, SZ_2M + 4 * PAGE_SIZE, 32 * PAGE_SIZE,
			      4 * PAGE_SIZE);
	fixture_expect_pins(t, 0, 8, 1);
	fixture_expect_pins(t, 32, 8, 1);

	/* The original leaves: only what the copy has not stays unpinned */
	KUNIT_ASSERT_EQ(test, 0, fixture_unmap(t, SZ_1M, len));
	fixture_expect_pins(t, 0, 4, 0);
	fixture_expect_pins(t, 4, 4, 1);
	fixture_expect_memory(t, fake, SZ_2M, 4 * PAGE_SIZE, 4 * PAGE_SIZE);
	/* A copy of a copy */
	KUNIT_ASSERT_EQ(test, 0, fixture_copy(t, SZ_4M, SZ_2M, 2 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, fixture_unmap(t, SZ_2M, len));
	fixture_expect_pins(t, 4, 2, 1);
	fixture_expect_pins(t, 6, 2, 0);
	KUNIT_ASSERT_EQ(test, 0, fixture_unmap(t, SZ_4M, 2 * PAGE_SIZE));
	fixture_expect_pins(t, 0, 8, 0);

	/* Holes, and the other reasons to refuse it */
	KUNIT_EXPECT_EQ(test, -ENOENT,
			fixture_copy(t, SZ_2M, SZ_1M + 2 * len - PAGE_SIZE,
				     len));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			fixture_copy(t, SZ_2M, SZ_1M, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fixture_copy(t, SZ_1M + len, SZ_1M + len, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_copy(t, SZ_2M, SZ_1M + len, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_copy(t, SZ_2M + 1, SZ_1M + len, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fixture_copy(t, SZ_2M, SZ_1M + len + 1, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, fake->nr_live, 16);
}

/* Memory that was mapped read-only cannot become writable by a copy */
static void iopt_test_copy_read_only(struct kunit *test)
{
	struct iopt_map map = { .prot = IOMMU_READ,
			       .fixed = true,
			       .iova = SZ_1M};
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);

	KUNIT_ASSERT_EQ(test, 0, fixture_map_memory(t, 0, PAGE_SIZE, &map));
	KUNIT_EXPECT_EQ(test, fake->prot, IOMMU_READ);
	KUNIT_EXPECT_EQ(test, -EPERM, fixture_copy(t, SZ_2M, SZ_1M, PAGE_SIZE));
	map.iova = SZ_2M;
	KUNIT_EXPECT_EQ(test, 0, iopt_copy(&t->iopt, &t->iopt, SZ_1M, &map));
	KUNIT_EXPECT_EQ(test, fake->prot, IOMMU_READ);
}

/* From one address space to another, of which only one has a domain */
static void iopt_test_copy_between(struct kunit *test)
{
	struct iopt_map map = { .length = 4 * PAGE_SIZE, .prot = RW };
	struct fixture *t = test->priv;
	struct fake_domain *fake = fake_domain_alloc(test, COMMON_SIZES);
	struct io_pagetable other;
	unsigned long unmapped;

	iopt_init(&other, NULL, NULL);
	KUNIT_ASSERT_EQ(test, 0, iopt_add_domain(&other, &fake->item));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			iopt_copy(&other, &t->iopt, SZ_1M + 2 * PAGE_SIZE,
				  &map));
	fixture_expect_memory(t, fake, map.iova, 2 * PAGE_SIZE, 4 * PAGE_SIZE);
	fixture_expect_pins(t, 0, 2, 0);
	fixture_expect_pins(t, 2, 4, 1);
	fixture_expect_pins(t, 6, 2, 0);

	/* The memory outlives the mapping that it was copied from */
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, 8 * PAGE_SIZE));
	fixture_expect_memory(t, fake, map.iova, 2 * PAGE_SIZE, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&other, &unmapped));
	iopt_remove_domain(&other, &fake->item);
	iopt_destroy(&other);
}

static void iopt_test_unmap(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	const unsigned long len = 4 * PAGE_SIZE;
	unsigned long unmapped = 1;

	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, 0);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, len));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_2M, len, len));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_2M + len, 2 * len, len));

	/* To cut an area is refused, and so is to hit nothing */
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, SZ_1M, len - 1));
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, SZ_1M + 1, len - 1));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			fixture_unmap(t, SZ_1M + PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, 0, SZ_2M + 1));
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, SZ_1M + 1, SZ_4M));
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, SZ_4M, len));
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, 0, SZ_1M));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_unmap(t, SZ_1M, 0));
	KUNIT_EXPECT_EQ(test, fake->nr_live, 12);
	KUNIT_EXPECT_EQ(test, fake->driver_unmaps, 0);
	fixture_expect_pins(t, 0, 12, 1);

	/* A range with holes takes all areas inside */
	KUNIT_EXPECT_EQ(test, 0,
			iopt_unmap(&t->iopt, 0, SZ_2M + len, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, 2 * len);
	fixture_expect_pins(t, 0, 8, 0);
	fixture_expect_pins(t, 8, 4, 1);
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, len);
}

/* Many areas leave with one flush, after which nothing of them is pinned */
static void iopt_test_unmap_flushes_once(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *first = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *second = fixture_add_domain(t, COMMON_SIZES);
	unsigned long i;

	for (i = 0; i < MEMORY_PAGES; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_at(t, SZ_1M + 2 * i * PAGE_SIZE,
					       i * PAGE_SIZE, PAGE_SIZE));
	first->flushes = 0;
	second->flushes = 0;
	KUNIT_EXPECT_EQ(test, 0,
			fixture_unmap(t, SZ_1M, 2 * MEMORY_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, first->flushes, 1);
	KUNIT_EXPECT_EQ(test, second->flushes, 1);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
}

/* More areas than one batch of an unmap takes */
static void iopt_test_unmap_many(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	const unsigned long nr = 1300;
	unsigned long unmapped, i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_at(t, SZ_1M + i * PAGE_SIZE,
					       i % MEMORY_PAGES * PAGE_SIZE,
					       PAGE_SIZE));
	fake->flushes = 0;
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, nr * PAGE_SIZE);
	KUNIT_EXPECT_LE(test, fake->flushes, 3);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
}

/* More than one batch, of which the last area is in the way */
static void iopt_test_unmap_many_cut(struct kunit *test)
{
	struct fixture *t = test->priv;
	const unsigned long nr = 1100;
	unsigned long i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_at(t, SZ_1M + i * 2 * PAGE_SIZE, 0,
					       2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			fixture_unmap(t, 0, SZ_1M + (nr * 2 - 1) * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, nr);
	KUNIT_EXPECT_EQ(test, 0,
			fixture_unmap(t, 0, SZ_1M + (nr - 1) * 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 1);
}

static void set_killed(bool killed)
{
	/* A process keeps its own as long as it lives */
	spinlock_t *lock = &rcu_dereference_raw(current->sighand)->siglock;

	spin_lock_irq(lock);
	if (killed)
		sigaddset(&current->pending.signal, SIGKILL);
	else
		sigdelset(&current->pending.signal, SIGKILL);
	recalc_sigpending();
	spin_unlock_irq(lock);
}

/* One who is killed gets no further than to the end of a batch */
static void iopt_test_unmap_killed(struct kunit *test)
{
	struct fixture *t = test->priv;
	const unsigned long nr = 1300;
	unsigned long unmapped, i;
	sigset_t blocked = current->blocked;
	int rc;

	fixture_add_domain(t, COMMON_SIZES);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_at(t, SZ_1M + i * PAGE_SIZE, 0,
					       PAGE_SIZE));
	sigdelset(&current->blocked, SIGKILL);
	set_killed(true);
	KUNIT_EXPECT_TRUE(test, fatal_signal_pending(current));
	rc = iopt_unmap_all(&t->iopt, &unmapped);
	set_killed(false);
	current->blocked = blocked;

	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	KUNIT_EXPECT_GT(test, unmapped, 0);
	KUNIT_EXPECT_LT(test, unmapped, nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, nr - t->iopt.areas.nr, unmapped / PAGE_SIZE);
	fixture_expect_pins(t, 0, 1, t->iopt.areas.nr);
	/* They go from the front, and the rest goes by the same call */
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, SZ_1M, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, &i));
	KUNIT_EXPECT_EQ(test, unmapped + i, nr * PAGE_SIZE);
}

/* One copy is killed at each step, and leaves nothing */
static void iopt_test_copy_killed(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	sigset_t blocked = current->blocked;
	int rc;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M + PAGE_SIZE, 0, PAGE_SIZE));
	sigdelset(&current->blocked, SIGKILL);
	set_killed(true);
	rc = fixture_copy(t, SZ_2M, SZ_1M, 2 * PAGE_SIZE);
	set_killed(false);
	current->blocked = blocked;
	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 2);
	KUNIT_EXPECT_EQ(test, fake->nr_live, 2);
	KUNIT_EXPECT_EQ(test, 0, fixture_copy(t, SZ_2M, SZ_1M, 2 * PAGE_SIZE));
}

/* A driver that fails at any point leaves nothing behind */
static void iopt_test_driver_fails_map(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *first = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *second = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *faulty;
	unsigned int i;

	for (i = 0; i < 2 * 16; i++) {
		faulty = i < 16 ? first : second;
		faulty->fail_in = 1;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				fixture_map_at(t, SZ_1M, i * PAGE_SIZE,
					       PAGE_SIZE));
		fixture_expect_pins(t, i, 1, 0);
		faulty->fail_in = i % 16 + 1;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, faulty->fail_in, 0);
		KUNIT_EXPECT_EQ(test, first->nr_live, 0);
		KUNIT_EXPECT_EQ(test, second->nr_live, 0);
		KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 0);
		fixture_expect_pins(t, 0, 16, 0);
	}
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));

	/* A copy of several areas, of which a later one fails */
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_1M + 16 * PAGE_SIZE,
				       16 * PAGE_SIZE, 16 * PAGE_SIZE));
	for (i = 1; i <= 32; i++) {
		second->fail_in = i;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				fixture_copy(t, SZ_2M, SZ_1M, 32 * PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, first->nr_live, 32);
		KUNIT_EXPECT_EQ(test, second->nr_live, 32);
		KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 2);
	}
	fixture_expect_pins(t, 0, 32, 1);
}

/* What devices cannot be told of is not mapped */
static void iopt_test_driver_fails_sync(struct kunit *test)
{
	static const unsigned long npages[] = { 1, 2, 40 };
	struct fixture *t = test->priv;
	struct fake_domain *first = fixture_add_domain(t, SZ_4K);
	struct fake_domain *second = fixture_add_domain(t, SZ_4K | SZ_2M);
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(npages); i++) {
		unsigned long length = npages[i / 2] * PAGE_SIZE;
		struct fake_domain *faulty = i % 2 ? second : first;

		faulty->fail_sync = true;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				fixture_map_at(t, SZ_1M, 0, length));
		faulty->fail_sync = false;
		KUNIT_EXPECT_EQ(test, first->nr_live, 0);
		KUNIT_EXPECT_EQ(test, second->nr_live, 0);
		KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 0);
		fixture_expect_pins(t, 0, npages[i / 2], 0);

		KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, length));
		KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, length));
	}
}

/* The same when areas are filled into a domain that comes later */
static void iopt_test_driver_fails_add(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fake_domain_alloc(test, COMMON_SIZES);
	struct fake_domain *other = fake_domain_alloc(test, COMMON_SIZES);
	unsigned int i;

	for (i = 0; i < 8; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_at(t, SZ_1M + i * SZ_64K,
					       i * 2 * PAGE_SIZE,
					       2 * PAGE_SIZE));
	for (i = 1; i <= 16; i++) {
		fake->fail_in = i;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				iopt_add_domain(&t->iopt, &fake->item));
		KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
		KUNIT_EXPECT_EQ(test, fake->nr_stale, 0);
		fixture_expect_pins(t, 0, 16, 0);
	}
	KUNIT_EXPECT_EQ(test, 0, iopt_add_domain(&t->iopt, &fake->item));
	fixture_expect_pins(t, 0, 16, 1);
	for (i = 1; i <= 16; i++) {
		other->fail_in = i;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				iopt_add_domain(&t->iopt, &other->item));
		KUNIT_EXPECT_EQ(test, other->nr_live, 0);
		fixture_expect_pins(t, 0, 16, 1);
	}
}

/* Memory that is not there is refused whole, wherever the gap is */
static void iopt_test_no_memory(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *late = fake_domain_alloc(test, COMMON_SIZES);
	struct fake_memory *memory = fixture_memory(t);

	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(memory->addr + 40 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			fixture_map_at(t, SZ_1M, 0, MEMORY_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			fixture_map_at(t, SZ_1M, 40 * PAGE_SIZE,
				       2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			fixture_map_at(t, SZ_1M, 39 * PAGE_SIZE,
				       2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 40 * PAGE_SIZE));

	/* Not noticed until there is a domain */
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, 40 * PAGE_SIZE));
	iopt_remove_domain(&t->iopt, &fake->item);
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, 0, MEMORY_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, iopt_add_domain(&t->iopt, &late->item));
	KUNIT_EXPECT_EQ(test, late->nr_live, 0);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
}

/* Pages that are mapped stay, whatever becomes of the user's own mapping */
static void iopt_test_memory_goes(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);
	struct fake_domain *late;
	struct fake_memory *memory = fixture_memory(t);

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 8 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(memory->addr, MEMORY_PAGES * PAGE_SIZE));
	fixture_expect_memory(t, fake, SZ_1M, 0, 8 * PAGE_SIZE);
	late = fixture_add_domain(t, COMMON_SIZES);
	fixture_expect_memory(t, late, SZ_1M, 0, 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, fixture_copy(t, SZ_2M, SZ_1M, 8 * PAGE_SIZE));
	fixture_expect_pins(t, 0, 8, 1);
}

static void iopt_test_read_only_memory(struct kunit *test)
{
	struct iopt_map map = { .prot = IOMMU_READ,
			       .fixed = true,
			       .iova = SZ_1M};
	struct fixture *t = test->priv;

	fixture_add_domain(t, COMMON_SIZES);
	t->memory = fake_memory_alloc(test, 4, 1, PROT_READ);
	KUNIT_EXPECT_EQ(test, -EFAULT, fixture_map_at(t, SZ_1M, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_memory(t, 0, 4 * PAGE_SIZE, &map));
}

/* Large pages of memory become large pages of the domain, unless forbidden */
static void iopt_test_small_pages(struct kunit *test)
{
	const unsigned long npages = 2 * SZ_2M / PAGE_SIZE;
	struct fixture *t = test->priv;
	struct fake_domain *fake = fixture_add_domain(t, COMMON_SIZES);

	t->memory =
		fake_memory_alloc(test, npages, npages, PROT_READ | PROT_WRITE);
	KUNIT_ASSERT_TRUE(test,
			  IS_ALIGNED(page_to_phys(t->memory->pages[0]), SZ_2M));
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_4M, 0, 2 * SZ_2M));
	KUNIT_EXPECT_EQ(test, fake->largest, SZ_2M);
	KUNIT_EXPECT_EQ(test, fake->core_maps, 1);
	/* Too late now, but it can be asked for what is already so */
	KUNIT_EXPECT_EQ(test, -EINVAL, iopt_set_small_pages(&t->iopt, true));
	KUNIT_EXPECT_EQ(test, 0, iopt_set_small_pages(&t->iopt, false));
	KUNIT_ASSERT_EQ(test, 0, fixture_unmap(t, SZ_4M, 2 * SZ_2M));

	KUNIT_EXPECT_EQ(test, 0, iopt_set_small_pages(&t->iopt, true));
	fake->largest = 0;
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_4M, 0, 2 * SZ_2M));
	fixture_expect_memory(t, fake, SZ_4M, 0, 2 * SZ_2M);
	KUNIT_EXPECT_EQ(test, fake->largest, PAGE_SIZE);
}

/* Whole pages are asked for by option or by an access, also with no domain */
static void iopt_test_whole_pages(struct kunit *test)
{
	struct fixture *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 5));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iopt_set_small_pages(&t->iopt, true));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, iopt_add_pin_access(&t->iopt));
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_2M, 0, 5));
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, SZ_2M));

	KUNIT_EXPECT_EQ(test, 0, iopt_set_small_pages(&t->iopt, true));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_1M, 0, 5));
	KUNIT_EXPECT_EQ(test, 0, iopt_add_pin_access(&t->iopt));
	KUNIT_EXPECT_EQ(test, 0, iopt_set_small_pages(&t->iopt, false));
	KUNIT_EXPECT_EQ(test, -EINVAL, fixture_map_at(t, SZ_1M, 0, 5));
	iopt_remove_pin_access(&t->iopt);
	KUNIT_EXPECT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 5));
}

/* An access needs no domain, and shares the pin with those there are */
static void iopt_test_access(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct fake_domain *fake;
	struct page *out[4];
	unsigned long i;

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));
	fixture_pin_access(t, SZ_1M, 4, 4, out);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_PTR_EQ(test, out[i], t->memory->pages[4 + i]);
	fixture_expect_pins(t, 0, 4, 0);
	fixture_expect_pins(t, 4, 4, 1);
	fixture_expect_pins(t, 8, 8, 0);

	fake = fixture_add_domain(t, COMMON_SIZES);
	fixture_expect_pins(t, 0, 16, 1);
	fixture_expect_memory(t, fake, SZ_1M, 0, 16 * PAGE_SIZE);
	iopt_remove_domain(&t->iopt, &fake->item);
	fixture_expect_pins(t, 0, 4, 0);
	fixture_expect_pins(t, 4, 4, 1);
	fixture_expect_pins(t, 8, 8, 0);
	fixture_unpin_access(t);
	fixture_expect_pins(t, 0, 16, 0);
}

/* An unmap asks the access to let go, and waits for it */
static void iopt_test_access_unmap(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct page *out[4];

	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, 16 * PAGE_SIZE,
				       16 * PAGE_SIZE));
	fixture_pin_access(t, SZ_1M, 4, 4, out);
	/* Not its business */
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_2M, 16 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, fixture_unmap(t, SZ_1M, 8 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->asked, 0);
	KUNIT_EXPECT_EQ(test, 0, fixture_unmap(t, SZ_1M, 16 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->asked, 1);
	fixture_expect_pins(t, 0, MEMORY_PAGES, 0);
}

static void grow_neighbour(struct fixture *t)
{
	t->when_asked = NULL;
	KUNIT_EXPECT_EQ(t->test, 0, fixture_unmap(t, SZ_2M, 16 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(t->test, 0,
			fixture_map_at(t, SZ_2M, 16 * PAGE_SIZE,
				       32 * PAGE_SIZE));
}

/*
 * While an unmap waits for an access, the range changes so that it would cut a
 * mapping. It fails, and the access can come back.
 */
static void iopt_test_access_unmap_fails(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct page *out[4];

	fixture_add_domain(t, COMMON_SIZES);
	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 16 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, 16 * PAGE_SIZE,
				       16 * PAGE_SIZE));
	fixture_pin_access(t, SZ_1M, 4, 4, out);
	t->when_asked = grow_neighbour;
	KUNIT_EXPECT_EQ(test, -ENOENT,
			fixture_unmap(t, SZ_1M, SZ_1M + 16 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, t->asked, 1);
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 2);

	fixture_pin_access(t, SZ_1M, 4, 4, out);
	KUNIT_EXPECT_FALSE(test, t->pinned->prevent_access);
	fixture_unpin_access(t);
	fixture_pin_access(t, SZ_2M, 0, 4, out);
	KUNIT_EXPECT_FALSE(test, t->pinned->prevent_access);
	fixture_unpin_access(t);
}

static struct iopt_slice first_page(struct iopt_area *area)
{
	return (struct iopt_slice){
		.pages = area->pages,
		.index = area->user.start,
		.length = PAGE_SIZE,
	};
}

/* The access of an area that is asked for lets go of it, and of no other */
static void one_of_many_unmap(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long length)
{
	struct fixture *t = container_of(iopt, struct fixture, iopt);
	struct iopt_slice slice;
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->iova_rwsem);
	t->asked++;
	area = iopt_area_at(iopt, iova);
	KUNIT_EXPECT_NOT_NULL(t->test, area);
	if (!area || atomic_read(&area->num_accesses) != 1) {
		KUNIT_FAIL(t->test, "nothing is pinned at 0x%lx", iova);
		return;
	}
	KUNIT_EXPECT_EQ(t->test, iova, area->node.start);
	KUNIT_EXPECT_EQ(t->test, length, iopt_area_length(area));
	KUNIT_EXPECT_TRUE(t->test, area->prevent_access);
	slice = first_page(area);
	iopt_slice_unpin(&slice);
	atomic_dec(&area->num_accesses);
}

static const struct iopt_access_ops one_of_many_ops = {
	.unmap = one_of_many_unmap,
};

static void pin_first_page(struct fixture *t, unsigned long iova)
{
	struct iopt_slice slice;
	struct iopt_area *area;
	struct page *out;

	guard(rwsem_read)(&t->iopt.iova_rwsem);
	area = iopt_area_at(&t->iopt, iova);
	KUNIT_EXPECT_NOT_NULL(t->test, area);
	if (!area)
		return;
	slice = first_page(area);
	KUNIT_EXPECT_EQ(t->test, 0, iopt_slice_pin(&slice, &out, NULL));
	atomic_inc(&area->num_accesses);
}

/* Many areas that accesses have pinned: each is asked for once */
static void iopt_test_access_unmap_many(struct kunit *test)
{
	struct fixture *t = test->priv;
	const unsigned long nr = 1300;
	unsigned long unmapped, i;

	t->iopt.access_ops = &one_of_many_ops;
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				fixture_map_at(t, SZ_1M + i * PAGE_SIZE, 0,
					       PAGE_SIZE));
		pin_first_page(t, SZ_1M + i * PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, 0, iopt_unmap_all(&t->iopt, &unmapped));
	KUNIT_EXPECT_EQ(test, unmapped, nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t->asked, nr);
	fixture_expect_pins(t, 0, 1, 0);
}

static void deaf_unmap(struct io_pagetable *iopt, unsigned long iova,
		       unsigned long length)
{
	container_of(iopt, struct fixture, iopt)->asked++;
}

static const struct iopt_access_ops deaf_ops = {
	.unmap = deaf_unmap,
};

/* An access that does not let go fails the unmap, and is not kept out */
static void iopt_test_access_deaf(struct kunit *test)
{
	const struct iopt_access_ops *ops;
	struct fixture *t = test->priv;
	struct page *out[4];

	KUNIT_ASSERT_EQ(test, 0, fixture_map_at(t, SZ_1M, 0, 4 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0,
			fixture_map_at(t, SZ_2M, 4 * PAGE_SIZE, 4 * PAGE_SIZE));
	fixture_pin_access(t, SZ_2M, 0, 4, out);
	ops = t->iopt.access_ops;
	t->iopt.access_ops = &deaf_ops;
	KUNIT_EXPECT_EQ(test, -EDEADLOCK, fixture_unmap(t, 0, SZ_4M));
	KUNIT_EXPECT_GT(test, t->asked, 0);
	KUNIT_EXPECT_EQ(test, t->iopt.areas.nr, 2);
	KUNIT_EXPECT_FALSE(test, t->pinned->prevent_access);
	t->iopt.access_ops = ops;
}

static struct kunit_case io_pagetable_cases[] = {
	KUNIT_CASE(iopt_test_map),
	KUNIT_CASE(iopt_test_map_without_domain),
	KUNIT_CASE(iopt_test_map_in_use),
	KUNIT_CASE(iopt_test_top),
	KUNIT_CASE(iopt_test_auto),
	KUNIT_CASE(iopt_test_auto_tight),
	KUNIT_CASE(iopt_test_alignment),
	KUNIT_CASE(iopt_test_small_leaves),
	KUNIT_CASE(iopt_test_large_leaves),
	KUNIT_CASE(iopt_test_second_domain),
	KUNIT_CASE(iopt_test_copy),
	KUNIT_CASE(iopt_test_copy_read_only),
	KUNIT_CASE(iopt_test_copy_between),
	KUNIT_CASE(iopt_test_unmap),
	KUNIT_CASE(iopt_test_unmap_flushes_once),
	KUNIT_CASE(iopt_test_unmap_many),
	KUNIT_CASE(iopt_test_unmap_many_cut),
	KUNIT_CASE(iopt_test_unmap_killed),
	KUNIT_CASE(iopt_test_copy_killed),
	KUNIT_CASE(iopt_test_driver_fails_map),
	KUNIT_CASE(iopt_test_driver_fails_sync),
	KUNIT_CASE(iopt_test_driver_fails_add),
	KUNIT_CASE(iopt_test_no_memory),
	KUNIT_CASE(iopt_test_memory_goes),
	KUNIT_CASE(iopt_test_read_only_memory),
	KUNIT_CASE(iopt_test_small_pages),
	KUNIT_CASE(iopt_test_whole_pages),
	KUNIT_CASE(iopt_test_access),
	KUNIT_CASE(iopt_test_access_unmap),
	KUNIT_CASE(iopt_test_access_unmap_fails),
	KUNIT_CASE(iopt_test_access_unmap_many),
	KUNIT_CASE(iopt_test_access_deaf),
	{}
};

static struct kunit_suite io_pagetable_suite = {
	.name = "iommufd_io_pagetable",
	.init = fixture_init,
	.exit = fixture_exit,
	.test_cases = io_pagetable_cases,
};

kunit_test_suite(io_pagetable_suite);
