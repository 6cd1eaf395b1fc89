/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_VEVENT_H
#define __IOMMUFD_VEVENT_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <uapi/linux/iommufd.h>

#include "object.h"
#include "queue_file.h"

struct iommufd_ctx;
struct iommufd_ucmd;
struct iommufd_viommu;

#define IOMMUFD_VEVENT_MAX_DEPTH ((u32)BIT(19))
/* Bytes of the largest event that a driver reports */
#define IOMMUFD_VEVENT_MAX_DATA 32

/**
 * struct iommufd_vevent - an event in its queue
 * @sequence: its number
 * @len: bytes of @data that it has
 * @data: what the driver said
 */
struct iommufd_vevent {
	u32 sequence;
	u32 len;
	u8 data[IOMMUFD_VEVENT_MAX_DATA];
};

/**
 * struct iommufd_veventq - a queue of events of a virtual IOMMU
 * @obj: the object
 * @queue: its file
 * @viommu: whose events; holds a reference
 * @entry: link in viommu->veventqs
 * @type: which events, an enum iommu_veventq_type
 * @depth: how many there is room for
 * @read_mutex: whoever holds it is the only one that takes events out. It is held
 *              while they are copied to the user, and needed by nobody else
 * @lock: protects the following; taken by drivers in any context
 * @head: where in @ring the oldest event is
 * @nr: number of events
 * @next_sequence: the number of the next event
 * @lost: the newest events had no room
 * @lost_sequence: the number of the last of these
 * @nr_lost: how many events ever had no room
 * @ring: room for @depth events. All of it is there from the beginning, at the
 *        expense of the user, so that an event needs no memory
 */
struct iommufd_veventq {
	struct iommufd_object obj;
	struct iommufd_queue queue;
	struct iommufd_viommu *viommu;
	struct list_head entry;
	u32 type;
	u32 depth;

	struct mutex read_mutex; /* See above */
	spinlock_t lock; /* See above */
	u32 head;
	u32 nr;
	u32 next_sequence;
	bool lost;
	u32 lost_sequence;
	unsigned long nr_lost;
	struct iommufd_vevent *ring;
};

static inline struct iommufd_veventq *to_veventq(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_veventq, obj);
}

extern const struct iommufd_object_ops iommufd_veventq_object_ops;

struct iommufd_veventq *iommufd_veventq_create(struct iommufd_ctx *ictx,
					       u32 type, u32 depth);
int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd);

#endif
