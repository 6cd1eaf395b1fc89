// SPDX-License-Identifier: GPL-2.0-only
/* "vf": virtual functions; "token": the secret that their users share */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "device.h"
#include "holders.h"
#include "hostuse.h"
#include "rebind.h"
#include "say.h"
#include "state.h"
#include "sysdev.h"
#include "sysfs.h"
#include "user.h"

#define VF_SECONDS	60	/* firmware of a PF may take long */
#define TOKENS		"/run/vfioctl/tokens"

static struct device **vfs_of(const struct device *pf)
{
	long long count = sysfs_number(0, "%s/sriov_numvfs", pf->path), i;
	struct device **vfs = mem_zalloc((count + 1) * sizeof(*vfs));
	int found = 0;

	for (i = 0; i < count; i++) {
		char *name = sysfs_link("%s/virtfn%lld", pf->path, i);

		vfs[found] = name ? device_by_name(name) : NULL;
		if (vfs[found])
			found++;
	}
	return vfs;
}

/* Complain about each that somebody uses. */
static int vfs_refusals(struct device **vfs, bool force)
{
	int status = EXIT_SUCCESS;

	for (; *vfs; vfs++) {
		char *names = holders_names(*vfs);
		struct strings uses = host_uses(*vfs);

		if (names)
			status = say_error((*vfs)->name,
					   mem_printf("vfioctl who %s",
						      device_short(*vfs)),
					   "it is in use by %s", names);
		else if (uses.count && !force)
			status = say_error((*vfs)->name,
					   "end that use first, or --force",
					   "the host uses it: %s",
					   strings_join(&uses, "; "));
	}
	return status;
}

static int set_count(const struct device *pf, unsigned long count)
{
	char *path = mem_printf("%s/sriov_numvfs", pf->path);
	int rc = sysfs_write_within(path, mem_printf("%lu", count), VF_SECONDS);

	if (rc == -ENOENT && pf->driver && !strcmp(pf->driver, "vfio-pci"))
		return say_error(pf->name,
				 "echo Y > /sys/module/vfio_pci/parameters/enable_sriov",
				 "vfio-pci makes no VFs unless it is allowed to");
	if (rc)
		return say_error(pf->name, pf->driver ? "dmesg | tail" :
				 "bind it to its driver first",
				 "its driver (%s) does not make %lu VFs: %s",
				 pf->driver ? pf->driver : "none", count,
				 strerror(-rc));
	if ((unsigned long)sysfs_number(-1, "%s/sriov_numvfs", pf->path) != count)
		return say_error(pf->name, "dmesg | tail",
				 "it does not have %lu VFs afterwards", count);
	return 0;
}

/* A number of VFs can be changed by way of none only. */
static int change_count(const struct device *pf, unsigned long count,
			bool unbound)
{
	char *path = mem_printf("%s/sriov_drivers_autoprobe", pf->path);
	char *before = sysfs_read("%s", path);
	struct device **vfs = vfs_of(pf);
	int status = 0, rc;

	if (*vfs)
		status = set_count(pf, 0);
	if (status)
		return status;
	for (; *vfs; vfs++)
		state_forget((*vfs)->name);
	if (!count)
		return 0;
	if (unbound) {
		rc = file_write(path, "0");
		if (rc)
			return say_error(pf->name, NULL, "cannot write %s: %s",
					 path, strerror(-rc));
	}
	status = set_count(pf, count);
	if (unbound && before)
		file_write(path, before);
	return status;
}

