/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the examples of Documentation/userspace-api/iommufd.rst do not show: how
 * they are run as tests, and the device that those beyond the first one drive.
 */
#ifndef TEST_IOMMUFD_EXAMPLE_H
#define TEST_IOMMUFD_EXAMPLE_H

#include <sys/wait.h>

#include "kselftest.h"
#include "../lib/memory.h"
#include "../lib/pci.h"

/*
 * @argv may have the device file; if not, it is that of a device that @match
 * knows, which is bound to vfio-pci for a while
 */
static inline int example_main(int argc, char **argv,
			       bool (*match)(const char *bdf), const char *name,
			       int (*drive)(const char *cdev))
{
	struct pci_loan loan = {};
	char path[PATH_MAX];
	long pinned = pages_pinned();
	int status = 1;
	pid_t child;

	ksft_print_header();
	ksft_set_plan(1);
	if (argc > 1) {
		snprintf(path, sizeof(path), "%s", argv[1]);
	} else {
		pci_borrow(match, &loan);
		if (!pci_find_cdev(match, path)) {
			ksft_test_result_skip("no %s that vfio-pci can have\n",
					      name);
			ksft_finished();
		}
	}
	/* One that fails half way leaves its files open, in which the device is */
	fflush(NULL);
	child = fork();
	if (!child)
		exit(drive(path));
	if (child > 0)
		waitpid(child, &status, 0);
	pci_return(&loan);
	ksft_test_result(!status && pages_pinned() == pinned, "example\n");
	ksft_finished();
}

#endif
