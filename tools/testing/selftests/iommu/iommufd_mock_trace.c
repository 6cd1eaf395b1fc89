// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tracepoints and fdinfo tell of virtual IOMMUs and of what they have,
 * on the mock IOMMU driver.
 */
#include "kselftest_harness.h"
#include "../lib/fail_nth.h"
#include "../lib/mock.h"
#include "../lib/tracefs.h"
#include "../lib/viommu.h"

#define BASE	((__u64)MOCK_APERTURE_START)
#define DEPTH	2

FIXTURE(trace)
{
	struct tracefs t;
	int fd;
	size_t ps;
	__u32 ioas;
	__u32 parent;
	__u32 viommu;
	struct mock_device dev;
	struct mock_device other;
};

#define VIOMMU(type, out) \
	viommu_alloc(self->fd, self->dev.idev, self->parent, type, out)
#define EVENTS(depth, out, file)					\
	veventq_alloc(self->fd, self->viommu,				\
		      IOMMU_VEVENTQ_TYPE_SELFTEST, depth, out, file)
/* @event said this once; what follows are a format and its arguments */
#define EXPECT_TOLD(event, ...)						\
	do {								\
		const char *_event = (event);				\
		char _what[256];					\
									\
		snprintf(_what, sizeof(_what), __VA_ARGS__);		\
		EXPECT_EQ(1, tracefs_count(&self->t, _event, _what)) {	\
			TH_LOG("%s:%s", _event, _what);			\
		}							\
	} while (0)

FIXTURE_SETUP(trace)
{
	const char *why;

	memset(&self->t, 0, sizeof(self->t));
	MOCK_OPEN(self->fd);
	self->ps = page_size();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->other));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent));
	why = tracefs_begin(&self->t, "iommufd_mock_trace", "iommufd");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, VIOMMU(IOMMU_VIOMMU_TYPE_SELFTEST, &self->viommu));
}

FIXTURE_TEARDOWN(trace)
{
	close(self->fd);
	tracefs_end(&self->t);
}

TEST_F(trace, viommu)
{
	__u32 id;

	EXPECT_TOLD("iommufd_viommu_alloc", " id=%u type=%u hwpt=%u rc=0",
		    self->viommu, IOMMU_VIOMMU_TYPE_SELFTEST, self->parent);
	EXPECT_EQ(-EOPNOTSUPP, VIOMMU(77, &id));
	EXPECT_TOLD("iommufd_viommu_alloc", " id=0 type=77 hwpt=%u rc=-%d",
		    self->parent, EOPNOTSUPP);
	EXPECT_TOLD("iommufd_refuse", "no virtual IOMMU of type 77");
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->parent));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=hwpt tombstone=0 rc=-%d",
		    self->parent, EBUSY);
	EXPECT_EQ(0, obj_destroy(self->fd, self->viommu));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=viommu tombstone=0 rc=0",
		    self->viommu);
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->viommu));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=none tombstone=0 rc=-%d",
		    self->viommu, ENOENT);
}

TEST_F(trace, vdevice)
{
	__u32 vdev, vdev2, id;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 0x99,
				   &vdev));
	EXPECT_TOLD("iommufd_vdevice_alloc",
		    " id=%u viommu=%u virt_id=0x99 rc=0", vdev, self->viommu);
	EXPECT_EQ(-EEXIST, vdevice_alloc(self->fd, self->viommu,
					 self->dev.idev, 0x9a, &id));
	EXPECT_TOLD("iommufd_vdevice_alloc",
		    " id=0 viommu=%u virt_id=0x9a rc=-%d", self->viommu,
		    EEXIST);
	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->other.idev,
				   0x9b, &vdev2));
	EXPECT_EQ(0, obj_destroy(self->fd, vdev2));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=vdevice tombstone=0 rc=0",
		    vdev2);
	/* Its device takes it along */
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=vdevice tombstone=1 rc=0",
		    vdev);
}

/* What fdinfo of the file of a queue has after "key:\t", as a number, or -1 */
static int file_says(int file, const char *key)
{
	char text[64];

	return fdinfo_get(file, key, text, sizeof(text)) ? -1 : atoi(text);
}

/* The same of the queue, after "key=" */
static int queue_says(int fd, __u32 id, const char *key)
{
	char start[64], line[4096], *at;

	snprintf(start, sizeof(start), "object:\t%u veventq ", id);
	if (fdinfo_line(fd, start, line, sizeof(line)))
		return -1;
	at = strstr(line, key);
	return at && at[strlen(key)] == '=' ? atoi(at + strlen(key) + 1) : -1;
}

