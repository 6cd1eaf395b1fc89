/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO: what a driver needs in order to hand its device to userspace.
 *
 * Names, signatures and the order of members are those of mainline 6.12, so
 * that drivers written for it compile unmodified.
 */
#ifndef VFIO_H
#define VFIO_H

#include <linux/bug.h>
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <uapi/linux/vfio.h>

struct dentry;
struct eventfd_ctx;
struct file;
struct inode;
struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;
struct kvm;
struct rb_root_cached;
struct seq_file;
struct vfio_group;
struct vfio_info_cap;

/**
 * struct vfio_device_set - devices that are opened and closed under one lock
 * @set_id: what the devices have in common (for PCI: the slot or the bus that
 *          is reset as a whole), compared by address only
 * @lock: held around open_device() and close_device() of every member, and by
 *        a driver that needs the whole set to hold still, as for a bus reset.
 *        Owns @device_list. The members may belong to several users, so the
 *        holder never waits for a user's memory
 * @device_list: the members, linked by vfio_device.dev_set_list
 * @device_count: number of members, owned by the lock of the set of all sets
 */
struct vfio_device_set {
	void *set_id;
	struct mutex lock;	/* See above */
	struct list_head device_list;
	unsigned int device_count;
};

/**
 * struct vfio_device - one device that userspace may drive
 * @dev: the device itself. Constant
 * @ops: the driver's callbacks. Constant
 * @mig_ops: migration callbacks or NULL. Constant once registered
 * @log_ops: DMA logging callbacks or NULL. Constant once registered
 * @group: the VFIO group around the device's iommu_group. Constant while
 *         registered
 * @group_next: member of the group's list of devices. Owned by the group
 * @iommu_entry: unused by the core; kept for drivers written for mainline
 * @dev_set: the set that the device belongs to, see vfio_assign_device_set().
 *           Constant once registered
 * @dev_set_list: member of &vfio_device_set.device_list
 * @migration_flags: VFIO_MIGRATION_*. Constant once registered
 * @precopy_info_v2: the user has opted in to VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2
 *                   since the device was opened: &vfio_precopy_info.flags is an
 *                   output. See vfio_check_precopy_ioctl()
 * @kvm: the virtual machine that the opener works for, or NULL. Set before
 *       open_device() and cleared after close_device(); &vfio_device_set.lock
 * @index: the N of vfioN. Constant
 * @device: the "vfio-dev" class device; its reference count is that of this
 *          structure
 * @cdev: /dev/vfio/devices/vfioN
 * @refcount: registration plus every open file; zero once unregistered
 * @open_count: number of files that use the device. &vfio_device_set.lock
 * @attach_lock: held around @attach_ioas, @detach_ioas, their likes for PASIDs and
 *               @unbind_iommufd of &vfio_device_ops. It may be held until the
 *               user's memory arrives, so only the device's own user takes it.
 *               Outside of &vfio_device_set.lock
 * @comp: completed when @refcount falls to zero
 * @iommufd_access: an emulated device's way to the user's memory. Changes under
 *                  &vfio_device_set.lock; stable while the device is open
 * @put_kvm: returns the reference that @kvm is. &vfio_device_set.lock
 * @inode: its mapping collects all mmaps of the device, whichever file they
 *         were made through, for unmap_mapping_range(). Constant
 * @iommufd_device: a physical device's binding. &vfio_device_set.lock
 * @iommufd_devid: its id in the iommufd that it is bound to.
 *                 &vfio_device_set.lock
 * @iommufd_bound: bound to an iommufd, physical or emulated; for a moment longer
 *                 than it is open. &vfio_device_set.lock
 * @iommufd_attached: attached to a page table. @attach_lock
 * @pasids: the PASIDs that are attached, as indices. @attach_lock
 * @cdev_opened: in use through the character device rather than through the
 *               group. &vfio_device_set.lock
 * @resetting_entry: member of the list of devices that a user resets; see
 *                   vfio_device_reset_begin()
 * @iommu_kind: what confines the device's DMA. Constant while registered
 * @opener_pid: who opened the device last, as the kernel's first namespace has it,
 *              or 0 if nobody has; for messages only, and written without a lock
 * @opener_comm: its name; ends with a NUL at any time
 * @debug_root: the device's directory in debugfs. Constant while registered
 *
 * Members from @index on are the core's. &vfio_device_set.lock always means
 * that of @dev_set. No bit-fields: neighbours have different owners.
 */
