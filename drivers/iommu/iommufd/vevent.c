// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of virtual IOMMUs: what the hardware reports of a guest's devices waits in
 * a ring until the user reads it. The other end of the ring is in driver.c.
 */
#include <linux/err.h>
#include <linux/iommufd.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"
#include "trace.h"
#include "vevent.h"
#include "viommu.h"

/**
 * struct iommufd_vevent_record - an event as the user gets it
 * @header: stands before it
 * @data: what the driver said
 */
struct iommufd_vevent_record {
	struct iommufd_vevent_header header;
	u8 data[IOMMUFD_VEVENT_MAX_DATA];
};

static struct iommufd_veventq *queue_to_veventq(struct iommufd_queue *queue)
{
	return container_of(queue, struct iommufd_veventq, queue);
}

/* The oldest record, which stays there; returns its bytes, 0 if there is none */
static size_t iommufd_veventq_peek(struct iommufd_veventq *veventq,
				   struct iommufd_vevent_record *record)
{
	const struct iommufd_vevent *event;
	unsigned long flags;
	size_t len = 0;

	lockdep_assert_held(&veventq->read_mutex);

	spin_lock_irqsave(&veventq->lock, flags);
	event = &veventq->ring[veventq->head];
	if (veventq->nr) {
		record->header.flags = 0;
		record->header.sequence = event->sequence;
		memcpy(record->data, event->data, event->len);
		len = sizeof(record->header) + event->len;
	} else if (veventq->lost) {
		record->header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		record->header.sequence = veventq->lost_sequence;
		len = sizeof(record->header);
	}
	spin_unlock_irqrestore(&veventq->lock, flags);
	return len;
}

/* The user has been told of @record */
static void iommufd_veventq_pop(struct iommufd_veventq *veventq,
				const struct iommufd_vevent_record *record)
{
	unsigned long flags;

	lockdep_assert_held(&veventq->read_mutex);

	spin_lock_irqsave(&veventq->lock, flags);
	if (record->header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
		/* More may have been lost since, of which it is told next */
		if (veventq->lost_sequence == record->header.sequence)
			WRITE_ONCE(veventq->lost, false);
	} else {
		veventq->head = (veventq->head + 1) % veventq->depth;
		WRITE_ONCE(veventq->nr, veventq->nr - 1);
	}
	spin_unlock_irqrestore(&veventq->lock, flags);
}

static ssize_t iommufd_veventq_read(struct iommufd_queue *queue,
				    char __user *buf, size_t count)
{
	struct iommufd_veventq *veventq = queue_to_veventq(queue);
	struct iommufd_vevent_record record;
	size_t done = 0, len;
	int rc;

	/* user ABI: also if there is nothing to read */
	if (count < sizeof(record.header))
		return -EINVAL;
	rc = mutex_lock_interruptible(&veventq->read_mutex);
	if (rc)
		return rc;
	do {
		len = iommufd_veventq_peek(veventq, &record);
		if (!len)
			break;
		if (len > count - done) {
			rc = -EINVAL;
			break;
		}
		if (copy_to_user(buf + done, &record, len)) {
			rc = -EFAULT;
			break;
		}
		iommufd_veventq_pop(veventq, &record);
		done += len;
		cond_resched();
	} while (!fatal_signal_pending(current));
	mutex_unlock(&veventq->read_mutex);
	return done ? done : rc;
}

static bool iommufd_veventq_readable(struct iommufd_queue *queue)
{
	struct iommufd_veventq *veventq = queue_to_veventq(queue);

	return READ_ONCE(veventq->nr) || READ_ONCE(veventq->lost);
}

static void iommufd_veventq_show_file(struct iommufd_queue *queue,
				      struct seq_file *m)
{
	struct iommufd_veventq *veventq = queue_to_veventq(queue);

	seq_printf(m, "unread:\t%u\ndepth:\t%u\nlost:\t%lu\n",
		   READ_ONCE(veventq->nr), veventq->depth,
		   READ_ONCE(veventq->nr_lost));
}

static const struct iommufd_queue_ops iommufd_veventq_queue_ops = {
	.name = "[iommufd-viommu-event]",
	.read_size = 1,
	.readable = iommufd_veventq_readable,
	.read = iommufd_veventq_read,
	.show = iommufd_veventq_show_file,
};

