// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device of a device that no IOMMU confines: who may open it, what
 * address its DMA needs, and that the address is right. Uses QEMU's edu, in a
 * machine without an IOMMU for all but what is refused elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "../lib/edu.h"
#include "../lib/mock.h"
#include "../lib/vfio_pci.h"
#include "../lib/viommu.h"

#define PARAMETER	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define IOVA		0x10000000UL

static int get_pa(int fd, __u32 ioas, __u64 iova, __u64 *length, __u64 *phys)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = *length,
	};
	int rc = call(fd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	*length = cmd.length;
	*phys = cmd.out_phys;
	return rc;
}

static __u64 pa_of(int fd, __u32 ioas, __u64 iova)
{
	__u64 length = 1, phys;

	return get_pa(fd, ioas, iova, &length, &phys) ? ~0ULL : phys;
}

FIXTURE(noiommu)
{
	char bdf[SYSDEV_NAME_MAX];
	int iommufd;
	int dev;
	__u32 devid;
	__u32 ioas;
	void *bar;
	long pinned;
};

FIXTURE_SETUP(noiommu)
{
	self->iommufd = -1;
	self->dev = -1;
	self->bar = NULL;
	self->bdf[0] = '\0';
	if (access(PARAMETER, F_OK))
		SKIP(return, "built without VFIO_NOIOMMU");
	if (!sysdev_find_pci(EDU_VENDOR, EDU_DEVICE, 0, self->bdf))
		SKIP(return, "no edu device");
	if (sysdev_group(self->bdf) >= 0) {
		self->bdf[0] = '\0';
		SKIP(return, "the device has an IOMMU");
	}
	self->pinned = pages_pinned();
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, file_write(PARAMETER, "Y"));
	ASSERT_EQ(0, sysdev_set_driver(self->bdf, "vfio-pci"));
}

FIXTURE_TEARDOWN(noiommu)
{
	/* It keeps the device open */
	if (self->bar)
		munmap(self->bar, EDU_BAR_SIZE);
	if (self->dev >= 0)
		close(self->dev);
	if (self->iommufd >= 0)
		close(self->iommufd);
	set_rawio(true);
	if (self->bdf[0]) {
		EXPECT_EQ(0, sysdev_set_driver(self->bdf, NULL));
		EXPECT_EQ(0, file_write(PARAMETER, "N"));
		EXPECT_EQ(self->pinned, pages_pinned());
	}
}

/* Open, bind and attach */
static int take(FIXTURE_DATA(noiommu) *self)
{
	int ret;

	self->dev = cdev_open(self->bdf);
	if (self->dev < 0)
		return self->dev;
	ret = cdev_bind(self->dev, self->iommufd, &self->devid);
	return ret ? ret : cdev_attach_to(self->dev, self->ioas);
}

TEST_F(noiommu, name_says_it)
{
	char path[PATH_MAX];

	ASSERT_EQ(0, sysdev_cdev_path(self->bdf, path));
	EXPECT_NE(NULL, strstr(path, "/dev/vfio/devices/noiommu-vfio"));
	self->dev = cdev_open_path(path);
	EXPECT_LE(0, self->dev);
}

TEST_F(noiommu, privileged)
{
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(-EPERM, cdev_open(self->bdf));
	ASSERT_EQ(0, set_rawio(true));
	self->dev = cdev_open(self->bdf);
	ASSERT_LE(0, self->dev);
	/* An open file may have been passed on */
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(-EPERM, cdev_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, set_rawio(true));
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
}

/* What the administrator takes back nobody gets anew */
TEST_F(noiommu, taken_back)
{
	int other;

	self->dev = cdev_open(self->bdf);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, file_write(PARAMETER, "N"));
	EXPECT_EQ(-EPERM, cdev_bind(self->dev, self->iommufd, NULL));
	other = cdev_open(self->bdf);
	EXPECT_EQ(-EPERM, other);
	ASSERT_EQ(0, file_write(PARAMETER, "Y"));
	EXPECT_EQ(0, cdev_bind(self->dev, self->iommufd, NULL));
}

