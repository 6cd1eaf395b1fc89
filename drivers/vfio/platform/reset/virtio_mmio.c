// SPDX-License-Identifier: GPL-2.0-only
/*
 * How virtio devices are reset that are reached by memory: by a zero in their
 * Status register (Virtual I/O Device 1.2, 4.2.2 and 2.4). They have stopped when
 * that reads as zero again.
 */
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/virtio_mmio.h>

#include "../vfio_platform_priv.h"

#define COMPAT		"virtio,mmio"
#define TIMEOUT_US	(100 * USEC_PER_MSEC)
#define SLEEP_US	100

static int virtio_mmio_reset(struct vfio_platform_device *vpd)
{
	void __iomem *io = vfio_platform_region_io(vpd, 0);
	u32 status;

	if (!io)
		return -ENOMEM;
	writel(0, io + VIRTIO_MMIO_STATUS);
	return readl_poll_timeout(io + VIRTIO_MMIO_STATUS, status, !status,
				  SLEEP_US, TIMEOUT_US);
}

static struct vfio_platform_reset virtio_mmio_reset_entry = {
	.compat = COMPAT,
	.owner = THIS_MODULE,
	.reset = virtio_mmio_reset,
};

static int __init virtio_mmio_reset_init(void)
{
	return vfio_platform_register_reset(&virtio_mmio_reset_entry);
}
module_init(virtio_mmio_reset_init);

static void __exit virtio_mmio_reset_exit(void)
{
	vfio_platform_unregister_reset(&virtio_mmio_reset_entry);
}
module_exit(virtio_mmio_reset_exit);

MODULE_VFIO_PLATFORM_RESET(COMPAT);
MODULE_DESCRIPTION("Resets virtio devices on no bus for vfio-platform");
MODULE_LICENSE("GPL");
