// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of invalidation: which arrays a driver gets to see, in what portions, and
 * what the user learns of how far it came.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <uapi/linux/iommufd.h>

#include "../iommufd_private.h"
#include "fake_kunit.h"

#define TEST_TYPE	7
#define TEST_BASE	0x10000UL
#define TEST_MAX	((u32)BIT(19))

/**
 * struct test_object - what a driver would invalidate
 * @obj: the object
 * @calls: how often the driver was called
 * @largest: entries of the longest array it was given
 * @next: where the next array has to begin
 * @entry_len: bytes of an entry
 * @total: entries that it was given, and has carried out but for @bad
 * @bad: the entry that it does not like
 * @error: what it answers to that
 * @silent: it then does not say how far it came
 * @gap: an array did not begin where the one before ended
 */
struct test_object {
	struct iommufd_object obj;
	unsigned int calls;
	u32 largest;
	unsigned long next;
	size_t entry_len;
	u32 total;
	u32 bad;
	int error;
	bool silent;
	bool gap;
};

static void test_object_destroy(struct iommufd_object *obj)
{
}

static int test_object_invalidate(struct iommufd_object *obj,
				  struct iommu_user_data_array *array)
{
	struct test_object *driver = container_of(obj, struct test_object, obj);
	u32 first = driver->total;

	driver->calls++;
	driver->largest = max(driver->largest, array->entry_num);
	if ((unsigned long)array->uptr != driver->next)
		driver->gap = true;
	driver->next += array->entry_num * array->entry_len;
	if (array->type != TEST_TYPE || array->entry_len != driver->entry_len) {
		array->entry_num = 0;
		return -EINVAL;
	}
	driver->total += array->entry_num;
	if (driver->error && driver->bad < driver->total) {
		if (!driver->silent)
			array->entry_num = driver->bad - first;
		return driver->error;
	}
	return 0;
}

static const struct iommufd_object_ops test_object_ops = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.name = "test",
	.destroy = test_object_destroy,
	.invalidate = test_object_invalidate,
};

static const struct iommufd_object_ops test_object_ops_without = {
	.type = IOMMUFD_OBJ_SELFTEST,
	.name = "test",
	.destroy = test_object_destroy,
};

struct invalidate_test {
	struct iommufd_ctx ictx;
	struct fake_memory *memory;
	struct test_object *driver;
	struct test_object *without;
};

static struct test_object *make(struct kunit *test, struct iommufd_ctx *ictx,
				const struct iommufd_object_ops *ops)
{
	struct test_object *driver;

	driver = iommufd_object_alloc(ictx, test_object, ops);
	KUNIT_ASSERT_FALSE(test, IS_ERR(driver));
	driver->next = TEST_BASE;
	driver->entry_len = 8;
	iommufd_object_finalize(ictx, &driver->obj);
	return driver;
}

static int invalidate_test_init(struct kunit *test)
{
	struct invalidate_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	xa_init_flags(&t->ictx.objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&t->ictx.destroy_wait);
	refusal_init(&t->ictx.refusal);
	test->priv = t;
	t->memory = fake_memory_alloc(test, 1, 1, PROT_READ | PROT_WRITE);
	t->driver = make(test, &t->ictx, &test_object_ops);
	t->without = make(test, &t->ictx, &test_object_ops_without);
	return 0;
}

static void invalidate_test_exit(struct kunit *test)
{
	struct invalidate_test *t = test->priv;

	iommufd_object_destroy_all(&t->ictx);
	xa_destroy(&t->ictx.objects);
}

/* The ioctl; its answer is also written to memory of a user */
static int invalidate(struct invalidate_test *t,
		      struct iommu_hwpt_invalidate *cmd)
{
	struct iommufd_ucmd ucmd = {
		.ictx = &t->ictx,
		.cmd = cmd,
		.ubuffer = (void __user *)t->memory->addr,
		.user_size = sizeof(*cmd),
	};

	return iommufd_hwpt_invalidate(&ucmd);
}

static struct iommu_hwpt_invalidate cmd_for(struct test_object *driver,
					    u32 entry_len, u32 entry_num)
{
	return (struct iommu_hwpt_invalidate){
		.hwpt_id = driver->obj.id,
		.data_uptr = TEST_BASE,
		.data_type = TEST_TYPE,
		.entry_len = entry_len,
		.entry_num = entry_num,
	};
}

