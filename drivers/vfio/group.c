// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups in which the IOMMU sees devices: who is a member, which container a
 * group is in, and which of its devices are open. The container is an iommufd.
 */
#define pr_fmt(fmt) "vfio: " fmt

#include <linux/capability.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "vfio.h"

/*
 * Owns the list of all groups, and which devices keep each of them. Every device
 * that is bound or unbound needs it, so nobody waits for a user under it.
 */
static DEFINE_MUTEX(vfio_groups_lock);
static LIST_HEAD(vfio_groups);

/* For &vfio_group.leave_work, each of which may wait for another user */
static struct workqueue_struct *vfio_group_wq;

static const struct file_operations *vfio_group_fops;
static dev_t vfio_group_devt;
static DEFINE_IDA(vfio_group_ida);

static char *vfio_group_devnode(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/%s", dev_name(dev));
}

static const struct class vfio_group_class = {
	.name = "vfio",
	.devnode = vfio_group_devnode,
};

/**
 * vfio_group_init - prepare for groups
 * @fops: for their character devices
 *
 * Return: 0 or a negative errno.
 */
int __init vfio_group_init(const struct file_operations *fops)
{
	int ret;

	vfio_group_fops = fops;
	vfio_group_wq = alloc_workqueue("vfio-group", WQ_UNBOUND, 0);
	if (!vfio_group_wq)
		return -ENOMEM;

	ret = class_register(&vfio_group_class);
	if (ret) {
		pr_err("cannot register the class vfio: %d\n", ret);
		goto err_wq;
	}

	ret = alloc_chrdev_region(&vfio_group_devt, 0, MINORMASK + 1, "vfio");
	if (ret) {
		pr_err("cannot allocate device numbers for groups: %d\n", ret);
		goto err_class;
	}
	return 0;

err_class:
	class_unregister(&vfio_group_class);
err_wq:
	destroy_workqueue(vfio_group_wq);
	return ret;
}

void vfio_group_cleanup(void)
{
	unregister_chrdev_region(vfio_group_devt, MINORMASK + 1);
	class_unregister(&vfio_group_class);
	/* The last work holds the module until it has all but returned */
	destroy_workqueue(vfio_group_wq);
	ida_destroy(&vfio_group_ida);
}

static void vfio_group_release(struct device *dev)
{
	struct vfio_group *group = container_of(dev, struct vfio_group, dev);

	mutex_destroy(&group->devices_lock);
	mutex_destroy(&group->lock);
	mutex_destroy(&group->setup_lock);
	ida_free(&vfio_group_ida, MINOR(dev->devt));
	kfree(group);
}

static void vfio_group_leave_work(struct work_struct *work);

/* On success, consumes the reference to @iommu_group */
static struct vfio_group *vfio_group_alloc(struct iommu_group *iommu_group,
					   enum vfio_iommu_kind kind)
{
	struct vfio_group *group;
	int minor, ret;

	group = kzalloc(sizeof(*group), GFP_KERNEL);
	if (!group)
		return ERR_PTR(-ENOMEM);

	minor = ida_alloc_max(&vfio_group_ida, MINORMASK, GFP_KERNEL);
	if (minor < 0) {
		kfree(group);
		return ERR_PTR(minor);
	}

	device_initialize(&group->dev);
	group->dev.devt = MKDEV(MAJOR(vfio_group_devt), minor);
	group->dev.class = &vfio_group_class;
	group->dev.release = vfio_group_release;
	cdev_init(&group->cdev, vfio_group_fops);
	group->cdev.owner = THIS_MODULE;

	mutex_init(&group->setup_lock);
	mutex_init(&group->lock);
	mutex_init(&group->devices_lock);
	INIT_WORK(&group->leave_work, vfio_group_leave_work);
	INIT_LIST_HEAD(&group->devices);
	spin_lock_init(&group->kvm_lock);
	group->kind = kind;
	group->iommu_group = iommu_group;

	ret = dev_set_name(&group->dev, "%s%d",
			   kind == VFIO_IOMMU_NONE ? "noiommu-" : "",
			   iommu_group_id(iommu_group));
	if (ret)
		goto err_put;

