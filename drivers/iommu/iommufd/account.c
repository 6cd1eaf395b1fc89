// SPDX-License-Identifier: GPL-2.0-only
/*
 * RLIMIT_MEMLOCK accounting of pinned pages, see account.h.
 */
#include <linux/bug.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>

#include "account.h"
#include "refusal.h"

/**
 * pin_account_init - make the current process the payer
 * @account: what to initialise
 * @mode: PIN_ACCOUNT_USER or PIN_ACCOUNT_MM; a process with CAP_IPC_LOCK is
 *        not charged in user mode
 */
void pin_account_init(struct pin_account *account, enum pin_account_mode mode)
{
	account->unlimited = capable(CAP_IPC_LOCK);
	if (mode == PIN_ACCOUNT_USER && account->unlimited)
		mode = PIN_ACCOUNT_NONE;
	account->mode = mode;
	account->mm = current->mm;
	mmgrab(account->mm);
	account->charged = 0;
	if (mode == PIN_ACCOUNT_NONE)
		return;
	account->task = get_task_struct(current->group_leader);
	account->user = get_uid(current_user());
}

/**
 * pin_account_destroy - undo pin_account_init()
 * @account: the account; everything must have been uncharged
 */
void pin_account_destroy(struct pin_account *account)
{
	WARN_ON(account->charged);
	if (account->mode != PIN_ACCOUNT_NONE) {
		free_uid(account->user);
		put_task_struct(account->task);
	}
	mmdrop(account->mm);
}

/**
 * pin_account_fits - would the current process be charged in vain?
 * @mode: as for pin_account_init()
 * @npages: number of pages
 *
 * Only a guess, as others of the user charge at the same time.
 *
 * Return: false if a charge would be refused now.
 */
bool pin_account_fits(enum pin_account_mode mode, unsigned long npages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	unsigned long used;

	if (mode == PIN_ACCOUNT_NONE)
		return true;
	if (mode == PIN_ACCOUNT_USER)
		used = atomic_long_read(&current_user()->locked_vm);
	else
		used = READ_ONCE(current->mm->locked_vm);
	return (used <= limit && npages <= limit - used) ||
	       capable(CAP_IPC_LOCK);
}

/*
 * What changes a limited count is not inlined, or those who are not charged would
 * save registers for it with each map and unmap.
 */
static noinline int pin_account_charge_user(struct pin_account *account,
					    unsigned long npages,
					    struct refusal *refusal)
{
	unsigned long limit = task_rlimit(account->task, RLIMIT_MEMLOCK) >>
			      PAGE_SHIFT;
	unsigned long old = atomic_long_read(&account->user->locked_vm);
	unsigned long sum;

	do {
		if (check_add_overflow(old, npages, &sum) || sum > limit)
			return refuse_and_warn(refusal, REFUSAL_MEMLOCK, -ENOMEM,
					       "memlock limit: the user has %lu kB locked, asked for %lu kB more, RLIMIT_MEMLOCK is %lu kB",
					       old << (PAGE_SHIFT - 10),
					       npages << (PAGE_SHIFT - 10),
					       limit << (PAGE_SHIFT - 10));
	} while (!atomic_long_try_cmpxchg(&account->user->locked_vm, &old,
					  sum));
	return 0;
}

static noinline int pin_account_charge_mm(struct pin_account *account,
					  unsigned long npages,
					  struct refusal *refusal)
{
	int rc;

	if (mmap_write_lock_killable(account->mm))
		return -EINTR;
	rc = __account_locked_vm(account->mm, npages, true, account->task,
				 account->unlimited);
	mmap_write_unlock(account->mm);
	if (rc)
		return refuse_and_warn(refusal, REFUSAL_MEMLOCK, -ENOMEM,
				       "memlock limit: the process has %lu kB locked, asked for %lu kB more, RLIMIT_MEMLOCK is %lu kB",
				       READ_ONCE(account->mm->locked_vm) << (PAGE_SHIFT - 10),
				       npages << (PAGE_SHIFT - 10),
				       task_rlimit(account->task, RLIMIT_MEMLOCK) >> 10);
	return 0;
}

/**
 * pin_account_charge - charge pages before they are pinned
 * @account: the payer; its embedder's lock is held
 * @npages: number of pages
 * @refusal: where to say that the limit was reached, may be NULL
 *
 * Return: 0, -ENOMEM if RLIMIT_MEMLOCK would be exceeded, or -EINTR if the
 * caller was killed while it waited.
 */
int pin_account_charge(struct pin_account *account, unsigned long npages,
		       struct refusal *refusal)
{
	int rc = 0;

	if (account->mode == PIN_ACCOUNT_USER)
		rc = pin_account_charge_user(account, npages, refusal);
	else if (account->mode == PIN_ACCOUNT_MM)
		rc = pin_account_charge_mm(account, npages, refusal);
	if (rc)
		return rc;

	atomic64_add(npages, &account->mm->pinned_vm);
	account->charged += npages;
	return 0;
}

static noinline void pin_account_uncharge_mm(struct pin_account *account,
					     unsigned long npages)
{
	mmap_write_lock(account->mm);
	__account_locked_vm(account->mm, npages, false, account->task, true);
	mmap_write_unlock(account->mm);
}

/**
 * pin_account_uncharge - undo pin_account_charge()
 * @account: the payer; its embedder's lock is held
 * @npages: number of pages
 *
 * Works also when the payer has exited since: the counters outlive it.
 */
void pin_account_uncharge(struct pin_account *account, unsigned long npages)
{
	if (WARN_ON(npages > account->charged))
		npages = account->charged;

	if (account->mode == PIN_ACCOUNT_USER)
		atomic_long_sub(npages, &account->user->locked_vm);
	else if (account->mode == PIN_ACCOUNT_MM)
		pin_account_uncharge_mm(account, npages);
	atomic64_sub(npages, &account->mm->pinned_vm);
	account->charged -= npages;
}

/* Does a limit count the pages of both, so that they are not to count twice? */
static bool pin_account_same_payer(const struct pin_account *a,
				   const struct pin_account *b)
{
	if (a->mode != b->mode)
		return false;
	if (a->mode == PIN_ACCOUNT_USER)
		return a->user == b->user;
	return a->mode == PIN_ACCOUNT_MM && a->mm == b->mm;
}

/**
 * pin_account_take_over - charge a new payer for what another one pays
 * @account: the new payer, charged for nothing
 * @from: the old payer; stays charged until pin_account_give_up(). Its
 *        embedder's lock is held from here to there
 * @refusal: where to say that the limit was reached, may be NULL
 *
 * Return: 0, or an error of pin_account_charge() with nothing charged.
 */
int pin_account_take_over(struct pin_account *account,
			  const struct pin_account *from,
			  struct refusal *refusal)
{
	if (!pin_account_same_payer(account, from))
		return pin_account_charge(account, from->charged, refusal);

	atomic64_add(from->charged, &account->mm->pinned_vm);
	account->charged = from->charged;
	return 0;
}

/**
 * pin_account_give_up - let one of two payers off that pay for the same pages
 * @account: the one that must not pay any more: the old payer after
 *           pin_account_take_over() has succeeded, or the new one to undo it
 * @to: the other one
 */
void pin_account_give_up(struct pin_account *account,
			 const struct pin_account *to)
{
	if (!pin_account_same_payer(account, to)) {
		pin_account_uncharge(account, account->charged);
		return;
	}
	atomic64_sub(account->charged, &account->mm->pinned_vm);
	account->charged = 0;
}
