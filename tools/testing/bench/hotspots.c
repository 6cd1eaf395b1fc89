// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU that counts the instructions between two markers of the
 * guest, by basic block, and notes the blocks of the cheapest round in order.
 *
 * A marker is a NOP with a displacement: 0x4f420000 + n begins phase n, and
 * 0x4f420000 ends it. For one processor and -icount, where a rep instruction
 * counts once per repetition.
 *
 *   -plugin hotspots.so,out=FILE
 *
 * Written at exit, one line each: "phase N ROUNDS", "block N ADDRESS COUNT",
 * "step N ADDRESS INSTRUCTIONS".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 4;

#define PHASES 32
#define STEPS (1 << 18)
#define BUCKETS (1 << 16)
#define MARK 0x4f420000u

struct block {
	struct block *next;
	uint64_t address;
	uint64_t insns;
	uint64_t count[PHASES];
};

struct round {
	struct block **steps;
	size_t nr;
	uint64_t insns;
};

static struct block *buckets[BUCKETS];
static uint64_t rounds[PHASES];
static struct round best[PHASES], now;
static unsigned int phase;
static const char *out = "hotspots.txt";

static struct block *find_block(uint64_t address, uint64_t insns)
{
	struct block **list = &buckets[(address >> 1 ^ address >> 17) % BUCKETS];
	struct block *block;

	for (block = *list; block; block = block->next)
		if (block->address == address && block->insns == insns)
			return block;
	block = calloc(1, sizeof(*block));
	block->address = address;
	block->insns = insns;
	block->next = *list;
	*list = block;
	return block;
}

static void executed(unsigned int vcpu, void *data)
{
	struct block *block = data;

	if (!phase)
		return;
	block->count[phase]++;
	now.insns += block->insns;
	if (now.nr < STEPS)
		now.steps[now.nr++] = block;
}

static void marked(unsigned int vcpu, void *data)
{
	unsigned int next = (uintptr_t)data;

	if (phase && (!best[phase].insns || now.insns < best[phase].insns)) {
		struct round old = best[phase];

		best[phase] = now;
		now = old;
	}
	if (!now.steps)
		now.steps = calloc(STEPS, sizeof(*now.steps));
	now.nr = 0;
	now.insns = 0;
	phase = next;
	rounds[phase]++;
}

static void *number(uint32_t word)
{
	return (void *)(uintptr_t)(word - MARK);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct block *block = find_block(qemu_plugin_tb_vaddr(tb), n);

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned char code[16];
		uint32_t word;

		/* nopl disp32(%rax) */
		if (qemu_plugin_insn_data(insn, code, sizeof(code)) != 7 ||
		    memcmp(code, "\x0f\x1f\x80", 3))
			continue;
		memcpy(&word, code + 3, sizeof(word));
		if (word - MARK < PHASES)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, 0,
							       number(word));
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, block);
}

static void write_out(uint64_t id, void *data)
{
	FILE *file = fopen(out, "w");

	if (!file)
		return;
	for (unsigned int p = 1; p < PHASES; p++) {
		if (!rounds[p])
			continue;
		fprintf(file, "phase %u %" PRIu64 "\n", p, rounds[p]);
		for (size_t i = 0; i < BUCKETS; i++)
			for (struct block *b = buckets[i]; b; b = b->next)
				if (b->count[p])
					fprintf(file, "block %u %" PRIx64 " %" PRIu64 "\n",
						p, b->address,
						b->count[p] * b->insns);
		for (size_t i = 0; i < best[p].nr; i++)
			fprintf(file, "step %u %" PRIx64 " %" PRIu64 "\n", p,
				best[p].steps[i]->address,
				best[p].steps[i]->insns);
	}
	fclose(file);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc,
			       char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, write_out, NULL);
	return 0;
}