struct vfio_device {
	struct device *dev;
	const struct vfio_device_ops *ops;
	const struct vfio_migration_ops *mig_ops;
	const struct vfio_log_ops *log_ops;
#if IS_ENABLED(CONFIG_VFIO_GROUP)
	struct vfio_group *group;
	struct list_head group_next;
	struct list_head iommu_entry;
#endif
	struct vfio_device_set *dev_set;
	struct list_head dev_set_list;
	unsigned int migration_flags;
	u8 precopy_info_v2;
	struct kvm *kvm;

	/* Not for drivers */
	unsigned int index;
	struct device device;
#if IS_ENABLED(CONFIG_VFIO_DEVICE_CDEV)
	struct cdev cdev;
#endif
	refcount_t refcount;
	unsigned int open_count;
	struct mutex attach_lock;	/* See above */
	struct completion comp;
	struct iommufd_access *iommufd_access;
	void (*put_kvm)(struct kvm *kvm);
	struct inode *inode;
	struct iommufd_device *iommufd_device;
	u32 iommufd_devid;
	bool iommufd_bound;
	bool iommufd_attached;
	struct xarray pasids;
	bool cdev_opened;
	struct list_head resetting_entry;
	unsigned int iommu_kind;
	pid_t opener_pid;
	char opener_comm[TASK_COMM_LEN];
#ifdef CONFIG_DEBUG_FS
	struct dentry *debug_root;
#endif
};

/**
 * struct vfio_device_ops - what a driver does for its device
 * @name: the driver's name, for people
 * @init: prepare the driver's structure around a new vfio_device
 * @release: undo @init, after the last reference is gone
 * @bind_iommufd: tie the device to an iommufd and report the device id
 * @unbind_iommufd: undo @bind_iommufd, and @attach_ioas and @pasid_attach_ioas for
 *                  what is still attached
 * @attach_ioas: attach the device to the IOAS or hwpt whose id is in @pt_id, or move
 *               it there from where it is attached; the id of the hwpt is left
 *               there
 * @detach_ioas: undo @attach_ioas
 * @pasid_attach_ioas: as @attach_ioas, for a PASID of the device. Optional, as
 *                     @pasid_detach_ioas, but both or neither
 * @pasid_detach_ioas: undo @pasid_attach_ioas, if the PASID is attached
 * @open_device: the device gets its first user
 * @close_device: the device lost its last user
 * @read: read from the device file
 * @write: write to the device file
 * @ioctl: VFIO_DEVICE_* requests that the core does not answer itself
 * @get_region_info_caps: describe the region whose index is in @info, which has
 *                        nothing else yet, and append its capabilities to
 *                        @caps. Optional: the core answers
 *                        VFIO_DEVICE_GET_REGION_INFO with it, which else goes
 *                        to @ioctl
 * @mmap: map a part of the device into userspace
 * @request: ask the user to give the device back, because the driver must let
 *           go of it; repeated while the user stays, with @count growing from 0
 * @match: decide whether @buf, from VFIO_GROUP_GET_DEVICE_FD, names this
 *         device: 0 if not, positive if it does, -errno to refuse. Without it,
 *         the name is that of the device
 * @dma_unmap: the range leaves the address space that the device is attached
 *             to; every page pinned in it must be unpinned before returning.
 *             May come before @open_device
 * @device_feature: VFIO_DEVICE_FEATURE requests that the core does not answer
 *                  itself
 * @match_token_uuid: judge the token that came with VFIO_DEVICE_BIND_IOMMUFD
 *                    (NULL if none came): 0 to admit, -errno to refuse. Without
 *                    it, @match is asked about "NAME" or "NAME vf_token=UUID";
 *                    without that, the device has no use for tokens and refuses
 *                    them
 * @show_fdinfo: add lines of "key:\tvalue" to the fdinfo of a file that has
 *               the device open
 *
 * @bind_iommufd, @open_device and @close_device are called with
 * &vfio_device_set.lock held, @unbind_iommufd, @attach_ioas, @detach_ioas,
 * @pasid_attach_ioas and @pasid_detach_ioas with &vfio_device.attach_lock instead,
 * because they may wait for the user's memory.
 */
