// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer's entry points, and two commands of our own:
 *
 *	fuzz decode FILE...		show inputs as text
 *	fuzz encode DIRECTORY FILE...	make inputs of text
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "../selftests/lib/memory.h"
#include "fuzz.h"
#include "libfuzzer.h"

/* How many programs run between two counts of what is pinned. */
#define PIN_CHECK	256

struct input {
	struct record records[MAX_RECORDS];
	size_t n;
};

static struct input history[PIN_CHECK];
static unsigned int nhistory;
static long pinned_before;
static int current_fd = -1;

/* ---- commands */

static int decode(int argc, char **argv)
{
	struct record records[MAX_RECORDS];
	FILE *file;
	size_t n;
	int i;

	for (i = 0; i != argc; i++) {
		file = fopen(argv[i], "r");
		if (!file) {
			perror(argv[i]);
			return 1;
		}
		n = fread(records, 1, sizeof(records), file);
		fclose(file);
		program_print(records, count_records(n));
	}
	return 0;
}

static int encode(int argc, char **argv)
{
	struct record records[MAX_RECORDS];
	char path[512];
	FILE *file;
	int i, n;

	for (i = 1; i < argc; i++) {
		n = program_parse(argv[i], records);
		if (n < 0)
			return 1;
		snprintf(path, sizeof(path), "%s/%s", argv[0],
			 basename(argv[i]));
		file = fopen(path, "w");
		if (!file || fwrite(records, sizeof(*records), n, file) !=
		    (size_t)n || fclose(file)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

/* Of ourselves: libFuzzer would say no more than that there was one. */
static void deadly_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *at = context;

	dprintf(STDERR_FILENO,
		"fuzz: signal %d, code %d, address %p, at %#llx, in thread %d\n",
		number, info->si_code, info->si_addr,
		(unsigned long long)at->uc_mcontext.gregs[REG_RIP], gettid());
	/* libFuzzer saves the input. */
	abort();
}

static void tell_deadly_signals(void)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction action = {
		.sa_sigaction = deadly_signal,
		.sa_flags = SA_SIGINFO | SA_RESETHAND,
	};
	unsigned int i;

	for (i = 0; i != ARRAY_LEN(deadly); i++)
		sigaction(deadly[i], &action, NULL);
}

/* ---- what libFuzzer calls */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *current = getenv("FUZZ_CURRENT");

	if (*argc > 1 && !strcmp((*argv)[1], "decode"))
		exit(decode(*argc - 2, *argv + 2));
	if (*argc > 2 && !strcmp((*argv)[1], "encode"))
		exit(encode(*argc - 2, *argv + 2));

	tell_deadly_signals();
	/* The files that are opened before exec_init() stay open. */
	reports_init();
	if (current)
		current_fd = open(current, O_WRONLY | O_CREAT | O_CLOEXEC,
				  0644);
	exec_init();
	pinned_before = pages_pinned();
	return 0;
}

static void give_up(const char *why)
{
	fprintf(stderr, "fuzz: %s\n", why);
	/* libFuzzer saves the input. */
	abort();
}

/* In case that nobody is left to save it */
static void save_current(const uint8_t *data, size_t size)
{
	uint8_t buf[sizeof(uint32_t) + sizeof(history[0].records)];
	uint32_t len = size;

	if (current_fd < 0)
		return;
	memcpy(buf, &len, sizeof(len));
	memcpy(buf + sizeof(len), data, size);
	if (pwrite(current_fd, buf, sizeof(len) + size, 0) < 0)
		perror("FUZZ_CURRENT");
}

static void run(const struct record *records, size_t n)
{
	coverage_reset();
	exec_program(records, n);
	coverage_collect();
}

/* Which of the last programs left pages pinned? */
static void find_pinner(void)
{
	unsigned int i;
	long before, now;

	fprintf(stderr, "fuzz: pages are left pinned: %ld\n",
		pages_pinned() - pinned_before);
	before = pages_pinned();
	for (i = 0; i != nhistory; i++) {
		run(history[i].records, history[i].n);
		now = pages_pinned();
		if (now == before)
			continue;
		fprintf(stderr, "fuzz: %ld by this:\n", now - before);
		program_print(history[i].records, history[i].n);
		fflush(stdout);
		give_up("see above for the program, which is not the input that is saved");
	}
	give_up("none of the last programs does it again");
}

static void check_pins(const struct record *records, size_t n)
{
	if (nhistory == PIN_CHECK)
		nhistory = 0;
	memcpy(history[nhistory].records, records, n * sizeof(*records));
	history[nhistory++].n = n;
	if (nhistory == PIN_CHECK && pages_pinned() != pinned_before)
		find_pinner();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record records[MAX_RECORDS];
	size_t n = count_records(size);

	memcpy(records, data, n * sizeof(*records));
	save_current(data, n * sizeof(*records));
	run(records, n);
	if (reports_bad())
		give_up("the kernel has reported something, see its log");
	check_pins(records, n);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	struct record records[MAX_RECORDS];
	size_t n;

	/* What is specific to nothing finds what nobody thought of. */
	if (seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, max);
	if (max < sizeof(*records))
		return size;
	n = count_records(size);
	memcpy(records, data, n * sizeof(*records));
	n = program_mutate(records, n, count_records(max), &seed);
	memcpy(data, records, n * sizeof(*records));
	return n * sizeof(*records);
}

/* The head of one and the tail of another */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
				 const uint8_t *b, size_t b_size, uint8_t *out,
				 size_t max, unsigned int seed)
{
	size_t head = count_records(a_size), tail = count_records(b_size);
	size_t from;

	max = count_records(max);
	head = rand_r(&seed) % (head + 1);
	from = rand_r(&seed) % (tail + 1);
	tail -= from;
	if (head > max)
		head = max;
	if (tail > max - head)
		tail = max - head;
	memcpy(out, a, head * sizeof(struct record));
	memcpy(out + head * sizeof(struct record),
	       b + from * sizeof(struct record), tail * sizeof(struct record));
	return (head + tail) * sizeof(struct record);
}
