// SPDX-License-Identifier: GPL-2.0-only
/*
 * Areas and the translations in them: how far one reaches, and how an area is
 * split in two.
 */
#include <linux/align.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "io_pagetable.h"
#include "refusal.h"

/* Can one translation of @size bytes, a power of two, cover @iova? */
static bool iopt_may_be_leaf(const struct iopt_area *area, unsigned long iova,
			     unsigned long size)
{
	unsigned long start = ALIGN_DOWN(iova, size);
	unsigned long offset, index, npages, pfn;

	if (start < area->node.start || start + (size - 1) > area->node.last)
		return false;
	offset = area->page_offset + (start - area->node.start);
	index = area->user.start + (offset >> PAGE_SHIFT);
	/* Often that is all that has to be looked at */
	pfn_store_run(&area->pages->store, index, index, &pfn);
	if (!IS_ALIGNED(PFN_PHYS(pfn) + offset_in_page(offset), size))
		return false;
	npages = ((offset_in_page(offset) + size - 1) >> PAGE_SHIFT) + 1;
	return pfn_store_run(&area->pages->store, index, index + npages - 1,
			     &pfn) >= npages;
}

/**
 * iopt_area_leaf - how far may the translation of an IOVA reach?
 * @area: a filled area of pinned memory, whose pages->mutex is held
 * @domain: which domain it is filled into
 * @iova: an IOVA in the area
 * @last: receives the last IOVA of it, inclusive
 *
 * The page table was made from the runs of the area, so the runs tell how large
 * its entries can be at most. They do not tell how large they are.
 *
 * Return: the first IOVA that the entry for @iova can cover.
 */
unsigned long iopt_area_leaf(const struct iopt_area *area,
			     const struct iommu_domain *domain,
			     unsigned long iova, unsigned long *last)
{
	unsigned long sizes = iopt_leaf_sizes(domain);
	unsigned long size = 1;

	lockdep_assert_held(&area->pages->mutex);

	while (sizes) {
		size = 1UL << __fls(sizes);
		if (iopt_may_be_leaf(area, iova, size))
			break;
		sizes &= ~size;
	}
	*last = iova | (size - 1);
	return ALIGN_DOWN(iova, size);
}

static phys_addr_t iopt_area_phys(const struct iopt_area *area,
				  unsigned long iova)
{
	unsigned long offset = area->page_offset + (iova - area->node.start);
	unsigned long index = area->user.start + (offset >> PAGE_SHIFT);
	unsigned long pfn;

	pfn_store_run(&area->pages->store, index, index, &pfn);
	return PFN_PHYS(pfn) + offset_in_page(offset);
}

/*
 * Translate [start, end) as before, in memory that is contiguous. The IOMMU
 * driver may need two page-table pages at most, and there is no way back
 * without them.
 */
static void iopt_area_refill(struct iopt_domain *item,
			     const struct iopt_area *area, unsigned long start,
			     unsigned long end)
{
	WARN_ON(iopt_translate(item, start, iopt_area_phys(area, start),
			       end - start, SZ_1G, area->prot,
			       GFP_KERNEL_ACCOUNT | __GFP_NOFAIL));
	WARN_ON(iopt_translate_sync(item, start, end - start));
}

/*
 * Make sure that no translation spans @iova. For a moment nothing is translated
 * in the whole range of the large one, so DMA to what stays mapped around @iova
 * is blocked. Userspace knows where large translations can be: inside one of
 * its mappings. Type 1 unmapped all of it for good.
 */
static void iopt_break_leaf(struct iopt_domain *item,
			    const struct iopt_area *area, unsigned long iova)
{
	unsigned long start, last;

	start = iopt_area_leaf(area, item->domain, iova, &last);
	if (start == iova)
		return;
	iopt_untranslate_sync(item, start, last - start + 1);
	iopt_area_refill(item, area, start, iova);
	iopt_area_refill(item, area, iova, last + 1);
}

static void iopt_split_area(struct io_pagetable *iopt, struct iopt_area *area,
			    struct iopt_area *rear, unsigned long iova)
{
	unsigned long npages = (area->page_offset + iova - area->node.start) >>
			       PAGE_SHIFT;
	bool filled = !list_empty(&iopt->domains);
	struct iopt_domain *item;

	lockdep_assert_held_write(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);
	lockdep_assert_held(&area->pages->mutex);

	rear->state = area->state;
	rear->pages = area->pages;
	rear->prot = area->prot;
	rear->node.start = iova;
	rear->node.last = area->node.last;
	rear->user.start = area->user.start + npages;
	rear->user.last = area->user.last;
	iopt_pages_get(rear->pages);

	iova_tree_remove(&iopt->areas, &area->node);
	if (!iopt->small_pages)
		list_for_each_entry(item, &iopt->domains, entry)
			iopt_break_leaf(item, area, iova);
	/* All indices have a user before and after, so stay pinned */
	if (filled)
		interval_tree_remove(&area->user, &area->pages->users);
	area->user.last = rear->user.start - 1;
	if (filled) {
		interval_tree_insert(&area->user, &area->pages->users);
		interval_tree_insert(&rear->user, &area->pages->users);
	}
	area->node.last = iova - 1;
	iova_tree_insert(&iopt->areas, &area->node);
	iova_tree_insert(&iopt->areas, &rear->node);
}

/*
 * A page table that tracks dirty pages would lose the dirty bit of an entry
 * that is split.
 */
