// SPDX-License-Identifier: GPL-2.0-only
/* What has to compile in any case: if it does not, the answers of the other probes mean nothing. */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/iommu.h>
#include <linux/irqbypass.h>
#include <linux/mm.h>
#include <linux/module.h>

int probe(struct device *dev);
int probe(struct device *dev)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(dev);

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	iommu_domain_free(domain);
	return 0;
}
