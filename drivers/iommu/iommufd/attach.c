// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach, replace and detach devices.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>

#include "../iommu-priv.h"
#include "attachment.h"
#include "fault.h"
#include "iommufd_private.h"
#include "trace.h"

static void iommufd_unreserve_device(struct iommufd_hwpt *hwpt,
				     struct device *dev)
{
	guard(rwsem_write)(&hwpt->paging->ioas->iopt.iova_rwsem);
	iopt_unreserve(&hwpt->paging->ioas->iopt, dev);
}

/* Automatic ones are tried until one suits, which is no refusal */
static int iommufd_refuse_hwpt(struct iommufd_device *idev,
			       struct iommufd_hwpt *hwpt, int rc)
{
	if (hwpt->paging->automatic)
		return rc;
	if (hwpt->fault && rc == -ENODEV)
		return iommufd_fault_refuse(idev->ictx, hwpt, idev->dev, rc);
	return refuse(&idev->ictx->refusal, rc,
		      "attach: the IOMMU driver refuses hwpt %u for %s",
		      hwpt->obj.id, dev_name(idev->dev));
}

/* Attach a device; the first one of a group attaches the group */
static int iommufd_attach_hwpt(struct iommufd_device *idev,
			       struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attachment *attachment;
	int rc;

	lockdep_assert_held(&hwpt->paging->ioas->mutex);
	lockdep_assert_held(&igroup->lock);

	if (idev->attached)
		return -EBUSY;
	attachment = iommufd_attachment_get(igroup, IOMMU_NO_PASID);
	if (attachment && attachment->hwpt != hwpt)
		return refuse(&idev->ictx->refusal, -EINVAL,
			      "attach: the group of %s is attached to hwpt %u",
			      dev_name(idev->dev), attachment->hwpt->obj.id);
	rc = iommufd_pasid_check_rid(idev, hwpt);
	if (rc)
		return rc;
	rc = iommufd_hwpt_check_coherency(hwpt, idev);
	if (rc)
		return rc;
	/* Nothing of it has to be undone, unlike all that comes after it */
	if (!attachment) {
		rc = iopt_lower_flush_max(&hwpt->paging->ioas->iopt,
					  &hwpt->paging->item,
					  iopt_flush_max(idev->dev));
		if (rc)
			return rc;
	}
	rc = iopt_reserve_device(&hwpt->paging->ioas->iopt, idev->dev,
				 &igroup->sw_msi_start);
	if (rc)
		return rc;
	rc = iommufd_object_hold(&hwpt->obj);
	if (rc)
		goto err_unreserve;

	if (!attachment) {
		rc = iommufd_msi_prepare(igroup, hwpt->paging);
		if (rc)
			goto err_release;
		attachment = iommufd_attachment_create(igroup, idev,
						       IOMMU_NO_PASID, hwpt);
		if (IS_ERR(attachment)) {
			rc = iommufd_refuse_hwpt(idev, hwpt,
						 PTR_ERR(attachment));
			goto err_release;
		}
	}
	list_add_tail(&idev->entry, &attachment->devices);
	idev->attached = true;
	return 0;

err_release:
	iommufd_object_release(&hwpt->obj);
err_unreserve:
	iommufd_unreserve_device(hwpt, idev->dev);
	return rc;
}

/* Move the whole group of an attached device to another hwpt */
static int iommufd_replace_hwpt(struct iommufd_device *idev,
				struct iommufd_hwpt *hwpt,
				struct iommufd_hwpt **old_hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attachment *attachment, *new;
	struct iommufd_device *cur;
	struct iommufd_hwpt *old;
	unsigned int held = 0;
	int rc;

	lockdep_assert_held(&hwpt->paging->ioas->mutex);
	lockdep_assert_held(&igroup->lock);

	if (!idev->attached)
		return -EINVAL;
	attachment = iommufd_attachment_get(igroup, IOMMU_NO_PASID);
	old = attachment->hwpt;
	if (old == hwpt)
		return 0;
	/* The core sees to that for the first attach only */
	if (!igroup->noiommu &&
	    hwpt->domain->owner != dev_iommu_ops(idev->dev))
		return -EINVAL;
	rc = iommufd_pasid_check_rid(idev, hwpt);
	if (rc)
		return rc;

	list_for_each_entry(cur, &attachment->devices, entry) {
		rc = iommufd_hwpt_check_coherency(hwpt, cur);
		if (rc)
			return rc;
	}
	rc = iopt_lower_flush_max(&hwpt->paging->ioas->iopt,
				  &hwpt->paging->item,
				  iopt_flush_max(idev->dev));
	if (rc)
		return rc;
	/* The device's ranges are already there if the IOAS stays the same */
	if (old->paging->ioas != hwpt->paging->ioas) {
		list_for_each_entry(cur, &attachment->devices, entry) {
			rc = iopt_reserve_device(&hwpt->paging->ioas->iopt,
						 cur->dev, NULL);
			if (rc)
				goto err_unreserve;
		}
	}
	list_for_each_entry(cur, &attachment->devices, entry) {
		rc = iommufd_object_hold(&hwpt->obj);
		if (rc)
			goto err_release;
		held++;
	}
	rc = iommufd_msi_prepare(igroup, hwpt->paging);
	if (rc)
		goto err_release;
	new = iommufd_attachment_replace(attachment, hwpt);
	if (IS_ERR(new)) {
		rc = iommufd_refuse_hwpt(idev, hwpt, PTR_ERR(new));
		goto err_release;
	}

	list_for_each_entry(cur, &new->devices, entry) {
		if (old->paging->ioas != hwpt->paging->ioas)
			iommufd_unreserve_device(old, cur->dev);
		/* The last one is the caller's to release */
		if (cur != idev)
			iommufd_object_release(&old->obj);
	}
	*old_hwpt = old;
	return 0;

err_release:
	while (held--)
		iommufd_object_release(&hwpt->obj);
	cur = list_entry(&attachment->devices, struct iommufd_device, entry);
err_unreserve:
	if (old->paging->ioas != hwpt->paging->ioas)
		list_for_each_entry_continue_reverse(cur, &attachment->devices,
						     entry)
			iommufd_unreserve_device(hwpt, cur->dev);
	return rc;
}

