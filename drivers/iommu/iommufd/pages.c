// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory behind areas: where it comes from, and its life.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/shmem_fs.h>
#include <linux/hugetlb.h>
#include <linux/slab.h>

#include "mmio.h"
#include "pages.h"

static struct kmem_cache *pages_cache;

/* What is again as it was when the last reference has gone */
static void iopt_pages_ctor(void *object)
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
					SLAB_ACCOUNT, iopt_pages_ctor);
	return pages_cache ? 0 : -ENOMEM;
}

/**
 * iopt_pages_exit - undo iopt_pages_init()
 */
void iopt_pages_exit(void)
{
	kmem_cache_destroy(pages_cache);
}

static struct iopt_pages *iopt_pages_alloc(unsigned long npages, bool writable,
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

/* Whole pages that @length bytes from @offset in the first page touch */
static unsigned long iopt_touched_pages(unsigned long offset,
					unsigned long length)
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

	pages = iopt_pages_alloc(iopt_touched_pages(offset_in_page(start),
						    length),
				 writable, mode);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	pages->source = IOPT_PAGES_USER;
	pages->uptr = (void __user *)(start & PAGE_MASK);
	return pages;
}

static unsigned int iopt_file_seals(struct file *file)
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
	/* That against new mappings is not in i_mmap_writable */
	if (writable &&
	    (iopt_file_seals(file) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return ERR_PTR(-EPERM);

	pages = iopt_pages_alloc(iopt_touched_pages(offset_in_page(start),
						    length),
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

	pages = iopt_pages_alloc(iopt_touched_pages(offset, length), writable,
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

/* Not inlined, as most pages are of user memory and have nothing to put */
static noinline void iopt_pages_put_source(struct iopt_pages *pages)
{
	if (pages->source == IOPT_PAGES_FILE) {
		if (pages->writable)
			mapping_unmap_writable(pages->file->f_mapping);
		fput(pages->file);
	} else {
		iommufd_mmio_put(pages->mmio);
		if (pages->mmio_file)
			fput(pages->mmio_file);
	}
}

/**
 * iopt_pages_release - free pages that are not referred to any more
 * @kref: of the pages; there is no user left, so nothing is pinned
 */
void iopt_pages_release(struct kref *kref)
{
	struct iopt_pages *pages = container_of(kref, struct iopt_pages, kref);

	WARN_ON(!RB_EMPTY_ROOT(&pages->users.rb_root));
	WARN_ON(!RB_EMPTY_ROOT(&pages->pins.rb_root));
	WARN_ON(pages->npinned);
	if (pages->source != IOPT_PAGES_USER)
		iopt_pages_put_source(pages);
	pfn_store_destroy(&pages->store);
	pin_account_destroy(&pages->account);
	kmem_cache_free(pages_cache, pages);
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

static void iopt_runs_add(struct iopt_runs *runs, unsigned long pfn,
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
 * Holds the mutex of the pages, which bounds how long the range
 * should be. What has no user any more is not counted.
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iopt_pages_count_runs(struct iopt_pages *pages, unsigned long index,
			  unsigned long last, struct iopt_runs *runs)
{
	struct interval_tree_node *user;

	if (pages->source == IOPT_PAGES_MMIO)
		return 0;
	/* Another task may be pinning a lot */
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

			iopt_runs_add(runs, pfn, n);
		}
		if (end == last)
			break;
		index = end + 1;
	}
	mutex_unlock(&pages->mutex);
	return 0;
}

/**
 * iopt_pages_phys - where memory that is pinned is
 * @pages: the pages; the caller has a reference and no lock
 * @index: the first page
 * @last: the last page of interest, inclusive; the mutex of the pages is held as
 *        long as it takes to look at all up to it
 * @phys: receives the physical address of the first page
 * @npages: receives how many pages, at least 1, are one behind the other there
 *
 * Return: 0; -ENOENT if the memory is not, or no longer, pinned, or is the memory
 * of a device that has taken it back; -EINTR if the caller was killed.
 */
int iopt_pages_phys(struct iopt_pages *pages, unsigned long index,
		    unsigned long last, phys_addr_t *phys,
		    unsigned long *npages)
{
	struct interval_tree_node *user;
	unsigned long pfn;

	if (pages->source == IOPT_PAGES_MMIO) {
		if (!iommufd_mmio_is_lent(pages->mmio))
			return -ENOENT;
		*phys = iommufd_mmio_phys(pages->mmio) + index * PAGE_SIZE;
		*npages = last - index + 1;
		return 0;
	}

	/* Another task may be pinning a lot */
	if (mutex_lock_killable(&pages->mutex))
		return -EINTR;
	/* Any that covers the first page; others may reach further */
	user = interval_tree_iter_first(&pages->users, index, index);
	if (user)
		*npages = pfn_store_run(&pages->store, index,
					min(user->last, last), &pfn);
	mutex_unlock(&pages->mutex);
	if (!user)
		return -ENOENT;
	*phys = PFN_PHYS(pfn);
	return 0;
}
