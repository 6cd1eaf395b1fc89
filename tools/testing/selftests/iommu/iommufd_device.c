// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu with a device that does DMA: QEMU's edu, bound to vfio-pci, behind
 * an IOMMU.
 *
 * A copy that the IOMMU stops is not reported by the device, so a test looks at
 * memory: it must be unchanged, and the device must work again right after.
 */
#include <sys/eventfd.h>

#include "kselftest_harness.h"
#include "../../../lib/fdpass.h"
#include "../lib/edu.h"
#include "../lib/fail_nth.h"
#include "../lib/iommufd.h"

/* Within the 28 bits of the device */
#define BASE	0x1000000UL

static struct edu {
	char path[PATH_MAX];
	char bdf[PATH_MAX];
	int fd;			/* iommufd */
	int dev;		/* device */
	__u32 devid;
	__u32 ioas;
	void *bar;
	size_t ps;
	char *buf;		/* two pages: to the device and back */
} edu;

PCI_BORROW(edu, pci_is_edu)
PCI_BORROW(testdev, pci_is_testdev)

/* The device is open, and there is an IOAS */
FIXTURE(opened)
{
	long pinned;
};

FIXTURE_SETUP(opened)
{
	edu.fd = -1;
	edu.dev = -1;
	edu.bar = NULL;
	edu.ps = page_size();
	self->pinned = pages_pinned();
	if (!pci_find_cdev(pci_is_edu, edu.path))
		SKIP(return, "there is no edu, or vfio-pci cannot have it");
	ASSERT_EQ(0, cdev_bdf(edu.path, edu.bdf));
	edu.fd = iommufd_open();
	ASSERT_LE(0, edu.fd);
	edu.dev = cdev_open_path(edu.path);
	ASSERT_LE(0, edu.dev) {
		TH_LOG("%s: errno %d", edu.path, -edu.dev);
	}
	edu.buf = mem_shared(2 * edu.ps);
	ASSERT_NE(MAP_FAILED, edu.buf);
	memset(edu.buf, 0x11, edu.ps);
	memset(edu.buf + edu.ps, 0x22, edu.ps);
	ASSERT_EQ(0, ioas_alloc(edu.fd, &edu.ioas));
}

static void edu_close(void)
{
	/* A mapping of the BAR keeps the device open */
	if (edu.bar)
		munmap(edu.bar, EDU_BAR_SIZE);
	if (edu.dev >= 0)
		close(edu.dev);
	if (edu.fd >= 0)
		close(edu.fd);
}

