// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU driver: whoever waits for one who pins for ever can be killed.
 */
#include <signal.h>

#include "../lib/uffd.h"
#include "iommufd_mock.h"

FIXTURE(kill)
{
	int fd;
	__u32 source, ioas, other;
	struct mock_device dev, other_dev;
	size_t ps;
	int uffd;
	char *mem;
	long pinned;
	pid_t slow;
};

#define CHILD(call)					\
	({						\
		pid_t _pid = fork();			\
							\
		if (!_pid) {				\
			call;				\
			_exit(1);			\
		}					\
		_pid;					\
	})

#define EXPECT_WAITS_AND_DIES(call, where)		\
	do {						\
		pid_t _pid = CHILD(call);		\
							\
		ASSERT_LT(0, _pid);			\
		EXPECT_TRUE(process_sleeps_in(_pid, where));	\
		EXPECT_EQ(0, kill(_pid, SIGKILL));	\
		EXPECT_TRUE(child_is_gone(_pid));	\
	} while (0)

FIXTURE_SETUP(kill)
{
	self->ps = page_size();
	self->slow = -1;
	self->uffd = -1;
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->source));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev));
	ASSERT_EQ(0, mock_attach(self->fd, self->other, &self->other_dev));
	self->mem = mem_private(2 * self->ps);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->uffd = uffd_open(self->mem, self->ps);
	if (self->uffd < 0)
		SKIP(return, "no userfaultfd");
	/* Not pinned yet, and what is there of the second page can be had */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->source, self->mem, self->ps,
				 BASE));
	self->mem[self->ps] = 1;
	self->slow = CHILD(ioas_copy_at(self->fd, self->ioas, BASE,
					self->source, BASE, self->ps));
	ASSERT_LT(0, self->slow);
	ASSERT_EQ(0, uffd_wait(self->uffd));
}

FIXTURE_TEARDOWN(kill)
{
	if (self->slow > 0) {
		EXPECT_EQ(0, kill(self->slow, SIGKILL));
		EXPECT_TRUE(child_is_gone(self->slow));
		/* All is as if nobody had tried */
		EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas,
					 self->mem + self->ps, self->ps, FAR));
		EXPECT_EQ(0, mock_check_refs(self->fd, self->mem + self->ps,
					     self->ps, 1));
		EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, FAR, self->ps));
		EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE,
					      self->ps));
	}
	if (self->uffd >= 0)
		close(self->uffd);
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(kill, hwpt)
{
	__u32 hwpt;

	EXPECT_WAITS_AND_DIES(hwpt_alloc(self->fd, self->dev.idev, self->ioas,
					 0, &hwpt), "iopt_");
}

TEST_F(kill, access)
{
	const __u32 flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;

	EXPECT_WAITS_AND_DIES(mock_access_open(self->fd, self->ioas, flags),
			      "iopt_");
}

TEST_F(kill, option)
{
	EXPECT_WAITS_AND_DIES(option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
					 self->ioas, 0), "iopt_");
}

/* Readers come after a writer that waits */
TEST_F(kill, behind_a_hwpt)
{
	__u32 hwpt;
	__u64 iova = FAR;
	pid_t writer;
	struct mock_device dev;

	writer = CHILD(hwpt_alloc(self->fd, self->dev.idev, self->ioas, 0,
				  &hwpt));
	ASSERT_LT(0, writer);
	EXPECT_TRUE(process_sleeps_in(writer, "iopt_"));

	EXPECT_WAITS_AND_DIES(ioas_map_at(self->fd, self->ioas,
					  self->mem + self->ps, self->ps,
					  FAR), "iopt_map_pages");
	EXPECT_WAITS_AND_DIES(ioas_map(self->fd, self->ioas,
				       self->mem + self->ps, self->ps, &iova,
				       MAP_RW), "iopt_map_pages");
	EXPECT_WAITS_AND_DIES(ioas_unmap(self->fd, self->ioas, FAR, self->ps),
			      "iopt_unmap");
	/* These wait for the mutex of the IOAS */
	EXPECT_WAITS_AND_DIES(hwpt_alloc(self->fd, self->dev.idev, self->ioas,
					 0, &hwpt), "iommufd_hwpt_alloc");
	EXPECT_WAITS_AND_DIES(mock_attach(self->fd, self->ioas, &dev),
			      "iommufd_device_attach");
	EXPECT_WAITS_AND_DIES(mock_replace(self->fd, &self->other_dev,
					   self->ioas),
			      "iommufd_device_replace");
	EXPECT_WAITS_AND_DIES(mock_replace(self->fd, &self->other_dev,
					   self->dev.hwpt),
			      "iommufd_device_replace");

	EXPECT_EQ(0, kill(writer, SIGKILL));
	EXPECT_TRUE(child_is_gone(writer));
}

