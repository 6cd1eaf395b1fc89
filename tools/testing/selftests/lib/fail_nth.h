/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection: fail the n-th allocation of an operation, for every n.
 *
 *	while (fail_nth_next(&nth)) {
 *		set up
 *		rc = fail_nth_run(&nth, operation(...));
 *		take apart, compare with the state before
 *	}
 *
 * ends after the first round in which there was no n-th allocation. In that
 * round the operation has to succeed, which EXPECT_FAIL_NTH() checks.
 */
#ifndef TEST_FAIL_NTH_H
#define TEST_FAIL_NTH_H

#include <stdbool.h>

struct fail_nth {
	int fd;
	unsigned int n;
	bool injected;
};

/*
 * The calling thread's fail-nth, or a negative errno; the countdown to its n-th
 * allocation from now; the end of that, which is not what fails
 */
int fail_nth_open(void);
int fail_nth_set(int fd, unsigned int n);
void fail_nth_stop(int fd);

/* Returns why there is no fault injection, or NULL if there is */
const char *fail_nth_init(struct fail_nth *nth);
void fail_nth_arm(struct fail_nth *nth);
void fail_nth_disarm(struct fail_nth *nth);
bool fail_nth_next(struct fail_nth *nth);

#define fail_nth_run(nth, expr)						\
	({								\
		struct fail_nth *__nth = (nth);				\
		long __rc;						\
									\
		fail_nth_arm(__nth);					\
		__rc = (expr);						\
		fail_nth_disarm(__nth);					\
		__rc;							\
	})

/* What an operation may answer in a round of fault injection, in a test */
#define EXPECT_FAIL_NTH(nth, rc)					\
	do {								\
		const struct fail_nth *__fail = (nth);			\
		int __answer = (rc);					\
									\
		if (!__fail->injected)					\
			EXPECT_EQ(0, __answer);				\
		EXPECT_TRUE(__answer == 0 || __answer == -ENOMEM ||	\
			    __answer == -EFAULT) {			\
			TH_LOG("round %u: %d", __fail->n, __answer);	\
		}							\
	} while (0)

/* After the last round */
#define EXPECT_SWEPT(nth)						\
	do {								\
		const struct fail_nth *__fail = (nth);			\
									\
		EXPECT_FALSE(__fail->injected);				\
		EXPECT_LT(1, __fail->n) {				\
			TH_LOG("nothing could be made to fail");	\
		}							\
	} while (0)

#endif
