// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "pasid_testdev.h"

int pt_start(struct pt_dev *d)
{
	int ret;

	ret = vp_set_command(&d->vp, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	if (ret)
		return ret;
	d->bar = vp_mmap(&d->vp, 0, 0, PT_BAR_SIZE);
	if (d->bar == MAP_FAILED)
		return -errno;
	return pt_get(d, PT_ID) == PT_ID_VALUE ? 0 : -ENXIO;
}

int pt_open(struct pt_dev *d)
{
	int ret;

	vp_init(&d->vp);
	ret = vp_open(&d->vp, PT_VENDOR, PT_DEVICE, 0);
	return ret ? ret : pt_start(d);
}

int pt_close(struct pt_dev *d)
{
	return vp_close(&d->vp);
}

void pt_close_files(struct pt_dev *d)
{
	vp_close_fds(&d->vp);
}

int pt_reopen(struct pt_dev *d)
{
	int ret = vp_open_bdf(&d->vp);

	return ret ? ret : pt_start(d);
}

/* One access of 64 bits, in the order of the program */
__u64 pt_get(const struct pt_dev *d, unsigned int reg)
{
	return __atomic_load_n((volatile __u64 *)((volatile char *)d->bar + reg),
			       __ATOMIC_ACQUIRE);
}

void pt_set(const struct pt_dev *d, unsigned int reg, __u64 val)
{
	__atomic_store_n((volatile __u64 *)((volatile char *)d->bar + reg), val,
			 __ATOMIC_RELEASE);
}

static __u32 pt_command(const struct pt_dev *d, __u32 cmd, __u32 pasid,
			__u64 iova)
{
	pt_set(d, PT_PASID, pasid);
	pt_set(d, PT_ADDR, iova);
	pt_set(d, PT_LEN, sizeof(__u64));
	pt_set(d, PT_CMD, cmd);
	return pt_get(d, PT_RESULT) & PT_RESULT_MASK;
}

__u32 pt_load(const struct pt_dev *d, __u32 cmd, __u32 pasid, __u64 iova,
	      __u64 *val)
{
	__u32 rc;

	/* What a read that did not happen leaves */
	pt_set(d, PT_BUFFER, ~0ULL);
	rc = pt_command(d, cmd, pasid, iova);
	*val = pt_get(d, PT_BUFFER);
	return rc;
}

__u32 pt_store(const struct pt_dev *d, __u32 cmd, __u32 pasid, __u64 iova,
	       __u64 val)
{
	pt_set(d, PT_BUFFER, val);
	return pt_command(d, cmd, pasid, iova);
}

__u32 pt_request(const struct pt_dev *d, __u32 pasid, __u64 iova, __u32 flags)
{
	return pt_command(d, PT_CMD_PAGE_REQUEST | flags, pasid, iova);
}

bool pt_wait_responses(const struct pt_dev *d, __u32 responses)
{
	struct timespec nap = { .tv_nsec = 10000000 };
	unsigned int i;

	for (i = 0; i != 500; i++) {
		if (pt_get(d, PT_RESPONSES) >= responses)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

__u64 pt_vtd_ecap(void)
{
	char text[32];

	if (file_read("/sys/class/iommu/dmar0/intel-iommu/ecap", text,
		      sizeof(text)) <= 0)
		return 0;
	return strtoull(text, NULL, 16);
}
