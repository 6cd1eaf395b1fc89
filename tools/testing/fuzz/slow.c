// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory whose pages arrive late: whoever touches one in the kernel sleeps in a
 * page fault, with whatever locks he has, until a thread of ours gives it, or
 * takes the place away. The other thread of the program goes on meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "fuzz.h"

/* Late ones of a program: what is large would take for ever. */
#define LATE_MAX	24
#define LATE_US		4000

/* What happens to the page, in the low bits; else it is filled with zeros. */
enum how {
	COMES,
	COMES_LATER,
	IS_UNMAPPED,
	IS_READ_ONLY,
	NHOWS,
};

static int uffd = -1;
static unsigned int late;
static enum how how_now;

static void give(uint64_t page)
{
	struct uffdio_zeropage zero = {
		.range = { .start = page, .len = PAGE },
	};

	/* The place may be gone, or taken, or not be for that. */
	if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
		ioctl(uffd, UFFDIO_WAKE, &zero.range);
}

static void resolve(uint64_t page)
{
	unsigned int n = __atomic_fetch_add(&late, 1, __ATOMIC_RELAXED);
	enum how how = __atomic_load_n(&how_now, __ATOMIC_RELAXED);

	if (n < LATE_MAX)
		usleep(how == COMES_LATER ? 4 * LATE_US : LATE_US);
	if (how == IS_UNMAPPED)
		munmap((void *)page, PAGE);
	if (how == IS_READ_ONLY)
		mprotect((void *)page, PAGE, PROT_READ);
	give(page);
}

static void *give_pages(void *unused)
{
	struct uffd_msg message;

	(void)unused;
	for (;;) {
		if (read(uffd, &message, sizeof(message)) !=
		    sizeof(message)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			perror("userfaultfd");
			exit(1);
		}
		if (message.event == UFFD_EVENT_PAGEFAULT)
			resolve(message.arg.pagefault.address & ~(PAGE - 1));
	}
	return NULL;
}

/**
 * slow_init - start the thread that gives pages, if the kernel has a way
 *
 * In each process of its own: the file is about the memory of who opened it.
 */
void slow_init(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	static bool told;
	pthread_t thread;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0) {
		if (!told)
			perror("fuzz: no memory whose pages are late");
		told = true;
		return;
	}
	if (ioctl(uffd, UFFDIO_API, &api) ||
	    pthread_create(&thread, NULL, give_pages, NULL)) {
		perror("userfaultfd");
		exit(1);
	}
}

/**
 * slow_register - from here on, the pages of a range are missing, and late
 * @start: address of the first page
 * @length: bytes, a multiple of pages
 * @how: what becomes of them
 *
 * memory_setup() takes it back.
 *
 * Return: 0, or -1 and errno.
 */
long slow_register(uint64_t start, uint64_t length, unsigned int how)
{
	struct uffdio_register range = {
		.range = { .start = start, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		return -1;
	__atomic_store_n(&how_now, how % NHOWS, __ATOMIC_RELAXED);
	/* That of a file as well, or it is there at once. */
	if (madvise((void *)start, length, MADV_REMOVE))
		return madvise((void *)start, length, MADV_DONTNEED);
	return 0;
}

/**
 * slow_reset - at the start of a program
 */
void slow_reset(void)
{
	__atomic_store_n(&late, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&how_now, COMES, __ATOMIC_RELAXED);
}
