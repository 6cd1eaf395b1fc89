# SPDX-License-Identifier: GPL-2.0-only
"""
A Linux as QEMU's guest, with a disk and a network card: interrupts, by MSI-X and irqfd, and drivers as users have them.
"""

import contextlib
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from machine import SECTOR, TRACING, Missing, Wrong, expect, probed, some, traced, wait_for
from qemu import HERE
from qemu_cases import group, iommufd, nested_kvm, started

MODULES = "nvme", "e1000e"
PROGRAM = "inner-linux"
MEGABYTES = 384
# What it copies on the disk, see inner-linux; in sectors
FROM, TO, SECTORS = 2048, 32768, 8192
NETWORK = "10.9.8."	# we are 1, it is 2
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891c
# An IOMMU for the guest's guest: each transfer of its drivers maps and unmaps
NESTED = {
    "machine": "q35",
    "more": ["-device", "intel-iommu,caching-mode=on,intremap=off"],
    "append": "intel_iommu=on iommu.strict=1 iommu.passthrough=0",
}
NESTED_MAPS = 2000		# and as many unmaps; the copy alone takes a little more, page by page


def kernel():
    """The kernel that we run on, as the harness unpacked it."""
    for folder in Path("/srv").glob("stock-*"):
        if (folder / "release").read_text().strip() == os.uname().release:
            return folder / "kernel"
    raise Missing("not on the stock kernel")


def initramfs(folder, program=PROGRAM, modules=MODULES, files=()):
    """Busybox, some modules, a program, and what else it takes."""
    root = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy("/usr/bin/busybox", root / "bin/busybox")
    shutil.copy(HERE / program, root / "init")
    for file in files:
        place = root / str(file).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    order = []
    for module in modules:
        shown = subprocess.run(["modprobe", "--show-depends", module], check=True, stdout=subprocess.PIPE, text=True)
        for line in shown.stdout.splitlines():
            words = line.split()
            if words[0] == "insmod" and words[1] not in order:
                order.append(words[1])
    for number, path in enumerate(order):
        shutil.copy(path, root / f"modules/{number:02}.ko")
    image = folder / "initramfs"
    subprocess.run(f"cd {root} && find . | cpio --quiet -o -H newc >{image}", shell=True, check=True)
    return image


def interrupts(device):
    """How many MSI-X interrupts of a device that a client has there were."""
    total = 0
    for line in Path("/proc/interrupts").read_text().splitlines():
        if "vfio-msix" in line and device.bdf in line:
            total += sum(int(word) for word in line.split()[1:1 + os.cpu_count()])
    return total


@contextlib.contextmanager
def irqfds():
    """Gives a function that tells how many eventfds have come to KVM's irqfd. (KVM has no event for that.)"""
    with probed("p:clients_irqfd kvm:irqfd_wakeup") as event, traced(event):
        profile = TRACING / "kprobe_profile"
        yield lambda: sum(map(int, re.findall(r"(?m)^\s*clients_irqfd\s+(\d+)", profile.read_text())))


def address(card):
    """Give an interface our address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, text in ((SIOCSIFADDR, NETWORK + "1"), (SIOCSIFNETMASK, "255.255.255.0")):
            fcntl.ioctl(control, request, struct.pack("16sHH4s8x", card.name.encode(), socket.AF_INET, 0,
                                                      socket.inet_aton(text)))


def works(way, machine="pc", more=(), append="", maps=0):
    def case():
        disk, card = some("nvme", 1)[0], some("e1000e", 1)[0]
        peer = some("virtio-net-pci", 1)[0]
        accel = nested_kvm()
        data = os.urandom(SECTORS * SECTOR)
        with disk.open() as handle:
            os.pwrite(handle, data, FROM * SECTOR)
            os.pwrite(handle, bytes(len(data)), TO * SECTOR)
        for device in (disk, card):
            device.give("vfio-pci")
        with tempfile.TemporaryDirectory() as name, peer.up(), irqfds() as wakeups, \
                traced("iommufd/iommufd_map", only="rc==0") as mapped, traced("iommufd/iommufd_unmap") as unmapped:
            folder = Path(name)
            address(peer)
            said = folder / "said"
            args = [*more, "-kernel", kernel(), "-initrd", initramfs(folder), "-serial", f"file:{said}",
                    "-append", f"console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable {append}"]
            with started(way, disk, card, more=args, machine=machine, accel=accel, megabytes=MEGABYTES) as client:
                def done():
                    expect("status of QEMU", client.process.poll(), None)
                    text = said.read_text(errors="replace") if said.exists() else ""
                    if "inner-linux: failed" in text or "Kernel panic" in text:
                        raise Wrong(f"the guest says: {text[-1500:]}")
                    return text if "inner-linux: done" in text else None

                try:
                    text = wait_for("the inner Linux", done, 240)
                except Wrong as err:
                    raise Wrong(f"{err}; its console: {said.read_text(errors='replace')[-1500:]}") from None
                total = 0
                for device, kind in ((disk, "disk"), (card, "card")):
                    seen = int(re.search(rf"inner-linux: {kind} interrupts: (\d+)", text).group(1))
                    ours = interrupts(device)
                    if seen < 4 or ours < 4:
                        raise Wrong(f"MSI-X interrupts of the {kind}: {ours} here, {seen} in the guest")
                    total += ours
                # Each interrupt that came here went on to KVM without QEMU, and became one of the guest.
                if wakeups() < total:
                    raise Wrong(f"of {total} MSI-X interrupts {wakeups()} went to KVM's irqfd")
                if min(mapped.number(), unmapped.number()) < maps:
                    raise Wrong(f"{mapped.number()} maps and {unmapped.number()} unmaps, and not {maps} of each")
        with disk.open() as handle:
            expect("what the guest copied is right", os.pread(handle, len(data), TO * SECTOR) == data, True)
    return case


CASES = {
    "linux iommufd": works(iommufd),
    "linux group": works(group),
    "linux iommufd, iommu of the guest": works(iommufd, maps=NESTED_MAPS, **NESTED),
    "linux group, iommu of the guest": works(group, maps=NESTED_MAPS, **NESTED),
}
