/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's "edu" PCI device (1234:11e8) through its VFIO character device: the
 * ioctls, one function each, and the device's DMA engine.
 *
 * The engine copies between 4 KiB of its own memory and 28-bit bus addresses,
 * and takes about 0.1 s for a copy.
 */
#ifndef EDU_H
#define EDU_H

#include <dirent.h>
#include <limits.h>
#include <time.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "dma_faults.h"
#include "iommufd_calls.h"

#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_DMA_START	1
#define EDU_DMA_TO_MEM	2
#define EDU_BUFFER	0x40000
#define EDU_MAX_DMA	2048
#define EDU_BAR_SIZE	0x100000
#define EDU_IOVA_END	0x10000000UL

static inline bool sysfs_reads(const char *bdf, const char *file, long value)
{
	char path[PATH_MAX], buf[32] = {};
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = 0;
	close(fd);
	return strtol(buf, NULL, 0) == value;
}

static inline bool is_edu(const char *bdf)
{
	return sysfs_reads(bdf, "vendor", 0x1234) &&
	       sysfs_reads(bdf, "device", 0x11e8);
}

static inline bool is_pci_testdev(const char *bdf)
{
	return sysfs_reads(bdf, "vendor", 0x1b36) &&
	       sysfs_reads(bdf, "device", 0x0005);
}

/* Has the device no INTx, by its configuration space? */
static inline bool is_without_intx(const char *bdf)
{
	char path[PATH_MAX], pin = 1;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	if (pread(fd, &pin, 1, PCI_INTERRUPT_PIN) != 1)
		pin = 1;
	close(fd);
	return pin == 0;
}

/*
 * The path of the first device that is bound to vfio-pci and matches; false if
 * there is none. @path has PATH_MAX bytes.
 */
static inline bool cdev_find(bool (*match)(const char *bdf), char *path)
{
	struct dirent *pci, *vfio;
	char dir[PATH_MAX];
	bool found = false;
	DIR *devs, *sub;

	devs = opendir("/sys/bus/pci/drivers/vfio-pci");
	if (!devs)
		return false;
	while (!found && (pci = readdir(devs))) {
		if (!strchr(pci->d_name, ':') || !match(pci->d_name))
			continue;
		snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/vfio-dev",
			 pci->d_name);
		sub = opendir(dir);
		while (sub && (vfio = readdir(sub))) {
			if (strncmp(vfio->d_name, "vfio", 4))
				continue;
			snprintf(path, PATH_MAX, "/dev/vfio/devices/%s",
				 vfio->d_name);
			found = true;
		}
		if (sub)
			closedir(sub);
	}
	closedir(devs);
	return found;
}

static inline bool sysfs_write(const char *dir, const char *name,
			       const char *text)
{
	char path[PATH_MAX];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) > 0;
	close(fd);
	return ok;
}

static inline bool is_alone_in_group(const char *bdf)
{
	unsigned int num = 0;
	struct dirent *entry;
	char dir[PATH_MAX];
	DIR *mates;

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/iommu_group/devices",
		 bdf);
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

/* A device that is given to vfio-pci for the time of the tests */
struct pci_loan {
	char dir[PATH_MAX];	/* in sysfs; empty if there is none */
	char bdf[NAME_MAX + 1];
};

/* Unless a device that matches is bound to vfio-pci already, bind one */
static inline void pci_borrow(bool (*match)(const char *bdf),
			      struct pci_loan *loan)
{
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *devs;

	loan->dir[0] = 0;
	if (cdev_find(match, path))
		return;
	devs = opendir("/sys/bus/pci/devices");
	while (devs && (entry = readdir(devs))) {
		if (entry->d_name[0] == '.' || !match(entry->d_name) ||
		    !is_alone_in_group(entry->d_name))
			continue;
		snprintf(loan->bdf, sizeof(loan->bdf), "%s", entry->d_name);
		snprintf(loan->dir, sizeof(loan->dir),
			 "/sys/bus/pci/devices/%s", loan->bdf);
		break;
	}
	if (devs)
		closedir(devs);
	if (!loan->dir[0])
		return;
	sysfs_write(loan->dir, "driver/unbind", loan->bdf);
	sysfs_write(loan->dir, "driver_override", "vfio-pci");
	sysfs_write("/sys/bus/pci", "drivers_probe", loan->bdf);
}

