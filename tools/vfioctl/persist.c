// SPDX-License-Identifier: GPL-2.0-only
/*
 * "persist" and "forget": a udev rule per device, which one can read. It sets
 * driver_override when the device appears, before any driver is loaded for it.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "device.h"
#include "group.h"
#include "say.h"
#include "sysfs.h"
#include "user.h"

/* 80-drivers.rules loads drivers. */
#define RULES		"/etc/udev/rules.d"
#define PREFIX		"20-vfioctl-"
#define SUFFIX		".rules"
#define MODULES_LOAD	"/etc/modules-load.d/vfioctl.conf"
#define DRIVERCTL	"/etc/driverctl.d"

static char *rule_path(const char *name)
{
	return mem_printf(RULES "/" PREFIX "%s" SUFFIX, name);
}

/*
 * Where a device is plugged in. Buses are numbered as they are found, and a new
 * card moves the numbers; those of roots are the firmware's. Slots and functions
 * stay. The path is a pattern for udev; the name is one for a file, and on a root
 * bus the address.
 */
struct place {
	char *path, *name;
};

static struct place place_of(const struct device *dev)
{
	struct strings steps = strings_split(dev->path + strlen("/sys"), "/");
	struct strings path = { 0 }, name = { 0 };
	bool on_root_bus = false;
	size_t i;

	for (i = 0; i < steps.count; i++) {
		const char *step = steps.list[i];
		const char *bus = strchr(step, ':'), *slot = strrchr(step, ':');
		bool is_device = bus != slot;	/* 0000:00:02.0; pci0000:00 */

		/* An asterisk would match a slash, too. */
		if (is_device && !on_root_bus)
			strings_add(&path, "%.*s:??%s", (int)(bus - step), step,
				    slot);
		else
			strings_add(&path, "%s", step);
		if (is_device)
			strings_add(&name, "%s", on_root_bus ? step : slot + 1);
		on_root_bus = !is_device;
	}
	return (struct place) {
		.path = mem_printf("/%s", strings_join(&path, "/")),
		.name = strings_join(&name, "-"),
	};
}

static bool has_rule(const struct device *dev)
{
	return sysfs_exists("%s", rule_path(dev->name)) ||
	       sysfs_exists("%s", rule_path(place_of(dev).name));
}

/* udev knows accounts by name, and numbers as they are. */
static char *owner_rule(const char *owner, const char *mode)
{
	struct strings parts = { 0 };
	char *user = mem_strdup(owner ? owner : "");
	char *group = strchr(user, ':');

	if (group)
		*group++ = '\0';
	if (*user)
		strings_add(&parts, "OWNER=\"%s\"", user);
	if (group && *group)
		strings_add(&parts, "GROUP=\"%s\"", group);
	strings_add(&parts, "MODE=\"%s\"", mode ? mode :
		    group && *group ? "0660" : "0600");
	return strings_join(&parts, ", ");
}

struct persist_options {
	const char *driver, *owner, *mode;
	bool by_path, dry_run;
};

static char *rule_text(const struct device *dev,
		       const struct persist_options *o)
{
	struct strings lines = { 0 };
	struct place place = place_of(dev);
	char *match, *node;

	match = o->by_path ? mem_printf("DEVPATH==\"%s\"", place.path) :
			     mem_printf("KERNEL==\"%s\"", dev->name);
	node = o->by_path ? mem_printf("DEVPATH==\"%s/vfio-dev/*\"",
				       place.path) :
			    mem_printf("KERNELS==\"%s\"", dev->name);
	strings_add(&lines, "# %s (%s)", dev->full_name, dev->name);
	strings_add(&lines, "# Written by \"vfioctl persist\"; \"vfioctl forget %s\" removes it.",
		    o->by_path ? place.name : dev->name);
	strings_add(&lines, "ACTION==\"add\", SUBSYSTEM==\"pci\", %s, ATTR{vendor}==\"0x%04x\", ATTR{device}==\"0x%04x\", ATTR{driver_override}=\"%s\"",
		    match, dev->vendor, dev->device, o->driver);
	if (o->owner || o->mode)
		strings_add(&lines, "SUBSYSTEM==\"vfio-dev\", %s, %s", node,
			    owner_rule(o->owner, o->mode));
	strings_add(&lines, "%s", "");
	return strings_join(&lines, "\n");
}

