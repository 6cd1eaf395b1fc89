// SPDX-License-Identifier: GPL-2.0-only
/* Is a link of a compatibility class nothing but a link to the device? */
#include <linux/device/class.h>

int probe(struct class_compat *cls, struct device *dev);
int probe(struct class_compat *cls, struct device *dev)
{
	int ret = class_compat_create_link(cls, dev);

	class_compat_remove_link(cls, dev);
	return ret;
}
