// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOVA map of an address space: areas, their life, and the domains that
 * they are filled into. See io_pagetable.h for the vocabulary and the locking.
 */
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "io_pagetable.h"
#include "mmio.h"
#include "refusal.h"
#include "trace.h"

/*
 * Areas that one copy may be of, all of which are made and claimed before others
 * get the IOVA map, and have to go again if that fails or the caller is killed.
 */
#define IOPT_COPY_MAX 65536U

/**
 * iopt_init - prepare an empty address space
 * @iopt: the address space
 * @ops: how to call back accesses, may be NULL if there are none
 * @refusal: where reasons are recorded, may be NULL
 */
void iopt_init(struct io_pagetable *iopt, const struct iopt_access_ops *ops,
	       struct refusal *refusal)
{
	init_rwsem(&iopt->domains_rwsem);
	init_rwsem(&iopt->iova_rwsem);
	INIT_LIST_HEAD(&iopt->domains);
	iova_tree_init(&iopt->areas);
	iopt->allowed = RB_ROOT_CACHED;
	iopt->reserved = RB_ROOT_CACHED;
	iopt->alignment = 1;
	iopt->small_pages = false;
	iopt->splittable = false;
	iopt->pin_accesses = 0;
	iopt->access_ops = ops;
	iopt->refusal = refusal;
}

/**
 * iopt_destroy - undo iopt_init()
 * @iopt: the address space; all areas and domains are gone
 */
void iopt_destroy(struct io_pagetable *iopt)
{
	iopt_unreserve(iopt, NULL);
	iopt_free_allowed(&iopt->allowed);
	WARN_ON(iopt->areas.nr);
	WARN_ON(!list_empty(&iopt->domains));
	WARN_ON(!RB_EMPTY_ROOT(&iopt->reserved.rb_root));
}

/* Not inlined, as memory of one page has no use for the slice */
static noinline int iopt_area_map_slice(const struct iopt_area *area,
					struct iopt_domain *item,
					bool small_pages)
{
	struct iopt_slice slice = {
		.pages = area->pages,
		.index = area->user.start,
		.page_offset = area->page_offset,
		.length = iopt_area_length(area),
	};

	return iopt_slice_map(&slice, item, area->node.start, area->prot,
			      small_pages);
}

/* Say why an area cannot be filled into a domain, where that is known */
static __cold void iopt_explain_map(struct io_pagetable *iopt,
				    const struct iopt_area *area,
				    const struct iopt_domain *item, int rc)
{
	if (rc == -ENOSPC && area->pages->source == IOPT_PAGES_MMIO)
		refuse(iopt->refusal, rc,
		       "map: the device memory is mapped in %u places already, which is the limit",
		       IOMMUFD_MMIO_MAPS_MAX);
	/* Hardware that sets bits in them needs them writable: 772415 of Intel */
	if (rc == -EINVAL && item->nest_parent && !(area->prot & IOMMU_WRITE))
		refuse(iopt->refusal, rc,
		       "map: a nest parent cannot have the read-only mapping at 0x%lx-0x%lx with this IOMMU driver; make it writable",
		       area->node.start, area->node.last);
}

/**
 * iopt_area_map - fill an area, whose pages are pinned, into a domain
 * @iopt: the address space
 * @area: the area; the mutex of its pages is held
 * @item: the domain
 *
 * Return: 0; or with nothing mapped, the error of the IOMMU driver, or -EINTR if
 * the caller was killed.
 */
int iopt_area_map(struct io_pagetable *iopt, const struct iopt_area *area,
		  struct iopt_domain *item)
{
	const struct iopt_pages *pages = area->pages;
	int rc;

	lockdep_assert_held(&pages->mutex);

	if (pfn_store_is_single(&pages->store) &&
	    pages->source != IOPT_PAGES_MMIO)
		rc = iopt_translate_and_sync(item, area->node.start,
					     PFN_PHYS(pfn_store_single(&pages->store)) +
						     area->page_offset,
					     iopt_area_length(area), PAGE_SIZE,
					     area->prot);
	else
		rc = iopt_area_map_slice(area, item, iopt->small_pages);
	if (rc)
		iopt_explain_map(iopt, area, item, rc);
	return rc;
}