/* Somebody else's word about the same device counts. */
static int driverctl_agrees(const struct device *dev, const char *driver)
{
	char *wanted = sysfs_read(DRIVERCTL "/pci-%s", dev->name);

	if (!wanted || !strcmp(wanted, driver))
		return 0;
	return say_error(dev->name, mem_printf("driverctl unset-override %s",
					       dev->name),
			 "driverctl gives it to %s at every boot", wanted);
}

static int write_file(const char *path, const char *text)
{
	int rc = file_replace(path, text, 0644);

	if (!rc)
		return 0;
	return say_error(path, geteuid() ? "run it as root" : NULL, "%s",
			 strerror(-rc));
}

/* The drivers of all rules are loaded at boot. */
static int write_modules(void)
{
	struct strings files = sysfs_list(RULES), lines = { 0 };
	size_t i, j;

	strings_add(&lines, "# Written by \"vfioctl persist\".");
	for (i = 0; i < files.count; i++) {
		char *text, *driver;

		if (strncmp(files.list[i], PREFIX, strlen(PREFIX)))
			continue;
		text = sysfs_read(RULES "/%s", files.list[i]);
		driver = text ? strstr(text, "ATTR{driver_override}=\"") : NULL;
		if (!driver)
			continue;
		driver = strtok(strchr(driver, '"') + 1, "\"");
		for (j = 0; driver && j < lines.count; j++)
			if (!strcmp(lines.list[j], driver))
				driver = NULL;
		if (driver)
			strings_add(&lines, "%s", driver);
	}
	if (lines.count == 1) {
		unlink(MODULES_LOAD);
		return 0;
	}
	strings_add(&lines, "%s", "");
	return write_file(MODULES_LOAD, strings_join(&lines, "\n"));
}

static int persist(const struct device *dev, const struct persist_options *o)
{
	struct device **others = group_in_the_way(dev);
	struct place place = place_of(dev);
	const char *name = o->by_path ? place.name : dev->name;
	const char *former = o->by_path ? dev->name : place.name;
	char *text;

	if (strcmp(dev->bus, "pci") || dev->bridge)
		return say_error(dev->name, NULL,
				 "only PCI devices, and no bridges, are bound by vfioctl");
	if (driverctl_agrees(dev, o->driver))
		return EXIT_NO;
	text = rule_text(dev, o);
	if (o->dry_run) {
		printf("# %s\n%s", rule_path(name), text);
		return EXIT_SUCCESS;
	}
	if (write_file(rule_path(name), text))
		return EXIT_NO;
	if (strcmp(former, name))
		unlink(rule_path(former));
	printf("%s: %s at every boot (%s)\n", dev->name, o->driver,
	       rule_path(name));
	for (; *others; others++)
		if (*others != dev && !has_rule(*others))
			say_note("%s (%s) is of the same group: without it %s cannot be used",
				 (*others)->name, (*others)->driver, dev->name);
	return EXIT_SUCCESS;
}

