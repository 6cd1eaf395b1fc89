// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <libmount/libmount.h>
#include <pci/pci.h>

#include "hostuse.h"
#include "sysfs.h"

static bool is_link_local(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)address)->sin6_addr);
}

static void net_addresses(struct strings *uses, const char *name)
{
	struct ifaddrs *list, *entry;
	char text[NI_MAXHOST];

	if (getifaddrs(&list))
		return;
	for (entry = list; entry; entry = entry->ifa_next) {
		const struct sockaddr *address = entry->ifa_addr;
		socklen_t length;

		if (strcmp(entry->ifa_name, name) || !address ||
		    (address->sa_family != AF_INET &&
		     address->sa_family != AF_INET6) || is_link_local(address))
			continue;
		length = address->sa_family == AF_INET ?
			 sizeof(struct sockaddr_in) :
			 sizeof(struct sockaddr_in6);
		if (!getnameinfo(address, length, text, sizeof(text), NULL, 0,
				 NI_NUMERICHOST))
			strings_add(uses,
				    "its network interface %s has the address %s",
				    name, text);
	}
	freeifaddrs(list);
}

static void net_routes(struct strings *uses, const char *name)
{
	char *text = sysfs_read("/proc/net/route");
	struct strings lines = strings_split(text ? text : "", "\n");
	size_t i;

	for (i = 1; i < lines.count; i++) {
		char *tab = strchr(lines.list[i], '\t');

		if (tab && (size_t)(tab - lines.list[i]) == strlen(name) &&
		    !strncmp(lines.list[i], name, strlen(name))) {
			strings_add(uses,
				    "routes go through its network interface %s",
				    name);
			return;
		}
	}
}

static void net_uses(struct strings *uses, const struct device *dev)
{
	struct strings paths = device_children(dev, "net");
	size_t i, j;

	for (i = 0; i < paths.count; i++) {
		const char *name = strrchr(paths.list[i], '/') + 1;
		char *master = sysfs_link("%s/master", paths.list[i]);
		struct strings files = sysfs_list("%s", paths.list[i]);

		net_addresses(uses, name);
		net_routes(uses, name);
		if (master)
			strings_add(uses,
				    "its network interface %s is a port of %s",
				    name, master);
		for (j = 0; j < files.count; j++)
			if (!strncmp(files.list[j], "upper_", 6) &&
			    (!master || strcmp(files.list[j] + 6, master)))
				strings_add(uses,
					    "%s is on top of its network interface %s",
					    files.list[j] + 6, name);
	}
	/* sysfs shows those of one network namespace. */
	if (!paths.count && dev->class >> 16 == PCI_BASE_CLASS_NETWORK &&
	    !driver_is_harmless(dev->driver) && !strstr(dev->driver, "uio"))
		strings_add(uses,
			    "its network interface is in another network namespace, such as a container's");
}

static void disk_mounts(struct strings *uses, const char *name, dev_t devno)
{
	const char *path = mem_printf("/dev/%s", name);
	struct libmnt_table *table;
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	table = mnt_new_table_from_file("/proc/self/mountinfo");
	while (table && !mnt_table_next_fs(table, iter, &fs)) {
		const char *source = mnt_fs_get_srcpath(fs);

		/* The number of btrfs is not that of any disk. */
		if (mnt_fs_get_devno(fs) == devno ||
		    (source && !strcmp(source, path)))
			strings_add(uses, "%s is mounted on %s", path,
				    mnt_fs_get_target(fs));
	}
	mnt_unref_table(table);

	table = mnt_new_table();
	mnt_reset_iter(iter, MNT_ITER_FORWARD);
	mnt_table_parse_swaps(table, NULL);
	while (!mnt_table_next_fs(table, iter, &fs)) {
		const char *source = mnt_fs_get_srcpath(fs);

		if (source && !strcmp(source, path))
			strings_add(uses, "%s is swap space", path);
	}
	mnt_unref_table(table);
	mnt_free_iter(iter);
}

/*
 * What is on a disk that somebody in the kernel has for itself: ZFS, bcache. With
 * @whole only if it has no partitions: they would be what is in use.
 */
static const char *disk_contents(const char *path, bool whole)
{
	blkid_probe probe = blkid_new_probe_from_filename(path);
	const char *type = NULL;

	if (!probe)
		return NULL;
	blkid_probe_enable_partitions(probe, whole);
	while (!blkid_do_probe(probe)) {
		const char *found;

		if (!blkid_probe_lookup_value(probe, "PTTYPE", &found, NULL)) {
			type = NULL;
			break;
		}
		if (!type &&
		    !blkid_probe_lookup_value(probe, "TYPE", &found, NULL))
			type = mem_strdup(found);
	}
	blkid_free_probe(probe);
	return type;
}

