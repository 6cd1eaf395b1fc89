// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say of each PCI device that whatever it does is coherent with the processor's
 * caches, as firmware says by the flag CANWBS of ACPI's IORT. Without that, or an
 * SMMU that forces it, the SMMUv3 driver makes no virtual IOMMU: a guest could
 * pass the caches by. An emulated device reads and writes memory as processors do,
 * and so it is true there; QEMU's firmware tables do not say so.
 */
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/pci.h>

static int __init vfio_test_smmu_init(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(&pdev->dev);

		if (fwspec)
			fwspec->flags |= IOMMU_FWSPEC_PCI_RC_CANWBS;
	}
	return 0;
}
late_initcall(vfio_test_smmu_init);
