/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has devices, groups, and address spaces open.
 *
 * holder	a process with descriptors or mappings of one of them
 * context	an open file of /dev/iommu, or a VFIO container
 */
#ifndef HOLDERS_H
#define HOLDERS_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "device.h"

enum held { HELD_DEVICE, HELD_GROUP, HELD_CONTEXT };

/* An address space of a context, as its fdinfo shows it */
struct ioas {
	unsigned int id;
	unsigned long long areas, mapped, pinned;
	const char *devices;		/* attached ones, "" */
};

struct holder {
	enum held what;
	const char *thing;		/* device name, group number, or path */
	pid_t pid, parent;
	const char *comm;
	uid_t uid;
	time_t since;			/* when the process began */
	struct strings fds;		/* numbers */
	unsigned int num_mappings;	/* of regions */
	bool inherited;			/* the parent has the same file open */
	/* our kernel says more */
	const char *state;		/* of a device: bound, attached; NULL */
	const char *refusal;		/* the last one, NULL */
	const char *accounting;		/* of a context: user or process, NULL */
	unsigned long long refusals;
	struct ioas *ioas;
	size_t num_ioas;
};

struct holders {
	struct holder *list;
	size_t count;
	unsigned int hidden;		/* processes that could not be looked into */
	/*
	 * Devices that are open, by the use count of vfio-pci, and that no
	 * process seems to have: their descriptors are in a message under way
	 * in a socket, or with a process that cannot be seen. -1: not known.
	 */
	int adrift;
};

struct holders *holders(void);
/* Look again. */
void holders_refresh(void);
/* Does this one concern the device: it itself, or its group? */
bool holder_of(const struct holder *holder, const struct device *dev);
/* "qemu-system-x86 (1234)", or several; NULL: nobody that one can see */
char *holders_names(const struct device *dev);

#endif /* HOLDERS_H */
