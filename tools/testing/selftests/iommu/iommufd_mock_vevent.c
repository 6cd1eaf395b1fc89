// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of events of virtual IOMMUs, and their files: what is read, what is
 * lost, and in which order things end. And hardware queues that come and go while
 * others do.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "../lib/fail_nth.h"
#include "../lib/mock.h"
#include "../lib/viommu.h"

#define BASE		((__u64)MOCK_APERTURE_START)
#define DEPTH		4
#define VIRT_ID		0x51
#define MAX_DEPTH	(1U << 19)

/* An event of the mock IOMMU as it is read */
struct event {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest data;
};

#define HEADER	((ssize_t)sizeof(struct iommufd_vevent_header))
#define EVENT	((ssize_t)sizeof(struct event))

FIXTURE(vevent)
{
	int fd;
	int file;
	size_t ps;
	char *buf;
	__u32 ioas;
	__u32 parent;
	__u32 viommu;
	__u32 vdev;
	__u32 queue;
	struct mock_device dev;
	long pinned;
};

#define VIOMMU(out)							\
	viommu_alloc(self->fd, self->dev.idev, self->parent,		\
		     IOMMU_VIOMMU_TYPE_SELFTEST, out)
#define QUEUE(depth, out, file)						\
	veventq_alloc(self->fd, self->viommu,				\
		      IOMMU_VEVENTQ_TYPE_SELFTEST, depth, out, file)
#define HW_QUEUE(viommu, index, out)					\
	hw_queue_alloc(self->fd, viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST,	\
		       index, BASE, self->ps, out)
#define HAPPEN(nr)							\
	do {								\
		unsigned int _i;					\
									\
		for (_i = 0; _i != (nr); _i++)				\
			ASSERT_EQ(0, mock_event(self->fd, &self->dev));	\
	} while (0)

FIXTURE_SETUP(vevent)
{
	self->file = -1;
	MOCK_OPEN(self->fd);
	self->ps = page_size();
	self->buf = mem_shared(self->ps);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, self->ps);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	ASSERT_EQ(0, VIOMMU(&self->viommu));
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev,
				   VIRT_ID, &self->vdev));
	ASSERT_EQ(0, QUEUE(DEPTH, &self->queue, &self->file));
}

