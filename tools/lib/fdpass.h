/* SPDX-License-Identifier: GPL-2.0-only */
/* File descriptors to another process, over a Unix socket. 0 or a negative errno. */
#ifndef FDPASS_H
#define FDPASS_H

/* So many at once */
#define FDPASS_MAX	8

int fds_send(int sock, const int *fds, unsigned int num);
/* -ENOMSG if it is not exactly @num descriptors that come. Closed by exec(). */
int fds_receive(int sock, int *fds, unsigned int num);

#endif /* FDPASS_H */
