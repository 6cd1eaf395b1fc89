// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the specification says about each capability: how long it is, and whose
 * its bits are.
 *
 * The tables follow the PCI Local Bus Specification 3.0, PCI-X 2.0, PCI Bus
 * Power Management 1.2 and PCI Express Base 6.0. What the specification calls
 * read-only, or what would let one function disturb others, is not writable.
 */
#include <linux/array_size.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/pci.h>

#include "config_caps.h"
#include "config_perm.h"

/* Not in pci_regs.h: Device Control 2, 10-Bit Tag Requester Enable */
#define DEVCTL2_10BIT_TAG	0x1000
/* And End-End TLP Prefix Blocking */
#define DEVCTL2_EETLP_BLOCK	0x8000
/* And Device Status, Emergency Power Reduction Detected */
#define DEVSTA_EMERGENCY	0x0040
/* And VF Resizable BAR */
#define EXT_CAP_ID_VF_REBAR	0x24
/* And Device 3 */
#define EXT_CAP_ID_DEV3		0x2f

/* Header type 0. BARs and the ROM BAR depend on their sizes, see config_build.c */
static const struct cfg_reg header_regs[] = {
	/* A VF answers ffff here, the user deserves better */
	{ PCI_VENDOR_ID, 4, .virt = ~0U },
	/*
	 * Interrupt Disable is how INTx is masked on the user's behalf, so the
	 * user gets a virtual one.
	 */
	{ PCI_COMMAND, 2, .virt = PCI_COMMAND_INTX_DISABLE,
	  .write = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		   PCI_COMMAND_SPECIAL | PCI_COMMAND_INVALIDATE |
		   PCI_COMMAND_VGA_PALETTE | PCI_COMMAND_PARITY |
		   PCI_COMMAND_SERR | PCI_COMMAND_FAST_BACK |
		   PCI_COMMAND_INTX_DISABLE },
	/* The capability list is virtual, hence also whether there is one */
	{ PCI_STATUS, 2, .virt = PCI_STATUS_CAP_LIST,
	  .sticky = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
		    PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
		    PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY },
	{ PCI_CACHE_LINE_SIZE, 1, .write = 0xff },
	{ PCI_LATENCY_TIMER, 1, .write = 0xff },
	{ PCI_BIST, 1, .write = PCI_BIST_START },
	{ PCI_CAPABILITY_LIST, 1, .virt = 0xff },
	{ PCI_INTERRUPT_LINE, 1, .virt = 0xff, .write = 0xff },
	{ PCI_INTERRUPT_PIN, 1, .virt = 0xff },
};

const struct cfg_regs vfio_pci_header_regs = { header_regs, ARRAY_SIZE(header_regs) };

/*
 * PME# would reach the host's handlers, so neither the capability nor the
 * enable bit are the user's. The power state is written by the PCI core, which
 * knows the delays (see config.c).
 */
static const struct cfg_reg pm_regs[] = {
	{ PCI_PM_PMC, 2, .virt = PCI_PM_CAP_PME_MASK },
	{ PCI_PM_CTRL, 2, .virt = PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS,
	  .write = PCI_PM_CTRL_DATA_SEL_MASK, .sticky = PCI_PM_CTRL_PME_STATUS },
};

/* Reads and writes of VPD go through the PCI core, see config.c */
static const struct cfg_reg vpd_regs[] = {
	{ PCI_VPD_ADDR, 2, .virt = 0xffff, .write = 0xffff },
	{ PCI_VPD_DATA, 4, .virt = ~0U, .write = ~0U },
};

/*
 * The kernel programs addresses and data. The user's are kept for reading back,
 * and enabling goes to the device only while MSI is set up (see config.c). Mask
 * bits are the user's, as far as there are vectors, but reach the device by way
 * of the interrupt core; pending bits are the device's.
 */
static const struct cfg_reg msi_regs_32[] = {
	{ PCI_MSI_FLAGS, 2, .virt = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE,
	  .write = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE },
	{ PCI_MSI_ADDRESS_LO, 4, .virt = ~0U, .write = ~3U },
	{ PCI_MSI_DATA_32, 2, .virt = 0xffff, .write = 0xffff },
	{ PCI_MSI_MASK_32, 4, .virt = ~0U, .write = ~0U },
};

