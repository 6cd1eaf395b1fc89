// SPDX-License-Identifier: GPL-2.0-only
/* "trace": what happens to devices and address spaces, in words */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event-parse.h>
#include <trace-seq.h>

#include "command.h"
#include "device.h"
#include "events.h"
#include "say.h"
#include "sysfs.h"

struct trace_options {
	const struct device *dev;
	pid_t pid;
	bool all;			/* pages and interrupts as well */
	unsigned long count;		/* lines still to print */
};

static const char *outcome(long long rc)
{
	return rc ? mem_printf(": refused, %s", strerror(-rc)) : "";
}

/* Of which device it is, NULL: of none */
static const char *device_of(struct tep_event *event, struct tep_record *record)
{
	struct fault fault;

	if (event_fault(event, record, &fault))
		return fault.device;
	if (tep_find_field(event, "name"))
		return event_string(event, record, "name");
	if (tep_find_field(event, "device"))
		return event_string(event, record, "device");
	return NULL;
}

static const char *in_words(struct tep_event *event, struct tep_record *record,
			    const char *device)
{
#define N(field)	event_number(event, record, field)
	const char *name = event->name;
	struct fault fault;

	if (event_fault(event, record, &fault))
		return mem_printf(fault.answerable ?
				  "%s asks for the page at 0x%llx" :
				  "%s was stopped by the IOMMU at 0x%llx",
				  fault.device, fault.iova);
	if (!strcmp(name, "iommufd_fault_response"))
		return mem_printf("%s is answered: %s", device,
				  N("code") ? "it does not get the page" :
				  "the page is there");
	if (!strcmp(name, "iommufd_refuse"))
		return mem_printf("refused (%s): %s", strerror(-N("error")),
				  event_string(event, record, "reason"));
	if (!strcmp(name, "iommufd_map"))
		return mem_printf("maps IOVA 0x%llx-0x%llx%s", N("start"),
				  N("last"), outcome(N("rc")));
	if (!strcmp(name, "iommufd_unmap"))
		return mem_printf("unmaps IOVA 0x%llx-0x%llx", N("start"),
				  N("last"));
	if (!strcmp(name, "iommufd_attach"))
		return mem_printf("attaches %s to %lld%s", device, N("pt_id"),
				  outcome(N("rc")));
	if (!strcmp(name, "iommufd_replace"))
		return mem_printf("moves %s to %lld%s", device, N("pt_id"),
				  outcome(N("rc")));
	if (!strcmp(name, "iommufd_detach"))
		return mem_printf("detaches %s", device);
	if (!strcmp(name, "vfio_device_open"))
		return mem_printf("opens %s", device);
	if (!strcmp(name, "vfio_device_close"))
		return mem_printf("closes %s", device);
	if (!strcmp(name, "vfio_device_bind"))
		return mem_printf("binds %s%s", device, outcome(N("ret")));
	if (!strcmp(name, "vfio_pci_reset"))
		return mem_printf("resets %s, %s%s", device, N("hot") ?
				  "with its bus" : "alone", outcome(N("ret")));
	if (!strcmp(name, "vfio_pci_power") && N("from") != N("to"))
		return mem_printf("%s goes from D%lld to D%lld", device,
				  N("from"), N("to"));
	if (!strcmp(name, "vfio_pci_zap"))
		return mem_printf("the mappings of %s are taken away", device);
	if (!strcmp(name, "vfio_pci_enable"))
		return mem_printf("turns %s on%s", device, outcome(N("ret")));
	if (!strcmp(name, "vfio_pci_set_irqs") && !N("count"))
		return mem_printf("turns interrupts of %s off%s", device,
				  outcome(N("ret")));
	if (!strcmp(name, "vfio_pci_set_irqs"))
		return mem_printf("sets interrupts %lld-%lld of %s%s",
				  N("start"), N("start") + N("count") - 1,
				  device, outcome(N("ret")));
#undef N
	return NULL;
}

static void print_event(struct tep_event *event, struct tep_record *record,
			pid_t pid, void *data)
{
	struct trace_options *o = data;
	const char *device = device_of(event, record), *text;
	struct trace_seq seq;

	if (!o->count || (o->pid && pid != o->pid) ||
	    (o->dev && (!device || strcmp(device, o->dev->name))))
		return;
	text = in_words(event, record, device);
	/* All that the kernel says besides is in its log. */
	if (!text && (!o->all || !strcmp(event->name, "console")))
		return;
	printf("%llu.%06llu %s (%d): ", record->ts / 1000000000,
	       record->ts / 1000 % 1000000, events_command(pid), pid);
	if (text) {
		puts(text);
	} else {
		trace_seq_init(&seq);
		tep_print_event(event->tep, &seq, record, "%s %s",
				TEP_PRINT_NAME, TEP_PRINT_INFO);
		trace_seq_terminate(&seq);
		puts(seq.buffer);
		trace_seq_destroy(&seq);
	}
	o->count--;
}

static int run_trace(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "count", required_argument, NULL, 'c' },
		{ 0 }
	};
	struct trace_options o = { .count = ~0UL };
	unsigned long long lost, told = 0;
	bool done = false;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "ac:", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			o.all = true;
			break;
		case 'c':
			o.count = strtoul(optarg, &end, 10);
			if (*end || !o.count)
				return say_usage("trace", "'%s' is not a number of lines",
						 optarg);
			break;
		default:
			return say_usage("trace", NULL);
		}
	}
	if (argc - optind > 1)
		return say_usage("trace", "name one device or process, or none");
	if (optind < argc) {
		o.pid = strtoul(argv[optind], &end, 10);
		if (*end || end == argv[optind]) {
			o.pid = 0;
			o.dev = device_find(argv[optind]);
			if (!o.dev)
				return EXIT_NO;
		} else if (kill(o.pid, 0) && errno == ESRCH) {
			return say_error(argv[optind], NULL,
					 "there is no such process");
		}
	}
	if (events_begin(true))
		return EXIT_NO;
	while (!done && o.count) {
		void *mark = mem_mark();

		done = events_wait(200);
		events_read(print_event, &o);
		fflush(stdout);
		done = done || ferror(stdout);
		lost = events_lost();
		if (lost > told)
			say_note("%llu events were lost: they come too fast",
				 lost - told);
		told = lost;
		mem_release(mark);
	}
	events_end();
	return EXIT_SUCCESS;
}

const struct command trace_command = {
	.name = "trace",
	.arguments = "[options] [DEVICE|PID]",
	.summary = "Tell of refusals, maps, attaches and faults as they happen",
	.run = run_trace,
	.options =
	" -a, --all             also what has no words of its own here, such as pinned pages\n"
	" -c, --count N         end after N lines\n",
};
