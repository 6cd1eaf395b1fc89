// SPDX-License-Identifier: GPL-2.0-only
/* "bind", "unbind" and "restore" */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "group.h"
#include "holders.h"
#include "host.h"
#include "hostuse.h"
#include "nodes.h"
#include "rebind.h"
#include "say.h"
#include "state.h"
#include "sysfs.h"
#include "user.h"

#define DEFAULT_DRIVER	"vfio-pci"

struct bind_options {
	const char *driver;
	const char *owner;
	uid_t uid;
	gid_t gid;
	bool group, dry_run, force;
};

/* Only kill -9 ends what is going on between here and the end. */
static void signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool has_driver(const struct device *dev, const char *driver)
{
	return dev->driver && !strcmp(dev->driver, driver);
}

/*
 * What there is to bind: the devices that were named, and with --group the rest
 * of their groups. NULL after a complaint.
 */
static struct device **devices_to_bind(struct device **named,
				       const struct bind_options *o)
{
	struct devices *all = devices();
	struct device **list = mem_zalloc((all->count + 1) * sizeof(*list));
	struct device **members, **others;
	size_t i, count = 0;
	bool *wanted = mem_zalloc(all->count);

	for (; *named; named++) {
		wanted[*named - all->list] = true;
		members = group_members(*named);
		for (; o->group && *members; members++)
			if (!(*members)->bridge)
				wanted[*members - all->list] = true;
	}
	for (i = 0; i < all->count; i++)
		if (wanted[i])
			list[count++] = &all->list[i];

	/* With another driver than VFIO's the rest of a group does not matter. */
	if (!driver_is_vfio(o->driver))
		return list;
	for (i = 0; i < count; i++) {
		struct strings missing = { 0 };

		others = group_in_the_way(list[i]);
		for (; *others; others++)
			if (!wanted[*others - all->list])
				strings_add(&missing, "%s (%s)",
					    (*others)->name,
					    (*others)->driver);
		if (missing.count) {
			say_error(list[i]->name,
				  o->group ? NULL :
				  mem_printf("vfioctl bind --group %s",
					     device_short(list[i])),
				  "IOMMU group %d cannot be divided, and host drivers have these of it: %s",
				  list[i]->group,
				  strings_join(&missing, ", "));
			return NULL;
		}
	}
	return list;
}

/* Complaints about all that speaks against it */
static int refusals(struct device **list, const struct bind_options *o)
{
	int status = EXIT_SUCCESS;

	for (; *list; list++) {
		const struct device *dev = *list;
		struct strings uses;
		char *names;

		if (dev->bridge) {
			status = say_error(dev->name, NULL,
					   "it is a bridge, which stays with the host");
			continue;
		}
		if (rebind_allowed(dev)) {
			status = EXIT_NO;
			continue;
		}
		if (has_driver(dev, o->driver))
			continue;
		names = holders_names(dev);
		if (names) {
			status = say_error(dev->name,
					   mem_printf("vfioctl who %s",
						      device_short(dev)),
					   "it is in use by %s", names);
			continue;
		}
		uses = host_uses(dev);
		if (uses.count && !o->force)
			status = say_error(dev->name,
					   "end that use first, or --force to lose what depends on it",
					   "the host uses it: %s",
					   strings_join(&uses, "; "));
	}
	return status;
}

static int load_driver(const char *driver)
{
	int rc;

	if (!sysfs_exists(PCI_DRIVERS "/%s", driver)) {
		rc = host_module_load(driver);
		if (rc || !sysfs_exists(PCI_DRIVERS "/%s", driver))
			return say_error(driver, "vfioctl check",
					 "there is no such driver, and its module cannot be loaded: %s",
					 strerror(rc ? -rc : ENOENT));
	}
	/* Kernels without iommufd need it for all groups. */
	if (driver_is_vfio(driver) && !sysfs_exists("/dev/iommu"))
		host_module_load("vfio_iommu_type1");
	return 0;
}

static char *nodes_text(const struct device *dev)
{
	const char *node = device_node_path(dev);

	if (!node)
		node = device_group_path(dev);
	return mem_printf("%s%s%s", node ? " (" : "", node ? node : "",
			  node ? ")" : "");
}

/* Back to what each had, the last one first */
static void roll_back(struct device **list, size_t count, const bool *was_saved)
{
	while (count--) {
		const struct device *dev = list[count];

		if (!sysfs_exists("%s", dev->path)) {
			state_forget(dev->name);
			continue;
		}
		if (rebind(dev, dev->driver, dev->override))
			say_error(dev->name, mem_printf("vfioctl unbind %s",
							device_short(dev)),
				  "it could not be given back to %s",
				  dev->driver ? dev->driver : "no driver");
		else if (!was_saved[count])
			state_forget(dev->name);
	}
}

static int bind_all(struct device **list, const struct bind_options *o)
{
	size_t i, count = 0;
	bool *was_saved;
	int status = EXIT_SUCCESS;

	while (list[count])
		count++;
	was_saved = mem_zalloc(count + 1);
	signals_block();
	for (i = 0; i < count && !status; i++) {
		was_saved[i] = state_of(list[i]);
		if (!has_driver(list[i], o->driver))
			status = state_save(list[i]);
		if (!status)
			status = rebind(list[i], o->driver, o->driver);
	}
	/* What they had is in the list, what they have comes from sysfs. */
	if (!status && o->owner)
		status = nodes_give(list, o->uid, o->gid);
	if (status) {
		roll_back(list, i, was_saved);
		if (i > 1)
			say_note("all is as it was before");
	}
	return status;
}

