// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another process takes over the charges of all mappings of a context.
 */
#include <linux/cleanup.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/**
 * struct takeover - a pages object that gets another payer
 * @node: link in the tree of the call, by @pages
 * @pages: holds a reference
 * @account: the new payer, and after the exchange the old one
 */
struct takeover {
	struct rb_node node;
	struct iopt_pages *pages;
	struct pin_account account;
};

static bool iommufd_takeover_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct takeover, node)->pages <
	       rb_entry(b, struct takeover, node)->pages;
}

static int iommufd_takeover_cmp(const void *key, const struct rb_node *node)
{
	const struct iopt_pages *pages = key;
	const struct takeover *takeover = rb_entry(node, struct takeover, node);

	return pages < takeover->pages ? -1 : pages > takeover->pages;
}

static int iommufd_takeover_add(struct rb_root *takeovers,
				struct iopt_pages *pages,
				enum pin_account_mode mode)
{
	struct takeover *takeover;

	/* Copies share their pages, which are charged once */
	if (rb_find(pages, takeovers, iommufd_takeover_cmp))
		return 0;
	takeover = kzalloc(sizeof(*takeover), GFP_KERNEL_ACCOUNT);
	if (!takeover)
		return -ENOMEM;
	iopt_pages_get(pages);
	takeover->pages = pages;
	pin_account_init(&takeover->account, mode);
	rb_add(&takeover->node, takeovers, iommufd_takeover_less);
	return 0;
}

static void iommufd_takeovers_free(struct rb_root *takeovers)
{
	struct takeover *takeover, *next;

	rbtree_postorder_for_each_entry_safe(takeover, next, takeovers, node) {
		pin_account_destroy(&takeover->account);
		iopt_pages_put(takeover->pages);
		kfree(takeover);
		cond_resched();
	}
}

static int iommufd_takeovers_collect_areas(struct iommufd_ctx *ictx,
					   struct iommufd_ioas *ioas,
					   struct rb_root *takeovers)
{
	struct iova_node *node;
	int rc;

	lockdep_assert_held(&ioas->iopt.iova_rwsem);

	for (node = iova_tree_first(&ioas->iopt.areas, 0, ULONG_MAX); node;
	     node = iova_tree_next(node, ULONG_MAX)) {
		struct iopt_pages *pages = iopt_area_of(node)->pages;

		/* Neither pinned nor charged */
		if (pages->source == IOPT_PAGES_MMIO)
			continue;
		if (pages->source != IOPT_PAGES_FILE)
			return refuse(&ictx->refusal, -EINVAL,
				      "change process: the mapping at 0x%lx-0x%lx of ioas %u is not backed by a file",
				      node->start, node->last, ioas->obj.id);
		rc = iommufd_takeover_add(takeovers, pages, ictx->account_mode);
		if (rc)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int iommufd_takeovers_collect_ioas(struct iommufd_ctx *ictx,
					  struct iommufd_ioas *ioas,
					  struct rb_root *takeovers)
{
	int rc;

	if (down_read_killable(&ioas->iopt.iova_rwsem))
		return -EINTR;
	rc = iommufd_takeovers_collect_areas(ictx, ioas, takeovers);
	up_read(&ioas->iopt.iova_rwsem);
	return rc;
}

static int iommufd_takeovers_collect(struct iommufd_ctx *ictx,
				     struct rb_root *takeovers)
{
	struct iommufd_object *obj;
	unsigned long id;
	int rc = 0;

	xa_for_each(&ictx->objects, id, obj) {
		obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_IOAS);
		if (IS_ERR(obj))
			continue;
		rc = iommufd_takeovers_collect_ioas(ictx, to_ioas(obj),
						    takeovers);
		iommufd_object_put(ictx, obj);
		if (rc)
			break;
		cond_resched();
	}
	return rc;
}

static struct takeover *iommufd_takeover_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct takeover, node);
}

/* Let pins go on in all that come before @stop; NULL means all */
static void iommufd_takeovers_unlock(struct rb_root *takeovers,
				     struct takeover *stop)
{
	struct takeover *takeover;

	for (takeover = iommufd_takeover_of(rb_first(takeovers));
	     takeover != stop;
	     takeover = iommufd_takeover_of(rb_next(&takeover->node))) {
		mutex_unlock(&takeover->pages->mutex);
		cond_resched();
	}
}

static int iommufd_takeovers_lock(struct iommufd_ctx *ictx,
				  struct rb_root *takeovers)
{
	struct takeover *takeover;

	for (takeover = iommufd_takeover_of(rb_first(takeovers)); takeover;
	     takeover = iommufd_takeover_of(rb_next(&takeover->node))) {
		if (fatal_signal_pending(current)) {
			iommufd_takeovers_unlock(takeovers, takeover);
			return -EINTR;
		}
		mutex_lock_nest_lock(&takeover->pages->mutex,
				     &ictx->takeover_mutex);
		cond_resched();
	}
	return 0;
}

/*
 * Charge the new payer for everything before the old one is uncharged for
 * anything. Nothing is pinned or unpinned in between.
 */
static int iommufd_takeovers_charge(struct iommufd_ctx *ictx,
				    struct rb_root *takeovers)
{
	struct takeover *takeover, *undo;
	int rc;

	rc = iommufd_takeovers_lock(ictx, takeovers);
	if (rc)
		return rc;
	for (takeover = iommufd_takeover_of(rb_first(takeovers)); takeover;
	     takeover = iommufd_takeover_of(rb_next(&takeover->node))) {
		rc = fatal_signal_pending(current) ?
			     -EINTR :
			     pin_account_take_over(&takeover->account,
						   &takeover->pages->account,
						   &ictx->refusal);
		if (rc)
			break;
		cond_resched();
	}
	for (undo = iommufd_takeover_of(rb_first(takeovers));
	     rc && undo != takeover;
	     undo = iommufd_takeover_of(rb_next(&undo->node))) {
		pin_account_give_up(&undo->account, &undo->pages->account);
		cond_resched();
	}
	for (takeover = iommufd_takeover_of(rb_first(takeovers));
	     takeover && !rc;
	     takeover = iommufd_takeover_of(rb_next(&takeover->node))) {
		swap(takeover->account, takeover->pages->account);
		pin_account_give_up(&takeover->account,
				    &takeover->pages->account);
		cond_resched();
	}
	iommufd_takeovers_unlock(takeovers, NULL);
	return rc;
}

int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_change_process *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct rb_root takeovers = RB_ROOT;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	if (mutex_lock_killable(&ictx->takeover_mutex))
		return -EINTR;
	rc = iommufd_takeovers_collect(ictx, &takeovers);
	if (!rc)
		rc = iommufd_takeovers_charge(ictx, &takeovers);
	mutex_unlock(&ictx->takeover_mutex);
	iommufd_takeovers_free(&takeovers);
	return rc;
}
