// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupts of a device. Each is an index of its own, with one interrupt.
 *
 * Only the user can make a device stop asserting a level, so each interrupt of
 * that kind is masked before the user is told, and stays masked until the user
 * says so. It is masked at the interrupt controller: there is nothing else that
 * all devices have. So no line is shared.
 *
 * The handler and the eventfds that mask and unmask run in atomic context and
 * hold the lock of the interrupt; everything else also holds the device's.
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_platform_priv.h"

/*
 * Not under the lock: the user may have one eventfd for this and for unmasking.
 * The eventfd stays, as who replaces it waits for the handler.
 */
static void vfio_platform_irq_signal(struct vfio_platform_irq *irq)
{
	struct eventfd_ctx *trigger = READ_ONCE(irq->trigger);

	if (trigger)
		eventfd_signal(trigger);
}

static irqreturn_t vfio_platform_edge_handler(int nr, void *data)
{
	vfio_platform_irq_signal(data);
	return IRQ_HANDLED;
}

static irqreturn_t vfio_platform_level_handler(int nr, void *data)
{
	struct vfio_platform_irq *irq = data;

	scoped_guard(spinlock_irqsave, &irq->lock) {
		/* unless somebody masked it while we were on our way */
		if (!irq->masked)
			disable_irq_nosync(nr);
		irq->masked = true;
	}
	vfio_platform_irq_signal(irq);
	return IRQ_HANDLED;
}

static void vfio_platform_irq_mask(struct vfio_platform_irq *irq, bool mask)
{
	scoped_guard(spinlock_irqsave, &irq->lock) {
		if (irq->masked == mask)
			break;
		irq->masked = mask;
		if (!irq->enabled)
			break;
		if (mask)
			disable_irq_nosync(irq->irq);
		else
			enable_irq(irq->irq);
	}
}

static int vfio_platform_mask_handler(void *opaque, void *data)
{
	vfio_platform_irq_mask(opaque, true);
	return 0;
}

/*
 * A level that is still there is an interrupt at once. If that signals the
 * eventfd that unmasks, the ring would never end: what an interrupt asks for is
 * left to the thread, which is made to wait.
 */
static int vfio_platform_unmask_handler(void *opaque, void *data)
{
	if (in_interrupt())
		return 1;
	vfio_platform_irq_mask(opaque, false);
	return 0;
}

static void vfio_platform_unmask_thread(void *opaque, void *data)
{
	vfio_platform_irq_mask(opaque, false);
}

static int vfio_platform_irq_enable(struct vfio_platform_device *vpd,
				    struct vfio_platform_irq *irq,
				    struct eventfd_ctx *trigger)
{
	bool level = irq->flags & VFIO_IRQ_INFO_AUTOMASKED;
	int ret;

	irq->name = kasprintf(GFP_KERNEL_ACCOUNT, "vfio-irq[%u](%s)", irq->irq,
			      dev_name(vpd->vdev.dev));
	if (!irq->name)
		return -ENOMEM;
	WRITE_ONCE(irq->trigger, trigger);
	ret = request_irq(irq->irq, level ? vfio_platform_level_handler :
			  vfio_platform_edge_handler, IRQF_NO_AUTOEN, irq->name,
			  irq);
	if (ret) {
		WRITE_ONCE(irq->trigger, NULL);
		kfree(irq->name);
		irq->name = NULL;
		return ret;
	}
	/*
	 * Each interrupt of a level is masked, and a line that is disabled only
	 * when it fires again fires twice as often.
	 */
	if (level)
		irq_set_status_flags(irq->irq, IRQ_DISABLE_UNLAZY);
	scoped_guard(spinlock_irqsave, &irq->lock) {
		irq->enabled = true;
		if (!irq->masked)
			enable_irq(irq->irq);
	}
	return 0;
}

static void vfio_platform_irq_disable(struct vfio_platform_irq *irq)
{
	struct eventfd_ctx *trigger = irq->trigger;

	if (!irq->name)
		return;
	/* nobody masks or unmasks the line any more, only what it would be */
	scoped_guard(spinlock_irqsave, &irq->lock)
		irq->enabled = false;
	free_irq(irq->irq, irq);
	WRITE_ONCE(irq->trigger, NULL);
	if (trigger)
		eventfd_ctx_put(trigger);
	kfree(irq->name);
	irq->name = NULL;
}

static int vfio_platform_irq_trigger(struct vfio_platform_device *vpd,
				     struct vfio_platform_irq *irq, s32 fd)
{
	struct eventfd_ctx *trigger;
	int ret;

	if (fd < 0) {
		vfio_platform_irq_disable(irq);
		return 0;
	}
	trigger = eventfd_ctx_fdget(fd);
	if (IS_ERR(trigger))
		return PTR_ERR(trigger);
	vfio_platform_irq_disable(irq);
	ret = vfio_platform_irq_enable(vpd, irq, trigger);
	if (ret)
		eventfd_ctx_put(trigger);
	return ret;
}

