// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOVA map of an address space: areas, their life, and the domains that
 * they are filled into. See io_pagetable.h for the vocabulary and the locking.
 */
#include <linux/align.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "io_pagetable.h"
#include "mmio.h"
#include "refusal.h"
#include "trace.h"

/*
 * No page table that we know has leaves above 1 GiB in use, so aligning an
 * IOVA more than that buys nothing.
 */
#define IOPT_MAX_ALIGN SZ_1G

/*
 * Areas that go together: that one IOTLB synchronisation and one pass of
 * unpinning cover, and after which others get the locks. A user can make
 * millions of areas.
 */
#define IOPT_UNFILL_BATCH 512

/*
 * Areas that one copy may be of, all of which are made and claimed before others
 * get the IOVA map, and have to go again if that fails or the caller is killed.
 */
#define IOPT_COPY_MAX 65536U

/* How often the accesses in a batch are asked before an unmap gives up. */
#define IOPT_UNMAP_TRIES 100

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
	iopt->cuttable = false;
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

static struct iopt_slice area_slice(const struct iopt_area *area)
{
	return (struct iopt_slice){
		.pages = area->pages,
		.index = area->user.start,
		.page_offset = area->page_offset,
		.length = iopt_area_length(area),
	};
}

static int slice_map(struct io_pagetable *iopt, const struct iopt_slice *slice,
		     struct iopt_domain *item, unsigned long iova, int prot)
{
	int rc = iopt_slice_map(slice, item, iova, prot, iopt->small_pages);

	if (rc == -ENOSPC && slice->pages->source == IOPT_PAGES_MMIO)
		refuse(iopt->refusal, rc,
		       "map: the device memory is mapped in %u places already, which is the limit",
		       IOMMUFD_MMIO_MAPS_MAX);
	return rc;
}

/* Pin if nobody did yet, and fill an area that has no domain into all. */
static int area_fill(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_slice slice = area_slice(area);
	struct iopt_gather gather;
	struct iopt_domain *item;
	int rc;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (list_empty(&iopt->domains))
		return 0;

	guard(mutex)(&area->pages->mutex);
	rc = iopt_pages_use(area->pages, &area->user, iopt->refusal);
	if (rc)
		return rc;
	list_for_each_entry(item, &iopt->domains, entry) {
		rc = slice_map(iopt, &slice, item, area->node.start,
			       area->prot);
		if (rc)
			goto err_unmap;
	}
	return 0;

err_unmap:
	list_for_each_entry_continue_reverse(item, &iopt->domains, entry) {
		iopt_gather_init(&gather, item);
		iopt_slice_unmap(&slice, &gather, area->node.start);
		iopt_gather_flush(&gather);
	}
	iopt_pages_unuse(area->pages, &area->user);
	return rc;
}

static void area_unmap(const struct iopt_area *area,
		       struct iopt_gather *gather)
{
	struct iopt_slice slice = area_slice(area);

	iopt_slice_unmap(&slice, gather, area->node.start);
}

/*
 * Take the areas from @first on, to before @stop, out of all domains. Every
 * translation of all of them is gone and flushed before the first page is
 * unpinned.
 */
static void unfill_areas(struct io_pagetable *iopt, struct iopt_area *first,
			 struct iopt_area *stop)
{
	struct iopt_gather gather;
	struct iopt_domain *item;
	struct iopt_area *area;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (first == stop || list_empty(&iopt->domains))
		return;

	list_for_each_entry(item, &iopt->domains, entry) {
		iopt_gather_init(&gather, item);
		for (area = first; area != stop; area = area->next)
			area_unmap(area, &gather);
		iopt_gather_flush(&gather);
	}
	for (area = first; area != stop; area = area->next) {
		scoped_guard(mutex, &area->pages->mutex)
			iopt_pages_unuse(area->pages, &area->user);
		if (area->next != stop)
			cond_resched();
	}
}

static struct iopt_area *area_alloc(const struct iopt_piece *piece, int prot)
{
	struct iopt_area *area;

