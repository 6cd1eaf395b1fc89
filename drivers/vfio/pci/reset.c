// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets: of the function alone, and hot resets of everything on its bus or in
 * its slot.
 *
 * A hot reset hits all devices there, so its caller must own all of them. All
 * are members of one dev_set, whose lock keeps them from being opened, closed
 * or removed; a device that is not a member, because it has another
 * driver or none, forbids the hot reset.
 */
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

/*
 * Whose lock a reset needs besides the device's own. Without a reset of its own
 * the device is reset by the bridge. One that has such a reset must not have to
 * wait for others below the same bridge.
 */
static struct pci_dev *vfio_pci_resetting_bridge(struct pci_dev *pdev)
{
	if (pdev->is_virtfn ||
	    (pdev->devcap & PCI_EXP_DEVCAP_FLR &&
	     !(pdev->dev_flags & PCI_DEV_FLAGS_NO_FLR_RESET)))
		return NULL;
	return pci_upstream_bridge(pdev);
}

/**
 * vfio_pci_try_reset - reset a device that may be locked by somebody else
 * @pdev: the device
 *
 * Return: as pci_try_reset_function(); -EAGAIN if the bridge is locked, too.
 */
int vfio_pci_try_reset(struct pci_dev *pdev)
{
	struct pci_dev *bridge = vfio_pci_resetting_bridge(pdev);
	int ret;

	if (bridge && !pci_dev_trylock(bridge))
		return -EAGAIN;
	ret = pci_try_reset_function(pdev);
	if (bridge)
		pci_dev_unlock(bridge);
	return ret;
}

/**
 * vfio_pci_trylock_bridge - lock the bridge that may have to reset a device
 * @pdev: the device
 *
 * The bridge comes before the device in the order of locks. Undone by
 * vfio_pci_unlock_bridge().
 *
 * Return: false if somebody else has locked it.
 */
bool vfio_pci_trylock_bridge(struct pci_dev *pdev)
{
	struct pci_dev *bridge = vfio_pci_resetting_bridge(pdev);

	return !bridge || pci_dev_trylock(bridge);
}

/**
 * vfio_pci_unlock_bridge - undo vfio_pci_trylock_bridge()
 * @pdev: the device
 */
void vfio_pci_unlock_bridge(struct pci_dev *pdev)
{
	struct pci_dev *bridge = vfio_pci_resetting_bridge(pdev);

	if (bridge)
		pci_dev_unlock(bridge);
}

/**
 * vfio_pci_reset_function_locked - reset the function
 * @vdev: an enabled device; its memory is locked and zapped
 *
 * Return: 0, -EAGAIN if somebody else is holding the device, -ENOTTY if there is
 * no way to reset it.
 */
int vfio_pci_reset_function_locked(struct vfio_pci_core_device *vdev)
{
	int ret;

	lockdep_assert_held_write(&vdev->memory_lock);

	vfio_device_reset_begin(&vdev->vdev);
	/* A reset starts and ends in D0 */
	vfio_pci_set_power_state(vdev, PCI_D0);
	ret = vfio_pci_try_reset(vdev->pdev);
	vfio_pci_config_restore(vdev);
	vfio_device_reset_end(&vdev->vdev);
	vfio_pci_intx_sync(vdev);
	trace_vfio_pci_reset(vdev, false, ret);
	return ret;
}

/**
 * vfio_pci_reset_function - VFIO_DEVICE_RESET
 * @vdev: an enabled device
 *
 * Return: 0, -EINVAL if the function cannot be reset on its own, else as
 * vfio_pci_reset_function_locked().
 */
int vfio_pci_reset_function(struct vfio_pci_core_device *vdev)
{
	int ret;

	if (!vdev->reset_works)
		return -EINVAL;
	vfio_pci_memory_lock_and_zap(vdev);
	ret = vfio_pci_reset_function_locked(vdev);
	vfio_pci_memory_unlock(vdev);
	if (!ret)
		vfio_pci_msi_after_reset(vdev);
	return ret;
}

static bool vfio_pci_resets_slot(struct pci_dev *pdev)
{
	return !pci_probe_reset_slot(pdev->slot);
}

static bool vfio_pci_can_hot_reset(struct pci_dev *pdev)
{
	return vfio_pci_resets_slot(pdev) || !pci_probe_reset_bus(pdev->bus);
}

