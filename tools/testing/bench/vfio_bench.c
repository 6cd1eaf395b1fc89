// SPDX-License-Identifier: GPL-2.0-only
/*
 * What VFIO and vfio-pci cost a user: accesses to regions, faults of mapped BARs,
 * interrupts, opening and closing. By character device and iommufd, or by group
 * and container, with the requests that both our modules and stock ones have.
 *
 * The clock of a process counts what it executes itself: while it waits for an
 * IOMMU, an RCU grace period or a reset, nothing is executed that would be worth
 * counting. How long it takes with that is reported beside it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/pci_regs.h>

#include "../selftests/lib/iommufd.h"
#include "../selftests/lib/type1.h"
#include "../selftests/lib/vfio.h"
#include "mark.h"

#define PAGE		4096ul
#define GiB		0x40000000ul
#define NR_VECTORS	64
#define MAX_ROUNDS	64

#define DIE(...)                                                     \
	do {                                                         \
		fprintf(stderr, "vfio_bench: %s:%d: ", __func__,     \
			__LINE__);                                   \
		fprintf(stderr, __VA_ARGS__);                        \
		fprintf(stderr, ": %s\n", strerror(errno));          \
		exit(1);                                             \
	} while (0)
#define OK(x)                          \
	do {                           \
		if ((x) < 0)           \
			DIE("%s", #x); \
	} while (0)

static bool by_group;

/* ---- opening */

struct user {
	const char *bdf;
	int iommu;	/* iommufd or container */
	int group;
	int dev;
	uint32_t ioas;
};

/* Names are looked up once, or the search would be what is measured */
static const char *path_of(const char *bdf)
{
	static char path[PATH_MAX];

	if (by_group)
		snprintf(path, sizeof(path), "/dev/vfio/%d", sysdev_group(bdf));
	else
		OK(sysdev_cdev_path(bdf, path));
	return path;
}

static void open_iommu(struct user *u)
{
	u->iommu = open(by_group ? "/dev/vfio/vfio" : "/dev/iommu",
			O_RDWR | O_CLOEXEC);
	OK(u->iommu);
	if (by_group)
		return;
	OK(ioas_alloc(u->iommu, &u->ioas));
}

static void open_group(struct user *u, const char *path)
{
	u->group = open(path, O_RDWR | O_CLOEXEC);
	OK(u->group);
	OK(group_set_container(u->group, u->iommu));
	OK(t1_set_iommu(u->iommu, VFIO_TYPE1v2_IOMMU));
}

static void open_device(struct user *u, const char *path)
{
	if (by_group) {
		u->dev = group_get_device(u->group, u->bdf);
		OK(u->dev);
		return;
	}
	u->dev = cdev_open_path(path);
	OK(u->dev);
	OK(cdev_bind(u->dev, u->iommu, NULL));
	OK(cdev_attach_to(u->dev, u->ioas));
}

static void open_all(struct user *u, const char *path)
{
	open_iommu(u);
	if (by_group)
		open_group(u, path);
	open_device(u, path);
}

static void close_all(struct user *u)
{
	close(u->dev);
	if (by_group)
		close(u->group);
	close(u->iommu);
}

static void use(struct user *u, const char *bdf)
{
	uint16_t command = PCI_COMMAND_MEMORY;
	__u64 config, size;

	u->bdf = bdf;
	open_all(u, path_of(bdf));
	OK(cdev_region(u->dev, VFIO_PCI_CONFIG_REGION_INDEX, &config, &size));
	if (pwrite(u->dev, &command, 2, config + PCI_COMMAND) != 2)
		DIE("command");
}

/* ---- measuring */

/**
 * struct cost - the cost of one phase, by round
 * @phase: for mark()
 * @metric: its name
 * @cpu: what this thread executed
 * @all: from begin to end
 * @nr: rounds
 */
struct cost {
	int phase;
	const char *metric;
	uint64_t cpu[MAX_ROUNDS];
	uint64_t all[MAX_ROUNDS];
	int nr;
};

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void begin(struct cost *c)
{
	c->all[c->nr] = now(CLOCK_MONOTONIC);
	c->cpu[c->nr] = now(CLOCK_THREAD_CPUTIME_ID);
	mark(c->phase);
}

static void end(struct cost *c)
{
	mark(0);
	c->cpu[c->nr] = now(CLOCK_THREAD_CPUTIME_ID) - c->cpu[c->nr];
	c->all[c->nr] = now(CLOCK_MONOTONIC) - c->all[c->nr];
	c->nr++;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, int nr)
{
	qsort(values, nr, sizeof(*values), compare);
	return values[nr / 2];
}

/* A round did the same thing @ops times */
static void report(struct cost *c, double ops)
{
	uint64_t cpu = median(c->cpu, c->nr), all = median(c->all, c->nr);

	printf("{\"phase\":%d,\"name\":\"%s\",\"metric\":\"%s\",\"n\":%d,\"min\":%.1f,\"max\":%.1f,\"ns_per_op\":%.3f,\"elapsed_per_op\":%.1f}\n",
	       c->phase, c->metric, c->metric, c->nr, c->cpu[0] / ops,
	       c->cpu[c->nr - 1] / ops, cpu / ops, all / ops);
	fflush(stdout);
}

/* ---- what is measured */

/* So many that each round has as many timer interrupts as the others */
#define ACCESSES	20000

static __u64 region(const struct user *u, unsigned int index, __u64 *size)
{
	__u64 offset;

	OK(cdev_region(u->dev, index, &offset, size));
	return offset;
}

