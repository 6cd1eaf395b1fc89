// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a byte of an operation stands for: small pools, in which related
 * operations meet, and the values at which things go wrong.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "../../../drivers/iommu/iommufd/iommufd_test.h"
#include "fuzz.h"

#define K	1024ULL
#define M	(K * K)
#define G	(M * K)

#define RECENT	4
#define POOL	16

static const char *const kind_names[NKINDS] = {
	[ARG_IOAS] = "ioas",	   [ARG_HWPT] = "hwpt",
	[ARG_IDEV] = "idev",	   [ARG_MOCK] = "mock",
	[ARG_FAULT] = "fault",	   [ARG_VIOMMU] = "viommu",
	[ARG_VDEVICE] = "vdevice", [ARG_QUEUE] = "queue",
	[ARG_PINS] = "pins",	   [ARG_IOMMUFD] = "iommufd",
	[ARG_ACCESS] = "access",   [ARG_FILE] = "file",
	[ARG_DMABUF] = "dmabuf",   [ARG_DEVICE] = "device",
	[ARG_GROUP] = "group",	   [ARG_EVENT] = "event",
};

struct pool {
	uint32_t items[POOL];
	unsigned int n;
};

static struct pool pools[NKINDS];

static struct {
	uint64_t iova;
	uint64_t length;
} recent[RECENT];

void pool_add(enum kind kind, uint32_t id)
{
	struct pool *pool = &pools[kind];

	pool->items[pool->n++ % POOL] = id;
}

static uint32_t pool_get(enum kind kind, unsigned int index)
{
	const struct pool *pool = &pools[kind];
	unsigned int n = pool->n < POOL ? pool->n : POOL;

	if (!n)
		return kind >= ARG_IOMMUFD ? -1 : 0;
	return pool->items[index % n];
}

void recent_map(uint64_t iova, uint64_t length)
{
	memmove(recent + 1, recent, sizeof(recent) - sizeof(recent[0]));
	recent[0].iova = iova;
	recent[0].length = length;
}

void values_reset(void)
{
	memset(pools, 0, sizeof(pools));
	memset(recent, 0, sizeof(recent));
}

/* ---- numbers */

static const uint64_t numbers[] = {
	0x80, 0xff, 0x100, 0x400, 0x7ff, 0x800, 0xfff, 0x1000, 0x1001, 0x8000,
	0xffff, 0x10000, 0x80000, 0x100000, 0xdead, 0xdeadbeef, 0xdadbeef,
	0xbeefbeef, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
	0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
	0xfffffffffffff000, 0xfffffffffffffffe, 0xffffffffffffffff,
	/* Features of VFIO to get, set and probe */
	0x10001, 0x10002, 0x10003, 0x10006, 0x10008, 0x1000b, 0x2000a, 0x20001, 0x20002,
	0x20006, 0x20007, 0x40001, 0x30001, 0x70001,
};

static uint64_t number(uint8_t byte)
{
	return byte < 0x80 ? byte : numbers[(byte - 0x80) % ARRAY_LEN(numbers)];
}

/* ---- a base and something added */

struct base {
	const char *name;
	uint64_t value;
};

struct scale {
	struct base base[32];
	struct base plus[8];
};

#define AP	((uint64_t)MOCK_APERTURE_START)

