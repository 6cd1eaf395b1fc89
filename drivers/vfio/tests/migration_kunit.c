// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the walk through the migration states, without a device.
 */
#include <kunit/test.h>
#include <linux/module.h>

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

kunit_test_suites(&vfio_mig_suite);
