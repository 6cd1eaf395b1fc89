// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of iova_bitmap on user memory: which bits are set, and which are not.
 */
#include <kunit/test.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "fake_kunit.h"

#define BITS_PER_PAGE (PAGE_SIZE * BITS_PER_BYTE)

/**
 * struct bitmap_test - one bitmap, and what must be in it
 * @test: the test
 * @memory: where it is
 * @offset: byte of the memory at which it begins
 * @iova: IOVA of the first bit
 * @length: bytes of IOVA
 * @page_size: bytes of IOVA per bit
 * @bitmap: the bitmap
 * @next: IOVA that the next part must begin with
 * @calls: number of parts that there were
 * @fail_in: the part in which the callback fails, counted from 1; 0 for none
 * @expected: what the memory must hold, bit by bit of the whole memory
 */
struct bitmap_test {
	struct kunit *test;
	struct fake_memory *memory;
	unsigned long offset;
	unsigned long iova;
	unsigned long length;
	unsigned long page_size;
	struct iova_bitmap *bitmap;
	unsigned long next;
	unsigned int calls;
	unsigned int fail_in;
	unsigned long *expected;
};

static void free_bitmap(void *bitmap)
{
	iova_bitmap_free(bitmap);
}

/* Memory of so many pages, with a bitmap somewhere inside of it */
static void bitmap_start(struct kunit *test, struct bitmap_test *t,
			 unsigned long npages)
{
	t->test = test;
	t->memory = fake_memory_alloc(test, npages, 1, PROT_READ | PROT_WRITE);
	t->expected = kunit_kcalloc(test, npages, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->expected);
	t->bitmap = iova_bitmap_alloc(t->iova, t->length, t->page_size,
				      (u64 __user *)(t->memory->addr + t->offset));
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->bitmap));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_bitmap,
						  t->bitmap));
	t->next = t->iova;
}

/* Set the bits that [iova, last] stands for one by one, as u64 words do */
static void expect_dirty(struct bitmap_test *t, unsigned long iova,
			 unsigned long last)
{
	unsigned long end = t->iova + (t->length - 1);
	unsigned long bit, last_bit;

	if (iova > end || last < t->iova)
		return;
	bit = (max(iova, t->iova) - t->iova) / t->page_size;
	last_bit = (min(last, end) - t->iova) / t->page_size;
	for (; bit <= last_bit; bit++) {
		unsigned long byte = t->offset + bit / BITS_PER_BYTE;

		((u8 *)t->expected)[byte] |= 1 << bit % BITS_PER_BYTE;
	}
}

static void check_memory(struct bitmap_test *t)
{
	unsigned long i;

	for (i = 0; i < t->memory->npages; i++)
		if (memcmp(page_address(t->memory->pages[i]),
			   (u8 *)t->expected + i * PAGE_SIZE, PAGE_SIZE))
			KUNIT_FAIL(t->test, "page %lu has other bits", i);
	fake_memory_expect_pins(t->test, t->memory, 0, t->memory->npages, 0);
}

/* Parts come in order, cover all, and overlap nothing */
static int check_part(struct iova_bitmap *bitmap, unsigned long iova,
		      size_t length, void *opaque)
{
	struct bitmap_test *t = opaque;

	KUNIT_EXPECT_NE(t->test, length, 0);
	KUNIT_EXPECT_EQ(t->test, iova, t->next);
	KUNIT_EXPECT_LE(t->test, iova - t->iova + (length - 1), t->length - 1);
	t->next = iova + length;
	t->calls++;
	return t->calls == t->fail_in ? -EIO : 0;
}

static int mark_ends(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length, void *opaque)
{
	struct bitmap_test *t = opaque;
	unsigned long last = iova + (length - 1);

	iova_bitmap_set(bitmap, iova, 1);
	iova_bitmap_set(bitmap, last, 1);
	expect_dirty(t, iova, iova);
	expect_dirty(t, last, last);
	return check_part(bitmap, iova, length, opaque);
}

