/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_MOCK_VIOMMU_H
#define __IOMMUFD_MOCK_VIOMMU_H

struct iommufd_viommu_driver;

extern const struct iommufd_viommu_driver mock_viommu_driver;

#endif
