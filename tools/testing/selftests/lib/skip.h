/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIB_SKIP_H
#define LIB_SKIP_H

#include "kselftest_harness.h"

/* To skip the rest of a test. SKIP() alone forgets what has failed before. */
#define SKIP_REST(fmt, ...)						\
	do {								\
		if (__test_passed(_metadata))				\
			SKIP(return, fmt, ##__VA_ARGS__);		\
		return;							\
	} while (0)

#endif /* LIB_SKIP_H */
