// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommu_bench: map/unmap/teardown/copy/attach cost of the IOMMU user APIs.
 * Uses only the public ioctl ABI (linux/iommufd.h, linux/vfio.h); with
 * -DHAVE_MOCK additionally upstream's private iommufd_test.h for "mock".
 *
 *  -b iommufd  : /dev/vfio/devices/vfioX bound to /dev/iommu, native IOAS
 *  -b type1    : group + container, container = /dev/vfio/vfio (override: -c)
 *  -b compat   : group + container, container = /dev/iommu     (override: -c)
 *  -b noattach : an IOAS of /dev/iommu that has no device attached
 *  -b mock     : an IOAS with a selftest mock domain (IOMMUFD_TEST)
 *
 * Output: one JSON object per line and metric.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "bench.h"
#include "mark.h"

static const char *bdf2;
static int lat_iters = 1024;
static const uint64_t AREAS = 0x40000000; /* where "other" areas go */

/* ----------------------------------------------------------------- tests */
/* All of the memory, by calls of @step */
static void in_calls(struct ctx *c, enum mk k, char *p, size_t step,
		     const char *nm)
{
	uint64_t m[64], u[64];
	char name[96];
	size_t o;

	for (int i = -1; i < reps; i++) {
		uint64_t t0 = now(), t1;

		for (o = 0; o < SZ; o += step)
			OK(be_map(c, BASE + o, p + o, step));
		t1 = now();
		for (o = 0; o < SZ; o += step)
			OK(be_unmap(c, BASE + o, step));
		if (i < 0)
			continue;
		m[i] = t1 - t0;
		u[i] = now() - t1;
	}
	snprintf(name, sizeof(name), "map_%s_in%s", mkname[k], nm);
	report(name, m, reps, SZ, SZ / step);
	snprintf(name, sizeof(name), "unmap_%s_in%s", mkname[k], nm);
	report(name, u, reps, SZ, SZ / step);
}

static void t_bulk(enum mk k)
{
	uint64_t m[64], u[64], cl[64];
	char name[96];
	struct ctx c;
	void *p = mem_alloc(k, SZ);

	snprintf(name, sizeof(name), "map_%s", mkname[k]);
	if (!p) {
		left_out(name, "no memory");
		return;
	}
	be_open(&c);
	for (int i = -1; i < reps; i++) { /* one warm-up round */
		uint64_t t0 = now(), t1, t2;

		OK(be_map(&c, BASE, p, SZ));
		t1 = now();
		OK(be_unmap(&c, BASE, SZ));
		t2 = now();
		if (i < 0)
			continue;
		m[i] = t1 - t0;
		u[i] = t2 - t1;
	}
	in_calls(&c, k, p, 2 * MiB, "2M");
	if (k == M_FRAG)
		in_calls(&c, k, p, 64 * KiB, "64K");
	be_close(&c);
	for (int i = 0; i < reps; i++) { /* teardown by close */
		uint64_t t0;

		be_open(&c);
		OK(be_map(&c, BASE, p, SZ));
		t0 = now();
		be_close(&c);
		cl[i] = now() - t0;
	}
	report(name, m, reps, SZ, 0);
	snprintf(name, sizeof(name), "unmap_%s", mkname[k]);
	report(name, u, reps, SZ, 0);
	snprintf(name, sizeof(name), "close_%s", mkname[k]);
	report(name, cl, reps, SZ, 0);
	munmap(p, SZ);
}

/* One page of 1 GiB, whatever else the size is */
static void t_gigantic(void)
{
	uint64_t m[64], u[64];
	struct ctx c;
	void *p = mem_alloc(M_GIGANTIC, GiB);

	if (!p) {
		left_out("map_hugetlb1g", "no memory");
		return;
	}
	be_open(&c);
	for (int i = -1; i < reps; i++) {
		uint64_t t0 = now(), t1;

		OK(be_map(&c, GiB, p, GiB));
		t1 = now();
		OK(be_unmap(&c, GiB, GiB));
		if (i < 0)
			continue;
		m[i] = t1 - t0;
		u[i] = now() - t1;
	}
	be_close(&c);
	report("map_hugetlb1g", m, reps, GiB, 0);
	report("unmap_hugetlb1g", u, reps, GiB, 0);
	munmap(p, GiB);
}

