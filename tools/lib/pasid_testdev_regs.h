/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Our PCI Express test device with ATS, PASID and PRI, see
 * tools/testing/pasid-testdev
 */
#ifndef PASID_TESTDEV_REGS_H
#define PASID_TESTDEV_REGS_H

#define PT_VENDOR		0x1234
#define PT_DEVICE		0x5a51

/* Registers, in BAR 0, of 32 or 64 bits */
#define PT_ID			0x00
#define   PT_ID_VALUE		0x50415349
#define PT_PASID		0x08
#define   PT_NO_PASID		0xffffffff
#define PT_ADDR			0x10
#define PT_LEN			0x18		/* bytes, PT_MAX_LEN at most */
#define PT_CMD			0x20		/* over when the write is */
#define   PT_CMD_READ		1		/* untranslated requests: no PASID */
#define   PT_CMD_WRITE		2
#define   PT_CMD_ATS_READ	3		/* translation requests, then translated ones */
#define   PT_CMD_ATS_WRITE	4
#define   PT_CMD_PAGE_REQUEST	5
#define   PT_CMD_WALK_READ	6		/* the device walks VT-d's tables itself */
#define   PT_CMD_WALK_WRITE	7
#define   PT_REQUEST_READ	0x100		/* with a page request */
#define   PT_REQUEST_WRITE	0x200
#define   PT_REQUEST_LAST	0x400
#define   PT_REQUEST_GROUP(g)	((g) << 16)	/* of 9 bits */
#define PT_RESULT		0x28		/* of the last command; errno in bits 31:16 */
#define   PT_RESULT_MASK	0xffff
#define   PT_DONE		0
#define   PT_NOT_MASTER		1		/* the Command register forbids DMA */
#define   PT_REFUSED		2		/* an untranslated request was not carried out */
#define   PT_NO_TRANSLATION	3		/* nothing at the address, or no permission */
#define   PT_NO_ATS		4		/* ATS is off, or the IOMMU does not answer */
#define   PT_NO_PRI		5		/* the page request was not accepted */
#define   PT_NO_MEMORY		6		/* a translated request hit no memory */
#define   PT_UNKNOWN		7		/* no such command */
#define PT_RESPONSES		0x30		/* to page requests, since power-on */
#define PT_RESPONSE		0x38		/* the last one */
#define   PT_RESPONSE_GROUP(r)	((r) & 0x1ff)
#define   PT_RESPONSE_CODE(r)	((r) >> 16)	/* of PCIe: 0 success, 1 invalid, 15 failure */
#define PT_INVALIDATIONS	0x40		/* that the device heard of, since power-on */
#define PT_INVALIDATED		0x48		/* address of the last one */
#define PT_TABLE_TYPE		0x50		/* PGTT of the PASID entry that was walked last */
#define   PT_TYPE_FIRST		1
#define   PT_TYPE_SECOND	2
#define   PT_TYPE_NESTED	3
#define   PT_TYPE_PASS		4
#define   PT_TYPE_NONE		0xff
#define PT_CACHED		0x58		/* translations that the device keeps */
#define PT_BUFFER		0x100
#define PT_MAX_LEN		256
#define PT_BAR_SIZE		0x1000

/* What the device has */
#define PT_PASID_BITS		8
#define PT_REQUESTS		32		/* page requests that may wait at once */

#endif /* PASID_TESTDEV_REGS_H */