/* From the second one on: the recent maps. */
static const struct scale iovas = {
	.base = {
		{ "0", 0 }, { "m0" }, { "m1" }, { "m2" }, { "m3" },
		{ "ap", AP }, { "ap+16K", AP + 16 * K }, { "ap+1M", AP + M },
		{ "ap+2M", AP + 2 * M }, { "ap+3M", AP + 3 * M },
		{ "ap+4M", AP + 4 * M }, { "ap+8M", AP + 8 * M },
		{ "ap+16M", AP + 16 * M }, { "ap+1G", AP + G },
		{ "ap-8K", AP - 8 * K }, { "8K", 8 * K },
		{ "1M", M }, { "2M", 2 * M }, { "1G", G },
		{ "end-2M", 2 * G - 2 * M }, { "end-4K", 2 * G - 4 * K },
		{ "end", 2 * G }, { "4G", 4 * G }, { "1T", K * G },
		{ "apic", 0xfee00000 }, { "top", 1ULL << 63 },
		{ "max-2M", -2 * M }, { "max-8K", -8 * K },
		{ "max-4K", -4 * K }, { "max", -1ULL },
		{ "ap+32K", AP + 32 * K }, { "ap+64K", AP + 64 * K },
	},
	.plus = {
		{ "", 0 }, { "+4K", 4 * K }, { "+8K", 8 * K },
		{ "+64K", 64 * K }, { "+1M", M }, { "+2K", 2 * K },
		{ "+1", 1 }, { "-4K", -4 * K },
	},
};

static const struct scale lengths = {
	.base = {
		{ "0", 0 }, { "m0" }, { "m1" }, { "m2" }, { "m3" },
		{ "4K", 4 * K }, { "8K", 8 * K }, { "16K", 16 * K },
		{ "32K", 32 * K }, { "64K", 64 * K }, { "256K", 256 * K },
		{ "1M", M }, { "2M", 2 * M }, { "4M", 4 * M },
		{ "8M", 8 * M }, { "2K", 2 * K }, { "1", 1 },
		{ "8", 8 }, { "64", 64 }, { "1K", K }, { "16M", 16 * M },
		{ "512M", 512 * M }, { "2G", 2 * G }, { "4G", 4 * G },
		{ "1T", K * G }, { "top", 1ULL << 63 }, { "max-2M", -2 * M },
		{ "max-8K", -8 * K }, { "max-4K", -4 * K }, { "max", -1ULL },
		{ "12K", 12 * K }, { "20K", 20 * K },
	},
	.plus = {
		{ "", 0 }, { "+4K", 4 * K }, { "-4K", -4 * K }, { "+1", 1 },
		{ "-1", -1 }, { "+2K", 2 * K }, { "-2K", -2 * K },
		{ "+8K", 8 * K },
	},
};

/* ---- memory */

enum region {
	ANON, SHARED, FILES, PRIVATE, READONLY, SCRATCH, NREGIONS,
};

/* Each has an unmapped hole behind it. */
static const struct {
	uint64_t offset;
	uint64_t size;
} regions[NREGIONS] = {
	[ANON] = { 0, 4 * M },
	[SHARED] = { 5 * M, M },
	[FILES] = { 7 * M, 256 * K },
	[PRIVATE] = { 8 * M, 256 * K },
	[READONLY] = { 9 * M, 64 * K },
	[SCRATCH] = { 10 * M, sizeof(struct scratch) },
};

#define AT(region, more)	(MEMORY + regions[region].offset + (more))

/* Initialised by memory_setup(), for AT() is no constant. */
static struct scale addresses = {
	.base = {
		[0] = { "null", 0 }, [1] = { "anon+1M" }, [2] = { "anon+2M" },
		[3] = { "shared" }, [4] = { "file" }, [5] = { "private" },
		[6] = { "readonly" }, [7] = { "zero" }, [8] = { "ones" },
		[9] = { "anon" }, [10] = { "misc.hwpt" },
		[11] = { "misc.ranges" }, [12] = { "shared+512K" },
		[13] = { "anon.end" }, [14] = { "anon.end-8K" },
		[15] = { "file.end-8K" }, [16] = { "hole", MEMORY + 15 * M },
		[17] = { "misc" }, [18] = { "max", -1ULL },
		[19] = { "max-4K", -4 * K }, [20] = { "top", 1ULL << 63 },
		[21] = { "user-end", 0x7ffffffff000 },
		[22] = { "device", MEMORY + 12 * M },
		[23] = { "memory", MEMORY }, [24] = { "anon+16K" },
		[25] = { "anon+64K" }, [26] = { "misc.inval" },
		[27] = { "misc.end-8" }, [28] = { "low", 0x1000 },
		[29] = { "shared.end-4K" }, [30] = { "anon+3M" },
		[31] = { "anon+32K" },
	},
	.plus = {
		{ "", 0 }, { "+4K", 4 * K }, { "+8K", 8 * K },
		{ "+64K", 64 * K }, { "+2K", 2 * K }, { "+1", 1 },
		{ "+8", 8 }, { "-4K", -4 * K },
	},
};