	ret = cdev_device_add(&group->cdev, &group->dev);
	if (ret)
		goto err_put;
	return group;

err_put:
	put_device(&group->dev);
	return ERR_PTR(ret);
}

/**
 * vfio_group_get_device - get a device of the group, so that the group stays
 * @group: the group
 *
 * Return: a device whose registration is held for the caller, so that it, its
 * driver and the iommu_group stay; or NULL if all are leaving.
 */
struct vfio_device *vfio_group_get_device(struct vfio_group *group)
{
	struct vfio_device *device;

	guard(mutex)(&group->devices_lock);

	list_for_each_entry(device, &group->devices, group_next)
		if (vfio_device_try_get_registration(device))
			return device;
	return NULL;
}

/* An iommufd_vfio_with_device_t */
static int vfio_group_with_device(void *data,
				  int (*fn)(struct device *dev, void *arg),
				  void *arg)
{
	struct vfio_device *device = vfio_group_get_device(data);
	int ret;

	if (!device)
		return -ENODEV;
	ret = fn(device->dev, arg);
	vfio_device_put_registration(device);
	return ret;
}

/*
 * From here until vfio_group_drop_container() no driver of the kernel gets at
 * the group, whether the user takes devices out of it or not. The iommufd claims
 * each device again, as the same owner. On success, consumes the reference to
 * @ictx.
 */
static int vfio_group_take_container(struct vfio_group *group,
				     struct iommufd_ctx *ictx)
{
	int ret;

	lockdep_assert_held(&group->setup_lock);
	guard(mutex)(&group->lock);

	if (!group->iommu_group)
		return -ENODEV;
	if (group->iommufd)
		return vfio_group_refuse(group, -EINVAL,
					 "set container: a container is already set");
	if (group->kind == VFIO_IOMMU_NONE &&
	    (!capable(CAP_SYS_RAWIO) || !vfio_noiommu_allowed()))
		return -EPERM;

	if (group->kind == VFIO_IOMMU_PHYSICAL) {
		ret = iommu_group_claim_dma_owner(group->iommu_group, ictx);
		if (ret) {
			iommufd_refuse_owner(ictx, group->iommu_group,
					     "set container", ret);
			return vfio_group_refuse(group, ret,
						 "set container: a device of the group is bound to a host driver, see fdinfo of the container, or the group has another owner");
		}
	}
	group->iommufd = ictx;
	return 0;
}

/**
 * vfio_group_drop_container - a group is in no container any more
 * @group: the group, with its lock held; no device of it is open
 *
 * Drivers of the kernel may have the group again. The container does not know
 * yet, see vfio_group_leave_container().
 *
 * Return: the container with the reference, or NULL if the group was in none.
 */
struct iommufd_ctx *vfio_group_drop_container(struct vfio_group *group)
{
	struct iommufd_ctx *ictx = group->iommufd;

	lockdep_assert_held(&group->lock);

	if (ictx && group->kind == VFIO_IOMMU_PHYSICAL)
		iommu_group_release_dma_owner(group->iommu_group);
	group->iommufd = NULL;
	return ictx;
}

/**
 * vfio_group_set_container - put a group into a container
 * @group: the group, with its setup_lock held. It has a device
 * @ictx: the container; on success, the reference is consumed
 *
 * Return: 0 or a negative errno.
 */
int vfio_group_set_container(struct vfio_group *group,
			     struct iommufd_ctx *ictx)
{
	int ret;

	ret = vfio_group_take_container(group, ictx);
	if (ret)
		return ret;
	/* Pins all that is mapped there, so without the short locks */
	ret = vfio_iommufd_compat_join(ictx, group->kind, group->iommu_group,
				       vfio_group_with_device, group);
	if (ret) {
		guard(mutex)(&group->lock);
		vfio_group_drop_container(group);
	}
	return ret;
}

/**
 * vfio_group_leave_container - take a group out of a container
 * @group: the group
 * @ictx: what vfio_group_drop_container() returned; NULL is no container
 *
 * Waits for the user of the container.
 */
void vfio_group_leave_container(struct vfio_group *group,
				struct iommufd_ctx *ictx)
{
	if (!ictx)
		return;
	vfio_iommufd_compat_leave(ictx, group->kind, group);
	iommufd_ctx_put(ictx);
}

