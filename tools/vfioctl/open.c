// SPDX-License-Identifier: GPL-2.0-only
/*
 * "open": a launcher. It opens /dev/iommu and the nodes of devices with its own
 * rights, and runs a command that has none of these with the descriptors: from 3
 * on, as of systemd's LISTEN_FDS, first that of /dev/iommu.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sys/capability.h>

#include "command.h"
#include "device.h"
#include "memlock.h"
#include "say.h"
#include "user.h"

#define FIRST_FD	3

static int fd_of(int index)
{
	return FIRST_FD + index;
}

/* Open it as descriptor number @fd, whichever that was before. */
static int open_as(const char *path, int fd, const char *remedy)
{
	int opened = open(path, O_RDWR);

	if (opened < 0)
		return say_error(path, remedy, "%s", strerror(errno));
	if (opened != fd) {
		if (dup2(opened, fd) < 0)
			return say_error(path, NULL, "%s", strerror(errno));
		close(opened);
	}
	return 0;
}

static int open_all(struct device **list)
{
	int i, status;

	/* Libraries have files open, too, which are not to be taken from them. */
	devices_release();
	status = open_as("/dev/iommu", fd_of(0), access("/dev/iommu", F_OK) ?
			 "modprobe iommufd" :
			 mem_printf("vfioctl why %s", device_short(list[0])));
	for (i = 0; list[i] && !status; i++)
		status = open_as(device_node_path(list[i]), fd_of(i + 1),
				 mem_printf("vfioctl why %s",
					    device_short(list[i])));
	return status;
}

/*
 * Replace {iommu}, {0}, {1} ... by the numbers of their descriptors, and each {}
 * by the next one. NULL after a complaint.
 */
static char *expand(const char *word, int num_devices, int *next)
{
	struct strings parts = { 0 };
	const char *brace, *close;

	while ((brace = strchr(word, '{')) && (close = strchr(brace, '}'))) {
		size_t length = close - brace - 1;
		int index = -1, end = 0;

		if (!length)
			index = (*next)++;
		else if (length == 5 && !strncmp(brace, "{iommu", 6))
			index = 0;
		else if (sscanf(brace, "{%d}%n", &index, &end) == 1 && end)
			index = index < 0 ? num_devices + 1 : index + 1;
		if (index < 0) {	/* something else's, such as JSON */
			strings_add(&parts, "%.*s", (int)(brace - word + 1),
				    word);
			word = brace + 1;
			continue;
		}
		if (index > num_devices) {
			say_usage("open", "there is no device for '%.*s'",
				  (int)length + 2, brace);
			return NULL;
		}
		strings_add(&parts, "%.*s%d", (int)(brace - word), word,
			    fd_of(index));
		word = close + 1;
	}
	strings_add(&parts, "%s", word);
	return strings_join(&parts, "");
}

static char **command_line(char **argv, int argc, int num_devices)
{
	char **words = mem_zalloc((argc + 1) * sizeof(*words));
	int i, next = 0;

	for (i = 0; i < argc; i++) {
		words[i] = expand(argv[i], num_devices, &next);
		if (!words[i])
			return NULL;
	}
	return words;
}

static void announce(struct device **list)
{
	struct strings names = { 0 };
	char *name, *c;
	int count;

	strings_add(&names, "iommu");
	for (count = 1; *list; list++, count++) {
		name = mem_strdup((*list)->name);
		for (c = name; *c; c++)		/* what divides them */
			if (*c == ':')
				*c = '-';
		strings_add(&names, "%s", name);
	}
	setenv("LISTEN_PID", mem_printf("%d", getpid()), 1);
	setenv("LISTEN_FDS", mem_printf("%d", count), 1);
	setenv("LISTEN_FDNAMES", strings_join(&names, ":"), 1);
}

/* No right but those of the user is left, and none can be had again. */
static int drop_rights(const struct user *user)
{
	cap_t none;
	int rc;

	if (user) {
		if (setgroups(user->num_groups, user->groups) ||
		    setresgid(user->gid, user->gid, user->gid) ||
		    setresuid(user->uid, user->uid, user->uid))
			return say_error(user->name, "run it as root",
					 "cannot become that user: %s",
					 strerror(errno));
		setenv("USER", user->name, 1);
		setenv("LOGNAME", user->name, 1);
	} else if (geteuid() != getuid() || getegid() != getgid()) {
		if (setresgid(getgid(), getgid(), getgid()) ||
		    setresuid(getuid(), getuid(), getuid()))
			return say_error(NULL, NULL, "cannot drop rights: %s",
					 strerror(errno));
	}
	none = cap_init();
	rc = none ? cap_set_proc(none) : -1;
	cap_free(none);
	if (rc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return say_error(NULL, NULL, "cannot drop capabilities: %s",
				 strerror(errno));
	return 0;
}

static int run_open(int argc, char **argv)
{
	static const struct option options[] = {
		{ "memlock", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ 0 }
	};
	unsigned long long memlock = 0;
	int c, num_devices = 0, first, i;
	const struct user *user = NULL;
	struct device **list;
	struct rlimit limit;
	char **command;

	while ((c = getopt_long(argc, argv, "+m:u:", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			if (!size_parse(optarg, &memlock))
				return say_usage("open",
						 "'%s' is not a size, such as 8G",
						 optarg);
			break;
		case 'u':
			user = user_find(optarg);
			if (!user)
				return EXIT_NO;
			break;
		default:
			return say_usage("open", NULL);
		}
	}
	for (first = optind; first < argc && strcmp(argv[first], "--"); first++)
		num_devices++;
	if (!num_devices || first + 1 >= argc)
		return say_usage("open", "name devices, then --, then a command");
	list = devices_find(argv + optind, num_devices);
	if (!list)
		return EXIT_NO;
	for (i = 0; list[i]; i++)
		if (!list[i]->node)
			return say_error(list[i]->name,
					 mem_printf("vfioctl why %s",
						    device_short(list[i])),
					 "it has no node in /dev/vfio/devices");
	command = command_line(argv + first + 1, argc - first - 1, i);
	if (!command)
		return EXIT_USAGE;
	if (open_all(list))
		return EXIT_NO;
	if (memlock) {
		limit = (struct rlimit){ memlock, memlock };
		if (setrlimit(RLIMIT_MEMLOCK, &limit))
			return say_error(NULL, "run it as root",
					 "cannot set the limit of locked memory: %s",
					 strerror(errno));
	}
	announce(list);
	if (drop_rights(user))
		return EXIT_NO;
	execvp(command[0], command);
	return say_error(command[0], NULL, "%s", strerror(errno));
}

const struct command open_command = {
	.name = "open",
	.arguments = "[options] DEVICE... -- COMMAND [ARGUMENT...]",
	.summary = "Run a command that gets devices as open descriptors",
	.run = run_open,
	.options =
	" -u, --user USER       as that user, without capabilities in any case\n"
	" -m, --memlock SIZE    with that limit of locked memory\n"
	"\nIn the arguments {iommu} stands for the descriptor of /dev/iommu, {0} for that of\n"
	"the first device, {1} of the second, and {} for the next one of all of these. They\n"
	"are also passed as LISTEN_FDS of systemd: 3 is /dev/iommu, the devices follow.\n",
};
