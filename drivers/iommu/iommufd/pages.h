/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PAGES_H
#define __IOMMUFD_PAGES_H

#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "account.h"
#include "pfn_store.h"

struct file;
struct folio;
struct iommufd_mmio;
struct iopt_domain;
struct iopt_gather;
struct page;
struct refusal;

/**
 * enum iopt_pages_source - where the memory comes from
 * @IOPT_PAGES_USER: addresses of the process that made the mapping
 * @IOPT_PAGES_FILE: a memfd, of shmem or of hugetlbfs
 * @IOPT_PAGES_MMIO: memory of a device, which is neither pinned nor charged
 */
enum iopt_pages_source {
	IOPT_PAGES_USER,
	IOPT_PAGES_FILE,
	IOPT_PAGES_MMIO,
} __packed;

/**
 * struct iopt_pages - one logical array of pinned or pinnable pages
 * @kref: one per area and per access that uses it
 * @source: where the memory comes from
 * @writable: pages are pinned for writing
 * @npages: number of indices
 * @uptr: page-aligned address of index 0, for %IOPT_PAGES_USER
 * @file: for %IOPT_PAGES_FILE
 * @file_start: page-aligned byte offset of index 0, for %IOPT_PAGES_FILE
 * @mmio: for %IOPT_PAGES_MMIO; index 0 is its first page
 * @mmio_file: what it was found behind, or NULL if that was a user address
 * @mutex: protects all that follows. Taken inside the locks of
 *         struct io_pagetable, outside mmap_lock
 * @users: who needs which indices pinned: areas that are filled into a domain,
 *         and accesses. An index is pinned, charged and readable in @store iff
 *         some user covers it
 * @pins: the accesses among @users, by range, to find them again
 * @store: the PFNs of the pinned indices
 * @account: who pays
 * @npinned: number of pinned indices
 */
struct iopt_pages {
	struct kref kref;
	enum iopt_pages_source source;
	bool writable;
	unsigned long npages;
	union {
		void __user *uptr;
		struct {
			struct file *file;
			unsigned long file_start;
		};
		struct {
			struct iommufd_mmio *mmio;
			struct file *mmio_file;
		};
	};

	struct mutex mutex; /* See above */
	struct rb_root_cached users;
	struct rb_root_cached pins;
	struct pfn_store store;
	struct pin_account account;
	unsigned long npinned;
};

/**
 * struct iopt_slice - a part of a pages object, in bytes
 * @pages: the pages
 * @index: index of the page that holds the first byte
 * @page_offset: offset of the first byte in that page
 * @length: bytes, not 0
 */
struct iopt_slice {
	struct iopt_pages *pages;
	unsigned long index;
	unsigned int page_offset;
	unsigned long length;
};

static inline unsigned long iopt_slice_last_index(const struct iopt_slice *slice)
{
	return slice->index +
	       ((slice->page_offset + slice->length - 1) >> PAGE_SHIFT);
}

/**
 * struct iopt_runs - how many runs memory consists of, by their length
 * @nr: runs of at least 1 << index pages, and of less than twice as many
 * @pfn: first PFN of the run that is being read, if there is one
 * @npages: its pages so far, 0 if there is none
 */
struct iopt_runs {
	unsigned long nr[BITS_PER_LONG - PAGE_SHIFT + 1];
	unsigned long pfn;
	unsigned long npages;
};

/* Pages that are held at a time, which bounds what a caller needs of its stack */
#define IOPT_HOLD_PAGES 16UL

/**
 * struct iopt_hold - memory that is held for the time of a copy
 * @pages: what it belongs to, with a reference; or NULL if nothing is held
 * @index: index of the first page
 * @npages: how many pages are held
 * @write: they may be written to
 * @nr_folios: number of folios that hold the pages of a file
 * @list: the pages
 * @folios: the folios
 *
 * Not a user of the pages: what is held is neither charged nor in the store.
 */
struct iopt_hold {
	struct iopt_pages *pages;
	unsigned long index;
	unsigned long npages;
	bool write;
	unsigned long nr_folios;
	struct page *list[IOPT_HOLD_PAGES];
	struct folio *folios[IOPT_HOLD_PAGES];
};

int iopt_pages_init(size_t room);
void iopt_pages_exit(void);
int iopt_pin_init(void);
void iopt_pin_exit(void);

/**
 * iopt_pages_room - memory that comes with a pages object
 * @pages: the pages
 *
 * Most pages are mapped by one area. That one lies here, so that a mapping
 * takes one allocation.
 *
 * Return: memory of the size that was passed to iopt_pages_init(), there as long
 * as the pages.
 */
static inline void *iopt_pages_room(struct iopt_pages *pages)
{
	return pages + 1;
}

struct iopt_pages *iopt_pages_alloc_user(void __user *uptr,
					 unsigned long length, bool writable,
					 enum pin_account_mode mode);
struct iopt_pages *iopt_pages_alloc_file(struct file *file,
					 unsigned long start,
					 unsigned long length, bool writable,
					 enum pin_account_mode mode);
struct iopt_pages *iopt_pages_alloc_mmio(struct iommufd_mmio *mmio,
					 struct file *file, u64 offset,
					 unsigned long length, bool writable);
unsigned long iopt_pages_address(const struct iopt_pages *pages,
				 unsigned long offset);
void iopt_pages_release(struct kref *kref);

static inline void iopt_pages_get(struct iopt_pages *pages)
{
	kref_get(&pages->kref);
}

static inline void iopt_pages_put(struct iopt_pages *pages)
{
	kref_put(&pages->kref, iopt_pages_release);
}

void iopt_explain_fault(const struct iopt_pages *pages, unsigned long index,
			unsigned long last, int error, struct refusal *refusal);

int iopt_pin_each_page(struct folio *folio, unsigned long npages);
unsigned long iopt_pin_hugetlb(struct iopt_pages *pages, unsigned long index,
			       unsigned long last);

int iopt_pages_use(struct iopt_pages *pages, struct interval_tree_node *user,
		   struct refusal *refusal);
void iopt_pages_unuse(struct iopt_pages *pages,
		      struct interval_tree_node *user);

int iopt_pages_count_runs(struct iopt_pages *pages, unsigned long index,
			  unsigned long last, struct iopt_runs *runs);
void iopt_runs_finish(struct iopt_runs *runs);
int iopt_pages_phys(struct iopt_pages *pages, unsigned long index,
		    unsigned long last, phys_addr_t *phys,
		    unsigned long *npages);

int iopt_slice_map(const struct iopt_slice *slice, struct iopt_domain *item,
		   unsigned long iova, int prot, bool small_pages);
int iopt_slice_pin(const struct iopt_slice *slice, struct page **out,
		   struct refusal *refusal);
void iopt_slice_unpin(const struct iopt_slice *slice);

void iopt_hold_init(struct iopt_hold *hold);
int iopt_hold_get(struct iopt_hold *hold, const struct iopt_slice *slice,
		  bool write);
void iopt_hold_put(struct iopt_hold *hold);
long iopt_slice_rw(const struct iopt_slice *slice, const struct iopt_hold *hold,
		   void *data, bool write);

#endif
