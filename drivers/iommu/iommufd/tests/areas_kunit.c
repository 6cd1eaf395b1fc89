// SPDX-License-Identifier: GPL-2.0-only
/*
 * A randomized test of areas and domains, against a list that knows what must
 * be true.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "fixture_kunit.h"

#define RANDOM_AREAS 40

/**
 * struct random_area - what the model knows of one area
 * @iova: first IOVA in pages from the window's start
 * @npages: length, 0 if there is no area
 * @index: first page of memory
 */
struct random_area {
	unsigned long iova;
	unsigned long npages;
	unsigned long index;
};

/**
 * struct random_model - the address space as a list
 * @area: the areas
 * @domain: the domains, or NULL
 */
struct random_model {
	struct random_area area[RANDOM_AREAS];
	struct fake_domain *domain[2];
};

/* The random tests use this much IOVA, in pages, right up to the top */
#define RANDOM_WINDOW 512UL
#define RANDOM_BASE (ULONG_MAX - RANDOM_WINDOW * PAGE_SIZE + 1)

static struct random_area *model_overlap(struct random_model *model,
					 unsigned long iova,
					 unsigned long npages)
{
	unsigned int i;

	for (i = 0; i < RANDOM_AREAS; i++) {
		struct random_area *area = &model->area[i];

		if (area->npages && area->iova < iova + npages &&
		    iova < area->iova + area->npages)
			return area;
	}
	return NULL;
}

static void model_add(struct random_model *model, unsigned long iova,
		      unsigned long npages, unsigned long index)
{
	unsigned int i = 0;

	while (model->area[i].npages)
		i++;
	model->area[i].iova = iova;
	model->area[i].npages = npages;
	model->area[i].index = index;
}

static unsigned int model_free(const struct random_model *model)
{
	unsigned int i, n = 0;

	for (i = 0; i < RANDOM_AREAS; i++)
		n += !model->area[i].npages;
	return n;
}

static void random_map(struct fixture *t, struct rnd_state *random,
		       struct random_model *model)
{
	unsigned long npages = 1 + fake_random_below(random, 24);
	unsigned long iova =
		fake_random_below(random, RANDOM_WINDOW - npages + 1);
	unsigned long index =
		fake_random_below(random, MEMORY_PAGES - npages + 1);
	int rc;

	if (!model_free(model))
		return;
	rc = fixture_map_at(t, RANDOM_BASE + iova * PAGE_SIZE,
			    index * PAGE_SIZE, npages * PAGE_SIZE);
	KUNIT_EXPECT_EQ(t->test, rc,
			model_overlap(model, iova, npages) ? -EEXIST : 0);
	if (!rc)
		model_add(model, iova, npages, index);
}

/* A part of one area, to where there may be something */
static void random_copy(struct fixture *t, struct rnd_state *random,
			struct random_model *model)
{
	struct random_area src =
		model->area[fake_random_below(random, RANDOM_AREAS)];
	unsigned long skip, npages, iova;
	int rc;

	if (!src.npages || !model_free(model))
		return;
	skip = fake_random_below(random, src.npages);
	npages = 1 + fake_random_below(random, src.npages - skip);
	iova = fake_random_below(random, RANDOM_WINDOW - npages + 1);
	rc = fixture_copy(t, RANDOM_BASE + iova * PAGE_SIZE,
			  RANDOM_BASE + (src.iova + skip) * PAGE_SIZE,
			  npages * PAGE_SIZE);
	KUNIT_EXPECT_EQ(t->test, rc,
			model_overlap(model, iova, npages) ? -EEXIST : 0);
	if (!rc)
		model_add(model, iova, npages, src.index + skip);
}

static void random_unmap(struct fixture *t, struct rnd_state *random,
			 struct random_model *model)
{
	unsigned long npages = 1 + fake_random_below(random, 64);
	unsigned long iova =
		fake_random_below(random, RANDOM_WINDOW - npages + 1);
	unsigned long unmapped, expected = 0;
	bool cut = false;
	unsigned int i;
	int rc;

