// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ids, references and the end of user-visible objects, see object.h.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "ctx.h"
#include "object.h"
#include "refusal.h"
#include "trace.h"

/**
 * __iommufd_object_alloc - allocate an object and reserve an id for it
 * @ictx: whose object
 * @size: bytes of the struct that embeds the object
 * @ops: what it is
 *
 * Return: the object, zeroed beyond its header, or an ERR_PTR.
 */
struct iommufd_object *
__iommufd_object_alloc(struct iommufd_ctx *ictx, size_t size,
		       const struct iommufd_object_ops *ops)
{
	struct iommufd_object *obj;
	int rc;

	obj = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->ops = ops;
	refcount_set(&obj->users, 1);
	refcount_set(&obj->calls, 1);

	/* A lookup does not find the reserved entry */
	rc = xa_alloc(&ictx->objects, &obj->id, XA_ZERO_ENTRY, xa_limit_31b,
		      GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(obj);
		return ERR_PTR(rc);
	}
	return obj;
}

/**
 * iommufd_object_finalize - make a complete object visible to the user
 * @ictx: whose object
 * @obj: the object; may be destroyed by the user at any time from now on
 */
void iommufd_object_finalize(struct iommufd_ctx *ictx,
			     struct iommufd_object *obj)
{
	XA_STATE(xas, &ictx->objects, obj->id);
	void *old;

	xa_lock(&ictx->objects);
	old = xas_store(&xas, obj);
	xa_unlock(&ictx->objects);
	/* The slot is there since the id was reserved */
	WARN_ON(old != XA_ZERO_ENTRY);
}

/**
 * iommufd_object_abort - forget an object that was never set up
 * @ictx: whose object
 * @obj: freed
 */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	xa_erase(&ictx->objects, obj->id);
	kfree(obj);
}

/**
 * iommufd_object_abort_and_destroy - forget an object that was never visible
 * @ictx: whose object
 * @obj: destroyed and freed
 */
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx,
				      struct iommufd_object *obj)
{
	obj->ops->destroy(obj);
	iommufd_object_abort(ictx, obj);
}

/**
 * iommufd_object_tryget - use an object for the time of a call
 * @obj: an object whose memory cannot go away
 *
 * Return: false if it is being destroyed.
 */
bool iommufd_object_tryget(struct iommufd_object *obj)
{
	return refcount_inc_not_zero(&obj->calls);
}

/* Most calls are about the same object as the one before */
static struct iommufd_object *iommufd_object_find(struct iommufd_ctx *ictx,
						  u32 id)
{
	struct iommufd_object *obj = ictx->found;

	lockdep_assert_held(&ictx->objects.xa_lock);

	if (obj && obj->id == id)
		return obj;
	obj = xa_load(&ictx->objects, id);
	if (obj)
		ictx->found = obj;
	return obj;
}

/**
 * iommufd_object_get - look an object up for the time of a call
 * @ictx: whose object
 * @id: its id
 * @type: what it has to be
 *
 * Return: the object, for iommufd_object_put(), or ERR_PTR(-ENOENT).
 */
struct iommufd_object *iommufd_object_get(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = iommufd_object_find(ictx, id);
	if (!obj || (obj->ops->type != type && type != IOMMUFD_OBJ_ANY) ||
	    obj->dying || !iommufd_object_tryget(obj))
		obj = ERR_PTR(-ENOENT);
	xa_unlock(&ictx->objects);
	return obj;
}

/**
 * iommufd_object_unused - tell who destroys an object that no call uses it
 * @ictx: whose object
 */
void iommufd_object_unused(struct iommufd_ctx *ictx)
{
	wake_up_all(&ictx->destroy_wait);
}

/**
 * iommufd_object_hold - keep an object alive for another object
 * @obj: an object that the caller uses or holds already
 *
 * Return: 0, or -ENOENT if it is being destroyed.
 */
int iommufd_object_hold(struct iommufd_object *obj)
{
	return refcount_inc_not_zero(&obj->users) ? 0 : -ENOENT;
}

