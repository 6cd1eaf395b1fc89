// SPDX-License-Identifier: GPL-2.0-only
/*
 * "pasid-testdev", a PCI Express function with ATS, PASID and PRI for Debian's
 * QEMU 11.1 as it is: a library that is loaded before QEMU and registers the
 * device with it. See README.md, and tools/lib/pasid_testdev_regs.h for the
 * registers.
 *
 * All of this runs under QEMU's big lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/pasid_testdev_regs.h"
#include "qemu.h"
#include "vtd.h"

#define PAGE		0x1000ULL

/* Capabilities in configuration space */
#define PCI_COMMAND	0x04
#define   PCI_COMMAND_MASTER 0x04
#define ATS_CAP		0x100
#define   ATS_CONTROL	(ATS_CAP + 6)
#define   ATS_ENABLE	0x8000
#define PASID_CAP	0x120
#define PRI_CAP		0x140

/* In the environment: what the guest's VT-d shall have besides QEMU's */
#define NESTED_ENV	"PASID_TESTDEV_NESTED"
#define DIRTY_ENV	"PASID_TESTDEV_DIRTY"

/**
 * struct watch - what QEMU tells about one PASID
 * @pri: of responses to page requests; QEMU gives this back, so it comes first
 * @iotlb: of invalidations
 * @testdev: the device
 * @pasid: or PT_NO_PASID
 * @hears_responses: @pri is registered
 * @hears_invalidations: @iotlb is registered; twice would make its list endless
 */
struct watch {
	struct qemu_pri_notifier pri;
	char iotlb[QEMU_NOTIFIER_ROOM] __attribute__((aligned(64)));
	struct testdev *testdev;
	__u32 pasid;
	bool hears_responses;
	bool hears_invalidations;
};

/**
 * struct cached - a translation of one page that the device keeps
 * @valid: in use
 * @walked: by a walk of the device's own, not by ATS
 * @read: may be read
 * @write: may be written
 * @clean: a write has to walk, to set the dirty bit
 * @pasid: or PT_NO_PASID
 * @page: input address
 * @phys: physical address
 */
struct cached {
	bool valid;
	bool walked;
	bool read;
	bool write;
	bool clean;
	__u32 pasid;
	__u64 page;
	__u64 phys;
};

#define WATCHES	(1 + (1 << PT_PASID_BITS))
#define CACHED	16

struct testdev {
	struct PCIDevice *dev;
	__u32 pasid;
	__u32 result;
	__u32 responses;
	__u32 response;
	__u32 invalidations;
	__u32 type;
	__u64 invalidated;
	__u64 addr;
	__u64 len;
	__u64 queue_seen;
	unsigned int next;
	struct cached cache[CACHED];
	__u8 buffer[PT_MAX_LEN];
	struct watch *watches[WATCHES];
	char bar[QEMU_REGION_ROOM] __attribute__((aligned(64)));
};

/* VT-d's ECAP as the guest sees it, if that is not QEMU's */
static struct {
	char region[QEMU_REGION_ROOM] __attribute__((aligned(64)));
	__u64 more;
	__u64 value;
} ecap;

/* QEMU knows a device by an address of its own; few are asked for. */
#define MAX_DEVICES	8
static struct testdev *devices[MAX_DEVICES];

__u32 vtd_read32(__u64 addr)
{
	__u32 v = 0;

	address_space_rw(&address_space_memory, addr, QEMU_ATTRS_UNSPECIFIED,
			 &v, sizeof(v), false);
	return v;
}

__u64 vtd_read64(__u64 addr)
{
	__u64 v = 0;

	address_space_rw(&address_space_memory, addr, QEMU_ATTRS_UNSPECIFIED,
			 &v, sizeof(v), false);
	return v;
}

void vtd_write64(__u64 addr, __u64 v)
{
	address_space_rw(&address_space_memory, addr, QEMU_ATTRS_UNSPECIFIED,
			 &v, sizeof(v), true);
}

