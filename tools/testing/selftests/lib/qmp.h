/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test has the machine do that it runs in: the harness passes commands on
 * to QEMU.
 */
#ifndef TEST_QMP_H
#define TEST_QMP_H

#include <stdbool.h>

bool qmp_is_there(void);
/* -EIO if QEMU refuses */
int qmp_execute(const char *command, const char *arguments);
/* A command of QEMU's monitor for people; -EIO if it does not say @success */
int qmp_monitor(const char *line, const char *success);

#endif
