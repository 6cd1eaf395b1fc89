// SPDX-License-Identifier: GPL-2.0-only
/* "top": address spaces, and how fast they change */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event-parse.h>

#include "command.h"
#include "events.h"
#include "holders.h"
#include "memlock.h"
#include "say.h"
#include "table.h"
#include "user.h"

enum {
	PID, COMMAND, USER, IOAS, AREAS, MAPPED, PINNED, CHARGE, MAPS, UNMAPS,
	FAULTS, REFUSALS, DEVICES
};

static const struct column columns[] = {
	[PID] = { "PID", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false, NULL },
	[COMMAND] = { "COMMAND", 0.15, SCOLS_FL_TRUNC, SCOLS_JSON_STRING,
		      false, NULL },
	[USER] = { "USER", 6, 0, SCOLS_JSON_STRING, false, NULL },
	[IOAS] = { "IOAS", 4, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false, NULL },
	[AREAS] = { "AREAS", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false, NULL },
	[MAPPED] = { "MAPPED", 8, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false, NULL },
	[PINNED] = { "PINNED", 8, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false, NULL },
	[CHARGE] = { "CHARGED", 7, 0, SCOLS_JSON_STRING, false, NULL },
	[MAPS] = { "MAPS/S", 6, SCOLS_FL_RIGHT, SCOLS_JSON_FLOAT, false, NULL },
	[UNMAPS] = { "UNMAPS/S", 6, SCOLS_FL_RIGHT, SCOLS_JSON_FLOAT, false, NULL },
	[FAULTS] = { "FAULTS", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false, NULL },
	[REFUSALS] = { "REFUSALS", 8, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, false,
		       NULL },
	[DEVICES] = { "DEVICES", 0.2, SCOLS_FL_TRUNC, SCOLS_JSON_STRING, false,
		      NULL },
};

/* What was traced of a process, or of a device, since the last look */
struct rate {
	pid_t pid;
	unsigned long maps, unmaps;
};

struct rates {
	struct rate *list;
	size_t count;
	struct strings faults;		/* a device's name for each */
};

static struct rate *rate_of(struct rates *rates, pid_t pid)
{
	struct rate *rate;
	size_t i;

	for (i = 0; i < rates->count; i++)
		if (rates->list[i].pid == pid)
			return &rates->list[i];
	rate = mem_add(rates->list, rates->count);
	rate->pid = pid;
	return rate;
}

static void count_event(struct tep_event *event, struct tep_record *record,
			pid_t pid, void *data)
{
	struct rates *rates = data;
	struct fault fault;

	if (!strcmp(event->name, "iommufd_map"))
		rate_of(rates, pid)->maps++;
	else if (!strcmp(event->name, "iommufd_unmap"))
		rate_of(rates, pid)->unmaps++;
	else if (event_fault(event, record, &fault))
		strings_add(&rates->faults, "%s", fault.device);
}

static long faults_of(const struct rates *rates, const char *devices)
{
	long faults = 0;
	size_t i;

	for (i = 0; i < rates->faults.count; i++)
		if (strstr(devices, rates->faults.list[i]))
			faults++;
	return faults;
}

/* Bytes as a number for programs, and in units for people */
static void set_size(struct table *table, struct libscols_line *line,
		     size_t column, unsigned long long bytes)
{
	if (table->json)
		table_set_number(table, line, column, bytes);
	else
		table_set(table, line, column, size_text(bytes));
}

static void top_lines(struct table *table, const struct holder *h,
		      struct rates *rates, double seconds, bool traced)
{
	size_t i;

	for (i = 0; i < h->num_ioas; i++) {
		const struct ioas *ioas = &h->ioas[i];
		struct libscols_line *line = table_line(table, NULL);
		struct rate *rate = rate_of(rates, h->pid);

		table_set_number(table, line, PID, h->pid);
		table_set(table, line, COMMAND, h->comm);
		table_set(table, line, USER, user_name(h->uid));
		table_set_number(table, line, IOAS, ioas->id);
		table_set_number(table, line, AREAS, ioas->areas);
		set_size(table, line, MAPPED, ioas->mapped);
		set_size(table, line, PINNED, ioas->pinned);
		table_set(table, line, CHARGE, h->accounting);
		table_set_number(table, line, REFUSALS, h->refusals);
		table_set(table, line, DEVICES, ioas->devices);
		if (!traced)
			continue;
		table_set(table, line, MAPS,
			  mem_printf("%.1f", rate->maps / seconds));
		table_set(table, line, UNMAPS,
			  mem_printf("%.1f", rate->unmaps / seconds));
		table_set_number(table, line, FAULTS,
				 faults_of(rates, ioas->devices));
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int show_once(const struct table_options *how, double delay, bool traced,
		     bool clear, bool *done)
{
	struct rates rates = { 0 };
	struct holders *all;
	struct table *table;
	double begin = now();
	size_t i;

	*done = events_wait(delay * 1000);
	if (traced)
		events_read(count_event, &rates);
	devices_refresh();
	holders_refresh();
	all = holders();
	table = table_alloc("top", columns, sizeof(columns) / sizeof(*columns),
			    how);
	if (!table)
		return EXIT_USAGE;
	for (i = 0; i < all->count; i++)
		top_lines(table, &all->list[i], &rates, now() - begin, traced);
	if (clear)
		printf("\033[H\033[J");
	table_print(table);
	table_destroy(table);
	if (!how->json)
		putchar('\n');
	fflush(stdout);
	*done = *done || ferror(stdout);
	return EXIT_SUCCESS;
}

static int run_top(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' },
		{ "iterations", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'J' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 }
	};
	struct table_options how = { 0 };
	unsigned long iterations = 0, i;
	int c, status = EXIT_SUCCESS;
	double delay = 2;
	bool traced, done = false;
	char *end;

	while ((c = getopt_long(argc, argv, "d:Jn:o:", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			delay = strtod(optarg, &end);
			if (*end || !(delay >= 0.1 && delay <= 3600))
				return say_usage("top", "'%s' is not a number of seconds",
						 optarg);
			break;
		case 'n':
			iterations = strtoul(optarg, &end, 10);
			if (*end || !iterations)
				return say_usage("top", "'%s' is not a number",
						 optarg);
			break;
		case 'J':
			how.json = true;
			break;
		case 'o':
			how.columns = optarg;
			break;
		default:
			return say_usage("top", NULL);
		}
	}
	if (optind < argc)
		return say_usage("top", "unexpected argument '%s'",
				 argv[optind]);
	traced = !events_begin(false);
	if (!traced)
		say_note("maps and faults per second are for root to see");
	for (i = 0; !status && !done && (!iterations || i < iterations); i++) {
		void *mark = mem_mark();

		status = show_once(&how, delay, traced,
				   isatty(STDOUT_FILENO) && !how.json, &done);
		mem_release(mark);
	}
	events_end();
	return status;
}

const struct command top_command = {
	.name = "top",
	.arguments = "[options]",
	.summary = "Show address spaces, their memory and how fast they change, live",
	.run = run_top,
	.options =
	" -d, --delay SECONDS   between two looks (default: 2)\n"
	" -n, --iterations N    end after so many\n"
	" -J, --json            JSON, a document for each look\n"
	" -o, --output COLUMNS  these: PID COMMAND USER IOAS AREAS MAPPED PINNED CHARGED\n"
	"                       MAPS/S UNMAPS/S FAULTS REFUSALS DEVICES\n",
};
