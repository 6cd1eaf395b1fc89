/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Facts about this machine: what firmware offers, what the kernel made of it,
 * and which VFIO modules there are.
 */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>

#include "mem.h"

enum firmware_iommu { FIRMWARE_NONE, FIRMWARE_INTEL, FIRMWARE_AMD,
		      FIRMWARE_ARM, FIRMWARE_VIRTIO, FIRMWARE_UNKNOWN };

enum yes_no { NO, YES, UNKNOWN };

/* What the firmware's tables say that the machine has */
enum firmware_iommu host_firmware_iommu(void);
/* Those that the kernel drives, by name; and in which mode DMA goes through */
struct strings host_iommus(void);
size_t host_num_groups(void);
/* A word of the kernel's command line: "iommu" gives "pt" for iommu=pt; NULL */
const char *host_cmdline(const char *name);
bool host_is_x86(void);
/* Are interrupts remapped, or kept apart by device in another way? */
enum yes_no host_remaps_interrupts(void);
/* "none", "integrity", "confidentiality"; NULL if it is not known */
const char *host_lockdown(void);
enum yes_no host_secure_boot(void);
/* Value of an option of this kernel's configuration, "n" if it is not set; NULL */
const char *host_config(const char *option);

/*
 * A module. If it is loaded, what is said is about what is loaded, else about
 * what modprobe would load.
 */
struct module {
	const char *name;
	bool loaded;			/* or built in */
	bool builtin;
	const char *path;		/* of the file; NULL: none is installed */
	const char *version;		/* or source checksum; NULL */
	const char *signer;		/* NULL: not signed, or not known */
	const char *taint;		/* letters; "" */
	const char *loaded_srcversion;	/* if it is loaded */
	const char *file_srcversion;
	bool ours;			/* from outside the kernel's package */
};

/* What it returns holds until the next call. */
const struct module *host_module(const char *name);
/* Load it, as modprobe would. Return: 0 or a negative errno. */
int host_module_load(const char *name);
/* A parameter of a loaded module, NULL: none */
const char *host_parameter(const char *module, const char *parameter);

/* uname -r */
const char *host_release(void);

/* Our iommufd and vfio are loaded (they say more in sysfs and fdinfo). */
bool host_is_ours(void);

#endif /* HOST_H */
