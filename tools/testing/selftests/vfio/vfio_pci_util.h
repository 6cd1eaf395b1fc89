/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the selftests of vfio-pci have in common: a device that is open, its
 * regions and its interrupts.
 */
#ifndef VFIO_PCI_UTIL_H
#define VFIO_PCI_UTIL_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "vfio_util.h"

/* Devices of QEMU */
#define NVME_VENDOR	0x1b36
#define NVME_DEVICE	0x0010
#define E1000E_VENDOR	0x8086
#define E1000E_DEVICE	0x10d3
#define IGB_VENDOR	0x8086
#define IGB_DEVICE	0x10c9
#define IGBVF_DEVICE	0x10ca
#define TESTDEV_VENDOR	0x1b36
#define TESTDEV_DEVICE	0x0005
#define IVSHMEM_VENDOR	0x1af4
#define IVSHMEM_DEVICE	0x1110

/* Registers of edu, in BAR 0 */
#define EDU_ID		0x00
#define EDU_LIVENESS	0x04
#define EDU_FACTORIAL	0x08
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64

/* A device that is bound to vfio-pci and to an iommufd, and open */
struct vp_dev {
	char bdf[VU_NAME_MAX];
	char driver[VU_NAME_MAX];
	int fd;
	int iommufd;
	__u32 devid;
	/* what vp_mmap() mapped: it keeps the device open */
	struct {
		void *mem;
		size_t length;
	} maps[8];
	unsigned int nr_maps;
};

/* Clear before the first use, so that vp_close() may come at any time */
static inline void vp_init(struct vp_dev *d)
{
	memset(d, 0, sizeof(*d));
	d->fd = -1;
	d->iommufd = -1;
}

/* Open d->bdf */
static inline int vp_open_bdf(struct vp_dev *d)
{
	int ret;

	ret = vu_cdev_open(d->bdf);
	if (ret < 0)
		return ret;
	d->fd = ret;
	ret = vu_iommufd_open();
	if (ret < 0)
		return ret;
	d->iommufd = ret;
	return vu_bind(d->fd, d->iommufd, &d->devid);
}

static inline void vp_close_fds(struct vp_dev *d)
{
	while (d->nr_maps) {
		d->nr_maps--;
		munmap(d->maps[d->nr_maps].mem, d->maps[d->nr_maps].length);
	}
	if (d->fd >= 0)
		close(d->fd);
	if (d->iommufd >= 0)
		close(d->iommufd);
	d->fd = -1;
	d->iommufd = -1;
}

/* Bind d->bdf to vfio-pci and open it */
static inline int vp_take(struct vp_dev *d)
{
	int ret;

	if (vu_driver(d->bdf, d->driver))
		d->driver[0] = '\0';
	ret = vu_give_to(d->bdf, "vfio-pci");
	if (ret)
		return ret;
	return vp_open_bdf(d);
}

/* -ENODEV if there is no such device */
static inline int vp_open(struct vp_dev *d, unsigned int vendor,
			  unsigned int device, unsigned int nth)
{
	if (!vu_find_pci(vendor, device, nth, d->bdf)) {
		d->bdf[0] = '\0';
		return -ENODEV;
	}
	return vp_take(d);
}

static inline int vp_close(struct vp_dev *d)
{
	vp_close_fds(d);
	if (!d->bdf[0])
		return 0;
	return vu_give_to(d->bdf, d->driver[0] ? d->driver : NULL);
}

