// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a PCI device that belongs to userspace: registered, opened, closed,
 * unregistered. Everything that a user can do in between is in other files.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"
#include "../vfio_uapi_ext.h"

static bool nointxmask;
static bool disable_idle_d3;

/**
 * vfio_pci_core_set_params - settings for devices that come from now on
 * @is_nointxmask: do not mask INTx at the device
 * @is_disable_vga: no VGA region
 * @is_disable_idle_d3: no runtime power management of unused devices
 */
void vfio_pci_core_set_params(bool is_nointxmask, bool is_disable_vga,
			      bool is_disable_idle_d3)
{
	nointxmask = is_nointxmask;
	vfio_pci_vga_disable(is_disable_vga);
	disable_idle_d3 = is_disable_idle_d3;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_set_params);

/**
 * vfio_pci_core_register_dev_region - add a device specific region
 * @vdev: a device that is being opened
 * @type: VFIO_REGION_TYPE_*
 * @subtype: VFIO_REGION_SUBTYPE_*
 * @ops: operations, which release @data
 * @size: bytes
 * @flags: VFIO_REGION_INFO_FLAG_*
 * @data: for @ops
 *
 * The region goes away when the device is closed.
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,
				      unsigned int type, unsigned int subtype,
				      const struct vfio_pci_regops *ops,
				      size_t size, u32 flags, void *data)
{
	struct vfio_pci_region *region;

	region = krealloc_array(vdev->region, vdev->num_regions + 1,
				sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;
	vdev->region = region;
	region[vdev->num_regions++] = (struct vfio_pci_region) {
		.type = type,
		.subtype = subtype,
		.ops = ops,
		.size = size,
		.flags = flags,
		.data = data,
	};
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_register_dev_region);

static void vfio_pci_release_regions(struct vfio_pci_core_device *vdev)
{
	int i;

	for (i = 0; i < vdev->num_regions; i++)
		vdev->region[i].ops->release(vdev, &vdev->region[i]);
	vdev->num_regions = 0;
	kfree(vdev->region);
	vdev->region = NULL;
}

/* Devices that send their INTx when they should not, or not when they should */
static bool vfio_pci_intx_is_broken(struct pci_dev *pdev)
{
	if (pdev->vendor != PCI_VENDOR_ID_INTEL)
		return false;

	switch (pdev->device) {
	/* The 700 series of network controllers and its relatives */
	case 0x1572:
	case 0x1574:
	case 0x1580 ... 0x1581:
	case 0x1583 ... 0x158b:
	case 0x37d0 ... 0x37d2:
	/* X550 */
	case 0x1563:
		return true;
	}
	return false;
}

static void vfio_pci_probe_intx(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	u16 cmd;

	vdev->nointx = false;
	vdev->pci_2_3 = false;
	if (!nointxmask) {
		if (vfio_pci_intx_is_broken(pdev)) {
			vdev->nointx = true;
			pci_intx(pdev, 0);
		} else {
			vdev->pci_2_3 = pci_intx_mask_supported(pdev);
		}
	}
	/* Firmware's view of what the line is connected to counts, too */
	if (!pdev->irq || pdev->irq == IRQ_NOTCONNECTED)
		vdev->nointx = true;

	/* As the user finds it */
	pci_read_config_word(pdev, PCI_COMMAND, &cmd);
	if (vdev->pci_2_3 && cmd & PCI_COMMAND_INTX_DISABLE)
		pci_write_config_word(pdev, PCI_COMMAND,
				      cmd & ~PCI_COMMAND_INTX_DISABLE);
}

/*
 * The kernel writes to the table wherever the device says that it is. One that
 * does not end where its BAR does would be somebody else's memory.
 */
static void vfio_pci_probe_msix(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	u32 flags, table, offset, size;
	unsigned int bar;

	vdev->msix_bar = 0xff;
	vdev->msix_offset = 0;
	vdev->msix_size = 0;
	vdev->has_dyn_msix = false;
	if (!pdev->msix_cap)
		return;

	if (vfio_pci_config_first(vdev, pdev->msix_cap, &flags) ||
	    vfio_pci_config_first(vdev, pdev->msix_cap + PCI_MSIX_TABLE,
				  &table))
		return;
	flags >>= 16;
	size = ((flags & PCI_MSIX_FLAGS_QSIZE) + 1) * PCI_MSIX_ENTRY_SIZE;
	offset = table & PCI_MSIX_TABLE_OFFSET;
	bar = table & PCI_MSIX_TABLE_BIR;
	if (bar >= PCI_STD_NUM_BARS ||
	    (u64)offset + size > pci_resource_len(pdev, bar)) {
		pci_notice_ratelimited(pdev, "has no MSI-X: the table would be outside of BAR %u\n",
				       bar);
		return;
	}
	vdev->msix_bar = bar;
	vdev->msix_offset = offset;
	vdev->msix_size = size;
	vdev->has_dyn_msix = pci_msix_can_alloc_dyn(pdev);
}

