// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runtime power management of devices without a user, and low power that the
 * user permits.
 *
 * A device in use holds a runtime PM reference. With VFIO_DEVICE_FEATURE_LOW_
 * POWER_ENTRY the user drops it, and the device is suspended whenever nobody is
 * accessing it. Its memory cannot be mapped then, because such accesses are not
 * seen by us.
 */
#include <linux/eventfd.h>
#include <linux/pm_runtime.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* Under memory_lock: take back the runtime PM reference that entry gave away */
static void vfio_pci_low_power_exit_locked(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held_write(&vdev->memory_lock);

	if (!vdev->pm_runtime_engaged)
		return;
	vdev->pm_runtime_engaged = false;
	pm_runtime_get_noresume(&vdev->pdev->dev);
	if (vdev->pm_wake_eventfd_ctx) {
		eventfd_ctx_put(vdev->pm_wake_eventfd_ctx);
		WRITE_ONCE(vdev->pm_wake_eventfd_ctx, NULL);
	}
}

/**
 * vfio_pci_low_power_exit - forbid low power again
 * @vdev: an enabled device
 *
 * The caller must make sure that the device is resumed.
 */
void vfio_pci_low_power_exit(struct vfio_pci_core_device *vdev)
{
	guard(rwsem_write)(&vdev->memory_lock);
	vfio_pci_low_power_exit_locked(vdev);
	vfio_pci_memory_restore(vdev);
}

/*
 * The ioctl that this is part of holds a reference of its own, so the device is
 * not suspended before it is done.
 */
static int vfio_pci_low_power_entry(struct vfio_pci_core_device *vdev,
				    struct eventfd_ctx *wakeup)
{
	guard(rwsem_write)(&vdev->memory_lock);

	if (vdev->pm_runtime_engaged)
		return -EINVAL;
	vfio_pci_memory_zap(vdev);
	vdev->pm_runtime_engaged = true;
	WRITE_ONCE(vdev->pm_wake_eventfd_ctx, wakeup);
	pm_runtime_put_noidle(&vdev->pdev->dev);
	return 0;
}

/**
 * vfio_pci_feature_low_power_entry - VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
 * @vdev: an enabled device
 * @flags: of the feature request
 * @argsz: bytes of data
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_feature_low_power_entry(struct vfio_pci_core_device *vdev,
				     u32 flags, size_t argsz)
{
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);

	if (ret != 1)
		return ret;
	return vfio_pci_low_power_entry(vdev, NULL);
}

/**
 * vfio_pci_feature_low_power_entry_with_wakeup - the same, with an eventfd
 * @vdev: an enabled device
 * @flags: of the feature request
 * @arg: the data
 * @argsz: bytes of data
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_feature_low_power_entry_with_wakeup(struct vfio_pci_core_device *vdev,
						 u32 flags, void __user *arg,
						 size_t argsz)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	struct eventfd_ctx *wakeup;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET,
				 sizeof(entry));
	if (ret != 1)
		return ret;
	if (copy_from_user(&entry, arg, sizeof(entry)))
		return -EFAULT;
	if (entry.wakeup_eventfd < 0)
		return -EINVAL;
	wakeup = eventfd_ctx_fdget(entry.wakeup_eventfd);
	if (IS_ERR(wakeup))
		return PTR_ERR(wakeup);
	ret = vfio_pci_low_power_entry(vdev, wakeup);
	if (ret)
		eventfd_ctx_put(wakeup);
	return ret;
}

/**
 * vfio_pci_feature_low_power_exit - VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
 * @vdev: an enabled device
 * @flags: of the feature request
 * @argsz: bytes of data
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_feature_low_power_exit(struct vfio_pci_core_device *vdev,
				    u32 flags, size_t argsz)
{
	int ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET, 0);

	if (ret != 1)
		return ret;
	/* This ioctl has resumed the device already */
	vfio_pci_low_power_exit(vdev);
	return 0;
}

#ifdef CONFIG_PM
static int vfio_pci_runtime_suspend(struct device *dev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(dev);

	/*
	 * The PCI core goes from D0 to the deepest state that the platform has.
	 * If the user left the device in D3hot, its state would be saved from
	 * there, and be lost.
	 */
	scoped_guard(rwsem_write, &vdev->memory_lock)
		vfio_pci_set_power_state(vdev, PCI_D0);

	/* A line that is shared goes on being interrupted by others */
	vfio_pci_intx_suspend(vdev);
	return 0;
}

static void vfio_pci_wake_up_once(struct vfio_pci_core_device *vdev)
{
	guard(rwsem_write)(&vdev->memory_lock);
	if (!vdev->pm_wake_eventfd_ctx)
		return;
	eventfd_signal(vdev->pm_wake_eventfd_ctx);
	vfio_pci_low_power_exit_locked(vdev);
	vfio_pci_memory_restore(vdev);
}

static int vfio_pci_runtime_resume(struct device *dev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(dev);

	/*
	 * The user is told of one wake-up. It is set up while the device is kept
	 * resumed, so without one set up there is nothing to lock: error
	 * recovery resumes devices with pci_bus_sem held, which resets take
	 * under memory_lock.
	 */
	if (READ_ONCE(vdev->pm_wake_eventfd_ctx))
		vfio_pci_wake_up_once(vdev);
	vfio_pci_intx_sync(vdev);
	vfio_pci_intx_resume(vdev);
	return 0;
}
#endif

/* Without callbacks for system sleep: the PCI core's defaults do */
const struct dev_pm_ops vfio_pci_pm_ops = {
	SET_RUNTIME_PM_OPS(vfio_pci_runtime_suspend, vfio_pci_runtime_resume,
			   NULL)
};
