// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which IOVA a mapping gets.
 */
#include <linux/align.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "io_pagetable.h"
#include "refusal.h"

/*
 * No page table that we know has leaves above 1 GiB in use, so aligning an
 * IOVA more than that buys nothing.
 */
#define IOPT_MAX_ALIGN SZ_1G

static struct iopt_reserved *iopt_reserved_first(struct io_pagetable *iopt,
						 unsigned long start,
						 unsigned long last)
{
	struct interval_tree_node *node =
		interval_tree_iter_first(&iopt->reserved, start, last);

	return node ? container_of(node, struct iopt_reserved, node) : NULL;
}

/**
 * iopt_check_iova - may a mapping have the IOVA that the user names?
 * @iopt: the address space; iova_rwsem is held
 * @map: the mapping
 *
 * Whether it is in use is not looked at.
 *
 * Return: 0, -EINVAL if it is reserved or not aligned, or -EOVERFLOW if the range
 * wraps.
 */
int iopt_check_iova(struct io_pagetable *iopt, const struct iopt_map *map)
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

	reserved = iopt_reserved_first(iopt, map->iova, last);
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

	while ((reserved = iopt_reserved_first(iopt, from, from)))
		if (check_add_overflow(reserved->node.last, 1UL, &from))
			return false;

	reserved = iopt_reserved_first(iopt, from, ULONG_MAX);
	*start = from;
	*last = reserved ? reserved->node.start - 1 : ULONG_MAX;
	return true;
}

/* Find a hole between @first and @last that is not reserved */
static int iopt_find_unreserved(struct io_pagetable *iopt, unsigned long first,
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

static int iopt_find_allowed(struct io_pagetable *iopt, struct iova_hole *want,
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
		return iopt_find_unreserved(iopt, lowest, ULONG_MAX - SZ_64K,
					    want, iova);

	for (node = interval_tree_iter_first(&iopt->allowed, lowest, highest);
	     node; node = interval_tree_iter_next(node, lowest, highest)) {
		rc = iopt_find_unreserved(iopt, max(node->start, lowest),
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
static unsigned long iopt_map_address(const struct iopt_map *map)
{
	return iopt_pages_address(map->pieces->pages, map->pieces->offset);
}

/**
 * iopt_choose_iova - choose an IOVA for a mapping
 * @iopt: the address space; iova_rwsem is held
 * @map: the mapping; receives the IOVA
 *
 * Return: 0, -EINVAL if the memory is not aligned, -EOVERFLOW if there is too much
 * of it, -ENOSPC if no IOVA is free, or -EINTR if the caller was killed.
 */
int iopt_choose_iova(struct io_pagetable *iopt, struct iopt_map *map)
{
	unsigned long address = iopt_map_address(map);
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
		rc = iopt_find_allowed(iopt, &want, &map->iova);
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
