// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening and closing of devices, for their files of either interface.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "trace.h"
#include "vfio.h"

/**
 * vfio_df_alloc - allocate what a file of a device needs
 * @device: a device whose registration is held; passes to the result, which is
 *          freed by closing the file
 *
 * Return: the structure or NULL.
 */
struct vfio_device_file *vfio_df_alloc(struct vfio_device *device)
{
	struct vfio_device_file *df;

	df = kzalloc(sizeof(*df), GFP_KERNEL_ACCOUNT);
	if (!df)
		return NULL;
	df->device = device;
	spin_lock_init(&df->kvm_lock);
	return df;
}

/*
 * Undo what bind_iommufd() did, and the attachment. Both wait for what else the
 * user does to its iommufd, so the lock of the set is dropped around it. Until
 * @iommufd_bound is cleared, nobody opens the device.
 */
static void vfio_device_unbind(struct vfio_device *device)
{
	struct vfio_device_set *dev_set = device->dev_set;

	lockdep_assert_held(&dev_set->lock);

	if (!device->iommufd_bound)
		return;
	mutex_unlock(&dev_set->lock);
	scoped_guard(mutex, &device->attach_lock)
		device->ops->unbind_iommufd(device);
	mutex_lock(&dev_set->lock);
	device->iommufd_bound = false;
}

static int vfio_device_first_open(struct vfio_device *device,
				  struct iommufd_ctx *ictx)
{
	int ret;

	if (!try_module_get(device->dev->driver->owner))
		return -ENODEV;

	if (ictx) {
		ret = device->ops->bind_iommufd(device, ictx,
						&device->iommufd_devid);
		trace_vfio_device_bind(device, device->iommufd_devid, ret);
		if (ret)
			goto err_put_module;
		device->iommufd_bound = true;
	}

	if (device->ops->open_device) {
		ret = device->ops->open_device(device);
		if (ret)
			goto err_unbind;
	}
	return 0;

err_unbind:
	vfio_device_unbind(device);
err_put_module:
	module_put(device->dev->driver->owner);
	return ret;
}

/**
 * vfio_df_open - open the device for a file
 * @df: the file, not open yet
 * @ictx: iommufd to bind the device to, unless an earlier file has done so;
 *        NULL to bind it to none
 *
 * &vfio_device_set.lock is held; where open_device() fails, it is dropped while
 * the device is unbound. On success, the caller either makes the file usable or
 * calls vfio_df_close().
 *
 * Return: 0; -ENODEV if the driver is being unloaded; else what the driver's
 * bind_iommufd() and open_device() return.
 */
int vfio_df_open(struct vfio_device_file *df, struct iommufd_ctx *ictx)
{
	struct vfio_device *device = df->device;
	int ret;

	lockdep_assert_held(&device->dev_set->lock);

	vfio_device_note_opener(device);
	/* Drivers look at the count in open_device() */
	if (++device->open_count == 1) {
		device->precopy_info_v2 = 0;
		ret = vfio_device_first_open(device, ictx);
		if (ret) {
			device->open_count--;
			return ret;
		}
	}
	trace_vfio_device_open(device, !df->group, device->open_count);
	return 0;
}

/**
 * vfio_df_close - undo vfio_df_open()
 * @df: the file
 *
 * &vfio_device_set.lock is held; it is dropped while a device is unbound that
 * was closed for the last time. By then the device counts as closed, but cannot
 * be opened yet.
 */
void vfio_df_close(struct vfio_device_file *df)
{
	struct vfio_device *device = df->device;
	bool last = device->open_count == 1;

	lockdep_assert_held(&device->dev_set->lock);

	/* It stops before it loses its memory */
	if (last && device->ops->close_device)
		device->ops->close_device(device);
	device->open_count--;
	trace_vfio_device_close(device, !df->group, device->open_count);
	if (last) {
		vfio_device_unbind(device);
		module_put(device->dev->driver->owner);
	}
}
