// SPDX-License-Identifier: GPL-2.0-only
/*
 * The example for page faults of Documentation/userspace-api/iommufd.rst, which is
 * a test as well:
 *
 *	iommufd_example_fault /dev/vfio/devices/vfio0
 *
 * As a test it has no argument and takes our pasid-testdev.
 */
#include "iommufd_example_device.h"

/* [begin] */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

/* Where the device may find something, and what it finds there in the end */
#define IOVA	0x12340000ull
#define PAGES	16
#define PAGE	4096
#define CONTENT	0x1122334455667788

#define PASID	6

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
 * Map the page that the device misses, if it is one of those that it may have. There
 * is one device with one PASID here; with several, dev_id and pasid of the fault say
 * which address space it is about, and perm what the device wants to do.
 */
static bool map_page(int iommufd, uint32_t ioas, char *mem, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.length = PAGE,
		.iova = iova,
	};

	if (iova < IOVA || iova >= IOVA + PAGES * PAGE)
		return false;
	map.user_va = (uintptr_t)mem + (iova - IOVA);
	/* Two requests may be for one page: then it is there already */
	return !ioctl(iommufd, IOMMU_IOAS_MAP, &map) || errno == EEXIST;
}

/*
 * Answer what there is. The device waits for an answer to each group of requests,
 * which is read as a whole; the buffer has to have room for one.
 */
static int serve(int faults, int iommufd, uint32_t ioas, char *mem)
{
	struct pollfd pfd = { .fd = faults, .events = POLLIN };
	struct iommu_hwpt_pgfault fault[64];
	bool good = true;
	int ready, i;
	ssize_t n;

	/* read() does not wait */
	ready = poll(&pfd, 1, 5000);
	if (ready < 0)
		return fail("poll");
	n = ready ? read(faults, fault, sizeof(fault)) : 0;
	if (n < 0)
		return fail("read");
	if (!n)
		fprintf(stderr, "no page request, or one of too many pages\n");
	for (i = 0; i < (int)(n / sizeof(fault[0])); i++) {
		struct iommu_hwpt_page_response response = {
			.cookie = fault[i].cookie,
		};

		printf("# device %u, PASID %u, group %u misses 0x%llx\n",
		       fault[i].dev_id, fault[i].pasid, fault[i].grpid,
		       (unsigned long long)fault[i].addr);
		good &= map_page(iommufd, ioas, mem, fault[i].addr);
		if (!(fault[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		/* The last of its group, and the answer is for all of it */
		response.code = good ? IOMMUFD_PAGE_RESP_SUCCESS :
				       IOMMUFD_PAGE_RESP_INVALID;
		/* EINVAL: a detach, for instance, has answered it meanwhile */
		if (write(faults, &response, sizeof(response)) < 0 &&
		    errno != EINVAL)
			return fail("write");
		good = true;
	}
	return 0;
}

static int drive(const char *cdev)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct attach_pasid attach_pasid = {
		.argsz = sizeof(attach_pasid),
		.flags = ATTACH_PASID,
		.pasid = PASID,
	};
	int iommufd, device, faults;
	uint64_t val;
	char *mem;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		return fail("/dev/iommu");
	device = open(cdev, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return fail(cdev);
	bind.iommufd = iommufd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail("VFIO_DEVICE_BIND_IOMMUFD");

	/* An address space with nothing in it, yet */
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas))
		return fail("IOMMU_IOAS_ALLOC");
	mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return fail("mmap");
	*(uint64_t *)(mem + 3 * PAGE) = CONTENT;

	/* The device itself, which on Linux 6.12 has no page faults with VT-d */
	hwpt.flags = IOMMU_HWPT_ALLOC_PASID;
	hwpt.dev_id = bind.out_devid;
	hwpt.pt_id = ioas.out_ioas_id;
	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &hwpt))
		return fail("IOMMU_HWPT_ALLOC");
	attach.pt_id = hwpt.out_hwpt_id;
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT");

	/* A queue, a hwpt whose faults go there, and the PASID that has them */
	if (ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &queue))
		return fail("IOMMU_FAULT_QUEUE_ALLOC");
	faults = queue.out_fault_fd;
	hwpt.flags |= IOMMU_HWPT_FAULT_ID_VALID;
	hwpt.fault_id = queue.out_fault_id;
	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &hwpt))
		return fail("IOMMU_HWPT_ALLOC with a fault queue");
	attach_pasid.pt_id = hwpt.out_hwpt_id;
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach_pasid))
		return fail("attach of a PASID");

	/* The device asks for a page that is not there, and waits ... */
	if (device_start(device) || device_request(PASID, IOVA + 3 * PAGE)) {
		fprintf(stderr, "%s: does not work\n", cdev);
		return 1;
	}
	/* ... a thread that only does this would serve it ... */
	if (serve(faults, iommufd, ioas.out_ioas_id, mem))
		return 1;
	/* ... and then it tries again */
	if (!device_was_answered() ||
	    device_read(PASID, IOVA + 3 * PAGE, &val) || val != CONTENT) {
		fprintf(stderr, "the page is still missing\n");
		return 1;
	}
	printf("# the device reads 0x%llx there\n", (unsigned long long)val);

	/* What is not answered then is answered by the kernel, as invalid */
	device_stop();
	close(faults);
	close(iommufd);
	return 0;
}

/* [end] */

int main(int argc, char **argv)
{
	return example_main(argc, argv, pci_is_pasid_testdev, "pasid-testdev",
			    drive);
}
