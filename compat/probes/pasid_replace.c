// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can a PASID be moved to another domain in one step, and to the blocking domain? The function that does
 * the first is declared in a private header, and the second took away an operation of drivers. Both came
 * when the kind of a domain's cookie was written down in it.
 */
#include <linux/iommu.h>

bool probe(const struct iommu_domain *domain);
bool probe(const struct iommu_domain *domain)
{
	return domain->cookie_type == IOMMU_COOKIE_IOMMUFD;
}
