/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of vfio-pci-core, as they see each other.
 */
#ifndef __VFIO_PCI_PRIV_H__
#define __VFIO_PCI_PRIV_H__

#include <linux/vfio_pci_core.h>

struct seq_file;
struct vfio_device_feature_dma_buf;

static inline struct vfio_pci_core_device *to_vfio_pci(struct vfio_device *v)
{
	return container_of(v, struct vfio_pci_core_device, vdev);
}

/* D3hot, D3cold, and whatever else a device does not answer in */
static inline bool vfio_pci_is_d3(pci_power_t state)
{
	return (int __force)state >= (int __force)PCI_D3hot;
}

/**
 * vfio_pci_memory_enabled - whether the device's memory may be accessed
 * @vdev: the device; memory_lock is held
 *
 * Return: true if it answers.
 */
static inline bool
vfio_pci_memory_enabled(const struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held(&vdev->memory_lock);

	/* Where the enable bit is not implemented, decoding is always on */
	return !vfio_pci_is_d3(vdev->pdev->current_state) &&
	       !vdev->pm_runtime_engaged &&
	       (vdev->pdev->no_command_memory ||
		vdev->vconfig[PCI_COMMAND] & PCI_COMMAND_MEMORY);
}

/* info.c */
int vfio_pci_get_info(struct vfio_pci_core_device *vdev,
		      struct vfio_device_info __user *arg);
int vfio_pci_get_irq_info(struct vfio_pci_core_device *vdev,
			  struct vfio_irq_info __user *arg);

/* config.c */
int vfio_pci_config_init(struct vfio_pci_core_device *vdev);
void vfio_pci_config_free(struct vfio_pci_core_device *vdev);
void vfio_pci_config_probe(struct vfio_pci_core_device *vdev);
void vfio_pci_config_release(struct vfio_pci_core_device *vdev);
int vfio_pci_config_first(struct vfio_pci_core_device *vdev, unsigned int pos,
			  u32 *val);
void vfio_pci_config_restore(struct vfio_pci_core_device *vdev);
void vfio_pci_config_msi_changed(struct vfio_pci_core_device *vdev);
u32 vfio_pci_config_msi_mask(struct vfio_pci_core_device *vdev);
void vfio_pci_config_msi_unmask(struct vfio_pci_core_device *vdev);
int vfio_pci_config_msi_write_mask(struct vfio_pci_core_device *vdev);
int vfio_pci_config_hw_read(struct pci_dev *pdev, unsigned int pos,
			    unsigned int width, u32 *val);
int vfio_pci_config_hw_write(struct pci_dev *pdev, unsigned int pos,
			     unsigned int width, u32 val);
int vfio_pci_config_hw_write_bits(struct vfio_pci_core_device *vdev,
				  unsigned int reg, u32 bits, u32 val);

/* config_rw.c */
ssize_t vfio_pci_config_rw(struct vfio_pci_core_device *vdev, char __user *buf,
			   size_t count, loff_t *ppos, bool iswrite);

/* barmap.c */
void vfio_pci_release_barmaps(struct vfio_pci_core_device *vdev);

/* io.c */
void vfio_pci_io_move(void __iomem *io, void *buf, u64 off, size_t count,
		      bool iswrite, enum vfio_pci_io_width max_width);
int vfio_pci_io_write(struct vfio_pci_core_device *vdev, bool test_mem,
		      void __iomem *io, u64 val, unsigned int width);

/* rom.c */
u64 vfio_pci_rom_window(struct vfio_pci_core_device *vdev);
bool vfio_pci_rom_present(struct vfio_pci_core_device *vdev);
ssize_t vfio_pci_rom_read(struct vfio_pci_core_device *vdev, char __user *buf,
			  size_t count, loff_t *ppos);

/* p2p.c */
#if IS_ENABLED(CONFIG_IOMMUFD)
struct iommufd_mmio *vfio_pci_p2p_lend(struct vfio_pci_core_device *vdev,
				       unsigned int bar);
void vfio_pci_p2p_revoke(struct vfio_pci_core_device *vdev);
void vfio_pci_p2p_restore(struct vfio_pci_core_device *vdev);
void vfio_pci_p2p_end(struct vfio_pci_core_device *vdev);
#else
static inline void vfio_pci_p2p_revoke(struct vfio_pci_core_device *vdev)
{
}