FIXTURE_TEARDOWN(opened)
{
	edu_close();
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* As before, and the device is bound, attached to the IOAS, and running */
FIXTURE(attached)
{
	FIXTURE_DATA(opened) opened;
	long pinned;
};

FIXTURE_SETUP(attached)
{
	opened_setup(_metadata, &self->opened, NULL);
	self->pinned = self->opened.pinned;
	if (edu.dev < 0)
		return;
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	ASSERT_EQ(0, edu_start(edu.dev, &edu.bar));
}

FIXTURE_TEARDOWN(attached)
{
	edu_close();
	EXPECT_EQ(self->pinned, pages_pinned());
}

#define MAP_AT(va, length, iova) \
	ioas_map_at(edu.fd, edu.ioas, va, length, iova)
#define UNMAP(iova, length) \
	ioas_unmap(edu.fd, edu.ioas, iova, length)

/* DMA that the IOMMU stops, at least in part */
#define FAULTING(dma)	DMA_FAULTS_OF(edu.bdf, dma)

/* Fill the device's memory with @c, by way of a page mapped for that */
static int edu_fill(unsigned char c)
{
	const __u64 iova = EDU_IOVA_END - edu.ps;
	char *page = mem_shared(edu.ps);
	int rc;

	if (page == MAP_FAILED)
		return -ENOMEM;
	memset(page, c, edu.ps);
	rc = MAP_AT(page, edu.ps, iova);
	if (rc)
		return rc;
	rc = edu_from_mem(edu.bar, iova, 0, EDU_MAX_DMA);
	if (rc)
		return rc;
	munmap(page, edu.ps);
	return UNMAP(iova, edu.ps);
}

static bool all_are(const char *p, unsigned char c, size_t len)
{
	size_t i;

	for (i = 0; i != len; i++)
		if ((unsigned char)p[i] != c)
			return false;
	return true;
}

/* Bind */

TEST_F(opened, nothing_before_bind)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	char c;

	EXPECT_EQ(-EINVAL, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(-EINVAL, cdev_detach(edu.dev));
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_GET_REGION_INFO,
				&region));
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-1, pread(edu.dev, &c, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(edu.dev, &c, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, edu.ps, PROT_READ, MAP_SHARED,
				   edu.dev, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(opened, bind_foreign_fd)
{
	int efd = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR);

	ASSERT_LE(0, efd);
	ASSERT_LE(0, null);
	EXPECT_EQ(-EBADFD, cdev_bind(edu.dev, efd, &edu.devid));
	EXPECT_EQ(-EBADFD, cdev_bind(edu.dev, null, &edu.devid));
	EXPECT_EQ(-EBADFD, cdev_bind(edu.dev, edu.dev, &edu.devid));
	EXPECT_EQ(-EBADF, cdev_bind(edu.dev, 1000, &edu.devid));
	EXPECT_EQ(-EINVAL, cdev_bind(edu.dev, -1, &edu.devid));
	/* Nothing of it sticks */
	EXPECT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	EXPECT_NE(0U, edu.devid);
	close(efd);
	close(null);
}

TEST_F(opened, bind_bad_args)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = 1U << 31,
		.iommufd = edu.fd,
	};

	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	cmd.flags = 0;
	cmd.argsz = sizeof(cmd) - 1;
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	cmd.argsz = 0;
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	EXPECT_EQ(-EFAULT, call(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
}

TEST_F(attached, bind_twice)
{
	int other = iommufd_open(), second;
	__u32 devid;

	ASSERT_LE(0, other);
	EXPECT_EQ(-EINVAL, cdev_bind(edu.dev, edu.fd, &devid));
	EXPECT_EQ(-EINVAL, cdev_bind(edu.dev, other, &devid));
	/* The same device, opened once more */
	second = cdev_open_path(edu.path);
	ASSERT_LE(0, second);
	EXPECT_GT(0, cdev_bind(second, edu.fd, &devid));
	EXPECT_GT(0, cdev_bind(second, other, &devid));
	close(second);
	/* The first owner does not notice */
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(ctx_is_empty(other));
	close(other);
}

TEST_F(opened, bind_again_after_close)
{
	int i;

	for (i = 0; i != 20; i++) {
		ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
		ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
		ASSERT_EQ(0, close(edu.dev));
		edu.dev = cdev_open_path(edu.path);
		ASSERT_LE(0, edu.dev);
		EXPECT_EQ(-ENOENT, obj_destroy(edu.fd, edu.devid));
	}
	EXPECT_EQ(0, obj_destroy(edu.fd, edu.ioas));
	EXPECT_TRUE(ctx_is_empty(edu.fd));
}

TEST_F(attached, bound_device_is_busy)
{
	EXPECT_EQ(-EBUSY, obj_destroy(edu.fd, edu.devid));
	EXPECT_EQ(-EBUSY, obj_destroy(edu.fd, edu.ioas));
	ASSERT_EQ(0, cdev_detach(edu.dev));
	EXPECT_EQ(-EBUSY, obj_destroy(edu.fd, edu.devid));
	EXPECT_EQ(0, obj_destroy(edu.fd, edu.ioas));
}

TEST_F(attached, hw_info)
{
	struct iommu_hw_info info;
	char data[64];

	memset(data, 0xff, sizeof(data));
	ASSERT_EQ(0, get_hw_info(edu.fd, edu.devid, data, sizeof(data),
				 &info));
	/* As long as it says, and zero behind that */
	EXPECT_GE(sizeof(data), info.data_len);
	EXPECT_EQ(info.out_data_type == IOMMU_HW_INFO_TYPE_NONE,
		  info.data_len == 0);
	EXPECT_TRUE(all_are(data + info.data_len, 0,
			    sizeof(data) - info.data_len));
	/* a conventional device */
	EXPECT_EQ(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, info.out_capabilities &
		  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	if (info.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD) {
		struct iommu_hw_info_vtd vtd;

		memcpy(&vtd, data, sizeof(vtd));
		EXPECT_EQ(sizeof(vtd), info.data_len);
		EXPECT_NE(0, vtd.cap_reg);
	}
}

/* A type that is asked for is there or is refused, whether or not there is one */
TEST_F(attached, hw_info_type)
{
	struct iommu_hw_info info;
	__u32 type;

	ASSERT_EQ(0, get_hw_info(edu.fd, edu.devid, NULL, 0, &info));
	type = info.out_data_type;
	info = (struct iommu_hw_info){
		.size = sizeof(info),
		.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
		.dev_id = edu.devid,
		.in_data_type = 0x12345,
	};
	EXPECT_EQ(-EOPNOTSUPP, call(edu.fd, IOMMU_GET_HW_INFO, &info));
	info.in_data_type = type;
	info.data_len = 0;
	ASSERT_EQ(0, call(edu.fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(type, info.out_data_type);
	if (type != IOMMU_HW_INFO_TYPE_NONE)
		return;
	info.in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	EXPECT_EQ(-EOPNOTSUPP, call(edu.fd, IOMMU_GET_HW_INFO, &info));
}

/* Attach */

TEST_F(opened, attach_bad)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = 1U << 31,
		.pt_id = edu.ioas,
	};
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
		.flags = 1U << 31,
	};

	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&cmd));
	cmd.flags = 0;
	cmd.argsz = 8;
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&cmd));
	EXPECT_EQ(-EINVAL, call(edu.dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				&detach));
	EXPECT_EQ(-ENOENT, cdev_attach_to(edu.dev, 0));
	EXPECT_EQ(-ENOENT, cdev_attach_to(edu.dev, UINT32_MAX));
	EXPECT_EQ(-EINVAL, cdev_attach_to(edu.dev, edu.devid));
	/* Detached as it is, it can be detached again */
	EXPECT_EQ(0, cdev_detach(edu.dev));
	EXPECT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(0, cdev_detach(edu.dev));
	EXPECT_EQ(0, cdev_detach(edu.dev));
}

