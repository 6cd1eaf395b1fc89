/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of VFIO's character devices and groups, a function each. They return
 * 0 or a negative errno, as those of iommufd.h do.
 */
#ifndef TEST_VFIO_H
#define TEST_VFIO_H

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "../../../lib/sysdev.h"
#include "call.h"

/* argsz without the members that later headers have behind @member */
#define VFIO_UPTO(type, member)						\
	(offsetof(type, member) + sizeof(((type *)0)->member))

/* Character devices */

static inline int cdev_open_path(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int cdev_open(const char *bdf)
{
	char path[PATH_MAX];
	int ret = sysdev_cdev_path(bdf, path);

	return ret ? ret : cdev_open_path(path);
}

/*
 * The address of the PCI device that "/dev/vfio/devices/vfioN" stands for
 */
static inline int cdev_bdf(const char *cdev, char bdf[PATH_MAX])
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
		.argsz = VFIO_UPTO(struct vfio_device_bind_iommufd, out_devid),
		.iommufd = iommufd,
	};
	int rc = call(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (devid)
		*devid = cmd.out_devid;
	return rc;
}

static inline int cdev_attach(int dev, __u32 *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = VFIO_UPTO(struct vfio_device_attach_iommufd_pt, pt_id),
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
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = VFIO_UPTO(struct vfio_device_detach_iommufd_pt, flags),
	};

	return call(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

/* With a PASID, which headers before those of 6.15 do not have */

#define CDEV_PT_PASID	(1 << 0)

static inline int cdev_attach_pasid(int dev, __u32 pasid, __u32 pt)
{
	struct {
		__u32 argsz;
		__u32 flags;
		__u32 pt_id;
		__u32 pasid;
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = CDEV_PT_PASID,
		.pt_id = pt,
		.pasid = pasid,
	};

	return call(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static inline int cdev_detach_pasid(int dev, __u32 pasid)
{
	struct {
		__u32 argsz;
		__u32 flags;
		__u32 pasid;
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = CDEV_PT_PASID,
		.pasid = pasid,
	};

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

/* Groups */

static inline int group_open(int group)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Give a device to vfio-pci, and open its group. @driver receives what it had before
 * or "", for group_give_back()
 */
static inline int group_take(const char *bdf, char driver[SYSDEV_NAME_MAX])
{
	int rc;

	if (sysdev_driver(bdf, driver))
		driver[0] = '\0';
	rc = sysdev_set_driver(bdf, "vfio-pci");
	if (rc)
		return rc;
	rc = sysdev_group(bdf);
	return rc < 0 ? rc : group_open(rc);
}

static inline int group_give_back(const char *bdf, const char *driver)
{
	return sysdev_set_driver(bdf, driver[0] ? driver : NULL);
}

static inline int group_flags(int group, __u32 *flags)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int ret = call(group, VFIO_GROUP_GET_STATUS, &status);

	*flags = status.flags;
	return ret;
}

static inline int group_set_container(int group, int container)
{
	return call(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static inline int group_unset_container(int group)
{
	return call(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

/* The descriptor of a device, whose name is the address of a PCI device */
static inline int group_get_device(int group, const char *name)
{
	return call(group, VFIO_GROUP_GET_DEVICE_FD, name);
}

/* Devices that are open by either */

static inline int device_info(int dev, struct vfio_device_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	return call(dev, VFIO_DEVICE_GET_INFO, info);
}

#endif
