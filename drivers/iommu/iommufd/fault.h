/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_FAULT_H
#define __IOMMUFD_FAULT_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "object.h"
#include "queue_file.h"

struct device;
struct iommufd_attachment;
struct iommufd_ctx;
struct iommufd_hwpt;
struct iommufd_ucmd;

/**
 * struct iommufd_fault - a queue of page faults
 * @obj: the object; each hwpt whose faults come here holds a reference
 * @queue: its file
 * @mutex: whoever holds it keeps the groups in the queue from being freed. Taken
 *         inside igroup->lock. Held while groups are answered, never while the
 *         memory of a user is accessed
 * @waiting: struct iopf_group by cookie, read and not answered; under @mutex
 * @nr_waiting: number of groups in @waiting; under @mutex
 * @lock: protects the following, and attachment->closed. Taken inside @mutex, and
 *        alone by whoever reports a fault
 * @unread: struct iopf_group list by node, oldest first; taken out under @mutex, too
 * @nr_unread: number of groups on @unread
 * @nr_refused: number of groups that were too many
 * @nr_faults: faults of all groups that wait, no more than %IOMMUFD_FAULT_LIMIT;
 *             added to under @lock
 */
struct iommufd_fault {
	struct iommufd_object obj;
	struct iommufd_queue queue;

	struct mutex mutex; /* See above */
	struct xarray waiting;
	unsigned int nr_waiting;

	spinlock_t lock; /* See above */
	struct list_head unread;
	unsigned int nr_unread;
	unsigned int nr_refused;
	atomic_t nr_faults;
};

/*
 * Devices are trusted with as many requests as the kernel gave them credits for,
 * which are some hundred. One that exceeds them is in the hands of its user, and
 * could fill the memory of the kernel.
 */
#define IOMMUFD_FAULT_LIMIT 16384

extern const struct iommufd_object_ops iommufd_fault_object_ops;

struct iommufd_fault *iommufd_fault_alloc(struct iommufd_ctx *ictx);
int iommufd_fault_queue_alloc(struct iommufd_ucmd *ucmd);
int iommufd_fault_connect(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt,
			  u32 fault_id);
void iommufd_fault_disconnect(struct iommufd_hwpt *hwpt);
int iommufd_fault_refuse(struct iommufd_ctx *ictx,
			 const struct iommufd_hwpt *hwpt, struct device *dev,
			 int rc);
int iommufd_fault_open(struct iommufd_attachment *attachment);
void iommufd_fault_close(struct iommufd_attachment *attachment);
void iommufd_fault_forget(struct iommufd_attachment *attachment,
			  struct device *dev);

/*
 * IOMMU drivers have their devices report faults as long as a domain with a handler
 * is attached. Older ones have to be told, see compat/.
 */
#ifndef iommufd_fault_tell_driver
static inline int iommufd_fault_tell_driver(struct device *dev, bool enable)
{
	return 0;
}
#endif

#endif