/**
 * vfio_pci_reset_set_id - what a device is reset together with
 * @vdev: a device that is being registered
 *
 * Return: an id for vfio_assign_device_set().
 */
void *vfio_pci_reset_set_id(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	/*
	 * A VF is never reset together with others on behalf of its user, and
	 * VFs of one PF have users who are strangers to each other.
	 */
	if (pci_is_root_bus(pdev->bus) || pdev->is_virtfn)
		return vdev;
	return vfio_pci_resets_slot(pdev) ? (void *)pdev->slot :
					    (void *)pdev->bus;
}

/**
 * struct affected_walk - a walk over the devices that a hot reset hits
 * @pdev: the device that the reset is asked for
 * @fn: called for each
 * @ctx: for @fn
 * @ret: what stopped the walk
 */
struct affected_walk {
	struct pci_dev	*pdev;
	int		(*fn)(struct pci_dev *pdev, void *ctx);
	void		*ctx;
	int		ret;
};

/* Devices behind bridges in the slot belong to the slot, too */
static bool vfio_pci_in_slot(struct pci_dev *pdev, struct pci_slot *slot)
{
	for (; pdev; pdev = pdev->bus->self)
		if (pdev->bus == slot->bus)
			return pdev->slot == slot;
	return false;
}

static int vfio_pci_affected_step(struct pci_dev *pdev, void *data)
{
	struct affected_walk *w = data;

	if (vfio_pci_resets_slot(w->pdev) &&
	    !vfio_pci_in_slot(pdev, w->pdev->slot))
		return 0;
	w->ret = w->fn(pdev, w->ctx);
	return w->ret;
}

static int vfio_pci_walk_affected(struct pci_dev *pdev,
				  int (*fn)(struct pci_dev *pdev, void *ctx),
				  void *ctx)
{
	struct affected_walk w = { .pdev = pdev, .fn = fn, .ctx = ctx };

	pci_walk_bus(pdev->bus, vfio_pci_affected_step, &w);
	return w.ret;
}

static int vfio_pci_count_affected(struct pci_dev *pdev, void *ctx)
{
	++*(u32 *)ctx;
	return 0;
}

/**
 * struct affected_info - the answer to VFIO_DEVICE_GET_PCI_HOT_RESET_INFO
 * @vdev: the device that was asked; its dev_set is locked
 * @devices: what fits
 * @max: entries of @devices
 * @count: devices found
 * @flags: VFIO_PCI_HOT_RESET_FLAG_*
 */
struct affected_info {
	struct vfio_pci_core_device		*vdev;
	struct vfio_pci_dependent_device	*devices;
	u32					max;
	u32					count;
	u32					flags;
};

static int vfio_pci_affected_devid(struct affected_info *info,
				   struct pci_dev *pdev)
{
	struct vfio_device *core = &info->vdev->vdev, *found;
	int devid;

	found = vfio_find_device_in_devset(core->dev_set, &pdev->dev);
	if (!found)
		return VFIO_PCI_DEVID_NOT_OWNED;
	devid = vfio_iommufd_get_dev_id(found, vfio_iommufd_device_ictx(core));
	return devid < 0 ? VFIO_PCI_DEVID_NOT_OWNED : devid;
}

static int vfio_pci_fill_affected(struct pci_dev *pdev, void *ctx)
{
	struct vfio_pci_dependent_device dep = {
		.segment = pci_domain_nr(pdev->bus),
		.bus = pdev->bus->number,
		.devfn = pdev->devfn,
	};
	struct affected_info *info = ctx;
	struct iommu_group *group;

	if (info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID) {
		dep.devid = vfio_pci_affected_devid(info, pdev);
		if (dep.devid == VFIO_PCI_DEVID_NOT_OWNED)
			info->flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	} else {
		group = iommu_group_get(&pdev->dev);
		if (!group)
			return -EPERM;
		dep.group_id = iommu_group_id(group);
		iommu_group_put(group);
	}

	/* Devices may appear between counting and this: the user asks again */
	if (info->count < info->max)
		info->devices[info->count] = dep;
	info->count++;
	return 0;
}

/**
 * vfio_pci_get_hot_reset_info - VFIO_DEVICE_GET_PCI_HOT_RESET_INFO
 * @vdev: an enabled device
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno; -ENOSPC if the user's array is too short, whose
 * length is then filled in.
 */
