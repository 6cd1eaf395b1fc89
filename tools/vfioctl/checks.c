// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <grp.h>
#include <pci/pci.h>

#include "checks.h"
#include "group.h"
#include "holders.h"
#include "host.h"
#include "hostuse.h"
#include "memlock.h"
#include "sysfs.h"

#define DEBIAN_GRUB	"GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub; then update-grub, and reboot"

static struct link *chain_add(struct chain *chain, const char *name,
			      enum link_state state, const char *text)
{
	struct link *link = mem_add(chain->links, chain->count);

	link->name = name;
	link->state = state;
	link->text = text;
	return link;
}

const struct link *chain_broken(const struct chain *chain)
{
	size_t i;

	for (i = 0; i < chain->count; i++)
		if (chain->links[i].state == LINK_BROKEN)
			return &chain->links[i];
	return NULL;
}

const char *link_state_name(enum link_state state)
{
	static const char *const names[] = {
		[LINK_OK] = "ok",
		[LINK_NOTE] = "note",
		[LINK_UNKNOWN] = "unknown",
		[LINK_BROKEN] = "broken",
	};

	return names[state];
}

/* ---- the machine */

static bool noiommu_allowed(void)
{
	const char *value = host_parameter("vfio",
					   "enable_unsafe_noiommu_mode");

	return value && *value == 'Y';
}

static void link_firmware(struct chain *chain)
{
	static const char *const names[] = {
		[FIRMWARE_INTEL] = "Intel VT-d (table DMAR)",
		[FIRMWARE_AMD] = "AMD-Vi (table IVRS)",
		[FIRMWARE_ARM] = "an Arm SMMU (table IORT)",
		[FIRMWARE_VIRTIO] = "a virtio IOMMU (table VIOT)",
	};
	enum firmware_iommu firmware = host_firmware_iommu();
	struct link *link;

	switch (firmware) {
	case FIRMWARE_NONE:
		if (host_iommus().count) {
			chain_add(chain, "firmware", LINK_OK,
				  "the IOMMU is one that needs no table of the firmware");
			break;
		}
		link = chain_add(chain, "firmware", LINK_BROKEN,
				 "the firmware offers no IOMMU: this machine has none, or it is turned off in the firmware's setup");
		strings_add(&link->remedies, "# turn on VT-d, AMD-Vi, IOMMU or SMMU in the firmware's setup (a virtual machine: give it an IOMMU)");
		break;
	case FIRMWARE_UNKNOWN:
		chain_add(chain, "firmware",
			  host_iommus().count ? LINK_OK : LINK_UNKNOWN,
			  "the firmware has no ACPI tables to tell of an IOMMU");
		break;
	default:
		chain_add(chain, "firmware", LINK_OK,
			  mem_printf("the firmware offers %s",
				     names[firmware]));
	}
}

/* Why the kernel does not drive an IOMMU that there is, and what turns it on */
static void kernel_remedy(struct link *link, enum firmware_iommu firmware)
{
	const char *parameter = firmware == FIRMWARE_AMD ? "amd_iommu" :
				firmware == FIRMWARE_INTEL ? "intel_iommu" :
				"iommu";
	const char *given = host_cmdline(parameter);
	const char *config = NULL;

	if (host_cmdline("iommu") && !strcmp(host_cmdline("iommu"), "off")) {
		parameter = "iommu";
		given = "off";
	}
	if (given && !strncmp(given, "off", 3)) {
		link->text = mem_printf("the kernel command line has %s=off: no IOMMU is used",
					parameter);
		strings_add(&link->remedies, "# remove %s=off from the kernel command line ("
			    DEBIAN_GRUB ")", parameter);
		return;
	}
	if (firmware == FIRMWARE_INTEL)
		config = host_config("INTEL_IOMMU_DEFAULT_ON");
	if (firmware == FIRMWARE_INTEL && !given) {
		link->text = mem_printf("the kernel does not use the IOMMU: it takes intel_iommu=on on the command line%s",
					config && !strcmp(config, "n") ?
					" (this kernel has it off by default)" :
					"");
		strings_add(&link->remedies, "# kernel command line: intel_iommu=on (" DEBIAN_GRUB ")");
		return;
	}
	link->text = "the firmware offers an IOMMU, and the kernel found it unusable";
	strings_add(&link->remedies, "dmesg | grep -i -e dmar -e amd-vi -e smmu");
}

