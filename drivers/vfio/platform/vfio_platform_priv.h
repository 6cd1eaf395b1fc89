/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that are found by no bus: in a device tree or in ACPI tables.
 *
 * vfio-platform-base is what the drivers for platform and for AMBA devices
 * share; they only know how to find a device's regions and interrupts. How a
 * device is reset differs from one to the next, and is up to modules that are
 * loaded by the name that the firmware gives the device.
 */
#ifndef __VFIO_PLATFORM_PRIV_H__
#define __VFIO_PLATFORM_PRIV_H__

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct device;
struct eventfd_ctx;
struct module;
struct resource;
struct virqfd;
struct vfio_platform_device;

/* Where a region is in the device's file, likewise for mmap() */
#define VFIO_PLATFORM_OFFSET_SHIFT	40
#define VFIO_PLATFORM_OFFSET_MASK	GENMASK_ULL(VFIO_PLATFORM_OFFSET_SHIFT - 1, 0)

/**
 * struct vfio_platform_bus - how the devices of a bus are described
 * @info_flag: VFIO_DEVICE_FLAGS_* of such devices
 * @reset_required: whether to refuse devices that cannot be reset; may change
 * @region: the n-th region, or NULL after the last
 * @irq: the n-th interrupt, -ENXIO after the last, another negative errno if it
 *       cannot be had
 */
struct vfio_platform_bus {
	u32 info_flag;
	const bool *reset_required;
	struct resource *(*region)(struct device *dev, unsigned int n);
	int (*irq)(struct device *dev, unsigned int n);
};

/**
 * struct vfio_platform_region - registers of a device
 * @phys: where they are
 * @size: bytes
 * @flags: VFIO_REGION_INFO_FLAG_*; 0 for I/O ports, to which there is no access
 * @io: mapped at the first access, until the device is closed; or NULL.
 *      &vfio_platform_device.lock
 */
struct vfio_platform_region {
	phys_addr_t phys;
	resource_size_t size;
	u32 flags;
	void __iomem *io;
};

/**
 * struct vfio_platform_irq - an interrupt of a device
 * @irq: its number in the kernel. Constant
 * @flags: VFIO_IRQ_INFO_*; maskable are those that are level-triggered. Constant
 * @name: while it is requested. &vfio_platform_device.lock
 * @lock: owns @enabled and @masked, with the disabling and enabling of the line
 *        that follows from them
 * @enabled: requested, with a handler that may signal @trigger
 * @masked: the user, or the last interrupt, has masked it. Without being @enabled
 *          it is what will be
 * @trigger: what to signal; written with &vfio_platform_device.lock held
 * @mask: what masks it, or NULL. &vfio_platform_device.lock
 * @unmask: what unmasks it, or NULL. &vfio_platform_device.lock
 */
struct vfio_platform_irq {
	unsigned int irq;
	u32 flags;
	char *name;
	spinlock_t lock;	/* See above */
	bool enabled;
	bool masked;
	struct eventfd_ctx *trigger;
	struct virqfd *mask;
	struct virqfd *unmask;
};

/**
 * struct vfio_platform_reset - how devices of a kind are reset
 * @entry: member of the list of all
 * @compat: the first name in the device's "compatible", or its ACPI _HID
 * @owner: the module that @reset is in
 * @reset: resets the device, and stops its DMA with it; 0 or a negative errno.
 *         The device is resumed, and nobody else uses it
 */
struct vfio_platform_reset {
	struct list_head entry;
	const char *compat;
	struct module *owner;
	int (*reset)(struct vfio_platform_device *vpd);
};

/**
 * struct vfio_platform_device - a device without a bus that finds it
 * @vdev: the VFIO device
 * @bus: how it is described. Constant
 * @compat: what the firmware calls it, or NULL. Constant while registered
 * @reset: how it is reset, or NULL. Constant while registered
 * @num_regions: of @regions. Constant
 * @regions: by their index
 * @num_irqs: of @irqs. Constant
 * @irqs: by their index
 * @lock: serializes resets, the setting up of interrupts and of regions' mappings
 */
struct vfio_platform_device {
	struct vfio_device vdev;
	const struct vfio_platform_bus *bus;
	const char *compat;
	struct vfio_platform_reset *reset;
	unsigned int num_regions;
	struct vfio_platform_region *regions;
	unsigned int num_irqs;
	struct vfio_platform_irq *irqs;
	struct mutex lock;	/* See above */
};

/* For the drivers */
int vfio_platform_register(struct device *dev,
			   const struct vfio_platform_bus *bus);
void vfio_platform_unregister(struct device *dev);

/* For modules that reset devices */
int vfio_platform_register_reset(struct vfio_platform_reset *reset);
void vfio_platform_unregister_reset(struct vfio_platform_reset *reset);
void __iomem *vfio_platform_region_io(struct vfio_platform_device *vpd,
				      unsigned int index);

#define MODULE_VFIO_PLATFORM_RESET(compat)	MODULE_ALIAS("vfio-reset:" compat)

/* reset.c */
void vfio_platform_reset_get(struct vfio_platform_device *vpd);
void vfio_platform_reset_put(struct vfio_platform_device *vpd);
bool vfio_platform_can_reset(const struct vfio_platform_device *vpd);
int vfio_platform_reset(struct vfio_platform_device *vpd);

/* regions.c */
int vfio_platform_regions_init(struct vfio_platform_device *vpd);
void vfio_platform_regions_unmap(struct vfio_platform_device *vpd);
int vfio_platform_region_info(struct vfio_platform_device *vpd,
			      struct vfio_region_info __user *arg);
ssize_t vfio_platform_region_rw(struct vfio_platform_device *vpd,
				char __user *buf, size_t count, loff_t *ppos,
				bool iswrite);
int vfio_platform_region_mmap(struct vfio_platform_device *vpd,
			      struct vm_area_struct *vma);

/* irqs.c */
int vfio_platform_irqs_init(struct vfio_platform_device *vpd);
void vfio_platform_irqs_disable(struct vfio_platform_device *vpd);
int vfio_platform_irq_info(struct vfio_platform_device *vpd,
			   struct vfio_irq_info __user *arg);
int vfio_platform_irqs_set(struct vfio_platform_device *vpd,
			   struct vfio_irq_set __user *arg);

#endif
