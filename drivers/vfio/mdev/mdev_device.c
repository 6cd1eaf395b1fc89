// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of mediated devices.
 */
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "mdev_private.h"

/* Owns the list of all mediated devices, and whether each is active */
static DEFINE_MUTEX(mdev_list_lock);
static LIST_HEAD(mdev_list);

static struct mdev_device *mdev_find(const guid_t *uuid)
{
	struct mdev_device *mdev;

	lockdep_assert_held(&mdev_list_lock);

	list_for_each_entry(mdev, &mdev_list, next)
		if (guid_equal(&mdev->uuid, uuid))
			return mdev;
	return NULL;
}

/*
 * The UUID is taken until the last reference is gone: the driver core knows the
 * device by that name. Nothing of the parent is touched here, which may be gone.
 */
static void mdev_device_release(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);

	mutex_lock(&mdev_list_lock);
	list_del(&mdev->next);
	mutex_unlock(&mdev_list_lock);
	kfree(mdev);
}

static bool mdev_take_instance(struct mdev_parent *parent)
{
	/* Drivers with get_available() count by themselves */
	if (parent->mdev_driver->get_available)
		return true;
	return atomic_dec_if_positive(&parent->available_instances) >= 0;
}

static void mdev_return_instance(struct mdev_parent *parent)
{
	if (!parent->mdev_driver->get_available)
		atomic_inc(&parent->available_instances);
}

/* Returns a device that only mdev_list and the caller know */
static struct mdev_device *mdev_device_alloc(struct mdev_type *type,
					     const guid_t *uuid)
{
	struct mdev_device *mdev;
	int ret = 0;

	mdev = kzalloc(sizeof(*mdev), GFP_KERNEL);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	guid_copy(&mdev->uuid, uuid);
	mdev->type = type;
	mdev->active = true;

	mutex_lock(&mdev_list_lock);
	if (mdev_find(uuid))
		ret = -EEXIST;
	else
		list_add(&mdev->next, &mdev_list);
	mutex_unlock(&mdev_list_lock);
	if (ret) {
		kfree(mdev);
		return ERR_PTR(ret);
	}

	device_initialize(&mdev->dev);
	mdev->dev.parent = type->parent->dev;
	mdev->dev.bus = &mdev_bus_type;
	mdev->dev.release = mdev_device_release;
	ret = dev_set_name(&mdev->dev, "%pUl", uuid);
	if (ret) {
		put_device(&mdev->dev);
		return ERR_PTR(ret);
	}
	return mdev;
}

static int mdev_device_remove(struct mdev_device *mdev);

static ssize_t remove_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	unsigned long val;
	int ret;

	ret = kstrtoul(buf, 0, &val);
	if (ret)
		return -EINVAL;
	if (!val)
		return count;
	/* Whoever unregisters the parent does not wait for a file that is gone */
	get_device(dev);
	/* False for all but one who try at the same time */
	if (device_remove_file_self(dev, attr))
		ret = mdev_device_remove(to_mdev_device(dev));
	put_device(dev);
	return ret ? ret : count;
}
static DEVICE_ATTR_WO(remove);

static struct attribute *mdev_device_attrs[] = {
	&dev_attr_remove.attr,
	NULL,
};

static const struct attribute_group mdev_device_group = {
	.attrs = mdev_device_attrs,
};

/* Link a device and its type, and let it be removed; all of it or nothing */
static int mdev_device_add_files(struct mdev_device *mdev)
{
	struct mdev_type *type = mdev->type;
	int ret;

	ret = sysfs_create_link(type->devices_kobj, &mdev->dev.kobj,
				dev_name(&mdev->dev));
	if (ret)
		return ret;
	ret = sysfs_create_link(&mdev->dev.kobj, &type->kobj, "mdev_type");
	if (ret)
		goto err_unlink_device;
	ret = device_add_group(&mdev->dev, &mdev_device_group);
	if (ret)
		goto err_unlink_type;
	return 0;

err_unlink_type:
	sysfs_remove_link(&mdev->dev.kobj, "mdev_type");
err_unlink_device:
	sysfs_remove_link(type->devices_kobj, dev_name(&mdev->dev));
	return ret;
}

