// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of mock devices: the queue and its file, groups, answers, and what
 * becomes of those that nobody answers.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "../lib/mock.h"

#define ADDR		0xdeadb000UL
#define PASID		300
#define ENTRY		((ssize_t)sizeof(struct iommu_hwpt_pgfault))
#define RESPONSE	((ssize_t)sizeof(struct iommu_hwpt_page_response))
#define INVALID		IOMMUFD_PAGE_RESP_INVALID
#define SUCCESS		IOMMUFD_PAGE_RESP_SUCCESS

FIXTURE(fault)
{
	int fd;
	__u32 ioas;
	__u32 rid;		/* hwpt without faults, for DMA without a PASID */
	__u32 hwpt;		/* hwpt with faults */
	__u32 id;
	int file;
	struct mock_device dev;
	size_t ps;
	__u32 pasid;
};

/* Faults of the device itself, or of a PASID of it */
FIXTURE_VARIANT(fault)
{
	__u32 pasid;
};

FIXTURE_VARIANT_ADD(fault, device) { .pasid = 0 };
FIXTURE_VARIANT_ADD(fault, pasid) { .pasid = PASID };

/* A hwpt with faults */
static int alloc_faulting(int fd, __u32 dev, __u32 ioas, __u32 flags,
			  __u32 queue, __u32 *hwpt)
{
	return hwpt_alloc_fault(fd, dev, ioas,
				flags | IOMMU_HWPT_FAULT_ID_VALID, queue, hwpt);
}

static int attach(int fd, struct mock_device *dev, __u32 pasid, __u32 hwpt)
{
	return pasid ? mock_pasid_attach(fd, dev, pasid, hwpt) :
		       mock_replace(fd, dev, hwpt);
}

static int replace(int fd, struct mock_device *dev, __u32 pasid, __u32 hwpt)
{
	return pasid ? mock_pasid_replace(fd, dev, pasid, hwpt) :
		       mock_replace(fd, dev, hwpt);
}

/* Back to where there are no faults */
static int detach(int fd, struct mock_device *dev, __u32 pasid, __u32 rid)
{
	return pasid ? mock_pasid_detach(fd, dev, pasid) :
		       mock_replace(fd, dev, rid);
}

FIXTURE_SETUP(fault)
{
	int rc;

	self->ps = page_size();
	self->pasid = variant->pasid;
	MOCK_OPEN(self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->ioas,
				       MOCK_DEVICE_PASID, &self->dev));
	ASSERT_EQ(0, fault_queue_alloc(self->fd, &self->id, &self->file));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_PASID, &self->rid));
	ASSERT_EQ(0, alloc_faulting(self->fd, self->dev.idev, self->ioas,
				    IOMMU_HWPT_ALLOC_PASID, self->id,
				    &self->hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->rid));
	rc = attach(self->fd, &self->dev, self->pasid, self->hwpt);
	if (rc == -ENODEV)
		SKIP(return, "this kernel has no page faults of devices");
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(fault)
{
	if (self->file >= 0)
		close(self->file);
	if (self->fd >= 0)
		close(self->fd);
}

#define FAULT(grpid) \
	ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, self->pasid, grpid, \
				3, ADDR + (grpid) * self->ps))
#define EXPECT_ANSWERS(grpid, nr, answer)				\
	do {								\
		__u32 __code = -1;					\
									\
		EXPECT_EQ(nr, mock_answers(self->fd, self->dev.idev,	\
					   grpid, &__code));		\
		if (nr)							\
			EXPECT_EQ(answer, __code);			\
	} while (0)

static ssize_t read_file(int file, void *buf, size_t size)
{
	ssize_t rc = read(file, buf, size);

	return rc < 0 ? -errno : rc;
}

static ssize_t answer(int file, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = code,
	};
	ssize_t rc = write(file, &response, sizeof(response));

	return rc < 0 ? -errno : rc;
}

static int events(int file, int timeout)
{
	struct pollfd pfd = { .fd = file, .events = POLLIN | POLLOUT };

	return poll(&pfd, 1, timeout) < 0 ? -errno : pfd.revents;
}

