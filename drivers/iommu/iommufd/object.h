/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_OBJECT_H
#define __IOMMUFD_OBJECT_H

#include <linux/iommufd.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct iommu_user_data_array;
struct iommufd_ctx;
struct seq_file;

/**
 * struct iommufd_object_ops - what a type of object does
 * @type: the type
 * @name: its name for messages and fdinfo
 * @empty: take out what may be a lot, because a user wants to destroy the object;
 *         may be NULL. No call uses the object. Returns 0, or -EINTR if
 *         the caller was killed, after which the object lives on with the rest
 * @destroy: release what the object holds, not its memory. The object
 *           cannot be reached any more
 * @busy: why a destroy that finds the object in use is refused, in words, or NULL if
 *        it is for the objects that need it; under the xa_lock of the ids. May be
 *        NULL
 * @forget: clear what refers to the object without holding it, because its id is
 *          gone; under the xa_lock of the ids. May be NULL
 * @invalidate: carry out entries of IOMMU_HWPT_INVALIDATE, and say in the array
 *              how many were. NULL if there is nothing that the user could
 *              invalidate. The object is in use
 * @show: add to the line that fdinfo has of the object. It and the following ones
 *        are called while the object is in use, and may be NULL
 * @show_more: print further lines
 * @device_on: the name of the device that the object stands for, if the device's
 *             DMA goes to @other, else NULL. Valid as long as the object is in
 *             use
 */
struct iommufd_object_ops {
	enum iommufd_object_type type;
	const char *name;
	int (*empty)(struct iommufd_object *obj);
	void (*destroy)(struct iommufd_object *obj);
	const char *(*busy)(struct iommufd_object *obj);
	void (*forget)(struct iommufd_ctx *ictx, struct iommufd_object *obj);
	int (*invalidate)(struct iommufd_object *obj,
			  struct iommu_user_data_array *array);
	void (*show)(struct iommufd_object *obj, struct seq_file *m);
	void (*show_more)(struct iommufd_ctx *ictx, struct iommufd_object *obj,
			  struct seq_file *m);
	const char *(*device_on)(struct iommufd_object *obj,
				 const struct iommufd_object *other);
};

/*
 * An object is made in three steps, so that no id is visible before its object
 * is complete: iommufd_object_alloc() reserves an id, then the caller sets the
 * object up, and iommufd_object_finalize() makes it visible, or
 * iommufd_object_abort() forgets it. Embedded as first member.
 */
struct iommufd_object *
__iommufd_object_alloc(struct iommufd_ctx *ictx, size_t size,
		       const struct iommufd_object_ops *ops);

/* Allocate a struct of type @type, whose first member is obj */
#define iommufd_object_alloc(ictx, type, ops)                                 \
	container_of(__iommufd_object_alloc(                                  \
			     ictx,                                            \
			     sizeof(struct type) +                            \
				     BUILD_BUG_ON_ZERO(                       \
					     offsetof(struct type, obj)),     \
			     ops),                                            \
		     struct type, obj)

void iommufd_object_finalize(struct iommufd_ctx *ictx,
			     struct iommufd_object *obj);
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj);

struct iommufd_object *iommufd_object_get(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type);
void iommufd_object_unused(struct iommufd_ctx *ictx);

/**
 * iommufd_object_put - end the use that iommufd_object_get() began
 * @ictx: whose object
 * @obj: the object
 */
static inline void iommufd_object_put(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj)
{
	/*
	 * The one that waits for 0 frees the object, so that it must not be
	 * touched after the count has dropped; the queue is the context's.
	 */
	if (refcount_dec_and_test(&obj->calls))
		iommufd_object_unused(ictx);
}

bool iommufd_object_tryget(struct iommufd_object *obj);

int iommufd_object_hold(struct iommufd_object *obj);
void iommufd_object_release(struct iommufd_object *obj);

int iommufd_object_destroy(struct iommufd_ctx *ictx, u32 id);
bool iommufd_object_claim(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_bury(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_destroy_owned(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj);
bool iommufd_object_destroy_unused(struct iommufd_ctx *ictx,
				   struct iommufd_object *obj);
void iommufd_object_destroy_all(struct iommufd_ctx *ictx);

#endif
