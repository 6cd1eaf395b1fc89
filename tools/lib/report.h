/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A report that a newcomer can read: one line per thing that was proven, and
 * an exit status that says whether all of them were.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>

/* Prints "ok" or "FAILED" and the sentence; returns @ok. */
bool report(bool ok, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The sentence was not put to the test, and this is why. */
void report_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Something worth knowing that is neither right nor wrong. */
void report_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* EXIT_SUCCESS if something was reported and none of it FAILED. */
int report_status(void);

#endif /* REPORT_H */
