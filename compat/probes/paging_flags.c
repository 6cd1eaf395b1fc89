// SPDX-License-Identifier: GPL-2.0-only
/* Has a driver one operation that makes paging domains, and another one for nested domains? */
#include <linux/iommu.h>

struct iommu_domain *probe(const struct iommu_ops *ops, struct device *dev);
struct iommu_domain *probe(const struct iommu_ops *ops, struct device *dev)
{
	return ops->domain_alloc_paging_flags(dev, 0, NULL);
}