static const struct cfg_reg msi_regs_64[] = {
	{ PCI_MSI_FLAGS, 2, .virt = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE,
	  .write = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE },
	{ PCI_MSI_ADDRESS_LO, 4, .virt = ~0U, .write = ~3U },
	{ PCI_MSI_ADDRESS_HI, 4, .virt = ~0U, .write = ~0U },
	{ PCI_MSI_DATA_64, 2, .virt = 0xffff, .write = 0xffff },
	{ PCI_MSI_MASK_64, 4, .virt = ~0U, .write = ~0U },
};

static const struct cfg_reg pcix_regs[] = {
	{ PCI_X_CMD, 2, .write = PCI_X_CMD_DPERR_E | PCI_X_CMD_ERO |
				 PCI_X_CMD_MAX_READ | PCI_X_CMD_MAX_SPLIT },
	{ PCI_X_STATUS, 4, .sticky = PCI_X_STATUS_SPL_DISC |
				     PCI_X_STATUS_UNX_SPL |
				     PCI_X_STATUS_SPL_ERR },
};

static const struct cfg_reg pcix_v1_regs[] = {
	{ PCI_X_CMD, 2, .write = PCI_X_CMD_DPERR_E | PCI_X_CMD_ERO |
				 PCI_X_CMD_MAX_READ | PCI_X_CMD_MAX_SPLIT },
	{ PCI_X_STATUS, 4, .sticky = PCI_X_STATUS_SPL_DISC |
				     PCI_X_STATUS_UNX_SPL |
				     PCI_X_STATUS_SPL_ERR },
	{ PCI_X_ECC_CSR, 4, .write = ~0U },
};

/*
 * Function Level Reset is done by the PCI core. Max_Payload_Size is agreed on
 * by everything on the way to the root, so the user's is only remembered.
 * Max_Read_Request_Size is remembered too, and passed on within limits (see
 * config.c). Phantom Functions would let DMA come from another function's id.
 */
#define EXP_DEVCTL_VIRT	(PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD | \
			 PCI_EXP_DEVCTL_READRQ)
#define EXP_DEVSTA_STICKY (PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | \
			   PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD | \
			   DEVSTA_EMERGENCY)

static const struct cfg_reg exp_v1_regs[] = {
	{ PCI_EXP_DEVCTL, 2, .virt = EXP_DEVCTL_VIRT,
	  .write = 0xffff & ~PCI_EXP_DEVCTL_PHANTOM },
	{ PCI_EXP_DEVSTA, 2, .sticky = EXP_DEVSTA_STICKY },
};

/*
 * Device Control 2: latency tolerance reporting, OBFF, 10-bit tags and TLP
 * prefixes need the consent of the ports above, which the host gave or did not
 * give; the user's wish is only remembered. ARI forwarding is not an endpoint's.
 */
#define EXP_DEVCTL2_VIRT (PCI_EXP_DEVCTL2_LTR_EN | PCI_EXP_DEVCTL2_OBFF_WAKE_EN | \
			  DEVCTL2_10BIT_TAG | DEVCTL2_EETLP_BLOCK)

static const struct cfg_reg exp_v2_regs[] = {
	{ PCI_EXP_DEVCTL, 2, .virt = EXP_DEVCTL_VIRT,
	  .write = 0xffff & ~PCI_EXP_DEVCTL_PHANTOM },
	{ PCI_EXP_DEVSTA, 2, .sticky = EXP_DEVSTA_STICKY },
	{ PCI_EXP_DEVCTL2, 2, .virt = EXP_DEVCTL2_VIRT,
	  .write = 0xffff & ~PCI_EXP_DEVCTL2_ARI },
};

/* As with PCI Express: the reset is done by the PCI core */
static const struct cfg_reg af_regs[] = {
	{ PCI_AF_CTRL, 1, .virt = PCI_AF_CTRL_FLR, .write = PCI_AF_CTRL_FLR },
};