static bool is_claimed(const char *name)
{
	int fd = open(mem_printf("/dev/%s", name),
		      O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

static bool has_busy_partition(const char *disk)
{
	struct strings files = sysfs_list("/sys/class/block/%s", disk);
	size_t i;

	for (i = 0; i < files.count; i++)
		if (sysfs_exists("/sys/class/block/%s/%s/partition", disk,
				 files.list[i]) && is_claimed(files.list[i]))
			return true;
	return false;
}

/*
 * Is a disk in use itself? Who has all of it has its partitions, too. If it holds
 * something that has no partitions, the kernel knows old ones.
 */
static bool is_claimed_whole(const char *disk)
{
	return is_claimed(disk) &&
	       (!has_busy_partition(disk) ||
		disk_contents(mem_printf("/dev/%s", disk), true));
}

/* The disk that a partition is on, or NULL */
static const char *disk_of(const char *name)
{
	char *path, *disk;

	if (!sysfs_exists("/sys/class/block/%s/partition", name))
		return NULL;
	path = realpath(mem_printf("/sys/class/block/%s/..", name), NULL);
	if (!path)
		return NULL;
	disk = mem_strdup(strrchr(path, '/') + 1);
	free(path);
	return disk;
}

static void disk_uses(struct strings *uses, const char *name)
{
	unsigned int major, minor;
	size_t i, before = uses->count;
	struct strings holders = sysfs_list("/sys/class/block/%s/holders", name);
	char *text = sysfs_read("/sys/class/block/%s/dev", name);
	const char *disk;

	if (!text || sscanf(text, "%u:%u", &major, &minor) != 2)
		return;
	disk_mounts(uses, name, makedev(major, minor));
	for (i = 0; i < holders.count; i++) {
		char *label = sysfs_read("/sys/class/block/%s/dm/name",
					 holders.list[i]);

		strings_add(uses, "/dev/%s is part of %s%s%s%s", name,
			    holders.list[i], label ? " (" : "",
			    label ? label : "", label ? ")" : "");
	}
	if (uses->count > before)
		return;
	disk = disk_of(name);
	if (disk ? is_claimed(name) && !is_claimed_whole(disk) :
		   is_claimed_whole(name)) {
		const char *type = disk_contents(mem_printf("/dev/%s", name),
						 false);

		strings_add(uses, "/dev/%s is in use by the kernel or by a program that has it for itself%s%s%s",
			    name, type ? " (" : "", type ? type : "",
			    type ? ")" : "");
	}
}

static void block_uses(struct strings *uses, const struct device *dev)
{
	struct strings paths = device_children(dev, "block");
	unsigned int n, c, ns;
	size_t i;
	int end;

	for (i = 0; i < paths.count; i++) {
		const char *name = strrchr(paths.list[i], '/') + 1;

		/* One path to a disk that several controllers may lead to */
		end = 0;
		if (sscanf(name, "nvme%uc%un%u%n", &n, &c, &ns, &end) == 3 &&
		    !name[end])
			name = mem_printf("nvme%un%u", n, ns);
		disk_uses(uses, name);
	}
}

/* Is a console on it that needs no driver of the device, in VGA's text mode? */
static bool has_text_console(void)
{
	struct strings consoles = sysfs_list("/sys/class/vtconsole");
	size_t i;

	for (i = 0; i < consoles.count; i++) {
		char *name = sysfs_read("/sys/class/vtconsole/%s/name",
					consoles.list[i]);

		if (name && strstr(name, "VGA") &&
		    sysfs_number(0, "/sys/class/vtconsole/%s/bind",
				 consoles.list[i]) == 1)
			return true;
	}
	return false;
}

static void console_uses(struct strings *uses, const struct device *dev)
{
	/* The firmware's frame buffer is below the device, and has a driver of its own. */
	bool shown = device_children(dev, "graphics").count;

	if (dev->vfio)
		return;
	if (sysfs_number(0, "%s/boot_vga", dev->path) == 1 &&
	    (!driver_is_harmless(dev->driver) || shown || has_text_console()))
		strings_add(uses, "it is the GPU of the console");
	else if (shown)
		strings_add(uses, "the console may be shown on its frame buffer");
}

struct strings host_uses(const struct device *dev)
{
	struct strings uses = { 0 };

	if (strcmp(dev->bus, "pci") && strcmp(dev->bus, "platform"))
		return uses;
	if (sysfs_number(0, "%s/sriov_numvfs", dev->path) > 0)
		strings_add(&uses,
			    "it is a PF with %lld VFs, which would go with its driver",
			    sysfs_number(0, "%s/sriov_numvfs", dev->path));
	console_uses(&uses, dev);
	if (driver_is_harmless(dev->driver))
		return uses;
	net_uses(&uses, dev);
	block_uses(&uses, dev);
	return uses;
}
