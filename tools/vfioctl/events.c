// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event-parse.h>
#include <tracefs.h>

#include "events.h"
#include "say.h"
#include "sysfs.h"

#define INSTANCE	"vfioctl-"

/* Those of the kernel's own IOMMU code are there with any modules. */
static const char *const systems[] = { "iommufd", "vfio", "vfio_pci", "iommu",
				       "printk", NULL };
/* One for each page would be no story. */
static const struct {
	const char *system, *event;
} wanted[] = {
	{ "iommufd", NULL }, { "vfio", NULL }, { "vfio_pci", NULL },
	{ "iommu", "attach_device_to_domain" }, { "iommu", "io_page_fault" },
	/* What Intel's IOMMU stops, and interrupts that AMD's does, is told there only. */
	{ "printk", "console" },
};

static struct tracefs_instance *instance;
static struct tep_handle *tep;
static volatile sig_atomic_t enough;

static void on_signal(int number)
{
	(void)number;
	enough = 1;
}

/* What a vfioctl that was killed has left */
static void remove_stale(void)
{
	char **names = tracefs_instances("^" INSTANCE "[0-9][0-9]*$");
	int i;

	for (i = 0; names && names[i]; i++) {
		pid_t pid = atoi(names[i] + strlen(INSTANCE));
		struct tracefs_instance *stale;

		if (!kill(pid, 0) || errno != ESRCH)
			continue;
		stale = tracefs_instance_create(names[i]);
		if (stale) {
			tracefs_instance_destroy(stale);
			tracefs_instance_free(stale);
		}
	}
	if (names)
		tracefs_list_free(names);
}

int events_begin(bool complain)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned int i, enabled = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (geteuid() && !complain)
		return EXIT_NO;
	if (!tracefs_tracing_dir()) {
		if (complain)
			say_error("tracefs", geteuid() ? "run it as root" :
				  "mount -t tracefs nodev /sys/kernel/tracing",
				  "cannot be used");
		return EXIT_NO;
	}
	remove_stale();
	tep = tracefs_local_events_system(NULL, systems);
	instance = tracefs_instance_create(mem_printf(INSTANCE "%d", getpid()));
	if (!tep || !instance) {
		if (complain)
			say_error("tracefs", geteuid() ? "run it as root" : NULL,
				  "cannot make an instance: %s",
				  strerror(errno));
		events_end();
		return EXIT_NO;
	}
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (!tracefs_event_enable(instance, wanted[i].system,
					  wanted[i].event))
			enabled++;
	if (!enabled) {
		if (complain)
			say_error("tracefs", "modprobe vfio-pci",
				  "the kernel has no tracepoints of VFIO or the IOMMU");
		events_end();
		return EXIT_NO;
	}
	return 0;
}

void events_end(void)
{
	if (instance) {
		tracefs_event_disable(instance, NULL, NULL);
		tracefs_instance_destroy(instance);
		tracefs_instance_free(instance);
	}
	if (tep)
		tep_free(tep);
	instance = NULL;
	tep = NULL;
}

struct reader {
	event_handler *handler;
	void *data;
};

static pid_t process_of(pid_t thread)
{
	char *status = sysfs_read("/proc/%d/status", thread);
	char *line = status ? strstr(status, "\nTgid:") : NULL;

	return line ? atoi(line + strlen("\nTgid:")) : thread;
}

static int on_event(struct tep_event *event, struct tep_record *record, int cpu,
		    void *data)
{
	struct reader *reader = data;

	(void)cpu;
	reader->handler(event, record, process_of(tep_data_pid(tep, record)),
			reader->data);
	return 0;
}

void events_read(event_handler *handler, void *data)
{
	struct reader reader = { handler, data };

	tracefs_iterate_raw_events(tep, instance, NULL, 0, on_event, &reader);
}

unsigned long long events_lost(void)
{
	const char *dir = tracefs_instance_get_trace_dir(instance);
	char *path = mem_printf("%s/instances/%s/per_cpu", dir,
				tracefs_instance_get_name(instance));
	struct strings cpus = sysfs_list("%s", path);
	unsigned long long lost = 0;
	size_t i;

	for (i = 0; i < cpus.count; i++) {
		char *stats = sysfs_read("%s/%s/stats", path, cpus.list[i]);
		char *line = stats ? strstr(stats, "overrun: ") : NULL;

		if (line)
			lost += strtoull(line + strlen("overrun: "), NULL, 10);
	}
	return lost;
}

bool events_wait(unsigned int ms)
{
	if (!enough)
		poll(NULL, 0, ms);
	return enough;
}

const char *events_command(pid_t pid)
{
	char *name = sysfs_read("/proc/%d/comm", pid), *start = NULL, *text;

	if (name)
		return name;
	/* "PID NAME" of those that were seen last */
	text = sysfs_read("%s/saved_cmdlines", tracefs_tracing_dir());
	if (text)
		start = strstr(mem_printf("\n%s", text),
			       mem_printf("\n%d ", pid));
	return start ? strtok(strchr(start, ' ') + 1, "\n") : "?";
}

long long event_number(struct tep_event *event, struct tep_record *record,
		       const char *field)
{
	struct tep_format_field *f = tep_find_field(event, field);
	unsigned long long value;

	if (!f || tep_read_number_field(f, record->data, &value))
		return -1;
	/* It comes as it is in the record. */
	if (f->flags & TEP_FIELD_IS_SIGNED && f->size == 4)
		return (int)value;
	return value;
}

const char *event_string(struct tep_event *event, struct tep_record *record,
			 const char *field)
{
	int length;
	char *text;

	text = tep_get_field_raw(NULL, event, field, record, &length, 0);
	return text ? mem_printf("%.*s", length, text) : NULL;
}

#define AMD_INTERRUPT	0x8	/* else there is a tracepoint, too */

/* What the drivers of Intel's and AMD's IOMMU say to the log */
static bool fault_of_message(const char *text, struct fault *fault)
{
	unsigned int bus, slot, function, flags;
	char name[sizeof("0000:00:00.0")];

	if (!text)
		return false;
	if (sscanf(text, "DMAR: [DMA %*[^]]] Request device [%x:%x.%u] fault addr 0x%llx",
		   &bus, &slot, &function, &fault->iova) == 4) {
		fault->device = mem_printf("0000:%02x:%02x.%u", bus, slot,
					   function);
		return true;
	}
	/* Its driver and the device come first. */
	if (sscanf(text, "%*s %12s: AMD-Vi: Event logged [IO_PAGE_FAULT domain=%*x address=0x%llx flags=0x%x]",
		   name, &fault->iova, &flags) != 3 || !(flags & AMD_INTERRUPT))
		return false;
	fault->device = mem_strdup(name);
	return true;
}

bool event_fault(struct tep_event *event, struct tep_record *record,
		 struct fault *fault)
{
	*fault = (struct fault){ 0 };
	if (!strcmp(event->name, "console"))
		return fault_of_message(event_string(event, record, "msg"),
					fault);
	if (!strcmp(event->name, "io_page_fault")) {
		fault->device = event_string(event, record, "device");
		fault->iova = event_number(event, record, "iova");
	} else if (!strcmp(event->name, "iommufd_fault")) {
		fault->device = event_string(event, record, "name");
		fault->iova = event_number(event, record, "addr");
		fault->answerable = true;
	}
	return fault->device;
}