static void t_openclose(void)
{
	uint64_t o[64], cl[64];
	struct ctx c;

	for (int i = -1; i < reps; i++) {
		uint64_t t0 = now(), t1;

		be_open(&c);
		t1 = now();
		be_close(&c);
		if (i < 0)
			continue;
		o[i] = t1 - t0;
		cl[i] = now() - t1;
	}
	report("open_attach_empty", o, reps, 0, 1);
	report("close_empty", cl, reps, 0, 1);
}

/* Single pages at IOVA that the kernel chooses. */
static void t_auto(struct ctx *c, char *p, unsigned long others)
{
	uint64_t v[64];
	__u64 *iova = calloc(lat_iters, sizeof(*iova));
	char name[96];

	for (int r = -1; r < reps; r++) {
		uint64_t t0 = now();

		for (int i = 0; i < lat_iters; i++)
			OK(ioas_map(c->fd, c->ioas, p + (i & 1023) * 4096, 4096,
				    &iova[i], MAP_RW));
		if (r >= 0)
			v[r] = now() - t0;
		for (int i = 0; i < lat_iters; i++)
			OK(be_unmap(c, iova[i], 4096));
	}
	free(iova);
	snprintf(name, sizeof(name), "map4k_auto_others%lu", others);
	report(name, v, reps, 0, lat_iters);
}

static void t_lat(unsigned long others)
{
	uint64_t m[64], u[64], t0, t1, fill;
	char name[96];
	struct ctx c;
	char *p = mem_alloc(M_4K, 4 * MiB);

	be_open(&c);
	t0 = now();
	for (unsigned long i = 0; i < others; i++) /* 4K areas, 4K holes */
		if (be_map(&c, AREAS + i * 8192, p + (i % 1024) * 4096, 4096)) {
			snprintf(name, sizeof(name), "lat4k_others%lu", others);
			left_out(name, "cannot map that many areas");
			be_close(&c);
			munmap(p, 4 * MiB);
			return;
		}
	fill = now() - t0;
	for (int r = -1; r < reps; r++) {
		t0 = now();
		for (int i = 0; i < lat_iters; i++)
			OK(be_map(&c, BASE + i * 8192ul, p + (i & 1023) * 4096,
				  4096));
		t1 = now();
		for (int i = 0; i < lat_iters; i++)
			OK(be_unmap(&c, BASE + i * 8192ul, 4096));
		if (r < 0)
			continue;
		m[r] = t1 - t0;
		u[r] = now() - t1;
	}
	snprintf(name, sizeof(name), "map4k_others%lu", others);
	report(name, m, reps, 0, lat_iters);
	snprintf(name, sizeof(name), "unmap4k_others%lu", others);
	report(name, u, reps, 0, lat_iters);
	if (be != B_CONTAINER)
		t_auto(&c, p, others);
	if (others) {
		snprintf(name, sizeof(name), "fill_%luareas", others);
		report(name, &fill, 1, 0, others);
		t0 = now();
		OK(be_unmap(&c, AREAS, others * 8192));
		t1 = now() - t0;
		snprintf(name, sizeof(name), "unmap_range_%luareas", others);
		report(name, &t1, 1, 0, others);
		for (unsigned long i = 0; i < others; i++)
			OK(be_map(&c, AREAS + i * 8192, p + (i % 1024) * 4096,
				  4096));
		t0 = now();
		be_close(&c);
		t1 = now() - t0;
		snprintf(name, sizeof(name), "close_%luareas", others);
		report(name, &t1, 1, 0, others);
	} else {
		be_close(&c);
	}
	munmap(p, 4 * MiB);
}

