// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what the VFIO core computes without a device.
 */
#include <kunit/test.h>
#include <linux/interval_tree.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "../vfio.h"

#define S(state)	VFIO_DEVICE_STATE_##state

static const unsigned int mig_flags[] = {
	VFIO_MIGRATION_STOP_COPY,
	VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
	VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
	VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		VFIO_MIGRATION_PRE_COPY,
};

/* The first step of every combination, read off the text of the user ABI */
static const u8 mig_first_step[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	[S(STOP)] = {
		[S(STOP)] = S(STOP),
		[S(RUNNING)] = S(RUNNING_P2P),
		[S(STOP_COPY)] = S(STOP_COPY),
		[S(RESUMING)] = S(RESUMING),
		[S(RUNNING_P2P)] = S(RUNNING_P2P),
		[S(PRE_COPY)] = S(RUNNING_P2P),
		[S(PRE_COPY_P2P)] = S(RUNNING_P2P),
	},
	[S(RUNNING)] = {
		[S(STOP)] = S(RUNNING_P2P),
		[S(RUNNING)] = S(RUNNING),
		[S(STOP_COPY)] = S(RUNNING_P2P),
		[S(RESUMING)] = S(RUNNING_P2P),
		[S(RUNNING_P2P)] = S(RUNNING_P2P),
		[S(PRE_COPY)] = S(PRE_COPY),
		[S(PRE_COPY_P2P)] = S(RUNNING_P2P),
	},
	[S(STOP_COPY)] = {
		[S(STOP)] = S(STOP),
		[S(RUNNING)] = S(STOP),
		[S(STOP_COPY)] = S(STOP_COPY),
		[S(RESUMING)] = S(STOP),
		[S(RUNNING_P2P)] = S(STOP),
		[S(PRE_COPY)] = S(ERROR),
		[S(PRE_COPY_P2P)] = S(ERROR),
	},
	[S(RESUMING)] = {
		[S(STOP)] = S(STOP),
		[S(RUNNING)] = S(STOP),
		[S(STOP_COPY)] = S(STOP),
		[S(RESUMING)] = S(RESUMING),
		[S(RUNNING_P2P)] = S(STOP),
		[S(PRE_COPY)] = S(STOP),
		[S(PRE_COPY_P2P)] = S(STOP),
	},
	[S(RUNNING_P2P)] = {
		[S(STOP)] = S(STOP),
		[S(RUNNING)] = S(RUNNING),
		[S(STOP_COPY)] = S(STOP),
		[S(RESUMING)] = S(STOP),
		[S(RUNNING_P2P)] = S(RUNNING_P2P),
		[S(PRE_COPY)] = S(RUNNING),
		[S(PRE_COPY_P2P)] = S(PRE_COPY_P2P),
	},
	[S(PRE_COPY)] = {
		[S(STOP)] = S(RUNNING),
		[S(RUNNING)] = S(RUNNING),
		[S(STOP_COPY)] = S(PRE_COPY_P2P),
		[S(RESUMING)] = S(RUNNING),
		[S(RUNNING_P2P)] = S(RUNNING),
		[S(PRE_COPY)] = S(PRE_COPY),
		[S(PRE_COPY_P2P)] = S(PRE_COPY_P2P),
	},
	[S(PRE_COPY_P2P)] = {
		[S(STOP)] = S(RUNNING_P2P),
		[S(RUNNING)] = S(RUNNING_P2P),
		[S(STOP_COPY)] = S(STOP_COPY),
		[S(RESUMING)] = S(RUNNING_P2P),
		[S(RUNNING_P2P)] = S(RUNNING_P2P),
		[S(PRE_COPY)] = S(PRE_COPY),
		[S(PRE_COPY_P2P)] = S(PRE_COPY_P2P),
	},
};

static bool mig_supported(unsigned int flags, unsigned int state)
{
	switch (state) {
	case S(STOP):
	case S(RUNNING):
	case S(STOP_COPY):
	case S(RESUMING):
		return flags & VFIO_MIGRATION_STOP_COPY;
	case S(RUNNING_P2P):
		return flags & VFIO_MIGRATION_P2P;
	case S(PRE_COPY):
		return flags & VFIO_MIGRATION_PRE_COPY;
	case S(PRE_COPY_P2P):
		return flags & VFIO_MIGRATION_PRE_COPY &&
		       flags & VFIO_MIGRATION_P2P;
	default:
		return false;
	}
}

