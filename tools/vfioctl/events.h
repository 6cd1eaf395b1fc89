/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of iommufd, VFIO and the IOMMU, by libtracefs, in an instance of
 * our own: what others trace meanwhile is not disturbed.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <sys/types.h>

struct tep_event;
struct tep_record;

/* What happened: @pid is the process, not the thread; 0: not known */
typedef void event_handler(struct tep_event *event, struct tep_record *record,
			   pid_t pid, void *data);

/*
 * Begin to record. Complains and returns EXIT_NO if that cannot be done, which
 * takes root; without @complain nothing is said.
 */
int events_begin(bool complain);
/* Hand all that was recorded since the last time to @handler. */
void events_read(event_handler *handler, void *data);
/* How many were lost because they came faster than they were read */
unsigned long long events_lost(void);
void events_end(void);

/* Has the user had enough (SIGINT, SIGTERM)? Sleeps up to @ms before. */
bool events_wait(unsigned int ms);

/* Name of a process, also if it has ended; "?" if nobody knows */
const char *events_command(pid_t pid);

/* Fields by name; -1, NULL: there is none */
long long event_number(struct tep_event *event, struct tep_record *record,
		       const char *field);
const char *event_string(struct tep_event *event, struct tep_record *record,
			 const char *field);

/* A device asked for memory that it does not get, or not yet */
struct fault {
	const char *device;
	unsigned long long iova;
	bool answerable;	/* a page request, which a program answers */
};

/* Is the event a fault? Then @fault says which. */
bool event_fault(struct tep_event *event, struct tep_record *record,
		 struct fault *fault);

#endif /* EVENTS_H */
