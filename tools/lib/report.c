// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"

static unsigned int num_ok, num_failed;

static void line(const char *verdict, const char *fmt, va_list ap)
{
	printf("  %-7s ", verdict);
	vprintf(fmt, ap);
	putchar('\n');
	/* The next step may hang the machine: show what came before it. */
	fflush(stdout);
}

bool report(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok)
		num_ok++;
	else
		num_failed++;
	va_start(ap, fmt);
	line(ok ? "ok" : "FAILED", fmt, ap);
	va_end(ap);
	return ok;
}

void report_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("skipped", fmt, ap);
	va_end(ap);
}

void report_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("", fmt, ap);
	va_end(ap);
}

int report_status(void)
{
	return num_ok && !num_failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