/**
 * iopt_area_unmap - take an area out of a domain
 * @area: the area
 * @gather: of the domain; flushed by the caller before anything is unpinned
 */
void iopt_area_unmap(const struct iopt_area *area, struct iopt_gather *gather)
{
	struct iopt_pages *pages = area->pages;

	if (pages->source == IOPT_PAGES_MMIO)
		iommufd_mmio_unmap(pages->mmio, gather->item, area->node.start);
	else
		iopt_untranslate(gather, area->node.start,
				 iopt_area_length(area));
}

/*
 * Undo what was filled of an area: it is in the domains that are before @stop in the
 * list
 */
static noinline void iopt_area_unfill(struct io_pagetable *iopt,
				      struct iopt_area *area,
				      struct iopt_domain *stop)
{
	struct iopt_gather gather;
	struct iopt_domain *item = stop;

	list_for_each_entry_continue_reverse(item, &iopt->domains, entry) {
		iopt_gather_init(&gather, item);
		iopt_area_unmap(area, &gather);
		iopt_gather_flush(&gather);
	}
	iopt_pages_unuse(area->pages, &area->user);
}

/* Pin what is not pinned yet, and fill a new area into all domains */
static int iopt_area_fill(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_domain *item;
	int rc;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (list_empty(&iopt->domains))
		return 0;

	/* Another task may be pinning the same memory */
	rc = mutex_lock_killable(&area->pages->mutex);
	if (rc)
		return rc;
	rc = iopt_pages_use(area->pages, &area->user, iopt->refusal);
	if (rc)
		goto out_unlock;
	list_for_each_entry(item, &iopt->domains, entry) {
		rc = iopt_area_map(iopt, area, item);
		if (rc) {
			iopt_area_unfill(iopt, area, item);
			break;
		}
	}
out_unlock:
	mutex_unlock(&area->pages->mutex);
	return rc;
}

/**
 * iopt_unfill_areas - take areas out of all domains
 * @iopt: the address space; domains_rwsem is held
 * @first: the first of them
 * @stop: what follows the last one, or NULL
 *
 * Every translation of all of them is gone and flushed before the first page is
 * unpinned.
 */
void iopt_unfill_areas(struct io_pagetable *iopt, struct iopt_area *first,
		       struct iopt_area *stop)
{
	struct iopt_gather gather __uninitialized;
	struct iopt_domain *item;
	struct iopt_area *area;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (first == stop || list_empty(&iopt->domains))
		return;

	list_for_each_entry(item, &iopt->domains, entry) {
		iopt_gather_init(&gather, item);
		for (area = first; area != stop; area = area->next) {
			iopt_area_unmap(area, &gather);
			if (area->next != stop)
				cond_resched();
		}
		iopt_gather_flush(&gather);
	}
	for (area = first; area != stop; area = area->next) {
		struct iopt_pages *pages = area->pages;

		mutex_lock(&pages->mutex);
		iopt_pages_unuse(pages, &area->user);
		mutex_unlock(&pages->mutex);
		if (area->next != stop)
			cond_resched();
	}
}

static struct iopt_area *iopt_area_alloc(const struct iopt_piece *piece,
					 int prot)
{
	unsigned long start = piece->offset;
	unsigned long last = start + (piece->length - 1);
	struct iopt_pages *pages = piece->pages;
	struct iopt_area *area;

	area = piece->first ? iopt_pages_room(pages) :
			      kmalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area)
		return NULL;
	/* Not as a whole, which would clear the nodes that the trees set up */
	area->state = IOPT_AREA_CLAIMED;
	area->prevent_access = false;
	atomic_set(&area->num_accesses, 0);
	atomic_set(&area->num_keepers, 0);
	atomic_set(&area->num_holders, 0);
	area->pages = pages;
	area->page_offset = offset_in_page(start);
	area->prot = prot;
	area->user.start = start >> PAGE_SHIFT;
	area->user.last = last >> PAGE_SHIFT;
	/* Relative to the IOVA of the map until that is known */
	area->node.last = last - start;
	area->next = NULL;
	iopt_pages_get(pages);
	return area;
}

