// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of devices: they wait in a queue until a user reads them, and then for
 * the user's answer.
 *
 * The IOMMU core hands over groups of faults, each of which the device wants one
 * answer to. From then on a group is this file's, until it is answered: by the user,
 * or here when what it came through is detached.
 */
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "attachment.h"
#include "fault.h"
#include "iommufd_private.h"
#include "trace.h"

static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS == (int)IOMMU_PAGE_RESP_SUCCESS);
static_assert((int)IOMMUFD_PAGE_RESP_INVALID == (int)IOMMU_PAGE_RESP_INVALID);

static struct iommufd_fault *to_fault(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_fault, obj);
}

static struct iommufd_attachment *
iommufd_fault_attachment(const struct iopf_group *group)
{
	return container_of(group->attach_handle, struct iommufd_attachment,
			    handle);
}

/* What the user knows a device by, or 0 if it is not bound */
static u32 iommufd_fault_dev_id(struct iommufd_group *igroup,
				const struct device *dev)
{
	struct iommufd_device *idev;
	u32 id = 0;

	spin_lock(&igroup->devices_lock);
	list_for_each_entry(idev, &igroup->devices, bound_entry) {
		if (idev->dev == dev) {
			id = idev->obj.id;
			break;
		}
	}
	spin_unlock(&igroup->devices_lock);
	return id;
}

static void iommufd_fault_answer(struct iopf_group *group,
				 enum iommu_page_response_code code)
{
	trace_iommufd_fault_response(group->fault_param->dev,
				     &group->last_fault.fault.prm, code);
	iopf_group_response(group, code);
	iopf_free_group(group);
}

/* Answer a group that was in the queue, and is not any more */
static void iommufd_fault_finish(struct iommufd_fault *fault,
				 struct iopf_group *group,
				 enum iommu_page_response_code code)
{
	atomic_sub(group->fault_count, &fault->nr_faults);
	iommufd_fault_answer(group, code);
}

/* Is there room in the queue? Then it is taken. */
static bool iommufd_fault_reserve(struct iommufd_fault *fault, size_t nr)
{
	lockdep_assert_held(&fault->lock);

	if (nr > IOMMUFD_FAULT_LIMIT - atomic_read(&fault->nr_faults)) {
		WRITE_ONCE(fault->nr_refused, fault->nr_refused + 1);
		return false;
	}
	atomic_add(nr, &fault->nr_faults);
	return true;
}

static bool iommufd_fault_enqueue(struct iommufd_fault *fault,
				  struct iommufd_attachment *attachment,
				  struct iopf_group *group)
{
	struct device *dev = group->fault_param->dev;
	bool taken;

	spin_lock(&fault->lock);
	taken = !attachment->closed &&
		iommufd_fault_dev_id(attachment->igroup, dev) &&
		iommufd_fault_reserve(fault, group->fault_count);
	if (taken) {
		trace_iommufd_fault(dev, &group->last_fault.fault.prm,
				    group->fault_count);
		list_add_tail(&group->node, &fault->unread);
		WRITE_ONCE(fault->nr_unread, fault->nr_unread + 1);
		iommufd_queue_wake(&fault->queue);
	}
	spin_unlock(&fault->lock);
	return taken;
}

/*
 * Called by the IOMMU core, in a thread of the IOMMU's driver that all users of that
 * IOMMU depend on. The attachment stays while it is called.
 */
static int iommufd_fault_handler(struct iopf_group *group)
{
	struct iommufd_attachment *attachment = iommufd_fault_attachment(group);

	/*
	 * The core has a list as well, and frees what is on it when the driver
	 * stops the faults of the device, which may be before we do so.
	 */
	iopf_group_dequeue(group);
	/* What nobody could answer, or is too much, is answered here */
	if (!iommufd_fault_enqueue(attachment->hwpt->fault, attachment, group))
		iommufd_fault_answer(group, IOMMU_PAGE_RESP_INVALID);
	return 0;
}

static void iommufd_fault_fill_entry(struct iommu_hwpt_pgfault *entry,
				     const struct iommu_fault_page_request *prm,
				     u32 dev_id, u32 cookie)
{
	*entry = (struct iommu_hwpt_pgfault){
		.dev_id = dev_id,
		.grpid = prm->grpid,
		.perm = prm->perm,
		.addr = prm->addr,
		.cookie = cookie,
	};
	if (prm->flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID) {
		entry->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		entry->pasid = prm->pasid;
	}
	if (prm->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE)
		entry->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
}