#define AER_UNC	(PCI_ERR_UNC_UND | PCI_ERR_UNC_DLP | PCI_ERR_UNC_SURPDN | \
		 PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP | \
		 PCI_ERR_UNC_COMP_TIME | PCI_ERR_UNC_COMP_ABORT | \
		 PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER | \
		 PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_ECRC | \
		 PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_ACSV | PCI_ERR_UNC_INTN | \
		 PCI_ERR_UNC_MCBTLP | PCI_ERR_UNC_ATOMEG | PCI_ERR_UNC_TLPPRE)
#define AER_COR	(PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | \
		 PCI_ERR_COR_BAD_DLLP | PCI_ERR_COR_REP_ROLL | \
		 PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT | \
		 PCI_ERR_COR_INTERNAL | PCI_ERR_COR_LOG_OVER)

static const struct cfg_reg err_regs[] = {
	{ PCI_ERR_UNCOR_STATUS, 4, .write = AER_UNC, .sticky = ~0U },
	{ PCI_ERR_UNCOR_MASK, 4, .write = AER_UNC },
	{ PCI_ERR_UNCOR_SEVER, 4, .write = AER_UNC },
	{ PCI_ERR_COR_STATUS, 4, .write = AER_COR, .sticky = ~0U },
	{ PCI_ERR_COR_MASK, 4, .write = AER_COR },
	{ PCI_ERR_CAP, 4, .write = PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE },
};

static const struct cfg_reg pwr_regs[] = {
	{ PCI_PWR_DSR, 1, .write = 0xff },
};

/**
 * vfio_pci_desc_read - read from a device that is described
 * @d: the description
 * @pos: position, rounded down to a multiple of 4
 * @val: what is there, or was there when it was read first; behind the end, zero
 *
 * Return: 0 or a negative errno.
 */
int vfio_pci_desc_read(const struct vfio_pci_config_desc *d, unsigned int pos,
		       u32 *val)
{
	unsigned int reg = pos / 4;
	int ret;

	if (pos >= d->size) {
		*val = 0;
		return 0;
	}
	if (d->seen && test_bit(reg, d->seen->known)) {
		*val = d->seen->val[reg];
		return 0;
	}
	ret = d->read(d->ctx, 4 * reg, val);
	if (!ret && d->seen) {
		d->seen->val[reg] = *val;
		__set_bit(reg, d->seen->known);
	}
	return ret;
}

static int vfio_pci_msi_len(const struct vfio_pci_config_desc *d,
			    unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos, &dw);

	if (ret)
		return ret;
	dw >>= 16;
	if (dw & PCI_MSI_FLAGS_MASKBIT)
		return dw & PCI_MSI_FLAGS_64BIT ? 0x18 : 0x14;
	return dw & PCI_MSI_FLAGS_64BIT ? 0x0e : 0x0a;
}

static int vfio_pci_pcix_len(const struct vfio_pci_config_desc *d,
			     unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos, &dw);

	if (ret)
		return ret;
	return PCI_X_CMD_VERSION(dw >> 16) ? PCI_CAP_PCIX_SIZEOF_V1 :
					     PCI_CAP_PCIX_SIZEOF_V0;
}

static int vfio_pci_ht_len(const struct vfio_pci_config_desc *d,
			   unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos, &dw);

	if (ret)
		return ret;
	switch ((dw >> 24) & HT_3BIT_CAP_MASK) {
	case HT_CAPTYPE_SLAVE:
		return HT_CAP_SIZEOF_LONG;
	case HT_CAPTYPE_HOST:
		return HT_CAP_SIZEOF_SHORT;
	}
	if (((dw >> 24) & HT_5BIT_CAP_MASK) == HT_CAPTYPE_MSI_MAPPING)
		return (dw >> 16) & HT_MSI_FLAGS_FIXED ? 4 : 12;
	return 8;
}

static int vfio_pci_vndr_len(const struct vfio_pci_config_desc *d,
			     unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos, &dw);

	return ret ?: (dw >> 16) & 0xff;
}

