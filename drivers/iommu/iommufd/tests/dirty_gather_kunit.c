// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the search for dirty pages by envelopes, with a driver that walks its page
 * table as those of hardware do.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "../dirty_gather.h"
#include "fake_kunit.h"

#define BASE SZ_1G
#define NPAGES 32768UL
/* A leaf may reach beyond what is tested */
#define NBITS (2 * NPAGES)

enum walker_fault {
	NOT_BROKEN,
	FAILS,
	RECORDS_BEFORE,
	RECORDS_ODD_SIZE,
	RECORDS_BEYOND,
};

/**
 * struct walker - a page table, and a device that writes
 * @test: the test
 * @domain: the domain, of pages of 4 KiB
 * @random: random numbers
 * @order: log2 of the pages of the leaf that a page is in, for each page
 * @dirty: the first page of a leaf has its dirty bit
 * @written: pages of leaves that were ever written to
 * @seen: pages that were reported so far, for a test that searches more than once
 * @memory: where the bitmap is
 * @bitmap: the bitmap, of the whole table
 * @start: first page that is searched
 * @last: last page of that
 * @flags: how it is searched
 * @gather: what is to be flushed after that
 * @calls: calls of the driver
 * @visits: leaves that it looked at
 * @write_every: visits, on average, between two writes of the device; 0 for none
 * @write_at: the call in which the device writes to page @write_to; 0 for none
 * @write_to: that page
 * @broken: what the driver does wrong
 */
struct walker {
	struct kunit *test;
	struct iommu_domain domain;
	struct rnd_state random;
	u8 order[NPAGES];
	DECLARE_BITMAP(dirty, NPAGES);
	DECLARE_BITMAP(written, NPAGES);
	DECLARE_BITMAP(seen, NPAGES);
	struct fake_memory *memory;
	struct iova_bitmap *bitmap;
	unsigned long start;
	unsigned long last;
	unsigned long flags;
	struct iommu_iotlb_gather gather;
	unsigned long calls;
	unsigned long visits;
	unsigned int write_every;
	unsigned long write_at;
	unsigned long write_to;
	enum walker_fault broken;
};

static struct walker *to_walker(struct iommu_domain *domain)
{
	return container_of(domain, struct walker, domain);
}

static unsigned long page_iova(unsigned long page)
{
	return BASE + page * SZ_4K;
}

static unsigned long leaf_pages(const struct walker *w, unsigned long page)
{
	return 1UL << w->order[page];
}

static unsigned long leaf_head(const struct walker *w, unsigned long page)
{
	return ALIGN_DOWN(page, leaf_pages(w, page));
}

/* The device writes to a page */
static void walker_write(struct walker *w, unsigned long page)
{
	page = leaf_head(w, page);
	set_bit(page, w->dirty);
	bitmap_set(w->written, page, leaf_pages(w, page));
}

static bool walker_is_reported(const struct walker *w, unsigned long page)
{
	unsigned long byte = page / BITS_PER_BYTE;
	u8 *map = page_address(w->memory->pages[byte / PAGE_SIZE]);

	return map[byte % PAGE_SIZE] & 1 << page % BITS_PER_BYTE;
}

static void walker_clear(struct walker *w, unsigned long head)
{
	unsigned long page;

	clear_bit(head, w->dirty);
	if (head < w->start || head + leaf_pages(w, head) - 1 > w->last)
		KUNIT_FAIL(w->test, "page %lu is cleared, and nobody asked",
			   head);
	for (page = head; page < head + leaf_pages(w, head); page++) {
		if (walker_is_reported(w, page))
			continue;
		KUNIT_FAIL(w->test, "page %lu is lost", page);
		return;
	}
}

static void walker_device(struct walker *w)
{
	if (w->write_every && !fake_random_below(&w->random, w->write_every))
		walker_write(w, fake_random_below(&w->random, NPAGES));
	if (w->write_at && w->calls == w->write_at)
		walker_write(w, w->write_to);
}

static void walker_record(struct walker *w, struct iommu_dirty_bitmap *dirty,
			  unsigned long page, unsigned long npages)
{
	unsigned long iova = page_iova(page);
	unsigned long length = npages * SZ_4K;

	switch (w->broken) {
	case RECORDS_BEFORE:
		iova -= SZ_4K;
		break;
	case RECORDS_ODD_SIZE:
		length = 3 * SZ_4K;
		break;
	case RECORDS_BEYOND:
		length = SZ_1G;
		break;
	default:
		break;
	}
	iommu_dirty_bitmap_record(dirty, iova, length);
}

