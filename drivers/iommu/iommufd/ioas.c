// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O address spaces, and which IOVA they allow.
 */
#include <linux/interval_tree.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/*
 * Allowed ranges that an IOAS may have: each map that lets us choose the IOVA
 * may have to look at all of them with the map of the IOVA locked.
 */
#define ALLOWED_MAX 65536U

/* No call uses it any more, so only a signal can make this fail */
static int iommufd_ioas_empty(struct iommufd_object *obj)
{
	unsigned long unmapped;

	return iopt_errno(iopt_unmap_all(&to_ioas(obj)->iopt, &unmapped));
}

static void iommufd_ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = to_ioas(obj);

	/* Neither a call nor an access is left that could be in the way */
	iopt_clear(&ioas->iopt);
	iopt_destroy(&ioas->iopt);
	WARN_ON(!xa_empty(&ioas->accesses));
	xa_destroy(&ioas->accesses);
	mutex_destroy(&ioas->mutex);
}

/* A container whose address space it was has none */
static void iommufd_ioas_forget(struct iommufd_ctx *ictx,
				struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	if (ictx->vfio_ioas == to_ioas(obj))
		ictx->vfio_ioas = NULL;
}

static void iommufd_ioas_show_runs(struct iommufd_ioas *ioas,
				   struct seq_file *m)
{
	struct iopt_runs runs;
	unsigned int order;
	bool any = false;

	/* What does not fit is done again, so the walk is for later */
	if (seq_has_overflowed(m) || iopt_count_runs(&ioas->iopt, &runs))
		return;
	for (order = 0; order != ARRAY_SIZE(runs.nr); order++) {
		if (!runs.nr[order])
			continue;
		if (any)
			seq_putc(m, ' ');
		else
			seq_printf(m, "ioas-%u-runs:\t", ioas->obj.id);
		seq_printf(m, "%u:%lu", order, runs.nr[order]);
		any = true;
	}
	if (any)
		seq_putc(m, '\n');
}

static void iommufd_ioas_show_more(struct iommufd_ctx *ictx,
				   struct iommufd_object *obj,
				   struct seq_file *m)
{
	struct iommufd_ioas *ioas = to_ioas(obj);
	struct iopt_stats stats;

	if (iopt_get_stats(&ioas->iopt, &stats))
		return;
	seq_printf(m, "ioas-%u:\tareas=%lu mapped=%lu pinned=%lu reserved=%lu alignment=%lu\n",
		   ioas->obj.id, stats.areas, stats.mapped, stats.pinned,
		   stats.reserved, stats.alignment);
	iommufd_ioas_show_runs(ioas, m);
	/* An attached device holds a hwpt */
	if (!list_empty(&ioas->hwpts))
		iommufd_show_devices(ictx, obj, m);
}

const struct iommufd_object_ops iommufd_ioas_object_ops = {
	.type = IOMMUFD_OBJ_IOAS,
	.name = "ioas",
	.empty = iommufd_ioas_empty,
	.destroy = iommufd_ioas_destroy,
	.forget = iommufd_ioas_forget,
	.show_more = iommufd_ioas_show_more,
};

/**
 * iommufd_ioas_alloc - allocate an empty address space
 * @ictx: whose
 *
 * Return: the object, to be finalized or aborted, or an ERR_PTR.
 */
struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	ioas = iommufd_object_alloc(ictx, iommufd_ioas,
				    &iommufd_ioas_object_ops);
	if (IS_ERR(ioas))
		return ioas;
	iopt_init(&ioas->iopt, &iommufd_access_iopt_ops, &ictx->refusal);
	mutex_init(&ioas->mutex);
	INIT_LIST_HEAD(&ioas->hwpts);
	xa_init_flags(&ioas->accesses, XA_FLAGS_ACCOUNT);
	return ioas;
}

int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;

	ioas = iommufd_ioas_alloc(ucmd->ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	cmd->out_ioas_id = ioas->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_object_abort_and_destroy(ucmd->ictx, &ioas->obj);
		return rc;
	}
	iommufd_object_finalize(ucmd->ictx, &ioas->obj);
	return 0;
}

int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	struct iommu_iova_range __user *ranges =
		u64_to_user_ptr(cmd->allowed_iovas);
	struct iommufd_ioas *ioas;
	u32 max_iovas = cmd->num_iovas;
	unsigned long from = 0;
	unsigned long start, last;
	int rc = 0;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	cmd->num_iovas = 0;
	for (;;) {
		bool found;

		/* Not while the user's memory is written, which may block */
		rc = down_read_killable(&ioas->iopt.iova_rwsem);
		if (rc)
			break;
		cmd->out_iova_alignment = ioas->iopt.alignment;
		found = iopt_next_usable(&ioas->iopt, from, &start, &last);
		up_read(&ioas->iopt.iova_rwsem);
		if (!found)
			break;
		if (cmd->num_iovas < max_iovas) {
			struct iommu_iova_range elm = {
				.start = start,
				.last = last,
			};

			if (copy_to_user(&ranges[cmd->num_iovas], &elm,
					 sizeof(elm))) {
				rc = -EFAULT;
				break;
			}
		}
		cmd->num_iovas++;
		if (last == ULONG_MAX)
			break;
		from = last + 1;
	}
	iommufd_object_put(ucmd->ictx, &ioas->obj);

	if (rc)
		return rc;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		return rc;
	return cmd->num_iovas > max_iovas ? -EMSGSIZE : 0;
}

static int iommufd_ioas_load_allowed(struct iommufd_ctx *ictx,
				     struct rb_root_cached *allowed,
				     struct iommu_iova_range __user *ranges,
				     u32 num)
{
	u32 i;

	for (i = 0; i != num; i++) {
		struct interval_tree_node *node;
		struct iommu_iova_range range;

		if (copy_from_user(&range, &ranges[i], sizeof(range)))
			return -EFAULT;
		if (range.start >= range.last || range.last > ULONG_MAX)
			return -EINVAL;
		if (interval_tree_iter_first(allowed, range.start, range.last))
			return -EINVAL;
		if (i == ALLOWED_MAX)
			return refuse(&ictx->refusal, -ENOSPC,
				      "allow: more than %u ranges",
				      ALLOWED_MAX);
		if (fatal_signal_pending(current))
			return -EINTR;

		node = kzalloc(sizeof(*node), GFP_KERNEL_ACCOUNT);
		if (!node)
			return -ENOMEM;
		node->start = range.start;
		node->last = range.last;
		interval_tree_insert(node, allowed);
		cond_resched();
	}
	return 0;
}

int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = iommufd_ioas_load_allowed(ucmd->ictx, &allowed,
				       u64_to_user_ptr(cmd->allowed_iovas),
				       cmd->num_iovas);
	if (!rc)
		rc = iopt_set_allowed(&ioas->iopt, &allowed);
	iopt_free_allowed(&allowed);
	iommufd_object_put(ucmd->ictx, &ioas->obj);
	return rc;
}
