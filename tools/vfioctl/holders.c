// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "holders.h"
#include "sysfs.h"

static struct holders found;
static bool looked;

/* What was seen of one process */
struct process {
	pid_t pid;
	const char *comm;
	uid_t uid;
	pid_t parent;
	time_t since;
	bool known;			/* the above has been read */
	size_t first;			/* its first holder */
};

static time_t boot_time(void)
{
	struct timespec real, up;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return real.tv_sec - up.tv_sec;
}

static void process_know(struct process *p)
{
	unsigned long long ticks;
	char *fields, *comm;
	struct stat st;

	p->known = true;
	comm = sysfs_read("/proc/%d/comm", p->pid);
	p->comm = comm ? comm : "?";
	if (!stat(mem_printf("/proc/%d", p->pid), &st))
		p->uid = st.st_uid;
	fields = sysfs_read("/proc/%d/stat", p->pid);
	/* The name is in parentheses and may have any in it. */
	fields = fields ? strrchr(fields, ')') : NULL;
	if (fields && sscanf(fields, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     &p->parent, &ticks) == 2)
		p->since = boot_time() + ticks / sysconf(_SC_CLK_TCK);
}

static struct holder *holder_get(struct process *p, enum held what,
				 const char *thing)
{
	struct holder *h;
	size_t i;

	/* Contexts are told apart, devices and groups are not. */
	for (i = p->first; what != HELD_CONTEXT && i < found.count; i++)
		if (found.list[i].what == what &&
		    !strcmp(found.list[i].thing, thing))
			return &found.list[i];
	if (!p->known)
		process_know(p);
	h = mem_add(found.list, found.count);
	h->what = what;
	h->thing = mem_strdup(thing);
	h->pid = p->pid;
	h->parent = p->parent;
	h->comm = p->comm;
	h->uid = p->uid;
	h->since = p->since;
	return h;
}

/* vfio3 of its node, or its name from fdinfo for files that came by a group */
static const char *device_of_node(const char *node)
{
	struct devices *all = devices();
	size_t i;

	for (i = 0; i < all->count; i++)
		if (all->list[i].node && !strcmp(all->list[i].node, node))
			return all->list[i].name;
	return NULL;
}

/* Is the line "KEY:\tVALUE"? If so, that is the value. */
static bool value_of(const char *line, const char *key, const char **value)
{
	size_t length = strlen(key);

	if (strncmp(line, key, length) || line[length] != ':')
		return false;
	line += length + 1;
	*value = line + strspn(line, " \t");
	return true;
}

static struct ioas *ioas_get(struct holder *h, unsigned int id)
{
	struct ioas *ioas;
	size_t i;

	for (i = 0; i < h->num_ioas; i++)
		if (h->ioas[i].id == id)
			return &h->ioas[i];
	ioas = mem_add(h->ioas, h->num_ioas);
	ioas->id = id;
	ioas->devices = "";
	return ioas;
}

static void read_context(struct holder *h, struct strings lines)
{
	unsigned long long areas, mapped, pinned;
	unsigned int id;
	const char *text;
	size_t i;

	for (i = 0; i < lines.count; i++) {
		const char *line = lines.list[i];

		if (value_of(line, "accounting", &h->accounting) ||
		    value_of(line, "last-refusal", &h->refusal))
			continue;
		if (value_of(line, "refusals", &text)) {
			h->refusals = strtoull(text, NULL, 10);
		} else if (sscanf(line, "ioas-%u: areas=%llu mapped=%llu pinned=%llu",
				  &id, &areas, &mapped, &pinned) == 4) {
			struct ioas *ioas = ioas_get(h, id);

			ioas->areas = areas;
			ioas->mapped = mapped;
			ioas->pinned = pinned;
		} else if (sscanf(line, "ioas-%u", &id) == 1 &&
			   value_of(line, mem_printf("ioas-%u-devices", id),
				    &text)) {
			ioas_get(h, id)->devices = text;
		}
	}
}