int vfio_pci_get_hot_reset_info(struct vfio_pci_core_device *vdev,
				struct vfio_pci_hot_reset_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_pci_hot_reset_info, count);
	struct vfio_pci_hot_reset_info hdr;
	struct affected_info info = { .vdev = vdev };
	u32 count = 0;
	int ret;

	if (copy_from_user(&hdr, arg, minsz))
		return -EFAULT;
	if (hdr.argsz < minsz)
		return -EINVAL;
	if (!vfio_pci_can_hot_reset(vdev->pdev))
		return -ENODEV;

	/* No more memory than there are devices, whatever the user has room for */
	vfio_pci_walk_affected(vdev->pdev, vfio_pci_count_affected, &count);
	info.max = min_t(u32, count,
			 (hdr.argsz - minsz) / sizeof(*info.devices));
	info.devices = kcalloc(info.max, sizeof(*info.devices), GFP_KERNEL);
	if (!info.devices)
		return -ENOMEM;

	if (vfio_device_cdev_opened(&vdev->vdev))
		info.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
			     VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	scoped_guard(mutex, &vdev->vdev.dev_set->lock)
		ret = vfio_pci_walk_affected(vdev->pdev, vfio_pci_fill_affected,
					     &info);
	if (ret)
		goto out;

	hdr.count = info.count;
	hdr.flags = info.flags;
	if (copy_to_user(arg, &hdr, minsz))
		ret = -EFAULT;
	else if (info.count > info.max)
		ret = -ENOSPC;
	else if (copy_to_user(&arg->devices, info.devices,
			      info.count * sizeof(*info.devices)))
		ret = -EFAULT;
out:
	kfree(info.devices);
	return ret;
}

/* Whether a device has a driver of ours; stops the walk if not */
static int vfio_pci_check_member(struct pci_dev *pdev, void *ctx)
{
	return vfio_find_device_in_devset(ctx, &pdev->dev) ? 0 : -EBUSY;
}

/* Any member will do for naming the bus or slot */
static struct pci_dev *
vfio_pci_dev_set_resettable(struct vfio_device_set *dev_set)
{
	struct vfio_pci_core_device *first;

	lockdep_assert_held(&dev_set->lock);

	first = list_first_entry_or_null(&dev_set->device_list,
					 struct vfio_pci_core_device,
					 vdev.dev_set_list);
	if (!first || !vfio_pci_can_hot_reset(first->pdev))
		return NULL;
	if (vfio_pci_walk_affected(first->pdev, vfio_pci_check_member, dev_set))
		return NULL;
	return first->pdev;
}

/* Up to, but not including @end */
static void vfio_pci_dev_set_pm_put(struct vfio_device_set *dev_set,
				    struct vfio_pci_core_device *end)
{
	struct vfio_pci_core_device *cur;

	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		if (cur == end)
			break;
		pm_runtime_put(&cur->pdev->dev);
	}
}

static int vfio_pci_dev_set_pm_get(struct vfio_device_set *dev_set)
{
	struct vfio_pci_core_device *cur;
	int ret;

	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		ret = pm_runtime_resume_and_get(&cur->pdev->dev);
		if (ret) {
			vfio_pci_dev_set_pm_put(dev_set, cur);
			return ret;
		}
	}
	return 0;
}

/* Up to, but not including @end */
static void vfio_pci_dev_set_unlock(struct vfio_device_set *dev_set,
				    struct vfio_pci_core_device *end)
{
	struct vfio_pci_core_device *cur;

	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		if (cur == end)
			break;
		pci_dev_unlock(cur->pdev);
	}
}

static bool vfio_pci_dev_set_trylock(struct vfio_device_set *dev_set)
{
	struct vfio_pci_core_device *cur;

	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		if (!pci_dev_trylock(cur->pdev)) {
			vfio_pci_dev_set_unlock(dev_set, cur);
			return false;
		}
	}
	return true;
}

