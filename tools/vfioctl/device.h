/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices, as sysfs shows them.
 *
 * device	of the bus pci, mdev, or platform (those with an IOMMU group)
 * name		what its directory is called: 0000:03:00.0 for PCI
 * node		its character device in /dev/vfio/devices, vfio3; a device that
 *		is bound to a VFIO driver has one where cdevs are compiled in
 * VFIO driver	a driver that offers its devices to user space
 * host driver	any other driver: the kernel uses the device for itself
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define PCI_DRIVERS	"/sys/bus/pci/drivers"
#define NO_GROUP	(-1)

struct pci_access;

struct device {
	const char *bus;
	const char *name;
	const char *path;		/* in /sys/devices */
	const char *driver;		/* NULL: none */
	const char *override;		/* driver_override, NULL: none */
	const char *node;		/* vfio3, NULL: none */
	const char *class_name;		/* of PCI: "Ethernet controller" */
	const char *full_name;		/* vendor and device in words */
	int group;			/* IOMMU group, or NO_GROUP */
	int numa;			/* NUMA node, or -1 */
	uint32_t class;			/* 0xbbsspp: base, sub, interface */
	uint16_t vendor, device;
	bool bridge;			/* a PCI bridge of any kind */
	bool vfio;			/* its driver is a VFIO driver */
	int viable;			/* our kernel's answer; -1: none */
	const char *blocked_by;		/* likewise, lines of DEVICE DRIVER */
};

struct devices {
	struct device *list;
	size_t count;
};

/* All devices, read once, sorted by bus and name */
struct devices *devices(void);
/* Read them again. */
void devices_refresh(void);
/* What is known of @name now, or NULL */
struct device *device_by_name(const char *name);

/*
 * By what a user may call it: an address with or without domain, a path in
 * /sys, vfio3, a network interface, a file in /dev. Complains and returns NULL
 * if there is no such device.
 */
struct device *device_find(const char *word);
/* As above, for a list; NULL if one is missing. */
struct device **devices_find(char **words, int count);

/* The driver that it has now; NULL: none */
const char *device_driver_now(const struct device *dev);
bool driver_is_vfio(const char *driver);
/* May share a group with a device of a user: it does no DMA of its own. */
bool driver_is_harmless(const char *driver);
/* How the device is written without what is always the same: 03:00.0 */
const char *device_short(const struct device *dev);

/* Path of its node in /dev, or of its group's if it has no node; NULL: none */
const char *device_node_path(const struct device *dev);
const char *device_group_path(const struct device *dev);

/* Paths in sysfs of what its driver made of it: "net", "block", "graphics" */
struct strings device_children(const struct device *dev, const char *subsystem);

/* libpci with the access methods that need no rights; one for the process */
struct pci_access *device_libpci(void);
struct pci_dev;
/* For reading configuration space; NULL if it is not PCI */
struct pci_dev *device_pci(const struct device *dev);

void devices_release(void);

#endif /* DEVICE_H */
