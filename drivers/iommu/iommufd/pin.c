// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pin memory once, however many use it, and unpin it with its last user.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "mock/hooks.h"
#include "pages.h"
#include "pin_helpers.h"
#include "trace.h"

/*
 * Pages are pinned in batches that bound the temporary memory: large enough
 * for what a batch costs not to matter, small enough for others to get the
 * processor in between, and a little less than 32 KiB. A mapping of a few pages,
 * or of any size when memory is short, makes do with an array on the stack.
 */
#define PIN_BATCH (7 * PFN_CHUNK_SIZE)
#define PIN_BATCH_STACK 16UL

static struct kmem_cache *batch_cache;

/*
 * Does nothing, but an object of a cache that has a constructor is not cleared each
 * time where the kernel clears all that it allocates (init_on_alloc). Nothing is
 * read here that was not written before.
 */
static void iopt_batch_ctor(void *batch)
{
}

/**
 * iopt_pin_init - get ready to pin
 *
 * Return: 0 or -ENOMEM.
 */
int iopt_pin_init(void)
{
	batch_cache = kmem_cache_create("iopt_batch",
					PIN_BATCH * sizeof(void *), 0, 0,
					iopt_batch_ctor);
	return batch_cache ? 0 : -ENOMEM;
}

/**
 * iopt_pin_exit - undo iopt_pin_init()
 */
void iopt_pin_exit(void)
{
	kmem_cache_destroy(batch_cache);
}

/*
 * What is pinned of a file before others get the processor: three times the folios
 * that the page cache gives at once
 */
#define PIN_FOLIOS 93

/*
 * Find the first part of [*index, last] that no user covers. Only such a part
 * is to be pinned for a new user, or unpinned for one that left.
 */
static bool iopt_next_unused(struct iopt_pages *pages, unsigned long *index,
			     unsigned long last, unsigned long *hole_last)
{
	struct interval_tree_node *user;

	if (*index > last)
		return false;
	if (RB_EMPTY_ROOT(&pages->users.rb_root)) {
		*hole_last = last;
		return true;
	}
	while ((user = interval_tree_iter_first(&pages->users, *index,
						*index))) {
		if (user->last >= last)
			return false;
		*index = user->last + 1;
		/* There may be one for each page */
		cond_resched();
	}
	user = interval_tree_iter_first(&pages->users, *index, last);
	*hole_last = user ? user->start - 1 : last;
	return true;
}

/* Pages to unpin before others get the processor, and those of large folios */
#define UNPIN_PAGES 512
#define UNPIN_FOLIOS 64

/*
 * How many of @npages consecutive pages to unpin at once. A folio is not cut in
 * two, as it is one operation.
 */
static unsigned long iopt_unpin_step(struct page *page, unsigned long npages)
{
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < UNPIN_FOLIOS && n < npages; i++) {
		struct folio *folio = page_folio(page + n);

		if (!folio_test_large(folio))
			return n ? n : min(npages, UNPIN_PAGES);
		n += folio_nr_pages(folio) - folio_page_idx(folio, page + n);
	}
	return min(n, npages);
}

/*
 * Most pages are dirty already. Of one page, what is left is less than what it takes
 * to find the folios of a range.
 */
static __always_inline void iopt_unpin_page(struct iopt_pages *pages,
					    unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	if (pages->writable && !folio_test_dirty(page_folio(page)))
		unpin_user_page_range_dirty_lock(page, 1, true);
	else
		unpin_user_page(page);
}

/* A run can be as large as memory is */
static void iopt_unpin_long_run(struct iopt_pages *pages, unsigned long pfn,
				unsigned long npages)
{
	while (npages) {
		struct page *page = pfn_to_page(pfn);
		unsigned long n = iopt_unpin_step(page, npages);

		unpin_user_page_range_dirty_lock(page, n, pages->writable);
		pfn += n;
		npages -= n;
		cond_resched();
	}
}