static void vfio_pci_prepare_for_reset(struct pci_dev *pdev)
{
	const struct pci_error_handlers *handlers = pdev->driver->err_handler;
	u32 command;

	if (handlers && handlers->reset_prepare)
		handlers->reset_prepare(pdev);
	/* Whatever state it was in, it comes out of the reset in D0 */
	pci_set_power_state(pdev, PCI_D0);
	/* One that does not answer gets back what was saved when it did */
	pci_read_config_dword(pdev, PCI_COMMAND, &command);
	if (PCI_POSSIBLE_ERROR(command))
		return;
	pci_save_state(pdev);
	/* No DMA, and no interrupt from a device that is not set up */
	pci_write_config_word(pdev, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
}

static void vfio_pci_restore_after_reset(struct pci_dev *pdev)
{
	const struct pci_error_handlers *handlers = pdev->driver->err_handler;

	pci_restore_state(pdev);
	if (handlers && handlers->reset_done)
		handlers->reset_done(pdev);
}

/*
 * pci_reset_bus() locks, and afterwards unlocks, the devices that it finds on
 * the bus, and these are others if one has been plugged in. The members
 * of the set stay the same: they are all that was on the bus.
 */
static int vfio_pci_dev_set_reset_bus(struct vfio_device_set *dev_set,
				      struct pci_dev *bridge)
{
	struct vfio_pci_core_device *cur;
	int ret;

	if (!pci_dev_trylock(bridge))
		return -EAGAIN;
	if (!vfio_pci_dev_set_trylock(dev_set)) {
		pci_dev_unlock(bridge);
		return -EAGAIN;
	}
	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list)
		vfio_pci_prepare_for_reset(cur->pdev);
	ret = pci_bridge_secondary_bus_reset(bridge);
	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list)
		vfio_pci_restore_after_reset(cur->pdev);
	vfio_pci_dev_set_unlock(dev_set, NULL);
	pci_dev_unlock(bridge);
	return ret;
}

static int vfio_pci_dev_set_reset(struct vfio_device_set *dev_set,
				  struct pci_dev *pdev)
{
	lockdep_assert_held(&dev_set->lock);

	return vfio_pci_resets_slot(pdev) ?
		       pci_reset_bus(pdev) :
		       vfio_pci_dev_set_reset_bus(dev_set, pdev->bus->self);
}

/**
 * struct reset_claim - what the caller of a hot reset proves ownership by
 * @ictx: the iommufd that it holds, or NULL
 * @files: the groups that it holds
 * @nr_files: entries of @files
 */
struct reset_claim {
	struct iommufd_ctx	*ictx;
	struct file		**files;
	unsigned int		nr_files;
};

static bool vfio_pci_claim_covers(const struct reset_claim *claim,
				  struct vfio_device *core)
{
	unsigned int i;

	if (claim->ictx)
		return vfio_iommufd_get_dev_id(core, claim->ictx) >= 0;
	for (i = 0; i < claim->nr_files; i++)
		if (vfio_file_has_dev(claim->files[i], core))
			return true;
	return false;
}

static int vfio_pci_dev_set_check_claim(struct vfio_pci_core_device *vdev,
					const struct reset_claim *claim)
{
	struct vfio_device_set *dev_set = vdev->vdev.dev_set;
	struct vfio_pci_core_device *cur;

	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		if (vfio_pci_claim_covers(claim, &cur->vdev))
			continue;
		pci_info_ratelimited(vdev->pdev,
				     "hot reset refused: the user has not proven ownership of %s\n",
				     pci_name(cur->pdev));
		return -EINVAL;
	}
	return 0;
}

static int vfio_pci_dev_set_hot_reset(struct vfio_pci_core_device *vdev,
				      const struct reset_claim *claim)
{
	struct vfio_device_set *dev_set = vdev->vdev.dev_set;
	struct vfio_pci_core_device *cur;
	struct pci_dev *pdev;
	int ret;

	guard(mutex)(&dev_set->lock);

	pdev = vfio_pci_dev_set_resettable(dev_set);
	if (!pdev) {
		pci_info_ratelimited(vdev->pdev,
				     "hot reset refused: it would reset devices that are not bound to vfio-pci\n");
		return -EINVAL;
	}
	ret = vfio_pci_dev_set_check_claim(vdev, claim);
	if (ret)
		return ret;
	/* No device may be suspended, nor suspend itself, while all are reset */
	ret = vfio_pci_dev_set_pm_get(dev_set);
	if (ret)
		return ret;

	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		/* Several locks of one class, but only under the set's lock */
		down_write_nest_lock(&cur->memory_lock, &dev_set->lock);
		if (cur->vdev.open_count)
			vfio_pci_memory_zap(cur);
		vfio_device_reset_begin(&cur->vdev);
		vfio_pci_set_power_state(cur, PCI_D0);
	}
	ret = vfio_pci_dev_set_reset(dev_set, pdev);
	trace_vfio_pci_reset(vdev, true, ret);
	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list) {
		vfio_pci_config_restore(cur);
		vfio_device_reset_end(&cur->vdev);
		vfio_pci_intx_sync(cur);
		vfio_pci_memory_unlock(cur);
	}
	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list)
		if (!ret && cur->vdev.open_count)
			vfio_pci_msi_after_reset(cur);

	vfio_pci_dev_set_pm_put(dev_set, NULL);
	return ret;
}

