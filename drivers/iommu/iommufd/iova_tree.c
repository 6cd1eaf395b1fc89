// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disjoint IOVA ranges with gap tracking, see iova_tree.h.
 */
#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "iova_tree.h"

#define node_gap(node) ((node)->gap)
RB_DECLARE_CALLBACKS_MAX(static, gap_callbacks, struct iova_node, rb,
			 unsigned long, max_gap, node_gap)

static struct iova_node *iova_tree_node(struct rb_node *rb)
{
	return rb_entry_safe(rb, struct iova_node, rb);
}

/* A gap of @node or of a node below it has become as large as @gap */
static void iova_tree_gap_grew(struct iova_node *node, unsigned long gap)
{
	while (node && node->max_gap < gap) {
		node->max_gap = gap;
		node = iova_tree_node(rb_parent(&node->rb));
	}
}

/**
 * iova_tree_insert - add a range, unless it overlaps one that is in the tree
 * @tree: the tree
 * @node: the range, with start and last set
 *
 * Return: NULL, or the lowest range that @node overlaps, with nothing changed.
 */
struct iova_node *iova_tree_insert(struct iova_tree *tree,
				   struct iova_node *node)
{
	struct rb_node **link = &tree->root.rb_node;
	struct iova_node *prev = NULL;
	struct iova_node *next = NULL;
	struct rb_node *parent = NULL;

	if (tree->last && node->start > tree->last->last) {
		prev = tree->last;
		parent = &prev->rb;
		link = &parent->rb_right;
	}
	while (*link) {
		struct iova_node *cur = iova_tree_node(*link);

		parent = *link;
		if (node->start < cur->start) {
			next = cur;
			link = &parent->rb_left;
		} else {
			prev = cur;
			link = &parent->rb_right;
		}
	}

	if (prev && prev->last >= node->start)
		return prev;
	if (next && next->start <= node->last)
		return next;

	node->gap = prev ? node->start - prev->last - 1 : node->start;
	node->max_gap = node->gap;
	rb_link_node(&node->rb, parent, link);
	/*
	 * The rebalancing trusts max_gap on the way up, so it has to be right
	 * before the colours are fixed.
	 */
	iova_tree_gap_grew(iova_tree_node(parent), node->gap);
	rb_insert_augmented(&node->rb, &tree->root, &gap_callbacks);
	if (next) {
		next->gap = next->start - node->last - 1;
		gap_callbacks_propagate(&next->rb, NULL);
	} else {
		tree->last = node;
	}
	tree->nr++;
	return NULL;
}

/**
 * iova_tree_remove - take a range out of its tree
 * @tree: the tree
 * @node: a node of it
 */
void iova_tree_remove(struct iova_tree *tree, struct iova_node *node)
{
	struct iova_node *next = iova_tree_node(rb_next(&node->rb));

	/* First, so that hardly a maximum changes when @node goes */
	if (next) {
		next->gap = node->gap + (next->start - node->start);
		iova_tree_gap_grew(next, next->gap);
	} else {
		tree->last = iova_tree_node(rb_prev(&node->rb));
	}
	rb_erase_augmented(&node->rb, &tree->root, &gap_callbacks);
	tree->nr--;
}