static int mark_all(struct iova_bitmap *bitmap, unsigned long iova,
		    size_t length, void *opaque)
{
	iova_bitmap_set(bitmap, iova, length);
	expect_dirty(opaque, iova, iova + (length - 1));
	return check_part(bitmap, iova, length, opaque);
}

/**
 * struct bitmap_layout - a bitmap to try
 * @name: for the test's name
 * @offset: byte of the memory at which it begins
 * @iova: IOVA of the first bit
 * @length: bytes of IOVA
 * @page_size: bytes of IOVA per bit
 * @npages: pages of memory that it needs
 * @calls: the parts that it may take
 */
struct bitmap_layout {
	const char *name;
	unsigned long offset;
	unsigned long iova;
	unsigned long length;
	unsigned long page_size;
	unsigned long npages;
	unsigned int calls;
};

static const struct bitmap_layout layouts[] = {
	{ "one bit", 0, 0, SZ_4K, SZ_4K, 1, 1 },
	{ "less than a bit", 0, SZ_1M, 1, SZ_4K, 1, 1 },
	{ "the last bit of a page", PAGE_SIZE - 1, SZ_1M, 8 * SZ_4K, SZ_4K, 2,
	  1 },
	{ "around a border of pages", PAGE_SIZE - 8, SZ_1M, 100 * SZ_4K, SZ_4K,
	  2, 1 },
	{ "an odd address", 3, SZ_1M, 77 * SZ_4K, SZ_4K, 1, 1 },
	{ "one page", 0, SZ_1G, BITS_PER_PAGE * SZ_4K, SZ_4K, 2, 1 },
	{ "one page and a bit", 0, SZ_1G, (BITS_PER_PAGE + 1) * SZ_4K, SZ_4K, 3,
	  1 },
	{ "large pages", 16, SZ_1G, 1000UL * SZ_2M, SZ_2M, 1, 1 },
	{ "bytes", 8, 5, 1234, 1, 1, 1 },
	{ "an IOVA inside of a page", 0, SZ_1M + 100, 64 * SZ_4K, SZ_4K, 1, 1 },
	{ "the top", 8, ULONG_MAX - 256 * SZ_4K + 1, 256 * SZ_4K, SZ_4K, 1, 1 },
	{ "the whole address space", 0, 0, ULONG_MAX, 1UL << 50, 1, 1 },
	{ "more than a window", 64, SZ_1G, 600 * BITS_PER_PAGE * SZ_4K, SZ_4K,
	  602, 2 },
};

static void layout_desc(const struct bitmap_layout *layout, char *desc)
{
	strscpy(desc, layout->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(layout, layouts, layout_desc);

static void layout_start(struct kunit *test, struct bitmap_test *t)
{
	const struct bitmap_layout *layout = test->param_value;

	t->offset = layout->offset;
	t->iova = layout->iova;
	t->length = layout->length;
	t->page_size = layout->page_size;
	bitmap_start(test, t, layout->npages);
}

/* Bits that were set before stay, and no bit outside is touched */
static void iova_bitmap_test_ends(struct kunit *test)
{
	const struct bitmap_layout *layout = test->param_value;
	struct bitmap_test t = {};

	layout_start(test, &t);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(t.bitmap, &t, mark_ends));
	KUNIT_EXPECT_EQ(test, t.next, t.iova + t.length);
	KUNIT_EXPECT_LE(test, t.calls, layout->calls);
	check_memory(&t);
	/* It can be walked again */
	t.next = t.iova;
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, check_part));
	check_memory(&t);
}

static void iova_bitmap_test_all(struct kunit *test)
{
	struct bitmap_test t = {};
	unsigned long i;

	layout_start(test, &t);
	/* A pattern that is not ours */
	for (i = 0; i < t.memory->npages; i++) {
		memset(page_address(t.memory->pages[i]), 0x81, PAGE_SIZE);
		memset((u8 *)t.expected + i * PAGE_SIZE, 0x81, PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(t.bitmap, &t, mark_all));
	check_memory(&t);
}

static void iova_bitmap_test_alloc(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iova_bitmap_alloc(0, 0, SZ_4K, NULL));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iova_bitmap_alloc(0, SZ_4K, 0, NULL));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iova_bitmap_alloc(0, SZ_4K, SZ_4K + 1, NULL));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    iova_bitmap_alloc(SZ_4K, ULONG_MAX, SZ_4K, NULL));
}