static bool mig_saving(unsigned int state)
{
	return state == S(PRE_COPY) || state == S(PRE_COPY_P2P) ||
	       state == S(STOP_COPY);
}

static struct vfio_device *mig_device(struct kunit *test, unsigned int flags)
{
	struct vfio_device *device;

	device = kunit_kzalloc(test, sizeof(*device), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, device);
	device->migration_flags = flags;
	return device;
}

static void mig_first_steps(struct kunit *test)
{
	struct vfio_device *device =
		mig_device(test, mig_flags[ARRAY_SIZE(mig_flags) - 1]);
	enum vfio_device_mig_state next;
	unsigned int cur, new;
	int ret;

	for (cur = 0; cur < VFIO_DEVICE_STATE_NR; cur++) {
		for (new = 0; new < VFIO_DEVICE_STATE_NR; new++) {
			ret = vfio_mig_get_next_state(device, cur, new, &next);
			KUNIT_EXPECT_EQ_MSG(test, next, mig_first_step[cur][new],
					    "from %u to %u", cur, new);
			KUNIT_EXPECT_EQ(test, ret, next == S(ERROR) ? -EINVAL : 0);
		}
	}
}

/* What must hold of every walk, whatever the device supports */
static void mig_walk(struct kunit *test, struct vfio_device *device,
		     unsigned int from, unsigned int to)
{
	enum vfio_device_mig_state next;
	unsigned int cur = from, steps = 0;

	while (cur != to) {
		int ret = vfio_mig_get_next_state(device, cur, to, &next);

		if (ret) {
			/* Refused at once or never */
			KUNIT_EXPECT_EQ(test, ret, -EINVAL);
			KUNIT_EXPECT_EQ(test, cur, from);
			KUNIT_EXPECT_TRUE(test, from == S(STOP_COPY) &&
					  mig_saving(to));
			return;
		}
		KUNIT_ASSERT_TRUE(test, mig_supported(device->migration_flags,
						      next));
		if (next != to)
			KUNIT_EXPECT_EQ_MSG(test, mig_saving(next),
					    mig_saving(from) && mig_saving(to),
					    "from %u to %u by %u", from, to, next);
		cur = next;
		KUNIT_ASSERT_LE_MSG(test, ++steps, VFIO_DEVICE_STATE_NR,
				    "from %u to %u does not end", from, to);
	}
}

static void mig_walks_end(struct kunit *test)
{
	unsigned int i, from, to;

	for (i = 0; i < ARRAY_SIZE(mig_flags); i++) {
		struct vfio_device *device = mig_device(test, mig_flags[i]);

		for (from = 0; from < VFIO_DEVICE_STATE_NR; from++)
			for (to = 0; to < VFIO_DEVICE_STATE_NR; to++)
				if (mig_supported(mig_flags[i], from) &&
				    mig_supported(mig_flags[i], to))
					mig_walk(test, device, from, to);
	}
}

/* Arcs of a device without the optional states */
static void mig_plain_device(struct kunit *test)
{
	struct vfio_device *device = mig_device(test, VFIO_MIGRATION_STOP_COPY);
	static const struct {
		u8 cur, new, next;
	} steps[] = {
		{ S(RUNNING), S(STOP), S(STOP) },
		{ S(RUNNING), S(STOP_COPY), S(STOP) },
		{ S(RUNNING), S(RESUMING), S(STOP) },
		{ S(STOP), S(RUNNING), S(RUNNING) },
		{ S(STOP_COPY), S(RUNNING), S(STOP) },
		{ S(RESUMING), S(RUNNING), S(STOP) },
	};
	enum vfio_device_mig_state next;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		KUNIT_EXPECT_EQ(test, 0,
				vfio_mig_get_next_state(device, steps[i].cur,
							steps[i].new, &next));
		KUNIT_EXPECT_EQ(test, next, steps[i].next);
	}
}

static void mig_refusals(struct kunit *test)
{
	enum vfio_device_mig_state next;
	unsigned int i, from, to;

	for (i = 0; i <= ARRAY_SIZE(mig_flags); i++) {
		unsigned int flags = i < ARRAY_SIZE(mig_flags) ? mig_flags[i] : 0;
		struct vfio_device *device = mig_device(test, flags);

		for (from = 0; from <= VFIO_DEVICE_STATE_NR; from++) {
			for (to = 0; to <= VFIO_DEVICE_STATE_NR; to++) {
				if (mig_supported(flags, from) &&
				    mig_supported(flags, to))
					continue;
				next = S(RUNNING);
				KUNIT_EXPECT_EQ(test, -EINVAL,
						vfio_mig_get_next_state(device,
									from, to,
									&next));
				KUNIT_EXPECT_EQ(test, next, S(ERROR));
			}
		}
	}
}

