// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a context, which is that of its file.
 */
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/slab.h>

#include "ctx.h"
#include "object.h"

/**
 * iommufd_ctx_alloc - make the context of a file that is being opened
 * @file: the file
 * @type1: it is opened as a VFIO container, by a program that expects VFIO's
 *         accounting, and its errors
 *
 * Return: the context, for iommufd_ctx_free(), or NULL if memory is exhausted.
 */
struct iommufd_ctx *iommufd_ctx_alloc(struct file *file, bool type1)
{
	struct iommufd_ctx *ictx;

	ictx = kzalloc(sizeof(*ictx), GFP_KERNEL_ACCOUNT);
	if (!ictx)
		return NULL;
	ictx->type1 = type1;
	ictx->account_mode = type1 ? PIN_ACCOUNT_MM : PIN_ACCOUNT_USER;
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	mt_init_flags(&ictx->mmaps, MT_FLAGS_ALLOC_RANGE);
	mutex_init(&ictx->takeover_mutex);
	mutex_init(&ictx->groups_lock);
	INIT_LIST_HEAD(&ictx->groups);
	mutex_init(&ictx->container.lock);
	INIT_LIST_HEAD(&ictx->container.groups);
	init_waitqueue_head(&ictx->destroy_wait);
	refusal_init(&ictx->refusal);
	ictx->file = file;
	return ictx;
}

/**
 * iommufd_ctx_free - undo iommufd_ctx_alloc()
 * @ictx: the context of a file that is not open any more
 */
void iommufd_ctx_free(struct iommufd_ctx *ictx)
{
	/* Devices and accesses hold the file, so that there are none left */
	iommufd_object_destroy_all(ictx);
	WARN_ON(!list_empty(&ictx->groups));
	WARN_ON(!mtree_empty(&ictx->mmaps));
	mtree_destroy(&ictx->mmaps);
	xa_destroy(&ictx->objects);
	mutex_destroy(&ictx->container.lock);
	mutex_destroy(&ictx->groups_lock);
	mutex_destroy(&ictx->takeover_mutex);
	kfree(ictx);
}

/**
 * iommufd_ctx_get - take another reference to a context
 * @ictx: a context that the caller holds
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	get_file(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_get, "IOMMUFD");

/**
 * iommufd_ctx_put - give a reference to a context back
 * @ictx: the context
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	fput(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_put, "IOMMUFD");
