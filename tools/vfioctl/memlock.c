// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "memlock.h"
#include "say.h"
#include "user.h"

#define GIB	(1ULL << 30)

unsigned long long memlock_needed(unsigned long long ram, unsigned int devices,
				  bool viommu)
{
	return ram * (viommu && devices ? devices : 1) + GIB;
}

bool size_parse(const char *text, unsigned long long *bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned long long value;
	unsigned int shift = 0;
	const char *suffix;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || !*suffix)
			return false;
		shift = (suffix - suffixes + 1) * 10;
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			end += strlen(end);
	}
	if (*end || !value || value > ~0ULL >> 1 >> shift)
		return false;
	*bytes = value << shift;
	return true;
}

char *size_text(unsigned long long bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB",
					     "TiB" };
	unsigned int unit = 0;

	while (bytes >= 1024 && !(bytes & 1023) && unit < 4) {
		bytes >>= 10;
		unit++;
	}
	return mem_printf("%llu %s", bytes, units[unit]);
}

static void print_advice(unsigned long long needed, const char *user,
			 bool by_process)
{
	printf("%s of locked memory: the machine's, once for each address space, and 1 GiB for\n"
	       "what else is mapped.\n", size_text(needed));
	if (by_process)
		printf("It is compared with the limit of each process (accounting \"process\", and the\n"
		       "kernel's own VFIO modules).\n");
	else
		printf("It is compared with what all processes of the user have locked in this way\n"
		       "together: for several machines, add up what each needs.\n");
	printf("\n# logins, in /etc/security/limits.d/vfio.conf (KiB); log in again afterwards\n"
	       "%s  -  memlock  %llu\n", user, needed >> 10);
	printf("\n# a systemd unit; for terminals of a desktop: systemctl edit user@.service\n"
	       "[Service]\nLimitMEMLOCK=%lluM\n", needed >> 20);
	printf("\n<!-- libvirt, in <domain>; it sets the limit itself, unless this is there -->\n"
	       "<memtune>\n  <hard_limit unit='MiB'>%llu</hard_limit>\n</memtune>\n",
	       needed >> 20);
	printf("\n# or for one command, as root\n"
	       "vfioctl open --user %s --memlock %lluM DEVICE -- COMMAND\n",
	       user, needed >> 20);
}

static int run_memlock(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ram", required_argument, NULL, 'r' },
		{ "devices", required_argument, NULL, 'd' },
		{ "viommu", no_argument, NULL, 'v' },
		{ "mode", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "bytes", no_argument, NULL, 'b' },
		{ 0 }
	};
	unsigned long long ram = 0, needed;
	const char *user = "@kvm";
	bool viommu = false, by_process = false, bare = false;
	unsigned long devices = 1;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "bd:m:r:u:v", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (!size_parse(optarg, &ram))
				return say_usage("memlock",
						 "'%s' is not a size, such as 8G",
						 optarg);
			break;
		case 'd':
			devices = strtoul(optarg, &end, 10);
			if (*end || !devices || devices > 4096)
				return say_usage("memlock",
						 "'%s' is not a number of devices",
						 optarg);
			break;
		case 'v':
			viommu = true;
			break;
		case 'm':
			by_process = !strcmp(optarg, "process");
			if (!by_process && strcmp(optarg, "user"))
				return say_usage("memlock",
						 "the mode is 'user' or 'process', not '%s'",
						 optarg);
			break;
		case 'u':
			user = optarg;
			break;
		case 'b':
			bare = true;
			break;
		default:
			return say_usage("memlock", NULL);
		}
	}
	if (optind < argc)
		return say_usage("memlock", "unexpected argument '%s'",
				 argv[optind]);
	if (!ram)
		return say_usage("memlock", "--ram says how much memory the machine has");
	if (ram > ~0ULL / 2 / devices)
		return say_usage("memlock", "that is more than any machine has");
	needed = memlock_needed(ram, devices, viommu);
	if (bare)
		printf("%llu\n", needed);
	else
		print_advice(needed, user, by_process);
	return EXIT_SUCCESS;
}

const struct command memlock_command = {
	.name = "memlock",
	.arguments = "--ram SIZE [options]",
	.summary = "Say which limit of locked memory is needed, and how to set it",
	.run = run_memlock,
	.options =
	" -r, --ram SIZE        memory of the virtual machine\n"
	" -d, --devices N       how many devices it gets (default: 1)\n"
	" -v, --viommu          it has a virtual IOMMU: an address space per device\n"
	" -m, --mode MODE       what is compared: user (default) or process\n"
	" -u, --user NAME       for whom (default: @kvm, the members of that group)\n"
	" -b, --bytes           print the number only\n",
};