TEST_F(attached, attach_tells_table)
{
	__u32 pt = edu.ioas, again = edu.ioas;

	ASSERT_EQ(0, cdev_attach(edu.dev, &pt));
	EXPECT_NE(edu.ioas, pt);
	EXPECT_EQ(-EBUSY, obj_destroy(edu.fd, pt));
	/* To the same once more, and to the table itself */
	ASSERT_EQ(0, cdev_attach(edu.dev, &again));
	EXPECT_EQ(pt, again);
	ASSERT_EQ(0, cdev_attach(edu.dev, &pt));
	EXPECT_EQ(again, pt);
	ASSERT_EQ(0, cdev_detach(edu.dev));
	EXPECT_EQ(-ENOENT, obj_destroy(edu.fd, pt));
}

TEST_F(attached, attach_takes_reserved_iova)
{
	struct iommu_iova_range ranges[64];
	__u32 num = ARRAY_SIZE(ranges), i;
	__u64 alignment;

	ASSERT_EQ(0, ioas_iova_ranges(edu.fd, edu.ioas, ranges, &num,
				      &alignment));
	EXPECT_EQ(edu.ps, alignment);
	for (i = 0; i != num; i++) {
		EXPECT_LT(ranges[i].start, ranges[i].last);
		if (i)
			EXPECT_LT(ranges[i - 1].last, ranges[i].start);
		/* The window of interrupt messages is no memory */
		EXPECT_TRUE(ranges[i].last < MSI_WINDOW ||
			    ranges[i].start > MSI_WINDOW + 0xfffff);
	}
	/* Few IOMMUs have all 64 address bits */
	if (ranges[num - 1].last != UINT64_MAX)
		EXPECT_EQ(-EINVAL, MAP_AT(edu.buf, edu.ps,
					  UINT64_MAX - edu.ps + 1));
	EXPECT_EQ(-EINVAL, MAP_AT(edu.buf, edu.ps, MSI_WINDOW));
	EXPECT_EQ(-EINVAL, MAP_AT(edu.buf, 2 * edu.ps, MSI_WINDOW - edu.ps));
	ASSERT_EQ(0, cdev_detach(edu.dev));
	num = ARRAY_SIZE(ranges);
	ASSERT_EQ(0, ioas_iova_ranges(edu.fd, edu.ioas, ranges, &num,
				      NULL));
	EXPECT_EQ(1, num);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
}

TEST_F(opened, attach_where_msi_window_is_used)
{
	struct iommu_iova_range range = { MSI_WINDOW, MSI_WINDOW + edu.ps - 1 };

	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, MSI_WINDOW));
	EXPECT_EQ(-EADDRINUSE, cdev_attach_to(edu.dev, edu.ioas));
	ASSERT_EQ(0, UNMAP(MSI_WINDOW, edu.ps));
	ASSERT_EQ(0, ioas_allow_iovas(edu.fd, edu.ioas, &range, 1));
	EXPECT_EQ(-EADDRINUSE, cdev_attach_to(edu.dev, edu.ioas));
	ASSERT_EQ(0, ioas_allow_iovas(edu.fd, edu.ioas, NULL, 0));
	EXPECT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
}