static void forget(struct testdev *t, __u32 pasid, bool walked,
		   __u64 first, __u64 last)
{
	struct cached *c;

	t->invalidations++;
	t->invalidated = first;
	for (c = t->cache; c != t->cache + CACHED; c++)
		if (c->walked == walked && (walked || c->pasid == pasid) &&
		    c->page <= last && c->page + PAGE - 1 >= first)
			c->valid = false;
}

static void forget_all(struct testdev *t)
{
	struct cached *c;

	for (c = t->cache; c != t->cache + CACHED; c++)
		c->valid = false;
}

static unsigned int count_cached(const struct testdev *t)
{
	unsigned int i, n = 0;

	for (i = 0; i != CACHED; i++)
		n += t->cache[i].valid;
	return n;
}

static struct cached *find_cached(struct testdev *t, bool walked, __u64 page)
{
	struct cached *c;

	for (c = t->cache; c != t->cache + CACHED; c++)
		if (c->valid && c->walked == walked && c->pasid == t->pasid &&
		    c->page == page)
			return c;
	return NULL;
}

static struct cached *add_cached(struct testdev *t, bool walked, __u64 page)
{
	struct cached *c = &t->cache[t->next++ % CACHED];

	*c = (struct cached){
		.valid = true,
		.walked = walked,
		.pasid = t->pasid,
		.page = page,
	};
	return c;
}

/* A device-IOTLB invalidation */
static void notify_invalidated(void *n, struct qemu_translation *e)
{
	struct watch *w = (struct watch *)((char *)n - offsetof(struct watch, iotlb));

	forget(w->testdev, w->pasid, false, e->iova & ~e->mask, e->iova | e->mask);
}

static void notify_answered(struct qemu_pri_notifier *n, struct qemu_response *r)
{
	struct testdev *t = ((struct watch *)n)->testdev;

	t->responses++;
	t->response = r->code << 16 | r->group;
}

/* The notifiers of the PASID that is set; NULL if it has too many bits */
static struct watch *watch(struct testdev *t)
{
	unsigned int i = t->pasid + 1;		/* the first is for requests without */
	struct watch *w;

	if (i >= WATCHES)
		return NULL;
	if (!t->watches[i]) {
		w = aligned_alloc(64, (sizeof(*w) + 63) & ~63UL);
		memset(w, 0, sizeof(*w));
		w->testdev = t;
		w->pasid = t->pasid;
		w->pri.notify = notify_answered;
		t->watches[i] = w;
	}
	return t->watches[i];
}

static __u32 failed(__u32 result, long err)
{
	return (__u32)(__u16)err << 16 | result;
}

static __u32 untranslated(struct testdev *t, bool write)
{
	struct AddressSpace *as = pci_device_iommu_address_space(t->dev);

	return address_space_rw(as, t->addr, QEMU_ATTRS_UNSPECIFIED, t->buffer,
				t->len, write) ? PT_REFUSED : PT_DONE;
}

static __u32 translate_by_ats(struct testdev *t, __u64 page, bool write,
			      struct cached **found)
{
	struct qemu_translation e = {};
	struct watch *w = watch(t);
	__u32 errors = 0;
	struct cached *c;
	ssize_t got;

	if (!w)
		return PT_NO_ATS;
	if (!w->hears_invalidations) {
		pci_iommu_init_iotlb_notifier(t->dev, w->iotlb,
					      notify_invalidated, t);
		w->hears_invalidations =
			!pci_iommu_register_iotlb_notifier(t->dev, t->pasid,
							   w->iotlb);
	}
	c = find_cached(t, false, page);
	if (c && (write ? c->write : c->read)) {
		*found = c;
		return PT_DONE;
	}
	got = pci_ats_request_translation(t->dev, t->pasid, false, false, page,
					  PAGE, !write, &e, 1, &errors);
	if (got < 0)
		return failed(PT_NO_ATS, got);
	if (errors || !got || !(e.perm & (write ? QEMU_PERM_WRITE : QEMU_PERM_READ)))
		return PT_NO_TRANSLATION;
	if (!c)
		c = add_cached(t, false, page);
	c->read = e.perm & QEMU_PERM_READ;
	c->write = e.perm & QEMU_PERM_WRITE;
	c->phys = (e.translated & ~e.mask) | (page & e.mask);
	*found = c;
	return PT_DONE;
}

