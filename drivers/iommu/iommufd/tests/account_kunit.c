// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of account: who is charged how much, and where the limits are.
 */
#include <kunit/test.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>

#include "../account.h"
#include "fake_kunit.h"
#include "../refusal.h"

/**
 * struct account_test - counters before the test, and what is tested
 * @account: the account
 * @refusal: its refusals
 * @user_locked: user_struct.locked_vm before
 * @mm_locked: mm_struct.locked_vm before
 * @mm_pinned: mm_struct.pinned_vm before
 */
struct account_test {
	struct pin_account account;
	struct refusal refusal;
	unsigned long user_locked;
	unsigned long mm_locked;
	unsigned long mm_pinned;
};

static int account_test_init(struct kunit *test)
{
	struct account_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	/* Gives this thread an mm of its own */
	fake_memory_alloc(test, 1, 1, PROT_READ);
	refusal_init(&t->refusal);
	t->user_locked = atomic_long_read(&current_user()->locked_vm);
	t->mm_locked = current->mm->locked_vm;
	t->mm_pinned = atomic64_read(&current->mm->pinned_vm);
	test->priv = t;
	return 0;
}

/*
 * Become a process like any other. Each test runs in a thread of its own, so
 * that there is nothing to restore.
 */
static void drop_privileges(struct kunit *test)
{
	struct cred *cred;

	if (!IS_ENABLED(CONFIG_MULTIUSER))
		kunit_skip(test, "CONFIG_MULTIUSER is off, everybody is privileged");
	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	commit_creds(cred);
}

/* Let this thread lock so many pages more than are locked already */
static void set_limit(unsigned long used, unsigned long npages)
{
	task_lock(current->group_leader);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur =
		(used + npages) * PAGE_SIZE;
	task_unlock(current->group_leader);
}

/* Expect the counters to have moved by so much since the test began */
static void expect_charged(struct kunit *test, unsigned long user,
			   unsigned long mm, unsigned long pinned)
{
	struct account_test *t = test->priv;

	KUNIT_EXPECT_EQ(test,
			atomic_long_read(&current_user()->locked_vm) -
				t->user_locked,
			user);
	KUNIT_EXPECT_EQ(test, t->account.mm->locked_vm - t->mm_locked, mm);
	KUNIT_EXPECT_EQ(test,
			atomic64_read(&t->account.mm->pinned_vm) - t->mm_pinned,
			pinned);
	KUNIT_EXPECT_EQ(test, t->account.charged, pinned);
}

static int charge(struct kunit *test, unsigned long npages)
{
	struct account_test *t = test->priv;

	return pin_account_charge(&t->account, npages, &t->refusal);
}

static void uncharge(struct kunit *test, unsigned long npages)
{
	struct account_test *t = test->priv;

	pin_account_uncharge(&t->account, npages);
}

static void account_test_none(struct kunit *test)
{
	struct account_test *t = test->priv;

	drop_privileges(test);
	set_limit(0, 0);
	pin_account_init(&t->account, PIN_ACCOUNT_NONE);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 1000));
	expect_charged(test, 0, 0, 1000);
	uncharge(test, 1000);
	expect_charged(test, 0, 0, 0);
	pin_account_destroy(&t->account);
}

static void account_test_user(struct kunit *test)
{
	struct account_test *t = test->priv;

	drop_privileges(test);
	set_limit(t->user_locked, 10);
	pin_account_init(&t->account, PIN_ACCOUNT_USER);
	KUNIT_EXPECT_EQ(test, t->account.mode, PIN_ACCOUNT_USER);

	KUNIT_EXPECT_EQ(test, 0, charge(test, 7));
	expect_charged(test, 7, 0, 7);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(test, 4));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(test, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(test, LONG_MAX));
	expect_charged(test, 7, 0, 7);
	KUNIT_EXPECT_EQ(test, 3, t->refusal.count);
	KUNIT_EXPECT_EQ(test, -ENOMEM, t->refusal.error);
	/* Up to the limit, not below it */
	KUNIT_EXPECT_EQ(test, 0, charge(test, 3));
	expect_charged(test, 10, 0, 10);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(test, 1));

	uncharge(test, 9);
	expect_charged(test, 1, 0, 1);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 9));
	uncharge(test, 10);
	uncharge(test, 0);
	expect_charged(test, 0, 0, 0);
	pin_account_destroy(&t->account);
}

/* Two accounts of a user share the user's limit */
static void account_test_user_shared(struct kunit *test)
{
	struct account_test *t = test->priv;
	struct pin_account other;

	drop_privileges(test);
	set_limit(t->user_locked, 10);
	pin_account_init(&t->account, PIN_ACCOUNT_USER);
	pin_account_init(&other, PIN_ACCOUNT_USER);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 6));
	KUNIT_EXPECT_EQ(test, -ENOMEM, pin_account_charge(&other, 6, NULL));
	KUNIT_EXPECT_EQ(test, 0, pin_account_charge(&other, 4, NULL));
	uncharge(test, 6);
	pin_account_uncharge(&other, 4);
	expect_charged(test, 0, 0, 0);
	pin_account_destroy(&other);
	pin_account_destroy(&t->account);
}

static void account_test_mm(struct kunit *test)
{
	struct account_test *t = test->priv;

	drop_privileges(test);
	set_limit(t->mm_locked, 10);
	pin_account_init(&t->account, PIN_ACCOUNT_MM);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 7));
	expect_charged(test, 0, 7, 7);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(test, 4));
	expect_charged(test, 0, 7, 7);
	KUNIT_EXPECT_EQ(test, 1, t->refusal.count);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 3));
	expect_charged(test, 0, 10, 10);
	uncharge(test, 10);
	expect_charged(test, 0, 0, 0);
	pin_account_destroy(&t->account);
}

/* Whoever may lock any amount is not limited; per process it is counted */
static void account_test_privileged(struct kunit *test)
{
	struct account_test *t = test->priv;

	set_limit(0, 0);
	pin_account_init(&t->account, PIN_ACCOUNT_USER);
	KUNIT_EXPECT_EQ(test, t->account.mode, PIN_ACCOUNT_NONE);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 100));
	expect_charged(test, 0, 0, 100);
	uncharge(test, 100);
	pin_account_destroy(&t->account);

	pin_account_init(&t->account, PIN_ACCOUNT_MM);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 100));
	expect_charged(test, 0, 100, 100);
	uncharge(test, 100);
	expect_charged(test, 0, 0, 0);
	pin_account_destroy(&t->account);
}

static void account_test_unlimited(struct kunit *test)
{
	struct account_test *t = test->priv;

	drop_privileges(test);
	task_lock(current->group_leader);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = RLIM_INFINITY;
	task_unlock(current->group_leader);
	pin_account_init(&t->account, PIN_ACCOUNT_USER);
	KUNIT_EXPECT_EQ(test, 0, charge(test, 1UL << 30));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(test, ULONG_MAX));
	uncharge(test, 1UL << 30);
	expect_charged(test, 0, 0, 0);
	pin_account_destroy(&t->account);
}

static struct kunit_case account_cases[] = {
	KUNIT_CASE(account_test_none),
	KUNIT_CASE(account_test_user),
	KUNIT_CASE(account_test_user_shared),
	KUNIT_CASE(account_test_mm),
	KUNIT_CASE(account_test_privileged),
	KUNIT_CASE(account_test_unlimited),
	{}
};

static struct kunit_suite account_suite = {
	.name = "iommufd_account",
	.init = account_test_init,
	.test_cases = account_cases,
};

kunit_test_suite(account_suite);
