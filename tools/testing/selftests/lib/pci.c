// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../../../lib/pasid_testdev_regs.h"
#include "pci.h"

bool pci_is_edu(const char *bdf)
{
	return sysdev_is(bdf, "vendor", EDU_VENDOR) &&
	       sysdev_is(bdf, "device", EDU_DEVICE);
}

bool pci_is_testdev(const char *bdf)
{
	return sysdev_is(bdf, "vendor", TESTDEV_VENDOR) &&
	       sysdev_is(bdf, "device", TESTDEV_DEVICE);
}

bool pci_is_pasid_testdev(const char *bdf)
{
	return sysdev_is(bdf, "vendor", PT_VENDOR) &&
	       sysdev_is(bdf, "device", PT_DEVICE);
}

__s64 pci_config_get(const char *bdf, unsigned int pos, unsigned int width)
{
	char path[PATH_MAX];
	__u32 val = 0;
	int fd, err = 0;

	snprintf(path, sizeof(path), SYSDEV_PCI "/%s/config", bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, &val, width, pos) != (ssize_t)width)
		err = -EIO;
	close(fd);
	return err ? err : (__s64)le32toh(val);
}

bool pci_is_without_intx(const char *bdf)
{
	return pci_config_get(bdf, PCI_INTERRUPT_PIN, 1) == 0;
}

bool pci_find_mates(unsigned int vendor, unsigned int device,
		    char a[SYSDEV_NAME_MAX], char b[SYSDEV_NAME_MAX])
{
	unsigned int i, j;

	for (i = 0; sysdev_find_pci(vendor, device, i, a); i++)
		for (j = i + 1; sysdev_find_pci(vendor, device, j, b); j++)
			if (sysdev_group(a) >= 0 &&
			    sysdev_group(a) == sysdev_group(b))
				return true;
	return false;
}

bool pci_is_alone(const char *bdf)
{
	const size_t bus = strlen("0000:00:");
	unsigned int mates = 0;
	struct dirent *entry;
	DIR *dir;

	if (!strncmp(bdf, "0000:00:", bus))
		return false;
	dir = opendir(SYSDEV_PCI);
	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		mates += !strncmp(entry->d_name, bdf, bus);
	closedir(dir);
	return mates == 1;
}

bool pci_find_cdev(bool (*match)(const char *bdf), char path[PATH_MAX])
{
	struct dirent *entry;
	bool found = false;
	DIR *devs;

	devs = opendir("/sys/bus/pci/drivers/vfio-pci");
	if (!devs)
		return false;
	while (!found && (entry = readdir(devs)))
		found = strchr(entry->d_name, ':') && match(entry->d_name) &&
			!sysdev_cdev_path(entry->d_name, path);
	closedir(devs);
	return found;
}

int pci_remove(const char *bdf)
{
	return sysdev_write(bdf, "remove", "1");
}

int pci_rescan(void)
{
	return file_write("/sys/bus/pci/rescan", "1");
}

static bool pci_is_alone_in_group(const char *bdf)
{
	unsigned int num = 0;
	struct dirent *entry;
	char dir[PATH_MAX];
	DIR *mates;

	snprintf(dir, sizeof(dir), SYSDEV_PCI "/%s/iommu_group/devices", bdf);
	mates = opendir(dir);
	/*
	 * virtio-iommu makes the group only when a driver comes. Devices on
	 * the root bus are not behind a bridge that would put them together.
	 */
	if (!mates)
		return !strncmp(bdf + strlen("0000:"), "00:", 3);
	while ((entry = readdir(mates)))
		num += entry->d_name[0] != '.';
	closedir(mates);
	return num == 1;
}

void pci_borrow(bool (*match)(const char *bdf), struct pci_loan *loan)
{
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *devs;

	loan->bdf[0] = '\0';
	if (pci_find_cdev(match, path))
		return;
	devs = opendir(SYSDEV_PCI);
	while (devs && (entry = readdir(devs))) {
		if (entry->d_name[0] == '.' || !match(entry->d_name) ||
		    !pci_is_alone_in_group(entry->d_name))
			continue;
		strcpy(loan->bdf, entry->d_name);
		break;
	}
	if (devs)
		closedir(devs);
	if (loan->bdf[0])
		sysdev_set_driver(loan->bdf, "vfio-pci");
}

void pci_return(const struct pci_loan *loan)
{
	if (!loan->bdf[0])
		return;
	sysdev_set_driver(loan->bdf, NULL);
	/* To the kernel's own choice */
	file_write("/sys/bus/pci/drivers_probe", loan->bdf);
}
