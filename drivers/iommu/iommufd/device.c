// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: bind, attach, replace, detach; and their groups, because the IOMMU
 * isolates groups, not devices.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"
#include "mock/mock.h"
#include "trace.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Accept devices whose interrupts the platform does not isolate: a malicious user can then inject interrupts into the host (default: no)");

static void group_release(struct kref *kref)
{
	struct iommufd_group *igroup =
		container_of(kref, struct iommufd_group, kref);

	WARN_ON(igroup->hwpt || !list_empty(&igroup->devices));
	list_del(&igroup->entry);
	mutex_unlock(&igroup->ictx->groups_lock);
	iommu_group_put(igroup->group);
	mutex_destroy(&igroup->lock);
	kfree(igroup);
}

/**
 * iommufd_group_put - undo iommufd_group_get()
 * @igroup: the group
 */
void iommufd_group_put(struct iommufd_group *igroup)
{
	kref_put_mutex(&igroup->kref, group_release,
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
	INIT_LIST_HEAD(&igroup->devices);
	igroup->ictx = ictx;
	igroup->group = group;
	igroup->sw_msi_start = PHYS_ADDR_MAX;
	list_add_tail(&igroup->entry, &ictx->groups);
	return igroup;
}

static void idev_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = to_idev(obj);

	/* Nobody is told that it is the context's when it is not any more. */
	scoped_guard(mutex, &idev->ictx->groups_lock)
		idev->igroup->owners--;
	iommu_device_release_dma_owner(idev->dev);
	iommufd_group_put(idev->igroup);
	if (!iommufd_selftest_is_mock_dev(idev->dev))
		iommufd_ctx_put(idev->ictx);
}

const struct iommufd_object_ops iommufd_device_object_ops = {
	.type = IOMMUFD_OBJ_DEVICE,
	.name = "device",
	.destroy = idev_destroy,
};

static bool isolates_interrupts(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool isolated;

	/* A member of a container's group may be on its way out. */
	if (!group)
		return false;
	isolated = iommu_group_has_isolated_msi(group) ||
		   iommufd_selftest_is_mock_dev(dev);
	iommu_group_put(group);
	return isolated;
}

/**
 * iommufd_device_isolation - can a user drive a device without endangering the
 *                            rest of the machine?
 * @dev: a device in an IOMMU group
 *
 * It says nothing of who uses the group now.
 *
 * Return: 0, -EINVAL if the device's DMA is not coherent, or -EPERM if the
 * platform does not isolate interrupts and the administrator does not accept
 * that.
 */
int iommufd_device_isolation(struct device *dev)
{
	/*
	 * Everything above trusts that DMA is coherent with the CPU's caches,
	 * because a user cannot maintain them.
	 */
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return -EINVAL;
	if (!allow_unsafe_interrupts && !isolates_interrupts(dev))
		return -EPERM;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_isolation, IOMMUFD);

/**
 * iommufd_check_isolation - refuse a device that the platform does not isolate
 * @ictx: the user's context
 * @dev: a device in an IOMMU group
 *
 * Return: as iommufd_device_isolation().
 */
int iommufd_check_isolation(struct iommufd_ctx *ictx, struct device *dev)
{
	int rc = iommufd_device_isolation(dev);

	if (rc == -EPERM)
		return refuse_and_warn(&ictx->refusal, REFUSAL_ISOLATION, rc,
				       "bind: the platform does not isolate the interrupts of %s; iommufd.allow_unsafe_interrupts=1 accepts the risk",
				       dev_name(dev));
	if (rc)
		return refuse_and_warn(&ictx->refusal, REFUSAL_ISOLATION, rc,
				       "bind: DMA of %s is not cache coherent",
				       dev_name(dev));
	if (allow_unsafe_interrupts && !isolates_interrupts(dev))
		dev_warn_once(dev,
			      "bound without interrupt isolation, as allow_unsafe_interrupts asks\n");
	return 0;
}

