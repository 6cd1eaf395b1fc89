// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the life of objects: who finds them, who keeps them, and who waits
 * for whom when they go.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../iommufd_private.h"

/* What a test object leaves behind, in its memory of the test's */
struct trail {
	unsigned int destroyed;
	unsigned int emptied;
	bool full;
};

struct test_object {
	struct iommufd_object obj;
	struct trail *trail;
	struct iommufd_object *needs;
};

static void test_object_destroy(struct iommufd_object *obj)
{
	struct test_object *test_obj = container_of(obj, struct test_object,
						    obj);

	if (test_obj->needs)
		iommufd_object_release(test_obj->needs);
	test_obj->trail->destroyed++;
}

static int test_object_empty(struct iommufd_object *obj)
{
	struct test_object *test_obj = container_of(obj, struct test_object,
						    obj);

	test_obj->trail->emptied++;
	return test_obj->trail->full ? -EINTR : 0;
}

static const struct iommufd_object_ops test_ops = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.name = "test",
	.destroy = test_object_destroy,
};

static const struct iommufd_object_ops emptied_ops = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.name = "test",
	.empty = test_object_empty,
	.destroy = test_object_destroy,
};

static int object_init(struct kunit *test)
{
	struct iommufd_ctx *ictx = kunit_kzalloc(test, sizeof(*ictx),
						 GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ictx);
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&ictx->destroy_wait);
	refusal_init(&ictx->refusal);
	test->priv = ictx;
	return 0;
}

static void object_exit(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;

	iommufd_object_destroy_all(ictx);
	xa_destroy(&ictx->objects);
}

/* Not on the stack: object_exit() destroys what a test leaves */
static struct trail *trail_alloc(struct kunit *test)
{
	struct trail *trail = kunit_kzalloc(test, sizeof(*trail), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, trail);
	return trail;
}

static struct iommufd_object *make(struct kunit *test, struct trail *trail,
				   const struct iommufd_object_ops *ops)
{
	struct test_object *test_obj;

	test_obj = iommufd_object_alloc((struct iommufd_ctx *)test->priv,
					test_object, ops);
	KUNIT_ASSERT_FALSE(test, IS_ERR(test_obj));
	test_obj->trail = trail;
	return &test_obj->obj;
}

static bool is_found(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_object_get(ictx, id, IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(obj))
		return false;
	iommufd_object_put(ictx, obj);
	return true;
}

/* An id is nobody's before its object is complete, and after it was aborted */
static void object_test_steps(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct iommufd_object *obj;
	struct trail *trail = trail_alloc(test);
	u32 id;

	obj = make(test, trail, &test_ops);
	id = obj->id;
	KUNIT_EXPECT_NE(test, 0, id);
	KUNIT_EXPECT_FALSE(test, is_found(ictx, id));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ictx, id));
	iommufd_object_abort(ictx, obj);
	KUNIT_EXPECT_EQ(test, 0, trail->destroyed);

	obj = make(test, trail, &test_ops);
	KUNIT_EXPECT_EQ(test, id, obj->id);
	iommufd_object_abort_and_destroy(ictx, obj);
	KUNIT_EXPECT_EQ(test, 1, trail->destroyed);

	obj = make(test, trail, &test_ops);
	iommufd_object_finalize(ictx, obj);
	KUNIT_EXPECT_TRUE(test, is_found(ictx, obj->id));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ictx, obj->id));
	KUNIT_EXPECT_EQ(test, 2, trail->destroyed);
}

/* Only what is asked for is found, and what was found last no longer */
static void object_test_lookup(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct iommufd_object *obj, *other;
	struct trail *trail = trail_alloc(test);
	u32 id;

	obj = make(test, trail, &test_ops);
	iommufd_object_finalize(ictx, obj);
	other = make(test, trail, &test_ops);
	iommufd_object_finalize(ictx, other);
	id = obj->id;
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOENT),
			    iommufd_object_get(ictx, id, IOMMUFD_OBJ_IOAS));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOENT),
			    iommufd_object_get(ictx, 0, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_PTR_EQ(test, obj,
			    iommufd_object_get(ictx, id, IOMMUFD_OBJ_ANY));
	iommufd_object_put(ictx, obj);
	KUNIT_EXPECT_PTR_EQ(test, obj, ictx->found);

	KUNIT_ASSERT_EQ(test, 0, iommufd_object_destroy(ictx, id));
	KUNIT_EXPECT_NULL(test, ictx->found);
	KUNIT_EXPECT_FALSE(test, is_found(ictx, id));
	KUNIT_EXPECT_TRUE(test, is_found(ictx, other->id));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ictx, id));
}

