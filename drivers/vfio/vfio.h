/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of the VFIO core, as they see each other.
 */
#ifndef __VFIO_VFIO_H__
#define __VFIO_VFIO_H__

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

/**
 * DOC: Locks and lifetimes
 *
 * From the outside in, a task takes them only in this order:
 *
 * 1. &vfio_group.setup_lock: one request at a time that sets up a container, or
 *    opens or closes a device through the group;
 * 2. &vfio_device.attach_lock: attaching, detaching and unbinding of a device;
 * 3. &vfio_group.lock: who uses the group, and through what;
 * 4. &vfio_device_set.lock: opening and binding of the devices;
 * 5. &vfio_group.devices_lock: the list of the group's devices.
 *
 * The first two are held while the memory of a user is pinned, which takes as
 * long as that user likes. So only the user of that group or device takes them,
 * and where it can be told so, a wait for them ends when the caller is killed.
 * All others are short: no memory of a user is touched or pinned under them,
 * nor is the iommufd asked for what waits for that, because they stand between
 * a user and other users, or the administrator.
 *
 * &vfio_device_file.kvm_lock and &vfio_group.kvm_lock are spinlocks around one
 * pointer each, innermost.
 *
 * A vfio_device is kept in memory by its class device's reference count. On top
 * of that, its registration is kept by &vfio_device.refcount: one for the driver
 * and one for each open file. vfio_unregister_group_dev() drops the first, so
 * that no new file can be opened, and returns when the last file is closed. So
 * the holder of a vfio_device_file may use the device, its driver and its group
 * without further locks.
 */

/* What confines a device's DMA */
enum vfio_iommu_kind {
	/* An IOMMU */
	VFIO_IOMMU_PHYSICAL,
	/* The core: the device is software and asks for each access */
	VFIO_IOMMU_EMULATED,
	/* Nothing */
	VFIO_IOMMU_NONE,
};

/**
 * struct vfio_device_file - one open file of a device
 * @device: whose registration this holds. Constant
 * @group: through which it was opened, or NULL for the character device.
 *         Constant
 * @group_file: keeps the group open as long as this file is. Constant
 * @ready: the device is bound and open, its user may use it. Set once, last
 * @refusal: why the last request that the core refused was refused, for fdinfo;
 *           a constant string or NULL. Not owned: any of several is as good
 * @kvm_lock: owns @kvm
 * @kvm: the virtual machine to which the next bind belongs, or NULL. Not a
 *       reference: KVM takes it back before it goes away
 */
struct vfio_device_file {
	struct vfio_device *device;
	struct vfio_group *group;
	struct file *group_file;

	bool ready;
	const char *refusal;

	spinlock_t kvm_lock;	/* Owns kvm */
	struct kvm *kvm;
};

/* device_open.c */
struct vfio_device_file *vfio_df_alloc(struct vfio_device *device);
int vfio_df_open(struct vfio_device_file *df, struct iommufd_ctx *ictx);
void vfio_df_close(struct vfio_device_file *df);

/* device_file.c */
extern const struct file_operations vfio_device_fops;

struct vfio_device *vfio_device_from_file(struct file *file);

/* Note for fdinfo why a request is refused, in words, and pass on its errno */
static inline int vfio_df_refuse(struct vfio_device_file *df, int errno,
				 const char *why)
{
	WRITE_ONCE(df->refusal, why);
	return errno;
}

/* resetting.c */
bool vfio_device_is_resetting(struct vfio_device *device);

/* registration.c */
void vfio_device_note_opener(struct vfio_device *device);
void vfio_device_drain(struct vfio_device *device);

/* device_set.c */
void vfio_device_set_retract(struct vfio_device *device);
void vfio_release_device_set(struct vfio_device *device);

/* kvm.c */
void vfio_device_get_kvm(struct vfio_device *device, struct kvm *kvm);
void vfio_device_put_kvm(struct vfio_device *device);

/* feature.c */
int vfio_ioctl_device_feature(struct vfio_device *device,
			      struct vfio_device_feature __user *arg);

/* dma_logging.c */
int vfio_feature_dma_logging_start(struct vfio_device *device, u32 flags,
				   void __user *arg, size_t argsz);
int vfio_feature_dma_logging_stop(struct vfio_device *device, u32 flags,
				  void __user *arg, size_t argsz);
int vfio_feature_dma_logging_report(struct vfio_device *device, u32 flags,
				    void __user *arg, size_t argsz);