static void t_copy(enum mk k)
{
	uint64_t v[4][64];
	char name[96];
	struct ctx c;
	void *p;
	static const char *const nm[] = { "copy_same_ioas", "uncopy_same_ioas",
					  "copy_to_unattached",
					  "uncopy_unattached" };

	if (be == B_CONTAINER) {
		left_out("copy", "no IOAS_COPY");
		return;
	}
	p = mem_alloc(k, SZ);
	if (!p)
		return;
	be_open(&c);
	uint32_t io2 = new_ioas(c.fd);

	OK(be_map(&c, BASE, p, SZ));
	for (int i = -1; i < reps; i++)
		for (int w = 0; w < 2; w++) {
			uint32_t to = w ? io2 : c.ioas;
			uint64_t t0 = now(), t1, t2;

			OK(ioas_copy_at(c.fd, to, AREAS, c.ioas, BASE, SZ));
			t1 = now();
			OK(ioas_unmap(c.fd, to, AREAS, SZ));
			t2 = now();
			if (i < 0)
				continue;
			v[2 * w][i] = t1 - t0;
			v[2 * w + 1][i] = t2 - t1;
		}
	for (int w = 0; w < 4; w++) {
		snprintf(name, sizeof(name), "%s_%s", nm[w], mkname[k]);
		report(name, v[w], reps, SZ, 0);
	}
	be_close(&c);
	munmap(p, SZ);
}

static void t_attach(enum mk k)
{
	uint64_t at[64], mp[64], re[64], de[64];
	char name[96];
	struct ctx c;
	void *p;

	if (be != B_IOMMUFD) {
		left_out("attach", "iommufd only");
		return;
	}
	p = mem_alloc(k, SZ);
	if (!p)
		return;
	be_open(&c);
	for (int i = -1; i < reps; i++) {
		uint32_t io2 = new_ioas(c.fd);
		uint64_t t0 = now(), t1, t2, t3, t4;

		/* Not attached: no pinning */
		OK(ioas_map_at(c.fd, io2, p, SZ, BASE));
		t1 = now();
		/* Replace: pins and maps all */
		OK(cdev_attach_to(c.dev, io2));
		t2 = now();
		/* Unmaps, unpins all */
		OK(cdev_detach(c.dev));
		t3 = now();
		OK(cdev_attach_to(c.dev, c.ioas));
		t4 = now();
		OK(ioas_unmap(c.fd, io2, BASE, SZ));
		OK(obj_destroy(c.fd, io2));
		if (i < 0)
			continue;
		mp[i] = t1 - t0;
		at[i] = t2 - t1;
		de[i] = t3 - t2;
		re[i] = t4 - t3;
	}
	be_close(&c);
	snprintf(name, sizeof(name), "map_unattached_%s", mkname[k]);
	report(name, mp, reps, SZ, 0);
	snprintf(name, sizeof(name), "attach_filled_%s", mkname[k]);
	report(name, at, reps, SZ, 0);
	snprintf(name, sizeof(name), "detach_filled_%s", mkname[k]);
	report(name, de, reps, SZ, 0);
	report("attach_empty", re, reps, 0, 1);
	munmap(p, SZ);
}

/*
 * One more page table for an IOAS whose pages are pinned: IOMMU_HWPT_ALLOC fills
 * it, IOMMU_DESTROY takes it away.
 */
static void t_second(enum mk k)
{
	uint64_t al[64], de[64];
	char name[96];
	struct ctx c;
	void *p;

	if (be != B_IOMMUFD) {
		left_out("second_domain", "iommufd only");
		return;
	}
	p = mem_alloc(k, SZ);
	if (!p)
		return;
	be_open(&c);
	OK(be_map(&c, BASE, p, SZ));
	for (int i = -1; i < reps; i++) {
		uint64_t t0 = now(), t1;
		uint32_t hwpt;

		OK(hwpt_alloc(c.fd, c.dev_id, c.ioas, 0, &hwpt));
		t1 = now();
		OK(obj_destroy(c.fd, hwpt));
		if (i < 0)
			continue;
		al[i] = t1 - t0;
		de[i] = now() - t1;
	}
	be_close(&c);
	snprintf(name, sizeof(name), "second_domain_%s", mkname[k]);
	report(name, al, reps, SZ, 0);
	snprintf(name, sizeof(name), "drop_domain_%s", mkname[k]);
	report(name, de, reps, SZ, 0);
	munmap(p, SZ);
}

/*
 * A program that maps and unmaps all the time, as a driver in user space or a
 * machine with a vIOMMU does: the same page again and again, and a ring of 1024
 * pages whose oldest is replaced, with so many page tables to keep.
 */