struct vfio_device_ops {
	char	*name;
	int	(*init)(struct vfio_device *vdev);
	void	(*release)(struct vfio_device *vdev);
	int	(*bind_iommufd)(struct vfio_device *vdev,
				struct iommufd_ctx *ictx, u32 *out_device_id);
	void	(*unbind_iommufd)(struct vfio_device *vdev);
	int	(*attach_ioas)(struct vfio_device *vdev, u32 *pt_id);
	void	(*detach_ioas)(struct vfio_device *vdev);
	int	(*pasid_attach_ioas)(struct vfio_device *vdev, u32 pasid,
				     u32 *pt_id);
	void	(*pasid_detach_ioas)(struct vfio_device *vdev, u32 pasid);
	int	(*open_device)(struct vfio_device *vdev);
	void	(*close_device)(struct vfio_device *vdev);
	ssize_t	(*read)(struct vfio_device *vdev, char __user *buf,
			size_t count, loff_t *ppos);
	ssize_t	(*write)(struct vfio_device *vdev, const char __user *buf,
			 size_t count, loff_t *size);
	long	(*ioctl)(struct vfio_device *vdev, unsigned int cmd,
			 unsigned long arg);
	int	(*get_region_info_caps)(struct vfio_device *vdev,
					struct vfio_region_info *info,
					struct vfio_info_cap *caps);
	int	(*mmap)(struct vfio_device *vdev, struct vm_area_struct *vma);
	void	(*request)(struct vfio_device *vdev, unsigned int count);
	int	(*match)(struct vfio_device *vdev, char *buf);
	void	(*dma_unmap)(struct vfio_device *vdev, u64 iova, u64 length);
	int	(*device_feature)(struct vfio_device *device, u32 flags,
				  void __user *arg, size_t argsz);
	int	(*match_token_uuid)(struct vfio_device *vdev,
				    const uuid_t *uuid);
	void	(*show_fdinfo)(struct vfio_device *vdev, struct seq_file *m);
};

struct iommufd_ctx *vfio_iommufd_device_ictx(struct vfio_device *vdev);
int vfio_iommufd_get_dev_id(struct vfio_device *vdev, struct iommufd_ctx *ictx);
bool vfio_iommufd_device_is_blocked(struct vfio_device *vdev);
int vfio_iommufd_physical_bind(struct vfio_device *vdev,
			       struct iommufd_ctx *ictx, u32 *out_device_id);
void vfio_iommufd_physical_unbind(struct vfio_device *vdev);
int vfio_iommufd_physical_attach_ioas(struct vfio_device *vdev, u32 *pt_id);
void vfio_iommufd_physical_detach_ioas(struct vfio_device *vdev);
int vfio_iommufd_physical_pasid_attach_ioas(struct vfio_device *vdev, u32 pasid,
					    u32 *pt_id);
void vfio_iommufd_physical_pasid_detach_ioas(struct vfio_device *vdev,
					     u32 pasid);
int vfio_iommufd_emulated_bind(struct vfio_device *vdev,
			       struct iommufd_ctx *ictx, u32 *out_device_id);
void vfio_iommufd_emulated_unbind(struct vfio_device *vdev);
int vfio_iommufd_emulated_attach_ioas(struct vfio_device *vdev, u32 *pt_id);
void vfio_iommufd_emulated_detach_ioas(struct vfio_device *vdev);

/**
 * vfio_device_cdev_opened - how is the device in use?
 * @device: a device that is open, with its &vfio_device_set.lock held
 *
 * Return: true if through its character device, false if through its group.
 */
static inline bool vfio_device_cdev_opened(struct vfio_device *device)
{
	return device->cdev_opened;
}

/**
 * struct vfio_migration_ops - a driver's part in live migration
 * @migration_set_state: walk the device to @new_state. Returns the file that a
 *         new data transfer session starts with, NULL if none starts, or an
 *         ERR_PTR(). The driver ends the stream of that file whenever the walk
 *         leaves the saving or resuming states, and before close_device()
 *         returns
 * @migration_get_state: report the state that the device is in
 * @migration_get_data_size: estimate the bytes that stop copy will transfer
 *
 * All three are mandatory for a device that sets vfio_device.mig_ops.
 */
struct vfio_migration_ops {
	struct file *(*migration_set_state)(struct vfio_device *device,
					    enum vfio_device_mig_state new_state);
	int (*migration_get_state)(struct vfio_device *device,
				   enum vfio_device_mig_state *curr_state);
	int (*migration_get_data_size)(struct vfio_device *device,
				       unsigned long *stop_copy_length);
};