FIXTURE_TEARDOWN(vevent)
{
	if (self->file >= 0)
		close(self->file);
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

static short events_of(int file, int ms)
{
	struct pollfd p = { .fd = file, .events = POLLIN | POLLOUT | POLLPRI };

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

/* Some buffers are too small on purpose, which the compiler must not see */
static ssize_t (*volatile unseen_read)(int file, void *buf, size_t count) = read;

static ssize_t take(int file, void *buf, size_t count)
{
	ssize_t n = unseen_read(file, buf, count);

	return n < 0 ? -errno : n;
}

static void expect_event(struct __test_metadata *_metadata,
			 const struct event *e, __u32 sequence)
{
	EXPECT_EQ(0, e->header.flags);
	EXPECT_EQ(sequence, e->header.sequence);
	EXPECT_EQ(VIRT_ID, e->data.virt_id);
}

/* The header that says that the newest events up to that one had no room */
static void expect_lost(struct __test_metadata *_metadata, int file,
			__u32 sequence)
{
	struct event e = {};

	ASSERT_EQ(HEADER, take(file, &e, sizeof(e)));
	EXPECT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, e.header.flags);
	EXPECT_EQ(sequence, e.header.sequence);
	EXPECT_EQ(0, e.data.virt_id);
	EXPECT_EQ(0, events_of(file, 0));
	EXPECT_EQ(0, take(file, &e, sizeof(e)));
}

TEST_F(vevent, alloc_answers)
{
	const __u32 type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu,
		.type = 5,
		.veventq_depth = 1,
	};
	__u32 id, second, viommu;
	int file, file2;
	unsigned int bit;

	for (bit = 0; bit != 32; bit++) {
		cmd.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_VEVENTQ_ALLOC,
					    &cmd));
	}
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	EXPECT_EQ(-EOPNOTSUPP, veventq_alloc(self->fd, self->viommu,
					     IOMMU_VEVENTQ_TYPE_DEFAULT, 1, &id,
					     &file));
	EXPECT_EQ(-EINVAL, veventq_alloc(self->fd, self->viommu, 5, 0, &id,
					 &file));
	EXPECT_EQ(-EINVAL, veventq_alloc(self->fd, self->viommu, 5,
					 MAX_DEPTH + 1, &id, &file));
	EXPECT_EQ(-EINVAL, veventq_alloc(self->fd, self->viommu, 5, ~0U, &id,
					 &file));
	EXPECT_EQ(-ENOENT, veventq_alloc(self->fd, 0, 5, 1, &id, &file));
	EXPECT_EQ(-ENOENT, veventq_alloc(self->fd, self->ioas, 5, 1, &id,
					 &file));
	/* One of a type; what failed has left no file behind */
	file2 = dup(self->file);
	EXPECT_EQ(-EEXIST, veventq_alloc(self->fd, self->viommu, type, 1, &id,
					 &file));
	file = dup(self->file);
	EXPECT_EQ(file2 + 1, file);
	close(file);
	close(file2);

	/* The largest, of another type; and of the same, of another one */
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, 5, MAX_DEPTH, &id,
				   &file));
	EXPECT_NE(0, fcntl(file, F_GETFD) & FD_CLOEXEC);
	ASSERT_EQ(0, VIOMMU(&viommu));
	ASSERT_EQ(0, veventq_alloc(self->fd, viommu, type, 1, &second,
				   &file2));
	/* Nothing is told there of what is another one's */
	HAPPEN(1);
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	EXPECT_EQ(0, events_of(file, 0));
	EXPECT_EQ(0, events_of(file2, 0));
	close(file2);
	EXPECT_EQ(0, obj_destroy(self->fd, second));
	EXPECT_EQ(0, obj_destroy(self->fd, viommu));
	/* Nor is it if the right one was made later */
	close(self->file);
	ASSERT_EQ(0, obj_destroy(self->fd, self->queue));
	ASSERT_EQ(0, QUEUE(DEPTH, &self->queue, &self->file));
	HAPPEN(1);
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	EXPECT_EQ(0, events_of(file, 0));
	close(file);
	EXPECT_EQ(0, obj_destroy(self->fd, id));
}

/* The answer does not arrive: then there is no queue, and its type is free */
TEST_F(vevent, answer_lost)
{
	struct iommu_veventq_alloc *cmd = (void *)self->buf;
	__u32 id;
	int file;

	*cmd = (struct iommu_veventq_alloc){
		.size = sizeof(*cmd),
		.viommu_id = self->viommu,
		.type = 5,
		.veventq_depth = 1,
	};
	ASSERT_EQ(0, mprotect(self->buf, self->ps, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, IOMMU_VEVENTQ_ALLOC, cmd));
	ASSERT_EQ(0, veventq_alloc(self->fd, self->viommu, 5, 1, &id, &file));
	close(file);
	EXPECT_EQ(0, obj_destroy(self->fd, id));
}

TEST_F(vevent, file_answers)
{
	struct event e[2];

	/* Never blocks, whatever the flags of the file are */
	EXPECT_EQ(0, take(self->file, e, sizeof(e)));
	EXPECT_EQ(-EINVAL, take(self->file, e, 0));
	EXPECT_EQ(-EINVAL, take(self->file, e, HEADER - 1));
	EXPECT_EQ(-1, write(self->file, e, EVENT));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(self->file, e, sizeof(e), 4));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->ps, PROT_READ, MAP_SHARED,
				   self->file, 0));
	EXPECT_EQ(-1, ioctl(self->file, IOMMU_DESTROY, e));
	EXPECT_EQ(ENOTTY, errno);
}

