// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a vfio_device, and of the module.
 */
#define pr_fmt(fmt) "vfio: " fmt

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "vfio.h"

static DEFINE_IDA(vfio_device_ida);
static struct vfsmount *vfio_mnt;

static char *vfio_device_devnode(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/devices/%s", dev_name(dev));
}

static const struct class vfio_dev_class = {
	.name = "vfio-dev",
	.devnode = vfio_device_devnode,
	.dev_groups = vfio_device_groups,
};

/*
 * The inodes of this file system have no names and no files. Each lends its
 * mapping to all files of one device.
 */
#define VFIO_FS_MAGIC	0x7666696f

static int vfio_fs_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, VFIO_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: our own mount would keep the module loaded */
static struct file_system_type vfio_fs_type = {
	.name = "vfio",
	.init_fs_context = vfio_fs_init_fs_context,
	.kill_sb = kill_anon_super,
};

static void vfio_device_release(struct device *dev)
{
	struct vfio_device *device =
		container_of(dev, struct vfio_device, device);

	vfio_release_device_set(device);
	if (device->ops->release)
		device->ops->release(device);
	xa_destroy(&device->pasids);
	mutex_destroy(&device->attach_lock);
	iput(device->inode);
	ida_free(&vfio_device_ida, device->index);
	kvfree(device);
}

static int vfio_device_init(struct vfio_device *device, struct device *dev,
			    const struct vfio_device_ops *ops)
{
	int ret;

	ret = ida_alloc_max(&vfio_device_ida, MINORMASK, GFP_KERNEL);
	if (ret < 0)
		return ret;
	device->index = ret;

	device->inode = alloc_anon_inode(vfio_mnt->mnt_sb);
	if (IS_ERR(device->inode)) {
		ret = PTR_ERR(device->inode);
		goto err_free_index;
	}

	device->dev = dev;
	device->ops = ops;
	init_completion(&device->comp);
	mutex_init(&device->attach_lock);
	xa_init_flags(&device->pasids, XA_FLAGS_ACCOUNT);

	if (ops->init) {
		ret = ops->init(device);
		if (ret)
			goto err_put_inode;
	}

	device_initialize(&device->device);
	device->device.release = vfio_device_release;
	device->device.class = &vfio_dev_class;
	device->device.parent = device->dev;
	return 0;

err_put_inode:
	/* A driver's init() may have joined a set before it failed */
	vfio_release_device_set(device);
	xa_destroy(&device->pasids);
	mutex_destroy(&device->attach_lock);
	iput(device->inode);
err_free_index:
	ida_free(&vfio_device_ida, device->index);
	return ret;
}

/**
 * _vfio_alloc_device - allocate a driver's structure around a vfio_device
 * @size: bytes to allocate; the struct vfio_device comes first
 * @dev: the device
 * @ops: the driver's callbacks
 *
 * Drivers use vfio_alloc_device(). Calls &vfio_device_ops.init.
 *
 * Return: the device, to be released by vfio_put_device(), or an ERR_PTR().
 */
struct vfio_device *_vfio_alloc_device(size_t size, struct device *dev,
				       const struct vfio_device_ops *ops)
{
	struct vfio_device *device;
	int ret;

	if (WARN_ON(size < sizeof(struct vfio_device)))
		return ERR_PTR(-EINVAL);

	device = kvzalloc(size, GFP_KERNEL);
	if (!device)
		return ERR_PTR(-ENOMEM);

	ret = vfio_device_init(device, dev, ops);
	if (ret) {
		kvfree(device);
		return ERR_PTR(ret);
	}
	return device;
}
EXPORT_SYMBOL_GPL(_vfio_alloc_device);

static int vfio_device_publish(struct vfio_device *device,
			       enum vfio_iommu_kind kind)
{
	int ret;

	ret = vfio_device_join_group(device, kind);
	if (ret)
		return ret;

	/* The name tells programs what they are in for */
	ret = dev_set_name(&device->device, "%svfio%u",
			   device->iommu_kind == VFIO_IOMMU_NONE ? "noiommu-" :
								   "",
			   device->index);
	if (ret)
		goto err_leave_group;

	/*
	 * User space has no means to make memory coherent with the CPU's caches
	 * again, so DMA must not leave them incoherent in the first place.
	 */
	if (device->iommu_kind == VFIO_IOMMU_PHYSICAL &&
	    !device_iommu_capable(device->dev, IOMMU_CAP_CACHE_COHERENCY)) {
		dev_warn(device->dev,
			 "refused: the IOMMU does not keep DMA coherent with the caches\n");
		ret = -EINVAL;
		goto err_leave_group;
	}

	/* Announce the node only when it can be opened */
	dev_set_uevent_suppress(&device->device, 1);
	ret = vfio_device_add(device, &vfio_device_fops);
	if (ret)
		goto err_leave_group;