static void link_kernel(struct chain *chain)
{
	struct strings iommus = host_iommus();
	size_t groups = host_num_groups();
	const char *mode = host_cmdline("iommu");
	struct link *link;

	if (groups && iommus.count) {
		chain_add(chain, "iommu", LINK_OK,
			  mem_printf("the kernel uses the IOMMU: %s, %zu groups%s",
				     strings_join(&iommus, ", "), groups,
				     mode && !strcmp(mode, "pt") ?
				     ", the host's own DMA passes it by (iommu=pt)" : ""));
		return;
	}
	link = chain_add(chain, "iommu", LINK_BROKEN,
			 "the kernel uses no IOMMU");
	if (host_firmware_iommu() != FIRMWARE_NONE)
		kernel_remedy(link, host_firmware_iommu());
}

static void link_interrupts(struct chain *chain)
{
	/* Stock modules have it in vfio_iommu_type1. */
	const char *allowed = host_parameter("iommufd",
					     "allow_unsafe_interrupts");
	const char *module = "iommufd";
	struct link *link;

	if (!allowed && !host_is_ours()) {
		module = "vfio_iommu_type1";
		allowed = host_parameter(module, "allow_unsafe_interrupts");
	}
	switch (host_remaps_interrupts()) {
	case YES:
		chain_add(chain, "interrupts", LINK_OK,
			  "interrupts of devices are remapped");
		return;
	case UNKNOWN:
		chain_add(chain, "interrupts", LINK_UNKNOWN,
			  "/proc/interrupts cannot be read");
		return;
	default:
		break;
	}
	if (allowed && *allowed == 'Y') {
		chain_add(chain, "interrupts", LINK_NOTE,
			  mem_printf("interrupts are not remapped, and %s.allow_unsafe_interrupts is set: whoever has a device can send interrupts to the host",
				     module));
		return;
	}
	link = chain_add(chain, "interrupts", LINK_BROKEN,
			 "interrupts are not remapped: a device could send any interrupt to the host");
	if (host_cmdline("intremap") || host_cmdline("nox2apic"))
		strings_add(&link->remedies, "# take intremap=%s off the kernel command line",
			    host_cmdline("intremap"));
	if (host_is_x86())
		strings_add(&link->remedies, "# turn on interrupt remapping (x2APIC) in the firmware's setup");
	strings_add(&link->remedies, "echo 'options %s allow_unsafe_interrupts=1' > /etc/modprobe.d/vfio-unsafe.conf  # if you trust whoever uses the device; then reload the module",
		    module);
}

static void link_lockdown(struct chain *chain)
{
	const char *mode = host_lockdown();
	enum yes_no secure = host_secure_boot();
	const char *enforce = host_parameter("module", "sig_enforce");
	const struct module *vfio = host_module("vfio");
	bool enforced = (enforce && *enforce == 'Y') ||
			(mode && strcmp(mode, "none"));
	struct link *link;

	if (enforced && vfio->path && vfio->ours && !vfio->loaded &&
	    !vfio->signer) {
		link = chain_add(chain, "lockdown", LINK_BROKEN,
				 "only signed modules may be loaded, and the installed vfio module is not signed");
		strings_add(&link->remedies, "/usr/lib/linux-kbuild-*/scripts/sign-file sha256 MOK.priv MOK.der %s",
			    vfio->path);
		return;
	}
	chain_add(chain, "lockdown", LINK_OK,
		  mem_printf("Secure Boot is %s, lockdown is %s%s",
			     secure == YES ? "on" : secure == NO ? "off" :
			     "not known", mode ? mode : "not available",
			     enforced ? ": modules have to be signed" : ""));
}

