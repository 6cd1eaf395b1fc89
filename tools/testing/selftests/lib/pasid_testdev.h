/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Our PCI device with ATS, PASID and PRI (tools/testing/pasid-testdev), when it
 * is open: DMA with and without PASIDs, and page requests.
 */
#ifndef TEST_PASID_TESTDEV_H
#define TEST_PASID_TESTDEV_H

#include "../../../lib/pasid_testdev_regs.h"
#include "dma_faults.h"
#include "vfio_pci.h"

/**
 * struct pt_dev - the device
 * @vp: its files
 * @bar: its registers
 */
struct pt_dev {
	struct vp_dev vp;
	volatile void *bar;
};

/*
 * Bind it to vfio-pci and to an iommufd, and let it be a bus master; -ENODEV if
 * there is none. pt_close() may follow in any case.
 */
int pt_open(struct pt_dev *d);
int pt_close(struct pt_dev *d);
/* Only the files, as when a process dies; and open the device again */
void pt_close_files(struct pt_dev *d);
int pt_reopen(struct pt_dev *d);
/* For who has opened it by itself: map the registers, be a bus master */
int pt_start(struct pt_dev *d);

__u64 pt_get(const struct pt_dev *d, unsigned int reg);
void pt_set(const struct pt_dev *d, unsigned int reg, __u64 val);

/*
 * Read or write 8 bytes at @iova by a command (PT_CMD_*); @pasid may be
 * PT_NO_PASID. What is wrong with it (PT_*), PT_DONE if nothing is.
 */
__u32 pt_load(const struct pt_dev *d, __u32 cmd, __u32 pasid, __u64 iova,
	      __u64 *val);
__u32 pt_store(const struct pt_dev *d, __u32 cmd, __u32 pasid, __u64 iova,
	       __u64 val);

/* DMA that the IOMMU has to stop: announced, so that its report fails no run */
static inline bool pt_is_refused(const struct pt_dev *d, __u32 cmd, __u32 pasid,
				 __u64 iova)
{
	__u64 val;
	__u32 rc;

	rc = DMA_FAULTS_OF(d->vp.bdf, pt_load(d, cmd, pasid, iova, &val));
	return rc == PT_REFUSED || rc == PT_NO_TRANSLATION || rc == PT_NO_ATS;
}

/* A page request, with PT_REQUEST_* in @flags; PT_DONE if it was accepted */
__u32 pt_request(const struct pt_dev *d, __u32 pasid, __u64 iova, __u32 flags);
/* Wait until the device has had @responses since power-on; false after 5 s */
bool pt_wait_responses(const struct pt_dev *d, __u32 responses);

/* Is the IOMMU VT-d? Then bits of its extended capability register, else 0 */
__u64 pt_vtd_ecap(void);
#define PT_ECAP_NEST	(1ULL << 26)
#define PT_ECAP_PRS	(1ULL << 29)
#define PT_ECAP_PASID	(1ULL << 40)
#define PT_ECAP_DIRTY	(1ULL << 45)
#define PT_ECAP_SECOND	(1ULL << 46)
#define PT_ECAP_FIRST	(1ULL << 47)

#endif