static void set_addresses(void)
{
	struct scratch *scratch = (void *)AT(SCRATCH, 0);
	const struct {
		unsigned int i;
		uint64_t value;
	} known[] = {
		{ 9, AT(ANON, 0) }, { 1, AT(ANON, M) }, { 2, AT(ANON, 2 * M) },
		{ 3, AT(SHARED, 0) }, { 4, AT(FILES, 0) },
		{ 5, AT(PRIVATE, 0) }, { 6, AT(READONLY, 0) },
		{ 7, (uintptr_t)scratch->zero },
		{ 8, (uintptr_t)scratch->ones },
		{ 17, (uintptr_t)scratch->misc },
		{ 10, (uintptr_t)scratch->misc + 0x100 },
		{ 11, (uintptr_t)scratch->misc + 0x200 },
		{ 12, AT(SHARED, 512 * K) }, { 13, AT(ANON, 4 * M) },
		{ 14, AT(ANON, 4 * M - 8 * K) },
		{ 15, AT(FILES, 248 * K) }, { 24, AT(ANON, 16 * K) },
		{ 25, AT(ANON, 64 * K) },
		{ 26, (uintptr_t)scratch->misc + 0x400 },
		{ 27, (uintptr_t)scratch->misc + PAGE - 8 },
		{ 29, AT(SHARED, M - 4 * K) }, { 30, AT(ANON, 3 * M) },
		{ 31, AT(ANON, 32 * K) },
	};
	unsigned int i;

	for (i = 0; i != ARRAY_LEN(known); i++)
		addresses.base[known[i].i].value = known[i].value;
}

static void fill_scratch(struct scratch *scratch)
{
	struct iommu_hwpt_selftest *hwpt = (void *)(scratch->misc + 0x100);
	struct iommu_iova_range *ranges = (void *)(scratch->misc + 0x200);
	struct iommu_hwpt_invalidate_selftest *inval =
		(void *)(scratch->misc + 0x400);

	memset(scratch->zero, 0, PAGE);
	memset(scratch->ones, 0xff, PAGE);
	memset(scratch->misc, 0, PAGE);
	hwpt->iotlb = 1;
	hwpt->pagetable_type = MOCK_IOMMUPT_HUGE;
	ranges[0] = (struct iommu_iova_range){ AP, AP + 64 * K - 1 };
	ranges[1] = (struct iommu_iova_range){ AP + M, AP + 16 * M - 1 };
	ranges[2] = (struct iommu_iova_range){ G, G + 8 * K - 1 };
	ranges[3] = (struct iommu_iova_range){ 4 * G, -1ULL };
	inval->flags = IOMMU_TEST_INVALIDATE_FLAG_ALL;
}

static void map_region(enum region region, int prot, int flags, int fd)
{
	void *at = (void *)AT(region, 0);

	if (mmap(at, regions[region].size, prot, flags | MAP_FIXED, fd, 0) !=
	    at) {
		perror("mmap");
		exit(1);
	}
}

/**
 * memory_setup - make the user's memory as it is at the start of each program
 */
