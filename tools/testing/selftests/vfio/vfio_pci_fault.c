// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of vfio-pci: a device asks for pages that are not there, and its
 * user answers. Uses our pasid-testdev behind an emulated VT-d with page
 * requests; says what it has seen.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "../lib/pasid_testdev.h"

#define PAGE		4096UL
#define IOVA		0x12340000UL
#define PASID		6
#define OTHER_PASID	7
#define CONTENT		0x1122334455667788ULL
#define ALL_OF_IT	(PT_REQUEST_READ | PT_REQUEST_WRITE | PT_REQUEST_LAST)

/* Of PCI Express */
#define SUCCESS		0
#define INVALID		1

FIXTURE(fault) {
	struct pt_dev d;
	__u64 *mem;
	__u32 ioas;
	__u32 rid;		/* table of requests without a PASID */
	__u32 hwpt;		/* of those with one */
	__u32 queue;
	int file;
};

static int new_queue(struct _test_data_fault *self, __u32 *queue, int *file,
		     __u32 *hwpt)
{
	int ret;

	ret = fault_queue_alloc(self->d.vp.iommufd, queue, file);
	return ret ? ret :
		     hwpt_alloc_fault(self->d.vp.iommufd, self->d.vp.devid,
				      self->ioas,
				      IOMMU_HWPT_ALLOC_PASID |
				      IOMMU_HWPT_FAULT_ID_VALID,
				      *queue, hwpt);
}

FIXTURE_SETUP(fault)
{
	int ret;

	self->file = -1;
	ret = pt_open(&self->d);
	if (ret == -ENODEV)
		SKIP(return, "no pasid-testdev");
	ASSERT_EQ(0, ret);
	if (!(pt_vtd_ecap() & PT_ECAP_PRS))
		SKIP(return, "no VT-d with page requests");
	if (pt_vtd_ecap() & PT_ECAP_NEST)
		SKIP(return, "QEMU does not translate by the tables that its VT-d announces here");
	self->mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	*self->mem = CONTENT;
	ASSERT_EQ(0, ioas_alloc(self->d.vp.iommufd, &self->ioas));
	ASSERT_EQ(0, hwpt_alloc(self->d.vp.iommufd, self->d.vp.devid,
				self->ioas, IOMMU_HWPT_ALLOC_PASID, &self->rid));
	ASSERT_EQ(0, cdev_attach_to(self->d.vp.fd, self->rid));
	ASSERT_EQ(0, new_queue(self, &self->queue, &self->file, &self->hwpt));
	ASSERT_EQ(0, cdev_attach_pasid(self->d.vp.fd, PASID, self->hwpt));
}

FIXTURE_TEARDOWN(fault)
{
	if (self->file >= 0)
		close(self->file);
	EXPECT_EQ(0, pt_close(&self->d));
}

static __u32 load(struct _test_data_fault *self, __u32 pasid, __u64 *val)
{
	return pt_load(&self->d, PT_CMD_ATS_READ, pasid, IOVA, val);
}

static __u32 request(struct _test_data_fault *self, unsigned int group,
		     __u64 iova, __u32 flags)
{
	return pt_request(&self->d, PASID, iova,
			  flags | PT_REQUEST_GROUP(group));
}