TEST_F(opened, attach_bad_memory)
{
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
	ASSERT_EQ(0, munmap(edu.buf + edu.ps, edu.ps));
	EXPECT_EQ(-EFAULT, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(self->pinned, pages_pinned());
	EXPECT_EQ(0, UNMAP(BASE, 2 * edu.ps));
	EXPECT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
}

TEST_F(attached, hwpt)
{
	__u32 hwpt, pt;

	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, hwpt_alloc(edu.fd, edu.devid, edu.ioas, 0, &hwpt));
	pt = hwpt;
	ASSERT_EQ(0, cdev_attach(edu.dev, &pt));
	EXPECT_EQ(hwpt, pt);
	ASSERT_EQ(0, edu_fill(0x33));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 256));
	EXPECT_TRUE(all_are(edu.buf, 0x33, 256));
	EXPECT_EQ(-EBUSY, obj_destroy(edu.fd, hwpt));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(0, obj_destroy(edu.fd, hwpt));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 512));
	EXPECT_TRUE(all_are(edu.buf, 0x33, 512));
}

/* DMA */

TEST_F(attached, dma_round_trip)
{
	unsigned int i;

	for (i = 0; i != EDU_MAX_DMA; i++)
		edu.buf[i] = i * 31 + i / 256;
	ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, EDU_MAX_DMA));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, EDU_MAX_DMA));
	EXPECT_EQ(0, memcmp(edu.buf, edu.buf + edu.ps, EDU_MAX_DMA));
	EXPECT_TRUE(all_are(edu.buf + edu.ps + EDU_MAX_DMA, 0x22,
			    edu.ps - EDU_MAX_DMA));
	/* Across the border of two pages */
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps - 100, 0, 200));
	EXPECT_EQ(0, memcmp(edu.buf + edu.ps - 100, edu.buf, 200));
	EXPECT_LT(self->pinned, pages_pinned());
}

TEST_F(attached, dma_chosen_iova)
{
	struct iommu_iova_range range = { BASE, EDU_IOVA_END / 2 - 1 };
	__u64 iova;

	/* The kernel does not know how far the device reaches; the list says */
	ASSERT_EQ(0, ioas_allow_iovas(edu.fd, edu.ioas, &range, 1));
	ASSERT_EQ(0, ioas_map(edu.fd, edu.ioas, edu.buf, edu.ps, &iova,
			      MAP_RW));
	EXPECT_LE(range.start, iova);
	EXPECT_GE(range.last, iova);
	ASSERT_EQ(0, edu_fill(0x44));
	ASSERT_EQ(0, edu_to_mem(edu.bar, iova + 16, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x11, 16));
	EXPECT_TRUE(all_are(edu.buf + 16, 0x44, 64));
	EXPECT_TRUE(all_are(edu.buf + 80, 0x11, edu.ps - 80));
}

TEST_F(opened, dma_after_attach)
{
	/* Mapped first, attached later */
	ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	EXPECT_EQ(self->pinned, pages_pinned());
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(self->pinned + 2, pages_pinned());
	ASSERT_EQ(0, edu_start(edu.dev, &edu.bar));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, 512));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 512));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x11, 512));
}

TEST_F(attached, dma_after_unmap)
{
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 16));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 16));
	ASSERT_EQ(0, UNMAP(BASE, edu.ps));
	memset(edu.buf, 0x11, edu.ps);
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, BASE, 0, EDU_MAX_DMA)));
	EXPECT_TRUE(all_are(edu.buf, 0x11, edu.ps));
	/* Never mapped */
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, BASE + 0x100000, 0, 64)));
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, 0, 0, 64)));
	/* And all is well afterwards */
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x66));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x66, 64));
}

TEST_F(attached, dma_read_after_unmap)
{
	/* A secret that was mapped once is not read later */
	memset(edu.buf, 0x77, edu.ps);
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, MAP_AT(edu.buf + edu.ps, edu.ps, BASE + edu.ps));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, 64));
	ASSERT_EQ(0, UNMAP(BASE, edu.ps));
	ASSERT_EQ(0, edu_fill(0));
	ASSERT_EQ(0, FAULTING(edu_from_mem(edu.bar, BASE, 0, 64)));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 64));
	EXPECT_FALSE(all_are(edu.buf + edu.ps, 0x77, 64));
}

TEST_F(attached, dma_read_only)
{
	__u64 iova = BASE;

	ASSERT_EQ(0, ioas_map(edu.fd, edu.ioas, edu.buf, edu.ps, &iova,
			      MAP_FIXED_RO));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, BASE, 0, EDU_MAX_DMA)));
	EXPECT_TRUE(all_are(edu.buf, 0x11, edu.ps));
	/* It can be read */
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, 64));
	ASSERT_EQ(0, MAP_AT(edu.buf + edu.ps, edu.ps, BASE + edu.ps));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 64));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x11, 64));
}

TEST_F(attached, dma_beyond_mapping)
{
	/* The page behind the mapping is not reached by a copy over its end */
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, BASE + edu.ps - 64, 0, 128)));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x22, edu.ps));
}

