// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: bind, attach, replace, detach; and their groups, because the IOMMU
 * isolates groups, not devices.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "attachment.h"
#include "fault.h"
#include "iommufd_private.h"
#include "mock/hooks.h"
#include "vdevice.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Accept devices whose interrupts the platform does not isolate: a malicious user can then inject interrupts into the host (default: no)");

/* Nothing can be reported of it any more, also if it never was attached itself */
static void iommufd_device_forget_faults(struct iommufd_device *idev)
{
	struct iommufd_attachment *attachment =
		iommufd_attachment_get(idev->igroup, IOMMU_NO_PASID);

	iommufd_group_remove_device(idev->igroup, idev);
	if (attachment)
		iommufd_fault_forget(attachment, idev->dev);
}

static void iommufd_device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = to_idev(obj);

	iommufd_vdevice_unplug(idev);
	/* Whoever bound it has to do that */
	WARN_ON(iommufd_pasid_detach_all(idev));
	scoped_guard(mutex, &idev->igroup->lock)
		iommufd_device_forget_faults(idev);
	/* The group must not count as the context's once its DMA is released */
	scoped_guard(mutex, &idev->ictx->groups_lock)
		idev->igroup->owners--;
	if (!idev->igroup->noiommu)
		iommu_device_release_dma_owner(idev->dev);
	iommufd_group_put(idev->igroup);
	if (!iommufd_selftest_is_mock_dev(idev->dev))
		iommufd_ctx_put(idev->ictx);
}

static void iommufd_device_show(struct iommufd_object *obj, struct seq_file *m)
{
	seq_printf(m, " %s", dev_name(to_idev(obj)->dev));
}

/* Is that one of the device's, with a PASID or without? */
static bool iommufd_device_has(struct iommufd_device *idev,
			       const struct iommufd_attachment *attachment)
{
	return attachment->pasid == IOMMU_NO_PASID ? idev->attached :
						     attachment->idev == idev;
}

static void iommufd_device_show_hwpts(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj,
				      struct seq_file *m)
{
	struct iommufd_device *idev = to_idev(obj);
	const struct iommufd_attachment *attachment;
	unsigned long pasid;
	bool any = false;

	/* An attach holds it as long as pinning takes */
	if (mutex_lock_killable(&idev->igroup->lock))
		return;
	xa_for_each(&idev->igroup->attachments, pasid, attachment) {
		if (!iommufd_device_has(idev, attachment))
			continue;
		if (!any)
			seq_printf(m, "device-%u-hwpts:\t", obj->id);
		else
			seq_putc(m, ' ');
		any = true;
		if (pasid != IOMMU_NO_PASID)
			seq_printf(m, "pasid-%lu=", pasid);
		seq_printf(m, "%u", attachment->hwpt->obj.id);
		if (seq_has_overflowed(m) || fatal_signal_pending(current))
			break;
		cond_resched();
	}
	mutex_unlock(&idev->igroup->lock);
	if (any)
		seq_putc(m, '\n');
}

static const char *iommufd_device_on(struct iommufd_object *obj,
				     const struct iommufd_object *other)
{
	struct iommufd_device *idev = to_idev(obj);
	const struct iommufd_attachment *attachment;
	unsigned long pasid;
	bool on = false;

	if (mutex_lock_killable(&idev->igroup->lock))
		return NULL;
	xa_for_each(&idev->igroup->attachments, pasid, attachment) {
		on = iommufd_device_has(idev, attachment) &&
		     &attachment->hwpt->paging->ioas->obj == other;
		if (on || fatal_signal_pending(current))
			break;
		cond_resched();
	}
	mutex_unlock(&idev->igroup->lock);
	return on ? dev_name(idev->dev) : NULL;
}

const struct iommufd_object_ops iommufd_device_object_ops = {
	.type = IOMMUFD_OBJ_DEVICE,
	.name = "device",
	.destroy = iommufd_device_destroy,
	.show = iommufd_device_show,
	.show_more = iommufd_device_show_hwpts,
	.device_on = iommufd_device_on,
};

static bool iommufd_isolates_interrupts(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool isolated;

	/* A member of a container's group may be on its way out */
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
	if (!allow_unsafe_interrupts && !iommufd_isolates_interrupts(dev))
		return -EPERM;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_isolation, "IOMMUFD");

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
	if (allow_unsafe_interrupts && !iommufd_isolates_interrupts(dev))
		dev_warn_once(dev,
			      "bound without interrupt isolation, as allow_unsafe_interrupts asks\n");
	return 0;
}

