// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <libudev.h>
#include <pci/pci.h>

#include "device.h"
#include "say.h"
#include "sysfs.h"

static struct devices all;
static bool loaded;
static struct udev *udev;
static struct pci_access *libpci;

struct pci_access *device_libpci(void)
{
	if (!libpci) {
		libpci = pci_alloc();
		libpci->method = PCI_ACCESS_SYS_BUS_PCI;
		pci_init(libpci);
	}
	return libpci;
}

struct pci_dev *device_pci(const struct device *dev)
{
	unsigned int domain, bus, slot, function;

	if (strcmp(dev->bus, "pci") ||
	    sscanf(dev->name, "%x:%x:%x.%x", &domain, &bus, &slot,
		   &function) != 4)
		return NULL;
	return pci_get_dev(device_libpci(), domain, bus, slot, function);
}

static void pci_names(struct device *dev)
{
	struct pci_access *pci = device_libpci();
	char text[256];

	dev->class = sysfs_number(0, "%s/class", dev->path);
	dev->vendor = sysfs_number(0, "%s/vendor", dev->path);
	dev->device = sysfs_number(0, "%s/device", dev->path);
	dev->bridge = dev->class >> 16 == PCI_BASE_CLASS_BRIDGE;
	dev->class_name = mem_strdup(pci_lookup_name(pci, text, sizeof(text),
						     PCI_LOOKUP_CLASS,
						     dev->class >> 8));
	dev->full_name = mem_strdup(pci_lookup_name(pci, text, sizeof(text),
						    PCI_LOOKUP_VENDOR |
						    PCI_LOOKUP_DEVICE,
						    dev->vendor, dev->device));
}

/* What may change with its driver */
static void device_bound(struct device *dev)
{
	struct strings nodes = sysfs_list("%s/vfio-dev", dev->path);
	char *override = sysfs_read("%s/driver_override", dev->path);

	dev->driver = sysfs_link("%s/driver", dev->path);
	/* The drivers of mediated devices have names of all kinds. */
	dev->vfio = driver_is_vfio(dev->driver) || nodes.count ||
		    (dev->driver && !strcmp(dev->bus, "mdev"));
	/* The kernel's way to write NULL */
	dev->override = override && *override && strcmp(override, "(null)") ?
			override : NULL;
	dev->node = NULL;
	dev->viable = -1;
	dev->blocked_by = NULL;
	if (!nodes.count)
		return;
	/* A device without IOMMU is in there, and has no character device. */
	if (sysfs_exists("%s/vfio-dev/%s/dev", dev->path, nodes.list[0]))
		dev->node = nodes.list[0];
	dev->viable = sysfs_number(-1, "%s/vfio-dev/%s/viable", dev->path,
				   nodes.list[0]);
	dev->blocked_by = sysfs_read("%s/vfio-dev/%s/blocked_by", dev->path,
				     nodes.list[0]);
}

static void device_add(const char *bus, const char *path)
{
	char *group = sysfs_link("%s/iommu_group", path);
	struct device *dev;

	if (!strcmp(bus, "platform") && !group)
		return;
	dev = mem_add(all.list, all.count);
	dev->bus = bus;
	dev->path = mem_strdup(path);
	dev->name = strrchr(dev->path, '/') + 1;
	dev->group = group ? atoi(group) : NO_GROUP;
	dev->numa = sysfs_number(-1, "%s/numa_node", path);
	dev->class_name = bus;
	dev->full_name = dev->name;
	if (!strcmp(bus, "pci"))
		pci_names(dev);
	if (!strcmp(bus, "mdev")) {
		char *type = sysfs_read("%s/mdev_type/name", path);

		dev->full_name = type ? type : "mediated device";
	}
	device_bound(dev);
}

static void bus_load(const char *bus)
{
	struct udev_enumerate *enumerate = udev_enumerate_new(udev);
	struct udev_list_entry *entry;

	udev_enumerate_add_match_subsystem(enumerate, bus);
	udev_enumerate_scan_devices(enumerate);
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate))
		device_add(bus, udev_list_entry_get_name(entry));
	udev_enumerate_unref(enumerate);
}

static int compare(const void *a, const void *b)
{
	const struct device *x = a, *y = b;
	int order = strcmp(y->bus, x->bus);	/* platform, pci, mdev */

	if (order)
		return order;
	return strverscmp(x->name, y->name);
}

void devices_refresh(void)
{
	if (!udev)
		udev = udev_new();
	if (!udev) {
		say_error("libudev", NULL, "%s", strerror(errno));
		exit(EXIT_NO);
	}
	all = (struct devices){ 0 };
	bus_load("pci");
	bus_load("mdev");
	bus_load("platform");
	if (all.count)
		qsort(all.list, all.count, sizeof(*all.list), compare);
	loaded = true;
}

struct devices *devices(void)
{
	if (!loaded)
		devices_refresh();
	return &all;
}

void devices_release(void)
{
	if (udev)
		udev_unref(udev);
	if (libpci)
		pci_cleanup(libpci);
	udev = NULL;
	libpci = NULL;
	loaded = false;
}

struct device *device_by_name(const char *name)
{
	struct devices *list = devices();
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!strcmp(list->list[i].name, name))
			return &list->list[i];
	return NULL;
}

