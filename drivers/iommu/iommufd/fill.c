// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fill pinned memory into domains, by runs.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "mmio.h"
#include "pages.h"
#include "translate.h"

/* Runs to map before others get the processor, and a signal is seen */
#define FILL_RUNS 64

/*
 * How much of a run to map at once, ending where no translation can span: a run
 * can be as large as memory is.
 */
static size_t iopt_fill_step(unsigned long iova, size_t length)
{
	return min(length, SZ_1G - (iova & (SZ_1G - 1)));
}

/* Map all runs, but do not let devices see them yet */
static int iopt_fill_runs(const struct iopt_slice *slice,
			  struct iopt_domain *item, unsigned long iova,
			  int prot, bool small_pages)
{
	size_t max_page = small_pages ? PAGE_SIZE : SZ_1G;
	struct pfn_cursor cursor =
		pfn_cursor_init(&slice->pages->store, slice->index,
				iopt_slice_last_index(slice));
	unsigned int offset = slice->page_offset;
	unsigned int runs = 0;
	phys_addr_t phys = 0;
	size_t done = 0;
	size_t left = 0;
	int rc = 0;

	while (done < slice->length) {
		size_t n;

		if (!left) {
			unsigned long npages, pfn;

			npages = pfn_cursor_next(&cursor, &pfn);
			phys = PFN_PHYS(pfn) + offset;
			left = min(slice->length - done,
				   npages * PAGE_SIZE - offset);
			offset = 0;
		}
		n = iopt_fill_step(iova + done, left);
		rc = iopt_translate(item, iova + done, phys, n, max_page, prot,
				    GFP_KERNEL_ACCOUNT);
		if (rc)
			break;
		done += n;
		phys += n;
		left -= n;
		if (!(++runs % FILL_RUNS) || n >= SZ_2M) {
			cond_resched();
			if (fatal_signal_pending(current) &&
			    done < slice->length) {
				rc = -EINTR;
				break;
			}
		}
	}
	if (rc && done)
		iopt_untranslate_sync(item, iova, done);
	return rc;
}

/**
 * iopt_slice_map - fill pinned memory into a domain
 * @slice: which memory; a user covers it and the mutex of its pages is held
 * @item: the domain
 * @iova: IOVA of the first byte; nothing is mapped there
 * @prot: IOMMU_READ and so on
 * @small_pages: make no translation larger than PAGE_SIZE
 *
 * Return: 0; or with nothing mapped, the error of the IOMMU driver, or -EINTR if
 * the caller was killed.
 */
int iopt_slice_map(const struct iopt_slice *slice, struct iopt_domain *item,
		   unsigned long iova, int prot, bool small_pages)
{
	int rc;

	lockdep_assert_held(&slice->pages->mutex);

	if (slice->pages->source == IOPT_PAGES_MMIO)
		return iommufd_mmio_map(slice->pages->mmio, item, iova,
					slice->index * PAGE_SIZE +
						slice->page_offset,
					slice->length, prot, small_pages);

	rc = iopt_fill_runs(slice, item, iova, prot, small_pages);
	if (rc)
		return rc;
	rc = iopt_translate_sync(item, iova, slice->length);
	if (rc)
		iopt_untranslate_sync(item, iova, slice->length);
	return rc;
}
