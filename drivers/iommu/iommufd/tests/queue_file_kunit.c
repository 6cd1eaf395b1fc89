// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the file of a queue: what it keeps alive, and what it lets through to
 * the queue.
 */
#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>

#include "../iommufd_private.h"
#include "../queue_file.h"

struct test_queue {
	struct iommufd_object obj;
	struct iommufd_queue queue;
	struct queue_test *t;
};

/**
 * struct queue_test - what every test starts with
 * @ictx: as much of a context as it takes, with a file
 * @test_queue: an object that can be found, until it is destroyed
 * @filp: its file, until it is closed
 * @readable: what the queue says
 * @reads: how often it was read
 * @writes: how often it was written
 * @count: bytes that the last of both was about
 * @destroyed: how many objects were destroyed
 */
struct queue_test {
	struct iommufd_ctx ictx;
	struct test_queue *test_queue;
	struct file *filp;
	bool readable;
	unsigned int reads;
	unsigned int writes;
	size_t count;
	unsigned int destroyed;
};

static struct test_queue *to_test_queue(struct iommufd_queue *queue)
{
	return container_of(queue, struct test_queue, queue);
}

static bool test_queue_readable(struct iommufd_queue *queue)
{
	return to_test_queue(queue)->t->readable;
}

static ssize_t test_queue_read(struct iommufd_queue *queue, char __user *buf,
			       size_t count)
{
	to_test_queue(queue)->t->reads++;
	to_test_queue(queue)->t->count = count;
	return count;
}

static ssize_t test_queue_write(struct iommufd_queue *queue,
				const char __user *buf, size_t count)
{
	to_test_queue(queue)->t->writes++;
	to_test_queue(queue)->t->count = count;
	return count;
}

static const struct iommufd_queue_ops two_way_ops = {
	.name = "[test two-way]",
	.read_size = 8,
	.write_size = 4,
	.readable = test_queue_readable,
	.read = test_queue_read,
	.write = test_queue_write,
};

static const struct iommufd_queue_ops read_only_ops = {
	.name = "[test read-only]",
	.read_size = 1,
	.readable = test_queue_readable,
	.read = test_queue_read,
};

static void test_queue_destroy(struct iommufd_object *obj)
{
	container_of(obj, struct test_queue, obj)->t->destroyed++;
}

static const char *test_queue_busy(struct iommufd_object *obj)
{
	return iommufd_queue_busy(&container_of(obj, struct test_queue,
						obj)->queue);
}

static const struct iommufd_object_ops test_queue_object_ops = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.name = "test queue",
	.destroy = test_queue_destroy,
	.busy = test_queue_busy,
};

static const struct file_operations context_fops = {};

static struct test_queue *queue_alloc(struct kunit *test,
				      const struct iommufd_queue_ops *ops)
{
	struct queue_test *t = test->priv;
	struct test_queue *test_queue;

	test_queue = iommufd_object_alloc(&t->ictx, test_queue,
					  &test_queue_object_ops);
	KUNIT_ASSERT_FALSE(test, IS_ERR(test_queue));
	test_queue->t = t;
	iommufd_queue_init(&test_queue->queue, &t->ictx, &test_queue->obj, ops);
	return test_queue;
}

static void queue_open(struct kunit *test, const struct iommufd_queue_ops *ops)
{
	struct queue_test *t = test->priv;

	t->test_queue = queue_alloc(test, ops);
	t->filp = iommufd_queue_open(&t->test_queue->queue);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->filp));
	iommufd_object_finalize(&t->ictx, &t->test_queue->obj);
}

static void queue_close(struct queue_test *t)
{
	fput(t->filp);
	flush_delayed_fput();
	t->filp = NULL;
}

static int queue_test_init(struct kunit *test)
{
	struct queue_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	test->priv = t;
	xa_init_flags(&t->ictx.objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&t->ictx.destroy_wait);
	refusal_init(&t->ictx.refusal);
	t->ictx.file = anon_inode_getfile("[test context]", &context_fops, NULL,
					  O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->ictx.file));
	return 0;
}

static void queue_test_exit(struct kunit *test)
{
	struct queue_test *t = test->priv;

	if (!IS_ERR_OR_NULL(t->filp))
		queue_close(t);
	iommufd_object_destroy_all(&t->ictx);
	xa_destroy(&t->ictx.objects);
	if (IS_ERR_OR_NULL(t->ictx.file))
		return;
	KUNIT_EXPECT_EQ(test, 1, file_count(t->ictx.file));
	fput(t->ictx.file);
	flush_delayed_fput();
}

/* The file keeps the object and the context, and says so, until it is closed */
static void queue_test_hold(struct kunit *test)
{
	struct queue_test *t = test->priv;
	u32 id;

	queue_open(test, &two_way_ops);
	id = t->test_queue->obj.id;
	KUNIT_EXPECT_EQ(test, 2, file_count(t->ictx.file));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(&t->ictx, id));
	KUNIT_EXPECT_NOT_NULL(test, strstr(t->ictx.refusal.text,
					   "its file is open"));
	KUNIT_EXPECT_EQ(test, 0, t->destroyed);

	queue_close(t);
	KUNIT_EXPECT_EQ(test, 1, file_count(t->ictx.file));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(&t->ictx, id));
	KUNIT_EXPECT_EQ(test, 1, t->destroyed);
}