/* The nearest device, of a bus that we know, above something in sysfs */
static struct device *device_above(struct udev_device *at)
{
	for (; at; at = udev_device_get_parent(at)) {
		struct device *dev =
			device_by_name(udev_device_get_sysname(at));

		if (dev && !strcmp(dev->path, udev_device_get_syspath(at)))
			return dev;
	}
	return NULL;
}

static struct device *found_above(struct udev_device *at)
{
	struct device *dev = at ? device_above(at) : NULL;

	if (at)
		udev_device_unref(at);
	return dev;
}

static struct device *device_by_file(const char *path)
{
	char real[PATH_MAX], type;
	struct stat st;

	if (!realpath(path, real) || stat(real, &st))
		return NULL;
	if (!strncmp(real, "/sys/", 5))
		return found_above(udev_device_new_from_syspath(udev, real));
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return NULL;
	type = S_ISBLK(st.st_mode) ? 'b' : 'c';
	return found_above(udev_device_new_from_devnum(udev, type, st.st_rdev));
}

static struct device *device_by_subsystem(const char *subsystem,
					  const char *name)
{
	struct udev_device *at;

	at = udev_device_new_from_subsystem_sysname(udev, subsystem, name);
	return found_above(at);
}

/* 03:00.0 in any case as 0000:03:00.0; NULL if it is no PCI address */
static char *full_address(const char *word)
{
	unsigned int domain = 0, bus, slot, function;
	char letter;

	if (sscanf(word, "%x:%x:%x.%x%c", &domain, &bus, &slot, &function,
		   &letter) == 4)
		return mem_printf("%04x:%02x:%02x.%x", domain, bus, slot,
				  function);
	if (sscanf(word, "%x:%x.%x%c", &bus, &slot, &function, &letter) == 3)
		return mem_printf("0000:%02x:%02x.%x", bus, slot, function);
	return NULL;
}

struct device *device_find(const char *word)
{
	struct device *dev;
	char *lower;

	devices();
	if (*word == '/') {
		dev = device_by_file(word);
		if (!dev)
			say_error(word, "vfioctl list --all",
				  "no PCI, mdev or platform device is behind this file");
		return dev;
	}
	lower = full_address(word);
	dev = lower ? device_by_name(lower) : device_by_name(word);
	if (!dev)
		dev = device_by_subsystem("vfio-dev", word);
	if (!dev)
		dev = device_by_subsystem("net", word);
	if (!dev)
		say_error(word, "vfioctl list --all", "there is no such device");
	return dev;
}

struct device **devices_find(char **words, int count)
{
	struct device **found = mem_zalloc((count + 1) * sizeof(*found));
	int i, j, kept = 0;

	for (i = 0; i < count; i++) {
		found[kept] = device_find(words[i]);
		if (!found[kept])
			return NULL;
		for (j = 0; j < kept && found[j] != found[kept]; j++)
			;
		if (j == kept)		/* not named twice */
			kept++;
	}
	found[kept] = NULL;
	return found;
}

const char *device_driver_now(const struct device *dev)
{
	return sysfs_link("%s/driver", dev->path);
}

bool driver_is_vfio(const char *driver)
{
	/* mlx5_vfio_pci, vfio-pci, vfio_mdev, vfio-platform, vfio-fsl-mc */
	return driver && (strstr(driver, "vfio") || strstr(driver, "kvmgt"));
}

bool driver_is_harmless(const char *driver)
{
	return !driver || driver_is_vfio(driver) ||
	       !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport");
}

const char *device_short(const struct device *dev)
{
	if (!strcmp(dev->bus, "pci") && !strncmp(dev->name, "0000:", 5))
		return dev->name + 5;
	return dev->name;
}

struct strings device_children(const struct device *dev, const char *subsystem)
{
	struct udev_enumerate *enumerate = udev_enumerate_new(udev);
	struct udev_list_entry *entry;
	struct udev_device *parent;
	struct strings paths = { 0 };

	parent = udev_device_new_from_syspath(udev, dev->path);
	if (parent) {
		udev_enumerate_add_match_parent(enumerate, parent);
		udev_enumerate_add_match_subsystem(enumerate, subsystem);
		udev_enumerate_scan_devices(enumerate);
		entry = udev_enumerate_get_list_entry(enumerate);
		for (; entry; entry = udev_list_entry_get_next(entry))
			strings_add(&paths, "%s",
				    udev_list_entry_get_name(entry));
		udev_device_unref(parent);
	}
	udev_enumerate_unref(enumerate);
	return paths;
}

const char *device_node_path(const struct device *dev)
{
	return dev->node ? mem_printf("/dev/vfio/devices/%s", dev->node) : NULL;
}

const char *device_group_path(const struct device *dev)
{
	char *name;

	if (dev->group == NO_GROUP || !dev->vfio)
		return NULL;
	/* Of a device without IOMMU it is /dev/vfio/noiommu-0. */
	name = sysfs_read("/sys/kernel/iommu_groups/%d/name", dev->group);
	return mem_printf("/dev/vfio/%s%d", name &&
			  !strcmp(name, "vfio-noiommu") ? "noiommu-" : "",
			  dev->group);
}
