// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/vfio: the migration state of devices.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "vfio.h"

static struct dentry *vfio_debugfs_root;

static const char * const vfio_mig_state_names[VFIO_DEVICE_STATE_NR] = {
	[VFIO_DEVICE_STATE_ERROR] = "ERROR",
	[VFIO_DEVICE_STATE_STOP] = "STOP",
	[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
	[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
	[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
	[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
	[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

static int vfio_debugfs_state_show(struct seq_file *m, void *unused)
{
	struct vfio_device *device = m->private;
	enum vfio_device_mig_state state;
	int ret;

	ret = device->mig_ops->migration_get_state(device, &state);
	if (ret)
		return ret;

	if ((unsigned int)state < VFIO_DEVICE_STATE_NR)
		seq_printf(m, "%s\n", vfio_mig_state_names[state]);
	else
		seq_puts(m, "Invalid\n");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vfio_debugfs_state);

/**
 * vfio_device_debugfs_init - show a device in debugfs
 * @device: a device that is about to be registered
 */
void vfio_device_debugfs_init(struct vfio_device *device)
{
	struct dentry *dir;

	device->debug_root = debugfs_create_dir(dev_name(device->dev),
						vfio_debugfs_root);
	if (!device->mig_ops)
		return;
	dir = debugfs_create_dir("migration", device->debug_root);
	debugfs_create_file("state", 0400, dir, device,
			    &vfio_debugfs_state_fops);
}

/**
 * vfio_device_debugfs_exit - undo vfio_device_debugfs_init()
 * @device: the device; returns when no reader is left
 */
void vfio_device_debugfs_exit(struct vfio_device *device)
{
	debugfs_remove_recursive(device->debug_root);
	device->debug_root = NULL;
}

void vfio_debugfs_create_root(void)
{
	vfio_debugfs_root = debugfs_create_dir("vfio", NULL);
}

void vfio_debugfs_remove_root(void)
{
	debugfs_remove_recursive(vfio_debugfs_root);
	vfio_debugfs_root = NULL;
}
