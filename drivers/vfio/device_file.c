// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of devices: what a user can do with them, however they were opened.
 */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "vfio.h"

static bool vfio_df_ready(struct vfio_device_file *df)
{
	/* Pairs with the store that follows vfio_df_open() */
	return smp_load_acquire(&df->ready);
}

/* Keep the device out of runtime suspend while a request is carried out */
static int vfio_device_pm_get(struct vfio_device *device)
{
	struct device *dev = device->dev;
	int ret;

	if (!dev->driver->pm)
		return 0;

	ret = pm_runtime_resume_and_get(dev);
	if (ret) {
		dev_info_ratelimited(dev, "cannot resume the device: %d\n", ret);
		return -EIO;
	}
	return 0;
}

static void vfio_device_pm_put(struct vfio_device *device)
{
	if (device->dev->driver->pm)
		pm_runtime_put(device->dev);
}

static long vfio_device_ioctl(struct vfio_device_file *df, unsigned int cmd,
			      unsigned long arg)
{
	struct vfio_device *device = df->device;
	void __user *uarg = (void __user *)arg;

	/* Through a group, attaching is the container's business */
	if (!df->group && cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return vfio_df_ioctl_attach(df, uarg);
	if (!df->group && cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT)
		return vfio_df_ioctl_detach(df, uarg);
	if (cmd == VFIO_DEVICE_FEATURE)
		return vfio_ioctl_device_feature(device, uarg);
	if (cmd == VFIO_DEVICE_GET_REGION_INFO &&
	    device->ops->get_region_info_caps)
		return vfio_get_region_info(device,
					    device->ops->get_region_info_caps,
					    uarg);
	if (!device->ops->ioctl)
		return -EINVAL;
	return device->ops->ioctl(device, cmd, arg);
}

/* In words, what the errno of a driver does not say */
static const struct {
	unsigned int cmd;
	int error;
	const char *why;
} vfio_refusals[] = {
	{ VFIO_DEVICE_SET_IRQS, -ENOSPC,
	  "set irqs: the machine has fewer interrupt vectors left than were asked for" },
	{ VFIO_DEVICE_RESET, -EINVAL,
	  "reset: not possible alone, only with its bus: VFIO_DEVICE_PCI_HOT_RESET" },
};

static void vfio_device_explain(struct vfio_device_file *df, unsigned int cmd,
				long error)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vfio_refusals); i++)
		if (vfio_refusals[i].cmd == cmd &&
		    vfio_refusals[i].error == error)
			vfio_df_refuse(df, error, vfio_refusals[i].why);
}

static long vfio_device_fops_unl_ioctl(struct file *file, unsigned int cmd,
				       unsigned long arg)
{
	struct vfio_device_file *df = file->private_data;
	long ret;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfio_df_ioctl_bind(df, (void __user *)arg);

	if (!vfio_df_ready(df))
		return -EINVAL;

	ret = vfio_device_pm_get(df->device);
	if (ret)
		return ret;
	ret = vfio_device_ioctl(df, cmd, arg);
	vfio_device_pm_put(df->device);
	if (ret < 0)
		vfio_device_explain(df, cmd, ret);
	return ret;
}

static ssize_t vfio_device_fops_read(struct file *file, char __user *buf,
				     size_t count, loff_t *ppos)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = df->device;

	if (!vfio_df_ready(df) || !device->ops->read)
		return -EINVAL;
	return device->ops->read(device, buf, count, ppos);
}

static ssize_t vfio_device_fops_write(struct file *file,
				      const char __user *buf, size_t count,
				      loff_t *ppos)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = df->device;

	if (!vfio_df_ready(df) || !device->ops->write)
		return -EINVAL;
	return device->ops->write(device, buf, count, ppos);
}

static int vfio_device_fops_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = df->device;

	if (!vfio_df_ready(df) || !device->ops->mmap)
		return -EINVAL;
	return device->ops->mmap(device, vma);
}

static int vfio_device_fops_release(struct inode *inode, struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	if (df->group)
		vfio_df_group_close(df);
	else
		vfio_df_cdev_close(df);
	vfio_device_put_registration(df->device);
	kfree(df);
	return 0;
}

#ifdef CONFIG_PROC_FS
static void vfio_device_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct vfio_device_file *df = file->private_data;
	struct vfio_device *device = df->device;
	const char *refusal;
	char *path;

	path = kobject_get_path(&device->dev->kobj, GFP_KERNEL);
	if (path)
		seq_printf(m, "vfio-device-syspath:\t/sys%s\n", path);
	kfree(path);

	seq_printf(m, "vfio-device-name:\t%s\n", dev_name(device->dev));
	seq_printf(m, "vfio-device-node:\t%s\n", dev_name(&device->device));
	if (df->group)
		vfio_group_show_fdinfo(df->group, m);
	else
		seq_puts(m, "vfio-opened-by:\tcdev\n");

	refusal = READ_ONCE(df->refusal);
	if (refusal)
		seq_printf(m, "vfio-refusal:\t%s\n", refusal);

	if (!vfio_df_ready(df)) {
		seq_puts(m, "vfio-state:\tunbound\n");
		return;
	}
	/* All but the attachment is constant now, and that may change anyway */
	if (!device->iommufd_bound) {
		seq_puts(m, "vfio-state:\tno iommu\n");
	} else {
		seq_printf(m, "vfio-state:\t%s\n",
			   READ_ONCE(device->iommufd_attached) ?
			   "attached" : "bound");
		seq_printf(m, "vfio-iommufd-devid:\t%u\n",
			   device->iommufd_devid);
	}

	if (device->ops->show_fdinfo)
		device->ops->show_fdinfo(device, m);
}
#endif

const struct file_operations vfio_device_fops = {
	.owner = THIS_MODULE,
	.open = vfio_device_cdev_open,
	.release = vfio_device_fops_release,
	.read = vfio_device_fops_read,
	.write = vfio_device_fops_write,
	.unlocked_ioctl = vfio_device_fops_unl_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vfio_device_fops_mmap,
#ifdef CONFIG_PROC_FS
	.show_fdinfo = vfio_device_show_fdinfo,
#endif
};

/**
 * vfio_device_from_file - the device that a file is of
 * @file: any file
 *
 * Return: the device, registered as long as @file is held, or NULL.
 */
struct vfio_device *vfio_device_from_file(struct file *file)
{
	struct vfio_device_file *df = file->private_data;

	if (file->f_op != &vfio_device_fops)
		return NULL;
	return df->device;
}