TEST_F(fault, alloc)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = 1 };
	__u32 id;
	int file;

	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	EXPECT_EQ(O_RDWR, fcntl(self->file, F_GETFL) &
			  (O_ACCMODE | O_NONBLOCK));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->file, F_GETFD));
	/* A queue is a thing of its own, and one of several */
	ASSERT_EQ(0, fault_queue_alloc(self->fd, &id, &file));
	EXPECT_NE(self->id, id);
	close(file);
	EXPECT_EQ(0, obj_destroy(self->fd, id));
}

/* Nobody waits in a read, and no offset means anything */
TEST_F(fault, empty_file)
{
	struct iommu_hwpt_pgfault entry[2];
	struct iommu_hwpt_page_response response[2] = {};

	EXPECT_EQ(POLLOUT, events(self->file, 0));
	EXPECT_EQ(0, read_file(self->file, entry, sizeof(entry)));
	EXPECT_EQ(0, read_file(self->file, entry, 0));
	EXPECT_EQ(-ESPIPE, read_file(self->file, entry, 1));
	EXPECT_EQ(-ESPIPE, read_file(self->file, entry, ENTRY + 1));
	EXPECT_EQ(-1, pread(self->file, entry, ENTRY, 8));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pread(self->file, entry, ENTRY, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, lseek(self->file, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-EINVAL, answer(self->file, 0, SUCCESS));
	EXPECT_EQ(-EINVAL, answer(self->file, 1, SUCCESS));
	EXPECT_EQ(0, write(self->file, response, 0));
	EXPECT_EQ(-1, write(self->file, response, 1));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, write(self->file, response, RESPONSE + 1));
	EXPECT_EQ(ESPIPE, errno);
}

TEST_F(fault, read_and_answer)
{
	struct iommu_hwpt_pgfault entry[4];
	struct iommu_hwpt_page_response response[3] = {};
	__u32 flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE, i;

	if (self->pasid)
		flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	for (i = 1; i <= 3; i++)
		FAULT(i);
	EXPECT_EQ(POLLIN | POLLOUT, events(self->file, 0));

	/* The oldest first, as many as there is room for */
	memset(entry, 0xff, sizeof(entry));
	ASSERT_EQ(ENTRY, read_file(self->file, entry, ENTRY));
	EXPECT_EQ(POLLIN | POLLOUT, events(self->file, 0));
	ASSERT_EQ(2 * ENTRY, read_file(self->file, entry + 1, 3 * ENTRY));
	EXPECT_EQ(POLLOUT, events(self->file, 0));
	for (i = 0; i != 3; i++) {
		EXPECT_EQ(flags, entry[i].flags);
		EXPECT_EQ(self->dev.idev, entry[i].dev_id);
		EXPECT_EQ(self->pasid, entry[i].pasid);
		EXPECT_EQ(i + 1, entry[i].grpid);
		EXPECT_EQ(3, entry[i].perm);
		EXPECT_EQ(0, entry[i].__reserved);
		EXPECT_EQ(ADDR + (i + 1) * self->ps, entry[i].addr);
		EXPECT_EQ(0, entry[i].length);
		EXPECT_EQ(i + 1, entry[i].cookie);
	}

	/* In any order; a bad one leaves the fault as it was */
	EXPECT_EQ(-EINVAL, answer(self->file, entry[1].cookie, 2));
	EXPECT_EQ(-EINVAL, answer(self->file, entry[1].cookie, -1));
	EXPECT_ANSWERS(2, 0, 0);
	EXPECT_EQ(RESPONSE, answer(self->file, entry[1].cookie, INVALID));
	EXPECT_ANSWERS(2, 1, INVALID);
	EXPECT_EQ(-EINVAL, answer(self->file, entry[1].cookie, INVALID));
	EXPECT_ANSWERS(2, 1, INVALID);

	/* Those before a bad one are taken */
	response[0] = (struct iommu_hwpt_page_response){
		.cookie = entry[0].cookie,
	};
	response[1].cookie = 0x7777;
	response[2].cookie = entry[2].cookie;
	EXPECT_EQ(RESPONSE, write(self->file, response, sizeof(response)));
	EXPECT_ANSWERS(1, 1, SUCCESS);
	EXPECT_ANSWERS(3, 0, 0);
	EXPECT_EQ(RESPONSE, write(self->file, response + 2, RESPONSE));
	EXPECT_ANSWERS(3, 1, SUCCESS);
}

