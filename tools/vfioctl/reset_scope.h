/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a reset hits. The kernel resets a device by the first of its methods that
 * hits nothing else. A hot reset is that of everything behind the same bridge:
 * whoever has all of that may ask VFIO for it.
 */
#ifndef RESET_SCOPE_H
#define RESET_SCOPE_H

#include <stdbool.h>

#include "device.h"

#define RESET_HOT	"hot"

/*
 * The kernel's names, in the order in which it tries them, without what it would
 * refuse: flr, pm, bus; at last, if there is a bridge, "hot"
 */
struct strings reset_methods(const struct device *dev);
/* What else a hot reset would hit, NULL-terminated */
struct device **reset_others(const struct device *dev);

#endif /* RESET_SCOPE_H */
