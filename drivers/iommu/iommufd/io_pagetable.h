/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_IO_PAGETABLE_H
#define __IOMMUFD_IO_PAGETABLE_H

#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/types.h>

#include "iova_tree.h"
#include "pages.h"
#include "translate.h"

struct device;
struct file;
struct iommu_domain;
struct refusal;

/**
 * DOC: vocabulary
 *
 * IOVA
 *   The address that a device emits.
 * index
 *   Page number inside one struct iopt_pages, from 0.
 * start, last
 *   A closed interval: last is inclusive. An IOVA may be ULONG_MAX, so last + 1
 *   may overflow and is never computed unchecked.
 * start, end or start, length
 *   A half-open interval.
 * area
 *   One contiguous used IOVA range, backed by a slice of one pages object.
 * pages
 *   One logical array of pinned or pinnable pages, shared by the areas that
 *   were copied from one another.
 * run
 *   Consecutive indices with consecutive PFNs.
 * domain
 *   struct iommu_domain, the IOMMU driver's page table.
 * access
 *   An in-kernel user of IOVA.
 * fill, unfill
 *   Put a slice of pages into a domain, take it out again.
 *
 * Every ready area of an io_pagetable is filled into every domain of it, and
 * its pages are pinned as long as there is at least one domain.
 */

/**
 * DOC: locking
 *
 * domains_rwsem, then iova_rwsem, then iopt_pages.mutex, then mmap_lock.
 *
 * Whoever fills or unfills areas holds domains_rwsem for reading, so that the
 * set of domains stays, and an area is never seen half filled by the one that
 * adds or removes a domain. iova_rwsem protects who owns which IOVA; maps and
 * unmaps do not hold it while pages are pinned or a domain is changed, so those
 * of different ranges run side by side.
 *
 * An area that is in the tree and not ready belongs to the one call that is
 * making or removing it. A ready area is removed only by the call that moved
 * it to %IOPT_AREA_REMOVING under iova_rwsem for writing, and after those who hold
 * it have let go: who holds an area and domains_rwsem for reading may read what
 * the domains have of it, while others map and unmap elsewhere.
 *
 * Any of them may be held for as long as it takes to pin a lot of memory, and
 * mutexes outside of them, too. Whoever may fail waits so that it can be killed;
 * only what undoes something waits uninterruptibly.
 */

/**
 * enum iopt_area_state - where an area is in its life
 * @IOPT_AREA_CLAIMED: its IOVA is taken, it is being filled
 * @IOPT_AREA_READY: filled into every domain
 * @IOPT_AREA_REMOVING: its IOVA is still taken, it is being unfilled
 */
enum iopt_area_state {
	IOPT_AREA_CLAIMED,
	IOPT_AREA_READY,
	IOPT_AREA_REMOVING,
} __packed;

/**
 * struct iopt_area - one contiguous used IOVA range
 * @node: the range; under iova_rwsem
 * @state: written by the owner of the area's state, see the locking section
 * @prevent_access: refuse new accesses, an unmap is waiting; under iova_rwsem
 * @num_accesses: pins by accesses; under iova_rwsem for writing, or atomic
 *                under it for reading
 * @num_keepers: those of them that an unmap does not ask to unpin, and fails for;
 *               as @num_accesses
 * @num_holders: those who read what the domains have of it; grows under iova_rwsem
 * @prot: IOMMU_READ and so on; constant
 * @page_offset: offset of the first byte in its page; constant
 * @user: the range of indices, in pages.users while there is a domain
 * @pages: the memory; constant
 * @next: the next area that the same call makes or removes; means nothing to
 *        others
 */
struct iopt_area {
	struct iova_node node;
	enum iopt_area_state state;
	bool prevent_access;
	atomic_t num_accesses;
	atomic_t num_keepers;
	atomic_t num_holders;
	int prot;
	unsigned int page_offset;
	struct interval_tree_node user;
	struct iopt_pages *pages;
	struct iopt_area *next;
};

static inline unsigned long iopt_area_length(const struct iopt_area *area)
{
	return area->node.last - area->node.start + 1;
}