/* Several pages are one group with one answer, and are read together */
TEST_F(fault, groups)
{
	struct iommu_hwpt_pgfault entry[6];
	__u32 i;

	for (i = 0; i != 2; i++)
		ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, self->pasid,
					7, MOCK_FAULT_MORE | 1,
					ADDR + i * self->ps));
	/* Nothing is there before the last one, which another group may overtake */
	EXPECT_EQ(0, read_file(self->file, entry, sizeof(entry)));
	FAULT(5);
	ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, self->pasid, 7, 2,
				ADDR + 2 * self->ps));
	FAULT(6);

	/* Room for 3: one of 1, and the group of 3 does not fit */
	ASSERT_EQ(ENTRY, read_file(self->file, entry, 3 * ENTRY));
	EXPECT_EQ(5, entry[0].grpid);
	EXPECT_EQ(0, read_file(self->file, entry, 2 * ENTRY));
	EXPECT_EQ(POLLIN | POLLOUT, events(self->file, 0));
	ASSERT_EQ(4 * ENTRY, read_file(self->file, entry, sizeof(entry)));
	for (i = 0; i != 3; i++) {
		EXPECT_EQ(7, entry[i].grpid);
		EXPECT_EQ(ADDR + i * self->ps, entry[i].addr);
		EXPECT_EQ(i == 2 ? 2 : 1, entry[i].perm);
		EXPECT_EQ(entry[0].cookie, entry[i].cookie);
		EXPECT_EQ(i == 2, !!(entry[i].flags &
				     IOMMU_PGFAULT_FLAGS_LAST_PAGE));
	}
	EXPECT_EQ(6, entry[3].grpid);
	EXPECT_NE(entry[0].cookie, entry[3].cookie);

	EXPECT_EQ(RESPONSE, answer(self->file, entry[0].cookie, SUCCESS));
	EXPECT_ANSWERS(7, 1, SUCCESS);
	EXPECT_EQ(-EINVAL, answer(self->file, entry[0].cookie, SUCCESS));
	EXPECT_EQ(RESPONSE, answer(self->file, entry[3].cookie, SUCCESS));
}

/* Memory that is not there costs no fault and no answer */
TEST_F(fault, bad_memory)
{
	struct iommu_hwpt_pgfault entry[2];
	struct iommu_hwpt_page_response response = {};
	char *hole = (char *)mem_before_hole(self->ps) + self->ps;

	FAULT(1);
	FAULT(2);
	EXPECT_EQ(-EFAULT, read_file(self->file, hole, 2 * ENTRY));
	/* The first one fits in front of the hole */
	ASSERT_EQ(ENTRY, read_file(self->file, hole - ENTRY, 2 * ENTRY));
	memcpy(entry, hole - ENTRY, ENTRY);
	EXPECT_EQ(1, entry[0].grpid);
	ASSERT_EQ(ENTRY, read_file(self->file, entry + 1, ENTRY));
	EXPECT_EQ(2, entry[1].grpid);
	EXPECT_NE(entry[0].cookie, entry[1].cookie);

	EXPECT_EQ(-1, write(self->file, hole, RESPONSE));
	EXPECT_EQ(EFAULT, errno);
	response.cookie = entry[0].cookie;
	memcpy(hole - RESPONSE, &response, RESPONSE);
	EXPECT_EQ(RESPONSE, write(self->file, hole - RESPONSE, 2 * RESPONSE));
	EXPECT_ANSWERS(1, 1, SUCCESS);
	EXPECT_ANSWERS(2, 0, 0);
}

