/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Until 6.12 the name of a namespace was a bare word. In an external build each
 * module, which all have a licence, imports what the others export.
 */
#ifndef _COMPAT_LINUX_MODULE_H
#define _COMPAT_LINUX_MODULE_H

#include_next <linux/module.h>

#ifdef COMPAT_LACKS_STRING_NAMESPACES
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns)	MODULE_INFO(import_ns, ns)
/* It still is one in the kernel's own variant drivers, see "make variants" */
#define IOMMUFD		"IOMMUFD"
#define CRYPTO_QAT	"CRYPTO_QAT"
#endif

#ifdef COMPAT_NAMESPACE
#undef MODULE_LICENSE
#define MODULE_LICENSE(license_name)			\
	MODULE_FILE MODULE_INFO(license, license_name);	\
	MODULE_INFO(import_ns, COMPAT_NAMESPACE)
#endif

#endif