/* As many whole events as there is room for, the rest at the next time */
TEST_F(vevent, partial_reads)
{
	struct event e[DEPTH];

	HAPPEN(3);
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	/* What there is no room for stays */
	EXPECT_EQ(-EINVAL, take(self->file, e, HEADER));
	EXPECT_EQ(-EINVAL, take(self->file, e, EVENT - 1));
	EXPECT_EQ(EVENT, take(self->file, e, 2 * EVENT - 1));
	expect_event(_metadata, e, 0);
	EXPECT_EQ(-EFAULT, take(self->file, (void *)1, sizeof(e)));
	EXPECT_EQ(2 * EVENT, take(self->file, e, sizeof(e)));
	expect_event(_metadata, e, 1);
	expect_event(_metadata, e + 1, 2);
	EXPECT_EQ(0, events_of(self->file, 0));
	EXPECT_EQ(0, take(self->file, e, sizeof(e)));
}

/* Memory ends in the middle of the second of two events: the first is read */
TEST_F(vevent, hole_in_the_buffer)
{
	char *end = mem_before_hole(self->ps);
	struct event e;
	char *at;

	ASSERT_NE(MAP_FAILED, (void *)end);
	at = end + self->ps - EVENT - HEADER;
	HAPPEN(2);
	EXPECT_EQ(EVENT, take(self->file, at, 2 * EVENT));
	memcpy(&e, at, sizeof(e));
	expect_event(_metadata, &e, 0);
	EXPECT_EQ(-EFAULT, take(self->file, end + self->ps - HEADER, EVENT));
	ASSERT_EQ(EVENT, take(self->file, &e, sizeof(e)));
	expect_event(_metadata, &e, 1);
}

TEST_F(vevent, lost)
{
	struct event e[DEPTH + 1];
	unsigned int i;

	/* Exactly as many as there is room for: nothing is lost */
	HAPPEN(DEPTH);
	ASSERT_EQ(DEPTH * EVENT, take(self->file, e, sizeof(e)));
	EXPECT_EQ(0, events_of(self->file, 0));

	/* The newest are lost: the header comes behind the others */
	HAPPEN(DEPTH + 3);
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	ASSERT_EQ(DEPTH * EVENT, take(self->file, e, DEPTH * EVENT));
	for (i = 0; i != DEPTH; i++)
		expect_event(_metadata, e + i, DEPTH + i);
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	expect_lost(_metadata, self->file, 2 * DEPTH + 2);

	/* All in one read, the header last */
	HAPPEN(DEPTH + 1);
	ASSERT_EQ(DEPTH * EVENT + HEADER, take(self->file, e, sizeof(e)));
	expect_event(_metadata, e, 2 * DEPTH + 3);
	EXPECT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, e[DEPTH].header.flags);
	EXPECT_EQ(3 * DEPTH + 3, e[DEPTH].header.sequence);
	EXPECT_EQ(0, events_of(self->file, 0));

	/* A later one came through: its number says what is missing */
	HAPPEN(DEPTH + 2);
	ASSERT_EQ(EVENT, take(self->file, e, EVENT));
	expect_event(_metadata, e, 3 * DEPTH + 4);
	HAPPEN(1);
	ASSERT_EQ(DEPTH * EVENT, take(self->file, e, sizeof(e)));
	expect_event(_metadata, e + DEPTH - 2, 4 * DEPTH + 3);
	expect_event(_metadata, e + DEPTH - 1, 4 * DEPTH + 6);
	EXPECT_EQ(0, events_of(self->file, 0));
}

/* Only the header that says so has no room */
TEST_F(vevent, lost_stays_until_read)
{
	struct event e[DEPTH];

	HAPPEN(DEPTH + 1);
	ASSERT_EQ(DEPTH * EVENT, take(self->file, e, DEPTH * EVENT + HEADER - 1));
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	EXPECT_EQ(-EINVAL, take(self->file, e, HEADER - 1));
	EXPECT_EQ(-EFAULT, take(self->file, (void *)1, HEADER));
	expect_lost(_metadata, self->file, DEPTH);
}

struct waiter {
	int file;
	short answer;
};

static void *wait_for_event(void *arg)
{
	struct waiter *w = arg;

	w->answer = events_of(w->file, 10000);
	return NULL;
}

