/* SPDX-License-Identifier: GPL-2.0-only */
/* In 6.12 each IOMMU driver had page tables of its own kind. */
#ifndef _COMPAT_LINUX_GENERIC_PT_IOMMU_H
#define _COMPAT_LINUX_GENERIC_PT_IOMMU_H

#ifdef COMPAT_LACKS_GENERIC_PT
#include <linux/iommu.h>

struct pt_iommu;

struct pt_iommu_ops {
	int (*map_range)(struct pt_iommu *iommu_table, dma_addr_t iova,
			 phys_addr_t paddr, dma_addr_t len, unsigned int prot,
			 gfp_t gfp, size_t *mapped);
};

struct pt_iommu {
	const struct pt_iommu_ops *ops;
};

static inline struct pt_iommu *iommupt_from_domain(struct iommu_domain *domain)
{
	return NULL;
}
#else
#include_next <linux/generic_pt/iommu.h>
#endif

#endif
