// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reason of the last refusal, in words, see refusal.h.
 */
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/stdarg.h>
#include <linux/string.h>

#include "refusal.h"
#include "trace.h"

/**
 * refusal_init - prepare an empty record
 * @refusal: the record
 */
void refusal_init(struct refusal *refusal)
{
	spin_lock_init(&refusal->lock);
	refusal->count = 0;
	refusal->error = 0;
	refusal->text[0] = '\0';
}

/**
 * refuse - record why a request is refused
 * @refusal: where to record, may be NULL
 * @error: negative errno that the user will get
 * @fmt: the reason, without a trailing newline
 *
 * May be called in any context that may take a spinlock.
 *
 * Return: @error, so that callers can write "return refuse(...)".
 */
int refuse(struct refusal *refusal, int error, const char *fmt, ...)
{
	char text[REFUSAL_LEN];
	va_list args;

	if (!refusal)
		return error;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* For whoever asks after a program that has ended because of it */
	trace_iommufd_refuse(error, text);

	spin_lock(&refusal->lock);
	refusal->count++;
	refusal->error = error;
	strscpy(refusal->text, text, sizeof(refusal->text));
	spin_unlock(&refusal->lock);
	return error;
}

/**
 * refusal_show - print the record as fdinfo lines
 * @refusal: the record
 * @m: where to print
 */
void refusal_show(struct refusal *refusal, struct seq_file *m)
{
	char text[REFUSAL_LEN];
	u64 count;
	int error;

	spin_lock(&refusal->lock);
	count = refusal->count;
	error = refusal->error;
	strscpy(text, refusal->text, sizeof(text));
	spin_unlock(&refusal->lock);

	seq_printf(m, "refusals:\t%llu\n", count);
	if (count)
		seq_printf(m, "last-refusal:\t%pe %s\n", ERR_PTR(error), text);
}