TEST_F(attached, dma_mapped_twice)
{
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE + edu.ps));
	ASSERT_EQ(0, UNMAP(BASE, edu.ps));
	ASSERT_EQ(0, edu_fill(0x55));
	/* The one that is left works, the other does not */
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, BASE, 0, 64)));
	EXPECT_TRUE(all_are(edu.buf, 0x11, edu.ps));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
	EXPECT_EQ(self->pinned + 1, pages_pinned());
}

TEST_F(attached, dma_copy)
{
	__u32 other;

	/* A copy from an IOAS without a device, which then goes away */
	ASSERT_EQ(0, ioas_alloc(edu.fd, &other));
	ASSERT_EQ(0, ioas_map_at(edu.fd, other, edu.buf, 2 * edu.ps, 0));
	ASSERT_EQ(0, ioas_copy_at(edu.fd, edu.ioas, BASE, other, 0,
				  edu.ps));
	ASSERT_EQ(0, ioas_copy_at(edu.fd, edu.ioas, BASE + edu.ps, other,
				  0, 2 * edu.ps));
	EXPECT_EQ(self->pinned + 2, pages_pinned());
	ASSERT_EQ(0, obj_destroy(edu.fd, other));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + 2 * edu.ps, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x55, 64));
	ASSERT_EQ(0, UNMAP(BASE, edu.ps));
	EXPECT_EQ(self->pinned + 2, pages_pinned());
	ASSERT_EQ(0, UNMAP(BASE + edu.ps, 2 * edu.ps));
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(attached, dma_after_munmap)
{
	char *other;

	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, munmap(edu.buf, edu.ps));
	other = mmap(edu.buf, edu.ps, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(edu.buf, other);
	memset(other, 0x33, edu.ps);
	/* It goes to the old page, wherever that is */
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, EDU_MAX_DMA));
	EXPECT_TRUE(all_are(other, 0x33, edu.ps));
}

TEST_F(attached, dma_while_detached)
{
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, cdev_detach(edu.dev));
	EXPECT_EQ(self->pinned, pages_pinned());
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, BASE, 0, EDU_MAX_DMA)));
	EXPECT_TRUE(all_are(edu.buf, 0x11, edu.ps));
	/* Also not to the physical address of the same number */
	ASSERT_EQ(0, FAULTING(edu_to_mem(edu.bar, 0x9000000, 0, 8)));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(self->pinned + 1, pages_pinned());
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
}

TEST_F(attached, dma_replace)
{
	__u32 other;

	/* The same IOVA leads elsewhere in another IOAS */
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, ioas_alloc(edu.fd, &other));
	ASSERT_EQ(0, ioas_map_at(edu.fd, other, edu.buf + edu.ps,
				 edu.ps, BASE));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, other));
	EXPECT_EQ(self->pinned + 1, pages_pinned());
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x11, edu.ps));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x55, 64));
	EXPECT_EQ(0, obj_destroy(edu.fd, edu.ioas));

	/* Where that fails, it stays */
	ASSERT_EQ(0, ioas_alloc(edu.fd, &edu.ioas));
	ASSERT_EQ(0, MAP_AT(mem_before_hole(edu.ps), 2 * edu.ps, BASE));
	EXPECT_EQ(-EFAULT, cdev_attach_to(edu.dev, edu.ioas));
	memset(edu.buf + edu.ps, 0x22, edu.ps);
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x55, 64));
	EXPECT_EQ(0, obj_destroy(edu.fd, edu.ioas));
}

TEST_F(attached, dma_memfd)
{
	int memfd = memfd_new(4 * edu.ps, 0);
	char got[64];

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, ioas_map_file_at(edu.fd, edu.ioas, memfd, edu.ps,
				      2 * edu.ps, BASE));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 64));
	ASSERT_EQ(64, pread(memfd, got, 64, 2 * edu.ps));
	EXPECT_TRUE(all_are(got, 0x55, 64));
	ASSERT_EQ(0, UNMAP(BASE, 2 * edu.ps));
	close(memfd);
}

TEST_F(attached, dma_huge_page)
{
	char *mem = mem_thp(2 * SZ_2M);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, MAP_AT(mem, 2 * SZ_2M, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + SZ_2M - 32, 0, 64));
	EXPECT_TRUE(all_are(mem, 0x5a, SZ_2M - 32));
	EXPECT_TRUE(all_are(mem + SZ_2M - 32, 0x55, 64));
	EXPECT_TRUE(all_are(mem + SZ_2M + 32, 0x5a, SZ_2M - 32));
	ASSERT_EQ(0, UNMAP(BASE, 2 * SZ_2M));
	EXPECT_EQ(self->pinned, pages_pinned());
}

/* Processes */