/* @driver: NULL if it is not a module of VFIO */
static void link_modules(struct chain *chain, const char *driver)
{
	const char *const names[] = { "vfio", "iommufd", driver };
	struct strings loaded = { 0 };
	struct link *link;
	bool ours = false, stock = false, stale = false;
	size_t i;

	for (i = 0; i < 3 && names[i]; i++) {
		const struct module *module = host_module(names[i]);

		if (!module->path && !module->loaded) {
			/* Stock kernels may be without iommufd. */
			if (i == 1)
				continue;
			link = chain_add(chain, "modules", LINK_BROKEN,
					 mem_printf("there is no module %s for this kernel",
						    names[i]));
			strings_add(&link->remedies, "make && make install  # for kernel %s",
				    host_release());
			return;
		}
		if (module->ours)
			ours = true;
		else
			stock = true;
		if (module->loaded && module->loaded_srcversion &&
		    module->file_srcversion &&
		    strcmp(module->loaded_srcversion, module->file_srcversion))
			stale = true;
		strings_add(&loaded, "%s (%s%s%s%s%s%s%s%s)", names[i],
			    module->ours ? "external" : "the kernel's",
			    module->version ? " " : "",
			    module->version ? module->version : "",
			    module->loaded ? "" : ", not loaded yet",
			    module->signer ? ", signed by " : "",
			    module->signer ? module->signer : "",
			    *module->taint ? ", taint " : "", module->taint);
	}
	if (ours && stock) {
		link = chain_add(chain, "modules", LINK_BROKEN,
				 mem_printf("modules of two kinds do not work together: %s",
					    strings_join(&loaded, ", ")));
		strings_add(&link->remedies, "modprobe -r vfio_pci vfio_pci_core vfio_iommu_type1 vfio iommufd && modprobe iommufd && modprobe vfio-pci");
		return;
	}
	link = chain_add(chain, "modules", stale ? LINK_NOTE : LINK_OK,
			 mem_printf("modules: %s%s",
				    strings_join(&loaded, ", "), stale ?
				    "; other ones are installed than are loaded" : ""));
	if (stale)
		strings_add(&link->remedies, "modprobe -r vfio_pci vfio_pci_core vfio_iommu_type1 vfio iommufd && modprobe vfio-pci  # or reboot");
}

/* ---- the user */

static void link_login(struct chain *chain, const struct user *user)
{
	struct group *kvm = getgrnam("kvm");
	int count = 0, i;
	gid_t *groups;
	struct link *link;

	if (!user->caller || !kvm || user->overrides)
		return;
	for (i = 0; i < user->num_groups; i++)
		if (user->groups[i] == kvm->gr_gid)
			return;
	getgrouplist(user->name, user->gid, NULL, &count);
	groups = mem_zalloc((count + 1) * sizeof(*groups));
	if (getgrouplist(user->name, user->gid, groups, &count) < 0)
		return;
	for (i = 0; i < count; i++)
		if (groups[i] == kvm->gr_gid) {
			link = chain_add(chain, "login", LINK_NOTE,
					 mem_printf("%s was made a member of kvm after this login",
						    user->name));
			strings_add(&link->remedies, "newgrp kvm  # or log in again");
			return;
		}
}

static void link_node(struct chain *chain, const char *name, const char *path,
		      const struct user *user, const char *remedy)
{
	int error = user_may_open(user, path);
	struct link *link;
	struct stat st;

	if (!error) {
		chain_add(chain, name, LINK_OK,
			  mem_printf("%s may open %s", user->name, path));
		return;
	}
	if (error == ENOENT || stat(path, &st)) {
		link = chain_add(chain, name, LINK_BROKEN,
				 mem_printf("there is no %s", path));
	} else {
		struct group *group = getgrgid(st.st_gid);

		link = chain_add(chain, name, LINK_BROKEN,
				 mem_printf("%s may not open %s: it belongs to %s:%s, mode %04o",
					    user->name, path,
					    user_name(st.st_uid),
					    group ? group->gr_name : "?",
					    st.st_mode & 07777));
		if (group && st.st_gid && (st.st_mode & 060) == 060)
			strings_add(&link->remedies, "adduser %s %s  # and log in again",
				    user->name, group->gr_name);
	}
	if (!link->remedies.count)
		strings_add(&link->remedies, "%s", remedy);
}