static void test_probe(struct kunit *test)
{
	struct invalidate_test *t = test->priv;
	struct iommu_hwpt_invalidate cmd = cmd_for(t->driver, 8, 0);

	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), 0);
	KUNIT_EXPECT_EQ(test, t->driver->calls, 1);
	cmd.data_type++;
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EINVAL);
	KUNIT_EXPECT_EQ(test, t->driver->calls, 2);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 0);
}

/* No driver sees an array that is not well-formed */
static void test_bounds(struct kunit *test)
{
	struct invalidate_test *t = test->priv;
	const struct {
		u32 entry_len;
		u32 entry_num;
	} bad[] = {
		{ 0, 1 },
		{ PAGE_SIZE + 1, 1 },
		{ U32_MAX, 1 },
		{ 8, TEST_MAX + 1 },
		{ 8, U32_MAX },
	};
	struct iommu_hwpt_invalidate cmd;
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(bad); i++) {
		cmd = cmd_for(t->driver, bad[i].entry_len, bad[i].entry_num);
		KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EINVAL);
		KUNIT_EXPECT_EQ(test, cmd.entry_num, 0);
	}
	cmd = cmd_for(t->driver, 8, 1);
	cmd.data_uptr = 0;
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EINVAL);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 0);
	cmd = cmd_for(t->driver, 8, 1);
	cmd.__reserved = 1;
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 0);
	KUNIT_EXPECT_EQ(test, t->driver->calls, 0);

	/* The longest entry and the longest array */
	t->driver->entry_len = PAGE_SIZE;
	cmd = cmd_for(t->driver, PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), 0);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 1);
	t->driver->next = TEST_BASE;
	t->driver->total = 0;
	cmd = cmd_for(t->driver, PAGE_SIZE, TEST_MAX);
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), 0);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, TEST_MAX);
	KUNIT_EXPECT_EQ(test, t->driver->total, TEST_MAX);
	KUNIT_EXPECT_FALSE(test, t->driver->gap);
	KUNIT_EXPECT_LE(test, t->driver->largest, 512);
}

static void test_object_types(struct kunit *test)
{
	struct invalidate_test *t = test->priv;
	struct iommu_hwpt_invalidate cmd = cmd_for(t->without, 8, 1);

	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EINVAL);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 0);
	cmd = cmd_for(t->without, 8, 0);
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EINVAL);
	cmd = cmd_for(t->driver, 8, 1);
	cmd.hwpt_id = t->without->obj.id + 1;
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -ENOENT);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 0);
}

/* Each entry that can fail, around the ends of the portions */
static void test_partly(struct kunit *test)
{
	const u32 bad[] = { 0, 1, 511, 512, 513, 1023, 1024, 1600, TEST_MAX - 1 };
	struct invalidate_test *t = test->priv;
	struct iommu_hwpt_invalidate cmd;
	unsigned int i;

	t->driver->error = -EIO;
	for (i = 0; i != ARRAY_SIZE(bad); i++) {
		t->driver->next = TEST_BASE;
		t->driver->total = 0;
		t->driver->bad = bad[i];
		cmd = cmd_for(t->driver, 8, TEST_MAX);
		KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -EIO);
		KUNIT_EXPECT_EQ(test, cmd.entry_num, bad[i]);
		KUNIT_EXPECT_FALSE(test, t->driver->gap);
		/* And none after it */
		KUNIT_EXPECT_LE(test, t->driver->total, bad[i] + 512);
	}
}

/* A driver that fails without saying how far it came has done nothing */
static void test_silent(struct kunit *test)
{
	struct invalidate_test *t = test->priv;
	struct iommu_hwpt_invalidate cmd = cmd_for(t->driver, 8, 600);

	t->driver->error = -ENOMEM;
	t->driver->bad = 520;
	t->driver->silent = true;
	KUNIT_EXPECT_EQ(test, invalidate(t, &cmd), -ENOMEM);
	KUNIT_EXPECT_EQ(test, cmd.entry_num, 512);
}

static struct kunit_case invalidate_test_cases[] = {
	KUNIT_CASE(test_probe),
	KUNIT_CASE(test_bounds),
	KUNIT_CASE(test_object_types),
	KUNIT_CASE(test_partly),
	KUNIT_CASE(test_silent),
	{}
};

static struct kunit_suite invalidate_test_suite = {
	.name = "iommufd_invalidate",
	.init = invalidate_test_init,
	.exit = invalidate_test_exit,
	.test_cases = invalidate_test_cases,
};

kunit_test_suite(invalidate_test_suite);
