// SPDX-License-Identifier: GPL-2.0-only
/* "test": is a device usable on this machine, without harming it */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <pci/pci.h>

#include "../vfio-nvme/nvme.h"
#include "command.h"
#include "device.h"
#include "holders.h"
#include "host.h"
#include "nic.h"
#include "report.h"
#include "say.h"
#include "sysfs.h"
#include "uvfio.h"

#define MAP_SIZE	(2u << 20)
#define PATTERN		0xa5

struct subject {
	const struct device *dev;
	struct uvfio_iommu iommu;
	struct uvfio_device vfio;
};

static void describe(const struct device *dev)
{
	static const char *const modules[] = { "vfio", "iommufd", "vfio-pci" };
	struct utsname name;
	size_t i;

	uname(&name);
	report_info("%s %s, %s", name.sysname, name.release, name.machine);
	for (i = 0; i < sizeof(modules) / sizeof(*modules); i++) {
		const struct module *module = host_module(modules[i]);

		report_info("%s: %s%s%s", module->name, module->loaded ?
			    module->ours ? "external" : "the kernel's" :
			    "not loaded", *module->taint ? ", taint " : "",
			    module->taint);
	}
	report_info("%s: %s [%04x:%04x], %s, group %d", dev->name,
		    dev->full_name, dev->vendor, dev->device, dev->driver,
		    dev->group);
}

static bool test_open(struct subject *s)
{
	int rc;

	rc = uvfio_iommu_open(&s->iommu);
	if (!report(!rc, "/dev/iommu opened, and an address space made%s%s",
		    rc ? ": " : "", rc ? uvfio_error() : ""))
		return false;
	rc = uvfio_device_open(&s->vfio, s->dev->name);
	if (report(!rc, "device opened%s%s", rc ? ": " : "",
		   rc ? uvfio_error() : "")) {
		rc = uvfio_device_bind(&s->vfio, &s->iommu);
		if (report(!rc, "bound to the iommufd: its DMA is blocked%s%s",
			   rc ? ": " : "", rc ? uvfio_error() : "")) {
			rc = uvfio_device_attach(&s->vfio, &s->iommu);
			if (report(!rc, "attached to the address space%s%s",
				   rc ? ": " : "", rc ? uvfio_error() : ""))
				return true;
		}
		uvfio_device_close(&s->vfio);
	}
	uvfio_iommu_close(&s->iommu);
	return false;
}

static void subject_close(struct subject *s)
{
	uvfio_device_close(&s->vfio);
	uvfio_iommu_close(&s->iommu);
}

static void test_memory(struct subject *s)
{
	struct iommu_iova_range ranges[8];
	struct uvfio_dma dma;
	int rc;

	rc = uvfio_iova_ranges(&s->iommu, ranges, 8);
	report(rc > 0, "there are %d ranges of IOVA", rc < 0 ? 0 : rc);
	rc = uvfio_dma_alloc(&s->iommu, &dma, MAP_SIZE, UVFIO_RW,
			     UVFIO_ANY_IOVA);
	report(!rc, "2 MiB of memory mapped%s%s", rc ? ": " : "",
	       rc ? uvfio_error() : "");
	if (rc)
		return;
	rc = uvfio_unmap(&s->iommu, dma.iova, MAP_SIZE);
	report(!rc, "and unmapped%s%s", rc ? ": " : "",
	       rc ? uvfio_error() : "");
	uvfio_dma_free(&s->iommu, &dma);
}

static bool test_config(struct subject *s, const char *when)
{
	uint16_t ids[2] = { 0 };
	int rc;

	rc = uvfio_config_read(&s->vfio, PCI_VENDOR_ID, ids, sizeof(ids));
	return report(!rc && ids[0] == s->dev->vendor &&
		      ids[1] == s->dev->device,
		      "its configuration space can be read%s: %04x:%04x%s%s",
		      when, ids[0], ids[1], rc ? ", " : "",
		      rc ? uvfio_error() : "");
}

