// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that map, copy, unmap, attach, replace and destroy at random in one
 * context, while a model says what each call has to answer.
 *
 *	IOMMUFD_STRESS_SEED=n	repeat a run
 *	IOMMUFD_STRESS_OPS=n	operations of each thread (default 500)
 *
 * With the mock driver devices come and go as well; without it, the threads
 * have the IOVA map for themselves.
 */
#include <pthread.h>
#include <stdarg.h>
#include <time.h>

#include "kselftest_harness.h"
#ifdef HAVE_MOCK_ABI
#include "../lib/mock.h"
#else
#include "../lib/iommufd.h"
#define MOCK_APERTURE_START 0x1000000UL
#endif

#define THREADS	4
#define SLOTS	32
#define SLOT_PAGES 16
#define BASE	(MOCK_APERTURE_START + (1UL << 20))

static unsigned long number_from_env(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

/* xorshift64*: the same numbers everywhere for a seed */
static __u64 random_next(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static unsigned int pick(__u64 *state, unsigned int below)
{
	return (random_next(state) >> 32) % below;
}

/* A place for one mapping, as the model sees it */
struct slot {
	unsigned int pages;	/* 0: nothing is mapped */
	unsigned int first;	/* page of the thread's memory at its start */
	bool writable;
};

struct world {
	int fd;
	__u32 ioas;
	__u32 spare;		/* an IOAS that devices are moved to */
	unsigned long ops;
	size_t ps;
	bool mock;
	bool stop;
};

struct worker {
	pthread_t thread;
	struct world *w;
	unsigned int number;
	__u64 seed;
	char *mem;
	struct slot slots[SLOTS];
	__u64 mapped;		/* bytes, after the last operation */
	char error[160];	/* empty if all went as the model says */
};

/* Assertions belong to the main thread, so a worker leaves a message */
static void __printf(2, 3)
complain(struct worker *me, const char *fmt, ...)
{
	va_list ap;

	if (me->error[0])
		return;
	va_start(ap, fmt);
	vsnprintf(me->error, sizeof(me->error), fmt, ap);
	va_end(ap);
}

static __u64 slot_iova(const struct worker *me, unsigned int slot)
{
	return BASE + ((__u64)me->number * SLOTS + slot) * 2 * SLOT_PAGES *
		      me->w->ps;
}

static void expect(struct worker *me, const char *op, unsigned int slot,
		   int want, int got)
{
	if (want != got)
		complain(me, "%s of slot %u: %d instead of %d", op, slot, got,
			 want);
}

static void do_map(struct worker *me)
{
	unsigned int slot = pick(&me->seed, SLOTS);
	unsigned int pages = 1 + pick(&me->seed, SLOT_PAGES);
	unsigned int first = pick(&me->seed, SLOT_PAGES);
	bool writable = pick(&me->seed, 4);
	struct slot *s = &me->slots[slot];
	__u64 iova = slot_iova(me, slot);
	int rc;

	rc = ioas_map(me->w->fd, me->w->ioas, me->mem + first * me->w->ps,
		      pages * me->w->ps, &iova,
		      writable ? MAP_FIXED_RW : MAP_FIXED_RO);
	expect(me, "map", slot, s->pages ? -EEXIST : 0, rc);
	if (!rc) {
		*s = (struct slot){
			.pages = pages,
			.first = first,
			.writable = writable,
		};
		me->mapped += pages * me->w->ps;
	}
}

static void do_unmap(struct worker *me)
{
	unsigned int slot = pick(&me->seed, SLOTS);
	struct slot *s = &me->slots[slot];
	__u64 len;
	int rc;

	/* Sometimes more than the mapping, up to all of its place */
	rc = ioas_unmap_len(me->w->fd, me->w->ioas, slot_iova(me, slot),
			    pick(&me->seed, 2) && s->pages ?
			    s->pages * me->w->ps :
			    2 * SLOT_PAGES * me->w->ps, &len);
	expect(me, "unmap", slot, s->pages ? 0 : -ENOENT, rc);
	if (!rc) {
		if (len != s->pages * me->w->ps)
			complain(me, "unmap of slot %u: %llu bytes, not %u pages",
				 slot, len, s->pages);
		me->mapped -= len;
		s->pages = 0;
	}
}

static void do_split(struct worker *me)
{
	unsigned int slot = pick(&me->seed, SLOTS);
	struct slot *s = &me->slots[slot];

	if (s->pages < 2)
		return;
	expect(me, "split", slot, -ENOENT,
	       ioas_unmap(me->w->fd, me->w->ioas, slot_iova(me, slot),
			  (s->pages - 1) * me->w->ps));
}

static void do_copy(struct worker *me)
{
	unsigned int src = pick(&me->seed, SLOTS);
	unsigned int dst = pick(&me->seed, SLOTS);
	struct slot *from = &me->slots[src], *to = &me->slots[dst];
	unsigned int skip, pages;
	bool writable = pick(&me->seed, 2);
	__u64 iova = slot_iova(me, dst);
	int want = 0, rc;

	skip = from->pages ? pick(&me->seed, from->pages) : 0;
	pages = from->pages ? 1 + pick(&me->seed, from->pages - skip) : 1;
	if (!from->pages)
		want = -ENOENT;
	else if (to->pages)
		want = -EEXIST;
	rc = ioas_copy(me->w->fd, me->w->ioas, &iova, me->w->ioas,
		       slot_iova(me, src) + skip * me->w->ps,
		       pages * me->w->ps,
		       writable ? MAP_FIXED_RW : MAP_FIXED_RO);
	/* Which of two reasons is found first is not laid down */
	if (from->pages && writable && !from->writable) {
		if (rc != -EPERM && !(to->pages && rc == -EEXIST))
			complain(me, "copy of slot %u made it writable: %d",
				 src, rc);
	} else {
		expect(me, "copy", src, want, rc);
	}
	if (!rc) {
		*to = (struct slot){
			.pages = pages,
			.first = from->first + skip,
			/* a copy of a writable one can be made so again */
			.writable = from->writable,
		};
		me->mapped += pages * me->w->ps;
	}
}

static void do_alloc(struct worker *me)
{
	__u32 id;
	int rc;

	rc = ioas_alloc(me->w->fd, &id);
	if (rc) {
		complain(me, "alloc: %d", rc);
		return;
	}
	rc = ioas_copy_at(me->w->fd, id, BASE, me->w->ioas,
			  slot_iova(me, 0), me->w->ps);
	if (me->slots[0].pages)
		expect(me, "copy to a new IOAS", 0,
		       me->slots[0].writable ? 0 : -EPERM, rc);
	else
		expect(me, "copy to a new IOAS", 0, -ENOENT, rc);
	rc = obj_destroy(me->w->fd, id);
	if (rc)
		complain(me, "destroy: %d", rc);
}

static void do_ranges(struct worker *me)
{
	struct iommu_iova_range ranges[8];
	__u32 num = ARRAY_SIZE(ranges);
	int rc;

	rc = ioas_iova_ranges(me->w->fd, me->w->ioas, ranges, &num, NULL);
	if (rc || !num || ranges[0].start > BASE)
		complain(me, "ranges: %d", rc);
}

static void *map_worker(void *arg)
{
	static void (*const ops[])(struct worker *) = {
		do_map, do_map, do_map, do_map, do_unmap, do_unmap, do_unmap,
		do_copy, do_copy, do_split, do_alloc, do_ranges,
	};
	struct worker *me = arg;
	unsigned long i;

	for (i = 0; i != me->w->ops && !me->error[0]; i++)
		ops[pick(&me->seed, ARRAY_SIZE(ops))](me);
	return NULL;
}

#ifdef HAVE_MOCK_ABI
/* Devices that come, move to and fro, and go, until the mappers are done */
static void *device_worker(void *arg)
{
	struct worker *me = arg;
	struct mock_device dev;
	__u32 hwpt;
	int rc;

	while (!__atomic_load_n(&me->w->stop, __ATOMIC_ACQUIRE) &&
	       !me->error[0]) {
		rc = mock_attach(me->w->fd, me->w->ioas, &dev);
		if (rc) {
			complain(me, "attach: %d", rc);
			break;
		}
		if (obj_destroy(me->w->fd, me->w->ioas) != -EBUSY)
			complain(me, "an attached IOAS is not busy");
		switch (pick(&me->seed, 3)) {
		case 0:
			rc = mock_replace(me->w->fd, &dev, me->w->spare);
			if (rc)
				complain(me, "replace: %d", rc);
			rc = mock_replace(me->w->fd, &dev, me->w->ioas);
			if (rc)
				complain(me, "replace back: %d", rc);
			break;
		case 1:
			rc = hwpt_alloc(me->w->fd, dev.idev, me->w->ioas, 0,
					&hwpt);
			if (rc) {
				complain(me, "hwpt: %d", rc);
				break;
			}
			rc = obj_destroy(me->w->fd, hwpt);
			if (rc)
				complain(me, "destroy hwpt: %d", rc);
			break;
		default:
			break;
		}
		rc = mock_detach(me->w->fd, &dev);
		if (rc)
			complain(me, "detach: %d", rc);
	}
	return NULL;
}

/* An in-kernel user that reads and writes what may vanish at any time */
static void *access_worker(void *arg)
{
	struct worker *me = arg;
	char buf[64] = {};
	int access, rc;
	__u32 id;

	access = mock_access_open(me->w->fd, me->w->ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	if (access < 0) {
		complain(me, "access: %d", access);
		return NULL;
	}
	while (!__atomic_load_n(&me->w->stop, __ATOMIC_ACQUIRE) &&
	       !me->error[0]) {
		__u64 iova = BASE + (__u64)pick(&me->seed, THREADS * SLOTS) *
				    2 * SLOT_PAGES * me->w->ps;

		if (pick(&me->seed, 2)) {
			rc = mock_access_rw(me->w->fd, access, iova,
					    sizeof(buf), buf, 0);
			/* Not mapped, or on its way out */
			if (rc && rc != -ENOENT && rc != -EINVAL)
				complain(me, "access rw: %d", rc);
			continue;
		}
		/*
		 * The memory belongs to another thread's model, so the driver's
		 * comparison with it may fail, and then nothing stays pinned.
		 */
		rc = mock_access_pin(me->w->fd, access, iova, me->w->ps,
				     me->mem, 0, &id);
		if (!rc)
			mock_access_unpin(me->w->fd, access, id);
	}
	close(access);
	return NULL;
}
#endif

FIXTURE(stress)
{
	struct world w;
	__u64 seed;
	long pinned;
};

FIXTURE_SETUP(stress)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	self->seed = number_from_env("IOMMUFD_STRESS_SEED",
				     now.tv_sec * 1000000000UL + now.tv_nsec);
	if (!self->seed)
		self->seed = 1;
	self->w.ops = number_from_env("IOMMUFD_STRESS_OPS", 500);
	TH_LOG("IOMMUFD_STRESS_SEED=%llu IOMMUFD_STRESS_OPS=%lu",
	       self->seed, self->w.ops);
	self->w.ps = page_size();
	self->w.fd = iommufd_open();
	ASSERT_LE(0, self->w.fd);
	ASSERT_EQ(0, ioas_alloc(self->w.fd, &self->w.ioas));
	ASSERT_EQ(0, ioas_alloc(self->w.fd, &self->w.spare));
#ifdef HAVE_MOCK_ABI
	self->w.mock = !mock_memory_limit(self->w.fd, MOCK_MEMORY_DEFAULT);
#endif
	self->pinned = pages_pinned();
}

FIXTURE_TEARDOWN(stress)
{
	close(self->w.fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

static bool worker_start(struct worker *me, struct world *w,
			 unsigned int number, __u64 seed,
			 void *(*fn)(void *arg))
{
	*me = (struct worker){
		.w = w,
		.number = number,
		.seed = seed * (2 * number + 1) + number,
	};
	if (!me->seed)
		me->seed = 1;
	me->mem = mem_shared(2 * SLOT_PAGES * w->ps);
	if (me->mem == MAP_FAILED)
		return false;
	memset(me->mem, number, 2 * SLOT_PAGES * w->ps);
	return !pthread_create(&me->thread, NULL, fn, me);
}

/* One more device than before sees exactly what the models say */
static int check_model(const struct world *w, const struct worker *workers)
{
#ifdef HAVE_MOCK_ABI
	struct mock_device dev;
	unsigned int i, k;
	int rc;

	if (!w->mock)
		return 0;
	rc = mock_attach(w->fd, w->ioas, &dev);
	for (i = 0; i != THREADS && !rc; i++) {
		for (k = 0; k != SLOTS && !rc; k++) {
			const struct slot *s = &workers[i].slots[k];

			if (!s->pages)
				continue;
			rc = mock_check_map(w->fd, dev.hwpt,
					    slot_iova(&workers[i], k),
					    s->pages * w->ps,
					    workers[i].mem + s->first * w->ps);
		}
	}
	if (!rc)
		rc = mock_detach(w->fd, &dev);
	return rc;
#else
	(void)w;
	(void)workers;
	return 0;
#endif
}

TEST_F_TIMEOUT(stress, model, 600)
{
	struct worker workers[THREADS + 3] = {};
	unsigned int i, num = THREADS;
	__u64 len, sum = 0;

	for (i = 0; i != THREADS; i++)
		ASSERT_TRUE(worker_start(&workers[i], &self->w, i, self->seed,
					 map_worker));
#ifdef HAVE_MOCK_ABI
	if (self->w.mock) {
		ASSERT_TRUE(worker_start(&workers[num], &self->w, num,
					 self->seed, device_worker));
		num++;
		ASSERT_TRUE(worker_start(&workers[num], &self->w, num,
					 self->seed, device_worker));
		num++;
		ASSERT_TRUE(worker_start(&workers[num], &self->w, num,
					 self->seed, access_worker));
		num++;
	}
#endif
	for (i = 0; i != num; i++) {
		/* The mappers end by themselves, and then the others shall */
		if (i == THREADS)
			__atomic_store_n(&self->w.stop, true, __ATOMIC_RELEASE);
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
		EXPECT_EQ(0, workers[i].error[0]) {
			TH_LOG("thread %u: %s", i, workers[i].error);
		}
		sum += workers[i].mapped;
	}
	EXPECT_EQ(0, check_model(&self->w, workers));
	ASSERT_EQ(0, ioas_unmap_all(self->w.fd, self->w.ioas, &len));
	EXPECT_EQ(sum, len);
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* All threads on the same few IOVA: no model, but few answers are right */

static bool one_of(int rc, const int *list)
{
	for (; *list; list++)
		if (rc == *list)
			return true;
	return rc == 0;
}

static void *chaos_worker(void *arg)
{
	static const int map_errors[] = { -EEXIST, 0 };
	static const int unmap_errors[] = { -ENOENT, -EBUSY, 0 };
	static const int all_errors[] = { -EBUSY, 0 };
	static const int copy_errors[] = { -EEXIST, -ENOENT, 0 };
	struct worker *me = arg;
	size_t ps = me->w->ps;
	unsigned long i;
	__u64 len;

	for (i = 0; i != me->w->ops && !me->error[0]; i++) {
		__u64 a = BASE + pick(&me->seed, 8) * ps;
		__u64 b = BASE + pick(&me->seed, 8) * ps;
		size_t size = (1 + pick(&me->seed, 4)) * ps;
		int rc;

		switch (pick(&me->seed, 5)) {
		case 0:
		case 1:
			rc = ioas_map_at(me->w->fd, me->w->ioas, me->mem, size,
					 a);
			if (!one_of(rc, map_errors))
				complain(me, "map: %d", rc);
			break;
		case 2:
			rc = ioas_copy_at(me->w->fd, me->w->ioas, a,
					  me->w->ioas, b, size);
			if (!one_of(rc, copy_errors))
				complain(me, "copy: %d", rc);
			break;
		case 3:
			rc = ioas_unmap_all(me->w->fd, me->w->ioas, &len);
			if (!one_of(rc, all_errors))
				complain(me, "unmap all: %d", rc);
			break;
		default:
			rc = ioas_unmap(me->w->fd, me->w->ioas, a, size);
			if (!one_of(rc, unmap_errors))
				complain(me, "unmap: %d", rc);
			break;
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(stress, chaos, 600)
{
	struct worker workers[THREADS + 2] = {};
	unsigned int i, num = THREADS;
	__u64 len;

	for (i = 0; i != THREADS; i++)
		ASSERT_TRUE(worker_start(&workers[i], &self->w, i, self->seed,
					 chaos_worker));
#ifdef HAVE_MOCK_ABI
	if (self->w.mock) {
		ASSERT_TRUE(worker_start(&workers[num], &self->w, num,
					 self->seed, device_worker));
		num++;
		ASSERT_TRUE(worker_start(&workers[num], &self->w, num,
					 self->seed, access_worker));
		num++;
	}
#endif
	for (i = 0; i != num; i++) {
		if (i == THREADS)
			__atomic_store_n(&self->w.stop, true, __ATOMIC_RELEASE);
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
		EXPECT_EQ(0, workers[i].error[0]) {
			TH_LOG("thread %u: %s", i, workers[i].error);
		}
	}
	ASSERT_EQ(0, ioas_unmap_all(self->w.fd, self->w.ioas, &len));
	EXPECT_GE(12 * self->w.ps, len);
	ASSERT_EQ(0, ioas_unmap_all(self->w.fd, self->w.ioas, &len));
	EXPECT_EQ(0, len);
	EXPECT_EQ(self->pinned, pages_pinned());
	EXPECT_EQ(0, obj_destroy(self->w.fd, self->w.ioas));
}

/* Processes that die in the middle of it */

TEST_F_TIMEOUT(stress, kill, 600)
{
	struct timespec nap = {};
	__u64 seed = self->seed;
	unsigned int round;

	for (round = 0; round != 20; round++) {
		pid_t pid = fork();

		if (!pid) {
			struct worker workers[2];

			if (!worker_start(&workers[0], &self->w, 0, ~round,
					  chaos_worker) ||
			    !worker_start(&workers[1], &self->w, 1, ~round,
					  chaos_worker))
				_exit(1);
			for (;;)
				pause();
		}
		nap.tv_nsec = 1000000 + pick(&seed, 50000000);
		nanosleep(&nap, NULL);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(-SIGKILL, wait_child(pid));
	}
	/* The context was shared, and what the dead have mapped can be undone */
	{
		__u64 len;

		ASSERT_EQ(0, ioas_unmap_all(self->w.fd, self->w.ioas, &len));
		ASSERT_EQ(0, ioas_map_at(self->w.fd, self->w.ioas,
					 mem_shared(8 * self->w.ps),
					 8 * self->w.ps, BASE));
	}
}

TEST_HARNESS_MAIN