static noinline void iopt_unpin_runs(struct iopt_pages *pages,
				     unsigned long index, unsigned long last)
{
	struct pfn_cursor cursor = pfn_cursor_init(&pages->store, index, last);
	unsigned long start = index;
	unsigned long npages = 0;

	while (index <= last) {
		unsigned long pfn;
		unsigned long n = pfn_cursor_next(&cursor, &pfn);

		if (n == 1)
			iopt_unpin_page(pages, pfn);
		else if (n > UNPIN_PAGES)
			iopt_unpin_long_run(pages, pfn, n);
		else
			unpin_user_page_range_dirty_lock(pfn_to_page(pfn), n,
							 pages->writable);
		index += n;
		npages += n;
		if (npages >= UNPIN_PAGES) {
			npages = 0;
			cond_resched();
		}
	}
	pfn_store_forget(&pages->store, start, last);
	pages->npinned -= last - start + 1;
}

/* Not inlined, as hardly anybody traces; nor is iopt_trace_pin() */
static noinline void iopt_trace_unpin(struct iopt_pages *pages,
				      unsigned long index, unsigned long last)
{
	trace_iommufd_unpin(pages->source == IOPT_PAGES_FILE,
			    iopt_pages_address(pages, index * PAGE_SIZE),
			    last - index + 1);
}

/*
 * Unpin indices that are pinned and have no user any more. Inlined for the memory of
 * one page, which programs map and unmap all the time.
 */
static __always_inline void iopt_unpin_range(struct iopt_pages *pages,
					     unsigned long index,
					     unsigned long last)
{
	if (trace_iommufd_unpin_enabled())
		iopt_trace_unpin(pages, index, last);
	if (!pfn_store_is_single(&pages->store)) {
		iopt_unpin_runs(pages, index, last);
		return;
	}
	iopt_unpin_page(pages, pfn_store_single(&pages->store));
	pfn_store_forget_single(&pages->store);
	pages->npinned = 0;
}

/* Not inlined, as it is rare that the memory is another process' */
static noinline long iopt_pin_remote(struct mm_struct *mm, unsigned long addr,
				     unsigned long npages, unsigned int flags,
				     struct page **list)
{
	int locked = 1;
	long rc;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	rc = pin_user_pages_remote(mm, addr, npages, flags, list, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return rc;
}

static __always_inline long iopt_pin_user(struct iopt_pages *pages,
					  unsigned long index,
					  unsigned long npages,
					  struct page **list)
{
	unsigned long addr = (unsigned long)pages->uptr + index * PAGE_SIZE;
	unsigned int flags = FOLL_LONGTERM;
	struct mm_struct *mm = pages->account.mm;

	if (pages->writable)
		flags |= FOLL_WRITE;