static int vfio_pci_enable_powered(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	/* Bus mastering is not part of the state that is restored on close */
	pci_clear_master(pdev);
	ret = pci_enable_device(pdev);
	if (ret)
		return ret;

	ret = vfio_pci_try_reset(pdev);
	if (ret == -EAGAIN)
		goto err_disable;
	vdev->reset_works = !ret;
	vfio_pci_config_restore(vdev);

	pci_save_state(pdev);
	vdev->pci_saved_state = pci_store_saved_state(pdev);
	if (!vdev->pci_saved_state)
		pci_dbg(pdev, "out of memory: the state of the device is not saved\n");

	vfio_pci_probe_intx(vdev);
	ret = vfio_pci_config_init(vdev);
	if (ret)
		goto err_state;
	vfio_pci_intx_unused(vdev);
	vfio_pci_probe_msix(vdev);
	vdev->has_vga = !vfio_pci_vga_disabled() && vfio_pci_is_vga(pdev);
	return 0;

err_state:
	kfree(vdev->pci_saved_state);
	vdev->pci_saved_state = NULL;
err_disable:
	pci_disable_device(pdev);
	return ret;
}

/**
 * vfio_pci_core_enable - prepare a device for its first user
 * @vdev: the device
 *
 * A driver calls it first in open_device(), then sets up what is its own, and
 * finally calls vfio_pci_core_finish_enable(). The device comes out of a reset,
 * if it can be reset.
 *
 * Return: 0; -EAGAIN if somebody else is holding the device; other errors of the
 * PCI core.
 */
