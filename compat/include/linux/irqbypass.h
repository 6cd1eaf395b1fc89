/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Until 6.16 the caller filled in the producer, which was not to be
 * unregistered unless it was registered, and the token was any pointer.
 */
#ifndef _COMPAT_LINUX_IRQBYPASS_H
#define _COMPAT_LINUX_IRQBYPASS_H

#include_next <linux/irqbypass.h>

#ifdef COMPAT_LACKS_IRQ_BYPASS_EVENTFD
struct eventfd_ctx;

static inline int
compat_irq_bypass_register_producer(struct irq_bypass_producer *producer,
				    struct eventfd_ctx *eventfd, int irq)
{
	int ret;

	producer->token = eventfd;
	producer->irq = irq;
	ret = irq_bypass_register_producer(producer);
	if (ret)
		producer->token = NULL;
	return ret;
}

static inline void
compat_irq_bypass_unregister_producer(struct irq_bypass_producer *producer)
{
	if (producer->token)
		irq_bypass_unregister_producer(producer);
	producer->token = NULL;
}

#define irq_bypass_register_producer	compat_irq_bypass_register_producer
#define irq_bypass_unregister_producer	compat_irq_bypass_unregister_producer
#endif

#endif
