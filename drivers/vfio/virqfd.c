// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actions that an eventfd triggers, as the unmasking of an interrupt.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "vfio.h"

static struct workqueue_struct *virqfd_cleanup_wq;

/*
 * Owns every driver's pointer to its virqfd. Whoever clears the pointer, and
 * only he, queues the shutdown.
 */
static DEFINE_SPINLOCK(virqfd_lock);

int __init vfio_virqfd_init(void)
{
	virqfd_cleanup_wq = alloc_ordered_workqueue("vfio-irqfd-cleanup", 0);
	return virqfd_cleanup_wq ? 0 : -ENOMEM;
}

void vfio_virqfd_cleanup(void)
{
	destroy_workqueue(virqfd_cleanup_wq);
}

/* With virqfd_lock held; the driver's pointer must still be to @virqfd */
static void virqfd_deactivate(struct virqfd *virqfd)
{
	lockdep_assert_held(&virqfd_lock);

	*virqfd->pvirqfd = NULL;
	queue_work(virqfd_cleanup_wq, &virqfd->shutdown);
}

static void virqfd_fire(struct virqfd *virqfd)
{
	if (virqfd->handler && !virqfd->handler(virqfd->opaque, virqfd->data))
		return;
	if (virqfd->thread)
		schedule_work(&virqfd->inject);
}

/* Under the lock of the eventfd's wait queue, perhaps in interrupt context */
static int virqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync,
			 void *key)
{
	struct virqfd *virqfd = container_of(wait, struct virqfd, wait);
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(virqfd->eventfd, &count);
		virqfd_fire(virqfd);
	}

	/*
	 * The last file of the eventfd is going away. The driver may be
	 * disabling the virqfd, and then has cleared the pointer or even put
	 * another virqfd there.
	 */
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&virqfd_lock, flags);
		if (*virqfd->pvirqfd == virqfd)
			virqfd_deactivate(virqfd);
		spin_unlock_irqrestore(&virqfd_lock, flags);
	}
	return 0;
}

static void virqfd_ptable_queue_proc(struct file *file,
				     wait_queue_head_t *wqh, poll_table *pt)
{
	struct virqfd *virqfd = container_of(pt, struct virqfd, pt);

	add_wait_queue(wqh, &virqfd->wait);
}

static void virqfd_shutdown(struct work_struct *work)
{
	struct virqfd *virqfd = container_of(work, struct virqfd, shutdown);
	u64 count;

	/* No more signals, then no more work, then nobody has the pointer */
	eventfd_ctx_remove_wait_queue(virqfd->eventfd, &virqfd->wait, &count);
	flush_work(&virqfd->inject);
	eventfd_ctx_put(virqfd->eventfd);
	kfree(virqfd);
}

static void virqfd_inject(struct work_struct *work)
{
	struct virqfd *virqfd = container_of(work, struct virqfd, inject);

	virqfd->thread(virqfd->opaque, virqfd->data);
}

static void virqfd_flush_inject(struct work_struct *work)
{
	struct virqfd *virqfd = container_of(work, struct virqfd, flush_inject);

	flush_work(&virqfd->inject);
}

static struct virqfd *virqfd_alloc(void *opaque,
				   int (*handler)(void *, void *),
				   void (*thread)(void *, void *), void *data,
				   struct virqfd **pvirqfd)
{
	struct virqfd *virqfd;

	virqfd = kzalloc(sizeof(*virqfd), GFP_KERNEL_ACCOUNT);
	if (!virqfd)
		return NULL;
	virqfd->pvirqfd = pvirqfd;
	virqfd->opaque = opaque;
	virqfd->handler = handler;
	virqfd->thread = thread;
	virqfd->data = data;
	INIT_WORK(&virqfd->shutdown, virqfd_shutdown);
	INIT_WORK(&virqfd->inject, virqfd_inject);
	INIT_WORK(&virqfd->flush_inject, virqfd_flush_inject);
	init_waitqueue_func_entry(&virqfd->wait, virqfd_wakeup);
	init_poll_funcptr(&virqfd->pt, virqfd_ptable_queue_proc);
	return virqfd;
}

