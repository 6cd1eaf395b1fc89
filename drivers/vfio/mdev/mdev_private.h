/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MDEV_PRIVATE_H
#define MDEV_PRIVATE_H

#include <linux/mdev.h>

/* mdev_driver.c */
int __init mdev_bus_register(void);
void mdev_bus_unregister(void);
extern const struct bus_type mdev_bus_type;

/* mdev_device.c */
int mdev_device_create(struct mdev_type *type, const guid_t *uuid);
int mdev_device_del_cb(struct device *dev, void *data);

/* mdev_sysfs.c */
int mdev_parent_add_types(struct mdev_parent *parent);
void mdev_parent_del_types(struct mdev_parent *parent);

#endif
