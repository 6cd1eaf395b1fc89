// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_FEATURE, and those features that are the same for all devices.
 */
#include <linux/file.h>
#include <linux/uaccess.h>

#include "vfio.h"
#include "vfio_uapi_ext.h"

/*
 * Hand the file of a new data transfer session to the user. Consumes @file,
 * which may be NULL for none.
 */
static int vfio_mig_return_fd(struct file *file, void __user *arg,
			      struct vfio_device_feature_mig_state *mig)
{
	int fd;

	mig->data_fd = -1;
	if (!file)
		return copy_to_user(arg, mig, sizeof(*mig)) ? -EFAULT : 0;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}

	mig->data_fd = fd;
	if (copy_to_user(arg, mig, sizeof(*mig))) {
		put_unused_fd(fd);
		fput(file);
		return -EFAULT;
	}
	fd_install(fd, file);
	return 0;
}

static int vfio_feature_mig_device_state(struct vfio_device *device, u32 flags,
					 void __user *arg, size_t argsz)
{
	const size_t minsz =
		offsetofend(struct vfio_device_feature_mig_state, data_fd);
	struct vfio_device_feature_mig_state mig;
	enum vfio_device_mig_state state;
	struct file *file = NULL;
	int ret;

	if (!device->mig_ops)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_GET, sizeof(mig));
	if (ret != 1)
		return ret;
	if (copy_from_user(&mig, arg, minsz))
		return -EFAULT;

	if (flags & VFIO_DEVICE_FEATURE_GET) {
		ret = device->mig_ops->migration_get_state(device, &state);
		if (ret)
			return ret;
		mig.device_state = state;
		return vfio_mig_return_fd(NULL, arg, &mig);
	}

	file = device->mig_ops->migration_set_state(device, mig.device_state);
	if (IS_ERR(file)) {
		/* As far as it can be told that there is no session */
		vfio_mig_return_fd(NULL, arg, &mig);
		return PTR_ERR(file);
	}
	return vfio_mig_return_fd(file, arg, &mig);
}

static int vfio_feature_mig_data_size(struct vfio_device *device, u32 flags,
				      void __user *arg, size_t argsz)
{
	struct vfio_device_feature_mig_data_size data_size = {};
	unsigned long stop_copy_length = 0;
	int ret;

	if (!device->mig_ops)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET,
				 sizeof(data_size));
	if (ret != 1)
		return ret;

	ret = device->mig_ops->migration_get_data_size(device,
						       &stop_copy_length);
	if (ret)
		return ret;

	data_size.stop_copy_length = stop_copy_length;
	if (copy_to_user(arg, &data_size, sizeof(data_size)))
		return -EFAULT;
	return 0;
}

static int vfio_feature_migration(struct vfio_device *device, u32 flags,
				  void __user *arg, size_t argsz)
{
	struct vfio_device_feature_migration mig = {
		.flags = device->migration_flags,
	};
	int ret;

	if (!device->mig_ops)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET,
				 sizeof(mig));
	if (ret != 1)
		return ret;
	if (copy_to_user(arg, &mig, sizeof(mig)))
		return -EFAULT;
	return 0;
}

static int vfio_feature_mig_precopy_info_v2(struct vfio_device *device,
					    u32 flags, size_t argsz)
{
	int ret;

	if (!(device->migration_flags & VFIO_MIGRATION_PRE_COPY))
		return -EINVAL;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);
	if (ret != 1)
		return ret;
	WRITE_ONCE(device->precopy_info_v2, 1);
	return 0;
}

/**
 * vfio_ioctl_device_feature - VFIO_DEVICE_FEATURE
 * @device: a device that is open
 * @arg: the request
 *
 * Return: 0; -EINVAL for a malformed request; -ENOTTY if the device does not
 * have the feature.
 */
int vfio_ioctl_device_feature(struct vfio_device *device,
			      struct vfio_device_feature __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_feature, flags);
	struct vfio_device_feature feature;
	void __user *data = arg->data;
	size_t size;
	u32 flags;

	if (copy_from_user(&feature, arg, minsz))
		return -EFAULT;
	flags = feature.flags;
	if (feature.argsz < minsz)
		return -EINVAL;
	if (flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_SET |
		      VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	if (!(flags & VFIO_DEVICE_FEATURE_PROBE) &&
	    flags & VFIO_DEVICE_FEATURE_SET && flags & VFIO_DEVICE_FEATURE_GET)
		return -EINVAL;

	size = feature.argsz - minsz;
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
		return vfio_feature_migration(device, flags, data, size);
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		return vfio_feature_mig_device_state(device, flags, data, size);
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		return vfio_feature_mig_data_size(device, flags, data, size);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return vfio_feature_dma_logging_start(device, flags, data, size);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		return vfio_feature_dma_logging_stop(device, flags, data, size);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		return vfio_feature_dma_logging_report(device, flags, data,
						       size);
	case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		return vfio_feature_mig_precopy_info_v2(device, flags, size);
	default:
		if (!device->ops->device_feature)
			return -ENOTTY;
		return device->ops->device_feature(device, flags, data, size);
	}
}