/* One that waits is woken, by an event and by one that is lost */
TEST_F(vevent, poll)
{
	struct waiter w = { .file = self->file };
	struct event e[2];
	unsigned int i;
	__u32 queue;
	pthread_t t;
	int file;

	for (i = 0; i != 20; i++) {
		ASSERT_EQ(0, pthread_create(&t, NULL, wait_for_event, &w));
		usleep(i % 4 * 500);
		HAPPEN(1);
		pthread_join(t, NULL);
		EXPECT_EQ(POLLIN, w.answer);
		EXPECT_EQ(EVENT, take(self->file, e, sizeof(e)));
		EXPECT_EQ(0, events_of(self->file, 0));
	}
	/* With room for one, the next is lost; both are to be read */
	close(self->file);
	ASSERT_EQ(0, obj_destroy(self->fd, self->queue));
	ASSERT_EQ(0, QUEUE(1, &queue, &file));
	self->file = file;
	HAPPEN(2);
	EXPECT_EQ(EVENT, take(file, e, EVENT));
	w.file = file;
	ASSERT_EQ(0, pthread_create(&t, NULL, wait_for_event, &w));
	pthread_join(t, NULL);
	EXPECT_EQ(POLLIN, w.answer);
	expect_lost(_metadata, file, 1);
}

/* Two queues of two virtual IOMMUs: each is told of its own device */
TEST_F(vevent, two_queues)
{
	struct mock_device dev;
	__u32 viommu, vdev, queue;
	struct event e;
	int file;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &dev));
	ASSERT_EQ(0, VIOMMU(&viommu));
	ASSERT_EQ(0, vdevice_alloc(self->fd, viommu, dev.idev, 0x99, &vdev));
	ASSERT_EQ(0, veventq_alloc(self->fd, viommu,
				   IOMMU_VEVENTQ_TYPE_SELFTEST, 1, &queue,
				   &file));
	HAPPEN(2);
	ASSERT_EQ(0, mock_event(self->fd, &dev));
	ASSERT_EQ(EVENT, take(file, &e, sizeof(e)));
	EXPECT_EQ(0, e.header.sequence);
	EXPECT_EQ(0x99, e.data.virt_id);
	EXPECT_EQ(0, events_of(file, 0));
	ASSERT_EQ(EVENT, take(self->file, &e, sizeof(e)));
	expect_event(_metadata, &e, 0);
	/* One is full and ends; the other goes on */
	ASSERT_EQ(0, mock_event(self->fd, &dev));
	ASSERT_EQ(0, mock_event(self->fd, &dev));
	close(file);
	EXPECT_EQ(0, obj_destroy(self->fd, queue));
	EXPECT_EQ(-EOPNOTSUPP, mock_event(self->fd, &dev));
	ASSERT_EQ(EVENT, take(self->file, &e, sizeof(e)));
	expect_event(_metadata, &e, 1);
}

/* Two files of one queue are one queue, and both have to be closed */
TEST_F(vevent, two_files)
{
	struct event e;
	int file = dup(self->file);

	HAPPEN(2);
	ASSERT_EQ(EVENT, take(file, &e, sizeof(e)));
	expect_event(_metadata, &e, 0);
	ASSERT_EQ(EVENT, take(self->file, &e, sizeof(e)));
	expect_event(_metadata, &e, 1);
	close(self->file);
	self->file = -1;
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->queue));
	HAPPEN(1);
	EXPECT_EQ(POLLIN, events_of(file, 0));
	close(file);
	EXPECT_EQ(0, obj_destroy(self->fd, self->queue));
}

/* Events that nobody has read, and lost ones, do not keep the queue */
TEST_F(vevent, destroy_with_events)
{
	struct event e;
	__u32 queue;
	int file;

	HAPPEN(DEPTH + 2);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->queue));
	close(self->file);
	HAPPEN(1);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, self->queue));
	EXPECT_EQ(-EOPNOTSUPP, mock_event(self->fd, &self->dev));
	/* A new one begins with nothing, and with 0 */
	ASSERT_EQ(0, QUEUE(1, &queue, &file));
	self->file = file;
	EXPECT_EQ(0, events_of(file, 0));
	HAPPEN(1);
	ASSERT_EQ(EVENT, take(file, &e, sizeof(e)));
	expect_event(_metadata, &e, 0);
}