void memory_setup(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		if (fd < 0 || ftruncate(fd, regions[FILES].size)) {
			perror("memfd");
			exit(1);
		}
		set_addresses();
	}
	munmap((void *)MEMORY, MEMORY_SIZE);
	map_region(ANON, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map_region(SHARED, rw, MAP_SHARED | MAP_ANONYMOUS, -1);
	map_region(FILES, rw, MAP_SHARED, fd);
	map_region(PRIVATE, rw, MAP_PRIVATE, fd);
	map_region(READONLY, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map_region(SCRATCH, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fill_scratch((void *)AT(SCRATCH, 0));
}

/* ---- all of it */

static const struct scale *scale_of(enum kind kind)
{
	switch (kind) {
	case ARG_IOVA:
		return &iovas;
	case ARG_LENGTH:
		return &lengths;
	case ARG_ADDRESS:
		return &addresses;
	default:
		return NULL;
	}
}

/*
 * A pool's byte: one of it; one of another pool, which is in the low bits; a
 * small number; a special number.
 */
#define POOL_KIND	0xc0
#define POOL_OWN	0x00
#define POOL_OTHER	0x40
#define POOL_SMALL	0x80

static enum kind other_kind(uint8_t byte)
{
	return ARG_POOLS + (byte & 15) % (NKINDS - ARG_POOLS);
}

static uint64_t any_pool_value(enum kind kind, uint8_t byte)
{
	switch (byte & POOL_KIND) {
	case POOL_OWN:
		return pool_get(kind, byte);
	case POOL_OTHER:
		return pool_get(other_kind(byte), byte >> 4 & 3);
	case POOL_SMALL:
		return byte & ~POOL_KIND;
	default:
		return (uint32_t)numbers[(byte & ~POOL_KIND) %
					 ARRAY_LEN(numbers)];
	}
}

static uint64_t pool_value(enum kind kind, uint8_t byte)
{
	uint64_t value = any_pool_value(kind, byte);

	return kind >= ARG_IOMMUFD && value < FIRST_FD ? (uint64_t)-1 : value;
}

/**
 * value_of - what a byte stands for
 * @kind: of value
 * @byte: any
 *
 * Return: the value.
 */
uint64_t value_of(enum kind kind, uint8_t byte)
{
	const struct scale *scale = scale_of(kind);
	unsigned int base = byte & 31;
	uint64_t value;

	if (kind == ARG_NONE)
		return 0;
	if (kind == ARG_NUMBER)
		return number(byte);
	if (!scale)
		return pool_value(kind, byte);
	value = scale->base[base].value;
	if (kind == ARG_IOVA && base - 1 < RECENT)
		value = recent[base - 1].iova;
	if (kind == ARG_LENGTH && base - 1 < RECENT)
		value = recent[base - 1].length;
	return value + scale->plus[byte >> 5].value;
}

void value_print(enum kind kind, uint8_t byte, char *buf, size_t size)
{
	const struct scale *scale = scale_of(kind);
	unsigned int low = byte & ~POOL_KIND;

	if (kind == ARG_NUMBER)
		snprintf(buf, size, byte < 0x80 ? "%llu" : "0x%llx",
			 (unsigned long long)number(byte));
	else if (scale)
		snprintf(buf, size, "%s%s", scale->base[byte & 31].name,
			 scale->plus[byte >> 5].name);
	else if ((byte & POOL_KIND) == POOL_OWN)
		snprintf(buf, size, "%u", low);
	else if ((byte & POOL_KIND) == POOL_OTHER)
		snprintf(buf, size, "%s:%u", kind_names[other_kind(byte)],
			 byte >> 4 & 3);
	else if ((byte & POOL_KIND) == POOL_SMALL)
		snprintf(buf, size, "#%u", low);
	else
		snprintf(buf, size, "#0x%x",
			 (uint32_t)numbers[low % ARRAY_LEN(numbers)]);
}

/**
 * value_parse - undo value_print()
 * @kind: of value
 * @text: as printed
 *
 * Return: a byte that stands for the same, or -1.
 */
int value_parse(enum kind kind, const char *text)
{
	unsigned int byte;
	char buf[64];

	for (byte = 0; byte != 256; byte++) {
		value_print(kind, byte, buf, sizeof(buf));
		if (!strcmp(buf, text))
			return byte;
	}
	return -1;
}