static void vfio_group_leave_work(struct work_struct *work)
{
	struct vfio_group *group =
		container_of(work, struct vfio_group, leave_work);

	vfio_group_leave_container(group, group->leaving);
	put_device(&group->dev);
	/* Whoever removes the module waits for the rest of this function */
	module_put(THIS_MODULE);
}

/*
 * The last device has left. What can still come: (1) the one file that is open,
 * for which there is nothing left to do once @iommu_group is NULL; (2) its
 * container, whose user may be busy in there for as long as it likes. The driver
 * of the device, which is being unbound, does not wait for that. Files of devices
 * cannot be open, and nobody finds the group any more.
 */
static void vfio_group_destroy(struct vfio_group *group)
{
	struct iommu_group *iommu_group;

	mutex_lock(&group->lock);
	WARN_ON(!list_empty(&group->devices) || group->device_files ||
		group->cdev_opens);
	group->leaving = vfio_group_drop_container(group);
	iommu_group = group->iommu_group;
	group->iommu_group = NULL;
	mutex_unlock(&group->lock);

	iommu_group_put(iommu_group);
	if (!group->leaving) {
		put_device(&group->dev);
		return;
	}
	__module_get(THIS_MODULE);
	queue_work(vfio_group_wq, &group->leave_work);
}

static struct vfio_group *vfio_group_find(struct iommu_group *iommu_group)
{
	struct vfio_group *group;

	lockdep_assert_held(&vfio_groups_lock);

	list_for_each_entry(group, &vfio_groups, next)
		if (group->iommu_group == iommu_group)
			return group;
	return NULL;
}

/* On success, consumes the reference to @iommu_group */
static struct vfio_group *vfio_group_join(struct iommu_group *iommu_group,
					  enum vfio_iommu_kind kind)
{
	struct vfio_group *group;

	lockdep_assert_held(&vfio_groups_lock);

	group = vfio_group_find(iommu_group);
	if (group) {
		if (WARN_ON(group->kind != kind))
			return ERR_PTR(-EINVAL);
		iommu_group_put(iommu_group);
	} else {
		group = vfio_group_alloc(iommu_group, kind);
		if (IS_ERR(group))
			return group;
		list_add_tail(&group->next, &vfio_groups);
	}
	group->users++;
	return group;
}

/* An iommu_group for a device that no IOMMU knows */
static struct iommu_group *vfio_make_iommu_group(struct device *dev,
						 enum vfio_iommu_kind kind)
{
	struct iommu_group *iommu_group;
	int ret;

	iommu_group = iommu_group_alloc();
	if (IS_ERR(iommu_group))
		return iommu_group;

	/* The name tells programs what they are in for */
	ret = kind == VFIO_IOMMU_NONE ?
	      iommu_group_set_name(iommu_group, "vfio-noiommu") : 0;
	if (!ret)
		ret = iommu_group_add_device(iommu_group, dev);
	if (ret) {
		iommu_group_put(iommu_group);
		return ERR_PTR(ret);
	}
	return iommu_group;
}

/**
 * vfio_device_join_group - make a device a member of its group
 * @device: a device that is about to be registered
 * @kind: what confines its DMA. A device that should be behind an IOMMU and is
 *        not becomes one that nothing confines, where that is allowed
 *
 * Return: 0; -EINVAL if the device has no IOMMU; -ENOMEM.
 */
int vfio_device_join_group(struct vfio_device *device,
			   enum vfio_iommu_kind kind)
{
	struct iommu_group *iommu_group = NULL;
	struct vfio_group *group;
	bool made = false;

	if (kind == VFIO_IOMMU_PHYSICAL) {
		iommu_group = iommu_group_get(device->dev);
		if (!iommu_group) {
			if (!vfio_noiommu_allowed()) {
				dev_warn(device->dev,
					 "refused: the device is not behind an IOMMU\n");
				return -EINVAL;
			}
			kind = VFIO_IOMMU_NONE;
		}
	}
	if (!iommu_group) {
		iommu_group = vfio_make_iommu_group(device->dev, kind);
		if (IS_ERR(iommu_group))
			return PTR_ERR(iommu_group);
		made = true;
	}