static __u32 translate_by_walk(struct testdev *t, __u64 page, bool write,
			       struct cached **found)
{
	struct vtd_translation walked;
	struct vtd_invalidation inv;
	struct cached *c;

	while (vtd_next_invalidation(&t->queue_seen, &inv))
		forget(t, t->pasid, true, inv.first, inv.last);
	c = find_cached(t, true, page);
	if (!c || (write && c->write && c->clean)) {
		bool hit = vtd_walk(pci_requester_id(t->dev), t->pasid, page,
				    write, &walked);

		t->type = walked.type;
		if (!hit) {
			if (c)
				c->valid = false;
			return PT_NO_TRANSLATION;
		}
		if (!c)
			c = add_cached(t, true, page);
		c->read = walked.read;
		c->write = walked.write;
		c->clean = walked.tracked && !walked.dirty;
		c->phys = walked.phys;
	}
	*found = c;
	return (write ? c->write : c->read) ? PT_DONE : PT_NO_TRANSLATION;
}

static __u32 by_pages(struct testdev *t, bool write,
		      __u32 (*translate)(struct testdev *t, __u64 page,
					 bool write, struct cached **found))
{
	__u64 done, addr, n;
	struct cached *c;
	__u32 rc;

	for (done = 0; done < t->len; done += n) {
		addr = t->addr + done;
		n = PAGE - addr % PAGE;
		if (n > t->len - done)
			n = t->len - done;
		rc = translate(t, addr & ~(PAGE - 1), write, &c);
		if (rc != PT_DONE)
			return rc;
		if (address_space_rw(&address_space_memory, c->phys + addr % PAGE,
				     QEMU_ATTRS_UNSPECIFIED, t->buffer + done, n,
				     write))
			return PT_NO_MEMORY;
	}
	return PT_DONE;
}

static __u32 request_page(struct testdev *t, __u32 cmd)
{
	struct watch *w = watch(t);
	int rc;

	if (!w)
		return PT_NO_PRI;
	if (!w->hears_responses)
		w->hears_responses = !pci_pri_register_notifier(t->dev, t->pasid,
								&w->pri);
	rc = pci_pri_request_page(t->dev, t->pasid, false, false,
				  t->addr & ~(PAGE - 1), cmd & PT_REQUEST_LAST,
				  cmd >> 16 & 0x1ff, cmd & PT_REQUEST_READ,
				  cmd & PT_REQUEST_WRITE);
	return rc ? failed(PT_NO_PRI, rc) : PT_DONE;
}

static __u32 command(struct testdev *t, __u32 cmd)
{
	__u32 what = cmd & 0xff;
	bool write = what == PT_CMD_WRITE || what == PT_CMD_ATS_WRITE ||
		     what == PT_CMD_WALK_WRITE;

	if (!(pci_default_read_config(t->dev, PCI_COMMAND, 2) & PCI_COMMAND_MASTER))
		return PT_NOT_MASTER;
	switch (what) {
	case PT_CMD_READ:
	case PT_CMD_WRITE:
		return untranslated(t, write);
	case PT_CMD_ATS_READ:
	case PT_CMD_ATS_WRITE:
		return by_pages(t, write, translate_by_ats);
	case PT_CMD_PAGE_REQUEST:
		return request_page(t, cmd);
	case PT_CMD_WALK_READ:
	case PT_CMD_WALK_WRITE:
		return by_pages(t, write, translate_by_walk);
	}
	return PT_UNKNOWN;
}