/* The systemd service that this runs in, whose limit it has; NULL: none */
static const char *own_service(void)
{
	char *text = sysfs_read("/proc/self/cgroup");
	struct strings parts = strings_split(text ? text : "", "/\n");
	const char *last = parts.count ? parts.list[parts.count - 1] : "";
	const char *suffix = strrchr(last, '.');

	return suffix && !strcmp(suffix, ".service") ? last : NULL;
}

static void link_memlock(struct chain *chain, const struct asked *asked)
{
	const char *source;
	unsigned long long limit = user_memlock(asked->user, &source), needed;
	const char *who = asked->user->name;
	struct link *link;

	if (!source) {
		link = chain_add(chain, "memlock", LINK_UNKNOWN,
				 mem_printf("%s runs nothing whose limit of locked memory could be looked at",
					    who));
		return;
	}
	if (limit == NO_LIMIT) {
		chain_add(chain, "memlock", LINK_OK,
			  mem_printf("%s may lock any amount of memory (%s)",
				     who, source));
		return;
	}
	if (!asked->ram) {
		chain_add(chain, "memlock", LINK_NOTE,
			  mem_printf("%s may lock %s of memory (%s); --ram SIZE tells whether that is enough",
				     who, size_text(limit), source));
		return;
	}
	needed = memlock_needed(asked->ram, 1, false);
	if (limit >= needed) {
		chain_add(chain, "memlock", LINK_OK,
			  mem_printf("%s may lock %s of memory, %s are needed",
				     who, size_text(limit), size_text(needed)));
		return;
	}
	link = chain_add(chain, "memlock", LINK_BROKEN,
			 mem_printf("%s may lock %s of memory (%s), and %s are needed for a machine of %s",
				    who, size_text(limit), source,
				    size_text(needed), size_text(asked->ram)));
	if (asked->user->caller && own_service())
		strings_add(&link->remedies, "systemctl edit %s  # [Service] LimitMEMLOCK=%lluM: limits.d is for logins only",
			    own_service(), needed >> 20);
	else
		strings_add(&link->remedies, "vfioctl memlock --ram %lluM --user %s",
			    asked->ram >> 20, who);
}

/* ---- the device */

static bool link_device_group(struct chain *chain, const struct device *dev)
{
	struct link *link;

	if (!strcmp(dev->bus, "mdev")) {
		chain_add(chain, "iommu", LINK_OK,
			  "a mediated device needs no IOMMU");
		return true;
	}
	if (dev->group != NO_GROUP) {
		chain_add(chain, "isolation", LINK_OK,
			  mem_printf("an IOMMU confines it, in group %d",
				     dev->group));
		return true;
	}
	if (!dev->driver && host_firmware_iommu() == FIRMWARE_UNKNOWN &&
	    host_iommus().count) {
		chain_add(chain, "isolation", LINK_UNKNOWN,
			  "whether an IOMMU confines it shows when it is bound, on a machine with a device tree");
		return true;
	}
	if (noiommu_allowed()) {
		chain_add(chain, "isolation", LINK_NOTE,
			  "no IOMMU confines it, and vfio.enable_unsafe_noiommu_mode is set: whoever has it can reach all memory");
		return true;
	}
	link = chain_add(chain, "isolation", LINK_BROKEN,
			 "no IOMMU confines it");
	strings_add(&link->remedies, "vfioctl check");
	return false;
}

static void link_host_use(struct chain *chain, const struct device *dev)
{
	struct strings uses = host_uses(dev);
	struct link *link;

	if (!uses.count) {
		chain_add(chain, "host", LINK_OK,
			  "the host does not depend on it, as far as can be seen");
		return;
	}
	link = chain_add(chain, "host", LINK_BROKEN,
			 mem_printf("the host uses it: %s",
				    strings_join(&uses, "; ")));
	strings_add(&link->remedies, "# stop that use, then: vfioctl bind %s",
		    device_short(dev));
}