static void print_bound(struct device **list, const struct bind_options *o)
{
	const char *first = NULL, *user = NULL;

	if (o->owner && o->uid != (uid_t)-1 && sysfs_exists("/dev/iommu"))
		user = user_name(o->uid);
	devices_refresh();
	for (; *list; list++) {
		const struct device *now = device_by_name((*list)->name);

		if (!now)
			continue;
		if (!first)
			first = device_short(now);
		if (has_driver(*list, o->driver))
			printf("%s: bound to %s already%s\n", now->name,
			       o->driver, nodes_text(now));
		else
			printf("%s: %s -> %s%s\n", now->name, (*list)->driver ?
			       (*list)->driver : "no driver", o->driver,
			       nodes_text(now));
	}
	if (first && driver_is_vfio(o->driver))
		printf("Next:\n    vfioctl config %s --for qemu%s%s\n", first,
		       user ? " --user " : "", user ? user : "");
}

static int run_bind(int argc, char **argv)
{
	static const struct option options[] = {
		{ "driver", required_argument, NULL, 'd' },
		{ "force", no_argument, NULL, 'f' },
		{ "group", no_argument, NULL, 'g' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "owner", required_argument, NULL, 'o' },
		{ 0 }
	};
	struct bind_options o = { .driver = DEFAULT_DRIVER };
	struct device **list;
	int c, status;

	while ((c = getopt_long(argc, argv, "d:fgno:", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			o.driver = optarg;
			break;
		case 'f':
			o.force = true;
			break;
		case 'g':
			o.group = true;
			break;
		case 'n':
			o.dry_run = true;
			break;
		case 'o':
			o.owner = optarg;
			break;
		default:
			return say_usage("bind", NULL);
		}
	}
	if (optind == argc)
		return say_usage("bind", "name at least one device");
	if (strchr(o.driver, '/') || !*o.driver)
		return say_usage("bind", "'%s' is not the name of a driver",
				 o.driver);
	if (o.owner) {
		status = owner_parse(o.owner, &o.uid, &o.gid);
		if (status)
			return status;
	}
	if (!o.dry_run && state_lock())
		return EXIT_NO;
	list = devices_find(argv + optind, argc - optind);
	if (list)
		list = devices_to_bind(list, &o);
	if (!list)
		return EXIT_NO;
	status = refusals(list, &o);
	if (o.dry_run) {
		for (; *list; list++)
			printf("would bind %s: %s -> %s\n", (*list)->name,
			       (*list)->driver ? (*list)->driver : "no driver",
			       o.driver);
		return status;
	}
	if (!status)
		status = load_driver(o.driver);
	if (!status)
		status = bind_all(list, &o);
	if (!status)
		print_bound(list, &o);
	return status;
}

/* ---- back again */

static int give_back(const struct device *dev)
{
	struct saved *saved = state_of(dev);
	char *names = holders_names(dev);
	const char *now;
	int status;

	if (rebind_allowed(dev))
		return EXIT_NO;
	if (!saved && !dev->vfio &&
	    !driver_is_vfio(dev->override)) {
		printf("%s: not bound to a VFIO driver, left with %s\n",
		       dev->name, dev->driver ? dev->driver : "no driver");
		return EXIT_SUCCESS;
	}
	if (names)
		return say_error(dev->name,
				 mem_printf("vfioctl who %s", device_short(dev)),
				 "it is in use by %s", names);
	if (saved && saved->driver &&
	    !sysfs_exists(PCI_DRIVERS "/%s", saved->driver))
		host_module_load(saved->driver);
	signals_block();
	status = saved ? rebind(dev, saved->driver, saved->override) :
			 rebind_default(dev);
	if (status)
		return status;
	state_forget(dev->name);
	now = device_driver_now(dev);
	printf("%s: %s -> %s\n", dev->name,
	       dev->driver ? dev->driver : "no driver", now ? now : "no driver");
	return EXIT_SUCCESS;
}

static int run_unbind(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	int status = EXIT_SUCCESS;
	struct device **list;

	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return say_usage("unbind", NULL);
	if (optind == argc)
		return say_usage("unbind", "name at least one device");
	if (state_lock())
		return EXIT_NO;
	list = devices_find(argv + optind, argc - optind);
	if (!list)
		return EXIT_NO;
	for (; *list; list++)
		if (give_back(*list))
			status = EXIT_NO;
	return status;
}

static int run_restore(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	int status = EXIT_SUCCESS;
	struct saved **all;

	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return say_usage("restore", NULL);
	if (optind < argc)
		return say_usage("restore", "unexpected argument '%s': 'unbind' is for single devices",
				 argv[optind]);
	if (state_lock())
		return EXIT_NO;
	for (all = state_all(); *all; all++) {
		struct device *dev = device_by_name((*all)->name);

		if (dev && state_of(dev)) {
			if (give_back(dev))
				status = EXIT_NO;
			continue;
		}
		say_note("%s has been unplugged%s: there is nothing to restore",
			 (*all)->name, dev ? ", and another device is there" : "");
		state_forget((*all)->name);
	}
	return status;
}

const struct command bind_command = {
	.name = "bind",
	.arguments = "[options] DEVICE...",
	.summary = "Take devices from the host, for a program to use",
	.run = run_bind,
	.options =
	" -d, --driver DRIVER   bind to that driver (default: " DEFAULT_DRIVER ")\n"
	" -g, --group           and all other devices of their IOMMU groups\n"
	" -o, --owner USER[:GROUP]\n"
	"                       who may open the device nodes\n"
	" -n, --dry-run         only say what would be done, or what is in the way\n"
	" -f, --force           although the host uses a device\n",
};

const struct command unbind_command = {
	.name = "unbind",
	.arguments = "DEVICE...",
	.summary = "Give devices back to the driver that they had",
	.run = run_unbind,
};

const struct command restore_command = {
	.name = "restore",
	.arguments = "",
	.summary = "Give back all devices that vfioctl has bound",
	.run = run_restore,
};