static int run_vf(int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "unbound", no_argument, NULL, 'u' },
		{ 0 }
	};
	bool force = false, unbound = false;
	struct device *pf, **vfs;
	unsigned long count;
	long long total;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "fu", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			force = true;
			break;
		case 'u':
			unbound = true;
			break;
		default:
			return say_usage("vf", NULL);
		}
	}
	if (argc - optind != 2)
		return say_usage("vf", "name a PF and a number of VFs");
	count = strtoul(argv[optind + 1], &end, 10);
	if (*end || end == argv[optind + 1])
		return say_usage("vf", "'%s' is not a number", argv[optind + 1]);
	if (state_lock())
		return EXIT_NO;
	pf = device_find(argv[optind]);
	if (!pf)
		return EXIT_NO;
	total = sysfs_number(-1, "%s/sriov_totalvfs", pf->path);
	if (total < 0)
		return say_error(pf->name, NULL, "it is not a PF: it has no SR-IOV");
	if ((long long)count > total || *argv[optind + 1] == '-')
		return say_error(pf->name, NULL, "it can have %lld VFs at most",
				 total);
	if (rebind_allowed(pf))
		return EXIT_NO;
	if (sysfs_number(0, "%s/sriov_numvfs", pf->path) != (long long)count) {
		if (vfs_refusals(vfs_of(pf), force) ||
		    change_count(pf, count, unbound))
			return EXIT_NO;
		devices_refresh();
		pf = device_by_name(pf->name);
		if (!pf)
			return say_error(argv[optind], NULL,
					 "it has been unplugged");
	}
	printf("%s: %lu VFs\n", pf->name, count);
	for (vfs = vfs_of(pf); *vfs; vfs++)
		printf("%s: %s\n", (*vfs)->name,
		       (*vfs)->driver ? (*vfs)->driver : "no driver");
	return EXIT_SUCCESS;
}

/* ---- the token */

static int token_new(const char *path, uid_t uid, gid_t gid)
{
	char *uuid = sysfs_read("/proc/sys/kernel/random/uuid");
	int rc;

	if (!uuid)
		return say_error("/proc/sys/kernel/random/uuid", NULL, "%s",
				 strerror(errno));
	rc = file_replace(path, mem_printf("%s\n", uuid), 0400);
	if (rc)
		return say_error(path, geteuid() ? "run it as root" : NULL, "%s",
				 strerror(-rc));
	if (chown(path, uid, gid))
		return say_error(path, NULL, "cannot change its owner: %s",
				 strerror(errno));
	return 0;
}

static int run_token(int argc, char **argv)
{
	static const struct option options[] = {
		{ "new", no_argument, NULL, 'n' },
		{ "owner", required_argument, NULL, 'o' },
		{ 0 }
	};
	const char *owner = NULL;
	char *path, *token;
	uid_t uid = -1;
	gid_t gid = -1;
	bool new = false;
	struct device *dev;
	int c, status;

	while ((c = getopt_long(argc, argv, "no:", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			new = true;
			break;
		case 'o':
			owner = optarg;
			break;
		default:
			return say_usage("token", NULL);
		}
	}
	if (argc - optind != 1)
		return say_usage("token", "name one device");
	dev = device_find(argv[optind]);
	if (!dev)
		return EXIT_NO;
	/* A VF has that of its PF. */
	path = sysfs_link("%s/physfn", dev->path);
	if (!path && sysfs_number(-1, "%s/sriov_totalvfs", dev->path) < 0)
		return say_error(dev->name, NULL,
				 "it is neither a PF nor a VF: it has no token");
	path = mem_printf(TOKENS "/%s", path ? path : dev->name);
	if (owner) {
		status = owner_parse(owner, &uid, &gid);
		if (status)
			return status;
	}

	if (new || owner || !sysfs_exists("%s", path)) {
		mkdir(STATE_DIR, 0755);
		mkdir(TOKENS, 0711);
	}
	if (new || !sysfs_exists("%s", path)) {
		status = token_new(path, uid, gid);
		if (status)
			return status;
	} else if (owner && chown(path, uid, gid)) {
		return say_error(path, "run it as root",
				 "cannot change its owner: %s", strerror(errno));
	}
	token = sysfs_read("%s", path);
	if (!token)
		return say_error(path, NULL, "%s", strerror(errno));
	puts(token);
	return EXIT_SUCCESS;
}

const struct command vf_command = {
	.name = "vf",
	.arguments = "[options] PF NUMBER",
	.summary = "Make virtual functions of a device, or with 0 remove them",
	.run = run_vf,
	.options =
	" -u, --unbound         leave them without a driver of the host\n"
	" -f, --force           although the host uses one that is to go\n",
};

const struct command token_command = {
	.name = "token",
	.arguments = "[options] DEVICE",
	.summary = "Print the VF token of a PF, which its users share",
	.run = run_token,
	.options =
	" -n, --new             make a new one\n"
	" -o, --owner USER      who may read it (default: root)\n"
	"\nIt is kept in " TOKENS ", in a file that only its owner reads.\n",
};
