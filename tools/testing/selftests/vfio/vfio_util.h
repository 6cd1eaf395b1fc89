/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VFIO selftests do to devices, in one line each.
 *
 * Functions return 0, or what they say, or a negative errno: a test compares
 * with the errno that it expects.
 */
#ifndef VFIO_UTIL_H
#define VFIO_UTIL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

/* As QEMU and DPDK spell them; long enough for a UUID, too */
#define VU_NAME_MAX	64

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8

/* ioctl(), with the errno as its result */
int vu_ioctl(int fd, unsigned long cmd, void *arg);

/* ---- sysfs */

/* Read a file, without the line feed at its end; gives the length */
int vu_read_file(const char *path, char *buf, size_t size);
int vu_write_file(const char *path, const char *text);

/*
 * ---- devices
 *
 * A PCI device is named by its address, any other by its directory in sysfs.
 */

/* The nth device of that kind, as "0000:00:02.0" */
bool vu_find_pci(unsigned int vendor, unsigned int device, unsigned int nth,
		 char bdf[VU_NAME_MAX]);
/* Two devices of that kind in one group */
bool vu_find_group_mates(unsigned int vendor, unsigned int device,
			 char a[VU_NAME_MAX], char b[VU_NAME_MAX]);

/* Nothing else is on its bus, and that is not the root bus */
bool vu_is_alone(const char *bdf);

/* Name of the driver, or -ENOENT */
int vu_driver(const char *bdf, char driver[VU_NAME_MAX]);
/* Give a PCI device to a driver, or to none for NULL, whoever has it now */
int vu_give_to(const char *bdf, const char *driver);
int vu_group(const char *bdf);
/* Take a PCI device out of the kernel's sight, and look for all that there are */
int vu_remove(const char *bdf);
int vu_rescan(void);

/* ---- character devices */

/* "/dev/vfio/devices/vfioN" */
int vu_cdev_path(const char *bdf, char path[PATH_MAX]);
/* An attribute in the device's vfio-dev directory */
int vu_cdev_attr(const char *bdf, const char *attr, char *buf, size_t size);
int vu_cdev_open(const char *bdf);
int vu_bind(int dev, int iommufd, __u32 *devid);
int vu_attach(int dev, __u32 *pt_id);
int vu_detach(int dev);

/* ---- groups */

int vu_group_open(int group);
int vu_group_flags(int group, __u32 *flags);
int vu_set_container(int group, int container);
int vu_unset_container(int group);
int vu_get_device_fd(int group, const char *name);

/* ---- iommufd */

int vu_iommufd_open(void);
int vu_ioas_alloc(int iommufd, __u32 *ioas);
int vu_ioas_map(int iommufd, __u32 ioas, void *mem, size_t length, __u64 iova);
/* With other flags than readable and writeable */
int vu_ioas_map_prot(int iommufd, __u32 ioas, void *mem, size_t length,
		     __u64 iova, __u32 prot);
int vu_ioas_map_file(int iommufd, __u32 ioas, int fd, __u64 start,
		     size_t length, __u64 iova, __u32 prot);
int vu_ioas_unmap(int iommufd, __u32 ioas, __u64 iova, size_t length);
int vu_destroy(int iommufd, __u32 id);

/* ---- all devices */

int vu_device_info(int dev, struct vfio_device_info *info);
/* The value of a key of fdinfo, or -ENOENT */
int vu_fdinfo(int fd, const char *key, char *buf, size_t size);

/* ---- memory */

/* How many pages are pinned in the whole machine; a negative errno */
long vu_pins(void);

/* ---- time and processes */

double vu_seconds(void);
/* How many files this process has open */
int vu_open_files(void);

int vu_send_fd(int sock, int fd);
int vu_recv_fd(int sock);
/* Is the process asleep, not to be woken by anything but what it waits for? */
bool vu_sleeps(pid_t pid);

#endif
