// SPDX-License-Identifier: GPL-2.0-only
/*
 * The five interrupt indexes of a PCI device, of which one of INTx, MSI and
 * MSI-X can be in use at a time. The other two are notifications: an error of
 * the device, and a request to give the device back.
 */
#include <linux/eventfd.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "config_perm.h"
#include "trace.h"
#include "vfio_pci_priv.h"

static unsigned int vfio_pci_intx_count(struct vfio_pci_core_device *vdev)
{
	if (!IS_ENABLED(CONFIG_VFIO_PCI_INTX) || vdev->nointx ||
	    vdev->pdev->is_virtfn)
		return 0;
	return vdev->vconfig[PCI_INTERRUPT_PIN] ? 1 : 0;
}

static unsigned int vfio_pci_msi_count(struct vfio_pci_core_device *vdev)
{
	if (!vdev->pdev->msi_cap || !vdev->config->msi)
		return 0;
	return 1 << vdev->config->msi_qmax;
}

/**
 * vfio_pci_irq_count - interrupts of an index
 * @vdev: an enabled device
 * @index: VFIO_PCI_*_IRQ_INDEX
 *
 * Return: their number, 0 if the index is not implemented.
 */
unsigned int vfio_pci_irq_count(struct vfio_pci_core_device *vdev,
				unsigned int index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return vfio_pci_intx_count(vdev);
	case VFIO_PCI_MSI_IRQ_INDEX:
		return vfio_pci_msi_count(vdev);
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return vdev->msix_size / PCI_MSIX_ENTRY_SIZE;
	case VFIO_PCI_ERR_IRQ_INDEX:
		return pci_is_pcie(vdev->pdev) ? 1 : 0;
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	}
	return 0;
}

static void vfio_pci_eventfd_put_rcu(struct rcu_head *rcu)
{
	struct vfio_pci_eventfd *eventfd =
		container_of(rcu, struct vfio_pci_eventfd, rcu);

	eventfd_ctx_put(eventfd->ctx);
	kfree(eventfd);
}

static int vfio_pci_notifier_replace(struct vfio_pci_core_device *vdev,
				     struct vfio_pci_eventfd __rcu **slot,
				     struct eventfd_ctx *ctx)
{
	struct vfio_pci_eventfd *fresh = NULL, *old;

	if (ctx) {
		fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
		if (!fresh)
			return -ENOMEM;
		fresh->ctx = ctx;
	}
	old = rcu_replace_pointer(*slot, fresh, lockdep_is_held(&vdev->igate));
	if (old)
		call_rcu(&old->rcu, vfio_pci_eventfd_put_rcu);
	return 0;
}

static int vfio_pci_notifier_set_fd(struct vfio_pci_core_device *vdev,
				    struct vfio_pci_eventfd __rcu **slot,
				    s32 fd)
{
	struct eventfd_ctx *ctx;
	int ret;

	if (fd == -1)
		return vfio_pci_notifier_replace(vdev, slot, NULL);
	if (fd < 0)
		return 0;
	ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	ret = vfio_pci_notifier_replace(vdev, slot, ctx);
	if (ret)
		eventfd_ctx_put(ctx);
	return ret;
}

static void vfio_pci_notifier_signal(struct vfio_pci_eventfd __rcu **slot)
{
	struct vfio_pci_eventfd *eventfd;

	guard(rcu)();
	eventfd = rcu_dereference(*slot);
	if (eventfd)
		eventfd_signal(eventfd->ctx);
}

