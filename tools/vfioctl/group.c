// SPDX-License-Identifier: GPL-2.0-only
#include "group.h"

struct device **group_members(const struct device *dev)
{
	struct devices *all = devices();
	struct device **members;
	size_t i, count = 0;

	members = mem_zalloc((all->count + 1) * sizeof(*members));
	for (i = 0; i < all->count; i++) {
		struct device *other = &all->list[i];

		if (other->path == dev->path ||
		    (dev->group != NO_GROUP && other->group == dev->group))
			members[count++] = other;
	}
	return members;
}

struct device **group_in_the_way(const struct device *dev)
{
	struct device **members = group_members(dev);
	int i, kept = 0;

	for (i = 0; members[i]; i++)
		if (!members[i]->vfio &&
		    !driver_is_harmless(members[i]->driver))
			members[kept++] = members[i];
	members[kept] = NULL;
	return members;
}

char *group_names(struct device **members)
{
	struct strings names = { 0 };

	for (; *members; members++)
		strings_add(&names, "%s (%s)", (*members)->name,
			    (*members)->driver ? (*members)->driver :
			    "no driver");
	return strings_join(&names, ", ");
}