static int vfio_pci_exp_len(const struct vfio_pci_config_desc *d,
			    unsigned int pos)
{
	bool rc;
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos, &dw);

	if (ret)
		return ret;
	dw >>= 16;
	switch ((dw & PCI_EXP_FLAGS_TYPE) >> 4) {
	case PCI_EXP_TYPE_RC_END:
	case PCI_EXP_TYPE_RC_EC:
		rc = true;
		break;
	default:
		rc = false;
	}
	if ((dw & PCI_EXP_FLAGS_VERS) < 2)
		return rc ? PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V1 :
			    PCI_CAP_EXP_ENDPOINT_SIZEOF_V1;
	return rc ? PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V2 :
		    PCI_EXP_SLTSTA2 + 2;
}

static int vfio_pci_sata_len(const struct vfio_pci_config_desc *d,
			     unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_SATA_REGS, &dw);

	if (ret)
		return ret;
	return (dw & PCI_SATA_REGS_MASK) == PCI_SATA_REGS_INLINE ?
	       PCI_SATA_SIZEOF_LONG : PCI_SATA_SIZEOF_SHORT;
}

static int vfio_pci_ea_len(const struct vfio_pci_config_desc *d,
			   unsigned int pos)
{
	unsigned int len = PCI_EA_FIRST_ENT, n;
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos, &dw);

	if (ret)
		return ret;
	for (n = (dw >> 16) & PCI_EA_NUM_ENT_MASK; n; n--) {
		ret = vfio_pci_desc_read(d, pos + len, &dw);
		if (ret)
			return ret;
		len += 4 + 4 * (dw & PCI_EA_ES);
	}
	return len;
}

static bool vfio_pci_msi_is_64bit(unsigned int len)
{
	return len == 0x0e || len == 0x18;
}

static bool vfio_pci_pcix_has_ecc(unsigned int len)
{
	return len > PCI_CAP_PCIX_SIZEOF_V0;
}

static bool vfio_pci_exp_has_devctl2(unsigned int len)
{
	return len > PCI_EXP_DEVCTL2;
}

static const struct cfg_cap std_caps[] = {
	/* The null capability has no registers */
	[0] = { CAP_HIDDEN, 4 },
	[PCI_CAP_ID_PM] = { CAP_SHOWN, PCI_PM_SIZEOF,
			  .regs = { { pm_regs, ARRAY_SIZE(pm_regs) } } },
	[PCI_CAP_ID_AGP] = { CAP_SHOWN, PCI_AGP_SIZEOF },
	[PCI_CAP_ID_VPD] = { CAP_SHOWN, PCI_CAP_VPD_SIZEOF,
			  .regs = { { vpd_regs, ARRAY_SIZE(vpd_regs) } } },
	[PCI_CAP_ID_SLOTID] = { CAP_SHOWN, 4 },
	[PCI_CAP_ID_MSI] = { CAP_SHOWN, .len_fn = vfio_pci_msi_len,
			   .regs = { { msi_regs_32, ARRAY_SIZE(msi_regs_32) },
				     { msi_regs_64, ARRAY_SIZE(msi_regs_64) } },
			   .second = vfio_pci_msi_is_64bit },
	[PCI_CAP_ID_CHSWP] = { CAP_SHOWN, 4 },
	[PCI_CAP_ID_PCIX] = { CAP_SHOWN, .len_fn = vfio_pci_pcix_len,
			    .regs = { { pcix_regs, ARRAY_SIZE(pcix_regs) },
				     { pcix_v1_regs, ARRAY_SIZE(pcix_v1_regs) } },
			    .second = vfio_pci_pcix_has_ecc },
	[PCI_CAP_ID_HT] = { CAP_SHOWN, .len_fn = vfio_pci_ht_len },
	[PCI_CAP_ID_VNDR] = { CAP_RAW, .len_fn = vfio_pci_vndr_len },
	[PCI_CAP_ID_DBG] = { CAP_HIDDEN, 4 },
	[PCI_CAP_ID_CCRC] = { CAP_HIDDEN, 4 },
	[PCI_CAP_ID_SHPC] = { CAP_HIDDEN, 8 },
	[PCI_CAP_ID_SSVID] = { CAP_HIDDEN, 8 },
	[PCI_CAP_ID_AGP3] = { CAP_HIDDEN, PCI_AGP_SIZEOF },
	[PCI_CAP_ID_SECDEV] = { CAP_HIDDEN, 0x18 },
	[PCI_CAP_ID_EXP] = { CAP_SHOWN, .len_fn = vfio_pci_exp_len,
			   .regs = { { exp_v1_regs, ARRAY_SIZE(exp_v1_regs) },
				     { exp_v2_regs, ARRAY_SIZE(exp_v2_regs) } },
			   .second = vfio_pci_exp_has_devctl2 },
	/* Vectors are set up with VFIO_DEVICE_SET_IRQS only */
	[PCI_CAP_ID_MSIX] = { CAP_SHOWN, PCI_CAP_MSIX_SIZEOF },
	[PCI_CAP_ID_SATA] = { CAP_SHOWN, .len_fn = vfio_pci_sata_len },
	[PCI_CAP_ID_AF] = { CAP_SHOWN, PCI_CAP_AF_SIZEOF,
			  .regs = { { af_regs, ARRAY_SIZE(af_regs) } } },
	/* Its entries can move BARs */
	[PCI_CAP_ID_EA] = { CAP_HIDDEN, .len_fn = vfio_pci_ea_len },
};

