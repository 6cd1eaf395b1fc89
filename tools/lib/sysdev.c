// SPDX-License-Identifier: GPL-2.0-only
/* Devices in sysfs. See sysdev.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysdev.h"

int file_read(const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return (int)len;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return (int)len;
}

int file_write(const char *path, const char *text)
{
	int fd, err = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void sysdev_path(char path[PATH_MAX], const char *dev, const char *name)
{
	snprintf(path, PATH_MAX, "%s%s/%s", dev[0] == '/' ? "" : SYSDEV_PCI "/",
		 dev, name);
}

int sysdev_read(const char *dev, const char *attr, char *buf, size_t size)
{
	char path[PATH_MAX];

	sysdev_path(path, dev, attr);
	return file_read(path, buf, size);
}

int sysdev_write(const char *dev, const char *attr, const char *text)
{
	char path[PATH_MAX];

	sysdev_path(path, dev, attr);
	return file_write(path, text);
}

bool sysdev_is(const char *dev, const char *attr, unsigned long value)
{
	char buf[32];

	if (sysdev_read(dev, attr, buf, sizeof(buf)) < 0)
		return false;
	return strtoul(buf, NULL, 0) == value;
}

/* The last component of what a symbolic link points to */
static int sysdev_link(const char *dev, const char *name,
		       char target[SYSDEV_NAME_MAX])
{
	char path[PATH_MAX], buf[PATH_MAX];
	const char *slash;
	ssize_t len;

	sysdev_path(path, dev, name);
	len = readlink(path, buf, sizeof(buf) - 1);
	if (len < 0)
		return -errno;
	buf[len] = '\0';
	slash = strrchr(buf, '/');
	snprintf(target, SYSDEV_NAME_MAX, "%.60s", slash ? slash + 1 : buf);
	return 0;
}

/* -ENOENT if there is none */
int sysdev_driver(const char *dev, char driver[SYSDEV_NAME_MAX])
{
	return sysdev_link(dev, "driver", driver);
}

int sysdev_group(const char *dev)
{
	char group[SYSDEV_NAME_MAX];
	int err;

	err = sysdev_link(dev, "iommu_group", group);
	return err ? err : atoi(group);
}

/*
 * sysdev_set_driver - bind a PCI device to a driver, unbind it from any other
 * @bdf: the device
 * @driver: its driver from now on, which must be loaded, or NULL for none
 *
 * Return: 0, or the errno of the step that failed: that of the driver's probe if
 * it was the last one.
 */
int sysdev_set_driver(const char *bdf, const char *driver)
{
	char path[PATH_MAX], now[SYSDEV_NAME_MAX];
	int err;

	err = sysdev_write(bdf, "driver_override", driver ? driver : "\n");
	if (err)
		return err;

	if (!sysdev_driver(bdf, now) && (!driver || strcmp(driver, now))) {
		err = sysdev_write(bdf, "driver/unbind", bdf);
		if (err)
			return err;
	}
	if (!driver)
		return 0;

	/* drivers_probe loses the errno of the probe. */
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	err = file_write(path, bdf);
	/* It is bound already, maybe since a moment ago. */
	if (err == -EBUSY && !sysdev_driver(bdf, now) && !strcmp(driver, now))
		err = 0;
	return err;
}

static int sysdev_not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

bool sysdev_find_pci(unsigned int vendor, unsigned int device, unsigned int nth,
		     char bdf[SYSDEV_NAME_MAX])
{
	struct dirent **names;
	bool found = false;
	int i, nr;

	nr = scandir(SYSDEV_PCI, &names, sysdev_not_hidden, alphasort);
	for (i = 0; i < nr; i++) {
		if (!found && sysdev_is(names[i]->d_name, "vendor", vendor) &&
		    sysdev_is(names[i]->d_name, "device", device) && !nth--) {
			snprintf(bdf, SYSDEV_NAME_MAX, "%.60s",
				 names[i]->d_name);
			found = true;
		}
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
	return found;
}

static int sysdev_cdev_name(const char *dev, char name[SYSDEV_NAME_MAX])
{
	char path[PATH_MAX];
	struct dirent *entry;
	int err = -ENOENT;
	DIR *dir;

	sysdev_path(path, dev, "vfio-dev");
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.') {
			snprintf(name, SYSDEV_NAME_MAX, "%.60s", entry->d_name);
			err = 0;
		}
	}
	closedir(dir);
	return err;
}

/*
 * "/dev/vfio/devices/vfioN", or noiommu-vfioN; -ENOENT if the device is not bound
 * to a VFIO driver
 */
int sysdev_cdev_path(const char *dev, char path[PATH_MAX])
{
	char name[SYSDEV_NAME_MAX];
	int err;

	err = sysdev_cdev_name(dev, name);
	if (!err)
		snprintf(path, PATH_MAX, "/dev/vfio/devices/%s", name);
	return err;
}

int sysdev_cdev_read(const char *dev, const char *attr, char *buf, size_t size)
{
	char name[SYSDEV_NAME_MAX], file[3 * SYSDEV_NAME_MAX];
	int err;

	err = sysdev_cdev_name(dev, name);
	if (err)
		return err;
	snprintf(file, sizeof(file), "vfio-dev/%s/%s", name, attr);
	return sysdev_read(dev, file, buf, size);
}
