// SPDX-License-Identifier: GPL-2.0-only
#include "vfio_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PCI_DEVICES	"/sys/bus/pci/devices"

int vu_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static int vu_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int vu_read_file(const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd;

	fd = vu_open(path, O_RDONLY);
	if (fd < 0)
		return fd;
	len = read(fd, buf, size - 1);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return len;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return len;
}

int vu_write_file(const char *path, const char *text)
{
	ssize_t len;
	int fd;

	fd = vu_open(path, O_WRONLY);
	if (fd < 0)
		return fd;
	len = write(fd, text, strlen(text));
	if (len < 0)
		len = -errno;
	close(fd);
	return len < 0 ? len : 0;
}

static void vu_path(char path[PATH_MAX], const char *bdf, const char *name)
{
	snprintf(path, PATH_MAX, "%s%s/%s", bdf[0] == '/' ? "" : PCI_DEVICES "/",
		 bdf, name);
}

static bool vu_is(const char *bdf, const char *attr, unsigned int value)
{
	char path[PATH_MAX], buf[32];

	vu_path(path, bdf, attr);
	if (vu_read_file(path, buf, sizeof(buf)) < 0)
		return false;
	return strtoul(buf, NULL, 0) == value;
}

static int vu_dot_filter(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

bool vu_find_pci(unsigned int vendor, unsigned int device, unsigned int nth,
		 char bdf[VU_NAME_MAX])
{
	struct dirent **names;
	bool found = false;
	int i, nr;

	nr = scandir(PCI_DEVICES, &names, vu_dot_filter, alphasort);
	for (i = 0; i < nr; i++) {
		if (!found && vu_is(names[i]->d_name, "vendor", vendor) &&
		    vu_is(names[i]->d_name, "device", device) && !nth--) {
			snprintf(bdf, VU_NAME_MAX, "%.60s",
				 names[i]->d_name);
			found = true;
		}
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
	return found;
}

bool vu_find_group_mates(unsigned int vendor, unsigned int device,
			 char a[VU_NAME_MAX], char b[VU_NAME_MAX])
{
	unsigned int i, j;

	for (i = 0; vu_find_pci(vendor, device, i, a); i++)
		for (j = i + 1; vu_find_pci(vendor, device, j, b); j++)
			if (vu_group(a) >= 0 && vu_group(a) == vu_group(b))
				return true;
	return false;
}

bool vu_is_alone(const char *bdf)
{
	const size_t bus = strlen("0000:00:");
	unsigned int mates = 0;
	struct dirent *entry;
	DIR *dir;

	if (!strncmp(bdf, "0000:00:", bus))
		return false;
	dir = opendir(PCI_DEVICES);
	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		mates += !strncmp(entry->d_name, bdf, bus);
	closedir(dir);
	return mates == 1;
}

static int vu_link(const char *bdf, const char *name, char target[VU_NAME_MAX])
{
	char path[PATH_MAX], buf[PATH_MAX];
	ssize_t len;

	vu_path(path, bdf, name);
	len = readlink(path, buf, sizeof(buf) - 1);
	if (len < 0)
		return -errno;
	buf[len] = '\0';
	snprintf(target, VU_NAME_MAX, "%.60s", strrchr(buf, '/') + 1);
	return 0;
}

int vu_driver(const char *bdf, char driver[VU_NAME_MAX])
{
	return vu_link(bdf, "driver", driver);
}

int vu_group(const char *bdf)
{
	char group[VU_NAME_MAX];
	int ret;

	ret = vu_link(bdf, "iommu_group", group);
	return ret ? ret : atoi(group);
}

int vu_remove(const char *bdf)
{
	char path[PATH_MAX];

	vu_path(path, bdf, "remove");
	return vu_write_file(path, "1");
}

int vu_rescan(void)
{
	return vu_write_file("/sys/bus/pci/rescan", "1");
}

int vu_give_to(const char *bdf, const char *driver)
{
	char path[PATH_MAX], now[VU_NAME_MAX];
	int ret;

	vu_path(path, bdf, "driver_override");
	ret = vu_write_file(path, driver ? driver : "\n");
	if (ret)
		return ret;

	if (!vu_driver(bdf, now) && (!driver || strcmp(driver, now))) {
		vu_path(path, bdf, "driver/unbind");
		ret = vu_write_file(path, bdf);
		if (ret)
			return ret;
	}
	if (!driver)
		return 0;

	/* The probe's own errno gets lost in drivers_probe */
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	ret = vu_write_file(path, bdf);
	/* Who has it already, perhaps since just now, has probed it when we hear that. */
	if (ret == -EBUSY && !vu_driver(bdf, now) && !strcmp(driver, now))
		ret = 0;
	return ret;
}

static int vu_cdev_name(const char *bdf, char name[VU_NAME_MAX])
{
	char path[PATH_MAX];
	struct dirent *entry;
	int ret = -ENOENT;
	DIR *dir;

	vu_path(path, bdf, "vfio-dev");
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		if (!strncmp(entry->d_name, "vfio", 4)) {
			snprintf(name, VU_NAME_MAX, "%.60s", entry->d_name);
			ret = 0;
		}
	}
	closedir(dir);
	return ret;
}

int vu_cdev_path(const char *bdf, char path[PATH_MAX])
{
	char name[VU_NAME_MAX];
	int ret;

	ret = vu_cdev_name(bdf, name);
	if (!ret)
		snprintf(path, PATH_MAX, "/dev/vfio/devices/%s", name);
	return ret;
}

int vu_cdev_attr(const char *bdf, const char *attr, char *buf, size_t size)
{
	char path[PATH_MAX], name[VU_NAME_MAX], file[3 * VU_NAME_MAX];
	int ret;

	ret = vu_cdev_name(bdf, name);
	if (ret)
		return ret;
	snprintf(file, sizeof(file), "vfio-dev/%s/%s", name, attr);
	vu_path(path, bdf, file);
	return vu_read_file(path, buf, size);
}

int vu_cdev_open(const char *bdf)
{
	char path[PATH_MAX];
	int ret;

	ret = vu_cdev_path(bdf, path);
	return ret ? ret : vu_open(path, O_RDWR);
}

int vu_bind(int dev, int iommufd, __u32 *devid)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = offsetof(struct vfio_device_bind_iommufd, out_devid) +
			 sizeof(bind.out_devid),
		.iommufd = iommufd,
	};
	int ret;

	ret = vu_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (!ret && devid)
		*devid = bind.out_devid;
	return ret;
}

