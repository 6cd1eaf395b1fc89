// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu - put QEMU's "edu" teaching device through its paces from user
 * space, through /dev/iommu and /dev/vfio/devices/vfioN.
 *
 * The device copies between its own 4 KiB buffer and memory, raises one MSI,
 * and computes factorials: just enough to show that DMA arrives where it was
 * mapped, that it arrives nowhere else, and that interrupts get through.
 *
 * Each thing that is tried prints one line. The exit status is 0 only if every
 * line says ok.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "edu_regs.h"
#include "report.h"
#include "uvfio.h"

#define CHUNK			EDU_MAX_DMA

/* Below EDU_IOVA_END, all of them, and aligned to any size that a page has */
#define IOVA_A			0x01000000
#define IOVA_B			0x0abc0000
#define IOVA_STRADDLE		0x02340000
#define IOVA_NEVER_MAPPED	0x07650000

#define TIMEOUT_MS		10000

/* The size of the kernel's pages, which is that of the smallest mapping */
static size_t page_size;

struct edu {
	struct uvfio_iommu iommu;
	struct uvfio_device vfio;
	struct uvfio_region regs;
};

/* ---- the device ------------------------------------------------------- */

static int edu_wait_clear(struct edu *edu, size_t reg, uint32_t bit)
{
	uint64_t deadline = uvfio_now_ms() + TIMEOUT_MS;

	while (uvfio_read32(&edu->regs, reg) & bit) {
		if (uvfio_now_ms() > deadline)
			return -ETIMEDOUT;
		uvfio_sleep_ms(1);
	}
	return 0;
}

static int edu_dma(struct edu *edu, uint64_t src, uint64_t dst, size_t count,
		   uint32_t cmd)
{
	uvfio_write32(&edu->regs, EDU_DMA_SRC, (uint32_t)src);
	uvfio_write32(&edu->regs, EDU_DMA_DST, (uint32_t)dst);
	uvfio_write32(&edu->regs, EDU_DMA_COUNT, (uint32_t)count);
	uvfio_write32(&edu->regs, EDU_DMA_CMD, cmd | EDU_DMA_START);
	return edu_wait_clear(edu, EDU_DMA_CMD, EDU_DMA_START);
}

/*
 * The device does not say whether its DMA got through: errors show only in
 * what is, or is not, in memory afterwards.
 */
static int edu_read_memory(struct edu *edu, uint64_t iova, size_t count)
{
	return edu_dma(edu, iova, EDU_BUFFER, count, 0);
}

static int edu_write_memory(struct edu *edu, uint64_t iova, size_t count)
{
	return edu_dma(edu, EDU_BUFFER, iova, count, EDU_DMA_TO_MEM);
}

/* ---- memory contents -------------------------------------------------- */

/* Bytes that nothing produces by accident, different for each seed. */
static void fill_pattern(void *buf, size_t size, uint32_t seed)
{
	unsigned char *p = buf;
	uint32_t x = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (unsigned char)(x >> 24);
	}
}

static bool has_pattern(const void *buf, size_t size, uint32_t seed)
{
	unsigned char expected[CHUNK];

	if (size > sizeof(expected))
		return false;
	fill_pattern(expected, size, seed);
	return !memcmp(buf, expected, size);
}

/* Put a pattern into the device's buffer, by way of @via. */
static int edu_load_pattern(struct edu *edu, struct uvfio_dma *via,
			    uint32_t seed)
{
	fill_pattern(via->cpu, CHUNK, seed);
	return edu_read_memory(edu, via->iova, CHUNK);
}

static bool need(int err, const char *what)
{
	if (err)
		report(false, "%s: %s", what, uvfio_error());
	return !err;
}

static bool need_dma(int err)
{
	if (err)
		report(false, "the device did not finish its DMA within %d s",
		       TIMEOUT_MS / 1000);
	return !err;
}

/* ---- steps ------------------------------------------------------------ */

