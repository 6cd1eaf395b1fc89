// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: an allocation fails, at every step of an operation.
 */
#include "kselftest_harness.h"
#include "../lib/fail_nth.h"
#include "../lib/mock.h"

#define BASE	(MOCK_APERTURE_START + (1UL << 20))

FIXTURE(fail)
{
	struct fail_nth nth;
	int fd;
	__u32 ioas;
	struct mock_device dev;
	size_t size;
	char *buf;
	long pinned;
};

FIXTURE_SETUP(fail)
{
	const char *why = fail_nth_init(&self->nth);

	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	if (why)
		SKIP(return, "no fault injection: %s", why);
	if (mock_memory_limit(self->fd, MOCK_MEMORY_DEFAULT) == -ENOTTY)
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)");
	self->size = 1 << 20;
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, self->size);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
}

FIXTURE_TEARDOWN(fail)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(fail, ioas_alloc)
{
	__u32 id;
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth, ioas_alloc(self->fd, &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, id));
	}
	EXPECT_SWEPT(&self->nth);
	ASSERT_EQ(0, mock_detach(self->fd, &self->dev));
	ASSERT_EQ(0, obj_destroy(self->fd, self->ioas));
	EXPECT_TRUE(ctx_is_empty(self->fd));
}

TEST_F(fail, map)
{
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_map_at(self->fd, self->ioas, self->buf,
					      self->size, BASE));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
						    BASE, self->size,
						    self->buf));
		EXPECT_EQ(rc ? -ENOENT : 0, ioas_unmap(self->fd, self->ioas,
						       BASE, self->size));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
}

/* What a pin by folio needs may fail without an error: there is another way */
TEST_F(fail, map_hugetlb)
{
	const size_t size = 4 * SZ_2M;
	char *mem;
	int rc;

	hugetlb_reserve(8);
	mem = mem_hugetlb(size);
	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb pages");
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_map_at(self->fd, self->ioas, mem, size,
					      BASE));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
						    BASE, size, mem));
		EXPECT_EQ(rc ? -ENOENT : 0, ioas_unmap(self->fd, self->ioas,
						       BASE, size));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
	munmap(mem, size);
}

TEST_F(fail, map_file)
{
	int memfd = memfd_new(self->size, 0);
	int other = memfd_new(self->size, 0);
	size_t ps = page_size(), i;
	unsigned int sweep;
	int rc;

	ASSERT_LE(0, memfd);
	ASSERT_LE(0, other);
	/* Pages that are not side by side take memory to note them */
	for (i = 0; i < self->size; i += ps) {
		ASSERT_EQ(1, pwrite(memfd, "m", 1, i));
		ASSERT_EQ(1, pwrite(other, "o", 1, i));
	}
	/*
	 * Whether the slab allocator wants a page is different each time, so that
	 * one sweep may miss a place.
	 */
	for (sweep = 0; sweep < 4; sweep++) {
		self->nth.n = 0;
		self->nth.injected = true;
		while (fail_nth_next(&self->nth)) {
			rc = fail_nth_run(&self->nth,
					  ioas_map_file_at(self->fd, self->ioas,
							   memfd, 0, self->size,
							   BASE));
			EXPECT_FAIL_NTH(&self->nth, rc);
			EXPECT_EQ(rc ? -ENOENT : 0,
				  ioas_unmap(self->fd, self->ioas, BASE,
					     self->size));
			ASSERT_EQ(self->pinned, pages_pinned()) {
				TH_LOG("round %u leaks", self->nth.n);
			}
		}
		EXPECT_SWEPT(&self->nth);
	}
	close(other);
	close(memfd);
}

/* Nothing that unmap needs can fail, but for the copies of its argument */
TEST_F(fail, unmap)
{
	__u64 len;
	int rc;

	while (fail_nth_next(&self->nth)) {
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 self->size, BASE));
		rc = fail_nth_run(&self->nth,
				  ioas_unmap_len(self->fd, self->ioas, BASE,
						 self->size, &len));
		EXPECT_TRUE(rc == 0 || rc == -EFAULT) {
			TH_LOG("round %u: %d", self->nth.n, rc);
		}
		EXPECT_TRUE(rc || len == self->size);
		if (rc)
			ioas_unmap(self->fd, self->ioas, BASE, self->size);
		ASSERT_EQ(self->pinned, pages_pinned());
	}
	EXPECT_FALSE(self->nth.injected);
}