	if (piece->first)
		area = iopt_pages_room(piece->pages);
	else
		area = kmalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area)
		return NULL;
	*area = (struct iopt_area){
		.state = IOPT_AREA_CLAIMED,
		.pages = piece->pages,
		.page_offset = offset_in_page(piece->offset),
		.prot = prot,
		.user.start = piece->offset >> PAGE_SHIFT,
		.user.last = (piece->offset + piece->length - 1) >> PAGE_SHIFT,
		/* Relative to the IOVA of the map until that is known. */
		.node.last = piece->length - 1,
	};
	iopt_pages_get(piece->pages);
	return area;
}

static void area_free(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	if (area != iopt_pages_room(pages))
		kfree(area);
	iopt_pages_put(pages);
}

static struct iopt_reserved *reserved_first(struct io_pagetable *iopt,
					    unsigned long start,
					    unsigned long last)
{
	struct interval_tree_node *node =
		interval_tree_iter_first(&iopt->reserved, start, last);

	return node ? container_of(node, struct iopt_reserved, node) : NULL;
}

static int check_fixed_iova(struct io_pagetable *iopt,
			    const struct iopt_map *map)
{
	unsigned long mask = iopt->alignment - 1;
	struct iopt_reserved *reserved;
	unsigned long last;

	if ((map->iova | map->length) & mask)
		return refuse(iopt->refusal, -EINVAL,
			      "map: IOVA 0x%lx length 0x%lx are not multiples of 0x%lx",
			      map->iova, map->length, iopt->alignment);
	if (check_add_overflow(map->iova, map->length - 1, &last))
		return -EOVERFLOW;

	reserved = reserved_first(iopt, map->iova, last);
	if (reserved)
		return refuse_and_warn(iopt->refusal, REFUSAL_RESERVED, -EINVAL,
				       "map: IOVA 0x%lx-0x%lx overlaps 0x%lx-0x%lx, %s of %s",
				       map->iova, last, reserved->node.start,
				       reserved->node.last, reserved->why,
				       reserved->name);
	return 0;
}

/**
 * iopt_next_usable - walk the ranges that are not reserved
 * @iopt: the address space; iova_rwsem is held
 * @from: where to start
 * @start: receives the first IOVA of the range at or after @from
 * @last: receives the last IOVA of it, inclusive
 *
 * Return: false if there is no further range.
 */
bool iopt_next_usable(struct io_pagetable *iopt, unsigned long from,
		      unsigned long *start, unsigned long *last)
{
	struct iopt_reserved *reserved;

	lockdep_assert_held(&iopt->iova_rwsem);

	while ((reserved = reserved_first(iopt, from, from)))
		if (check_add_overflow(reserved->node.last, 1UL, &from))
			return false;

	reserved = reserved_first(iopt, from, ULONG_MAX);
	*start = from;
	*last = reserved ? reserved->node.start - 1 : ULONG_MAX;
	return true;
}

/* Find a hole between @first and @last that is not reserved. */
static int find_unreserved(struct io_pagetable *iopt, unsigned long first,
			   unsigned long last, struct iova_hole *want,
			   unsigned long *iova)
{
	unsigned long from = first;
	int rc;

	while (iopt_next_usable(iopt, from, &want->first, &want->last)) {
		if (want->first > last)
			break;
		want->last = min(want->last, last);
		rc = iova_tree_find_hole(&iopt->areas, want, iova);
		if (rc != -ENOSPC)
			return rc;
		if (want->last == last)
			break;
		from = want->last + 1;
	}
	return -ENOSPC;
}

