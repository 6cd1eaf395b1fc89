// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reason of the last refusal, in words, see refusal.h.
 */
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/stdarg.h>
#include <linux/string.h>
#include <linux/uidgid.h>

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

/* Put the reason into @text, which is left for the caller, and record it */
static __printf(4, 0) void refusal_record(struct refusal *refusal, int error,
					  char *text, const char *fmt,
					  va_list args)
{
	vscnprintf(text, REFUSAL_LEN, fmt, args);
	/* For those who look after the program has ended because of it */
	trace_iommufd_refuse(error, text);

	spin_lock(&refusal->lock);
	refusal->count++;
	refusal->error = error;
	strscpy(refusal->text, text, sizeof(refusal->text));
	spin_unlock(&refusal->lock);
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
	refusal_record(refusal, error, text, fmt, args);
	va_end(args);
	return error;
}

/*
 * One line of a kind for a user in this time; and if more users than there is
 * room for are refused, none for those who come last.
 */
#define WARN_INTERVAL	(10 * HZ)
#define WARN_USERS	64

static DEFINE_SPINLOCK(warned_lock);
/* The last line of each, where @until has not passed; under warned_lock */
static struct warned {
	unsigned long until;
	enum refusal_kind kind;
	kuid_t uid;
	bool used;
} warned[WARN_USERS];

static bool refusal_note_warning(enum refusal_kind kind, kuid_t uid)
{
	struct warned *room = NULL;
	unsigned int i;

	lockdep_assert_held(&warned_lock);

	for (i = 0; i != ARRAY_SIZE(warned); i++) {
		struct warned *w = &warned[i];

		if (!w->used || time_after_eq(jiffies, w->until)) {
			w->used = false;
			room = w;
		} else if (w->kind == kind && uid_eq(w->uid, uid)) {
			return false;
		}
	}
	if (!room)
		return false;
	*room = (struct warned){
		.until = jiffies + WARN_INTERVAL,
		.kind = kind,
		.uid = uid,
		.used = true,
	};
	return true;
}

static bool refusal_may_warn(enum refusal_kind kind, kuid_t uid)
{
	bool may = false;

	scoped_guard(spinlock, &warned_lock)
		may = refusal_note_warning(kind, uid);
	return may;
}

/**
 * refuse_and_warn - record why a request is refused, and tell the administrator
 * @refusal: where to record, may be NULL; then nothing is told either
 * @kind: what it is about. Each user has one line of each kind in the kernel log
 *        in ten seconds
 * @error: negative errno that the user will get
 * @fmt: the reason, without a trailing newline
 *
 * For refusals that the user can do nothing about. May be called in any context
 * of the process that asked that may take a spinlock.
 *
 * Return: @error.
 */
int refuse_and_warn(struct refusal *refusal, enum refusal_kind kind, int error,
		    const char *fmt, ...)
{
	char text[REFUSAL_LEN];
	char comm[TASK_COMM_LEN];
	va_list args;

	if (!refusal)
		return error;

	va_start(args, fmt);
	refusal_record(refusal, error, text, fmt, args);
	va_end(args);
	if (refusal_may_warn(kind, current_uid())) {
		/* A program names itself as it likes */
		get_task_comm(comm, current);
		pr_warn("iommufd: %*pE[%d] of user %u is refused: %s (%pe)\n",
			(int)strlen(comm), comm, task_tgid_nr(current),
			from_kuid(&init_user_ns, current_uid()), text,
			ERR_PTR(error));
	}
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