/* The lowest node that ends at or after @iova */
static struct iova_node *
iova_tree_first_ending_from(const struct iova_tree *tree, unsigned long iova)
{
	struct rb_node *rb = tree->root.rb_node;
	struct iova_node *best = NULL;

	while (rb) {
		struct iova_node *cur = iova_tree_node(rb);

		if (cur->last >= iova) {
			best = cur;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return best;
}

/**
 * iova_tree_first - the lowest range that intersects an interval
 * @tree: the tree
 * @start: first IOVA of the interval
 * @last: last IOVA of it, inclusive
 *
 * Return: the node or NULL.
 */
struct iova_node *iova_tree_first(const struct iova_tree *tree,
				  unsigned long start, unsigned long last)
{
	struct iova_node *node = iova_tree_first_ending_from(tree, start);

	return node && node->start <= last ? node : NULL;
}

/**
 * iova_tree_next - the range after @node
 * @node: a node of a tree
 * @last: last IOVA of the interval that is walked, inclusive
 *
 * Return: the next node if it starts inside the interval, or NULL.
 */
struct iova_node *iova_tree_next(struct iova_node *node, unsigned long last)
{
	struct iova_node *next;

	if (node->last >= last)
		return NULL;
	next = iova_tree_node(rb_next(&node->rb));
	return next && next->start <= last ? next : NULL;
}

/* The lowest node under @rb whose gap is at least @size; there is one */
static struct iova_node *iova_tree_descend_to_gap(struct rb_node *rb,
						  unsigned long size)
{
	for (;;) {
		struct iova_node *cur = iova_tree_node(rb);
		struct iova_node *left = iova_tree_node(rb->rb_left);

		if (left && left->max_gap >= size) {
			rb = rb->rb_left;
			continue;
		}
		if (cur->gap >= size)
			return cur;
		rb = rb->rb_right;
	}
}

/* The next node in order after @node whose gap is at least @size, or NULL */
static struct iova_node *iova_tree_next_gap(struct iova_node *node,
					    unsigned long size)
{
	struct rb_node *rb = &node->rb;

	for (;;) {
		struct iova_node *right = iova_tree_node(rb->rb_right);
		struct rb_node *parent;

		if (right && right->max_gap >= size)
			return iova_tree_descend_to_gap(rb->rb_right, size);

		while ((parent = rb_parent(rb)) && rb == parent->rb_right)
			rb = parent;
		if (!parent)
			return NULL;
		rb = parent;
		if (iova_tree_node(rb)->gap >= size)
			return iova_tree_node(rb);
	}
}

/* Does @want fit between @lo and @hi, both inclusive? */
static bool iova_tree_fits(const struct iova_hole *want, unsigned long lo,
			   unsigned long hi, unsigned long *start)
{
	unsigned long pad, end;

	lo = max(lo, want->first);
	hi = min(hi, want->last);
	pad = (want->offset - lo) & (want->align - 1);
	if (check_add_overflow(lo, pad, &lo) ||
	    check_add_overflow(lo, want->length - 1, &end) || end > hi)
		return false;
	*start = lo;
	return true;
}

/* Gaps to try before others get the processor, and a signal is seen */
#define HOLE_STEP 1024

/* Try every gap of at least @size IOVAs, from low to high */
static int iova_tree_find_hole_from(const struct iova_tree *tree,
				    const struct iova_hole *want,
				    unsigned long size, unsigned long *start)
{
	struct iova_node *node = iova_tree_first_ending_from(tree, want->first);
	unsigned int tries = 0;
	unsigned long lo;

	while (node) {
		if (node->gap >= size &&
		    iova_tree_fits(want, node->start - node->gap,
				   node->start - 1, start))
			return 0;
		if (node->start > want->last)
			return -ENOSPC;
		node = iova_tree_next_gap(node, size);
		if (!(++tries % HOLE_STEP)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
	}

	/* What is left is the space behind the last node */
	node = tree->last;
	lo = 0;
	if (node && check_add_overflow(node->last, 1UL, &lo))
		return -ENOSPC;
	return iova_tree_fits(want, lo, ULONG_MAX, start) ? 0 : -ENOSPC;
}

/**
 * iova_tree_find_hole - find a free range
 * @tree: the tree
 * @want: what to look for
 * @start: receives the first IOVA of the hole
 *
 * A gap that is larger than the length by the alignment fits in any case, so
 * that looking for such a one first makes the common case O(log n). Only when
 * there is none all gaps that might fit are tried, which a user can make many.
 * May sleep.
 *
 * Return: 0, -ENOSPC if there is no such hole, or -EINTR if the caller was killed
 * while it was looked for.
 */
int iova_tree_find_hole(const struct iova_tree *tree,
			const struct iova_hole *want, unsigned long *start)
{
	unsigned long padded;
	int rc;

	if (!check_add_overflow(want->length, want->align - 1, &padded)) {
		rc = iova_tree_find_hole_from(tree, want, padded, start);
		if (rc != -ENOSPC)
			return rc;
	}
	return iova_tree_find_hole_from(tree, want, want->length, start);
}
