// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vfio/N: what a user can do with the file of a group.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vfio.h"

static int vfio_group_fops_open(struct inode *inode, struct file *file)
{
	struct vfio_group *group =
		container_of(inode->i_cdev, struct vfio_group, cdev);

	guard(mutex)(&group->lock);

	if (!group->iommu_group)
		return -ENODEV;
	if (group->kind == VFIO_IOMMU_NONE &&
	    (!capable(CAP_SYS_RAWIO) || !vfio_noiommu_allowed()))
		return -EPERM;
	/* One user, and by one way only */
	if (group->cdev_opens || group->opened_file)
		return -EBUSY;

	group->opened_file = file;
	file->private_data = group;
	return 0;
}

static int vfio_group_fops_release(struct inode *inode, struct file *file)
{
	struct vfio_group *group = file->private_data;
	struct iommufd_ctx *ictx;

	scoped_guard(mutex, &group->lock) {
		/* Files of devices hold this one open */
		WARN_ON(group->device_files);
		ictx = vfio_group_drop_container(group);
	}
	vfio_group_leave_container(group, ictx);

	/* The next one may open it now */
	scoped_guard(mutex, &group->lock) {
		group->opened_file = NULL;
		WRITE_ONCE(group->refusal, NULL);
	}
	file->private_data = NULL;
	return 0;
}

static long vfio_group_ioctl_get_status(struct vfio_group *group,
					struct vfio_group_status __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_group_status, flags);
	struct vfio_group_status status;

	if (copy_from_user(&status, arg, minsz))
		return -EFAULT;
	if (status.argsz < minsz)
		return -EINVAL;

	status.flags = 0;
	scoped_guard(mutex, &group->lock) {
		if (!group->iommu_group)
			return -ENODEV;
		if (group->iommufd)
			status.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
		if (group->kind != VFIO_IOMMU_PHYSICAL ||
		    vfio_iommu_group_viable(group->iommu_group))
			status.flags |= VFIO_GROUP_FLAGS_VIABLE;
	}

	if (copy_to_user(arg, &status, minsz))
		return -EFAULT;
	return 0;
}

static long vfio_group_ioctl_set_container(struct vfio_group *group,
					   int __user *arg)
{
	struct vfio_device *device;
	struct iommufd_ctx *ictx;
	int fd, ret;

	if (get_user(fd, arg))
		return -EFAULT;
	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);

	ret = mutex_lock_killable(&group->setup_lock);
	if (ret)
		goto err_put;
	/* The group stays what it is as long as it has a device */
	device = vfio_group_get_device(group);
	if (device) {
		ret = vfio_group_set_container(group, ictx);
		vfio_device_put_registration(device);
	} else {
		ret = -ENODEV;
	}
	mutex_unlock(&group->setup_lock);
	if (ret)
		goto err_put;
	return 0;

err_put:
	iommufd_ctx_put(ictx);
	return ret;
}

static long vfio_group_ioctl_unset_container(struct vfio_group *group)
{
	struct iommufd_ctx *ictx = NULL;
	int ret = 0;

	if (mutex_lock_killable(&group->setup_lock))
		return -EINTR;
	scoped_guard(mutex, &group->lock) {
		if (!group->iommufd)
			ret = -EINVAL;
		else if (group->device_files)
			ret = vfio_group_refuse(group, -EBUSY,
						"unset container: a device is open");
		else
			ictx = vfio_group_drop_container(group);
	}
	vfio_group_leave_container(group, ictx);
	mutex_unlock(&group->setup_lock);
	return ret;
}

static int vfio_device_matches(struct vfio_device *device, char *name)
{
	if (device->ops->match)
		return device->ops->match(device, name);
	return !strcmp(dev_name(device->dev), name);
}

/* Returns a registered device; its registration is held for the caller */
static struct vfio_device *vfio_group_find_device(struct vfio_group *group,
						  char *name)
{
	struct vfio_device *device;
	int ret;

	guard(mutex)(&group->devices_lock);

	list_for_each_entry(device, &group->devices, group_next) {
		ret = vfio_device_matches(device, name);
		if (ret < 0)
			return ERR_PTR(ret);
		if (ret && vfio_device_try_get_registration(device))
			return device;
	}
	return ERR_PTR(-ENODEV);
}

/* Consumes the registration of @device, with success or without */
static struct file *vfio_group_open_device(struct vfio_group *group,
					   struct vfio_device *device)
{
	struct vfio_device_file *df;
	struct file *file;
	int ret;

	df = vfio_df_alloc(device);
	if (!df) {
		vfio_device_put_registration(device);
		return ERR_PTR(-ENOMEM);
	}
	df->group = group;