static inline void vfio_pci_p2p_restore(struct vfio_pci_core_device *vdev)
{
}

static inline void vfio_pci_p2p_end(struct vfio_pci_core_device *vdev)
{
}
#endif

/* dmabuf.c */
#ifdef CONFIG_VFIO_PCI_DMABUF
int vfio_pci_feature_dma_buf(struct vfio_pci_core_device *vdev, u32 flags,
			     struct vfio_device_feature_dma_buf __user *arg,
			     size_t argsz);
struct iommufd_mmio *vfio_pci_dmabuf_lend(struct file *file, u64 start,
					  u64 *length, u64 *offset);
void vfio_pci_dmabuf_revoke(struct vfio_pci_core_device *vdev);
void vfio_pci_dmabuf_restore(struct vfio_pci_core_device *vdev);
void vfio_pci_dmabuf_end(struct vfio_pci_core_device *vdev);
#else
static inline int
vfio_pci_feature_dma_buf(struct vfio_pci_core_device *vdev, u32 flags,
			 struct vfio_device_feature_dma_buf __user *arg,
			 size_t argsz)
{
	return -ENOTTY;
}

static inline struct iommufd_mmio *
vfio_pci_dmabuf_lend(struct file *file, u64 start, u64 *length, u64 *offset)
{
	return NULL;
}

static inline void vfio_pci_dmabuf_revoke(struct vfio_pci_core_device *vdev)
{
}

static inline void vfio_pci_dmabuf_restore(struct vfio_pci_core_device *vdev)
{
}

static inline void vfio_pci_dmabuf_end(struct vfio_pci_core_device *vdev)
{
}
#endif

/* lender.c */
#if IS_ENABLED(CONFIG_IOMMUFD)
void vfio_pci_lender_init(void);
void vfio_pci_lender_exit(void);
#else
static inline void vfio_pci_lender_init(void)
{
}

static inline void vfio_pci_lender_exit(void)
{
}
#endif

/* mmap.c */
struct vfio_pci_core_device *vfio_pci_vma_bar(const struct vm_area_struct *vma,
					      unsigned int *bar, u64 *offset);
void vfio_pci_probe_mmaps(struct vfio_pci_core_device *vdev);
void vfio_pci_release_mmaps(struct vfio_pci_core_device *vdev);

/* memory.c */
void vfio_pci_memory_zap(struct vfio_pci_core_device *vdev);
void vfio_pci_memory_restore(struct vfio_pci_core_device *vdev);
void vfio_pci_memory_end(struct vfio_pci_core_device *vdev);
void vfio_pci_memory_lock_and_zap(struct vfio_pci_core_device *vdev);
void vfio_pci_memory_unlock(struct vfio_pci_core_device *vdev);
u16 vfio_pci_memory_lock_and_enable(struct vfio_pci_core_device *vdev);
void vfio_pci_memory_unlock_and_restore(struct vfio_pci_core_device *vdev,
					u16 cmd);

/* intx.c */
int vfio_pci_command_update(struct vfio_pci_core_device *vdev, u16 bits,
			    u16 val, u16 *old);
int vfio_pci_intx_set(struct vfio_pci_core_device *vdev, u32 flags,
		      unsigned int start, unsigned int count, void *data);
void vfio_pci_intx_sync(struct vfio_pci_core_device *vdev);
void vfio_pci_intx_unused(struct vfio_pci_core_device *vdev);
void vfio_pci_intx_disable(struct vfio_pci_core_device *vdev);
void vfio_pci_intx_set_disabled(struct vfio_pci_core_device *vdev,
				bool disabled);
void vfio_pci_intx_suspend(struct vfio_pci_core_device *vdev);
void vfio_pci_intx_resume(struct vfio_pci_core_device *vdev);

/* msi.c */
bool vfio_pci_msi_needs_table(void);
int vfio_pci_msi_set(struct vfio_pci_core_device *vdev, unsigned int index,
		     u32 flags, unsigned int start, unsigned int count,
		     void *data);