/* The file outlives that of the context, and what is in it can still be read */
TEST_F(vevent, close_context_first)
{
	struct event e[2];

	HAPPEN(2);
	close(self->fd);
	EXPECT_EQ(POLLIN, events_of(self->file, 0));
	ASSERT_EQ(2 * EVENT, take(self->file, e, sizeof(e)));
	expect_event(_metadata, e + 1, 1);
	close(self->file);
	self->file = -1;
	self->fd = iommufd_open();
}

/* The device goes, and with it the virtual one: what it has said stays */
TEST_F(vevent, device_gone)
{
	struct event e[2];

	HAPPEN(1);
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(-ENOENT, mock_event(self->fd, &self->dev));
	ASSERT_EQ(EVENT, take(self->file, e, sizeof(e)));
	expect_event(_metadata, e, 0);
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->viommu));
	close(self->file);
	self->file = -1;
	EXPECT_EQ(0, obj_destroy(self->fd, self->queue));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_EQ(0, obj_destroy(self->fd, self->parent));
}

/* Every order in which four things may end, as a string of their initials */

static int end_one(struct _test_data_vevent *self, char what)
{
	switch (what) {
	case 'f':	/* the file of the queue */
		close(self->file);
		self->file = -1;
		return 0;
	case 'q':
		return obj_destroy(self->fd, self->queue);
	case 'd':	/* the virtual device */
		return obj_destroy(self->fd, self->vdev);
	default:
		return obj_destroy(self->fd, self->viommu);
	}
}

TEST_F(vevent, every_order)
{
	static const char *const orders[] = {
		"fqdv", "fqvd", "fdqv", "fdvq", "fvqd", "fvdq",
		"qfdv", "qfvd", "qdfv", "qdvf", "qvfd", "qvdf",
		"dfqv", "dfvq", "dqfv", "dqvf", "dvfq", "dvqf",
		"vfqd", "vfdq", "vqfd", "vqdf", "vdfq", "vdqf",
	};
	unsigned int i, k;

	for (i = 0; i != ARRAY_SIZE(orders); i++) {
		bool gone[128] = {};

		HAPPEN(DEPTH + 1);
		for (k = 0; k != 4; k++) {
			char c = orders[i][k];
			bool can = c == 'f' || c == 'd' ||
				   (c == 'q' && gone['f']) ||
				   (c == 'v' && gone['q'] && gone['d']);

			EXPECT_EQ(can ? 0 : -EBUSY, end_one(self, c)) {
				TH_LOG("%s: %c", orders[i], c);
			}
			gone[(int)c] = can;
		}
		/* What was refused is done now */
		if (!gone['q'])
			ASSERT_EQ(0, end_one(self, 'q'));
		if (!gone['v'])
			ASSERT_EQ(0, end_one(self, 'v'));
		ASSERT_EQ(0, VIOMMU(&self->viommu));
		ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu,
					   self->dev.idev, VIRT_ID,
					   &self->vdev));
		ASSERT_EQ(0, QUEUE(DEPTH, &self->queue, &self->file));
	}
}

/* Allocations that fail */

TEST_F(vevent, alloc_fails)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	__u32 queue;
	int file, rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, veventq_alloc(self->fd, self->viommu, 5,
						      DEPTH, &queue, &file));
		EXPECT_FAIL_NTH(&nth, rc);
		if (!rc) {
			close(file);
			EXPECT_EQ(0, obj_destroy(self->fd, queue));
		}
	}
	EXPECT_SWEPT(&nth);
	close(self->file);
	self->file = -1;
	EXPECT_EQ(0, obj_destroy(self->fd, self->queue));
	EXPECT_EQ(0, obj_destroy(self->fd, self->vdev));
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
}

