// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that does not stay as it was, for the selftests: has a register of
 * configuration space read as something else than the device has there.
 *
 * Everything is done by writing to a parameter, so that it does not matter whether
 * this is built into the kernel:
 *
 * - read: the address of a device, "0000:00:02.0", the position of a register, a
 *   multiple of 4, and what is to be read from it, both in hexadecimal; an empty
 *   line undoes all that came before. All devices have to be on one bus.
 *
 * Not to be unloaded while somebody reads from that bus.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>

#define NR_FAKES	8

struct fake {
	unsigned int	devfn;
	int		reg;
	u32		val;
};

static DEFINE_MUTEX(fake_lock);
static struct pci_bus *fake_bus;
static struct pci_ops *real_ops;
static struct pci_ops fake_ops;
static struct fake fakes[NR_FAKES];
static unsigned int fakes_nr;

static int vfio_test_fake_read(struct pci_bus *bus, unsigned int devfn,
			       int where, int size, u32 *val)
{
	/* Entries are complete before they are counted */
	unsigned int i, nr = smp_load_acquire(&fakes_nr);
	int ret = real_ops->read(bus, devfn, where, size, val);

	for (i = 0; i < nr && !ret; i++) {
		const struct fake *f = &fakes[i];

		if (f->devfn == devfn && f->reg == (where & ~3))
			*val = (f->val >> (8 * (where & 3))) &
			       (U32_MAX >> (32 - 8 * size));
	}
	return ret;
}

static void vfio_test_fakes_undo(void)
{
	lockdep_assert_held(&fake_lock);

	if (!fake_bus)
		return;
	pci_bus_set_ops(fake_bus, real_ops);
	/* As in vfio_test_fakes_add() */
	smp_store_release(&fakes_nr, 0);
	put_device(&fake_bus->dev);
	fake_bus = NULL;
}

static int vfio_test_fakes_add(struct pci_dev *pdev, int reg, u32 val)
{
	lockdep_assert_held(&fake_lock);

	if (reg & 3 || reg < 0 || reg >= pdev->cfg_size)
		return -EINVAL;
	if (fakes_nr == NR_FAKES)
		return -ENOSPC;
	if (fake_bus && fake_bus != pdev->bus)
		return -EXDEV;
	fakes[fakes_nr] = (struct fake){ pdev->devfn, reg, val };
	/* With smp_load_acquire() in vfio_test_fake_read() */
	smp_store_release(&fakes_nr, fakes_nr + 1);
	if (fake_bus)
		return 0;

	get_device(&pdev->bus->dev);
	fake_bus = pdev->bus;
	real_ops = fake_bus->ops;
	fake_ops = *real_ops;
	fake_ops.read = vfio_test_fake_read;
	pci_bus_set_ops(fake_bus, &fake_ops);
	return 0;
}

static int vfio_test_fake_read_set(const char *val,
				   const struct kernel_param *kp)
{
	unsigned int domain, bus, slot, fn, reg;
	struct pci_dev *pdev;
	u32 fake;
	int ret;

	guard(mutex)(&fake_lock);
	if (!*val || *val == '\n') {
		vfio_test_fakes_undo();
		return 0;
	}
	if (sscanf(val, "%x:%x:%x.%x %x %x", &domain, &bus, &slot, &fn, &reg,
		   &fake) != 6)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, fn));
	if (!pdev)
		return -ENODEV;
	ret = vfio_test_fakes_add(pdev, reg, fake);
	pci_dev_put(pdev);
	return ret;
}

static const struct kernel_param_ops fake_read_ops = {
	.set = vfio_test_fake_read_set,
};
module_param_cb(read, &fake_read_ops, NULL, 0200);
MODULE_PARM_DESC(read, "Device, register and what it reads as");

static int __init vfio_test_fake_init(void)
{
	return 0;
}

static void __exit vfio_test_fake_exit(void)
{
	guard(mutex)(&fake_lock);
	vfio_test_fakes_undo();
}

module_init(vfio_test_fake_init);
module_exit(vfio_test_fake_exit);

MODULE_DESCRIPTION("VFIO: a device whose configuration space changes");
MODULE_LICENSE("GPL");
