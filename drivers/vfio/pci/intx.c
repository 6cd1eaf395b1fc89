// SPDX-License-Identifier: GPL-2.0-only
/*
 * INTx: the one level-triggered interrupt of a device.
 *
 * Only the user can make the device stop asserting a level, so each interrupt
 * is masked before the user is told, and stays masked until the user says so.
 * It is masked at the device (with Interrupt Disable in the Command register)
 * where that works, which lets other devices share the line; else at the
 * interrupt controller, which does not.
 *
 * Besides the user's masking there is the user's own Interrupt Disable, which is
 * virtual (virq_disabled), and runtime suspend. The line is unmasked only if
 * none of them is in the way.
 *
 * The handler and the unmask eventfd run in atomic context and hold irqlock;
 * everything else in addition holds igate, except for virq_disabled, which comes
 * from a configuration write.
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

static bool vfio_pci_is_intx(struct vfio_pci_core_device *vdev)
{
	return vdev->irq_type == VFIO_PCI_INTX_IRQ_INDEX;
}

/*
 * Signalling may call back into the unmask handler, if the user has one eventfd
 * for both, hence never under irqlock. The eventfd stays: whoever replaces it
 * waits for the handler and for the unmask work.
 */
static void vfio_pci_intx_signal(struct vfio_pci_core_device *vdev)
{
	struct eventfd_ctx *trigger = READ_ONCE(vdev->intx.trigger);

	if (trigger)
		eventfd_signal(trigger);
}

static irqreturn_t vfio_pci_intx_handler(int irq, void *dev_id)
{
	struct vfio_pci_core_device *vdev = dev_id;
	struct vfio_pci_intx *intx = &vdev->intx;
	irqreturn_t ret = IRQ_NONE;

	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		if (!vdev->pci_2_3) {
			/* Unless somebody masked it while we were on our way */
			if (!intx->masked)
				disable_irq_nosync(irq);
			intx->masked = true;
			ret = IRQ_HANDLED;
		} else if (!intx->masked && pci_check_and_mask_intx(vdev->pdev)) {
			intx->masked = true;
			ret = IRQ_HANDLED;
		}
	}

	if (ret == IRQ_HANDLED)
		vfio_pci_intx_signal(vdev);
	return ret;
}

static void vfio_pci_intx_mask_locked(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_intx *intx = &vdev->intx;

	lockdep_assert_held(&vdev->irqlock);

	if (!intx->enabled || intx->masked)
		return;
	if (vdev->pci_2_3)
		pci_intx(vdev->pdev, 0);
	else
		disable_irq_nosync(vdev->pdev->irq);
	intx->masked = true;
}

/* Whether the device still asserts the line, so that it had to stay masked */
static bool vfio_pci_intx_unmask_locked(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_intx *intx = &vdev->intx;

	lockdep_assert_held(&vdev->irqlock);

	if (!intx->enabled || !intx->masked || vdev->virq_disabled ||
	    vdev->pm_intx_masked)
		return false;
	if (vdev->pci_2_3) {
		if (!pci_check_and_unmask_intx(vdev->pdev))
			return true;
	} else {
		enable_irq(vdev->pdev->irq);
	}
	intx->masked = false;
	return false;
}

/**
 * vfio_pci_intx_sync - make Interrupt Disable what it has to be
 * @vdev: an enabled device
 *
 * For whoever has written the Command register as it was some time ago: the
 * handler or an unmask may have changed it in between.
 */
void vfio_pci_intx_sync(struct vfio_pci_core_device *vdev)
{
	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		if (vdev->intx.enabled && vdev->pci_2_3)
			pci_intx(vdev->pdev, !vdev->intx.masked);
	}
}

