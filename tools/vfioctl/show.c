// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <jansson.h>
#include <pci/pci.h>

#include "command.h"
#include "group.h"
#include "holders.h"
#include "memlock.h"
#include "output.h"
#include "reset_scope.h"
#include "say.h"
#include "sysfs.h"
#include "uvfio.h"

/*
 * What is known of a device is put into a JSON object, and people get that one
 * as lines: a label, and a text or several, one below the other.
 */
struct shown {
	json_t *json;
	bool text;
};

static void print_label(const char *key)
{
	char *label = mem_strdup(key), *c;

	for (c = label; *c; c++)
		if (*c == '-')
			*c = ' ';
	printf("%-18s ", label);
}

static void show_text(struct shown *s, const char *key, const char *value)
{
	json_object_set_new(s->json, key,
			    value ? json_string(value) : json_null());
	if (s->text && value) {
		print_label(key);
		puts(value);
	}
}

static void show_number(struct shown *s, const char *key, long long value,
			bool known)
{
	json_object_set_new(s->json, key,
			    known ? json_integer(value) : json_null());
	if (s->text && known) {
		print_label(key);
		printf("%lld\n", value);
	}
}

static void show_bool(struct shown *s, const char *key, long long value)
{
	json_object_set_new(s->json, key,
			    value < 0 ? json_null() : json_boolean(value));
	if (s->text && value >= 0) {
		print_label(key);
		puts(value ? "yes" : "no");
	}
}

static void print_lines(const char *key, const struct strings *lines)
{
	size_t i;

	for (i = 0; i < lines->count; i++) {
		print_label(i ? "" : key);
		puts(lines->list[i]);
	}
}

static void show_list(struct shown *s, const char *key,
		      const struct strings *lines)
{
	json_object_set_new(s->json, key, output_strings(lines));
	if (s->text)
		print_lines(key, lines);
}

/* ---- capabilities and BARs */

static void capabilities_of(struct pci_dev *pci, struct strings *caps)
{
	struct pci_cap *cap;
	unsigned int value;

	cap = pci_find_cap(pci, PCI_CAP_ID_MSI, PCI_CAP_NORMAL);
	if (cap) {
		value = pci_read_word(pci, cap->addr + PCI_MSI_FLAGS);
		strings_add(caps, "MSI, %u vectors",
			    1U << ((value & PCI_MSI_FLAGS_QMASK) >> 1));
	}
	cap = pci_find_cap(pci, PCI_CAP_ID_MSIX, PCI_CAP_NORMAL);
	if (cap) {
		value = pci_read_word(pci, cap->addr + PCI_CAP_FLAGS);
		strings_add(caps, "MSI-X, %u vectors",
			    (value & PCI_MSIX_TABSIZE) + 1);
	}
	cap = pci_find_cap(pci, PCI_CAP_ID_EXP, PCI_CAP_NORMAL);
	if (cap && pci_read_long(pci, cap->addr + PCI_EXP_DEVCAP) &
		   PCI_EXP_DEVCAP_FLRESET)
		strings_add(caps, "FLR");
	if (pci_find_cap(pci, PCI_EXT_CAP_ID_ATS, PCI_CAP_EXTENDED))
		strings_add(caps, "ATS");
	cap = pci_find_cap(pci, PCI_EXT_CAP_ID_PASID, PCI_CAP_EXTENDED);
	if (cap)
		strings_add(caps, "PASID, %u bits",
			    PCI_PASID_CAP_WIDTH(pci_read_word(pci, cap->addr +
							      PCI_PASID_CAP)));
	if (pci_find_cap(pci, PCI_EXT_CAP_ID_PRI, PCI_CAP_EXTENDED))
		strings_add(caps, "PRI");
	cap = pci_find_cap(pci, PCI_EXT_CAP_ID_SRIOV, PCI_CAP_EXTENDED);
	if (cap)
		strings_add(caps, "SR-IOV, up to %u VFs",
			    pci_read_word(pci, cap->addr + PCI_IOV_TOTALVF));
	if (pci_find_cap(pci, PCI_EXT_CAP_ID_REBAR, PCI_CAP_EXTENDED))
		strings_add(caps, "resizable BAR");
	if (pci_find_cap(pci, PCI_EXT_CAP_ID_ACS, PCI_CAP_EXTENDED))
		strings_add(caps, "ACS");
}

