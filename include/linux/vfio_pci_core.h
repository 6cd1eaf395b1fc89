/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO PCI core: what a PCI driver needs to hand its devices to userspace.
 *
 * A driver embeds struct vfio_pci_core_device, allocates it with
 * vfio_alloc_device(), points its struct vfio_device_ops at the functions
 * below (or at wrappers around them) and calls
 * vfio_pci_core_register_device() from probe.
 */
#ifndef VFIO_PCI_CORE_H
#define VFIO_PCI_CORE_H

#include <linux/irqbypass.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/vfio.h>
#include <linux/xarray.h>

/* A device file is divided in regions of 1 TiB each; user ABI */
#define VFIO_PCI_OFFSET_SHIFT		40
#define VFIO_PCI_OFFSET_TO_INDEX(off)	((off) >> VFIO_PCI_OFFSET_SHIFT)
#define VFIO_PCI_INDEX_TO_OFFSET(index)	((u64)(index) << VFIO_PCI_OFFSET_SHIFT)
#define VFIO_PCI_OFFSET_MASK		(((u64)1 << VFIO_PCI_OFFSET_SHIFT) - 1)

struct eventfd_ctx;
struct iommufd_mmio;
struct seq_file;
struct vfio_pci_config;
struct vfio_pci_config_seen;
struct vfio_pci_core_device;
struct vfio_pci_region;
struct vfio_pci_vf_token;

/**
 * struct vfio_pci_eventfd - an eventfd that is signalled without a lock
 * @ctx: the eventfd
 * @rcu: defers the release until the last signaller has left
 */
struct vfio_pci_eventfd {
	struct eventfd_ctx	*ctx;
	struct rcu_head		rcu;
};

/**
 * struct vfio_pci_regops - operations of a device specific region
 * @rw: read from or write to the region, as vfio_pci_core_read() and
 *      vfio_pci_core_write() do for the standard ones; mandatory
 * @release: called once when the device is closed; mandatory
 * @mmap: map the region; without it, or if the region does not have
 *        VFIO_REGION_INFO_FLAG_MMAP, mmap() answers EINVAL
 * @add_capability: add capabilities to VFIO_DEVICE_GET_REGION_INFO
 */
struct vfio_pci_regops {
	ssize_t (*rw)(struct vfio_pci_core_device *vdev, char __user *buf,
		      size_t count, loff_t *ppos, bool iswrite);
	void	(*release)(struct vfio_pci_core_device *vdev,
			   struct vfio_pci_region *region);
	int	(*mmap)(struct vfio_pci_core_device *vdev,
			struct vfio_pci_region *region,
			struct vm_area_struct *vma);
	int	(*add_capability)(struct vfio_pci_core_device *vdev,
				  struct vfio_pci_region *region,
				  struct vfio_info_cap *caps);
};

/**
 * struct vfio_pci_region - a device specific region
 * @type: VFIO_REGION_TYPE_*
 * @subtype: VFIO_REGION_SUBTYPE_* of @type
 * @ops: operations
 * @data: for @ops
 * @size: bytes
 * @flags: VFIO_REGION_INFO_FLAG_*
 */
struct vfio_pci_region {
	u32				type;
	u32				subtype;
	const struct vfio_pci_regops	*ops;
	void				*data;
	size_t				size;
	u32				flags;
};

/**
 * struct vfio_pci_intx - the one INTx interrupt of a device
 * @trigger: signalled for each interrupt; NULL if nobody listens
 * @unmask: the eventfd that unmasks, if the user gave one
 * @name: the name in /proc/interrupts while enabled
 * @enabled: the interrupt line is requested
 * @masked: the line is masked at the device or, failing that, at the
 *	    interrupt controller
 *
 * It lives as long as the device, so that neither the interrupt handler nor
 * the unmask eventfd can find it gone.  @enabled, @masked and @trigger are
 * written under irqlock and igate both, and may be read under either; @unmask
 * and @name belong to igate.
 */
struct vfio_pci_intx {
	struct eventfd_ctx	*trigger;
	struct virqfd		*unmask;
	char			*name;
	bool			enabled;
	bool			masked;
};

