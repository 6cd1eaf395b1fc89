/* SPDX-License-Identifier: GPL-2.0-only */
/* Until 6.15 a link of a compatibility class could have another link in it. */
#ifndef _COMPAT_LINUX_DEVICE_CLASS_H
#define _COMPAT_LINUX_DEVICE_CLASS_H

#include_next <linux/device/class.h>

#ifdef COMPAT_LACKS_CLASS_COMPAT_LINK
#define class_compat_create_link(cls, dev) \
	class_compat_create_link(cls, dev, NULL)
#define class_compat_remove_link(cls, dev) \
	class_compat_remove_link(cls, dev, NULL)
#endif

#endif