/* An object that something else needs is not said to have an open file */
static void queue_test_busy(struct kunit *test)
{
	struct queue_test *t = test->priv;
	u32 id;

	queue_open(test, &two_way_ops);
	id = t->test_queue->obj.id;
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(&t->test_queue->obj));
	queue_close(t);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(&t->ictx, id));
	KUNIT_EXPECT_NOT_NULL(test, strstr(t->ictx.refusal.text, "in use"));
	KUNIT_EXPECT_NULL(test, strstr(t->ictx.refusal.text, "file"));
	iommufd_object_release(&t->test_queue->obj);
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(&t->ictx, id));
}

/* No file, no hold; and the file that was is not heard of again */
static void queue_test_abort(struct kunit *test)
{
	struct queue_test *t = test->priv;
	struct test_queue *test_queue = queue_alloc(test, &two_way_ops);
	struct file *filp = iommufd_queue_open(&test_queue->queue);

	KUNIT_ASSERT_FALSE(test, IS_ERR(filp));
	iommufd_queue_abort(&test_queue->queue, filp);
	KUNIT_EXPECT_EQ(test, 1, file_count(t->ictx.file));
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&test_queue->obj.users));
	iommufd_object_abort(&t->ictx, &test_queue->obj);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, 1, file_count(t->ictx.file));
}

/* Only whole records at no position reach the queue */
static void queue_test_records(struct kunit *test)
{
	struct queue_test *t = test->priv;
	const struct file_operations *fops;
	char __user *buf = NULL;
	loff_t pos = 0;

	queue_open(test, &two_way_ops);
	fops = t->filp->f_op;
	KUNIT_EXPECT_EQ(test, 0, fops->read(t->filp, buf, 0, &pos));
	KUNIT_EXPECT_EQ(test, 24, fops->read(t->filp, buf, 24, &pos));
	KUNIT_EXPECT_EQ(test, 24, t->count);
	KUNIT_EXPECT_EQ(test, 12, fops->write(t->filp, buf, 12, &pos));
	KUNIT_EXPECT_EQ(test, 12, t->count);
	KUNIT_EXPECT_EQ(test, 2, t->reads);
	KUNIT_EXPECT_EQ(test, 1, t->writes);
	KUNIT_EXPECT_EQ(test, 0, pos);

	KUNIT_EXPECT_EQ(test, -ESPIPE, fops->read(t->filp, buf, 7, &pos));
	KUNIT_EXPECT_EQ(test, -ESPIPE, fops->read(t->filp, buf, 9, &pos));
	KUNIT_EXPECT_EQ(test, -ESPIPE, fops->write(t->filp, buf, 6, &pos));
	pos = 8;
	KUNIT_EXPECT_EQ(test, -ESPIPE, fops->read(t->filp, buf, 8, &pos));
	KUNIT_EXPECT_EQ(test, -ESPIPE, fops->write(t->filp, buf, 8, &pos));
	KUNIT_EXPECT_EQ(test, 2, t->reads);
	KUNIT_EXPECT_EQ(test, 1, t->writes);

	KUNIT_EXPECT_EQ(test, -ESPIPE, vfs_llseek(t->filp, 0, SEEK_SET));
}

/* What poll() says, as user space has it */
static __u16 poll_events(struct queue_test *t)
{
	return mangle_poll(vfs_poll(t->filp, NULL));
}

/* A queue that hears nothing is never ready to be written */
static void queue_test_read_only(struct kunit *test)
{
	struct queue_test *t = test->priv;
	loff_t pos = 0;

	queue_open(test, &read_only_ops);
	KUNIT_EXPECT_EQ(test, 0, poll_events(t));
	t->readable = true;
	KUNIT_EXPECT_EQ(test, POLLIN | POLLRDNORM, poll_events(t));
	KUNIT_EXPECT_EQ(test, 5, t->filp->f_op->read(t->filp, NULL, 5, &pos));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			t->filp->f_op->write(t->filp, NULL, 5, &pos));
}

static void queue_test_poll(struct kunit *test)
{
	struct queue_test *t = test->priv;

	queue_open(test, &two_way_ops);
	KUNIT_EXPECT_EQ(test, POLLOUT | POLLWRNORM, poll_events(t));
	t->readable = true;
	KUNIT_EXPECT_EQ(test,
			POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
			poll_events(t));
}

static int queue_test_woken(struct wait_queue_entry *entry, unsigned int mode,
			    int flags, void *key)
{
	*(__poll_t *)entry->private |= key_to_poll(key);
	return 1;
}

/* Who waits for something to read is told, with interrupts off, too */
static void queue_test_wake(struct kunit *test)
{
	struct queue_test *t = test->priv;
	struct wait_queue_entry entry;
	__poll_t events = 0;
	unsigned long flags;

	queue_open(test, &two_way_ops);
	init_waitqueue_func_entry(&entry, queue_test_woken);
	entry.private = &events;
	add_wait_queue(&t->test_queue->queue.wait, &entry);
	local_irq_save(flags);
	iommufd_queue_wake(&t->test_queue->queue);
	local_irq_restore(flags);
	remove_wait_queue(&t->test_queue->queue.wait, &entry);
	KUNIT_EXPECT_EQ(test, POLLIN | POLLRDNORM, mangle_poll(events));
}

static struct kunit_case queue_test_cases[] = {
	KUNIT_CASE(queue_test_hold),
	KUNIT_CASE(queue_test_busy),
	KUNIT_CASE(queue_test_abort),
	KUNIT_CASE(queue_test_records),
	KUNIT_CASE(queue_test_read_only),
	KUNIT_CASE(queue_test_poll),
	KUNIT_CASE(queue_test_wake),
	{}
};

static struct kunit_suite queue_test_suite = {
	.name = "iommufd_queue_file",
	.init = queue_test_init,
	.exit = queue_test_exit,
	.test_cases = queue_test_cases,
};

kunit_test_suite(queue_test_suite);