/*
 * Let the oldest group that was not read wait for an answer, and describe it in no
 * more than @limit entries. Return how many entries it has: if that is more, it has
 * not been taken; if it is 0 there is none. Or return -ENOMEM or -EBUSY.
 */
static ssize_t iommufd_fault_take(struct iommufd_fault *fault,
				  struct iommu_hwpt_pgfault *entries,
				  size_t limit, struct iopf_group **taken)
{
	struct iopf_group *group;
	struct iopf_fault *iopf;
	u32 dev_id;
	int rc;

	guard(mutex)(&fault->mutex);
	scoped_guard(spinlock, &fault->lock)
		group = list_first_entry_or_null(&fault->unread,
						 struct iopf_group, node);
	if (!group || group->fault_count > limit)
		return group ? group->fault_count : 0;

	/* user ABI: the lowest that no other one has which waits */
	rc = xa_alloc(&fault->waiting, &group->cookie, group,
		      XA_LIMIT(1, U32_MAX), GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;
	fault->nr_waiting++;
	scoped_guard(spinlock, &fault->lock) {
		list_del(&group->node);
		WRITE_ONCE(fault->nr_unread, fault->nr_unread - 1);
	}

	dev_id = iommufd_fault_dev_id(iommufd_fault_attachment(group)->igroup,
				      group->fault_param->dev);
	list_for_each_entry(iopf, &group->faults, list)
		iommufd_fault_fill_entry(entries++, &iopf->fault.prm, dev_id,
					 group->cookie);
	*taken = group;
	return group->fault_count;
}

/* The user could not be told of a group: it will be read again, if it is still there */
static void iommufd_fault_put_back(struct iommufd_fault *fault,
				   struct iopf_group *group, u32 cookie)
{
	guard(mutex)(&fault->mutex);
	if (xa_load(&fault->waiting, cookie) != group)
		return;
	xa_erase(&fault->waiting, cookie);
	fault->nr_waiting--;
	spin_lock(&fault->lock);
	list_add(&group->node, &fault->unread);
	WRITE_ONCE(fault->nr_unread, fault->nr_unread + 1);
	spin_unlock(&fault->lock);
}

/*
 * user ABI: a group is never cut in two. If the first one does not fit there is
 * nothing to read, which is not an error.
 */
static ssize_t iommufd_fault_read(struct iommufd_queue *queue, char __user *buf,
				  size_t count)
{
	struct iommufd_fault *fault = to_fault(queue->obj);
	struct iommu_hwpt_pgfault one, *entries = &one;
	size_t room = count / sizeof(one);
	size_t capacity = 1, done = 0;
	struct iopf_group *group;
	ssize_t nr;

	do {
		nr = iommufd_fault_take(fault, entries,
					min(capacity, room - done), &group);
		if (nr <= 0)
			break;
		if (nr > room - done) {
			nr = 0;
			break;
		}
		if (nr > capacity) {
			if (entries != &one)
				kvfree(entries);
			capacity = nr;
			entries = kvmalloc_array(capacity, sizeof(one),
						 GFP_KERNEL_ACCOUNT);
			if (!entries)
				return done ? done * sizeof(one) : -ENOMEM;
			continue;
		}
		if (copy_to_user(buf + done * sizeof(one), entries,
				 nr * sizeof(one))) {
			iommufd_fault_put_back(fault, group, entries->cookie);
			nr = -EFAULT;
			break;
		}
		done += nr;
		cond_resched();
	} while (!fatal_signal_pending(current));
	if (entries != &one)
		kvfree(entries);
	return done ? done * sizeof(one) : nr;
}

static int iommufd_fault_respond(struct iommufd_fault *fault,
				 const struct iommu_hwpt_page_response *response)
{
	struct iopf_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;

	/* Until it is answered, so that its device does not go away meanwhile */
	guard(mutex)(&fault->mutex);
	group = xa_erase(&fault->waiting, response->cookie);
	if (!group)
		return -EINVAL;
	fault->nr_waiting--;
	iommufd_fault_finish(fault, group, response->code);
	return 0;
}

static ssize_t iommufd_fault_write(struct iommufd_queue *queue,
				   const char __user *buf, size_t count)
{
	struct iommufd_fault *fault = to_fault(queue->obj);
	struct iommu_hwpt_page_response response;
	size_t done;
	int rc = 0;

	for (done = 0; done < count; done += sizeof(response)) {
		if (copy_from_user(&response, buf + done, sizeof(response)))
			rc = -EFAULT;
		else
			rc = iommufd_fault_respond(fault, &response);
		if (rc)
			break;
		cond_resched();
	}
	return done ? done : rc;
}

static bool iommufd_fault_readable(struct iommufd_queue *queue)
{
	return READ_ONCE(to_fault(queue->obj)->nr_unread);
}

static void iommufd_fault_show_file(struct iommufd_queue *queue,
				    struct seq_file *m)
{
	struct iommufd_fault *fault = to_fault(queue->obj);

	seq_printf(m, "unread:\t%u\nunanswered:\t%u\nrefused:\t%u\n",
		   READ_ONCE(fault->nr_unread), READ_ONCE(fault->nr_waiting),
		   READ_ONCE(fault->nr_refused));
}

static const struct iommufd_queue_ops iommufd_fault_queue_ops = {
	.name = "[iommufd-fault]",
	.read_size = sizeof(struct iommu_hwpt_pgfault),
	.write_size = sizeof(struct iommu_hwpt_page_response),
	.readable = iommufd_fault_readable,
	.read = iommufd_fault_read,
	.write = iommufd_fault_write,
	.show = iommufd_fault_show_file,
};

static void iommufd_fault_destroy(struct iommufd_object *obj)
{
	struct iommufd_fault *fault = to_fault(obj);

	/* What could bring faults held a reference, and its detach took them */
	WARN_ON(!list_empty(&fault->unread) || !xa_empty(&fault->waiting) ||
		atomic_read(&fault->nr_faults));
	xa_destroy(&fault->waiting);
	mutex_destroy(&fault->mutex);
}

static const char *iommufd_fault_busy(struct iommufd_object *obj)
{
	return iommufd_queue_busy(&to_fault(obj)->queue);
}

static void iommufd_fault_show(struct iommufd_object *obj, struct seq_file *m)
{
	struct iommufd_fault *fault = to_fault(obj);

	seq_printf(m, " unread=%u unanswered=%u",
		   READ_ONCE(fault->nr_unread), READ_ONCE(fault->nr_waiting));
}

const struct iommufd_object_ops iommufd_fault_object_ops = {
	.type = IOMMUFD_OBJ_FAULT,
	.name = "fault queue",
	.destroy = iommufd_fault_destroy,
	.busy = iommufd_fault_busy,
	.show = iommufd_fault_show,
};

/**
 * iommufd_fault_alloc - make a fault queue
 * @ictx: whose queue
 *
 * Return: the queue, which cannot be found yet and has no file, or an ERR_PTR.
 */
struct iommufd_fault *iommufd_fault_alloc(struct iommufd_ctx *ictx)
{
	struct iommufd_fault *fault;

	fault = iommufd_object_alloc(ictx, iommufd_fault,
				     &iommufd_fault_object_ops);
	if (IS_ERR(fault))
		return fault;
	mutex_init(&fault->mutex);
	xa_init_flags(&fault->waiting, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	spin_lock_init(&fault->lock);
	INIT_LIST_HEAD(&fault->unread);
	iommufd_queue_init(&fault->queue, ictx, &fault->obj,
			   &iommufd_fault_queue_ops);
	return fault;
}

int iommufd_fault_queue_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;

	fault = iommufd_fault_alloc(ucmd->ictx);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	cmd->out_fault_id = fault->obj.id;
	rc = iommufd_queue_publish(&fault->queue, ucmd, sizeof(*cmd),
				   &cmd->out_fault_fd);
	if (rc)
		iommufd_object_abort_and_destroy(ucmd->ictx, &fault->obj);
	return rc;
}

/**
 * iommufd_fault_connect - let the faults of a hwpt come to a queue
 * @ictx: whose hwpt and queue
 * @hwpt: a hwpt with a domain, that nothing has been attached to
 * @fault_id: id of the queue
 *
 * Return: 0, or -ENOENT if there is no such queue.
 */
int iommufd_fault_connect(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt,
			  u32 fault_id)
{
	struct iommufd_object *obj =
		iommufd_object_get(ictx, fault_id, IOMMUFD_OBJ_FAULT);
	int rc;

	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = iommufd_object_hold(obj);
	if (!rc) {
		hwpt->fault = to_fault(obj);
		/* Drivers look at this when a device is attached */
		hwpt->domain->iopf_handler = iommufd_fault_handler;
	}
	iommufd_object_put(ictx, obj);
	return rc;
}

/**
 * iommufd_fault_disconnect - undo iommufd_fault_connect()
 * @hwpt: a hwpt that nothing is attached to, with a queue or without
 */
void iommufd_fault_disconnect(struct iommufd_hwpt *hwpt)
{
	if (hwpt->fault)
		iommufd_object_release(&hwpt->fault->obj);
}

static int iommufd_fault_enable_device(struct device *dev, void *data)
{
	struct device **failed = data;
	int rc = -ENODEV;

	if (iopt_has_iommu(dev))
		rc = iommufd_fault_tell_driver(dev, true);
	if (rc)
		*failed = dev;
	return rc;
}

/* All devices up to @data */
static int iommufd_fault_disable_device(struct device *dev, void *data)
{
	if (dev == data)
		return 1;
	/* Nothing can be done about one that fails */
	(void)iommufd_fault_tell_driver(dev, false);
	return 0;
}

/**
 * iommufd_fault_refuse - say that a device has no page faults
 * @ictx: the context
 * @hwpt: what it was to be attached to, which has a fault queue
 * @dev: the device
 * @rc: what the IOMMU driver says
 *
 * Return: @rc.
 */
int iommufd_fault_refuse(struct iommufd_ctx *ictx,
			 const struct iommufd_hwpt *hwpt, struct device *dev,
			 int rc)
{
	return refuse(&ictx->refusal, rc,
		      "attach: %s cannot report the page faults that hwpt %u is for: it or its IOMMU has no page requests, or its DMA without a PASID is not on a hwpt of an IOAS yet, or the kernel lacks a fix",
		      dev_name(dev), hwpt->obj.id);
}

/**
 * iommufd_fault_open - make a group ready to report faults
 * @attachment: what a group or a PASID is about to be attached to; the lock of the
 *              group is held
 *
 * Return: 0; or an error of the IOMMU driver, -ENODEV if a device cannot report
 * faults.
 */
int iommufd_fault_open(struct iommufd_attachment *attachment)
{
	struct iommufd_group *igroup = attachment->igroup;
	struct device *failed = NULL;
	int rc;

	lockdep_assert_held(&igroup->lock);

	if (!attachment->hwpt->fault || igroup->faulting++)
		return 0;
	rc = iommu_group_for_each_dev(igroup->group, &failed,
				      iommufd_fault_enable_device);
	if (!rc)
		return 0;
	iommu_group_for_each_dev(igroup->group, failed,
				 iommufd_fault_disable_device);
	igroup->faulting--;
	return iommufd_fault_refuse(igroup->ictx, attachment->hwpt, failed, rc);
}

/**
 * iommufd_fault_close - undo iommufd_fault_open()
 * @attachment: what nothing is attached to any more; the lock of the group is held
 *
 * All faults that came by it are answered when this returns.
 */
void iommufd_fault_close(struct iommufd_attachment *attachment)
{
	struct iommufd_group *igroup = attachment->igroup;

	lockdep_assert_held(&igroup->lock);

	if (!attachment->hwpt->fault)
		return;
	iommufd_fault_forget(attachment, NULL);
	if (!--igroup->faulting)
		iommu_group_for_each_dev(igroup->group, NULL,
					 iommufd_fault_disable_device);
}

static bool iommufd_fault_is_of(const struct iopf_group *group,
				const struct iommufd_attachment *attachment,
				const struct device *dev)
{
	return group->attach_handle == &attachment->handle &&
	       (!dev || group->fault_param->dev == dev);
}

/**
 * iommufd_fault_forget - answer faults whose answer would come too late
 * @attachment: what they came by
 * @dev: the device that is being detached, or NULL if all are. Later faults are
 *       then answered as soon as they come
 *
 * The answer is that there is nothing. It does not matter whether the user has read
 * of them. A user that never answers keeps nobody waiting by that.
 */
void iommufd_fault_forget(struct iommufd_attachment *attachment,
			  struct device *dev)
{
	struct iommufd_fault *fault = attachment->hwpt->fault;
	struct iopf_group *group, *next;
	unsigned long cookie;
	LIST_HEAD(forgotten);

	if (!fault)
		return;

	guard(mutex)(&fault->mutex);
	scoped_guard(spinlock, &fault->lock) {
		if (!dev)
			attachment->closed = true;
		list_for_each_entry_safe(group, next, &fault->unread, node) {
			if (!iommufd_fault_is_of(group, attachment, dev))
				continue;
			list_move_tail(&group->node, &forgotten);
			WRITE_ONCE(fault->nr_unread, fault->nr_unread - 1);
		}
	}
	xa_for_each(&fault->waiting, cookie, group) {
		if (!iommufd_fault_is_of(group, attachment, dev))
			continue;
		xa_erase(&fault->waiting, cookie);
		fault->nr_waiting--;
		list_add_tail(&group->node, &forgotten);
	}
	list_for_each_entry_safe(group, next, &forgotten, node) {
		iommufd_fault_finish(fault, group, IOMMU_PAGE_RESP_INVALID);
		cond_resched();
	}
}