static int vfio_platform_irq_set_fd(struct vfio_platform_device *vpd,
				    struct vfio_platform_irq *irq, u32 action,
				    s32 fd)
{
	struct virqfd **virqfd;

	if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		return vfio_platform_irq_trigger(vpd, irq, fd);

	virqfd = action == VFIO_IRQ_SET_ACTION_MASK ? &irq->mask : &irq->unmask;
	if (fd < 0) {
		vfio_virqfd_disable(virqfd);
		return 0;
	}
	if (action == VFIO_IRQ_SET_ACTION_MASK)
		return vfio_virqfd_enable(irq, vfio_platform_mask_handler, NULL,
					  NULL, virqfd, fd);
	return vfio_virqfd_enable(irq, vfio_platform_unmask_handler,
				  vfio_platform_unmask_thread, NULL, virqfd,
				  fd);
}

static int vfio_platform_irq_set(struct vfio_platform_device *vpd,
				 const struct vfio_irq_set *hdr,
				 const void *data)
{
	struct vfio_platform_irq *irq = &vpd->irqs[hdr->index];
	u32 action = hdr->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	switch (action) {
	case VFIO_IRQ_SET_ACTION_MASK:
	case VFIO_IRQ_SET_ACTION_UNMASK:
		if (!(irq->flags & VFIO_IRQ_INFO_MASKABLE) || !hdr->count)
			return -EINVAL;
		break;
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		break;
	default:
		return -EINVAL;
	}
	if (hdr->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!hdr->count)
			return -EINVAL;
		return vfio_platform_irq_set_fd(vpd, irq, action,
						*(const s32 *)data);
	}
	if (!hdr->count) {
		if (!(hdr->flags & VFIO_IRQ_SET_DATA_NONE))
			return -EINVAL;
		vfio_platform_irq_disable(irq);
		return 0;
	}
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER && !irq->name)
		return -EINVAL;
	if (hdr->flags & VFIO_IRQ_SET_DATA_BOOL && !*(const u8 *)data)
		return 0;
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		vfio_platform_irq_signal(irq);
	else
		vfio_platform_irq_mask(irq, action == VFIO_IRQ_SET_ACTION_MASK);
	return 0;
}

/**
 * vfio_platform_irqs_set - VFIO_DEVICE_SET_IRQS
 * @vpd: an open device
 * @arg: the user's argument
 *
 * Return: 0 or a negative errno.
 */
int vfio_platform_irqs_set(struct vfio_platform_device *vpd,
			   struct vfio_irq_set __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_set, count), size;
	struct vfio_irq_set hdr;
	s32 data = 0;
	int ret;

	if (copy_from_user(&hdr, arg, minsz))
		return -EFAULT;
	ret = vfio_set_irqs_validate_and_prepare(&hdr, 1, vpd->num_irqs, &size);
	if (ret)
		return ret;
	if (copy_from_user(&data, (void __user *)arg + minsz, size))
		return -EFAULT;
	guard(mutex)(&vpd->lock);
	return vfio_platform_irq_set(vpd, &hdr, &data);
}

/**
 * vfio_platform_irqs_disable - all interrupts as they are for a new user
 * @vpd: a device that nobody uses any more; its lock is held
 */
void vfio_platform_irqs_disable(struct vfio_platform_device *vpd)
{
	unsigned int i;

	lockdep_assert_held(&vpd->lock);

	for (i = 0; i < vpd->num_irqs; i++) {
		vfio_virqfd_disable(&vpd->irqs[i].mask);
		vfio_virqfd_disable(&vpd->irqs[i].unmask);
		vfio_platform_irq_disable(&vpd->irqs[i]);
		vpd->irqs[i].masked = false;
	}
}

/**
 * vfio_platform_irq_info - VFIO_DEVICE_GET_IRQ_INFO
 * @vpd: the device
 * @arg: the user's argument
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int vfio_platform_irq_info(struct vfio_platform_device *vpd,
			   struct vfio_irq_info __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= vpd->num_irqs)
		return -EINVAL;
	info.flags = vpd->irqs[info.index].flags;
	info.count = 1;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/**
 * vfio_platform_irqs_init - find the interrupts of a device
 * @vpd: a device that is not registered yet
 *
 * Return: 0; -ENOMEM; -EPROBE_DEFER and the like if the interrupt controller is
 * not there.
 */
int vfio_platform_irqs_init(struct vfio_platform_device *vpd)
{
	struct device *dev = vpd->vdev.dev;
	unsigned int i, n = 0;
	int nr;

	while ((nr = vpd->bus->irq(dev, n)) > 0)
		n++;
	if (nr < 0 && nr != -ENXIO)
		return nr;
	vpd->irqs = kcalloc(n, sizeof(*vpd->irqs), GFP_KERNEL_ACCOUNT);
	if (!vpd->irqs)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct vfio_platform_irq *irq = &vpd->irqs[i];

		irq->irq = vpd->bus->irq(dev, i);
		irq->flags = VFIO_IRQ_INFO_EVENTFD;
		if (irq_get_trigger_type(irq->irq) & IRQ_TYPE_LEVEL_MASK)
			irq->flags |= VFIO_IRQ_INFO_MASKABLE |
				      VFIO_IRQ_INFO_AUTOMASKED;
		spin_lock_init(&irq->lock);
	}
	vpd->num_irqs = n;
	return 0;
}
