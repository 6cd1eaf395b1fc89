// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which IOVA may not be used, and which must stay usable.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/slab.h>

#include "io_pagetable.h"
#include "refusal.h"

/**
 * iopt_reserve - forbid a range
 * @iopt: the address space; iova_rwsem is held for writing
 * @start: first IOVA
 * @last: last IOVA, inclusive
 * @owner: whose range it is, for iopt_unreserve()
 * @name: name of the owner, for messages
 * @why: kind of range, for messages
 *
 * Return: 0, -EADDRINUSE if the range is mapped or was promised to the user by
 * iopt_set_allowed(), or -ENOMEM.
 */
int iopt_reserve(struct io_pagetable *iopt, unsigned long start,
		 unsigned long last, const void *owner, const char *name,
		 const char *why)
{
	struct interval_tree_node *allowed;
	struct iopt_reserved *reserved;
	struct iova_node *used;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	used = iova_tree_first(&iopt->areas, start, last);
	if (used)
		return refuse_and_warn(iopt->refusal, REFUSAL_RESERVED,
				       -EADDRINUSE,
				       "attach: the mapping at 0x%lx-0x%lx overlaps 0x%lx-0x%lx, %s of %s",
				       used->start, used->last, start, last,
				       why, name);
	allowed = interval_tree_iter_first(&iopt->allowed, start, last);
	if (allowed)
		return refuse(iopt->refusal, -EADDRINUSE,
			      "attach: the allowed range 0x%lx-0x%lx overlaps 0x%lx-0x%lx, %s of %s",
			      allowed->start, allowed->last, start, last, why,
			      name);

	reserved = kzalloc(sizeof(*reserved), GFP_KERNEL_ACCOUNT);
	if (!reserved)
		return -ENOMEM;
	reserved->node.start = start;
	reserved->node.last = last;
	reserved->owner = owner;
	reserved->name = name;
	reserved->why = why;
	interval_tree_insert(&reserved->node, &iopt->reserved);
	return 0;
}

/**
 * iopt_unreserve - allow the ranges of an owner again
 * @iopt: the address space; iova_rwsem is held for writing unless no other
 *        call can reach it
 * @owner: whose ranges
 */
void iopt_unreserve(struct io_pagetable *iopt, const void *owner)
{
	struct interval_tree_node *node, *next;

	for (node = interval_tree_iter_first(&iopt->reserved, 0, ULONG_MAX);
	     node; node = next) {
		struct iopt_reserved *reserved =
			container_of(node, struct iopt_reserved, node);

		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (reserved->owner != owner)
			continue;
		interval_tree_remove(node, &iopt->reserved);
		kfree(reserved);
	}
}

static const char *iopt_resv_name(enum iommu_resv_type type)
{
	switch (type) {
	case IOMMU_RESV_DIRECT:
		return "identity-mapped firmware memory";
	case IOMMU_RESV_MSI:
	case IOMMU_RESV_SW_MSI:
		return "the MSI window";
	default:
		return "a reserved range";
	}
}

/**
 * iopt_reserve_device - forbid the ranges that a device cannot use
 * @iopt: the address space
 * @dev: the device, which is also the owner for iopt_unreserve()
 * @sw_msi_start: receives the start of the window for software-managed MSI,
 *                and is left alone if the device has none; may be NULL
 *
 * Return: 0; or with nothing changed an error of iopt_reserve(), -EINVAL if the
 * device reports windows that exclude each other, or -EINTR if the caller was
 * killed.
 */
int iopt_reserve_device(struct io_pagetable *iopt, struct device *dev,
			phys_addr_t *sw_msi_start)
{
	struct iommu_resv_region *resv;
	unsigned int sw_msi = 0;
	unsigned int hw_msi = 0;
	LIST_HEAD(regions);
	int rc;

	/* Without an IOMMU, IOVA are names for the user's memory and no more */
	if (!iopt_has_iommu(dev))
		return 0;
	/* The IOMMU core may sleep in here, so before the lock */
	iommu_get_resv_regions(dev, &regions);

	rc = down_write_killable(&iopt->iova_rwsem);
	if (rc)
		goto out_put;
	list_for_each_entry(resv, &regions, list) {
		if (resv->type == IOMMU_RESV_DIRECT_RELAXABLE)
			continue;
		if (resv->type == IOMMU_RESV_MSI)
			hw_msi++;
		if (resv->type == IOMMU_RESV_SW_MSI) {
			sw_msi++;
			if (sw_msi_start)
				*sw_msi_start = resv->start;
		}
		rc = iopt_reserve(iopt, resv->start,
				  resv->start + (resv->length - 1), dev,
				  dev_name(dev), iopt_resv_name(resv->type));
		if (rc)
			break;
	}
	if (!rc && sw_msi_start && (sw_msi > 1 || (sw_msi && hw_msi)))
		rc = refuse(iopt->refusal, -EINVAL,
			    "attach: %s reports conflicting MSI windows",
			    dev_name(dev));
	if (rc)
		iopt_unreserve(iopt, dev);
	up_write(&iopt->iova_rwsem);
out_put:
	iommu_put_resv_regions(dev, &regions);
	return rc;
}

static int iopt_set_allowed_locked(struct io_pagetable *iopt,
				   struct rb_root_cached *allowed)
{
	struct interval_tree_node *node, *bad;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (node = interval_tree_iter_first(allowed, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		bad = interval_tree_iter_first(&iopt->reserved, node->start,
					       node->last);
		if (bad) {
			struct iopt_reserved *reserved =
				container_of(bad, struct iopt_reserved, node);

			return refuse(iopt->refusal, -EADDRINUSE,
				      "allow: 0x%lx-0x%lx overlaps 0x%lx-0x%lx, %s of %s",
				      node->start, node->last, bad->start,
				      bad->last, reserved->why, reserved->name);
		}
		cond_resched();
	}
	swap(*allowed, iopt->allowed);
	return 0;
}

/**
 * iopt_set_allowed - promise ranges to the user
 * @iopt: the address space
 * @allowed: interval tree of the ranges; emptied, its nodes taken over, or on
 *           failure unchanged
 *
 * Replaces what was promised before.
 *
 * Return: 0, -EADDRINUSE if one is reserved, or -EINTR if the caller was killed.
 */
int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *allowed)
{
	int rc;

	if (down_write_killable(&iopt->iova_rwsem))
		return -EINTR;
	rc = iopt_set_allowed_locked(iopt, allowed);
	up_write(&iopt->iova_rwsem);
	return rc;
}

/**
 * iopt_free_allowed - free a tree of allowed ranges
 * @allowed: the tree; its nodes came from kzalloc()
 */
void iopt_free_allowed(struct rb_root_cached *allowed)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(allowed, 0, ULONG_MAX))) {
		interval_tree_remove(node, allowed);
		kfree(node);
		cond_resched();
	}
}
