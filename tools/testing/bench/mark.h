/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Markers for the plugin hotspots.c: a NOP whose displacement says which phase
 * begins; 0 ends it. The displacement is part of the instruction, so that each
 * phase has an instruction of its own.
 */
#ifndef MARK_H
#define MARK_H

#ifdef __x86_64__
#define MARK(n)                                                       \
	({                                                            \
		asm volatile(".byte 0x0f, 0x1f, 0x80\n"               \
			     ".long 0x4f420000 + %c0" ::"i"(n)        \
			     : "memory");                             \
	})
#else
#define MARK(n) ((void)(n))
#endif

#define MARK_CASE(n)     \
	case n:          \
		MARK(n); \
		break

static inline void mark(int phase)
{
	switch (phase) {
	MARK_CASE(0);
	MARK_CASE(1);
	MARK_CASE(2);
	MARK_CASE(3);
	MARK_CASE(4);
	MARK_CASE(5);
	MARK_CASE(6);
	MARK_CASE(7);
	MARK_CASE(8);
	MARK_CASE(9);
	MARK_CASE(10);
	MARK_CASE(11);
	MARK_CASE(12);
	MARK_CASE(13);
	MARK_CASE(14);
	MARK_CASE(15);
	MARK_CASE(16);
	}
}

#endif
