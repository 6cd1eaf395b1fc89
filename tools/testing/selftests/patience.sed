# SPDX-License-Identifier: GPL-2.0-only
# For kselftest_harness.h of any kernel: the time that each case may take, 30 s unless it says otherwise, is longer by the factor
# that the environment has in VM_PATIENCE.
/^#define TEST_TIMEOUT_DEFAULT /a\
#include <stdlib.h>\
\
static inline int harness_patience(void)\
{\
	const char *factor = getenv("VM_PATIENCE");\
\
	return factor && atoi(factor) > 0 ? atoi(factor) : 1;\
}
s/\bt->timeout\b/t->timeout * harness_patience()/