static void access_region(const struct user *u, struct cost *c, off_t pos,
			  size_t width, bool write)
{
	int round, i, accesses = width == PAGE ? ACCESSES / 20 : ACCESSES;
	char buf[PAGE] = {};

	for (round = 0; round < 5; round++) {
		begin(c);
		for (i = 0; i < accesses; i++) {
			ssize_t n = write ? pwrite(u->dev, buf, width, pos) :
					    pread(u->dev, buf, width, pos);

			if (n != (ssize_t)width)
				DIE("%s", c->metric);
		}
		end(c);
	}
	report(c, accesses);
}

/* ivshmem: registers in BAR 0, memory in BAR 2 */
static void measure_access(const struct user *u)
{
	struct cost c[] = {
		{ 1, "bar_read_4" }, { 2, "bar_write_4" },
		{ 3, "bar_read_4k" }, { 4, "bar_write_4k" },
		{ 5, "config_read_4" }, { 6, "config_write_1" },
	};
	__u64 size, regs, mem, config;

	regs = region(u, VFIO_PCI_BAR0_REGION_INDEX, &size);
	mem = region(u, VFIO_PCI_BAR2_REGION_INDEX, &size);
	config = region(u, VFIO_PCI_CONFIG_REGION_INDEX, &size);
	access_region(u, &c[0], regs, 4, false);
	access_region(u, &c[1], regs, 4, true);
	access_region(u, &c[2], mem, PAGE, false);
	access_region(u, &c[3], mem, PAGE, true);
	access_region(u, &c[4], config + PCI_VENDOR_ID, 4, false);
	access_region(u, &c[5], config + PCI_INTERRUPT_LINE, 1, true);
}

/* How much of an address space is mapped by huge pages the address decides */
static void touch_all(const struct user *u, struct cost *touch,
		      struct cost *unmap, size_t shift)
{
	__u64 size, offset = region(u, VFIO_PCI_BAR2_REGION_INDEX, &size);
	char *room, *at, *p;
	int round;

	if (size != GiB) {
		errno = 0;
		DIE("BAR 2 is not of 1 GiB");
	}
	room = mmap(NULL, 3 * GiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (room == MAP_FAILED)
		DIE("mmap");
	at = (char *)(((uintptr_t)room + GiB - 1) & ~(GiB - 1)) + shift;
	for (round = 0; round < 3; round++) {
		if (mmap(at, GiB, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, u->dev, offset) != at)
			DIE("mmap of the BAR");
		begin(touch);
		for (p = at; p < at + GiB; p += PAGE)
			(void)*(volatile char *)p;
		end(touch);
		begin(unmap);
		munmap(at, GiB);
		end(unmap);
	}
	munmap(room, 3 * GiB);
	report(touch, GiB / PAGE);
	report(unmap, GiB / PAGE);
}

static void measure_faults(const struct user *u)
{
	struct cost c[] = {
		{ 7, "touch_huge" }, { 8, "unmap_huge" },
		{ 9, "touch_4k" }, { 10, "unmap_4k" },
	};

	touch_all(u, &c[0], &c[1], 0);
	touch_all(u, &c[2], &c[3], PAGE);
}

static void measure_irqs(const struct user *u)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[NR_VECTORS];
	} on = {
		.set = {
			.argsz = sizeof(on),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = NR_VECTORS,
		},
	};
	struct vfio_irq_set off = {
		.argsz = sizeof(off),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	struct cost set = { 11, "irqs_on" }, again = { 12, "irqs_again" },
		    unset = { 13, "irqs_off" };
	int i, round;

	for (i = 0; i < NR_VECTORS; i++) {
		on.fds[i] = eventfd(0, EFD_CLOEXEC);
		OK(on.fds[i]);
	}
	for (round = 0; round < 5; round++) {
		begin(&set);
		OK(call(u->dev, VFIO_DEVICE_SET_IRQS, &on));
		end(&set);
		begin(&again);
		OK(call(u->dev, VFIO_DEVICE_SET_IRQS, &on));
		end(&again);
		begin(&unset);
		OK(call(u->dev, VFIO_DEVICE_SET_IRQS, &off));
		end(&unset);
	}
	report(&set, 1);
	report(&again, 1);
	report(&unset, 1);
}

#define CYCLES	15

static void measure_open(const char *bdf)
{
	struct cost opened = { 14, "open" }, closed = { 15, "close" },
		    both = { 16, "device" };
	const char *path = path_of(bdf);
	struct user u = { .bdf = bdf };
	int round;

	for (round = 0; round < CYCLES; round++) {
		begin(&opened);
		open_all(&u, path);
		end(&opened);
		begin(&closed);
		close_all(&u);
		end(&closed);
	}
	report(&opened, 1);
	report(&closed, 1);

	open_iommu(&u);
	if (by_group)
		open_group(&u, path);
	for (round = 0; round < CYCLES; round++) {
		begin(&both);
		open_device(&u, path);
		close(u.dev);
		end(&both);
	}
	report(&both, 1);
	if (by_group)
		close(u.group);
	close(u.iommu);
}

int main(int argc, char **argv)
{
	struct user shmem, nvme;

	if (argc != 5 || (strcmp(argv[1], "cdev") && strcmp(argv[1], "group"))) {
		fprintf(stderr, "usage: %s cdev|group IVSHMEM NVME EDU\n",
			argv[0]);
		return 2;
	}
	by_group = !strcmp(argv[1], "group");
	use(&shmem, argv[2]);
	measure_access(&shmem);
	measure_faults(&shmem);
	close_all(&shmem);
	use(&nvme, argv[3]);
	measure_irqs(&nvme);
	close_all(&nvme);
	measure_open(argv[4]);
	return 0;
}
