// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU groups, as bound to a context: the IOMMU isolates groups, not devices.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/slab.h>

#include "attachment.h"
#include "iommufd_private.h"

static void iommufd_group_release(struct kref *kref)
{
	struct iommufd_group *igroup =
		container_of(kref, struct iommufd_group, kref);

	WARN_ON(!xa_empty(&igroup->attachments));
	list_del(&igroup->entry);
	mutex_unlock(&igroup->ictx->groups_lock);
	iommu_group_put(igroup->group);
	xa_destroy(&igroup->attachments);
	mutex_destroy(&igroup->lock);
	kfree(igroup);
}

/**
 * iommufd_group_put - undo iommufd_group_get()
 * @igroup: the group
 */
void iommufd_group_put(struct iommufd_group *igroup)
{
	kref_put_mutex(&igroup->kref, iommufd_group_release,
		       &igroup->ictx->groups_lock);
}

/**
 * iommufd_group_get - find or make the context's view of the group of a device
 * @ictx: the context
 * @dev: the device
 *
 * Return: the group, or an ERR_PTR: -ENODEV without an IOMMU, or -ENOMEM.
 */
struct iommufd_group *iommufd_group_get(struct iommufd_ctx *ictx,
					struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct iommufd_group *igroup;

	if (!group)
		return ERR_PTR(refuse(&ictx->refusal, -ENODEV,
				      "bind: %s is not behind an IOMMU",
				      dev_name(dev)));

	guard(mutex)(&ictx->groups_lock);
	list_for_each_entry(igroup, &ictx->groups, entry) {
		if (igroup->group != group)
			continue;
		kref_get(&igroup->kref);
		iommu_group_put(group);
		return igroup;
	}

	igroup = kzalloc(sizeof(*igroup), GFP_KERNEL_ACCOUNT);
	if (!igroup) {
		iommu_group_put(group);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&igroup->kref);
	mutex_init(&igroup->lock);
	xa_init_flags(&igroup->attachments, XA_FLAGS_ACCOUNT);
	igroup->ictx = ictx;
	igroup->group = group;
	igroup->noiommu = !iopt_has_iommu(dev);
	igroup->sw_msi_start = PHYS_ADDR_MAX;
	spin_lock_init(&igroup->devices_lock);
	INIT_LIST_HEAD(&igroup->devices);
	list_add_tail(&igroup->entry, &ictx->groups);
	return igroup;
}

/**
 * iommufd_group_add_device - note that a device is bound
 * @igroup: the group
 * @idev: the device, which has its id
 */
void iommufd_group_add_device(struct iommufd_group *igroup,
			      struct iommufd_device *idev)
{
	spin_lock(&igroup->devices_lock);
	list_add_tail(&idev->bound_entry, &igroup->devices);
	spin_unlock(&igroup->devices_lock);
}

/**
 * iommufd_group_remove_device - undo iommufd_group_add_device()
 * @igroup: the group
 * @idev: the device
 */
void iommufd_group_remove_device(struct iommufd_group *igroup,
				 struct iommufd_device *idev)
{
	spin_lock(&igroup->devices_lock);
	list_del(&idev->bound_entry);
	spin_unlock(&igroup->devices_lock);
}

/**
 * iommufd_ctx_has_group - is a device of a group bound to a context?
 * @ictx: the context
 * @group: the group
 *
 * A group that is only being bound, or is in a container with none of its devices
 * open, does not count.
 *
 * Return: true if so, which means that the context owns the group.
 */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	struct iommufd_group *igroup;

	if (!ictx || !group)
		return false;

	guard(mutex)(&ictx->groups_lock);
	list_for_each_entry(igroup, &ictx->groups, entry)
		if (igroup->group == group)
			return igroup->owners;
	return false;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_has_group, "IOMMUFD");

/**
 * iommufd_group_try_domain - find out whether a new domain suits a group
 * @igroup: the group of a device that the domain was made for
 * @domain: the domain, empty and not attached to anything
 *
 * Drivers may tell only at the attach that a kind of domain does not suit the
 * hardware, and some learn only from the first attach what a domain is to be:
 * before that neither its aperture nor map() can be used. So the group is
 * attached for a moment, once to find out what suits it, and always where the
 * domain needs it. There is nothing in the domain that it could reach.
 *
 * Return: 0, -EINTR if the caller was killed, or an error of
 * iommufd_attachment_try().
 */
int iommufd_group_try_domain(struct iommufd_group *igroup,
			     struct iommu_domain *domain)
{
	int rc = 0;

	/* Who has it may be waiting for one who pins a lot */
	if (mutex_lock_killable(&igroup->lock))
		return -EINTR;
	if (!domain->geometry.aperture_end ||
	    !(igroup->domain_tried ||
	      iommufd_attachment_get(igroup, IOMMU_NO_PASID))) {
		rc = iommufd_attachment_try(igroup, domain);
		if (!rc)
			igroup->domain_tried = true;
	}
	mutex_unlock(&igroup->lock);
	return rc;
}
