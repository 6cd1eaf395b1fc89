// SPDX-License-Identifier: GPL-2.0-only
/*
 * The example for nested page tables of Documentation/userspace-api/iommufd.rst,
 * which is a test as well:
 *
 *	iommufd_example_nested /dev/vfio/devices/vfio0
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
 * The "guest" has 8 pages, at guest-physical address GPA. The first four are its page
 * table, one per level. IOVA is the address that the device uses.
 */
#define PAGE	4096
#define PAGES	8
#define GPA	0x40000000ull
#define IOVA	0x7000abcde000ull

/* In the extended capabilities of VT-d: it can nest */
#define ECAP_NEST	(1ull << 26)

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static uint64_t *guest_page(void *mem, unsigned int page)
{
	return (uint64_t *)((char *)mem + page * PAGE);
}

/*
 * Let IOVA lead to one of the guest's pages. The first stage of VT-d is a page
 * table of x86: present, writable, user. Its entries are guest addresses. Hardware may
 * be reading one, so that it is written at once.
 */
static void guest_maps(void *mem, unsigned int page)
{
	unsigned int level, shift = 39;
	uint64_t *table, entry;

	for (level = 0; level < 4; level++, shift -= 9) {
		table = guest_page(mem, level);
		entry = GPA + (level < 3 ? level + 1 : page) * PAGE;
		__atomic_store_n(table + (IOVA >> shift & 511),
				 entry | 1 | 2 | 4, __ATOMIC_RELEASE);
	}
}

static int drive(const char *cdev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct iommu_hw_info_vtd vtd = {};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.data_len = sizeof(vtd),
		.data_uptr = (uintptr_t)&vtd,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = PAGES * PAGE,
		.iova = GPA,
	};
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	};
	struct iommu_hwpt_vtd_s1 table = {
		.pgtbl_addr = GPA,
		.addr_width = 48,
	};
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(table),
		.data_uptr = (uintptr_t)&table,
	};
	struct iommu_hwpt_vtd_s1_invalidate entry = {
		.addr = IOVA,
		.npages = 1,
	};
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.data_uptr = (uintptr_t)&entry,
		.entry_len = sizeof(entry),
		.entry_num = 1,
	};
	int iommufd, device;
	uint64_t val;
	void *mem;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		return fail("/dev/iommu");
	device = open(cdev, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return fail(cdev);
	bind.iommufd = iommufd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail("VFIO_DEVICE_BIND_IOMMUFD");

	/* Which kind of page table the guest has to have: here VT-d's */
	info.dev_id = bind.out_devid;
	if (ioctl(iommufd, IOMMU_GET_HW_INFO, &info))
		return fail("IOMMU_GET_HW_INFO");
	if (info.out_data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD ||
	    !(vtd.ecap_reg & ECAP_NEST)) {
		fprintf(stderr, "%s: no VT-d that can nest\n", cdev);
		return 1;
	}

	/* The second stage: an IOAS from guest addresses to memory */
	mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return fail("mmap");
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas))
		return fail("IOMMU_IOAS_ALLOC");
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)mem;
	if (ioctl(iommufd, IOMMU_IOAS_MAP, &map))
		return fail("IOMMU_IOAS_MAP");
	parent.dev_id = bind.out_devid;
	parent.pt_id = ioas.out_ioas_id;
	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &parent))
		return fail("IOMMU_HWPT_ALLOC of the parent");

	/* The first stage: what the guest has written, nested in the second */
	*guest_page(mem, 4) = 1004;
	*guest_page(mem, 5) = 1005;
	guest_maps(mem, 4);
	nested.dev_id = bind.out_devid;
	nested.pt_id = parent.out_hwpt_id;
	if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &nested))
		return fail("IOMMU_HWPT_ALLOC of the nested one");
	attach.pt_id = nested.out_hwpt_id;
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	if (device_start(device)) {
		fprintf(stderr, "%s: does not work\n", cdev);
		return 1;
	}
	if (device_read(NO_PASID, IOVA, &val) || val != 1004) {
		fprintf(stderr, "the first page: wrong\n");
		return 1;
	}
	printf("# the device reads %llu at 0x%llx\n", (unsigned long long)val,
	       IOVA);

	/*
	 * The guest changes its page table, and tells its IOMMU. Until the
	 * hardware is told, too, it may go on with what it remembers.
	 */
	guest_maps(mem, 5);
	invalidate.hwpt_id = nested.out_hwpt_id;
	/* If it fails, entry_num is how many of the array were done */
	if (ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &invalidate))
		return fail("IOMMU_HWPT_INVALIDATE");
	if (device_read(NO_PASID, IOVA, &val) || val != 1005) {
		fprintf(stderr, "the second page: wrong\n");
		return 1;
	}
	printf("# the device reads %llu there after the invalidation\n",
	       (unsigned long long)val);

	/*
	 * Closing the files takes all of it down. One by one, the order is: detach
	 * the device, destroy the nested hwpt, destroy the parent.
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
