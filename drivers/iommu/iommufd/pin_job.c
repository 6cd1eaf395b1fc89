// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pin one range by several workers, see pin_job.h.
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "pin_job.h"

/**
 * iopt_pin_job_alloc - prepare a job
 * @pages: the pages
 * @ops: how to pin and unpin
 * @start: first index of the range, of which nothing is pinned
 * @last: last index
 * @nr: number of workers, at least 1
 *
 * Return: the job, with a reference for the caller; or NULL if there is no memory.
 */
struct iopt_pin_job *iopt_pin_job_alloc(struct iopt_pages *pages,
					const struct iopt_pin_ops *ops,
					unsigned long start, unsigned long last,
					unsigned int nr)
{
	struct iopt_pin_job *job;
	unsigned int i;

	job = kzalloc(struct_size(job, workers, nr),
		      GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
	if (!job)
		return NULL;
	job->nr = nr;
	for (i = 0; i < nr; i++)
		job->workers[i].index = 1;
	refcount_set(&job->users, 1);
	job->pages = pages;
	job->ops = ops;
	job->start = start;
	job->last = last;
	job->piece = max(PIN_PIECE_SIZE >> PAGE_SHIFT, PFN_CHUNK_SIZE);
	spin_lock_init(&job->lock);
	job->next = start;
	job->failed = ULONG_MAX;
	init_waitqueue_head(&job->idle);
	return job;
}

/**
 * iopt_pin_job_put - drop a reference
 * @job: the job
 */
void iopt_pin_job_put(struct iopt_pin_job *job)
{
	if (refcount_dec_and_test(&job->users))
		kfree(job);
}

/**
 * iopt_pin_job_claim - get the next piece
 * @job: the job
 * @worker: an entered worker without a rest; receives the piece
 *
 * Return: false if there is none, or what is left need not be pinned any more.
 */
bool iopt_pin_job_claim(struct iopt_pin_job *job,
			struct iopt_pin_worker *worker)
{
	bool claimed = false;

	scoped_guard(spinlock, &job->lock) {
		claimed = job->next <= job->last && job->failed >= job->next;
		if (claimed) {
			worker->index = job->next;
			worker->last = min(job->last,
					   job->next | (job->piece - 1));
			job->next = worker->last + 1;
		}
	}
	return claimed;
}

static void iopt_pin_job_fail(struct iopt_pin_job *job, unsigned long index)
{
	scoped_guard(spinlock, &job->lock)
		if (index < job->failed)
			WRITE_ONCE(job->failed, index);
}

/* Pin the piece of a worker. Return false if there is a rest */
static bool iopt_pin_job_piece(struct iopt_pin_job *job,
			       struct iopt_pin_worker *worker, void **batch,
			       unsigned int max, struct iopt_pin_pace *pace)
{
	while (worker->index <= worker->last) {
		long n;

		if (READ_ONCE(job->failed) < worker->index)
			return false;
		if (READ_ONCE(job->killed) || fatal_signal_pending(current))
			n = -EINTR;
		else
			n = job->ops->pin(job->pages, worker->index,
					  worker->last, batch, max, pace);
		if (n < 0) {
			iopt_pin_job_fail(job, worker->index);
			return false;
		}
		worker->index += n;
		cond_resched();
	}
	return true;
}

static void iopt_pin_job_work(struct iopt_pin_job *job,
			      struct iopt_pin_worker *worker, void **batch,
			      unsigned int max)
{
	struct iopt_pin_pace pace = iopt_pin_pace_init(max);

	while (iopt_pin_job_claim(job, worker) &&
	       iopt_pin_job_piece(job, worker, batch, max, &pace))
		;
}

/**
 * iopt_pin_job_help - what a helper does
 * @job: the job, with a reference
 * @worker: the helper, with current->mm of the caller
 * @batch: temporary memory of its own
 * @max: entries of it
 *
 * Does nothing if it comes too late.
 */
void iopt_pin_job_help(struct iopt_pin_job *job,
		       struct iopt_pin_worker *worker, void **batch,
		       unsigned int max)
{
	scoped_guard(spinlock, &job->lock) {
		if (job->closed)
			return;
		job->entered++;
	}
	iopt_pin_job_work(job, worker, batch, max);
	scoped_guard(spinlock, &job->lock)
		if (!--job->entered)
			wake_up(&job->idle);
}

static bool iopt_pin_job_is_idle(struct iopt_pin_job *job)
{
	bool idle = false;

	scoped_guard(spinlock, &job->lock)
		idle = !job->entered;
	return idle;
}

/* Nobody but the caller is to touch the pages from here on */
static void iopt_pin_job_join(struct iopt_pin_job *job)
{
	scoped_guard(spinlock, &job->lock)
		job->closed = true;
	if (!wait_event_killable(job->idle, iopt_pin_job_is_idle(job)))
		return;
	/* The helpers are being killed as well: a batch at most is to come */
	WRITE_ONCE(job->killed, true);
	wait_event(job->idle, iopt_pin_job_is_idle(job));
}

/* The rest that comes first at or behind an index */
static const struct iopt_pin_worker *
iopt_pin_job_rest(const struct iopt_pin_job *job, unsigned long index)
{
	const struct iopt_pin_worker *first = NULL;
	unsigned int i;

	for (i = 0; i < job->nr; i++) {
		const struct iopt_pin_worker *worker = &job->workers[i];

		if (worker->index <= worker->last && worker->index >= index &&
		    (!first || worker->index < first->index))
			first = worker;
	}
	return first;
}

/* Unpin what was pinned behind the first failure */
static void iopt_pin_job_undo(struct iopt_pin_job *job)
{
	unsigned long index = job->failed;
	const struct iopt_pin_worker *rest;

	while ((rest = iopt_pin_job_rest(job, index))) {
		if (rest->index > index)
			job->ops->unpin(job->pages, index, rest->index - 1);
		index = rest->last + 1;
	}
	if (index < job->next)
		job->ops->unpin(job->pages, index, job->next - 1);
}

/**
 * iopt_pin_job_run - what the caller does
 * @job: the job
 * @batch: temporary memory of its own
 * @max: entries of it
 *
 * Works along, and waits for the helpers that have entered. If the caller is killed,
 * that is for one batch of each.
 *
 * Return: how many pages from the start of the range on are pinned. Nothing is
 * pinned behind them.
 */
unsigned long iopt_pin_job_run(struct iopt_pin_job *job, void **batch,
			       unsigned int max)
{
	iopt_pin_job_work(job, &job->workers[0], batch, max);
	iopt_pin_job_join(job);
	if (job->failed > job->last)
		return job->last - job->start + 1;
	iopt_pin_job_undo(job);
	return job->failed - job->start;
}