/* Whether there is something to read within @ms */
static bool has_fault(int file, int ms)
{
	struct pollfd p = { .fd = file, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

/* The number of faults */
static int read_faults(int file, struct iommu_hwpt_pgfault *f, unsigned int max)
{
	ssize_t n;

	if (!has_fault(file, 5000))
		return -ETIMEDOUT;
	n = read(file, f, max * sizeof(*f));
	return n < 0 ? -errno : n % sizeof(*f) ? -EIO : (int)(n / sizeof(*f));
}

static int respond(int file, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response r = { .cookie = cookie, .code = code };
	ssize_t n = write(file, &r, sizeof(r));

	return n < 0 ? -errno : n == sizeof(r) ? 0 : -EIO;
}

static __u32 responses(struct _test_data_fault *self)
{
	return pt_get(&self->d, PT_RESPONSES);
}

/* The device's next response is for that group, with that code. */
static void expect_response(struct __test_metadata *_metadata,
			    struct _test_data_fault *self, __u32 before,
			    unsigned int group, unsigned int code)
{
	__u32 response;

	ASSERT_TRUE(pt_wait_responses(&self->d, before + 1));
	EXPECT_EQ(before + 1, responses(self));
	response = pt_get(&self->d, PT_RESPONSE);
	EXPECT_EQ(group, PT_RESPONSE_GROUP(response));
	EXPECT_EQ(code, PT_RESPONSE_CODE(response));
}

TEST_F(fault, map_and_retry)
{
	struct iommu_hwpt_pgfault f[2];
	__u32 before = responses(self);
	__u64 val;

	EXPECT_TRUE(pt_is_refused(&self->d, PT_CMD_ATS_READ, PASID, IOVA));
	EXPECT_FALSE(has_fault(self->file, 0));
	ASSERT_EQ(PT_DONE, request(self, 3, IOVA, ALL_OF_IT));
	ASSERT_EQ(1, read_faults(self->file, f, 2));
	EXPECT_EQ(IOMMU_PGFAULT_FLAGS_PASID_VALID |
		  IOMMU_PGFAULT_FLAGS_LAST_PAGE, f[0].flags);
	EXPECT_EQ(self->d.vp.devid, f[0].dev_id);
	EXPECT_EQ(PASID, f[0].pasid);
	EXPECT_EQ(3, f[0].grpid);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE,
		  f[0].perm);
	EXPECT_EQ(IOVA, f[0].addr);
	EXPECT_EQ(0, f[0].length);
	printf("# the device asks for the page at 0x%lx with PASID %u, and we read a fault at 0x%llx of PASID %u, group %u\n",
	       IOVA, PASID, (unsigned long long)f[0].addr, f[0].pasid, f[0].grpid);
	EXPECT_EQ(before, responses(self));
	ASSERT_EQ(0, ioas_map_at(self->d.vp.iommufd, self->ioas, self->mem, PAGE,
				 IOVA));
	ASSERT_EQ(0, respond(self->file, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	expect_response(_metadata, self, before, 3, SUCCESS);
	EXPECT_EQ(PT_DONE, load(self, PASID, &val));
	EXPECT_EQ(CONTENT, val);
	EXPECT_EQ(PT_DONE, pt_store(&self->d, PT_CMD_ATS_WRITE, PASID, IOVA + 8,
				    0xbeef));
	EXPECT_EQ(0xbeef, self->mem[1]);
	printf("# we map the page and answer; the device gets the response, tries again, and its access succeeds\n");
	EXPECT_EQ(-EINVAL, respond(self->file, f[0].cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(fault, invalid)
{
	__u32 before = responses(self);
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(PT_DONE, request(self, 5, IOVA, PT_REQUEST_READ |
				   PT_REQUEST_LAST));
	ASSERT_EQ(1, read_faults(self->file, &f, 1));
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ, f.perm);
	/* A code that there is not leaves the fault as it is. */
	EXPECT_EQ(-EINVAL, respond(self->file, f.cookie, 2));
	EXPECT_EQ(before, responses(self));
	ASSERT_EQ(0, respond(self->file, f.cookie, IOMMUFD_PAGE_RESP_INVALID));
	expect_response(_metadata, self, before, 5, INVALID);
	EXPECT_TRUE(pt_is_refused(&self->d, PT_CMD_ATS_READ, PASID, IOVA));
	printf("# answered as invalid: the device is told so, and stays refused\n");
}

TEST_F(fault, two_groups)
{
	__u32 before = responses(self);
	struct iommu_hwpt_pgfault f[4];

	ASSERT_EQ(PT_DONE, request(self, 1, IOVA, ALL_OF_IT));
	ASSERT_EQ(PT_DONE, request(self, 2, IOVA + PAGE, ALL_OF_IT));
	ASSERT_EQ(1, read_faults(self->file, f, 1));
	ASSERT_EQ(1, read_faults(self->file, f + 1, 3));
	EXPECT_EQ(1, f[0].grpid);
	EXPECT_EQ(2, f[1].grpid);
	EXPECT_EQ(IOVA + PAGE, f[1].addr);
	EXPECT_NE(f[0].cookie, f[1].cookie);
	ASSERT_EQ(0, respond(self->file, f[1].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	expect_response(_metadata, self, before, 2, SUCCESS);
	ASSERT_EQ(0, respond(self->file, f[0].cookie, IOMMUFD_PAGE_RESP_INVALID));
	expect_response(_metadata, self, before + 1, 1, INVALID);
	printf("# two groups wait at once; the second is answered first, and each gets its own response\n");
}

/* A group of three pages is read as a whole, and answered once. */
TEST_F(fault, group_of_pages)
{
	__u32 before = responses(self);
	struct iommu_hwpt_pgfault f[4];
	unsigned int i;

	for (i = 0; i != 3; i++)
		ASSERT_EQ(PT_DONE, request(self, 4, IOVA + i * PAGE,
					   PT_REQUEST_READ |
					   (i == 2 ? PT_REQUEST_LAST : 0)));
	ASSERT_TRUE(has_fault(self->file, 5000));
	/* Less room than the group needs: none of it is taken. */
	EXPECT_EQ(0, read(self->file, f, 2 * sizeof(f[0])));
	ASSERT_EQ(3, read_faults(self->file, f, 4));
	for (i = 0; i != 3; i++) {
		EXPECT_EQ(4, f[i].grpid);
		EXPECT_EQ(IOVA + i * PAGE, f[i].addr);
		EXPECT_EQ(i == 2, !!(f[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE));
	}
	ASSERT_EQ(0, respond(self->file, f[2].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	expect_response(_metadata, self, before, 4, SUCCESS);
	printf("# three pages in one group: read together, one answer, one response\n");
}

/* Faults that wait, read or not, are answered when what they wait for ends. */
TEST_F(fault, detach)
{
	__u32 before = responses(self);
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(PT_DONE, request(self, 1, IOVA, ALL_OF_IT));
	ASSERT_EQ(1, read_faults(self->file, &f, 1));
	ASSERT_EQ(PT_DONE, request(self, 2, IOVA + PAGE, ALL_OF_IT));
	ASSERT_TRUE(has_fault(self->file, 5000));
	ASSERT_EQ(before, responses(self));
	ASSERT_EQ(0, cdev_detach_pasid(self->d.vp.fd, PASID));
	ASSERT_TRUE(pt_wait_responses(&self->d, before + 2));
	EXPECT_EQ(before + 2, responses(self));
	EXPECT_EQ(INVALID, PT_RESPONSE_CODE(pt_get(&self->d, PT_RESPONSE)));
	EXPECT_FALSE(has_fault(self->file, 0));
	EXPECT_EQ(-EINVAL, respond(self->file, f.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
	printf("# detached with two faults waiting, one of them read: both are answered as invalid\n");
	/* The queue is as good as new. */
	ASSERT_EQ(0, cdev_attach_pasid(self->d.vp.fd, PASID, self->hwpt));
	ASSERT_EQ(PT_DONE, request(self, 7, IOVA, ALL_OF_IT));
	ASSERT_EQ(1, read_faults(self->file, &f, 1));
	ASSERT_EQ(0, respond(self->file, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	expect_response(_metadata, self, before + 2, 7, SUCCESS);
}

TEST_F(fault, replace)
{
	__u32 before = responses(self), queue, hwpt;
	struct iommu_hwpt_pgfault f;
	int file;

	ASSERT_EQ(0, new_queue(self, &queue, &file, &hwpt));
	ASSERT_EQ(PT_DONE, request(self, 1, IOVA, ALL_OF_IT));
	ASSERT_TRUE(has_fault(self->file, 5000));
	ASSERT_EQ(0, cdev_attach_pasid(self->d.vp.fd, PASID, hwpt));
	expect_response(_metadata, self, before, 1, INVALID);
	EXPECT_FALSE(has_fault(self->file, 0));
	ASSERT_EQ(PT_DONE, request(self, 2, IOVA, ALL_OF_IT));
	ASSERT_EQ(1, read_faults(file, &f, 1));
	EXPECT_FALSE(has_fault(self->file, 0));
	ASSERT_EQ(0, respond(file, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	expect_response(_metadata, self, before + 1, 2, SUCCESS);
	printf("# moved to a table with another queue: what waited is answered as invalid, what comes arrives there\n");
	close(file);
}

/* Each PASID's faults are of its own table. */
TEST_F(fault, two_pasids)
{
	struct iommu_hwpt_pgfault f;
	__u32 queue, hwpt;
	int file;

	ASSERT_EQ(0, new_queue(self, &queue, &file, &hwpt));
	ASSERT_EQ(0, cdev_attach_pasid(self->d.vp.fd, OTHER_PASID, hwpt));
	ASSERT_EQ(PT_DONE, pt_request(&self->d, OTHER_PASID, IOVA, ALL_OF_IT |
				      PT_REQUEST_GROUP(9)));
	ASSERT_EQ(1, read_faults(file, &f, 1));
	EXPECT_EQ(OTHER_PASID, f.pasid);
	EXPECT_FALSE(has_fault(self->file, 0));
	ASSERT_EQ(0, respond(file, f.cookie, IOMMUFD_PAGE_RESP_INVALID));
	close(file);
}

/* The end of the device's file answers, too, and the queue's file outlives it. */
TEST_F(fault, close)
{
	struct iommu_hwpt_pgfault f;
	__u32 before = responses(self);
	int iommufd;

	ASSERT_EQ(PT_DONE, request(self, 1, IOVA, ALL_OF_IT));
	ASSERT_EQ(1, read_faults(self->file, &f, 1));
	iommufd = dup(self->d.vp.iommufd);
	pt_close_files(&self->d);
	EXPECT_EQ(-EINVAL, respond(self->file, f.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(-EBUSY, obj_destroy(iommufd, self->queue));
	EXPECT_EQ(0, obj_destroy(iommufd, self->hwpt));
	close(self->file);
	self->file = -1;
	EXPECT_EQ(0, obj_destroy(iommufd, self->queue));
	close(iommufd);
	ASSERT_EQ(0, pt_reopen(&self->d));
	EXPECT_EQ(before + 1, responses(self));
	EXPECT_EQ(INVALID, PT_RESPONSE_CODE(pt_get(&self->d, PT_RESPONSE)));
	printf("# the device is closed with a fault waiting: it is answered as invalid\n");
}

TEST_HARNESS_MAIN