/* " --owner USER", if the question is not about who asks */
static const char *for_owner(const struct asked *asked)
{
	return asked->user->caller ? "" :
	       mem_printf(" --owner %s", asked->user->name);
}

static void link_driver(struct chain *chain, const struct device *dev,
			const struct asked *asked)
{
	struct link *link;

	if (dev->vfio) {
		chain_add(chain, "driver", LINK_OK,
			  mem_printf("it is bound to %s", dev->driver));
		return;
	}
	if (dev->bridge) {
		chain_add(chain, "driver", LINK_BROKEN,
			  "it is a bridge: it stays with the host");
		return;
	}
	link = chain_add(chain, "driver", LINK_BROKEN, dev->driver ?
			 mem_printf("it is bound to the host driver %s",
				    dev->driver) :
			 "it is not bound to a VFIO driver");
	if (!strcmp(dev->bus, "pci"))
		strings_add(&link->remedies, "vfioctl bind %s%s",
			    device_short(dev), for_owner(asked));
}

static void link_group(struct chain *chain, const struct device *dev,
		       const struct asked *asked)
{
	struct device **others = group_in_the_way(dev);
	struct link *link;

	if (dev->group == NO_GROUP || dev->bridge)
		return;
	if (!*others && dev->viable == 0) {
		/* Interrupts are a link of their own. */
		chain_add(chain, "group", LINK_NOTE,
			  "the kernel says that it is not viable");
		return;
	}
	if (!*others || (!others[1] && others[0]->path == dev->path)) {
		chain_add(chain, "group", LINK_OK,
			  mem_printf("nothing in group %d is in the way",
				     dev->group));
		return;
	}
	link = chain_add(chain, "group", LINK_BROKEN,
			 mem_printf("group %d cannot be divided, and host drivers have these of it: %s",
				    dev->group, group_names(others)));
	strings_add(&link->remedies, "vfioctl bind --group %s%s",
		    device_short(dev), for_owner(asked));
}

static void link_held(struct chain *chain, const struct device *dev)
{
	char *names = holders_names(dev);
	struct link *link;

	if (names) {
		link = chain_add(chain, "held", LINK_BROKEN,
				 mem_printf("it is in use by %s", names));
		strings_add(&link->remedies, "vfioctl who %s", device_short(dev));
		return;
	}
	if (holders()->hidden)
		chain_add(chain, "held", LINK_UNKNOWN,
			  mem_printf("nobody seems to use it, but %u processes of other users could not be looked into",
				     holders()->hidden));
	else
		chain_add(chain, "held", LINK_OK, "nobody else uses it");
}

static char *node_remedy(const struct device *dev, const char *node,
			 const struct user *user)
{
	if (!strcmp(dev->bus, "pci"))
		return mem_printf("vfioctl bind %s --owner %s",
				  device_short(dev), user->name);
	return mem_printf("chown %s %s", user->name, node);
}

static void link_nodes(struct chain *chain, const struct device *dev,
		       const struct asked *asked)
{
	const char *node = device_node_path(dev);
	const char *group = device_group_path(dev);

	if (node) {
		link_node(chain, "iommufd", "/dev/iommu", asked->user,
			  "modprobe iommufd");
		link_node(chain, "node", node, asked->user,
			  node_remedy(dev, node, asked->user));
	} else if (group) {
		link_node(chain, "container", "/dev/vfio/vfio", asked->user,
			  "modprobe vfio");
		link_node(chain, "node", group, asked->user,
			  node_remedy(dev, group, asked->user));
	}
}

struct chain check_device(const struct device *dev, const struct asked *asked)
{
	struct chain chain = { 0 };
	bool pci = !strcmp(dev->bus, "pci");