static int vfio_pci_err_len(const struct vfio_pci_config_desc *d,
			    unsigned int pos)
{
	/* Up to the TLP Prefix Log; shorter ones are clipped by what follows */
	return 0x48;
}

static int vfio_pci_vc_len(const struct vfio_pci_config_desc *d,
			   unsigned int pos)
{
	unsigned int len, tbl, phases = 0;
	u32 cap1, cap2;
	int ret;

	ret = vfio_pci_desc_read(d, pos + PCI_VC_PORT_CAP1, &cap1);
	ret = ret ?: vfio_pci_desc_read(d, pos + PCI_VC_PORT_CAP2, &cap2);
	if (ret)
		return ret;

	len = PCI_CAP_VC_BASE_SIZEOF +
	      ((cap1 & PCI_VC_CAP1_EVCC) + 1) * PCI_CAP_VC_PER_VC_SIZEOF;
	if (cap2 & PCI_VC_CAP2_128_PHASE)
		phases = 128;
	else if (cap2 & PCI_VC_CAP2_64_PHASE)
		phases = 64;
	else if (cap2 & PCI_VC_CAP2_32_PHASE)
		phases = 32;
	/* The offset counts 16 bytes, a phase takes 4 bits */
	tbl = (cap2 >> 24) * 16;
	if (tbl && phases)
		len = max(len, tbl + phases / 2);
	return len;
}

static int vfio_pci_rcld_len(const struct vfio_pci_config_desc *d,
			     unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + 4, &dw);

	/* Header, self description, reserved; then 16 bytes for each link */
	return ret ?: 0x10 + 0x10 * ((dw >> 8) & 0xff);
}

static int vfio_pci_vsec_len(const struct vfio_pci_config_desc *d,
			     unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_VNDR_HEADER, &dw);

	return ret ?: PCI_VNDR_HEADER_LEN(dw);
}

static int vfio_pci_dvsec_len(const struct vfio_pci_config_desc *d,
			      unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_DVSEC_HEADER1, &dw);

	return ret ?: PCI_DVSEC_HEADER1_LEN(dw);
}

static int vfio_pci_acs_len(const struct vfio_pci_config_desc *d,
			    unsigned int pos)
{
	unsigned int bits;
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_ACS_CAP, &dw);

	if (ret)
		return ret;
	if (!(dw & PCI_ACS_EC))
		return 8;
	bits = (dw >> 8) & 0xff;
	return 8 + DIV_ROUND_UP(bits ?: 256, 32) * 4;
}

static int vfio_pci_rebar_len(const struct vfio_pci_config_desc *d,
			      unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_REBAR_CTRL, &dw);

	if (ret)
		return ret;
	dw = (dw & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT;
	return 4 + 8 * dw;
}

