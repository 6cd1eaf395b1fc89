// SPDX-License-Identifier: GPL-2.0-only
/*
 * What groups and PASIDs are attached to, see attachment.h. The only file that has
 * the IOMMU core attach, replace and detach.
 */
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../iommu-priv.h"
#include "attachment.h"
#include "fault.h"
#include "iommufd_private.h"
#include "software_domain.h"

static struct iommufd_attachment *
iommufd_attachment_alloc(struct iommufd_group *igroup,
			 struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hwpt *hwpt)
{
	struct iommufd_attachment *attachment;

	attachment = kzalloc(sizeof(*attachment), GFP_KERNEL_ACCOUNT);
	if (!attachment)
		return NULL;
	attachment->igroup = igroup;
	attachment->idev = pasid == IOMMU_NO_PASID ? NULL : idev;
	attachment->pasid = pasid;
	attachment->hwpt = hwpt;
	INIT_LIST_HEAD(&attachment->devices);
	return attachment;
}

/*
 * Nothing needs to be told that a device without an IOMMU is attached, but it
 * cannot do anything with a page table that hardware would have to read.
 */
static int iommufd_attachment_check_noiommu(struct iommufd_attachment *attachment)
{
	if (attachment->pasid != IOMMU_NO_PASID ||
	    !iommufd_domain_is_software(attachment->hwpt->domain))
		return -EINVAL;
	return 0;
}

/* Does the IOMMU core know of it? */
static bool iommufd_attachment_is_known(struct iommufd_attachment *attachment)
{
	return iommu_attach_handle_get(attachment->igroup->group,
				       attachment->pasid,
				       0) == &attachment->handle;
}

/*
 * The next three are all that the IOMMU core is asked for. The hardware may report
 * something to an attachment from before the first two return until the core has
 * gone on to another one, or to none.
 */
static int iommufd_attachment_enter(struct iommufd_attachment *attachment)
{
	struct iommu_domain *domain = attachment->hwpt->domain;

	if (attachment->igroup->noiommu)
		return iommufd_attachment_check_noiommu(attachment);
	if (attachment->pasid == IOMMU_NO_PASID)
		return iommu_attach_group_handle(domain,
						 attachment->igroup->group,
						 &attachment->handle);
	return iommu_attach_device_pasid(domain, attachment->idev->dev,
					 attachment->pasid,
					 &attachment->handle);
}

static int iommufd_attachment_take_over(struct iommufd_attachment *attachment)
{
	struct iommu_domain *domain = attachment->hwpt->domain;

	if (attachment->igroup->noiommu)
		return iommufd_attachment_check_noiommu(attachment);
	if (attachment->pasid == IOMMU_NO_PASID)
		return iommu_replace_group_handle(attachment->igroup->group,
						  domain, &attachment->handle);
	return iommu_replace_device_pasid(domain, attachment->idev->dev,
					  attachment->pasid,
					  &attachment->handle);
}

static void iommufd_attachment_leave(struct iommufd_attachment *attachment)
{
	struct iommu_domain *domain = attachment->hwpt->domain;

	if (attachment->igroup->noiommu)
		return;
	if (attachment->pasid == IOMMU_NO_PASID)
		iommu_detach_group_handle(domain, attachment->igroup->group);
	/* It has left already if a replacement could not be undone */
	else if (iommufd_attachment_is_known(attachment))
		iommu_detach_device_pasid(domain, attachment->idev->dev,
					  attachment->pasid);
}

/*
 * Free one that the IOMMU core does not know any more. This is the one way out of
 * all that have been entered: the hardware reports nothing new to it, and what it
 * has reported and nobody has answered is answered here.
 */
static void iommufd_attachment_free(struct iommufd_attachment *attachment)
{
	iommufd_fault_close(attachment);
	kfree(attachment);
}

/**
 * iommufd_attachment_get - find out what a group or a PASID is attached to
 * @igroup: the group; its lock is held
 * @pasid: the PASID, or IOMMU_NO_PASID
 *
 * Return: the attachment of DMA with that PASID, or without one, valid as long as
 * the lock is held; or NULL if there is none.
 */
struct iommufd_attachment *iommufd_attachment_get(struct iommufd_group *igroup,
						  ioasid_t pasid)
{
	lockdep_assert_held(&igroup->lock);

	return xa_load(&igroup->attachments, pasid);
}

/**
 * iommufd_attachment_has_pasids - are any PASIDs attached?
 * @igroup: the group; its lock is held
 *
 * Return: true if so.
 */
bool iommufd_attachment_has_pasids(struct iommufd_group *igroup)
{
	unsigned long pasid = IOMMU_NO_PASID;

	lockdep_assert_held(&igroup->lock);

	return xa_find_after(&igroup->attachments, &pasid, ULONG_MAX,
			     XA_PRESENT);
}