/**
 * vfio_pci_command_update - change bits of the Command register
 * @vdev: an enabled device
 * @bits: which ones; not Interrupt Disable, which belongs to the INTx state
 * @val: their values
 * @old: optional, receives the register as it was
 *
 * The handler masks INTx by changing a bit of the same register. If it did so
 * between our reading and our writing, the line would be unmasked again behind
 * its back, and a level that nobody handles never ends.
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_command_update(struct vfio_pci_core_device *vdev, u16 bits,
			    u16 val, u16 *old)
{
	struct pci_dev *pdev = vdev->pdev;
	u16 cmd, now = 0;
	int ret = 0;

	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		ret = pci_read_config_word(pdev, PCI_COMMAND, &now);
		cmd = (now & ~bits) | (val & bits);
		if (!ret && cmd != now)
			ret = pci_write_config_word(pdev, PCI_COMMAND, cmd);
	}
	if (old)
		*old = now;
	return pcibios_err_to_errno(ret);
}

/**
 * vfio_pci_intx_unused - keep a device quiet that has no handler for INTx
 * @vdev: an enabled device
 *
 * Others that share the line would have to put up with what nobody handles. But
 * some devices send no MSI either while INTx is disabled.
 */
void vfio_pci_intx_unused(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	if (vdev->pci_2_3)
		pci_intx(pdev, !!(pdev->dev_flags &
				  PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG));
	else if (vdev->nointx)
		pci_intx(pdev, 0);
}

static void vfio_pci_intx_mask(struct vfio_pci_core_device *vdev)
{
	/* The Command register is written as a whole, by the user as well */
	guard(rwsem_read)(&vdev->memory_lock);
	scoped_guard(spinlock_irqsave, &vdev->irqlock)
		vfio_pci_intx_mask_locked(vdev);
}

static void vfio_pci_intx_unmask(struct vfio_pci_core_device *vdev)
{
	bool again;

	guard(rwsem_read)(&vdev->memory_lock);
	scoped_guard(spinlock_irqsave, &vdev->irqlock)
		again = vfio_pci_intx_unmask_locked(vdev);
	/* The level is an event of its own */
	if (again)
		vfio_pci_intx_signal(vdev);
}

/*
 * At the controller, a level that is still there is an interrupt at once. If
 * that signals the eventfd that unmasks, or another device's with which it takes
 * turns, the ring costs no user's time and never ends. So what an interrupt asks
 * for is left to the thread, which is made to wait.
 */
static int vfio_pci_intx_unmask_handler(void *opaque, void *data)
{
	struct vfio_pci_core_device *vdev = opaque;
	bool again;

	if (!vdev->pci_2_3 && in_interrupt())
		return true;
	scoped_guard(spinlock_irqsave, &vdev->irqlock)
		again = vfio_pci_intx_unmask_locked(vdev);
	return again;
}

static void vfio_pci_intx_unmask_thread(void *opaque, void *data)
{
	struct vfio_pci_core_device *vdev = opaque;
	bool again = true;

	if (!vdev->pci_2_3) {
		scoped_guard(spinlock_irqsave, &vdev->irqlock)
			again = vfio_pci_intx_unmask_locked(vdev);
	}
	if (again)
		vfio_pci_intx_signal(vdev);
}

/**
 * vfio_pci_intx_set_disabled - the user's own Interrupt Disable
 * @vdev: an enabled device
 * @disabled: the user's bit
 */
void vfio_pci_intx_set_disabled(struct vfio_pci_core_device *vdev,
				bool disabled)
{
	bool again = false;

	/* Keeps the eventfd for vfio_pci_intx_signal() */
	guard(mutex)(&vdev->igate);
	guard(rwsem_read)(&vdev->memory_lock);
	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		if (vdev->virq_disabled == disabled)
			return;
		vdev->virq_disabled = disabled;
		if (disabled)
			vfio_pci_intx_mask_locked(vdev);
		else
			again = vfio_pci_intx_unmask_locked(vdev);
	}
	if (again)
		vfio_pci_intx_signal(vdev);
}

/**
 * vfio_pci_intx_suspend - mask INTx while the device is suspended
 * @vdev: the device
 */
void vfio_pci_intx_suspend(struct vfio_pci_core_device *vdev)
{
	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		if (!vdev->intx.enabled || vdev->intx.masked)
			return;
		vfio_pci_intx_mask_locked(vdev);
		vdev->pm_intx_masked = true;
	}
}