	for (i = 0; i < RANDOM_AREAS; i++) {
		struct random_area *area = &model->area[i];

		if (!area->npages || area->iova >= iova + npages ||
		    area->iova + area->npages <= iova)
			continue;
		if (area->iova < iova ||
		    area->iova + area->npages > iova + npages)
			cut = true;
		expected += area->npages;
	}
	rc = iopt_unmap(&t->iopt, RANDOM_BASE + iova * PAGE_SIZE,
			npages * PAGE_SIZE, &unmapped);
	if (cut || !expected) {
		KUNIT_EXPECT_EQ(t->test, rc, -ENOENT);
		return;
	}
	KUNIT_EXPECT_EQ(t->test, rc, 0);
	KUNIT_EXPECT_EQ(t->test, unmapped, expected * PAGE_SIZE);
	for (i = 0; i < RANDOM_AREAS; i++)
		if (model->area[i].npages && model->area[i].iova >= iova &&
		    model->area[i].iova < iova + npages)
			model->area[i].npages = 0;
}

/* Add or remove a domain, or let it fail half way */
static void random_domain(struct fixture *t, struct rnd_state *random,
			  struct random_model *model)
{
	unsigned int nr = fake_random_below(random, 2);
	struct fake_domain *fake;
	int rc;

	if (model->domain[nr]) {
		iopt_remove_domain(&t->iopt, &model->domain[nr]->item);
		KUNIT_EXPECT_EQ(t->test, model->domain[nr]->nr_live, 0);
		model->domain[nr] = NULL;
		return;
	}
	fake = fake_domain_alloc(t->test, COMMON_SIZES);
	fake->fail_in = fake_random_below(random, 400);
	rc = iopt_add_domain(&t->iopt, &fake->item);
	fake->fail_in = 0;
	if (rc)
		KUNIT_EXPECT_EQ(t->test, rc, -ENOMEM);
	else
		model->domain[nr] = fake;
}

/* Every page of IOVA translates, and every page of memory is pinned, as due */
static void model_check(struct fixture *t, struct random_model *model)
{
	bool used[MEMORY_PAGES] = {};
	unsigned long total = 0;
	unsigned int i, nr;

	for (i = 0; i < RANDOM_AREAS; i++) {
		struct random_area *area = &model->area[i];

		total += area->npages;
		memset(used + area->index, 1, area->npages);
		for (nr = 0; nr < 2; nr++)
			if (area->npages && model->domain[nr])
				fixture_expect_memory(t, model->domain[nr],
						      RANDOM_BASE +
							      area->iova *
								      PAGE_SIZE,
						      area->index * PAGE_SIZE,
						      area->npages * PAGE_SIZE);
	}
	for (nr = 0; nr < 2; nr++)
		if (model->domain[nr])
			KUNIT_EXPECT_EQ(t->test, model->domain[nr]->nr_live,
					total);
	/* Each map has pins of its own, so that there may be several */
	for (i = 0; i < MEMORY_PAGES; i++) {
		bool due = used[i] && (model->domain[0] || model->domain[1]);

		if (!!fake_memory_pins(t->memory, i) != due)
			KUNIT_FAIL(t->test, "page %u is pinned %u times", i,
				   fake_memory_pins(t->memory, i));
	}
}

static void areas_test_random(struct kunit *test)
{
	struct fixture *t = test->priv;
	struct random_model *model;
	struct rnd_state random;
	unsigned int i;

	model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);
	fixture_memory(t);
	fake_random_init(test, &random);

	for (i = 0; i < 2500 && test->status == KUNIT_SUCCESS; i++) {
		switch (fake_random_below(&random, 16)) {
		case 0:
			random_domain(t, &random, model);
			break;
		case 1 ... 4:
			random_copy(t, &random, model);
			break;
		case 5 ... 10:
			random_unmap(t, &random, model);
			break;
		default:
			random_map(t, &random, model);
			break;
		}
		model_check(t, model);
	}
}

static struct kunit_case areas_cases[] = {
	KUNIT_CASE(areas_test_random),
	{}
};

static struct kunit_suite areas_suite = {
	.name = "iommufd_areas",
	.init = fixture_init,
	.exit = fixture_exit,
	.test_cases = areas_cases,
};

kunit_test_suite(areas_suite);
