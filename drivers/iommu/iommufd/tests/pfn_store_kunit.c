// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of pfn_store: how it keeps what it is given, and that it reads as a
 * plain array does.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "fake_kunit.h"
#include "../pfn_store.h"

/* No real machine has more physical memory than the architecture's 52 bits */
#define PFN_LIMIT BIT_ULL(52 - PAGE_SHIFT)

/*
 * For pages of which only the address matters: every machine has these, so
 * that the memory map can be trusted to be linear.
 */
#define PAGE_PFN_LIMIT 4096

static void expect_run(struct kunit *test, struct pfn_store *store,
		       unsigned long index, unsigned long last,
		       unsigned long pfn, unsigned long npages)
{
	unsigned long got;

	KUNIT_EXPECT_EQ(test, pfn_store_run(store, index, last, &got), npages);
	KUNIT_EXPECT_EQ(test, got, pfn);
}

static bool chunk_is_flat(struct pfn_store *store, unsigned long chunk)
{
	return xa_is_value(pfn_store_chunk(store, chunk << PFN_CHUNK_SHIFT));
}

static bool chunk_is_table(struct pfn_store *store, unsigned long chunk)
{
	void *entry = pfn_store_chunk(store, chunk << PFN_CHUNK_SHIFT);

	return entry && !xa_is_value(entry);
}

static void store_destroy(void *store)
{
	pfn_store_destroy(store);
}

static struct pfn_store *store_alloc(struct kunit *test, unsigned long npages)
{
	struct pfn_store *store = kunit_kzalloc(test, sizeof(*store),
						GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, store);
	pfn_store_init(store, npages);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, store_destroy, store));
	return store;
}

/* Contiguous memory costs a value entry per chunk and no table */
static void pfn_store_test_flat(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 4 * PFN_CHUNK_SIZE);
	unsigned long i;

	KUNIT_ASSERT_EQ(test, 0,
			pfn_store_set_run(store, 0, 0x100000,
					  4 * PFN_CHUNK_SIZE));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, i));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 0);
}

/* A run is read whole however many chunks it spans, and from any index */
static void pfn_store_test_run_across_chunks(struct kunit *test)
{
	const unsigned long npages = 4 * PFN_CHUNK_SIZE;
	struct pfn_store *store = store_alloc(test, npages);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 0, 1000, npages));
	expect_run(test, store, 0, npages - 1, 1000, npages);
	expect_run(test, store, 1, npages - 1, 1001, npages - 1);
	expect_run(test, store, 511, npages - 1, 1511, npages - 511);
	expect_run(test, store, 511, 512, 1511, 2);
	expect_run(test, store, 512, 512, 1512, 1);
	expect_run(test, store, npages - 1, npages - 1, 1000 + npages - 1, 1);
}

/* Runs that touch in a border are one if, and only if, the PFNs go on */
static void pfn_store_test_chunk_border(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 3 * PFN_CHUNK_SIZE);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 0, 4096, 512));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 512, 4608, 512));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 1024, 5121, 512));
	expect_run(test, store, 0, 1535, 4096, 1024);
	expect_run(test, store, 1024, 1535, 5121, 512);

	/* The same between a flat chunk and a table, both ways round */
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 700, 9, 1));
	KUNIT_EXPECT_TRUE(test, chunk_is_table(store, 1));
	expect_run(test, store, 0, 1535, 4096, 700);
	expect_run(test, store, 701, 1535, 4608 + 189, 1024 - 701);
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 1023, 5120, 1));
	expect_run(test, store, 1022, 1535, 4608 + 510, 1);
	expect_run(test, store, 1023, 1535, 5120, 513);
}

/* A chunk becomes a table when it has to, and keeps what it holds */
static void pfn_store_test_flat_to_table(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 2 * PFN_CHUNK_SIZE);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 0, 0x5000, 512));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 100, 0x9000, 10));
	KUNIT_EXPECT_TRUE(test, chunk_is_table(store, 0));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 1);
	expect_run(test, store, 0, 511, 0x5000, 100);
	expect_run(test, store, 100, 511, 0x9000, 10);
	expect_run(test, store, 110, 511, 0x5000 + 110, 402);
}

