/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device of the examples that take one with PASIDs, page requests or an
 * IOMMU with nesting: tools/testing/pasid-testdev. A program for another device
 * has its own driver here.
 */
#ifndef TEST_IOMMUFD_EXAMPLE_DEVICE_H
#define TEST_IOMMUFD_EXAMPLE_DEVICE_H

#include "../lib/pasid_testdev.h"
#include "iommufd_example.h"

#define NO_PASID	PT_NO_PASID

static struct pt_dev example_device;
static __u32 example_responses;

/* Map the registers, and allow the device to do DMA. @fd is attached. */
static inline int device_start(int fd)
{
	vp_init(&example_device.vp);
	example_device.vp.fd = fd;
	if (pt_start(&example_device))
		return -1;
	example_responses = pt_get(&example_device, PT_RESPONSES);
	return 0;
}

/* Unmap them, and close the file */
static inline void device_stop(void)
{
	pt_close_files(&example_device);
}

/* Let the device read 8 bytes at @iova by DMA; 0 if it could */
static inline int device_read(unsigned int pasid, uint64_t iova, uint64_t *val)
{
	__u32 cmd = pt_vtd_ecap() & PT_ECAP_NEST ? PT_CMD_WALK_READ :
		    pasid == PT_NO_PASID ? PT_CMD_READ : PT_CMD_ATS_READ;
	__u64 read;
	int ret = pt_load(&example_device, cmd, pasid, iova, &read);

	*val = read;
	return ret;
}

/* Let it ask for the page at @iova, for reading; 0 if it could */
static inline int device_request(unsigned int pasid, uint64_t iova)
{
	return pt_request(&example_device, pasid, iova,
			  PT_REQUEST_READ | PT_REQUEST_LAST);
}

/* Has it got an answer to a request since device_start()? Waits for it. */
static inline bool device_was_answered(void)
{
	return pt_wait_responses(&example_device, example_responses + 1);
}

#endif
