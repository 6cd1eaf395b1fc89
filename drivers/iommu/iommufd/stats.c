// SPDX-License-Identifier: GPL-2.0-only
/*
 * An address space in numbers, for fdinfo.
 */
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "io_pagetable.h"

/* The same as IOPT_RUNS_STEP for areas */
#define IOPT_STATS_STEP 4096

/*
 * Add the next areas from *iova on, and move on. Return false if there are no
 * more.
 */
static bool iopt_add_stats(struct io_pagetable *iopt, unsigned long *iova,
			   struct iopt_stats *stats)
{
	struct iova_node *node =
		iova_tree_first(&iopt->areas, *iova, ULONG_MAX);
	unsigned int n;

	for (n = 0; node && n < IOPT_STATS_STEP; n++) {
		struct iopt_area *area = iopt_area_of(node);

		stats->areas++;
		stats->mapped += iopt_area_length(area);
		if (area->pages->source != IOPT_PAGES_MMIO &&
		    !list_empty(&iopt->domains))
			stats->pinned += iopt_area_length(area);
		*iova = node->last + 1;
		node = iova_tree_next(node, ULONG_MAX);
	}
	return node;
}

/**
 * iopt_get_stats - sum up an address space
 * @iopt: the address space; the caller has no lock of it
 * @stats: receives the sums
 *
 * Others are held up for a step of the walk only. What they map and unmap
 * between two steps may be counted or not.
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iopt_get_stats(struct io_pagetable *iopt, struct iopt_stats *stats)
{
	struct interval_tree_node *reserved;
	unsigned long iova = 0;
	bool more;

	*stats = (struct iopt_stats){};
	do {
		if (fatal_signal_pending(current) || iopt_lock_to_look(iopt))
			return -EINTR;
		more = iopt_add_stats(iopt, &iova, stats);
		if (!more) {
			stats->alignment = iopt->alignment;
			for (reserved = interval_tree_iter_first(&iopt->reserved,
								 0, ULONG_MAX);
			     reserved;
			     reserved = interval_tree_iter_next(reserved, 0,
								ULONG_MAX))
				stats->reserved++;
		}
		iopt_unlock_after_look(iopt);
		cond_resched();
	} while (more);
	return 0;
}

/* A part of an area that iopt_count_runs() looks at with one lock held */
struct runs_step {
	struct iopt_pages *pages;
	unsigned long index;
	unsigned long last;
	bool new_area;
};

/*
 * Find what there is at *iova or next after it, and move on; the locks are held.
 * Return false if there is nothing; else @step may have no pages, where nothing
 * is pinned.
 */
static bool iopt_runs_find_step(struct io_pagetable *iopt, unsigned long *iova,
				bool *at_end, struct runs_step *step)
{
	struct iova_node *node;
	struct iopt_area *area;
	unsigned long offset;

	node = iova_tree_first(&iopt->areas, *iova, ULONG_MAX);
	if (!node || list_empty(&iopt->domains))
		return false;

	area = iopt_area_of(node);
	step->new_area = *iova <= node->start;
	offset = area->page_offset + (max(*iova, node->start) - node->start);
	step->index = area->user.start + (offset >> PAGE_SHIFT);
	step->last = area->user.last;
	step->pages = iopt_area_at(iopt, node->start) ? area->pages : NULL;
	if (step->pages)
		iopt_pages_get(step->pages);

	if (step->pages && step->last - step->index >= IOPT_RUNS_STEP) {
		step->last = step->index + IOPT_RUNS_STEP - 1;
		*iova = node->start - area->page_offset +
			(step->last + 1 - area->user.start) * PAGE_SIZE;
	} else {
		*at_end = check_add_overflow(node->last, 1UL, iova);
	}
	return true;
}

/* Return 1, 0 if there is nothing, or -EINTR */
static int iopt_runs_next_step(struct io_pagetable *iopt, unsigned long *iova,
			       bool *at_end, struct runs_step *step)
{
	bool found;

	if (iopt_lock_to_look(iopt))
		return -EINTR;
	found = iopt_runs_find_step(iopt, iova, at_end, step);
	iopt_unlock_after_look(iopt);
	return found;
}

/**
 * iopt_count_runs - count the runs of the memory that is filled into domains
 * @iopt: the address space; the caller has no lock of it
 * @runs: receives the counts
 *
 * Memory that is mapped twice is counted twice. A run ends where its area ends.
 * What is mapped and unmapped during the walk may be counted or not: others are
 * held up by one step only.
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iopt_count_runs(struct io_pagetable *iopt, struct iopt_runs *runs)
{
	struct runs_step step;
	unsigned long iova = 0;
	bool at_end = false;
	int rc = 0;

	*runs = (struct iopt_runs){};
	while (!rc && !at_end) {
		rc = iopt_runs_next_step(iopt, &iova, &at_end, &step);
		if (rc <= 0)
			break;
		rc = 0;
		if (step.new_area)
			iopt_runs_finish(runs);
		if (step.pages) {
			rc = iopt_pages_count_runs(step.pages, step.index,
						   step.last, runs);
			iopt_pages_put(step.pages);
		}
		if (fatal_signal_pending(current))
			rc = -EINTR;
		cond_resched();
	}
	iopt_runs_finish(runs);
	return rc;
}