static void step_registers(struct edu *edu)
{
	uint32_t id = uvfio_read32(&edu->regs, EDU_ID);

	report((id & EDU_ID_MASK) == EDU_ID_VALUE,
	       "BAR 0 mapped into this process; the device's ID register reads 0x%08x",
	       id);

	uvfio_write32(&edu->regs, EDU_LIVENESS, 0x12345678);
	report(uvfio_read32(&edu->regs, EDU_LIVENESS) == ~0x12345678u,
	       "it answers: 0x12345678 written, its inverse read back");

	uvfio_write32(&edu->regs, EDU_FACTORIAL, 10);
	if (edu_wait_clear(edu, EDU_STATUS, EDU_STATUS_BUSY))
		report(false, "it did not finish computing 10!");
	else
		report(uvfio_read32(&edu->regs, EDU_FACTORIAL) == 3628800,
		       "it computed 10! = 3628800");
}

static void dma_round_trip(struct edu *edu, struct uvfio_dma *a,
			   struct uvfio_dma *b)
{
	if (!need_dma(edu_load_pattern(edu, a, 1)) ||
	    !need_dma(edu_write_memory(edu, b->iova, CHUNK)))
		return;
	report(has_pattern(b->cpu, CHUNK, 1),
	       "2048 bytes went memory -> device (IOVA 0x%08llx) -> memory (IOVA 0x%08llx) and are the same",
	       (unsigned long long)a->iova, (unsigned long long)b->iova);
}

/* Odd sizes and offsets, and nothing around the target may change. */
static void dma_unaligned(struct edu *edu, struct uvfio_dma *a,
			  struct uvfio_dma *b)
{
	unsigned char *bytes = b->cpu;
	const size_t at = 1003, len = 517;

	fill_pattern(b->cpu, page_size, 2);
	if (!need_dma(edu_load_pattern(edu, a, 3)) ||
	    !need_dma(edu_write_memory(edu, b->iova + at, len)))
		return;
	if (!has_pattern(bytes + at, len, 3)) {
		report(false, "%zu bytes at offset %zu of the page", len, at);
		return;
	}
	fill_pattern(a->cpu, page_size, 2);
	memcpy((char *)a->cpu + at, bytes + at, len);
	report(!memcmp(a->cpu, b->cpu, page_size),
	       "%zu bytes at offset %zu of a page arrived, and the bytes around them are untouched",
	       len, at);
}

/* Two unrelated pieces of memory become one for the device. */
static void dma_straddle(struct edu *edu, struct uvfio_dma *out)
{
	struct uvfio_dma first = {}, second = {};
	unsigned char *joined = malloc(2 * page_size);

	if (!joined) {
		report(false, "out of memory");
		return;
	}
	if (!need(uvfio_dma_alloc(&edu->iommu, &first, page_size, UVFIO_READ,
				  IOVA_STRADDLE), "map the first page") ||
	    !need(uvfio_dma_alloc(&edu->iommu, &second, page_size, UVFIO_READ,
				  IOVA_STRADDLE + page_size), "map the second page"))
		goto out;

	fill_pattern(joined, 2 * page_size, 4);
	memcpy(first.cpu, joined, page_size);
	memcpy(second.cpu, joined + page_size, page_size);
	if (!need_dma(edu_read_memory(edu, IOVA_STRADDLE + page_size - CHUNK / 2,
				      CHUNK)) ||
	    !need_dma(edu_write_memory(edu, out->iova, CHUNK)))
		goto out;
	report(!memcmp(out->cpu, joined + page_size - CHUNK / 2, CHUNK),
	       "one DMA across two pages of unrelated memory at neighbouring IOVAs");
out:
	uvfio_dma_free(&edu->iommu, &second);
	uvfio_dma_free(&edu->iommu, &first);
	free(joined);
}

static void step_dma(struct edu *edu)
{
	struct uvfio_dma a = {}, b = {};

	if (need(uvfio_dma_alloc(&edu->iommu, &a, page_size, UVFIO_READ, IOVA_A),
		 "map a page that the device may read") &&
	    need(uvfio_dma_alloc(&edu->iommu, &b, page_size, UVFIO_RW, IOVA_B),
		 "map a page that the device may write")) {
		dma_round_trip(edu, &a, &b);
		dma_unaligned(edu, &a, &b);
		dma_straddle(edu, &b);
	}
	uvfio_dma_free(&edu->iommu, &b);
	uvfio_dma_free(&edu->iommu, &a);
}

