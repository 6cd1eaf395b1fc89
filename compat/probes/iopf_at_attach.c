// SPDX-License-Identifier: GPL-2.0-only
/*
 * Do drivers have devices report page faults when a domain with a handler of them is attached? Before, they were told by a
 * call, whose argument had the name below.
 */
#include <linux/iommu.h>

enum probe {
	IOMMU_DEV_FEAT_IOPF,
};

int probe(struct iommu_domain *domain, enum probe feature);
int probe(struct iommu_domain *domain, enum probe feature)
{
	return domain->iopf_handler && feature == IOMMU_DEV_FEAT_IOPF;
}