/* iommufd.c */
int vfio_iommufd_compat_join(struct iommufd_ctx *ictx, enum vfio_iommu_kind kind,
			     struct iommu_group *iommu_group,
			     iommufd_vfio_with_device_t *with_device,
			     struct vfio_group *group);
void vfio_iommufd_compat_leave(struct iommufd_ctx *ictx,
			       enum vfio_iommu_kind kind,
			       struct vfio_group *group);
int vfio_iommufd_compat_attach(struct vfio_device *device,
			       struct iommufd_ctx *ictx);
bool vfio_iommufd_has_compat_ioas(struct iommufd_ctx *ictx);

/* viability.c */
bool vfio_iommu_group_viable(struct iommu_group *iommu_group);
extern const struct attribute_group *vfio_device_groups[];

/* device_cdev.c */
#if IS_ENABLED(CONFIG_VFIO_DEVICE_CDEV)
int __init vfio_cdev_init(void);
void vfio_cdev_cleanup(void);
int vfio_device_add(struct vfio_device *device,
		    const struct file_operations *fops);
void vfio_device_del(struct vfio_device *device);

int vfio_device_cdev_open(struct inode *inode, struct file *file);
void vfio_df_cdev_close(struct vfio_device_file *df);
long vfio_df_ioctl_bind(struct vfio_device_file *df, void __user *arg);
long vfio_df_ioctl_attach(struct vfio_device_file *df, void __user *arg);
long vfio_df_ioctl_detach(struct vfio_device_file *df, void __user *arg);
#else
static inline int __init vfio_cdev_init(void)
{
	return 0;
}

static inline void vfio_cdev_cleanup(void)
{
}

static inline int vfio_device_add(struct vfio_device *device,
				  const struct file_operations *fops)
{
	return device_add(&device->device);
}

static inline void vfio_device_del(struct vfio_device *device)
{
	device_del(&device->device);
}

static inline int vfio_device_cdev_open(struct inode *inode, struct file *file)
{
	return -ENODEV;
}

static inline void vfio_df_cdev_close(struct vfio_device_file *df)
{
}

static inline long vfio_df_ioctl_bind(struct vfio_device_file *df,
				      void __user *arg)
{
	return -ENOTTY;
}

static inline long vfio_df_ioctl_attach(struct vfio_device_file *df,
					void __user *arg)
{
	return -ENOTTY;
}

static inline long vfio_df_ioctl_detach(struct vfio_device_file *df,
					void __user *arg)
{
	return -ENOTTY;
}
#endif

/* noiommu.c */
#if IS_ENABLED(CONFIG_VFIO_NOIOMMU)
bool vfio_noiommu_allowed(void);
void __init vfio_noiommu_init(void);
void vfio_noiommu_cleanup(void);
#else
static inline bool vfio_noiommu_allowed(void)
{
	return false;
}

static inline void __init vfio_noiommu_init(void)
{
}

static inline void vfio_noiommu_cleanup(void)
{
}
#endif

/* virqfd.c */
#if IS_ENABLED(CONFIG_VFIO_VIRQFD)
int __init vfio_virqfd_init(void);
void vfio_virqfd_cleanup(void);
#else
static inline int __init vfio_virqfd_init(void)
{
	return 0;
}

static inline void vfio_virqfd_cleanup(void)
{
}
#endif

/* debugfs.c */
#if IS_ENABLED(CONFIG_VFIO_DEBUGFS)
void vfio_debugfs_create_root(void);
void vfio_debugfs_remove_root(void);
void vfio_device_debugfs_init(struct vfio_device *device);
void vfio_device_debugfs_exit(struct vfio_device *device);
#else
static inline void vfio_debugfs_create_root(void)
{
}

static inline void vfio_debugfs_remove_root(void)
{
}

static inline void vfio_device_debugfs_init(struct vfio_device *device)
{
}

static inline void vfio_device_debugfs_exit(struct vfio_device *device)
{
}
#endif