/**
 * iommufd_device_bind - bind a device to a context
 * @ictx: the context; a reference is taken
 * @dev: a device with a driver that calls this, behind an IOMMU
 * @id: receives the id of the device object
 *
 * Claims the DMA ownership of the device's group for the context. From now on
 * the group does no DMA but through what it is attached to.
 *
 * Return: the device; or an ERR_PTR: -ENODEV without an IOMMU, -EINVAL if DMA
 * is not coherent, -EPERM if the platform does not isolate interrupts or if
 * the group belongs to a host driver or to somebody else, or -ENOMEM.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	struct iommufd_group *igroup;
	int rc;

	igroup = iommufd_group_get(ictx, dev);
	if (IS_ERR(igroup))
		return ERR_CAST(igroup);

	rc = iommufd_check_isolation(ictx, dev);
	if (rc)
		goto err_group;

	rc = iommu_device_claim_dma_owner(dev, ictx);
	if (rc) {
		iommufd_refuse_owner(ictx, igroup->group, "bind", rc);
		goto err_group;
	}

	idev = iommufd_object_alloc(ictx, iommufd_device,
				    &iommufd_device_object_ops);
	if (IS_ERR(idev)) {
		rc = PTR_ERR(idev);
		goto err_owner;
	}
	idev->ictx = ictx;
	if (!iommufd_selftest_is_mock_dev(dev))
		iommufd_ctx_get(ictx);
	idev->dev = dev;
	idev->igroup = igroup;
	idev->enforce_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	scoped_guard(mutex, &ictx->groups_lock)
		igroup->owners++;
	/* The caller's, so that only unbind can destroy the object. */
	iommufd_object_hold(&idev->obj);
	*id = idev->obj.id;
	iommufd_object_finalize(ictx, &idev->obj);
	return idev;

err_owner:
	iommu_device_release_dma_owner(dev);
err_group:
	iommufd_group_put(igroup);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, IOMMUFD);

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
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_has_group, IOMMUFD);

/**
 * iommufd_device_unbind - undo iommufd_device_bind()
 * @idev: the device, detached; freed
 *
 * The ownership of the group ends with its last device.
 */
void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_object_destroy_owned(idev->ictx, &idev->obj);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, IOMMUFD);

/**
 * iommufd_device_to_ictx - the context a device is bound to
 * @idev: the device
 *
 * Return: the context, valid as long as the device is bound.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, IOMMUFD);

/**
 * iommufd_device_to_id - the id of a device object
 * @idev: the device
 *
 * Return: the id in its context.
 */
u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, IOMMUFD);

/*
 * Where MSI are translated like any other DMA, the window for them is mapped
 * by the IOMMU core, which has to know where it may be.
 */
static int setup_msi(struct iommufd_group *igroup, struct iommufd_hwpt *hwpt)
{
	int rc;

	if (igroup->sw_msi_start == PHYS_ADDR_MAX || hwpt->msi_cookie)
		return 0;
	rc = iommu_get_msi_cookie(hwpt->item.domain, igroup->sw_msi_start);
	if (!rc)
		hwpt->msi_cookie = true;
	return rc;
}

/*
 * Move a group from an empty domain, which will be freed, back to where it was.
 * If the driver cannot do that, all DMA of the group is blocked.
 */
static int move_back(struct iommufd_group *igroup, struct iommu_domain *domain)
{
	struct iommu_domain *old = igroup->hwpt->item.domain;
	int rc;

	rc = iommu_replace_group_handle(igroup->group, old, NULL);
	if (!rc)
		return 0;
	iommu_detach_group_handle(domain, igroup->group);
	if (iommu_attach_group_handle(old, igroup->group, NULL))
		refuse(&igroup->ictx->refusal, rc,
		       "attach: the IOMMU driver cannot go back to hwpt %u; DMA is blocked until the devices are attached anew",
		       igroup->hwpt->obj.id);
	return rc;
}