static int find_allowed(struct io_pagetable *iopt, struct iova_hole *want,
			unsigned long *iova)
{
	/*
	 * IOVA 0 and the very last page are legal but trip up users, so that
	 * they are never chosen by us.
	 */
	const unsigned long lowest = PAGE_SIZE;
	const unsigned long highest = ULONG_MAX - PAGE_SIZE;
	struct interval_tree_node *node;
	int rc;

	/*
	 * Nor is what comes near to it, where rounding up to the page size of
	 * some CPU wraps, unless the user names it.
	 */
	if (RB_EMPTY_ROOT(&iopt->allowed.rb_root))
		return find_unreserved(iopt, lowest, ULONG_MAX - SZ_64K, want,
				       iova);

	for (node = interval_tree_iter_first(&iopt->allowed, lowest, highest);
	     node; node = interval_tree_iter_next(node, lowest, highest)) {
		rc = find_unreserved(iopt, max(node->start, lowest),
				     min(node->last, highest), want, iova);
		if (rc != -ENOSPC)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return -ENOSPC;
}

/*
 * Where the memory is. Choosing an IOVA that is congruent to it makes large
 * pages of the memory large pages of the domain.
 */
static unsigned long memory_address(const struct iopt_map *map)
{
	return iopt_pages_address(map->pieces->pages, map->pieces->offset);
}

static int choose_iova(struct io_pagetable *iopt, struct iopt_map *map)
{
	unsigned long address = memory_address(map);
	struct iova_hole want = { .length = map->length };
	unsigned long align;
	int rc;

	if (map->length >= ULONG_MAX / 2)
		return -EOVERFLOW;
	if ((map->length | offset_in_page(address)) & (iopt->alignment - 1))
		return refuse(iopt->refusal, -EINVAL,
			      "map: address 0x%lx length 0x%lx are not multiples of 0x%lx",
			      address, map->length, iopt->alignment);

	align = clamp(rounddown_pow_of_two(map->length), PAGE_SIZE,
		      (unsigned long)IOPT_MAX_ALIGN);
	for (;;) {
		want.align = align;
		want.offset = address & (align - 1);
		rc = find_allowed(iopt, &want, &map->iova);
		if (rc != -ENOSPC)
			return rc;
		if (align == PAGE_SIZE)
			break;
		align = align > SZ_2M ? SZ_2M : PAGE_SIZE;
	}
	return refuse(iopt->refusal, -ENOSPC,
		      "map: no free IOVA for 0x%lx bytes in the usable ranges",
		      map->length);
}

static void free_areas(struct iopt_area *areas)
{
	while (areas) {
		struct iopt_area *area = areas;

		areas = area->next;
		area_free(area);
		if (areas)
			cond_resched();
	}
}

/* One area for each piece, linked in order, or an ERR_PTR. */
static struct iopt_area *alloc_areas(const struct iopt_map *map)
{
	struct iopt_area *areas = NULL;
	struct iopt_area **end = &areas;
	const struct iopt_piece *piece;

	for (piece = map->pieces; piece; piece = piece->next) {
		*end = area_alloc(piece, map->prot);
		if (!*end) {
			free_areas(areas);
			return ERR_PTR(-ENOMEM);
		}
		end = &(*end)->next;
		if (piece->next) {
			if (fatal_signal_pending(current)) {
				free_areas(areas);
				return ERR_PTR(-EINTR);
			}
			cond_resched();
		}
	}
	return areas;
}

static void remove_from_tree(struct io_pagetable *iopt,
			     struct iopt_area *first, struct iopt_area *stop)
{
	struct iopt_area *area;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (area = first; area != stop; area = area->next) {
		iova_tree_remove(&iopt->areas, &area->node);
		if (area->next != stop)
			cond_resched();
	}
}

static int add_to_tree(struct io_pagetable *iopt, struct iopt_area *areas,
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
			remove_from_tree(iopt, areas, area);
			return refuse(iopt->refusal, -EEXIST,
				      "map: IOVA 0x%lx-0x%lx overlaps the mapping at 0x%lx-0x%lx",
				      map->iova, map->iova + (map->length - 1),
				      used->start, used->last);
		}
		if (area->next) {
			if (fatal_signal_pending(current)) {
				remove_from_tree(iopt, areas, area->next);
				return -EINTR;
			}
			cond_resched();
		}
	}
	return 0;
}

/* Claim the range, so that nobody else can use it while it is filled. */
static int claim_areas(struct io_pagetable *iopt, struct iopt_area *areas,
		       struct iopt_map *map)
{
	unsigned long mask = iopt->alignment - 1;
	struct iopt_area *area;
	int rc;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	rc = map->fixed ? check_fixed_iova(iopt, map) : choose_iova(iopt, map);
	if (rc)
		return rc;
	rc = add_to_tree(iopt, areas, map);
	if (rc)
		return rc;

