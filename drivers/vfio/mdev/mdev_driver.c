// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mdev bus, and its drivers.
 */
#include <linux/module.h>

#include "mdev_private.h"

static struct mdev_driver *to_mdev_driver(struct device *dev)
{
	return container_of(dev->driver, struct mdev_driver, driver);
}

static int mdev_probe(struct device *dev)
{
	struct mdev_driver *drv = to_mdev_driver(dev);

	if (!drv->probe)
		return 0;
	return drv->probe(to_mdev_device(dev));
}

static void mdev_remove(struct device *dev)
{
	struct mdev_driver *drv = to_mdev_driver(dev);

	if (drv->remove)
		drv->remove(to_mdev_device(dev));
}

/* A device is attached to its parent's driver by name, never by a match */
static int mdev_match(struct device *dev, const struct device_driver *drv)
{
	return 0;
}

const struct bus_type mdev_bus_type = {
	.name = "mdev",
	.probe = mdev_probe,
	.remove = mdev_remove,
	.match = mdev_match,
};

int __init mdev_bus_register(void)
{
	return bus_register(&mdev_bus_type);
}

void mdev_bus_unregister(void)
{
	bus_unregister(&mdev_bus_type);
}

/**
 * mdev_register_driver - register a driver of mediated devices
 * @drv: the driver
 *
 * Return: 0; -EINVAL without a device_api; else what driver_register() returns.
 */
int mdev_register_driver(struct mdev_driver *drv)
{
	if (!drv->device_api)
		return -EINVAL;

	drv->driver.bus = &mdev_bus_type;
	return driver_register(&drv->driver);
}
EXPORT_SYMBOL(mdev_register_driver);

/**
 * mdev_unregister_driver - undo mdev_register_driver()
 * @drv: the driver; its parents are unregistered
 */
void mdev_unregister_driver(struct mdev_driver *drv)
{
	driver_unregister(&drv->driver);
}
EXPORT_SYMBOL(mdev_unregister_driver);
