// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <libkmod.h>

#include "host.h"
#include "sysfs.h"

#define ACPI_TABLES	"/sys/firmware/acpi/tables"

enum firmware_iommu host_firmware_iommu(void)
{
	if (sysfs_exists(ACPI_TABLES "/DMAR"))
		return FIRMWARE_INTEL;
	if (sysfs_exists(ACPI_TABLES "/IVRS"))
		return FIRMWARE_AMD;
	if (sysfs_exists(ACPI_TABLES "/IORT"))
		return FIRMWARE_ARM;
	if (sysfs_exists(ACPI_TABLES "/VIOT"))
		return FIRMWARE_VIRTIO;
	/* Arm machines without ACPI describe it in a device tree. */
	return sysfs_exists(ACPI_TABLES) ? FIRMWARE_NONE : FIRMWARE_UNKNOWN;
}

struct strings host_iommus(void)
{
	return sysfs_list("/sys/class/iommu");
}

size_t host_num_groups(void)
{
	return sysfs_list("/sys/kernel/iommu_groups").count;
}

const char *host_cmdline(const char *name)
{
	char *line = sysfs_read("/proc/cmdline");
	struct strings words = strings_split(line ? line : "", " ");
	const char *value = NULL;
	size_t i, length = strlen(name);

	for (i = 0; i < words.count; i++)
		if (!strncmp(words.list[i], name, length) &&
		    words.list[i][length] == '=')
			value = words.list[i] + length + 1;
	return value;
}

bool host_is_x86(void)
{
	struct utsname name;

	return !uname(&name) && !strncmp(name.machine, "x86", 3);
}

enum yes_no host_remaps_interrupts(void)
{
	char *text = sysfs_read("/proc/interrupts");

	if (!text)
		return UNKNOWN;
	/* The names of interrupt chips, of IO-APICs or of MSI */
	if (host_is_x86())
		return strstr(text, " IR-") ? YES : NO;
	/* Of Arm's interrupt controllers the ITS knows who sends an interrupt. */
	return (strstr(text, " GICv2m") || strstr(text, " MBI")) &&
	       !strstr(text, " ITS") ? NO : YES;
}

const char *host_lockdown(void)
{
	char *text = sysfs_read("/sys/kernel/security/lockdown");
	char *start = text ? strchr(text, '[') : NULL;

	if (!start)
		return NULL;
	return strtok(start + 1, "]");
}

enum yes_no host_secure_boot(void)
{
	FILE *f;
	int i, byte = EOF;

	if (!sysfs_exists("/sys/firmware/efi"))
		return NO;
	f = fopen("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
		  "re");
	if (!f)
		return UNKNOWN;
	for (i = 0; i < 5; i++)		/* four bytes of attributes come first */
		byte = getc(f);
	fclose(f);
	return byte == 1 ? YES : byte == 0 ? NO : UNKNOWN;
}

const char *host_release(void)
{
	struct utsname name;

	return uname(&name) ? "" : mem_strdup(name.release);
}

const char *host_config(const char *option)
{
	static char *text;
	char *key, *found, *end;

	if (!text)
		text = sysfs_read("/boot/config-%s", host_release());
	if (!text)
		text = sysfs_read("/lib/modules/%s/config", host_release());
	if (!text)
		return NULL;
	key = mem_printf("\nCONFIG_%s=", option);
	found = strstr(text, key);
	if (!found)
		return "n";
	found = mem_strdup(found + strlen(key));
	end = strchr(found, '\n');
	if (end)
		*end = '\0';
	return found;
}

/* What the module's file says of itself */
static void module_info(struct module *module, struct kmod_module *mod)
{
	struct kmod_list *list = NULL, *entry;

	if (kmod_module_get_info(mod, &list) < 0)
		return;
	kmod_list_foreach(entry, list) {
		const char *key = kmod_module_info_get_key(entry);
		const char *value = kmod_module_info_get_value(entry);

		if (!strcmp(key, "signer"))
			module->signer = mem_strdup(value);
		else if (!strcmp(key, "version"))
			module->version = mem_strdup(value);
		else if (!strcmp(key, "srcversion"))
			module->file_srcversion = mem_strdup(value);
	}
	kmod_module_info_free_list(list);
}

/* What goes wrong is told by us, once. */
static void no_log(void *data, int priority, const char *file, int line,
		   const char *function, const char *format, va_list args)
{
	(void)data; (void)priority; (void)file; (void)line;
	(void)function; (void)format; (void)args;
}

static struct kmod_ctx *kmod_open(void)
{
	struct kmod_ctx *ctx = kmod_new(NULL, NULL);

	if (ctx)
		kmod_set_log_fn(ctx, no_log, NULL);
	return ctx;
}

/* What is known already, for there is a question for each device of a list */
static struct module *known;
static size_t num_known;

const struct module *host_module(const char *name)
{
	struct kmod_module *mod = NULL;
	struct module *module;
	struct kmod_ctx *ctx;
	char *dir, *c;
	size_t i;

	for (i = 0; i < num_known; i++)
		if (!strcmp(known[i].name, name))
			return &known[i];
	module = mem_add(known, num_known);
	module->name = mem_strdup(name);
	module->taint = "";
	dir = mem_printf("/sys/module/%s", name);
	for (c = dir; *c; c++)
		if (*c == '-')
			*c = '_';

	ctx = kmod_open();
	if (ctx && !kmod_module_new_from_name(ctx, name, &mod)) {
		const char *path = kmod_module_get_path(mod);
		int state = kmod_module_get_initstate(mod);

		module->builtin = state == KMOD_MODULE_BUILTIN;
		module->loaded = module->builtin || state == KMOD_MODULE_LIVE;
		if (path) {
			module->path = mem_strdup(path);
			module_info(module, mod);
			module->ours = !strstr(path, "/kernel/");
		}
		kmod_module_unref(mod);
	}
	if (ctx)
		kmod_unref(ctx);

	if (module->loaded && !module->builtin) {
		char *taint = sysfs_read("%s/taint", dir);

		module->taint = taint ? taint : "";
		module->ours = strchr(module->taint, 'O');
		module->loaded_srcversion = sysfs_read("%s/srcversion", dir);
	}
	return module;
}

int host_module_load(const char *name)
{
	struct kmod_module *mod = NULL;
	struct kmod_ctx *ctx;
	int rc;

	num_known = 0;
	ctx = kmod_open();
	if (!ctx)
		return -ENOMEM;
	rc = kmod_module_new_from_name(ctx, name, &mod);
	if (!rc) {
		rc = kmod_module_probe_insert_module(mod, 0, NULL, NULL, NULL,
						     NULL);
		kmod_module_unref(mod);
	}
	kmod_unref(ctx);
	return rc > 0 ? -EPERM : rc;
}

const char *host_parameter(const char *module, const char *parameter)
{
	return sysfs_read("/sys/module/%s/parameters/%s", module, parameter);
}

bool host_is_ours(void)
{
	char *taint = sysfs_read("/sys/module/vfio/taint");

	return taint && strchr(taint, 'O');
}
