// SPDX-License-Identifier: GPL-2.0-only
/* Is a driver told which domain a device leaves when it is attached? */
#include <linux/iommu.h>

int probe(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old);
int probe(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	return domain->ops->attach_dev(domain, dev, old);
}
