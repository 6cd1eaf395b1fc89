// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of devices that are translated like any other DMA.
 */
#include <linux/iommu.h>

#include "iommufd_private.h"

/**
 * iommufd_msi_prepare - make the interrupts of a group work in a hwpt
 * @igroup: the group; its lock is held
 * @hwpt: the hwpt; the mutex of its address space is held
 *
 * Where MSI are translated like any other DMA, the window for them is mapped
 * by the IOMMU core, which has to know where it may be.
 *
 * Return: 0, or an error of iommu_get_msi_cookie().
 */
int iommufd_msi_prepare(struct iommufd_group *igroup,
			struct iommufd_hwpt_paging *hwpt)
{
	int rc;

	if (igroup->sw_msi_start == PHYS_ADDR_MAX || hwpt->msi_cookie)
		return 0;
	rc = iommu_get_msi_cookie(hwpt->common.domain, igroup->sw_msi_start);
	if (!rc)
		hwpt->msi_cookie = true;
	return rc;
}