/**
 * vfio_pci_intx_resume - undo vfio_pci_intx_suspend()
 * @vdev: the device
 */
void vfio_pci_intx_resume(struct vfio_pci_core_device *vdev)
{
	bool again = false;

	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		if (!vdev->pm_intx_masked)
			return;
		vdev->pm_intx_masked = false;
		again = vfio_pci_intx_unmask_locked(vdev);
	}
	/* Suspended means that nobody is setting up interrupts */
	if (again)
		vfio_pci_intx_signal(vdev);
}

static int vfio_pci_intx_enable(struct vfio_pci_core_device *vdev,
				struct eventfd_ctx *trigger)
{
	struct vfio_pci_intx *intx = &vdev->intx;
	struct pci_dev *pdev = vdev->pdev;
	unsigned long flags = 0;
	bool masked;
	int ret;

	if (vdev->irq_type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (!pdev->irq || pdev->irq == IRQ_NOTCONNECTED)
		return -ENODEV;

	intx->name = kasprintf(GFP_KERNEL_ACCOUNT, "vfio-intx(%s)",
			       pci_name(pdev));
	if (!intx->name)
		return -ENOMEM;

	guard(rwsem_read)(&vdev->memory_lock);
	/*
	 * The user's Interrupt Disable may be set already. Masking at the
	 * device comes before the line is requested, at the controller with it.
	 *
	 * There each interrupt is masked, and a line that is disabled only when
	 * it fires again fires twice as often. Once the line is ours alone it is
	 * told to be masked at once, until it is freed.
	 */
	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		intx->trigger = trigger;
		intx->masked = vdev->virq_disabled;
		masked = intx->masked;
		intx->enabled = true;
		if (vdev->pci_2_3)
			pci_intx(pdev, !intx->masked);
	}
	if (vdev->pci_2_3)
		flags = IRQF_SHARED;
	else
		flags = IRQF_NO_AUTOEN;

	vdev->irq_type = VFIO_PCI_INTX_IRQ_INDEX;
	ret = request_irq(pdev->irq, vfio_pci_intx_handler, flags, intx->name,
			  vdev);
	if (ret) {
		vdev->irq_type = VFIO_PCI_NUM_IRQS;
		scoped_guard(spinlock_irqsave, &vdev->irqlock) {
			intx->enabled = false;
			intx->trigger = NULL;
			vfio_pci_intx_unused(vdev);
		}
		kfree(intx->name);
		intx->name = NULL;
		return ret;
	}

	if (!vdev->pci_2_3) {
		irq_set_status_flags(pdev->irq, IRQ_DISABLE_UNLAZY);
		/* Masking from here on relies on the line being enabled */
		if (!masked)
			enable_irq(pdev->irq);
	}
	return 0;
}

/**
 * vfio_pci_intx_disable - release INTx
 * @vdev: a device with INTx enabled; igate is held
 */
void vfio_pci_intx_disable(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_intx *intx = &vdev->intx;
	struct eventfd_ctx *trigger;

	lockdep_assert_held(&vdev->igate);

	/* Waits for its work, too */
	vfio_virqfd_disable(&intx->unmask);

	guard(rwsem_read)(&vdev->memory_lock);
	/* From here on nobody masks or unmasks at the interrupt controller */
	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		intx->enabled = false;
		if (vdev->pci_2_3)
			pci_intx(vdev->pdev, 0);
	}
	free_irq(vdev->pdev->irq, vdev);
	vfio_pci_intx_unused(vdev);

	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		trigger = intx->trigger;
		intx->trigger = NULL;
		intx->masked = false;
		vdev->pm_intx_masked = false;
	}
	if (trigger)
		eventfd_ctx_put(trigger);
	kfree(intx->name);
	intx->name = NULL;
	vdev->irq_type = VFIO_PCI_NUM_IRQS;
}

static void vfio_pci_intx_replace_trigger(struct vfio_pci_core_device *vdev,
					  struct eventfd_ctx *trigger)
{
	struct vfio_pci_intx *intx = &vdev->intx;
	struct eventfd_ctx *old;

