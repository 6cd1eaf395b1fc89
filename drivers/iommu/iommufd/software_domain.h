/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_SOFTWARE_DOMAIN_H
#define __IOMMUFD_SOFTWARE_DOMAIN_H

#include <linux/err.h>
#include <linux/kconfig.h>
#include <linux/types.h>

struct iommu_domain;

#if IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU)
struct iommu_domain *iommufd_software_domain_alloc(void);
bool iommufd_domain_is_software(const struct iommu_domain *domain);
#else
static inline struct iommu_domain *iommufd_software_domain_alloc(void)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline bool iommufd_domain_is_software(const struct iommu_domain *domain)
{
	return false;
}
#endif

#endif
