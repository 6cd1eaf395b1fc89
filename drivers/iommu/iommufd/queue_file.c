// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file of a queue: a user polls it, reads what happened, and answers.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>

#include "ctx.h"
#include "object.h"
#include "queue_file.h"

/*
 * There is no position, and no record is cut in two. user ABI: -ESPIPE is said of
 * both.
 */
static bool iommufd_queue_misses(loff_t pos, size_t count, size_t record_size)
{
	return pos || count % record_size;
}

static ssize_t iommufd_queue_read(struct file *filp, char __user *buf,
				  size_t count, loff_t *ppos)
{
	struct iommufd_queue *queue = filp->private_data;

	if (iommufd_queue_misses(*ppos, count, queue->ops->read_size))
		return -ESPIPE;
	return queue->ops->read(queue, buf, count);
}

static ssize_t iommufd_queue_write(struct file *filp, const char __user *buf,
				   size_t count, loff_t *ppos)
{
	struct iommufd_queue *queue = filp->private_data;

	if (!queue->ops->write)
		return -EINVAL;
	if (iommufd_queue_misses(*ppos, count, queue->ops->write_size))
		return -ESPIPE;
	return queue->ops->write(queue, buf, count);
}

static __poll_t iommufd_queue_poll(struct file *filp, poll_table *table)
{
	struct iommufd_queue *queue = filp->private_data;
	__poll_t events = 0;

	poll_wait(filp, &queue->wait, table);
	if (queue->ops->write)
		events |= EPOLLOUT | EPOLLWRNORM;
	if (queue->ops->readable(queue))
		events |= EPOLLIN | EPOLLRDNORM;
	return events;
}

static void iommufd_queue_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct iommufd_queue *queue = filp->private_data;

	seq_printf(m, "iommufd-object:\t%u %s\n", queue->obj->id,
		   queue->obj->ops->name);
	if (queue->ops->show)
		queue->ops->show(queue, m);
}

static int iommufd_queue_release(struct inode *inode, struct file *filp)
{
	struct iommufd_queue *queue = filp->private_data;
	struct iommufd_ctx *ictx;

	if (!queue)
		return 0;
	ictx = queue->ictx;
	WRITE_ONCE(queue->open, false);
	/* It may be destroyed from here on */
	iommufd_object_release(queue->obj);
	iommufd_ctx_put(ictx);
	return 0;
}

static const struct file_operations iommufd_queue_fops = {
	.owner = THIS_MODULE,
	.read = iommufd_queue_read,
	.write = iommufd_queue_write,
	.poll = iommufd_queue_poll,
	.show_fdinfo = iommufd_queue_show_fdinfo,
	.release = iommufd_queue_release,
};

/**
 * iommufd_queue_init - set up what an object with a file shares with others
 * @queue: embedded in the object
 * @ictx: whose object
 * @obj: the object
 * @ops: what it does
 */
void iommufd_queue_init(struct iommufd_queue *queue, struct iommufd_ctx *ictx,
			struct iommufd_object *obj,
			const struct iommufd_queue_ops *ops)
{
	queue->ops = ops;
	queue->ictx = ictx;
	queue->obj = obj;
	init_waitqueue_head(&queue->wait);
}

/**
 * iommufd_queue_open - make the file of a queue
 * @queue: a queue of which there is none yet; its object cannot be found yet
 *
 * The file holds the object and the context until it is closed.
 *
 * Return: the file, for fd_install() or iommufd_queue_abort(), or an ERR_PTR of
 * anon_inode_getfile().
 */
struct file *iommufd_queue_open(struct iommufd_queue *queue)
{
	struct file *filp;

	filp = anon_inode_getfile(queue->ops->name, &iommufd_queue_fops, queue,
				  O_RDWR);
	if (IS_ERR(filp))
		return filp;
	/* Cannot fail: it cannot be destroyed before it can be found */
	WARN_ON(iommufd_object_hold(queue->obj));
	iommufd_ctx_get(queue->ictx);
	queue->open = true;
	return filp;
}

/**
 * iommufd_queue_abort - undo iommufd_queue_open()
 * @queue: the queue; nothing of it is used any more when this returns
 * @filp: its file, that no user has
 */
void iommufd_queue_abort(struct iommufd_queue *queue, struct file *filp)
{
	/* The last reference is often put some time after fput() */
	filp->private_data = NULL;
	fput(filp);
	queue->open = false;
	iommufd_object_release(queue->obj);
	iommufd_ctx_put(queue->ictx);
}

/**
 * iommufd_queue_publish - give a new queue and its file to the user
 * @queue: of an object that is complete and cannot be found yet
 * @ucmd: the request for it, whose answer is complete but for the file
 * @size: bytes of the answer
 * @out_fd: where the answer has the descriptor of the file
 *
 * Return: 0; or with the object left for iommufd_object_abort_and_destroy(), -EMFILE,
 * -EFAULT if the user cannot be told, or an error of iommufd_queue_open().
 */
int iommufd_queue_publish(struct iommufd_queue *queue,
			  struct iommufd_ucmd *ucmd, size_t size, u32 *out_fd)
{
	struct file *filp;
	int fd, rc;

	filp = iommufd_queue_open(queue);
	if (IS_ERR(filp))
		return PTR_ERR(filp);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		rc = fd;
		goto err_close;
	}
	*out_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, size);
	if (rc)
		goto err_fd;
	iommufd_object_finalize(queue->ictx, queue->obj);
	fd_install(fd, filp);
	return 0;

err_fd:
	put_unused_fd(fd);
err_close:
	iommufd_queue_abort(queue, filp);
	return rc;
}

/**
 * iommufd_queue_busy - say why a queue cannot be destroyed
 * @queue: the queue
 *
 * Return: the reason in words if it is the file, or NULL.
 */
const char *iommufd_queue_busy(const struct iommufd_queue *queue)
{
	return READ_ONCE(queue->open) ? "its file is open" : NULL;
}
