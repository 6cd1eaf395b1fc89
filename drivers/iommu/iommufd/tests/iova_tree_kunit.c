// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of iova_tree: what it finds, and that its gaps are right after every
 * operation.
 */
#include <kunit/test.h>
#include <linux/sizes.h>

#include "fake_kunit.h"
#include "../iova_tree.h"

static struct iova_node *tree_add(struct kunit *test, struct iova_tree *tree,
				  unsigned long start, unsigned long last)
{
	struct iova_node *node = kunit_kzalloc(test, sizeof(*node), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, node);
	node->start = start;
	node->last = last;
	KUNIT_EXPECT_NULL(test, iova_tree_insert(tree, node));
	return node;
}

/*
 * Check order, disjointness and gap of every node of a subtree.
 *
 * Return: the largest gap under @rb.
 */
static unsigned long check_subtree(struct kunit *test, struct rb_node *rb)
{
	struct iova_node *node, *prev;
	unsigned long gap, max_gap;
	struct rb_node *rb_before;

	if (!rb)
		return 0;
	node = rb_entry(rb, struct iova_node, rb);
	max_gap = max(check_subtree(test, rb->rb_left),
		      check_subtree(test, rb->rb_right));

	KUNIT_EXPECT_LE(test, node->start, node->last);
	gap = node->start;
	rb_before = rb_prev(rb);
	if (rb_before) {
		prev = rb_entry(rb_before, struct iova_node, rb);
		KUNIT_EXPECT_LT(test, prev->last, node->start);
		gap = node->start - prev->last - 1;
	}
	KUNIT_EXPECT_EQ(test, node->gap, gap);
	max_gap = max(max_gap, gap);
	KUNIT_EXPECT_EQ(test, node->max_gap, max_gap);
	return max_gap;
}

static void check_tree(struct kunit *test, const struct iova_tree *tree,
		       unsigned long nr)
{
	struct rb_node *rb;
	unsigned long n = 0;

	check_subtree(test, tree->root.rb_node);
	for (rb = rb_first(&tree->root); rb; rb = rb_next(rb))
		n++;
	KUNIT_EXPECT_EQ(test, n, nr);
	KUNIT_EXPECT_EQ(test, tree->nr, nr);
}

static int find(const struct iova_tree *tree, unsigned long first,
		unsigned long last, unsigned long length, unsigned long align,
		unsigned long offset, unsigned long *start)
{
	const struct iova_hole want = {
		.first = first,
		.last = last,
		.length = length,
		.align = align,
		.offset = offset,
	};

	return iova_tree_find_hole(tree, &want, start);
}

static void iova_tree_test_empty(struct kunit *test)
{
	struct iova_tree tree;
	unsigned long start;

	iova_tree_init(&tree);
	KUNIT_EXPECT_NULL(test, iova_tree_first(&tree, 0, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, 0, find(&tree, 0, ULONG_MAX, 1, 1, 0, &start));
	KUNIT_EXPECT_EQ(test, start, 0);
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, 0, ULONG_MAX, ULONG_MAX, 1, 0, &start));
	KUNIT_EXPECT_EQ(test, start, 0);
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, 1, ULONG_MAX, SZ_4K, SZ_2M, SZ_4K, &start));
	KUNIT_EXPECT_EQ(test, start, SZ_4K);
	/* The window is one byte too small, or has no aligned place */
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, 0, SZ_4K - 2, SZ_4K, 1, 0, &start));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, 1, SZ_2M, SZ_4K, SZ_2M, 0, &start));
}

/* Nothing may be computed past the last IOVA */
static void iova_tree_test_top(struct kunit *test)
{
	const unsigned long top = ULONG_MAX - SZ_4K + 1;
	struct iova_tree tree;
	struct iova_node *node;
	unsigned long start;

	iova_tree_init(&tree);
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, top, ULONG_MAX, SZ_4K, SZ_4K, 0, &start));
	KUNIT_EXPECT_EQ(test, start, top);
	/* The next aligned place would wrap to 0 */
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, top + 1, ULONG_MAX, 1, SZ_4K, 0, &start));

	node = tree_add(test, &tree, top, ULONG_MAX);
	check_tree(test, &tree, 1);
	KUNIT_EXPECT_PTR_EQ(test, node,
			    iova_tree_first(&tree, ULONG_MAX, ULONG_MAX));
	KUNIT_EXPECT_NULL(test, iova_tree_next(node, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, top, ULONG_MAX, 1, 1, 0, &start));
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, top - SZ_4K, ULONG_MAX, SZ_4K, SZ_4K, 0,
			     &start));
	KUNIT_EXPECT_EQ(test, start, top - SZ_4K);
	/* All that is left, to the byte */
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, 0, ULONG_MAX, top, 1, 0, &start));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, 0, ULONG_MAX, top + 1, 1, 0, &start));
}

