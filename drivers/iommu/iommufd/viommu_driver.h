/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How IOMMU drivers are asked for virtual IOMMUs. Kernels whose drivers have none
 * get other functions of the same names, see compat/include/linux/iommu.h.
 */
#ifndef __IOMMUFD_VIOMMU_DRIVER_H
#define __IOMMUFD_VIOMMU_DRIVER_H

#include <linux/iommu.h>
#include <linux/iommufd.h>

#include "../iommu-priv.h"

static inline size_t iommufd_driver_viommu_size(struct device *dev,
						enum iommu_viommu_type type)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);

	/* Their structs begin with one of another iommufd */
	if (IS_ENABLED(CONFIG_IOMMUFD_DRIVERS_FOREIGN))
		return 0;
	return ops->get_viommu_size && ops->viommu_init ?
		       ops->get_viommu_size(dev, type) :
		       0;
}

static inline int
iommufd_driver_viommu_init(struct iommufd_viommu *viommu,
			   struct iommu_domain *parent,
			   const struct iommu_user_data *user_data)
{
	return viommu->iommu_dev->ops->viommu_init(viommu, parent, user_data);
}

#endif
