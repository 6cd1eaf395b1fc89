/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_VIOMMU_H
#define __IOMMUFD_VIOMMU_H

#include <linux/err.h>
#include <linux/iommufd.h>

#include "object.h"

struct iommu_user_data;
struct iommufd_hwpt_paging;
struct iommufd_ucmd;

static inline struct iommufd_viommu *to_viommu(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_viommu, obj);
}

static inline struct iommufd_viommu *
iommufd_get_viommu(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj =
		iommufd_object_get(ictx, id, IOMMUFD_OBJ_VIOMMU);

	return IS_ERR(obj) ? ERR_CAST(obj) : to_viommu(obj);
}

extern const struct iommufd_object_ops iommufd_viommu_object_ops;

struct iommufd_viommu *
iommufd_viommu_alloc(struct iommufd_ctx *ictx, struct device *dev,
		     struct iommufd_hwpt_paging *hwpt,
		     enum iommu_viommu_type type,
		     const struct iommu_user_data *user_data);
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
