// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory behind areas: pin it once, hand it out by runs, release it.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/hugetlb.h>
#include <linux/slab.h>

#include "mmio.h"
#include "mock/mock.h"
#include "pages.h"
#include "refusal.h"
#include "trace.h"
#include "translate.h"

/*
 * Pages are pinned in batches that bound the temporary memory: large enough
 * for what a batch costs not to matter, small enough to come from slab. A
 * mapping of a few pages, or of any size when memory is short, makes do with
 * an array on the stack.
 */
#define PIN_BATCH 2048
#define PIN_BATCH_STACK 16

static struct kmem_cache *pages_cache;

/* What is again as it was when the last reference has gone. */
static void pages_ctor(void *object)
{
	struct iopt_pages *pages = object;

	mutex_init(&pages->mutex);
	pages->users = RB_ROOT_CACHED;
	pages->pins = RB_ROOT_CACHED;
}

/**
 * iopt_pages_init - get ready to allocate pages objects
 * @room: bytes that come with each of them, for iopt_pages_room()
 *
 * Return: 0 or -ENOMEM.
 */
int iopt_pages_init(size_t room)
{
	pages_cache = kmem_cache_create("iopt_pages",
					sizeof(struct iopt_pages) + room, 0,
					SLAB_ACCOUNT, pages_ctor);
	return pages_cache ? 0 : -ENOMEM;
}

/**
 * iopt_pages_exit - undo iopt_pages_init()
 */
void iopt_pages_exit(void)
{
	kmem_cache_destroy(pages_cache);
}

static struct iopt_pages *pages_alloc(unsigned long npages, bool writable,
				      enum pin_account_mode mode)
{
	struct iopt_pages *pages;

	pages = kmem_cache_alloc(pages_cache, GFP_KERNEL);
	if (!pages)
		return NULL;
	kref_init(&pages->kref);
	pages->npages = npages;
	pages->writable = writable;
	pages->npinned = 0;
	pfn_store_init(&pages->store, npages);
	pin_account_init(&pages->account, mode);
	return pages;
}

/* Whole pages that @length bytes from @offset in the first page touch. */
static unsigned long touched_pages(unsigned long offset, unsigned long length)
{
	return ((offset + length - 1) >> PAGE_SHIFT) + 1;
}

/**
 * iopt_pages_alloc_user - describe memory of the current process
 * @uptr: user address of the first byte
 * @length: bytes, not 0
 * @writable: devices may write to it
 * @mode: whom to charge
 *
 * Nothing is pinned or looked at yet.
 *
 * Return: the pages with one reference, or an ERR_PTR: -EOVERFLOW if the range
 * wraps, -EINVAL if there is no memory to describe, or -ENOMEM.
 */
struct iopt_pages *iopt_pages_alloc_user(void __user *uptr,
					 unsigned long length, bool writable,
					 enum pin_account_mode mode)
{
	unsigned long start = (unsigned long)uptr;
	struct iopt_pages *pages;
	unsigned long end;

	if (check_add_overflow(start, length, &end) ||
	    end > ULONG_MAX - PAGE_SIZE)
		return ERR_PTR(-EOVERFLOW);
	if (!length || !current->mm)
		return ERR_PTR(-EINVAL);

	pages = pages_alloc(touched_pages(offset_in_page(start), length),
			    writable, mode);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	pages->source = IOPT_PAGES_USER;
	pages->uptr = (void __user *)(start & PAGE_MASK);
	return pages;
}

static unsigned int file_seals(struct file *file)
{
	struct inode *inode = file_inode(file);

	if (shmem_file(file))
		return SHMEM_I(inode)->seals;
#ifdef CONFIG_HUGETLBFS
	return HUGETLBFS_I(inode)->seals;
#else
	return 0;
#endif
}

