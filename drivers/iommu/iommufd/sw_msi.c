// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the IOMMU core calls where interrupts are translated like any other DMA,
 * and a page table of the user's comes first. It is part of the kernel, also if
 * the rest of iommufd is a module, and so uses nothing of that.
 */
#include <linux/iommu.h>
#include <linux/msi.h>

#include "../dma-iommu.h"
#include "../iommu-priv.h"
#include "hwpt.h"

/**
 * iommufd_sw_msi - map the page that a device sends its interrupts to
 * @domain: what the device is attached to, which is nested
 * @desc: the interrupt; receives where the page is mapped
 * @msi_addr: physical address of the page
 *
 * The page goes into the window of the parent, which iommufd_msi_prepare() made
 * before the attach. It is up to the user that its own page table leads there.
 *
 * Context: The mutex of the IOMMU group is held.
 * Return: 0, or -ENOMEM.
 */
int iommufd_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
		   phys_addr_t msi_addr)
{
	struct iommufd_hwpt *hwpt = iommufd_hwpt_of_nested(domain);

	return iommu_dma_sw_msi(hwpt->paging->common.domain, desc, msi_addr);
}
