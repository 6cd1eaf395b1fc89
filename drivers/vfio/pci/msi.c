// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI and MSI-X.
 *
 * An index is enabled by giving it its first eventfd, and with it as many
 * vectors as that needs. Where the platform can add MSI-X vectors later, it
 * does so on demand.
 *
 * Everything here is under igate. A vector that has an eventfd has a context;
 * a vector without one has no interrupt handler either.
 *
 * The Mask Bits of MSI have two masters: the user, and the interrupt core, which
 * masks vectors without a handler and writes the whole register whenever it has
 * to (an interrupt moves to another CPU, the device comes out of a reset). So the
 * user's bits are handed to the interrupt core: a vector that the user has masked
 * is a disabled interrupt, which is masked in the device at once. The vectors of
 * MSI-X are masked in a BAR, where the user does it without us.
 */
#include <linux/bitmap.h>
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqbypass.h>
#include <linux/log2.h>
#include <linux/msi.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>
#include <linux/xarray.h>

#include "trace.h"
#include "vfio_pci_priv.h"

/**
 * struct vfio_pci_irq_ctx - one vector with an eventfd
 * @trigger: the eventfd; replaced while the handler may run
 * @producer: lets a hypervisor deliver the interrupt without us
 * @name: the name in /proc/interrupts
 * @irq: Linux interrupt number
 * @masked: disabled, because the user has masked the vector
 */
struct vfio_pci_irq_ctx {
	struct eventfd_ctx		*trigger;
	struct irq_bypass_producer	producer;
	char				*name;
	int				irq;
	bool				masked;
};

static irqreturn_t vfio_pci_msi_handler(int irq, void *dev_id)
{
	struct vfio_pci_irq_ctx *ctx = dev_id;

	eventfd_signal(READ_ONCE(ctx->trigger));
	return IRQ_HANDLED;
}

static bool vfio_pci_is_msix(struct vfio_pci_core_device *vdev)
{
	return vdev->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
}

static void vfio_pci_msi_producer_register(struct vfio_pci_core_device *vdev,
					   struct vfio_pci_irq_ctx *ctx)
{
	int ret;

	ret = irq_bypass_register_producer(&ctx->producer, ctx->trigger,
					   ctx->irq);
	if (ret)
		/* Delivery takes the longer way, as ever */
		pci_dbg(vdev->pdev, "no irq bypass for irq %d: %d\n",
			ctx->irq, ret);
}

static void vfio_pci_msi_producer_unregister(struct vfio_pci_irq_ctx *ctx)
{
	irq_bypass_unregister_producer(&ctx->producer);
}

/**
 * vfio_pci_msi_needs_table - are messages nothing without a page table?
 *
 * Behind an ITS of Arm's, the IOMMU translates messages as all DMA, and a vector
 * gets its address from the page table that the device is attached to. Without
 * one the kernel refuses to allocate a vector, whereupon the driver of the ITS has
 * lost it for good: so it is not asked.
 *
 * Return: true if &vfio_device.attach_lock is needed to allocate vectors.
 */
bool vfio_pci_msi_needs_table(void)
{
	return IS_ENABLED(CONFIG_ARM_GIC_V3_ITS);
}

static bool vfio_pci_msi_is_blocked(struct vfio_pci_core_device *vdev)
{
	if (!vfio_pci_msi_needs_table() ||
	    !vfio_iommufd_device_is_blocked(&vdev->vdev))
		return false;
	pci_notice_ratelimited(vdev->pdev, "interrupt vectors refused: the IOMMU translates messages, and the device has no page table\n");
	return true;
}

/*
 * The interrupt number of a vector, allocated now where that is possible.
 * Here and below, memory decoding is on: the vector table is in the device.
 */