	scoped_guard(spinlock_irqsave, &vdev->irqlock) {
		old = intx->trigger;
		WRITE_ONCE(intx->trigger, trigger);
	}
	/* Everybody who may have seen the old one */
	synchronize_irq(vdev->pdev->irq);
	vfio_virqfd_flush_thread(&intx->unmask);
	if (old)
		eventfd_ctx_put(old);
}

static int vfio_pci_intx_set_trigger(struct vfio_pci_core_device *vdev, s32 fd)
{
	struct eventfd_ctx *trigger = NULL;
	int ret = 0;

	if (fd >= 0) {
		trigger = eventfd_ctx_fdget(fd);
		if (IS_ERR(trigger))
			return PTR_ERR(trigger);
	}
	if (vfio_pci_is_intx(vdev)) {
		vfio_pci_intx_replace_trigger(vdev, trigger);
		return 0;
	}
	ret = vfio_pci_intx_enable(vdev, trigger);
	if (ret && trigger)
		eventfd_ctx_put(trigger);
	return ret;
}

static int vfio_pci_intx_action_trigger(struct vfio_pci_core_device *vdev,
					u32 flags, unsigned int start,
					unsigned int count, void *data)
{
	if (vfio_pci_is_intx(vdev) && !count &&
	    flags & VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_intx_disable(vdev);
		return 0;
	}
	if (!vfio_pci_is_intx(vdev) && vdev->irq_type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (start != 0 || count != 1)
		return -EINVAL;

	if (flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return vfio_pci_intx_set_trigger(vdev, *(s32 *)data);

	if (!vfio_pci_is_intx(vdev))
		return -EINVAL;
	if (flags & VFIO_IRQ_SET_DATA_NONE || *(u8 *)data)
		vfio_pci_intx_signal(vdev);
	return 0;
}

static int vfio_pci_intx_action_mask(struct vfio_pci_core_device *vdev,
				     u32 flags, unsigned int start,
				     unsigned int count, void *data)
{
	if (!vfio_pci_is_intx(vdev) || start != 0 || count != 1)
		return -EINVAL;
	/* Nobody masks a level by an eventfd */
	if (flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return -ENOTTY;
	if (flags & VFIO_IRQ_SET_DATA_NONE || *(u8 *)data)
		vfio_pci_intx_mask(vdev);
	return 0;
}

static int vfio_pci_intx_action_unmask(struct vfio_pci_core_device *vdev,
				       u32 flags, unsigned int start,
				       unsigned int count, void *data)
{
	s32 fd;

	if (!vfio_pci_is_intx(vdev) || start != 0 || count != 1)
		return -EINVAL;

	if (flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		fd = *(s32 *)data;
		if (fd < 0) {
			vfio_virqfd_disable(&vdev->intx.unmask);
			return 0;
		}
		return vfio_virqfd_enable(vdev, vfio_pci_intx_unmask_handler,
					  vfio_pci_intx_unmask_thread, NULL,
					  &vdev->intx.unmask, fd);
	}
	if (flags & VFIO_IRQ_SET_DATA_NONE || *(u8 *)data)
		vfio_pci_intx_unmask(vdev);
	return 0;
}

/**
 * vfio_pci_intx_set - VFIO_DEVICE_SET_IRQS for INTx
 * @vdev: an enabled device; igate is held
 * @flags: VFIO_IRQ_SET_*, with one kind of data
 * @start: checked to be within the number of interrupts
 * @count: likewise
 * @data: as @flags says
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_intx_set(struct vfio_pci_core_device *vdev, u32 flags,
		      unsigned int start, unsigned int count, void *data)
{
	lockdep_assert_held(&vdev->igate);

	switch (flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_MASK:
		return vfio_pci_intx_action_mask(vdev, flags, start, count,
						 data);
	case VFIO_IRQ_SET_ACTION_UNMASK:
		return vfio_pci_intx_action_unmask(vdev, flags, start, count,
						   data);
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		return vfio_pci_intx_action_trigger(vdev, flags, start, count,
						    data);
	}
	return -ENOTTY;
}
