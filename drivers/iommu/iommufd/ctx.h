/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_CTX_H
#define __IOMMUFD_CTX_H

#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "account.h"
#include "refusal.h"

struct file;
struct iommufd_ioas;
struct iommufd_object;
struct seq_file;

/**
 * struct iommufd_container - the groups in a VFIO container
 * @lock: protects all that follows. Outside ioas->mutex
 * @groups: struct member list, see vfio_groups.c
 * @type: what VFIO_SET_IOMMU chose, or 0
 * @owns_ioas: the IOAS was made for the container, not chosen by the user; under
 *             objects.xa_lock
 */
struct iommufd_container {
	struct mutex lock; /* See above */
	struct list_head groups;
	unsigned long type;
	bool owns_ioas;
};

/**
 * struct iommufd_ctx - one open file of /dev/iommu
 * @file: the file; whoever holds a context holds a reference to it
 * @objects: struct iommufd_object by id
 * @found: the one that was looked up last and is still there, or NULL; under
 *         their xa_lock
 * @takeover_mutex: makes its holder the only one that has the mutex of more than
 *                  one pages object of this context, so that it does not matter
 *                  in which order they are taken. Outside of iova_rwsem
 * @groups_lock: protects @groups
 * @groups: struct iommufd_group list
 * @mmaps: struct iommufd_mmap by page offset in the file; has a lock of its own
 * @destroy_wait: woken when the last call that uses an object ends
 * @account_mode: whom maps are charged to, an enum pin_account_mode; written
 *                while there are no objects
 * @type1: opened as /dev/vfio/vfio, by a program that was written for VFIO's type
 *         1: errors of the container are type 1's, where others are mainline's
 *         iommufd's. Constant
 * @vfio_ioas: what the VFIO container ioctls work on; under objects.xa_lock
 * @no_iommu_mode: opened as a VFIO container without an IOMMU
 * @container: the VFIO groups that it is the container of
 * @refusal: the reason of the last refusal
 */
struct iommufd_ctx {
	struct file *file;
	struct xarray objects;
	struct iommufd_object *found;
	struct mutex takeover_mutex; /* See above */
	struct mutex groups_lock; /* See above */
	struct list_head groups;
	struct maple_tree mmaps;
	wait_queue_head_t destroy_wait;

	enum pin_account_mode account_mode;
	bool type1;
	struct iommufd_ioas *vfio_ioas;
	bool no_iommu_mode;
	struct iommufd_container container;
	struct refusal refusal;
};

/**
 * struct iommufd_ucmd - one ioctl that is being executed
 * @ictx: whose
 * @ubuffer: the user's struct
 * @user_size: its size in bytes as the user says
 * @cmd: the kernel's copy, zero beyond what the user gave
 */
struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void __user *ubuffer;
	u32 user_size;
	void *cmd;
};

struct iommufd_ctx *iommufd_ctx_alloc(struct file *file, bool type1);
void iommufd_ctx_free(struct iommufd_ctx *ictx);
void iommufd_show_fdinfo(struct seq_file *m, struct file *filp);
void iommufd_show_devices(struct iommufd_ctx *ictx,
			  const struct iommufd_object *target,
			  struct seq_file *m);

/* Give the struct back to the user, no more of it than the user knows */
static inline int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd,
				       size_t cmd_len)
{
	unsigned long left;

	/* A constant length spares the check that the object is that long */
	if (likely(ucmd->user_size >= cmd_len))
		left = copy_to_user(ucmd->ubuffer, ucmd->cmd, cmd_len);
	else
		left = copy_to_user(ucmd->ubuffer, ucmd->cmd, ucmd->user_size);
	return left ? -EFAULT : 0;
}

#endif