static int walker_read_and_clear(struct iommu_domain *domain,
				 unsigned long iova, size_t size,
				 unsigned long flags,
				 struct iommu_dirty_bitmap *dirty)
{
	struct walker *w = to_walker(domain);
	unsigned long page = (iova - BASE) / SZ_4K;
	unsigned long last = (iova + size - 1 - BASE) / SZ_4K;

	w->calls++;
	/* A bitmap would get nothing, and shall not be needed */
	KUNIT_EXPECT_NULL(w->test, dirty->bitmap);
	KUNIT_EXPECT_TRUE(w->test, IS_ALIGNED(iova | size, SZ_4K));
	if (w->broken == FAILS && w->calls > 3)
		return -ENODEV;
	while (page <= last) {
		unsigned long n, head;

		KUNIT_ASSERT_LT(w->test, page, NPAGES);
		w->visits++;
		n = leaf_pages(w, page);
		head = leaf_head(w, page);
		/* From here it would go on to a wrong place */
		if (head != page && page + n <= last)
			KUNIT_FAIL(w->test, "page %lu is inside of a leaf",
				   page);
		walker_device(w);
		if (test_bit(head, w->dirty)) {
			walker_record(w, dirty, page, n);
			if (!(flags & IOMMU_DIRTY_NO_CLEAR))
				walker_clear(w, head);
		}
		page += n;
	}
	return 0;
}

static const struct iommu_dirty_ops walker_dirty_ops = {
	.read_and_clear_dirty = walker_read_and_clear,
};

static void free_bitmap(void *bitmap)
{
	iova_bitmap_free(bitmap);
}

/* A table of small pages */
static struct walker *walker_alloc(struct kunit *test)
{
	struct walker *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->test = test;
	w->domain.pgsize_bitmap = SZ_4K | SZ_2M;
	w->domain.dirty_ops = &walker_dirty_ops;
	w->last = NPAGES - 1;
	w->memory = fake_memory_alloc(test, NBITS / BITS_PER_BYTE / PAGE_SIZE,
				      1, PROT_READ | PROT_WRITE);
	w->bitmap = iova_bitmap_alloc(BASE, NBITS * SZ_4K, SZ_4K,
				      (u64 __user *)w->memory->addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(w->bitmap));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_bitmap,
						  w->bitmap));
	return w;
}

static void walker_set_leaves(struct walker *w, unsigned long first,
			      unsigned long last, unsigned int order)
{
	memset(w->order + first, order, last - first + 1);
}

static void walker_random_leaves(struct walker *w)
{
	static const u8 orders[] = { 0, 0, 0, 1, 4, 5, 7, 9, 12 };
	unsigned long page = 0;

	while (page < NPAGES) {
		unsigned int order = orders[fake_random_below(&w->random,
							      ARRAY_SIZE(orders))];

		if (page & ((1UL << order) - 1))
			order = __ffs(page);
		walker_set_leaves(w, page, page + (1UL << order) - 1, order);
		page += 1UL << order;
	}
}

static int search_all(struct iova_bitmap *bitmap, unsigned long iova,
		      size_t length, void *opaque)
{
	struct walker *w = opaque;
	struct iommu_dirty_bitmap dirty;

	iommu_dirty_bitmap_init(&dirty, bitmap, &w->gather);
	return iommufd_dirty_gather_read(&w->domain, page_iova(w->start),
					 page_iova(w->last + 1) - 1, w->flags,
					 &dirty);
}

/* Search into an empty bitmap */
static int walker_search(struct walker *w, unsigned long flags)
{
	unsigned long i;

	for (i = 0; i < w->memory->npages; i++)
		memset(page_address(w->memory->pages[i]), 0, PAGE_SIZE);
	w->flags = flags;
	w->calls = 0;
	w->visits = 0;
	return iova_bitmap_for_each(w->bitmap, w, search_all);
}

/* What is reported are exactly these pages of what was searched, and nothing else */
static void walker_expect(struct walker *w, const unsigned long *pages)
{
	unsigned long page;

	for (page = 0; page < NBITS; page++) {
		bool expected = page >= w->start && page <= w->last &&
				test_bit(page, pages);

		if (walker_is_reported(w, page) == expected)
			continue;
		KUNIT_FAIL(w->test, "page %lu is reported as %s", page,
			   expected ? "clean" : "dirty");
		return;
	}
}

/* All that was written and searched has been cleared, and nothing else */
static void walker_expect_cleared(struct walker *w)
{
	unsigned long page;

	for (page = 0; page < NPAGES; page++) {
		bool inside = page >= w->start && page <= w->last;

		if (leaf_head(w, page) != page || !test_bit(page, w->written))
			continue;
		if (test_bit(page, w->dirty) != inside)
			continue;
		KUNIT_FAIL(w->test, "page %lu is %s", page,
			   inside ? "still dirty" : "cleared");
		return;
	}
}