static __u64 bar_read(void *opaque, __u64 offset, unsigned int size)
{
	struct testdev *t = opaque;
	__u64 value = 0;

	switch (offset) {
	case PT_ID:
		return PT_ID_VALUE;
	case PT_PASID:
		return t->pasid;
	case PT_ADDR:
		return t->addr;
	case PT_LEN:
		return t->len;
	case PT_RESULT:
		return t->result;
	case PT_RESPONSES:
		return t->responses;
	case PT_RESPONSE:
		return t->response;
	case PT_INVALIDATIONS:
		return t->invalidations;
	case PT_INVALIDATED:
		return t->invalidated;
	case PT_TABLE_TYPE:
		return t->type;
	case PT_CACHED:
		return count_cached(t);
	}
	if (offset >= PT_BUFFER && offset + size <= PT_BUFFER + PT_MAX_LEN)
		memcpy(&value, t->buffer + offset - PT_BUFFER, size);
	return value;
}

static void bar_write(void *opaque, __u64 offset, __u64 value,
		      unsigned int size)
{
	struct testdev *t = opaque;

	switch (offset) {
	case PT_PASID:
		t->pasid = value;
		return;
	case PT_ADDR:
		t->addr = value;
		return;
	case PT_LEN:
		t->len = value > PT_MAX_LEN ? PT_MAX_LEN : value;
		return;
	case PT_CMD:
		t->result = command(t, value);
		return;
	}
	if (offset >= PT_BUFFER && offset + size <= PT_BUFFER + PT_MAX_LEN)
		memcpy(t->buffer + offset - PT_BUFFER, &value, size);
}

static const struct qemu_region_ops bar_ops = {
	.read = bar_read,
	.write = bar_write,
	.endianness = QEMU_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 8 },
	.impl = { .min_access_size = 1, .max_access_size = 8 },
};

/* More bits over what QEMU's VT-d has there after its reset */
static __u64 ecap_read(void *opaque, __u64 offset, unsigned int size)
{
	struct MemoryRegion *mr = (struct MemoryRegion *)ecap.region;

	if (!ecap.value) {
		memory_region_set_enabled(mr, false);
		ecap.value = vtd_read64(VTD_BASE + VTD_ECAP) | ecap.more;
		memory_region_set_enabled(mr, true);
	}
	return ecap.value >> (8 * offset);
}

static void ecap_write(void *opaque, __u64 offset, __u64 value,
		       unsigned int size)
{
}

static const struct qemu_region_ops ecap_ops = {
	.read = ecap_read,
	.write = ecap_write,
	.endianness = QEMU_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 8 },
	.impl = { .min_access_size = 1, .max_access_size = 8 },
};

static void extend_vtd(struct Object *owner)
{
	if (ecap.more)
		return;
	if (getenv(NESTED_ENV))
		ecap.more |= VTD_ECAP_NEST | VTD_ECAP_SLTS;
	if (getenv(DIRTY_ENV))
		ecap.more |= VTD_ECAP_SLADS | VTD_ECAP_SMPWC;
	if (!ecap.more)
		return;
	memory_region_init_io((struct MemoryRegion *)ecap.region, owner, &ecap_ops,
			      NULL, "vtd-ecap", 8);
	memory_region_add_subregion_overlap(get_system_memory(),
					    VTD_BASE + VTD_ECAP,
					    (struct MemoryRegion *)ecap.region, 10);
}

/* With ATS off, the device may not keep what it was told before. */
static void config_write(struct PCIDevice *dev, __u32 address, __u32 value,
			 int len)
{
	struct testdev **t;

	pci_default_write_config(dev, address, value, len);
	if (pci_default_read_config(dev, ATS_CONTROL, 2) & ATS_ENABLE)
		return;
	for (t = devices; t != devices + MAX_DEVICES; t++)
		if (*t && (*t)->dev == dev)
			forget_all(*t);
}