/**
 * iopt_pages_alloc_file - describe a part of a memfd
 * @file: the memfd; a reference is taken
 * @start: first byte
 * @length: bytes, not 0
 * @writable: devices may write to it
 * @mode: whom to charge
 *
 * A writable description counts as a writable mapping of the file, so that a
 * seal against writing and DMA exclude each other.
 *
 * Return: the pages with one reference, or an ERR_PTR: -EOVERFLOW if the range
 * wraps, -EINVAL if the file is no memfd, -EACCES if it was not opened for
 * what is asked for, -EPERM if it is sealed against writing, or -ENOMEM.
 */
struct iopt_pages *iopt_pages_alloc_file(struct file *file,
					 unsigned long start,
					 unsigned long length, bool writable,
					 enum pin_account_mode mode)
{
	struct iopt_pages *pages;
	unsigned long end;
	int rc;

	if (check_add_overflow(start, length, &end) || end > LLONG_MAX)
		return ERR_PTR(-EOVERFLOW);
	if (!length || !current->mm)
		return ERR_PTR(-EINVAL);
	if (!shmem_file(file) && !is_file_hugepages(file))
		return ERR_PTR(-EINVAL);
	if (!(file->f_mode & FMODE_READ) ||
	    (writable && !(file->f_mode & FMODE_WRITE)))
		return ERR_PTR(-EACCES);
	/* That against new mappings is not in i_mmap_writable. */
	if (writable &&
	    (file_seals(file) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return ERR_PTR(-EPERM);

	pages = pages_alloc(touched_pages(offset_in_page(start), length),
			    writable, mode);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	if (writable) {
		rc = mapping_map_writable(file->f_mapping);
		if (rc) {
			pages->source = IOPT_PAGES_USER;
			iopt_pages_put(pages);
			return ERR_PTR(rc);
		}
	}
	pages->source = IOPT_PAGES_FILE;
	pages->file = get_file(file);
	pages->file_start = start & PAGE_MASK;
	return pages;
}

/**
 * iopt_pages_alloc_mmio - describe memory of a device
 * @mmio: the memory; its reference is taken over if this succeeds
 * @file: what it was found behind, which must not be closed as long as the
 *        memory is mapped; a reference is taken. Or NULL
 * @offset: first byte of it
 * @length: bytes, not 0
 * @writable: devices may write to it
 *
 * Return: the pages with one reference, or ERR_PTR(-ENOMEM).
 */
struct iopt_pages *iopt_pages_alloc_mmio(struct iommufd_mmio *mmio,
					 struct file *file, u64 offset,
					 unsigned long length, bool writable)
{
	struct iopt_pages *pages;

	pages = pages_alloc(touched_pages(offset, length), writable,
			    PIN_ACCOUNT_USER);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	pages->source = IOPT_PAGES_MMIO;
	pages->mmio = mmio;
	pages->mmio_file = file ? get_file(file) : NULL;
	return pages;
}

/**
 * iopt_pages_address - an address that is congruent to the memory
 * @pages: the pages
 * @offset: byte offset from the start of index 0
 *
 * An IOVA that is congruent to it makes large pages of the memory large pages
 * of the domain.
 *
 * Return: user address, file offset or physical address.
 */
unsigned long iopt_pages_address(const struct iopt_pages *pages,
				 unsigned long offset)
{
	switch (pages->source) {
	case IOPT_PAGES_FILE:
		return pages->file_start + offset;
	case IOPT_PAGES_MMIO:
		return iommufd_mmio_phys(pages->mmio) + offset;
	default:
		return (unsigned long)pages->uptr + offset;
	}
}

/**
 * iopt_pages_release - free pages that nobody refers to
 * @kref: of the pages; there is no user left, so nothing is pinned
 */
void iopt_pages_release(struct kref *kref)
{
	struct iopt_pages *pages = container_of(kref, struct iopt_pages, kref);

	WARN_ON(!RB_EMPTY_ROOT(&pages->users.rb_root));
	WARN_ON(!RB_EMPTY_ROOT(&pages->pins.rb_root));
	WARN_ON(pages->npinned);
	if (pages->source == IOPT_PAGES_FILE) {
		if (pages->writable)
			mapping_unmap_writable(pages->file->f_mapping);
		fput(pages->file);
	} else if (pages->source == IOPT_PAGES_MMIO) {
		iommufd_mmio_put(pages->mmio);
		if (pages->mmio_file)
			fput(pages->mmio_file);
	}
	pfn_store_destroy(&pages->store);
	pin_account_destroy(&pages->account);
	kmem_cache_free(pages_cache, pages);
}

/*
 * Find the first part of [*index, last] that no user covers. Only such a part
 * is to be pinned for a new user, or unpinned for one that left.
 */
static bool next_unused(struct iopt_pages *pages, unsigned long *index,
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
		/* There may be one for each page. */
		cond_resched();
	}
	user = interval_tree_iter_first(&pages->users, *index, last);
	*hole_last = user ? user->start - 1 : last;
	return true;
}

/*
 * memfd_pin_folios() pins a folio once, whatever part of it is wanted. Each index
 * gets a pin of its own, as from get_user_pages(): if only a part has users and a
 * hole is punched, the file may get another folio for the rest.
 */
static int pin_each_page(struct folio *folio, unsigned long npages)
{
	int more = npages - 1;

	if (!more)		/* always so if it is not a large folio */
		return 0;
	if (folio_ref_count(folio) > INT_MAX / 2 - more)
		return -ENOMEM;
	folio_ref_add(folio, more);
	atomic_add(more, &folio->_pincount);
	mod_node_page_state(folio_pgdat(folio), NR_FOLL_PIN_ACQUIRED, more);
	return 0;
}

/* Runs to unpin before others get the processor. */
#define UNPIN_RUNS 1024

/* Unpin indices that are pinned and have no user any more. */
static void unpin_range(struct iopt_pages *pages, unsigned long index,
			unsigned long last)
{
	struct pfn_cursor cursor;
	unsigned long start = index;
	unsigned int runs = 0;

	trace_iommufd_unpin(pages, index, last);
	if (pfn_store_is_single(&pages->store)) {
		unsigned long pfn = pfn_store_single(&pages->store);

		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), 1,
						 pages->writable);
		pfn_store_forget_single(&pages->store);
		pages->npinned = 0;
		return;
	}
	cursor = pfn_cursor_init(&pages->store, index, last);
	while (index <= last) {
		unsigned long pfn;
		unsigned long n = pfn_cursor_next(&cursor, &pfn);

		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), n,
						 pages->writable);
		index += n;
		if (!(++runs % UNPIN_RUNS))
			cond_resched();
	}
	pfn_store_forget(&pages->store, start, last);
	pages->npinned -= last - start + 1;
}