	/* First of all, so that its release() does all undoing from now on */
	file = anon_inode_getfile("[vfio-device]", &vfio_device_fops, df,
				  O_RDWR);
	if (IS_ERR(file)) {
		vfio_device_put_registration(device);
		kfree(df);
		return file;
	}
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	file->f_mapping = device->inode->i_mapping;

	ret = vfio_df_group_open(df);
	if (ret) {
		fput(file);
		return ERR_PTR(ret);
	}

	if (group->kind == VFIO_IOMMU_NONE)
		dev_warn_ratelimited(device->dev,
				     "opened by %s:%d without an IOMMU\n",
				     current->comm, task_pid_nr(current));
	return file;
}

static long vfio_group_ioctl_get_device_fd(struct vfio_group *group,
					   char __user *arg)
{
	struct vfio_device *device;
	struct file *file;
	char *name;
	int fd;

	name = strndup_user(arg, PAGE_SIZE);
	if (IS_ERR(name))
		return PTR_ERR(name);
	device = vfio_group_find_device(group, name);
	kfree(name);
	if (IS_ERR(device)) {
		guard(mutex)(&group->lock);
		return vfio_group_refuse(group, PTR_ERR(device),
					 PTR_ERR(device) == -ENODEV ?
					 "get device: the group has no such device" :
					 "get device: the VF token is missing, wrong or not expected");
	}

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		vfio_device_put_registration(device);
		return fd;
	}

	if (mutex_lock_killable(&group->setup_lock)) {
		vfio_device_put_registration(device);
		put_unused_fd(fd);
		return -EINTR;
	}
	file = vfio_group_open_device(group, device);
	mutex_unlock(&group->setup_lock);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

static long vfio_group_fops_unl_ioctl(struct file *file, unsigned int cmd,
				      unsigned long arg)
{
	struct vfio_group *group = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return vfio_group_ioctl_get_status(group, uarg);
	case VFIO_GROUP_SET_CONTAINER:
		return vfio_group_ioctl_set_container(group, uarg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return vfio_group_ioctl_unset_container(group);
	case VFIO_GROUP_GET_DEVICE_FD:
		return vfio_group_ioctl_get_device_fd(group, uarg);
	default:
		return -ENOTTY;
	}
}

#ifdef CONFIG_PROC_FS
static void vfio_group_fops_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct vfio_group *group = file->private_data;
	struct vfio_device *device;
	const char *refusal;

	if (mutex_lock_killable(&group->lock))
		return;
	seq_printf(m, "vfio-group:\t%s\n", dev_name(&group->dev));
	seq_printf(m, "vfio-container:\t%s\n", group->iommufd ? "set" : "none");
	seq_printf(m, "vfio-device-files:\t%u\n", group->device_files);
	mutex_unlock(&group->lock);

	seq_puts(m, "vfio-devices:\t");
	scoped_guard(mutex, &group->devices_lock)
		list_for_each_entry(device, &group->devices, group_next)
			seq_printf(m, "%s ", dev_name(device->dev));
	seq_putc(m, '\n');
	refusal = READ_ONCE(group->refusal);
	if (refusal)
		seq_printf(m, "vfio-refusal:\t%s\n", refusal);
}
#endif

static const struct file_operations vfio_group_fops = {
	.owner = THIS_MODULE,
	.open = vfio_group_fops_open,
	.release = vfio_group_fops_release,
	.unlocked_ioctl = vfio_group_fops_unl_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
#ifdef CONFIG_PROC_FS
	.show_fdinfo = vfio_group_fops_show_fdinfo,
#endif
};

/**
 * vfio_group_file_init - prepare for groups and their files
 *
 * Return: 0 or a negative errno.
 */
int __init vfio_group_file_init(void)
{
	return vfio_group_init(&vfio_group_fops);
}

/**
 * vfio_group_from_file - the group that a file is of
 * @file: any file
 *
 * Return: the group, in memory as long as @file is held, or NULL.
 */
struct vfio_group *vfio_group_from_file(struct file *file)
{
	if (file->f_op != &vfio_group_fops)
		return NULL;
	return file->private_data;
}

/**
 * vfio_file_is_group - is this file a group's?
 * @file: any file
 *
 * Return: true if it is.
 */
bool vfio_file_is_group(struct file *file)
{
	return vfio_group_from_file(file);
}
EXPORT_SYMBOL_GPL(vfio_file_is_group);

/**
 * vfio_file_has_dev - does this file's group contain the device?
 * @file: any file
 * @device: a registered device
 *
 * Return: true if @file is a group's and @device is a member of that group.
 */
bool vfio_file_has_dev(struct file *file, struct vfio_device *device)
{
	struct vfio_group *group = vfio_group_from_file(file);

	return group && group == device->group;
}
EXPORT_SYMBOL_GPL(vfio_file_has_dev);