/**
 * DOC: Locks of a PCI device
 *
 * From the outside in, a task takes them only in this order:
 *
 * 1. &vfio_device_set.lock: opening, closing and hot resets;
 * 2. &vfio_pci_core_device.config_lock: writes to configuration space;
 * 3. &vfio_pci_core_device.igate: everything that sets interrupts up. Where the
 *    IOMMU translates messages, &vfio_device.attach_lock is taken before it;
 * 4. &vfio_pci_core_device.memory_lock: for reading around each access to the
 *    device's memory, for writing to take that memory away;
 * 5. &vfio_pci_core_device.irqlock, a spinlock: INTx.
 *
 * memory_lock and barmap_lock are inside mmap_lock, because mmap() and page
 * faults take them; so the user's memory must not be touched while they are
 * held. rom_lock is outside of mmap_lock and memory_lock, ioeventfds_lock of
 * barmap_lock and memory_lock. The reservation locks of dma-bufs are inside
 * memory_lock, one at a time.
 *
 * The callbacks of runtime PM may take memory_lock for writing, so a device is
 * resumed before that is taken, and never under it. A hot reset takes the
 * memory_lock of each device of the set, under the lock of the set. Under
 * memory_lock, the locks of devices are only tried.
 */

/**
 * struct vfio_pci_core_device - a PCI device that belongs to userspace
 * @vdev: the VFIO device; first, and allocated by vfio_alloc_device()
 * @pdev: the PCI device
 * @barmap: kernel mappings of the BARs, NULL until first used
 * @barmap_lock: serializes making an entry of @barmap
 * @bar_mmap_supported: BARs that userspace may mmap
 * @lent_bar: BARs that other devices may do DMA to, NULL until first asked for;
 *            under @memory_lock
 * @rom_lock: serializes switching the ROM on and off
 * @rom_size: bytes of the ROM image; 0 if there is none; under @rom_lock
 * @rom_probed: @rom_size is known; under @rom_lock
 * @num_regions: number of device specific regions
 * @region: the device specific regions
 * @config: what userspace may see and change of configuration space
 * @vconfig: the virtual part of configuration space
 * @config_seen: where capabilities were before anybody used the device, NULL until
 *		 then
 * @config_lock: serializes writes to configuration space; outermost
 * @rbar: the real BARs and ROM BAR, to undo a reset behind our back
 * @asls: address of the OpRegion of an Intel display, before anybody used it
 * @virq_disabled: userspace has set Interrupt Disable; under @irqlock
 * @irqlock: INTx state against the interrupt handler
 * @igate: everything that sets interrupts up
 * @ctx: vector -> struct vfio_pci_irq_ctx, for MSI and MSI-X
 * @intx: the INTx interrupt
 * @irq_type: VFIO_PCI_*_IRQ_INDEX that is enabled, or VFIO_PCI_NUM_IRQS
 * @msi_qmax: log2 of the number of MSI vectors that are enabled
 * @msix_bar: BAR of the MSI-X table
 * @msix_size: bytes of the MSI-X table
 * @msix_offset: offset of the MSI-X table in its BAR
 * @has_dyn_msix: MSI-X vectors can be added while others are in use
 * @pci_2_3: INTx can be masked at the device (DisINTx works)
 * @reset_works: the function can be reset on its own
 * @extended_caps: configuration space has 4096 bytes
 * @has_vga: the VGA region exists
 * @nointx: INTx cannot be used
 * @needs_pm_restore: a return from D3hot loses the device's state
 * @disable_idle_d3: no runtime power management while unused
 * @has_asls: @asls is known, and the register is restored to it
 * @needs_reset: used since its last reset
 * @pm_intx_masked: INTx was masked by runtime suspend
 * @pm_runtime_engaged: userspace allowed low power; under @memory_lock
 * @sriov_active: VFs are enabled, or about to be
 * @pci_saved_state: state as found on open, restored on close
 * @pm_save: state to restore on the way back from D3hot
 * @ioeventfds_nr: length of @ioeventfds_list
 * @err_trigger: signalled on uncorrectable errors
 * @req_trigger: signalled when the host wants the device back
 * @pm_wake_eventfd_ctx: signalled on resume; under @memory_lock
 * @dummy_resources_list: the rest of pages that small BARs share
 * @ioeventfds_lock: owns @ioeventfds_list and @ioeventfds_nr
 * @ioeventfds_list: writes to BARs that are bound to an eventfd
 * @vf_token: the secret that users of VFs of this PF must know
 * @sriov_pfs_item: link in the list of PFs that have VFs
 * @sriov_pf_core_dev: for a VF, its PF if that is one of ours
 * @nb: bus notifier that ties new VFs to our driver
 * @dmabufs: exported dma-bufs; under @memory_lock
 * @memory_lock: held for reading around each access to the device's memory,
 *		 for writing to take that memory away
 */