TEST_F(noiommu, hw_info)
{
	struct iommu_hw_info info = { .size = sizeof(info) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.pt_id = self->ioas,
	};

	ASSERT_EQ(0, take(self));
	info.dev_id = self->devid;
	ASSERT_EQ(0, call(self->iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_NONE, info.out_data_type);
	EXPECT_EQ(0, info.data_len);
	EXPECT_EQ(0, info.out_max_pasid_log2);
	EXPECT_EQ(-EINVAL, cdev_attach_pasid(self->dev, 1, self->ioas));
	EXPECT_EQ(0, info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);

	/* There is no page table that hardware could do anything with */
	hwpt.dev_id = self->devid;
	hwpt.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	EXPECT_EQ(-EOPNOTSUPP, call(self->iommufd, IOMMU_HWPT_ALLOC, &hwpt));
	hwpt.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	EXPECT_EQ(-EOPNOTSUPP, call(self->iommufd, IOMMU_HWPT_ALLOC, &hwpt));
	hwpt.flags = 0;
	EXPECT_EQ(0, call(self->iommufd, IOMMU_HWPT_ALLOC, &hwpt));
	/* The device can change to it and back */
	EXPECT_EQ(0, cdev_attach_to(self->dev, hwpt.out_hwpt_id));
	EXPECT_EQ(-EBUSY, obj_destroy(self->iommufd, hwpt.out_hwpt_id));
	EXPECT_EQ(0, cdev_attach_to(self->dev, self->ioas));
	EXPECT_EQ(0, obj_destroy(self->iommufd, hwpt.out_hwpt_id));
}

/* What is made for a device with an IOMMU is of no use, and no harm, to this one */
TEST_F(noiommu, beside_an_iommu)
{
	struct iommu_viommu_selftest viommu_data = {};
	struct iommu_hwpt_selftest data = {};
	__u32 parent, nested, viommu, id;
	struct mock_device mock;

	if (mock_memory_limit(self->iommufd, MOCK_MEMORY_DEFAULT) == -ENOTTY)
		SKIP(return, "this iommufd has no mock driver (IOMMUFD_TEST)");
	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, mock_attach(self->iommufd, self->ioas, &mock));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, mock.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, mock_nested_alloc(self->iommufd, mock.idev, parent, 0,
				       &nested));
	ASSERT_EQ(0, viommu_alloc_data(self->iommufd, mock.idev, parent,
				       IOMMU_VIOMMU_TYPE_SELFTEST, &viommu_data,
				       sizeof(viommu_data), &viommu));

	EXPECT_EQ(-EOPNOTSUPP,
		  hwpt_alloc_nested(self->iommufd, self->devid, parent, 0,
				    IOMMU_HWPT_DATA_SELFTEST, &data,
				    sizeof(data), &id));
	EXPECT_EQ(-EINVAL,
		  hwpt_alloc_nested(self->iommufd, self->devid, viommu, 0,
				    IOMMU_HWPT_DATA_SELFTEST, &data,
				    sizeof(data), &id));
	EXPECT_EQ(-EOPNOTSUPP,
		  viommu_alloc_data(self->iommufd, self->devid, parent,
				    IOMMU_VIOMMU_TYPE_SELFTEST, &viommu_data,
				    sizeof(viommu_data), &id));
	EXPECT_EQ(-EINVAL, vdevice_alloc(self->iommufd, viommu, self->devid, 7,
					 &id));
	EXPECT_EQ(-EINVAL, cdev_attach_to(self->dev, parent));
	EXPECT_EQ(-EINVAL, cdev_attach_to(self->dev, nested));
	/* And the other way round; an address space serves both */
	EXPECT_EQ(0, cdev_attach_to(self->dev, self->ioas));
	EXPECT_EQ(0, mock_detach(self->iommufd, &mock));
}