	for (area = areas; area; area = area->next) {
		if (area->next)
			cond_resched();
		if ((area->page_offset | iopt_area_length(area)) & mask) {
			remove_from_tree(iopt, areas, NULL);
			return refuse(iopt->refusal, -EINVAL,
				      "map: the memory is not aligned to 0x%lx",
				      iopt->alignment);
		}
	}
	return 0;
}

/* Give the IOVA of all areas back, in steps that others can get in between. */
static void unclaim_areas(struct io_pagetable *iopt, struct iopt_area *areas)
{
	while (areas) {
		struct iopt_area *stop = areas;
		unsigned int n;

		for (n = 0; stop && n < IOPT_UNFILL_BATCH; n++)
			stop = stop->next;
		scoped_guard(rwsem_write, &iopt->iova_rwsem)
			remove_from_tree(iopt, areas, stop);
		areas = stop;
	}
}

static int fill_areas(struct io_pagetable *iopt, struct iopt_area *areas)
{
	struct iopt_area *area;

	for (area = areas; area; area = area->next) {
		int rc = -EINTR;

		/* A copy may be of as many areas as fit into memory. */
		if (area == areas || !fatal_signal_pending(current))
			rc = area_fill(iopt, area);

		trace_iommufd_map(iopt, area, rc);
		if (rc) {
			unfill_areas(iopt, areas, area);
			return rc;
		}
		if (area->next)
			cond_resched();
	}
	return 0;
}

/*
 * Tell the user where the map is, which is all of the struct that changes. The
 * areas are not ready yet, so that nobody has touched them if that fails.
 */
static int answer_map(struct io_pagetable *iopt, const struct iopt_map *map,
		      struct iopt_area *areas)
{
	if (!map->answer || !put_user(map->iova, map->answer))
		return 0;
	unfill_areas(iopt, areas, NULL);
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
	areas = alloc_areas(map);
	if (IS_ERR(areas))
		return PTR_ERR(areas);

	guard(rwsem_read)(&iopt->domains_rwsem);
	scoped_guard(rwsem_write, &iopt->iova_rwsem)
		rc = claim_areas(iopt, areas, map);
	if (!rc) {
		rc = fill_areas(iopt, areas);
		if (!rc)
			rc = answer_map(iopt, map, areas);
		if (rc)
			unclaim_areas(iopt, areas);
	}
	if (rc) {
		free_areas(areas);
		return rc;
	}
	/*
	 * Whoever sees READY sees all that was done to fill the area, and may
	 * remove it at once, so that it is not touched after that. An unmap
	 * that comes before finds the area claimed.
	 */
	while (areas) {
		struct iopt_area *area = areas;

		areas = area->next;
		/* Pairs with area_ready(). */
		smp_store_release(&area->state, IOPT_AREA_READY);
		if (areas)
			cond_resched();
	}
	return 0;
}