static void show_capabilities(struct shown *s, const struct device *dev)
{
	struct strings caps = { 0 };
	struct pci_dev *pci = device_pci(dev);
	char *config = mem_printf("%s/config", dev->path);
	bool hidden;

	if (!pci)
		return;
	pci_fill_info(pci, PCI_FILL_CAPS | PCI_FILL_EXT_CAPS);
	/* Others than root see the first 64 bytes of configuration space. */
	hidden = geteuid() && !pci->first_cap && !access(config, F_OK) &&
		 pci_read_word(pci, PCI_STATUS) & PCI_STATUS_CAP_LIST;
	capabilities_of(pci, &caps);
	pci_free_dev(pci);
	if (hidden) {
		json_object_set_new(s->json, "capabilities", json_null());
		if (s->text) {
			print_label("capabilities");
			puts("(for root to see)");
		}
		return;
	}
	show_list(s, "capabilities", &caps);
}

#define IORESOURCE_IO		0x100
#define IORESOURCE_MEM		0x200
#define IORESOURCE_PREFETCH	0x2000
#define IORESOURCE_MEM_64	0x100000

static void show_bars(struct shown *s, const struct device *dev)
{
	char *text = sysfs_read("%s/resource", dev->path);
	struct strings lines = strings_split(text ? text : "", "\n");
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < lines.count && i < 7; i++) {
		uint64_t start, end, flags, size;
		const char *kind, *name;
		bool mappable;
		json_t *bar;

		if (sscanf(lines.list[i], "%" SCNx64 " %" SCNx64 " %" SCNx64,
			   &start, &end, &flags) != 3 || !flags || end < start)
			continue;
		size = end - start + 1;
		kind = flags & IORESOURCE_IO ? "io" : "memory";
		name = i < 6 ? mem_printf("bar%zu", i) : "rom";
		/* VFIO maps whole pages. */
		mappable = flags & IORESOURCE_MEM && i < 6 &&
			   size >= (uint64_t)sysconf(_SC_PAGESIZE);
		bar = json_pack("{s:s, s:s, s:I, s:I, s:b, s:b, s:b}",
				"name", name, "kind", kind,
				"start", (json_int_t)start,
				"size", (json_int_t)size,
				"64-bit", !!(flags & IORESOURCE_MEM_64),
				"prefetchable", !!(flags & IORESOURCE_PREFETCH),
				"mappable", mappable);
		json_array_append_new(array, bar);
		if (!s->text)
			continue;
		print_label(name);
		printf("%s of %s%s%s%s%s\n", size_text(size),
		       flags & IORESOURCE_IO ? "I/O ports" : "memory",
		       start ? mem_printf(" at 0x%" PRIx64, start) : "",
		       flags & IORESOURCE_MEM_64 ? ", 64-bit" : "",
		       flags & IORESOURCE_PREFETCH ? ", prefetchable" : "",
		       mappable ? ", can be mapped" :
		       i == 6 ? "" : ", by read() and write() only");
	}
	json_object_set_new(s->json, "bars", array);
}

static void show_resets(struct shown *s, const struct device *dev)
{
	struct strings methods = reset_methods(dev), others = { 0 };
	struct device **hit = reset_others(dev);

	show_list(s, "reset-methods", &methods);
	for (; *hit; hit++)
		strings_add(&others, "%s", (*hit)->name);
	show_list(s, "hot-reset-hits", &others);
}

/* ---- its IOMMU */

#define BIT(n)		(1ULL << (n))