static void iommufd_veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq = to_veventq(obj);
	struct iommufd_viommu *viommu = veventq->viommu;
	unsigned long flags;

	/* Drivers do not find it from here on */
	if (viommu) {
		spin_lock_irqsave(&viommu->veventqs_lock, flags);
		list_del(&veventq->entry);
		spin_unlock_irqrestore(&viommu->veventqs_lock, flags);
		iommufd_object_release(&viommu->obj);
	}
	kvfree(veventq->ring);
	mutex_destroy(&veventq->read_mutex);
}

static const char *iommufd_veventq_busy(struct iommufd_object *obj)
{
	return iommufd_queue_busy(&to_veventq(obj)->queue);
}

static void iommufd_veventq_show(struct iommufd_object *obj, struct seq_file *m)
{
	struct iommufd_veventq *veventq = to_veventq(obj);

	seq_printf(m, " viommu=%u type=%u unread=%u depth=%u lost=%lu",
		   veventq->viommu->obj.id, veventq->type,
		   READ_ONCE(veventq->nr), veventq->depth,
		   READ_ONCE(veventq->nr_lost));
}

const struct iommufd_object_ops iommufd_veventq_object_ops = {
	.type = IOMMUFD_OBJ_VEVENTQ,
	.name = "veventq",
	.destroy = iommufd_veventq_destroy,
	.busy = iommufd_veventq_busy,
	.show = iommufd_veventq_show,
};

/**
 * iommufd_veventq_create - make an event queue
 * @ictx: whose
 * @type: for which events
 * @depth: for how many, 1 to IOMMUFD_VEVENT_MAX_DEPTH
 *
 * Return: the queue, which cannot be found, has no file and is no virtual IOMMU's
 * yet; or an ERR_PTR.
 */
struct iommufd_veventq *iommufd_veventq_create(struct iommufd_ctx *ictx,
					       u32 type, u32 depth)
{
	struct iommufd_veventq *veventq;

	veventq = iommufd_object_alloc(ictx, iommufd_veventq,
				       &iommufd_veventq_object_ops);
	if (IS_ERR(veventq))
		return veventq;
	veventq->ring = kvcalloc(depth, sizeof(*veventq->ring),
				 GFP_KERNEL_ACCOUNT);
	if (!veventq->ring) {
		iommufd_object_abort(ictx, &veventq->obj);
		return ERR_PTR(-ENOMEM);
	}
	veventq->type = type;
	veventq->depth = depth;
	mutex_init(&veventq->read_mutex);
	spin_lock_init(&veventq->lock);
	iommufd_queue_init(&veventq->queue, ictx, &veventq->obj,
			   &iommufd_veventq_queue_ops);
	return veventq;
}

/* From now on drivers find it */
static int iommufd_veventq_join(struct iommufd_veventq *veventq,
				struct iommufd_viommu *viommu)
{
	struct iommufd_veventq *other;
	unsigned long flags;
	int rc;

	rc = iommufd_object_hold(&viommu->obj);
	if (rc)
		return rc;
	spin_lock_irqsave(&viommu->veventqs_lock, flags);
	list_for_each_entry(other, &viommu->veventqs, entry)
		if (other->type == veventq->type)
			rc = -EEXIST;
	if (!rc) {
		veventq->viommu = viommu;
		list_add_tail(&veventq->entry, &viommu->veventqs);
	}
	spin_unlock_irqrestore(&viommu->veventqs_lock, flags);
	if (rc)
		iommufd_object_release(&viommu->obj);
	return rc;
}

int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_veventq *veventq;
	struct iommufd_viommu *viommu;
	u32 id = 0;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth ||
	    cmd->veventq_depth > IOMMUFD_VEVENT_MAX_DEPTH)
		return -EINVAL;

	viommu = iommufd_get_viommu(ictx, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	veventq = iommufd_veventq_create(ictx, cmd->type, cmd->veventq_depth);
	if (IS_ERR(veventq)) {
		rc = PTR_ERR(veventq);
		goto out_put;
	}
	cmd->out_veventq_id = veventq->obj.id;
	rc = iommufd_veventq_join(veventq, viommu);
	if (!rc)
		rc = iommufd_queue_publish(&veventq->queue, ucmd, sizeof(*cmd),
					   &cmd->out_veventq_fd);
	if (rc)
		iommufd_object_abort_and_destroy(ictx, &veventq->obj);
	else
		id = cmd->out_veventq_id;
out_put:
	trace_iommufd_veventq_alloc(id, cmd->viommu_id, cmd->type,
				    cmd->veventq_depth, rc);
	iommufd_object_put(ictx, &viommu->obj);
	return rc;
}