static void interrupts(struct edu *edu, int efd, struct uvfio_dma *page)
{
	uint32_t status;
	int got;

	uvfio_write32(&edu->regs, EDU_IRQ_RAISE, 0x5);
	got = uvfio_eventfd_wait(efd, TIMEOUT_MS);
	status = uvfio_read32(&edu->regs, EDU_IRQ_STATUS);
	uvfio_write32(&edu->regs, EDU_IRQ_ACK, status);
	report(got == 1 && status == 0x5,
	       "an MSI arrived on the eventfd (the device's interrupt status was 0x%x)",
	       status);

	if (!need_dma(edu_dma(edu, page->iova, EDU_BUFFER, CHUNK,
			      EDU_DMA_IRQ)))
		return;
	got = uvfio_eventfd_wait(efd, TIMEOUT_MS);
	status = uvfio_read32(&edu->regs, EDU_IRQ_STATUS);
	uvfio_write32(&edu->regs, EDU_IRQ_ACK, status);
	report(got == 1 && status == EDU_DMA_IRQ_STATUS,
	       "another one announced the end of a DMA");
}

static void step_irq(struct edu *edu)
{
	struct uvfio_dma page = {};
	int efd = eventfd(0, EFD_CLOEXEC);

	if (efd < 0) {
		report(false, "eventfd: %s", strerror(errno));
		return;
	}
	if (need(uvfio_irq_enable(&edu->vfio, VFIO_PCI_MSI_IRQ_INDEX, &efd, 1),
		 "enable the MSI")) {
		if (need(uvfio_dma_alloc(&edu->iommu, &page, page_size, UVFIO_READ,
					 IOVA_A), "map a page"))
			interrupts(edu, efd, &page);
		uvfio_dma_free(&edu->iommu, &page);
		need(uvfio_irq_disable(&edu->vfio, VFIO_PCI_MSI_IRQ_INDEX),
		     "disable the MSI");
	}
	close(efd);
}

/*
 * In all of the following the device buffer holds one pattern and memory
 * another, so that each outcome can be told from the others.
 */
enum { SEED_DEVICE = 100, SEED_MEMORY = 101 };

static void protect_never_mapped(struct edu *edu, struct uvfio_dma *good,
				 struct uvfio_dma *page)
{
	if (!need_dma(edu_load_pattern(edu, good, SEED_DEVICE)))
		return;
	fill_pattern(good->cpu, CHUNK, SEED_MEMORY);
	fill_pattern(page->cpu, CHUNK, SEED_MEMORY);
	if (!need_dma(edu_write_memory(edu, IOVA_NEVER_MAPPED, CHUNK)))
		return;
	report(has_pattern(good->cpu, CHUNK, SEED_MEMORY) &&
	       has_pattern(page->cpu, CHUNK, SEED_MEMORY),
	       "a write to IOVA 0x%08x, which was never mapped, changed no memory of ours",
	       IOVA_NEVER_MAPPED);
}

/* @page is unmapped by this, and its memory stays. */
static void protect_unmapped(struct edu *edu, struct uvfio_dma *good,
			     struct uvfio_dma *page)
{
	bool before;

	if (!need_dma(edu_load_pattern(edu, good, SEED_DEVICE)) ||
	    !need_dma(edu_write_memory(edu, page->iova, CHUNK)))
		return;
	before = has_pattern(page->cpu, CHUNK, SEED_DEVICE);
	if (!need(uvfio_unmap(&edu->iommu, page->iova, page->size), "unmap"))
		return;

	fill_pattern(page->cpu, CHUNK, SEED_MEMORY);
	if (!need_dma(edu_write_memory(edu, page->iova, CHUNK)))
		return;
	report(before && has_pattern(page->cpu, CHUNK, SEED_MEMORY),
	       "a write reached a page while it was mapped, and no longer after it was unmapped");

	if (!need_dma(edu_read_memory(edu, page->iova, CHUNK)) ||
	    !need_dma(edu_write_memory(edu, good->iova, CHUNK)))
		return;
	report(!has_pattern(good->cpu, CHUNK, SEED_MEMORY),
	       "a read of the unmapped page did not give the device its contents");
}