static void iova_tree_test_bottom(struct kunit *test)
{
	struct iova_tree tree;
	struct iova_node *node;
	unsigned long start;

	iova_tree_init(&tree);
	node = tree_add(test, &tree, 0, SZ_4K - 1);
	check_tree(test, &tree, 1);
	KUNIT_EXPECT_PTR_EQ(test, node, iova_tree_first(&tree, 0, 0));
	KUNIT_EXPECT_NULL(test, iova_tree_first(&tree, SZ_4K, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, 0, ULONG_MAX, 1, 1, 0, &start));
	KUNIT_EXPECT_EQ(test, start, SZ_4K);
}

/* All of the address space is one range */
static void iova_tree_test_full(struct kunit *test)
{
	struct iova_tree tree;
	struct iova_node *node;
	unsigned long start;

	iova_tree_init(&tree);
	node = tree_add(test, &tree, 0, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, 0, ULONG_MAX, 1, 1, 0, &start));
	iova_tree_remove(&tree, node);
	check_tree(test, &tree, 0);
	KUNIT_EXPECT_EQ(test, 0, find(&tree, 0, ULONG_MAX, 1, 1, 0, &start));
}

static void iova_tree_test_walk(struct kunit *test)
{
	struct iova_node *a, *b, *c;
	struct iova_tree tree;

	iova_tree_init(&tree);
	b = tree_add(test, &tree, 100, 199);
	c = tree_add(test, &tree, 200, 200);
	a = tree_add(test, &tree, 10, 19);
	check_tree(test, &tree, 3);

	KUNIT_EXPECT_PTR_EQ(test, a, iova_tree_first(&tree, 0, 10));
	KUNIT_EXPECT_NULL(test, iova_tree_first(&tree, 0, 9));
	KUNIT_EXPECT_PTR_EQ(test, a, iova_tree_first(&tree, 19, 500));
	KUNIT_EXPECT_PTR_EQ(test, b, iova_tree_first(&tree, 20, 500));
	KUNIT_EXPECT_NULL(test, iova_tree_first(&tree, 20, 99));
	KUNIT_EXPECT_PTR_EQ(test, c, iova_tree_first(&tree, 200, 200));
	KUNIT_EXPECT_NULL(test, iova_tree_first(&tree, 201, ULONG_MAX));
	KUNIT_EXPECT_PTR_EQ(test, b, iova_tree_next(a, 100));
	KUNIT_EXPECT_NULL(test, iova_tree_next(a, 99));
	KUNIT_EXPECT_PTR_EQ(test, c, iova_tree_next(b, ULONG_MAX));
}

/*
 * Every gap has just the right length, so that none has room for the length
 * and the alignment together, and only one is aligned.
 */
static void iova_tree_test_exact_fit(struct kunit *test)
{
	const unsigned long nr = 200, aligned = 137;
	struct iova_tree tree;
	unsigned long start, i;

	iova_tree_init(&tree);
	for (i = 0; i < nr; i++) {
		/* Gaps of 64K in front of each, shifted by 4K but for one */
		unsigned long gap = i * SZ_1M + (i == aligned ? 0 : SZ_4K);

		tree_add(test, &tree, gap + SZ_64K,
			 (i + 1) * SZ_1M +
				 (i + 1 == aligned ? 0 : SZ_4K) - 1);
	}
	tree_add(test, &tree, 0, SZ_4K - 1);
	tree_add(test, &tree, nr * SZ_1M + SZ_4K, ULONG_MAX);
	check_tree(test, &tree, nr + 2);

	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, 0, ULONG_MAX, SZ_64K, SZ_64K, 0, &start));
	KUNIT_EXPECT_EQ(test, start, aligned * SZ_1M);
	KUNIT_EXPECT_EQ(test, 0,
			find(&tree, 0, ULONG_MAX, SZ_64K, SZ_64K, SZ_4K,
			     &start));
	KUNIT_EXPECT_EQ(test, start, SZ_4K);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, 0, ULONG_MAX, SZ_64K, SZ_64K, SZ_8K,
			     &start));
	/* The window cuts the one gap that would do */
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, 0, aligned * SZ_1M + SZ_64K - 2, SZ_64K,
			     SZ_64K, 0, &start));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find(&tree, aligned * SZ_1M + 1, ULONG_MAX, SZ_64K,
			     SZ_64K, 0, &start));
}