TEST_F(attached, fork)
{
	char *mem = mem_private(edu.ps);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 0x11, edu.ps);
	ASSERT_EQ(0, MAP_AT(mem, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	pid = fork();
	if (!pid) {
		memset(mem, 0x66, edu.ps);
		CHILD_CHECK(!edu_to_mem(edu.bar, BASE, 0, 64));
		/* DMA goes to the parent's page */
		CHILD_CHECK(all_are(mem, 0x66, edu.ps));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_TRUE(all_are(mem, 0x55, 64));
	/* Also when the parent writes first */
	mem[100] = 0x12;
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + 128, 0, 64));
	EXPECT_TRUE(all_are(mem + 128, 0x55, 64));
}

TEST_F(opened, killed_with_everything)
{
	int sock;
	pid_t pid;

	ASSERT_EQ(0, close(edu.dev));
	edu.dev = -1;
	pid = fork_with_socket(&sock);
	if (!pid) {
		int fd = iommufd_open(), dev = cdev_open_path(edu.path);
		char *mem = mem_private(1 << 20);
		void *bar;
		__u32 ioas, devid;
		int i;

		CHILD_CHECK(fd >= 0 && dev >= 0 && mem != MAP_FAILED);
		CHILD_CHECK(!ioas_alloc(fd, &ioas));
		CHILD_CHECK(!cdev_bind(dev, fd, &devid));
		CHILD_CHECK(!cdev_attach_to(dev, ioas));
		CHILD_CHECK(!edu_start(dev, &bar));
		for (i = 0; i != 8; i++)
			CHILD_CHECK(!ioas_map_at(fd, ioas, mem, 1 << 20,
						 BASE + i * (1 << 20)));
		/* And in the middle of a copy */
		edu_dma_begin(bar, EDU_BUFFER, BASE, EDU_MAX_DMA,
			      EDU_DMA_TO_MEM);
		sync_tell(sock);
		pause();
		_exit(1);
	}
	sync_wait(sock);
	EXPECT_LT(self->pinned, pages_pinned());
	dma_faults_say(edu.bdf, "begin");
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, wait_child(pid));
	EXPECT_EQ(self->pinned, pages_pinned());
	/* The device is free for the next one, and works */
	edu.dev = cdev_open_path(edu.path);
	dma_faults_say(edu.bdf, "end");
	ASSERT_LE(0, edu.dev);
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	ASSERT_EQ(0, edu_start(edu.dev, &edu.bar));
	ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, 64));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 64));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x11, 64));
}

TEST_F(opened, mapper_and_driver_are_two_processes)
{
	int sock;
	pid_t pid;

	pid = fork_with_socket(&sock);
	if (!pid) {
		/* This one has the memory and never touches the device */
		char *mem = mem_private(edu.ps);
		__u32 ioas;
		int fd;

		close(edu.dev);
		close(edu.fd);
		CHILD_CHECK(mem != MAP_FAILED);
		memset(mem, 0x11, edu.ps);
		fd = iommufd_open();
		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(!ioas_alloc(fd, &ioas));
		CHILD_CHECK(!ioas_map_at(fd, ioas, mem, edu.ps, BASE));
		CHILD_CHECK(!fds_send(sock, &fd, 1));
		CHILD_CHECK(write(sock, &ioas, sizeof(ioas)) == sizeof(ioas));
		CHILD_CHECK(!close(fd));
		sync_wait(sock);
		CHILD_CHECK(all_are(mem, 0x11, 64));
		CHILD_CHECK(all_are(mem + 64, 0x66, 64));
		CHILD_CHECK(all_are(mem + 128, 0x11, edu.ps - 128));
		_exit(0);
	}
	close(edu.fd);
	ASSERT_EQ(0, fds_receive(sock, &edu.fd, 1));
	ASSERT_EQ(sizeof(edu.ioas), read(sock, &edu.ioas, sizeof(edu.ioas)));
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	EXPECT_EQ(self->pinned + 1, pages_pinned());
	ASSERT_EQ(0, edu_start(edu.dev, &edu.bar));
	ASSERT_EQ(0, edu_fill(0x66));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + 64, 0, 64));
	sync_tell(sock);
	EXPECT_EQ(0, wait_child(pid));
	/* The memory's owner is gone, the page is there */
	EXPECT_EQ(self->pinned + 1, pages_pinned());
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE + edu.ps));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE + 64, 0, 32));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 32));
	EXPECT_TRUE(all_are(edu.buf, 0x66, 32));
	ASSERT_EQ(0, UNMAP(BASE, edu.ps));
}

