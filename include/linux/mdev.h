/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices: software devices that a parent's driver makes on request.
 *
 * Names, signatures and the order of members are those of mainline 6.12.
 */
#ifndef MDEV_H
#define MDEV_H

#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/rwsem.h>
#include <linux/uuid.h>

struct mdev_driver;
struct mdev_parent;
struct mdev_type;

/**
 * struct mdev_device - one mediated device
 * @dev: on the mdev bus, below its parent; named by @uuid
 * @uuid: unique among all mediated devices of the machine
 * @next: member of the list of all mediated devices, owned by its lock
 * @type: what it is an instance of. Constant; holds a reference
 * @active: nobody removes it yet; owned by the lock of that list
 */
struct mdev_device {
	struct device dev;
	guid_t uuid;
	struct list_head next;
	struct mdev_type *type;
	bool active;
};

/**
 * struct mdev_type - one kind of device that a parent offers
 * @sysfs_name: last part of the directory's name, set by the driver
 * @pretty_name: name for people, or NULL; set by the driver
 * @parent: who offers it, set by the core
 */
struct mdev_type {
	const char *sysfs_name;
	const char *pretty_name;

	struct mdev_parent *parent;

	/* private: the type's directory, and "devices" in it */
	struct kobject kobj;
	struct kobject *devices_kobj;
};

/**
 * struct mdev_parent - what a device that offers types embeds
 */
struct mdev_parent {
	/* private: set up by mdev_register_parent() */
	struct device *dev;
	struct mdev_driver *mdev_driver;
	struct kset *mdev_types_kset;
	/* Write: the parent goes away; read: a device is made or removed */
	struct rw_semaphore unreg_sem;
	struct mdev_type **types;
	unsigned int nr_types;
	/* Left of mdev_driver.max_instances, if that is set */
	atomic_t available_instances;
};

static inline struct mdev_device *to_mdev_device(struct device *dev)
{
	return container_of(dev, struct mdev_device, dev);
}

/**
 * struct mdev_driver - driver of mediated devices
 * @device_api: contents of the types' device_api attribute
 * @max_instances: most devices at a time per parent, all types together; 0 if
 *                 only @get_available knows
 * @probe: a device was made
 * @remove: a device is going away
 * @get_available: devices of this type that could still be made; optional
 * @show_description: prints the types' description attribute; optional
 * @driver: the driver model's part
 */
struct mdev_driver {
	const char *device_api;
	unsigned int max_instances;
	int (*probe)(struct mdev_device *dev);
	void (*remove)(struct mdev_device *dev);
	unsigned int (*get_available)(struct mdev_type *mtype);
	ssize_t (*show_description)(struct mdev_type *mtype, char *buf);
	struct device_driver driver;
};

int mdev_register_parent(struct mdev_parent *parent, struct device *dev,
			 struct mdev_driver *mdev_driver,
			 struct mdev_type **types, unsigned int nr_types);
void mdev_unregister_parent(struct mdev_parent *parent);

int mdev_register_driver(struct mdev_driver *drv);
void mdev_unregister_driver(struct mdev_driver *drv);

static inline struct device *mdev_dev(struct mdev_device *mdev)
{
	return &mdev->dev;
}

#endif /* MDEV_H */
