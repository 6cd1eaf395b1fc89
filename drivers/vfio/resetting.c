// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices are being reset: no page table is attached to them until that is
 * over, nor to others of their IOMMU groups. The cache of a device (ATS) does not
 * answer during a reset, so the translations in it are not known.
 */
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "vfio.h"

static DEFINE_SPINLOCK(vfio_resetting_lock);
/* Members are linked by vfio_device.resetting_entry; under the lock */
static LIST_HEAD(vfio_resetting);

/* To be compared only: a registered device keeps its group */
static struct iommu_group *vfio_iommu_group(struct vfio_device *device)
{
	struct iommu_group *group = iommu_group_get(device->dev);

	iommu_group_put(group);
	return group;
}

/**
 * vfio_device_reset_begin - a user resets a device
 * @device: the device; the caller serializes its resets
 *
 * Until vfio_device_reset_end(), the user's requests to attach the device, or
 * another one of its IOMMU group, answer -EBUSY. An attach that is under way is
 * not waited for.
 */
void vfio_device_reset_begin(struct vfio_device *device)
{
	spin_lock(&vfio_resetting_lock);
	list_add(&device->resetting_entry, &vfio_resetting);
	spin_unlock(&vfio_resetting_lock);
}
EXPORT_SYMBOL_GPL(vfio_device_reset_begin);

/**
 * vfio_device_reset_end - undo vfio_device_reset_begin()
 * @device: the device
 */
void vfio_device_reset_end(struct vfio_device *device)
{
	spin_lock(&vfio_resetting_lock);
	list_del_init(&device->resetting_entry);
	spin_unlock(&vfio_resetting_lock);
}
EXPORT_SYMBOL_GPL(vfio_device_reset_end);

/**
 * vfio_device_is_resetting - is a device, or one of its group, being reset?
 * @device: a registered device
 *
 * Return: true if so.
 */
bool vfio_device_is_resetting(struct vfio_device *device)
{
	struct iommu_group *group = vfio_iommu_group(device);
	struct vfio_device *cur;
	bool found = false;

	spin_lock(&vfio_resetting_lock);
	list_for_each_entry(cur, &vfio_resetting, resetting_entry)
		found = found || cur == device ||
			(group && vfio_iommu_group(cur) == group);
	spin_unlock(&vfio_resetting_lock);
	return found;
}
