/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands to the QEMU that the test runs in, which the harness passes on */
#ifndef TEST_QMP_H
#define TEST_QMP_H

#include <stdbool.h>

bool qmp_is_there(void);
/* -EIO if QEMU refuses */
int qmp_execute(const char *command, const char *arguments);
/* A command of QEMU's monitor for people; -EIO if it does not say @success */
int qmp_monitor(const char *line, const char *success);

#endif
