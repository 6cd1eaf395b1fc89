// SPDX-License-Identifier: GPL-2.0-only
/* "reset": with the scope shown first */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "group.h"
#include "holders.h"
#include "reset_scope.h"
#include "say.h"
#include "sysdev.h"
#include "sysfs.h"
#include "uvfio.h"

static bool is_in(const struct strings *s, const char *text)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!strcmp(s->list[i], text))
			return true;
	return false;
}

/* What would be reset that somebody uses, in words; none: it may be done */
static struct strings victims(const struct device *dev, struct device **others)
{
	struct strings found = { 0 };
	char *names = holders_names(dev);

	if (names)
		strings_add(&found, "%s is in use by %s", dev->name, names);
	else if (!driver_is_harmless(dev->driver))
		strings_add(&found, "%s is bound to the host driver %s",
			    dev->name, dev->driver);
	for (; *others; others++) {
		names = holders_names(*others);
		if (names)
			strings_add(&found, "%s is in use by %s",
				    (*others)->name, names);
		else if (!driver_is_harmless((*others)->driver))
			strings_add(&found, "%s is bound to the host driver %s",
				    (*others)->name, (*others)->driver);
	}
	return found;
}

static int reset(const struct device *dev, const char *method)
{
	char *choice = mem_printf("%s/reset_method", dev->path);
	char *before = sysfs_read("%s", choice);
	int rc;

	/* The list is of what the kernel tries; it is put back afterwards. */
	rc = file_write(choice, method);
	if (rc)
		return say_error(dev->name,
				 rc == -EACCES ? "run it as root" : NULL,
				 "cannot choose the method %s: %s", method,
				 strerror(-rc));
	rc = file_write(mem_printf("%s/reset", dev->path), "1");
	if (before)
		file_write(choice, before);
	if (rc)
		return say_error(dev->name, "dmesg | tail",
				 "the reset failed: %s", strerror(-rc));
	printf("%s: reset\n", dev->name);
	return EXIT_SUCCESS;
}

/* All of them have to be ours, which is what the kernel checks. */
static int hot_reset(const struct device *dev, struct device **others)
{
	struct vfio_pci_hot_reset request = { .argsz = sizeof(request) };
	struct uvfio_device vfio, *more;
	struct uvfio_iommu iommu;
	int rc, i, count = 0;

	while (others[count])
		count++;
	more = mem_zalloc((count + 1) * sizeof(*more));
	for (i = 0; i < count; i++)
		more[i].fd = -1;
	vfio.fd = -1;
	if (!dev->node)
		return say_error(dev->name, mem_printf("vfioctl bind --group %s",
						       device_short(dev)),
				 "a hot reset is for whoever has all devices it hits: it has no node in /dev/vfio/devices");
	rc = uvfio_iommu_open(&iommu);
	if (rc)
		return say_error("/dev/iommu", "modprobe iommufd", "%s",
				 uvfio_error());
	rc = uvfio_device_open(&vfio, dev->name);
	if (!rc)
		rc = uvfio_device_bind(&vfio, &iommu);
	for (i = 0; i < count && !rc; i++) {
		if (!others[i]->vfio)
			continue;
		rc = uvfio_device_open(&more[i], others[i]->name);
		if (!rc)
			rc = uvfio_device_bind(&more[i], &iommu);
	}
	if (rc)
		say_error(dev->name, mem_printf("vfioctl why %s",
						device_short(dev)),
			  "%s", uvfio_error());
	else if (ioctl(vfio.fd, VFIO_DEVICE_PCI_HOT_RESET, &request))
		rc = say_error(dev->name, "dmesg | tail",
			       "the hot reset failed: %s", strerror(errno));
	else
		printf("%s: reset, with all that is behind the same bridge\n",
		       dev->name);
	for (i = 0; i < count; i++)
		if (more[i].fd >= 0)
			uvfio_device_close(&more[i]);
	if (vfio.fd >= 0)
		uvfio_device_close(&vfio);
	uvfio_iommu_close(&iommu);
	return rc ? EXIT_NO : EXIT_SUCCESS;
}

static int run_reset(int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "method", required_argument, NULL, 'm' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ 0 }
	};
	static struct device *nobody[] = { NULL };
	struct strings methods, hit;
	struct device *dev, **others;
	const char *method = NULL, *first;
	bool dry_run = false, force = false, hot;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "fm:n", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			force = true;
			break;
		case 'm':
			method = optarg;
			break;
		case 'n':
			dry_run = true;
			break;
		default:
			return say_usage("reset", NULL);
		}
	}
	if (argc - optind != 1)
		return say_usage("reset", "name one device");
	dev = device_find(argv[optind]);
	if (!dev)
		return EXIT_NO;
	methods = reset_methods(dev);
	if (!methods.count)
		return say_error(dev->name, NULL,
				 "the kernel knows no way to reset it");
	if (method && !is_in(&methods, method))
		return say_error(dev->name,
				 mem_printf("one of these: %s",
					    strings_join(&methods, " ")),
				 "it cannot be reset by '%s'", method);

	first = method ? method : methods.list[0];
	hot = !strcmp(first, RESET_HOT);
	others = hot ? reset_others(dev) : nobody;
	printf("%s: by %s, which resets %s%s\n", dev->name, first,
	       *others ? "also " : "it alone",
	       *others ? group_names(others) : "");
	hit = victims(dev, others);
	for (i = 0; i < hit.count; i++)
		if (force || dry_run)
			say_note("%s", hit.list[i]);
		else
			say_error(NULL, NULL, "%s", hit.list[i]);
	if (dry_run)
		return hit.count && !force ? EXIT_NO : EXIT_SUCCESS;
	if (hit.count && !force)
		return say_error(dev->name, mem_printf("vfioctl reset --force %s",
						       device_short(dev)),
				 "not reset, because of that");
	return hot ? hot_reset(dev, others) : reset(dev, first);
}

const struct command reset_command = {
	.name = "reset",
	.arguments = "[options] DEVICE",
	.summary = "Reset a device, and show first what else that would hit",
	.run = run_reset,
	.options =
	" -m, --method METHOD   by that of its methods ('vfioctl show' lists them); hot: by\n"
	"                       the bridge above, with all that is behind it\n"
	" -n, --dry-run         only show\n"
	" -f, --force           although somebody uses it, or what else is hit\n",
};
