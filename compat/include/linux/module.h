/* SPDX-License-Identifier: GPL-2.0-only */
/* Until 6.12 the name of a namespace was a bare word. */
#ifndef _COMPAT_LINUX_MODULE_H
#define _COMPAT_LINUX_MODULE_H

#include_next <linux/module.h>

#ifdef COMPAT_LACKS_STRING_NAMESPACES
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns)	MODULE_INFO(import_ns, ns)
#endif

#endif
