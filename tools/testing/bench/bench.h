/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs that measure have in common: the backends of iommu_bench.c, kinds
 * of memory, and the form of results.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/lib/iommufd.h"
#include "../selftests/lib/type1.h"
#include "../selftests/lib/vfio.h"

#ifdef HAVE_MOCK
#include "../selftests/lib/mock.h"
#endif

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB (30 << 26)
#endif
#define KiB 0x400ul
#define MiB 0x100000ul
#define GiB 0x40000000ul

static const char *be_name = "iommufd", *bdf, *container, *only;
static size_t SZ = 256 * MiB;
static int reps = 5;
static const uint64_t BASE = 0x20000000; /* valid on VT-d, AMD and mock */
static char tag[64] = "";

#define DIE(...)                                                             \
	do {                                                                 \
		fprintf(stderr, "iommu_bench: %s:%d: ", __func__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                                \
		fprintf(stderr, " errno=%d (%s)\n", errno, strerror(errno)); \
		exit(1);                                                     \
	} while (0)
#define OK(x)                          \
	do {                           \
		if ((x) < 0)           \
			DIE("%s", #x); \
	} while (0)

static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ---------------------------------------------------------------- output */
static inline int cmp64(const void *a, const void *b)
{
	uint64_t x = *(uint64_t *)a, y = *(uint64_t *)b;

	return x < y ? -1 : x > y;
}

static inline void head(const char *metric)
{
	printf("{\"tag\":\"%s\",\"backend\":\"%s\",\"metric\":\"%s\",", tag,
	       be_name, metric);
}

/* v: n samples in ns; bytes: 0 or bytes per sample; ops: ops per sample */
static inline void report(const char *metric, uint64_t *v, int n, double bytes,
			  double ops)
{
	uint64_t med;

	qsort(v, n, sizeof(*v), cmp64);
	med = n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
	head(metric);
	printf("\"n\":%d,\"ns\":%lu,\"min\":%lu,\"max\":%lu", n, med, v[0],
	       v[n - 1]);
	if (ops > 0)
		printf(",\"ns_per_op\":%.1f,\"ops_per_s\":%.0f", med / ops,
		       ops * 1e9 / med);
	if (bytes > 0)
		printf(",\"GiBps\":%.3f,\"ns_per_4k\":%.1f",
		       bytes / GiB * 1e9 / med, med / (bytes / 4096));
	printf("}\n");
	fflush(stdout);
}

static inline void left_out(const char *metric, const char *why)
{
	head(metric);
	printf("\"skip\":\"%s\",\"errno\":%d}\n", why, errno);
	fflush(stdout);
}

static inline bool want(const char *t)
{
	return !only || strstr(only, t);
}

/* --------------------------------------------------------------- backend */
enum { B_IOMMUFD, B_CONTAINER, B_NOATTACH, B_MOCK } be;
struct ctx {
	int fd, dev, group;
	uint32_t ioas, dev_id;
};

static inline uint32_t new_ioas(int fd)
{
	uint32_t ioas;

	OK(ioas_alloc(fd, &ioas));
	return ioas;
}

static inline void be_open(struct ctx *c)
{
	*c = (struct ctx){ .fd = -1, .dev = -1, .group = -1 };
	if (be == B_CONTAINER) {
		c->fd = open(container, O_RDWR);
		if (c->fd < 0)
			DIE("%s", container);
		c->group = group_open(sysdev_group(bdf));
		OK(c->group);
		OK(group_set_container(c->group, c->fd));
		OK(t1_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
		c->dev = group_get_device(c->group, bdf);
		OK(c->dev);
		return;
	}
	c->fd = iommufd_open();
	OK(c->fd);
	c->ioas = new_ioas(c->fd);
	if (be == B_IOMMUFD) {
		c->dev = cdev_open(bdf);
		OK(c->dev);
		OK(cdev_bind(c->dev, c->fd, &c->dev_id));
		OK(cdev_attach_to(c->dev, c->ioas));
	}
#ifdef HAVE_MOCK
	if (be == B_MOCK) {
		struct mock_device mock;

		OK(mock_attach(c->fd, c->ioas, &mock));
	}
#endif
}

static inline void be_close(struct ctx *c)
{
	if (c->dev >= 0)
		close(c->dev);
	if (c->group >= 0)
		close(c->group);
	close(c->fd);
}

static inline int be_map(struct ctx *c, uint64_t iova, void *va, size_t len)
{
	if (be == B_CONTAINER)
		return t1_map(c->fd, va, len, iova, T1_RW);
	return ioas_map_at(c->fd, c->ioas, va, len, iova);
}

static inline int be_unmap(struct ctx *c, uint64_t iova, size_t len)
{
	__u64 size = len;

	if (be == B_CONTAINER)
		return t1_unmap_flags(c->fd, iova, &size, 0);
	return ioas_unmap(c->fd, c->ioas, iova, len);
}

/* ---------------------------------------------------------------- memory */
/*
 * anon4k: physically contiguous order-0 pages (THPs split through debugfs
 *         split_huge_pages; plain address-order faults where that is missing);
 * frag4k: order-0 pages faulted in a scattered order, neighbours not contiguous
 */
enum mk { M_4K, M_THP, M_HUGETLB, M_FRAG, M_GIGANTIC };
static const char *const mkname[] = { "anon4k", "thp", "hugetlb2m", "frag4k",
				      "hugetlb1g" };

static inline long smaps_hugekb(void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char l[512];
	bool in = false;
	long kb = 0, x;
	unsigned long a, b;

	while (f && fgets(l, sizeof(l), f)) {
		if (sscanf(l, "%lx-%lx ", &a, &b) == 2)
			in = a <= (uintptr_t)p && (uintptr_t)p < b;
		else if (in && sscanf(l, "AnonHugePages: %ld kB", &x) == 1)
			kb += x;
	}
	if (f)
		fclose(f);
	return kb;
}

static inline void *mem_alloc(enum mk k, size_t sz)
{
	char *p;

	if (k == M_HUGETLB || k == M_GIGANTIC) {
		p = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
				 (k == M_HUGETLB ? MAP_HUGE_2MB : MAP_HUGE_1GB),
			 -1, 0);
		if (p == MAP_FAILED)
			return NULL;
	} else {
		char *q = mmap(NULL, sz + 2 * MiB, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			       0);

		if (q == MAP_FAILED)
			return NULL;
		p = (char *)(((uintptr_t)q + 2 * MiB - 1) & ~(2 * MiB - 1));
		munmap(q, p - q);
		munmap(p + sz, q + 2 * MiB - p);
		madvise(p, sz, k == M_FRAG ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	}
	if (k == M_FRAG) {
		size_t n = sz / 4096,
		       st = 40503 % n | 1; /* odd: a permutation of 2^k */

		for (size_t i = 0, j = 0; i < n; i++, j = (j + st) % n)
			p[j * 4096] = 1;
	}
	for (size_t i = 0; i < sz; i += 4096)
		p[i] = 1;
	if (k == M_4K) {
		int fd = open("/sys/kernel/debug/split_huge_pages", O_WRONLY);
		char cmd[80];
		int n = snprintf(cmd, sizeof(cmd), "%d,0x%lx,0x%lx", getpid(),
				 (unsigned long)p, (unsigned long)p + sz);

		if (fd < 0 || write(fd, cmd, n) != n)
			fprintf(stderr,
				"iommu_bench: cannot split THPs, anon4k contiguity is up to the allocator\n");
		if (fd >= 0)
			close(fd);
		if (smaps_hugekb(p))
			fprintf(stderr, "iommu_bench: %ld kB still huge\n",
				smaps_hugekb(p));
	}
	if (k == M_THP) {
		long kb = smaps_hugekb(p);

		if (kb * 1024 < (long)sz)
			fprintf(stderr,
				"iommu_bench: only %ld kB of %zu kB are THP\n",
				kb, sz / 1024);
	}
	return p;
}

#endif
