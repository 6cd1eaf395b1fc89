// SPDX-License-Identifier: GPL-2.0-only
/*
 * latency_bench: how long others wait for one who maps or unmaps a lot, and one who
 * is killed meanwhile. For one processor, by a clock that counts instructions.
 *
 * Stall: the longest time for which a thread of a real-time policy that is due to
 * run does not get the processor, while another maps, unmaps, attaches, detaches or
 * closes. It comes back each %PERIOD, so that up to that much is not seen. While dirty
 * bits are read it also maps and unmaps a page elsewhere in the same IOAS.
 *
 * Time to kill: from SIGKILL until the parent has seen the end. Who is killed shares
 * memory and files with the parent, so that none of them has to be taken down.
 *
 * Backends and output: see iommu_bench.c
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "bench.h"

#define PERIOD 10000

static const uint64_t OTHER = 0x60000000; /* what the one who waits maps */

/* ----------------------------------------------------------------- stall */
static atomic_bool watching, over;
static _Atomic uint64_t worst;
/* What the thread maps and unmaps each time, if anything */
static struct ctx *_Atomic mapping;
static alignas(4096) char page[4096];

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

static void *watch(void *unused)
{
	(void)unused;
	while (!over) {
		uint64_t due = now() + PERIOD, late;
		struct timespec t = to_timespec(due);

		/* The clock of now(), and 1 ns is an instruction */
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		if (mapping) {
			OK(be_map(mapping, OTHER, page, sizeof(page)));
			OK(be_unmap(mapping, OTHER, sizeof(page)));
		}
		late = now() - due;
		if (watching && late > worst)
			worst = late;
	}
	return NULL;
}

static void set_fifo(pid_t tid, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	OK(sched_setscheduler(tid, priority ? SCHED_FIFO : SCHED_OTHER,
			      &param));
}

static void start_watch(pthread_t *thread)
{
	struct sched_param param = { .sched_priority = 50 };

	over = false;
	errno = pthread_create(thread, NULL, watch, NULL);
	if (errno || pthread_setschedparam(*thread, SCHED_FIFO, &param))
		DIE("a thread that watches");
}

/* The worst of what they are called around, kept in *@longest */
static void begin_stall(void)
{
	worst = 0;
	watching = true;
}

static void end_stall(uint64_t *longest)
{
	/* What is late now has to be seen */
	usleep(100);
	watching = false;
	*longest = max(*longest, worst);
}

static void report_max(const char *what, const char *of, uint64_t longest)
{
	char name[96];

	snprintf(name, sizeof(name), "%s_%s", what, of);
	if (longest)
		report(name, &longest, 1, 0, 1);
	else
		left_out(name, "was done before");
}

static void stall_of_attach(enum mk k, void *p)
{
	uint64_t attach = 0, detach = 0, second = 0, drop = 0;
	struct ctx c;

	be_open(&c);
	for (int i = 0; i < reps; i++) {
		uint32_t io2 = new_ioas(c.fd);
		uint32_t hwpt;

		OK(ioas_map_at(c.fd, io2, p, SZ, BASE));
		begin_stall();
		OK(cdev_attach_to(c.dev, io2));
		end_stall(&attach);
		begin_stall();
		OK(hwpt_alloc(c.fd, c.dev_id, io2, 0, &hwpt));
		end_stall(&second);
		begin_stall();
		OK(obj_destroy(c.fd, hwpt));
		end_stall(&drop);
		begin_stall();
		OK(cdev_detach(c.dev));
		end_stall(&detach);
		OK(ioas_unmap(c.fd, io2, BASE, SZ));
		OK(obj_destroy(c.fd, io2));
		OK(cdev_attach_to(c.dev, c.ioas));
	}
	be_close(&c);
	report_max("stall_attach", mkname[k], attach);
	report_max("stall_second", mkname[k], second);
	report_max("stall_drop", mkname[k], drop);
	report_max("stall_detach", mkname[k], detach);
}

static void t_stall(enum mk k)
{
	uint64_t map = 0, unmap = 0, closing = 0;
	void *p = mem_alloc(k, SZ);
	pthread_t watcher;
	struct ctx c;

	if (!p) {
		left_out("stall", "no memory");
		return;
	}
	start_watch(&watcher);
	be_open(&c);
	for (int i = 0; i < reps; i++) {
		begin_stall();
		OK(be_map(&c, BASE, p, SZ));
		end_stall(&map);
		begin_stall();
		OK(be_unmap(&c, BASE, SZ));
		end_stall(&unmap);
	}
	be_close(&c);
	for (int i = 0; i < reps; i++) {
		be_open(&c);
		OK(be_map(&c, BASE, p, SZ));
		begin_stall();
		be_close(&c);
		end_stall(&closing);
	}
	report_max("stall_map", mkname[k], map);
	report_max("stall_unmap", mkname[k], unmap);
	report_max("stall_close", mkname[k], closing);
	if (be == B_IOMMUFD)
		stall_of_attach(k, p);
	over = true;
	pthread_join(watcher, NULL);
	munmap(p, SZ);
}