struct vfio_pci_core_device {
	struct vfio_device	vdev;
	struct pci_dev		*pdev;

	void __iomem		*barmap[PCI_STD_NUM_BARS];
	struct mutex		barmap_lock; /* See above */
	bool			bar_mmap_supported[PCI_STD_NUM_BARS];
	struct iommufd_mmio	*lent_bar[PCI_STD_NUM_BARS];
	struct mutex		rom_lock; /* See above */
	size_t			rom_size;
	bool			rom_probed;
	int			num_regions;
	struct vfio_pci_region	*region;

	struct vfio_pci_config	*config;
	u8			*vconfig;
	struct vfio_pci_config_seen *config_seen;
	struct mutex		config_lock; /* See above */
	u32			rbar[7];
	u32			asls;

	/* Written at run time under different locks, hence not bit-fields */
	bool			virq_disabled;
	bool			needs_reset;
	bool			pm_intx_masked;
	bool			pm_runtime_engaged;
	bool			sriov_active;

	spinlock_t		irqlock; /* See above */
	struct mutex		igate; /* See above */
	struct xarray		ctx;
	struct vfio_pci_intx	intx;
	int			irq_type;
	u8			msi_qmax;
	u8			msix_bar;
	u16			msix_size;
	u32			msix_offset;

	/* Written before the device can be opened or while it is enabled */
	bool			has_dyn_msix:1;
	bool			pci_2_3:1;
	bool			reset_works:1;
	bool			extended_caps:1;
	bool			has_vga:1;
	bool			nointx:1;
	bool			needs_pm_restore:1;
	bool			disable_idle_d3:1;
	bool			has_asls:1;

	struct pci_saved_state	*pci_saved_state;
	struct pci_saved_state	*pm_save;
	int			ioeventfds_nr;
	struct vfio_pci_eventfd __rcu *err_trigger;
	struct vfio_pci_eventfd __rcu *req_trigger;
	struct eventfd_ctx	*pm_wake_eventfd_ctx;
	struct list_head	dummy_resources_list;
	struct mutex		ioeventfds_lock; /* See above */
	struct list_head	ioeventfds_list;

	struct vfio_pci_vf_token	*vf_token;
	struct list_head		sriov_pfs_item;
	struct vfio_pci_core_device	*sriov_pf_core_dev;
	struct notifier_block		nb;

	struct list_head	dmabufs;
	struct rw_semaphore	memory_lock;
};

/**
 * enum vfio_pci_io_width - widest single access that a region tolerates
 * @VFIO_PCI_IO_WIDTH_1: 1 byte
 * @VFIO_PCI_IO_WIDTH_2: 2 bytes
 * @VFIO_PCI_IO_WIDTH_4: 4 bytes
 * @VFIO_PCI_IO_WIDTH_8: 8 bytes
 */
enum vfio_pci_io_width {
	VFIO_PCI_IO_WIDTH_1 = 1,
	VFIO_PCI_IO_WIDTH_2 = 2,
	VFIO_PCI_IO_WIDTH_4 = 4,
	VFIO_PCI_IO_WIDTH_8 = 8,
};

/* Driver life */
void vfio_pci_core_set_params(bool nointxmask, bool is_disable_vga,
			      bool is_disable_idle_d3);
int vfio_pci_core_init_dev(struct vfio_device *core_vdev);
void vfio_pci_core_release_dev(struct vfio_device *core_vdev);
int vfio_pci_core_register_device(struct vfio_pci_core_device *vdev);
void vfio_pci_core_unregister_device(struct vfio_pci_core_device *vdev);
int vfio_pci_core_sriov_configure(struct vfio_pci_core_device *vdev,
				  int nr_virtfn);
extern const struct pci_error_handlers vfio_pci_core_err_handlers;
pci_ers_result_t vfio_pci_core_aer_err_detected(struct pci_dev *pdev,
						pci_channel_state_t state);

/* For open_device and close_device */
int vfio_pci_core_enable(struct vfio_pci_core_device *vdev);
void vfio_pci_core_disable(struct vfio_pci_core_device *vdev);
void vfio_pci_core_finish_enable(struct vfio_pci_core_device *vdev);
void vfio_pci_core_close_device(struct vfio_device *core_vdev);
int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,
				      unsigned int type, unsigned int subtype,
				      const struct vfio_pci_regops *ops,
				      size_t size, u32 flags, void *data);