static int vfio_pci_dpa_len(const struct vfio_pci_config_desc *d,
			    unsigned int pos)
{
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_DPA_CAP, &dw);

	return ret ?: PCI_DPA_BASE_SIZEOF +
		      round_up((dw & PCI_DPA_CAP_SUBSTATE_MASK) + 1, 4);
}

static int vfio_pci_tph_len(const struct vfio_pci_config_desc *d,
			    unsigned int pos)
{
	unsigned int n;
	u32 dw;
	int ret = vfio_pci_desc_read(d, pos + PCI_TPH_CAP, &dw);

	if (ret)
		return ret;
	if ((dw & PCI_TPH_CAP_LOC_MASK) != PCI_TPH_LOC_CAP)
		return PCI_TPH_BASE_SIZEOF;
	n = (dw & PCI_TPH_CAP_ST_MASK) >> PCI_TPH_CAP_ST_SHIFT;
	return PCI_TPH_BASE_SIZEOF + round_up((n + 1) * 2, 4);
}

/*
 * Of the capabilities of PCI Express 6.2, these have no line, and are unknown
 * for that:
 *
 * - M-PCIe (0x20), Lane Margining (0x27), Alternate Protocol (0x2b), Physical
 *   Layer 64 GT/s (0x31), Flit Logging, Performance Measurement and Error
 *   Injection (0x32 to 0x34): the link, which has two ends;
 * - LN Requester (0x1c), FRS Queueing (0x21), Readiness Time (0x22), Hierarchy ID
 *   (0x28), Shadow Functions (0x2d), Streamlined VC (0x35), Register Block
 *   Locator (0x36): what ports and the host's firmware agree on; Shadow Functions
 *   let DMA come from another function's id;
 * - System Firmware Intermediary (0x2c): the slot's;
 * - Integrity and Data Encryption (0x30): keys are the host's and the port's.
 */