/* An event is told without memory, and so is read */
TEST_F(vevent, events_need_no_memory)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	struct event e[DEPTH];
	unsigned int seen = 0;
	ssize_t n;
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, mock_event(self->fd, &self->dev));
		/* What may fail is the copy of the request for it */
		EXPECT_TRUE(rc == 0 || rc == -EFAULT) {
			TH_LOG("round %u: %d", nth.n, rc);
		}
		n = take(self->file, e, sizeof(e));
		EXPECT_EQ(rc ? 0 : EVENT, n);
		if (n)
			expect_event(_metadata, e, seen++);
	}
	EXPECT_SWEPT(&nth);
	EXPECT_LT(0, seen);
}

TEST_F(vevent, second_hw_queue_fails)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	__u32 first, second;
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE));
	ASSERT_EQ(0, HW_QUEUE(self->viommu, 0, &first));
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, HW_QUEUE(self->viommu, 1, &second));
		EXPECT_FAIL_NTH(&nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, second));
	}
	EXPECT_SWEPT(&nth);
	/* Nothing needs the first any more, nor does its memory */
	EXPECT_EQ(0, obj_destroy(self->fd, first));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
}

/* Races: nothing here may crash, warn, hang or leave anything behind */

#define ROUNDS 200

struct race {
	int fd;
	__u32 viommu;
	__u32 queue;
	__u32 ioas;
	int file;
	struct mock_device dev;
	size_t ps;
	bool stop;
	unsigned long happened;
	int bad;
};

static void *race_report(void *arg)
{
	struct race *r = arg;
	int rc;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		rc = mock_event(r->fd, &r->dev);
		if (!rc)
			r->happened++;
		else if (rc != -EOPNOTSUPP)
			r->bad = rc;
	}
	return NULL;
}

/* Two readers of one queue under a storm: each number is seen once, in order */
struct reader {
	int file;
	bool stop;
	unsigned long read;
	long last;
	const char *bad;
};

static void *race_read(void *arg)
{
	struct reader *r = arg;
	struct event e[3];
	bool stop;

	do {
		unsigned int i;
		ssize_t n;

		stop = __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE);
		n = take(r->file, e, sizeof(e));
		if (n < 0)
			r->bad = "a read failed";
		if (n <= 0)
			continue;
		for (i = 0; i != n / EVENT; i++) {
			/* The header of lost ones is last */
			if (e[i].header.flags || (long)e[i].header.sequence <=
						 r->last ||
			    e[i].data.virt_id != VIRT_ID)
				r->bad = "not in order";
			r->last = e[i].header.sequence;
			r->read++;
		}
		if (n % EVENT && (n % EVENT != HEADER ||
				  (long)e[i].header.sequence <= r->last))
			r->bad = "not a header of lost events";
	} while (!stop);
	return NULL;
}

TEST_F(vevent, race_read_report)
{
	struct race r = { .fd = self->fd, .dev = self->dev };
	struct reader a = { .file = self->file, .last = -1 }, b = a;
	pthread_t report, ta, tb;

	ASSERT_EQ(0, pthread_create(&report, NULL, race_report, &r));
	ASSERT_EQ(0, pthread_create(&ta, NULL, race_read, &a));
	ASSERT_EQ(0, pthread_create(&tb, NULL, race_read, &b));
	usleep(500000);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	pthread_join(report, NULL);
	__atomic_store_n(&a.stop, true, __ATOMIC_RELEASE);
	__atomic_store_n(&b.stop, true, __ATOMIC_RELEASE);
	pthread_join(ta, NULL);
	pthread_join(tb, NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_EQ(NULL, a.bad) {
		TH_LOG("%s", a.bad);
	}
	EXPECT_EQ(NULL, b.bad) {
		TH_LOG("%s", b.bad);
	}
	EXPECT_LT(0, a.read + b.read);
	EXPECT_GE(r.happened, a.read + b.read);
	EXPECT_EQ(0, events_of(self->file, 0));
}

/* Queues that come and go under a storm of events */
TEST_F(vevent, race_destroy_report)
{
	struct race r = { .fd = self->fd, .dev = self->dev };
	struct event e[DEPTH];
	pthread_t report;
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&report, NULL, race_report, &r));
	for (i = 0; i != ROUNDS; i++) {
		EXPECT_LE(0, take(self->file, e, i % 2 ? sizeof(e) : EVENT));
		close(self->file);
		ASSERT_EQ(0, obj_destroy(self->fd, self->queue));
		ASSERT_EQ(0, QUEUE(DEPTH, &self->queue, &self->file));
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	pthread_join(report, NULL);
	EXPECT_EQ(0, r.bad);
}