static void vfio_pci_put_group_files(struct file **files, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		fput(files[i]);
	kfree(files);
}

static struct file **vfio_pci_get_group_files(const s32 __user *ufds,
					      unsigned int count)
{
	s32 *fds __free(kfree) = NULL;
	struct file **files;
	unsigned int i;

	files = kcalloc(count, sizeof(*files), GFP_KERNEL_ACCOUNT);
	fds = kcalloc(count, sizeof(*fds), GFP_KERNEL_ACCOUNT);
	if (!files || !fds) {
		kfree(files);
		return ERR_PTR(-ENOMEM);
	}
	if (copy_from_user(fds, ufds, count * sizeof(*fds))) {
		kfree(files);
		return ERR_PTR(-EFAULT);
	}

	for (i = 0; i < count; i++) {
		files[i] = fget(fds[i]);
		if (!files[i]) {
			vfio_pci_put_group_files(files, i);
			return ERR_PTR(-EBADF);
		}
		if (!vfio_file_is_group(files[i])) {
			vfio_pci_put_group_files(files, i + 1);
			return ERR_PTR(-EINVAL);
		}
	}
	return files;
}

static int vfio_pci_hot_reset_by_groups(struct vfio_pci_core_device *vdev,
					u32 count, const s32 __user *fds)
{
	struct reset_claim claim = { .nr_files = count };
	u32 affected = 0;
	int ret;

	vfio_pci_walk_affected(vdev->pdev, vfio_pci_count_affected, &affected);
	/* More groups than devices make no sense */
	if (!count || count > affected)
		return -EINVAL;
	claim.files = vfio_pci_get_group_files(fds, count);
	if (IS_ERR(claim.files))
		return PTR_ERR(claim.files);
	ret = vfio_pci_dev_set_hot_reset(vdev, &claim);
	vfio_pci_put_group_files(claim.files, count);
	return ret;
}

/**
 * vfio_pci_hot_reset - VFIO_DEVICE_PCI_HOT_RESET
 * @vdev: an enabled device
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_hot_reset(struct vfio_pci_core_device *vdev,
		       struct vfio_pci_hot_reset __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_pci_hot_reset, count);
	struct vfio_pci_hot_reset hdr;
	struct reset_claim claim = {};

	if (copy_from_user(&hdr, arg, minsz))
		return -EFAULT;
	if (hdr.argsz < minsz || hdr.flags)
		return -EINVAL;
	/* Each way of opening a device has its own way of proving ownership */
	if (!!hdr.count == vfio_device_cdev_opened(&vdev->vdev))
		return -EINVAL;
	if (!vfio_pci_can_hot_reset(vdev->pdev))
		return -ENODEV;
	if (hdr.count)
		return vfio_pci_hot_reset_by_groups(vdev, hdr.count,
						    arg->group_fds);

	claim.ictx = vfio_iommufd_device_ictx(&vdev->vdev);
	return vfio_pci_dev_set_hot_reset(vdev, &claim);
}

/**
 * vfio_pci_reset_unused_set - hot reset devices that could not be reset alone
 * @dev_set: the set, locked, of a device that is being closed
 *
 * Devices that cannot be reset on their own are reset together once the last of
 * them is closed, so that nothing leaks from one user to the next.
 */
void vfio_pci_reset_unused_set(struct vfio_device_set *dev_set)
{
	struct vfio_pci_core_device *cur;
	struct pci_dev *pdev;
	bool needed = false;

	/* The one that is being closed still counts */
	if (vfio_device_set_open_count(dev_set) > 1)
		return;
	list_for_each_entry(cur, &dev_set->device_list, vdev.dev_set_list)
		needed |= cur->needs_reset;
	if (!needed)
		return;
	pdev = vfio_pci_dev_set_resettable(dev_set);
	if (!pdev || vfio_pci_dev_set_pm_get(dev_set))
		return;

	if (!vfio_pci_dev_set_reset(dev_set, pdev))
		list_for_each_entry(cur, &dev_set->device_list,
				    vdev.dev_set_list)
			cur->needs_reset = false;
	vfio_pci_dev_set_pm_put(dev_set, NULL);
}