/**
 * iommufd_attachment_create - attach a group or a PASID
 * @igroup: the group; its lock is held
 * @idev: the device that has the PASID; not looked at without one
 * @pasid: the PASID, or IOMMU_NO_PASID for the group; attached to nothing
 * @hwpt: what to attach it to
 *
 * The attachment is complete, and found by its handle, before DMA passes the hwpt.
 *
 * Return: the attachment, for iommufd_attachment_destroy(); or an ERR_PTR, with
 * nothing changed: -ENOMEM, or an error of iommu_attach_group_handle() or
 * iommu_attach_device_pasid().
 */
struct iommufd_attachment *
iommufd_attachment_create(struct iommufd_group *igroup,
			  struct iommufd_device *idev, ioasid_t pasid,
			  struct iommufd_hwpt *hwpt)
{
	struct iommufd_attachment *attachment;
	int rc;

	lockdep_assert_held(&igroup->lock);

	attachment = iommufd_attachment_alloc(igroup, idev, pasid, hwpt);
	if (!attachment)
		return ERR_PTR(-ENOMEM);
	rc = iommufd_fault_open(attachment);
	if (rc) {
		kfree(attachment);
		return ERR_PTR(rc);
	}
	rc = xa_insert(&igroup->attachments, pasid, attachment,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		goto err_free;
	rc = iommufd_attachment_enter(attachment);
	if (rc)
		goto err_erase;
	return attachment;

err_erase:
	xa_erase(&igroup->attachments, pasid);
err_free:
	iommufd_attachment_free(attachment);
	return ERR_PTR(rc);
}

/**
 * iommufd_attachment_replace - attach a group or a PASID to something else
 * @old: what it is attached to, freed if this succeeds; the lock of the group is
 *       held
 * @hwpt: what to attach it to
 *
 * The devices go along. DMA is never blocked in between, if the IOMMU driver can
 * do that. For a PASID, kernels before 6.15 cannot: DMA that comes meanwhile is
 * refused. Should the driver then take neither @hwpt nor the old one, the PASID
 * stays blocked, and @old can only be replaced or destroyed.
 *
 * Return: the new attachment; or an ERR_PTR, with nothing changed: -ENOMEM, or an
 * error of iommu_replace_group_handle() or iommu_replace_device_pasid().
 */
struct iommufd_attachment *
iommufd_attachment_replace(struct iommufd_attachment *old,
			   struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = old->igroup;
	struct iommufd_attachment *attachment;
	int rc;

	lockdep_assert_held(&igroup->lock);

	attachment = iommufd_attachment_alloc(igroup, old->idev, old->pasid,
					      hwpt);
	if (!attachment)
		return ERR_PTR(-ENOMEM);
	rc = iommufd_fault_open(attachment);
	if (rc) {
		kfree(attachment);
		return ERR_PTR(rc);
	}
	rc = iommufd_attachment_take_over(attachment);
	if (rc) {
		iommufd_attachment_free(attachment);
		if (old->pasid != IOMMU_NO_PASID &&
		    !iommufd_attachment_is_known(old))
			refuse(&igroup->ictx->refusal, rc,
			       "pasid %u: the IOMMU driver cannot go back to hwpt %u; DMA is blocked until the PASID is replaced or detached",
			       old->pasid, old->hwpt->obj.id);
		return ERR_PTR(rc);
	}
	list_splice_init(&old->devices, &attachment->devices);
	/* The slot is there, so that this needs no memory */
	WARN_ON(xa_store(&igroup->attachments, attachment->pasid, attachment,
			 GFP_KERNEL_ACCOUNT) != old);
	iommufd_attachment_free(old);
	return attachment;
}

/**
 * iommufd_attachment_destroy - detach a group or a PASID
 * @attachment: what it is attached to, freed; no device is on it, and the lock of
 *              the group is held
 *
 * DMA of the group, or with the PASID, is blocked when this returns.
 */
void iommufd_attachment_destroy(struct iommufd_attachment *attachment)
{
	struct iommufd_group *igroup = attachment->igroup;

	lockdep_assert_held(&igroup->lock);

	WARN_ON(!list_empty(&attachment->devices));
	iommufd_attachment_leave(attachment);
	xa_erase(&igroup->attachments, attachment->pasid);
	iommufd_attachment_free(attachment);
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
	struct iommufd_attachment *old = iommufd_attachment_get(igroup,
							       IOMMU_NO_PASID);
	struct iommufd_attachment *attachment;
	int rc;

	attachment = iommufd_attachment_alloc(igroup, NULL, IOMMU_NO_PASID,
					      NULL);
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
