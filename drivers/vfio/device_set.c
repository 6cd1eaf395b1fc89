// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets of devices that can only be reset together.
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "vfio.h"

/* Owns the map of all sets and the number of members of each */
static DEFINE_MUTEX(vfio_device_sets_lock);
static DEFINE_XARRAY(vfio_device_sets);

/* Find the set or make it; the caller's membership is counted already */
static struct vfio_device_set *vfio_device_set_get(void *set_id)
{
	struct vfio_device_set *dev_set;
	int ret;

	lockdep_assert_held(&vfio_device_sets_lock);

	dev_set = xa_load(&vfio_device_sets, (unsigned long)set_id);
	if (dev_set) {
		dev_set->device_count++;
		return dev_set;
	}

	dev_set = kzalloc(sizeof(*dev_set), GFP_KERNEL);
	if (!dev_set)
		return ERR_PTR(-ENOMEM);
	mutex_init(&dev_set->lock);
	INIT_LIST_HEAD(&dev_set->device_list);
	dev_set->set_id = set_id;
	dev_set->device_count = 1;

	ret = xa_err(xa_store(&vfio_device_sets, (unsigned long)set_id, dev_set,
			      GFP_KERNEL));
	if (ret) {
		mutex_destroy(&dev_set->lock);
		kfree(dev_set);
		return ERR_PTR(ret);
	}
	return dev_set;
}

/**
 * vfio_assign_device_set - put a device into a set
 * @device: a device that is not registered yet and in no set
 * @set_id: address of what the members have in common
 *
 * A driver that resets several devices at once calls this in its
 * &vfio_device_ops.init or before registering. The device leaves the set when
 * its memory is released. Devices without a call get a set for themselves.
 *
 * Return: 0; -EINVAL without a @set_id; -ENOMEM.
 */
int vfio_assign_device_set(struct vfio_device *device, void *set_id)
{
	struct vfio_device_set *dev_set;

	if (WARN_ON(!set_id || device->dev_set))
		return -EINVAL;

	mutex_lock(&vfio_device_sets_lock);
	dev_set = vfio_device_set_get(set_id);
	mutex_unlock(&vfio_device_sets_lock);
	if (IS_ERR(dev_set))
		return PTR_ERR(dev_set);

	mutex_lock(&dev_set->lock);
	device->dev_set = dev_set;
	list_add_tail(&device->dev_set_list, &dev_set->device_list);
	mutex_unlock(&dev_set->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_assign_device_set);

/**
 * vfio_device_set_retract - let a device be found in its set no more
 * @device: a device that was registered, and keeps the set and its lock
 */
void vfio_device_set_retract(struct vfio_device *device)
{
	mutex_lock(&device->dev_set->lock);
	list_del_init(&device->dev_set_list);
	mutex_unlock(&device->dev_set->lock);
}

/**
 * vfio_release_device_set - undo vfio_assign_device_set()
 * @device: a device that nobody uses any more, in a set or not
 */
void vfio_release_device_set(struct vfio_device *device)
{
	struct vfio_device_set *dev_set = device->dev_set;

	if (!dev_set)
		return;

	mutex_lock(&dev_set->lock);
	list_del(&device->dev_set_list);
	mutex_unlock(&dev_set->lock);
	device->dev_set = NULL;

	mutex_lock(&vfio_device_sets_lock);
	if (!--dev_set->device_count) {
		xa_erase(&vfio_device_sets, (unsigned long)dev_set->set_id);
		mutex_destroy(&dev_set->lock);
		kfree(dev_set);
	}
	mutex_unlock(&vfio_device_sets_lock);
}

/**
 * vfio_device_set_open_count - how often are the devices of a set open?
 * @dev_set: the set, with its lock held
 *
 * Return: the sum of the members' open files.
 */
unsigned int vfio_device_set_open_count(struct vfio_device_set *dev_set)
{
	struct vfio_device *device;
	unsigned int open_count = 0;

	lockdep_assert_held(&dev_set->lock);

	list_for_each_entry(device, &dev_set->device_list, dev_set_list)
		open_count += device->open_count;
	return open_count;
}
EXPORT_SYMBOL_GPL(vfio_device_set_open_count);

/**
 * vfio_find_device_in_devset - look for a device in a set
 * @dev_set: the set, with its lock held
 * @dev: the device
 *
 * Return: the vfio_device of @dev, which stays in memory while the lock is held,
 * or NULL if it is not a member.
 */
struct vfio_device *
vfio_find_device_in_devset(struct vfio_device_set *dev_set,
			   struct device *dev)
{
	struct vfio_device *device;

	lockdep_assert_held(&dev_set->lock);

	list_for_each_entry(device, &dev_set->device_list, dev_set_list)
		if (device->dev == dev)
			return device;
	return NULL;
}
EXPORT_SYMBOL_GPL(vfio_find_device_in_devset);