/* Attach a group to an empty domain and back to where it was. */
static int try_attach(struct iommufd_group *igroup, struct iommu_domain *domain)
{
	int rc;

	if (igroup->hwpt) {
		rc = iommu_replace_group_handle(igroup->group, domain, NULL);
		return rc ? rc : move_back(igroup, domain);
	}
	rc = iommu_attach_group_handle(domain, igroup->group, NULL);
	if (!rc)
		iommu_detach_group_handle(domain, igroup->group);
	return rc;
}

/**
 * iommufd_device_try_domain - find out whether a new domain suits a device
 * @idev: a device that the domain was made for
 * @domain: the domain, empty and not attached to anything
 *
 * Drivers may tell only at the attach that a kind of domain does not suit the
 * hardware, and some learn only from the first attach what a domain is to be:
 * before that neither its aperture nor map() can be used. So the device is
 * attached for a moment, once to find out what suits it, and always where the
 * domain needs it. There is nothing in the domain that it could reach.
 *
 * Return: 0, or what the attach says.
 */
int iommufd_device_try_domain(struct iommufd_device *idev,
			      struct iommu_domain *domain)
{
	struct iommufd_group *igroup = idev->igroup;
	int rc;

	guard(mutex)(&igroup->lock);
	if (domain->geometry.aperture_end &&
	    (igroup->domain_tried || igroup->hwpt))
		return 0;
	rc = try_attach(igroup, domain);
	if (!rc)
		igroup->domain_tried = true;
	return rc;
}

static void unreserve_device(struct iommufd_hwpt *hwpt, struct device *dev)
{
	guard(rwsem_write)(&hwpt->ioas->iopt.iova_rwsem);
	iopt_unreserve(&hwpt->ioas->iopt, dev);
}

static int check_coherency(struct iommufd_device *idev,
			   struct iommufd_hwpt *hwpt)
{
	int rc;

	if (!idev->enforce_coherency)
		return 0;
	rc = iommufd_hwpt_enforce_coherency(hwpt);
	if (rc && !hwpt->automatic)
		refuse(&idev->ictx->refusal, rc,
		       "attach: hwpt %u does not enforce cache coherency, which %s needs",
		       hwpt->obj.id, dev_name(idev->dev));
	return rc;
}

/* Attach a device; the first one of a group attaches the group. */
static int attach_hwpt(struct iommufd_device *idev, struct iommufd_hwpt *hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);
	guard(mutex)(&igroup->lock);

	if (idev->attached)
		return -EBUSY;
	if (igroup->hwpt && igroup->hwpt != hwpt)
		return refuse(&idev->ictx->refusal, -EINVAL,
			      "attach: the group of %s is attached to hwpt %u",
			      dev_name(idev->dev), igroup->hwpt->obj.id);
	rc = check_coherency(idev, hwpt);
	if (rc)
		return rc;
	rc = iopt_reserve_device(&hwpt->ioas->iopt, idev->dev,
				 &igroup->sw_msi_start);
	if (rc)
		return rc;
	rc = iommufd_object_hold(&hwpt->obj);
	if (rc)
		goto err_unreserve;

	if (list_empty(&igroup->devices)) {
		iopt_lower_flush_max(&hwpt->ioas->iopt, &hwpt->item,
				     iopt_flush_max(idev->dev));
		rc = setup_msi(igroup, hwpt);
		if (rc)
			goto err_release;
		rc = iommu_attach_group_handle(hwpt->item.domain, igroup->group,
					       NULL);
		if (rc)
			goto err_release;
		igroup->hwpt = hwpt;
	}
	list_add_tail(&idev->entry, &igroup->devices);
	idev->attached = true;
	return 0;

err_release:
	iommufd_object_release(&hwpt->obj);
err_unreserve:
	unreserve_device(hwpt, idev->dev);
	return rc;
}