int vfio_pci_core_enable(struct vfio_pci_core_device *vdev)
{
	int ret = 0;

	if (!vdev->disable_idle_d3)
		ret = pm_runtime_resume_and_get(&vdev->pdev->dev);
	if (ret)
		return ret;
	ret = vfio_pci_enable_powered(vdev);
	if (ret && !vdev->disable_idle_d3)
		pm_runtime_put(&vdev->pdev->dev);
	trace_vfio_pci_enable(vdev, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_enable);

/**
 * vfio_pci_core_finish_enable - open a device to its first user
 * @vdev: an enabled device
 */
void vfio_pci_core_finish_enable(struct vfio_pci_core_device *vdev)
{
	vfio_pci_probe_mmaps(vdev);
	vfio_pci_vf_open(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_finish_enable);

/*
 * Reset the function so that nothing of the user is left, neither in the device
 * nor on its way to memory; then restore what was there before the user. The
 * caller holds the device's locks, if it holds them at all.
 */
static void vfio_pci_reset_for_next_user(struct vfio_pci_core_device *vdev,
					 bool locked)
{
	struct pci_dev *pdev = vdev->pdev;

	/* No interrupt may come from a device without a driver */
	pci_write_config_word(pdev, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	if (vdev->reset_works && locked && pci_device_is_present(pdev) &&
	    !__pci_reset_function_locked(pdev))
		vdev->needs_reset = false;
	pci_restore_state(pdev);
}

static void vfio_pci_restore_device(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	bool bridge, locked;

	vdev->needs_reset = true;
	if (pci_load_and_free_saved_state(pdev, &vdev->pci_saved_state)) {
		pci_dbg(pdev, "the state of the device was not saved\n");
		if (!vdev->reset_works)
			return;
		pci_save_state(pdev);
	}
	/*
	 * An unbind that is waiting for this user holds the locks; then the
	 * reset is done when that goes on. Somebody who holds the bridge's drops
	 * it before the device is opened again, which resets it, too.
	 */
	bridge = vfio_pci_trylock_bridge(pdev);
	locked = bridge && pci_dev_trylock(pdev);
	vfio_pci_reset_for_next_user(vdev, locked);
	if (locked)
		pci_dev_unlock(pdev);
	if (bridge)
		vfio_pci_unlock_bridge(pdev);
}

/**
 * vfio_pci_core_disable - undo vfio_pci_core_enable()
 * @vdev: an enabled device, whose last user is gone
 */
void vfio_pci_core_disable(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	lockdep_assert_held(&vdev->vdev.dev_set->lock);

	/* The user may have left it suspended, and in D3hot */
	vfio_pci_low_power_exit(vdev);
	pm_runtime_resume(&pdev->dev);
	scoped_guard(rwsem_write, &vdev->memory_lock)
		vfio_pci_set_power_state(vdev, PCI_D0);

	vfio_pci_memory_end(vdev);

	/*
	 * DMA ends here, before the device's DMA domain does. The PCI core finds
	 * nothing to change, which it would do without the lock of INTx.
	 */
	vfio_pci_command_update(vdev, PCI_COMMAND_MASTER, 0, NULL);
	pci_clear_master(pdev);
	vfio_pci_irqs_release(vdev);
	vfio_pci_ioeventfds_release(vdev);
	vfio_pci_release_regions(vdev);
	/* Looked at when a PF is woken for its VFs */
	scoped_guard(rwsem_write, &vdev->memory_lock)
		vfio_pci_config_free(vdev);
	vfio_pci_release_barmaps(vdev);
	vfio_pci_release_mmaps(vdev);
	vdev->rom_probed = false;

	vfio_pci_restore_device(vdev);
	pci_disable_device(pdev);
	trace_vfio_pci_disable(vdev);
	vfio_pci_reset_unused_set(vdev->vdev.dev_set);
	vfio_pci_config_restore(vdev);
	if (!vdev->disable_idle_d3)
		pm_runtime_put(&pdev->dev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_disable);

/**
 * vfio_pci_core_close_device - for &vfio_device_ops.close_device
 * @core_vdev: the device
 */
void vfio_pci_core_close_device(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);

	vfio_pci_vf_close(vdev);
	vfio_pci_core_disable(vdev);
	vfio_pci_notifiers_release(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_close_device);

/**
 * vfio_pci_core_ioctl - for &vfio_device_ops.ioctl
 * @core_vdev: the device
 * @cmd: the request
 * @arg: its argument
 *
 * Return: as the request says; -ENOTTY if it is unknown.
 */
long vfio_pci_core_ioctl(struct vfio_device *core_vdev, unsigned int cmd,
			 unsigned long arg)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vfio_pci_get_info(vdev, uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_get_region_info(core_vdev,
					    vfio_pci_ioctl_get_region_info,
					    uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_pci_get_irq_info(vdev, uarg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_pci_set_irqs(vdev, uarg);
	case VFIO_DEVICE_RESET:
		return vfio_pci_reset_function(vdev);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return vfio_pci_get_hot_reset_info(vdev, uarg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return vfio_pci_hot_reset(vdev, uarg);
	case VFIO_DEVICE_IOEVENTFD:
		return vfio_pci_ioeventfd(vdev, uarg);
	}
	return -ENOTTY;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_ioctl);

/**
 * vfio_pci_core_ioctl_feature - for &vfio_device_ops.device_feature
 * @device: the device
 * @flags: of the feature request
 * @arg: the data
 * @argsz: bytes of data
 *
 * Return: 0, a file descriptor for VFIO_DEVICE_FEATURE_DMA_BUF, or a negative
 * errno; -ENOTTY if the feature is unknown.
 */
int vfio_pci_core_ioctl_feature(struct vfio_device *device, u32 flags,
				void __user *arg, size_t argsz)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(device);

	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
		return vfio_pci_feature_vf_token(vdev, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
		return vfio_pci_feature_low_power_entry(vdev, flags, argsz);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		return vfio_pci_feature_low_power_entry_with_wakeup(vdev, flags,
								    arg, argsz);
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		return vfio_pci_feature_low_power_exit(vdev, flags, argsz);
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		return vfio_pci_feature_dma_buf(vdev, flags, arg, argsz);
	}
	return -ENOTTY;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_ioctl_feature);

/**
 * vfio_pci_core_request - for &vfio_device_ops.request
 * @core_vdev: the device
 * @count: how often the user was asked before
 */
void vfio_pci_core_request(struct vfio_device *core_vdev, unsigned int count)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);

	if (vfio_pci_notify_request(vdev)) {
		if (!(count % 10))
			pci_notice_ratelimited(vdev->pdev,
					       "asked the user to release the device (%u)\n",
					       count);
	} else if (!count) {
		pci_warn(vdev->pdev, "cannot ask the user to release the device: no request eventfd is set\n");
	}
}
EXPORT_SYMBOL_GPL(vfio_pci_core_request);

/**
 * vfio_pci_core_show_fdinfo - for &vfio_device_ops.show_fdinfo
 * @core_vdev: the device
 * @m: where to
 */
void vfio_pci_core_show_fdinfo(struct vfio_device *core_vdev,
			       struct seq_file *m)
{
	static const char * const names[VFIO_PCI_NUM_IRQS + 1] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = "INTx",
		[VFIO_PCI_MSI_IRQ_INDEX] = "MSI",
		[VFIO_PCI_MSIX_IRQ_INDEX] = "MSI-X",
		[VFIO_PCI_NUM_IRQS] = "none",
	};
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);
	int bar;

	seq_printf(m, "pci-device:\t%s\n", pci_name(vdev->pdev));
	seq_puts(m, "pci-bars-mapped:\t");
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (READ_ONCE(vdev->barmap[bar]))
			seq_printf(m, " %d", bar);
	seq_putc(m, '\n');

	guard(mutex)(&vdev->igate);
	seq_printf(m, "pci-irq-type:\t%s\n", names[vdev->irq_type]);
	seq_printf(m, "pci-irqs-used:\t%u\n",
		   vdev->irq_type == VFIO_PCI_INTX_IRQ_INDEX ? 1 :
		   vfio_pci_msi_in_use(vdev));
}
EXPORT_SYMBOL_GPL(vfio_pci_core_show_fdinfo);

/**
 * vfio_pci_core_init_dev - for &vfio_device_ops.init
 * @core_vdev: the device
 *
 * Return: 0.
 */
int vfio_pci_core_init_dev(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);

	vdev->pdev = to_pci_dev(core_vdev->dev);
	vdev->irq_type = VFIO_PCI_NUM_IRQS;
	spin_lock_init(&vdev->irqlock);
	mutex_init(&vdev->igate);
	mutex_init(&vdev->config_lock);
	mutex_init(&vdev->barmap_lock);
	mutex_init(&vdev->rom_lock);
	mutex_init(&vdev->ioeventfds_lock);
	init_rwsem(&vdev->memory_lock);
	xa_init(&vdev->ctx);
	INIT_LIST_HEAD(&vdev->dummy_resources_list);
	INIT_LIST_HEAD(&vdev->ioeventfds_list);
	INIT_LIST_HEAD(&vdev->sriov_pfs_item);
	INIT_LIST_HEAD(&vdev->dmabufs);
	vfio_pci_config_probe(vdev);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_init_dev);

