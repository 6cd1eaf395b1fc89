// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of combining ranges of IOVA, without a device.
 */
#include <kunit/test.h>
#include <linux/interval_tree.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "../vfio.h"

#define COMBINE_MAX	64

static int cmp_ulong(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a;
	unsigned long y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/*
 * Combines nr random ranges to req and compares with what sorting all gaps says
 * must be lost.
 */
static void combine_once(struct kunit *test, struct rnd_state *rnd,
			 struct interval_tree_node *nodes, unsigned int nr,
			 unsigned int req)
{
	unsigned long gaps[COMBINE_MAX], pos = 0, before = 0, after = 0;
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *node, *next;
	unsigned long first, last = 0;
	unsigned int i, left = 0;

	for (i = 0; i < nr; i++) {
		/* Adjacent ranges, and gaps of equal size, are allowed */
		gaps[i] = prandom_u32_state(rnd) % 16;
		pos += gaps[i];
		nodes[i].start = pos;
		nodes[i].last = pos + prandom_u32_state(rnd) % 8;
		before += nodes[i].last - nodes[i].start + 1;
		pos = nodes[i].last + 1;
	}
	first = nodes[0].start;
	last = nodes[nr - 1].last;
	for (i = 0; i < nr; i++)
		interval_tree_insert(&nodes[i], &root);

	/* The one in front of the first range is none */
	sort(gaps + 1, nr - 1, sizeof(*gaps), cmp_ulong, NULL);
	for (i = 1; i + req <= nr; i++)
		before += gaps[i];

	vfio_combine_iova_ranges(&root, nr, req);

	node = interval_tree_iter_first(&root, 0, ULONG_MAX);
	KUNIT_ASSERT_NOT_NULL(test, node);
	KUNIT_EXPECT_EQ(test, node->start, first);
	while (node) {
		left++;
		after += node->last - node->start + 1;
		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (next)
			KUNIT_EXPECT_LT(test, node->last, next->start);
		else
			KUNIT_EXPECT_EQ(test, node->last, last);
		node = next;
	}
	KUNIT_EXPECT_EQ(test, left, min(nr, req));
	KUNIT_EXPECT_EQ(test, after, before);
}

static void combine_random(struct kunit *test)
{
	struct interval_tree_node *nodes;
	u64 seed = get_random_u64();
	struct rnd_state rnd;
	unsigned int i, nr, req;

	nodes = kunit_kcalloc(test, COMBINE_MAX, sizeof(*nodes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, nodes);

	kunit_info(test, "seed 0x%llx\n", seed);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < 500; i++) {
		nr = 1 + prandom_u32_state(&rnd) % COMBINE_MAX;
		req = 1 + prandom_u32_state(&rnd) % COMBINE_MAX;
		combine_once(test, &rnd, nodes, nr, req);
	}
}

static void combine_top(struct kunit *test)
{
	struct interval_tree_node low = { .start = 0, .last = 0 };
	struct interval_tree_node high = { .start = ULONG_MAX,
					   .last = ULONG_MAX };
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *node;

	interval_tree_insert(&low, &root);
	interval_tree_insert(&high, &root);
	vfio_combine_iova_ranges(&root, 2, 1);

	node = interval_tree_iter_first(&root, 0, ULONG_MAX);
	KUNIT_ASSERT_NOT_NULL(test, node);
	KUNIT_EXPECT_EQ(test, node->start, 0);
	KUNIT_EXPECT_EQ(test, node->last, ULONG_MAX);
	KUNIT_EXPECT_NULL(test, interval_tree_iter_next(node, 0, ULONG_MAX));
}

static struct kunit_case vfio_combine_cases[] = {
	KUNIT_CASE(combine_random),
	KUNIT_CASE(combine_top),
	{}
};

static struct kunit_suite vfio_combine_suite = {
	.name = "vfio_combine_iova_ranges",
	.test_cases = vfio_combine_cases,
};

kunit_test_suites(&vfio_combine_suite);
