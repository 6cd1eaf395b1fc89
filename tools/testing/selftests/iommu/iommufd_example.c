// SPDX-License-Identifier: GPL-2.0-only
/*
 * The example of Documentation/userspace-api/iommufd.rst. It is a test as well:
 * what stands there compiles, runs and does what it says.
 *
 *	iommufd_example /dev/vfio/devices/vfio0
 *
 * As a test it has no argument and takes QEMU's edu device.
 */
#include "iommufd_example.h"

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

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int drive(const char *cdev)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct iommu_iova_range range = { 0x1000000, 0xfffffff };
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&range,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.length = 2 << 20,
	};
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap) };
	int iommufd, device;
	void *mem;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		return fail("/dev/iommu");
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
		return fail("IOMMU_IOAS_ALLOC");

	/* The device is ours after this, and blocked until it is attached */
	device = open(cdev, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return fail(cdev);
	bind.iommufd = iommufd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail("VFIO_DEVICE_BIND_IOMMUFD");
	attach.pt_id = alloc.out_ioas_id;
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT");

	/* A device with 28 address bits: the kernel shall choose below that */
	allow.ioas_id = alloc.out_ioas_id;
	if (ioctl(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &allow))
		return fail("IOMMU_IOAS_ALLOW_IOVAS");
	mem = mmap(NULL, map.length, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return fail("mmap");
	map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)mem;
	if (ioctl(iommufd, IOMMU_IOAS_MAP, &map))
		return fail("IOMMU_IOAS_MAP");
	printf("# device %u reaches %p at IOVA %#llx, by page table %u\n",
	       bind.out_devid, mem, (unsigned long long)map.iova,
	       attach.pt_id);

	/* ... tell the device to use map.iova, see linux/vfio.h ... */

	unmap.ioas_id = alloc.out_ioas_id;
	unmap.iova = map.iova;
	unmap.length = map.length;
	if (ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap))
		return fail("IOMMU_IOAS_UNMAP");
	/* Optional, as closing the files does all of it */
	close(device);
	close(iommufd);
	return 0;
}

/* [end] */

int main(int argc, char **argv)
{
	return example_main(argc, argv, pci_is_edu, "edu", drive);
}
