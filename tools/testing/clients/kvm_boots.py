#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Boot QEMU with KVM and a disk of a group again and again, on our modules or on the kernel's own, and count those that stand
still: what is lost in KVM inside of an emulator is no fault of what the disk is passed through by. Prints of each that does not
end how far its firmware came. Argument: how many (default: 50).
"""

import sys
import time

import qemu
from machine import Wrong, some
from qemu_cases import SECTOR, group, nested_kvm, started

LIMIT = 60		# seconds for what takes 2 to 10


def boot(disk, accel):
    """One; gives None, or what went wrong."""
    disk.prepare(SECTOR, "e")
    with started(group, disk, accel=accel) as client:
        try:
            client.finish(LIMIT)
        except Wrong as err:
            return [str(err), *client.describe()]
    disk.verify(disk)
    return None


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    accel = nested_kvm()
    disk, = some("nvme", 1)
    still, times = 0, []
    for count in range(1, number + 1):
        begin = time.monotonic()
        problems = boot(disk, accel)
        times.append(time.monotonic() - begin)
        if problems:
            still += 1
            print(f"# boot {count} after {times[-1]:.0f} s:", *problems, sep="\n#   ", flush=True)
            qemu.kill_all()
        disk.give(None)
    print(f"{number} boots, {still} stood still; {min(times):.1f} to {max(times):.1f} s each", flush=True)


main()