static void t_pairs(int domains)
{
	const int ring = 1024;
	uint64_t v[2][64];
	char *p = mem_alloc(M_4K, 4 * MiB);
	char name[96];
	struct ctx c;

	if (be != B_IOMMUFD && domains > 1) {
		snprintf(name, sizeof(name), "pair_domains%d", domains);
		left_out(name, "iommufd only");
		munmap(p, 4 * MiB);
		return;
	}
	be_open(&c);
	for (int i = 1; i < domains; i++) {
		uint32_t hwpt;

		OK(hwpt_alloc(c.fd, c.dev_id, c.ioas, 0, &hwpt));
	}
	for (int r = -1; r < reps; r++) {
		uint64_t t0 = now();

		for (int i = 0; i < lat_iters; i++) {
			OK(be_map(&c, BASE, p + (i & 1023) * 4096, 4096));
			OK(be_unmap(&c, BASE, 4096));
		}
		if (r >= 0)
			v[0][r] = now() - t0;
	}
	for (int i = 0; i < ring; i++)
		OK(be_map(&c, BASE + i * 4096ul, p + i * 4096ul, 4096));
	for (int r = -1; r < reps; r++) {
		uint64_t t0 = now();

		for (int i = 0; i < ring; i++) {
			/* Not the page that was there */
			size_t page = (i + 1 + r) & 1023;

			OK(be_unmap(&c, BASE + i * 4096ul, 4096));
			OK(be_map(&c, BASE + i * 4096ul, p + page * 4096,
				  4096));
		}
		if (r >= 0)
			v[1][r] = now() - t0;
	}
	be_close(&c);
	snprintf(name, sizeof(name), "pair_domains%d", domains);
	report(name, v[0], reps, 0, lat_iters);
	snprintf(name, sizeof(name), "ring_domains%d", domains);
	report(name, v[1], reps, 0, ring);
	munmap(p, 4 * MiB);
}

/* One call of each size up to all of it, for plot.py */
static void t_sizes(enum mk k)
{
	size_t least = k == M_HUGETLB ? 2 * MiB : 4 * KiB;
	char *p = mem_alloc(k, SZ);
	char name[96];
	struct ctx c;

	if (!p) {
		snprintf(name, sizeof(name), "size_map_%s", mkname[k]);
		left_out(name, "no memory");
		return;
	}
	be_open(&c);
	for (size_t len = least; len <= SZ; len *= 4) {
		/* Where calls cost little, many of them */
		size_t calls = len < MiB ? MiB / len : 1;
		uint64_t m[64], u[64];

		for (int r = -1; r < reps; r++) {
			uint64_t t0 = now(), t1;

			for (size_t i = 0; i < calls; i++)
				OK(be_map(&c, BASE + 2 * i * len, p + i * len,
					  len));
			t1 = now();
			for (size_t i = 0; i < calls; i++)
				OK(be_unmap(&c, BASE + 2 * i * len, len));
			if (r < 0)
				continue;
			m[r] = t1 - t0;
			u[r] = now() - t1;
		}
		snprintf(name, sizeof(name), "size_map_%s_%zu", mkname[k], len);
		report(name, m, reps, calls * len, calls);
		snprintf(name, sizeof(name), "size_unmap_%s_%zu", mkname[k],
			 len);
		report(name, u, reps, calls * len, calls);
	}
	be_close(&c);
	munmap(p, SZ);
}

#define HELPERS	"/sys/module/iommufd/parameters/pin_helpers"

/*
 * By the clock, without and with threads that help, in turns; @untouched: the
 * memory has to be found first
 */