static void intel_features(unsigned long long cap, unsigned long long ecap,
			   struct strings *features)
{
	if (ecap & BIT(7))
		strings_add(features, "coherent DMA can be forced");
	if (ecap & BIT(43))
		strings_add(features, "scalable mode");
	if (ecap & BIT(43) && ecap & BIT(26))
		strings_add(features, "nesting");
	if (ecap & BIT(29))
		strings_add(features, "page requests");
	if (ecap & BIT(40))
		strings_add(features, "PASID");
	if (ecap & BIT(43) && ecap & BIT(45))
		strings_add(features, "dirty tracking");
	if (cap & BIT(34))
		strings_add(features, "pages of 2 MiB");
	if (cap & BIT(35))
		strings_add(features, "pages of 1 GiB");
}

static void amd_features(unsigned long long efr, struct strings *features)
{
	if (efr & BIT(1))
		strings_add(features, "page requests");
	if (efr & BIT(4))
		strings_add(features, "nesting");
	if (efr & BIT(52))
		strings_add(features, "dirty tracking");
}

static void show_iommu(struct shown *s, const struct device *dev)
{
	char *name = sysfs_link("%s/iommu", dev->path), *text;
	unsigned long long cap, ecap;
	struct strings features = { 0 };
	long long width = -1;

	show_text(s, "iommu", name);
	if (name) {
		cap = strtoull((text = sysfs_read("/sys/class/iommu/%s/intel-iommu/cap",
						  name)) ? text : "0", NULL, 16);
		ecap = strtoull((text = sysfs_read("/sys/class/iommu/%s/intel-iommu/ecap",
						   name)) ? text : "0", NULL, 16);
		if (cap) {
			width = cap & BIT(11) ? 57 : cap & BIT(10) ? 48 : 39;
			if (width > (long long)((cap >> 16) & 0x3f) + 1)
				width = ((cap >> 16) & 0x3f) + 1;
			intel_features(cap, ecap, &features);
		}
		text = sysfs_read("/sys/class/iommu/%s/amd-iommu/features",
				  name);
		if (text) {
			cap = strtoull(text, NULL, 16);
			/* Levels of page tables, of which the sixth is not whole */
			width = 48 + 9 * ((cap >> 10) & 3);
			if (width > 64)
				width = 64;
			amd_features(cap, &features);
		}
	}
	show_number(s, "address-width", width, width > 0);
	show_list(s, "iommu-features", &features);
	text = sysfs_read("/sys/kernel/iommu_groups/%d/type", dev->group);
	show_text(s, "host-domain", text);
	text = sysfs_read("/sys/kernel/iommu_groups/%d/reserved_regions",
			  dev->group);
	features = strings_split(text ? text : "", "\n");
	show_list(s, "reserved-regions", &features);
}

/* ---- what only the open device can tell */

#define MAX_RANGES	32

static int probe(struct shown *s, const struct device *dev)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	struct uvfio_iommu iommu;
	struct uvfio_device vfio;
	struct iommu_hw_info info = { .size = sizeof(info) };
	struct strings lines = { 0 };
	int rc, i;

	rc = uvfio_iommu_open(&iommu);
	if (rc)
		return say_error("/dev/iommu", "modprobe iommufd", "%s",
				 uvfio_error());
	rc = uvfio_device_open(&vfio, dev->name);
	if (rc) {
		uvfio_iommu_close(&iommu);
		return say_error(dev->name,
				 mem_printf("vfioctl why %s", dev->name),
				 "%s", uvfio_error());
	}
	rc = uvfio_device_bind(&vfio, &iommu);
	if (!rc)
		rc = uvfio_device_attach(&vfio, &iommu);
	if (!rc) {
		rc = uvfio_iova_ranges(&iommu, ranges, MAX_RANGES);
		for (i = 0; i < rc && i < MAX_RANGES; i++)
			strings_add(&lines, "0x%" PRIx64 "-0x%" PRIx64,
				    (uint64_t)ranges[i].start,
				    (uint64_t)ranges[i].last);
		info.dev_id = vfio.dev_id;
	}
	if (rc < 0)
		say_error(dev->name, mem_printf("vfioctl why %s", dev->name),
			  "%s", uvfio_error());
	if (rc >= 0) {
		show_list(s, "iova-ranges", &lines);
		show_bool(s, "dirty-tracking",
			  ioctl(iommu.fd, IOMMU_GET_HW_INFO, &info) ? -1 :
			  !!(info.out_capabilities &
			     IOMMU_HW_CAP_DIRTY_TRACKING));
		show_bool(s, "resets-alone", vfio.can_reset);
	}
	uvfio_device_close(&vfio);
	uvfio_iommu_close(&iommu);
	return rc < 0 ? EXIT_NO : EXIT_SUCCESS;
}