int vu_attach(int dev, __u32 *pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pt_id) +
			 sizeof(attach.pt_id),
		.pt_id = *pt_id,
	};
	int ret;

	ret = vu_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	if (!ret)
		*pt_id = attach.pt_id;
	return ret;
}

int vu_detach(int dev)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = offsetof(struct vfio_device_detach_iommufd_pt, flags) +
			 sizeof(detach.flags),
	};

	return vu_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int vu_group_open(int group)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	return vu_open(path, O_RDWR);
}

int vu_group_flags(int group, __u32 *flags)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int ret;

	ret = vu_ioctl(group, VFIO_GROUP_GET_STATUS, &status);
	*flags = status.flags;
	return ret;
}

int vu_set_container(int group, int container)
{
	return vu_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

int vu_unset_container(int group)
{
	return vu_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

int vu_get_device_fd(int group, const char *name)
{
	return vu_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)name);
}

int vu_iommufd_open(void)
{
	return vu_open("/dev/iommu", O_RDWR);
}

int vu_ioas_alloc(int iommufd, __u32 *ioas)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret;

	ret = vu_ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc);
	*ioas = alloc.out_ioas_id;
	return ret;
}

int vu_ioas_map_prot(int iommufd, __u32 ioas, void *mem, size_t length,
		     __u64 iova, __u32 prot)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
		.ioas_id = ioas,
		.user_va = (uintptr_t)mem,
		.length = length,
		.iova = iova,
	};

	return vu_ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

int vu_ioas_map(int iommufd, __u32 ioas, void *mem, size_t length, __u64 iova)
{
	return vu_ioas_map_prot(iommufd, ioas, mem, length, iova,
				IOMMU_IOAS_MAP_READABLE |
				IOMMU_IOAS_MAP_WRITEABLE);
}

int vu_ioas_map_file(int iommufd, __u32 ioas, int fd, __u64 start,
		     size_t length, __u64 iova, __u32 prot)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return vu_ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

int vu_ioas_unmap(int iommufd, __u32 ioas, __u64 iova, size_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return vu_ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

int vu_destroy(int iommufd, __u32 id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return vu_ioctl(iommufd, IOMMU_DESTROY, &destroy);
}

int vu_device_info(int dev, struct vfio_device_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	return vu_ioctl(dev, VFIO_DEVICE_GET_INFO, info);
}

int vu_fdinfo(int fd, const char *key, char *buf, size_t size)
{
	char path[PATH_MAX], line[1024];
	size_t len = strlen(key);
	int ret = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	while (ret && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, len) || line[len] != ':')
			continue;
		line[strcspn(line, "\n")] = '\0';
		len += 1 + strspn(line + len + 1, " \t");
		snprintf(buf, size, "%s", line + len);
		ret = 0;
	}
	fclose(file);
	return ret;
}

long vu_pins(void)
{
	char name[64];
	long value, pins = 0;
	FILE *file;
	int ret;

	/* Each processor counts for itself; this adds up */
	ret = vu_write_file("/proc/sys/vm/stat_refresh", "1");
	if (ret)
		return ret;
	file = fopen("/proc/vmstat", "r");
	if (!file)
		return -errno;
	while (fscanf(file, "%63s %ld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			pins += value;
		else if (!strcmp(name, "nr_foll_pin_released"))
			pins -= value;
	}
	fclose(file);
	return pins;
}

double vu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int vu_open_files(void)
{
	int fd, nr = 0;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

int vu_send_fd(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	char byte = 'f';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int vu_recv_fd(int sock)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

bool vu_sleeps(pid_t pid)
{
	char path[PATH_MAX], buf[1024], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (vu_read_file(path, buf, sizeof(buf)) < 0)
		return false;
	state = strrchr(buf, ')');
	return state && (state[2] == 'S' || state[2] == 'D');
}