static const struct cfg_cap ext_caps[] = {
	/* No registers, and the place of what is taken out at the start */
	[0] = { CAP_HIDDEN, 4 },
	[PCI_EXT_CAP_ID_ERR] = { CAP_SHOWN, .len_fn = vfio_pci_err_len,
			  .regs = { { err_regs, ARRAY_SIZE(err_regs) } } },
	[PCI_EXT_CAP_ID_VC] = { CAP_SHOWN, .len_fn = vfio_pci_vc_len },
	[PCI_EXT_CAP_ID_DSN] = { CAP_SHOWN, PCI_EXT_CAP_DSN_SIZEOF },
	[PCI_EXT_CAP_ID_PWR] = { CAP_SHOWN, PCI_EXT_CAP_PWR_SIZEOF,
			  .regs = { { pwr_regs, ARRAY_SIZE(pwr_regs) } } },
	[PCI_EXT_CAP_ID_RCLD] = { CAP_SHOWN, .len_fn = vfio_pci_rcld_len },
	[PCI_EXT_CAP_ID_RCILC] = { CAP_HIDDEN, 0x0c },
	[PCI_EXT_CAP_ID_RCEC] = { CAP_SHOWN, 0x0c },
	[PCI_EXT_CAP_ID_MFVC] = { CAP_SHOWN, .len_fn = vfio_pci_vc_len },
	[PCI_EXT_CAP_ID_VC9] = { CAP_SHOWN, .len_fn = vfio_pci_vc_len },
	[PCI_EXT_CAP_ID_RCRB] = { CAP_HIDDEN, 0x14 },
	[PCI_EXT_CAP_ID_VNDR] = { CAP_RAW, .len_fn = vfio_pci_vsec_len },
	[PCI_EXT_CAP_ID_CAC] = { CAP_HIDDEN, 0x08 },
	/* Isolation of the device from its peers rests on it */
	[PCI_EXT_CAP_ID_ACS] = { CAP_SHOWN, .len_fn = vfio_pci_acs_len },
	[PCI_EXT_CAP_ID_ARI] = { CAP_SHOWN, PCI_EXT_CAP_ARI_SIZEOF },
	/* Address translation is the IOMMU driver's business */
	[PCI_EXT_CAP_ID_ATS] = { CAP_SHOWN, PCI_EXT_CAP_ATS_SIZEOF },
	/* VFs come and go by sysfs */
	[PCI_EXT_CAP_ID_SRIOV] = { CAP_SHOWN, PCI_EXT_CAP_SRIOV_SIZEOF },
	[PCI_EXT_CAP_ID_MRIOV] = { CAP_HIDDEN, 0x14 },
	[PCI_EXT_CAP_ID_MCAST] = { CAP_SHOWN, PCI_EXT_CAP_MCAST_ENDPOINT_SIZEOF },
	[PCI_EXT_CAP_ID_PRI] = { CAP_SHOWN, PCI_EXT_CAP_PRI_SIZEOF },
	/* Resizing would move BARs */
	[PCI_EXT_CAP_ID_REBAR] = { CAP_SHOWN, .len_fn = vfio_pci_rebar_len },
	[PCI_EXT_CAP_ID_DPA] = { CAP_SHOWN, .len_fn = vfio_pci_dpa_len },
	[PCI_EXT_CAP_ID_TPH] = { CAP_SHOWN, .len_fn = vfio_pci_tph_len },
	[PCI_EXT_CAP_ID_LTR] = { CAP_SHOWN, PCI_EXT_CAP_LTR_SIZEOF },
	[PCI_EXT_CAP_ID_SECPCI] = { CAP_HIDDEN, 0x2c },
	[PCI_EXT_CAP_ID_PMUX] = { CAP_HIDDEN, 0x10 },
	[PCI_EXT_CAP_ID_PASID] = { CAP_HIDDEN, PCI_EXT_CAP_PASID_SIZEOF },
	[PCI_EXT_CAP_ID_DPC] = { CAP_HIDDEN, 0x0c },
	/* The two ends of a link must agree on it */
	[PCI_EXT_CAP_ID_L1SS] = { CAP_SHOWN, 0x14 },
	[PCI_EXT_CAP_ID_PTM] = { CAP_HIDDEN, 0x0c },
	[PCI_EXT_CAP_ID_DVSEC] = { CAP_RAW, .len_fn = vfio_pci_dvsec_len },
	[PCI_EXT_CAP_ID_DLF] = { CAP_HIDDEN, 0x0c },
	[PCI_EXT_CAP_ID_PL_16GT] = { CAP_HIDDEN, 0x30 },
	[PCI_EXT_CAP_ID_NPEM] = { CAP_HIDDEN, 0x10 },
	[PCI_EXT_CAP_ID_PL_32GT] = { CAP_HIDDEN, 0x30 },
	/* Would move the BARs of VFs that the kernel has laid out */
	[EXT_CAP_ID_VF_REBAR] = { CAP_HIDDEN, .len_fn = vfio_pci_rebar_len },
	/* Firmware and the PCI core talk to the device by its mailbox */
	[PCI_EXT_CAP_ID_DOE] = { CAP_HIDDEN, PCI_DOE_CAP_SIZEOF },
	/* Deferrable writes and 14-bit tags need the consent of the ports above */
	[EXT_CAP_ID_DEV3] = { CAP_HIDDEN, 0x10 },
};

/*
 * A capability that no table knows is hidden. How long it is nobody knows, and
 * what writing to it does neither: all that is up to the next one is read-only.
 * A driver that knows such a capability looks for it in the list, so that it has
 * no use for what it cannot find there.
 */
static const struct cfg_cap unknown_cap = { CAP_HIDDEN, PCI_CFG_SPACE_EXP_SIZE };

/**
 * vfio_pci_find_cap - how a capability is treated
 * @extended: it is in the list of extended capabilities
 * @id: its id
 *
 * Return: a description, also for ids that are unknown.
 */
const struct cfg_cap *vfio_pci_find_cap(bool extended, u16 id)
{
	const struct cfg_cap *cap;

	if (extended) {
		if (id >= ARRAY_SIZE(ext_caps))
			return &unknown_cap;
		cap = &ext_caps[id];
	} else {
		if (id >= ARRAY_SIZE(std_caps))
			return &unknown_cap;
		cap = &std_caps[id];
	}
	/* A hole in the table */
	if (!cap->len && !cap->len_fn)
		return &unknown_cap;
	return cap;
}
