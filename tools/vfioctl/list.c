// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "command.h"
#include "group.h"
#include "holders.h"
#include "say.h"
#include "sysfs.h"
#include "table.h"

enum {
	ADDRESS, NAME, CLASS, DRIVER, GROUP, NODE, NUMA, USABLE, HELD,
	BUS, ID, REASON, OVERRIDE, SYSPATH
};

static const struct column columns[] = {
	[ADDRESS] = { "ADDRESS", 12, SCOLS_FL_TREE, SCOLS_JSON_STRING, false,
		      "address of the device" },
	[NAME] = { "NAME", 0.35, SCOLS_FL_TRUNC, SCOLS_JSON_STRING, false,
		   "vendor and device" },
	[CLASS] = { "CLASS", 0.05, SCOLS_FL_TRUNC, SCOLS_JSON_STRING, false,
		    "class of a PCI device" },
	[DRIVER] = { "DRIVER", 8, 0, SCOLS_JSON_STRING, false,
		     "driver that it is bound to" },
	[GROUP] = { "GROUP", 3, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false,
		    "IOMMU group" },
	[NODE] = { "NODE", 6, 0, SCOLS_JSON_STRING, false,
		   "device node in /dev" },
	[NUMA] = { "NUMA", 2, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false,
		   "NUMA node" },
	[USABLE] = { "USABLE", 3, 0, SCOLS_JSON_BOOLEAN, false,
		     "whether the caller could open it now" },
	[HELD] = { "IN-USE-BY", 0.15, SCOLS_FL_TRUNC, SCOLS_JSON_STRING, false,
		   "processes that have it" },
	[BUS] = { "BUS", 4, 0, SCOLS_JSON_STRING, true,
		  "pci, mdev or platform" },
	[ID] = { "ID", 9, 0, SCOLS_JSON_STRING, true,
		 "vendor and device id" },
	[REASON] = { "REASON", 0.5, SCOLS_FL_TRUNC, SCOLS_JSON_STRING, true,
		     "why it is not usable" },
	[OVERRIDE] = { "OVERRIDE", 8, 0, SCOLS_JSON_STRING, true,
		       "driver_override" },
	[SYSPATH] = { "SYSPATH", 0.3, 0, SCOLS_JSON_STRING, true,
		      "directory in sysfs" },
};

static void list_line(struct table *table, struct libscols_line *line,
		      const struct device *dev, const struct asked *asked)
{
	struct chain chain = check_device(dev, asked);
	const struct link *broken = chain_broken(&chain);
	const char *node = device_node_path(dev);

	table_set(table, line, ADDRESS, dev->name);
	table_set(table, line, NAME, dev->full_name);
	table_set(table, line, CLASS, dev->class_name);
	table_set(table, line, DRIVER, dev->driver);
	if (dev->group != NO_GROUP)
		table_set_number(table, line, GROUP, dev->group);
	if (!node)
		node = device_group_path(dev);
	/* Where it is below /dev/vfio is not for a narrow table. */
	table_set(table, line, NODE, !node || table->json ? node :
		  dev->node ? dev->node : node + strlen("/dev/vfio/"));
	if (dev->numa >= 0)
		table_set_number(table, line, NUMA, dev->numa);
	table_set_bool(table, line, USABLE, !broken);
	table_set(table, line, HELD, holders_names(dev));
	table_set(table, line, BUS, dev->bus);
	if (dev->vendor)
		table_set(table, line, ID, mem_printf("%04x:%04x", dev->vendor,
						      dev->device));
	table_set(table, line, REASON, broken ? broken->text : NULL);
	table_set(table, line, OVERRIDE, dev->override);
	table_set(table, line, SYSPATH, dev->path);
}

static bool is_shown(const struct device *dev, bool all)
{
	/* Bridges and what belongs to the chipset stay with the host. */
	return all || !dev->bridge;
}

static void list_groups(struct table *table, bool all,
			const struct asked *asked)
{
	struct devices *devs = devices();
	size_t i, j;

	for (i = 0; i < devs->count; i++) {
		struct device **members = group_members(&devs->list[i]);
		struct libscols_line *top;
		const struct device *dev = &devs->list[i];

		if (members[0] != dev)		/* told with the first of them */
			continue;
		for (j = 0; members[j] && !is_shown(members[j], all); j++)
			;
		if (!members[j])
			continue;
		top = table_line(table, NULL);
		if (dev->group == NO_GROUP) {
			list_line(table, top, dev, asked);
			continue;
		}
		table_set(table, top, ADDRESS,
			  mem_printf("group %d", dev->group));
		table_set_number(table, top, GROUP, dev->group);
		/* All of them: it is what a user gets or cannot get. */
		for (j = 0; members[j]; j++)
			list_line(table, table_line(table, top), members[j],
				  asked);
	}
}

static int run_list(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "group", no_argument, NULL, 'g' },
		{ "json", no_argument, NULL, 'J' },
		{ "noheadings", no_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 }
	};
	struct asked asked = { .user = user_find(NULL) };
	struct table_options how = { 0 };
	bool all = false, group = false;
	struct devices *devs;
	struct table *table;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "agJno:", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			all = true;
			break;
		case 'g':
			group = true;
			break;
		case 'J':
			how.json = true;
			break;
		case 'n':
			how.noheadings = true;
			break;
		case 'o':
			how.columns = optarg;
			break;
		default:
			return say_usage("list", NULL);
		}
	}
	if (optind < argc)
		return say_usage("list", "unexpected argument '%s'",
				 argv[optind]);

	/* As JSON all that is known, so that what a program reads is stable. */
	if (how.json && !how.columns)
		how.columns = "+BUS,ID,REASON,OVERRIDE,SYSPATH";
	table = table_alloc("devices", columns,
			    sizeof(columns) / sizeof(*columns), &how);
	if (!table)
		return EXIT_USAGE;
	devs = devices();
	if (group) {
		list_groups(table, all, &asked);
	} else {
		for (i = 0; i < devs->count; i++)
			if (is_shown(&devs->list[i], all))
				list_line(table, table_line(table, NULL),
					  &devs->list[i], &asked);
	}
	table_print(table);
	table_destroy(table);
	if (holders()->hidden && !how.json)
		say_note("%u processes of other users could not be looked into: run as root to see all that have a device",
			 holders()->hidden);
	return EXIT_SUCCESS;
}

const struct command list_command = {
	.name = "list",
	.arguments = "[options]",
	.summary = "List devices, what they are bound to, and whether they can be used",
	.run = run_list,
	.options =
	" -a, --all             bridges as well\n"
	" -g, --group           a tree by IOMMU group, with all members\n"
	" -J, --json            JSON, with all columns\n"
	" -n, --noheadings      no line of headings\n"
	" -o, --output COLUMNS  these, separated by commas; +COLUMN adds one:\n"
	"                       ADDRESS NAME CLASS DRIVER GROUP NODE NUMA USABLE IN-USE-BY\n"
	"                       BUS ID REASON OVERRIDE SYSPATH\n",
};
