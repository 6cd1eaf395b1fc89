/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices in sysfs: their attributes, drivers, groups and VFIO character devices.
 *
 * A PCI device is named by its address as sysfs writes it, such as 0000:00:03.0,
 * any other by its directory in sysfs.
 *
 * Functions return 0, or what they say, or a negative errno.
 */
#ifndef SYSDEV_H
#define SYSDEV_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define SYSDEV_PCI	"/sys/bus/pci/devices"

/* Of a device, as QEMU and DPDK spell it, or a driver; enough for a UUID, too */
#define SYSDEV_NAME_MAX	64

/* Small files of the kernel. Reading returns the length, without a final newline. */

int file_read(const char *path, char *buf, size_t size);
int file_write(const char *path, const char *text);

/* Attributes */

int sysdev_read(const char *dev, const char *attr, char *buf, size_t size);
int sysdev_write(const char *dev, const char *attr, const char *text);
/* Is the number in @attr @value? */
bool sysdev_is(const char *dev, const char *attr, unsigned long value);

/* Drivers and groups */

int sysdev_driver(const char *dev, char driver[SYSDEV_NAME_MAX]);
int sysdev_set_driver(const char *dev, const char *driver);
/* The number of the IOMMU group */
int sysdev_group(const char *dev);

/* The @nth device of a kind */
bool sysdev_find_pci(unsigned int vendor, unsigned int device, unsigned int nth,
		     char bdf[SYSDEV_NAME_MAX]);

/* Character devices of VFIO */

int sysdev_cdev_path(const char *dev, char path[PATH_MAX]);
/* An attribute in the directory of the character device */
int sysdev_cdev_read(const char *dev, const char *attr, char *buf, size_t size);

#endif /* SYSDEV_H */
