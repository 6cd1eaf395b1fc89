// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of mediated devices and of the parents that offer them.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "mdev_private.h"

static struct class_compat *mdev_bus_compat_class;

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
 * @type: what it shall be an instance of
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

	/* Who unregisters waits for the attribute through which we come */
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

/* With unreg_sem held, by who cleared active or by who takes them all */
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

/**
 * mdev_device_remove - undo mdev_device_create()
 * @mdev: a device that stays in memory over this call
 *
 * Return: 0; -EAGAIN if it is being removed already; -ENODEV if the parent is
 * going away and takes the device with it.
 */
int mdev_device_remove(struct mdev_device *mdev)
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

static int mdev_device_del_cb(struct device *dev, void *data)
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

static void mdev_parent_uevent(struct mdev_parent *parent, char *state)
{
	char *envp[2];

	envp[0] = state;
	envp[1] = NULL;
	kobject_uevent_env(&parent->dev->kobj, KOBJ_CHANGE, envp);
}

/**
 * mdev_register_parent - offer types of mediated devices
 * @parent: to be set up; stays the driver's memory
 * @dev: the device that the mediated ones hang off
 * @mdev_driver: the driver that they will be attached to
 * @types: what is offered
 * @nr_types: number of @types
 *
 * Creates mdev_supported_types in the directory of @dev.
 *
 * Return: 0; -ENOMEM; else what sysfs returns.
 */
int mdev_register_parent(struct mdev_parent *parent, struct device *dev,
			 struct mdev_driver *mdev_driver,
			 struct mdev_type **types, unsigned int nr_types)
{
	int ret;

	memset(parent, 0, sizeof(*parent));
	init_rwsem(&parent->unreg_sem);
	parent->dev = dev;
	parent->mdev_driver = mdev_driver;
	parent->types = types;
	parent->nr_types = nr_types;
	atomic_set(&parent->available_instances, mdev_driver->max_instances);

	ret = mdev_parent_add_types(parent);
	if (ret)
		return ret;

	ret = class_compat_create_link(mdev_bus_compat_class, dev, NULL);
	if (ret)
		dev_warn(dev, "no link in the class mdev_bus (%d)\n", ret);

	mdev_parent_uevent(parent, "MDEV_STATE=registered");
	return 0;
}
EXPORT_SYMBOL(mdev_register_parent);

/**
 * mdev_unregister_parent - undo mdev_register_parent()
 * @parent: the parent
 *
 * Removes all devices that were made of its types, and waits until their users
 * have closed them.
 */
void mdev_unregister_parent(struct mdev_parent *parent)
{
	down_write(&parent->unreg_sem);
	class_compat_remove_link(mdev_bus_compat_class, parent->dev, NULL);
	device_for_each_child(parent->dev, NULL, mdev_device_del_cb);
	mdev_parent_del_types(parent);
	up_write(&parent->unreg_sem);

	mdev_parent_uevent(parent, "MDEV_STATE=unregistered");
}
EXPORT_SYMBOL(mdev_unregister_parent);

static int __init mdev_init(void)
{
	int ret;

	ret = mdev_bus_register();
	if (ret)
		return ret;

	mdev_bus_compat_class = class_compat_register("mdev_bus");
	if (!mdev_bus_compat_class) {
		mdev_bus_unregister();
		return -ENOMEM;
	}
	return 0;
}

static void __exit mdev_exit(void)
{
	class_compat_unregister(mdev_bus_compat_class);
	mdev_bus_unregister();
}

subsys_initcall(mdev_init)
module_exit(mdev_exit)

MODULE_DESCRIPTION("Mediated devices");
MODULE_VERSION("1.0.0");
MODULE_LICENSE("GPL");