static void t_helpers(enum mk k, bool untouched, const char *nm)
{
	static const char *const nr[] = { "0", "4" };
	uint64_t v[2][64];
	char *p = mem_alloc(k, SZ);
	char name[96];
	struct ctx c;

	if (!p) {
		snprintf(name, sizeof(name), "helpers_%s", nm);
		left_out(name, "no memory");
		return;
	}
	be_open(&c);
	for (int r = -1; r < reps; r++)
		for (int n = 0; n < 2; n++) {
			uint64_t t0;

			if (untouched)
				OK(madvise(p, SZ, MADV_DONTNEED));
			if (file_write(HELPERS, nr[n]))
				DIE("%s", HELPERS);
			t0 = now();
			OK(be_map(&c, BASE, p, SZ));
			if (r >= 0)
				v[n][r] = now() - t0;
			OK(be_unmap(&c, BASE, SZ));
		}
	be_close(&c);
	file_write(HELPERS, "0");
	for (int n = 0; n < 2; n++) {
		snprintf(name, sizeof(name), "helpers%s_%s", nr[n], nm);
		report(name, v[n], reps, SZ, 1);
	}
	munmap(p, SZ);
}

struct thr {
	struct ctx *c;
	uint64_t iova;
	char *va;
	size_t len, chunk;
	int loops;
	pthread_barrier_t *bar;
	uint64_t t0, t1;
};

static void *thr_fn(void *a)
{
	struct thr *t = a;

	pthread_barrier_wait(t->bar);
	t->t0 = now();
	for (int l = 0; l < t->loops; l++) {
		for (size_t o = 0; o < t->len; o += t->chunk)
			OK(be_map(t->c, t->iova + o, t->va + o, t->chunk));
		for (size_t o = 0; o < t->len; o += t->chunk)
			OK(be_unmap(t->c, t->iova + o, t->chunk));
	}
	t->t1 = now();
	return NULL;
}

/* wall time for nthr threads each doing len bytes of map+unmap in chunks */
static void t_threads(size_t chunk, size_t len, int loops, const char *nm)
{
	for (int n = 1; n <= 2; n++) {
		uint64_t v[64];
		char name[96];
		struct ctx c;
		char *p = mem_alloc(M_4K, 2 * len);

		be_open(&c);
		for (int r = -1; r < reps; r++) {
			pthread_barrier_t bar;
			pthread_t th[2];
			struct thr t[2];
			uint64_t t0 = ~0ull, t1 = 0;

			pthread_barrier_init(&bar, NULL, n);
			for (int i = 0; i < n; i++) {
				t[i] = (struct thr){
					&c,
					BASE + i * 0x40000000ull / 4,
					p + i * len,
					len,
					chunk,
					loops,
					&bar,
					0,
					0
				};
				pthread_create(&th[i], NULL, thr_fn, &t[i]);
			}
			for (int i = 0; i < n; i++) {
				pthread_join(th[i], NULL);
				t0 = t[i].t0 < t0 ? t[i].t0 : t0;
				t1 = t[i].t1 > t1 ? t[i].t1 : t1;
			}
			if (r >= 0)
				v[r] = t1 - t0;
		}
		be_close(&c);
		snprintf(name, sizeof(name), "mapunmap_%s_thr%d", nm, n);
		report(name, v, reps, (double)n * len * loops,
		       (double)n * len / chunk * loops);
		munmap(p, 2 * len);
	}
}

/*
 * Take the free pages that the processor has lists of, in which tests before have left
 * scattered ones, so that a file is made of what is contiguous. An eighth of the
 * memory at most.
 */
static void *take_scattered(size_t *sz)
{
	char *p;

	*sz = sysconf(_SC_PHYS_PAGES) / 8 * 4096;
	p = mmap(NULL, *sz, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, *sz, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < *sz; i += 4096)
		p[i] = 1;
	return p;
}