/* Parts of one run may come one by one, in any order */
static void pfn_store_test_flat_by_parts(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 2 * PFN_CHUNK_SIZE);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 400, 0x2000 + 400, 12));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 0, 0x2000, 100));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 100, 0x2000 + 100, 300));
	KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, 0));
	expect_run(test, store, 0, 411, 0x2000, 412);
}

/* What covers a chunk whole makes it flat again and frees the table */
static void pfn_store_test_table_to_flat(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, PFN_CHUNK_SIZE + 100);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 0, 5, 2));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 2, 50, 2));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 512, 5, 2));
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 514, 50, 2));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 2);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 0, 7000, 512));
	KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, 0));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 1);

	/* The last chunk is short: its 100 pages are all of it */
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 512, 7512, 100));
	KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, 1));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 0);
	expect_run(test, store, 0, 611, 7000, 612);
}

/* No PFN may be too small or too large to be kept */
static void pfn_store_test_extreme_pfns(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 4 * PFN_CHUNK_SIZE);
	const unsigned long top = PFN_LIMIT - 512;

	/* A flat entry would need a negative base */
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 5, 3, 2));
	KUNIT_EXPECT_TRUE(test, chunk_is_table(store, 0));
	expect_run(test, store, 5, 6, 3, 2);
	/* The smallest base there is */
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 512 + 5, 5, 2));
	KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, 1));
	expect_run(test, store, 512 + 5, 512 + 6, 5, 2);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 1024, top, 512));
	expect_run(test, store, 1024, 1535, top, 512);
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, 1536, 0, 1));
	expect_run(test, store, 1535, 1536, top + 511, 1);
	expect_run(test, store, 1536, 1536, 0, 1);
}

/* Memory goes with the last index of a chunk, no earlier and no later */
static void pfn_store_test_forget(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 3 * PFN_CHUNK_SIZE + 7);
	unsigned long i;

	for (i = 0; i < 3 * PFN_CHUNK_SIZE + 7; i++)
		KUNIT_ASSERT_EQ(test, 0,
				pfn_store_set_run(store, i, 9000 - 2 * i, 1));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 4);

	pfn_store_forget(store, 1, 511);
	pfn_store_forget(store, 512, 1022);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 4);
	expect_run(test, store, 0, 0, 9000, 1);
	expect_run(test, store, 1023, 1023, 9000 - 2 * 1023, 1);

	/* Covers chunk 1 and 2, and chunk 0 and 3 only in part */
	pfn_store_forget(store, 1, 3 * PFN_CHUNK_SIZE + 5);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 2);
	KUNIT_EXPECT_NULL(test, pfn_store_chunk(store, PFN_CHUNK_SIZE));
	KUNIT_EXPECT_NULL(test, pfn_store_chunk(store, 2 * PFN_CHUNK_SIZE));
	expect_run(test, store, 0, 0, 9000, 1);

	/* The last chunk has 7 indices, so that this is all of it */
	pfn_store_forget(store, 3 * PFN_CHUNK_SIZE, 3 * PFN_CHUNK_SIZE + 6);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 1);
	pfn_store_forget(store, 0, 3 * PFN_CHUNK_SIZE + 6);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 0);
	expect_empty_store(test, store);
}

/* What get_user_pages() returned is kept as runs where it has them */
static void pfn_store_test_set_pages(struct kunit *test)
{
	struct pfn_store *store = store_alloc(test, 3 * PFN_CHUNK_SIZE);
	struct page **pages;
	unsigned long i;

	pages = kunit_kcalloc(test, 1100, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < 1100; i++)
		pages[i] = pfn_to_page(1000 + i);
	/* One page of the last chunk is out of order */
	pages[1050] = pfn_to_page(7);

	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_pages(store, 100, pages, 1100));
	KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, 0));
	KUNIT_EXPECT_TRUE(test, chunk_is_flat(store, 1));
	KUNIT_EXPECT_TRUE(test, chunk_is_table(store, 2));
	expect_run(test, store, 100, 1199, 1000, 1050);
	expect_run(test, store, 1150, 1199, 7, 1);
	expect_run(test, store, 1151, 1199, 2051, 49);
}

