/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the iommufd_mock programs have in common: an address space on the mock
 * IOMMU driver, with one device or two.
 *
 * The mock has IOVA from 16 MiB to 2 GiB and pages of half a CPU page, so that
 * code that takes the two for equal is found out.
 */
#ifndef IOMMUFD_MOCK_H
#define IOMMUFD_MOCK_H

#include "kselftest_harness.h"
#include "../lib/mock.h"

#define BASE	(MOCK_APERTURE_START + (1UL << 20))
/* Where no IOVA is chosen as long as there is room below */
#define FAR	0x60000000UL
#define BUF_PAGES 16

FIXTURE(iommu)
{
	int fd;
	__u32 ioas;
	struct mock_device dev[2];
	size_t ps;
	size_t size;
	char *buf;
	long pinned;
};

FIXTURE_VARIANT(iommu)
{
	unsigned int devices;
};

FIXTURE_VARIANT_ADD(iommu, one_device) { .devices = 1 };
FIXTURE_VARIANT_ADD(iommu, two_devices) { .devices = 2 };

FIXTURE_SETUP(iommu)
{
	unsigned int i;

	self->ps = page_size();
	self->size = BUF_PAGES * self->ps;
	MOCK_OPEN(self->fd);
	self->pinned = pages_pinned();
	self->buf = mem_shared(self->size);
	ASSERT_NE(MAP_FAILED, self->buf);
	memset(self->buf, 1, self->size);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	for (i = 0; i != variant->devices; i++)
		ASSERT_EQ(0, mock_attach(self->fd, self->ioas, &self->dev[i]));
}

FIXTURE_TEARDOWN(iommu)
{
	close(self->fd);
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(va, length, iova) \
	ioas_map_at(self->fd, self->ioas, va, length, iova)
#define UNMAP(iova, length) \
	ioas_unmap(self->fd, self->ioas, iova, length)
#define REFS(va, length, refs) \
	mock_check_refs(self->fd, va, length, refs)

/* 0 if every device is led to the memory at @va */
static inline int mock_check_maps(int fd, const struct mock_device *dev,
				  unsigned int num, __u64 iova, __u64 length,
				  const void *va)
{
	unsigned int i;
	int rc;

	for (i = 0; i != num; i++) {
		rc = mock_check_map(fd, dev[i].hwpt, iova, length, va);
		if (rc)
			return rc;
	}
	return 0;
}

#define CHECK_MAP(iova, length, va) \
	mock_check_maps(self->fd, self->dev, variant->devices, iova, length, va)

#endif
