// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo tells of a context.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include "ctx.h"
#include "object.h"

/**
 * iommufd_show_devices - print the devices whose DMA goes to an object
 * @ictx: whose
 * @target: the object; in use
 * @m: where to print
 */
void iommufd_show_devices(struct iommufd_ctx *ictx,
			  const struct iommufd_object *target,
			  struct seq_file *m)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool any = false;

	/* What overflows is shown again */
	if (seq_has_overflowed(m))
		return;
	xa_for_each(&ictx->objects, id, obj) {
		const char *name;

		if (fatal_signal_pending(current))
			break;
		obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_ANY);
		if (IS_ERR(obj))
			continue;
		/* An unbind waits for us, and so the name stays */
		name = obj->ops->device_on ? obj->ops->device_on(obj, target) :
					     NULL;
		if (name && !any)
			seq_printf(m, "%s-%u-devices:\t", target->ops->name,
				   target->id);
		else if (name)
			seq_putc(m, ' ');
		if (name) {
			seq_puts(m, name);
			any = true;
		}
		iommufd_object_put(ictx, obj);
	}
	if (any)
		seq_putc(m, '\n');
}

/**
 * iommufd_show_fdinfo - print what there is in a context
 * @m: where to print
 * @filp: its file
 */
void iommufd_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct iommufd_ctx *ictx = filp->private_data;
	struct iommufd_object *obj;
	unsigned long id;

	seq_printf(m, "accounting:\t%s\n",
		   ictx->account_mode == PIN_ACCOUNT_MM ? "process" : "user");
	refusal_show(&ictx->refusal, m);

	xa_for_each(&ictx->objects, id, obj) {
		/* It may be gone or another one by now; this one stays */
		obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_ANY);
		if (IS_ERR(obj))
			continue;
		seq_printf(m, "object:\t%lu %s users=%u", id, obj->ops->name,
			   max(refcount_read(&obj->users), 1U) - 1);
		if (obj->ops->show)
			obj->ops->show(obj, m);
		seq_putc(m, '\n');
		if (obj->ops->show_more)
			obj->ops->show_more(ictx, obj, m);
		iommufd_object_put(ictx, obj);
		/* What does not fit is asked for again, with more room */
		if (seq_has_overflowed(m) || fatal_signal_pending(current))
			break;
		cond_resched();
	}
}