/**
 * struct store_model - the store as a plain array
 * @npages: number of indices
 * @pfn: by index
 * @used: whether the index may be read
 */
struct store_model {
	unsigned long npages;
	unsigned long *pfn;
	bool *used;
};

static void model_set(struct store_model *model, unsigned long index,
		      unsigned long pfn)
{
	model->pfn[index] = pfn;
	model->used[index] = true;
}

/* The last index of the used ones that follow @index without a gap */
static unsigned long model_last_used(const struct store_model *model,
				     unsigned long index)
{
	while (index + 1 < model->npages && model->used[index + 1])
		index++;
	return index;
}

static void model_check_run(struct kunit *test, const struct store_model *model,
			    struct pfn_store *store, unsigned long index,
			    unsigned long last)
{
	unsigned long n = 1;

	while (index + n <= last && model->pfn[index + n] ==
					    model->pfn[index] + n)
		n++;
	expect_run(test, store, index, last, model->pfn[index], n);
}

/* Read every used index, by maximal runs, and count the tables */
static void model_check(struct kunit *test, const struct store_model *model,
			struct pfn_store *store)
{
	unsigned long tables = 0;
	unsigned long index, pfn;

	for (index = 0; index < model->npages;) {
		unsigned long last;

		if (!model->used[index]) {
			index++;
			continue;
		}
		last = model_last_used(model, index);
		model_check_run(test, model, store, index, last);
		index += pfn_store_run(store, index, last, &pfn);
	}
	for (index = 0; index < model->npages; index += PFN_CHUNK_SIZE) {
		void *entry = pfn_store_chunk(store, index);

		tables += entry && !xa_is_value(entry);
	}
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), tables);
}

/* Choose a PFN for @index, so that runs, low and high ones are all likely */
static unsigned long random_pfn(struct rnd_state *random,
				const struct store_model *model,
				unsigned long index, unsigned long limit)
{
	switch (fake_random_below(random, 4)) {
	case 0:
		if (index && model->used[index - 1] &&
		    model->pfn[index - 1] + 1 < limit)
			return model->pfn[index - 1] + 1;
		fallthrough;
	case 1:
		/* Where all that comes by this way is one run */
		return 100 + index;
	case 2:
		return fake_random_below(random, 600);
	default:
		return prandom_u32_state(random) % limit;
	}
}

static void model_random_range(struct rnd_state *random,
			       const struct store_model *model,
			       unsigned long *index, unsigned long *npages)
{
	*index = fake_random_below(random, model->npages);
	*npages = 1 + fake_random_below(random, model->npages - *index);
	if (fake_random_below(random, 2))
		*npages = min(*npages, 1 + fake_random_below(random, 20));
	/* Whole chunks have a way of their own */
	if (!fake_random_below(random, 4)) {
		*index &= ~PFN_CHUNK_MASK;
		*npages = min(PFN_CHUNK_SIZE, model->npages - *index);
	}
}

static void random_set_run(struct kunit *test, struct rnd_state *random,
			   struct store_model *model, struct pfn_store *store)
{
	unsigned long index, npages, pfn, i;

	model_random_range(random, model, &index, &npages);
	pfn = random_pfn(random, model, index, PFN_LIMIT);
	KUNIT_ASSERT_EQ(test, 0, pfn_store_set_run(store, index, pfn, npages));
	for (i = 0; i < npages; i++)
		model_set(model, index + i, pfn + i);
}

static void random_set_pages(struct kunit *test, struct rnd_state *random,
			     struct store_model *model, struct pfn_store *store,
			     struct page **pages)
{
	unsigned long index, npages, i, n;