/* group.c */
#if IS_ENABLED(CONFIG_VFIO_GROUP)
/**
 * struct vfio_group - the VFIO side of an iommu_group
 * @dev: the "vfio" class device, /dev/vfio/N
 * @cdev: its character device
 * @next: member of the list of all groups; owned by the lock of that list
 * @users: registered devices of the group; owned by the lock of that list
 * @kind: of all its devices. Constant
 * @leave_work: takes a group that has lost its devices out of @leaving
 * @leaving: what was its container; holds a reference. Owned by @leave_work
 * @setup_lock: see "Locks and lifetimes"
 * @refusal: see &vfio_device_file.refusal
 * @lock: owns the members that follow it, to @cdev_opens
 * @iommu_group: holds a reference; NULL once the last device has left, when
 *               nothing more can be done with files that are still open
 * @opened_file: the one file that has the group open, or NULL
 * @iommufd: the container that the group is in, or NULL; holds a reference.
 *           Neither comes nor goes under @setup_lock as long as the registration
 *           of one of its devices is held
 * @device_files: files of devices that were opened through the group
 * @cdev_opens: devices in use through their own character devices
 * @devices_lock: owns @devices
 * @devices: the registered devices
 * @kvm_lock: owns @kvm
 * @kvm: see &vfio_device_file.kvm
 */
struct vfio_group {
	struct device dev;
	struct cdev cdev;
	struct list_head next;
	unsigned int users;
	enum vfio_iommu_kind kind;
	struct work_struct leave_work;
	struct iommufd_ctx *leaving;

	struct mutex setup_lock;	/* See above */
	const char *refusal;

	struct mutex lock;	/* Owns what follows, to cdev_opens */
	struct iommu_group *iommu_group;
	struct file *opened_file;
	struct iommufd_ctx *iommufd;
	unsigned int device_files;
	unsigned int cdev_opens;

	struct mutex devices_lock;	/* Owns devices */
	struct list_head devices;

	spinlock_t kvm_lock;	/* Owns kvm */
	struct kvm *kvm;
};

int __init vfio_group_init(const struct file_operations *fops);
void vfio_group_cleanup(void);

int vfio_device_join_group(struct vfio_device *device,
			   enum vfio_iommu_kind kind);
void vfio_device_leave_group(struct vfio_device *device);
void vfio_device_group_publish(struct vfio_device *device);
void vfio_device_group_retract(struct vfio_device *device);

int vfio_device_block_group(struct vfio_device *device);
void vfio_device_unblock_group(struct vfio_device *device);
int vfio_df_group_open(struct vfio_device_file *df);
void vfio_df_group_close(struct vfio_device_file *df);
void vfio_group_show_fdinfo(struct vfio_group *group, struct seq_file *m);

struct vfio_device *vfio_group_get_device(struct vfio_group *group);
int vfio_group_set_container(struct vfio_group *group,
			     struct iommufd_ctx *ictx);
struct iommufd_ctx *vfio_group_drop_container(struct vfio_group *group);
void vfio_group_leave_container(struct vfio_group *group,
				struct iommufd_ctx *ictx);
struct iommu_group *vfio_group_get_iommu_group(struct vfio_group *group);
bool vfio_group_enforced_coherent(struct vfio_group *group);
void vfio_group_set_kvm(struct vfio_group *group, struct kvm *kvm);

/* Note for fdinfo why a request is refused, in words, and pass on its errno */
static inline int vfio_group_refuse(struct vfio_group *group, int errno,
				    const char *why)
{
	WRITE_ONCE(group->refusal, why);
	return errno;
}

/* group_file.c */
int __init vfio_group_file_init(void);
struct vfio_group *vfio_group_from_file(struct file *file);
#else
struct vfio_group;

static inline int __init vfio_group_file_init(void)
{
	return 0;
}

static inline void vfio_group_cleanup(void)
{
}

static inline int vfio_device_join_group(struct vfio_device *device,
					 enum vfio_iommu_kind kind)
{
	device->iommu_kind = kind;
	return 0;
}

static inline void vfio_device_leave_group(struct vfio_device *device)
{
}

static inline void vfio_device_group_publish(struct vfio_device *device)
{
}

static inline void vfio_device_group_retract(struct vfio_device *device)
{
}

static inline int vfio_device_block_group(struct vfio_device *device)
{
	return 0;
}

static inline void vfio_device_unblock_group(struct vfio_device *device)
{
}

static inline void vfio_df_group_close(struct vfio_device_file *df)
{
}

static inline void vfio_group_show_fdinfo(struct vfio_group *group,
					  struct seq_file *m)
{
}

static inline struct vfio_group *vfio_group_from_file(struct file *file)
{
	return NULL;
}

static inline struct iommu_group *
vfio_group_get_iommu_group(struct vfio_group *group)
{
	return NULL;
}

static inline bool vfio_group_enforced_coherent(struct vfio_group *group)
{
	return true;
}

static inline void vfio_group_set_kvm(struct vfio_group *group, struct kvm *kvm)
{
}
#endif
#endif