static inline void pci_return(const struct pci_loan *loan)
{
	if (!loan->dir[0])
		return;
	sysfs_write(loan->dir, "driver/unbind", loan->bdf);
	sysfs_write(loan->dir, "driver_override", "\n");
	sysfs_write("/sys/bus/pci", "drivers_probe", loan->bdf);
}

static struct pci_loan edu_loan;

/* In the process that runs all tests of a program, each of which is a child */
static __attribute__((constructor)) void borrow_edu(void)
{
	pci_borrow(is_edu, &edu_loan);
}

static __attribute__((destructor)) void return_edu(void)
{
	pci_return(&edu_loan);
}

static inline int cdev_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * The address of the PCI device that "/dev/vfio/devices/vfioN" stands for; @bdf
 * has PATH_MAX bytes
 */
static inline int cdev_bdf(const char *cdev, char *bdf)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device",
		 strrchr(cdev, '/') + 1);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = 0;
	snprintf(bdf, PATH_MAX, "%s", strrchr(link, '/') + 1);
	return 0;
}

static inline int cdev_bind(int dev, int iommufd, __u32 *devid)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int rc = call(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	*devid = cmd.out_devid;
	return rc;
}

static inline int cdev_attach(int dev, __u32 *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = *pt,
	};
	int rc = call(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (!rc)
		*pt = cmd.pt_id;
	return rc;
}

static inline int cdev_attach_to(int dev, __u32 pt)
{
	return cdev_attach(dev, &pt);
}

static inline int cdev_detach(int dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return call(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline int cdev_region(int dev, __u32 index, __u64 *offset, __u64 *size)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	int rc = call(dev, VFIO_DEVICE_GET_REGION_INFO, &info);

	*offset = info.offset;
	*size = info.size;
	return rc;
}

/* Map BAR 0 and let the device be a bus master; 0 or a negative errno */
static inline int edu_start(int dev, void **bar)
{
	__u64 offset, size;
	__u16 command;
	void *p;
	int rc;

	rc = cdev_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &offset, &size);
	if (rc)
		return rc;
	if (pread(dev, &command, 2, offset + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(dev, &command, 2, offset + PCI_COMMAND) != 2)
		return -EIO;
	rc = cdev_region(dev, VFIO_PCI_BAR0_REGION_INDEX, &offset, &size);
	if (rc)
		return rc;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dev, offset);
	if (p == MAP_FAILED)
		return -errno;
	*bar = p;
	return 0;
}

/* One access of 64 bits, after all that is before it in the program */
static inline void edu_write(void *bar, unsigned int reg, __u64 val)
{
	__atomic_store_n((__u64 *)((char *)bar + reg), val, __ATOMIC_RELEASE);
}

static inline __u64 edu_read(void *bar, unsigned int reg)
{
	return __atomic_load_n((__u64 *)((char *)bar + reg), __ATOMIC_ACQUIRE);
}

/* Wait for the end of a copy. Whether it reached memory nobody can tell. */
static inline int edu_dma(void *bar, __u64 src, __u64 dst, __u64 len,
			  __u64 flags)
{
	struct timespec nap = { .tv_nsec = 5000000 };
	unsigned int i;

	edu_write(bar, EDU_DMA_SRC, src);
	edu_write(bar, EDU_DMA_DST, dst);
	edu_write(bar, EDU_DMA_COUNT, len);
	edu_write(bar, EDU_DMA_CMD, EDU_DMA_START | flags);
	for (i = 0; i != 4000; i++) {
		if (!(edu_read(bar, EDU_DMA_CMD) & EDU_DMA_START))
			return 0;
		nanosleep(&nap, NULL);
	}
	return -ETIMEDOUT;
}

/* Device memory at @offset to IOVA */
static inline int edu_to_mem(void *bar, __u64 iova,
			     unsigned int offset, __u64 len)
{
	return edu_dma(bar, EDU_BUFFER + offset, iova, len, EDU_DMA_TO_MEM);
}

/* IOVA to device memory at @offset */
static inline int edu_from_mem(void *bar, __u64 iova,
			       unsigned int offset, __u64 len)
{
	return edu_dma(bar, iova, EDU_BUFFER + offset, len, 0);
}

#endif
