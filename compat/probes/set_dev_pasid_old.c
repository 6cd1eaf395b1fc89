// SPDX-License-Identifier: GPL-2.0-only
/* Are IOMMU drivers told what a PASID was attached to? */
#include <linux/iommu.h>

int probe(struct iommu_domain *domain, struct device *dev);
int probe(struct iommu_domain *domain, struct device *dev)
{
	return domain->ops->set_dev_pasid(domain, dev, 1, domain);
}