	if (current->mm == mm)
		return pin_user_pages_fast(addr, npages, flags, list);
	return iopt_pin_remote(mm, addr, npages, flags, list);
}

/* Pin a batch of user memory. Return how many pages are pinned and stored */
static long iopt_pin_user_batch(struct iopt_pages *pages, unsigned long index,
				unsigned long npages, struct page **list)
{
	long pinned = iopt_pin_user(pages, index, npages, list);
	int rc;

	if (pinned <= 0)
		return pinned ? pinned : -EFAULT;

	rc = pfn_store_set_pages(&pages->store, index, list, pinned);
	if (rc) {
		unpin_user_pages(list, pinned);
		return rc;
	}
	return pinned;
}

/*
 * Store the pages that a folio of the file has from @index on. Return their
 * number, or an errno: -EFAULT if the folio is not at @index any more, because the
 * file has changed.
 *
 * memfd_pin_folios() pins a folio once, whatever part of it is wanted. Each index
 * gets a pin of its own, as from get_user_pages(): if only a part has users and a
 * hole is punched, the file may get another folio for the rest.
 */
static long iopt_store_folio(struct iopt_pages *pages, struct folio *folio,
			     unsigned long index, unsigned long last)
{
	unsigned long nr = folio_nr_pages(folio);
	pgoff_t pgoff = (pages->file_start >> PAGE_SHIFT) + index;
	unsigned long skip = pgoff - folio->index;
	unsigned long npages;
	int rc;

	if (index > last || skip >= nr)
		return -EFAULT;
	npages = min(last - index + 1, nr - skip);
	rc = pfn_store_set_run(&pages->store, index, folio_pfn(folio) + skip,
			       npages);
	if (!rc)
		rc = iopt_pin_each_page(folio, npages);
	return rc ? rc : npages;
}

/*
 * How many folios at the front of @list are single pages, those that the file has
 * from @index on?
 */
static long iopt_count_single_pages(struct iopt_pages *pages,
				    struct folio **list, long nr,
				    unsigned long index, unsigned long last)
{
	pgoff_t pgoff = (pages->file_start >> PAGE_SHIFT) + index;
	long n;

	if (nr > last - index + 1)
		nr = last - index + 1;
	for (n = 0; n < nr; n++)
		if (folio_test_large(list[n]) || list[n]->index != pgoff + n)
			break;
	return n;
}

/*
 * Store the pages of the first folios of @list, as many as go together: *taken.
 * Return the number of pages, or an errno with nothing done for these folios.
 */
static long iopt_store_folios(struct iopt_pages *pages, struct folio **list,
			      long nr, unsigned long index, unsigned long last,
			      long *taken)
{
	long n = 0;
	int rc;

	if (index <= last)
		n = iopt_count_single_pages(pages, list, nr, index, last);
	*taken = 1;
	if (!n)
		return iopt_store_folio(pages, list[0], index, last);
	*taken = n;
	/* Such a folio is its page, and one pin is what the page gets */
	rc = pfn_store_set_pages(&pages->store, index, (struct page **)list, n);
	return rc ? rc : n;
}

/* Pin a batch of folios. Return how many indices are pinned and stored */
static long iopt_pin_file_batch(struct iopt_pages *pages, unsigned long index,
				unsigned long last, struct folio **list,
				unsigned int max)
{
	loff_t pos = pages->file_start + (loff_t)index * PAGE_SIZE;
	loff_t end = pages->file_start + (loff_t)(last + 1) * PAGE_SIZE - 1;
	unsigned long start = index;
	long i, nr, taken, n = 0;
	pgoff_t offset;

	nr = memfd_pin_folios(pages->file, pos, end, list, max, &offset);
	if (nr <= 0)
		return nr ? nr : -EFAULT;

	for (i = 0; i < nr; i += taken) {
		n = iopt_store_folios(pages, list + i, nr - i, index, last,
				      &taken);
		if (n < 0)
			break;
		index += n;
	}
	for (; i < nr; i++)
		unpin_folio(list[i]);
	return index > start ? index - start : n;
}

/*
 * How to go on with user memory after @page: many pages at once, if it is of a huge
 * page that the page table has one entry for.
 */
static void iopt_pin_set_pace(struct iopt_pin_pace *pace, struct page *page,
			      unsigned int max)
{
	struct folio *folio = page_folio(page);

	pace->hugetlb = folio_test_hugetlb(folio);
	if (folio_test_large(folio) && folio_entire_mapcount(folio))
		pace->step = max;
	else
		pace->step = min(max, PIN_PAGES);
}

/* Pin some indices from @index on. Return how many, or an errno */
static long iopt_pin_batch(struct iopt_pages *pages, unsigned long index,
			   unsigned long last, void **batch, unsigned int max,
			   struct iopt_pin_pace *pace)
{
	long n;