/* What waits is answered when its way back is gone, read or not */
TEST_F(fault, detach)
{
	struct iommu_hwpt_pgfault entry;

	FAULT(1);
	FAULT(2);
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	ASSERT_EQ(0, detach(self->fd, &self->dev, self->pasid, self->rid));
	EXPECT_ANSWERS(1, 1, INVALID);
	EXPECT_ANSWERS(2, 1, INVALID);
	EXPECT_EQ(0, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(POLLOUT, events(self->file, 0));
	EXPECT_EQ(-EINVAL, answer(self->file, 1, SUCCESS));
	EXPECT_ANSWERS(1, 1, INVALID);
	/* What comes now has no way to go */
	FAULT(3);
	EXPECT_ANSWERS(3, 1, INVALID);
	EXPECT_EQ(0, read_file(self->file, &entry, sizeof(entry)));
	/* A cookie may be given out anew, as in mainline */
	ASSERT_EQ(0, attach(self->fd, &self->dev, self->pasid, self->hwpt));
	FAULT(4);
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(1, entry.cookie);
	EXPECT_EQ(-EINVAL, answer(self->file, 2, SUCCESS));
	EXPECT_EQ(RESPONSE, answer(self->file, 1, SUCCESS));
	EXPECT_ANSWERS(4, 1, SUCCESS);
}

/* The same when there is another way, of the same queue or of another */
TEST_F(fault, replace)
{
	struct iommu_hwpt_pgfault entry;
	__u32 same, other, id;
	int file;

	ASSERT_EQ(0, fault_queue_alloc(self->fd, &id, &file));
	ASSERT_EQ(0, alloc_faulting(self->fd, self->dev.idev, self->ioas,
				    IOMMU_HWPT_ALLOC_PASID, self->id, &same));
	ASSERT_EQ(0, alloc_faulting(self->fd, self->dev.idev, self->ioas,
				    IOMMU_HWPT_ALLOC_PASID, id, &other));
	FAULT(1);
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	FAULT(2);
	ASSERT_EQ(0, replace(self->fd, &self->dev, self->pasid, same));
	EXPECT_ANSWERS(1, 1, INVALID);
	EXPECT_ANSWERS(2, 1, INVALID);
	EXPECT_EQ(-EINVAL, answer(self->file, entry.cookie, SUCCESS));
	FAULT(3);
	ASSERT_EQ(0, replace(self->fd, &self->dev, self->pasid, other));
	EXPECT_ANSWERS(3, 1, INVALID);
	EXPECT_EQ(0, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(0, read_file(file, &entry, sizeof(entry)));
	FAULT(4);
	EXPECT_EQ(0, read_file(self->file, &entry, sizeof(entry)));
	ASSERT_EQ(ENTRY, read_file(file, &entry, sizeof(entry)));
	EXPECT_EQ(4, entry.grpid);
	EXPECT_EQ(1, entry.cookie);
	/* The other queue's cookies are its own */
	EXPECT_EQ(-EINVAL, answer(self->file, 1, SUCCESS));
	/* To where it is: nothing happens */
	ASSERT_EQ(0, replace(self->fd, &self->dev, self->pasid, other));
	EXPECT_ANSWERS(4, 0, 0);
	EXPECT_EQ(RESPONSE, answer(file, 1, SUCCESS));
	EXPECT_ANSWERS(4, 1, SUCCESS);
	close(file);
}

/* A replacement that fails changes nothing */
TEST_F(fault, replace_fails)
{
	struct iommu_hwpt_pgfault entry;
	struct mock_device other;
	__u32 dirty;

	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
				       MOCK_DEVICE_PASID |
				       MOCK_FLAGS_DEVICE_NO_DIRTY, &self->dev));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &other));
	ASSERT_EQ(0, alloc_faulting(self->fd, other.idev, self->ioas,
				    IOMMU_HWPT_ALLOC_PASID |
				    IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				    self->id, &dirty));
	ASSERT_EQ(0, attach(self->fd, &self->dev, self->pasid, self->hwpt));
	FAULT(1);
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	FAULT(2);
	EXPECT_EQ(-EINVAL, replace(self->fd, &self->dev, self->pasid, dirty));
	EXPECT_ANSWERS(1, 0, 0);
	EXPECT_ANSWERS(2, 0, 0);
	EXPECT_EQ(RESPONSE, answer(self->file, entry.cookie, SUCCESS));
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(RESPONSE, answer(self->file, entry.cookie, SUCCESS));
	EXPECT_ANSWERS(2, 1, SUCCESS);
	FAULT(3);
	EXPECT_EQ(POLLIN | POLLOUT, events(self->file, 0));
}