/**
 * iopt_area_ready - may an area be used and removed?
 * @area: the area
 *
 * Return: true if all is seen that was done to make it.
 */
static inline bool iopt_area_ready(struct iopt_area *area)
{
	/* Pairs with iopt_map_pages() */
	return smp_load_acquire(&area->state) == IOPT_AREA_READY;
}

/**
 * iopt_area_free - free an area
 * @area: the area, which is in no tree; its reference to the pages is put
 */
static inline void iopt_area_free(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	if (area != iopt_pages_room(pages))
		kfree(area);
	iopt_pages_put(pages);
}

static inline struct iopt_area *iopt_area_of(struct iova_node *node)
{
	return node ? container_of(node, struct iopt_area, node) : NULL;
}

/**
 * struct iopt_reserved - IOVA that may not be used
 * @node: the range
 * @owner: who reserved it; the range goes when the owner goes
 * @name: the owner's name for messages; lives as long as the owner
 * @why: kind of range, a constant string
 */
struct iopt_reserved {
	struct interval_tree_node node;
	const void *owner;
	const char *name;
	const char *why;
};

struct io_pagetable;

/*
 * Areas that go together: all of them are flushed, in as few steps as a gather
 * can, before the first page is unpinned, and after them others get the locks.
 * A user can make millions of areas.
 */
#define IOPT_UNFILL_BATCH 512

/**
 * struct iopt_access_ops - how an io_pagetable calls back its accesses
 * @unmap: stop using [iova, iova + length) and unpin it; may sleep
 *
 * Implemented by the owner of the io_pagetable, which knows the accesses.
 */
struct iopt_access_ops {
	void (*unmap)(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length);
};

/**
 * struct io_pagetable - the IOVA map of one address space
 * @domains_rwsem: see the locking section
 * @domains: struct iopt_domain list; under domains_rwsem
 * @small_pages: no translation larger than PAGE_SIZE; under domains_rwsem
 * @splittable: unmaps may split areas, as in VFIO's type 1; under domains_rwsem
 * @pin_accesses: number of accesses that pin whole pages; under domains_rwsem
 * @iova_rwsem: see the locking section
 * @areas: struct iopt_area by IOVA; under iova_rwsem
 * @allowed: ranges that must stay usable; under iova_rwsem
 * @reserved: struct iopt_reserved by IOVA; under iova_rwsem
 * @alignment: what IOVA and length must be a multiple of; written under both
 *             semaphores
 * @access_ops: constant after init
 * @refusal: where reasons are recorded; constant after init
 */
struct io_pagetable {
	struct rw_semaphore domains_rwsem;
	struct list_head domains;
	bool small_pages;
	bool splittable;
	unsigned int pin_accesses;

	struct rw_semaphore iova_rwsem;
	struct iova_tree areas;
	struct rb_root_cached allowed;
	struct rb_root_cached reserved;
	unsigned long alignment;

	const struct iopt_access_ops *access_ops;
	struct refusal *refusal;
};

/**
 * struct iopt_piece - a part of a pages object that becomes one area
 * @next: what is mapped after it, or NULL
 * @pages: the memory
 * @offset: first byte of it, counted from the start of index 0
 * @length: bytes, not 0
 * @first: no area uses the memory yet
 */
struct iopt_piece {
	struct iopt_piece *next;
	struct iopt_pages *pages;
	unsigned long offset;
	unsigned long length;
	bool first;
};

/**
 * struct iopt_map - what to map, and where
 * @pieces: the memory, mapped one piece after the other
 * @length: bytes of all pieces together
 * @prot: IOMMU_READ and so on
 * @fixed: @iova is given, else it is chosen and returned
 * @iova: IOVA of the first byte
 * @answer: where to tell the user the IOVA, or NULL
 */
struct iopt_map {
	struct iopt_piece *pieces;
	unsigned long length;
	int prot;
	bool fixed;
	unsigned long iova;
	u64 __user *answer;
};

/**
 * struct iopt_stats - sizes for fdinfo
 * @areas: number of areas
 * @mapped: bytes of IOVA in use
 * @pinned: bytes of these that are pinned, memory that is mapped twice counted
 *          twice
 * @reserved: number of reserved ranges
 * @alignment: what IOVA and length must be a multiple of
 */