static struct iommufd_device *
iommufd_device_create(struct iommufd_group *igroup, struct device *dev, u32 *id)
{
	struct iommufd_ctx *ictx = igroup->ictx;
	struct iommufd_device *idev;

	idev = iommufd_object_alloc(ictx, iommufd_device,
				    &iommufd_device_object_ops);
	if (IS_ERR(idev))
		return idev;
	idev->ictx = ictx;
	if (!iommufd_selftest_is_mock_dev(dev))
		iommufd_ctx_get(ictx);
	idev->dev = dev;
	idev->igroup = igroup;
	idev->enforce_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	scoped_guard(mutex, &ictx->groups_lock)
		igroup->owners++;
	iommufd_group_add_device(igroup, idev);
	/* The caller's, so that only unbind can destroy the object */
	iommufd_object_hold(&idev->obj);
	*id = idev->obj.id;
	iommufd_object_finalize(ictx, &idev->obj);
	return idev;
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
 * the group is in use by a host driver or by another owner, or -ENOMEM.
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
	if (igroup->noiommu) {
		rc = refuse(&ictx->refusal, -ENODEV,
			    "bind: %s is not behind an IOMMU", dev_name(dev));
		goto err_group;
	}

	rc = iommufd_check_isolation(ictx, dev);
	if (rc)
		goto err_group;

	rc = iommu_device_claim_dma_owner(dev, ictx);
	if (rc) {
		iommufd_refuse_owner(ictx, igroup->group, "bind", rc);
		goto err_group;
	}

	idev = iommufd_device_create(igroup, dev, id);
	if (IS_ERR(idev)) {
		rc = PTR_ERR(idev);
		goto err_owner;
	}
	return idev;

err_owner:
	iommu_device_release_dma_owner(dev);
err_group:
	iommufd_group_put(igroup);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, "IOMMUFD");

/**
 * iommufd_device_bind_noiommu - bind a device that no IOMMU confines
 * @ictx: the context; a reference is taken
 * @dev: a device in an iommu_group of its own, which no IOMMU driver knows. The
 *       caller sees to it that one user has it at a time, and that this user may
 *       have all of the machine
 * @id: receives the id of the device object
 *
 * What the device is attached to is pinned for it, and its user can ask for the
 * physical addresses. Nothing keeps the device from others.
 *
 * Return: the device, for iommufd_device_unbind(); or an ERR_PTR: -EOPNOTSUPP if
 * this was built without CONFIG_IOMMUFD_NOIOMMU, -EINVAL for a device that is
 * behind an IOMMU, -ENODEV without a group, or -ENOMEM.
 */
struct iommufd_device *iommufd_device_bind_noiommu(struct iommufd_ctx *ictx,
						   struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	struct iommufd_group *igroup;

	if (!IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU))
		return ERR_PTR(-EOPNOTSUPP);
	igroup = iommufd_group_get(ictx, dev);
	if (IS_ERR(igroup))
		return ERR_CAST(igroup);
	idev = igroup->noiommu ? iommufd_device_create(igroup, dev, id) :
				 ERR_PTR(-EINVAL);
	if (IS_ERR(idev))
		iommufd_group_put(igroup);
	return idev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind_noiommu, "IOMMUFD");

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
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, "IOMMUFD");

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
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, "IOMMUFD");

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
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, "IOMMUFD");

/**
 * iommufd_device_is_blocked - is all DMA of a device refused?
 * @idev: the device. The caller keeps it attached or detached, as it is; other
 *        devices of its group may come and go
 *
 * Its interrupt messages are refused as well, where the IOMMU translates these.
 *
 * Return: true if the device is behind an IOMMU, and nothing is attached to its
 * group.
 */
bool iommufd_device_is_blocked(struct iommufd_device *idev)
{
	return !idev->igroup->noiommu &&
	       !xa_load(&idev->igroup->attachments, IOMMU_NO_PASID);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_is_blocked, "IOMMUFD");

/* What struct iommu_hw_info.out_capabilities says of a device */
static u64 iommufd_device_capabilities(const struct iommufd_device *idev)
{
	struct device *dev = idev->dev;
	u64 capabilities = 0;
	int pasid;

	if (iommufd_dirty_tracking_supported(dev))
		capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (!device_iommu_capable(dev, IOMMU_CAP_PCI_ATS_SUPPORTED))
		capabilities |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	if (!dev_is_pci(dev) || !iommufd_pasid_number(idev))
		return capabilities;
	/* What the IOMMU driver has turned on, since nobody else may */
	pasid = pci_pasid_status(to_pci_dev(dev));
	if (pasid > 0 && (pasid & PCI_PASID_CTRL_EXEC))
		capabilities |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (pasid > 0 && (pasid & PCI_PASID_CTRL_PRIV))
		capabilities |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	return capabilities;
}

/* NULL without an IOMMU */
static const struct iommu_ops *
iommufd_device_iommu_ops(struct iommufd_device *idev)
{
	return idev->igroup->noiommu ? NULL : dev_iommu_ops(idev->dev);
}

int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	void __user *user_ptr = u64_to_user_ptr(cmd->data_uptr);
	enum iommu_hw_info_type type = IOMMU_HW_INFO_TYPE_DEFAULT;
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

	ops = iommufd_device_iommu_ops(to_idev(obj));
	if (ops && ops->hw_info) {
		/* Older drivers have one type and do not look at this */
		if (cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)
			type = cmd->in_data_type;
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
	if (iommufd_pasid_number(to_idev(obj)))
		cmd->out_max_pasid_log2 =
			ilog2(iommufd_pasid_number(to_idev(obj)));
	cmd->out_capabilities = iommufd_device_capabilities(to_idev(obj));
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
out_free:
	kfree(data);
out_put:
	iommufd_object_put(ucmd->ictx, obj);
	return rc;
}