static long pin_user(struct iopt_pages *pages, unsigned long index,
		     unsigned long npages, struct page **list)
{
	unsigned long addr = (unsigned long)pages->uptr + index * PAGE_SIZE;
	unsigned int flags = FOLL_LONGTERM;
	struct mm_struct *mm = pages->account.mm;
	int locked = 1;
	long rc;

	if (pages->writable)
		flags |= FOLL_WRITE;

	if (current->mm == mm)
		return pin_user_pages_fast(addr, npages, flags, list);

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

/* Pin a batch of user memory. Return how many pages are pinned and stored. */
static long pin_user_batch(struct iopt_pages *pages, unsigned long index,
			   unsigned long npages, struct page **list)
{
	long pinned = pin_user(pages, index, npages, list);
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
 * Store the pages that a folio of the file has from @index on, and turn its pin
 * into one for each of them. Return their number, or an errno: -EFAULT if the
 * folio is not at @index any more, because the file was changed meanwhile.
 */
static long store_folio(struct iopt_pages *pages, struct folio *folio,
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
		rc = pin_each_page(folio, npages);
	return rc ? rc : npages;
}

/* Pin a batch of folios. Return how many indices are pinned and stored. */
static long pin_file_batch(struct iopt_pages *pages, unsigned long index,
			   unsigned long last, struct folio **list,
			   unsigned int max)
{
	loff_t pos = pages->file_start + (loff_t)index * PAGE_SIZE;
	loff_t end = pages->file_start + (loff_t)(last + 1) * PAGE_SIZE - 1;
	unsigned long start = index;
	pgoff_t offset;
	long i, nr, n = 0;

	nr = memfd_pin_folios(pages->file, pos, end, list, max, &offset);
	if (nr <= 0)
		return nr ? nr : -EFAULT;

	for (i = 0; i < nr; i++) {
		if (n >= 0)
			n = store_folio(pages, list[i], index, last);
		if (n < 0)
			unpin_folio(list[i]);
		else
			index += n;
	}
	return index > start ? index - start : n;
}

/* Pin indices that have no user yet. All or nothing. */
static int pin_range(struct iopt_pages *pages, unsigned long start,
		     unsigned long last, void **batch, unsigned int max,
		     struct refusal *refusal)
{
	unsigned long index = start;
	long n;
	int rc;

	rc = pin_account_charge(&pages->account, last - start + 1, refusal);
	if (rc)
		return rc;

	while (index <= last) {
		if (iommufd_should_fail())
			n = -EFAULT;
		else if (pages->source == IOPT_PAGES_FILE)
			n = pin_file_batch(pages, index, last,
					   (struct folio **)batch, max);
		else
			n = pin_user_batch(pages, index,
					   min(last - index + 1, max),
					   (struct page **)batch);
		if (n > 0) {
			index += n;
			pages->npinned += n;
		}
		if (n < 0 || (index <= last && fatal_signal_pending(current))) {
			rc = n < 0 ? n : -EINTR;
			iopt_explain_fault(pages, index, last, rc, refusal);
			if (index > start)
				unpin_range(pages, start, index - 1);
			pin_account_uncharge(&pages->account, last - start + 1);
			return rc;
		}
		if (index <= last)
			cond_resched();
	}
	trace_iommufd_pin(pages, start, last);
	return 0;
}

/* Release what no user covers in [index, last]. */
static void unpin_unused(struct iopt_pages *pages, unsigned long index,
			 unsigned long last)
{
	unsigned long npages = 0;
	unsigned long hole_last;

	while (next_unused(pages, &index, last, &hole_last)) {
		unpin_range(pages, index, hole_last);
		npages += hole_last - index + 1;
		if (hole_last == last)
			break;
		index = hole_last + 1;
	}
	pin_account_uncharge(&pages->account, npages);
}

/**
 * iopt_runs_finish - count the run that is being read
 * @runs: the counts; what is read next begins a new run
 */
void iopt_runs_finish(struct iopt_runs *runs)
{
	if (runs->npages)
		runs->nr[ilog2(runs->npages)]++;
	runs->npages = 0;
}

static void runs_add(struct iopt_runs *runs, unsigned long pfn,
		     unsigned long npages)
{
	if (runs->npages && pfn == runs->pfn + runs->npages) {
		runs->npages += npages;
		return;
	}
	iopt_runs_finish(runs);
	runs->pfn = pfn;
	runs->npages = npages;
}

/**
 * iopt_pages_count_runs - count the runs of the memory that is pinned
 * @pages: the pages; the caller has a reference and no lock
 * @index: first index to look at
 * @last: last index, inclusive
 * @runs: the counts so far; what follows a run that was read last is a part of
 *        it
 *
 * Holds the mutex of the pages meanwhile, which bounds how long the range
 * should be. What nobody uses any more is not counted.
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iopt_pages_count_runs(struct iopt_pages *pages, unsigned long index,
			  unsigned long last, struct iopt_runs *runs)
{
	struct interval_tree_node *user;

	if (pages->source == IOPT_PAGES_MMIO)
		return 0;
	/* Somebody may be pinning a lot. */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	while ((user = interval_tree_iter_first(&pages->users, index, last))) {
		unsigned long end = min(user->last, last);
		struct pfn_cursor cursor;

		if (user->start > index) {
			iopt_runs_finish(runs);
			index = user->start;
		}
		cursor = pfn_cursor_init(&pages->store, index, end);
		while (cursor.index <= end) {
			unsigned long pfn;
			unsigned long n = pfn_cursor_next(&cursor, &pfn);

			runs_add(runs, pfn, n);
		}
		if (end == last)
			break;
		index = end + 1;
	}
	mutex_unlock(&pages->mutex);
	return 0;
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
 * if the caller was killed, or what get_user_pages() or memfd_pin_folios() say.
 */
int iopt_pages_use(struct iopt_pages *pages, struct interval_tree_node *user,
		   struct refusal *refusal)
{
	void *stack[PIN_BATCH_STACK] __uninitialized;
	unsigned int max = iommufd_test_batch(PIN_BATCH_STACK);
	unsigned long index = user->start;
	void **batch = stack;
	unsigned long hole_last;
	int rc = 0;

	lockdep_assert_held(&pages->mutex);

	if (pages->source == IOPT_PAGES_MMIO) {
		interval_tree_insert(user, &pages->users);
		return 0;
	}
	while (next_unused(pages, &index, user->last, &hole_last)) {
		unsigned long npages = hole_last - index + 1;

		if (npages > PIN_BATCH_STACK && batch == stack) {
			max = iommufd_test_batch(min(npages, PIN_BATCH));
			batch = kmalloc_array(max, sizeof(*batch),
					      GFP_KERNEL | __GFP_NOWARN |
						      __GFP_NORETRY);
			if (!batch) {
				batch = stack;
				max = PIN_BATCH_STACK;
			}
		}
		rc = pin_range(pages, index, hole_last, batch, max, refusal);
		if (rc) {
			if (index > user->start)
				unpin_unused(pages, user->start, index - 1);
			break;
		}
		if (hole_last == user->last)
			break;
		index = hole_last + 1;
	}
	if (batch != stack)
		kfree(batch);
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
 * nobody else uses is unpinned here. Cannot fail and allocates nothing.
 */
void iopt_pages_unuse(struct iopt_pages *pages,
		      struct interval_tree_node *user)
{
	lockdep_assert_held(&pages->mutex);

	interval_tree_remove(user, &pages->users);
	if (pages->source == IOPT_PAGES_MMIO)
		return;
	if (RB_EMPTY_ROOT(&pages->users.rb_root)) {
		unpin_range(pages, user->start, user->last);
		pin_account_uncharge(&pages->account,
				     user->last - user->start + 1);
	} else {
		unpin_unused(pages, user->start, user->last);
	}
}

/* Runs to map before others get the processor, and a signal is seen. */
#define FILL_RUNS 64

/*
 * How much of a run to map at once, ending where no translation can span: a run
 * can be as large as memory is.
 */
static size_t fill_step(unsigned long iova, size_t length)
{
	return min(length, SZ_1G - (iova & (SZ_1G - 1)));
}

/* Map all runs, but do not let devices see them yet. */
static int fill_runs(const struct iopt_slice *slice, struct iopt_domain *item,
		     unsigned long iova, int prot, size_t max_page)
{
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
		n = fill_step(iova + done, left);
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
	size_t max_page = small_pages ? PAGE_SIZE : SZ_1G;
	int rc;

	lockdep_assert_held(&slice->pages->mutex);

	if (slice->pages->source == IOPT_PAGES_MMIO)
		return iommufd_mmio_map(slice->pages->mmio, item, iova,
					slice->index * PAGE_SIZE +
						slice->page_offset,
					slice->length, prot, small_pages);

	if (pfn_store_is_single(&slice->pages->store))
		rc = iopt_translate(item, iova,
				    PFN_PHYS(pfn_store_single(&slice->pages->store)) +
					    slice->page_offset,
				    slice->length, max_page, prot,
				    GFP_KERNEL_ACCOUNT);
	else
		rc = fill_runs(slice, item, iova, prot, max_page);
	if (rc)
		return rc;
	rc = iopt_translate_sync(item, iova, slice->length);
	if (rc)
		iopt_untranslate_sync(item, iova, slice->length);
	return rc;
}

/**
 * iopt_slice_unmap - take memory out of a domain
 * @slice: which memory
 * @gather: of the domain that it was filled into by iopt_slice_map(); the caller
 *          flushes it before the memory is unpinned
 * @iova: IOVA of the first byte
 */
void iopt_slice_unmap(const struct iopt_slice *slice,
		      struct iopt_gather *gather, unsigned long iova)
{
	if (slice->pages->source == IOPT_PAGES_MMIO)
		iommufd_mmio_unmap(slice->pages->mmio, gather->item, iova);
	else
		iopt_untranslate(gather, iova, slice->length);
}

/**
 * struct access_pin - a range of indices that accesses pinned
 * @user: the range as user of the pages
 * @entry: the same range, in iopt_pages.pins
 * @count: how many times it is pinned
 */
struct access_pin {
	struct interval_tree_node user;
	struct interval_tree_node entry;
	unsigned int count;
};

static struct access_pin *find_pin(struct iopt_pages *pages,
				   unsigned long index, unsigned long last)
{
	struct interval_tree_node *node;

	for (node = interval_tree_iter_first(&pages->pins, index, last); node;
	     node = interval_tree_iter_next(node, index, last))
		if (node->start == index && node->last == last)
			return container_of(node, struct access_pin, entry);
	return NULL;
}

static int add_pin(struct iopt_pages *pages, unsigned long index,
		   unsigned long last, struct refusal *refusal)
{
	struct access_pin *pin = find_pin(pages, index, last);
	int rc;

	if (pin) {
		pin->count++;
		return 0;
	}

	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->user.start = index;
	pin->user.last = last;
	pin->entry.start = index;
	pin->entry.last = last;
	pin->count = 1;
	rc = iopt_pages_use(pages, &pin->user, refusal);
	if (rc) {
		kfree(pin);
		return rc;
	}
	interval_tree_insert(&pin->entry, &pages->pins);
	return 0;
}

/**
 * iopt_slice_pin - pin memory for an access
 * @slice: which memory
 * @out: receives one page per page that the slice touches
 * @refusal: where to say why memory is refused, may be NULL
 *
 * Return: 0, -EFAULT if the memory is a device's, -EINTR if the caller was
 * killed, or an error of iopt_pages_use().
 */
int iopt_slice_pin(const struct iopt_slice *slice, struct page **out,
		   struct refusal *refusal)
{
	unsigned long last = iopt_slice_last_index(slice);
	struct iopt_pages *pages = slice->pages;
	unsigned long index = slice->index;
	int rc;

	/* There is no struct page to hand out. */
	if (pages->source == IOPT_PAGES_MMIO)
		return -EFAULT;
	/* Somebody may be pinning a lot, or memory that is slow to arrive */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	rc = add_pin(pages, index, last, refusal);
	while (!rc && index <= last) {
		unsigned long pfn;
		unsigned long n = pfn_store_run(&pages->store, index, last,
						&pfn);

		index += n;
		while (n--)
			*out++ = pfn_to_page(pfn++);
	}
	mutex_unlock(&pages->mutex);
	return rc;
}

/**
 * iopt_slice_unpin - undo iopt_slice_pin()
 * @slice: as it was pinned
 */
void iopt_slice_unpin(const struct iopt_slice *slice)
{
	struct iopt_pages *pages = slice->pages;
	struct access_pin *pin;

	guard(mutex)(&pages->mutex);
	pin = find_pin(pages, slice->index, iopt_slice_last_index(slice));
	if (WARN_ON(!pin) || --pin->count)
		return;
	interval_tree_remove(&pin->entry, &pages->pins);
	iopt_pages_unuse(pages, &pin->user);
	kfree(pin);
}
