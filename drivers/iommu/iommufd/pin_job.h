/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_PIN_JOB_H
#define __IOMMUFD_PIN_JOB_H

#include <linux/minmax.h>
#include <linux/refcount.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "pages.h"

/**
 * DOC: pin_job
 *
 * One range of user memory, pinned by several *workers* at once: the *caller*,
 * who has charged the range and holds the mutex of the pages from before the job
 * to after it, and *helpers*, which are threads of the caller's process and hold
 * no lock of ours.
 *
 * The range is cut into *pieces*. Each consists of whole chunks of the store, but
 * for the first and the last one, so that no two workers ever write the same
 * chunk. A worker *claims* the next piece, pins all of it batch by batch, and
 * claims another one. What it has claimed and not pinned is its *rest*.
 *
 * Pieces are claimed in order, and if an index cannot be pinned, only the workers
 * behind it stop, each after its current batch; those before it go on to the end
 * of their piece or to an index of theirs that fails. What they wait for, one
 * thread would wait for as well. So a job ends at the first index that cannot be
 * pinned: all before it is pinned, nothing behind it. Why that is, the job does not
 * say: the caller tries that index again, and so gets an errno of its own. What a
 * helper alone could not have, as memory for a chunk, is then no error at all.
 *
 * Nobody waits for a helper to come or to go, only for those that have *entered*,
 * which they do not any more once the job is *closed*. A helper that is stopped,
 * frozen, or never scheduled is no loss. All that an entered one waits for is
 * ended by SIGKILL, and its SIGKILL is the caller's: they are one process.
 */

/* Large enough for claims not to matter, small enough to end at the same time */
#define PIN_PIECE_SIZE SZ_64M

/*
 * What is pinned before others get the processor, if each page has to be looked
 * up by itself: pin_user_pages_fast() even keeps interrupts out.
 */
#define PIN_PAGES 256

/**
 * struct iopt_pin_pace - how to go on with user memory
 * @step: how many pages to pin at once
 * @hugetlb: the page before is of hugetlbfs
 */
struct iopt_pin_pace {
	unsigned int step;
	bool hugetlb;
};

static inline struct iopt_pin_pace iopt_pin_pace_init(unsigned int max)
{
	return (struct iopt_pin_pace){ .step = min(max, PIN_PAGES) };
}

/**
 * struct iopt_pin_worker - the rest of what a worker has claimed
 * @index: next index to pin
 * @last: last index of the piece; there is no rest if @index has passed it
 *
 * Written by the worker alone while it is entered, and read by the caller after
 * that.
 */
struct iopt_pin_worker {
	unsigned long index;
	unsigned long last;
};

/**
 * struct iopt_pin_ops - what a job does
 * @pin: pin some indices from @index on, up to @last; return how many, at least 1,
 *       or an errno. Called by all workers at once, for different chunks
 * @unpin: unpin indices that @pin has pinned; called by the caller when it is alone
 */
struct iopt_pin_ops {
	long (*pin)(struct iopt_pages *pages, unsigned long index,
		    unsigned long last, void **batch, unsigned int max,
		    struct iopt_pin_pace *pace);
	void (*unpin)(struct iopt_pages *pages, unsigned long index,
		      unsigned long last);
};

/**
 * struct iopt_pin_job - a range that several workers pin
 * @users: the caller, and each helper until it is gone
 * @pages: the pages; to be used by those only that have entered
 * @ops: how to pin and unpin
 * @start: first index of the range
 * @last: last index
 * @piece: pages of a piece, a multiple of a chunk
 * @killed: the caller was; all stop
 * @lock: protects all that follows but @workers
 * @next: first index that nobody has claimed, @last + 1 if there is none
 * @failed: the lowest index that could not be pinned, or ULONG_MAX. Read without
 *          the lock by those who look whether to stop
 * @closed: nobody enters any more
 * @entered: helpers that have entered and not left
 * @idle: where the caller waits for these
 * @nr: number of workers
 * @workers: the first is the caller
 */
struct iopt_pin_job {
	refcount_t users;
	struct iopt_pages *pages;
	const struct iopt_pin_ops *ops;
	unsigned long start;
	unsigned long last;
	unsigned long piece;
	bool killed;

	spinlock_t lock; /* See above */
	unsigned long next;
	unsigned long failed;
	bool closed;
	unsigned int entered;
	wait_queue_head_t idle;

	unsigned int nr;
	struct iopt_pin_worker workers[] __counted_by(nr);
};

struct iopt_pin_job *iopt_pin_job_alloc(struct iopt_pages *pages,
					const struct iopt_pin_ops *ops,
					unsigned long start, unsigned long last,
					unsigned int nr);
void iopt_pin_job_put(struct iopt_pin_job *job);
bool iopt_pin_job_claim(struct iopt_pin_job *job,
			struct iopt_pin_worker *worker);
void iopt_pin_job_help(struct iopt_pin_job *job,
		       struct iopt_pin_worker *worker, void **batch,
		       unsigned int max);
unsigned long iopt_pin_job_run(struct iopt_pin_job *job, void **batch,
			       unsigned int max);

#endif
