// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking the device's memory away from all who reach it, and giving it back.
 *
 * A device answers in its memory space only while Memory Space Enable is set,
 * it is in D0 and no reset is under way. At other times an access may time out,
 * or bring the machine down. So whoever is about to end that state takes
 * memory_lock for writing and removes all mappings; whoever accesses the device
 * holds it for reading, and a page fault maps memory only while it is there.
 */
#include <linux/mm.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

/**
 * vfio_pci_memory_zap - remove every user mapping of the device's memory
 * @vdev: the device; memory_lock is held for writing
 *
 * Neither CPUs nor other devices reach the memory when this returns. Other
 * devices do again after vfio_pci_memory_restore(), CPUs by faults.
 */
void vfio_pci_memory_zap(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held_write(&vdev->memory_lock);

	trace_vfio_pci_zap(vdev);
	unmap_mapping_range(vdev->vdev.inode->i_mapping,
			    VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX),
			    VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_ROM_REGION_INDEX),
			    true);
	vfio_pci_p2p_revoke(vdev);
	vfio_pci_dmabuf_revoke(vdev);
}

/**
 * vfio_pci_memory_restore - let other devices reach the memory if it is there
 * @vdev: the device; memory_lock is held for writing
 */
void vfio_pci_memory_restore(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held_write(&vdev->memory_lock);

	/* A hot reset comes here also for devices that are not enabled */
	if (!vdev->config || !vfio_pci_memory_enabled(vdev))
		return;
	vfio_pci_p2p_restore(vdev);
	vfio_pci_dmabuf_restore(vdev);
}

/**
 * vfio_pci_memory_end - take the memory from other devices for good
 * @vdev: a device that is being disabled
 */
void vfio_pci_memory_end(struct vfio_pci_core_device *vdev)
{
	guard(rwsem_write)(&vdev->memory_lock);
	vfio_pci_dmabuf_end(vdev);
	vfio_pci_p2p_end(vdev);
}

/**
 * vfio_pci_memory_lock_and_zap - take the device's memory away from everybody
 * @vdev: the device
 *
 * Undone by vfio_pci_memory_unlock().
 */
void vfio_pci_memory_lock_and_zap(struct vfio_pci_core_device *vdev)
{
	down_write(&vdev->memory_lock);
	vfio_pci_memory_zap(vdev);
}

/**
 * vfio_pci_memory_unlock - undo vfio_pci_memory_lock_and_zap()
 * @vdev: the device
 */
void vfio_pci_memory_unlock(struct vfio_pci_core_device *vdev)
{
	vfio_pci_memory_restore(vdev);
	up_write(&vdev->memory_lock);
}

/**
 * vfio_pci_memory_lock_and_enable - make sure that the kernel reaches the
 *				     device's memory
 * @vdev: the device, powered
 *
 * MSI-X vectors and the ROM are set up at times when the user may have disabled
 * memory. Undone by vfio_pci_memory_unlock_and_restore().
 *
 * Return: the Command register as it was.
 */
u16 vfio_pci_memory_lock_and_enable(struct vfio_pci_core_device *vdev)
{
	u16 cmd = 0;

	down_write(&vdev->memory_lock);
	/* Its registers tell the user; nothing answers in D3hot */
	if (vdev->pdev->current_state != PCI_D0)
		vfio_pci_set_power_state(vdev, PCI_D0);
	vfio_pci_command_update(vdev, PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY,
				&cmd);
	return cmd;
}

/**
 * vfio_pci_memory_unlock_and_restore - undo vfio_pci_memory_lock_and_enable()
 * @vdev: the device
 * @cmd: what that returned
 */
void vfio_pci_memory_unlock_and_restore(struct vfio_pci_core_device *vdev,
					u16 cmd)
{
	/* Setting up MSI has changed other bits, which stay */
	if (!(cmd & PCI_COMMAND_MEMORY))
		vfio_pci_command_update(vdev, PCI_COMMAND_MEMORY, 0, NULL);
	vfio_pci_memory_unlock(vdev);
}
