/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the end of a mapping have in common: memory of any size, an
 * engine that remembers one byte, and the places where that must arrive or not.
 */
#ifndef VFIO_PCI_RELEASE_H
#define VFIO_PCI_RELEASE_H

#include <fcntl.h>

#include "vfio_pci_p2p.h"

/* More than the usual 30, for machines that have other things to do */
#define SECONDS		120
#define MIB		(1UL << 20)
#define GIB		(1UL << 30)
/* What a large mapping is made of: the same memory over and over */
#define BLOCK		(64 * MIB)
#define HUGE		(2 * MIB)
/*
 * In reach of each edu, which has 28 address bits, apart from IOVA_MEM, and from
 * 0x8000000 on, where Arm has the window for interrupt messages
 */
#define IOVA		0xa000000UL
/* What is larger is above the window for interrupts */
#define IOVA_HIGH	0x100000000UL
/* Not at the start of a page */
#define TARGET		0x40UL
/* The byte that the engine holds, and what is elsewhere */
#define SENT		0x5a
#define UNTOUCHED	1
#define MAX_PLACES	8

/**
 * struct engine - a device that writes where it is told to
 * @bar: registers of an edu that holds SENT
 * @bdf: its address
 * @wide: it has more than 28 address bits, by its property dma_mask
 * @nr: places that count
 * @place: where its DMA lands, and by which IOVA
 */
struct engine {
	volatile char *bar;
	const char *bdf;
	bool wide;
	unsigned int nr;
	struct {
		volatile char *where;
		__u64 iova;
	} place[MAX_PLACES];
};

/* Not where the engine cannot reach anyway */
static inline void engine_aim(struct engine *e, volatile char *where,
			      __u64 iova)
{
	if (e->nr < MAX_PLACES && (e->wide || iova < (1UL << 28))) {
		e->place[e->nr].where = where;
		e->place[e->nr++].iova = iova;
	}
}

/* The start, the middle and the end of a mapping */
static inline void engine_aim_around(struct engine *e, volatile char *mem,
				     __u64 iova, size_t size)
{
	size_t middle = size / 2 & ~(PAGE - 1);

	engine_aim(e, mem + TARGET, iova + TARGET);
	engine_aim(e, mem + middle + 2 * TARGET, iova + middle + 2 * TARGET);
	engine_aim(e, mem + size - TARGET, iova + size - TARGET);
}

/* How many places do not hold @byte, after a copy to each of them; 99: all */
static inline unsigned int engine_misses(struct engine *e, char byte)
{
	unsigned int i, misses = 0;

	for (i = 0; i < e->nr; i++) {
		*e->place[i].where = UNTOUCHED;
		if (!edu_to_iova(e->bar, e->place[i].iova))
			return 99;
		if (*e->place[i].where == byte)
			continue;
		printf("# DMA to 0x%llx left 0x%x\n",
		       (unsigned long long)e->place[i].iova,
		       *e->place[i].where);
		misses++;
	}
	return e->nr ? misses : 99;
}

static inline bool engine_reaches_all(struct engine *e)
{
	return !engine_misses(e, SENT);
}

static inline bool engine_is_stopped(struct engine *e)
{
	return !DMA_FAULTS_OF(e->bdf, engine_misses(e, UNTOUCHED));
}

/*
 * Fill the engine from the page @mem that is at IOVA_MEM, and at IOVA_HIGH if
 * that can be had. The second tells how far it reaches.
 */
static inline bool engine_start(struct engine *e, volatile char *bar,
				const char *bdf, volatile char *mem)
{
	e->bar = bar;
	e->bdf = bdf;
	e->nr = 0;
	memset((void *)mem, SENT, 64);
	if (!edu_from_iova(bar, IOVA_MEM))
		return false;
	memset((void *)mem, UNTOUCHED, 64);
	/* Without those address bits, it is a copy to 0. */
	if (!DMA_FAULTS_OF(bdf, edu_to_iova(bar, IOVA_HIGH)))
		return false;
	e->wide = *mem == SENT;
	return true;
}

#ifndef MFD_HUGE_2MB		/* of linux/memfd.h, beside which there is no sys/mman.h */
#define MFD_HUGE_2MB	MAP_HUGE_2MB
#endif

/* @size of memory, which is BLOCK over and over: pages, or huge ones */
static inline char *release_memory(size_t size, bool huge)
{
	char *mem, *end;
	size_t done;
	int fd;

	if (huge)
		hugetlb_reserve(BLOCK / HUGE);
	fd = memfd_create("release", MFD_CLOEXEC |
			  (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	if (fd < 0)
		return MAP_FAILED;
	mem = mmap(NULL, size + BLOCK + HUGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || ftruncate(fd, BLOCK)) {
		close(fd);
		return MAP_FAILED;
	}
	mem += -(uintptr_t)mem & (HUGE - 1);
	for (done = 0; done < size; done += BLOCK) {
		end = mmap(mem + done, BLOCK, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0);
		if (end == MAP_FAILED)
			break;
	}
	close(fd);
	if (done >= size)
		return mem;
	munmap(mem, size + BLOCK);
	return MAP_FAILED;
}

static inline void release_free(char *mem, size_t size)
{
	if (mem && mem != MAP_FAILED)
		munmap(mem, size + BLOCK);
}

/* Lines of the kernel's log that no driver may write because of what we do */
static inline size_t complaints(void)
{
	size_t n = 0;
	FILE *f;

	f = popen("dmesg | grep -cE 'Invalidation (Queue|Time-out|Completion) Error|Completion-Wait loop timed out|PTE for vPFN'",
		  "r");
	if (!f || fscanf(f, "%zu", &n) != 1)
		n = ~0UL;
	if (f)
		pclose(f);
	return n;
}

#endif