static void test_bars(struct subject *s)
{
	unsigned int i, mapped = 0;
	int rc;

	rc = uvfio_pci_enable(&s->vfio);
	if (!report(!rc, "its memory and bus mastering are turned on%s%s",
		    rc ? ": " : "", rc ? uvfio_error() : ""))
		return;
	for (i = VFIO_PCI_BAR0_REGION_INDEX; i <= VFIO_PCI_BAR5_REGION_INDEX;
	     i++) {
		struct vfio_region_info info = {
			.argsz = sizeof(info), .index = i
		};
		struct uvfio_region region;

		if (ioctl(s->vfio.fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
		    !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		rc = uvfio_region_mmap(&s->vfio, i, &region);
		if (!report(!rc, "BAR %u mapped%s%s", i, rc ? ": " : "",
			    rc ? uvfio_error() : ""))
			continue;
		mapped++;
		report_info("its first register reads 0x%08x",
			    uvfio_read32(&region, 0));
		uvfio_region_munmap(&region);
	}
	if (!mapped)
		report_skip("no BAR can be mapped");
}

static void test_interrupts(struct subject *s)
{
	static const char *const names[] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = "INTx",
		[VFIO_PCI_MSI_IRQ_INDEX] = "MSI",
		[VFIO_PCI_MSIX_IRQ_INDEX] = "MSI-X",
	};
	unsigned int i, kinds = 0;
	int rc, fd;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int count = uvfio_irq_count(&s->vfio, i);

		if (count <= 0)
			continue;
		kinds++;
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rc = uvfio_irq_enable(&s->vfio, i, &fd, 1);
		if (!rc)
			rc = uvfio_irq_disable(&s->vfio, i);
		report(!rc, "%s set up and torn down, of %d vectors%s%s",
		       names[i], count, rc ? ": " : "",
		       rc ? uvfio_error() : "");
		close(fd);
	}
	if (!kinds)
		report_skip("it has no interrupts");
}

static void test_reset(struct subject *s)
{
	int rc;

	if (!s->vfio.can_reset) {
		report_skip("it cannot be reset alone");
		return;
	}
	rc = uvfio_device_reset(&s->vfio);
	report(!rc, "reset%s%s", rc ? ": " : "", rc ? uvfio_error() : "");
	test_config(s, " afterwards");
}

/* ---- devices that we know how to have do DMA */

/* Guards before and after what the controller writes */
static bool is_untouched(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != PATTERN)
			return false;
	return true;
}

static void compare_reads(struct nvme *nvme)
{
	struct uvfio_dma dma;
	uint32_t blocks = NVME_PAGE / nvme->block_size;
	uint8_t *bytes;
	int rc;

	/* Pages: guard, first read, guard, second read, guard */
	rc = uvfio_dma_alloc(&nvme->iommu, &dma, 5 * NVME_PAGE, UVFIO_RW,
			     UVFIO_ANY_IOVA);
	if (rc) {
		report(false, "memory for blocks: %s", uvfio_error());
		return;
	}
	bytes = dma.cpu;
	memset(bytes, PATTERN, 5 * NVME_PAGE);
	/* What is on the disk may be that pattern, but not this one as well. */
	memset(bytes + 3 * NVME_PAGE, PATTERN ^ 0xff, NVME_PAGE);
	rc = nvme_read(nvme, 0, blocks, dma.iova + NVME_PAGE);
	if (!rc)
		rc = nvme_read(nvme, 0, blocks, dma.iova + 3 * NVME_PAGE);
	report(!rc, "its first %u blocks read twice%s%s", blocks,
	       rc ? ": " : "", rc ? nvme_error() : "");
	if (!rc) {
		report(!memcmp(bytes + NVME_PAGE, bytes + 3 * NVME_PAGE,
			       NVME_PAGE),
		       "real DMA: both times memory has the same afterwards, over different patterns");
		report(is_untouched(bytes, NVME_PAGE) &&
		       is_untouched(bytes + 2 * NVME_PAGE, NVME_PAGE) &&
		       is_untouched(bytes + 4 * NVME_PAGE, NVME_PAGE),
		       "and the pages around are untouched");
	}
	uvfio_dma_free(&nvme->iommu, &dma);
}

