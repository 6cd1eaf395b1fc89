/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_VDEVICE_H
#define __IOMMUFD_VDEVICE_H

#include <linux/types.h>

struct iommufd_device;
struct iommufd_ucmd;
struct iommufd_vdevice;
struct iommufd_viommu;

struct iommufd_vdevice *iommufd_vdevice_alloc(struct iommufd_viommu *viommu,
					      struct iommufd_device *idev,
					      u64 virt_id);
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);
void iommufd_vdevice_unplug(struct iommufd_device *idev);

#endif
