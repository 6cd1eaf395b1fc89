// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intel integrated graphics for the selftests: makes any device of a virtual
 * machine look like that to vfio-pci, with an OpRegion as firmware leaves it.
 *
 * Everything is done by writing to parameters, so that it does not matter whether
 * this is built into the kernel:
 *
 * - device: the address of the device, "0000:00:02.0", optionally followed by what
 *   its register for the address of the OpRegion is to have instead; an empty line
 *   undoes it. The device must not be bound to a driver.
 * - scribble: have the OpRegion say other things than before, as a device may
 *   that is made to write to it.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/unaligned.h>

#define IGD_ASLS	0xfc
#define IGD_ORDER	1	/* 8 KiB, two pages on x86 */
#define IGD_SIZE_KB	0x10
#define IGD_VERSION	0x16
#define IGD_RVDA	0x3ba
#define IGD_RVDS	0x3c2

static DEFINE_MUTEX(igd_lock);
static struct pci_dev *igd_pdev;
static void *igd_opregion;
static u16 igd_vendor;
static u32 igd_class;
static u32 igd_asls;

static void igd_undo(void)
{
	lockdep_assert_held(&igd_lock);

	if (!igd_pdev)
		return;
	pci_write_config_dword(igd_pdev, IGD_ASLS, igd_asls);
	igd_pdev->vendor = igd_vendor;
	igd_pdev->class = igd_class;
	pci_dev_put(igd_pdev);
	igd_pdev = NULL;
	free_pages((unsigned long)igd_opregion, IGD_ORDER);
	igd_opregion = NULL;
}

static int igd_make(struct pci_dev *pdev, const u32 *asls)
{
	void *opregion;

	lockdep_assert_held(&igd_lock);

	if (pdev->dev.driver)
		return -EBUSY;
	opregion = (void *)__get_free_pages(GFP_KERNEL | GFP_DMA32 | __GFP_ZERO,
					    IGD_ORDER);
	if (!opregion)
		return -ENOMEM;
	memcpy(opregion, "IntelGraphicsMem", 16);
	put_unaligned_le32(8, opregion + IGD_SIZE_KB);
	put_unaligned_le16(0x0200, opregion + IGD_VERSION);

	igd_vendor = pdev->vendor;
	igd_class = pdev->class;
	pci_read_config_dword(pdev, IGD_ASLS, &igd_asls);
	pci_write_config_dword(pdev, IGD_ASLS,
			       asls ? *asls : (u32)virt_to_phys(opregion));
	pdev->vendor = PCI_VENDOR_ID_INTEL;
	pdev->class = PCI_CLASS_DISPLAY_OTHER << 8;
	igd_opregion = opregion;
	igd_pdev = pdev;
	return 0;
}

static int igd_device_set(const char *val, const struct kernel_param *kp)
{
	unsigned int domain, bus, slot, fn;
	struct pci_dev *pdev;
	u32 asls;
	int n, ret;

	guard(mutex)(&igd_lock);
	igd_undo();
	n = sscanf(val, "%x:%x:%x.%x %x", &domain, &bus, &slot, &fn, &asls);
	if (n < 4)
		return *val && *val != '\n' ? -EINVAL : 0;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, fn));
	if (!pdev)
		return -ENODEV;
	ret = igd_make(pdev, n > 4 ? &asls : NULL);
	if (ret)
		pci_dev_put(pdev);
	return ret;
}

static const struct kernel_param_ops igd_device_ops = {
	.set = igd_device_set,
};
module_param_cb(device, &igd_device_ops, NULL, 0200);
MODULE_PARM_DESC(device, "Address of the device, and what its ASLS has");

/* A smaller OpRegion, and a table elsewhere: in the second page of this one */
static int igd_scribble_set(const char *val, const struct kernel_param *kp)
{
	guard(mutex)(&igd_lock);
	if (!igd_pdev)
		return -ENODEV;
	put_unaligned_le32(4, igd_opregion + IGD_SIZE_KB);
	put_unaligned_le64(virt_to_phys(igd_opregion) + PAGE_SIZE,
			   igd_opregion + IGD_RVDA);
	put_unaligned_le32(PAGE_SIZE, igd_opregion + IGD_RVDS);
	return 0;
}

static const struct kernel_param_ops igd_scribble_ops = {
	.set = igd_scribble_set,
};
module_param_cb(scribble, &igd_scribble_ops, NULL, 0200);
MODULE_PARM_DESC(scribble, "Write to it for another OpRegion in the same place");

static int __init igd_module_init(void)
{
	return 0;
}

static void __exit igd_module_exit(void)
{
	guard(mutex)(&igd_lock);
	igd_undo();
}

module_init(igd_module_init);
module_exit(igd_module_exit);

MODULE_DESCRIPTION("VFIO: a device that looks like integrated graphics");
MODULE_LICENSE("GPL");
