/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host itself uses a device for: mounted or swap or RAID, LVM, ZFS
 * disks, network interfaces with an address, a route or a bridge, the
 * console's GPU, a PF with VFs. To take such a device away loses data, or the
 * connection to the machine.
 */
#ifndef HOSTUSE_H
#define HOSTUSE_H

#include "device.h"

/* One sentence for each use; none: the host can do without it */
struct strings host_uses(const struct device *dev);

#endif /* HOSTUSE_H */
