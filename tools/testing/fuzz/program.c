// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs as text, and how one is made from another.
 *
 *	ioas_map flags=7 ioas=0 va=anon length=8K iova=ap fail=3 thread
 *
 * An argument that is left out is 0. Behind a # is a comment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void print_record(const struct record *record)
{
	const struct op *op = op_of(record);
	unsigned int i;
	char buf[64];

	printf("%s", op->name);
	for (i = 0; i != op_args(op); i++) {
		if (!record->arg[i])
			continue;
		value_print(op->in[i].kind, record->arg[i], buf, sizeof(buf));
		printf(" %s=%s", op->in[i].name, buf);
	}
	if (record->mode & MODE_FAIL)
		printf(" fail=%u", record->mode & MODE_FAIL);
	if (record->mode & MODE_THREAD)
		printf(" thread");
	printf("\n");
}

void program_print(const struct record *records, size_t n)
{
	size_t i;

	for (i = 0; i != n; i++)
		print_record(&records[i]);
}

static bool parse_word(struct record *record, char *word)
{
	const struct op *op = op_of(record);
	char *value = strchr(word, '=');
	unsigned int i;
	int byte;

	if (!strcmp(word, "thread")) {
		record->mode |= MODE_THREAD;
		return true;
	}
	if (!value)
		return false;
	*value++ = 0;
	if (!strcmp(word, "fail")) {
		record->mode |= atoi(value) & MODE_FAIL;
		return true;
	}
	for (i = 0; i != op_args(op); i++)
		if (!strcmp(word, op->in[i].name))
			break;
	if (i == op_args(op))
		return false;
	byte = value_parse(op->in[i].kind, value);
	record->arg[i] = byte;
	return byte >= 0;
}

static bool parse_line(struct record *record, char *line)
{
	char *word = strtok(line, " \t\n");
	unsigned int i;

	for (i = 0; i != nops; i++)
		if (!strcmp(word, ops[i].name))
			break;
	if (i == nops)
		return false;
	memset(record, 0, sizeof(*record));
	record->op = i;
	while ((word = strtok(NULL, " \t\n")))
		if (!parse_word(record, word))
			return false;
	return true;
}

int program_parse(const char *path, struct record records[MAX_RECORDS])
{
	FILE *file = fopen(path, "r");
	unsigned int number = 0;
	char line[512];
	int n = 0;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (n != MAX_RECORDS && fgets(line, sizeof(line), file)) {
		number++;
		line[strcspn(line, "#")] = 0;
		if (line[strspn(line, " \t\n")] == 0)
			continue;
		if (!parse_line(&records[n++], line)) {
			fprintf(stderr, "%s: line %u is not understood\n", path,
				number);
			n = -1;
			break;
		}
	}
	fclose(file);
	return n;
}

/* ---- mutation */

static unsigned int below(unsigned int *seed, unsigned int n)
{
	return n ? (unsigned int)rand_r(seed) % n : 0;
}

static unsigned int random_op(unsigned int *seed)
{
	unsigned int total = 0, i, pick;

	for (i = 0; i != nops; i++)
		total += ops[i].weight;
	pick = below(seed, total);
	for (i = 0; pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	return i;
}

/* Mostly what fits together, sometimes anything */
static uint8_t random_byte(enum kind kind, unsigned int *seed)
{
	unsigned int how = below(seed, 16);

	if (!how)
		return rand_r(seed);
	switch (kind) {
	case ARG_IOVA:
		return below(seed, 13) | (how < 5 ? below(seed, 8) << 5 : 0);
	case ARG_LENGTH:
		/* What is longer takes long. */
		return below(seed, how < 3 ? 32 : 10) |
		       (how < 5 ? below(seed, 8) << 5 : 0);
	case ARG_ADDRESS:
		return below(seed, how < 3 ? 32 : 16) | (how < 5 ? below(seed, 8) << 5 : 0);
	case ARG_NUMBER:
		return below(seed, how < 12 ? 8 : 256);
	default:
		return below(seed, how < 12 ? 2 : 8);
	}
}

static void random_args(struct record *record, unsigned int *seed)
{
	const struct op *op = op_of(record);
	unsigned int i;

	for (i = 0; i != MAX_ARGS; i++)
		record->arg[i] = i < op_args(op) ?
				 random_byte(op->in[i].kind, seed) : 0;
}

static uint8_t random_mode(unsigned int *seed)
{
	unsigned int how = below(seed, 24);

	if (how < 3)
		return 1 + below(seed, how ? 12 : MODE_FAIL);
	return how == 3 ? MODE_THREAD : 0;
}

static void random_record(struct record *record, unsigned int *seed)
{
	record->op = random_op(seed);
	record->mode = random_mode(seed);
	random_args(record, seed);
}

static void make_room(struct record *records, size_t n, size_t at)
{
	memmove(records + at + 1, records + at, (n - at) * sizeof(*records));
}

static void change_record(struct record *record, unsigned int *seed)
{
	const struct op *op = op_of(record);
	unsigned int i = below(seed, op_args(op));

	switch (below(seed, 8)) {
	case 0:
		random_record(record, seed);
		break;
	case 1:
		record->mode = random_mode(seed);
		break;
	case 2:
		if (record->mode & MODE_FAIL)
			record->mode++;
		else
			record->mode = 1 + below(seed, 20);
		break;
	case 3:
		record->arg[i] ^= 1 << below(seed, 8);
		break;
	default:
		if (op_args(op))
			record->arg[i] = random_byte(op->in[i].kind, seed);
		break;
	}
}

static size_t mutate_once(struct record *records, size_t n, size_t max,
			  unsigned int *seed)
{
	size_t at = below(seed, n), from = below(seed, n);
	struct record record;

	switch (below(seed, 8)) {
	case 0:
	case 1:
		if (n == max)
			break;
		random_record(&record, seed);
		at = below(seed, n + 1);
		make_room(records, n, at);
		records[at] = record;
		return n + 1;
	case 2:
		if (n == max || !n)
			break;
		record = records[from];
		at = below(seed, n + 1);
		make_room(records, n, at);
		records[at] = record;
		return n + 1;
	case 3:
		if (n < 2)
			break;
		memmove(records + at, records + at + 1,
			(n - at - 1) * sizeof(*records));
		return n - 1;
	case 4:
		if (!n)
			break;
		record = records[at];
		records[at] = records[from];
		records[from] = record;
		break;
	default:
		if (n)
			change_record(&records[at], seed);
		break;
	}
	return n;
}

/**
 * program_mutate - change a program a little
 * @records: the program, with room for @max
 * @n: its length
 * @max: how long it may become, not 0
 * @seed: of the random numbers
 *
 * Return: the new length.
 */
size_t program_mutate(struct record *records, size_t n, size_t max,
		      unsigned int *seed)
{
	unsigned int times = 1 + below(seed, 4);

	if (max > MAX_RECORDS)
		max = MAX_RECORDS;
	while (!n || times--)
		n = mutate_once(records, n, max, seed);
	return n;
}
