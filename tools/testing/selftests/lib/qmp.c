// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qmp.h"

#define QMP_PORT	"/dev/virtio-ports/vm.qmp"

bool qmp_is_there(void)
{
	return !access(QMP_PORT, W_OK);
}

static int qmp_request(const char *request, char *reply, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open(QMP_PORT, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, request, strlen(request));
	while (n > 0 && len < size - 1 && !memchr(reply, '\n', len)) {
		n = read(fd, reply + len, size - 1 - len);
		if (n > 0)
			len += n;
	}
	close(fd);
	reply[len] = '\0';
	return n > 0 && !strstr(reply, "\"error\":") ? 0 : -EIO;
}

int qmp_execute(const char *command, const char *arguments)
{
	char request[512], reply[1024];
	int ret;

	snprintf(request, sizeof(request),
		 "{\"execute\":\"%s\",\"arguments\":%s}\n", command, arguments);
	ret = qmp_request(request, reply, sizeof(reply));
	if (ret == -EIO)
		printf("# %s: %s\n", command, reply);
	return ret;
}

int qmp_monitor(const char *line, const char *success)
{
	char request[512], reply[1024];
	int ret;

	snprintf(request, sizeof(request),
		 "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"%s\"}}\n",
		 line);
	ret = qmp_request(request, reply, sizeof(reply));
	if (!ret && !strstr(reply, success))
		ret = -EIO;
	if (ret == -EIO)
		printf("# %s: %s\n", line, reply);
	return ret;
}
