// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo tells of a context.
 */
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include "iommufd_private.h"

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
		/* It may be gone or another one by now; this one stays. */
		obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_ANY);
		if (IS_ERR(obj))
			continue;
		seq_printf(m, "object:\t%lu %s users=%u", id, obj->ops->name,
			   max(refcount_read(&obj->users), 1U) - 1);
		if (obj->ops->type == IOMMUFD_OBJ_DEVICE)
			seq_printf(m, " %s", dev_name(to_idev(obj)->dev));
		if (obj->ops->type == IOMMUFD_OBJ_HWPT)
			seq_printf(m, " ioas=%u%s", to_hwpt(obj)->ioas->obj.id,
				   to_hwpt(obj)->automatic ? " automatic" : "");
		seq_putc(m, '\n');
		if (obj->ops->type == IOMMUFD_OBJ_IOAS)
			iommufd_ioas_show(ictx, to_ioas(obj), m);
		iommufd_object_put(ictx, obj);
		/* What does not fit is asked for again, with more room. */
		if (seq_has_overflowed(m) || fatal_signal_pending(current))
			break;
		cond_resched();
	}
}
