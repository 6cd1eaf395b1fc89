/* SPDX-License-Identifier: GPL-2.0-only */
/* What the user is told on standard error, and the exit status. */
#ifndef SAY_H
#define SAY_H

#include "mem.h"

/* Exit status: the documented three */
#define EXIT_NO		1	/* it was refused, it failed, or the answer is no */
#define EXIT_USAGE	2

/*
 * An error names the thing, the reason and, if there is one, the remedy. All
 * return EXIT_NO, so that a command can return what they return.
 */
int say_error(const char *thing, const char *remedy, const char *fmt, ...)
	PRINTF(3, 4);
void say_note(const char *fmt, ...) PRINTF(1, 2);
/* What the command line lacks; returns EXIT_USAGE. */
int say_usage(const char *command, const char *fmt, ...) PRINTF(2, 3);

#endif /* SAY_H */