static void t_file(unsigned int mfd_flags, const char *nm)
{
	uint64_t v[4][64];
	static const char *const mn[] = { "mapfile", "unmapfile",
					  "mapva_of_file", "unmapva_of_file" };
	char name[96];
	size_t taken_sz;
	void *taken;
	struct ctx c;
	char *p;
	int fd;

	if (be == B_CONTAINER) {
		left_out("mapfile", "no IOAS_MAP_FILE");
		return;
	}
	fd = memfd_create("bench", MFD_CLOEXEC | mfd_flags);
	if (fd < 0 || ftruncate(fd, SZ)) {
		left_out("mapfile", "memfd");
		return;
	}
	p = mmap(NULL, SZ, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		snprintf(name, sizeof(name), "mapfile_%s", nm);
		left_out(name, "mmap");
		close(fd);
		return;
	}
	taken = take_scattered(&taken_sz);
	for (size_t i = 0; i < SZ; i += 4096)
		p[i] = 1;
	if (taken)
		munmap(taken, taken_sz);
	be_open(&c);
	for (int i = -1; i < reps; i++) {
		uint64_t t0 = now(), t1, t2, t3;

		if (ioas_map_file_at(c.fd, c.ioas, fd, 0, SZ, BASE)) {
			snprintf(name, sizeof(name), "mapfile_%s", nm);
			left_out(name, "IOAS_MAP_FILE failed");
			goto out;
		}
		t1 = now();
		OK(be_unmap(&c, BASE, SZ));
		t2 = now();
		OK(be_map(&c, BASE, p, SZ));
		t3 = now();
		OK(be_unmap(&c, BASE, SZ));
		if (i < 0)
			continue;
		v[0][i] = t1 - t0;
		v[1][i] = t2 - t1;
		v[2][i] = t3 - t2;
		v[3][i] = now() - t3;
	}
	for (int w = 0; w < 4; w++) {
		snprintf(name, sizeof(name), "%s_%s", mn[w], nm);
		report(name, v[w], reps, SZ, 0);
	}
out:
	be_close(&c);
	munmap(p, SZ);
	close(fd);
}

/* The floor: cost of one ioctl that does nothing, and of the clock. */
static void t_null(void)
{
	uint64_t v[64], w[64], x[64];
	struct ctx c;

	be_open(&c);
	for (int r = 0; r < reps; r++) {
		uint64_t t0 = now(), t1;

		for (int i = 0; i < lat_iters; i++)
			ioctl(c.fd, 0xdead, 0);
		t1 = now();
		v[r] = t1 - t0;
		for (int i = 0; i < lat_iters; i++)
			now();
		w[r] = now() - t1;
		t1 = now();
		for (int i = 0; i < 1000000; i++)
			asm volatile("");
		x[r] = now() - t1;
	}
	be_close(&c);
	report("null_ioctl", v, reps, 0, lat_iters);
	report("clock_gettime", w, reps, 0, lat_iters);
	report("cpu_loop_1M", x, reps, 0, 1000000);
}

#ifdef HAVE_MOCK
/* What a guest waits for when it changes its page tables */
static void t_invalidate(struct ctx *c, uint32_t hwpt, uint32_t entries)
{
	struct iommu_hwpt_invalidate_selftest entry[512] = {};
	uint64_t v[64];
	char name[32];

	for (int r = 0; r < reps; r++) {
		uint64_t t0 = now();

		for (int i = 0; i < lat_iters; i++) {
			uint32_t num = entries;

			OK(mock_invalidate(c->fd, hwpt, entry, &num));
		}
		v[r] = now() - t0;
	}
	snprintf(name, sizeof(name), "invalidate_%u", entries);
	report(name, v, reps, 0, lat_iters);
}

/* An access pins each of some areas, of a page each */
static void pin_areas(struct ctx *c, int access, char *p, unsigned int areas)
{
	__u32 id;

	for (unsigned int i = 0; i < areas; i++) {
		char *page = p + (i & 1023) * 4096;
		uint64_t iova = BASE + i * 8192ul;

		OK(be_map(c, iova, page, 4096));
		OK(mock_access_pin(c->fd, access, iova, 4096, page, 0, &id));
	}
}