/**
 * iommufd_object_release - undo iommufd_object_hold()
 * @obj: the object
 */
void iommufd_object_release(struct iommufd_object *obj)
{
	refcount_dec(&obj->users);
}

static void iommufd_object_finish_destroy(struct iommufd_ctx *ictx,
					  struct iommufd_object *obj)
{
	/* It cannot be found any more; wait for calls that have found it */
	if (!refcount_dec_and_test(&obj->calls))
		wait_event(ictx->destroy_wait,
			   !refcount_read(&obj->calls));
	trace_iommufd_destroy(obj->id, obj->ops->name, false, 0);
	obj->ops->destroy(obj);
	kfree(obj);
}

static void iommufd_object_forget_id(struct iommufd_ctx *ictx,
				     struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	__xa_erase(&ictx->objects, obj->id);
	if (ictx->found == obj)
		ictx->found = NULL;
	if (obj->ops->forget)
		obj->ops->forget(ictx, obj);
}

/* Take an object out of the id space if no other object needs it */
static bool iommufd_object_remove(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	if (!refcount_dec_if_one(&obj->users))
		return false;
	iommufd_object_forget_id(ictx, obj);
	return true;
}

/* A destroy stops before it has begun; no call uses the object */
static void iommufd_object_revive(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	xa_lock(&ictx->objects);
	refcount_set(&obj->calls, 1);
	refcount_set(&obj->users, 1);
	obj->dying = false;
	xa_unlock(&ictx->objects);
}

/*
 * Wait for the calls that use an object that cannot be found any more. The
 * users of other threads decide how long they take. Return false, with the
 * object as it was, if the caller was killed before.
 */
static bool iommufd_object_wait_for_calls(struct iommufd_ctx *ictx,
					  struct iommufd_object *obj)
{
	if (refcount_dec_and_test(&obj->calls) ||
	    !wait_event_killable(ictx->destroy_wait,
				 !refcount_read(&obj->calls)) ||
	    !refcount_inc_not_zero(&obj->calls))
		return true;
	xa_lock(&ictx->objects);
	obj->dying = false;
	refcount_set(&obj->users, 1);
	xa_unlock(&ictx->objects);
	return false;
}

/* As iommufd_object_destroy(), which tells of it what @name says */
static int iommufd_object_try_destroy(struct iommufd_ctx *ictx, u32 id,
				      const char **name)
{
	struct iommufd_object *obj;
	const char *why;

	xa_lock(&ictx->objects);
	obj = xa_load(&ictx->objects, id);
	if (!obj || obj->dying) {
		xa_unlock(&ictx->objects);
		return -ENOENT;
	}
	*name = obj->ops->name;
	obj->dying = refcount_dec_if_one(&obj->users);
	if (!obj->dying) {
		why = obj->ops->busy ? obj->ops->busy(obj) : NULL;
		xa_unlock(&ictx->objects);
		return refuse(&ictx->refusal, -EBUSY,
			      "destroy: %s %u is in use%s%s", *name, id,
			      why ? ": " : "", why ?: "");
	}
	xa_unlock(&ictx->objects);

	if (!iommufd_object_wait_for_calls(ictx, obj))
		return -EINTR;
	if (obj->ops->empty && obj->ops->empty(obj)) {
		iommufd_object_revive(ictx, obj);
		return -EINTR;
	}
	xa_lock(&ictx->objects);
	iommufd_object_forget_id(ictx, obj);
	xa_unlock(&ictx->objects);
	obj->ops->destroy(obj);
	kfree(obj);
	return 0;
}

/**
 * iommufd_object_destroy - destroy an object on request of the user
 * @ictx: whose object
 * @id: its id
 *
 * Return: 0, -ENOENT if there is none, -EBUSY if other objects need it, or
 * -EINTR if the caller was killed while others used it or it was emptied.
 */
