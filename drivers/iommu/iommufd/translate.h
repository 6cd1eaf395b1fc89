/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_TRANSLATE_H
#define __IOMMUFD_TRANSLATE_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/types.h>

/**
 * DOC: translations
 *
 * Everything that is mapped into or unmapped from a domain goes through here,
 * one piece at a time: a piece is a range that the IOMMU driver takes in one
 * call, pages of one size. That gives three guarantees that iommu_map() and
 * iommu_unmap() do not give with every driver of this kernel:
 *
 * - A flush covers what was unmapped before it, and page-table pages are freed
 *   after the flush of their own range. VT-d hands over the page tables of a
 *   new range before it flushes the previous one and frees all of them, so that
 *   a gather must be flushed before a range is added that does not continue it.
 * - A flush is one that the hardware accepts. VT-d does not check the size of
 *   a range of first-stage translations, and one that is larger than the
 *   hardware knows flushes nothing.
 * - Nothing is left behind by a map that fails. VT-d reports nothing as mapped
 *   and leaves what it did before it ran out of memory.
 */

/**
 * struct iopt_domain - a domain of an io_pagetable, embedded in its owner
 * @domain: the domain
 * @entry: link in io_pagetable.domains
 * @flush_max: bytes that one flush of a range can cover, a power of two, or 0
 *             if there is no limit; only lowered, under domains_rwsem for writing
 * @nest_parent: made to be the parent of nested page tables; constant
 */
struct iopt_domain {
	struct iommu_domain *domain;
	struct list_head entry;
	unsigned long flush_max;
	bool nest_parent;
};

/**
 * struct iopt_gather - what was unmapped from a domain and is not flushed yet
 * @item: the domain
 * @iotlb: what the IOMMU driver notes about it
 * @pending: something is not flushed
 * @bytes: how much that is
 */
struct iopt_gather {
	struct iopt_domain *item;
	struct iommu_iotlb_gather iotlb;
	bool pending;
	size_t bytes;
};

/**
 * iopt_gather_init - prepare an empty gather
 * @gather: the gather; to be flushed by iopt_gather_flush() at the end
 * @item: the domain
 */
static inline void iopt_gather_init(struct iopt_gather *gather,
				    struct iopt_domain *item)
{
	gather->item = item;
	gather->pending = false;
	gather->bytes = 0;
	iommu_iotlb_gather_init(&gather->iotlb);
}

/**
 * iopt_has_iommu - is a device behind an IOMMU?
 * @dev: the device
 *
 * Return: false if nothing can be asked of its IOMMU driver, because there is
 * none.
 */
static inline bool iopt_has_iommu(struct device *dev)
{
	return dev->iommu && dev->iommu->iommu_dev;
}

/**
 * iopt_translate_sync - let devices see what was mapped
 * @item: the domain
 * @iova: first IOVA
 * @length: bytes
 *
 * Return: 0, or the error of the IOMMU driver, with the range still mapped.
 */
static inline int iopt_translate_sync(struct iopt_domain *item,
				      unsigned long iova, size_t length)
{
	const struct iommu_domain_ops *ops = item->domain->ops;

	return ops->iotlb_sync_map ?
	       ops->iotlb_sync_map(item->domain, iova, length) : 0;
}

void iopt_gather_flush(struct iopt_gather *gather);

int iopt_translate(struct iopt_domain *item, unsigned long iova,
		   phys_addr_t phys, size_t length, size_t max_page, int prot,
		   gfp_t gfp);
int iopt_translate_and_sync(struct iopt_domain *item, unsigned long iova,
			    phys_addr_t phys, size_t length, size_t max_page,
			    int prot);
void iopt_untranslate(struct iopt_gather *gather, unsigned long iova,
		      size_t length);
void iopt_untranslate_sync(struct iopt_domain *item, unsigned long iova,
			   size_t length);

unsigned long iopt_leaf_sizes(const struct iommu_domain *domain);
unsigned long iopt_flush_max(struct device *dev);

#endif