static struct kunit_case vfio_mig_cases[] = {
	KUNIT_CASE(mig_first_steps),
	KUNIT_CASE(mig_walks_end),
	KUNIT_CASE(mig_plain_device),
	KUNIT_CASE(mig_refusals),
	{}
};

static struct kunit_suite vfio_mig_suite = {
	.name = "vfio_migration",
	.test_cases = vfio_mig_cases,
};

#define COMBINE_MAX	64

static int cmp_ulong(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a;
	unsigned long y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/*
 * Combines nr random ranges to req and compares with what sorting all gaps says
 * must be lost.
 */
static void combine_once(struct kunit *test, struct rnd_state *rnd,
			 struct interval_tree_node *nodes, unsigned int nr,
			 unsigned int req)
{
	unsigned long gaps[COMBINE_MAX], pos = 0, before = 0, after = 0;
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *node, *next;
	unsigned long first, last = 0;
	unsigned int i, left = 0;

	for (i = 0; i < nr; i++) {
		/* Adjacent ranges, and gaps of equal size, are allowed */
		gaps[i] = prandom_u32_state(rnd) % 16;
		pos += gaps[i];
		nodes[i].start = pos;
		nodes[i].last = pos + prandom_u32_state(rnd) % 8;
		before += nodes[i].last - nodes[i].start + 1;
		pos = nodes[i].last + 1;
	}
	first = nodes[0].start;
	last = nodes[nr - 1].last;
	for (i = 0; i < nr; i++)
		interval_tree_insert(&nodes[i], &root);

	/* The one in front of the first range is none */
	sort(gaps + 1, nr - 1, sizeof(*gaps), cmp_ulong, NULL);
	for (i = 1; i + req <= nr; i++)
		before += gaps[i];

	vfio_combine_iova_ranges(&root, nr, req);

	node = interval_tree_iter_first(&root, 0, ULONG_MAX);
	KUNIT_ASSERT_NOT_NULL(test, node);
	KUNIT_EXPECT_EQ(test, node->start, first);
	while (node) {
		left++;
		after += node->last - node->start + 1;
		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (next)
			KUNIT_EXPECT_LT(test, node->last, next->start);
		else
			KUNIT_EXPECT_EQ(test, node->last, last);
		node = next;
	}
	KUNIT_EXPECT_EQ(test, left, min(nr, req));
	KUNIT_EXPECT_EQ(test, after, before);
}

static void combine_random(struct kunit *test)
{
	struct interval_tree_node *nodes;
	u64 seed = get_random_u64();
	struct rnd_state rnd;
	unsigned int i, nr, req;

	nodes = kunit_kcalloc(test, COMBINE_MAX, sizeof(*nodes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, nodes);

	kunit_info(test, "seed 0x%llx\n", seed);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < 500; i++) {
		nr = 1 + prandom_u32_state(&rnd) % COMBINE_MAX;
		req = 1 + prandom_u32_state(&rnd) % COMBINE_MAX;
		combine_once(test, &rnd, nodes, nr, req);
	}
}

static void combine_top(struct kunit *test)
{
	struct interval_tree_node low = { .start = 0, .last = 0 };
	struct interval_tree_node high = { .start = ULONG_MAX,
					   .last = ULONG_MAX };
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *node;

	interval_tree_insert(&low, &root);
	interval_tree_insert(&high, &root);
	vfio_combine_iova_ranges(&root, 2, 1);

	node = interval_tree_iter_first(&root, 0, ULONG_MAX);
	KUNIT_ASSERT_NOT_NULL(test, node);
	KUNIT_EXPECT_EQ(test, node->start, 0);
	KUNIT_EXPECT_EQ(test, node->last, ULONG_MAX);
	KUNIT_EXPECT_NULL(test, interval_tree_iter_next(node, 0, ULONG_MAX));
}

static struct kunit_case vfio_combine_cases[] = {
	KUNIT_CASE(combine_random),
	KUNIT_CASE(combine_top),
	{}
};

static struct kunit_suite vfio_combine_suite = {
	.name = "vfio_combine_iova_ranges",
	.test_cases = vfio_combine_cases,
};

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

kunit_test_suites(&vfio_mig_suite, &vfio_combine_suite, &vfio_info_cap_suite,
		  &vfio_irq_set_suite);
