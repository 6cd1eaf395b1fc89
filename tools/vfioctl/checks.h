/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold so that a user can use a device, link by link. The chain is
 * in the order in which one would mend it: nothing after a broken link can be
 * judged by what comes of it.
 */
#ifndef CHECKS_H
#define CHECKS_H

#include "device.h"
#include "user.h"

enum link_state {
	LINK_OK,
	LINK_NOTE,		/* it holds, and there is something to know */
	LINK_UNKNOWN,		/* not to be seen, by this user at least */
	LINK_BROKEN,
};

struct link {
	const char *name;	/* one word, stable: for scripts */
	enum link_state state;
	const char *text;	/* a sentence, without a full stop */
	struct strings remedies;	/* commands */
};

struct chain {
	struct link *links;
	size_t count;
};

/* For whom, and with how much memory of a virtual machine (0: not asked) */
struct asked {
	const struct user *user;
	unsigned long long ram;
};

struct chain check_device(const struct device *dev, const struct asked *asked);
struct chain check_host(const struct asked *asked);
/* The first broken link; NULL: all hold, as far as can be seen */
const struct link *chain_broken(const struct chain *chain);

const char *link_state_name(enum link_state state);

#endif /* CHECKS_H */
