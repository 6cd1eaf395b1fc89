/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The API of iommufd for drivers that give devices to userspace, and for
 * software devices that work on IOVA. Documentation/driver-api/iommufd.rst
 * tells how to use it; each function is documented where it is defined.
 */
#ifndef __LINUX_IOMMUFD_H
#define __LINUX_IOMMUFD_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/types.h>

struct device;
struct file;
struct iommu_group;
struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_mmio;
struct page;
struct vm_area_struct;

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id);
struct iommufd_device *iommufd_device_bind_noiommu(struct iommufd_ctx *ictx,
						   struct device *dev, u32 *id);
void iommufd_device_unbind(struct iommufd_device *idev);
int iommufd_device_isolation(struct device *dev);
bool iommufd_device_blocks(struct device *dev, char *name, size_t size);
int iommufd_refuse_owner(struct iommufd_ctx *ictx, struct iommu_group *group,
			 const char *what, int error);

int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid,
			  u32 *pt_id);
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid,
			   u32 *pt_id);
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid);

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);
u32 iommufd_device_to_id(struct iommufd_device *idev);

/**
 * struct iommufd_access_ops - how an access is called back
 * @needs_pin_pages: the access uses iommufd_access_pin_pages()
 * @unmap: stop using [iova, iova + length) and unpin all pins that touch it,
 *         which may be none. After it returns, no new pin there succeeds until
 *         the range is mapped again. Called without locks; may sleep. Needed
 *         if @needs_pin_pages. A length of ULONG_MAX means everything
 */
struct iommufd_access_ops {
	u8 needs_pin_pages : 1;
	void (*unmap)(void *data, unsigned long iova, unsigned long length);
};

/* Flags of iommufd_access_rw() and iommufd_access_pin_pages(). */
enum {
	IOMMUFD_ACCESS_RW_READ = 0,
	IOMMUFD_ACCESS_RW_WRITE = 1 << 0,
	/* The caller is a kernel thread. */
	IOMMUFD_ACCESS_RW_KTHREAD = 1 << 1,

	/* Only for the selftest. */
	__IOMMUFD_ACCESS_RW_SLOW_PATH = 1 << 2,
};

struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id);
void iommufd_access_destroy(struct iommufd_access *access);
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);
void iommufd_access_detach(struct iommufd_access *access);

/**
 * struct iommufd_mmio_lender - a driver that lends out device memory
 * @get_vma: find the memory behind the user address @uptr in @vma, which
 *           covers [uptr, uptr + length); mmap_lock is held for reading
 * @get_file: find the memory behind [start, start + length) of @file, which may
 *            be in several pieces: @length receives how much of it follows in
 *            the one that holds @start. iommufd asks again for the rest, and
 *            keeps the file as long as the memory is mapped
 * @entry: private to iommufd
 *
 * Both are optional, and return the memory with a reference taken by
 * iommufd_mmio_get(), and the offset in it; or NULL if it is not the driver's;
 * or an ERR_PTR if it is, but cannot be lent. The user may then map it into an
 * IOAS, for peer-to-peer DMA, until the driver takes it back. Whether the
 * mapping or the open file allows that access is checked by iommufd.
 */
struct iommufd_mmio_lender {
	struct iommufd_mmio *(*get_vma)(struct vm_area_struct *vma,
					unsigned long uptr,
					unsigned long length, u64 *offset);
	struct iommufd_mmio *(*get_file)(struct file *file, u64 start,
					 u64 *length, u64 *offset);
	struct list_head entry;
};

void iommufd_mmio_register_lender(struct iommufd_mmio_lender *lender);
void iommufd_mmio_unregister_lender(struct iommufd_mmio_lender *lender);
struct iommufd_mmio *iommufd_mmio_create(phys_addr_t phys, size_t length);
void iommufd_mmio_get(struct iommufd_mmio *mmio);
void iommufd_mmio_put(struct iommufd_mmio *mmio);
void iommufd_mmio_revoke(struct iommufd_mmio *mmio);
void iommufd_mmio_restore(struct iommufd_mmio *mmio);
void iommufd_mmio_destroy(struct iommufd_mmio *mmio);

void iommufd_ctx_get(struct iommufd_ctx *ictx);

/**
 * iommufd_vfio_with_device_t - do something with a device of a group
 * @group: as given to iommufd_vfio_compat_add_group()
 * @fn: what to do
 * @arg: for @fn
 *
 * A container is set up at any time, also while devices of its groups are
 * unplugged. Whoever adds a group picks a device, and sees to it that its
 * driver is not unbound before @fn returns: until then the IOMMU keeps what it
 * knows of the device.
 *
 * Return: what @fn returns, or -ENODEV if there is no device left.
 */
typedef int iommufd_vfio_with_device_t(void *group,
				       int (*fn)(struct device *dev, void *arg),
				       void *arg);

#if IS_ENABLED(CONFIG_IOMMUFD)
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);
struct iommufd_ctx *iommufd_ctx_from_fd(int fd);
void iommufd_ctx_put(struct iommufd_ctx *ictx);
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group);

int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags);
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length);
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t len, unsigned int flags);
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id);
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx);
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx);
void iommufd_vfio_compat_set_no_iommu_policy(bool (*allowed)(void));
int iommufd_vfio_compat_add_group(struct iommufd_ctx *ictx,
				  struct iommu_group *group,
				  iommufd_vfio_with_device_t *with_device,
				  void *with_group);
void iommufd_vfio_compat_remove_group(struct iommufd_ctx *ictx,
				      void *with_group);
#else
static inline struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
}

static inline int
iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			 unsigned long length, struct page **out_pages,
			 unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline void iommufd_access_unpin_pages(struct iommufd_access *access,
					      unsigned long iova,
					      unsigned long length)
{
}

static inline int iommufd_access_rw(struct iommufd_access *access,
				    unsigned long iova, void *data, size_t len,
				    unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}
#endif /* CONFIG_IOMMUFD */
#endif