TEST_F(fault, busy)
{
	char why[200];

	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->id));
	ASSERT_LE(0, fdinfo_line(self->fd, "last-refusal:", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "its file is open")) {
		TH_LOG("%s", why);
	}
	/* The table is enough to keep it, and so is the file */
	close(self->file);
	self->file = -1;
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->id));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->id));
	ASSERT_EQ(0, obj_destroy(self->fd, self->hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
	EXPECT_EQ(-ENOENT, obj_destroy(self->fd, self->id));
}

TEST_F(fault, unplug)
{
	struct iommu_hwpt_pgfault entry;

	FAULT(1);
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	FAULT(2);
	ASSERT_EQ(0, detach(self->fd, &self->dev, self->pasid, self->rid));
	ASSERT_EQ(0, attach(self->fd, &self->dev, self->pasid, self->hwpt));
	FAULT(3);
	if (self->pasid)
		ASSERT_EQ(0, mock_pasid_detach(self->fd, &self->dev,
					       self->pasid));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	EXPECT_EQ(0, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(-EINVAL, answer(self->file, entry.cookie, SUCCESS));
	ASSERT_EQ(0, obj_destroy(self->fd, self->hwpt));
	/* Whoever has the file open still has a file */
	EXPECT_EQ(-EBUSY, obj_destroy(self->fd, self->id));
	EXPECT_EQ(POLLOUT, events(self->file, 0));
}

/* The file keeps the context, with all that is attached in it */
TEST_F(fault, close_the_iommufd_first)
{
	struct iommu_hwpt_pgfault entry;

	FAULT(1);
	FAULT(2);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(POLLIN | POLLOUT, events(self->file, 0));
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(RESPONSE, answer(self->file, entry.cookie, SUCCESS));
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, sizeof(entry)));
	EXPECT_EQ(0, read_file(self->file, &entry, sizeof(entry)));
}

TEST_F(fault, close_the_file_first)
{
	FAULT(1);
	close(self->file);
	self->file = -1;
	/* There is nobody to ask any more; a fault waits until its way is gone */
	FAULT(2);
	EXPECT_ANSWERS(1, 0, 0);
	ASSERT_EQ(0, detach(self->fd, &self->dev, self->pasid, self->rid));
	EXPECT_ANSWERS(1, 1, INVALID);
	EXPECT_ANSWERS(2, 1, INVALID);
}

/* A process that dies with all of it, in any order, while faults wait */
TEST_F(fault, process_dies)
{
	unsigned int i;

	for (i = 0; i != 4; i++) {
		struct iommu_hwpt_pgfault entry;
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			struct mock_device dev;
			__u32 ioas, id, hwpt;
			int fd, file, copy;

			fd = iommufd_open();
			CHILD_CHECK(!ioas_alloc(fd, &ioas));
			CHILD_CHECK(!mock_attach(fd, ioas, &dev));
			CHILD_CHECK(!fault_queue_alloc(fd, &id, &file));
			CHILD_CHECK(!alloc_faulting(fd, dev.idev, ioas, 0, id,
						    &hwpt));
			CHILD_CHECK(!mock_replace(fd, &dev, hwpt));
			CHILD_CHECK(!mock_fault(fd, dev.idev, 0, 1, 1, ADDR));
			CHILD_CHECK(!mock_fault(fd, dev.idev, 0, 2, 1, ADDR));
			CHILD_CHECK(read_file(file, &entry, ENTRY) == ENTRY);
			/* The order in which the two are closed */
			copy = fcntl(i & 1 ? fd : file, F_DUPFD, 100);
			close(i & 1 ? fd : file);
			CHILD_CHECK(copy == 100);
			if (i & 2)
				kill(getpid(), SIGKILL);
			_exit(0);
		}
		EXPECT_EQ(i & 2 ? -SIGKILL : 0, wait_child(pid));
	}
}

