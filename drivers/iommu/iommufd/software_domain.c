// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains that no hardware reads, for devices that no IOMMU confines. Like any
 * other domain they have the memory of an address space pinned. What an IOVA
 * stands for is in the PFN stores already, so that they need no page table.
 */
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "software_domain.h"

static int iommufd_software_map(struct iommu_domain *domain, unsigned long iova,
				phys_addr_t phys, size_t pgsize, size_t pgcount,
				int prot, gfp_t gfp, size_t *mapped)
{
	*mapped = pgsize * pgcount;
	return 0;
}

static size_t iommufd_software_unmap(struct iommu_domain *domain,
				     unsigned long iova, size_t pgsize,
				     size_t pgcount,
				     struct iommu_iotlb_gather *gather)
{
	return pgsize * pgcount;
}

static void iommufd_software_free(struct iommu_domain *domain)
{
	kfree(domain);
}

static const struct iommu_domain_ops iommufd_software_domain_ops = {
	.map_pages = iommufd_software_map,
	.unmap_pages = iommufd_software_unmap,
	.free = iommufd_software_free,
};

/* Tells the IOMMU core that no device of a driver can be attached */
static const struct iommu_ops iommufd_software_owner;

/**
 * iommufd_software_domain_alloc - allocate a domain that no hardware reads
 *
 * Return: the domain, for iommu_domain_free(), or ERR_PTR(-ENOMEM).
 */
struct iommu_domain *iommufd_software_domain_alloc(void)
{
	struct iommu_domain *domain;

	domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->ops = &iommufd_software_domain_ops;
	domain->owner = &iommufd_software_owner;
	domain->pgsize_bitmap = PAGE_SIZE;
	domain->geometry.aperture_end = ULONG_MAX;
	domain->geometry.force_aperture = true;
	return domain;
}

/**
 * iommufd_domain_is_software - does no hardware read a domain?
 * @domain: the domain
 *
 * Return: true for one of iommufd_software_domain_alloc().
 */
bool iommufd_domain_is_software(const struct iommu_domain *domain)
{
	return domain->ops == &iommufd_software_domain_ops;
}
