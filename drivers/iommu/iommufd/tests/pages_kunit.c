// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of pages: what is pinned for whom, and how memory gets into a domain.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "fake_kunit.h"
#include "../mmio.h"
#include "../pages.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static void put_pages(void *pages)
{
	iopt_pages_put(pages);
}

static struct iopt_pages *pages_of(struct kunit *test,
				   const struct fake_memory *memory)
{
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_user((void __user *)memory->addr,
				      memory->npages * PAGE_SIZE, true,
				      PIN_ACCOUNT_NONE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pages));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, put_pages, pages));
	KUNIT_ASSERT_EQ(test, pages->npages, memory->npages);
	return pages;
}

static int use(struct iopt_pages *pages, struct interval_tree_node *user,
	       unsigned long start, unsigned long last)
{
	user->start = start;
	user->last = last;
	guard(mutex)(&pages->mutex);
	return iopt_pages_use(pages, user, NULL);
}

static void unuse(struct iopt_pages *pages, struct interval_tree_node *user)
{
	guard(mutex)(&pages->mutex);
	iopt_pages_unuse(pages, user);
}

/* The store tells the runs that the memory is made of */
static void expect_store(struct kunit *test, struct iopt_pages *pages,
			 const struct fake_memory *memory, unsigned long first,
			 unsigned long last)
{
	unsigned long runs = 0;
	unsigned long i, pfn;

	for (i = first; i <= last; runs++) {
		unsigned long n = pfn_store_run(&pages->store, i, last, &pfn);

		for (; n; n--, i++, pfn++)
			if (pfn != page_to_pfn(memory->pages[i]))
				KUNIT_FAIL(test, "index %lu is another page",
					   i);
	}
	KUNIT_EXPECT_EQ(test, runs,
			fake_memory_runs(memory, first, last - first + 1));
}

/* Lengths around the batches in which memory is pinned */
static const unsigned long pin_lengths[] = {
	1, 15, 16, 17, 255, 256, 257, 511, 513, 3583, 3584, 3585, 8000,
};

static void length_desc(const unsigned long *npages, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%lu pages", *npages);
}

KUNIT_ARRAY_PARAM(pin_length, pin_lengths, length_desc);

static void pages_test_pin(struct kunit *test)
{
	const unsigned long npages = *(const unsigned long *)test->param_value;
	struct interval_tree_node user;
	struct fake_memory *memory;
	struct iopt_pages *pages;
	unsigned long run;

	/* The longest are released in steps */
	for (run = 1; run <= 1024; run *= run < 256 ? 16 : 4) {
		memory = fake_memory_alloc(test, npages, run,
					   PROT_READ | PROT_WRITE);
		pages = pages_of(test, memory);
		KUNIT_ASSERT_EQ(test, 0, use(pages, &user, 0, npages - 1));
		KUNIT_EXPECT_EQ(test, pages->npinned, npages);
		KUNIT_EXPECT_EQ(test, pages->account.charged, npages);
		fake_memory_expect_pins(test, memory, 0, npages, 1);
		expect_store(test, pages, memory, 0, npages - 1);
		unuse(pages, &user);
		KUNIT_EXPECT_EQ(test, pages->npinned, 0);
		KUNIT_EXPECT_EQ(test, pages->account.charged, 0);
		fake_memory_expect_pins(test, memory, 0, npages, 0);
		expect_empty_store(test, &pages->store);
	}
}

