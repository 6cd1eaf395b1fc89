/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory to map, what is pinned of it, and bitmaps of its pages. */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/types.h>

#define SZ_2M		(2UL << 20)

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/*
 * Memory of @size bytes, or MAP_FAILED. Most tests never unmap it: their process
 * ends soon.
 */

void *mem_shared(size_t size);
void *mem_private(size_t size);
/* Of huge pages that the pool has, see hugetlb_reserve() */
void *mem_hugetlb(size_t size);
/* Private memory at a multiple of 2 MiB, of huge pages where there are any */
void *mem_thp(size_t size);
/* An address below which @size bytes are mapped and above which nothing is */
void *mem_before_hole(size_t size);

/* Raise the number of 2 MiB pages in the pool of the kernel to @pages, if it is lower */
void hugetlb_reserve(unsigned int pages);

/* The descriptor or a negative errno */
int memfd_new(size_t size, unsigned int flags);
/*
 * A block device of @size bytes. Like a file on a disk, and unlike one in
 * memory, it has to know what is written to it, so that its pages cannot be
 * pinned for long and written to. The descriptor or a negative errno.
 */
int block_device(size_t size);

/* Pages that are pinned in the whole system; negative if the kernel does not count */
long pages_pinned(void);
/* A line of /proc/self/status in KiB, such as VmPin; negative if absent */
long status_kib(const char *key);

/* Read a register through its mapping; false if there is none: SIGBUS */
bool mem_peek32(const volatile __u32 *reg, __u32 *val);

static inline bool bit_is_set(const void *bitmap, unsigned long bit)
{
	return ((const unsigned char *)bitmap)[bit / 8] & 1 << bit % 8;
}

unsigned long count_bits(const void *bitmap, unsigned long bits);

#endif