static void iopt_free_areas(struct iopt_area *areas)
{
	while (areas) {
		struct iopt_area *area = areas;

		areas = area->next;
		iopt_area_free(area);
		if (areas)
			cond_resched();
	}
}

/* One area for each piece, linked in order, or an ERR_PTR */
static struct iopt_area *iopt_alloc_areas(const struct iopt_map *map)
{
	struct iopt_area *areas = NULL;
	struct iopt_area **end = &areas;
	const struct iopt_piece *piece;

	for (piece = map->pieces; piece; piece = piece->next) {
		*end = iopt_area_alloc(piece, map->prot);
		if (!*end) {
			iopt_free_areas(areas);
			return ERR_PTR(-ENOMEM);
		}
		end = &(*end)->next;
		if (piece->next) {
			if (fatal_signal_pending(current)) {
				iopt_free_areas(areas);
				return ERR_PTR(-EINTR);
			}
			cond_resched();
		}
	}
	return areas;
}

static void iopt_remove_from_tree(struct io_pagetable *iopt,
				  struct iopt_area *first,
				  struct iopt_area *stop)
{
	struct iopt_area *area;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (area = first; area != stop; area = area->next) {
		iova_tree_remove(&iopt->areas, &area->node);
		if (area->next != stop)
			cond_resched();
	}
}

static int iopt_add_to_tree(struct io_pagetable *iopt, struct iopt_area *areas,
			    const struct iopt_map *map)
{
	unsigned long iova = map->iova;
	struct iopt_area *area;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (area = areas; area; area = area->next) {
		struct iova_node *used;

		area->node.start = iova;
		area->node.last += iova;
		iova = area->node.last + 1;
		used = iova_tree_insert(&iopt->areas, &area->node);
		if (used) {
			iopt_remove_from_tree(iopt, areas, area);
			return refuse(iopt->refusal, -EEXIST,
				      "map: IOVA 0x%lx-0x%lx overlaps the mapping at 0x%lx-0x%lx",
				      map->iova, map->iova + (map->length - 1),
				      used->start, used->last);
		}
		if (area->next) {
			if (fatal_signal_pending(current)) {
				iopt_remove_from_tree(iopt, areas, area->next);
				return -EINTR;
			}
			cond_resched();
		}
	}
	return 0;
}

/* Claim the range, so no other call can use it while it is filled */
static int iopt_claim_areas(struct io_pagetable *iopt, struct iopt_area *areas,
			    struct iopt_map *map)
{
	unsigned long mask = iopt->alignment - 1;
	struct iopt_area *area;
	int rc;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	rc = map->fixed ? iopt_check_iova(iopt, map) :
			  iopt_choose_iova(iopt, map);
	if (rc)
		return rc;
	rc = iopt_add_to_tree(iopt, areas, map);
	if (rc)
		return rc;

	for (area = areas; area; area = area->next) {
		if (area->next)
			cond_resched();
		if ((area->page_offset | iopt_area_length(area)) & mask) {
			iopt_remove_from_tree(iopt, areas, NULL);
			return refuse(iopt->refusal, -EINVAL,
				      "map: the memory is not aligned to 0x%lx",
				      iopt->alignment);
		}
	}
	return 0;
}

/**
 * iopt_unclaim_areas - give the IOVA of areas back
 * @iopt: the address space
 * @first: the first of them
 * @stop: what follows the last one, or NULL; others wait for all up to it
 */
void iopt_unclaim_areas(struct io_pagetable *iopt, struct iopt_area *first,
			struct iopt_area *stop)
{
	down_write(&iopt->iova_rwsem);
	iopt_remove_from_tree(iopt, first, stop);
	up_write(&iopt->iova_rwsem);
}