/**
 * struct vfio_log_ops - a device that logs its own DMA writes
 * @log_start: log writes to @ranges, an interval tree of @nnodes IOVA ranges
 *             (first and last byte). In @page_size is the wanted granularity
 *             in bytes on entry and the chosen one on return. The driver may
 *             merge ranges with vfio_combine_iova_ranges()
 * @log_stop: stop logging
 * @log_read_and_clear: report what was written in the range with
 *                      iova_bitmap_set(), and forget it
 *
 * The core does not remember whether logging is on: a driver refuses a second
 * start and survives a stop or a read that no start came before.
 */
struct vfio_log_ops {
	int (*log_start)(struct vfio_device *device,
			 struct rb_root_cached *ranges, u32 nnodes,
			 u64 *page_size);
	int (*log_stop)(struct vfio_device *device);
	int (*log_read_and_clear)(struct vfio_device *device,
				  unsigned long iova, unsigned long length,
				  struct iova_bitmap *dirty);
};

/**
 * vfio_check_feature - judge a VFIO_DEVICE_FEATURE request
 * @flags: as given to &vfio_device_ops.device_feature
 * @argsz: as given to &vfio_device_ops.device_feature
 * @supported_ops: VFIO_DEVICE_FEATURE_GET and/or VFIO_DEVICE_FEATURE_SET
 * @minsz: bytes of data that a GET or SET needs at least
 *
 * Return: 1 if the driver is to carry out the request; otherwise what
 * device_feature() returns: 0 for a probe that finds the feature, -EINVAL
 * for a request that is malformed or asks for an operation beyond
 * @supported_ops.
 */
static inline int vfio_check_feature(u32 flags, size_t argsz, u32 supported_ops,
				     size_t minsz)
{
	u32 ops = flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);

	if (ops & ~supported_ops)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!ops || argsz < minsz)
		return -EINVAL;
	return 1;
}

/**
 * vfio_check_precopy_ioctl - judge an ioctl on the file of a migration
 * @vdev: the device
 * @cmd: the request
 * @arg: its argument
 * @info: what the user gave; with precopy_info_v2, flags is 0, for the driver to
 *        set VFIO_PRECOPY_INFO_REINIT. Without, the driver leaves it as it is
 *
 * Return: 0 if this is a VFIO_MIG_GET_PRECOPY_INFO that the driver shall answer;
 * -ENOTTY for another request, -EFAULT, or -EINVAL if @info is too short.
 */
static inline int vfio_check_precopy_ioctl(struct vfio_device *vdev,
					   unsigned int cmd, unsigned long arg,
					   struct vfio_precopy_info *info)
{
	const size_t minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(info, (void __user *)arg, minsz))
		return -EFAULT;
	if (info->argsz < minsz)
		return -EINVAL;
	if (vdev->precopy_info_v2)
		info->flags = 0;
	return 0;
}

struct vfio_device *_vfio_alloc_device(size_t size, struct device *dev,
				       const struct vfio_device_ops *ops);

/**
 * vfio_alloc_device - allocate a driver's structure around a vfio_device
 * @dev_struct: tag of the structure
 * @member: name of its struct vfio_device, which must come first
 * @dev: the device
 * @ops: the driver's callbacks
 *
 * Return: the structure, to be released by vfio_put_device(), or an
 * ERR_PTR().
 */
#define vfio_alloc_device(dev_struct, member, dev, ops)				\
	container_of(_vfio_alloc_device(sizeof(struct dev_struct) +		\
					BUILD_BUG_ON_ZERO(offsetof(		\
						struct dev_struct, member)),	\
					dev, ops),				\
		     struct dev_struct, member)

/**
 * vfio_put_device - release what vfio_alloc_device() returned
 * @device: the device
 */
static inline void vfio_put_device(struct vfio_device *device)
{
	put_device(&device->device);
}

int vfio_register_group_dev(struct vfio_device *device);
int vfio_register_emulated_iommu_dev(struct vfio_device *device);
void vfio_unregister_group_dev(struct vfio_device *device);
bool vfio_device_try_get_registration(struct vfio_device *device);
void vfio_device_put_registration(struct vfio_device *device);

int vfio_assign_device_set(struct vfio_device *device, void *set_id);
unsigned int vfio_device_set_open_count(struct vfio_device_set *dev_set);
struct vfio_device *
vfio_find_device_in_devset(struct vfio_device_set *dev_set,
			   struct device *dev);