static bool iopt_split_forgets(struct io_pagetable *iopt,
			       struct iopt_area *area, unsigned long iova)
{
	struct iopt_domain *item;
	unsigned long last;

	lockdep_assert_held(&iopt->domains_rwsem);
	lockdep_assert_held(&area->pages->mutex);

	list_for_each_entry(item, &iopt->domains, entry)
		if (item->domain->dirty_ops && !iopt->small_pages &&
		    iopt_area_leaf(area, item->domain, iova, &last) != iova)
			return true;
	return false;
}

static int iopt_try_split_area(struct io_pagetable *iopt,
			       struct iopt_area *area, unsigned long iova,
			       struct iopt_area *rear, struct iova_node *busy,
			       bool *used)
{
	unsigned long offset;

	offset = area->page_offset + (iova - area->node.start);
	if (!IS_ALIGNED(iova, iopt->alignment) || offset_in_page(offset) ||
	    area->pages->source == IOPT_PAGES_MMIO ||
	    iopt_split_forgets(iopt, area, iova))
		return refuse(iopt->refusal, -EINVAL,
			      "unmap: cannot split at 0x%lx the mapping at 0x%lx-0x%lx",
			      iova, area->node.start, area->node.last);
	if (atomic_read(&area->num_keepers))
		return iopt_refuse_kept(iopt, &area->node);
	if (atomic_read(&area->num_accesses)) {
		area->prevent_access = true;
		*busy = area->node;
		return -EAGAIN;
	}
	area->prevent_access = false;
	iopt_split_area(iopt, area, rear, iova);
	*used = true;
	return 0;
}

/*
 * Return: 0 if the area was split or needs no split, -EAGAIN if an access is in
 * the way, in *busy, or an error.
 */
static int iopt_try_split(struct io_pagetable *iopt, unsigned long iova,
			  struct iopt_area *rear, struct iova_node *busy,
			  bool *used)
{
	struct iopt_area *area;
	int rc;

	/* No areas are being made or removed, so all are ready */
	rc = iopt_lock_to_change(iopt);
	if (rc)
		return rc;
	area = iopt_area_at(iopt, iova);
	if (area && area->node.start != iova) {
		/* Those of another address space may be pinning them */
		rc = mutex_lock_killable(&area->pages->mutex);
		if (!rc) {
			rc = iopt_try_split_area(iopt, area, iova, rear, busy,
						 used);
			mutex_unlock(&area->pages->mutex);
		}
	}
	iopt_unlock_after_change(iopt);
	return rc;
}

static void iopt_split_allow_access(struct io_pagetable *iopt,
				    unsigned long iova)
{
	struct iopt_area *area;

	guard(rwsem_write)(&iopt->iova_rwsem);
	area = iopt_area_at(iopt, iova);
	if (area)
		area->prevent_access = false;
}

/**
 * iopt_split_at - make sure that no area spans an IOVA
 * @iopt: the address space
 * @iova: the first IOVA of the rear part, if there is an area to split
 *
 * For the first version of VFIO's type 1 container, whose mappings may be
 * unmapped in parts. Translations are as large there as elsewhere, because
 * hardly any program does that, and are split here if one does.
 *
 * Return: 0; or with nothing changed: -EINVAL if the area cannot be split there,
 * -EADDRINUSE if hardware works on a queue in it, -EDEADLOCK if an access does not
 * unpin, -EINTR if the caller was killed, or -ENOMEM.
 */
int iopt_split_at(struct io_pagetable *iopt, unsigned long iova)
{
	struct iopt_area *rear;
	struct iova_node busy;
	unsigned int tries = 0;
	struct iova_node *node;
	bool used = false;
	bool splits;
	int rc;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	node = iova_tree_first(&iopt->areas, iova, iova);
	splits = node && node->start != iova;
	up_read(&iopt->iova_rwsem);
	if (!splits)
		return 0;

	rear = kzalloc(sizeof(*rear), GFP_KERNEL_ACCOUNT);
	if (!rear)
		return -ENOMEM;
	while ((rc = iopt_try_split(iopt, iova, rear, &busy, &used)) ==
	       -EAGAIN) {
		/* As for an unmap; the accesses pin the rest again */
		if (WARN_ON(!iopt->access_ops || tries++ > 100)) {
			rc = -EDEADLOCK;
			break;
		}
		iopt->access_ops->unmap(iopt, busy.start,
					busy.last - busy.start + 1);
	}
	if (rc && tries)
		iopt_split_allow_access(iopt, iova);
	if (!used)
		kfree(rear);
	return rc;
}

/**
 * iopt_range_splits_area - does a bound of a range lie inside of an area?
 * @iopt: the address space; the caller has no lock of it
 * @iova: first IOVA
 * @last: last IOVA, inclusive
 *
 * Return: 1 if so, 0 if not, or -EINTR if the caller was killed.
 */
int iopt_range_splits_area(struct io_pagetable *iopt, unsigned long iova,
			   unsigned long last)
{
	struct iova_node *node;
	bool splits;

	if (down_read_killable(&iopt->iova_rwsem))
		return -EINTR;
	node = iova_tree_first(&iopt->areas, iova, iova);
	splits = node && node->start != iova;
	node = iova_tree_first(&iopt->areas, last, last);
	splits |= node && node->last != last;
	up_read(&iopt->iova_rwsem);
	return splits;
}
