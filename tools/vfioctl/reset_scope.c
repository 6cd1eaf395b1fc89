// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "reset_scope.h"
#include "sysfs.h"

/* On a root bus there is no bridge to reset. */
static bool has_bridge(const struct device *dev)
{
	const char *slash = strrchr(dev->path, '/');

	while (slash > dev->path && *--slash != '/')
		;
	return strncmp(slash, "/pci", 4);
}

struct strings reset_methods(const struct device *dev)
{
	char *text = sysfs_read("%s/reset_method", dev->path);
	struct strings all = strings_split(text ? text : "", " ");
	struct strings methods = { 0 };
	size_t i;

	for (i = 0; i < all.count; i++)
		if (strcmp(all.list[i], "bus") || !*reset_others(dev))
			strings_add(&methods, "%s", all.list[i]);
	if (has_bridge(dev))
		strings_add(&methods, RESET_HOT);
	return methods;
}

struct device **reset_others(const struct device *dev)
{
	struct devices *all = devices();
	struct device **others = mem_zalloc((all->count + 1) * sizeof(*others));
	size_t i, count = 0, length = strrchr(dev->path, '/') - dev->path + 1;

	if (has_bridge(dev))
		for (i = 0; i < all->count; i++)
			if (all->list[i].path != dev->path &&
			    !strcmp(all->list[i].bus, "pci") &&
			    !strncmp(all->list[i].path, dev->path, length))
				others[count++] = &all->list[i];
	return others;
}
