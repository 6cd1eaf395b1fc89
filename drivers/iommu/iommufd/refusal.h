/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_REFUSAL_H
#define __IOMMUFD_REFUSAL_H

#include <linux/compiler_attributes.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct seq_file;

#define REFUSAL_LEN 192

/**
 * struct refusal - why the last request of one file descriptor was refused
 * @lock: protects the other fields
 * @count: how many refusals have been recorded
 * @error: negative errno of the last one
 * @text: one line in words; never a kernel address
 *
 * An errno carries little. Whoever refuses a request for a reason that the
 * user cannot see in the arguments says the reason here, and the user finds it
 * in fdinfo. It costs nothing until something is refused, and it is bounded.
 */
struct refusal {
	spinlock_t lock; /* See above */
	u64 count;
	int error;
	char text[REFUSAL_LEN];
};

/**
 * enum refusal_kind - what an administrator can do something about
 * @REFUSAL_MEMLOCK: the user may not lock that much memory
 * @REFUSAL_ISOLATION: the platform does not confine the device
 * @REFUSAL_OWNER: a group is in use by a host driver or by another owner
 * @REFUSAL_RESERVED: memory is mapped where the platform reserves addresses
 */
enum refusal_kind {
	REFUSAL_MEMLOCK,
	REFUSAL_ISOLATION,
	REFUSAL_OWNER,
	REFUSAL_RESERVED,
};

void refusal_init(struct refusal *refusal);
__printf(3, 4)
int refuse(struct refusal *refusal, int error, const char *fmt, ...);
__printf(4, 5)
int refuse_and_warn(struct refusal *refusal, enum refusal_kind kind, int error,
		    const char *fmt, ...);
void refusal_show(struct refusal *refusal, struct seq_file *m);

#endif
