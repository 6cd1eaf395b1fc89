/* SPDX-License-Identifier: GPL-2.0-only */
/* The files in /dev by which devices are used, and whose they are */
#ifndef NODES_H
#define NODES_H

#include <sys/types.h>

#include "device.h"

/*
 * Make the nodes of the devices, and of their groups, that user's and group's
 * (-1: leave it). Waits until udev is done with them, which would undo it.
 */
int nodes_give(struct device **list, uid_t uid, gid_t gid);

#endif /* NODES_H */