/* For the other members of struct vfio_device_ops */
long vfio_pci_core_ioctl(struct vfio_device *core_vdev, unsigned int cmd,
			 unsigned long arg);
int vfio_pci_ioctl_get_region_info(struct vfio_device *core_vdev,
				   struct vfio_region_info *info,
				   struct vfio_info_cap *caps);
int vfio_pci_core_ioctl_feature(struct vfio_device *device, u32 flags,
				void __user *arg, size_t argsz);
ssize_t vfio_pci_core_read(struct vfio_device *core_vdev, char __user *buf,
			   size_t count, loff_t *ppos);
ssize_t vfio_pci_core_write(struct vfio_device *core_vdev,
			    const char __user *buf, size_t count, loff_t *ppos);
int vfio_pci_core_mmap(struct vfio_device *core_vdev,
		       struct vm_area_struct *vma);
void vfio_pci_core_request(struct vfio_device *core_vdev, unsigned int count);
int vfio_pci_core_match(struct vfio_device *core_vdev, char *buf);
int vfio_pci_core_match_token_uuid(struct vfio_device *core_vdev,
				   const uuid_t *uuid);
void vfio_pci_core_show_fdinfo(struct vfio_device *core_vdev,
			       struct seq_file *m);

/* Access to BARs */
int vfio_pci_core_setup_barmap(struct vfio_pci_core_device *vdev, int bar);
ssize_t vfio_pci_core_do_io_rw(struct vfio_pci_core_device *vdev, bool test_mem,
			       void __iomem *io, char __user *buf,
			       loff_t off, size_t count, size_t x_start,
			       size_t x_end, bool iswrite,
			       enum vfio_pci_io_width max_width);
bool vfio_pci_core_range_intersect_range(loff_t buf_start, size_t buf_cnt,
					 loff_t reg_start, size_t reg_cnt,
					 loff_t *buf_offset,
					 size_t *intersect_count,
					 size_t *register_offset);

/**
 * vfio_pci_core_iowrite8 - write 1 byte to the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: what to write
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_iowrite8(struct vfio_pci_core_device *vdev, bool test_mem,
			   u8 val, void __iomem *io);

/**
 * vfio_pci_core_iowrite16 - write 2 bytes to the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: what to write
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_iowrite16(struct vfio_pci_core_device *vdev, bool test_mem,
			    u16 val, void __iomem *io);

/**
 * vfio_pci_core_iowrite32 - write 4 bytes to the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: what to write
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_iowrite32(struct vfio_pci_core_device *vdev, bool test_mem,
			    u32 val, void __iomem *io);

#ifdef iowrite64
/**
 * vfio_pci_core_iowrite64 - write 8 bytes to the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: what to write
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_iowrite64(struct vfio_pci_core_device *vdev, bool test_mem,
			    u64 val, void __iomem *io);
#endif

/**
 * vfio_pci_core_ioread8 - read 1 byte from the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: becomes what is there; unchanged if that fails
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_ioread8(struct vfio_pci_core_device *vdev, bool test_mem,
			  u8 *val, void __iomem *io);

/**
 * vfio_pci_core_ioread16 - read 2 bytes from the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: becomes what is there; unchanged if that fails
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_ioread16(struct vfio_pci_core_device *vdev, bool test_mem,
			   u16 *val, void __iomem *io);

/**
 * vfio_pci_core_ioread32 - read 4 bytes from the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: becomes what is there; unchanged if that fails
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_ioread32(struct vfio_pci_core_device *vdev, bool test_mem,
			   u32 *val, void __iomem *io);

#ifdef ioread64
/**
 * vfio_pci_core_ioread64 - read 8 bytes from the device
 * @vdev: the device
 * @test_mem: @io is in memory space, which may be disabled
 * @val: becomes what is there; unchanged if that fails
 * @io: where, in what vfio_pci_core_setup_barmap() has mapped
 *
 * Return: 0, or -EIO if the device's memory is disabled.
 */
int vfio_pci_core_ioread64(struct vfio_pci_core_device *vdev, bool test_mem,
			   u64 *val, void __iomem *io);
#endif

#endif /* VFIO_PCI_CORE_H */