/* Who is needed is not destroyed */
static void object_test_hold(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct iommufd_object *obj;
	struct trail *trail = trail_alloc(test);
	u32 id;

	obj = make(test, trail, &test_ops);
	iommufd_object_finalize(ictx, obj);
	id = obj->id;
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(obj));
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(obj));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ictx, id));
	KUNIT_EXPECT_TRUE(test, is_found(ictx, id));
	KUNIT_EXPECT_FALSE(test, iommufd_object_destroy_unused(ictx, obj));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ictx, id));
	KUNIT_EXPECT_TRUE(test, iommufd_object_destroy_unused(ictx, obj));
	KUNIT_EXPECT_EQ(test, 1, trail->destroyed);
	KUNIT_EXPECT_FALSE(test, is_found(ictx, id));

	obj = make(test, trail, &test_ops);
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(obj));
	iommufd_object_finalize(ictx, obj);
	iommufd_object_destroy_owned(ictx, obj);
	KUNIT_EXPECT_EQ(test, 2, trail->destroyed);
}

/* What cannot be emptied stays, whole */
static void object_test_empty(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct trail *trail = trail_alloc(test);
	struct iommufd_object *obj;
	u32 id;

	trail->full = true;
	obj = make(test, trail, &emptied_ops);
	iommufd_object_finalize(ictx, obj);
	id = obj->id;
	KUNIT_EXPECT_EQ(test, -EINTR, iommufd_object_destroy(ictx, id));
	KUNIT_EXPECT_EQ(test, 1, trail->emptied);
	KUNIT_EXPECT_EQ(test, 0, trail->destroyed);
	KUNIT_EXPECT_TRUE(test, is_found(ictx, id));
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(obj));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ictx, id));
	iommufd_object_release(obj);
	trail->full = false;
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ictx, id));
	KUNIT_EXPECT_EQ(test, 2, trail->emptied);
	KUNIT_EXPECT_EQ(test, 1, trail->destroyed);
}

struct destroyer {
	struct iommufd_ctx *ictx;
	struct iommufd_object *obj;
	u32 id;
	int rc;
	struct task_struct *task;
	struct completion done;
};

static int destroy_thread(void *data)
{
	struct destroyer *destroyer = data;

	allow_signal(SIGKILL);
	destroyer->rc = iommufd_object_destroy(destroyer->ictx, destroyer->id);
	complete(&destroyer->done);
	return 0;
}

/* A thread that destroys an object, and waits for a call of the test's */
static void destroyer_start(struct kunit *test, struct destroyer *destroyer,
			    struct trail *trail)
{
	struct iommufd_ctx *ictx = test->priv;
	unsigned int i;

	destroyer->ictx = ictx;
	destroyer->rc = 1;
	init_completion(&destroyer->done);
	destroyer->obj = make(test, trail, &test_ops);
	iommufd_object_finalize(ictx, destroyer->obj);
	destroyer->id = destroyer->obj->id;
	KUNIT_ASSERT_PTR_EQ(test, destroyer->obj,
			    iommufd_object_get(ictx, destroyer->id,
					       IOMMUFD_OBJ_ANY));
	destroyer->task = kthread_run(destroy_thread, destroyer,
				      "object_kunit");
	if (IS_ERR(destroyer->task)) {
		iommufd_object_put(ictx, destroyer->obj);
		KUNIT_FAIL_AND_ABORT(test, "no thread");
	}
	for (i = 0; i < 1000 && !wq_has_sleeper(&ictx->destroy_wait); i++)
		msleep(20);
	KUNIT_EXPECT_TRUE(test, wq_has_sleeper(&ictx->destroy_wait));
	KUNIT_EXPECT_EQ(test, 0, trail->destroyed);
	KUNIT_EXPECT_EQ(test, 1, destroyer->rc);
	KUNIT_EXPECT_FALSE(test, is_found(ictx, destroyer->id));
}