#define MODEL_SPACE 2048
#define MODEL_NODES 256

/**
 * struct tree_view - how the model's small space lies in the address space
 * @name: for the test's name
 * @base: the IOVA of position 0
 * @scale: IOVAs per position
 */
struct tree_view {
	const char *name;
	unsigned long base;
	unsigned long scale;
};

static const struct tree_view tree_views[] = {
	{ "bottom", 0, 1 },
	{ "bottom in pages", 0, SZ_4K },
	{ "middle in pages", 1UL << (BITS_PER_LONG - 2), SZ_4K },
	{ "top", ULONG_MAX - MODEL_SPACE + 1, 1 },
	{ "top in pages", ULONG_MAX - MODEL_SPACE * SZ_4K + 1, SZ_4K },
};

static void view_desc(const struct tree_view *view, char *desc)
{
	strscpy(desc, view->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(tree_view, tree_views, view_desc);

/**
 * struct tree_model - the tree as an array of positions
 * @view: where the positions are
 * @owner: who uses a position
 * @nodes: all nodes, used or not
 * @nr: number of nodes in the tree
 */
struct tree_model {
	const struct tree_view *view;
	struct iova_node *owner[MODEL_SPACE];
	struct iova_node nodes[MODEL_NODES];
	unsigned long nr;
};

static unsigned long model_iova(const struct tree_model *model,
				unsigned long pos)
{
	return model->view->base + pos * model->view->scale;
}

/* The last IOVA of a position */
static unsigned long model_last(const struct tree_model *model,
				unsigned long pos)
{
	return model_iova(model, pos) + (model->view->scale - 1);
}

static unsigned long model_pos(const struct tree_model *model,
			       unsigned long iova)
{
	return (iova - model->view->base) / model->view->scale;
}

static void random_insert(struct rnd_state *random, struct tree_model *model,
			  struct iova_tree *tree)
{
	unsigned long pos = fake_random_below(random, MODEL_SPACE);
	unsigned long max = 1 + fake_random_below(random, 16);
	struct iova_node *node;
	unsigned long n;

	node = &model->nodes[fake_random_below(random, MODEL_NODES)];
	if (node->last)
		return;
	for (n = 0; n < max && pos + n < MODEL_SPACE; n++) {
		if (model->owner[pos + n])
			break;
		model->owner[pos + n] = node;
	}
	if (!n)
		return;
	node->start = model_iova(model, pos);
	node->last = model_last(model, pos + n - 1);
	/* Zero says that the node is free */
	if (!node->last) {
		model->owner[pos] = NULL;
		return;
	}
	iova_tree_insert(tree, node);
	model->nr++;
}

static void random_remove(struct rnd_state *random, struct tree_model *model,
			  struct iova_tree *tree)
{
	struct iova_node *node =
		&model->nodes[fake_random_below(random, MODEL_NODES)];
	unsigned long pos;

	if (!node->last)
		return;
	iova_tree_remove(tree, node);
	for (pos = 0; pos < MODEL_SPACE; pos++)
		if (model->owner[pos] == node)
			model->owner[pos] = NULL;
	memset(node, 0, sizeof(*node));
	model->nr--;
}

static void random_walk(struct kunit *test, struct rnd_state *random,
			const struct tree_model *model,
			const struct iova_tree *tree)
{
	unsigned long first = fake_random_below(random, MODEL_SPACE);
	unsigned long last = first + fake_random_below(random,
						       MODEL_SPACE - first);
	struct iova_node *node, *seen = NULL;
	unsigned long pos;

	node = iova_tree_first(tree, model_iova(model, first),
			       model_last(model, last));
	for (pos = first; pos <= last; pos++) {
		struct iova_node *owner = model->owner[pos];

		if (!owner || owner == seen)
			continue;
		KUNIT_ASSERT_PTR_EQ(test, node, owner);
		seen = owner;
		node = iova_tree_next(node, model_last(model, last));
	}
	KUNIT_EXPECT_NULL(test, node);
}

/* Is there any place for it, by trying them all? */
static bool model_has_hole(const struct tree_model *model, unsigned long first,
			   unsigned long last, const struct iova_hole *want)
{
	unsigned long n = want->length / model->view->scale;
	unsigned long pos, free = 0;

	for (pos = first; pos <= last; pos++) {
		free = model->owner[pos] ? 0 : free + 1;
		if (free >= n &&
		    !((model_iova(model, pos + 1 - n) - want->offset) &
		      (want->align - 1)))
			return true;
	}
	return false;
}

static void random_find(struct kunit *test, struct rnd_state *random,
			const struct tree_model *model,
			const struct iova_tree *tree)
{
	unsigned long scale = model->view->scale;
	unsigned long first = fake_random_below(random, MODEL_SPACE);
	unsigned long last = first + fake_random_below(random,
						       MODEL_SPACE - first);
	unsigned long n = 1 + fake_random_below(random, 32);
	unsigned long align = 1UL << fake_random_below(random, 7);
	unsigned long start, pos;
	struct iova_hole want;
	int rc;

	want.first = model_iova(model, first);
	want.last = model_last(model, last);
	want.length = n * scale;
	want.align = align * scale;
	want.offset = fake_random_below(random, align) * scale;
	rc = iova_tree_find_hole(tree, &want, &start);
	if (rc) {
		KUNIT_EXPECT_EQ(test, rc, -ENOSPC);
		KUNIT_EXPECT_FALSE(test,
				   model_has_hole(model, first, last, &want));
		return;
	}
	KUNIT_EXPECT_GE(test, start, want.first);
	KUNIT_EXPECT_LE(test, start + (want.length - 1), want.last);
	KUNIT_EXPECT_GE(test, start + (want.length - 1), start);
	KUNIT_EXPECT_EQ(test, (start - want.offset) & (want.align - 1), 0);
	for (pos = model_pos(model, start); n--; pos++)
		KUNIT_ASSERT_NULL(test, model->owner[pos]);
}

/* Whatever is done to it, the tree finds what an array of positions has */
static void iova_tree_test_random(struct kunit *test)
{
	struct rnd_state random;
	struct tree_model *model;
	struct iova_tree tree;
	unsigned int i;

	model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);
	model->view = test->param_value;
	iova_tree_init(&tree);
	fake_random_init(test, &random);

	for (i = 0; i < 6000 && test->status == KUNIT_SUCCESS; i++) {
		/* Waves of filling and of emptying */
		bool filling = i / 500 % 2 == 0;

		switch (fake_random_below(&random, 6)) {
		case 0:
		case 1:
			random_insert(&random, model, &tree);
			break;
		case 2:
			random_remove(&random, model, &tree);
			break;
		case 3:
			if (filling)
				random_insert(&random, model, &tree);
			else
				random_remove(&random, model, &tree);
			break;
		case 4:
			random_walk(test, &random, model, &tree);
			continue;
		default:
			random_find(test, &random, model, &tree);
			continue;
		}
		check_tree(test, &tree, model->nr);
	}
}

/* A range that overlaps others is not added, and the lowest of them is told */
static void iova_tree_test_overlap(struct kunit *test)
{
	struct iova_tree tree;
	struct iova_node *low, *high;
	const struct {
		unsigned long start;
		unsigned long last;
		bool lowest;
	} ranges[] = {
		{ 0x1000, 0x1fff, true }, { 0x800, 0x1000, true },
		{ 0x1fff, 0x2800, true }, { 0x1800, 0x1800, true },
		{ 0x800, 0x4800, true },  { 0x1800, 0x3800, true },
		{ 0x2800, 0x3000, false }, { 0x3fff, 0x3fff, false },
		{ 0x2000, ULONG_MAX, false },
	};
	struct iova_node node;
	unsigned int i;

	iova_tree_init(&tree);
	low = tree_add(test, &tree, 0x1000, 0x1fff);
	high = tree_add(test, &tree, 0x3000, 0x3fff);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		node = (struct iova_node){ .start = ranges[i].start,
					   .last = ranges[i].last };
		KUNIT_EXPECT_PTR_EQ(test, iova_tree_insert(&tree, &node),
				    ranges[i].lowest ? low : high);
		check_tree(test, &tree, 2);
	}
	node = (struct iova_node){ .start = 0x2000, .last = 0x2fff };
	KUNIT_EXPECT_NULL(test, iova_tree_insert(&tree, &node));
	check_tree(test, &tree, 3);
}

static struct kunit_case iova_tree_cases[] = {
	KUNIT_CASE(iova_tree_test_empty),
	KUNIT_CASE(iova_tree_test_top),
	KUNIT_CASE(iova_tree_test_bottom),
	KUNIT_CASE(iova_tree_test_full),
	KUNIT_CASE(iova_tree_test_walk),
	KUNIT_CASE(iova_tree_test_exact_fit),
	KUNIT_CASE(iova_tree_test_overlap),
	KUNIT_CASE_PARAM(iova_tree_test_random, tree_view_gen_params),
	{}
};

static struct kunit_suite iova_tree_suite = {
	.name = "iommufd_iova_tree",
	.test_cases = iova_tree_cases,
};

kunit_test_suite(iova_tree_suite);