static int vfio_pci_msi_irq_of_vector(struct vfio_pci_core_device *vdev,
				      unsigned int vector)
{
	struct msi_map map;
	int irq;

	irq = pci_irq_vector(vdev->pdev, vector);
	if (irq > 0 || !vfio_pci_is_msix(vdev) || !vdev->has_dyn_msix)
		return irq ?: -EINVAL;
	if (vfio_pci_msi_is_blocked(vdev))
		return -ENOSPC;

	map = pci_msix_alloc_irq_at(vdev->pdev, vector, NULL);
	return map.index < 0 ? map.index : map.virq;
}

/*
 * The device may have been reset behind our back since the vectors were set up,
 * or the user may have written to the vector table.
 */
static void vfio_pci_msi_restore_message(struct vfio_pci_core_device *vdev,
					 int irq)
{
	struct msi_msg msg;

	if (!vfio_pci_is_msix(vdev))
		return;
	get_cached_msi_msg(irq, &msg);
	pci_write_msi_msg(irq, &msg);
}

static bool vfio_pci_msi_masked_by_user(struct vfio_pci_core_device *vdev,
					unsigned long vector)
{
	return !vfio_pci_is_msix(vdev) &&
	       vfio_pci_config_msi_mask(vdev) & BIT(vector);
}

static int vfio_pci_msi_ctx_request(struct vfio_pci_core_device *vdev,
				    unsigned int vector,
				    struct vfio_pci_irq_ctx *ctx)
{
	int ret;

	ctx->irq = vfio_pci_msi_irq_of_vector(vdev, vector);
	if (ctx->irq < 0)
		return ctx->irq;
	vfio_pci_msi_restore_message(vdev, ctx->irq);
	/* Its place is taken first, because that may fail as well */
	ret = xa_insert(&vdev->ctx, vector, ctx, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	/* Taken back by free_irq() */
	if (!vfio_pci_is_msix(vdev))
		irq_set_status_flags(ctx->irq, IRQ_DISABLE_UNLAZY);
	ctx->masked = vfio_pci_msi_masked_by_user(vdev, vector);
	ret = request_irq(ctx->irq, vfio_pci_msi_handler,
			  ctx->masked ? IRQF_NO_AUTOEN : 0, ctx->name, ctx);
	if (ret)
		xa_erase(&vdev->ctx, vector);
	return ret;
}

static int vfio_pci_msi_ctx_alloc(struct vfio_pci_core_device *vdev,
				  unsigned int vector,
				  struct eventfd_ctx *trigger)
{
	struct vfio_pci_irq_ctx *ctx;
	int ret;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	ctx->trigger = trigger;
	ctx->name = kasprintf(GFP_KERNEL_ACCOUNT, "vfio-msi%s[%d](%s)",
			      vfio_pci_is_msix(vdev) ? "x" : "", vector,
			      pci_name(vdev->pdev));
	if (!ctx->name) {
		ret = -ENOMEM;
		goto err_free;
	}
	ret = vfio_pci_msi_ctx_request(vdev, vector, ctx);
	if (ret)
		goto err_name;
	return 0;

err_name:
	kfree(ctx->name);
err_free:
	kfree(ctx);
	return ret;
}

/* Gives the eventfd back to the caller */
static struct eventfd_ctx *
vfio_pci_msi_ctx_destroy(struct vfio_pci_core_device *vdev, unsigned int vector)
{
	struct vfio_pci_irq_ctx *ctx = xa_erase(&vdev->ctx, vector);
	struct eventfd_ctx *trigger = ctx->trigger;

	/* Waits for the handler */
	free_irq(ctx->irq, ctx);
	kfree(ctx->name);
	kfree(ctx);
	return trigger;
}

static void vfio_pci_msi_ctx_replace_trigger(struct vfio_pci_core_device *vdev,
					     struct vfio_pci_irq_ctx *ctx,
					     struct eventfd_ctx *trigger)
{
	struct eventfd_ctx *old = ctx->trigger;