static void look_at_fd(struct process *p, const char *fd)
{
	char target[PATH_MAX];
	const char *device = NULL, *state = NULL, *refusal = NULL, *text;
	struct strings lines = { 0 };
	struct holder *h;
	ssize_t length;
	char *info;
	size_t i;

	length = readlink(mem_printf("/proc/%d/fd/%s", p->pid, fd), target,
			  sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	if (strncmp(target, "/dev/vfio/", 10) && strcmp(target, "/dev/iommu") &&
	    strcmp(target, "anon_inode:[vfio-device]"))
		return;

	info = sysfs_read("/proc/%d/fdinfo/%s", p->pid, fd);
	if (info)
		lines = strings_split(info, "\n");
	if (!strcmp(target, "/dev/iommu") || !strcmp(target, "/dev/vfio/vfio")) {
		h = holder_get(p, HELD_CONTEXT, target);
		read_context(h, lines);
		strings_add(&h->fds, "%s", fd);
		return;
	}
	for (i = 0; i < lines.count; i++) {
		const char *line = lines.list[i];

		/* The kernel's own modules say the path only, of late. */
		if (value_of(line, "vfio-device-syspath", &text))
			device = strrchr(text, '/') + 1;
		value_of(line, "vfio-device-name", &device);
		value_of(line, "vfio-state", &state);
		value_of(line, "vfio-refusal", &refusal);
	}
	if (!strncmp(target, "/dev/vfio/devices/", 18) && !device)
		device = device_of_node(target + 18);
	if (!strncmp(target, "/dev/vfio/devices/", 18) ||
	    !strncmp(target, "anon_inode:", 11)) {
		h = holder_get(p, HELD_DEVICE, device ? device : "?");
		if (state)
			h->state = state;
	} else {
		h = holder_get(p, HELD_GROUP, target + 10);
	}
	if (refusal)
		h->refusal = refusal;
	strings_add(&h->fds, "%s", fd);
}

/* A program may have closed the descriptor and kept a mapping. */
static void look_at_maps(struct process *p)
{
	char *maps = sysfs_read("/proc/%d/maps", p->pid);
	struct strings lines;
	size_t i;

	if (!maps || (!strstr(maps, "/dev/vfio/devices/") &&
		      !strstr(maps, "anon_inode:[vfio-device]")))
		return;
	lines = strings_split(maps, "\n");
	for (i = 0; i < lines.count; i++) {
		const char *node = strstr(lines.list[i], "/dev/vfio/devices/");
		const char *device = NULL;
		size_t j;

		if (node) {
			device = device_of_node(node + 18);
		} else if (strstr(lines.list[i], "anon_inode:[vfio-device]")) {
			/* Whose is not said: it is if the process has one only. */
			for (j = p->first; j < found.count; j++)
				if (found.list[j].what == HELD_DEVICE)
					device = device ? "?" :
						 found.list[j].thing;
		} else {
			continue;
		}
		holder_get(p, HELD_DEVICE, device ? device : "?")->num_mappings++;
	}
}

static void look_at(pid_t pid)
{
	struct process p = { .pid = pid, .first = found.count };
	struct strings fds;
	size_t i;

	fds = sysfs_list("/proc/%d/fd", pid);
	/* Another user's cannot be read. Threads of the kernel hold nothing. */
	if (!fds.count && access(mem_printf("/proc/%d/fd", pid), R_OK) &&
	    errno == EACCES) {
		char *cmdline = sysfs_read("/proc/%d/cmdline", pid);

		found.hidden += !cmdline || *cmdline;
	}
	for (i = 0; i < fds.count; i++)
		look_at_fd(&p, fds.list[i]);
	look_at_maps(&p);
}

/* Descriptors that a child got by fork(), and may know nothing of */
static void mark_inherited(void)
{
	size_t i, j;

	for (i = 0; i < found.count; i++)
		for (j = 0; j < found.count; j++) {
			struct holder *h = &found.list[i], *p = &found.list[j];

			if (h->parent == p->pid && h->what == p->what &&
			    !strcmp(h->thing, p->thing) && h->fds.count &&
			    p->fds.count &&
			    !syscall(SYS_kcmp, h->pid, p->pid, KCMP_FILE,
				     atol(h->fds.list[0]),
				     atol(p->fds.list[0])))
				h->inherited = true;
		}
}

/* Each open device has a reference to the module of its driver. */
static int devices_adrift(void)
{
	long long open = sysfs_number(-1, "/sys/module/vfio_pci/refcnt");
	struct devices *all = devices();
	int seen = 0;
	size_t i, j;

	if (open < 0)
		return -1;
	for (i = 0; i < all->count; i++) {
		const struct device *dev = &all->list[i];

		if (!dev->driver || strcmp(dev->driver, "vfio-pci"))
			continue;
		for (j = 0; j < found.count; j++)
			if (found.list[j].what == HELD_DEVICE &&
			    (!strcmp(found.list[j].thing, dev->name) ||
			     !strcmp(found.list[j].thing, "?"))) {
				seen++;
				break;
			}
	}
	return open > seen ? open - seen : 0;
}

void holders_refresh(void)
{
	struct strings names = sysfs_list("/proc");
	size_t i;

	found = (struct holders){ 0 };
	for (i = 0; i < names.count; i++)
		if (isdigit((unsigned char)*names.list[i]))
			look_at(atoi(names.list[i]));
	mark_inherited();
	found.adrift = found.hidden ? -1 : devices_adrift();
	looked = true;
}

struct holders *holders(void)
{
	if (!looked)
		holders_refresh();
	return &found;
}

bool holder_of(const struct holder *h, const struct device *dev)
{
	const char *group;

	switch (h->what) {
	case HELD_DEVICE:
		return !strcmp(h->thing, dev->name);
	case HELD_GROUP:
		group = device_group_path(dev);
		return group && !strcmp(h->thing, group + 10);
	default:
		return false;
	}
}

char *holders_names(const struct device *dev)
{
	struct holders *all = holders();
	struct strings names = { 0 };
	pid_t last = 0;
	size_t i;

	for (i = 0; i < all->count; i++) {
		const struct holder *h = &all->list[i];

		if (!holder_of(h, dev) || h->pid == last)
			continue;
		last = h->pid;
		strings_add(&names, "%s (%d)", h->comm, h->pid);
	}
	return names.count ? strings_join(&names, ", ") : NULL;
}