/* Many small areas, which go with one call */
static void t_stall_areas(void)
{
	const unsigned long areas = 4096;
	uint64_t all = 0, closing = 0;
	char *p = mem_alloc(M_FRAG, 4 * MiB);
	pthread_t watcher;
	struct ctx c;

	start_watch(&watcher);
	for (int i = 0; i < 2 * reps; i++) {
		be_open(&c);
		for (unsigned long a = 0; a < areas; a++)
			OK(be_map(&c, BASE + a * 8192,
				  p + a % 1024 * 4096, 4096));
		begin_stall();
		if (i & 1) {
			be_close(&c);
			end_stall(&closing);
		} else {
			OK(be_unmap(&c, BASE, areas * 8192));
			end_stall(&all);
			be_close(&c);
		}
	}
	report_max("stall_unmap", "areas", all);
	report_max("stall_close", "areas", closing);
	over = true;
	pthread_join(watcher, NULL);
	munmap(p, 4 * MiB);
}

/* The IOAS is eight times what is mapped */
#define DIRTY_COPIES 8

static void t_stall_dirty(enum mk k)
{
	const uint64_t size = DIRTY_COPIES * SZ, first = 4 * GiB;
	uint64_t reading = 0, beside = 0, idle = 0;
	uint64_t *bitmap = calloc(size / 4096 / 64, sizeof(*bitmap));
	pthread_t watcher;
	uint32_t hwpt;
	struct ctx c;
	char *p;

	be_open(&c);
	if (hwpt_alloc(c.fd, c.dev_id, c.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		       &hwpt)) {
		left_out("stall_dirty", "no dirty bits");
		goto out;
	}
	p = mem_alloc(k, SZ);
	OK(cdev_attach_to(c.dev, hwpt));
	for (uint64_t i = 0; i < DIRTY_COPIES; i++)
		OK(be_map(&c, first + i * SZ, p, SZ));
	OK(set_dirty_tracking(c.fd, hwpt, true));
	start_watch(&watcher);
	for (int i = 0; i < reps; i++) {
		begin_stall();
		OK(get_dirty_bitmap(c.fd, hwpt, first, size, 4096, bitmap, 0));
		end_stall(&reading);
		mapping = &c;
		begin_stall();
		OK(get_dirty_bitmap(c.fd, hwpt, first, size, 4096, bitmap, 0));
		end_stall(&beside);
		begin_stall();
		for (uint64_t end = now() + 20000000; now() < end;)
			;
		end_stall(&idle);
		mapping = NULL;
		/* It may be amid a map */
		usleep(100);
	}
	report_max("stall_dirty", mkname[k], reading);
	report_max("stall_dirty_map", mkname[k], beside);
	report_max("stall_none_map", mkname[k], idle);
	over = true;
	pthread_join(watcher, NULL);
	munmap(p, SZ);
out:
	be_close(&c);
	free(bitmap);
}

/* The rest of a close, which is not about memory */
static void t_stall_close(void)
{
	uint64_t closing = 0;
	pthread_t watcher;
	struct ctx c;

	start_watch(&watcher);
	for (int i = 0; i < 4 * reps; i++) {
		be_open(&c);
		begin_stall();
		be_close(&c);
		end_stall(&closing);
	}
	report_max("stall", "close", closing);
	over = true;
	pthread_join(watcher, NULL);
}

/* The floor: what the watcher sees of one who does nothing but compute */
static void t_stall_none(void)
{
	pthread_t watcher;
	uint64_t longest = 0;

	start_watch(&watcher);
	begin_stall();
	for (uint64_t end = now() + 20000000; now() < end;)
		;
	end_stall(&longest);
	report_max("stall", "none", longest);
	over = true;
	pthread_join(watcher, NULL);
}

/* ------------------------------------------------------------------ kill */
struct victim {
	struct ctx *c;
	char *p;
	int (*fn)(struct victim *victim);
	char *stack;
	pid_t pid;
};

#define STACK 65536

static int victim_main(void *arg)
{
	struct victim *victim = arg;

	_exit(victim->fn(victim) ? 1 : 0);
}