	/* No interrupt is lost: each goes to the old or to the new eventfd */
	WRITE_ONCE(ctx->trigger, trigger);
	synchronize_irq(ctx->irq);
	eventfd_ctx_put(old);
	vfio_pci_msi_restore_message(vdev, ctx->irq);
}

static void vfio_pci_msi_put_triggers(struct eventfd_ctx **triggers,
				      unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (triggers[i])
			eventfd_ctx_put(triggers[i]);
	kvfree(triggers);
}

static struct eventfd_ctx **vfio_pci_msi_get_triggers(const s32 *fds,
						      unsigned int count)
{
	struct eventfd_ctx **triggers;
	unsigned int i;

	triggers = kvcalloc(count, sizeof(*triggers), GFP_KERNEL_ACCOUNT);
	if (!triggers)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < count; i++) {
		struct eventfd_ctx *trigger;

		if (fds[i] < 0)
			continue;
		trigger = eventfd_ctx_fdget(fds[i]);
		if (IS_ERR(trigger)) {
			vfio_pci_msi_put_triggers(triggers, i);
			return ERR_CAST(trigger);
		}
		triggers[i] = trigger;
	}
	return triggers;
}

/*
 * All or nothing: first what may fail, that is vectors that had no eventfd;
 * then the others, which cannot.
 */
static int vfio_pci_msi_set_triggers_locked(struct vfio_pci_core_device *vdev,
					    unsigned int start,
					    unsigned int count,
					    struct eventfd_ctx **triggers,
					    unsigned long *fresh)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		if (!triggers[i] || xa_load(&vdev->ctx, start + i))
			continue;
		ret = vfio_pci_msi_ctx_alloc(vdev, start + i, triggers[i]);
		if (ret)
			goto err_destroy;
		__set_bit(i, fresh);
	}

	for (i = 0; i < count; i++) {
		ctx = xa_load(&vdev->ctx, start + i);
		if (ctx && !triggers[i])
			eventfd_ctx_put(vfio_pci_msi_ctx_destroy(vdev,
								 start + i));
		else if (ctx && !test_bit(i, fresh))
			vfio_pci_msi_ctx_replace_trigger(vdev, ctx,
							 triggers[i]);
		/* It belongs to the context now */
		triggers[i] = NULL;
	}
	return 0;

err_destroy:
	for_each_set_bit(i, fresh, count)
		vfio_pci_msi_ctx_destroy(vdev, start + i);
	return ret;
}

static int vfio_pci_msi_set_block(struct vfio_pci_core_device *vdev,
				  unsigned int start, unsigned int count,
				  const s32 *fds)
{
	struct eventfd_ctx **triggers;
	struct vfio_pci_irq_ctx *ctx;
	unsigned long *fresh, vector;
	int ret = -ENOMEM;
	u16 cmd;

	if (!count)
		return 0;
	triggers = vfio_pci_msi_get_triggers(fds, count);
	if (IS_ERR(triggers))
		return PTR_ERR(triggers);
	fresh = bitmap_zalloc(count, GFP_KERNEL_ACCOUNT);
	if (!fresh)
		goto out;

	/* Consumers take locks that have no business under memory_lock */
	xa_for_each_range(&vdev->ctx, vector, ctx, start, start + count - 1)
		vfio_pci_msi_producer_unregister(ctx);
	cmd = vfio_pci_memory_lock_and_enable(vdev);
	ret = vfio_pci_msi_set_triggers_locked(vdev, start, count, triggers,
					       fresh);
	vfio_pci_memory_unlock_and_restore(vdev, cmd);
	xa_for_each_range(&vdev->ctx, vector, ctx, start, start + count - 1)
		vfio_pci_msi_producer_register(vdev, ctx);

	bitmap_free(fresh);
out:
	vfio_pci_msi_put_triggers(triggers, count);
	return ret;
}

