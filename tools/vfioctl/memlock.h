/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MEMLOCK_H
#define MEMLOCK_H

#include <stdbool.h>

/*
 * Bytes that may have to be locked for a virtual machine. With a virtual IOMMU
 * each device has an address space of its own, and memory is charged once for
 * each. 1 GiB more is for what else is mapped: firmware, ROMs, video memory.
 */
unsigned long long memlock_needed(unsigned long long ram, unsigned int devices,
				  bool viommu);

/* "4G", "512M", "8388608". Return: true if it is a size. */
bool size_parse(const char *text, unsigned long long *bytes);
/* 8388608 as "8 MiB" */
char *size_text(unsigned long long bytes);

#endif /* MEMLOCK_H */