static bool area_ready(struct iopt_area *area)
{
	/* Pairs with iopt_map_pages(). */
	return smp_load_acquire(&area->state) == IOPT_AREA_READY;
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
	return area && area_ready(area) ? area : NULL;
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

/* List the memory behind [iova, last], which areas cover without a hole. */
static int collect_pieces(struct io_pagetable *iopt, unsigned long iova,
			  unsigned long last, struct iopt_map *map)
{
	struct iopt_piece **end = &map->pieces;
	struct iopt_piece *piece;
	struct iopt_area *area;
	unsigned int n = 0;

	guard(rwsem_read)(&iopt->iova_rwsem);
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

	rc = collect_pieces(src, src_iova, last, map);
	if (!rc)
		rc = iopt_map_pages(dst, map);
	iopt_free_pieces(map);
	return rc;
}

static int refuse_cut(struct io_pagetable *iopt, unsigned long start,
		      unsigned long last, const struct iova_node *node)
{
	return refuse(iopt->refusal, -ENOENT,
		      "unmap: 0x%lx-0x%lx cuts the mapping at 0x%lx-0x%lx",
		      start, last, node->start, node->last);
}

/*
 * Link the first areas in [start, last], if they can be taken over: as many as
 * go together. *end is the last IOVA of what was looked at.
 */
static int link_areas(struct io_pagetable *iopt, unsigned long start,
		      unsigned long last, struct iopt_area **areas,
		      unsigned long *end)
{
	struct iova_node *node = iova_tree_first(&iopt->areas, start, last);
	struct iopt_area *area;
	bool in_use = false;
	unsigned int n = 0;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	*end = start;
	if (node && node->start < start)
		return refuse_cut(iopt, start, last, node);

	for (; node; node = iova_tree_next(node, last)) {
		if (n++ == IOPT_UNFILL_BATCH)
			break;
		area = iopt_area_of(node);
		if (node->last > last)
			return refuse_cut(iopt, start, last, node);
		if (!area_ready(area))
			return refuse(iopt->refusal, -EBUSY,
				      "unmap: the mapping at 0x%lx-0x%lx is being made or removed by another thread",
				      node->start, node->last);
		if (atomic_read(&area->num_accesses)) {
			area->prevent_access = true;
			in_use = true;
		}
		*end = node->last;
		*areas = area;
		areas = &area->next;
	}
	*areas = NULL;
	if (!node) {
		*end = last;
	} else {
		/* The rest is for later, but not if that is bound to fail. */
		node = iova_tree_first(&iopt->areas, last, last);
		if (node && node->last != last)
			return refuse_cut(iopt, start, last, node);
	}
	return in_use ? -EAGAIN : 0;
}

/*
 * Take over the first ready areas in [start, last] for removal. They keep their
 * IOVA until they are unfilled and flushed.
 *
 * Return: -ENOENT if a bound lies inside an area, -EBUSY if an area is being
 * made or removed by somebody else, -EAGAIN if accesses are in the way; with
 * nothing changed but prevent_access up to *end.
 */
static int take_areas(struct io_pagetable *iopt, unsigned long start,
		      unsigned long last, struct iopt_area **areas,
		      unsigned long *end)
{
	struct iopt_area *area;
	int rc;

	guard(rwsem_write)(&iopt->iova_rwsem);

	rc = link_areas(iopt, start, last, areas, end);
	if (rc)
		return rc;
	for (area = *areas; area; area = area->next)
		WRITE_ONCE(area->state, IOPT_AREA_REMOVING);
	return 0;
}

static void remove_areas(struct io_pagetable *iopt, struct iopt_area *areas,
			 unsigned long *unmapped)
{
	unfill_areas(iopt, areas, NULL);
	unclaim_areas(iopt, areas);
	while (areas) {
		struct iopt_area *area = areas;

		trace_iommufd_unmap(iopt, area);
		*unmapped += iopt_area_length(area);
		areas = area->next;
		area_free(area);
		if (areas)
			cond_resched();
	}
}

/* Let accesses come back to areas that are not going to be removed. */
static void allow_access(struct io_pagetable *iopt, unsigned long start,
			 unsigned long last)
{
	struct iova_node *node;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (node = iova_tree_first(&iopt->areas, start, last); node;
	     node = iova_tree_next(node, last)) {
		iopt_area_of(node)->prevent_access = false;
		cond_resched();
	}
}

/* Find the next area that an unmap waits for. */
static bool next_in_use(struct io_pagetable *iopt, unsigned long start,
			unsigned long last, struct iova_node *found)
{
	struct iova_node *node;

	guard(rwsem_read)(&iopt->iova_rwsem);
	for (node = iova_tree_first(&iopt->areas, start, last); node;
	     node = iova_tree_next(node, last)) {
		struct iopt_area *area = iopt_area_of(node);

		if (area->prevent_access && atomic_read(&area->num_accesses)) {
			*found = *node;
			return true;
		}
	}
	return false;
}

/*
 * Ask the accesses to let go of what keeps areas in [start, last] from being
 * removed. One area at a time, because there are owners that go through all of
 * the IOVA that they are asked about. Return -EAGAIN, or -EDEADLOCK if that was
 * tried often enough.
 */
static int ask_accesses(struct io_pagetable *iopt, unsigned long start,
			unsigned long last, unsigned int tries)
{
	unsigned long iova = start;
	struct iova_node busy;

	if (WARN_ON(!iopt->access_ops) || tries == IOPT_UNMAP_TRIES)
		return refuse(iopt->refusal, -EDEADLOCK,
			      "unmap: a driver does not let go of memory in 0x%lx-0x%lx",
			      start, last);

	/* prevent_access keeps new pins out. */
	while (next_in_use(iopt, iova, last, &busy)) {
		iopt->access_ops->unmap(iopt, busy.start,
					busy.last - busy.start + 1);
		if (busy.last >= last)
			break;
		iova = busy.last + 1;
	}
	return -EAGAIN;
}

/*
 * Remove the first areas in [start, last], up to *end. With @wait for all who
 * are making or removing areas, so that none is busy.
 */
static int take_and_remove(struct io_pagetable *iopt, unsigned long start,
			   unsigned long last, bool wait, unsigned long *end,
			   unsigned long *unmapped)
{
	struct iopt_area *areas;
	int rc;

	*end = start;
	if (wait)
		down_write(&iopt->domains_rwsem);
	else if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	rc = take_areas(iopt, start, last, &areas, end);
	if (!rc)
		remove_areas(iopt, areas, unmapped);
	if (wait)
		up_write(&iopt->domains_rwsem);
	else
		up_read(&iopt->domains_rwsem);
	return rc;
}

static int unmap_range(struct io_pagetable *iopt, unsigned long start,
		       unsigned long last, bool wait, unsigned long *unmapped)
{
	unsigned long barred = start;
	unsigned int tries = 0;
	unsigned long end;
	int rc;

	*unmapped = 0;
	do {
		rc = take_and_remove(iopt, start, last, wait, &end, unmapped);
		if (rc)
			barred = max(barred, end);
		if (rc == -EAGAIN) {
			rc = ask_accesses(iopt, start, end, tries++);
		} else if (!rc && end != last) {
			start = end + 1;
			tries = 0;
			rc = -EAGAIN;
		}
		if (rc == -EAGAIN) {
			if (!wait && fatal_signal_pending(current))
				rc = -EINTR;
			cond_resched();
		}
	} while (rc == -EAGAIN);
	if (rc && barred >= start)
		allow_access(iopt, start, barred);
	return rc;
}

/**
 * iopt_unmap - unmap all areas in a range
 * @iopt: the address space
 * @iova: first IOVA
 * @length: bytes
 * @unmapped: receives the bytes of the areas that were there and are gone now,
 *            also on failure
 *
 * Areas go in batches of %IOPT_UNFILL_BATCH, from low to high IOVA, between
 * which others get the locks and a signal is seen. Up to that many go together
 * or not at all, and so do more if nobody else changes the range.
 *
 * Return: 0; -ENOENT if the range is empty or would cut an area, -EBUSY if
 * another thread is making or removing an area in it, -EINTR if the caller was
 * killed, -EDEADLOCK if an access does not let go, -EINVAL if the length is 0,
 * -EOVERFLOW if the range wraps.
 */
int iopt_unmap(struct io_pagetable *iopt, unsigned long iova,
	       unsigned long length, unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	rc = unmap_range(iopt, iova, last, false, unmapped);
	if (!rc && !*unmapped)
		return -ENOENT;
	return rc;
}

/**
 * iopt_unmap_all - unmap everything
 * @iopt: the address space
 * @unmapped: receives the bytes of the areas that were there and are gone now,
 *            maybe none, also on failure
 *
 * In batches, as iopt_unmap().
 *
 * Return: 0, -EBUSY if another thread is making or removing an area, -EINTR if
 * the caller was killed, or -EDEADLOCK if an access does not let go.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	return unmap_range(iopt, 0, ULONG_MAX, false, unmapped);
}

/**
 * iopt_clear - unmap everything, whatever others do
 * @iopt: the address space
 *
 * What is being mapped or unmapped is waited for; what comes later stays, and so
 * does what an access does not let go of.
 */
void iopt_clear(struct io_pagetable *iopt)
{
	unsigned long unmapped;
	int rc;

	rc = unmap_range(iopt, 0, ULONG_MAX, true, &unmapped);
	/* A driver that holds on to memory is not our own fault. */
	WARN_ON(rc && rc != -EDEADLOCK);
}

/* The alignment that all domains and options ask for together. */
static unsigned long calc_alignment(struct io_pagetable *iopt,
				    struct iommu_domain *extra)
{
	bool whole = iopt->small_pages || iopt->pin_accesses;
	unsigned long alignment = whole ? PAGE_SIZE : 1;
	struct iopt_domain *item;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (extra)
		alignment = max(alignment, 1UL << __ffs(extra->pgsize_bitmap));
	list_for_each_entry(item, &iopt->domains, entry)
		alignment = max(alignment,
				1UL << __ffs(item->domain->pgsize_bitmap));
	return alignment;
}

/* Would every area and allowed range do with a larger alignment? */
static int check_alignment(struct io_pagetable *iopt, unsigned long alignment)
{
	unsigned long mask = alignment - 1;
	struct iova_node *node;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	if (alignment > PAGE_SIZE)
		return refuse(iopt->refusal, -EINVAL,
			      "attach: the IOMMU's smallest page of %lu kB is larger than the CPU's",
			      alignment >> 10);
	if (alignment <= iopt->alignment)
		return 0;
	for (node = iova_tree_first(&iopt->areas, 0, ULONG_MAX); node;
	     node = iova_tree_next(node, ULONG_MAX)) {
		struct iopt_area *area = iopt_area_of(node);

		if ((node->start | (node->last + 1) | area->page_offset) & mask)
			return refuse(iopt->refusal, -EADDRINUSE,
				      "attach: the mapping at 0x%lx-0x%lx is not aligned to 0x%lx",
				      node->start, node->last, alignment);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int reserve_aperture(struct io_pagetable *iopt,
			    struct iopt_domain *item)
{
	const struct iommu_domain_geometry *geometry = &item->domain->geometry;
	int rc;

	if (geometry->aperture_start) {
		rc = iopt_reserve(iopt, 0, geometry->aperture_start - 1, item,
				  "the page table", "below the aperture");
		if (rc)
			return rc;
	}
	if (geometry->aperture_end != ULONG_MAX) {
		rc = iopt_reserve(iopt, geometry->aperture_end + 1, ULONG_MAX,
				  item, "the page table", "above the aperture");
		if (rc)
			return rc;
	}
	return 0;
}

/* Undo what fill_domain() did to the areas before @stop; NULL means all. */
static void unfill_domain(struct io_pagetable *iopt, struct iopt_domain *item,
			  struct iova_node *stop)
{
	bool is_last = list_empty(&iopt->domains);
	struct iopt_gather gather;
	struct iova_node *node;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	iopt_gather_init(&gather, item);
	for (node = iova_tree_first(&iopt->areas, 0, ULONG_MAX); node != stop;
	     node = iova_tree_next(node, ULONG_MAX)) {
		area_unmap(iopt_area_of(node), &gather);
		cond_resched();
	}
	iopt_gather_flush(&gather);

	if (!is_last)
		return;
	for (node = iova_tree_first(&iopt->areas, 0, ULONG_MAX); node != stop;
	     node = iova_tree_next(node, ULONG_MAX)) {
		struct iopt_area *area = iopt_area_of(node);

		scoped_guard(mutex, &area->pages->mutex)
			iopt_pages_unuse(area->pages, &area->user);
		cond_resched();
	}
}

/* Fill all areas into one more domain; pin them if it is the first. */
static int fill_domain(struct io_pagetable *iopt, struct iopt_domain *item)
{
	bool is_first = list_empty(&iopt->domains);
	struct iova_node *node;
	int rc;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (node = iova_tree_first(&iopt->areas, 0, ULONG_MAX); node;
	     node = iova_tree_next(node, ULONG_MAX)) {
		struct iopt_area *area = iopt_area_of(node);
		struct iopt_slice slice = area_slice(area);

		if (fatal_signal_pending(current)) {
			rc = -EINTR;
			break;
		}
		cond_resched();
		guard(mutex)(&area->pages->mutex);
		if (is_first) {
			rc = iopt_pages_use(area->pages, &area->user,
					    iopt->refusal);
			if (rc)
				break;
		}
		rc = slice_map(iopt, &slice, item, node->start, area->prot);
		if (rc) {
			if (is_first)
				iopt_pages_unuse(area->pages, &area->user);
			break;
		}
	}
	if (!node)
		return 0;
	unfill_domain(iopt, item, node);
	return rc;
}

/**
 * iopt_add_domain - fill all areas into one more domain
 * @iopt: the address space
 * @item: the domain, empty; stays until iopt_remove_domain()
 *
 * Return: 0; or with nothing changed: -EADDRINUSE if an area lies outside the
 * domain's aperture or is not aligned for it, -EINVAL if its pages are larger
 * than the CPU's, -EINTR if the caller was killed, or what pinning and the IOMMU
 * driver say.
 */
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *item)
{
	unsigned long alignment;
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);

	alignment = calc_alignment(iopt, item->domain);
	rc = check_alignment(iopt, alignment);
	if (rc)
		return rc;
	rc = reserve_aperture(iopt, item);
	if (rc)
		goto err_unreserve;
	rc = fill_domain(iopt, item);
	if (rc)
		goto err_unreserve;
	iopt->alignment = alignment;
	list_add_tail(&item->entry, &iopt->domains);
	return 0;

err_unreserve:
	iopt_unreserve(iopt, item);
	return rc;
}

/**
 * iopt_remove_domain - take all areas out of a domain
 * @iopt: the address space
 * @item: a domain of it; empty and unused afterwards
 */
void iopt_remove_domain(struct io_pagetable *iopt, struct iopt_domain *item)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);

	list_del(&item->entry);
	unfill_domain(iopt, item, NULL);
	iopt_unreserve(iopt, item);
	iopt->alignment = calc_alignment(iopt, NULL);
}

