// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio_pci.h"

void vp_init(struct vp_dev *d)
{
	memset(d, 0, sizeof(*d));
	d->fd = -1;
	d->iommufd = -1;
}

int vp_open_bdf(struct vp_dev *d)
{
	int ret;

	ret = cdev_open(d->bdf);
	if (ret < 0)
		return ret;
	d->fd = ret;
	ret = iommufd_open();
	if (ret < 0)
		return ret;
	d->iommufd = ret;
	return cdev_bind(d->fd, d->iommufd, &d->devid);
}

void vp_close_fds(struct vp_dev *d)
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

int vp_take(struct vp_dev *d)
{
	int ret;

	if (sysdev_driver(d->bdf, d->driver))
		d->driver[0] = '\0';
	ret = sysdev_set_driver(d->bdf, "vfio-pci");
	if (ret)
		return ret;
	return vp_open_bdf(d);
}

int vp_open(struct vp_dev *d, unsigned int vendor,
	    unsigned int device, unsigned int nth)
{
	if (!sysdev_find_pci(vendor, device, nth, d->bdf)) {
		d->bdf[0] = '\0';
		return -ENODEV;
	}
	return vp_take(d);
}

int vp_attach_empty(const struct vp_dev *d)
{
	__u32 ioas;
	int ret;

	ret = ioas_alloc(d->iommufd, &ioas);
	return ret ? ret : cdev_attach(d->fd, &ioas);
}

int vp_close(struct vp_dev *d)
{
	vp_close_fds(d);
	if (!d->bdf[0])
		return 0;
	return sysdev_set_driver(d->bdf, d->driver[0] ? d->driver : NULL);
}

int vp_region(const struct vp_dev *d, unsigned int index,
	      struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return call(d->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

off_t vp_offset(unsigned int index, __u64 pos)
{
	return ((__u64)index << 40) + pos;
}

void *vp_bad_pointer(void)
{
	return (void *)strtoul("0x10", NULL, 16);
}

int vp_read(const struct vp_dev *d, unsigned int index, __u64 pos,
	    void *buf, size_t count)
{
	ssize_t n = pread(d->fd, buf, count, vp_offset(index, pos));

	return n < 0 ? -errno : n;
}

int vp_write(const struct vp_dev *d, unsigned int index,
	     __u64 pos, const void *buf, size_t count)
{
	ssize_t n = pwrite(d->fd, buf, count, vp_offset(index, pos));

	return n < 0 ? -errno : n;
}

__u32 vp_bar_get(const struct vp_dev *d, unsigned int bar,
		 __u64 pos)
{
	__u32 val;

	return vp_read(d, bar, pos, &val, 4) == 4 ? val : ~0U;
}

int vp_bar_set(const struct vp_dev *d, unsigned int bar,
	       __u64 pos, __u32 val)
{
	return vp_write(d, bar, pos, &val, 4) == 4 ? 0 : -EIO;
}

__u32 vp_cfg_get(const struct vp_dev *d, unsigned int pos,
		 unsigned int width)
{
	__u32 val = 0;

	if (vp_read(d, VFIO_PCI_CONFIG_REGION_INDEX, pos, &val, width) !=
	    (int)width)
		return ~0U;
	return val;
}

int vp_cfg_set(const struct vp_dev *d, unsigned int pos,
	       unsigned int width, __u32 val)
{
	int ret = vp_write(d, VFIO_PCI_CONFIG_REGION_INDEX, pos, &val, width);

	return ret == (int)width ? 0 : ret < 0 ? ret : -EIO;
}

int vp_set_command(struct vp_dev *d, __u16 set, __u16 clear)
{
	__u16 cmd = vp_cfg_get(d, PCI_COMMAND, 2);

	return vp_cfg_set(d, PCI_COMMAND, 2, (cmd & ~clear) | set);
}

unsigned int vp_find_cap(const struct vp_dev *d, unsigned int id)
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

unsigned int vp_find_ext_cap(const struct vp_dev *d,
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

void *vp_mmap(struct vp_dev *d, unsigned int bar, __u64 pos,
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

int vp_munmap(struct vp_dev *d, void *mem)
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

int vp_set_irqs(const struct vp_dev *d, __u32 flags, __u32 index,
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
	return call(d->fd, VFIO_DEVICE_SET_IRQS, &u.set);
}

int vp_irq_fds(const struct vp_dev *d, __u32 index, __u32 start,
	       __u32 count, const __s32 *fds)
{
	return vp_set_irqs(d, VFIO_IRQ_SET_DATA_EVENTFD |
			   VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count,
			   fds, count * sizeof(*fds));
}

int vp_irq_none(const struct vp_dev *d, __u32 action, __u32 index,
		__u32 start, __u32 count)
{
	return vp_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | action, index, start,
			   count, NULL, 0);
}

int vp_irq_disable(const struct vp_dev *d, __u32 index)
{
	return vp_irq_none(d, VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0);
}

int vp_irq_info(const struct vp_dev *d, __u32 index,
		struct vfio_irq_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return call(d->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

__u32 vp_device_number(const char *bdf)
{
	unsigned int domain, bus, dev, fn;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
		return 0;
	return domain << 16 | bus << 8 | dev << 3 | fn;
}

int vp_set_feature(const struct vp_dev *d, __u32 feature)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return call(d->fd, VFIO_DEVICE_FEATURE, &f);
}

int vp_events(int efd, int ms)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };
	__u64 n;

	if (poll(&p, 1, ms) != 1)
		return 0;
	return read(efd, &n, sizeof(n)) == sizeof(n) ? (int)n : -errno;
}
