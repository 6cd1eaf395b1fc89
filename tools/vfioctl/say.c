// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "say.h"

int say_error(const char *thing, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "vfioctl: ");
	if (thing)
		fprintf(stderr, "%s: ", thing);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (remedy)
		fprintf(stderr, "    try: %s\n", remedy);
	return EXIT_NO;
}

void say_note(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "vfioctl: note: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int say_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	if (fmt) {
		fprintf(stderr, "vfioctl: ");
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fputc('\n', stderr);
	}
	fprintf(stderr, "Try 'vfioctl %s--help' for more information.\n",
		command ? mem_printf("%s ", command) : "");
	return EXIT_USAGE;
}