static void protect_read_only(struct edu *edu, struct uvfio_dma *good)
{
	struct uvfio_dma ro = {};
	bool readable;

	if (!need(uvfio_dma_alloc(&edu->iommu, &ro, page_size, UVFIO_READ, IOVA_B),
		  "map a page read-only"))
		return;

	if (!need_dma(edu_load_pattern(edu, &ro, SEED_MEMORY)) ||
	    !need_dma(edu_write_memory(edu, good->iova, CHUNK)))
		goto out;
	readable = has_pattern(good->cpu, CHUNK, SEED_MEMORY);

	if (!need_dma(edu_load_pattern(edu, good, SEED_DEVICE)) ||
	    !need_dma(edu_write_memory(edu, ro.iova, CHUNK)))
		goto out;
	report(readable && has_pattern(ro.cpu, CHUNK, SEED_MEMORY),
	       "a page mapped read-only was read by the device, and its write did not change it");
out:
	uvfio_dma_free(&edu->iommu, &ro);
}

static void protect_detached(struct edu *edu, struct uvfio_dma *good)
{
	bool blocked;

	if (!need_dma(edu_load_pattern(edu, good, SEED_DEVICE)))
		return;
	fill_pattern(good->cpu, CHUNK, SEED_MEMORY);
	if (!need(uvfio_device_detach(&edu->vfio), "detach"))
		return;
	if (!need_dma(edu_write_memory(edu, good->iova, CHUNK)))
		return;
	blocked = has_pattern(good->cpu, CHUNK, SEED_MEMORY);

	if (!need(uvfio_device_attach(&edu->vfio, &edu->iommu),
		  "attach again") ||
	    !need_dma(edu_write_memory(edu, good->iova, CHUNK)))
		return;
	report(blocked && has_pattern(good->cpu, CHUNK, SEED_DEVICE),
	       "while detached the device reached nothing; attached again, it works again");
}

static void step_protect(struct edu *edu)
{
	struct uvfio_dma good = {}, page = {};

	if (need(uvfio_dma_alloc(&edu->iommu, &good, page_size, UVFIO_RW, IOVA_A),
		 "map a page") &&
	    need(uvfio_dma_alloc(&edu->iommu, &page, page_size, UVFIO_RW, IOVA_B),
		 "map another page")) {
		protect_never_mapped(edu, &good, &page);
		protect_unmapped(edu, &good, &page);
		protect_read_only(edu, &good);
		protect_detached(edu, &good);
	}
	uvfio_dma_free(&edu->iommu, &page);
	uvfio_dma_free(&edu->iommu, &good);
}

/*
 * Root may lock any amount of memory. Become an ordinary user in this respect,
 * for good.
 */
static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const __u32 bit = CAP_TO_MASK(CAP_IPC_LOCK);

	if (syscall(SYS_capget, &hdr, data))
		return -1;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~bit;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].permitted &= ~bit;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].inheritable &= ~bit;
	return (int)syscall(SYS_capset, &hdr, data);
}

/*
 * The kernel charges pinned memory to the user and shows the sum nowhere, but
 * the limit gives it away: exactly @pages pages fit if nothing is charged.
 */
static void step_memlock(struct edu *edu)
{
	const size_t pages = 64, size = pages * page_size;
	struct rlimit limit = { .rlim_cur = size, .rlim_max = size };
	struct uvfio_dma all = {}, extra = {};
	int err;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || drop_ipc_lock()) {
		report(false, "give up the right to lock any amount of memory: %s",
		       strerror(errno));
		return;
	}
	err = uvfio_dma_alloc(&edu->iommu, &all, size, UVFIO_RW, IOVA_A);
	if (!report(!err, "with a locked memory limit of %zu pages, %zu can be mapped: nothing was left charged before",
		    pages, pages)) {
		report_info("%s", uvfio_error());
		return;
	}
	err = uvfio_dma_alloc(&edu->iommu, &extra, page_size, UVFIO_RW, IOVA_B);
	report(err == -ENOMEM, "one page more is refused");
	uvfio_dma_free(&edu->iommu, &extra);
	uvfio_dma_free(&edu->iommu, &all);

	err = uvfio_dma_alloc(&edu->iommu, &all, size, UVFIO_RW, IOVA_A);
	report(!err, "once they are unmapped, the same number fits again");
	uvfio_dma_free(&edu->iommu, &all);
}