TEST_F(fail, copy)
{
	long pinned;
	int rc;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	pinned = pages_pinned();
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_copy_at(self->fd, self->ioas,
					       BASE + self->size, self->ioas,
					       BASE, self->size));
		EXPECT_FAIL_NTH(&self->nth, rc);
		EXPECT_EQ(rc ? -ENOENT : 0, ioas_unmap(self->fd, self->ioas,
						       BASE + self->size,
						       self->size));
		ASSERT_EQ(pinned, pages_pinned());
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, attach)
{
	struct mock_device dev;
	__u32 ioas;
	int rc;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_attach(self->fd, ioas, &dev));
		/* The device is new, and the driver core may not take it in */
		if (!self->nth.injected || (rc != -ENODEV && rc != -EINVAL))
			EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_detach(self->fd, &dev));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, ioas));
}

TEST_F(fail, replace)
{
	char *other = mem_shared(self->size);
	__u32 ioas;
	int rc;

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, other, self->size, BASE));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_replace(self->fd, &self->dev, ioas));
		EXPECT_FAIL_NTH(&self->nth, rc);
		/* It was done, but its answer got lost, if that is EFAULT. */
		if (rc != -EFAULT)
			EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
						    BASE, self->size,
						    rc ? self->buf : other));
		ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->ioas));
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, hwpt_alloc)
{
	__u32 hwpt;
	int rc;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, self->size,
				 BASE));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  hwpt_alloc(self->fd, self->dev.idev,
					     self->ioas, 0, &hwpt));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	}
	EXPECT_SWEPT(&self->nth);
}

/* No queue without a file, and no descriptor without a queue */
TEST_F(fail, fault_queue_alloc)
{
	int file, files = open_files(), rc;
	__u32 queue;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  fault_queue_alloc(self->fd, &queue, &file));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc) {
			close(file);
			EXPECT_EQ(0, obj_destroy(self->fd, queue));
		}
		ASSERT_EQ(files, open_files()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_F(fail, hwpt_fault)
{
	__u32 queue, hwpt;
	int file, rc;

	ASSERT_EQ(0, fault_queue_alloc(self->fd, &queue, &file));
	close(file);
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  hwpt_alloc_fault(self->fd, self->dev.idev,
						   self->ioas,
						   IOMMU_HWPT_FAULT_ID_VALID,
						   queue, &hwpt));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	}
	EXPECT_SWEPT(&self->nth);
	/* Nothing holds it any more */
	EXPECT_EQ(0, obj_destroy(self->fd, queue));
}

/* The faults of the device are on if it is attached where they go, and off if not */
TEST_F(fail, attach_fault)
{
	__u32 queue, hwpt, before = self->dev.hwpt;
	struct iommu_hwpt_pgfault entry;
	int file, rc;
	ssize_t len;

	ASSERT_EQ(0, fault_queue_alloc(self->fd, &queue, &file));
	ASSERT_EQ(0, hwpt_alloc_fault(self->fd, self->dev.idev, self->ioas,
				      IOMMU_HWPT_FAULT_ID_VALID, queue,
				      &hwpt));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_replace(self->fd, &self->dev, hwpt));
		EXPECT_FAIL_NTH(&self->nth, rc);
		EXPECT_EQ(rc ? before : hwpt, self->dev.hwpt);
		EXPECT_EQ(0, mock_fault(self->fd, self->dev.idev, 0, 1, 1, 0));
		len = read(file, &entry, sizeof(entry));
		/* The question or the answer got lost if that is EFAULT */
		if (rc != -EFAULT)
			EXPECT_EQ(rc ? 0 : sizeof(entry), len);
		ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->ioas));
		before = self->dev.hwpt;
	}
	EXPECT_SWEPT(&self->nth);
	close(file);
}

