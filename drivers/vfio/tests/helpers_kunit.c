// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of capability chains and of the arguments of VFIO_DEVICE_SET_IRQS.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "../vfio.h"

struct test_cap {
	struct vfio_info_cap_header header;
	u8 data[5];
};

static void info_cap_chain(struct kunit *test)
{
	struct test_cap cap = {
		.header = { .id = 7, .version = 2, .next = 0xdead },
		.data = { 1, 2, 3, 4, 5 },
	};
	struct vfio_info_cap_header *header;
	struct vfio_info_cap caps = {};
	struct test_cap *copy;

	/* An empty chain shifts to an empty chain */
	vfio_info_cap_shift(&caps, 24);
	KUNIT_EXPECT_EQ(test, caps.size, 0);

	header = vfio_info_cap_add(&caps, sizeof(*header) + 1, 3, 1);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, header);
	KUNIT_EXPECT_EQ(test, header->id, 3);
	KUNIT_EXPECT_EQ(test, header->version, 1);
	KUNIT_EXPECT_EQ(test, header->next, 0);
	KUNIT_EXPECT_EQ(test, caps.size, 16);

	KUNIT_ASSERT_EQ(test, 0, vfio_info_add_capability(&caps, &cap.header,
							  sizeof(cap)));
	KUNIT_ASSERT_EQ(test, 0, vfio_info_add_capability(&caps, &cap.header,
							  sizeof(cap)));
	KUNIT_EXPECT_EQ(test, caps.size % 8, 0);
	KUNIT_EXPECT_EQ(test, caps.buf->next, 16);

	vfio_info_cap_shift(&caps, 24);
	KUNIT_EXPECT_EQ(test, caps.buf->next, 16 + 24);
	copy = (void *)caps.buf + caps.buf->next - 24;
	KUNIT_EXPECT_EQ(test, copy->header.id, 7);
	KUNIT_EXPECT_EQ(test, copy->header.version, 2);
	KUNIT_EXPECT_MEMEQ(test, copy->data, cap.data, sizeof(cap.data));
	copy = (void *)caps.buf + copy->header.next - 24;
	KUNIT_EXPECT_EQ(test, copy->header.id, 7);
	KUNIT_EXPECT_EQ(test, copy->header.next, 0);
	kfree(caps.buf);
}

static struct kunit_case vfio_info_cap_cases[] = {
	KUNIT_CASE(info_cap_chain),
	{}
};

static struct kunit_suite vfio_info_cap_suite = {
	.name = "vfio_info_cap",
	.test_cases = vfio_info_cap_cases,
};

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD	VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define HDR	sizeof(struct vfio_irq_set)

/* For a device with 4 interrupts of each of 3 indexes */
static const struct {
	u32 argsz, flags, index, start, count;
	int ret;
	size_t size;
} irq_set_cases[] = {
	{ HDR, NONE | TRIGGER, 0, 0, 0, 0, 0 },
	{ HDR, NONE | TRIGGER, 2, 3, 1, 0, 0 },
	{ HDR - 1, NONE | TRIGGER, 0, 0, 0, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 3, 0, 0, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER | 1 << 6, 0, 0, 0, -EINVAL, 0 },
	{ HDR, TRIGGER, 0, 0, 0, -EINVAL, 0 },
	{ HDR, NONE | BOOL | TRIGGER, 0, 0, 0, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 0, 4, 0, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 0, 0, 5, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 0, 3, 2, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 0, 1, U32_MAX, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 0, U32_MAX, 1, -EINVAL, 0 },
	{ HDR, NONE | TRIGGER, 0, U32_MAX, U32_MAX, -EINVAL, 0 },
	{ HDR + 4, BOOL | TRIGGER, 0, 0, 4, 0, 4 },
	{ HDR + 3, BOOL | TRIGGER, 0, 0, 4, -EINVAL, 0 },
	{ HDR + 16, EVENTFD | TRIGGER, 0, 0, 4, 0, 16 },
	{ HDR + 15, EVENTFD | TRIGGER, 0, 0, 4, -EINVAL, 0 },
	{ HDR, EVENTFD | TRIGGER, 0, 0, 0, 0, 0 },
	/* More room than data, as some programs have it */
	{ 0x818, EVENTFD | TRIGGER, 0, 0, 1, 0, 4 },
};

static void irq_set_arguments(struct kunit *test)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(irq_set_cases); i++) {
		struct vfio_irq_set set = {
			.argsz = irq_set_cases[i].argsz,
			.flags = irq_set_cases[i].flags,
			.index = irq_set_cases[i].index,
			.start = irq_set_cases[i].start,
			.count = irq_set_cases[i].count,
		};
		size_t size = 0;

		ret = vfio_set_irqs_validate_and_prepare(&set, 4, 3, &size);
		KUNIT_EXPECT_EQ_MSG(test, ret, irq_set_cases[i].ret,
				    "case %u", i);
		if (!ret)
			KUNIT_EXPECT_EQ_MSG(test, size, irq_set_cases[i].size,
					    "case %u", i);
	}
}

static struct kunit_case vfio_irq_set_cases[] = {
	KUNIT_CASE(irq_set_arguments),
	{}
};

static struct kunit_suite vfio_irq_set_suite = {
	.name = "vfio_irq_set",
	.test_cases = vfio_irq_set_cases,
};

kunit_test_suites(&vfio_info_cap_suite, &vfio_irq_set_suite);
