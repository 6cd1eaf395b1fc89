# SPDX-License-Identifier: GPL-2.0-only
"""What programs in Python do to PCI devices in sysfs, and the count of pinned pages: as ../../../lib/sysdev.c and memory.c."""

from pathlib import Path

PCI = Path("/sys/bus/pci/devices")


def pages_pinned():
    """How many pages are pinned by anybody in the system."""
    # Each processor counts for itself; this adds up.
    Path("/proc/sys/vm/stat_refresh").write_text("1")
    counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counts["nr_foll_pin_acquired"]) - int(counts["nr_foll_pin_released"])


def driver(bdf):
    """The name of a device's driver, or None."""
    link = PCI / bdf / "driver"
    return link.resolve().name if link.exists() else None


def unbind(bdf, override=None):
    """Take a device from its driver; override: the one driver that it may have from now on."""
    (PCI / bdf / "driver_override").write_text(f"{override or ''}\n")
    if driver(bdf):
        (PCI / bdf / "driver/unbind").write_text(bdf)


def set_driver(bdf, name):
    """Bind a device to a driver, or to the one that the kernel chooses for None."""
    unbind(bdf, name)
    Path("/sys/bus/pci/drivers_probe").write_text(bdf)
