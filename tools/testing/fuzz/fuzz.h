/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fuzzer of /dev/iommu and of VFIO's files, driven by libFuzzer and by what
 * KCOV tells of the kernel.
 *
 * program	an input: a sequence of operations, in bytes and as text
 * values	what a byte of an operation stands for
 * ops		the operations, in a table
 * exec		carrying a program out, and leaving nothing behind
 * slow		memory whose pages arrive late, or never
 * kernel	coverage and reports of the kernel
 * main		libFuzzer's entry points
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		4096ULL
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- program */

#define MAX_ARGS	8
#define MAX_RECORDS	48

#define MODE_THREAD	0x80	/* in the second thread, at the same time */
#define MODE_FAIL	0x7f	/* the n-th allocation in it fails; 0: none */

/*
 * One operation. Any bytes are one, so that an input can be cut and joined
 * anywhere.
 */
struct record {
	uint8_t op;
	uint8_t mode;
	uint8_t arg[MAX_ARGS];
};

/* What is behind the last whole record is ignored. */
static inline size_t count_records(size_t size)
{
	size_t n = size / sizeof(struct record);

	return n < MAX_RECORDS ? n : MAX_RECORDS;
}

void program_print(const struct record *records, size_t n);
/* Reads text; gives the number of records, or -1 with a message */
int program_parse(const char *path, struct record records[MAX_RECORDS]);
size_t program_mutate(struct record *records, size_t n, size_t max,
		      unsigned int *seed);

/* ---- values */

enum kind {
	ARG_NONE,
	ARG_NUMBER,
	ARG_IOVA,
	ARG_LENGTH,
	ARG_ADDRESS,
	/* From here on: an object or a file of that kind, or something else. */
	ARG_IOAS,
	ARG_POOLS = ARG_IOAS,
	ARG_HWPT,
	ARG_IDEV,
	ARG_MOCK,
	ARG_FAULT,
	ARG_VIOMMU,
	ARG_VDEVICE,
	ARG_QUEUE,	/* of a virtual IOMMU: of events, of the hardware */
	ARG_PINS,
	ARG_IOMMUFD,
	ARG_ACCESS,
	ARG_FILE,
	ARG_DMABUF,
	ARG_DEVICE,
	ARG_GROUP,
	ARG_EVENT,
	NKINDS,
};

uint64_t value_of(enum kind kind, uint8_t byte);
/* A text from which value_parse() makes the byte again */
void value_print(enum kind kind, uint8_t byte, char *buf, size_t size);
int value_parse(enum kind kind, const char *text);

/* The files of programs are from here on; those below are the fuzzer's. */
#define FIRST_FD	64

void pool_add(enum kind kind, uint32_t id);
void recent_map(uint64_t iova, uint64_t length);
void values_reset(void);

/* The user's memory; the regions in values.c lie in it. */
#define MEMORY		0x200000000ULL
#define MEMORY_SIZE	0x1000000ULL

/* What ioctls read and write. */
struct scratch {
	uint8_t zero[PAGE];
	uint8_t ones[PAGE];
	uint8_t misc[PAGE];	/* structs and their parts */
};

void memory_setup(void);

/* ---- ops */

/* Where a value goes to in the struct of an ioctl, or comes from. */
struct field {
	const char *name;
	uint8_t kind;
	uint8_t offset;
	uint8_t size;
};

struct op {
	const char *name;
	unsigned int weight;	/* how often it is inserted */
	/* An ioctl on the current iommufd, or on the file in the first field */
	unsigned int cmd;
	bool on_file;
	bool no_poke;
	uint8_t size;
	uint32_t sub;		/* at @sub_offset, if that is not 0 */
	uint8_t sub_offset;
	struct field in[MAX_ARGS];
	struct field out[3];
	/* Anything else. */
	long (*run)(const uint64_t *arg);
};

extern const struct op ops[];
extern const unsigned int nops;

static inline const struct op *op_of(const struct record *record)
{
	return &ops[record->op % nops];
}

long op_run(const struct op *op, const uint64_t *arg);
unsigned int op_args(const struct op *op);

/* ---- exec */

extern int iommufd;		/* the current one, or -1 */
extern bool memory_changed;

int open_iommufd(const char *path);
void exec_init(void);
void exec_program(const struct record *records, size_t n);
/* Around the system call of an operation */
void exec_before(void);
void exec_after(void);
/* The next n operations are those of a child, perhaps one without privileges. */
void exec_fork(unsigned int n, bool nobody);
/* The file that an operation without one opens */
extern const char *default_path;

/* ---- slow */

void slow_init(void);
/* From here on the pages of a range are late. */
long slow_register(uint64_t start, uint64_t length, unsigned int how);
void slow_reset(void);

/* ---- kernel */

void coverage_init(void);
/* In the calling thread */
void coverage_start(void);
/* In a child, for whose coverage there is one area */
void coverage_prepare_child(void);
void coverage_start_child(void);
void coverage_reset(void);
void coverage_collect(void);
void coverage_note(unsigned int op, long result);

void reports_init(void);
/* Has the kernel said something bad since the last call? */
bool reports_bad(void);

void fail_init(void);
void fail_begin(unsigned int n);
void fail_end(void);

#endif