	mutex_lock(&vfio_groups_lock);
	group = vfio_group_join(iommu_group, kind);
	mutex_unlock(&vfio_groups_lock);
	if (IS_ERR(group)) {
		if (made)
			iommu_group_remove_device(device->dev);
		iommu_group_put(iommu_group);
		return PTR_ERR(group);
	}

	if (kind == VFIO_IOMMU_NONE) {
		add_taint(TAINT_USER, LOCKDEP_STILL_OK);
		dev_warn(device->dev,
			 "no IOMMU confines the DMA of this device: kernel tainted by vfio-noiommu\n");
	}
	device->iommu_kind = kind;
	device->group = group;
	return 0;
}

/**
 * vfio_device_leave_group - undo vfio_device_join_group()
 * @device: a device that nobody can reach through the group any more
 */
void vfio_device_leave_group(struct vfio_device *device)
{
	struct vfio_group *group = device->group;
	bool last;

	/* While our group still holds the iommu_group */
	if (group->kind != VFIO_IOMMU_PHYSICAL)
		iommu_group_remove_device(device->dev);

	mutex_lock(&vfio_groups_lock);
	last = !--group->users;
	if (last) {
		list_del(&group->next);
		/* The name is free before the next group can ask for it */
		cdev_device_del(&group->cdev, &group->dev);
	}
	mutex_unlock(&vfio_groups_lock);
	if (last)
		vfio_group_destroy(group);
	device->group = NULL;
}

/**
 * vfio_device_group_publish - let a device be found in its group
 * @device: a registered device
 */
void vfio_device_group_publish(struct vfio_device *device)
{
	mutex_lock(&device->group->devices_lock);
	list_add(&device->group_next, &device->group->devices);
	mutex_unlock(&device->group->devices_lock);
}

/**
 * vfio_device_group_retract - undo vfio_device_group_publish()
 * @device: a registered device
 */
void vfio_device_group_retract(struct vfio_device *device)
{
	mutex_lock(&device->group->devices_lock);
	list_del(&device->group_next);
	mutex_unlock(&device->group->devices_lock);
}

/**
 * vfio_device_block_group - reserve a device for its character device
 * @device: a registered device
 *
 * Until vfio_device_unblock_group(), the group cannot be opened.
 *
 * Return: 0 or -EBUSY if the group is open.
 */
int vfio_device_block_group(struct vfio_device *device)
{
	struct vfio_group *group = device->group;

	guard(mutex)(&group->lock);

	if (group->opened_file)
		return -EBUSY;
	group->cdev_opens++;
	return 0;
}

/**
 * vfio_device_unblock_group - undo vfio_device_block_group()
 * @device: a registered device
 */
void vfio_device_unblock_group(struct vfio_device *device)
{
	struct vfio_group *group = device->group;

	guard(mutex)(&group->lock);
	group->cdev_opens--;
}

/* Undo vfio_df_group_open_device() */
static void vfio_df_group_close_device(struct vfio_device_file *df)
{
	struct vfio_device *device = df->device;

	guard(mutex)(&device->dev_set->lock);

	vfio_df_close(df);
	if (!device->open_count)
		vfio_device_put_kvm(device);
}

/* Bind the device to @ictx, or to nothing if that is NULL, and open it */
static int vfio_df_group_open_device(struct vfio_device_file *df,
				     struct iommufd_ctx *ictx, bool *first)
{
	struct vfio_group *group = df->group;
	struct vfio_device *device = df->device;
	int ret;

	guard(mutex)(&device->dev_set->lock);

	/* The first file decides for all; KVM takes its pointer back in time */
	*first = !device->open_count;
	if (*first) {
		spin_lock(&group->kvm_lock);
		vfio_device_get_kvm(device, group->kvm);
		spin_unlock(&group->kvm_lock);
	}

	ret = vfio_df_open(df, ictx);
	if (ret && *first)
		vfio_device_put_kvm(device);
	return ret;
}

/* Undone by vfio_df_group_close_device() */
static int vfio_df_open_in_container(struct vfio_device_file *df,
				     struct iommufd_ctx *ictx)
{
	bool translated = df->group->kind != VFIO_IOMMU_NONE;
	bool first;
	int ret;