/**
 * vfio_pci_core_release_dev - for &vfio_device_ops.release
 * @core_vdev: the device
 */
void vfio_pci_core_release_dev(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev = to_vfio_pci(core_vdev);

	xa_destroy(&vdev->ctx);
	mutex_destroy(&vdev->ioeventfds_lock);
	mutex_destroy(&vdev->rom_lock);
	mutex_destroy(&vdev->barmap_lock);
	mutex_destroy(&vdev->config_lock);
	mutex_destroy(&vdev->igate);
	vfio_pci_config_release(vdev);
	kfree(vdev->pm_save);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_release_dev);

static bool vfio_pci_migration_is_complete(const struct vfio_device *core)
{
	const struct vfio_migration_ops *mig = core->mig_ops;
	const struct vfio_log_ops *log = core->log_ops;

	if (mig && !(mig->migration_get_state && mig->migration_set_state &&
		     mig->migration_get_data_size &&
		     core->migration_flags & VFIO_MIGRATION_STOP_COPY))
		return false;
	if (log && !(log->log_start && log->log_stop &&
		     log->log_read_and_clear))
		return false;
	return true;
}

/* Drop the runtime PM reference that the PCI core holds around probe */
static void vfio_pci_power_register(struct vfio_pci_core_device *vdev)
{
	struct device *dev = &vdev->pdev->dev;

	vfio_pci_probe_power_state(vdev);
	/*
	 * The PCI core does not know the state of a device that had no driver,
	 * and leaves that only for D0.
	 */
	vfio_pci_set_power_state(vdev, PCI_D0);

	dev->driver->pm = &vfio_pci_pm_ops;
	pm_runtime_allow(dev);
	if (!vdev->disable_idle_d3)
		pm_runtime_put(dev);
}

static void vfio_pci_power_unregister(struct vfio_pci_core_device *vdev)
{
	struct device *dev = &vdev->pdev->dev;

	if (!vdev->disable_idle_d3)
		pm_runtime_get_noresume(dev);
	pm_runtime_forbid(dev);
}

