// SPDX-License-Identifier: GPL-2.0-only
/* Is the eventfd of a producer of interrupts given when it is registered? */
#include <linux/irqbypass.h>

int probe(struct irq_bypass_producer *producer, struct eventfd_ctx *eventfd);
int probe(struct irq_bypass_producer *producer, struct eventfd_ctx *eventfd)
{
	return irq_bypass_register_producer(producer, eventfd, 1);
}
