/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What devices were bound to before vfioctl bound them to something else: a file
 * per device in /run/vfioctl, which is written before the device is touched, and
 * is gone when the device is back. So whatever ended a command in its middle,
 * "restore" knows what to restore.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>

#include "device.h"

#define STATE_DIR	"/run/vfioctl"

struct saved {
	const char *name;		/* of the device */
	const char *driver;		/* NULL: none */
	const char *override;		/* NULL: none */
	unsigned int vendor, device;	/* another one may be plugged in there */
};

/*
 * One vfioctl at a time changes drivers; others wait. Complains and returns
 * EXIT_NO if that cannot be had. The lock ends with the process.
 */
int state_lock(void);
/* Complain and return EXIT_NO if it cannot be saved. */
int state_save(const struct device *dev);
/* NULL: there is none, or it is of another device that was here before. */
struct saved *state_of(const struct device *dev);
/* All, with those whose devices are gone; NULL-terminated */
struct saved **state_all(void);
void state_forget(const char *name);

#endif /* STATE_H */
