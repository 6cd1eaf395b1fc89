// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual devices: what the guest's IOMMU calls a device.
 *
 * A device has one at most, of whatever virtual IOMMU. Neither holds the other:
 * the one that goes first ends the pair. If it is the device, the id of the
 * virtual device becomes a tombstone, so that the user, who has not asked for
 * that, does not mistake another object for it.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "trace.h"
#include "vdevice.h"
#include "viommu.h"

static struct iommufd_vdevice *to_vdevice(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_vdevice, obj);
}

/*
 * End the pair of a virtual device and its device, if there is one. All that
 * remains of the virtual device is its object.
 */
static void iommufd_vdevice_part(struct iommufd_vdevice *vdev)
{
	lockdep_assert_held(&vdev->igroup->lock);

	if (!vdev->idev)
		return;
	if (vdev->destroy)
		vdev->destroy(vdev);
	/* From here on the virtual id is free */
	xa_erase(&vdev->viommu->vdevs, vdev->virt_id);
	vdev->idev->vdev = NULL;
	iommufd_object_release(&vdev->viommu->obj);
	vdev->viommu = NULL;
	/* Last, because a destroy looks at it without the lock */
	smp_store_release(&vdev->idev, NULL);
}

/* The lock may have to be waited for as long as an attach pins memory */
static int iommufd_vdevice_empty(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = to_vdevice(obj);

	if (mutex_lock_killable(&vdev->igroup->lock))
		return -EINTR;
	iommufd_vdevice_part(vdev);
	mutex_unlock(&vdev->igroup->lock);
	return 0;
}

static void iommufd_vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = to_vdevice(obj);

	/* Else it has been emptied, or its device was unplugged; see the end of that */
	if (smp_load_acquire(&vdev->idev)) {
		mutex_lock(&vdev->igroup->lock);
		iommufd_vdevice_part(vdev);
		mutex_unlock(&vdev->igroup->lock);
	}
	iommufd_group_put(vdev->igroup);
}

static void iommufd_vdevice_show(struct iommufd_object *obj, struct seq_file *m)
{
	struct iommufd_vdevice *vdev = to_vdevice(obj);

	/* An attach holds it as long as pinning takes */
	if (mutex_lock_killable(&vdev->igroup->lock))
		return;
	if (vdev->idev)
		seq_printf(m, " viommu=%u device=%u virt_id=0x%llx",
			   vdev->viommu->obj.id, vdev->idev->obj.id,
			   vdev->virt_id);
	mutex_unlock(&vdev->igroup->lock);
}

static const struct iommufd_object_ops iommufd_vdevice_object_ops = {
	.type = IOMMUFD_OBJ_VDEVICE,
	.name = "vdevice",
	.empty = iommufd_vdevice_empty,
	.destroy = iommufd_vdevice_destroy,
	.show = iommufd_vdevice_show,
};

/**
 * iommufd_vdevice_unplug - destroy the virtual device of a device that goes
 * @idev: the device; no call uses it any more
 *
 * Its id becomes a tombstone, unless the user is just destroying it.
 */
void iommufd_vdevice_unplug(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_vdevice *vdev;
	bool claimed;

	scoped_guard(mutex, &idev->igroup->lock) {
		/* A destroy that has begun needs the lock before it frees */
		vdev = idev->vdev;
		claimed = vdev && iommufd_object_claim(ictx, &vdev->obj);
		if (vdev)
			iommufd_vdevice_part(vdev);
	}
	if (claimed)
		iommufd_object_bury(ictx, &vdev->obj);
}

/* Make a pair of a virtual device and its device */
static int iommufd_vdevice_pair(struct iommufd_vdevice *vdev,
				struct iommufd_viommu *viommu,
				struct iommufd_device *idev, u64 virt_id)
{
	struct refusal *refusal = &idev->ictx->refusal;
	int rc;

	lockdep_assert_held(&vdev->igroup->lock);

