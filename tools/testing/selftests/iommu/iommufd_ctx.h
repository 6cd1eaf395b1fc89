/* SPDX-License-Identifier: GPL-2.0-only */
/* A context with an IOAS, for the programs that need no device */
#ifndef IOMMUFD_CTX_H
#define IOMMUFD_CTX_H

#include "kselftest_harness.h"
#include "../lib/iommufd.h"

FIXTURE(ctx)
{
	int fd;
	__u32 id;
	size_t ps;
	void *buf;
	long pinned;
};

FIXTURE_SETUP(ctx)
{
	self->ps = page_size();
	self->pinned = pages_pinned();
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd) {
		TH_LOG("/dev/iommu cannot be opened: is iommufd loaded?");
	}
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->id));
	self->buf = mem_shared(16 * self->ps);
	ASSERT_NE(MAP_FAILED, self->buf);
}

FIXTURE_TEARDOWN(ctx)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(length, iova) \
	ioas_map_at(self->fd, self->id, self->buf, length, iova)
#define UNMAP(iova, length) \
	ioas_unmap(self->fd, self->id, iova, length)

#endif