/* The same memory in another address space */
TEST_F(kill, same_memory)
{
	EXPECT_WAITS_AND_DIES(ioas_copy_at(self->fd, self->other, BASE,
					   self->source, BASE, self->ps),
			      "iopt_map_pages");
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->other, BASE, self->ps));
}

/* And a page table for the address space that it comes from */
TEST_F(kill, hwpt_of_the_same_memory)
{
	__u32 hwpt;

	EXPECT_WAITS_AND_DIES(hwpt_alloc(self->fd, self->dev.idev, self->source,
					 0, &hwpt), "iopt_");
}

/*
 * One who reads what is dirty waits for the pages of an area, because the slow one
 * pins them elsewhere.
 */
FIXTURE(dirty)
{
	int fd;
	__u32 ioas, other, hwpt;
	struct mock_device none, dev, other_dev;
	size_t ps;
	int uffd;
	char *mem;
	long pinned;
	pid_t slow, reader;
};

FIXTURE_SETUP(dirty)
{
	__u32 source, bits = 0;

	self->ps = page_size();
	self->slow = -1;
	self->reader = -1;
	self->uffd = -1;
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	ASSERT_EQ(0, ioas_alloc(self->fd, &source));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, mock_attach(self->fd, self->other, &self->other_dev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->other_dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt));
	ASSERT_EQ(0, mock_attach(self->fd, self->hwpt, &self->dev));
	ASSERT_EQ(0, set_dirty_tracking(self->fd, self->hwpt, true));
	self->mem = mem_private(4 * self->ps);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->uffd = uffd_open(self->mem, self->ps);
	if (self->uffd < 0)
		SKIP(return, "no userfaultfd");
	memset(self->mem + self->ps, 1, 3 * self->ps);
	/* The second page is in the hwpt, the first one is to come elsewhere */
	ASSERT_EQ(0, ioas_map_at(self->fd, source, self->mem, 2 * self->ps,
				 BASE));
	ASSERT_EQ(0, ioas_copy_at(self->fd, self->ioas, BASE, source,
				  BASE + self->ps, self->ps));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas,
				 self->mem + 3 * self->ps, self->ps, FAR));
	self->slow = CHILD(ioas_copy_at(self->fd, self->other, BASE, source,
					BASE, self->ps));
	ASSERT_LT(0, self->slow);
	ASSERT_EQ(0, uffd_wait(self->uffd));
	self->reader = CHILD(get_dirty_bitmap(self->fd, self->hwpt, BASE,
					      self->ps, self->ps, &bits, 0));
	ASSERT_LT(0, self->reader);
	ASSERT_TRUE(process_sleeps_in(self->reader, "iommufd_dirty_read"));
}

FIXTURE_TEARDOWN(dirty)
{
	if (self->reader > 0) {
		EXPECT_EQ(0, kill(self->reader, SIGKILL));
		EXPECT_TRUE(child_is_gone(self->reader));
	}
	if (self->slow > 0) {
		EXPECT_EQ(0, kill(self->slow, SIGKILL));
		EXPECT_TRUE(child_is_gone(self->slow));
	}
	if (self->uffd >= 0)
		close(self->uffd);
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(dirty, others_are_not_excluded)
{
	EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas, self->mem + 2 * self->ps,
				 self->ps, FAR + SZ_2M));
	EXPECT_EQ(0, mock_check_map(self->fd, self->hwpt, FAR + SZ_2M, self->ps,
				    self->mem + 2 * self->ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, FAR + SZ_2M, self->ps));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, FAR, self->ps));
}

/* What is being read does not go away */
TEST_F(dirty, unmap)
{
	pid_t pid = CHILD(_exit(-ioas_unmap(self->fd, self->ioas, BASE,
					    self->ps)));

	ASSERT_LT(0, pid);
	EXPECT_TRUE(process_sleeps_in(pid, "iopt_"));
	EXPECT_EQ(0, mock_check_map(self->fd, self->hwpt, BASE, self->ps,
				    self->mem + self->ps));
	EXPECT_EQ(0, kill(self->reader, SIGKILL));
	EXPECT_TRUE(child_is_gone(self->reader));
	self->reader = -1;
	EXPECT_EQ(0, kill(self->slow, SIGKILL));
	EXPECT_TRUE(child_is_gone(self->slow));
	self->slow = -1;
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE, self->ps));
}

TEST_HARNESS_MAIN
