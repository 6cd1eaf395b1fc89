// SPDX-License-Identifier: GPL-2.0-only
/*
 * What devices have written, as IOMMU drivers tell it that know no bitmap.
 */
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "dirty_gather.h"

/**
 * struct dirty_search - one search
 * @domain: the domain
 * @shift: log2 of its smallest page
 * @start: first IOVA, which is the first one of a leaf
 * @last: last IOVA, which is the last one of a leaf
 * @flags: IOMMU_DIRTY_NO_CLEAR or 0
 * @dirty: the bitmap, and the gather for what has been cleared
 * @run_start: first IOVA of what has been reported and not been cleared yet
 * @run_last: last IOVA of that
 * @run: there is something to clear
 */
struct dirty_search {
	struct iommu_domain *domain;
	unsigned int shift;
	unsigned long start;
	unsigned long last;
	unsigned long flags;
	struct iommu_dirty_bitmap *dirty;
	unsigned long run_start;
	unsigned long run_last;
	bool run;
};

static int dirty_call(struct dirty_search *search, unsigned long start,
		      unsigned long last, unsigned long flags,
		      struct iommu_iotlb_gather *gather)
{
	struct iommu_domain *domain = search->domain;
	struct iommu_dirty_bitmap dirty;

	iommu_dirty_bitmap_init(&dirty, NULL, NULL);
	dirty.gather = gather;
	return domain->dirty_ops->read_and_clear_dirty(domain, start,
						       last - start + 1, flags,
						       &dirty);
}

static int dirty_clear_run(struct dirty_search *search)
{
	if (!search->run)
		return 0;
	search->run = false;
	return dirty_call(search, search->run_start, search->run_last, 0,
			  search->dirty->gather);
}

/* All leaves from @start to @last are dirty */
static int dirty_report(struct dirty_search *search, unsigned long start,
			unsigned long last)
{
	int rc;

	iova_bitmap_set(search->dirty->bitmap, start, last - start + 1);
	if (search->flags & IOMMU_DIRTY_NO_CLEAR)
		return 0;
	if (!search->run || search->run_last + 1 != start) {
		rc = dirty_clear_run(search);
		if (rc)
			return rc;
		search->run_start = start;
		search->run = true;
	}
	search->run_last = last;
	return 0;
}

/*
 * The record at @start is larger than the block that was looked at: it is of one leaf,
 * and only its size is believed. Gives the last IOVA of the leaf in *@last.
 */
static int dirty_report_large(struct dirty_search *search, unsigned long start,
			      unsigned long *last)
{
	unsigned long size = *last - start + 1;

	if (!is_power_of_2(size))
		return -EIO;
	start = ALIGN_DOWN(start, size);
	*last = start + (size - 1);
	if (start < search->start || *last > search->last)
		return -EIO;
	return dirty_report(search, start, *last);
}

/*
 * Look at the blocks of one size in a range that ends with a leaf. @start is as the
 * comment about looks demands.
 */
static int dirty_search_blocks(struct dirty_search *search, unsigned long start,
			       unsigned long last, unsigned int level)
{
	unsigned long block = BIT(search->shift + level * DIRTY_FANOUT_SHIFT);
	unsigned long pages;
	int rc;

	while (true) {
		unsigned long end = min(last, start | (block - 1));
		struct iommu_iotlb_gather found;

		/* One leaf that might be large may be very many small ones */
		if (level && fatal_signal_pending(current))
			return -EINTR;
		iommu_iotlb_gather_init(&found);
		rc = dirty_call(search, start, end, IOMMU_DIRTY_NO_CLEAR,
				&found);
		if (rc)
			return rc;
		if (found.start <= found.end) {
			if (found.start < start || found.start > end)
				return -EIO;
			pages = ((found.end - found.start) >> search->shift) + 1;
			if (found.end > end) {
				rc = dirty_report_large(search, found.start,
							&found.end);
				end = found.end;
			} else if (pages <= 2) {
				/* A leaf at each end, or one that is both */
				rc = dirty_report(search, found.start,
						  found.end);
			} else {
				rc = dirty_search_blocks(search, found.start,
							 found.end, level - 1);
			}
			if (rc)
				return rc;
		}
		if (end >= last)
			return 0;
		start = end + 1;
		cond_resched();
	}
}

/**
 * iommufd_dirty_gather_read - report dirty pages that the driver does not report
 * @domain: the domain; nothing is mapped or unmapped in the range meanwhile
 * @start: first IOVA, which is the first one of a leaf
 * @last: last IOVA, inclusive, which is the last one of a leaf
 * @flags: IOMMU_DIRTY_NO_CLEAR to leave all dirty, or 0
 * @dirty: where to report it, and a gather that receives what has to be flushed from
 *         the IOTLB, also after an error
 *
 * All between is mapped. Takes the place of read_and_clear_dirty() of a driver that does
 * not report to our bitmap. Yields; nothing that has been cleared goes unreported if it
 * fails.
 *
 * Return: 0, -EIO if the driver is not as it has to be, -EINTR if the caller was killed,
 * or an error of the driver.
 */
int iommufd_dirty_gather_read(struct iommu_domain *domain, unsigned long start,
			      unsigned long last, unsigned long flags,
			      struct iommu_dirty_bitmap *dirty)
{
	struct dirty_search search = {
		.domain = domain,
		.shift = __ffs(domain->pgsize_bitmap),
		.start = start,
		.last = last,
		.flags = flags,
		.dirty = dirty,
	};
	int rc;

	rc = dirty_search_blocks(&search, start, last, DIRTY_LEVELS);
	if (rc)
		return rc;
	return dirty_clear_run(&search);
}