/* With an IOAS that has no page table, as the mock's takes longer than all else */
static int access_that_pins(struct ctx *c)
{
	int access;

	c->ioas = new_ioas(c->fd);
	access = mock_access_open(c->fd, c->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	OK(access);
	return access;
}

static void t_pinned(unsigned int areas)
{
	char *p = mem_alloc(M_4K, 4 * MiB);
	uint64_t v[64];
	char name[32];
	struct ctx c;
	int access;

	be_open(&c);
	access = access_that_pins(&c);
	for (int r = -1; r < reps; r++) {
		__u64 unmapped;
		uint64_t t0;

		pin_areas(&c, access, p, areas);
		t0 = now();
		OK(ioas_unmap_all(c.fd, c.ioas, &unmapped));
		if (r >= 0)
			v[r] = now() - t0;
	}
	close(access);
	be_close(&c);
	snprintf(name, sizeof(name), "unmap_all_pinned%u", areas);
	report(name, v, reps, 0, 1);
	munmap(p, 4 * MiB);
}

/* The attach of a guest's page table, in place of another one, and the above */
static void t_nested(void)
{
	const uint32_t flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	uint32_t parent, hwpt[2];
	struct mock_device dev;
	uint64_t v[64];
	struct ctx c;

	be_open(&c);
	OK(mock_attach(c.fd, c.ioas, &dev));
	OK(hwpt_alloc(c.fd, dev.idev, c.ioas, flags, &parent));
	for (int i = 0; i < 2; i++)
		OK(mock_nested_alloc(c.fd, dev.idev, parent, 1, &hwpt[i]));
	OK(mock_replace(c.fd, &dev, hwpt[1]));
	for (int r = 0; r < reps; r++) {
		uint64_t t0 = now();

		for (int i = 0; i < lat_iters; i++)
			OK(mock_replace(c.fd, &dev, hwpt[i & 1]));
		v[r] = now() - t0;
	}
	report("replace_nested", v, reps, 0, lat_iters);
	t_invalidate(&c, hwpt[0], 1);
	t_invalidate(&c, hwpt[0], 16);
	t_invalidate(&c, hwpt[0], 512);
	be_close(&c);
}
#endif

/* A few rounds of each kind of map (phase 1, 3, ...) and unmap (2, 4, ...). */
static void t_trace(void)
{
	const size_t len = 4 * MiB;
	const struct {
		const char *name;
		enum mk kind;
		size_t step;
	} how[] = { { "4k", M_4K, 4096 },
		    { "contiguous", M_4K, len },
		    { "scattered", M_FRAG, len },
		    { "thp", M_THP, len } };
	const int kinds = sizeof(how) / sizeof(how[0]);
	struct ctx c;

	be_open(&c);
	for (int k = 0; k < kinds; k++) {
		size_t total = k ? len : MiB;
		char *p = mem_alloc(how[k].kind, len);
		int rounds = k ? 4 : 1;

		for (int r = -1; r < rounds; r++) {
			for (size_t o = 0; o < total; o += how[k].step) {
				mark(r < 0 ? 0 : 2 * k + 1);
				OK(be_map(&c, BASE + 2 * o, p + o,
					  how[k].step));
				mark(0);
			}
			for (size_t o = 0; o < total; o += how[k].step) {
				mark(r < 0 ? 0 : 2 * k + 2);
				OK(be_unmap(&c, BASE + 2 * o, how[k].step));
				mark(0);
			}
		}
		printf("{\"phase\":%d,\"name\":\"map %s\"}\n", 2 * k + 1,
		       how[k].name);
		printf("{\"phase\":%d,\"name\":\"unmap %s\"}\n", 2 * k + 2,
		       how[k].name);
		munmap(p, len);
	}
#ifdef HAVE_MOCK
	if (be == B_MOCK) {
		char *p = mem_alloc(M_4K, 4 * MiB);
		int access = access_that_pins(&c);
		__u64 unmapped;

		for (int r = 0; r < 3; r++) {
			pin_areas(&c, access, p, 500);
			mark(9);
			OK(ioas_unmap_all(c.fd, c.ioas, &unmapped));
			mark(0);
		}
		printf("{\"phase\":9,\"name\":\"unmap 500 areas that are pinned\"}\n");
		close(access);
		munmap(p, 4 * MiB);
	}
#endif
	if (be == B_IOMMUFD) {
		char *p = mem_alloc(M_THP, 16 * MiB);
		uint32_t io2 = new_ioas(c.fd);

		OK(ioas_map_at(c.fd, io2, p, 16 * MiB, BASE));
		for (int r = 0; r < 3; r++) {
			OK(cdev_detach(c.dev));
			mark(9);
			OK(cdev_attach_to(c.dev, io2));
			mark(10);
			OK(cdev_detach(c.dev));
			mark(0);
			OK(cdev_attach_to(c.dev, c.ioas));
		}
		printf("{\"phase\":9,\"name\":\"attach 16 MiB thp\"}\n");
		printf("{\"phase\":10,\"name\":\"detach 16 MiB thp\"}\n");
		munmap(p, 16 * MiB);
	}
	be_close(&c);
}

int main(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "b:d:D:c:m:r:l:t:T:")) != -1)
		switch (o) {
		case 'b':
			be_name = optarg;
			break;
		case 'd':
			bdf = optarg;
			break;
		case 'D':
			bdf2 = optarg;
			break;
		case 'c':
			container = optarg;
			break;
		case 'm':
			SZ = strtoul(optarg, 0, 0) * MiB;
			break;
		case 'r':
			reps = atoi(optarg);
			break;
		case 'l':
			lat_iters = atoi(optarg);
			break;
		case 't':
			only = optarg;
			break; /* comma list, substring match */
		case 'T':
			snprintf(tag, sizeof(tag), "%s", optarg);
			break;
		default:
			fprintf(stderr,
				"usage: %s -b iommufd|type1|compat|noattach|mock -d BDF [-c container] [-m MiB] [-r reps] [-l iters] [-t tests] [-T tag]\n"
				"tests: null open anon4k frag4k thp hugetlb gigantic lat0 lat1e3 lat1e5 copy attach second pairs sizes helpers threads file trace; for mock nested pinned\n",
				argv[0]);
			return 2;
		}
	if (reps > 64)
		reps = 64;
	if (!strcmp(be_name, "iommufd")) {
		be = B_IOMMUFD;
	} else if (!strcmp(be_name, "noattach")) {
		be = B_NOATTACH;
	} else if (!strcmp(be_name, "mock")) {
		be = B_MOCK;
	} else {
		be = B_CONTAINER;
		if (!container)
			container = !strcmp(be_name, "compat") ?
					    "/dev/iommu" :
					    "/dev/vfio/vfio";
	}