/* Runs as soon as nobody of a higher priority wants to, if there is one */
static void begin_victim(struct victim *victim, int priority)
{
	victim->stack = malloc(STACK);
	victim->pid = clone(victim_main, victim->stack + STACK,
			    CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD,
			    victim);
	OK(victim->pid);
	set_fifo(victim->pid, priority);
}

/* Instructions until it is gone; 0 if it was done before */
static uint64_t kill_victim(struct victim *victim)
{
	uint64_t begin = now();
	int status;

	OK(kill(victim->pid, SIGKILL));
	OK(waitpid(victim->pid, &status, 0));
	begin = now() - begin;
	free(victim->stack);
	return WIFSIGNALED(status) ? begin : 0;
}

static void wait_victim(struct victim *victim)
{
	int status;

	OK(waitpid(victim->pid, &status, 0));
	free(victim->stack);
	if (status)
		DIE("status %d of a child", status);
}

static int map_much(struct victim *victim)
{
	return be_map(victim->c, BASE, victim->p, SZ);
}

static int map_little(struct victim *victim)
{
	return be_map(victim->c, OTHER, victim->p, 4096);
}

static int alloc_hwpt(struct victim *victim)
{
	uint32_t hwpt;

	return hwpt_alloc(victim->c->fd, victim->c->dev_id, victim->c->ioas, 0,
			  &hwpt);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = to_timespec(ns);

	nanosleep(&t, NULL);
}

static void t_kill(enum mk k)
{
	uint64_t mapper = 0, writer = 0, waiter = 0, whole;
	struct victim much, little, hwpt;
	struct ctx c;
	char *p = mem_alloc(k, SZ);

	be_open(&c);
	much = (struct victim){ .c = &c, .p = p, .fn = map_much };
	little = (struct victim){ .c = &c, .p = p, .fn = map_little };
	hwpt = (struct victim){ .c = &c, .fn = alloc_hwpt };
	whole = now();
	OK(be_map(&c, BASE, p, SZ));
	whole = now() - whole;
	OK(be_unmap(&c, BASE, SZ));

	set_fifo(0, 50);
	for (int i = 1; i < 10; i++) {
		uint64_t ns;

		begin_victim(&much, 0);
		sleep_ns(whole / 10 * i);
		ns = kill_victim(&much);
		mapper = max(mapper, ns);
		if (!ns)
			OK(be_unmap(&c, BASE, SZ));
	}
	report_max("kill_map", mkname[k], mapper);

	/* One who waits for it, and one who waits behind that one */
	for (int i = 0; i < 2; i++) {
		bool writes = be == B_IOMMUFD;

		begin_victim(&much, 0);
		sleep_ns(whole / 10);
		if (writes)
			begin_victim(&hwpt, 40);
		sleep_ns(whole / 10);
		if (i || !writes) {
			begin_victim(&little, 40);
			sleep_ns(whole / 10);
			waiter = kill_victim(&little);
		}
		if (writes)
			writer = max(writer, kill_victim(&hwpt));
		wait_victim(&much);
		OK(be_unmap(&c, BASE, SZ));
	}
	if (be == B_IOMMUFD)
		report_max("kill_waiting_hwpt", mkname[k], writer);
	report_max("kill_waiting_map", mkname[k], waiter);
	set_fifo(0, 0);
	be_close(&c);
	munmap(p, SZ);
}

int main(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "b:d:c:m:r:t:")) != -1)
		switch (o) {
		case 'b':
			be_name = optarg;
			break;
		case 'd':
			bdf = optarg;
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
		case 't':
			only = optarg;
			break;
		default:
			fprintf(stderr,
				"usage: %s -b iommufd|type1 -d BDF [-c container] [-m MiB] [-r reps] [-t tests]\n"
				"tests: none anon4k frag4k thp hugetlb areas kill dirty\n",
				argv[0]);
			return 2;
		}
	if (strcmp(be_name, "iommufd")) {
		be = B_CONTAINER;
		if (!container)
			container = "/dev/vfio/vfio";
	} else {
		be = B_IOMMUFD;
	}
	if (want("none")) {
		t_stall_none();
		t_stall_close();
	}
	if (want("anon4k"))
		t_stall(M_4K);
	if (want("frag4k"))
		t_stall(M_FRAG);
	if (want("thp"))
		t_stall(M_THP);
	if (want("hugetlb"))
		t_stall(M_HUGETLB);
	if (want("areas"))
		t_stall_areas();
	if (want("dirty") && be == B_IOMMUFD) {
		t_stall_dirty(M_FRAG);
		t_stall_dirty(M_THP);
	}
	SZ *= 2;
	if (want("kill")) {
		t_kill(M_FRAG);
		t_kill(M_4K);
	}
	return 0;
}