void vfio_pci_msi_disable(struct vfio_pci_core_device *vdev);
int vfio_pci_msi_mask_changed(struct vfio_pci_core_device *vdev);
void vfio_pci_msi_unmask(struct vfio_pci_core_device *vdev);
void vfio_pci_msi_after_reset(struct vfio_pci_core_device *vdev);
unsigned int vfio_pci_msi_in_use(struct vfio_pci_core_device *vdev);

/* irqs.c */
unsigned int vfio_pci_irq_count(struct vfio_pci_core_device *vdev,
				unsigned int index);
int vfio_pci_set_irqs(struct vfio_pci_core_device *vdev,
		      struct vfio_irq_set __user *arg);
void vfio_pci_irqs_release(struct vfio_pci_core_device *vdev);
void vfio_pci_notifiers_release(struct vfio_pci_core_device *vdev);
void vfio_pci_notify_error(struct vfio_pci_core_device *vdev);
bool vfio_pci_notify_request(struct vfio_pci_core_device *vdev);

/* ioeventfd.c */
int vfio_pci_ioeventfd(struct vfio_pci_core_device *vdev,
		       struct vfio_device_ioeventfd __user *arg);
void vfio_pci_ioeventfds_release(struct vfio_pci_core_device *vdev);

/* reset.c */
int vfio_pci_try_reset(struct pci_dev *pdev);
bool vfio_pci_trylock_bridge(struct pci_dev *pdev);
void vfio_pci_unlock_bridge(struct pci_dev *pdev);
int vfio_pci_reset_function(struct vfio_pci_core_device *vdev);
int vfio_pci_reset_function_locked(struct vfio_pci_core_device *vdev);
void *vfio_pci_reset_set_id(struct vfio_pci_core_device *vdev);
int vfio_pci_get_hot_reset_info(struct vfio_pci_core_device *vdev,
				struct vfio_pci_hot_reset_info __user *arg);
int vfio_pci_hot_reset(struct vfio_pci_core_device *vdev,
		       struct vfio_pci_hot_reset __user *arg);
void vfio_pci_reset_unused_set(struct vfio_device_set *dev_set);

/* power.c */
int vfio_pci_set_power_state(struct vfio_pci_core_device *vdev,
			     pci_power_t state);
void vfio_pci_probe_power_state(struct vfio_pci_core_device *vdev);

/* low_power.c */
extern const struct dev_pm_ops vfio_pci_pm_ops;

void vfio_pci_low_power_exit(struct vfio_pci_core_device *vdev);
int vfio_pci_feature_low_power_entry(struct vfio_pci_core_device *vdev,
				     u32 flags, size_t argsz);
int vfio_pci_feature_low_power_entry_with_wakeup(struct vfio_pci_core_device *vdev,
						 u32 flags, void __user *arg,
						 size_t argsz);
int vfio_pci_feature_low_power_exit(struct vfio_pci_core_device *vdev,
				    u32 flags, size_t argsz);

/* sriov.c */
int vfio_pci_vf_token_init(struct vfio_pci_core_device *vdev);
void vfio_pci_vf_token_release(struct vfio_pci_core_device *vdev);
void vfio_pci_vf_open(struct vfio_pci_core_device *vdev);
void vfio_pci_vf_close(struct vfio_pci_core_device *vdev);
void vfio_pci_sriov_disable(struct vfio_pci_core_device *vdev);
int vfio_pci_feature_vf_token(struct vfio_pci_core_device *vdev, u32 flags,
			      void __user *arg, size_t argsz);

/* vga.c */
void vfio_pci_vga_disable(bool disable);
bool vfio_pci_vga_disabled(void);
bool vfio_pci_is_vga(struct pci_dev *pdev);
int vfio_pci_vga_register(struct vfio_pci_core_device *vdev);
void vfio_pci_vga_unregister(struct vfio_pci_core_device *vdev);

/* vga_region.c */
#ifdef CONFIG_VFIO_PCI_VGA
ssize_t vfio_pci_vga_rw(struct vfio_pci_core_device *vdev, char __user *buf,
			size_t count, loff_t *ppos, bool iswrite);
#else
static inline ssize_t vfio_pci_vga_rw(struct vfio_pci_core_device *vdev,
				      char __user *buf, size_t count,
				      loff_t *ppos, bool iswrite)
{
	return -EINVAL;
}
#endif

#endif