static void walker_forget(struct walker *w)
{
	bitmap_zero(w->dirty, NPAGES);
	bitmap_zero(w->written, NPAGES);
}

/* Search a part of the table that begins and ends with a leaf */
static void walker_random_part(struct walker *w)
{
	unsigned long a = fake_random_below(&w->random, NPAGES);
	unsigned long b = fake_random_below(&w->random, NPAGES);

	w->start = leaf_head(w, min(a, b));
	b = max(a, b);
	w->last = leaf_head(w, b) + leaf_pages(w, b) - 1;
}

/* Nothing and everything, at any place, with any leaves, is found exactly */
static void dirty_gather_test_random(struct kunit *test)
{
	struct walker *w = walker_alloc(test);
	unsigned int i;

	fake_random_init(test, &w->random);
	for (i = 0; i < 150; i++) {
		unsigned long n = fake_random_below(&w->random,
						    1U << (i % 15));

		walker_random_leaves(w);
		walker_forget(w);
		walker_random_part(w);
		while (n--)
			walker_write(w, fake_random_below(&w->random, NPAGES));
		KUNIT_EXPECT_EQ(test, 0,
				walker_search(w, IOMMU_DIRTY_NO_CLEAR));
		walker_expect(w, w->written);
		KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
		walker_expect(w, w->written);
		walker_expect_cleared(w);
	}
}

/* Runs of dirty pages of each length, beside clean ones */
static void dirty_gather_test_runs(struct kunit *test)
{
	struct walker *w = walker_alloc(test);
	unsigned long page, run;

	for (run = 1; run <= 65; run += run > 4 && run < 30 ? 13 : 1) {
		walker_forget(w);
		for (page = 0; page < NPAGES; page++)
			if (page / run % 2)
				walker_write(w, page);
		KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
		walker_expect(w, w->written);
		walker_expect_cleared(w);
	}
}

/*
 * The device writes while the table is read. walker_clear() checks that nothing is
 * cleared that is not reported; and what is not reported is found the next time.
 */
static void dirty_gather_test_writes(struct kunit *test)
{
	struct walker *w = walker_alloc(test);
	unsigned long page;
	unsigned int i, round;

	fake_random_init(test, &w->random);
	for (i = 0; i < 60; i++) {
		walker_random_leaves(w);
		walker_forget(w);
		bitmap_zero(w->seen, NPAGES);
		for (round = 0; round < 4; round++) {
			/* The last time there is nothing new */
			w->write_every = round < 3 ? 1U << (i % 12) : 0;
			KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
			for (page = 0; page < NPAGES; page++)
				if (walker_is_reported(w, page))
					__set_bit(page, w->seen);
		}
		KUNIT_EXPECT_TRUE(test, bitmap_equal(w->seen, w->written,
						     NPAGES));
		KUNIT_EXPECT_TRUE(test, bitmap_empty(w->dirty, NPAGES));
	}
}

/* A large leaf becomes dirty after some of the looks at parts of it */
static void dirty_gather_test_large_leaf(struct kunit *test)
{
	struct walker *w = walker_alloc(test);
	unsigned int order;

	for (order = 1; order <= 12; order++) {
		const unsigned long n = 1UL << order;
		unsigned long at, calls = 1;

		/* Dirty pages on both sides, so that all between is looked at */
		walker_set_leaves(w, 0, NPAGES - 1, 0);
		walker_set_leaves(w, 4096, 4096 + n - 1, order);
		w->start = 4000;
		w->last = 4096 + n + 100;
		for (at = 1; at <= calls; at++) {
			walker_forget(w);
			walker_write(w, 4095);
			walker_write(w, 4096 + n);
			w->write_at = at;
			w->write_to = 4096 + n / 2;
			KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
			if (test_bit(4096, w->dirty))
				bitmap_clear(w->written, 4096, n);
			walker_expect(w, w->written);
			calls = w->calls;
			w->write_at = 0;
			KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
			KUNIT_EXPECT_TRUE(test,
					  bitmap_empty(w->dirty, NPAGES));
		}
		KUNIT_EXPECT_GT(test, calls, 4);
	}
}