/**
 * vfio_pci_core_register_device - offer a device to userspace
 * @vdev: the device, allocated by vfio_alloc_device() and set as the drvdata of
 *	  the PCI device
 *
 * Return: 0; -EINVAL if the driver or the device is not fit for it, -EBUSY if
 * the device has VFs, which may be in use; other errors.
 */
int vfio_pci_core_register_device(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	int ret;

	/* Both are mistakes of a driver */
	if (WARN_ON(vdev != dev_get_drvdata(&pdev->dev)) ||
	    WARN_ON(!vfio_pci_migration_is_complete(&vdev->vdev)))
		return -EINVAL;
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return -EINVAL;
	if (pci_num_vf(pdev)) {
		pci_warn(pdev, "refused: VFs of the device are enabled, disable them first\n");
		return -EBUSY;
	}

	vdev->disable_idle_d3 = disable_idle_d3;
	ret = vfio_pci_vf_token_init(vdev);
	if (ret)
		return ret;
	ret = vfio_pci_vga_register(vdev);
	if (ret)
		goto err_vf;

	vfio_pci_power_register(vdev);
	/* From here on, others of the set may want to reset it */
	ret = vfio_assign_device_set(&vdev->vdev, vfio_pci_reset_set_id(vdev));
	if (ret)
		goto err_power;
	ret = vfio_register_group_dev(&vdev->vdev);
	if (ret)
		goto err_power;
	return 0;

err_power:
	vfio_pci_power_unregister(vdev);
	vfio_pci_vga_unregister(vdev);
err_vf:
	vfio_pci_vf_token_release(vdev);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_register_device);

/* A task that locks a bridge locks devices below it next, so do not wait long */
static bool vfio_pci_lock_bridge_for_unbind(struct pci_dev *pdev)
{
	unsigned int tries;

	for (tries = 0; tries < 100; tries++) {
		if (vfio_pci_trylock_bridge(pdev))
			return true;
		msleep(20);
	}
	pci_warn(pdev, "not reset before the next driver: the upstream bridge is busy\n");
	return false;
}

/*
 * The last user was closed while the unbind that waited for it held the locks.
 * It still holds one of them, that of the device.
 */
static void vfio_pci_reset_before_unbind(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	if (!vdev->needs_reset || !vdev->reset_works ||
	    pm_runtime_resume_and_get(&pdev->dev))
		return;
	if (vfio_pci_lock_bridge_for_unbind(pdev)) {
		pci_cfg_access_lock(pdev);
		pci_save_state(pdev);
		vfio_pci_reset_for_next_user(vdev, true);
		vfio_pci_config_restore(vdev);
		pci_cfg_access_unlock(pdev);
		vfio_pci_unlock_bridge(pdev);
	}
	pm_runtime_put(&pdev->dev);
}

/**
 * vfio_pci_core_unregister_device - take a device back from userspace
 * @vdev: the device
 *
 * To be called by the driver's remove, with the device lock held. Asks users to
 * close it, and waits until they have.
 */
void vfio_pci_core_unregister_device(struct vfio_pci_core_device *vdev)
{
	vfio_pci_sriov_disable(vdev);
	vfio_unregister_group_dev(&vdev->vdev);
	vfio_pci_reset_before_unbind(vdev);
	vfio_pci_vf_token_release(vdev);
	vfio_pci_vga_unregister(vdev);
	vfio_pci_power_unregister(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_unregister_device);

/**
 * vfio_pci_core_aer_err_detected - for &pci_error_handlers.error_detected
 * @pdev: the device
 * @state: of its link
 *
 * The user is told, and can recover the device.
 *
 * Return: PCI_ERS_RESULT_CAN_RECOVER.
 */
pci_ers_result_t vfio_pci_core_aer_err_detected(struct pci_dev *pdev,
						pci_channel_state_t state)
{
	vfio_pci_notify_error(dev_get_drvdata(&pdev->dev));
	return PCI_ERS_RESULT_CAN_RECOVER;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_aer_err_detected);

const struct pci_error_handlers vfio_pci_core_err_handlers = {
	.error_detected = vfio_pci_core_aer_err_detected,
};
EXPORT_SYMBOL_GPL(vfio_pci_core_err_handlers);

static int __init vfio_pci_core_init(void)
{
	vfio_pci_lender_init();
	return 0;
}
module_init(vfio_pci_core_init);

static void __exit vfio_pci_core_cleanup(void)
{
	vfio_pci_lender_exit();
	/* Callbacks of ours, see irqs.c */
	rcu_barrier();
}
module_exit(vfio_pci_core_cleanup);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("PCI devices for userspace: what vfio-pci and its variants share");
MODULE_VERSION("1.0.0");