/* Release the hold on a hwpt that a device was attached to */
static void iommufd_release_hwpt(struct iommufd_ctx *ictx,
				 struct iommufd_hwpt *hwpt)
{
	if (hwpt->paging->automatic)
		iommufd_object_destroy_unused(ictx, &hwpt->obj);
	else
		iommufd_object_release(&hwpt->obj);
}

static int iommufd_change_hwpt(struct iommufd_device *idev, ioasid_t pasid,
			       struct iommufd_hwpt *hwpt, bool replace,
			       struct iommufd_hwpt **old_hwpt)
{
	int rc;

	/* Who has it may be waiting for one who pins a lot */
	if (mutex_lock_killable(&idev->igroup->lock))
		return -EINTR;
	if (pasid != IOMMU_NO_PASID)
		rc = replace ? iommufd_pasid_replace(idev, pasid, hwpt,
						     old_hwpt) :
			       iommufd_pasid_attach(idev, pasid, hwpt);
	else
		rc = replace ? iommufd_replace_hwpt(idev, hwpt, old_hwpt) :
			       iommufd_attach_hwpt(idev, hwpt);
	mutex_unlock(&idev->igroup->lock);
	return rc;
}

/* Attach to an automatic hwpt of the IOAS that suits the device */
static int iommufd_change_to_existing(struct iommufd_device *idev,
				      struct iommufd_ioas *ioas, bool replace,
				      struct iommufd_hwpt **old, u32 *pt_id)
{
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		struct iommufd_object *obj = &hwpt->common.obj;
		u32 id = obj->id;

		if (!hwpt->automatic || !iommufd_object_tryget(obj))
			continue;
		rc = iommufd_change_hwpt(idev, IOMMU_NO_PASID, &hwpt->common,
					 replace, old);
		iommufd_object_put(idev->ictx, obj);
		if (!rc)
			*pt_id = id;
		/*
		 * -EINVAL is how drivers say that a domain does not suit a
		 * device, and -ENOENT means that it is being destroyed.
		 */
		if (rc != -EINVAL && rc != -ENOENT)
			return rc;
	}
	return -EINVAL;
}

/* Attach to a hwpt of the IOAS that suits, or else to a new one */
static int iommufd_change_ioas(struct iommufd_device *idev,
			       struct iommufd_ioas *ioas, bool replace,
			       struct iommufd_hwpt **old, u32 *pt_id)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (mutex_lock_killable(&ioas->mutex))
		return -EINTR;
	rc = iommufd_change_to_existing(idev, ioas, replace, old, pt_id);
	if (rc != -EINVAL)
		goto out_unlock;

	hwpt = iommufd_hwpt_auto_alloc(ioas, idev->igroup, idev->dev);
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		goto out_unlock;
	}
	/*
	 * The mappings come before the device, so that it never sees a domain
	 * that lacks some of them.
	 */
	rc = iommufd_hwpt_fill(hwpt);
	if (!rc)
		rc = iommufd_change_hwpt(idev, IOMMU_NO_PASID, &hwpt->common,
					 replace, old);
	if (rc) {
		/* It must not be found once the lock is released */
		list_del_init(&hwpt->entry);
		mutex_unlock(&ioas->mutex);
		iommufd_object_abort_and_destroy(ictx, &hwpt->common.obj);
		return rc;
	}
	*pt_id = hwpt->common.obj.id;
	iommufd_object_finalize(ictx, &hwpt->common.obj);
out_unlock:
	mutex_unlock(&ioas->mutex);
	return rc;
}

static int iommufd_change_to_hwpt(struct iommufd_device *idev, ioasid_t pasid,
				  struct iommufd_hwpt *hwpt, bool replace,
				  struct iommufd_hwpt **old)
{
	struct iommufd_ioas *ioas = hwpt->paging->ioas;
	int rc;

