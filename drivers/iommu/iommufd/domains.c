// SPDX-License-Identifier: GPL-2.0-only
/*
 * The domains of an address space, and what they ask of its areas.
 */
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "io_pagetable.h"
#include "refusal.h"

/* The alignment that all domains and options ask for together */
static unsigned long iopt_calc_alignment(struct io_pagetable *iopt,
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
static int iopt_check_alignment(struct io_pagetable *iopt,
				unsigned long alignment)
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

static int iopt_reserve_aperture(struct io_pagetable *iopt,
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

/* Undo iopt_fill_domain() in the areas before @stop; NULL means all */
static void iopt_unfill_domain(struct io_pagetable *iopt,
			       struct iopt_domain *item, struct iova_node *stop)
{
	bool is_last = list_empty(&iopt->domains);
	struct iopt_gather gather;
	struct iova_node *node;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	iopt_gather_init(&gather, item);
	for (node = iova_tree_first(&iopt->areas, 0, ULONG_MAX); node != stop;
	     node = iova_tree_next(node, ULONG_MAX)) {
		iopt_area_unmap(iopt_area_of(node), &gather);
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

/* Fill an area into one more domain; pin it if that is the first */
static int iopt_fill_domain_area(struct io_pagetable *iopt,
				 struct iopt_domain *item,
				 struct iopt_area *area, bool is_first)
{
	int rc = 0;

	/* Those of another address space may be pinning the same memory */
	if (mutex_lock_killable(&area->pages->mutex))
		return -EINTR;
	if (is_first)
		rc = iopt_pages_use(area->pages, &area->user, iopt->refusal);
	if (!rc) {
		rc = iopt_area_map(iopt, area, item);
		if (rc && is_first)
			iopt_pages_unuse(area->pages, &area->user);
	}
	mutex_unlock(&area->pages->mutex);
	return rc;
}

/* Fill all areas into one more domain; pin them if it is the first */
static int iopt_fill_domain(struct io_pagetable *iopt, struct iopt_domain *item)
{
	bool is_first = list_empty(&iopt->domains);
	struct iova_node *node;
	int rc;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (node = iova_tree_first(&iopt->areas, 0, ULONG_MAX); node;
	     node = iova_tree_next(node, ULONG_MAX)) {
		if (fatal_signal_pending(current)) {
			rc = -EINTR;
			break;
		}
		cond_resched();
		rc = iopt_fill_domain_area(iopt, item, iopt_area_of(node),
					   is_first);
		if (rc)
			break;
	}
	if (!node)
		return 0;
	iopt_unfill_domain(iopt, item, node);
	return rc;
}

/**
 * iopt_lock_to_change - keep others from areas and domains
 * @iopt: the address space
 *
 * Return: 0 with both semaphores held for writing, or -EINTR if the caller was
 * killed: another task may be pinning a lot.
 */
int iopt_lock_to_change(struct io_pagetable *iopt)
{
	if (down_write_killable(&iopt->domains_rwsem))
		return -EINTR;
	if (down_write_killable(&iopt->iova_rwsem)) {
		up_write(&iopt->domains_rwsem);
		return -EINTR;
	}
	return 0;
}

/**
 * iopt_unlock_after_change - undo iopt_lock_to_change()
 * @iopt: the address space
 */
void iopt_unlock_after_change(struct io_pagetable *iopt)
{
	up_write(&iopt->iova_rwsem);
	up_write(&iopt->domains_rwsem);
}

static int iopt_add_domain_locked(struct io_pagetable *iopt,
				  struct iopt_domain *item)
{
	unsigned long alignment;
	int rc;

	alignment = iopt_calc_alignment(iopt, item->domain);
	rc = iopt_check_alignment(iopt, alignment);
	if (rc)
		return rc;
	rc = iopt_reserve_aperture(iopt, item);
	if (rc)
		goto err_unreserve;
	rc = iopt_fill_domain(iopt, item);
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
 * iopt_add_domain - fill all areas into one more domain
 * @iopt: the address space
 * @item: the domain, empty; stays until iopt_remove_domain()
 *
 * Return: 0; or with nothing changed: -EADDRINUSE if an area lies outside the
 * domain's aperture or is not aligned for it, -EINVAL if its pages are larger
 * than the CPU's, -EINTR if the caller was killed, or an error of
 * iopt_pages_use() or the IOMMU driver.
 */
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *item)
{
	int rc = iopt_lock_to_change(iopt);

	if (rc)
		return rc;
	rc = iopt_add_domain_locked(iopt, item);
	iopt_unlock_after_change(iopt);
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
	iopt_unfill_domain(iopt, item, NULL);
	iopt_unreserve(iopt, item);
	iopt->alignment = iopt_calc_alignment(iopt, NULL);
}

/**
 * iopt_lower_flush_max - a domain comes to hardware that flushes less at a time
 * @iopt: the address space
 * @item: a domain of it; no device of that hardware is attached yet
 * @flush_max: from iopt_flush_max()
 *
 * Nothing has to be undone if the attach fails after that.
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iopt_lower_flush_max(struct io_pagetable *iopt, struct iopt_domain *item,
			 unsigned long flush_max)
{
	if (!flush_max || (item->flush_max && item->flush_max <= flush_max))
		return 0;
	/* Whatever is unmapped after the attach has to know */
	if (down_write_killable(&iopt->domains_rwsem))
		return -EINTR;
	item->flush_max = flush_max;
	up_write(&iopt->domains_rwsem);
	return 0;
}

/**
 * iopt_add_pin_access - an access comes that uses whole pages
 * @iopt: the address space
 *
 * Return: 0, -EADDRINUSE if an area is not page-aligned, or -EINTR if the caller
 * was killed.
 */
int iopt_add_pin_access(struct io_pagetable *iopt)
{
	int rc = iopt_lock_to_change(iopt);

	if (rc)
		return rc;
	iopt->pin_accesses++;
	rc = iopt_check_alignment(iopt, iopt_calc_alignment(iopt, NULL));
	if (rc)
		iopt->pin_accesses--;
	else
		iopt->alignment = iopt_calc_alignment(iopt, NULL);
	iopt_unlock_after_change(iopt);
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
	iopt->alignment = iopt_calc_alignment(iopt, NULL);
}

static int iopt_set_small_pages_locked(struct io_pagetable *iopt,
				       bool small_pages)
{
	bool old = iopt->small_pages;
	int rc;

	if (old == small_pages)
		return 0;
	if (small_pages && !list_empty(&iopt->domains) && iopt->areas.nr)
		return refuse(iopt->refusal, -EINVAL,
			      "option: mappings with large pages exist already");
	iopt->small_pages = small_pages;
	rc = iopt_check_alignment(iopt, iopt_calc_alignment(iopt, NULL));
	if (rc) {
		iopt->small_pages = old;
		return rc;
	}
	iopt->alignment = iopt_calc_alignment(iopt, NULL);
	return 0;
}

/**
 * iopt_set_small_pages - allow or forbid large translations
 * @iopt: the address space
 * @small_pages: make no translation larger than PAGE_SIZE from now on
 *
 * Return: 0, -EINVAL if translations exist already, -EADDRINUSE if an area is not
 * page-aligned, or -EINTR if the caller was killed.
 */
int iopt_set_small_pages(struct io_pagetable *iopt, bool small_pages)
{
	int rc = iopt_lock_to_change(iopt);

	if (rc)
		return rc;
	rc = iopt_set_small_pages_locked(iopt, small_pages);
	iopt_unlock_after_change(iopt);
	return rc;
}

/**
 * iopt_set_splittable - may an unmap split areas?
 * @iopt: the address space
 * @splittable: true if it may
 *
 * Return: 0, or -EINTR if the caller was killed.
 */
int iopt_set_splittable(struct io_pagetable *iopt, bool splittable)
{
	if (down_write_killable(&iopt->domains_rwsem))
		return -EINTR;
	iopt->splittable = splittable;
	up_write(&iopt->domains_rwsem);
	return 0;
}

/**
 * iopt_restore_splittable - undo iopt_set_splittable()
 * @iopt: the address space
 * @splittable: what it was
 */
void iopt_restore_splittable(struct io_pagetable *iopt, bool splittable)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	iopt->splittable = splittable;
}

/**
 * iopt_clear_options - allow large translations and no splits, as at first
 * @iopt: the address space
 */
void iopt_clear_options(struct io_pagetable *iopt)
{
	guard(rwsem_write)(&iopt->domains_rwsem);
	guard(rwsem_write)(&iopt->iova_rwsem);

	iopt->splittable = false;
	/* Cannot fail: no larger alignment is asked for */
	iopt_set_small_pages_locked(iopt, false);
}