	/* Someone who described memory to the container expects translation */
	if (!translated && vfio_iommufd_has_compat_ioas(ictx))
		return -EPERM;

	ret = vfio_df_group_open_device(df, translated ? ictx : NULL, &first);
	if (ret || !translated || !first)
		return ret;

	/* May pin, so without the short locks */
	ret = vfio_iommufd_compat_attach(df->device, ictx);
	if (ret)
		vfio_df_group_close_device(df);
	return ret;
}

/**
 * vfio_df_group_open - open a device through its group
 * @df: the file, with the group's setup_lock held
 *
 * Return: 0; -EINVAL if the group is in no container; -EPERM for a device that
 * nothing confines, where that is not allowed; else what opening it returns.
 */
int vfio_df_group_open(struct vfio_device_file *df)
{
	struct vfio_group *group = df->group;
	struct iommufd_ctx *ictx;
	int ret;

	lockdep_assert_held(&group->setup_lock);

	/* The registration of the device keeps the group in its container */
	scoped_guard(mutex, &group->lock)
		ictx = group->iommufd;
	if (!ictx)
		return vfio_group_refuse(group, -EINVAL,
					 "get device: no container is set");
	if (group->kind == VFIO_IOMMU_NONE &&
	    (!capable(CAP_SYS_RAWIO) || !vfio_noiommu_allowed()))
		return -EPERM;

	ret = vfio_df_open_in_container(df, ictx);
	if (ret)
		return vfio_group_refuse(group, ret,
					 "get device: refused by the container (see its fdinfo) or by the driver (see the kernel log)");

	scoped_guard(mutex, &group->lock) {
		df->group_file = get_file(group->opened_file);
		group->device_files++;
	}
	/* From here on, read, write, mmap and ioctl reach the driver */
	smp_store_release(&df->ready, true);
	return 0;
}

/**
 * vfio_df_group_close - the last reference to a file from VFIO_GROUP_GET_DEVICE_FD is gone
 * @df: the file, ready or not
 */
void vfio_df_group_close(struct vfio_device_file *df)
{
	struct vfio_group *group = df->group;

	if (!df->ready)
		return;

	mutex_lock(&group->setup_lock);
	vfio_df_group_close_device(df);
	scoped_guard(mutex, &group->lock)
		group->device_files--;
	mutex_unlock(&group->setup_lock);

	/* May be the last; then the group is closed when we are out of here */
	fput(df->group_file);
}

/**
 * vfio_group_get_iommu_group - the iommu_group behind a group
 * @group: the group
 *
 * Return: the iommu_group with a reference for the caller, or NULL if the group
 * has lost all its devices.
 */
struct iommu_group *vfio_group_get_iommu_group(struct vfio_group *group)
{
	guard(mutex)(&group->lock);

	if (!group->iommu_group)
		return NULL;
	return iommu_group_ref_get(group->iommu_group);
}

/**
 * vfio_group_enforced_coherent - can no device of a group bypass the caches?
 * @group: the group
 *
 * Return: true if the IOMMU can enforce snooping for each of its devices.
 */
bool vfio_group_enforced_coherent(struct vfio_group *group)
{
	struct vfio_device *device;

	guard(mutex)(&group->devices_lock);

	list_for_each_entry(device, &group->devices, group_next)
		if (!device_iommu_capable(device->dev,
					  IOMMU_CAP_ENFORCE_CACHE_COHERENCY))
			return false;
	return true;
}

/**
 * vfio_group_set_kvm - say for which virtual machine the group will be used
 * @group: the group
 * @kvm: the virtual machine or NULL
 */
void vfio_group_set_kvm(struct vfio_group *group, struct kvm *kvm)
{
	spin_lock(&group->kvm_lock);
	group->kvm = kvm;
	spin_unlock(&group->kvm_lock);
}

/**
 * vfio_group_show_fdinfo - say through which group a device was opened
 * @group: the group
 * @m: the fdinfo
 */
void vfio_group_show_fdinfo(struct vfio_group *group, struct seq_file *m)
{
	seq_printf(m, "vfio-opened-by:\tgroup %s\n", dev_name(&group->dev));
}