static inline int vp_region(const struct vp_dev *d, unsigned int index,
			    struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return vu_ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static inline off_t vp_offset(unsigned int index, __u64 pos)
{
	return ((__u64)index << 40) + pos;
}

/* Memory that is not there, in a way that the compiler does not see through */
static inline void *vp_bad_pointer(void)
{
	return (void *)strtoul("0x10", NULL, 16);
}

/* The number of bytes, or a negative errno */
static inline int vp_read(const struct vp_dev *d, unsigned int index, __u64 pos,
			  void *buf, size_t count)
{
	ssize_t n = pread(d->fd, buf, count, vp_offset(index, pos));

	return n < 0 ? -errno : n;
}

static inline int vp_write(const struct vp_dev *d, unsigned int index,
			   __u64 pos, const void *buf, size_t count)
{
	ssize_t n = pwrite(d->fd, buf, count, vp_offset(index, pos));

	return n < 0 ? -errno : n;
}

/* Registers of a BAR; ~0 if it cannot be read */
static inline __u32 vp_bar_get(const struct vp_dev *d, unsigned int bar,
			       __u64 pos)
{
	__u32 val;

	return vp_read(d, bar, pos, &val, 4) == 4 ? val : ~0U;
}

static inline int vp_bar_set(const struct vp_dev *d, unsigned int bar,
			     __u64 pos, __u32 val)
{
	return vp_write(d, bar, pos, &val, 4) == 4 ? 0 : -EIO;
}

/* Registers of configuration space, of 1, 2 or 4 bytes */
static inline __u32 vp_cfg_get(const struct vp_dev *d, unsigned int pos,
			       unsigned int width)
{
	__u32 val = 0;

	if (vp_read(d, VFIO_PCI_CONFIG_REGION_INDEX, pos, &val, width) !=
	    (int)width)
		return ~0U;
	return val;
}

static inline int vp_cfg_set(const struct vp_dev *d, unsigned int pos,
			     unsigned int width, __u32 val)
{
	int ret = vp_write(d, VFIO_PCI_CONFIG_REGION_INDEX, pos, &val, width);

	return ret == (int)width ? 0 : ret < 0 ? ret : -EIO;
}

/* Position of a capability, 0 if there is none */
static inline unsigned int vp_find_cap(const struct vp_dev *d, unsigned int id)
{
	unsigned int pos, ttl = 48;

	if (!(vp_cfg_get(d, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	pos = vp_cfg_get(d, PCI_CAPABILITY_LIST, 1);
	for (; pos >= 0x40 && ttl; ttl--) {
		if (vp_cfg_get(d, pos, 1) == id)
			return pos;
		pos = vp_cfg_get(d, pos + 1, 1);
	}
	return 0;
}

static inline unsigned int vp_find_ext_cap(const struct vp_dev *d,
					   unsigned int id)
{
	unsigned int pos = 0x100, ttl = 480;

	for (; pos >= 0x100 && ttl; ttl--) {
		__u32 dw = vp_cfg_get(d, pos, 4);

		if (!dw || dw == ~0U)
			return 0;
		if (PCI_EXT_CAP_ID(dw) == id)
			return pos;
		pos = PCI_EXT_CAP_NEXT(dw);
	}
	return 0;
}

/* Unmapped at the end, unless vp_munmap() does it before */
static inline void *vp_mmap(struct vp_dev *d, unsigned int bar, __u64 pos,
			    size_t length)
{
	void *mem = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED,
			 d->fd, vp_offset(bar, pos));

	if (mem != MAP_FAILED &&
	    d->nr_maps < sizeof(d->maps) / sizeof(d->maps[0])) {
		d->maps[d->nr_maps].mem = mem;
		d->maps[d->nr_maps++].length = length;
	}
	return mem;
}

static inline int vp_munmap(struct vp_dev *d, void *mem)
{
	unsigned int i;

	for (i = 0; i < d->nr_maps; i++) {
		if (d->maps[i].mem != mem)
			continue;
		if (munmap(mem, d->maps[i].length))
			return -errno;
		d->maps[i] = d->maps[--d->nr_maps];
		return 0;
	}
	return -ENOENT;
}

static inline int vp_set_irqs(const struct vp_dev *d, __u32 flags, __u32 index,
			      __u32 start, __u32 count, const void *data,
			      size_t size)
{
	union {
		struct vfio_irq_set set;
		char room[sizeof(struct vfio_irq_set) + 4096];
	} u = { .set = {
		.argsz = sizeof(struct vfio_irq_set) + size,
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	} };

	if (size)
		memcpy(u.set.data, data, size);
	return vu_ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &u.set);
}

/* Eventfds for interrupts */
static inline int vp_irq_fds(const struct vp_dev *d, __u32 index, __u32 start,
			     __u32 count, const __s32 *fds)
{
	return vp_set_irqs(d, VFIO_IRQ_SET_DATA_EVENTFD |
			   VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count,
			   fds, count * sizeof(*fds));
}

static inline int vp_irq_none(const struct vp_dev *d, __u32 action, __u32 index,
			      __u32 start, __u32 count)
{
	return vp_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | action, index, start,
			   count, NULL, 0);
}

static inline int vp_irq_disable(const struct vp_dev *d, __u32 index)
{
	return vp_irq_none(d, VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0);
}

static inline int vp_irq_info(const struct vp_dev *d, __u32 index,
			      struct vfio_irq_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return vu_ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

/* A PCI address as one number */
static inline __u32 vp_device_number(const char *bdf)
{
	unsigned int domain, bus, dev, fn;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
		return 0;
	return domain << 16 | bus << 8 | dev << 3 | fn;
}

/* A feature that takes no data */
static inline int vp_set_feature(const struct vp_dev *d, __u32 feature)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return vu_ioctl(d->fd, VFIO_DEVICE_FEATURE, &f);
}

/* How often an eventfd was signalled; waits at most @ms for the first */
static inline int vp_events(int efd, int ms)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };
	__u64 n;

	if (poll(&p, 1, ms) != 1)
		return 0;
	return read(efd, &n, sizeof(n)) == sizeof(n) ? (int)n : -errno;
}

#endif