void vfio_device_reset_begin(struct vfio_device *device);
void vfio_device_reset_end(struct vfio_device *device);

int vfio_mig_get_next_state(struct vfio_device *device,
			    enum vfio_device_mig_state cur_fsm,
			    enum vfio_device_mig_state new_fsm,
			    enum vfio_device_mig_state *next_fsm);

void vfio_combine_iova_ranges(struct rb_root_cached *root, u32 cur_nodes,
			      u32 req_nodes);

/* For holders of a file that may be one of ours: KVM, hot reset */
struct iommu_group *vfio_file_iommu_group(struct file *file);

#if IS_ENABLED(CONFIG_VFIO_GROUP)
bool vfio_file_is_group(struct file *file);
bool vfio_file_has_dev(struct file *file, struct vfio_device *device);
#else
static inline bool vfio_file_is_group(struct file *file)
{
	return false;
}

static inline bool vfio_file_has_dev(struct file *file, struct vfio_device *device)
{
	return false;
}
#endif
bool vfio_file_is_valid(struct file *file);
bool vfio_file_enforced_coherent(struct file *file);
void vfio_file_set_kvm(struct file *file, struct kvm *kvm);

/* Most pages that one vfio_pin_pages() takes */
#define VFIO_PIN_PAGES_MAX_ENTRIES	(PAGE_SIZE / sizeof(unsigned long))

int vfio_pin_pages(struct vfio_device *device, dma_addr_t iova,
		   int npage, int prot, struct page **pages);
void vfio_unpin_pages(struct vfio_device *device, dma_addr_t iova, int npage);
int vfio_dma_rw(struct vfio_device *device, dma_addr_t iova,
		void *data, size_t len, bool write);

/**
 * struct vfio_info_cap - a chain of capabilities in the making
 * @buf: the capabilities, one behind the other; freed by the caller
 * @size: bytes used in @buf
 */
struct vfio_info_cap {
	struct vfio_info_cap_header *buf;
	size_t size;
};

struct vfio_info_cap_header *vfio_info_cap_add(struct vfio_info_cap *caps,
					       size_t size, u16 id,
					       u16 version);
void vfio_info_cap_shift(struct vfio_info_cap *caps, size_t offset);

int vfio_info_add_capability(struct vfio_info_cap *caps,
			     struct vfio_info_cap_header *cap, size_t size);
int vfio_info_copy_caps(struct vfio_info_cap *caps, void __user *arg,
			size_t fixed, u32 *argsz, u32 *cap_offset);
int vfio_get_region_info(struct vfio_device *device,
			 int (*describe)(struct vfio_device *device,
					 struct vfio_region_info *info,
					 struct vfio_info_cap *caps),
			 struct vfio_region_info __user *arg);

int vfio_set_irqs_validate_and_prepare(struct vfio_irq_set *hdr,
				       int num_irqs, int max_irq_type,
				       size_t *data_size);

/**
 * struct virqfd - an action that the signal of an eventfd triggers
 * @opaque: the driver's context for the callbacks
 * @eventfd: the eventfd that is watched
 * @handler: called in atomic context for each signal; a result other than 0
 *           asks for @thread
 * @thread: called in process context
 * @data: second argument of both callbacks
 * @inject: runs @thread
 * @wait: entry in the eventfd's wait queue
 * @pt: to get into that wait queue
 * @shutdown: leaves the wait queue, after the eventfd was closed
 * @refs: one for the wait queue, one for each run of @thread that is due, one
 *        for whoever waits for these
 * @dying: link in a list of those that the driver has no pointer to any more
 * @pvirqfd: where the driver keeps the pointer to this structure
 */
struct virqfd {
	void			*opaque;
	struct eventfd_ctx	*eventfd;
	int			(*handler)(void *opaque, void *data);
	void			(*thread)(void *opaque, void *data);
	void			*data;
	struct delayed_work	inject;
	wait_queue_entry_t		wait;
	poll_table		pt;
	struct work_struct	shutdown;
	refcount_t		refs;
	struct list_head	dying;
	struct virqfd		**pvirqfd;
};

int vfio_virqfd_enable(void *opaque,
		       int (*handler)(void *opaque, void *data),
		       void (*thread)(void *opaque, void *data), void *data,
		       struct virqfd **pvirqfd, int fd);
void vfio_virqfd_disable(struct virqfd **pvirqfd);
void vfio_virqfd_flush_thread(struct virqfd **pvirqfd);

#endif /* VFIO_H */
