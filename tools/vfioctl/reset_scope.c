// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "reset_scope.h"
#include "sysfs.h"

struct strings reset_methods(const struct device *dev)
{
	char *text = sysfs_read("%s/reset_method", dev->path);

	return strings_split(text ? text : "", " ");
}

bool reset_method_is_hot(const char *method)
{
	return !strcmp(method, "bus") || !strcmp(method, "cxl_bus");
}

struct device **reset_others(const struct device *dev)
{
	struct devices *all = devices();
	struct device **others = mem_zalloc((all->count + 1) * sizeof(*others));
	size_t i, count = 0, length = strrchr(dev->path, '/') - dev->path + 1;
	char *bridge = mem_strdup(dev->path);

	/* On a root bus there is no bridge to reset. */
	bridge[length - 1] = '\0';
	if (strncmp(strrchr(bridge, '/'), "/pci", 4))
		for (i = 0; i < all->count; i++)
			if (all->list[i].path != dev->path &&
			    !strcmp(all->list[i].bus, "pci") &&
			    !strncmp(all->list[i].path, dev->path, length))
				others[count++] = &all->list[i];
	return others;
}
