// SPDX-License-Identifier: GPL-2.0-only
/* Is the name of a symbol namespace a string, rather than made one by the macro? */
#include <linux/export.h>
#include <linux/module.h>

#undef MODULE_INFO
#define MODULE_INFO(tag, info) _Static_assert(sizeof(info) == sizeof("x"), "")
MODULE_IMPORT_NS("x");

#undef __EXPORT_SYMBOL
#define __EXPORT_SYMBOL(sym, license, ns) _Static_assert(sizeof(ns) == sizeof("x"), "")
EXPORT_SYMBOL_NS_GPL(probe, "x");
