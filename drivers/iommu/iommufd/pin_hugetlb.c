// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pin user memory of hugetlbfs by folio: get_user_pages() would write a pointer
 * for each page, which costs more than all else that a large mapping needs.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>

#include "mock/hooks.h"
#include "pages.h"

/* Folios to pin before others get mmap_lock and the processor */
#define PIN_HUGETLB 32U

/**
 * iopt_pin_each_page - turn a pin of a folio into one for each of its pages
 * @folio: the folio, pinned once
 * @npages: how many pins there shall be, as if get_user_pages() had been called for
 *          that many pages of it
 *
 * Return: 0, or -ENOMEM with nothing changed if it has too many already.
 */
int iopt_pin_each_page(struct folio *folio, unsigned long npages)
{
	int more = npages - 1;

	if (!more)		/* Always so if it is not a large folio */
		return 0;
	/* As an unsigned one it is also large after it has wrapped */
	if ((unsigned int)folio_ref_count(folio) > INT_MAX / 2 - more)
		return -ENOMEM;
	folio_ref_add(folio, more);
	atomic_add(more, &folio->_pincount);
	mod_node_page_state(folio_pgdat(folio), NR_FOLL_PIN_ACQUIRED, more);
	return 0;
}

/*
 * Pin and store what one folio has from @index on, in a mapping of hugetlbfs that
 * reaches to @last. Return how many indices.
 *
 * Such a mapping consists of whole folios, and mmap_lock keeps it: no entry of the
 * page table leads to a part of a folio, so where the page at @index is, the pages
 * behind it are behind it. The pin keeps the folio from being migrated, and
 * get_user_pages() has checked, or else refuses, what concerns all of it alike: may
 * it be written to, is it shared with a child, may it be pinned for long.
 */
static unsigned long iopt_pin_hugetlb_folio(struct iopt_pages *pages,
					    unsigned long index,
					    unsigned long last)
{
	unsigned long addr = (unsigned long)pages->uptr + index * PAGE_SIZE;
	unsigned int flags = FOLL_LONGTERM | FOLL_NOFAULT;
	unsigned long npages, skip;
	struct folio *folio;
	struct page *page;

	if (pages->writable)
		flags |= FOLL_WRITE;
	if (pin_user_pages(addr, 1, flags, &page) != 1)
		return 0;
	folio = page_folio(page);
	skip = folio_page_idx(folio, page);
	npages = min(last - index + 1, folio_nr_pages(folio) - skip);
	if (!pfn_store_set_run(&pages->store, index, page_to_pfn(page),
			       npages) &&
	    !iopt_pin_each_page(folio, npages))
		return npages;
	unpin_user_page(page);
	return 0;
}

/**
 * iopt_pin_hugetlb - pin user memory of hugetlbfs that is there
 * @pages: the pages; their mutex is held, maybe by the thread that this one helps
 * @index: where to begin
 * @last: where to end at the latest, inclusive
 *
 * Faults nothing in, and whatever else goes wrong is no error here: the caller does
 * what is left with get_user_pages(), which waits for faults without mmap_lock, can
 * be killed, and knows the errors.
 *
 * Return: how many indices from @index on are pinned and stored, maybe none.
 */
unsigned long iopt_pin_hugetlb(struct iopt_pages *pages, unsigned long index,
			       unsigned long last)
{
	unsigned long addr = (unsigned long)pages->uptr + index * PAGE_SIZE;
	unsigned int left = iommufd_test_batch(PIN_HUGETLB);
	struct mm_struct *mm = current->mm;
	unsigned long start = index;
	struct vm_area_struct *vma;
	unsigned long npages = 1;

	if (mm != pages->account.mm || mmap_read_lock_killable(mm))
		return 0;
	vma = vma_lookup(mm, addr);
	if (vma && is_vm_hugetlb_page(vma)) {
		last = min(last, index + ((vma->vm_end - addr) >> PAGE_SHIFT) -
					 1);
		for (; npages && left && index <= last; left--) {
			npages = iopt_pin_hugetlb_folio(pages, index, last);
			index += npages;
			/* To store them, or to migrate them first, takes time */
			if (mmap_lock_is_contended(mm))
				break;
		}
	}
	mmap_read_unlock(mm);
	return index - start;
}
