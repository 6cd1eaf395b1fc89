/* SPDX-License-Identifier: GPL-2.0-only */
/* Until 6.12 the name of a namespace was a bare word. */
#ifndef _COMPAT_LINUX_EXPORT_H
#define _COMPAT_LINUX_EXPORT_H

#include_next <linux/export.h>

#ifdef COMPAT_LACKS_STRING_NAMESPACES
#undef EXPORT_SYMBOL_NS
#define EXPORT_SYMBOL_NS(sym, ns)	__EXPORT_SYMBOL(sym, "", ns)
#undef EXPORT_SYMBOL_NS_GPL
#define EXPORT_SYMBOL_NS_GPL(sym, ns)	__EXPORT_SYMBOL(sym, "GPL", ns)
#endif

#endif