static void show_refusal(struct shown *s, const struct device *dev)
{
	struct holders *all = holders();
	const char *refusal = NULL;
	size_t i, j;

	for (i = 0; i < all->count; i++) {
		const struct holder *h = &all->list[i];

		if (!holder_of(h, dev))
			continue;
		if (h->refusal)
			refusal = h->refusal;
		/* Of the address space that it is to work in */
		for (j = 0; j < all->count && !refusal; j++)
			if (all->list[j].pid == h->pid && all->list[j].refusal)
				refusal = all->list[j].refusal;
	}
	show_text(s, "last-refusal", refusal);
}

static int show_device(struct shown *s, const struct device *dev, bool open)
{
	struct device **members = group_members(dev);
	struct strings names = { 0 };
	bool pci = !strcmp(dev->bus, "pci");
	char *holders;

	show_text(s, "address", dev->name);
	show_text(s, "bus", dev->bus);
	show_text(s, "name", dev->full_name);
	show_text(s, "class", dev->class_name);
	if (pci)
		show_text(s, "id", mem_printf("%04x:%04x", dev->vendor,
					      dev->device));
	show_text(s, "syspath", dev->path);
	show_text(s, "driver", dev->driver);
	show_text(s, "driver-override", dev->override);
	show_number(s, "numa-node", dev->numa, dev->numa >= 0);
	show_number(s, "group", dev->group, dev->group != NO_GROUP);
	for (; *members; members++)
		if (*members != dev)
			strings_add(&names, "%s", (*members)->name);
	show_list(s, "group-members", &names);
	show_text(s, "node", device_node_path(dev));
	show_text(s, "group-node", device_group_path(dev));
	show_bool(s, "viable", dev->viable);
	show_bool(s, "coherent", dev->node ?
		  sysfs_number(-1, "%s/vfio-dev/%s/dma_coherent", dev->path,
			       dev->node) : -1);
	if (pci) {
		show_capabilities(s, dev);
		show_bars(s, dev);
		show_resets(s, dev);
	}
	show_iommu(s, dev);
	holders = holders_names(dev);
	show_text(s, "in-use-by", holders);
	show_refusal(s, dev);
	if (!open)
		return EXIT_SUCCESS;
	if (holders)
		return say_error(dev->name, mem_printf("vfioctl who %s",
						       device_short(dev)),
				 "it is in use by %s", holders);
	return probe(s, dev);
}

static int run_show(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "probe", no_argument, NULL, 'p' },
		{ 0 }
	};
	struct shown shown = { .text = true };
	bool open = false;
	struct device *dev;
	int c, status;

	while ((c = getopt_long(argc, argv, "Jp", options, NULL)) != -1) {
		switch (c) {
		case 'J':
			shown.text = false;
			break;
		case 'p':
			open = true;
			break;
		default:
			return say_usage("show", NULL);
		}
	}
	if (argc - optind != 1)
		return say_usage("show", "name one device");
	dev = device_find(argv[optind]);
	if (!dev)
		return EXIT_NO;
	shown.json = json_object();
	status = show_device(&shown, dev, open);
	if (shown.text)
		json_decref(shown.json);
	else
		output_json(shown.json);
	return status;
}

const struct command show_command = {
	.name = "show",
	.arguments = "[options] DEVICE",
	.summary = "Show all that is known of one device",
	.run = run_show,
	.options =
	" -p, --probe           open it for a moment, which resets it, to learn which\n"
	"                       IOVAs there are and what the kernel can do for it\n"
	" -J, --json            JSON\n",
};