TEST_F(noiommu, refused)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd),
		.ioas_id = self->ioas,
		.iova = IOVA,
		.length = page_size(),
	};
	char *mem = mem_private(4 * page_size());

	/* A page of memory that is not pinned has no address */
	ASSERT_EQ(0, ioas_map_at(self->iommufd, self->ioas, mem,
				 2 * page_size(), IOVA));
	EXPECT_EQ(-EOPNOTSUPP,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	ASSERT_EQ(0, take(self));
	EXPECT_EQ(0, call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));

	cmd.length = 0;
	EXPECT_EQ(-EINVAL,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.length = -IOVA + 1;
	EXPECT_EQ(-EOVERFLOW,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.length = 1;
	cmd.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.__reserved = 0;
	cmd.iova = IOVA - 1;
	EXPECT_EQ(-ENOENT,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.iova = IOVA + 2 * page_size();
	EXPECT_EQ(-ENOENT,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.iova = IOVA;
	cmd.ioas_id = self->devid;
	EXPECT_EQ(-ENOENT,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	cmd.ioas_id = self->ioas;
	ASSERT_EQ(0, set_rawio(false));
	EXPECT_EQ(-EPERM, call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	ASSERT_EQ(0, set_rawio(true));
	EXPECT_EQ(0, call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
	EXPECT_EQ(1, cmd.length);

	/* With the device, the addresses go */
	ASSERT_EQ(0, cdev_detach(self->dev));
	EXPECT_EQ(-EOPNOTSUPP,
		  call(self->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd));
}

/* The addresses are those of /proc/self/pagemap, and lengths end where they jump */
TEST_F(noiommu, addresses)
{
	enum { PAGES = 64 };
	size_t page = page_size();
	__u64 entry[PAGES], iova, length, phys;
	char *mem = mem_private(PAGES * page);
	unsigned int i, n;
	int pagemap;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, take(self));
	/* Attached first, mapped later, in two mappings side by side, and odd ends */
	ASSERT_EQ(0, ioas_map_at(self->iommufd, self->ioas, mem, 10 * page,
				 IOVA));
	ASSERT_EQ(0, ioas_map_at(self->iommufd, self->ioas, mem + 10 * page,
				 (PAGES - 10) * page, IOVA + 10 * page));
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	ASSERT_LE(0, pagemap);
	ASSERT_EQ(sizeof(entry), pread(pagemap, entry, sizeof(entry),
				       (uintptr_t)mem / page * 8));
	close(pagemap);
	for (i = 0; i < PAGES; i++)
		entry[i] = (entry[i] & ((1ULL << 55) - 1)) * page;

	for (i = 0; i < PAGES; i++) {
		for (n = 1; i + n < PAGES; n++)
			if (entry[i + n] != entry[i] + n * page)
				break;
		iova = IOVA + i * page;
		length = PAGES * page;
		ASSERT_EQ(0, get_pa(self->iommufd, self->ioas, iova, &length,
				    &phys));
		EXPECT_EQ(entry[i], phys);
		EXPECT_EQ(n * page, length);
		length = PAGES * page;
		ASSERT_EQ(0, get_pa(self->iommufd, self->ioas, iova + 100,
				    &length, &phys));
		EXPECT_EQ(entry[i] + 100, phys);
		EXPECT_EQ(n * page - 100, length);
		length = 7;
		ASSERT_EQ(0, get_pa(self->iommufd, self->ioas, iova + page - 8,
				    &length, &phys));
		EXPECT_EQ(entry[i] + page - 8, phys);
		EXPECT_EQ(7, length);
	}
}

/* DMA by these addresses reaches the memory */
TEST_F(noiommu, dma)
{
	char *mem = mem_shared(2 * page_size());
	__u64 pa[2];

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ioas_map_at(self->iommufd, self->ioas, mem,
				 2 * page_size(), IOVA));
	ASSERT_EQ(0, take(self));
	pa[0] = pa_of(self->iommufd, self->ioas, IOVA);
	pa[1] = pa_of(self->iommufd, self->ioas, IOVA + page_size());
	ASSERT_EQ(0, edu_start(self->dev, &self->bar));
	memset(mem, 0x5a, 64);
	ASSERT_TRUE(edu_from_iova(self->bar, pa[0]));
	ASSERT_TRUE(edu_to_iova(self->bar, pa[1]));
	EXPECT_EQ(0, memcmp(mem, mem + page_size(), 64));
}

/* What is unmapped is no longer pinned, and has no address any more */
TEST_F(noiommu, unmapped)
{
	size_t size = 8 * page_size();
	char *mem = mem_private(size);
	long before = pages_pinned();

	ASSERT_EQ(0, take(self));
	ASSERT_EQ(0, ioas_map_at(self->iommufd, self->ioas, mem, size, IOVA));
	EXPECT_EQ(before + 8, pages_pinned());
	ASSERT_NE(~0ULL, pa_of(self->iommufd, self->ioas, IOVA));
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, size));
	EXPECT_EQ(before, pages_pinned());
	EXPECT_EQ(~0ULL, pa_of(self->iommufd, self->ioas, IOVA));
}

TEST_HARNESS_MAIN
