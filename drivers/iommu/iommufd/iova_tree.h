/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_IOVA_TREE_H
#define __IOMMUFD_IOVA_TREE_H

#include <linux/rbtree.h>
#include <linux/types.h>

/**
 * DOC: iova_tree
 *
 * A set of disjoint closed IOVA ranges that answers in O(log n): which range
 * covers an IOVA or is the next one after it, and where is a hole of a given
 * length and alignment, a low one rather than a high one. Each node knows how many free IOVAs lie
 * directly before it, and the tree is augmented with the largest of these
 * gaps per subtree.
 *
 * Nodes are embedded, so that neither insertion nor removal allocates or can
 * fail. Locking is the owner's.
 */

/**
 * struct iova_node - one used range, embedded in the object that uses it
 * @rb: link in the tree
 * @start: first IOVA
 * @last: last IOVA, inclusive; may be ULONG_MAX
 * @gap: number of free IOVAs between the previous node and @start
 * @max_gap: the largest @gap in the subtree under this node
 */
struct iova_node {
	struct rb_node rb;
	unsigned long start;
	unsigned long last;
	unsigned long gap;
	unsigned long max_gap;
};

struct iova_tree {
	struct rb_root root;
	/* The highest one: what comes after it needs no search */
	struct iova_node *last;
	/* Number of nodes */
	unsigned long nr;
};

/**
 * struct iova_hole - what iova_tree_find_hole() looks for
 * @first: the hole may not start below this IOVA
 * @last: the hole may not end above this IOVA, inclusive
 * @length: bytes, not 0
 * @align: power of two
 * @offset: the hole's start is congruent to this modulo @align
 */
struct iova_hole {
	unsigned long first;
	unsigned long last;
	unsigned long length;
	unsigned long align;
	unsigned long offset;
};

static inline void iova_tree_init(struct iova_tree *tree)
{
	tree->root = RB_ROOT;
	tree->last = NULL;
	tree->nr = 0;
}

struct iova_node *iova_tree_insert(struct iova_tree *tree,
				   struct iova_node *node);
void iova_tree_remove(struct iova_tree *tree, struct iova_node *node);
struct iova_node *iova_tree_first(const struct iova_tree *tree,
				  unsigned long start, unsigned long last);
struct iova_node *iova_tree_next(struct iova_node *node, unsigned long last);
int iova_tree_find_hole(const struct iova_tree *tree,
			const struct iova_hole *want, unsigned long *start);

#endif
