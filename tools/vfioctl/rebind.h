/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Give one PCI device another driver, by driver_override, and see that it has
 * it. (new_id would be for all devices of the kind, and for drivers_probe it is
 * no error if nobody takes the device.)
 */
#ifndef REBIND_H
#define REBIND_H

#include "device.h"

#define REBIND_SECONDS	10	/* that a driver may take */

/*
 * Bind to @driver, NULL: to none, and leave @override, NULL: none, behind.
 * Complain and return EXIT_NO if it has not come to that.
 */
int rebind(const struct device *dev, const char *driver, const char *override);
/* As above, to the driver that the kernel chooses, if any */
int rebind_default(const struct device *dev);
/* Is it there, and may the caller do this? Complains and returns EXIT_NO. */
int rebind_allowed(const struct device *dev);

#endif /* REBIND_H */