static int vfio_pci_notifier_set(struct vfio_pci_core_device *vdev,
				 struct vfio_pci_eventfd __rcu **slot,
				 u32 flags, unsigned int start,
				 unsigned int count, void *data)
{
	if ((flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) !=
	    VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	if (start != 0 || count > 1)
		return -EINVAL;

	if (flags & VFIO_IRQ_SET_DATA_NONE) {
		if (!rcu_access_pointer(*slot))
			return -EINVAL;
		if (!count)
			return vfio_pci_notifier_replace(vdev, slot, NULL);
		vfio_pci_notifier_signal(slot);
		return 0;
	}
	if (!count)
		return -EINVAL;
	if (flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return vfio_pci_notifier_set_fd(vdev, slot, *(s32 *)data);
	if (*(u8 *)data)
		vfio_pci_notifier_signal(slot);
	return 0;
}

/**
 * vfio_pci_notify_error - tell the user of an error of the device
 * @vdev: the device
 */
void vfio_pci_notify_error(struct vfio_pci_core_device *vdev)
{
	vfio_pci_notifier_signal(&vdev->err_trigger);
}

/**
 * vfio_pci_notify_request - ask the user for the device
 * @vdev: the device
 *
 * Return: whether the user is listening.
 */
bool vfio_pci_notify_request(struct vfio_pci_core_device *vdev)
{
	if (!rcu_access_pointer(vdev->req_trigger))
		return false;
	vfio_pci_notifier_signal(&vdev->req_trigger);
	return true;
}

static int vfio_pci_irqs_set_attached(struct vfio_pci_core_device *vdev,
				      u32 flags, unsigned int index,
				      unsigned int start, unsigned int count,
				      void *data)
{
	int ret;

	/* An attach holds it as long as the memory of this user takes */
	if (mutex_lock_killable(&vdev->vdev.attach_lock))
		return -EINTR;
	scoped_guard(mutex, &vdev->igate)
		ret = vfio_pci_msi_set(vdev, index, flags, start, count, data);
	mutex_unlock(&vdev->vdev.attach_lock);
	return ret;
}

static int vfio_pci_irqs_set(struct vfio_pci_core_device *vdev, u32 flags,
			     unsigned int index, unsigned int start,
			     unsigned int count, void *data)
{
	if (vfio_pci_msi_needs_table() && (index == VFIO_PCI_MSI_IRQ_INDEX ||
					   index == VFIO_PCI_MSIX_IRQ_INDEX))
		return vfio_pci_irqs_set_attached(vdev, flags, index, start,
						  count, data);
	guard(mutex)(&vdev->igate);

	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return vfio_pci_intx_set(vdev, flags, start, count, data);
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return vfio_pci_msi_set(vdev, index, flags, start, count, data);
	case VFIO_PCI_ERR_IRQ_INDEX:
		return vfio_pci_notifier_set(vdev, &vdev->err_trigger, flags,
					     start, count, data);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return vfio_pci_notifier_set(vdev, &vdev->req_trigger, flags,
					     start, count, data);
	}
	return -ENOTTY;
}

/**
 * vfio_pci_set_irqs - VFIO_DEVICE_SET_IRQS
 * @vdev: an enabled device
 * @arg: the user's argument
 *
 * Return: 0, a negative errno, or as vfio_pci_msi_set().
 */
int vfio_pci_set_irqs(struct vfio_pci_core_device *vdev,
		      struct vfio_irq_set __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set hdr;
	size_t data_size = 0;
	void *data = NULL;
	int ret;

	if (copy_from_user(&hdr, arg, minsz))
		return -EFAULT;
	ret = vfio_set_irqs_validate_and_prepare(&hdr,
						 vfio_pci_irq_count(vdev, hdr.index),
						 VFIO_PCI_NUM_IRQS, &data_size);
	if (ret)
		return ret;
	if (data_size) {
		data = memdup_user(&arg->data, data_size);
		if (IS_ERR(data))
			return PTR_ERR(data);
	}

	ret = vfio_pci_irqs_set(vdev, hdr.flags, hdr.index, hdr.start,
				hdr.count, data);
	trace_vfio_pci_set_irqs(vdev, &hdr, ret);
	kfree(data);
	return ret;
}

/**
 * vfio_pci_irqs_release - stop all interrupts, while other things go on
 * @vdev: a device that is being disabled
 */
void vfio_pci_irqs_release(struct vfio_pci_core_device *vdev)
{
	guard(mutex)(&vdev->igate);

	if (vdev->irq_type == VFIO_PCI_INTX_IRQ_INDEX)
		vfio_pci_intx_disable(vdev);
	else if (vdev->irq_type != VFIO_PCI_NUM_IRQS)
		vfio_pci_msi_disable(vdev);
	vdev->virq_disabled = false;
	/* The next user, or the next driver, must find them unmasked */
	vfio_pci_msi_unmask(vdev);
}

/**
 * vfio_pci_notifiers_release - forget whom to tell of errors and requests
 * @vdev: a device that is being closed
 */
void vfio_pci_notifiers_release(struct vfio_pci_core_device *vdev)
{
	guard(mutex)(&vdev->igate);

	vfio_pci_notifier_replace(vdev, &vdev->err_trigger, NULL);
	vfio_pci_notifier_replace(vdev, &vdev->req_trigger, NULL);
}