/**
 * vfio_virqfd_enable - let an eventfd trigger an action
 * @opaque: first argument of the callbacks
 * @handler: called in atomic context for each signal; returns whether @thread
 *           shall be called as well. May be NULL for always
 * @thread: called in process context; may be NULL
 * @data: second argument of the callbacks
 * @pvirqfd: where the driver keeps the virqfd, NULL while it has none. Cleared
 *           also when the user closes the eventfd
 * @fd: the eventfd; if it is signalled already, the action follows at once
 *
 * The driver serializes this with vfio_virqfd_disable() for the same @pvirqfd.
 *
 * Return: 0; -EBUSY if *@pvirqfd is in use; -EBADF or -EINVAL if @fd is not an
 * eventfd; -ENOMEM.
 */
int vfio_virqfd_enable(void *opaque, int (*handler)(void *, void *),
		       void (*thread)(void *, void *), void *data,
		       struct virqfd **pvirqfd, int fd)
{
	struct eventfd_ctx *ctx;
	struct virqfd *virqfd;
	struct file *file;
	int ret;

	virqfd = virqfd_alloc(opaque, handler, thread, data, pvirqfd);
	if (!virqfd)
		return -ENOMEM;

	/* Held until all is set up, so that no EPOLLHUP can come before */
	file = fget(fd);
	if (!file) {
		ret = -EBADF;
		goto err_free;
	}

	ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(ctx)) {
		ret = PTR_ERR(ctx);
		goto err_fput;
	}
	virqfd->eventfd = ctx;

	spin_lock_irq(&virqfd_lock);
	if (*pvirqfd) {
		spin_unlock_irq(&virqfd_lock);
		ret = -EBUSY;
		goto err_put_ctx;
	}
	*pvirqfd = virqfd;
	spin_unlock_irq(&virqfd_lock);

	if (vfs_poll(file, &virqfd->pt) & EPOLLIN)
		virqfd_fire(virqfd);

	fput(file);
	return 0;

err_put_ctx:
	eventfd_ctx_put(ctx);
err_fput:
	fput(file);
err_free:
	kfree(virqfd);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_virqfd_enable);

/**
 * vfio_virqfd_disable - undo vfio_virqfd_enable()
 * @pvirqfd: where the driver keeps the virqfd; it may have none
 *
 * On return, no callback runs or will run, even if the eventfd was closed
 * before. Sleeps; must not be called from the callbacks.
 */
void vfio_virqfd_disable(struct virqfd **pvirqfd)
{
	unsigned long flags;

	spin_lock_irqsave(&virqfd_lock, flags);
	if (*pvirqfd)
		virqfd_deactivate(*pvirqfd);
	spin_unlock_irqrestore(&virqfd_lock, flags);

	/* Also for a shutdown that the closing of the eventfd has queued */
	flush_workqueue(virqfd_cleanup_wq);
}
EXPORT_SYMBOL_GPL(vfio_virqfd_disable);

/**
 * vfio_virqfd_flush_thread - wait for the action in process context
 * @pvirqfd: where the driver keeps the virqfd; it may have none
 *
 * On return, every thread callback of a signal that came before is done.
 * Sleeps; must not be called from the callbacks.
 */
void vfio_virqfd_flush_thread(struct virqfd **pvirqfd)
{
	unsigned long flags;

	spin_lock_irqsave(&virqfd_lock, flags);
	if (*pvirqfd && (*pvirqfd)->thread)
		queue_work(virqfd_cleanup_wq, &(*pvirqfd)->flush_inject);
	spin_unlock_irqrestore(&virqfd_lock, flags);

	flush_workqueue(virqfd_cleanup_wq);
}
EXPORT_SYMBOL_GPL(vfio_virqfd_flush_thread);