struct iopt_stats {
	unsigned long areas;
	unsigned long mapped;
	unsigned long pinned;
	unsigned long reserved;
	unsigned long alignment;
};

void iopt_init(struct io_pagetable *iopt, const struct iopt_access_ops *ops,
	       struct refusal *refusal);
void iopt_destroy(struct io_pagetable *iopt);

int iopt_map_pages(struct io_pagetable *iopt, struct iopt_map *map);
void iopt_free_pieces(struct iopt_map *map);
int iopt_area_map(struct io_pagetable *iopt, const struct iopt_area *area,
		  struct iopt_domain *item);
void iopt_area_unmap(const struct iopt_area *area, struct iopt_gather *gather);
void iopt_area_hold(struct iopt_area *area);
void iopt_area_let_go(struct iopt_area *area);
void iopt_unfill_areas(struct io_pagetable *iopt, struct iopt_area *first,
		       struct iopt_area *stop);
void iopt_unclaim_areas(struct io_pagetable *iopt, struct iopt_area *first,
			struct iopt_area *stop);
int iopt_check_iova(struct io_pagetable *iopt, const struct iopt_map *map);
int iopt_choose_iova(struct io_pagetable *iopt, struct iopt_map *map);
int iopt_copy(struct io_pagetable *dst, struct io_pagetable *src,
	      unsigned long src_iova, struct iopt_map *map);
int iopt_unmap(struct io_pagetable *iopt, unsigned long iova,
	       unsigned long length, unsigned long *unmapped);
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped);
void iopt_clear(struct io_pagetable *iopt);

int iopt_refuse_kept(struct io_pagetable *iopt, const struct iova_node *node);

/* What users are told instead of what an unmap tells us */
static inline int iopt_errno(int rc)
{
	return rc == -EADDRINUSE ? -EBUSY : rc;
}

int iopt_split_at(struct io_pagetable *iopt, unsigned long iova);
int iopt_range_splits_area(struct io_pagetable *iopt, unsigned long iova,
			   unsigned long last);
unsigned long iopt_area_leaf(const struct iopt_area *area,
			     const struct iommu_domain *domain,
			     unsigned long iova, unsigned long *last);

int iopt_lock_to_change(struct io_pagetable *iopt);
void iopt_unlock_after_change(struct io_pagetable *iopt);
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *item);
void iopt_remove_domain(struct io_pagetable *iopt, struct iopt_domain *item);
int iopt_lower_flush_max(struct io_pagetable *iopt, struct iopt_domain *item,
			 unsigned long flush_max);
int iopt_add_pin_access(struct io_pagetable *iopt);
void iopt_remove_pin_access(struct io_pagetable *iopt);
int iopt_set_small_pages(struct io_pagetable *iopt, bool small_pages);
int iopt_set_splittable(struct io_pagetable *iopt, bool splittable);
void iopt_restore_splittable(struct io_pagetable *iopt, bool splittable);
void iopt_clear_options(struct io_pagetable *iopt);

int iopt_reserve(struct io_pagetable *iopt, unsigned long start,
		 unsigned long last, const void *owner, const char *name,
		 const char *why);
void iopt_unreserve(struct io_pagetable *iopt, const void *owner);
int iopt_reserve_device(struct io_pagetable *iopt, struct device *dev,
			phys_addr_t *sw_msi_start);

int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *allowed);
void iopt_free_allowed(struct rb_root_cached *allowed);
bool iopt_next_usable(struct io_pagetable *iopt, unsigned long from,
		      unsigned long *start, unsigned long *last);

int iopt_lock_to_look(struct io_pagetable *iopt);
void iopt_unlock_after_look(struct io_pagetable *iopt);
struct iopt_area *iopt_area_at(struct io_pagetable *iopt, unsigned long iova);
int iopt_get_stats(struct io_pagetable *iopt, struct iopt_stats *stats);
/* Pages that a walk over runs looks at before it lets others in */
#define IOPT_RUNS_STEP 16384
int iopt_count_runs(struct io_pagetable *iopt, struct iopt_runs *runs);

#endif
