/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The API of iommufd for drivers that give devices to userspace, for software
 * devices that work on IOVA, and for IOMMU drivers whose hardware virtual
 * machines share. Documentation/driver-api/iommufd.rst tells how to use it; each
 * function is documented where it is defined.
 */
#ifndef __LINUX_IOMMUFD_H
#define __LINUX_IOMMUFD_H

#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

struct device;
struct file;
struct iommu_group;
struct iommu_user_data;
struct iommu_user_data_array;
struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_group;
struct iommufd_hwpt_paging;
struct iommufd_mmio;
struct iommufd_object_ops;
struct iommufd_viommu_ops;
struct page;
struct vm_area_struct;

/* What a user knows by an id */
enum iommufd_object_type {
	IOMMUFD_OBJ_NONE,
	/* For lookups that take any type */
	IOMMUFD_OBJ_ANY = IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
	IOMMUFD_OBJ_SELFTEST,
	IOMMUFD_OBJ_MAX,
};

/**
 * struct iommufd_object - what a user knows by an id
 * @ops: constant
 * @id: constant
 * @dying: it is being destroyed, and no call finds it; under the xa_lock of the
 *         ids
 * @users: 1 for the id, and 1 for each other object that needs this one. A
 *         destroy is refused with -EBUSY as long as there are such. 0 once it
 *         is being destroyed
 * @calls: 1 for the id, and 1 for each call that uses the object. A destroy
 *         waits for them
 *
 * IOMMU drivers embed it, as part of what they embed, and leave it alone.
 */
struct iommufd_object {
	const struct iommufd_object_ops *ops;
	u32 id;
	bool dying;
	refcount_t users;
	refcount_t calls;
};

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
bool iommufd_device_is_blocked(struct iommufd_device *idev);

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
 * struct iommufd_viommu - what a virtual machine has of an IOMMU
 * @obj: the object
 * @ictx: the context
 * @iommu_dev: the IOMMU
 * @hwpt: the page table that translates the guest's addresses, as the parent of
 *        nested ones; holds a reference
 * @ops: set by the viommu_init op of the driver
 * @vdevs: struct iommufd_vdevice by virtual id; what is found there, and its
 *         device, stays as long as the xa_lock is held
 * @veventqs_lock: protects @veventqs; taken by drivers in any context
 * @veventqs: its event queues, struct iommufd_veventq
 * @type: which kind of hardware it is a part of
 *
 * All but what @ops say is set before the driver sees it. It is the first member
 * of the driver's struct, if that has more.
 */
struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommu_device *iommu_dev;
	struct iommufd_hwpt_paging *hwpt;

	const struct iommufd_viommu_ops *ops;

	struct xarray vdevs;
	spinlock_t veventqs_lock; /* See above */
	struct list_head veventqs;

	enum iommu_viommu_type type;
};

/**
 * struct iommufd_vdevice - what a virtual machine has of a device
 * @obj: the object
 * @viommu: the virtual IOMMU that the guest sees the device behind; holds a
 *          reference
 * @idev: the device, or NULL once it has been unplugged; under igroup->lock
 * @igroup: its group; holds a reference
 * @virt_id: what the guest's IOMMU calls the device: the stream id of Arm's SMMUv3,
 *           the device id of AMD's IOMMU, the requester id of VT-d
 * @destroy: undo what the vdevice_init op did, or NULL; set by that. The device
 *           is still there, and may be attached
 *
 * It is the first member of the driver's struct, if that has more.
 */
struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	struct iommufd_group *igroup;
	u64 virt_id;

	void (*destroy)(struct iommufd_vdevice *vdev);
};

/**
 * struct iommufd_hw_queue - a queue in guest memory that hardware works on
 * @obj: the object
 * @viommu: the virtual IOMMU that it belongs to; holds a reference
 * @access: what keeps its memory mapped and pinned, or NULL if the hardware does
 *          not use physical addresses
 * @base_addr: where it begins, in guest physical addresses
 * @length: bytes
 * @type: what kind of queue it is
 * @destroy: undo what the hw_queue_init_phys op did, or NULL; set by that
 *
 * It is the first member of the driver's struct, if that has more.
 */
struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_access *access;
	u64 base_addr;
	size_t length;
	enum iommu_hw_queue_type type;

	void (*destroy)(struct iommufd_hw_queue *hw_queue);
};

/**
 * struct iommufd_viommu_ops - what an IOMMU driver does for its virtual IOMMUs
 * @destroy: undo what the viommu_init op did; the memory is freed afterwards. May
 *           be NULL
 * @alloc_domain_nested: make a domain whose page table is the guest's, and whose
 *                       output goes through the parent. @flags are those of
 *                       IOMMU_HWPT_ALLOC, @user_data is what the user says of
 *                       it. Sets ops and type of the domain
 * @cache_invalidate: carry out commands of the guest, and set entry_num of @array
 *                    to the number of those that have been carried out. May be
 *                    NULL
 * @vdevice_size: size of the driver's struct for a device in this virtual IOMMU, as
 *                VDEVICE_STRUCT_SIZE() gives it, or 0 if it has none
 * @vdevice_init: set that up; everything of the struct iommufd_vdevice is set but
 *                its destroy. May be NULL
 * @get_hw_queue_size: size of the driver's struct for a queue of this type, as
 *                     HW_QUEUE_STRUCT_SIZE() gives it, or 0 if there is no
 *                     such queue. May be NULL
 * @hw_queue_init_phys: have the hardware work on a queue, number @index of its type,
 *                      whose memory is pinned and begins at @base_addr_pa
 */
struct iommufd_viommu_ops {
	void (*destroy)(struct iommufd_viommu *viommu);
	struct iommu_domain *
	(*alloc_domain_nested)(struct iommufd_viommu *viommu, u32 flags,
			       const struct iommu_user_data *user_data);
	int (*cache_invalidate)(struct iommufd_viommu *viommu,
				struct iommu_user_data_array *array);
	const size_t vdevice_size;
	int (*vdevice_init)(struct iommufd_vdevice *vdev);
	size_t (*get_hw_queue_size)(struct iommufd_viommu *viommu,
				    enum iommu_hw_queue_type queue_type);
	int (*hw_queue_init_phys)(struct iommufd_hw_queue *hw_queue, u32 index,
				  phys_addr_t base_addr_pa);
};

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

#if IS_ENABLED(CONFIG_IOMMUFD_DRIVER_CORE)
int _iommufd_object_depend(struct iommufd_object *obj_dependent,
			   struct iommufd_object *obj_depended);
void _iommufd_object_undepend(struct iommufd_object *obj_dependent,
			      struct iommufd_object *obj_depended);
int _iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			phys_addr_t mmio_addr, size_t length,
			unsigned long *offset);
void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
			   struct iommufd_object *owner, unsigned long offset);
struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev);
struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
				       unsigned long vdev_id);
int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
			       struct device *dev, unsigned long *vdev_id);
int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
				enum iommu_veventq_type type, void *event_data,
				size_t data_len);
#else
static inline int _iommufd_object_depend(struct iommufd_object *obj_dependent,
					 struct iommufd_object *obj_depended)
{
	return -EOPNOTSUPP;
}

static inline void
_iommufd_object_undepend(struct iommufd_object *obj_dependent,
			 struct iommufd_object *obj_depended)
{
}

static inline int _iommufd_alloc_mmap(struct iommufd_ctx *ictx,
				      struct iommufd_object *owner,
				      phys_addr_t mmio_addr, size_t length,
				      unsigned long *offset)
{
	return -EOPNOTSUPP;
}

static inline void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
					 struct iommufd_object *owner,
					 unsigned long offset)
{
}

static inline struct device *
iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return NULL;
}

static inline struct device *
iommufd_viommu_find_dev(struct iommufd_viommu *viommu, unsigned long vdev_id)
{
	return NULL;
}

static inline int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
					     struct device *dev,
					     unsigned long *vdev_id)
{
	return -ENOENT;
}

static inline int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
					      enum iommu_veventq_type type,
					      void *event_data, size_t data_len)
{
	return -EOPNOTSUPP;
}
#endif /* CONFIG_IOMMUFD_DRIVER_CORE */

