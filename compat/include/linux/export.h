/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In an external build all that ours export is in COMPAT_NAMESPACE. A module of
 * the kernel, or of others, that was built against the kernel's VFIO imports
 * nothing of that name and is refused. CONFIG_MODVERSIONS would refuse it, too,
 * because structs differ, but kernels from 7.2 on do not have it. KVM finds
 * VFIO by symbol_get(), which does not ask for namespaces.
 *
 * Until 6.12 the name of a namespace was a bare word.
 */
#ifndef _COMPAT_LINUX_EXPORT_H
#define _COMPAT_LINUX_EXPORT_H

#include_next <linux/export.h>

#if defined(COMPAT_NAMESPACE)
#undef EXPORT_SYMBOL
#define EXPORT_SYMBOL(sym)		__EXPORT_SYMBOL(sym, "", COMPAT_NAMESPACE)
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(sym)		__EXPORT_SYMBOL(sym, "GPL", COMPAT_NAMESPACE)
#undef EXPORT_SYMBOL_NS
#define EXPORT_SYMBOL_NS(sym, ns)	EXPORT_SYMBOL(sym)
#undef EXPORT_SYMBOL_NS_GPL
#define EXPORT_SYMBOL_NS_GPL(sym, ns)	EXPORT_SYMBOL_GPL(sym)
#elif defined(COMPAT_LACKS_STRING_NAMESPACES)
#undef EXPORT_SYMBOL_NS
#define EXPORT_SYMBOL_NS(sym, ns)	__EXPORT_SYMBOL(sym, "", ns)
#undef EXPORT_SYMBOL_NS_GPL
#define EXPORT_SYMBOL_NS_GPL(sym, ns)	__EXPORT_SYMBOL(sym, "GPL", ns)
#endif

#endif
