// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libudev.h>

#include "nodes.h"
#include "say.h"
#include "sysfs.h"

#define NODE_SECONDS	10

static bool node_is_ready(const char *path)
{
	struct udev_device *device;
	struct udev *udev;
	struct stat st;
	bool ready = false;

	if (stat(path, &st))
		return false;
	if (!sysfs_exists("/run/udev/control"))		/* there is no udev */
		return true;
	udev = udev_new();
	device = udev ? udev_device_new_from_devnum(udev, 'c', st.st_rdev) : NULL;
	if (device) {
		ready = udev_device_get_is_initialized(device);
		udev_device_unref(device);
	}
	if (udev)
		udev_unref(udev);
	return ready;
}

static int node_give(const char *path, uid_t uid, gid_t gid)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int i;

	for (i = 0; i < NODE_SECONDS * 50 && !node_is_ready(path); i++)
		nanosleep(&pause, NULL);
	if (chown(path, uid, gid))
		return say_error(path, NULL, "cannot change its owner: %s",
				 strerror(errno));
	/* The owner is to use it, and a group only if one was named. */
	if (chmod(path, gid == (gid_t)-1 ? 0600 : 0660))
		return say_error(path, NULL, "cannot change its mode: %s",
				 strerror(errno));
	return 0;
}

int nodes_give(struct device **list, uid_t uid, gid_t gid)
{
	int status = 0;

	devices_refresh();
	for (; *list && !status; list++) {
		const struct device *now = device_by_name((*list)->name);
		const char *node, *group;

		if (!now)
			return say_error((*list)->name, NULL,
					 "it has been unplugged");
		node = device_node_path(now);
		group = device_group_path(now);
		if (!node && !group)
			return say_error(now->name, NULL,
					 "it has no node in /dev that could have an owner");
		if (node)
			status = node_give(node, uid, gid);
		if (group && !status)
			status = node_give(group, uid, gid);
	}
	return status;
}