	if (idev->vdev)
		return refuse(refusal, -EEXIST,
			      "vdevice: device %u has vdevice %u in viommu %u",
			      idev->obj.id, idev->vdev->obj.id,
			      idev->vdev->viommu->obj.id);
	/* Reserved, so that nobody finds one that is not complete */
	rc = xa_insert(&viommu->vdevs, virt_id, XA_ZERO_ENTRY,
		       GFP_KERNEL_ACCOUNT);
	if (rc == -EBUSY)
		return refuse(refusal, -EEXIST,
			      "vdevice: viommu %u has a device 0x%llx",
			      viommu->obj.id, virt_id);
	if (rc)
		return rc;
	rc = iommufd_object_hold(&viommu->obj);
	if (rc)
		goto err_erase;

	vdev->viommu = viommu;
	vdev->virt_id = virt_id;
	vdev->idev = idev;
	if (viommu->ops->vdevice_init) {
		rc = viommu->ops->vdevice_init(vdev);
		if (rc)
			goto err_release;
	}
	/* There is room since it was reserved */
	xa_store(&viommu->vdevs, virt_id, vdev, GFP_KERNEL_ACCOUNT);
	idev->vdev = vdev;
	return 0;

err_release:
	vdev->idev = NULL;
	vdev->viommu = NULL;
	iommufd_object_release(&viommu->obj);
err_erase:
	xa_erase(&viommu->vdevs, virt_id);
	return rc;
}

/**
 * iommufd_vdevice_alloc - make a virtual device
 * @viommu: the virtual IOMMU that it is behind
 * @idev: its device; both are in use
 * @virt_id: what the guest calls it
 *
 * Return: the virtual device, to be finalized, or aborted and destroyed; or an
 * ERR_PTR: -EINVAL if the device is behind another IOMMU, -EEXIST if it has a
 * virtual device or the guest has another one of that name, -EINTR if the caller
 * was killed, or an error of the driver.
 */
struct iommufd_vdevice *
iommufd_vdevice_alloc(struct iommufd_viommu *viommu,
		      struct iommufd_device *idev, u64 virt_id)
{
	size_t size = viommu->ops->vdevice_size ?:
		      sizeof(struct iommufd_vdevice);
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_vdevice *vdev;
	struct iommufd_object *obj;
	int rc;

	if (!iopt_has_iommu(idev->dev) ||
	    viommu->iommu_dev != __iommu_get_iommu_dev(idev->dev))
		return ERR_PTR(refuse(&ictx->refusal, -EINVAL,
				      "vdevice: %s is not behind the IOMMU of viommu %u",
				      dev_name(idev->dev), viommu->obj.id));
	if (virt_id > ULONG_MAX)
		return ERR_PTR(-EINVAL);
	if (WARN_ON_ONCE(size < sizeof(*vdev)))
		return ERR_PTR(-EOPNOTSUPP);

	obj = __iommufd_object_alloc(ictx, size, &iommufd_vdevice_object_ops);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	vdev = to_vdevice(obj);
	kref_get(&idev->igroup->kref);
	vdev->igroup = idev->igroup;

	rc = mutex_lock_killable(&vdev->igroup->lock);
	if (!rc) {
		rc = iommufd_vdevice_pair(vdev, viommu, idev, virt_id);
		mutex_unlock(&vdev->igroup->lock);
	}
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, obj);
		return ERR_PTR(rc);
	}
	return vdev;
}

int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_object *dev_obj;
	struct iommufd_viommu *viommu;
	struct iommufd_vdevice *vdev;
	u32 id = 0;
	int rc;

	viommu = iommufd_get_viommu(ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	/* An unplug waits until this call has ended, and finds the pair then */
	dev_obj = iommufd_object_get(ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj)) {
		rc = PTR_ERR(dev_obj);
		goto out_put_viommu;
	}

	vdev = iommufd_vdevice_alloc(viommu, to_idev(dev_obj), cmd->virt_id);
	if (IS_ERR(vdev)) {
		rc = PTR_ERR(vdev);
		goto out_put_dev;
	}
	cmd->out_vdevice_id = vdev->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort_and_destroy(ictx, &vdev->obj);
	} else {
		id = vdev->obj.id;
		iommufd_object_finalize(ictx, &vdev->obj);
	}
out_put_dev:
	trace_iommufd_vdevice_alloc(to_idev(dev_obj)->dev, id, cmd->viommu_id,
				    cmd->virt_id, rc);
	iommufd_object_put(ictx, dev_obj);
out_put_viommu:
	iommufd_object_put(ictx, &viommu->obj);
	return rc;
}