TEST_F(fault, poll_is_woken)
{
	struct iommu_hwpt_pgfault entry;
	int sock;
	pid_t pid = fork_with_socket(&sock);

	ASSERT_LE(0, pid);
	if (!pid) {
		struct pollfd pfd = { .fd = self->file, .events = POLLIN };

		sync_tell(sock);
		CHILD_CHECK(poll(&pfd, 1, 20000) == 1);
		CHILD_CHECK(pfd.revents == POLLIN);
		CHILD_CHECK(read_file(self->file, &entry, ENTRY) == ENTRY);
		CHILD_CHECK(answer(self->file, entry.cookie, SUCCESS) ==
			    RESPONSE);
		_exit(0);
	}
	sync_wait(sock);
	while (!process_sleeps(pid))
		usleep(1000);
	FAULT(1);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_ANSWERS(1, 1, SUCCESS);
	close(sock);
}

TEST_F(fault, ids)
{
	__u32 hwpt, none;

	/* Only with the flag does the id mean anything */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				&none));
	EXPECT_EQ(0, obj_destroy(self->fd, none));
	EXPECT_EQ(-ENOENT, alloc_faulting(self->fd, self->dev.idev,
					  self->ioas, 0, 0x7777, &hwpt));
	EXPECT_EQ(-ENOENT, alloc_faulting(self->fd, self->dev.idev,
					  self->ioas, 0, self->dev.idev,
					  &hwpt));
	EXPECT_EQ(-EOPNOTSUPP,
		  alloc_faulting(self->fd, self->dev.idev, self->ioas,
				 IOMMU_HWPT_ALLOC_NEST_PARENT, self->id,
				 &hwpt));
	ASSERT_EQ(0, alloc_faulting(self->fd, self->dev.idev, self->ioas,
				    IOMMU_HWPT_ALLOC_DIRTY_TRACKING, self->id,
				    &hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	ASSERT_EQ(0, obj_destroy(self->fd, self->hwpt));
	close(self->file);
	self->file = -1;
	EXPECT_EQ(0, obj_destroy(self->fd, self->id));
}

/* What has no page requests cannot be attached where they are wanted */
TEST_F(fault, device_without)
{
	struct mock_device dev;
	char why[200];
	__u32 hwpt;

	ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
				       MOCK_DEVICE_PASID |
				       MOCK_DEVICE_NO_IOPF, &dev));
	hwpt = dev.hwpt;
	EXPECT_EQ(-ENODEV, attach(self->fd, &dev, self->pasid, self->hwpt));
	ASSERT_LE(0, fdinfo_line(self->fd, "last-refusal:", why, sizeof(why)));
	EXPECT_NE(NULL, strstr(why, "page fault")) {
		TH_LOG("%s", why);
	}
	EXPECT_EQ(hwpt, dev.hwpt);
	/* It is where it was, and can go elsewhere */
	EXPECT_EQ(0, mock_replace(self->fd, &dev, self->ioas));
	EXPECT_EQ(0, mock_detach(self->fd, &dev));
}

TEST_F(fault, fdinfo)
{
	struct iommu_hwpt_pgfault entry;
	char start[40], line[200];

	FAULT(1);
	FAULT(2);
	FAULT(3);
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, ENTRY));
	snprintf(start, sizeof(start), "object:\t%u ", self->id);
	ASSERT_LE(0, fdinfo_line(self->fd, start, line, sizeof(line)));
	EXPECT_NE(NULL, strstr(line, "fault queue users=2")) {
		TH_LOG("%s", line);
	}
	EXPECT_NE(NULL, strstr(line, "unread=2 unanswered=1")) {
		TH_LOG("%s", line);
	}
	ASSERT_LE(0, fdinfo_line(self->file, "unread:", line, sizeof(line)));
	EXPECT_EQ(2, atoi(line));
	ASSERT_LE(0, fdinfo_line(self->file, "unanswered:", line,
				 sizeof(line)));
	EXPECT_EQ(1, atoi(line));
}