	if (mutex_lock_killable(&ioas->mutex))
		return -EINTR;
	rc = iommufd_change_hwpt(idev, pasid, hwpt, replace, old);
	mutex_unlock(&ioas->mutex);
	return rc;
}

static int iommufd_change_pt(struct iommufd_device *idev, ioasid_t pasid,
			     u32 *pt_id, bool replace)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt *old = NULL;
	struct iommufd_object *obj;
	int rc;

	obj = iommufd_object_get(ictx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);

	switch (obj->ops->type) {
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		rc = iommufd_change_to_hwpt(idev, pasid, to_hwpt(obj), replace,
					    &old);
		break;
	case IOMMUFD_OBJ_IOAS:
		if (pasid != IOMMU_NO_PASID) {
			rc = refuse(&ictx->refusal, -EINVAL,
				    "pasid %u: %u is an IOAS, which has no hwpt for PASIDs of its own accord",
				    pasid, *pt_id);
			break;
		}
		rc = iommufd_change_ioas(idev, to_ioas(obj), replace, &old,
					 pt_id);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	iommufd_object_put(ictx, obj);
	/* May destroy an automatic hwpt, which takes outer locks */
	if (old)
		iommufd_release_hwpt(ictx, old);
	return rc;
}

/**
 * iommufd_device_attach - connect a device, or a PASID of it, to an address space
 * @idev: a bound device
 * @pasid: the PASID, or IOMMU_NO_PASID for the device itself; not attached
 * @pt_id: in: id of an IOAS or of a hwpt; out: id of the hwpt
 *
 * An IOAS gives the device one of its automatic hwpts, or a new one. All
 * devices of a group are attached to the same hwpt. A PASID needs a hwpt that was
 * allocated for PASIDs.
 *
 * Return: 0; or with nothing changed: -ENOENT if there is no such object,
 * -EINVAL if it is no page table, if the group is attached to another one, or
 * if the hwpt does not suit the device, -EADDRINUSE if a reserved range of the
 * device is mapped, -EBUSY if the device or the PASID is attached, -EINTR if the
 * caller was killed, or an error of iommufd_hwpt_fill() or of
 * iommufd_pasid_attach().
 */
int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid,
			  u32 *pt_id)
{
	int rc = iommufd_change_pt(idev, pasid, pt_id, false);

	trace_iommufd_attach(idev->dev, idev->obj.id, pasid, *pt_id, rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, "IOMMUFD");

/**
 * iommufd_device_replace - move a device, or a PASID of it, to another address space
 * @idev: a bound device
 * @pasid: the PASID, or IOMMU_NO_PASID for the device itself; attached
 * @pt_id: in: id of an IOAS or of a hwpt; out: id of the hwpt
 *
 * Takes the whole group along. The device is never without the old or the new
 * hwpt, if the IOMMU driver can do that. Before 6.15 none can for a PASID: what the
 * device does with it meanwhile is refused, see iommufd_attachment_replace().
 *
 * Return: 0, or an error of iommufd_device_attach() with nothing changed;
 * -EINVAL also if the device or the PASID is not attached.
 */
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid,
			   u32 *pt_id)
{
	int rc = iommufd_change_pt(idev, pasid, pt_id, true);

	trace_iommufd_replace(idev->dev, idev->obj.id, pasid, *pt_id, rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, "IOMMUFD");

/* Returns what the device was attached to, for the caller to release */
static struct iommufd_hwpt *iommufd_detach_rid(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attachment *attachment;
	struct iommufd_hwpt *hwpt;

	guard(mutex)(&igroup->lock);

	if (WARN_ON(!idev->attached))
		return NULL;
	attachment = iommufd_attachment_get(igroup, IOMMU_NO_PASID);
	hwpt = attachment->hwpt;
	list_del(&idev->entry);
	idev->attached = false;
	/* Others of the group may stay, and nobody answers for this one */
	iommufd_fault_forget(attachment, idev->dev);
	if (list_empty(&attachment->devices))
		iommufd_attachment_destroy(attachment);
	iommufd_unreserve_device(hwpt, idev->dev);
	return hwpt;
}

/**
 * iommufd_device_detach - disconnect a device, or a PASID, from its address space
 * @idev: a bound device
 * @pasid: a PASID, attached or not; or IOMMU_NO_PASID for the device itself, which
 *         is attached
 *
 * DMA with the PASID is blocked; that of the group, with its last device.
 */
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_hwpt *hwpt;

	hwpt = pasid == IOMMU_NO_PASID ? iommufd_detach_rid(idev) :
					 iommufd_pasid_detach(idev, pasid);
	if (!hwpt)
		return;
	trace_iommufd_detach(idev->dev, idev->obj.id, pasid, hwpt->obj.id, 0);
	iommufd_release_hwpt(idev->ictx, hwpt);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, "IOMMUFD");
