// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vfio/devices/vfioN: the user binds the device to an iommufd.
 */
#define pr_fmt(fmt) "vfio: " fmt

#include <linux/capability.h>
#include <linux/iommufd.h>
#include <linux/uaccess.h>

#include "trace.h"
#include "vfio.h"
#include "vfio_uapi_ext.h"

static dev_t vfio_cdev_devt;

int __init vfio_cdev_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&vfio_cdev_devt, 0, MINORMASK + 1,
				  "vfio-dev");
	if (ret)
		pr_err("cannot allocate device numbers for vfio-dev: %d\n", ret);
	return ret;
}

void vfio_cdev_cleanup(void)
{
	unregister_chrdev_region(vfio_cdev_devt, MINORMASK + 1);
}

/*
 * A device that nothing confines has a character device only where iommufd can
 * tell its user physical addresses.
 */
static bool vfio_device_has_cdev(struct vfio_device *device)
{
	return IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU) ||
	       device->iommu_kind != VFIO_IOMMU_NONE;
}

/* A device that nothing confines is as good as all of the machine */
static bool vfio_device_is_allowed(struct vfio_device *device)
{
	return device->iommu_kind != VFIO_IOMMU_NONE ||
	       (capable(CAP_SYS_RAWIO) && vfio_noiommu_allowed());
}

/**
 * vfio_device_add - make a device visible, with its character device
 * @device: a device that is about to be registered
 * @fops: for the character device
 *
 * Return: 0 or what cdev_device_add() returns.
 */
int vfio_device_add(struct vfio_device *device,
		    const struct file_operations *fops)
{
	if (!vfio_device_has_cdev(device))
		return device_add(&device->device);

	device->device.devt = MKDEV(MAJOR(vfio_cdev_devt), device->index);
	cdev_init(&device->cdev, fops);
	/*
	 * The last thing that happens to a file is that its reference to the
	 * cdev goes, and perhaps the device with it: after release(), when
	 * nothing else keeps the driver, whose code that needs.
	 */
	device->cdev.owner = device->dev->driver->owner;
	return cdev_device_add(&device->cdev, &device->device);
}

/**
 * vfio_device_del - undo vfio_device_add()
 * @device: the device. Files that are open stay open
 */
void vfio_device_del(struct vfio_device *device)
{
	if (vfio_device_has_cdev(device))
		cdev_device_del(&device->cdev, &device->device);
	else
		device_del(&device->device);
}

int vfio_device_cdev_open(struct inode *inode, struct file *file)
{
	struct vfio_device *device =
		container_of(inode->i_cdev, struct vfio_device, cdev);
	struct vfio_device_file *df;

	if (!vfio_device_is_allowed(device))
		return -EPERM;
	if (!vfio_device_try_get_registration(device))
		return -ENODEV;

	df = vfio_df_alloc(device);
	if (!df) {
		vfio_device_put_registration(device);
		return -ENOMEM;
	}
	/* Not bound yet, but an unbind of the driver waits for it */
	if (!READ_ONCE(device->open_count))
		vfio_device_note_opener(device);
	file->private_data = df;
	file->f_mapping = device->inode->i_mapping;
	return 0;
}

/*
 * A driver of 6.12 knows tokens as a part of the name by which a group is asked
 * for a device, only.
 */