/* The size of a driver's struct that begins with one of ours, as @member */
#define IOMMUFD_DRIVER_STRUCT_SIZE(core, drv_struct, member)                   \
	(sizeof(drv_struct) +                                                  \
	 BUILD_BUG_ON_ZERO(offsetof(drv_struct, member)) +                     \
	 BUILD_BUG_ON_ZERO(                                                    \
		 !__same_type(core, ((drv_struct *)NULL)->member)))

#define VIOMMU_STRUCT_SIZE(drv_struct, member)                                 \
	IOMMUFD_DRIVER_STRUCT_SIZE(struct iommufd_viommu, drv_struct, member)
#define VDEVICE_STRUCT_SIZE(drv_struct, member)                                \
	IOMMUFD_DRIVER_STRUCT_SIZE(struct iommufd_vdevice, drv_struct, member)
#define HW_QUEUE_STRUCT_SIZE(drv_struct, member)                               \
	IOMMUFD_DRIVER_STRUCT_SIZE(struct iommufd_hw_queue, drv_struct, member)

/**
 * iommufd_hw_queue_depend - keep a queue from being destroyed before another
 * @dependent: driver's struct of the queue that needs the other one
 * @depended: driver's struct of the other one, of the same virtual IOMMU
 * @member: the struct iommufd_hw_queue in it
 *
 * For the hw_queue_init_phys op. Undone by iommufd_hw_queue_undepend().
 *
 * Return: 0, -ENOENT if @depended is being destroyed, or -EINVAL.
 */
#define iommufd_hw_queue_depend(dependent, depended, member)                   \
	({                                                                     \
		int __rc = -EINVAL;                                            \
									       \
		static_assert(__same_type(struct iommufd_hw_queue,             \
					  (dependent)->member));               \
		static_assert(__same_type(typeof(*(dependent)),                \
					  *(depended)));                       \
		if (!WARN_ON_ONCE((dependent)->member.viommu !=                \
				  (depended)->member.viommu))                  \
			__rc = _iommufd_object_depend(                         \
				&(dependent)->member.obj,                      \
				&(depended)->member.obj);                      \
		__rc;                                                          \
	})

/**
 * iommufd_hw_queue_undepend - undo iommufd_hw_queue_depend()
 * @dependent: as there
 * @depended: as there
 * @member: as there
 */
#define iommufd_hw_queue_undepend(dependent, depended, member)                 \
	({                                                                     \
		static_assert(__same_type(struct iommufd_hw_queue,             \
					  (dependent)->member));               \
		static_assert(__same_type(typeof(*(dependent)),                \
					  *(depended)));                       \
		WARN_ON_ONCE((dependent)->member.viommu !=                     \
			     (depended)->member.viommu);                       \
		_iommufd_object_undepend(&(dependent)->member.obj,             \
					 &(depended)->member.obj);             \
	})

/**
 * iommufd_viommu_alloc_mmap - let the user map device memory
 * @viommu: what it belongs to
 * @mmio_addr: where it is, page aligned
 * @length: bytes, whole pages
 * @offset: receives where in the file of the iommufd it is mapped from
 *
 * The driver tells the user @offset and @length. The virtual IOMMU is not
 * destroyed as long as a mapping exists.
 *
 * Return: 0, -EINVAL if it is not whole pages, or -ENOMEM.
 */
static inline int iommufd_viommu_alloc_mmap(struct iommufd_viommu *viommu,
					    phys_addr_t mmio_addr,
					    size_t length,
					    unsigned long *offset)
{
	return _iommufd_alloc_mmap(viommu->ictx, &viommu->obj, mmio_addr,
				   length, offset);
}

/**
 * iommufd_viommu_destroy_mmap - undo iommufd_viommu_alloc_mmap()
 * @viommu: as there
 * @offset: as it was received
 */
static inline void iommufd_viommu_destroy_mmap(struct iommufd_viommu *viommu,
					       unsigned long offset)
{
	_iommufd_destroy_mmap(viommu->ictx, &viommu->obj, offset);
}
#endif