TEST_F(trace, vevents)
{
	const __u32 type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	unsigned char buf[256];
	__u32 vdev, queue, id;
	int file, other;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 7,
				   &vdev));
	EXPECT_EQ(-EOPNOTSUPP, mock_event(self->fd, &self->dev));
	EXPECT_TOLD("iommufd_vevent",
		    " viommu=%u queue=0 type=%u sequence=0 unread=0 rc=-%d",
		    self->viommu, type, EOPNOTSUPP);
	ASSERT_EQ(0, EVENTS(DEPTH, &queue, &file));
	EXPECT_TOLD("iommufd_veventq_alloc",
		    " id=%u viommu=%u type=%u depth=2 rc=0", queue,
		    self->viommu, type);
	EXPECT_EQ(-EEXIST, EVENTS(9, &id, &other));
	EXPECT_TOLD("iommufd_veventq_alloc",
		    " id=0 viommu=%u type=%u depth=9 rc=-%d", self->viommu,
		    type, EEXIST);

	EXPECT_EQ(0, file_says(file, "lost"));
	EXPECT_EQ(0, queue_says(self->fd, queue, "lost"));
	ASSERT_EQ(0, mock_event(self->fd, &self->dev));
	EXPECT_EQ(1, file_says(file, "unread"));
	ASSERT_EQ(0, mock_event(self->fd, &self->dev));
	ASSERT_EQ(0, mock_event(self->fd, &self->dev));
	ASSERT_EQ(0, mock_event(self->fd, &self->dev));
	EXPECT_TOLD("iommufd_vevent", " queue=%u type=%u sequence=0 unread=1 rc=0",
		    queue, type);
	EXPECT_TOLD("iommufd_vevent", " queue=%u type=%u sequence=1 unread=2 rc=0",
		    queue, type);
	EXPECT_TOLD("iommufd_vevent",
		    " queue=%u type=%u sequence=2 unread=2 rc=-%d", queue, type,
		    EOVERFLOW);
	EXPECT_TOLD("iommufd_vevent",
		    " queue=%u type=%u sequence=3 unread=2 rc=-%d", queue, type,
		    EOVERFLOW);
	EXPECT_EQ(DEPTH, file_says(file, "unread"));
	EXPECT_EQ(DEPTH, file_says(file, "depth"));
	EXPECT_EQ(2, file_says(file, "lost"));
	EXPECT_EQ(DEPTH, queue_says(self->fd, queue, "unread"));
	EXPECT_EQ(DEPTH, queue_says(self->fd, queue, "depth"));
	EXPECT_EQ(2, queue_says(self->fd, queue, "lost"));

	/* What was lost once stays counted */
	EXPECT_LT(0, read(file, buf, sizeof(buf)));
	EXPECT_EQ(0, file_says(file, "unread"));
	EXPECT_EQ(2, file_says(file, "lost"));
	EXPECT_EQ(2, queue_says(self->fd, queue, "lost"));

	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, queue));
	close(file);
	EXPECT_EQ(0, obj_destroy(self->fd, queue));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=veventq tombstone=0 rc=-%d",
		    queue, EBUSY);
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=veventq tombstone=0 rc=0",
		    queue);
}

TEST_F(trace, hw_queue)
{
	const __u32 type = IOMMU_HW_QUEUE_TYPE_SELFTEST;
	char *buf = mem_shared(self->ps);
	__u32 queue, id;

	ASSERT_NE(MAP_FAILED, buf);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, buf, self->ps, BASE));
	EXPECT_EQ(-ENOENT, hw_queue_alloc(self->fd, self->viommu, type, 1,
					  BASE + self->ps, 16, &id));
	EXPECT_TOLD("iommufd_hw_queue_alloc",
		    " id=0 viommu=%u type=%u index=1 iova=0x%llx length=0x10 rc=-%d",
		    self->viommu, type, BASE + self->ps, ENOENT);
	ASSERT_EQ(0, hw_queue_alloc(self->fd, self->viommu, type, 0, BASE,
				    self->ps, &queue));
	EXPECT_TOLD("iommufd_hw_queue_alloc",
		    " id=%u viommu=%u type=%u index=0 iova=0x%llx length=0x%zx rc=0",
		    queue, self->viommu, type, BASE, self->ps);
	EXPECT_EQ(0, obj_destroy(self->fd, queue));
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=hw_queue tombstone=0 rc=0",
		    queue);
}

/* A close ends all that there is, and each end is told */
TEST_F(trace, close)
{
	__u32 vdev, queue;
	int file;

	ASSERT_EQ(0, vdevice_alloc(self->fd, self->viommu, self->dev.idev, 7,
				   &vdev));
	ASSERT_EQ(0, EVENTS(DEPTH, &queue, &file));
	ASSERT_EQ(0, mock_event(self->fd, &self->dev));
	close(self->fd);
	EXPECT_EQ(0, tracefs_count(&self->t, "iommufd_destroy", "kind=veventq"));
	/* The last file of the context */
	close(file);
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=veventq tombstone=0 rc=0",
		    queue);
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=viommu tombstone=0 rc=0",
		    self->viommu);
	EXPECT_TOLD("iommufd_destroy", " id=%u kind=ioas tombstone=0 rc=0",
		    self->ioas);
	EXPECT_EQ(1, tracefs_count(&self->t, "iommufd_destroy", "kind=vdevice"));
	self->fd = iommufd_open();
}

/* An allocation that fails is told of, too, though not in words */
TEST_F(trace, injected)
{
	int failed = 0;
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	__u32 queue;
	int file, rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, EVENTS(DEPTH, &queue, &file));
		EXPECT_FAIL_NTH(&nth, rc);
		failed += rc == -ENOMEM;
		if (!rc) {
			close(file);
			EXPECT_EQ(0, obj_destroy(self->fd, queue));
		}
	}
	EXPECT_SWEPT(&nth);
	EXPECT_LT(0, failed);
	EXPECT_EQ(failed, tracefs_count(&self->t, "iommufd_veventq_alloc",
					"rc=-12"));
}

TEST_HARNESS_MAIN
