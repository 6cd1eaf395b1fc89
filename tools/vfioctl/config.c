// SPDX-License-Identifier: GPL-2.0-only
/* "config": what to tell the programs that use devices */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "device.h"
#include "memlock.h"
#include "say.h"

enum program { QEMU, LIBVIRT, CLOUD_HYPERVISOR, DPDK, SPDK };

static const char *const programs[] = {
	[QEMU] = "qemu", [LIBVIRT] = "libvirt",
	[CLOUD_HYPERVISOR] = "cloud-hypervisor", [DPDK] = "dpdk",
	[SPDK] = "spdk",
};

#define NUM_PROGRAMS	(sizeof(programs) / sizeof(*programs))

struct config_options {
	bool fds;
	const char *user;		/* NULL: the caller */
	unsigned long long ram;
};

static void config_qemu(struct device **list, const struct config_options *o)
{
	bool cdev = list[0]->node, fds = o->fds;
	int i;

	if (fds) {
		/* vfioctl open puts the numbers in place of the braces. */
		printf("vfioctl open%s%s --memlock %lluM",
		       o->user ? " --user " : "", o->user ? o->user : "",
		       memlock_needed(o->ram, 1, false) >> 20);
		for (i = 0; list[i]; i++)
			printf(" %s", device_short(list[i]));
		printf(" -- \\\n");
	}
	printf("qemu-system-x86_64 -machine q35 -m %lluM%s", o->ram >> 20,
	       fds ? " \\\n" : "");
	if (cdev)
		printf(" -object iommufd,id=iommufd0%s",
		       fds ? ",fd={iommu}" : "");
	for (i = 0; list[i]; i++) {
		printf(" \\\n -device vfio-pci,id=hostdev%d", i);
		if (fds)
			printf(",fd={%d}", i);
		else
			printf(",%s=%s", strcmp(list[i]->bus, "pci") ?
			       "sysfsdev" : "host",
			       strcmp(list[i]->bus, "pci") ? list[i]->path :
			       list[i]->name);
		if (cdev)
			printf(",iommufd=iommufd0");
	}
	putchar('\n');
}

static void config_libvirt(struct device **list)
{
	unsigned int domain, bus, slot, function;

	for (; *list; list++) {
		if (!strcmp((*list)->bus, "mdev")) {
			printf("<hostdev mode='subsystem' type='mdev' model='vfio-pci'>\n"
			       "  <source>\n    <address uuid='%s'/>\n  </source>\n</hostdev>\n",
			       (*list)->name);
			continue;
		}
		if (sscanf((*list)->name, "%x:%x:%x.%x", &domain, &bus, &slot,
			   &function) != 4)
			continue;
		/* Bound already: libvirt shall not do it a second time. */
		printf("<hostdev mode='subsystem' type='pci' managed='no'>\n"
		       "  <driver name='vfio'%s/>\n  <source>\n"
		       "    <address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>\n"
		       "  </source>\n</hostdev>\n",
		       (*list)->node ? " iommufd='yes'" : "", domain, bus, slot,
		       function);
	}
	say_note("iommufd='yes' is for a libvirt that knows it ('virsh domcapabilities' tells); without it the group's node is used");
}

static int config(struct device **list, enum program program,
		  const struct config_options *o)
{
	int i;

	switch (program) {
	case QEMU:
		config_qemu(list, o);
		break;
	case LIBVIRT:
		config_libvirt(list);
		break;
	case CLOUD_HYPERVISOR:
		printf("cloud-hypervisor%s --device",
		       list[0]->node ? " --platform iommufd=on" : "");
		for (i = 0; list[i]; i++)
			printf(" path=%s", list[i]->path);
		putchar('\n');
		break;
	case DPDK:
		printf("dpdk-testpmd");
		for (i = 0; list[i]; i++)
			printf(" -a %s", list[i]->name);
		printf(" --\n");
		break;
	case SPDK:
		printf("PCI_ALLOWED=\"");
		for (i = 0; list[i]; i++)
			printf("%s%s", i ? " " : "", list[i]->name);
		printf("\"\n");
		for (i = 0; list[i]; i++)
			printf("rpc.py bdev_nvme_attach_controller -b Nvme%d -t PCIe -a %s\n",
			       i, list[i]->name);
		break;
	}
	return EXIT_SUCCESS;
}

static int run_config(int argc, char **argv)
{
	static const struct option options[] = {
		{ "for", required_argument, NULL, 'f' },
		{ "fds", no_argument, NULL, 'd' },
		{ "ram", required_argument, NULL, 'r' },
		{ "user", required_argument, NULL, 'u' },
		{ 0 }
	};
	struct config_options o = { .ram = 2ULL << 30 };
	struct device **list;
	size_t program = NUM_PROGRAMS;
	int c, i;

	while ((c = getopt_long(argc, argv, "df:r:u:", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			o.fds = true;
			break;
		case 'r':
			if (!size_parse(optarg, &o.ram))
				return say_usage("config",
						 "'%s' is not a size, such as 8G",
						 optarg);
			break;
		case 'u':
			o.user = optarg;
			o.fds = true;
			break;
		case 'f':
			for (program = 0; program < NUM_PROGRAMS; program++)
				if (!strcmp(programs[program], optarg))
					break;
			if (program == NUM_PROGRAMS)
				return say_usage("config", "'%s' is not a program that is known",
						 optarg);
			break;
		default:
			return say_usage("config", NULL);
		}
	}
	if (program == NUM_PROGRAMS)
		return say_usage("config", "--for says for which program");
	if (o.fds && program != QEMU)
		return say_usage("config", "descriptors are passed to qemu only");
	if (optind == argc)
		return say_usage("config", "name at least one device");
	list = devices_find(argv + optind, argc - optind);
	if (!list)
		return EXIT_NO;
	for (i = 0; list[i]; i++)
		if (!list[i]->vfio)
			return say_error(list[i]->name,
					 mem_printf("vfioctl bind %s",
						    device_short(list[i])),
					 "it is not bound to a VFIO driver");
	if (o.fds && !list[0]->node)
		return say_error(list[0]->name, "vfioctl check",
				 "without iommufd there are no descriptors to pass");
	return config(list, program, &o);
}

const struct command config_command = {
	.name = "config",
	.arguments = "--for PROGRAM [options] DEVICE...",
	.summary = "Print what to tell a program so that it uses devices",
	.run = run_config,
	.options =
	" -f, --for PROGRAM     qemu, libvirt, cloud-hypervisor, dpdk or spdk\n"
	" -d, --fds             qemu: with descriptors that 'vfioctl open' passes, to a\n"
	"                       QEMU that need not be allowed to open the nodes\n"
	" -u, --user USER       the same, and run as that user\n"
	" -r, --ram SIZE        qemu: memory of the machine (default: 2G)\n",
};
