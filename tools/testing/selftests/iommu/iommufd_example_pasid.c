// SPDX-License-Identifier: GPL-2.0-only
/*
 * The example for PASIDs of Documentation/userspace-api/iommufd.rst, which is a
 * test as well:
 *
 *	iommufd_example_pasid /dev/vfio/devices/vfio0
 *
 * As a test it has no argument and takes our pasid-testdev.
 */
#include "iommufd_example_device.h"

/* [begin] */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

/*
 * The same address in all address spaces; the memory behind it differs. The length is a
 * multiple of out_iova_alignment of IOMMU_IOAS_IOVA_RANGES, which says 4096 here.
 */
#define IOVA	0x12340000
#define LENGTH	4096
#define SPACES	3

/* The attach ioctl with a PASID; headers before Linux 6.15 do not have it */
struct attach_pasid {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
	uint32_t pasid;
};

#define ATTACH_PASID	(1 << 0)

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

/*
 * An address space with @mem at IOVA, and a hwpt of it. Without the flag a hwpt
 * is for devices that use no PASID. The one that an attach to an IOAS makes is
 * of that kind, so it has to be made by hand.
 */
static int make_space(int iommufd, uint32_t devid, void *mem, uint32_t *hwpt_id)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)mem,
		.length = LENGTH,
		.iova = IOVA,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = devid,
	};

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas))
		return fail("IOMMU_IOAS_ALLOC");
	map.ioas_id = ioas.out_ioas_id;
	if (ioctl(iommufd, IOMMU_IOAS_MAP, &map))
		return fail("IOMMU_IOAS_MAP");
	hwpt.pt_id = ioas.out_ioas_id;
	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &hwpt))
		return fail("IOMMU_HWPT_ALLOC");
	*hwpt_id = hwpt.out_hwpt_id;
	return 0;
}

static int drive(const char *cdev)
{
	static const uint32_t pasid[SPACES] = { NO_PASID, 5, 9 };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct attach_pasid attach_pasid = {
		.argsz = sizeof(attach_pasid),
		.flags = ATTACH_PASID,
	};
	struct iommu_hw_info info = { .size = sizeof(info) };
	uint32_t hwpt[SPACES];
	uint64_t *mem, val;
	int iommufd, device, i;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		return fail("/dev/iommu");
	device = open(cdev, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return fail(cdev);
	bind.iommufd = iommufd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail("VFIO_DEVICE_BIND_IOMMUFD");

	/* As many as device, IOMMU and kernel have in common */
	info.dev_id = bind.out_devid;
	if (ioctl(iommufd, IOMMU_GET_HW_INFO, &info))
		return fail("IOMMU_GET_HW_INFO");
	if (1u << info.out_max_pasid_log2 <= pasid[SPACES - 1]) {
		fprintf(stderr, "%s: too few PASIDs\n", cdev);
		return 1;
	}

	mem = mmap(NULL, SPACES * LENGTH, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return fail("mmap");
	for (i = 0; i < SPACES; i++) {
		uint64_t *page = mem + i * LENGTH / sizeof(*mem);

		*page = 1000 + i;
		if (make_space(iommufd, bind.out_devid, page, &hwpt[i]))
			return 1;
	}

	/* The device itself: its requests without a PASID, and interrupts */
	attach.pt_id = hwpt[0];
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	/* What it asks for with a PASID that is not attached is refused */
	for (i = 1; i < SPACES; i++) {
		attach_pasid.pt_id = hwpt[i];
		attach_pasid.pasid = pasid[i];
		if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach_pasid))
			return fail("attach of a PASID");
	}

	/* How to make it use a PASID is the device's own affair */
	if (device_start(device)) {
		fprintf(stderr, "%s: does not work\n", cdev);
		return 1;
	}
	for (i = 0; i < SPACES; i++) {
		if (device_read(pasid[i], IOVA, &val) || val != 1000u + i) {
			fprintf(stderr, "PASID %d: wrong\n", (int)pasid[i]);
			return 1;
		}
		printf("# PASID %d: the device reads %llu at 0x%x\n",
		       (int)pasid[i], (unsigned long long)val, IOVA);
	}

	/*
	 * VFIO_DEVICE_DETACH_IOMMUFD_PT with VFIO_DEVICE_DETACH_PASID detaches one
	 * PASID and leaves the others alone. Closing the device's file detaches all.
	 */
	device_stop();
	close(iommufd);
	return 0;
}

/* [end] */

int main(int argc, char **argv)
{
	return example_main(argc, argv, pci_is_pasid_testdev, "pasid-testdev",
			    drive);
}
