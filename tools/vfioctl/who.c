// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "command.h"
#include "holders.h"
#include "memlock.h"
#include "output.h"
#include "say.h"
#include "table.h"
#include "user.h"

enum { THING, PID, COMMAND, USER, SINCE, FDS, MAPS, DETAIL };

static const struct column columns[] = {
	[THING] = { "WHAT", 14, 0, 0, false, NULL },
	[PID] = { "PID", 6, SCOLS_FL_RIGHT, 0, false, NULL },
	[COMMAND] = { "COMMAND", 0.15, SCOLS_FL_TRUNC, 0, false, NULL },
	[USER] = { "USER", 8, 0, 0, false, NULL },
	[SINCE] = { "SINCE", 16, 0, 0, false, NULL },
	[FDS] = { "FDS", 4, 0, 0, false, NULL },
	[MAPS] = { "MAPS", 3, SCOLS_FL_RIGHT, 0, false, NULL },
	[DETAIL] = { "DETAIL", 0.3, SCOLS_FL_WRAP, 0, false, NULL },
};

static const char *const kinds[] = {
	[HELD_DEVICE] = "device", [HELD_GROUP] = "group",
	[HELD_CONTEXT] = "context",
};

static char *time_text(time_t when)
{
	char text[32];
	struct tm tm;

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	return mem_strdup(text);
}

static char *detail_text(const struct holder *h)
{
	struct strings parts = { 0 };
	size_t i;

	if (h->state)
		strings_add(&parts, "%s", h->state);
	if (h->inherited)
		strings_add(&parts, "inherited from process %d", h->parent);
	if (!h->fds.count)
		strings_add(&parts, "by a mapping only");
	for (i = 0; i < h->num_ioas; i++)
		strings_add(&parts, "ioas %u: %s mapped, %s pinned and charged to the %s%s%s",
			    h->ioas[i].id, size_text(h->ioas[i].mapped),
			    size_text(h->ioas[i].pinned),
			    h->accounting ? h->accounting : "user",
			    *h->ioas[i].devices ? ", for " : "",
			    h->ioas[i].devices);
	if (h->refusal)
		strings_add(&parts, "last refusal: %s", h->refusal);
	return strings_join(&parts, "; ");
}

static void who_line(struct table *table, const struct holder *h)
{
	struct libscols_line *line = table_line(table, NULL);

	table_set(table, line, THING, h->what == HELD_GROUP ?
		  mem_printf("group %s", h->thing) : h->thing);
	table_set_number(table, line, PID, h->pid);
	table_set(table, line, COMMAND, h->comm);
	table_set(table, line, USER, user_name(h->uid));
	table_set(table, line, SINCE, time_text(h->since));
	table_set(table, line, FDS, strings_join(&h->fds, ","));
	table_set_number(table, line, MAPS, h->num_mappings);
	table_set(table, line, DETAIL, detail_text(h));
}

static json_t *fds_json(const struct strings *fds)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < fds->count; i++)
		json_array_append_new(array, json_integer(atol(fds->list[i])));
	return array;
}

static json_t *holder_json(const struct holder *h)
{
	json_t *spaces = json_array();
	size_t i;

	for (i = 0; i < h->num_ioas; i++) {
		struct strings attached = strings_split(h->ioas[i].devices, " ");

		json_t *space;

		space = json_pack("{s:i, s:I, s:I, s:I, s:o}",
				  "id", h->ioas[i].id,
				  "areas", (json_int_t)h->ioas[i].areas,
				  "mapped", (json_int_t)h->ioas[i].mapped,
				  "pinned", (json_int_t)h->ioas[i].pinned,
				  "devices", output_strings(&attached));
		json_array_append_new(spaces, space);
	}
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:I, s:o, s:i, s:b, s:s?, s:s?, s:s?, s:o}",
			 "kind", kinds[h->what], "name", h->thing,
			 "pid", h->pid, "command", h->comm,
			 "user", user_name(h->uid),
			 "since", (json_int_t)h->since,
			 "fds", fds_json(&h->fds),
			 "mappings", h->num_mappings,
			 "inherited", h->inherited,
			 "state", h->state, "accounting", h->accounting,
			 "last-refusal", h->refusal, "ioas", spaces);
}

/* Contexts are those of the processes that have the device. */
static bool concerns(const struct holder *h, const struct device *dev)
{
	struct holders *all = holders();
	size_t i;

	if (!dev || holder_of(h, dev))
		return true;
	if (h->what != HELD_CONTEXT)
		return false;
	for (i = 0; i < all->count; i++)
		if (all->list[i].pid == h->pid && holder_of(&all->list[i], dev))
			return true;
	return false;
}

static void print_limits(void)
{
	struct holders *all = holders();

	if (all->hidden)
		say_note("%u processes of other users could not be looked into: run as root to see all",
			 all->hidden);
	if (all->adrift > 0)
		say_note("%d more devices of vfio-pci are open, and no process has them: descriptors under way in a socket, or in use by the kernel",
			 all->adrift);
}

static int run_who(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "noheadings", no_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 }
	};
	struct table_options how = { 0 };
	struct device *dev = NULL;
	json_t *array;
	struct holders *all;
	struct table *table;
	size_t i, count = 0;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "Jno:", options, NULL)) != -1) {
		switch (c) {
		case 'J':
			json = true;
			break;
		case 'n':
			how.noheadings = true;
			break;
		case 'o':
			how.columns = optarg;
			break;
		default:
			return say_usage("who", NULL);
		}
	}
	if (argc - optind > 1)
		return say_usage("who", "name one device, or none");
	if (optind < argc) {
		dev = device_find(argv[optind]);
		if (!dev)
			return EXIT_NO;
	}

	all = holders();
	table = table_alloc("who", columns, sizeof(columns) / sizeof(*columns),
			    &how);
	if (!table)
		return EXIT_USAGE;
	array = json_array();
	for (i = 0; i < all->count; i++) {
		if (!concerns(&all->list[i], dev))
			continue;
		count++;
		if (json)
			json_array_append_new(array, holder_json(&all->list[i]));
		else
			who_line(table, &all->list[i]);
	}
	if (json) {
		output_json(json_pack("{s:o, s:i, s:o}", "holders", array,
				      "hidden-processes", all->hidden,
				      "adrift", all->adrift < 0 ? json_null() :
				      json_integer(all->adrift)));
	} else {
		json_decref(array);
		if (count)
			table_print(table);
		print_limits();
	}
	table_destroy(table);
	return count ? EXIT_SUCCESS : EXIT_NO;
}

const struct command who_command = {
	.name = "who",
	.arguments = "[options] [DEVICE]",
	.summary = "Show who has devices, groups and address spaces open",
	.run = run_who,
	.options =
	" -J, --json            JSON\n"
	" -n, --noheadings      no line of headings\n"
	" -o, --output COLUMNS  these: WHAT PID COMMAND USER SINCE FDS MAPS DETAIL\n"
	"\nThe exit status is 1 if nobody has any, as far as can be seen.\n",
};
