// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/loop.h>

#include "../../../lib/sysdev.h"
#include "memory.h"

void *mem_shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void *mem_private(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mem_hugetlb(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE,
		    -1, 0);
}

void *mem_thp(size_t size)
{
	uintptr_t p = (uintptr_t)mem_private(size + SZ_2M);

	if ((void *)p == MAP_FAILED)
		return MAP_FAILED;
	p = (p + SZ_2M - 1) & ~(SZ_2M - 1);
	madvise((void *)p, size, MADV_HUGEPAGE);
	memset((void *)p, 0x5a, size);
	return (void *)p;
}

void *mem_before_hole(size_t size)
{
	size_t ps = page_size();
	size_t len = (size + ps - 1) / ps * ps;
	char *p = mem_private(len + ps);

	if (p == MAP_FAILED)
		return MAP_FAILED;
	munmap(p + len, ps);
	return p + len - size;
}

void hugetlb_reserve(unsigned int pages)
{
	static const char pool[] =
		"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
	char text[16];

	if (file_read(pool, text, sizeof(text)) < 0 ||
	    strtoul(text, NULL, 10) >= pages)
		return;
	snprintf(text, sizeof(text), "%u", pages);
	file_write(pool, text);
}

int memfd_new(size_t size, unsigned int flags)
{
	int fd = syscall(SYS_memfd_create, "iommufd-test",
			 flags | MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size)) {
		close(fd);
		return -errno;
	}
	return fd;
}

int block_device(size_t size)
{
	int backing = memfd_new(size, 0);
	int control, number, fd = -1, rc;
	char path[32];

	if (access("/dev/loop-control", F_OK) && system("modprobe -q loop"))
		return -ENODEV;
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0 || backing < 0)
		return -errno;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	if (number >= 0)
		fd = open(path, O_RDWR | O_CLOEXEC);
	rc = fd < 0 || ioctl(fd, LOOP_SET_FD, backing) ? -errno : fd;
	close(control);
	close(backing);
	return rc;
}

long pages_pinned(void)
{
	long acquired = -1, released = -1, value;
	char name[64];
	FILE *f;

	/* Each processor counts for itself; this adds up. Only root may ask for it. */
	file_write("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/vmstat", "re");
	if (!f)
		return -errno;
	while (fscanf(f, "%63s %ld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = value;
		else if (!strcmp(name, "nr_foll_pin_released"))
			released = value;
	}
	fclose(f);
	return acquired < 0 ? -ENODATA : acquired - released;
}

long status_kib(const char *key)
{
	size_t len = strlen(key);
	char line[256];
	long value = -1;
	FILE *f;

	f = fopen("/proc/self/status", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && line[len] == ':')
			value = strtol(line + len + 1, NULL, 10);
	}
	fclose(f);
	return value;
}

static __thread sigjmp_buf mem_bus_error;
static __thread volatile bool mem_peeks;

static void mem_on_sigbus(int sig)
{
	if (mem_peeks)
		siglongjmp(mem_bus_error, sig);
	/* It ends the process, when the access is tried again. */
	signal(SIGBUS, SIG_DFL);
}

bool mem_peek32(const volatile __u32 *reg, __u32 *val)
{
	/* It stays, for another thread may be here, too. */
	signal(SIGBUS, mem_on_sigbus);
	if (sigsetjmp(mem_bus_error, 1)) {
		mem_peeks = false;
		return false;
	}
	mem_peeks = true;
	*val = *reg;
	mem_peeks = false;
	return true;
}

unsigned long count_bits(const void *bitmap, unsigned long bits)
{
	unsigned long i, n = 0;

	for (i = 0; i != bits; i++)
		n += bit_is_set(bitmap, i);
	return n;
}