	model_random_range(random, model, &index, &npages);
	for (i = 0; i < npages; i += n) {
		unsigned long pfn = random_pfn(random, model, index + i,
					       PAGE_PFN_LIMIT);
		unsigned long j;

		n = 1 + fake_random_below(random, npages - i);
		if (fake_random_below(random, 2))
			n = min(n, 1 + fake_random_below(random, 4));
		for (j = 0; j < n; j++) {
			pages[i + j] = pfn_to_page(pfn + j);
			model_set(model, index + i + j, pfn + j);
		}
	}
	KUNIT_ASSERT_EQ(test, 0,
			pfn_store_set_pages(store, index, pages, npages));
}

static void random_forget(struct rnd_state *random, struct store_model *model,
			  struct pfn_store *store)
{
	unsigned long index, npages;

	model_random_range(random, model, &index, &npages);
	memset(model->used + index, 0, npages * sizeof(*model->used));
	/* Whoever releases indices may leave the store alone */
	if (fake_random_below(random, 3))
		pfn_store_forget(store, index, index + npages - 1);
}

static void random_read(struct kunit *test, struct rnd_state *random,
			const struct store_model *model,
			struct pfn_store *store)
{
	unsigned long index = fake_random_below(random, model->npages);
	unsigned long last;

	if (!model->used[index])
		return;
	last = model_last_used(model, index);
	last -= fake_random_below(random, last - index + 1);
	model_check_run(test, model, store, index, last);
}

static const unsigned long random_sizes[] = {
	1, 2, 511, 512, 513, 1023, 1024, 1500, 2055,
};

static void size_desc(const unsigned long *npages, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%lu pages", *npages);
}

KUNIT_ARRAY_PARAM(random_size, random_sizes, size_desc);

/* Whatever is done to it, the store reads as an array does */
static void pfn_store_test_random(struct kunit *test)
{
	const unsigned long *npages = test->param_value;
	struct pfn_store *store = store_alloc(test, *npages);
	struct store_model model = { .npages = *npages };
	struct rnd_state random;
	struct page **pages;
	unsigned int i;

	model.pfn = kunit_kcalloc(test, *npages, sizeof(*model.pfn),
				  GFP_KERNEL);
	model.used = kunit_kcalloc(test, *npages, sizeof(*model.used),
				   GFP_KERNEL);
	pages = kunit_kcalloc(test, *npages, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model.pfn);
	KUNIT_ASSERT_NOT_NULL(test, model.used);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	fake_random_init(test, &random);

	for (i = 0; i < 1500 && test->status == KUNIT_SUCCESS; i++) {
		switch (fake_random_below(&random, 4)) {
		case 0:
			random_set_run(test, &random, &model, store);
			break;
		case 1:
			random_set_pages(test, &random, &model, store, pages);
			break;
		case 2:
			random_forget(&random, &model, store);
			break;
		default:
			random_read(test, &random, &model, store);
			continue;
		}
		model_check(test, &model, store);
	}
	pfn_store_forget(store, 0, *npages - 1);
	expect_empty_store(test, store);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&store->nr_tables), 0);
}

static struct kunit_case pfn_store_cases[] = {
	KUNIT_CASE(pfn_store_test_flat),
	KUNIT_CASE(pfn_store_test_run_across_chunks),
	KUNIT_CASE(pfn_store_test_chunk_border),
	KUNIT_CASE(pfn_store_test_flat_to_table),
	KUNIT_CASE(pfn_store_test_flat_by_parts),
	KUNIT_CASE(pfn_store_test_table_to_flat),
	KUNIT_CASE(pfn_store_test_extreme_pfns),
	KUNIT_CASE(pfn_store_test_forget),
	KUNIT_CASE(pfn_store_test_set_pages),
	KUNIT_CASE_PARAM(pfn_store_test_random, random_size_gen_params),
	{}
};

static struct kunit_suite pfn_store_suite = {
	.name = "iommufd_pfn_store",
	.test_cases = pfn_store_cases,
};

kunit_test_suite(pfn_store_suite);