/* Pinned once for all users, until the last of them leaves */
static void pages_test_users(struct kunit *test)
{
	struct fake_memory *memory =
		fake_memory_alloc(test, 100, 8, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	struct interval_tree_node a, b, c, d;

	KUNIT_ASSERT_EQ(test, 0, use(pages, &a, 10, 19));
	KUNIT_ASSERT_EQ(test, 0, use(pages, &b, 30, 39));
	KUNIT_EXPECT_EQ(test, pages->npinned, 20);
	/* Covers both, the hole between them, and a part on either side */
	KUNIT_ASSERT_EQ(test, 0, use(pages, &c, 5, 44));
	KUNIT_EXPECT_EQ(test, pages->npinned, 40);
	KUNIT_EXPECT_EQ(test, pages->account.charged, 40);
	KUNIT_ASSERT_EQ(test, 0, use(pages, &d, 10, 19));
	KUNIT_EXPECT_EQ(test, pages->npinned, 40);
	fake_memory_expect_pins(test, memory, 5, 40, 1);
	expect_store(test, pages, memory, 5, 44);

	unuse(pages, &a);
	KUNIT_EXPECT_EQ(test, pages->npinned, 40);
	unuse(pages, &c);
	KUNIT_EXPECT_EQ(test, pages->npinned, 20);
	fake_memory_expect_pins(test, memory, 0, 10, 0);
	fake_memory_expect_pins(test, memory, 10, 10, 1);
	fake_memory_expect_pins(test, memory, 20, 10, 0);
	fake_memory_expect_pins(test, memory, 30, 10, 1);
	fake_memory_expect_pins(test, memory, 40, 60, 0);
	unuse(pages, &d);
	unuse(pages, &b);
	KUNIT_EXPECT_EQ(test, pages->account.charged, 0);
	fake_memory_expect_pins(test, memory, 0, 100, 0);
}

/* A failure at the second of three holes gives the first one back */
static void pages_test_pin_fails(struct kunit *test)
{
	struct fake_memory *memory =
		fake_memory_alloc(test, 100, 8, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	struct interval_tree_node a, b, c;

	KUNIT_ASSERT_EQ(test, 0, use(pages, &a, 20, 29));
	KUNIT_ASSERT_EQ(test, 0, use(pages, &b, 70, 79));
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(memory->addr + 55 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, use(pages, &c, 0, 99));
	KUNIT_EXPECT_EQ(test, pages->npinned, 20);
	KUNIT_EXPECT_EQ(test, pages->account.charged, 20);
	fake_memory_expect_pins(test, memory, 0, 20, 0);
	fake_memory_expect_pins(test, memory, 20, 10, 1);
	fake_memory_expect_pins(test, memory, 30, 40, 0);
	fake_memory_expect_pins(test, memory, 70, 10, 1);
	fake_memory_expect_pins(test, memory, 80, 20, 0);
	expect_store(test, pages, memory, 20, 29);
	expect_store(test, pages, memory, 70, 79);
	unuse(pages, &a);
	unuse(pages, &b);
}

/* A failure of the only page leaves nothing pinned or charged */
static void pages_test_pin_single_fails(struct kunit *test)
{
	struct fake_memory *memory =
		fake_memory_alloc(test, 1, 1, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	struct interval_tree_node user;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(memory->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, use(pages, &user, 0, 0));
	KUNIT_EXPECT_EQ(test, pages->npinned, 0);
	KUNIT_EXPECT_EQ(test, pages->account.charged, 0);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&pages->users.rb_root));
	expect_empty_store(test, &pages->store);
	fake_memory_expect_pins(test, memory, 0, 1, 0);
}

/* Random users come and go; a page is pinned once if it has one, else not */
static void pages_test_random_users(struct kunit *test)
{
	const unsigned long npages = 1100;
	struct fake_memory *memory =
		fake_memory_alloc(test, npages, 5, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	struct interval_tree_node user[12] = {};
	unsigned int i, j, nr = ARRAY_SIZE(user);
	struct rnd_state random;

	fake_random_init(test, &random);
	for (i = 0; i < 300 + nr && test->status == KUNIT_SUCCESS; i++) {
		/* At the end all of them go */
		struct interval_tree_node *u =
			&user[i < 300 ? fake_random_below(&random, nr) :
					i - 300];
		unsigned long page, pinned = 0;

		if (u->last) {
			unuse(pages, u);
			u->last = 0;
		} else if (i < 300) {
			unsigned long start = fake_random_below(&random,
								npages - 1);

			KUNIT_ASSERT_EQ(test, 0,
					use(pages, u, start,
					    start + 1 +
						    fake_random_below(&random,
								      npages - start - 1)));
		}
		for (page = 0; page < npages; page++) {
			bool used = false;

			for (j = 0; j < nr; j++)
				used |= user[j].last &&
					user[j].start <= page &&
					page <= user[j].last;
			pinned += used;
			if (fake_memory_pins(memory, page) != used)
				KUNIT_FAIL(test, "page %lu has %u pins", page,
					   fake_memory_pins(memory, page));
		}
		KUNIT_EXPECT_EQ(test, pages->npinned, pinned);
		KUNIT_EXPECT_EQ(test, pages->account.charged, pinned);
		for (j = 0; j < nr; j++)
			if (user[j].last)
				expect_store(test, pages, memory,
					     user[j].start, user[j].last);
	}
}

/**
 * struct fill_layout - memory, and the calls that it may take to map it
 * @name: for the test's name
 * @npages: pages
 * @run: pages per run
 * @largest: the largest page size that there must be, in bytes
 * @core_maps: calls of the IOMMU core
 * @driver_maps: calls of the driver
 */
struct fill_layout {
	const char *name;
	unsigned long npages;
	unsigned long run;
	unsigned long largest;
	unsigned int core_maps;
	unsigned int driver_maps;
};

static const struct fill_layout fill_layouts[] = {
	{ "one page", 1, 1, SZ_4K, 1, 1 },
	{ "contiguous 4 KiB", 256, 256, SZ_4K, 1, 1 },
	{ "contiguous 2 MiB", 512, 512, SZ_2M, 1, 1 },
	{ "contiguous 4 MiB", 1024, 1024, SZ_2M, 1, 1 },
	{ "runs of 1 MiB", 1024, 256, SZ_4K, 1, 4 },
	{ "runs of 2 MiB", 1024, 512, SZ_2M, 1, 2 },
	{ "runs of 8 pages", 1024, 8, SZ_4K, 1, 128 },
	{ "scattered", 128, 1, SZ_4K, 1, 128 },
	{ "scattered across batches", 1024, 1, SZ_4K, 8, 1024 },
	{ "short last run", 1000, 16, SZ_4K, 1, 63 },
};

static void fill_desc(const struct fill_layout *layout, char *desc)
{
	strscpy(desc, layout->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(fill_layout, fill_layouts, fill_desc);

/* Contiguous memory takes one call, and scattered memory few */
static void pages_test_fill(struct kunit *test)
{
	const struct fill_layout *layout = test->param_value;
	struct fake_memory *memory = fake_memory_alloc(test, layout->npages,
						       layout->run,
						       PROT_READ | PROT_WRITE);
	struct fake_domain *fake =
		fake_domain_alloc(test, SZ_4K | SZ_2M | SZ_1G);
	struct iopt_pages *pages = pages_of(test, memory);
	struct iopt_slice slice = {
		.pages = pages,
		.length = layout->npages * PAGE_SIZE,
	};
	struct interval_tree_node user;
	unsigned long i;

	KUNIT_ASSERT_EQ(test, 0, use(pages, &user, 0, layout->npages - 1));
	scoped_guard(mutex, &pages->mutex)
		KUNIT_ASSERT_EQ(test, 0,
				iopt_slice_map(&slice, &fake->item, SZ_1G, RW,
					       false));
	KUNIT_EXPECT_LE(test, fake->core_maps, layout->core_maps);
	KUNIT_EXPECT_LE(test, fake->driver_maps, layout->driver_maps);
	KUNIT_EXPECT_EQ(test, fake->largest, layout->largest);
	for (i = 0; i < layout->npages; i++)
		KUNIT_EXPECT_EQ(test,
				fake_domain_phys(fake, SZ_1G + i * PAGE_SIZE),
				page_to_phys(memory->pages[i]));
	KUNIT_EXPECT_EQ(test, slice.length,
			iommu_unmap(&fake->domain, SZ_1G, slice.length));
	unuse(pages, &user);
}

/* A gigantic page spans many chunks of the store, and is one leaf */
static void pages_test_fill_gigantic(struct kunit *test)
{
	const unsigned long npages = SZ_1G / PAGE_SIZE;
	struct fake_domain *fake =
		fake_domain_alloc(test, SZ_4K | SZ_2M | SZ_1G);
	struct interval_tree_node user = { .last = 2 * npages - 1 };
	struct fake_memory *memory = fake_memory_alloc(test, 1, 1, PROT_READ);
	struct iopt_slice slice = { .length = SZ_2G };
	struct iopt_pages *pages;

	pages = iopt_pages_alloc_user((void __user *)memory->addr, SZ_2G, true,
				      PIN_ACCOUNT_NONE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pages));
	slice.pages = pages;
	/* Two gigantic pages that nobody has, in descending order */
	mutex_lock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, 0,
			pfn_store_set_run(&pages->store, 0, 8 * npages,
					  npages));
	KUNIT_EXPECT_EQ(test, 0,
			pfn_store_set_run(&pages->store, npages, 4 * npages,
					  npages));
	interval_tree_insert(&user, &pages->users);
	/* One leaf stands for all of it here, so that it stays quick */
	fake->unpinned = true;
	fake->domain.pgsize_bitmap = SZ_1G;
	KUNIT_EXPECT_EQ(test, 0,
			iopt_slice_map(&slice, &fake->item, SZ_4G, RW,
				       false));
	KUNIT_EXPECT_EQ(test, fake->core_maps, 1);
	KUNIT_EXPECT_EQ(test, fake->driver_maps, 2);
	KUNIT_EXPECT_EQ(test, fake->largest, SZ_1G);
	KUNIT_EXPECT_EQ(test, fake_domain_phys(fake, SZ_4G), 8UL * SZ_1G);
	KUNIT_EXPECT_EQ(test, fake_domain_phys(fake, SZ_4G + SZ_1G),
			4UL * SZ_1G);
	iommu_unmap(&fake->domain, SZ_4G, SZ_2G);
	interval_tree_remove(&user, &pages->users);
	mutex_unlock(&pages->mutex);
	iopt_pages_put(pages);
}

/* Every way in which a driver can fail a fill leaves the domain empty */
static void pages_test_fill_fails(struct kunit *test)
{
	/* Short runs for scatterlists, and long ones that go directly */
	const unsigned long npages = 1024 + 200;
	struct fake_memory *small =
		fake_memory_alloc(test, 1024, 512, PROT_READ | PROT_WRITE);
	struct fake_memory *memory =
		fake_memory_alloc(test, 200, 1, PROT_READ | PROT_WRITE);
	struct fake_domain *fake =
		fake_domain_alloc(test, SZ_4K | SZ_2M | SZ_1G);
	struct interval_tree_node user = { .last = npages - 1 };
	struct iopt_slice slice = { .length = npages * PAGE_SIZE };
	struct iopt_pages *pages;
	unsigned int i;
	int rc;

	pages = iopt_pages_alloc_user((void __user *)memory->addr,
				      slice.length, true, PIN_ACCOUNT_NONE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pages));
	slice.pages = pages;
	fake->unpinned = true;
	mutex_lock(&pages->mutex);
	KUNIT_EXPECT_EQ(test, 0,
			pfn_store_set_pages(&pages->store, 0, memory->pages,
					    100));
	KUNIT_EXPECT_EQ(test, 0,
			pfn_store_set_pages(&pages->store, 100, small->pages,
					    1024));
	KUNIT_EXPECT_EQ(test, 0,
			pfn_store_set_pages(&pages->store, 1124,
					    memory->pages + 100, 100));
	interval_tree_insert(&user, &pages->users);

	for (i = 1;; i++) {
		fake->fail_in = i;
		rc = iopt_slice_map(&slice, &fake->item, SZ_1G, RW, false);
		if (!rc)
			break;
		KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
		KUNIT_EXPECT_EQ(test, fake->nr_live, 0);
	}
	/* It did not fail because there are no more calls than that */
	KUNIT_EXPECT_GE(test, i, 200);
	KUNIT_EXPECT_EQ(test, fake->nr_live, npages);
	fake->fail_in = 0;
	iommu_unmap(&fake->domain, SZ_1G, slice.length);
	interval_tree_remove(&user, &pages->users);
	mutex_unlock(&pages->mutex);
	iopt_pages_put(pages);
}

/* Pins of accesses count, and share with areas */
static void pages_test_access_pin(struct kunit *test)
{
	struct fake_memory *memory =
		fake_memory_alloc(test, 20, 3, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	struct iopt_slice some = { pages, 2, 100, 3 * PAGE_SIZE };
	struct iopt_slice more = { pages, 4, 0, 2 * PAGE_SIZE };
	struct interval_tree_node area;
	struct page *out[5] = {};
	unsigned long i;

	/* 3 pages' length from the middle of a page touch 4 pages */
	KUNIT_ASSERT_EQ(test, 0, iopt_slice_pin(&some, out, NULL));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_PTR_EQ(test, out[i], memory->pages[2 + i]);
	KUNIT_EXPECT_NULL(test, out[4]);
	KUNIT_ASSERT_EQ(test, 0, iopt_slice_pin(&some, out, NULL));
	KUNIT_ASSERT_EQ(test, 0, iopt_slice_pin(&more, out, NULL));
	fake_memory_expect_pins(test, memory, 2, 4, 1);
	KUNIT_ASSERT_EQ(test, 0, use(pages, &area, 0, 19));
	fake_memory_expect_pins(test, memory, 0, 20, 1);
	KUNIT_EXPECT_EQ(test, pages->account.charged, 20);

	unuse(pages, &area);
	fake_memory_expect_pins(test, memory, 2, 4, 1);
	KUNIT_EXPECT_EQ(test, pages->account.charged, 4);
	iopt_slice_unpin(&some);
	fake_memory_expect_pins(test, memory, 2, 4, 1);
	iopt_slice_unpin(&some);
	fake_memory_expect_pins(test, memory, 2, 2, 0);
	fake_memory_expect_pins(test, memory, 4, 2, 1);
	iopt_slice_unpin(&more);
	fake_memory_expect_pins(test, memory, 0, 20, 0);
}

/* Copy all of a slice, as iommufd_access_rw() does. Return how often it held */
static int rw(struct kunit *test, struct iopt_slice slice, void *data,
	      bool write)
{
	struct iopt_hold hold;
	int holds = 0;

	iopt_hold_init(&hold);
	while (slice.length) {
		unsigned long offset;
		long n = iopt_slice_rw(&slice, &hold, data, write);

		KUNIT_ASSERT_LE(test, 0, n);
		if (!n) {
			iopt_pages_get(slice.pages);
			KUNIT_ASSERT_EQ(test, 0,
					iopt_hold_get(&hold, &slice, write));
			holds++;
		}
		offset = slice.page_offset + n;
		slice.index += offset / PAGE_SIZE;
		slice.page_offset = offset % PAGE_SIZE;
		slice.length -= n;
		data += n;
	}
	iopt_hold_put(&hold);
	return holds;
}

static void pages_test_rw(struct kunit *test)
{
	struct fake_memory *memory =
		fake_memory_alloc(test, 4, 1, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	const unsigned long length = 2 * PAGE_SIZE + 10;
	struct iopt_slice slice = { pages, 0, PAGE_SIZE - 5, length };
	u8 *data, *back;
	unsigned long i;

	data = kunit_kmalloc(test, length, GFP_KERNEL);
	back = kunit_kzalloc(test, length, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_ASSERT_NOT_NULL(test, back);
	for (i = 0; i < length; i++)
		data[i] = i * 7 + (i >> 8);

	KUNIT_ASSERT_EQ(test, 1, rw(test, slice, data, true));
	KUNIT_EXPECT_MEMEQ(test, data + 5, page_address(memory->pages[1]),
			   PAGE_SIZE);
	KUNIT_EXPECT_MEMEQ(test, data + 5 + 2 * PAGE_SIZE,
			   page_address(memory->pages[3]), 5);
	KUNIT_EXPECT_EQ(test, 0, *((u8 *)page_address(memory->pages[3]) + 5));
	KUNIT_ASSERT_EQ(test, 1, rw(test, slice, back, false));
	KUNIT_EXPECT_MEMEQ(test, data, back, length);
	fake_memory_expect_pins(test, memory, 0, 4, 0);
	KUNIT_EXPECT_EQ(test, 0, pages->account.charged);
}

/* What is pinned is copied through its pins, even if it is held as well */
static void pages_test_rw_pinned(struct kunit *test)
{
	struct fake_memory *memory =
		fake_memory_alloc(test, 40, 1, PROT_READ | PROT_WRITE);
	struct iopt_pages *pages = pages_of(test, memory);
	struct iopt_slice all = { pages, 0, 0, 40 * PAGE_SIZE };
	struct iopt_slice one = { pages, 5, 0, PAGE_SIZE };
	struct interval_tree_node user;
	struct iopt_hold hold;
	unsigned long i;
	u8 *data;

	data = kunit_kzalloc(test, all.length, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < 40; i++)
		memset(page_address(memory->pages[i]), i + 1, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, use(pages, &user, 4, 6));
	/* 0 to 15, 16 to 31, and the rest; pinned ones are no reason to hold */
	KUNIT_EXPECT_EQ(test, 3, rw(test, all, data, false));
	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_EQ(test, i + 1, data[i * PAGE_SIZE]);

	/* The process has no memory there any more, the pins have */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(memory->addr + 5 * PAGE_SIZE,
					   PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, rw(test, one, data, false));
	KUNIT_EXPECT_EQ(test, 6, data[0]);
	data[0] = 99;
	KUNIT_EXPECT_EQ(test, 0, rw(test, one, data, true));
	KUNIT_EXPECT_EQ(test, 99, *(u8 *)page_address(memory->pages[5]));
	unuse(pages, &user);

	iopt_hold_init(&hold);
	iopt_pages_get(pages);
	KUNIT_EXPECT_EQ(test, -EFAULT, iopt_hold_get(&hold, &one, false));
	KUNIT_EXPECT_NULL(test, hold.pages);
	fake_memory_expect_pins(test, memory, 0, 40, 0);
}

static void pages_test_alloc(struct kunit *test)
{
	struct fake_memory *memory = fake_memory_alloc(test, 1, 1, PROT_READ);
	void __user *uptr = (void __user *)memory->addr;
	struct iopt_pages *pages;

	KUNIT_EXPECT_PTR_EQ(test, iopt_pages_alloc_user(uptr, 0, true,
							PIN_ACCOUNT_NONE),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_PTR_EQ(test, iopt_pages_alloc_user(uptr, ULONG_MAX, true,
							PIN_ACCOUNT_NONE),
			    ERR_PTR(-EOVERFLOW));
	KUNIT_EXPECT_PTR_EQ(test,
			    iopt_pages_alloc_user((void __user *)-PAGE_SIZE, 1,
						  true, PIN_ACCOUNT_NONE),
			    ERR_PTR(-EOVERFLOW));

	/* 2 bytes in two pages */
	pages = iopt_pages_alloc_user(uptr + PAGE_SIZE - 1, 2, true,
				      PIN_ACCOUNT_NONE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pages));
	KUNIT_EXPECT_EQ(test, pages->npages, 2);
	KUNIT_EXPECT_EQ(test, (unsigned long)pages->uptr, memory->addr);
	iopt_pages_put(pages);
	pages = iopt_pages_alloc_user(uptr, PAGE_SIZE, true, PIN_ACCOUNT_NONE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(pages));
	KUNIT_EXPECT_EQ(test, pages->npages, 1);
	iopt_pages_put(pages);
}

/* What fake_domain_phys() says of it */
#define NOTHING (~(phys_addr_t)0)

/* Taking it back flushes once, and the places that it can be at are limited */
static void pages_test_mmio_limit(struct kunit *test)
{
	struct fake_domain *fake = fake_domain_alloc(test, SZ_4K);
	struct iommufd_mmio *mmio = iommufd_mmio_create(SZ_1G, PAGE_SIZE);
	const unsigned int present = 64;
	unsigned int i, rc;

	KUNIT_ASSERT_NOT_NULL(test, mmio);
	fake->unpinned = true;
	for (i = 0; i < present; i++)
		KUNIT_ASSERT_EQ(test, 0,
				iommufd_mmio_map(mmio, &fake->item,
						 i * PAGE_SIZE, 0, PAGE_SIZE,
						 RW, false));
	fake->flushes = 0;
	iommufd_mmio_revoke(mmio);
	KUNIT_EXPECT_EQ(test, 1, fake->flushes);
	KUNIT_EXPECT_EQ(test, NOTHING, fake_domain_phys(fake, 0));

	/* What is not there yet counts, too */
	for (; i < IOMMUFD_MMIO_MAPS_MAX; i++) {
		rc = iommufd_mmio_map(mmio, &fake->item, i * PAGE_SIZE, 0,
				      PAGE_SIZE, RW, false);
		if (rc)
			break;
	}
	KUNIT_EXPECT_EQ(test, i, IOMMUFD_MMIO_MAPS_MAX);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			iommufd_mmio_map(mmio, &fake->item, i * PAGE_SIZE, 0,
					 PAGE_SIZE, RW, false));
	iommufd_mmio_unmap(mmio, &fake->item, 0);
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_mmio_map(mmio, &fake->item, i * PAGE_SIZE, 0,
					 PAGE_SIZE, RW, false));
	for (; i; i--)
		iommufd_mmio_unmap(mmio, &fake->item, i * PAGE_SIZE);
	iommufd_mmio_destroy(mmio);
}

/* Device memory, by small pages and by large ones, in many places */
static void pages_test_mmio(struct kunit *test)
{
	const size_t length = 8 * PAGE_SIZE;
	struct fake_domain *fake =
		fake_domain_alloc(test, SZ_4K | SZ_2M | SZ_1G);
	struct iommufd_mmio *mmio = iommufd_mmio_create(SZ_1G, length);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, mmio);
	fake->unpinned = true;
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_mmio_map(mmio, &fake->item, SZ_4G, 0, length,
					 RW, true));
	KUNIT_EXPECT_EQ(test, fake->driver_maps, 8);
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_mmio_map(mmio, &fake->item, SZ_2G, 0, length,
					 RW, false));
	KUNIT_EXPECT_EQ(test, fake->driver_maps, 9);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_EQ(test, SZ_1G + i * PAGE_SIZE,
				fake_domain_phys(fake, SZ_4G + i * PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, 0,
				iommufd_mmio_map(mmio, &fake->item,
						 SZ_1G + i * 5 % 8 * PAGE_SIZE,
						 i * PAGE_SIZE, PAGE_SIZE, RW,
						 false));
	}
	iommufd_mmio_revoke(mmio);
	KUNIT_EXPECT_EQ(test, NOTHING, fake_domain_phys(fake, SZ_4G));
	KUNIT_EXPECT_EQ(test, NOTHING, fake_domain_phys(fake, SZ_1G));
	iommufd_mmio_restore(mmio);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, SZ_1G + i * PAGE_SIZE,
				fake_domain_phys(fake, SZ_1G +
						 i * 5 % 8 * PAGE_SIZE));
	for (i = 0; i < 8; i++)
		iommufd_mmio_unmap(mmio, &fake->item, SZ_1G + i * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, NOTHING, fake_domain_phys(fake, SZ_1G));
	iommufd_mmio_unmap(mmio, &fake->item, SZ_2G);
	iommufd_mmio_unmap(mmio, &fake->item, SZ_4G);
	KUNIT_EXPECT_EQ(test, NOTHING, fake_domain_phys(fake, SZ_4G));
	iommufd_mmio_destroy(mmio);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE(pages_test_mmio),
	KUNIT_CASE(pages_test_mmio_limit),
	KUNIT_CASE(pages_test_alloc),
	KUNIT_CASE_PARAM(pages_test_pin, pin_length_gen_params),
	KUNIT_CASE(pages_test_users),
	KUNIT_CASE(pages_test_pin_fails),
	KUNIT_CASE(pages_test_pin_single_fails),
	KUNIT_CASE(pages_test_random_users),
	KUNIT_CASE_PARAM(pages_test_fill, fill_layout_gen_params),
	KUNIT_CASE(pages_test_fill_gigantic),
	KUNIT_CASE(pages_test_fill_fails),
	KUNIT_CASE(pages_test_access_pin),
	KUNIT_CASE(pages_test_rw),
	KUNIT_CASE(pages_test_rw_pinned),
	{}
};

static struct kunit_suite pages_suite = {
	.name = "iommufd_pages",
	.test_cases = pages_cases,
};

kunit_test_suite(pages_suite);