int iommufd_object_destroy(struct iommufd_ctx *ictx, u32 id)
{
	const char *name = "none";
	int rc = iommufd_object_try_destroy(ictx, id, &name);

	trace_iommufd_destroy(id, name, false, rc);
	return rc;
}

/**
 * iommufd_object_claim - become the one that destroys an object
 * @ictx: whose object
 * @obj: an object whose memory cannot go away before this returns
 *
 * For an object that must go together with something else. Nobody finds it from
 * now on; iommufd_object_bury() has to follow.
 *
 * Return: false if it is being destroyed already, or if other objects need it.
 */
bool iommufd_object_claim(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	bool claimed;

	xa_lock(&ictx->objects);
	claimed = !obj->dying && refcount_dec_if_one(&obj->users);
	if (claimed)
		obj->dying = true;
	xa_unlock(&ictx->objects);
	return claimed;
}

/**
 * iommufd_object_bury - destroy a claimed object, and leave a tombstone
 * @ictx: whose object
 * @obj: an object that iommufd_object_claim() has returned true for
 *
 * The user has not asked for that, and may name the object later. So its id is
 * no other object's until the context is closed.
 */
void iommufd_object_bury(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	XA_STATE(xas, &ictx->objects, obj->id);

	if (!refcount_dec_and_test(&obj->calls))
		wait_event(ictx->destroy_wait,
			   !refcount_read(&obj->calls));
	xa_lock(&ictx->objects);
	/* As it was while it was reserved: not found, and not free */
	xas_store(&xas, XA_ZERO_ENTRY);
	if (ictx->found == obj)
		ictx->found = NULL;
	if (obj->ops->forget)
		obj->ops->forget(ictx, obj);
	xa_unlock(&ictx->objects);
	trace_iommufd_destroy(obj->id, obj->ops->name, true, 0);
	obj->ops->destroy(obj);
	kfree(obj);
}

/**
 * iommufd_object_destroy_owned - destroy an object that the caller keeps
 * @ictx: whose object
 * @obj: the object; the caller's hold is the only one
 */
void iommufd_object_destroy_owned(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	bool removed;

	/* As in iommufd_object_destroy_unused() */
	xa_lock(&ictx->objects);
	iommufd_object_release(obj);
	removed = iommufd_object_remove(ictx, obj);
	xa_unlock(&ictx->objects);
	if (!WARN_ON(!removed))
		iommufd_object_finish_destroy(ictx, obj);
}

/**
 * iommufd_object_destroy_unused - release an object, destroy it if it was last
 * @ictx: whose object
 * @obj: the object; the caller's hold is released
 *
 * Return: true if it was destroyed.
 */
bool iommufd_object_destroy_unused(struct iommufd_ctx *ictx,
				   struct iommufd_object *obj)
{
	bool removed;

	/*
	 * Both under the lock: as soon as the hold is gone the user may
	 * destroy the object, who has to get past the lock for that.
	 */
	xa_lock(&ictx->objects);
	iommufd_object_release(obj);
	removed = iommufd_object_remove(ictx, obj);
	xa_unlock(&ictx->objects);
	if (removed)
		iommufd_object_finish_destroy(ictx, obj);
	return removed;
}

/**
 * iommufd_object_destroy_all - destroy what the user left behind
 * @ictx: a context that cannot be reached any more
 *
 * Objects refer to one another without cycles, so every round finds one that
 * is not needed. Tombstones stay, for xa_destroy().
 */
void iommufd_object_destroy_all(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool progress;

	do {
		progress = false;
		xa_for_each(&ictx->objects, id, obj) {
			bool removed;

			xa_lock(&ictx->objects);
			removed = iommufd_object_remove(ictx, obj);
			xa_unlock(&ictx->objects);
			if (removed) {
				iommufd_object_finish_destroy(ictx, obj);
				progress = true;
			}
			cond_resched();
		}
	} while (progress);
	id = 0;
	WARN_ON(xa_find(&ictx->objects, &id, ULONG_MAX, XA_PRESENT));
}