/* Move the whole group of an attached device to another table. */
static int replace_hwpt(struct iommufd_device *idev, struct iommufd_hwpt *hwpt,
			struct iommufd_hwpt **old_hwpt)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_device *cur;
	struct iommufd_hwpt *old;
	unsigned int held = 0;
	int rc;

	lockdep_assert_held(&hwpt->ioas->mutex);
	guard(mutex)(&igroup->lock);

	old = igroup->hwpt;
	if (!idev->attached)
		return -EINVAL;
	if (old == hwpt)
		return 0;
	/* The core sees to that for the first attach only. */
	if (hwpt->item.domain->owner != dev_iommu_ops(idev->dev))
		return -EINVAL;

	list_for_each_entry(cur, &igroup->devices, entry) {
		rc = check_coherency(cur, hwpt);
		if (rc)
			return rc;
	}
	/* The device's ranges are already there if the IOAS stays the same. */
	if (old->ioas != hwpt->ioas) {
		list_for_each_entry(cur, &igroup->devices, entry) {
			rc = iopt_reserve_device(&hwpt->ioas->iopt, cur->dev,
						 NULL);
			if (rc)
				goto err_unreserve;
		}
	}
	list_for_each_entry(cur, &igroup->devices, entry) {
		rc = iommufd_object_hold(&hwpt->obj);
		if (rc)
			goto err_release;
		held++;
	}
	rc = setup_msi(igroup, hwpt);
	if (rc)
		goto err_release;
	iopt_lower_flush_max(&hwpt->ioas->iopt, &hwpt->item,
			     iopt_flush_max(idev->dev));
	rc = iommu_replace_group_handle(igroup->group, hwpt->item.domain, NULL);
	if (rc)
		goto err_release;

	list_for_each_entry(cur, &igroup->devices, entry) {
		if (old->ioas != hwpt->ioas)
			unreserve_device(old, cur->dev);
		/* The last one is the caller's to release. */
		if (cur != idev)
			iommufd_object_release(&old->obj);
	}
	igroup->hwpt = hwpt;
	*old_hwpt = old;
	return 0;

err_release:
	while (held--)
		iommufd_object_release(&hwpt->obj);
	cur = list_entry(&igroup->devices, struct iommufd_device, entry);
err_unreserve:
	if (old->ioas != hwpt->ioas)
		list_for_each_entry_continue_reverse(cur, &igroup->devices,
						     entry)
			unreserve_device(hwpt, cur->dev);
	return rc;
}

/* Give up a hold on a table that a device was attached to. */
static void release_hwpt(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt)
{
	if (hwpt->automatic)
		iommufd_object_destroy_unused(ictx, &hwpt->obj);
	else
		iommufd_object_release(&hwpt->obj);
}

static int change_hwpt(struct iommufd_device *idev, struct iommufd_hwpt *hwpt,
		       bool replace, struct iommufd_hwpt **old_hwpt)
{
	return replace ? replace_hwpt(idev, hwpt, old_hwpt) :
			 attach_hwpt(idev, hwpt);
}

/* Attach to an automatic table of the IOAS that suits the device. */
static int change_to_existing(struct iommufd_device *idev,
			      struct iommufd_ioas *ioas, bool replace,
			      struct iommufd_hwpt **old, u32 *pt_id)
{
	struct iommufd_hwpt *hwpt;
	int rc;

	list_for_each_entry(hwpt, &ioas->hwpts, entry) {
		u32 id = hwpt->obj.id;

		if (!hwpt->automatic || !iommufd_object_tryget(&hwpt->obj))
			continue;
		rc = change_hwpt(idev, hwpt, replace, old);
		iommufd_object_put(idev->ictx, &hwpt->obj);
		if (!rc)
			*pt_id = id;
		/*
		 * -EINVAL is how drivers say that a table does not suit a
		 * device, and -ENOENT means that it is being destroyed.
		 */
		if (rc != -EINVAL && rc != -ENOENT)
			return rc;
	}
	return -EINVAL;
}