static void mdev_device_del_files(struct mdev_device *mdev)
{
	device_remove_group(&mdev->dev, &mdev_device_group);
	sysfs_remove_link(&mdev->dev.kobj, "mdev_type");
	sysfs_remove_link(mdev->type->devices_kobj, dev_name(&mdev->dev));
}

/* The device, its driver and what sysfs shows of it, or nothing */
static int mdev_device_add(struct mdev_device *mdev)
{
	int ret;

	ret = device_add(&mdev->dev);
	if (ret)
		return ret;

	ret = device_driver_attach(&mdev->type->parent->mdev_driver->driver,
				   &mdev->dev);
	if (ret)
		goto err_del;

	ret = mdev_device_add_files(mdev);
	if (ret)
		goto err_del;
	return 0;

err_del:
	device_del(&mdev->dev);
	return ret;
}

/**
 * mdev_device_create - make a mediated device
 * @type: what it is an instance of
 * @uuid: its name
 *
 * Return: 0; -ENODEV if the parent is going away; -EUSERS if no instance is
 * left; -EEXIST if there is a device of that name; -ENOMEM; else what the
 * driver's probe() returns.
 */
int mdev_device_create(struct mdev_type *type, const guid_t *uuid)
{
	struct mdev_parent *parent = type->parent;
	struct mdev_device *mdev;
	int ret;

	/* Unregistering waits for the attribute through which we come */
	if (!down_read_trylock(&parent->unreg_sem))
		return -ENODEV;

	if (!mdev_take_instance(parent)) {
		ret = -EUSERS;
		goto out_unlock;
	}

	mdev = mdev_device_alloc(type, uuid);
	if (IS_ERR(mdev)) {
		ret = PTR_ERR(mdev);
		goto err_return_instance;
	}

	ret = mdev_device_add(mdev);
	if (ret)
		goto err_put;
	up_read(&parent->unreg_sem);
	return 0;

err_put:
	put_device(&mdev->dev);
err_return_instance:
	mdev_return_instance(parent);
out_unlock:
	up_read(&parent->unreg_sem);
	return ret;
}

/* With unreg_sem held, by the task that cleared active or that removes all */
static void mdev_device_del(struct mdev_device *mdev)
{
	struct mdev_parent *parent = mdev->type->parent;

	lockdep_assert_held(&parent->unreg_sem);

	mdev_device_del_files(mdev);
	/* Waits for the user, if the driver is a VFIO driver */
	device_del(&mdev->dev);
	mdev_return_instance(parent);
	put_device(&mdev->dev);
}

/*
 * Undo mdev_device_create(). Returns 0; -EAGAIN if the device is being removed
 * already; -ENODEV if the parent is going away and takes the device with it.
 */
static int mdev_device_remove(struct mdev_device *mdev)
{
	struct mdev_parent *parent;

	scoped_guard(mutex, &mdev_list_lock) {
		if (!mdev->active)
			return -EAGAIN;
		/* It is there as long as the device is active */
		parent = mdev->type->parent;
		if (!down_read_trylock(&parent->unreg_sem))
			return -ENODEV;
		mdev->active = false;
	}
	mdev_device_del(mdev);
	up_read(&parent->unreg_sem);
	return 0;
}

/**
 * mdev_device_del_cb - remove a mediated device whose parent goes away
 * @dev: a child of the parent, mediated or not
 * @data: not used
 *
 * For device_for_each_child(), with unreg_sem of the parent held.
 *
 * Return: 0.
 */
int mdev_device_del_cb(struct device *dev, void *data)
{
	struct mdev_device *mdev;

	if (dev->bus != &mdev_bus_type)
		return 0;
	mdev = to_mdev_device(dev);
	scoped_guard(mutex, &mdev_list_lock)
		mdev->active = false;
	mdev_device_del(mdev);
	return 0;
}