/* A group that nobody could be told of is told of next time */
TEST_F(fail, read_fault)
{
	struct iommu_hwpt_pgfault entry[2];
	__u32 queue, hwpt, code, n = 0;
	int file, rc;

	ASSERT_EQ(0, fault_queue_alloc(self->fd, &queue, &file));
	ASSERT_EQ(0, hwpt_alloc_fault(self->fd, self->dev.idev, self->ioas,
				      IOMMU_HWPT_FAULT_ID_VALID, queue,
				      &hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, &self->dev, hwpt));
	while (fail_nth_next(&self->nth)) {
		struct iommu_hwpt_page_response response = {};

		ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, 0, 1,
					MOCK_FAULT_MORE, 0));
		ASSERT_EQ(0, mock_fault(self->fd, self->dev.idev, 0, 1, 0, 0));
		rc = fail_nth_run(&self->nth, read(file, entry, sizeof(entry)));
		rc = rc < 0 ? -errno : 0;
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (rc)
			ASSERT_EQ(sizeof(entry),
				  read(file, entry, sizeof(entry)));
		response.cookie = entry[1].cookie;
		EXPECT_EQ(sizeof(response),
			  write(file, &response, sizeof(response)));
		EXPECT_EQ(++n, mock_answers(self->fd, self->dev.idev, 1,
					    &code));
	}
	EXPECT_SWEPT(&self->nth);
	close(file);
}

TEST_F(fail, hwpt_nested)
{
	__u32 parent, hwpt;
	int rc;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_nested_alloc(self->fd, self->dev.idev,
						    parent, 1, &hwpt));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, parent));
}

TEST_F(fail, replace_nested)
{
	__u32 parent, hwpt;
	int rc;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, parent, 1,
				       &hwpt));
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_replace(self->fd, &self->dev, hwpt));
		EXPECT_FAIL_NTH(&self->nth, rc);
		/* It was done, but its answer got lost, if that is EFAULT. */
		if (rc != -EFAULT)
			EXPECT_EQ(rc ? 0 : -EBUSY,
				  rc ? 0 : obj_destroy(self->fd, hwpt));
		ASSERT_EQ(0, mock_replace(self->fd, &self->dev, self->ioas));
	}
	EXPECT_SWEPT(&self->nth);
	EXPECT_EQ(0, obj_destroy(self->fd, hwpt));
	EXPECT_EQ(0, obj_destroy(self->fd, parent));
}

/* Nothing is allocated on the way, but its arguments are copied */
TEST_F(fail, invalidate)
{
	struct iommu_hwpt_invalidate_selftest entry[3] = {};
	__u32 parent, hwpt, num;
	int rc;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, mock_nested_alloc(self->fd, self->dev.idev, parent, 1,
				       &hwpt));
	while (fail_nth_next(&self->nth)) {
		num = ARRAY_SIZE(entry);
		rc = fail_nth_run(&self->nth,
				  mock_invalidate(self->fd, hwpt, entry, &num));
		EXPECT_TRUE(rc == 0 || rc == -EFAULT) {
			TH_LOG("round %u: %d", self->nth.n, rc);
		}
		EXPECT_TRUE(rc || num == ARRAY_SIZE(entry));
	}
	EXPECT_FALSE(self->nth.injected);
}

TEST_F(fail, access_pin)
{
	long pinned;
	__u32 ioas, id;
	int access, rc;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas, self->buf, self->size, BASE));
	access = mock_access_open(self->fd, ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, access);
	pinned = pages_pinned();
	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  mock_access_pin(self->fd, access, BASE,
						  self->size, self->buf, 0,
						  &id));
		EXPECT_FAIL_NTH(&self->nth, rc);
		if (!rc)
			EXPECT_EQ(0, mock_access_unpin(self->fd, access, id));
		ASSERT_EQ(pinned, pages_pinned()) {
			TH_LOG("round %u leaks", self->nth.n);
		}
	}
	EXPECT_SWEPT(&self->nth);
	close(access);
}

TEST_F(fail, allow_iovas)
{
	struct iommu_iova_range ranges[4] = {
		{ BASE, BASE + 0xfff }, { BASE + 0x2000, BASE + 0x2fff },
		{ BASE + 0x4000, BASE + 0x4fff },
		{ BASE + 0x6000, BASE + 0x6fff },
	};
	__u64 iova;
	int rc;

	while (fail_nth_next(&self->nth)) {
		rc = fail_nth_run(&self->nth,
				  ioas_allow_iovas(self->fd, self->ioas, ranges,
						   ARRAY_SIZE(ranges)));
		EXPECT_FAIL_NTH(&self->nth, rc);
		/* A failed one leaves no part of the list */
		EXPECT_EQ(rc ? 0 : -ENOSPC,
			  ioas_map(self->fd, self->ioas, self->buf, self->size,
				   &iova, MAP_RW));
		if (rc)
			ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, iova,
						self->size));
		ASSERT_EQ(0, ioas_allow_iovas(self->fd, self->ioas, NULL, 0));
	}
	EXPECT_SWEPT(&self->nth);
}

TEST_HARNESS_MAIN
