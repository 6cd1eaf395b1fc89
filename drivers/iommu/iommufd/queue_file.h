/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_QUEUE_FILE_H
#define __IOMMUFD_QUEUE_FILE_H

#include <linux/poll.h>
#include <linux/types.h>
#include <linux/wait.h>

struct file;
struct iommufd_ctx;
struct iommufd_object;
struct iommufd_queue;
struct iommufd_ucmd;
struct seq_file;

/**
 * struct iommufd_queue_ops - what a kind of queue does with its file
 * @name: what /proc/PID/fd shows of the file
 * @read_size: bytes that every read is a multiple of
 * @write_size: the same of writes
 * @readable: there is something to read. Called from any context, without locks
 * @read: copy as many whole records as there are, and as fit, to the user. Return
 *        the number of bytes; 0 if there is nothing, because a read never waits;
 *        or a negative errno, if nothing was copied
 * @write: take records from the user. Return the number of bytes taken, or a
 *         negative errno, if none was taken. NULL if the queue has nothing to say
 *         to; a write is then refused with -EINVAL
 * @show: print what fdinfo of the file says
 *
 * Both copies are made without a lock that anybody but the callers of the two
 * needs: the memory may be such that its owner decides when an access ends.
 */
struct iommufd_queue_ops {
	const char *name;
	size_t read_size;
	size_t write_size;
	bool (*readable)(struct iommufd_queue *queue);
	ssize_t (*read)(struct iommufd_queue *queue, char __user *buf,
			size_t count);
	ssize_t (*write)(struct iommufd_queue *queue, const char __user *buf,
			 size_t count);
	void (*show)(struct iommufd_queue *queue, struct seq_file *m);
};

/**
 * struct iommufd_queue - what an object that a user reads from shares with others
 * @ops: constant
 * @ictx: the context of the object; constant. The file holds it
 * @obj: the object that embeds this; constant. The file holds it, so that a
 *       destroy is refused with -EBUSY as long as the file is open
 * @wait: who polls the file
 * @open: the file is open
 */
struct iommufd_queue {
	const struct iommufd_queue_ops *ops;
	struct iommufd_ctx *ictx;
	struct iommufd_object *obj;
	wait_queue_head_t wait;
	bool open;
};

void iommufd_queue_init(struct iommufd_queue *queue, struct iommufd_ctx *ictx,
			struct iommufd_object *obj,
			const struct iommufd_queue_ops *ops);
struct file *iommufd_queue_open(struct iommufd_queue *queue);
void iommufd_queue_abort(struct iommufd_queue *queue, struct file *filp);
int iommufd_queue_publish(struct iommufd_queue *queue,
			  struct iommufd_ucmd *ucmd, size_t size, u32 *out_fd);

/**
 * iommufd_queue_wake - there is something to read
 * @queue: the queue, whose ops say so by now
 *
 * Also for drivers that are part of the kernel if iommufd is a module.
 *
 * Context: Any, with interrupts off, too.
 */
static inline void iommufd_queue_wake(struct iommufd_queue *queue)
{
	wake_up_poll(&queue->wait, EPOLLIN | EPOLLRDNORM);
}

const char *iommufd_queue_busy(const struct iommufd_queue *queue);

#endif