static void realize(struct PCIDevice *dev, struct Error **errp)
{
	struct testdev *t = aligned_alloc(64, (sizeof(*t) + 63) & ~63UL);
	unsigned int i = 0;

	while (i != MAX_DEVICES && devices[i])
		i++;
	if (!t || i == MAX_DEVICES) {
		fprintf(stderr, "pasid-testdev: more than %u\n", MAX_DEVICES);
		exit(1);
	}
	memset(t, 0, sizeof(*t));
	devices[i] = t;
	t->dev = dev;
	t->pasid = PT_NO_PASID;
	t->type = PT_TYPE_NONE;
	pcie_endpoint_cap_init(dev, 0);
	pcie_ats_init(dev, ATS_CAP, true);
	pcie_pasid_init(dev, PASID_CAP, PT_PASID_BITS, false, true);
	pcie_pri_init(dev, PRI_CAP, PT_REQUESTS, true);
	memory_region_init_io((struct MemoryRegion *)t->bar, (struct Object *)dev, &bar_ops, t,
			      "pasid-testdev", PT_BAR_SIZE);
	pci_register_bar(dev, 0, 0, (struct MemoryRegion *)t->bar);
	extend_vtd((struct Object *)dev);
}

/* Is what QEMU says about a device of its own where we look for it? */
static bool class_layout_is_known(void)
{
	const struct qemu_pci_class *edu;

	edu = (struct qemu_pci_class *)object_class_by_name("edu");
	return edu && edu->realize && edu->exit && edu->vendor_id == 0x1234 &&
	       edu->device_id == 0x11e8 && edu->revision == 0x10 &&
	       edu->class_id == 0xff;
}

static void class_init(struct ObjectClass *class, const void *data)
{
	struct qemu_pci_class *k = (struct qemu_pci_class *)class;

	if (!class_layout_is_known()) {
		fprintf(stderr, "pasid-testdev: this QEMU lays out its classes in another way than QEMU 11.1 of Debian 13's backports, for which this device was made\n");
		exit(1);
	}
	k->realize = realize;
	k->config_write = config_write;
	k->vendor_id = PT_VENDOR;
	k->device_id = PT_DEVICE;
	k->revision = 1;
	k->class_id = 0xff;
}

static const struct qemu_interface interfaces[] = {
	{ "pci-express-device" },
	{}
};

static const struct qemu_type_info testdev_type = {
	.name = "pasid-testdev",
	.parent = "pci-device",
	.class_init = class_init,
	.interfaces = interfaces,
};

static void register_testdev(void)
{
	type_register_static(&testdev_type);
}

#define NEEDED(function) { #function, (void *)(function) }

static void __attribute__((constructor)) pasid_testdev_load(void)
{
	const struct {
		const char *name;
		void *address;
	} needed[] = {
		{ "address_space_memory", &address_space_memory },
		NEEDED(address_space_rw),
		NEEDED(get_system_memory),
		NEEDED(memory_region_add_subregion_overlap),
		NEEDED(memory_region_init_io),
		NEEDED(memory_region_set_enabled),
		NEEDED(object_class_by_name),
		NEEDED(pci_ats_request_translation),
		NEEDED(pci_default_read_config),
		NEEDED(pci_default_write_config),
		NEEDED(pci_device_iommu_address_space),
		NEEDED(pci_iommu_init_iotlb_notifier),
		NEEDED(pci_iommu_register_iotlb_notifier),
		NEEDED(pci_pri_register_notifier),
		NEEDED(pci_pri_request_page),
		NEEDED(pci_register_bar),
		NEEDED(pci_requester_id),
		NEEDED(pcie_ats_init),
		NEEDED(pcie_endpoint_cap_init),
		NEEDED(pcie_pasid_init),
		NEEDED(pcie_pri_init),
		NEEDED(register_module_init),
		NEEDED(type_register_static),
	};
	unsigned int i;

	for (i = 0; i != sizeof(needed) / sizeof(needed[0]); i++) {
		if (needed[i].address)
			continue;
		fprintf(stderr, "pasid-testdev: this QEMU has no %s(); it has to be QEMU 11.1 of Debian 13's backports\n",
			needed[i].name);
		exit(1);
	}
	register_module_init(register_testdev, QEMU_MODULE_INIT_LAST);
}
