// SPDX-License-Identifier: GPL-2.0-only
/*
 * What groups are attached to, see attachment.h. The only file that has the IOMMU
 * core attach, replace and detach.
 */
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../iommu-priv.h"
#include "attachment.h"
#include "iommufd_private.h"

static struct iommufd_attachment *
iommufd_attachment_alloc(struct iommufd_group *igroup,
			 struct iommufd_hwpt *hwpt)
{
	struct iommufd_attachment *attachment;

	attachment = kzalloc(sizeof(*attachment), GFP_KERNEL_ACCOUNT);
	if (!attachment)
		return NULL;
	attachment->igroup = igroup;
	attachment->pasid = IOMMU_NO_PASID;
	attachment->hwpt = hwpt;
	INIT_LIST_HEAD(&attachment->devices);
	return attachment;
}

/**
 * iommufd_attachment_get - find out what a group is attached to
 * @igroup: the group; its lock is held
 *
 * Return: the attachment of DMA without a PASID, valid as long as the lock is
 * held, or NULL if there is none.
 */
struct iommufd_attachment *iommufd_attachment_get(struct iommufd_group *igroup)
{
	lockdep_assert_held(&igroup->lock);

	return xa_load(&igroup->attachments, IOMMU_NO_PASID);
}

/**
 * iommufd_attachment_create - attach a group
 * @igroup: the group, attached to nothing; its lock is held
 * @hwpt: what to attach it to
 *
 * Return: the attachment, for iommufd_attachment_destroy(); or an ERR_PTR, with
 * nothing changed: -ENOMEM, or an error of iommu_attach_group_handle().
 */
struct iommufd_attachment *
iommufd_attachment_create(struct iommufd_group *igroup,
			  struct iommufd_hwpt *hwpt)
{
	struct iommufd_attachment *attachment;
	int rc;

	lockdep_assert_held(&igroup->lock);

	attachment = iommufd_attachment_alloc(igroup, hwpt);
	if (!attachment)
		return ERR_PTR(-ENOMEM);
	rc = xa_insert(&igroup->attachments, attachment->pasid, attachment,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		goto err_free;
	rc = iommu_attach_group_handle(hwpt->domain, igroup->group,
				       &attachment->handle);
	if (rc)
		goto err_erase;
	return attachment;

err_erase:
	xa_erase(&igroup->attachments, attachment->pasid);
err_free:
	kfree(attachment);
	return ERR_PTR(rc);
}

/**
 * iommufd_attachment_replace - attach a group to something else
 * @old: what it is attached to, freed if this succeeds; the lock of the group is
 *       held
 * @hwpt: what to attach it to
 *
 * The devices go along. DMA is never blocked in between, if the IOMMU driver can
 * do that.
 *
 * Return: the new attachment; or an ERR_PTR, with nothing changed: -ENOMEM, or an
 * error of iommu_replace_group_handle().
 */
struct iommufd_attachment *
iommufd_attachment_replace(struct iommufd_attachment *old,
			   struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = old->igroup;
	struct iommufd_attachment *attachment;
	int rc;

	lockdep_assert_held(&igroup->lock);

	attachment = iommufd_attachment_alloc(igroup, hwpt);
	if (!attachment)
		return ERR_PTR(-ENOMEM);
	rc = iommu_replace_group_handle(igroup->group, hwpt->domain,
					&attachment->handle);
	if (rc) {
		kfree(attachment);
		return ERR_PTR(rc);
	}
	list_splice_init(&old->devices, &attachment->devices);
	/* The slot is there, so that this needs no memory */
	WARN_ON(xa_store(&igroup->attachments, attachment->pasid, attachment,
			 GFP_KERNEL_ACCOUNT) != old);
	kfree(old);
	return attachment;
}

/**
 * iommufd_attachment_destroy - detach a group
 * @attachment: what it is attached to, freed; no device is on it, and the lock of
 *              the group is held
 *
 * DMA of the group is blocked when this returns.
 */
void iommufd_attachment_destroy(struct iommufd_attachment *attachment)
{
	struct iommufd_group *igroup = attachment->igroup;

	lockdep_assert_held(&igroup->lock);

	WARN_ON(!list_empty(&attachment->devices));
	iommu_detach_group_handle(attachment->hwpt->domain, igroup->group);
	xa_erase(&igroup->attachments, attachment->pasid);
	kfree(attachment);
}

/*
 * Move a group from an empty domain, which will be freed, back to where it was.
 * If the driver cannot do that, all DMA of the group is blocked.
 */
static int iommufd_attachment_restore(struct iommufd_attachment *attachment,
				      struct iommu_domain *domain)
{
	struct iommufd_group *igroup = attachment->igroup;
	struct iommu_domain *old = attachment->hwpt->domain;
	int rc;

	rc = iommu_replace_group_handle(igroup->group, old,
					&attachment->handle);
	if (!rc)
		return 0;
	iommu_detach_group_handle(domain, igroup->group);
	if (iommu_attach_group_handle(old, igroup->group, &attachment->handle))
		refuse(&igroup->ictx->refusal, rc,
		       "attach: the IOMMU driver cannot go back to hwpt %u; DMA is blocked until the devices are reattached",
		       attachment->hwpt->obj.id);
	return rc;
}

/**
 * iommufd_attachment_try - attach a group to a domain and back to where it was
 * @igroup: the group; its lock is held
 * @domain: the domain, empty and of no hwpt
 *
 * Return: 0, -ENOMEM, or an error of the IOMMU driver.
 */
int iommufd_attachment_try(struct iommufd_group *igroup,
			   struct iommu_domain *domain)
{
	struct iommufd_attachment *old = iommufd_attachment_get(igroup);
	struct iommufd_attachment *attachment;
	int rc;

	attachment = iommufd_attachment_alloc(igroup, NULL);
	if (!attachment)
		return -ENOMEM;
	if (old) {
		rc = iommu_replace_group_handle(igroup->group, domain,
						&attachment->handle);
		if (!rc)
			rc = iommufd_attachment_restore(old, domain);
	} else {
		rc = iommu_attach_group_handle(domain, igroup->group,
					       &attachment->handle);
		if (!rc)
			iommu_detach_group_handle(domain, igroup->group);
	}
	kfree(attachment);
	return rc;
}