/* Attach to a table of the IOAS that suits, or else to a new one. */
static int change_ioas(struct iommufd_device *idev, struct iommufd_ioas *ioas,
		       bool replace, struct iommufd_hwpt **old, u32 *pt_id)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt *hwpt;
	int rc;

	mutex_lock(&ioas->mutex);
	rc = change_to_existing(idev, ioas, replace, old, pt_id);
	if (rc != -EINVAL)
		goto out_unlock;

	hwpt = iommufd_hwpt_alloc(ictx, ioas, idev,
				  iommufd_vfio_hwpt_flags(ictx, ioas, idev),
				  NULL);
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		goto out_unlock;
	}
	hwpt->automatic = true;
	/*
	 * The mappings come before the device, so that it never sees a table
	 * that lacks some of them.
	 */
	rc = iommufd_hwpt_fill(hwpt);
	if (!rc)
		rc = change_hwpt(idev, hwpt, replace, old);
	if (rc) {
		/* Nobody may find it once the lock is gone. */
		list_del_init(&hwpt->entry);
		mutex_unlock(&ioas->mutex);
		iommufd_object_abort_and_destroy(ictx, &hwpt->obj);
		return rc;
	}
	*pt_id = hwpt->obj.id;
	iommufd_object_finalize(ictx, &hwpt->obj);
out_unlock:
	mutex_unlock(&ioas->mutex);
	return rc;
}

static int change_pt(struct iommufd_device *idev, u32 *pt_id, bool replace)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_hwpt *old = NULL;
	struct iommufd_object *obj;
	int rc;

	obj = iommufd_object_get(ictx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);

	switch (obj->ops->type) {
	case IOMMUFD_OBJ_HWPT:
		scoped_guard(mutex, &to_hwpt(obj)->ioas->mutex)
			rc = change_hwpt(idev, to_hwpt(obj), replace, &old);
		break;
	case IOMMUFD_OBJ_IOAS:
		rc = change_ioas(idev, to_ioas(obj), replace, &old, pt_id);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	iommufd_object_put(ictx, obj);
	/* May destroy an automatic table, which takes locks from above. */
	if (old)
		release_hwpt(ictx, old);
	return rc;
}

/**
 * iommufd_device_attach - connect a device to an address space
 * @idev: a bound device that is not attached
 * @pt_id: in: id of an IOAS or of a hwpt; out: id of the hwpt
 *
 * An IOAS gives the device one of its automatic hwpts, or a new one. All
 * devices of a group are attached to the same hwpt.
 *
 * Return: 0; or with nothing changed: -ENOENT if there is no such object,
 * -EINVAL if it is no page table, if the group is attached to another one, or
 * if the hwpt does not suit the device, -EADDRINUSE if a reserved range of the
 * device is mapped, -EBUSY if the device is attached, or what pinning says.
 */
int iommufd_device_attach(struct iommufd_device *idev, u32 *pt_id)
{
	int rc = change_pt(idev, pt_id, false);

	trace_iommufd_attach(idev->dev, idev->obj.id, *pt_id, rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, IOMMUFD);

/**
 * iommufd_device_replace - move a device to another address space
 * @idev: an attached device
 * @pt_id: in: id of an IOAS or of a hwpt; out: id of the hwpt
 *
 * Takes the whole group along. The device is never without the old or the new
 * table, if the IOMMU driver can do that.
 *
 * Return: 0, or an error of iommufd_device_attach() with nothing changed;
 * -EINVAL also if the device is not attached.
 */
int iommufd_device_replace(struct iommufd_device *idev, u32 *pt_id)
{
	int rc = change_pt(idev, pt_id, true);

	trace_iommufd_replace(idev->dev, idev->obj.id, *pt_id, rc);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, IOMMUFD);

/**
 * iommufd_device_detach - disconnect a device from its address space
 * @idev: an attached device
 *
 * With the last device of the group, DMA of the group is blocked.
 */
void iommufd_device_detach(struct iommufd_device *idev)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_hwpt *hwpt;

	scoped_guard(mutex, &igroup->lock) {
		hwpt = igroup->hwpt;
		if (WARN_ON(!idev->attached))
			return;
		list_del(&idev->entry);
		idev->attached = false;
		if (list_empty(&igroup->devices)) {
			iommu_detach_group_handle(hwpt->item.domain,
						  igroup->group);
			igroup->hwpt = NULL;
		}
		unreserve_device(hwpt, idev->dev);
	}
	trace_iommufd_detach(idev->dev, idev->obj.id, hwpt->obj.id, 0);
	release_hwpt(idev->ictx, hwpt);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, IOMMUFD);

