/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IOMMUFD_ACCOUNT_H
#define __IOMMUFD_ACCOUNT_H

#include <linux/types.h>

struct mm_struct;
struct refusal;
struct task_struct;
struct user_struct;

/**
 * enum pin_account_mode - who is charged for pinned pages
 * @PIN_ACCOUNT_NONE: nobody: the owner may lock any amount of memory
 * @PIN_ACCOUNT_USER: user_struct.locked_vm, summed over the user's processes
 * @PIN_ACCOUNT_MM: mm_struct.locked_vm, as mlock() and VFIO type 1 do
 *
 * Whatever the mode, mm_struct.pinned_vm is kept.
 */
enum pin_account_mode {
	PIN_ACCOUNT_NONE,
	PIN_ACCOUNT_USER,
	PIN_ACCOUNT_MM,
};

/**
 * struct pin_account - the payer for the pages of one owner
 * @mode: see &enum pin_account_mode
 * @unlimited: the owner had CAP_IPC_LOCK when it became the payer
 * @mm: the owner's memory; only the struct is held, not its pages
 * @task: the owner's thread group leader, for its rlimit; not set if nobody
 *        is charged
 * @user: the owner's user; not set if nobody is charged
 * @charged: pages charged at present; protected by the lock of the embedder
 */
struct pin_account {
	enum pin_account_mode mode;
	bool unlimited;
	struct mm_struct *mm;
	struct task_struct *task;
	struct user_struct *user;
	unsigned long charged;
};

void pin_account_init(struct pin_account *account, enum pin_account_mode mode);
void pin_account_destroy(struct pin_account *account);
bool pin_account_fits(enum pin_account_mode mode, unsigned long npages);

int pin_account_charge(struct pin_account *account, unsigned long npages,
		       struct refusal *refusal);
void pin_account_uncharge(struct pin_account *account, unsigned long npages);

int pin_account_take_over(struct pin_account *account,
			  const struct pin_account *from,
			  struct refusal *refusal);
void pin_account_give_up(struct pin_account *account,
			 const struct pin_account *to);

#endif
