/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI devices in sysfs: which there are, and one that a program has for a while. */
#ifndef TEST_PCI_H
#define TEST_PCI_H

#include <limits.h>
#include <stdbool.h>

#include <linux/types.h>

#include "../../../lib/edu_regs.h"
#include "../../../lib/sysdev.h"

/* More devices of QEMU */
#define NVME_VENDOR	0x1b36
#define NVME_DEVICE	0x0010
#define E1000E_VENDOR	0x8086
#define E1000E_DEVICE	0x10d3
#define IGB_VENDOR	0x8086
#define IGB_DEVICE	0x10c9
#define IGBVF_DEVICE	0x10ca
#define TESTDEV_VENDOR	0x1b36
#define TESTDEV_DEVICE	0x0005
#define VIRTIO_VENDOR	0x1af4
#define VIRTIO_NET_DEVICE 0x1041
#define IVSHMEM_VENDOR	0x1af4
#define IVSHMEM_DEVICE	0x1110

bool pci_is_edu(const char *bdf);
bool pci_is_testdev(const char *bdf);
/* Ours, see pasid_testdev.h */
bool pci_is_pasid_testdev(const char *bdf);
/* Has the device no INTx, by its configuration space? */
bool pci_is_without_intx(const char *bdf);

/*
 * A register of configuration space, of 1, 2 or 4 bytes, as the device has it,
 * past what vfio-pci shows; the value or a negative errno
 */
__s64 pci_config_get(const char *bdf, unsigned int pos, unsigned int width);

/* Two devices of a kind in one group */
bool pci_find_mates(unsigned int vendor, unsigned int device,
		    char a[SYSDEV_NAME_MAX], char b[SYSDEV_NAME_MAX]);
/* Nothing else is on its bus, and that is not the root bus */
bool pci_is_alone(const char *bdf);
/*
 * The character device of the first device that is bound to vfio-pci and
 * matches; false if there is none
 */
bool pci_find_cdev(bool (*match)(const char *bdf), char path[PATH_MAX]);

/* Take a device out of the kernel's sight, and look for all that there are */
int pci_remove(const char *bdf);
int pci_rescan(void);

/* A device that is bound to vfio-pci for the time of the tests */
struct pci_loan {
	char bdf[NAME_MAX + 1];	/* empty if there is none */
};

/* Unless a device that matches is bound to vfio-pci already, bind one */
void pci_borrow(bool (*match)(const char *bdf), struct pci_loan *loan);
void pci_return(const struct pci_loan *loan);

/*
 * For all tests of a program: in the process that runs them, each of which is a
 * child of it
 */
#define PCI_BORROW(name, match)						\
static struct pci_loan name##_loan;					\
									\
static __attribute__((constructor)) void borrow_##name(void)		\
{									\
	pci_borrow(match, &name##_loan);				\
}									\
									\
static __attribute__((destructor)) void return_##name(void)		\
{									\
	pci_return(&name##_loan);					\
}

#endif