	if (iommufd_should_fail())
		return -EFAULT;
	if (pages->source == IOPT_PAGES_FILE)
		return iopt_pin_file_batch(pages, index, last,
					   (struct folio **)batch,
					   min(max, PIN_FOLIOS));
	if (pace->hugetlb) {
		n = iopt_pin_hugetlb(pages, index, last);
		if (n)
			return n;
	}
	n = iopt_pin_user_batch(pages, index,
				min(last - index + 1, pace->step),
				(struct page **)batch);
	if (n > 0 && n <= last - index)
		iopt_pin_set_pace(pace, batch[n - 1], max);
	return n;
}

/* Unpin what a job has pinned, which is not counted yet */
static void iopt_unpin_job(struct iopt_pages *pages, unsigned long index,
			   unsigned long last)
{
	pages->npinned += last - index + 1;
	iopt_unpin_range(pages, index, last);
}

static const struct iopt_pin_ops iopt_pin_user_ops = {
	.pin = iopt_pin_batch,
	.unpin = iopt_unpin_job,
};

static noinline void iopt_trace_pin(struct iopt_pages *pages,
				    unsigned long index, unsigned long last)
{
	trace_iommufd_pin(pages->source == IOPT_PAGES_FILE,
			  iopt_pages_address(pages, index * PAGE_SIZE),
			  last - index + 1);
}

/* Pin indices that have no user yet. All or nothing */
static int iopt_pin_range(struct iopt_pages *pages, unsigned long start,
			  unsigned long last, void **batch, unsigned int max,
			  struct refusal *refusal)
{
	struct iopt_pin_pace pace = iopt_pin_pace_init(max);
	unsigned long index = start;
	long n;
	int rc;

	rc = pin_account_charge(&pages->account, last - start + 1, refusal);
	if (rc)
		return rc;

	while (index <= last) {
		n = iopt_pin_batch(pages, index, last, batch, max, &pace);
		/* Not before it is known to be memory, and no device's */
		if (index == start && n > 0 &&
		    iopt_pin_may_have_helpers(last - start + 1))
			n += iopt_pin_with_helpers(pages, &iopt_pin_user_ops,
						   index + n, last, batch, max);
		if (n > 0) {
			index += n;
			pages->npinned += n;
		}
		if (n < 0 || (index <= last && fatal_signal_pending(current))) {
			rc = n < 0 ? n : -EINTR;
			iopt_explain_fault(pages, index, last, rc, refusal);
			if (index > start)
				iopt_unpin_range(pages, start, index - 1);
			pin_account_uncharge(&pages->account, last - start + 1);
			return rc;
		}
		if (index <= last)
			cond_resched();
	}
	if (trace_iommufd_pin_enabled())
		iopt_trace_pin(pages, start, last);
	return 0;
}

/* As iopt_pin_range(), for user memory of one page */
static int iopt_pin_single(struct iopt_pages *pages, struct refusal *refusal)
{
	struct page *page;
	long n;
	int rc;

	rc = pin_account_charge(&pages->account, 1, refusal);
	if (rc)
		return rc;
	n = iommufd_should_fail() ? -EFAULT : iopt_pin_user(pages, 0, 1, &page);
	if (unlikely(n != 1)) {
		rc = n ? n : -EFAULT;
		iopt_explain_fault(pages, 0, 0, rc, refusal);
		pin_account_uncharge(&pages->account, 1);
		return rc;
	}
	pfn_store_set_single(&pages->store, page_to_pfn(page));
	pages->npinned = 1;
	if (trace_iommufd_pin_enabled())
		iopt_trace_pin(pages, 0, 0);
	return 0;
}

/* Release what no user covers in [index, last] */
static void iopt_unpin_unused(struct iopt_pages *pages, unsigned long index,
			      unsigned long last)
{
	unsigned long npages = 0;
	unsigned long hole_last;

	while (iopt_next_unused(pages, &index, last, &hole_last)) {
		iopt_unpin_range(pages, index, hole_last);
		npages += hole_last - index + 1;
		if (hole_last == last)
			break;
		index = hole_last + 1;
	}
	if (npages)
		pin_account_uncharge(&pages->account, npages);
}

/*
 * Room for as many of @npages as there is memory for, or NULL if for only a few.
 * Charged to the memory cgroup: the user decides how long memory is waited for.
 */
static void **iopt_batch_alloc(unsigned long npages, unsigned int *max)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY;
	unsigned long n = PIN_BATCH;
	void **batch = kmem_cache_alloc(batch_cache, gfp);