	if (pci && dev->group == NO_GROUP && !noiommu_allowed()) {
		link_firmware(&chain);
		link_kernel(&chain);
	}
	link_device_group(&chain, dev);
	if (dev->group != NO_GROUP && pci)
		link_interrupts(&chain);
	link_lockdown(&chain);
	link_modules(&chain, pci && dev->vfio ? dev->driver :
			     pci ? "vfio-pci" : NULL);
	link_host_use(&chain, dev);
	link_group(&chain, dev, asked);
	link_driver(&chain, dev, asked);
	if (dev->vfio) {
		link_nodes(&chain, dev, asked);
		link_login(&chain, asked->user);
		link_held(&chain, dev);
	}
	link_memlock(&chain, asked);
	return chain;
}

/* ---- the host without a device */

static void link_groups(struct chain *chain)
{
	struct devices *all = devices();
	struct strings shared = { 0 };
	struct link *link;
	size_t i, j;

	for (i = 0; i < all->count; i++) {
		const struct device *dev = &all->list[i];
		struct device **members;
		size_t endpoints = 0;
		bool first = true;

		if (dev->bridge || dev->group == NO_GROUP ||
		    strcmp(dev->bus, "pci"))
			continue;
		members = group_members(dev);
		for (j = 0; members[j]; j++) {
			if (members[j]->bridge)
				continue;
			if (!endpoints++ && members[j] != dev)
				first = false;
		}
		if (endpoints > 1 && first)
			strings_add(&shared, "%d (%zu devices)", dev->group,
				    endpoints);
	}
	if (!host_num_groups())
		return;
	if (!shared.count) {
		chain_add(chain, "groups", LINK_OK,
			  "every device has an IOMMU group of its own");
		return;
	}
	link = chain_add(chain, "groups", LINK_NOTE,
			 mem_printf("these groups have several devices, which go to one user together: %s",
				    strings_join(&shared, ", ")));
	strings_add(&link->remedies, "vfioctl list --group");
}

/* Ports that do not keep what is behind them apart */
static void link_acs(struct chain *chain)
{
	struct devices *all = devices();
	struct strings lacking = { 0 };
	bool hidden = false;
	size_t i;

	for (i = 0; i < all->count; i++) {
		const struct device *dev = &all->list[i];
		struct pci_dev *pci;
		struct pci_cap *express;
		int type;

		if (strcmp(dev->bus, "pci") || dev->class >> 8 !=
		    PCI_CLASS_BRIDGE_PCI)
			continue;
		pci = device_pci(dev);
		pci_fill_info(pci, PCI_FILL_CAPS | PCI_FILL_EXT_CAPS);
		express = pci_find_cap(pci, PCI_CAP_ID_EXP, PCI_CAP_NORMAL);
		if (!express) {
			/* Users see no capabilities, and all PCIe ports have one. */
			hidden = hidden || !pci->first_cap;
		} else {
			type = (pci_read_word(pci, express->addr +
					      PCI_EXP_FLAGS) &
				PCI_EXP_FLAGS_TYPE) >> 4;
			if ((type == PCI_EXP_TYPE_ROOT_PORT ||
			     type == PCI_EXP_TYPE_DOWNSTREAM) &&
			    !pci_find_cap(pci, PCI_EXT_CAP_ID_ACS,
					  PCI_CAP_EXTENDED))
				strings_add(&lacking, "%s", dev->name);
		}
		pci_free_dev(pci);
	}
	if (lacking.count)
		chain_add(chain, "acs", LINK_NOTE,
			  mem_printf("these ports have no ACS, so that devices behind them share groups, unless the kernel knows better: %s",
				     strings_join(&lacking, ", ")));
	else if (hidden)
		chain_add(chain, "acs", LINK_UNKNOWN,
			  "which ports isolate what is behind them (ACS) is for root to see");
	else
		chain_add(chain, "acs", LINK_OK,
			  "all PCI Express ports isolate what is behind them (ACS)");
}

static bool names_vfio(const char *path)
{
	char *text = sysfs_read("%s", path);
	struct strings lines = strings_split(text ? text : "", "\n");
	size_t i;

	for (i = 0; i < lines.count; i++)
		if (*lines.list[i] != '#' && strstr(lines.list[i], "vfio"))
			return true;
	return false;
}