TEST_F(opened, device_passed_over_socket)
{
	int sock, fds[2];
	pid_t pid;

	ASSERT_EQ(0, close(edu.dev));
	ASSERT_EQ(0, close(edu.fd));
	edu.dev = -1;
	edu.fd = -1;
	/* A launcher opens and binds, and is gone before the device is used */
	pid = fork_with_socket(&sock);
	if (!pid) {
		__u32 devid;

		fds[0] = iommufd_open();
		fds[1] = cdev_open_path(edu.path);
		CHILD_CHECK(fds[0] >= 0 && fds[1] >= 0);
		CHILD_CHECK(!cdev_bind(fds[1], fds[0], &devid));
		CHILD_CHECK(!fds_send(sock, fds, 2));
		_exit(0);
	}
	ASSERT_EQ(0, fds_receive(sock, fds, 2));
	EXPECT_EQ(0, wait_child(pid));
	edu.fd = fds[0];
	edu.dev = fds[1];
	ASSERT_EQ(0, ioas_alloc(edu.fd, &edu.ioas));
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	ASSERT_EQ(0, edu_start(edu.dev, &edu.bar));
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
}

/* Files closed in every order */

TEST_F(attached, close_iommufd_first)
{
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, close(edu.fd));
	edu.fd = -1;
	/* The device holds the context, DMA goes on */
	EXPECT_EQ(self->pinned + 1, pages_pinned());
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
	EXPECT_EQ(0, cdev_detach(edu.dev));
	EXPECT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
}

TEST_F(attached, close_device_first)
{
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, munmap(edu.bar, EDU_BAR_SIZE));
	edu.bar = NULL;
	ASSERT_EQ(0, close(edu.dev));
	edu.dev = -1;
	EXPECT_EQ(self->pinned, pages_pinned());
	EXPECT_EQ(-ENOENT, obj_destroy(edu.fd, edu.devid));
	EXPECT_EQ(0, UNMAP(BASE, edu.ps));
	EXPECT_EQ(0, obj_destroy(edu.fd, edu.ioas));
	EXPECT_TRUE(ctx_is_empty(edu.fd));
}

TEST_F(attached, close_while_bar_is_mapped)
{
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, edu_fill(0x55));
	/* The mapping of the BAR is the last that holds it all */
	ASSERT_EQ(0, close(edu.dev));
	ASSERT_EQ(0, close(edu.fd));
	edu.dev = -1;
	edu.fd = -1;
	EXPECT_EQ(self->pinned + 1, pages_pinned());
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
}

TEST_F(opened, close_without_bind)
{
	ASSERT_EQ(0, close(edu.dev));
	edu.dev = cdev_open_path(edu.path);
	ASSERT_LE(0, edu.dev);
	ASSERT_EQ(0, close(edu.fd));
	edu.fd = -1;
}

TEST_F(opened, close_bound_only)
{
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, close(edu.fd));
	ASSERT_EQ(0, close(edu.dev));
	edu.fd = iommufd_open();
	ASSERT_LE(0, edu.fd);
	edu.dev = cdev_open_path(edu.path);
	ASSERT_LE(0, edu.dev);
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
}

/* Locked memory */

TEST_F(attached, memlock)
{
	const size_t limit = 64 * edu.ps;
	char *mem = mem_shared(2 * limit);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(MAP_AT(mem, limit + edu.ps, BASE) == -ENOMEM);
		CHILD_CHECK(pages_pinned() == self->pinned);
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		CHILD_CHECK(MAP_AT(mem, edu.ps, BASE + limit) == -ENOMEM);
		CHILD_CHECK(!UNMAP(BASE, limit));
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, UNMAP(BASE, limit));
	EXPECT_EQ(self->pinned, pages_pinned());
}

TEST_F(opened, memlock_at_attach)
{
	const size_t limit = 64 * edu.ps;
	char *mem = mem_shared(2 * limit);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	pid = fork();
	if (!pid) {
		CHILD_CHECK(!drop_privilege(limit));
		CHILD_CHECK(!MAP_AT(mem, 2 * limit, BASE));
		CHILD_CHECK(cdev_attach_to(edu.dev, edu.ioas) == -ENOMEM);
		CHILD_CHECK(!UNMAP(BASE, 2 * limit));
		CHILD_CHECK(!MAP_AT(mem, limit, BASE));
		CHILD_CHECK(!cdev_attach_to(edu.dev, edu.ioas));
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(self->pinned + 64, pages_pinned());
}

/* A failing allocation at every step */

/*
 * To enable a device with an interrupt pin the kernel runs ACPI methods, and
 * ACPICA does not survive a failed allocation. So this takes one without.
 */
TEST_F(opened, fail_bind)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	char path[PATH_MAX];
	__u32 devid;
	int rc, dev;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	if (!pci_find_cdev(pci_is_without_intx, path))
		SKIP(return, "no device without INTx is bound to vfio-pci");
	while (fail_nth_next(&nth)) {
		dev = cdev_open_path(path);
		ASSERT_LE(0, dev);
		rc = fail_nth_run(&nth, cdev_bind(dev, edu.fd, &devid));
		EXPECT_FAIL_NTH(&nth, rc);
		if (rc) {
			/* It can be tried again on the same file */
			ASSERT_EQ(0, cdev_bind(dev, edu.fd, &devid)) {
				TH_LOG("after round %u", nth.n);
			}
		}
		ASSERT_EQ(0, close(dev));
	}
	EXPECT_SWEPT(&nth);
	ASSERT_EQ(0, obj_destroy(edu.fd, edu.ioas));
	EXPECT_TRUE(ctx_is_empty(edu.fd));
}

