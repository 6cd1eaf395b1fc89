// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads of a process that help it to pin much memory.
 *
 * They are made as vhost makes its workers: the process has them as its own, with
 * its memory, cgroups, credentials, limits, affinity and nice value, so no work
 * escapes what confines it. They block all signals but SIGKILL and SIGSTOP.
 *
 * Their life, as seen from the process: a helper ends when the job has nothing more
 * for it, and before the process does. As seen from here: it has reached its end
 * when it can be reaped, which a work item does that waits for it. The caller does
 * not, as a helper that is stopped or frozen can take for ever.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/math.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "pin_helpers.h"

static unsigned int pin_helpers = 4;
module_param(pin_helpers, uint, 0644);
MODULE_PARM_DESC(pin_helpers,
		 "Threads of its own that may help a process to pin 1 GiB or more (default 4; 0: none)");

#if IS_ENABLED(CONFIG_IOMMUFD_TEST)
/* A kernel with sanitizers takes long for 1 GiB */
unsigned int iopt_pin_help_mib = 1024;
module_param_named(pin_help_mib, iopt_pin_help_mib, uint, 0644);
MODULE_PARM_DESC(pin_help_mib,
		 "For tests: how many MiB each helper is for (default 1024)");
#endif

/* Of all processes. Together they get half of the processors at most */
static atomic_t nr_helpers = ATOMIC_INIT(0);

static struct workqueue_struct *reapers;

/**
 * struct iopt_pin_helper - a thread
 * @job: what it works on, with a reference
 * @worker: what it is for the job
 * @max: how many entries of temporary memory it takes
 * @task: the thread
 * @done: it has worked, or had no memory to
 * @leaving: its work item has been queued
 * @reap: the work item, which frees this
 *
 * Used by the thread alone after it has been started, until the work item runs.
 */
struct iopt_pin_helper {
	struct iopt_pin_job *job;
	struct iopt_pin_worker *worker;
	unsigned int max;
	struct vhost_task *task;
	bool done;
	bool leaving;
	struct work_struct reap;
};

static void iopt_pin_helper_free(struct iopt_pin_helper *helper)
{
	iopt_pin_job_put(helper->job);
	kfree(helper);
	atomic_dec(&nr_helpers);
	/* iopt_pin_helpers_exit() waits for the work item, if there is one */
	module_put(THIS_MODULE);
}

static void iopt_pin_helper_reap(struct work_struct *work)
{
	struct iopt_pin_helper *helper =
		container_of(work, struct iopt_pin_helper, reap);

	vhost_task_stop(helper->task);
	iopt_pin_helper_free(helper);
}

static void iopt_pin_helper_leave(struct iopt_pin_helper *helper)
{
	if (helper->leaving)
		return;
	helper->leaving = true;
	queue_work(reapers, &helper->reap);
}

/* SIGKILL: the thread ends by itself. Called instead of iopt_pin_helper_work() */
static void iopt_pin_helper_killed(void *data)
{
	iopt_pin_helper_leave(data);
}

/*
 * Called in a loop, which first attends to a signal if there is one, and sleeps
 * after false until the thread is woken to end.
 */
static bool iopt_pin_helper_work(void *data)
{
	struct iopt_pin_helper *helper = data;
	void **batch;

	if (helper->leaving)
		return false;
	__set_current_state(TASK_RUNNING);

	/*
	 * All in one call: a helper that has entered must not stop or freeze, as
	 * the caller waits for it with locks that others want.
	 */
	if (!helper->done) {
		helper->done = true;
		batch = kmalloc_array(helper->max, sizeof(*batch),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
					      __GFP_NORETRY);
		if (batch)
			iopt_pin_job_help(helper->job, helper->worker, batch,
					  helper->max);
		kfree(batch);
	}

	/* Stop or freeze now, and not while somebody waits for it to end */
	if (signal_pending(current))
		return true;
	iopt_pin_helper_leave(helper);
	return false;
}

static unsigned int iopt_pin_nr_wanted(unsigned long npages)
{
	unsigned int cpus = cpumask_weight_and(current->cpus_ptr,
					       cpu_online_mask);
	unsigned long mib = npages >> (20 - PAGE_SHIFT);

	return min3((unsigned long)READ_ONCE(pin_helpers), cpus / 2UL,
		    DIV_ROUND_UP(mib, max(iopt_pin_help_mib, 1U)));
}

static bool iopt_pin_helper_start(struct iopt_pin_job *job,
				  struct iopt_pin_worker *worker,
				  unsigned int max)
{
	struct iopt_pin_helper *helper;

	if (atomic_inc_return(&nr_helpers) > num_online_cpus() / 2)
		goto err_count;
	helper = kzalloc(sizeof(*helper),
			 GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
	if (!helper)
		goto err_count;
	/* The caller's file holds it now, and may be closed before the thread ends */
	__module_get(THIS_MODULE);
	refcount_inc(&job->users);
	helper->job = job;
	helper->worker = worker;
	helper->max = max;
	INIT_WORK(&helper->reap, iopt_pin_helper_reap);
	helper->task = vhost_task_create(iopt_pin_helper_work,
					 iopt_pin_helper_killed, helper,
					 "iommufd-pin");
	/* NULL on some kernels: no memory, RLIMIT_NPROC, pids.max, a signal */
	if (IS_ERR_OR_NULL(helper->task)) {
		iopt_pin_helper_free(helper);
		return false;
	}
	vhost_task_start(helper->task);
	return true;

err_count:
	atomic_dec(&nr_helpers);
	return false;
}

/**
 * iopt_pin_with_helpers - pin as much of a range as can be, if helpers can be had
 * @pages: the pages; their mutex is held, and the range is charged
 * @ops: how to pin and unpin
 * @index: first index
 * @last: last index
 * @batch: temporary memory
 * @max: entries of it
 *
 * Return: how many pages from @index on are pinned, with nothing pinned behind them.
 * Maybe none: whatever the reason, the caller goes on alone.
 */
unsigned long iopt_pin_with_helpers(struct iopt_pages *pages,
				    const struct iopt_pin_ops *ops,
				    unsigned long index, unsigned long last,
				    void **batch, unsigned int max)
{
	struct iopt_pin_job *job;
	unsigned long npinned;
	unsigned int i, nr;

	if (pages->source != IOPT_PAGES_USER ||
	    current->mm != pages->account.mm)
		return 0;
	/* A thread of the kernel has borrowed the memory, and has no siblings */
	if (current->flags & (PF_KTHREAD | PF_USER_WORKER | PF_EXITING))
		return 0;
	nr = iopt_pin_nr_wanted(last - index + 1);
	if (!nr)
		return 0;
	job = iopt_pin_job_alloc(pages, ops, index, last, nr + 1);
	if (!job)
		return 0;
	for (i = 1; i <= nr; i++)
		if (!iopt_pin_helper_start(job, &job->workers[i], max))
			break;
	npinned = i > 1 ? iopt_pin_job_run(job, batch, max) : 0;
	iopt_pin_job_put(job);
	return npinned;
}

/**
 * iopt_pin_helpers_init - be ready to have helpers
 *
 * Return: 0 or -ENOMEM.
 */
int __init iopt_pin_helpers_init(void)
{
	reapers = alloc_workqueue("iommufd-pin", WQ_UNBOUND, 0);
	return reapers ? 0 : -ENOMEM;
}

/**
 * iopt_pin_helpers_exit - forget the helpers, all of which have ended
 */
void iopt_pin_helpers_exit(void)
{
	destroy_workqueue(reapers);
}
