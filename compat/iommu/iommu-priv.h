/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prototypes of what the IOMMU core exports to iommufd alone, in the symbol
 * namespace IOMMUFD_INTERNAL. A kernel tree has them in its private
 * drivers/iommu/iommu-priv.h, which packages of kernel headers leave out.
 * Should one differ from the kernel's, a kernel with CONFIG_MODVERSIONS, as
 * 6.12 of Debian, refuses the module, because its symbol versions would not
 * match. Kernels from 7.2 on do not have that: there it is 'make check-static'
 * that compares these with the kernel's source.
 */
#ifndef _COMPAT_IOMMU_PRIV_H
#define _COMPAT_IOMMU_PRIV_H

#include <linux/iommu.h>

struct iommu_attach_handle *
iommu_attach_handle_get(struct iommu_group *group, ioasid_t pasid,
			unsigned int type);
int iommu_attach_group_handle(struct iommu_domain *domain,
			      struct iommu_group *group,
			      struct iommu_attach_handle *handle);
void iommu_detach_group_handle(struct iommu_domain *domain,
			       struct iommu_group *group);
int iommu_replace_group_handle(struct iommu_group *group,
			       struct iommu_domain *new_domain,
			       struct iommu_attach_handle *handle);

#ifndef COMPAT_LACKS_PASID_REPLACE
int iommu_replace_device_pasid(struct iommu_domain *domain,
			       struct device *dev, ioasid_t pasid,
			       struct iommu_attach_handle *handle);
#endif

/* The driver of a device that is known to be behind an IOMMU. */
static inline const struct iommu_ops *dev_iommu_ops(struct device *dev)
{
	return dev->iommu->iommu_dev->ops;
}

#endif