	while (!batch && n > 2 * PIN_BATCH_STACK) {
		n = min(npages, n / 2);
		batch = kmalloc_array(n, sizeof(*batch), gfp);
	}
	if (batch)
		*max = iommufd_test_batch(n);
	return batch;
}

/* Pin what no other user covers of [index, last]. All or nothing */
static noinline int iopt_pin_unused(struct iopt_pages *pages,
				    unsigned long index, unsigned long last,
				    struct refusal *refusal)
{
	void *stack[PIN_BATCH_STACK] __uninitialized;
	unsigned int max = iommufd_test_batch(PIN_BATCH_STACK);
	unsigned long start = index;
	void **batch = stack;
	unsigned long hole_last;
	int rc = 0;

	while (iopt_next_unused(pages, &index, last, &hole_last)) {
		unsigned long npages = hole_last - index + 1;

		if (npages > PIN_BATCH_STACK && batch == stack) {
			batch = iopt_batch_alloc(npages, &max) ?: stack;
			/* New memory was cleared, which takes its time */
			cond_resched();
		}
		rc = iopt_pin_range(pages, index, hole_last, batch, max,
				    refusal);
		if (rc) {
			if (index > start)
				iopt_unpin_unused(pages, start, index - 1);
			break;
		}
		if (hole_last == last)
			break;
		index = hole_last + 1;
	}
	if (batch != stack)
		kfree(batch);
	return rc;
}

/**
 * iopt_pages_use - pin a range for a new user
 * @pages: the pages; their mutex is held
 * @user: start and last are the first and last index; the node must stay until
 *        iopt_pages_unuse()
 * @refusal: where to say why memory is refused, may be NULL
 *
 * What other users cover is pinned already and not pinned again.
 *
 * Return: 0; or with nothing changed: -EFAULT if the memory is not there or
 * may not be pinned, -ENOMEM if RLIMIT_MEMLOCK or memory is exhausted, -EINTR
 * if the caller was killed, or an error of get_user_pages() or
 * memfd_pin_folios().
 */
int iopt_pages_use(struct iopt_pages *pages, struct interval_tree_node *user,
		   struct refusal *refusal)
{
	int rc = 0;

	lockdep_assert_held(&pages->mutex);

	if (pages->source == IOPT_PAGES_USER &&
	    pfn_store_is_single(&pages->store) &&
	    RB_EMPTY_ROOT(&pages->users.rb_root))
		rc = iopt_pin_single(pages, refusal);
	else if (pages->source != IOPT_PAGES_MMIO)
		rc = iopt_pin_unused(pages, user->start, user->last, refusal);
	if (!rc)
		interval_tree_insert(user, &pages->users);
	return rc;
}

/**
 * iopt_pages_unuse - a user leaves
 * @pages: the pages; their mutex is held
 * @user: what was passed to iopt_pages_use()
 *
 * Nothing may translate to the pages on behalf of this user any more: what
 * has no other user is unpinned here. Cannot fail and allocates nothing.
 */
void iopt_pages_unuse(struct iopt_pages *pages,
		      struct interval_tree_node *user)
{
	lockdep_assert_held(&pages->mutex);

	interval_tree_remove(user, &pages->users);
	if (pages->source == IOPT_PAGES_MMIO)
		return;
	if (RB_EMPTY_ROOT(&pages->users.rb_root)) {
		iopt_unpin_range(pages, user->start, user->last);
		pin_account_uncharge(&pages->account,
				     user->last - user->start + 1);
	} else {
		iopt_unpin_unused(pages, user->start, user->last);
	}
}