/*
 * A read that is held up where it tells the user of a fault, for as long as the user
 * likes, keeps nobody else waiting.
 */
struct held_read {
	int file;
	void *buf;
	ssize_t rc;
};

static void *do_read(void *arg)
{
	struct held_read *held = arg;

	held->rc = read_file(held->file, held->buf, ENTRY);
	return NULL;
}

static int uffd_open(void *page, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return fd;
}

TEST_F(fault, held_read)
{
	struct held_read held = { .file = self->file };
	struct iommu_hwpt_pgfault entry;
	struct uffdio_zeropage zero = {};
	struct uffd_msg msg;
	pthread_t thread;
	int uffd;

	held.buf = mem_private(self->ps);
	ASSERT_NE(MAP_FAILED, held.buf);
	uffd = uffd_open(held.buf, self->ps);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	FAULT(1);
	FAULT(2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, do_read, &held));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));

	/* The next one can be read and answered, and both can be disposed of */
	ASSERT_EQ(ENTRY, read_file(self->file, &entry, ENTRY));
	EXPECT_EQ(2, entry.grpid);
	EXPECT_EQ(RESPONSE, answer(self->file, entry.cookie, SUCCESS));
	ASSERT_EQ(0, detach(self->fd, &self->dev, self->pasid, self->rid));
	EXPECT_ANSWERS(1, 1, INVALID);
	EXPECT_ANSWERS(2, 1, SUCCESS);

	zero.range.start = (uintptr_t)held.buf;
	zero.range.len = self->ps;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	/* The user is told of one whose answer comes too late */
	EXPECT_EQ(ENTRY, held.rc);
	EXPECT_EQ(-EINVAL,
		  answer(self->file,
			 ((struct iommu_hwpt_pgfault *)held.buf)->cookie,
			 SUCCESS));
	close(uffd);
}

/* Of two devices with one queue, only the one that goes takes its faults along */
TEST_F(fault, two_devices)
{
	struct iommu_hwpt_pgfault entry[2];
	struct mock_device other;
	__u32 code;

	ASSERT_EQ(0, mock_attach_flags(self->fd, self->rid,
				       MOCK_DEVICE_PASID, &other));
	ASSERT_EQ(0, attach(self->fd, &other, self->pasid, self->hwpt));
	FAULT(1);
	ASSERT_EQ(0, mock_fault(self->fd, other.idev, self->pasid, 1, 1, ADDR));
	FAULT(2);
	ASSERT_EQ(2 * ENTRY, read_file(self->file, entry, sizeof(entry)));
	EXPECT_EQ(self->dev.idev, entry[0].dev_id);
	EXPECT_EQ(other.idev, entry[1].dev_id);
	ASSERT_EQ(0, mock_fault(self->fd, other.idev, self->pasid, 2, 1, ADDR));
	ASSERT_EQ(0, detach(self->fd, &self->dev, self->pasid, self->rid));
	EXPECT_ANSWERS(1, 1, INVALID);
	EXPECT_ANSWERS(2, 1, INVALID);
	EXPECT_EQ(0, mock_answers(self->fd, other.idev, 1, &code));
	EXPECT_EQ(-EINVAL, answer(self->file, entry[0].cookie, SUCCESS));
	EXPECT_EQ(RESPONSE, answer(self->file, entry[1].cookie, SUCCESS));
	EXPECT_EQ(1, mock_answers(self->fd, other.idev, 1, &code));
	EXPECT_EQ(SUCCESS, code);
	ASSERT_EQ(ENTRY, read_file(self->file, entry, sizeof(entry)));
	EXPECT_EQ(other.idev, entry[0].dev_id);
	EXPECT_EQ(2, entry[0].grpid);
}