/* Attributes and names go into a rule as they are. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("._-:", *text))
			return false;
	return true;
}

static int run_persist(int argc, char **argv)
{
	static const struct option options[] = {
		{ "by-path", no_argument, NULL, 'p' },
		{ "driver", required_argument, NULL, 'd' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, 'm' },
		{ "owner", required_argument, NULL, 'o' },
		{ 0 }
	};
	struct persist_options o = { .driver = "vfio-pci" };
	struct device **list;
	int c, status = EXIT_SUCCESS;
	uid_t uid;
	gid_t gid;

	while ((c = getopt_long(argc, argv, "d:m:no:p", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			o.driver = optarg;
			break;
		case 'm':
			o.mode = optarg;
			break;
		case 'n':
			o.dry_run = true;
			break;
		case 'o':
			o.owner = optarg;
			break;
		case 'p':
			o.by_path = true;
			break;
		default:
			return say_usage("persist", NULL);
		}
	}
	if (optind == argc)
		return say_usage("persist", "name at least one device");
	if (!*o.driver || !is_plain(o.driver))
		return say_usage("persist", "'%s' is not the name of a driver",
				 o.driver);
	if (o.mode && (strlen(o.mode) > 4 || !*o.mode ||
		       strspn(o.mode, "01234567") != strlen(o.mode)))
		return say_usage("persist", "'%s' is not a mode, such as 0660",
				 o.mode);
	if (o.owner) {
		status = owner_parse(o.owner, &uid, &gid);
		if (!status && !is_plain(o.owner))
			status = say_usage("persist",
					   "'%s' cannot be in a udev rule",
					   o.owner);
		if (status)
			return status;
	}
	list = devices_find(argv + optind, argc - optind);
	if (!list)
		return EXIT_NO;
	for (; *list; list++)
		if (persist(*list, &o))
			status = EXIT_NO;
	if (status || o.dry_run)
		return status;
	if (write_modules())
		return EXIT_NO;
	printf("Next:\n    update-initramfs -u  # if the initramfs loads the host's driver of one\n");
	return EXIT_SUCCESS;
}

/* Remove a rule, if there is one: 0, 1 if there is none, or an error. */
static int remove_rule(const char *name)
{
	if (!unlink(rule_path(name))) {
		printf("%s: its own driver at the next boot\n", name);
		return 0;
	}
	if (errno == ENOENT)
		return 1;
	say_error(name, geteuid() ? "run it as root" : NULL,
		  "cannot remove %s: %s", rule_path(name), strerror(errno));
	return -errno;
}

static int forget(const char *name)
{
	const struct device *dev;
	int rc = 1, more;

	/* Of a device that may be long gone */
	if (!strchr(name, '/'))
		rc = remove_rule(name);
	if (rc < 0)
		return EXIT_NO;
	dev = rc ? device_find(name) : device_by_name(name);
	if (!dev)
		return rc ? EXIT_NO : EXIT_SUCCESS;
	/* The same device, named in the other way */
	more = remove_rule(dev->name);
	if (more > 0)
		more = remove_rule(place_of(dev).name);
	if (more < 0)
		return EXIT_NO;
	if (!rc || !more)
		return EXIT_SUCCESS;
	return say_error(dev->name, "vfioctl unbind, for this boot",
			 "there is no rule of \"vfioctl persist\" for it");
}

static int run_forget(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	int i, status = EXIT_SUCCESS;

	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return say_usage("forget", NULL);
	if (optind == argc)
		return say_usage("forget", "name at least one device");
	for (i = optind; i < argc; i++)
		if (forget(argv[i]))
			status = EXIT_NO;
	if (write_modules())
		status = EXIT_NO;
	return status;
}

const struct command persist_command = {
	.name = "persist",
	.arguments = "[options] DEVICE...",
	.summary = "Bind devices at every boot, before the host's drivers can",
	.run = run_persist,
	.options =
	" -d, --driver DRIVER   to that driver (default: vfio-pci)\n"
	" -o, --owner USER[:GROUP]\n"
	"                       who may open the device node\n"
	" -m, --mode MODE       its mode (default: 0600, with a group 0660)\n"
	" -p, --by-path         the device by where it is plugged in, not by its address,\n"
	"                       which changes when other cards come and go\n"
	" -n, --dry-run         print the udev rules and write none\n",
};

const struct command forget_command = {
	.name = "forget",
	.arguments = "DEVICE...",
	.summary = "Undo 'persist'",
	.run = run_forget,
};
