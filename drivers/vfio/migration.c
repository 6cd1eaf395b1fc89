// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk through the migration states that enum vfio_device_mig_state defines.
 */
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/module.h>

#include "vfio.h"

#define MIG_BIT(state)	(1U << VFIO_DEVICE_STATE_##state)

/* What a driver implements: the states that can follow each state directly */
static const u8 vfio_mig_arcs[VFIO_DEVICE_STATE_NR] = {
	[VFIO_DEVICE_STATE_STOP] = MIG_BIT(RUNNING_P2P) | MIG_BIT(STOP_COPY) |
				   MIG_BIT(RESUMING),
	[VFIO_DEVICE_STATE_RUNNING] = MIG_BIT(RUNNING_P2P) | MIG_BIT(PRE_COPY),
	[VFIO_DEVICE_STATE_STOP_COPY] = MIG_BIT(STOP),
	[VFIO_DEVICE_STATE_RESUMING] = MIG_BIT(STOP),
	[VFIO_DEVICE_STATE_RUNNING_P2P] = MIG_BIT(STOP) | MIG_BIT(RUNNING) |
					  MIG_BIT(PRE_COPY_P2P),
	[VFIO_DEVICE_STATE_PRE_COPY] = MIG_BIT(RUNNING) | MIG_BIT(PRE_COPY_P2P),
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = MIG_BIT(RUNNING_P2P) |
					   MIG_BIT(PRE_COPY) |
					   MIG_BIT(STOP_COPY),
};

#define VFIO_MIG_SAVING \
	(MIG_BIT(PRE_COPY) | MIG_BIT(PRE_COPY_P2P) | MIG_BIT(STOP_COPY))

static unsigned int vfio_mig_supported_states(unsigned int migration_flags)
{
	unsigned int states;

	if (!(migration_flags & VFIO_MIGRATION_STOP_COPY))
		return 0;
	states = MIG_BIT(RUNNING) | MIG_BIT(STOP) | MIG_BIT(STOP_COPY) |
		 MIG_BIT(RESUMING);
	if (migration_flags & VFIO_MIGRATION_P2P)
		states |= MIG_BIT(RUNNING_P2P);
	if (migration_flags & VFIO_MIGRATION_PRE_COPY)
		states |= MIG_BIT(PRE_COPY);
	if (migration_flags & VFIO_MIGRATION_P2P &&
	    migration_flags & VFIO_MIGRATION_PRE_COPY)
		states |= MIG_BIT(PRE_COPY_P2P);
	return states;
}

/*
 * The first state of the shortest path, as if all states were supported, or
 * VFIO_DEVICE_STATE_ERROR if there is no path.
 *
 * A path between two saving states stays among these, for it goes on with one
 * data transfer session. Any other path passes through no saving state, because
 * that would start a session that nobody asked for.
 */
static enum vfio_device_mig_state vfio_mig_next_hop(unsigned int cur,
						    unsigned int new)
{
	unsigned int via, level, seen, state;

	if (BIT(cur) & VFIO_MIG_SAVING && BIT(new) & VFIO_MIG_SAVING)
		via = VFIO_MIG_SAVING;
	else
		via = ~VFIO_MIG_SAVING;

	/* From the end backwards; level: all states at the same distance */
	seen = BIT(new);
	level = seen;
	while (level) {
		unsigned int before = 0;

		if (vfio_mig_arcs[cur] & level)
			return __ffs(vfio_mig_arcs[cur] & level);
		for (state = 0; state < VFIO_DEVICE_STATE_NR; state++)
			if (BIT(state) & via && vfio_mig_arcs[state] & level)
				before |= BIT(state);
		level = before & ~seen;
		seen |= level;
	}
	return VFIO_DEVICE_STATE_ERROR;
}

/**
 * vfio_mig_get_next_state - the next step from one migration state to another
 * @device: the device; its migration_flags say which states it supports
 * @cur_fsm: the state that the device is in
 * @new_fsm: the state that the user wants
 * @next_fsm: becomes the state to which the driver moves the device now
 *
 * The driver implements the direct arcs between the states, and calls this until
 * @next_fsm is @new_fsm. States that the device does not support are passed
 * through in one step: the driver then moves directly from the state before to
 * the state behind. If @cur_fsm is @new_fsm, so is @next_fsm.
 *
 * Return: 0; -EINVAL if there is no way from one to the other, or the device
 * does not support @new_fsm.
 */
int vfio_mig_get_next_state(struct vfio_device *device,
			    enum vfio_device_mig_state cur_fsm,
			    enum vfio_device_mig_state new_fsm,
			    enum vfio_device_mig_state *next_fsm)
{
	unsigned int supported =
		vfio_mig_supported_states(device->migration_flags);
	unsigned int cur = cur_fsm, new = new_fsm;

	*next_fsm = VFIO_DEVICE_STATE_ERROR;

	if (cur >= VFIO_DEVICE_STATE_NR || !(BIT(cur) & supported))
		return -EINVAL;
	if (new >= VFIO_DEVICE_STATE_NR || !(BIT(new) & supported))
		return -EINVAL;

	if (cur == new) {
		*next_fsm = new;
		return 0;
	}

	/* Each hop shortens the path, so this ends, at @new if not before */
	do {
		cur = vfio_mig_next_hop(cur, new);
	} while (cur != VFIO_DEVICE_STATE_ERROR && !(BIT(cur) & supported));

	*next_fsm = cur;
	return cur == VFIO_DEVICE_STATE_ERROR ? -EINVAL : 0;
}
EXPORT_SYMBOL_GPL(vfio_mig_get_next_state);
