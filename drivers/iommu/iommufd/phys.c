// SPDX-License-Identifier: GPL-2.0-only
/*
 * Physical addresses, for devices that no IOMMU confines.
 */
#include <linux/capability.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "mmio.h"
#include "software_domain.h"

/*
 * Pages of one area, which are found with the locks held and read without. The
 * offsets of the first and the last byte are counted from the first page.
 */
struct iommufd_phys_step {
	struct iopt_pages *pages;
	unsigned long index;
	unsigned long last;
	unsigned int page_offset;
	unsigned long last_offset;
};

static bool iommufd_has_software_domain(struct io_pagetable *iopt)
{
	struct iopt_domain *item;

	lockdep_assert_held(&iopt->domains_rwsem);

	list_for_each_entry(item, &iopt->domains, entry)
		if (iommufd_domain_is_software(item->domain))
			return true;
	return false;
}

static int iommufd_phys_find(struct io_pagetable *iopt, unsigned long iova,
			     unsigned long last, struct iommufd_phys_step *step)
{
	struct iopt_area *area;
	unsigned long offset;

	if (!iommufd_has_software_domain(iopt))
		return refuse(iopt->refusal, -EOPNOTSUPP,
			      "get_pa: no device without an IOMMU is attached to the address space");
	area = iopt_area_at(iopt, iova);
	if (!area)
		return -ENOENT;
	offset = area->page_offset + (iova - area->node.start);
	step->page_offset = offset_in_page(offset);
	step->index = area->user.start + (offset >> PAGE_SHIFT);
	offset = step->page_offset + (min(last, area->node.last) - iova);
	step->last = step->index +
		     min(offset >> PAGE_SHIFT, IOPT_RUNS_STEP - 1UL);
	step->last_offset = offset;
	step->pages = area->pages;
	iopt_pages_get(step->pages);
	return 0;
}

/* Find what an IOVA stands for, and how much of it is in one piece */
static int iommufd_phys_next(struct io_pagetable *iopt, unsigned long iova,
			     unsigned long last, phys_addr_t *phys,
			     unsigned long *length)
{
	struct iommufd_phys_step step;
	unsigned long run;
	int rc;

	rc = iopt_lock_to_look(iopt);
	if (rc)
		return rc;
	rc = iommufd_phys_find(iopt, iova, last, &step);
	iopt_unlock_after_look(iopt);
	if (rc)
		return rc;
	rc = iopt_pages_phys(step.pages, step.index, step.last, phys, &run);
	iopt_pages_put(step.pages);
	if (rc)
		return rc;
	*phys += step.page_offset;
	*length = min(step.last_offset, run * PAGE_SIZE - 1) -
		  step.page_offset + 1;
	return 0;
}

/*
 * The physical address of an IOVA, and up to where the memory behind it is
 * contiguous, over the limits of mappings.
 */
static int iommufd_ioas_phys(struct iommufd_ioas *ioas, unsigned long iova,
			     unsigned long last, phys_addr_t *phys,
			     unsigned long *length)
{
	unsigned long more;
	phys_addr_t next;
	int rc;

	rc = iommufd_phys_next(&ioas->iopt, iova, last, phys, length);
	if (rc)
		return rc;
	while (*length <= last - iova) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		rc = iommufd_phys_next(&ioas->iopt, iova + *length, last, &next,
				       &more);
		if (rc == -EINTR)
			return rc;
		if (rc || next != *phys + *length)
			break;
		*length += more;
	}
	return 0;
}

/**
 * iommufd_ioas_noiommu_get_pa - IOMMU_IOAS_NOIOMMU_GET_PA
 * @ucmd: the request
 *
 * Physical addresses help an attacker, and devices that need them can do
 * anything: so both are for the same users.
 *
 * Return: 0; -EPERM without CAP_SYS_RAWIO; -EOPNOTSUPP if a reserved field is
 * set, or if no device without an IOMMU is attached to the IOAS; -ENOENT if there
 * is no such IOAS, or nothing is mapped at the IOVA; -EINVAL for a length of 0;
 * -EOVERFLOW beyond the last address; -EINTR if the caller was killed.
 */
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_noiommu_get_pa *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	unsigned long length;
	unsigned long last;
	phys_addr_t phys;
	int rc;

	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (check_add_overflow(cmd->iova, cmd->length - 1, &last))
		return -EOVERFLOW;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iommufd_ioas_phys(ioas, cmd->iova, last, &phys, &length);
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	if (rc)
		return rc;
	cmd->length = length;
	cmd->out_phys = phys;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