static int vfio_device_match_name(struct vfio_device *device,
				  const uuid_t *token)
{
	char *name;
	int ret;

	if (!device->ops->match)
		return token ? -EINVAL : 0;

	name = token ? kasprintf(GFP_KERNEL, "%s vf_token=%pUb",
				 dev_name(device->dev), token) :
		       kstrdup(dev_name(device->dev), GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	ret = device->ops->match(device, name);
	kfree(name);
	if (ret < 0)
		return ret;
	return token && !ret ? -EINVAL : 0;
}

static int vfio_device_match_token(struct vfio_device *device,
				   const uuid_t *token)
{
	if (device->ops->match_token_uuid)
		return device->ops->match_token_uuid(device, token);
	return vfio_device_match_name(device, token);
}

static int vfio_df_cdev_bind(struct vfio_device_file *df,
			     struct iommufd_ctx *ictx, const uuid_t *token,
			     u32 *out_devid)
{
	struct vfio_device *device = df->device;
	int ret;

	lockdep_assert_held(&device->dev_set->lock);

	/* One file at a time, and that only once */
	if (df->ready)
		return vfio_df_refuse(df, -EINVAL,
				      "bind: the device is already bound");
	/* The last may have closed it, and still be unbinding it */
	if (device->open_count || device->iommufd_bound)
		return vfio_df_refuse(df, -EINVAL,
				      "bind: the device is bound through another file");

	ret = vfio_device_match_token(device, token);
	if (ret)
		return vfio_df_refuse(df, ret,
				      "bind: the VF token is missing, wrong or not expected");

	/* KVM takes its pointer back under the same lock before it goes away */
	spin_lock(&df->kvm_lock);
	vfio_device_get_kvm(device, df->kvm);
	spin_unlock(&df->kvm_lock);

	device->cdev_opened = true;
	ret = vfio_df_open(df, ictx);
	if (ret) {
		vfio_df_refuse(df, ret,
			       "bind: refused by the iommufd (see its fdinfo, and blocked_by of the device) or by the driver (see the kernel log)");
		goto err_undo;
	}

	*out_devid = device->iommufd_devid;
	return 0;

err_undo:
	device->cdev_opened = false;
	vfio_device_put_kvm(device);
	return ret;
}

/* Undo vfio_df_cdev_bind() */
static void vfio_df_cdev_unbind(struct vfio_device_file *df)
{
	struct vfio_device *device = df->device;

	guard(mutex)(&device->dev_set->lock);
	vfio_df_close(df);
	device->cdev_opened = false;
	vfio_device_put_kvm(device);
}

/**
 * vfio_df_cdev_close - the last reference to a file of the character device is gone
 * @df: the file, bound or not
 */
void vfio_df_cdev_close(struct vfio_device_file *df)
{
	struct vfio_device *device = df->device;

	if (!df->ready)
		return;

	vfio_df_cdev_unbind(df);
	vfio_device_unblock_group(device);
}

/**
 * vfio_df_ioctl_bind - VFIO_DEVICE_BIND_IOMMUFD
 * @df: the file
 * @arg: struct vfio_device_bind_iommufd, of any age
 *
 * Return: 0; -EINVAL for a malformed request, a device that is bound, a file that
 * came through a group, or a token that is not wanted; -EACCES for one that is
 * missing or wrong; -EPERM for a device that no IOMMU confines, unless the user is
 * privileged and the administrator still allows it; -EBUSY while the group is
 * open; -EBADF or -EBADFD if there is no iommufd behind the fd; else what the
 * driver returns.
 */
long vfio_df_ioctl_bind(struct vfio_device_file *df, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_bind_iommufd,
					 out_devid);
	struct vfio_device_bind_iommufd_ext __user *uarg = arg;
	struct vfio_device_bind_iommufd_ext bind;
	struct vfio_device *device = df->device;
	const uuid_t *token = NULL;
	struct iommufd_ctx *ictx;
	u32 argsz, devid;
	uuid_t uuid;
	int ret;

	if (get_user(argsz, &uarg->argsz))
		return -EFAULT;
	if (argsz < minsz)
		return -EINVAL;
	/* No future structure is longer, and its tail will be read for zeros */
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&bind, sizeof(bind), arg, argsz);
	if (ret)
		return ret;
	if (bind.iommufd < 0 || bind.flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN)
		return -EINVAL;
	if (bind.flags & VFIO_DEVICE_BIND_FLAG_TOKEN && argsz < sizeof(bind))
		return -EINVAL;

	/* Through a group, binding is the container's business */
	if (df->group)
		return -EINVAL;
	if (!vfio_device_is_allowed(device))
		return vfio_df_refuse(df, -EPERM,
				      "bind: no IOMMU confines the device: needs CAP_SYS_RAWIO, and enable_unsafe_noiommu_mode still on");

	/*
	 * User memory may never arrive, and others need the lock of the set: so
	 * it is read before, and written after.
	 */
	if (bind.flags & VFIO_DEVICE_BIND_FLAG_TOKEN) {
		if (copy_from_user(&uuid, u64_to_user_ptr(bind.token_uuid_ptr),
				   sizeof(uuid)))
			return -EFAULT;
		token = &uuid;
	}

	ret = vfio_device_block_group(device);
	if (ret)
		return vfio_df_refuse(df, ret,
				      "bind: the group of the device is open, see /dev/vfio");

	ictx = iommufd_ctx_from_fd(bind.iommufd);
	if (IS_ERR(ictx)) {
		ret = vfio_df_refuse(df, PTR_ERR(ictx),
				     "bind: the fd is not an iommufd");
		goto err_unblock;
	}

	mutex_lock(&device->dev_set->lock);
	ret = vfio_df_cdev_bind(df, ictx, token, &devid);
	mutex_unlock(&device->dev_set->lock);

	/* The device holds its own reference */
	iommufd_ctx_put(ictx);
	if (ret)
		goto err_unblock;

	/* Until the file is ready, nobody else can use or bind it */
	if (put_user(devid, &uarg->out_devid)) {
		vfio_df_cdev_unbind(df);
		ret = -EFAULT;
		goto err_unblock;
	}
	/* From here on, read, write, mmap and ioctl reach the driver */
	smp_store_release(&df->ready, true);
	return 0;

err_unblock:
	vfio_device_unblock_group(device);
	return ret;
}