/* What lies outside is ignored, whatever the numbers are */
static void iova_bitmap_test_outside(struct kunit *test)
{
	struct bitmap_test t = {
		.iova = SZ_1M,
		.length = 64 * SZ_4K,
		.page_size = SZ_4K,
	};

	bitmap_start(test, &t, 1);
	iova_bitmap_set(t.bitmap, 0, SZ_1M);
	iova_bitmap_set(t.bitmap, SZ_1M + 64 * SZ_4K, SZ_1M);
	iova_bitmap_set(t.bitmap, ULONG_MAX, 1);
	iova_bitmap_set(t.bitmap, ULONG_MAX, ULONG_MAX);
	iova_bitmap_set(t.bitmap, SZ_1M, 0);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, check_part));
	check_memory(&t);

	iova_bitmap_set(t.bitmap, SZ_1M - 1, 2);
	expect_dirty(&t, SZ_1M, SZ_1M);
	iova_bitmap_set(t.bitmap, SZ_1M + 63 * SZ_4K, SZ_1G);
	expect_dirty(&t, SZ_1M + 63 * SZ_4K, SZ_1M + 64 * SZ_4K - 1);
	/* Gives the pins back */
	t.next = t.iova;
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, check_part));
	check_memory(&t);
	iova_bitmap_set(t.bitmap, 0, ULONG_MAX);
	expect_dirty(&t, 0, ULONG_MAX);
	t.next = t.iova;
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, check_part));
	check_memory(&t);
}

/* A large page that begins in a part may reach far beyond it */
static int mark_beyond(struct iova_bitmap *bitmap, unsigned long iova,
		       size_t length, void *opaque)
{
	struct bitmap_test *t = opaque;

	if (!t->calls) {
		iova_bitmap_set(bitmap, t->iova + SZ_4K, t->length - 2 * SZ_4K);
		expect_dirty(t, t->iova + SZ_4K,
			     t->iova + t->length - SZ_4K - 1);
	}
	return mark_ends(bitmap, iova, length, opaque);
}

static void iova_bitmap_test_beyond(struct kunit *test)
{
	struct bitmap_test t = {
		.offset = 8,
		.iova = SZ_1G,
		.length = 600 * BITS_PER_PAGE * SZ_4K,
		.page_size = SZ_4K,
	};

	bitmap_start(test, &t, 601);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, mark_beyond));
	KUNIT_EXPECT_EQ(test, t.next, t.iova + t.length);
	check_memory(&t);
}

/*
 * A large page that was mapped over the end of the part before, in which the user
 * has taken the bitmap away by now
 */
static int mark_from_before(struct iova_bitmap *bitmap, unsigned long iova,
			    size_t length, void *opaque)
{
	unsigned long page = (iova - SZ_1G) / (BITS_PER_PAGE * SZ_4K);
	struct bitmap_test *t = opaque;

	if (t->calls) {
		KUNIT_EXPECT_EQ(t->test, 0,
				vm_munmap(t->memory->addr +
					  (page - 4) * PAGE_SIZE,
					  4 * PAGE_SIZE));
		iova_bitmap_set(bitmap, iova - SZ_512M, SZ_1G);
		expect_dirty(t, iova, iova + SZ_512M - 1);
	}
	return check_part(bitmap, iova, length, opaque);
}