static bool any_names_vfio(const char *folder)
{
	struct strings names = sysfs_list("%s", folder);
	size_t i;

	for (i = 0; i < names.count; i++)
		if (names_vfio(mem_printf("%s/%s", folder, names.list[i])))
			return true;
	return false;
}

static void link_initramfs(struct chain *chain)
{
	const char *release = host_release();
	struct stat image, file;
	const struct module *vfio = host_module("vfio");
	bool dracut = names_vfio("/etc/dracut.conf") ||
		      any_names_vfio("/etc/dracut.conf.d");
	struct link *link;

	if ((!dracut && !names_vfio("/etc/initramfs-tools/modules")) ||
	    stat(mem_printf("/boot/initrd.img-%s", release), &image)) {
		chain_add(chain, "initramfs", LINK_OK,
			  "no VFIO module is asked for in the initramfs");
		return;
	}
	if (!vfio->path || stat(vfio->path, &file) ||
	    image.st_mtime >= file.st_mtime) {
		chain_add(chain, "initramfs", LINK_OK,
			  "the initramfs loads VFIO modules, and is newer than those installed");
		return;
	}
	link = chain_add(chain, "initramfs", LINK_BROKEN,
			 mem_printf("the initramfs loads VFIO modules early, and is older than those installed (%s)",
				    vfio->path));
	if (dracut)
		strings_add(&link->remedies, "dracut --force %s %s",
			    mem_printf("/boot/initrd.img-%s", release), release);
	else
		strings_add(&link->remedies, "update-initramfs -u -k %s",
			    release);
}

static void link_rules(struct chain *chain)
{
	static const char *const folders[] = {
		"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d"
	};
	size_t i, j;

	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		struct strings names = sysfs_list("%s", folders[i]);

		for (j = 0; j < names.count; j++) {
			char *text = sysfs_read("%s/%s", folders[i],
						names.list[j]);

			/* udev's own say something of the container only. */
			if (text && (strstr(text, "\"vfio-dev\"") ||
				     strstr(text, "\"vfio\", KERNEL"))) {
				chain_add(chain, "udev", LINK_OK,
					  mem_printf("%s/%s says who may open the nodes",
						     folders[i], names.list[j]));
				return;
			}
		}
	}
	chain_add(chain, "udev", LINK_NOTE,
		  "no udev rule says who may open the nodes: root only, or whom vfioctl bind --owner names");
}

static void link_suspend(struct chain *chain)
{
	struct devices *all = devices();
	struct strings bound = { 0 };
	char *states = sysfs_read("/sys/power/state");
	size_t i;

	for (i = 0; i < all->count; i++)
		if (all->list[i].vfio &&
		    holders_names(&all->list[i]))
			strings_add(&bound, "%s", all->list[i].name);
	if (bound.count && states && *states)
		chain_add(chain, "suspend", LINK_NOTE,
			  mem_printf("this machine can sleep (%s), and these devices lose their state then, while their users do not know: %s",
				     states, strings_join(&bound, ", ")));
	else
		chain_add(chain, "suspend", LINK_OK,
			  "no device is in use that would lose its state when the machine sleeps");
}

struct chain check_host(const struct asked *asked)
{
	struct chain chain = { 0 };

	link_firmware(&chain);
	link_kernel(&chain);
	if (host_num_groups())
		link_interrupts(&chain);
	if (noiommu_allowed())
		chain_add(&chain, "noiommu", LINK_NOTE,
			  "vfio.enable_unsafe_noiommu_mode is set: devices without an IOMMU can be used, and can reach all memory");
	link_lockdown(&chain);
	link_modules(&chain, "vfio-pci");
	link_initramfs(&chain);
	if (sysfs_exists("/sys/module/iommufd"))
		link_node(&chain, "iommufd", "/dev/iommu", asked->user,
			  "modprobe iommufd");
	link_rules(&chain);
	link_login(&chain, asked->user);
	link_groups(&chain);
	link_acs(&chain);
	link_suspend(&chain);
	link_memlock(&chain, asked);
	return chain;
}
