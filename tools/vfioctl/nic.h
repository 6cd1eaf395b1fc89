/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of a driver for Intel's gigabit network cards 82574 and 82576 as it
 * takes to send one frame to the card itself: the card reads it from memory and
 * writes it to memory, and nothing is on the wire.
 */
#ifndef NIC_H
#define NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "uvfio.h"

bool nic_is_known(uint16_t vendor, uint16_t device);
/*
 * The device, of that vendor and device id, is bound, attached and enabled.
 * Return: NULL if the frame came back as it was sent, else what went wrong, in
 * words.
 */
const char *nic_loopback(const struct uvfio_device *vfio,
			 struct uvfio_iommu *iommu, uint16_t vendor,
			 uint16_t device);

#endif /* NIC_H */
