// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs of devices: what may be attached to them, attach, replace and detach.
 */
#include <linux/iommu.h>

#include "../iommu-priv.h"
#include "attachment.h"
#include "fault.h"
#include "iommufd_private.h"

/**
 * iommufd_pasid_number - how many PASIDs a device has
 * @idev: the device
 *
 * Return: the number, PASIDs being below it; 0 if the device or its IOMMU has
 * none.
 */
u32 iommufd_pasid_number(const struct iommufd_device *idev)
{
	return idev->igroup->noiommu ? 0 : idev->dev->iommu->max_pasids;
}

static int iommufd_pasid_count_device(struct device *dev, void *data)
{
	unsigned int *count = data;

	(*count)++;
	return 0;
}

/*
 * Requests with a PASID are told apart by the device that they come from, which
 * does not hold in a group.
 */
static bool iommufd_pasid_is_alone(struct iommufd_device *idev)
{
	unsigned int count = 0;

	iommu_group_for_each_dev(idev->igroup->group, &count,
				 iommufd_pasid_count_device);
	return count == 1;
}

/**
 * iommufd_pasid_check_rid - may a group go to a hwpt, in view of its PASIDs?
 * @idev: a device of the group, whose lock is held
 * @hwpt: what DMA without a PASID is to go to
 *
 * Some IOMMUs can only tell PASIDs apart where the page table that DMA without a
 * PASID goes to is of a kind that allows for it.
 *
 * Return: 0, or -EINVAL if PASIDs are attached and @hwpt was not allocated with
 * IOMMU_HWPT_ALLOC_PASID.
 */
int iommufd_pasid_check_rid(struct iommufd_device *idev,
			    struct iommufd_hwpt *hwpt)
{
	if (hwpt->pasid || !iommufd_attachment_has_pasids(idev->igroup))
		return 0;
	return refuse(&idev->ictx->refusal, -EINVAL,
		      "attach: PASIDs of %s are attached, and hwpt %u is not for such devices (IOMMU_HWPT_ALLOC_PASID)",
		      dev_name(idev->dev), hwpt->obj.id);
}

/* May a PASID of a device be attached to a hwpt? The lock of the group is held */
static int iommufd_pasid_check(struct iommufd_device *idev, ioasid_t pasid,
			       struct iommufd_hwpt *hwpt)
{
	struct refusal *refusal = &idev->ictx->refusal;
	u32 max_pasids = iommufd_pasid_number(idev);
	struct iommufd_attachment *rid;

	if (!max_pasids)
		return refuse(refusal, -EINVAL,
			      "pasid %u: %s, or its IOMMU, has no PASIDs",
			      pasid, dev_name(idev->dev));
	if (pasid >= max_pasids)
		return refuse(refusal, -EINVAL,
			      "pasid %u: %s has PASIDs below %u only", pasid,
			      dev_name(idev->dev), max_pasids);
	if (!iommufd_pasid_is_alone(idev))
		return refuse(refusal, -EINVAL,
			      "pasid %u: %s is not alone in its group", pasid,
			      dev_name(idev->dev));
	if (!hwpt->pasid)
		return refuse(refusal, -EINVAL,
			      "pasid %u: hwpt %u was not allocated with IOMMU_HWPT_ALLOC_PASID",
			      pasid, hwpt->obj.id);
	rid = iommufd_attachment_get(idev->igroup, IOMMU_NO_PASID);
	if (rid && !rid->hwpt->pasid)
		return refuse(refusal, -EINVAL,
			      "pasid %u: %s itself is attached to hwpt %u, which was not allocated with IOMMU_HWPT_ALLOC_PASID",
			      pasid, dev_name(idev->dev), rid->hwpt->obj.id);
	/* Not every kernel's core looks at that */
	if (hwpt->domain->owner != dev_iommu_ops(idev->dev))
		return refuse(refusal, -EINVAL,
			      "pasid %u: hwpt %u is of another IOMMU than %s",
			      pasid, hwpt->obj.id, dev_name(idev->dev));
	return iommufd_hwpt_check_coherency(hwpt, idev);
}

/*
 * Make ready what a PASID is about to be attached to, and take the reference of the
 * attachment to it. Reserved ranges and the window of MSI are a matter of DMA
 * without a PASID alone, of which interrupts are a kind.
 */
static int iommufd_pasid_prepare(struct iommufd_device *idev, ioasid_t pasid,
				 struct iommufd_hwpt *hwpt)
{
	int rc;

	lockdep_assert_held(&hwpt->paging->ioas->mutex);
	lockdep_assert_held(&idev->igroup->lock);

	rc = iommufd_pasid_check(idev, pasid, hwpt);
	if (rc)
		return rc;
	rc = iommufd_object_hold(&hwpt->obj);
	if (rc)
		return rc;
	rc = iopt_lower_flush_max(&hwpt->paging->ioas->iopt,
				  &hwpt->paging->item,
				  iopt_flush_max(idev->dev));
	if (rc)
		iommufd_object_release(&hwpt->obj);
	return rc;
}

