// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actions that an eventfd triggers, as the unmasking of an interrupt.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "vfio.h"

/* Jiffies between a callback and one that it causes, see virqfd_is_chained() */
#define VIRQFD_CHAIN_DELAY msecs_to_jiffies(10)

/* The callbacks of a driver, which may wait for locks of its own device */
static struct workqueue_struct *virqfd_inject_wq;
/* Nothing in it waits */
static struct workqueue_struct *virqfd_shutdown_wq;

/*
 * Owns every driver's pointer to its virqfd. The task that clears the pointer,
 * and no other, makes the virqfd leave the wait queue of its eventfd.
 */
static DEFINE_SPINLOCK(virqfd_lock);
/*
 * struct virqfd.dying of those that still may call back though the pointer is
 * cleared; under virqfd_lock. A driver waits for its own, and for no others: what
 * they call may take as long as a reset of another user's device.
 */
static LIST_HEAD(virqfd_dying);
static DECLARE_WAIT_QUEUE_HEAD(virqfd_gone);

int __init vfio_virqfd_init(void)
{
	virqfd_inject_wq = alloc_workqueue("vfio-irqfd", WQ_UNBOUND,
					   WQ_MAX_ACTIVE);
	if (!virqfd_inject_wq)
		return -ENOMEM;
	virqfd_shutdown_wq = alloc_workqueue("vfio-irqfd-cleanup", WQ_UNBOUND,
					     0);
	if (!virqfd_shutdown_wq) {
		destroy_workqueue(virqfd_inject_wq);
		return -ENOMEM;
	}
	return 0;
}

void vfio_virqfd_cleanup(void)
{
	destroy_workqueue(virqfd_shutdown_wq);
	destroy_workqueue(virqfd_inject_wq);
}

static void virqfd_put(struct virqfd *virqfd)
{
	unsigned long flags;

	if (!refcount_dec_and_test(&virqfd->refs))
		return;
	eventfd_ctx_put(virqfd->eventfd);
	spin_lock_irqsave(&virqfd_lock, flags);
	list_del(&virqfd->dying);
	spin_unlock_irqrestore(&virqfd_lock, flags);
	wake_up_all(&virqfd_gone);
	kfree(virqfd);
}

/* Take the driver's pointer, which must still be to @virqfd */
static void virqfd_deactivate(struct virqfd *virqfd)
{
	lockdep_assert_held(&virqfd_lock);

	*virqfd->pvirqfd = NULL;
	list_add_tail(&virqfd->dying, &virqfd_dying);
}

static void virqfd_inject(struct work_struct *work)
{
	struct virqfd *virqfd =
		container_of(to_delayed_work(work), struct virqfd, inject);

	virqfd->thread(virqfd->opaque, virqfd->data);
	virqfd_put(virqfd);
}

/*
 * Is this the signal of an eventfd by such a callback, or by an interrupt, which
 * a callback may have caused? The user may have made it the cause of the next
 * one: a level that cannot be unmasked signals its own unmasking. Then it must
 * not go round as fast as the processor can.
 *
 * Interrupt threads that the kernel forces on a handler have bottom halves
 * disabled, which in_interrupt() sees.
 */
static bool virqfd_is_chained(void)
{
	struct work_struct *work;

	if (in_interrupt())
		return true;
	work = current_work();
	return work && work->func == virqfd_inject;
}

/* The wait queue's reference is held */
static void virqfd_fire(struct virqfd *virqfd)
{
	if (virqfd->handler && !virqfd->handler(virqfd->opaque, virqfd->data))
		return;
	if (!virqfd->thread)
		return;
	refcount_inc(&virqfd->refs);
	if (!queue_delayed_work(virqfd_inject_wq, &virqfd->inject,
				virqfd_is_chained() ? VIRQFD_CHAIN_DELAY : 0))
		virqfd_put(virqfd);
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
		if (*virqfd->pvirqfd == virqfd) {
			virqfd_deactivate(virqfd);
			queue_work(virqfd_shutdown_wq, &virqfd->shutdown);
		}
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

/* No more signals: what is due is still done, and then nobody is left */
static void virqfd_leave(struct virqfd *virqfd)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(virqfd->eventfd, &virqfd->wait, &count);
	virqfd_put(virqfd);
}

static void virqfd_shutdown(struct work_struct *work)
{
	virqfd_leave(container_of(work, struct virqfd, shutdown));
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
	INIT_DELAYED_WORK(&virqfd->inject, virqfd_inject);
	refcount_set(&virqfd->refs, 1);
	init_waitqueue_func_entry(&virqfd->wait, virqfd_wakeup);
	init_poll_funcptr(&virqfd->pt, virqfd_ptable_queue_proc);
	return virqfd;
}

/**
 * vfio_virqfd_enable - let an eventfd trigger an action
 * @opaque: first argument of the callbacks
 * @handler: called in atomic context for each signal; returns whether @thread
 *           is to be called as well. May be NULL for always
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

static bool virqfd_is_gone(struct virqfd **pvirqfd)
{
	struct virqfd *virqfd;
	bool gone = true;

	scoped_guard(spinlock_irqsave, &virqfd_lock)
		list_for_each_entry(virqfd, &virqfd_dying, dying)
			gone = gone && virqfd->pvirqfd != pvirqfd;
	return gone;
}

/**
 * vfio_virqfd_disable - undo vfio_virqfd_enable()
 * @pvirqfd: where the driver keeps the virqfd; it may have none
 *
 * On return, no callback runs or will run, even if the eventfd was closed
 * before. Sleeps; must not be called from the callbacks.
 */
void vfio_virqfd_disable(struct virqfd **pvirqfd)
{
	struct virqfd *virqfd;

	scoped_guard(spinlock_irqsave, &virqfd_lock) {
		virqfd = *pvirqfd;
		if (virqfd)
			virqfd_deactivate(virqfd);
	}
	if (virqfd)
		virqfd_leave(virqfd);

	/* Also for one whose eventfd was closed */
	wait_event(virqfd_gone, virqfd_is_gone(pvirqfd));
}
EXPORT_SYMBOL_GPL(vfio_virqfd_disable);

/**
 * vfio_virqfd_flush_thread - wait for the action in process context
 * @pvirqfd: where the driver keeps the virqfd; it may have none
 *
 * On return, every thread callback of a signal that came before is done.
 * Sleeps; must not be called from the callbacks. The driver serializes this with
 * vfio_virqfd_disable() for the same @pvirqfd.
 */
void vfio_virqfd_flush_thread(struct virqfd **pvirqfd)
{
	struct virqfd *virqfd;

	/* Its eventfd may be closed in between */
	scoped_guard(spinlock_irqsave, &virqfd_lock) {
		virqfd = *pvirqfd;
		if (virqfd)
			refcount_inc(&virqfd->refs);
	}
	if (virqfd) {
		flush_delayed_work(&virqfd->inject);
		virqfd_put(virqfd);
	}
	wait_event(virqfd_gone, virqfd_is_gone(pvirqfd));
}
EXPORT_SYMBOL_GPL(vfio_virqfd_flush_thread);
