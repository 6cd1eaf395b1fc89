// SPDX-License-Identifier: GPL-2.0-only
/*
 * D-states, and what a device loses in them.
 */
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

/**
 * vfio_pci_probe_power_state - find out whether D3hot loses the device's state
 * @vdev: a device that is being registered
 */
void vfio_pci_probe_power_state(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	u16 pmcsr;

	if (!pdev->pm_cap)
		return;
	pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &pmcsr);
	vdev->needs_pm_restore = !(pmcsr & PCI_PM_CTRL_NO_SOFT_RESET);
}

/**
 * vfio_pci_set_power_state - change the D-state
 * @vdev: the device; memory_lock is held for writing if it has a user, and its
 *	  memory is zapped if it is about to become inaccessible
 * @state: PCI_D0 to PCI_D3hot
 *
 * A device whose return from D3hot is a reset gets its state back, so that it
 * looks to the user as if it had none.
 *
 * Return: 0, -EBUSY for a PF that has VFs or is getting some, or what the PCI core returned.
 */
int vfio_pci_set_power_state(struct vfio_pci_core_device *vdev,
			     pci_power_t state)
{
	struct pci_dev *pdev = vdev->pdev;
	pci_power_t old = pdev->current_state;
	u16 cmd = 0;
	int ret;

	/* VFs need their PF powered */
	if (vdev->sriov_active && state != PCI_D0)
		return -EBUSY;

	if (vdev->needs_pm_restore && !vfio_pci_is_d3(old) &&
	    vfio_pci_is_d3(state)) {
		pci_save_state(pdev);
		kfree(vdev->pm_save);
		vdev->pm_save = pci_store_saved_state(pdev);
	}

	/* What the user wrote to it in D3hot holds when that is over, too */
	if (vdev->pm_save && vfio_pci_is_d3(old))
		pci_read_config_word(pdev, PCI_COMMAND, &cmd);

	ret = pci_set_power_state(pdev, state);

	if (vdev->pm_save && pdev->current_state == PCI_D0) {
		if (vfio_pci_is_d3(old)) {
			pci_load_and_free_saved_state(pdev, &vdev->pm_save);
			pci_restore_state(pdev);
			if (!PCI_POSSIBLE_ERROR(cmd))
				vfio_pci_command_update(vdev,
							(u16)~PCI_COMMAND_INTX_DISABLE,
							cmd, NULL);
			vfio_pci_intx_sync(vdev);
		} else {
			kfree(vdev->pm_save);
			vdev->pm_save = NULL;
		}
	}
	trace_vfio_pci_power(vdev, old, pdev->current_state);
	return ret;
}