static int iommufd_pasid_refuse_driver(struct iommufd_device *idev,
				       ioasid_t pasid,
				       struct iommufd_hwpt *hwpt, int rc)
{
	if (hwpt->fault && rc == -ENODEV)
		return iommufd_fault_refuse(idev->ictx, hwpt, idev->dev, rc);
	if (rc != -EOPNOTSUPP)
		return rc;
	return refuse(&idev->ictx->refusal, rc,
		      "pasid %u: the IOMMU driver of %s cannot attach a PASID to a table such as hwpt %u",
		      pasid, dev_name(idev->dev), hwpt->obj.id);
}

/**
 * iommufd_pasid_attach - attach a PASID of a device
 * @idev: the device
 * @pasid: the PASID, not IOMMU_NO_PASID
 * @hwpt: what to attach it to; the mutex of its address space is held, and that of
 *        the group
 *
 * Return: 0; or with nothing changed: -EBUSY if it is attached to something; -EINVAL
 * if the device has no such PASID, if it is not alone in its group, or if @hwpt, or
 * what the device itself is attached to, is not for that; -EOPNOTSUPP if the IOMMU
 * driver cannot do that; or another error of iommufd_attachment_create().
 */
int iommufd_pasid_attach(struct iommufd_device *idev, ioasid_t pasid,
			 struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attachment *attachment;
	int rc;

	lockdep_assert_held(&igroup->lock);

	attachment = iommufd_attachment_get(igroup, pasid);
	if (attachment)
		return refuse(&idev->ictx->refusal, -EBUSY,
			      "pasid %u: it is attached to hwpt %u", pasid,
			      attachment->hwpt->obj.id);
	rc = iommufd_pasid_prepare(idev, pasid, hwpt);
	if (rc)
		return rc;
	attachment = iommufd_attachment_create(igroup, idev, pasid, hwpt);
	if (!IS_ERR(attachment))
		return 0;
	iommufd_object_release(&hwpt->obj);
	return iommufd_pasid_refuse_driver(idev, pasid, hwpt,
					   PTR_ERR(attachment));
}

/**
 * iommufd_pasid_replace - move an attached PASID of a device to another hwpt
 * @idev: the device
 * @pasid: the PASID, not IOMMU_NO_PASID
 * @hwpt: what to attach it to; the mutex of its address space is held, and that of
 *        the group
 * @old_hwpt: receives what it was attached to, for the caller to release; not
 *            written if that is @hwpt or after an error
 *
 * See iommufd_attachment_replace() for what becomes of DMA meanwhile.
 *
 * Return: as iommufd_pasid_attach(), but -EINVAL if the PASID is attached to nothing.
 */
int iommufd_pasid_replace(struct iommufd_device *idev, ioasid_t pasid,
			  struct iommufd_hwpt *hwpt,
			  struct iommufd_hwpt **old_hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attachment *attachment, *new;
	struct iommufd_hwpt *old;
	int rc;

	lockdep_assert_held(&igroup->lock);

	attachment = iommufd_attachment_get(igroup, pasid);
	if (!attachment)
		return refuse(&idev->ictx->refusal, -EINVAL,
			      "pasid %u: it is not attached", pasid);
	old = attachment->hwpt;
	if (old == hwpt)
		return 0;
	rc = iommufd_pasid_prepare(idev, pasid, hwpt);
	if (rc)
		return rc;
	new = iommufd_attachment_replace(attachment, hwpt);
	if (IS_ERR(new)) {
		iommufd_object_release(&hwpt->obj);
		return iommufd_pasid_refuse_driver(idev, pasid, hwpt,
						   PTR_ERR(new));
	}
	*old_hwpt = old;
	return 0;
}

/**
 * iommufd_pasid_detach - detach a PASID of a device
 * @idev: the device
 * @pasid: the PASID, not IOMMU_NO_PASID
 *
 * Return: what it was attached to, for the caller to release, or NULL.
 */
struct iommufd_hwpt *iommufd_pasid_detach(struct iommufd_device *idev,
					  ioasid_t pasid)
{
	struct iommufd_attachment *attachment;
	struct iommufd_hwpt *hwpt;

	guard(mutex)(&idev->igroup->lock);

	attachment = iommufd_attachment_get(idev->igroup, pasid);
	if (!attachment || attachment->idev != idev)
		return NULL;
	hwpt = attachment->hwpt;
	iommufd_attachment_destroy(attachment);
	return hwpt;
}

/**
 * iommufd_pasid_detach_all - detach whatever PASIDs of a device are attached
 * @idev: the device; nobody attaches any more
 *
 * Return: true if there were any.
 */
bool iommufd_pasid_detach_all(struct iommufd_device *idev)
{
	unsigned long pasid = IOMMU_NO_PASID;
	struct iommufd_hwpt *hwpt;
	bool any = false;

	while (xa_find_after(&idev->igroup->attachments, &pasid, ULONG_MAX,
			     XA_PRESENT)) {
		hwpt = iommufd_pasid_detach(idev, pasid);
		if (!hwpt)
			continue;
		any = true;
		/* One for PASIDs is never automatic */
		iommufd_object_release(&hwpt->obj);
		cond_resched();
	}
	return any;
}