/**
 * iopt_lower_flush_max - a domain comes to hardware that flushes less at a time
 * @iopt: the address space
 * @item: a domain of it; no device of that hardware is attached yet
 * @flush_max: from iopt_flush_max()
 */
void iopt_lower_flush_max(struct io_pagetable *iopt, struct iopt_domain *item,
			  unsigned long flush_max)
{
	if (!flush_max || (item->flush_max && item->flush_max <= flush_max))
		return;
	/* Whatever is unmapped after the attach has to know. */
	guard(rwsem_write)(&iopt->domains_rwsem);
	item->flush_max = flush_max;
}

/**
 * iopt_add_pin_access - an access comes that uses whole pages
 * @iopt: the address space
 *
 * Return: 0, or -EADDRINUSE if an area is not page-aligned.
 */
int iopt_add_pin_access(struct io_pagetable *iopt)
{
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);

	iopt->pin_accesses++;
	rc = check_alignment(iopt, calc_alignment(iopt, NULL));
	if (rc)
		iopt->pin_accesses--;
	else
		iopt->alignment = calc_alignment(iopt, NULL);
	return rc;
}

/**
 * iopt_remove_pin_access - undo iopt_add_pin_access()
 * @iopt: the address space
 */
void iopt_remove_pin_access(struct io_pagetable *iopt)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);

	iopt->pin_accesses--;
	iopt->alignment = calc_alignment(iopt, NULL);
}

/**
 * iopt_set_small_pages - allow or forbid large translations
 * @iopt: the address space
 * @small_pages: make no translation larger than PAGE_SIZE from now on
 *
 * Return: 0, -EINVAL if translations exist already, or -EADDRINUSE if an area
 * is not page-aligned.
 */
int iopt_set_small_pages(struct io_pagetable *iopt, bool small_pages)
{
	bool old;
	int rc;

	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);

	old = iopt->small_pages;
	if (old == small_pages)
		return 0;
	if (small_pages && !list_empty(&iopt->domains) && iopt->areas.nr)
		return refuse(iopt->refusal, -EINVAL,
			      "option: mappings with large pages exist already");
	iopt->small_pages = small_pages;
	rc = check_alignment(iopt, calc_alignment(iopt, NULL));
	if (rc) {
		iopt->small_pages = old;
		return rc;
	}
	iopt->alignment = calc_alignment(iopt, NULL);
	return 0;
}
