// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy between a slice of memory and a kernel buffer, for in-kernel users of
 * IOVA that neither pin nor pay.
 *
 * Memory that is pinned is copied through its pins, so that the CPU and a
 * device see the same pages whatever the process has done to its mapping since.
 * Other memory is held for the time of the copy, as read() and write() do it:
 * not for a long term, so that it may be of any file; for reading without
 * breaking copy-on-write; and without a charge. To get hold of it may wait for
 * userspace, so that this is done without any lock.
 */
#include <linux/highmem.h>
#include <linux/interval_tree.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "mock/hooks.h"
#include "pages.h"
#include "pfn_store.h"

/* The page of an index, if it is pinned or held, else NULL */
static struct page *iopt_slice_page(struct iopt_pages *pages,
				    unsigned long index,
				    const struct iopt_hold *hold)
{
	unsigned long pfn;

	lockdep_assert_held(&pages->mutex);

	if (interval_tree_iter_first(&pages->users, index, index)) {
		pfn_store_run(&pages->store, index, index, &pfn);
		return pfn_to_page(pfn);
	}
	if (hold->pages == pages && index - hold->index < hold->npages)
		return hold->list[index - hold->index];
	return NULL;
}

/**
 * iopt_slice_rw - copy between memory and a kernel buffer
 * @slice: which memory; the caller has a reference to its pages
 * @hold: what the caller holds; if @write, then for writing
 * @data: the buffer, of the slice's length
 * @write: copy to the slice, which must be writable, instead of from it
 *
 * Stops at the first page that is neither pinned nor held. Does not fault.
 *
 * Return: how many bytes were copied, 0 if iopt_hold_get() is needed first,
 * -EFAULT if the memory is a device's, or -EINTR if the caller was killed.
 */
long iopt_slice_rw(const struct iopt_slice *slice, const struct iopt_hold *hold,
		   void *data, bool write)
{
	struct iopt_pages *pages = slice->pages;
	unsigned int offset = slice->page_offset;
	unsigned long index = slice->index;
	unsigned long done = 0;

	if (pages->source == IOPT_PAGES_MMIO)
		return -EFAULT;
	/* Another task may be pinning a lot */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	while (done < slice->length) {
		unsigned long n = min(slice->length - done, PAGE_SIZE - offset);
		struct page *page = iopt_slice_page(pages, index, hold);

		if (!page)
			break;
		if (write)
			memcpy_to_page(page, offset, data + done, n);
		else
			memcpy_from_page(data + done, page, offset, n);
		done += n;
		offset = 0;
		index++;
	}
	mutex_unlock(&pages->mutex);
	return done;
}

/**
 * iopt_hold_init - prepare to hold memory
 * @hold: holds nothing yet
 */
void iopt_hold_init(struct iopt_hold *hold)
{
	hold->pages = NULL;
	hold->npages = 0;
	hold->nr_folios = 0;
}

/*
 * What is written to is pinned: after a fork in between, the copy must go to
 * the parent, as what a device writes does. What is only read is not, as a pin
 * of memory that is shared with a child would copy it.
 */
static long iopt_hold_user(struct iopt_hold *hold, unsigned long npages)
{
	unsigned long addr = (unsigned long)hold->pages->uptr +
			     hold->index * PAGE_SIZE;
	struct mm_struct *mm = hold->pages->account.mm;
	int locked = 1;
	long rc;

	if (current->mm == mm)
		return hold->write ? pin_user_pages_fast(addr, npages,
							 FOLL_WRITE, hold->list) :
				     get_user_pages_fast(addr, npages, 0,
							 hold->list);

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	if (hold->write)
		rc = pin_user_pages_remote(mm, addr, npages, FOLL_WRITE,
					   hold->list, &locked);
	else
		rc = get_user_pages_remote(mm, addr, npages, 0, hold->list,
					   &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return rc;
}

static long iopt_hold_file(struct iopt_hold *hold, unsigned long npages)
{
	pgoff_t pgoff = (hold->pages->file_start >> PAGE_SHIFT) + hold->index;
	loff_t pos = (loff_t)pgoff << PAGE_SHIFT;
	unsigned long n = 0;
	pgoff_t offset;
	long i, nr;

	nr = memfd_pin_folios(hold->pages->file, pos,
			      pos + (loff_t)npages * PAGE_SIZE - 1,
			      hold->folios, IOPT_HOLD_PAGES, &offset);
	if (nr < 0)
		return nr;
	hold->nr_folios = nr;
	for (i = 0; i < nr; i++) {
		struct folio *folio = hold->folios[i];

		/* None is there more than once, unless the file has changed */
		while (n < npages &&
		       pgoff + n - folio->index < folio_nr_pages(folio)) {
			hold->list[n] = folio_page(folio,
						   pgoff + n - folio->index);
			n++;
		}
	}
	return n;
}

/**
 * iopt_hold_get - get hold of memory for iopt_slice_rw()
 * @hold: what is in it is put first
 * @slice: which memory; the first pages of it will be held. The caller's
 *         reference to the pages is consumed
 * @write: it will be written to
 *
 * Called without locks, because the process may take as long as it likes to
 * provide the memory. It can be killed, and so can the caller.
 *
 * Return: 0, -EFAULT if the memory is not there or may not be used like this,
 * -EINTR if the caller was killed, or an error of get_user_pages() or
 * memfd_pin_folios().
 */
int iopt_hold_get(struct iopt_hold *hold, const struct iopt_slice *slice,
		  bool write)
{
	unsigned long npages = iopt_slice_last_index(slice) - slice->index + 1;
	long rc;

	iopt_hold_put(hold);
	hold->pages = slice->pages;
	hold->index = slice->index;
	hold->write = write;
	npages = min(npages, IOPT_HOLD_PAGES);

	if (iommufd_should_fail())
		rc = -EFAULT;
	else if (slice->pages->source == IOPT_PAGES_FILE)
		rc = iopt_hold_file(hold, npages);
	else
		rc = iopt_hold_user(hold, npages);
	if (rc > 0) {
		hold->npages = rc;
		return 0;
	}
	iopt_hold_put(hold);
	return rc ? rc : -EFAULT;
}

/**
 * iopt_hold_put - release memory
 * @hold: holds nothing after this. Called without locks, because a page that was
 *        written to may have to wait for its file system
 */
void iopt_hold_put(struct iopt_hold *hold)
{
	unsigned long i;

	if (!hold->pages)
		return;
	if (hold->pages->source == IOPT_PAGES_FILE) {
		for (i = 0; hold->write && i < hold->npages; i++)
			set_page_dirty_lock(hold->list[i]);
		unpin_folios(hold->folios, hold->nr_folios);
	} else if (hold->write) {
		unpin_user_pages_dirty_lock(hold->list, hold->npages, true);
	} else {
		for (i = 0; i < hold->npages; i++)
			put_page(hold->list[i]);
	}
	iopt_pages_put(hold->pages);
	iopt_hold_init(hold);
}