/* The user's masks hold of the vectors that have a handler */
static void vfio_pci_msi_mask_vectors(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long vector;
	bool masked;

	/* A reset would lose what is written to the device during it */
	guard(rwsem_read)(&vdev->memory_lock);
	xa_for_each(&vdev->ctx, vector, ctx) {
		masked = vfio_pci_msi_masked_by_user(vdev, vector);
		if (masked == ctx->masked)
			continue;
		ctx->masked = masked;
		if (masked)
			disable_irq(ctx->irq);
		else
			enable_irq(ctx->irq);
	}
}

/**
 * vfio_pci_msi_mask_changed - mask MSI vectors as the user wants it
 * @vdev: an enabled device; igate is held
 *
 * While MSI is set up the interrupt core owns the register, else the user's
 * bits are simply there. When this returns, no eventfd of a masked vector is
 * signalled any more.
 *
 * Return: 0 or what the PCI core returned.
 */
int vfio_pci_msi_mask_changed(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held(&vdev->igate);

	if (vdev->irq_type != VFIO_PCI_MSI_IRQ_INDEX)
		return vfio_pci_config_msi_write_mask(vdev);
	vfio_pci_msi_mask_vectors(vdev);
	return 0;
}

/**
 * vfio_pci_msi_unmask - forget what the user has masked
 * @vdev: an enabled device; igate is held
 */
void vfio_pci_msi_unmask(struct vfio_pci_core_device *vdev)
{
	vfio_pci_config_msi_unmask(vdev);
	vfio_pci_msi_mask_changed(vdev);
}

/**
 * vfio_pci_msi_after_reset - all vectors are unmasked, as the device has it
 * @vdev: an enabled device that was reset; memory_lock is not held
 */
void vfio_pci_msi_after_reset(struct vfio_pci_core_device *vdev)
{
	guard(mutex)(&vdev->igate);
	vfio_pci_msi_unmask(vdev);
}

/* To be called when irq_type or msi_qmax changed */
static void vfio_pci_msi_changed(struct vfio_pci_core_device *vdev)
{
	vfio_pci_config_msi_changed(vdev);
	/* The interrupt core leaves the register with all vectors unmasked */
	vfio_pci_msi_mask_changed(vdev);
}

/*
 * The PCI core asks the device anew where the table is that it writes to. Where
 * it is was found to be harmless when there was no user yet.
 */
static bool vfio_pci_msix_table_moved(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	u32 table = 0;
	u16 flags = 0;

	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &flags);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	return table != (vdev->msix_offset | vdev->msix_bar) ||
	       ((flags & PCI_MSIX_FLAGS_QSIZE) + 1) * PCI_MSIX_ENTRY_SIZE !=
	       vdev->msix_size;
}