/* What is to be flushed is what was cleared, at least */
static void dirty_gather_test_flush(struct kunit *test)
{
	struct walker *w = walker_alloc(test);

	walker_write(w, 100);
	walker_write(w, 20000);
	KUNIT_EXPECT_EQ(test, 0, walker_search(w, IOMMU_DIRTY_NO_CLEAR));
	KUNIT_EXPECT_GT(test, w->gather.start, w->gather.end);
	KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
	KUNIT_EXPECT_EQ(test, w->gather.start, page_iova(100));
	KUNIT_EXPECT_EQ(test, w->gather.end, page_iova(20001) - 1);
	KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
	KUNIT_EXPECT_GT(test, w->gather.start, w->gather.end);

	/* Also if not all could be read */
	bitmap_fill(w->dirty, NPAGES);
	w->broken = FAILS;
	KUNIT_EXPECT_EQ(test, -ENODEV, walker_search(w, 0));
	walker_forget(w);
}

/* A driver that is not as it has to be is not believed */
static void dirty_gather_test_broken(struct kunit *test)
{
	struct walker *w = walker_alloc(test);

	w->start = 64;
	w->last = 127;
	walker_write(w, 64);
	w->broken = RECORDS_BEFORE;
	KUNIT_EXPECT_EQ(test, -EIO, walker_search(w, IOMMU_DIRTY_NO_CLEAR));
	w->broken = RECORDS_BEYOND;
	KUNIT_EXPECT_EQ(test, -EIO, walker_search(w, IOMMU_DIRTY_NO_CLEAR));
	walker_forget(w);
	walker_write(w, 127);
	w->broken = RECORDS_ODD_SIZE;
	KUNIT_EXPECT_EQ(test, -EIO, walker_search(w, IOMMU_DIRTY_NO_CLEAR));
	w->broken = NOT_BROKEN;
	KUNIT_EXPECT_EQ(test, 0, walker_search(w, IOMMU_DIRTY_NO_CLEAR));
	walker_expect(w, w->written);
}

/**
 * struct pattern - how much is dirty, and what it may cost to find out
 * @name: for the test's name
 * @every: each so manieth page is dirty, 0 for none
 * @order: of the leaves
 * @calls: calls of the driver per 1000 pages, to look
 * @visits: leaves that it looks at per 1000 pages
 * @clears: calls per 1000 pages, to clear
 */
struct pattern {
	const char *name;
	unsigned int every;
	unsigned int order;
	unsigned long calls;
	unsigned long visits;
	unsigned long clears;
};

static const struct pattern patterns[] = {
	{ "nothing", 0, 0, 1, 1000, 0 },
	{ "1 % of the pages", 100, 0, 52, 4000, 11 },
	{ "every other page", 2, 0, 1034, 4000, 501 },
	{ "all", 1, 0, 1034, 4000, 1 },
	{ "no large page", 0, 9, 1, 3, 0 },
	{ "all large pages", 1, 9, 4, 8, 1 },
};

static void pattern_describe(const struct pattern *p, char *name)
{
	strscpy(name, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(pattern, patterns, pattern_describe);

static unsigned long per_1000(unsigned long n)
{
	return DIV_ROUND_UP(n * 1000, NPAGES);
}

static void dirty_gather_test_cost(struct kunit *test)
{
	const struct pattern *p = test->param_value;
	struct walker *w = walker_alloc(test);
	unsigned long page, calls, visits;

	walker_set_leaves(w, 0, NPAGES - 1, p->order);
	for (page = 0; p->every && page < NPAGES; page += p->every)
		walker_write(w, page);
	KUNIT_EXPECT_EQ(test, 0, walker_search(w, IOMMU_DIRTY_NO_CLEAR));
	walker_expect(w, w->written);
	calls = w->calls;
	visits = w->visits;
	KUNIT_EXPECT_EQ(test, 0, walker_search(w, 0));
	kunit_info(test, "per 1000 pages: %lu calls, %lu leaves, %lu clears\n",
		   per_1000(calls), per_1000(visits),
		   per_1000(w->calls - calls));
	KUNIT_EXPECT_LE(test, per_1000(calls), p->calls);
	KUNIT_EXPECT_LE(test, per_1000(visits), p->visits);
	KUNIT_EXPECT_LE(test, per_1000(w->calls - calls), p->clears);
}

static struct kunit_case dirty_gather_cases[] = {
	KUNIT_CASE(dirty_gather_test_random),
	KUNIT_CASE(dirty_gather_test_runs),
	KUNIT_CASE(dirty_gather_test_writes),
	KUNIT_CASE(dirty_gather_test_large_leaf),
	KUNIT_CASE(dirty_gather_test_flush),
	KUNIT_CASE(dirty_gather_test_broken),
	KUNIT_CASE_PARAM(dirty_gather_test_cost, pattern_gen_params),
	{}
};

static struct kunit_suite dirty_gather_suite = {
	.name = "iommufd_dirty_gather",
	.test_cases = dirty_gather_cases,
};

kunit_test_suite(dirty_gather_suite);