/* Nobody waits for bits of a part that is over */
static void iova_bitmap_test_from_before(struct kunit *test)
{
	struct bitmap_test t = {
		.iova = SZ_1G,
		.length = 600 * BITS_PER_PAGE * SZ_4K,
		.page_size = SZ_4K,
	};

	bitmap_start(test, &t, 600);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, mark_from_before));
	KUNIT_EXPECT_EQ(test, t.calls, 2);
	KUNIT_EXPECT_EQ(test, t.next, t.iova + t.length);
	check_memory(&t);
}

/* Where the bitmap is not, nobody is asked, so that nothing is forgotten */
static void iova_bitmap_test_fault(struct kunit *test)
{
	struct bitmap_test t = {
		.offset = 8,
		.iova = SZ_1G,
		.length = 8 * BITS_PER_PAGE * SZ_4K,
		.page_size = SZ_4K,
	};

	bitmap_start(test, &t, 9);
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(t.memory->addr + 5 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(t.bitmap, &t, mark_all));
	KUNIT_EXPECT_EQ(test, t.calls, 0);
	check_memory(&t);

	/* Nor at the first bit */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(t.memory->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(t.bitmap, &t, mark_all));
	KUNIT_EXPECT_EQ(test, t.calls, 0);
	check_memory(&t);
}

/* A large page that begins at the end of each part */
static int mark_1g_at_end(struct iova_bitmap *bitmap, unsigned long iova,
			  size_t length, void *opaque)
{
	unsigned long last = iova + (length - 1) - (SZ_4K - 1);

	iova_bitmap_set(bitmap, last, SZ_1G);
	expect_dirty(opaque, last, last + (SZ_1G - 1));
	return check_part(bitmap, iova, length, opaque);
}

/* Its dirt has a place, or it is not asked for that */
static void iova_bitmap_test_fault_ahead(struct kunit *test)
{
	struct bitmap_test t = {
		.iova = SZ_1G,
		.length = 1000 * BITS_PER_PAGE * SZ_4K,
		.page_size = SZ_4K,
	};
	unsigned long hole;

	bitmap_start(test, &t, 1000);
	KUNIT_EXPECT_EQ(test, 0,
			iova_bitmap_for_each(t.bitmap, &t, mark_1g_at_end));
	KUNIT_EXPECT_EQ(test, t.next, t.iova + t.length);
	KUNIT_EXPECT_GT(test, t.calls, 2);
	check_memory(&t);

	/* Behind what the second part asks about, but not by a large page */
	t.calls = 0;
	t.fail_in = 2;
	t.next = t.iova;
	KUNIT_EXPECT_EQ(test, -EIO,
			iova_bitmap_for_each(t.bitmap, &t, mark_1g_at_end));
	hole = (t.next - t.iova) / SZ_4K / BITS_PER_PAGE + 1;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(t.memory->addr + hole * PAGE_SIZE,
					   PAGE_SIZE));
	t.calls = 0;
	t.fail_in = 0;
	t.next = t.iova;
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(t.bitmap, &t, mark_1g_at_end));
	KUNIT_EXPECT_EQ(test, t.calls, 1);
	fake_memory_expect_pins(test, t.memory, 0, 1000, 0);
}

/* There is memory again after the bit for which there was none */
static int mark_beyond_hole(struct iova_bitmap *bitmap, unsigned long iova,
			    size_t length, void *opaque)
{
	struct bitmap_test *t = opaque;
	unsigned long addr = t->memory->addr + 590 * PAGE_SIZE;
	int rc = mark_beyond(bitmap, iova, length, opaque);

	KUNIT_EXPECT_EQ(t->test, addr,
			vm_mmap(NULL, addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0));
	return rc;
}

/* A bit beyond the part for which there is no memory is not lost in silence */
static void iova_bitmap_test_fault_beyond(struct kunit *test)
{
	struct bitmap_test t = {
		.iova = SZ_1G,
		.length = 600 * BITS_PER_PAGE * SZ_4K,
		.page_size = SZ_4K,
	};

	bitmap_start(test, &t, 600);
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(t.memory->addr + 590 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(t.bitmap, &t, mark_beyond_hole));
	KUNIT_EXPECT_EQ(test, t.calls, 1);
	fake_memory_expect_pins(test, t.memory, 0, 600, 0);
}

