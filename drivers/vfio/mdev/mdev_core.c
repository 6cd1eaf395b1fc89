// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of parents, which offer mediated devices, and of the module.
 */
#include <linux/module.h>

#include "mdev_private.h"

static struct class_compat *mdev_bus_compat_class;

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

	ret = class_compat_create_link(mdev_bus_compat_class, dev);
	if (ret)
		dev_warn(dev, "cannot create a link in the class mdev_bus: %d\n", ret);

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
	class_compat_remove_link(mdev_bus_compat_class, parent->dev);
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