/* Faults of a device and of its PASID are of one queue and still apart */
TEST_F(fault, device_and_pasid)
{
	struct iommu_hwpt_pgfault entry[2];

	if (!self->pasid)
		SKIP(return, "one variant is enough");
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->hwpt));
	FAULT(1);
	ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, 0, 2, 1, ADDR));
	/* A PASID that is attached to nothing */
	ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, PASID + 1, 3, 1,
				ADDR));
	EXPECT_ANSWERS(3, 1, INVALID);
	ASSERT_EQ(2 * ENTRY, read_file(self->file, entry, sizeof(entry)));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->rid));
	EXPECT_ANSWERS(1, 0, 0);
	EXPECT_ANSWERS(2, 1, INVALID);
	EXPECT_EQ(-EINVAL, answer(self->file, entry[1].cookie, SUCCESS));
	EXPECT_EQ(RESPONSE, answer(self->file, entry[0].cookie, SUCCESS));
	/* The device goes on reporting what concerns the PASID */
	FAULT(4);
	ASSERT_EQ(ENTRY, read_file(self->file, entry, sizeof(entry)));
	ASSERT_EQ(0, mock_pasid_detach(self->fd, &self->dev, PASID));
	EXPECT_ANSWERS(4, 1, INVALID);
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->hwpt));
	ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, 0, 5, 1, ADDR));
	ASSERT_EQ(ENTRY, read_file(self->file, entry, sizeof(entry)));
}

/*
 * A storm of faults, readers that answer what they read, and a device that is moved
 * from table to table: each fault has one answer in the end.
 */
struct storm {
	int fd;
	int file;
	struct mock_device *dev;
	__u32 pasid;
	bool stop;
	unsigned int sent;
};

static void *storm_faults(void *arg)
{
	struct storm *storm = arg;

	while (!__atomic_load_n(&storm->stop, __ATOMIC_RELAXED))
		mock_fault(storm->fd, storm->dev->idev, storm->pasid,
			   __atomic_fetch_add(&storm->sent, 1,
					      __ATOMIC_RELAXED) % 8,
			   1, ADDR);
	return NULL;
}

static void *storm_answers(void *arg)
{
	struct iommu_hwpt_pgfault entry[3];
	struct storm *storm = arg;

	while (!__atomic_load_n(&storm->stop, __ATOMIC_RELAXED)) {
		ssize_t i, nr = read_file(storm->file, entry, sizeof(entry));

		for (i = 0; i < nr / ENTRY; i++)
			answer(storm->file, entry[i].cookie, SUCCESS);
	}
	return NULL;
}

TEST_F(fault, storm)
{
	struct storm storm = {
		.fd = self->fd,
		.file = self->file,
		.dev = &self->dev,
		.pasid = self->pasid,
	};
	pthread_t faults, answers[2];
	__u64 answered = 0;
	__u32 code, second;
	unsigned int i;

	ASSERT_EQ(0, alloc_faulting(self->fd, self->dev.idev, self->ioas,
				    IOMMU_HWPT_ALLOC_PASID, self->id,
				    &second));
	ASSERT_EQ(0, pthread_create(&faults, NULL, storm_faults, &storm));
	for (i = 0; i != 2; i++)
		ASSERT_EQ(0, pthread_create(&answers[i], NULL, storm_answers,
					    &storm));
	for (i = 0; i < 300 ||
	     __atomic_load_n(&storm.sent, __ATOMIC_RELAXED) < 300; i++) {
		EXPECT_EQ(0, replace(self->fd, &self->dev, self->pasid,
				     i & 1 ? self->hwpt : second));
		if (i % 8)
			continue;
		EXPECT_EQ(0, detach(self->fd, &self->dev, self->pasid,
				    self->rid));
		EXPECT_EQ(0, attach(self->fd, &self->dev, self->pasid, second));
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(faults, NULL));
	for (i = 0; i != 2; i++)
		ASSERT_EQ(0, pthread_join(answers[i], NULL));
	ASSERT_EQ(0, detach(self->fd, &self->dev, self->pasid, self->rid));
	for (i = 0; i != 8; i++)
		answered += mock_answers(self->fd, self->dev.idev, i, &code);
	EXPECT_EQ(storm.sent, answered);
	EXPECT_EQ(POLLOUT, events(self->file, 0));
}

TEST_HARNESS_MAIN