static void iova_bitmap_test_read_only(struct kunit *test)
{
	struct fake_memory *memory = fake_memory_alloc(test, 1, 1, PROT_READ);
	struct bitmap_test t = { .test = test, .iova = SZ_1M, .length = SZ_1M };
	struct iova_bitmap *bitmap;

	bitmap = iova_bitmap_alloc(SZ_1M, SZ_1M, SZ_4K,
				   (u64 __user *)memory->addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(bitmap));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(bitmap, &t, check_part));
	KUNIT_EXPECT_EQ(test, t.calls, 0);
	iova_bitmap_free(bitmap);
}

/* An error of the callback ends the walk, and nothing stays pinned */
static void iova_bitmap_test_callback_fails(struct kunit *test)
{
	struct bitmap_test t = {
		.iova = SZ_1G,
		.length = 600 * BITS_PER_PAGE * SZ_4K,
		.page_size = SZ_4K,
		.fail_in = 1,
	};

	bitmap_start(test, &t, 600);
	KUNIT_EXPECT_EQ(test, -EIO,
			iova_bitmap_for_each(t.bitmap, &t, mark_ends));
	KUNIT_EXPECT_EQ(test, t.calls, 1);
	check_memory(&t);
}

/* Ranges at random against bits that are set one by one */
static int mark_random(struct iova_bitmap *bitmap, unsigned long iova,
		       size_t length, void *opaque)
{
	struct bitmap_test *t = opaque;
	struct rnd_state *random = t->test->priv;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		unsigned long start = iova + prandom_u32_state(random) % length;
		unsigned long n = 1 + prandom_u32_state(random) % (50 * SZ_4K);

		iova_bitmap_set(bitmap, start, n);
		expect_dirty(t, start, start + (n - 1));
	}
	return check_part(bitmap, iova, length, opaque);
}

static void iova_bitmap_test_random(struct kunit *test)
{
	struct rnd_state random;
	unsigned int i;

	fake_random_init(test, &random);
	test->priv = &random;
	for (i = 0; i < 60; i++) {
		unsigned int shift = 12 + fake_random_below(&random, 3);
		unsigned long bits = 1 + fake_random_below(&random,
							   2 * BITS_PER_PAGE);
		struct bitmap_test t = {
			.offset = fake_random_below(&random, PAGE_SIZE),
			.iova = SZ_1G + prandom_u32_state(&random),
			.length = bits << shift,
			.page_size = 1UL << shift,
		};

		bitmap_start(test, &t, 4);
		KUNIT_EXPECT_EQ(test, 0,
				iova_bitmap_for_each(t.bitmap, &t,
						     mark_random));
		KUNIT_EXPECT_EQ(test, t.next, t.iova + t.length);
		check_memory(&t);
	}
	test->priv = NULL;
}

static struct kunit_case iova_bitmap_cases[] = {
	KUNIT_CASE(iova_bitmap_test_alloc),
	KUNIT_CASE_PARAM(iova_bitmap_test_ends, layout_gen_params),
	KUNIT_CASE_PARAM(iova_bitmap_test_all, layout_gen_params),
	KUNIT_CASE(iova_bitmap_test_outside),
	KUNIT_CASE(iova_bitmap_test_beyond),
	KUNIT_CASE(iova_bitmap_test_from_before),
	KUNIT_CASE(iova_bitmap_test_fault),
	KUNIT_CASE(iova_bitmap_test_fault_ahead),
	KUNIT_CASE(iova_bitmap_test_fault_beyond),
	KUNIT_CASE(iova_bitmap_test_read_only),
	KUNIT_CASE(iova_bitmap_test_callback_fails),
	KUNIT_CASE(iova_bitmap_test_random),
	{}
};

static struct kunit_suite iova_bitmap_suite = {
	.name = "iommufd_iova_bitmap",
	.test_cases = iova_bitmap_cases,
};

kunit_test_suite(iova_bitmap_suite);