/* In steps that others can get in between */
static noinline void iopt_unclaim_all(struct io_pagetable *iopt,
				      struct iopt_area *areas)
{
	while (areas) {
		struct iopt_area *stop = areas;
		unsigned int n;

		for (n = 0; stop && n < IOPT_UNFILL_BATCH; n++)
			stop = stop->next;
		iopt_unclaim_areas(iopt, areas, stop);
		areas = stop;
	}
}

static int iopt_fill_areas(struct io_pagetable *iopt, struct iopt_area *areas)
{
	struct iopt_area *area;

	for (area = areas; area; area = area->next) {
		int rc = -EINTR;

		/* A copy may be of as many areas as fit into memory */
		if (area == areas || !fatal_signal_pending(current))
			rc = iopt_area_fill(iopt, area);

		trace_iommufd_map(area->node.start, area->node.last, area->prot,
				  rc);
		if (rc) {
			iopt_unfill_areas(iopt, areas, area);
			return rc;
		}
		if (area->next)
			cond_resched();
	}
	return 0;
}

/*
 * Tell the user where the map is, which is all of the struct that changes. The
 * areas are not ready yet, so no other call has used them if that fails.
 */
static int iopt_answer_map(struct io_pagetable *iopt,
			   const struct iopt_map *map, struct iopt_area *areas)
{
	if (!map->answer || !put_user(map->iova, map->answer))
		return 0;
	iopt_unfill_areas(iopt, areas, NULL);
	return -EFAULT;
}

/**
 * iopt_map_pages - map memory
 * @iopt: the address space
 * @map: what to map where; iova is returned if it is not fixed
 *
 * Takes a reference to the pages if it succeeds.
 *
 * Return: 0; or with nothing changed: -EINVAL if the IOVA is reserved or not
 * aligned, -EEXIST if it is in use, -EOVERFLOW if the range wraps, -ENOSPC if
 * no IOVA is free, -ENOMEM, -EINTR if the caller was killed, -EFAULT if the user
 * cannot be told the IOVA, or an error of iopt_pages_use() or the IOMMU driver.
 */
int iopt_map_pages(struct io_pagetable *iopt, struct iopt_map *map)
{
	struct iopt_area *areas;
	int rc;

	if (!map->length)
		return -EINVAL;
	areas = iopt_alloc_areas(map);
	if (IS_ERR(areas))
		return PTR_ERR(areas);

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		goto out_free;
	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		goto out_unlock;
	rc = iopt_claim_areas(iopt, areas, map);
	up_write(&iopt->iova_rwsem);
	if (!rc) {
		rc = iopt_fill_areas(iopt, areas);
		if (!rc)
			rc = iopt_answer_map(iopt, map, areas);
		if (rc)
			iopt_unclaim_all(iopt, areas);
	}
	if (rc)
		goto out_unlock;
	/*
	 * Whoever sees READY sees all that was done to fill the area, and may
	 * remove it at once, so that it is not touched after that. An unmap
	 * that comes before finds the area claimed.
	 */
	while (areas) {
		struct iopt_area *area = areas;

		areas = area->next;
		/* Pairs with iopt_area_ready() */
		smp_store_release(&area->state, IOPT_AREA_READY);
		if (areas)
			cond_resched();
	}
out_unlock:
	up_read(&iopt->domains_rwsem);
out_free:
	/* None is left if they have become ready */
	iopt_free_areas(areas);
	return rc;
}

/**
 * iopt_lock_to_look - keep the areas and domains as they are
 * @iopt: the address space
 *
 * For a short look, because it keeps others from mapping and unmapping.
 *
 * Return: 0, or -EINTR if the caller was killed: another task may be pinning a
 * lot.
 */
int iopt_lock_to_look(struct io_pagetable *iopt)
{
	if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	if (down_read_killable(&iopt->iova_rwsem)) {
		up_read(&iopt->domains_rwsem);
		return -EINTR;
	}
	return 0;
}

/**
 * iopt_unlock_after_look - undo iopt_lock_to_look()
 * @iopt: the address space
 */
