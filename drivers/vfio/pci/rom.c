// SPDX-License-Identifier: GPL-2.0-only
/*
 * The expansion ROM: in the device, as a shadow copy that firmware left in
 * memory, or as an image that firmware supplies in the device's stead.
 */
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/vfio_pci_core.h>

#include "rom_image.h"
#include "vfio_pci_priv.h"

static struct resource *vfio_pci_rom_resource(struct vfio_pci_core_device *vdev)
{
	return &vdev->pdev->resource[PCI_ROM_RESOURCE];
}

static bool vfio_pci_rom_from_firmware(struct vfio_pci_core_device *vdev)
{
	return !vfio_pci_rom_resource(vdev)->start && vdev->pdev->rom &&
	       vdev->pdev->romlen;
}

/**
 * vfio_pci_rom_window - size of the ROM BAR
 * @vdev: the device
 *
 * Return: bytes, 0 if there can be no ROM.
 */
u64 vfio_pci_rom_window(struct vfio_pci_core_device *vdev)
{
	if (vfio_pci_rom_from_firmware(vdev))
		return roundup_pow_of_two(vdev->pdev->romlen);
	if (!vfio_pci_rom_resource(vdev)->start)
		return 0;
	return resource_size(vfio_pci_rom_resource(vdev));
}

static void __iomem *vfio_pci_rom_map(struct vfio_pci_core_device *vdev)
{
	struct resource *res = vfio_pci_rom_resource(vdev);
	void __iomem *io;

	if (vfio_pci_rom_from_firmware(vdev))
		return ioremap(vdev->pdev->rom, vdev->pdev->romlen);

	if (pci_enable_rom(vdev->pdev))
		return NULL;
	io = ioremap(res->start, resource_size(res));
	if (!io && !(res->flags & IORESOURCE_ROM_ENABLE))
		pci_disable_rom(vdev->pdev);
	return io;
}

static void vfio_pci_rom_unmap(struct vfio_pci_core_device *vdev,
			       void __iomem *io)
{
	iounmap(io);
	/* Others may share the device's one address decoder */
	if (!vfio_pci_rom_from_firmware(vdev) &&
	    !(vfio_pci_rom_resource(vdev)->flags & IORESOURCE_ROM_ENABLE))
		pci_disable_rom(vdev->pdev);
}

static u8 vfio_pci_rom_read_byte(void *ctx, size_t pos)
{
	return readb((void __iomem __force *)ctx + pos);
}

static size_t vfio_pci_rom_probe(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_rom rom = {
		.read = vfio_pci_rom_read_byte,
		.size = vfio_pci_rom_window(vdev),
	};
	struct resource *res = vfio_pci_rom_resource(vdev);
	void __iomem *io;
	size_t size = 0;
	u16 cmd;

	if (vfio_pci_rom_from_firmware(vdev))
		return vdev->pdev->romlen;
	/* It is not used where it is, if that is somebody else's */
	if (!res->start ||
	    (!res->parent && pci_assign_resource(vdev->pdev, PCI_ROM_RESOURCE)))
		return 0;

	/* A ROM answers only while memory decoding is on */
	cmd = vfio_pci_memory_lock_and_enable(vdev);
	io = vfio_pci_rom_map(vdev);
	if (io) {
		rom.ctx = (void __force *)io;
		size = vfio_pci_rom_image_size(&rom);
		vfio_pci_rom_unmap(vdev, io);
	}
	vfio_pci_memory_unlock_and_restore(vdev, cmd);
	return size;
}

/* Looked for when somebody first asks: reading a ROM takes long */
static size_t vfio_pci_rom_probed_size(struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held(&vdev->rom_lock);

	if (!vdev->rom_probed) {
		vdev->rom_size = vfio_pci_rom_probe(vdev);
		vdev->rom_probed = true;
	}
	return vdev->rom_size;
}

/**
 * vfio_pci_rom_present - whether there is something in the ROM
 * @vdev: an enabled device that is powered
 *
 * Return: true if there is.
 */
bool vfio_pci_rom_present(struct vfio_pci_core_device *vdev)
{
	guard(mutex)(&vdev->rom_lock);
	return vfio_pci_rom_probed_size(vdev) != 0;
}

/**
 * vfio_pci_rom_read - read the ROM
 * @vdev: an enabled device that is powered
 * @buf: user memory
 * @count: bytes
 * @ppos: position in the device file, advanced by what was done
 *
 * What the image leaves of the window reads as ones.
 *
 * Return: bytes read; -EINVAL behind the end of the window, -ENOMEM, else as
 * vfio_pci_core_do_io_rw().
 */
ssize_t vfio_pci_rom_read(struct vfio_pci_core_device *vdev, char __user *buf,
			  size_t count, loff_t *ppos)
{
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	u64 end = vfio_pci_rom_window(vdev);
	bool in_device =
		!vfio_pci_rom_from_firmware(vdev) &&
		!(vfio_pci_rom_resource(vdev)->flags & IORESOURCE_ROM_SHADOW);
	void __iomem *io;
	ssize_t done;

	if (pos >= end)
		return -EINVAL;
	count = min_t(u64, count, end - pos);

	guard(mutex)(&vdev->rom_lock);
	if (!vfio_pci_rom_probed_size(vdev))
		return -ENOMEM;
	io = vfio_pci_rom_map(vdev);
	if (!io)
		return -ENOMEM;
	done = vfio_pci_core_do_io_rw(vdev, in_device, io, buf, pos, count,
				      vdev->rom_size, end, false,
				      VFIO_PCI_IO_WIDTH_4);
	vfio_pci_rom_unmap(vdev, io);
	if (done > 0)
		*ppos += done;
	return done;
}