static const struct step {
	const char *name;
	void (*run)(struct edu *edu);
} steps[] = {
	{ "registers", step_registers },
	{ "dma", step_dma },
	{ "irq", step_irq },
	{ "protect", step_protect },
	{ "memlock", step_memlock },	/* last: gives up a capability */
};

#define NUM_STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- set-up ----------------------------------------------------------- */

static int edu_open(struct edu *edu, const char *bdf, int fd)
{
	int err;

	err = uvfio_iommu_open(&edu->iommu);
	if (err)
		return err;

	if (fd >= 0) {
		uvfio_device_from_fd(&edu->vfio, fd);
	} else {
		err = uvfio_device_open(&edu->vfio, bdf);
		if (err)
			return err;
	}
	err = uvfio_device_bind(&edu->vfio, &edu->iommu);
	if (err)
		return err;
	err = uvfio_device_attach(&edu->vfio, &edu->iommu);
	if (err)
		return err;
	err = uvfio_region_mmap(&edu->vfio, VFIO_PCI_BAR0_REGION_INDEX,
				&edu->regs);
	if (err)
		return err;
	return uvfio_pci_enable(&edu->vfio);
}

static void print_iova_ranges(struct edu *edu)
{
	struct iommu_iova_range ranges[8];
	int i, n = uvfio_iova_ranges(&edu->iommu, ranges, 8);

	for (i = 0; i < n && i < 8; i++)
		report_info("its IOVAs may be 0x%llx - 0x%llx",
			    (unsigned long long)ranges[i].start,
			    (unsigned long long)ranges[i].last);
}

static void usage(FILE *out)
{
	size_t i;

	fprintf(out,
		"usage: vfio-edu [--fd N] [--brief] [--step NAME]... BDF\n"
		"  BDF          PCI address of an edu device that is bound to vfio-pci\n"
		"  --fd N       use the open vfio device file N in place of BDF's\n"
		"  --brief      do not report how the device was opened\n"
		"  --step NAME  do only this (may be repeated); default: all\n"
		"steps:");
	for (i = 0; i < NUM_STEPS; i++)
		fprintf(out, " %s", steps[i].name);
	fputc('\n', out);
}

static bool choose_step(const char *name, bool *chosen)
{
	size_t i;

	for (i = 0; i < NUM_STEPS; i++) {
		if (!strcmp(steps[i].name, name)) {
			chosen[i] = true;
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fd", required_argument, NULL, 'f' },
		{ "step", required_argument, NULL, 's' },
		{ "brief", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct edu edu = { .iommu.fd = -1, .vfio.fd = -1 };
	bool chosen[NUM_STEPS] = {}, all = true, brief = false;
	int opt, fd = -1;
	const char *bdf;
	char *end;
	size_t i;

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			fd = (int)strtol(optarg, &end, 10);
			if (*end || end == optarg || fd < 0) {
				usage(stderr);
				return 2;
			}
			break;
		case 's':
			all = false;
			if (!choose_step(optarg, chosen)) {
				usage(stderr);
				return 2;
			}
			break;
		case 'b':
			brief = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind + !!(fd < 0) != argc) {
		usage(stderr);
		return 2;
	}
	bdf = fd < 0 ? argv[optind] : "the device";

	if (edu_open(&edu, bdf, fd)) {
		report(false, "open %s: %s", bdf, uvfio_error());
	} else {
		if (!brief) {
			report(true, "%s opened, bound to /dev/iommu, attached to I/O address space %u",
			       bdf, edu.iommu.ioas_id);
			print_iova_ranges(&edu);
		}
		for (i = 0; i < NUM_STEPS; i++)
			if (all || chosen[i])
				steps[i].run(&edu);
	}

	uvfio_region_munmap(&edu.regs);
	uvfio_device_close(&edu.vfio);
	uvfio_iommu_close(&edu.iommu);
	return report_status();
}