void iopt_unlock_after_look(struct io_pagetable *iopt)
{
	up_read(&iopt->iova_rwsem);
	up_read(&iopt->domains_rwsem);
}

/**
 * iopt_area_at - find the area that covers an IOVA
 * @iopt: the address space; iova_rwsem is held
 * @iova: the IOVA
 *
 * Return: the area, or NULL if there is none that is ready.
 */
struct iopt_area *iopt_area_at(struct io_pagetable *iopt, unsigned long iova)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_rwsem);

	area = iopt_area_of(iova_tree_first(&iopt->areas, iova, iova));
	return area && iopt_area_ready(area) ? area : NULL;
}

/**
 * iopt_free_pieces - free what a map was made of
 * @map: its pieces come from kmalloc(), each with a reference to its pages
 */
void iopt_free_pieces(struct iopt_map *map)
{
	while (map->pieces) {
		struct iopt_piece *piece = map->pieces;

		map->pieces = piece->next;
		iopt_pages_put(piece->pages);
		kfree(piece);
		if (map->pieces)
			cond_resched();
	}
}

static int iopt_collect_pieces_locked(struct io_pagetable *iopt,
				      unsigned long iova, unsigned long last,
				      struct iopt_map *map)
{
	struct iopt_piece **end = &map->pieces;
	struct iopt_piece *piece;
	struct iopt_area *area;
	unsigned int n = 0;

	for (;;) {
		area = iopt_area_at(iopt, iova);
		if (!area)
			return refuse(iopt->refusal, -ENOENT,
				      "copy: nothing is mapped at 0x%lx",
				      iova);
		if ((map->prot & IOMMU_WRITE) && !area->pages->writable)
			return refuse(iopt->refusal, -EPERM,
				      "copy: the memory at 0x%lx was mapped read-only",
				      iova);
		if (n++ == IOPT_COPY_MAX)
			return refuse(iopt->refusal, -ENOSPC,
				      "copy: more than %u mappings at once",
				      IOPT_COPY_MAX);
		piece = kmalloc(sizeof(*piece), GFP_KERNEL_ACCOUNT);
		if (!piece)
			return -ENOMEM;
		piece->next = NULL;
		piece->pages = area->pages;
		piece->first = false;
		iopt_pages_get(piece->pages);
		piece->offset = area->user.start * PAGE_SIZE +
				area->page_offset + (iova - area->node.start);
		piece->length = min(last, area->node.last) - iova + 1;
		*end = piece;
		end = &piece->next;
		if (last <= area->node.last)
			return 0;
		iova = area->node.last + 1;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* List the memory behind [iova, last], which areas cover without a hole */
static int iopt_collect_pieces(struct io_pagetable *iopt, unsigned long iova,
			       unsigned long last, struct iopt_map *map)
{
	int rc;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	rc = iopt_collect_pieces_locked(iopt, iova, last, map);
	up_read(&iopt->iova_rwsem);
	return rc;
}

/**
 * iopt_copy - map the memory of other mappings
 * @dst: where to map; may be @src
 * @src: where the memory is mapped already
 * @src_iova: first IOVA in @src
 * @map: length, prot, fixed and iova are given; iova is returned if it is not
 *       fixed
 *
 * The memory is shared: it is pinned and charged once.
 *
 * Return: 0; -ENOENT if not all of the range is mapped, -EPERM if the copy
 * would be writable and the memory is not, -ENOSPC if it is of more than
 * %IOPT_COPY_MAX areas, -EINTR if the caller was killed, or an error of
 * iopt_map_pages().
 */
int iopt_copy(struct io_pagetable *dst, struct io_pagetable *src,
	      unsigned long src_iova, struct iopt_map *map)
{
	unsigned long last;
	int rc;

	map->pieces = NULL;
	if (!map->length)
		return -EINVAL;
	if (check_add_overflow(src_iova, map->length - 1, &last))
		return -EOVERFLOW;

	rc = iopt_collect_pieces(src, src_iova, last, map);
	if (!rc)
		rc = iopt_map_pages(dst, map);
	iopt_free_pieces(map);
	return rc;
}