static bool device_may_use_ats(struct device *dev)
{
	return dev_is_pci(dev) && pci_ats_supported(to_pci_dev(dev));
}

int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	void __user *user_ptr = u64_to_user_ptr(cmd->data_uptr);
	u32 type = IOMMU_HW_INFO_TYPE_NONE;
	const struct iommu_ops *ops;
	struct iommufd_object *obj;
	void *data = NULL;
	u32 data_len = 0;
	u32 copy_len;
	int rc = 0;

	if ((cmd->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE) ||
	    cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;

	obj = iommufd_object_get(ucmd->ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);

	ops = dev_iommu_ops(to_idev(obj)->dev);
	if (ops->hw_info) {
		data = ops->hw_info(to_idev(obj)->dev, &data_len, &type);
		if (IS_ERR(data)) {
			rc = PTR_ERR(data);
			goto out_put;
		}
	}
	if ((cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE) &&
	    cmd->in_data_type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    cmd->in_data_type != type) {
		rc = -EOPNOTSUPP;
		goto out_free;
	}

	copy_len = min(cmd->data_len, data_len);
	if (copy_to_user(user_ptr, data, copy_len) ||
	    clear_user(user_ptr + copy_len, cmd->data_len - copy_len)) {
		rc = -EFAULT;
		goto out_free;
	}

	cmd->data_len = data_len;
	cmd->out_data_type = type;
	cmd->out_max_pasid_log2 = 0;
	cmd->out_capabilities = 0;
	if (iommufd_dirty_tracking_supported(to_idev(obj)))
		cmd->out_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (!device_may_use_ats(to_idev(obj)->dev))
		cmd->out_capabilities |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
out_free:
	kfree(data);
out_put:
	iommufd_object_put(ucmd->ictx, obj);
	return rc;
}

static bool attached_to(struct iommufd_device *idev,
			const struct iommufd_ioas *ioas)
{
	struct iommufd_group *igroup = idev->igroup;
	bool attached;

	/* An attach holds it as long as pinning takes. */
	if (mutex_lock_killable(&igroup->lock))
		return false;
	attached = idev->attached && igroup->hwpt->ioas == ioas;
	mutex_unlock(&igroup->lock);
	return attached;
}

/**
 * iommufd_ioas_show_devices - print the devices of an address space as an fdinfo
 *                             line
 * @ictx: whose
 * @ioas: the address space
 * @m: where to print
 */
void iommufd_ioas_show_devices(struct iommufd_ctx *ictx,
			       struct iommufd_ioas *ioas, struct seq_file *m)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool any = false;

	/* An attached device holds a table; and what overflows is shown again. */
	if (list_empty(&ioas->hwpts) || seq_has_overflowed(m))
		return;
	xa_for_each(&ictx->objects, id, obj) {
		if (fatal_signal_pending(current))
			break;
		/* An unbind waits for us, and so the name stays. */
		obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_DEVICE);
		if (IS_ERR(obj))
			continue;
		if (attached_to(to_idev(obj), ioas)) {
			if (!any)
				seq_printf(m, "ioas-%u-devices:\t", ioas->obj.id);
			else
				seq_putc(m, ' ');
			seq_puts(m, dev_name(to_idev(obj)->dev));
			any = true;
		}
		iommufd_object_put(ictx, obj);
	}
	if (any)
		seq_putc(m, '\n');
}