static int vfio_pci_msi_enable(struct vfio_pci_core_device *vdev,
			       unsigned int index, unsigned int nvec)
{
	unsigned int flag = index == VFIO_PCI_MSIX_IRQ_INDEX ? PCI_IRQ_MSIX :
							       PCI_IRQ_MSI;
	int ret;
	u16 cmd;

	if (vdev->irq_type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (flag == PCI_IRQ_MSIX && vfio_pci_msix_table_moved(vdev)) {
		pci_notice_ratelimited(vdev->pdev, "MSI-X refused: the vector table is not where it was before the first user\n");
		return -EIO;
	}
	if (vfio_pci_msi_is_blocked(vdev))
		return -ENOSPC;

	cmd = vfio_pci_memory_lock_and_enable(vdev);
	ret = pci_alloc_irq_vectors(vdev->pdev, 1, nvec, flag);
	/* User ABI: how many there are is the answer if there are too few */
	if (ret > 0 && ret < nvec) {
		pci_free_irq_vectors(vdev->pdev);
		vfio_pci_intx_unused(vdev);
	}
	vfio_pci_memory_unlock_and_restore(vdev, cmd);
	if (ret < (int)nvec)
		return ret;

	vdev->irq_type = index;
	vdev->msi_qmax = flag == PCI_IRQ_MSI ? order_base_2(nvec) : 0;
	vfio_pci_msi_changed(vdev);
	return 0;
}

/**
 * vfio_pci_msi_disable - release all vectors
 * @vdev: a device with MSI or MSI-X enabled; igate is held
 */
void vfio_pci_msi_disable(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long vector;
	u16 cmd;

	lockdep_assert_held(&vdev->igate);

	xa_for_each(&vdev->ctx, vector, ctx)
		vfio_pci_msi_producer_unregister(ctx);

	cmd = vfio_pci_memory_lock_and_enable(vdev);
	xa_for_each(&vdev->ctx, vector, ctx)
		eventfd_ctx_put(vfio_pci_msi_ctx_destroy(vdev, vector));
	pci_free_irq_vectors(vdev->pdev);
	/* The PCI core has just given INTx back */
	vfio_pci_intx_unused(vdev);
	vfio_pci_memory_unlock_and_restore(vdev, cmd);

	vdev->irq_type = VFIO_PCI_NUM_IRQS;
	vdev->msi_qmax = 0;
	vfio_pci_msi_changed(vdev);
}

/**
 * vfio_pci_msi_in_use - count vectors that have an eventfd
 * @vdev: an enabled device; igate is held
 *
 * Return: their number.
 */
unsigned int vfio_pci_msi_in_use(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long vector;
	unsigned int n = 0;

	xa_for_each(&vdev->ctx, vector, ctx)
		n++;
	return n;
}

static int vfio_pci_msi_set_triggers(struct vfio_pci_core_device *vdev,
				     unsigned int index, unsigned int start,
				     unsigned int count, const s32 *fds)
{
	int ret;

	if (vdev->irq_type == index)
		return vfio_pci_msi_set_block(vdev, start, count, fds);

	ret = vfio_pci_msi_enable(vdev, index, start + count);
	if (ret)
		return ret;
	ret = vfio_pci_msi_set_block(vdev, start, count, fds);
	if (ret)
		vfio_pci_msi_disable(vdev);
	return ret;
}

static void vfio_pci_msi_loopback(struct vfio_pci_core_device *vdev, u32 flags,
				  unsigned int start, unsigned int count,
				  const u8 *bools)
{
	struct vfio_pci_irq_ctx *ctx;
	unsigned long vector;

	if (!count)
		return;
	xa_for_each_range(&vdev->ctx, vector, ctx, start, start + count - 1)
		if (flags & VFIO_IRQ_SET_DATA_NONE || bools[vector - start])
			eventfd_signal(ctx->trigger);
}

/**
 * vfio_pci_msi_set - VFIO_DEVICE_SET_IRQS for MSI and MSI-X
 * @vdev: an enabled device; igate is held, and around it &vfio_device.attach_lock
 *        if vfio_pci_msi_needs_table()
 * @index: which of the two
 * @flags: VFIO_IRQ_SET_*, with one kind of data
 * @start: checked to be within the number of vectors
 * @count: likewise
 * @data: as @flags says
 *
 * Return: 0, a negative errno, or the number of vectors that are available if it
 * is lower than the number that was asked for.
 */
int vfio_pci_msi_set(struct vfio_pci_core_device *vdev, unsigned int index,
		     u32 flags, unsigned int start, unsigned int count,
		     void *data)
{
	lockdep_assert_held(&vdev->igate);

	/* Vectors are masked in the device by nobody but the kernel */
	if ((flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) !=
	    VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;

	if (vdev->irq_type == index && !count &&
	    flags & VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_msi_disable(vdev);
		return 0;
	}
	if (vdev->irq_type != index && vdev->irq_type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return vfio_pci_msi_set_triggers(vdev, index, start, count,
						 data);
	if (vdev->irq_type != index)
		return -EINVAL;
	vfio_pci_msi_loopback(vdev, flags, start, count, data);
	return 0;
}