/* A destroy waits for the calls, which are the last to find the object */
static void object_test_wait(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct trail *trail = trail_alloc(test);
	struct destroyer destroyer;

	destroyer_start(test, &destroyer, trail);
	/* Nobody else begins to need it now */
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_hold(destroyer.obj));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_object_destroy(ictx, destroyer.id));
	iommufd_object_put(ictx, destroyer.obj);
	/* The thread is over when it is done with what is on our stack */
	wait_for_completion(&destroyer.done);
	KUNIT_EXPECT_EQ(test, 0, destroyer.rc);
	KUNIT_EXPECT_EQ(test, 1, trail->destroyed);
}

/* One that is killed while it waits leaves the object as it was */
static void object_test_wait_killed(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct trail *trail = trail_alloc(test);
	struct destroyer destroyer;

	destroyer_start(test, &destroyer, trail);
	send_sig(SIGKILL, destroyer.task, 1);
	wait_for_completion(&destroyer.done);
	KUNIT_EXPECT_EQ(test, -EINTR, destroyer.rc);
	KUNIT_EXPECT_EQ(test, 0, trail->destroyed);
	KUNIT_EXPECT_TRUE(test, is_found(ictx, destroyer.id));
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(destroyer.obj));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(ictx, destroyer.id));
	iommufd_object_release(destroyer.obj);
	iommufd_object_put(ictx, destroyer.obj);
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ictx, destroyer.id));
	KUNIT_EXPECT_EQ(test, 1, trail->destroyed);
}

/* Whatever needs whatever, in any order of ids */
static void object_test_destroy_all(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct iommufd_object *obj[6];
	struct trail *trail = trail_alloc(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = make(test, trail, &test_ops);
		iommufd_object_finalize(ictx, obj[i]);
	}
	/* Ids rise and fall along the chain */
	for (i = 0; i + 1 < ARRAY_SIZE(obj); i++) {
		struct iommufd_object *user = obj[i * 5 % 6];
		struct iommufd_object *needed = obj[(i + 1) * 5 % 6];

		KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(needed));
		container_of(user, struct test_object, obj)->needs = needed;
	}
	iommufd_object_destroy_all(ictx);
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(obj), trail->destroyed);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ictx->objects));
}

/* One that goes with another object leaves an id that nobody else gets */
static void tombstone(struct kunit *test)
{
	struct iommufd_ctx *ictx = test->priv;
	struct trail *trail = trail_alloc(test);
	struct iommufd_object *obj, *other;
	u32 id;

	obj = make(test, trail, &test_ops);
	id = obj->id;
	iommufd_object_finalize(ictx, obj);
	KUNIT_EXPECT_TRUE(test, is_found(ictx, id));

	/* Not as long as another object needs it */
	iommufd_object_hold(obj);
	KUNIT_EXPECT_FALSE(test, iommufd_object_claim(ictx, obj));
	KUNIT_EXPECT_TRUE(test, is_found(ictx, id));
	iommufd_object_release(obj);

	KUNIT_ASSERT_TRUE(test, iommufd_object_claim(ictx, obj));
	KUNIT_EXPECT_FALSE(test, is_found(ictx, id));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ictx, id));
	/* There is one that buries it */
	KUNIT_EXPECT_FALSE(test, iommufd_object_claim(ictx, obj));
	KUNIT_EXPECT_EQ(test, 0, trail->destroyed);
	iommufd_object_bury(ictx, obj);
	KUNIT_EXPECT_EQ(test, 1, trail->destroyed);

	KUNIT_EXPECT_FALSE(test, is_found(ictx, id));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ictx, id));
	other = make(test, trail, &test_ops);
	KUNIT_EXPECT_NE(test, id, other->id);
	iommufd_object_finalize(ictx, other);
	/* With the tombstone, which object_exit() finds */
	iommufd_object_destroy_all(ictx);
	KUNIT_EXPECT_EQ(test, 2, trail->destroyed);
	KUNIT_EXPECT_FALSE(test, xa_empty(&ictx->objects));
}

static struct kunit_case object_cases[] = {
	KUNIT_CASE(object_test_steps),
	KUNIT_CASE(object_test_lookup),
	KUNIT_CASE(object_test_hold),
	KUNIT_CASE(object_test_empty),
	KUNIT_CASE(object_test_wait),
	KUNIT_CASE(object_test_wait_killed),
	KUNIT_CASE(object_test_destroy_all),
	KUNIT_CASE(tombstone),
	{}
};

static struct kunit_suite object_suite = {
	.name = "iommufd_object",
	.init = object_init,
	.exit = object_exit,
	.test_cases = object_cases,
};

kunit_test_suite(object_suite);