TEST_F(opened, fail_attach)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_EQ(0, cdev_bind(edu.dev, edu.fd, &edu.devid));
	ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, cdev_attach_to(edu.dev, edu.ioas));
		EXPECT_FAIL_NTH(&nth, rc);
		EXPECT_EQ(rc ? self->pinned : self->pinned + 2,
			  pages_pinned()) {
			TH_LOG("round %u", nth.n);
		}
		EXPECT_EQ(0, cdev_detach(edu.dev));
		ASSERT_EQ(self->pinned, pages_pinned());
	}
	EXPECT_SWEPT(&nth);
	ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	ASSERT_EQ(0, edu_start(edu.dev, &edu.bar));
	ASSERT_EQ(0, edu_from_mem(edu.bar, BASE, 0, 64));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE + edu.ps, 0, 64));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x11, 64));
}

TEST_F(attached, fail_replace)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	__u32 other;
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_EQ(0, MAP_AT(edu.buf, edu.ps, BASE));
	ASSERT_EQ(0, ioas_alloc(edu.fd, &other));
	ASSERT_EQ(0, ioas_map_at(edu.fd, other, edu.buf + edu.ps,
				 edu.ps, BASE));
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, cdev_attach_to(edu.dev, other));
		EXPECT_FAIL_NTH(&nth, rc);
		EXPECT_EQ(self->pinned + 1, pages_pinned());
		ASSERT_EQ(0, cdev_attach_to(edu.dev, edu.ioas));
	}
	EXPECT_SWEPT(&nth);
	ASSERT_EQ(0, edu_fill(0x55));
	ASSERT_EQ(0, edu_to_mem(edu.bar, BASE, 0, 64));
	EXPECT_TRUE(all_are(edu.buf, 0x55, 64));
	EXPECT_TRUE(all_are(edu.buf + edu.ps, 0x22, edu.ps));
}

TEST_F(attached, fail_map)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	char *mem = mem_private(1 << 20);
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, 1 << 20);
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, MAP_AT(mem, 1 << 20, BASE));
		EXPECT_FAIL_NTH(&nth, rc);
		EXPECT_EQ(rc ? -ENOENT : 0, UNMAP(BASE, 1 << 20));
		ASSERT_EQ(self->pinned, pages_pinned()) {
			TH_LOG("round %u leaks", nth.n);
		}
	}
	EXPECT_SWEPT(&nth);
}

TEST_F(attached, fail_copy)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
	while (fail_nth_next(&nth)) {
		rc = fail_nth_run(&nth, ioas_copy_at(edu.fd, edu.ioas,
						     BASE + 0x100000,
						     edu.ioas, BASE,
						     2 * edu.ps));
		EXPECT_FAIL_NTH(&nth, rc);
		EXPECT_EQ(rc ? -ENOENT : 0,
			  UNMAP(BASE + 0x100000, 2 * edu.ps));
		ASSERT_EQ(self->pinned + 2, pages_pinned());
	}
	EXPECT_SWEPT(&nth);
}

/* Nothing that unmap needs can fail, but for the copies of its argument */
TEST_F(attached, fail_unmap)
{
	struct fail_nth nth;
	const char *why = fail_nth_init(&nth);
	int rc;

	if (why)
		SKIP(return, "no fault injection: %s", why);
	while (fail_nth_next(&nth)) {
		ASSERT_EQ(0, MAP_AT(edu.buf, 2 * edu.ps, BASE));
		rc = fail_nth_run(&nth, UNMAP(BASE, 2 * edu.ps));
		EXPECT_TRUE(rc == 0 || rc == -EFAULT) {
			TH_LOG("round %u: %d", nth.n, rc);
		}
		if (rc)
			UNMAP(BASE, 2 * edu.ps);
		ASSERT_EQ(self->pinned, pages_pinned());
	}
	EXPECT_FALSE(nth.injected);
}

TEST_HARNESS_MAIN