	vfio_device_debugfs_init(device);
	refcount_set(&device->refcount, 1);
	vfio_device_group_publish(device);
	dev_set_uevent_suppress(&device->device, 0);
	kobject_uevent(&device->device.kobj, KOBJ_ADD);
	return 0;

err_leave_group:
	vfio_device_leave_group(device);
	return ret;
}

static int vfio_device_register(struct vfio_device *device,
				enum vfio_iommu_kind kind)
{
	const struct vfio_device_ops *ops = device->ops;
	int ret;

	if (WARN_ON(!ops->bind_iommufd || !ops->unbind_iommufd ||
		    !ops->attach_ioas || !ops->detach_ioas ||
		    !ops->pasid_attach_ioas != !ops->pasid_detach_ioas))
		return -EINVAL;

	/* A driver that shares with nobody has a set of its own */
	if (!device->dev_set) {
		ret = vfio_assign_device_set(device, device);
		if (ret)
			return ret;
	}
	ret = vfio_device_publish(device, kind);
	/* Its memory may last longer than the driver's hold of the device */
	if (ret)
		vfio_device_set_retract(device);
	return ret;
}

/**
 * vfio_register_group_dev - offer a device behind an IOMMU to userspace
 * @device: from vfio_alloc_device(), completely set up: it may be opened before
 *          this returns
 *
 * Return: 0; -EINVAL if the device has no IOMMU, or one that does not keep DMA
 * coherent; -ENOMEM.
 */
int vfio_register_group_dev(struct vfio_device *device)
{
	return vfio_device_register(device, VFIO_IOMMU_PHYSICAL);
}
EXPORT_SYMBOL_GPL(vfio_register_group_dev);

/**
 * vfio_register_emulated_iommu_dev - offer a software device to userspace
 * @device: from vfio_alloc_device(), completely set up
 *
 * The device reaches the user's memory with vfio_pin_pages() and vfio_dma_rw()
 * only.
 *
 * Return: as for vfio_register_group_dev().
 */
int vfio_register_emulated_iommu_dev(struct vfio_device *device)
{
	return vfio_device_register(device, VFIO_IOMMU_EMULATED);
}
EXPORT_SYMBOL_GPL(vfio_register_emulated_iommu_dev);

/**
 * vfio_unregister_group_dev - take a device away from userspace
 * @device: a registered device
 *
 * Asks the user to close the device with &vfio_device_ops.request and returns
 * when that is done, however long it takes. The caller must hold no lock that
 * closing the device needs, and keeps the reference of vfio_alloc_device().
 */
void vfio_unregister_group_dev(struct vfio_device *device)
{
	/*
	 * New users come through (1) the group's list and (2) the character
	 * device. Close both, then (3) the drain sees off those who are in.
	 * Attributes and debugfs files, which may look at the group, have their
	 * readers out before the group is left. (4) Other members of the set
	 * reach for it when they are reset; its memory may last longer than
	 * what it stands for.
	 */
	vfio_device_group_retract(device);
	/* It belongs to the driver's device as long as that is there */
	vfio_device_debugfs_exit(device);
	vfio_device_del(device);
	vfio_device_drain(device);
	vfio_device_leave_group(device);
	vfio_device_set_retract(device);
}
EXPORT_SYMBOL_GPL(vfio_unregister_group_dev);

static int __init vfio_init(void)
{
	int ret;

	vfio_mnt = kern_mount(&vfio_fs_type);
	if (IS_ERR(vfio_mnt))
		return PTR_ERR(vfio_mnt);

	ret = vfio_virqfd_init();
	if (ret)
		goto err_unmount;

	ret = class_register(&vfio_dev_class);
	if (ret) {
		pr_err("cannot register the class vfio-dev: %d (is another VFIO loaded or built in?)\n",
		       ret);
		goto err_virqfd;
	}

	ret = vfio_cdev_init();
	if (ret)
		goto err_class;

	ret = vfio_group_file_init();
	if (ret)
		goto err_cdev;

	vfio_noiommu_init();
	vfio_debugfs_create_root();
	return 0;

err_cdev:
	vfio_cdev_cleanup();
err_class:
	class_unregister(&vfio_dev_class);
err_virqfd:
	vfio_virqfd_cleanup();
err_unmount:
	kern_unmount(vfio_mnt);
	return ret;
}

static void __exit vfio_exit(void)
{
	vfio_debugfs_remove_root();
	vfio_noiommu_cleanup();
	vfio_group_cleanup();
	vfio_cdev_cleanup();
	class_unregister(&vfio_dev_class);
	vfio_virqfd_cleanup();
	kern_unmount(vfio_mnt);
	ida_destroy(&vfio_device_ida);
}

module_init(vfio_init);
module_exit(vfio_exit);

MODULE_DESCRIPTION("VFIO: devices driven by userspace");
MODULE_VERSION("1.0.0");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("IOMMUFD");
MODULE_IMPORT_NS("IOMMUFD_VFIO");
