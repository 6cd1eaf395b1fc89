/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a reset hits. A function reset is the device's alone; a hot reset (of
 * the bus, or of the slot) is that of everything behind the same bridge.
 */
#ifndef RESET_SCOPE_H
#define RESET_SCOPE_H

#include <stdbool.h>

#include "device.h"

/* The kernel's names, in the order in which it tries them: flr, pm, bus */
struct strings reset_methods(const struct device *dev);
bool reset_method_is_hot(const char *method);
/* What else a hot reset would hit, NULL-terminated */
struct device **reset_others(const struct device *dev);

#endif /* RESET_SCOPE_H */