static void test_nvme(const struct device *dev)
{
	struct nvme *nvme = mem_zalloc(sizeof(*nvme));
	int rc;

	rc = nvme_open(nvme, dev->name, -1, NVME_IRQ_POLL, 1, 10000);
	if (!report(!rc, "the NVMe controller started%s%s", rc ? ": " : "",
		    rc ? nvme_error() : ""))
		return;
	report_info("\"%s\", firmware \"%s\", %llu blocks of %u bytes",
		    nvme->model, nvme->firmware,
		    (unsigned long long)nvme->num_blocks, nvme->block_size);
	if (nvme->block_size && nvme->block_size <= NVME_PAGE &&
	    nvme->num_blocks >= NVME_PAGE / nvme->block_size)
		compare_reads(nvme);
	else
		report_skip("it has no blocks to read");
	nvme_close(nvme);
}

static void test_dma(struct subject *s)
{
	const char *problem;

	if (!nic_is_known(s->dev->vendor, s->dev->device))
		return;
	problem = nic_loopback(&s->vfio, &s->iommu, s->dev->vendor,
			       s->dev->device);
	report(!problem, "real DMA: the network card sent a frame to itself%s%s",
	       problem ? ": " : "", problem ? problem : "");
}

static void test_given_back(const struct device *dev)
{
	char *status = sysfs_read("/proc/self/status");
	char *pinned = status ? strstr(status, "\nVmPin:") : NULL;
	const char *driver = device_driver_now(dev);
	char *names;

	report(pinned && !strtoul(pinned + strlen("\nVmPin:"), NULL, 10),
	       "nothing of this process is pinned any more");
	report(driver && !strcmp(driver, dev->driver),
	       "the device is bound to %s as before", dev->driver);
	holders_refresh();
	names = holders_names(dev);
	report(!names, "nobody has it%s%s", names ? ": " : "",
	       names ? names : "");
}

static int run_test(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct subject s = { .vfio.fd = -1 };
	char *names;

	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return say_usage("test", NULL);
	if (argc - optind != 1)
		return say_usage("test", "name one device");
	s.dev = device_find(argv[optind]);
	if (!s.dev)
		return EXIT_NO;
	if (strcmp(s.dev->bus, "pci"))
		return say_error(s.dev->name, NULL, "only PCI devices are tested");
	if (!s.dev->vfio)
		return say_error(s.dev->name, mem_printf("vfioctl bind %s",
							 device_short(s.dev)),
				 "it is not bound to a VFIO driver");
	if (!s.dev->node)
		return say_error(s.dev->name, "vfioctl check",
				 "it has no node in /dev/vfio/devices: this kernel's modules are without iommufd");
	names = holders_names(s.dev);
	if (names)
		return say_error(s.dev->name, mem_printf("vfioctl who %s",
							 device_short(s.dev)),
				 "it is in use by %s", names);

	describe(s.dev);
	if (test_open(&s)) {
		test_memory(&s);
		if (test_config(&s, "")) {
			test_bars(&s);
			test_interrupts(&s);
			test_reset(&s);
			if (!uvfio_pci_enable(&s.vfio))
				test_dma(&s);
		}
		subject_close(&s);
		if (s.dev->class == 0x010802)
			test_nvme(s.dev);
	}
	test_given_back(s.dev);
	return report_status() ? EXIT_NO : EXIT_SUCCESS;
}

const struct command test_command = {
	.name = "test",
	.arguments = "DEVICE",
	.summary = "Test whether a device is usable on this machine, without harming it",
	.run = run_test,
	.options =
	" It is opened, bound, attached and reset, its configuration space and BARs are\n"
	" read, interrupts are set up and torn down. An NVMe controller reads a few blocks\n"
	" (none is written), Intel's 82574 and 82576 send a frame to themselves, and what\n"
	" arrived in memory is compared. The report is one to attach to a bug report.\n\n",
};