static void *race_destroy_viommu(void *arg)
{
	struct race *r = arg;
	int rc;

	do {
		rc = obj_destroy(r->fd, r->viommu);
		sched_yield();
	} while (rc == -EBUSY && !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE));
	if (rc && rc != -EBUSY)
		r->bad = rc;
	return NULL;
}

static void *race_unmap(void *arg)
{
	struct race *r = arg;
	int rc;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		rc = ioas_unmap(r->fd, r->ioas, BASE, r->ps);
		/* A queue works in it, it is mapped at the moment, or not */
		if (rc && rc != -EBUSY && rc != -ENOENT)
			r->bad = rc;
		sched_yield();
	}
	return NULL;
}

/*
 * Hardware queues, and the memory of one, while their virtual IOMMU is destroyed
 * whenever it may be, mapped from the file, and while others unmap their memory
 */
TEST_F(vevent, race_hw_queue)
{
	struct iommu_viommu_selftest data;
	struct race r = {
		.fd = self->fd, .ioas = self->ioas, .ps = self->ps,
	};
	struct race unmap = r;
	unsigned int i, made = 0, mapped = 0;
	pthread_t t, u;

	ASSERT_EQ(0, pthread_create(&u, NULL, race_unmap, &unmap));
	for (i = 0; i != ROUNDS; i++) {
		__u32 first, second;
		void *page;
		int rc;

		rc = ioas_map_at(self->fd, self->ioas, self->buf, self->ps,
				 BASE);
		ASSERT_TRUE(rc == 0 || rc == -EEXIST);
		data = (struct iommu_viommu_selftest){ .in_data = i };
		ASSERT_EQ(0, viommu_alloc_data(self->fd, self->dev.idev,
					       self->parent,
					       IOMMU_VIOMMU_TYPE_SELFTEST,
					       &data, sizeof(data), &r.viommu));
		__atomic_store_n(&r.stop, false, __ATOMIC_RELEASE);
		ASSERT_EQ(0, pthread_create(&t, NULL, race_destroy_viommu, &r));
		page = mmap(NULL, data.out_mmap_length, PROT_READ, MAP_SHARED,
			    self->fd, data.out_mmap_offset);
		/* Held by the mapping; else it may be gone at any time */
		rc = HW_QUEUE(r.viommu, 0, &first);
		EXPECT_TRUE(rc == 0 || rc == -ENOENT || rc == -EBUSY);
		if (!rc) {
			made++;
			rc = HW_QUEUE(r.viommu, 1, &second);
			EXPECT_EQ(0, rc);
			EXPECT_EQ(-EBUSY, ioas_unmap(self->fd, self->ioas, BASE,
						     self->ps));
			EXPECT_EQ(-EBUSY, obj_destroy(self->fd, first));
			EXPECT_EQ(0, obj_destroy(self->fd, second));
			if (page != MAP_FAILED && i % 2) {
				EXPECT_EQ(i, *(__u32 *)page);
				munmap(page, data.out_mmap_length);
				page = MAP_FAILED;
				mapped++;
			}
			EXPECT_EQ(0, obj_destroy(self->fd, first));
		}
		if (page != MAP_FAILED) {
			EXPECT_EQ(i, *(__u32 *)page);
			munmap(page, data.out_mmap_length);
			mapped++;
		}
		pthread_join(t, NULL);
		EXPECT_EQ(-ENOENT, obj_destroy(self->fd, r.viommu));
	}
	__atomic_store_n(&unmap.stop, true, __ATOMIC_RELEASE);
	pthread_join(u, NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_EQ(0, unmap.bad);
	printf("# %u times a queue was made, %u times memory was mapped\n", made,
	       mapped);
	EXPECT_LT(0, made + mapped);
}

TEST_HARNESS_MAIN