/* Copy in a request that starts with argsz and flags, and ends with a PASID */
static int vfio_copy_pt_request(void *req, size_t size, size_t minsz,
				void __user *arg, u32 pasid_flag)
{
	struct {
		u32 argsz;
		u32 flags;
	} *head = req;

	memset(req, 0, size);
	if (copy_from_user(req, arg, minsz))
		return -EFAULT;
	if (head->argsz < minsz || head->flags & ~pasid_flag)
		return -EINVAL;
	/* The tail is there only with the flag */
	if (!(head->flags & pasid_flag))
		return 0;
	if (head->argsz < size)
		return -EINVAL;
	return copy_from_user(req + minsz, arg + minsz, size - minsz) ?
		       -EFAULT : 0;
}

/* The two operations of a driver for a PASID, or for the device itself */
static int vfio_device_attach_pt(struct vfio_device *device, bool has_pasid,
				 u32 pasid, u32 *pt_id)
{
	return has_pasid ? device->ops->pasid_attach_ioas(device, pasid, pt_id) :
			   device->ops->attach_ioas(device, pt_id);
}

static void vfio_device_detach_pt(struct vfio_device *device, bool has_pasid,
				  u32 pasid)
{
	if (has_pasid)
		device->ops->pasid_detach_ioas(device, pasid);
	else
		device->ops->detach_ioas(device);
	trace_vfio_device_detach(device, pasid);
}

/**
 * vfio_df_ioctl_attach - VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @df: a bound file of the character device
 * @arg: struct vfio_device_attach_iommufd_pt, of any age
 *
 * Return: 0; -EINVAL for a malformed request; -EOPNOTSUPP for a PASID if the driver
 * does not attach any; -EINTR if the caller is killed while another thread attaches
 * or detaches; -EBUSY while the device or another one of its IOMMU group is being
 * reset; else what &vfio_device_ops.attach_ioas or
 * &vfio_device_ops.pasid_attach_ioas returns.
 */
long vfio_df_ioctl_attach(struct vfio_device_file *df, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_attach_iommufd_pt,
					 pt_id);
	struct vfio_device_attach_iommufd_pt_ext __user *uarg = arg;
	struct vfio_device_attach_iommufd_pt_ext attach;
	struct vfio_device *device = df->device;
	bool has_pasid;
	u32 pt_id;
	int ret;

	ret = vfio_copy_pt_request(&attach, sizeof(attach), minsz, arg,
				   VFIO_DEVICE_ATTACH_PASID);
	if (ret)
		return ret;
	has_pasid = attach.flags & VFIO_DEVICE_ATTACH_PASID;
	if (has_pasid && !device->ops->pasid_attach_ioas)
		return vfio_df_refuse(df, -EOPNOTSUPP,
				      "attach: the driver of the device attaches no PASIDs");

	/*
	 * An attached device that moves cannot be moved back for sure. So learn
	 * before, not after, that the result cannot be written.
	 */
	if (put_user(attach.pt_id, &uarg->pt_id))
		return -EFAULT;

	/* Pinning lasts as long as the user likes: no lock that others need */
	if (mutex_lock_killable(&device->attach_lock))
		return -EINTR;
	pt_id = attach.pt_id;
	if (vfio_device_is_resetting(device)) {
		ret = vfio_df_refuse(df, -EBUSY,
				     "attach: the device or one of its group is being reset");
		goto out_unlock;
	}
	ret = vfio_device_attach_pt(device, has_pasid, attach.pasid, &pt_id);
	trace_vfio_device_attach(device, attach.pasid, attach.pt_id, pt_id,
				 ret);
	if (ret)
		vfio_df_refuse(df, ret,
			       "attach: refused by the iommufd (see its fdinfo)");
	if (!ret && put_user(pt_id, &uarg->pt_id)) {
		vfio_device_detach_pt(device, has_pasid, attach.pasid);
		ret = -EFAULT;
	}
out_unlock:
	mutex_unlock(&device->attach_lock);
	return ret;
}

/**
 * vfio_df_ioctl_detach - VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @df: a bound file of the character device
 * @arg: struct vfio_device_detach_iommufd_pt, of any age
 *
 * Return: 0, also if the device or the PASID is not attached; -EINVAL for a
 * malformed request; -EOPNOTSUPP and -EINTR as for vfio_df_ioctl_attach().
 */
long vfio_df_ioctl_detach(struct vfio_device_file *df, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_detach_iommufd_pt,
					 flags);
	struct vfio_device_detach_iommufd_pt_ext detach;
	struct vfio_device *device = df->device;
	bool has_pasid;
	int ret;

	ret = vfio_copy_pt_request(&detach, sizeof(detach), minsz, arg,
				   VFIO_DEVICE_DETACH_PASID);
	if (ret)
		return ret;
	has_pasid = detach.flags & VFIO_DEVICE_DETACH_PASID;
	if (has_pasid && !device->ops->pasid_detach_ioas)
		return vfio_df_refuse(df, -EOPNOTSUPP,
				      "detach: the driver of the device attaches no PASIDs");

	if (mutex_lock_killable(&device->attach_lock))
		return -EINTR;
	vfio_device_detach_pt(device, has_pasid, detach.pasid);
	mutex_unlock(&device->attach_lock);
	return 0;
}