#ifndef HAVE_MOCK
	if (be == B_MOCK)
		DIE("built without mock");
#endif
	if (only && !strcmp(only, "trace")) {
		t_trace();
		return 0;
	}
	if (want("null"))
		t_null();
#ifdef HAVE_MOCK
	if (be == B_MOCK && want("nested"))
		t_nested();
	if (be == B_MOCK && want("pinned")) {
		t_pinned(500);
		t_pinned(1000);
		t_pinned(2000);
	}
#endif
	if (want("open"))
		t_openclose();
	if (want("anon4k"))
		t_bulk(M_4K);
	if (want("frag4k"))
		t_bulk(M_FRAG);
	if (want("thp"))
		t_bulk(M_THP);
	if (want("hugetlb"))
		t_bulk(M_HUGETLB);
	if (want("gigantic"))
		t_gigantic();
	if (want("lat0"))
		t_lat(0);
	if (want("lat1e3"))
		t_lat(1000);
	if (want("lat1e5"))
		t_lat(100000);
	if (want("copy")) {
		t_copy(M_4K);
		t_copy(M_THP);
	}
	if (want("attach")) {
		t_attach(M_4K);
		t_attach(M_THP);
	}
	if (want("second")) {
		t_second(M_4K);
		t_second(M_THP);
	}
	if (want("pairs"))
		for (int domains = 1; domains <= 16; domains *= 2)
			if (domains != 8)
				t_pairs(domains);
	if (want("sizes")) {
		t_sizes(M_4K);
		t_sizes(M_FRAG);
		t_sizes(M_THP);
		t_sizes(M_HUGETLB);
	}
	if (want("helpers")) {
		t_helpers(M_THP, false, "thp");
		t_helpers(M_4K, false, "anon4k");
		t_helpers(M_FRAG, false, "frag4k");
		t_helpers(M_THP, true, "thp_untouched");
		t_helpers(M_FRAG, true, "4k_untouched");
	}
	if (want("threads")) {
		t_threads(4096, 2 * MiB, 1, "4k");
		t_threads(2 * MiB, 32 * MiB, 1, "2M_anon4k");
	}
	if (want("file")) {
		t_file(0, "shmem4k");
		t_file(MFD_HUGETLB, "hugetlb");
	}
	return 0;
}
