# SPDX-License-Identifier: GPL-2.0-only
"""The machine that clients run on: its PCI devices, and what has to be as it was when a client has ended."""

import contextlib
import fcntl
import itertools
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "selftests/lib"))
import sysdev  # noqa: E402
from sysdev import PCI, pages_pinned  # noqa: E402

TRACING = Path("/sys/kernel/tracing")
MODULES = "iommufd vfio vfio_pci_core vfio_pci".split()
SECTOR = 512

# What the boot sector does, see bootsector.S
SECTORS, SOURCE, TARGET, CHANGE = 64, 64, 1024, 0xa55a
MODE = 440		# offset of its mode: "e" to end, "s" to stay, "l" to loop

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP, IFF_PROMISC = 0x8913, 0x8914, 1, 0x100
ETH_P_ALL, ETH_P_TEST = 3, 0x88b5
NOBODY = 65534
# By how much everything may take longer, see guest/pace of the VM harness
PATIENCE = int(os.environ.get("VM_PATIENCE", 1))
UNSAFE = Path("/sys/module/iommufd/parameters/allow_unsafe_interrupts")


class Wrong(Exception):
    """Something is not as it has to be: its text says what."""


class Missing(Exception):
    """A case cannot run here: its text is the reason to skip it."""


def expect(what, found, *wanted):
    if found not in wanted:
        raise Wrong(f"{what}: {found!r}, and not {' or '.join(map(repr, wanted))}")


def wait_for(what, test, seconds=60):
    """Until test() gives something true, which is the result."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        found = test()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Wrong(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def state():
    """What no client may leave behind."""
    counts = {name: int(Path(f"/sys/module/{name}/refcnt").read_text()) for name in MODULES}
    return {"pinned pages": pages_pinned(), **{f"use count of {name}": count for name, count in counts.items()}}


def reload_modules():
    """Take our modules out of the kernel, which nobody may use any more, and put them back. Gives problems."""
    for command in (["rmmod", *reversed(MODULES)], ["modprobe", "-a", *MODULES]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if done.returncode:
            return [f"{' '.join(command)}: {done.stdout.strip()}"]
    return []


@contextlib.contextmanager
def huge_pages(number):
    """Huge pages of 2 MiB, as long as a case wants them."""
    pool = Path("/proc/sys/vm/nr_hugepages")
    before = pool.read_text()
    Path("/proc/sys/vm/compact_memory").write_text("1")
    pool.write_text(str(number))
    try:
        if int(pool.read_text()) < number:
            raise Wrong(f"only {pool.read_text().strip()} of {number} huge pages are to be had")
        yield
    finally:
        pool.write_text(before)


@contextlib.contextmanager
def unsafe_interrupts():
    """The administrator accepts that a device can forge interrupts."""
    before = UNSAFE.read_text()
    UNSAFE.write_text("Y")
    try:
        yield
    finally:
        UNSAFE.write_text(before)


class Trace:
    """What was recorded of some events, in a buffer of their own."""

    def __init__(self, folder):
        self.folder = folder

    def text(self):
        return (self.folder / "trace").read_text()

    def number(self):
        """How many there were, even if that is more than can be kept."""
        stats = "".join(path.read_text() for path in self.folder.glob("per_cpu/cpu*/stats"))
        return sum(map(int, re.findall(r"(?m)^(?:entries|overrun): (\d+)", stats)))


@contextlib.contextmanager
def traced(*events, only=None):
    """Record events, or those of them that a filter lets through; gives a Trace."""
    number = next(n for n in itertools.count() if not (TRACING / f"instances/clients{n}").exists())
    folder = TRACING / f"instances/clients{number}"
    folder.mkdir()
    try:
        for event in events:
            if only:
                (folder / f"events/{event}/filter").write_text(only)
            (folder / f"events/{event}/enable").write_text("1")
        yield Trace(folder)
    finally:
        folder.rmdir()


@contextlib.contextmanager
def probed(definition):
    """Set a probe, in the words of kprobe_events; gives the name of its event."""
    name = definition.split()[0].partition(":")[2]

    def change(line):
        events = os.open(TRACING / "kprobe_events", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(events, line.encode() + b"\n")
        finally:
            os.close(events)

    change(definition)
    try:
        yield f"kprobes/{name}"
    finally:
        change(f"-:{name}")


class Device:
    """A PCI device."""

    def __init__(self, bdf):
        self.bdf, self.path = bdf, PCI / bdf

    @property
    def driver(self):
        return sysdev.driver(self.bdf)

    def give(self, driver):
        """Give it to a driver; to the kernel's choice for None."""
        sysdev.set_driver(self.bdf, driver)
        if driver:
            expect(f"driver of {self.bdf}", self.driver, driver)

    @property
    def cdev(self):
        return "/dev/vfio/devices/" + next((self.path / "vfio-dev").iterdir()).name

    @property
    def group(self):
        return "/dev/vfio/" + (self.path / "iommu_group").resolve().name

    @property
    def group_size(self):
        return len(list((self.path / "iommu_group/devices").iterdir()))

    def works(self):
        """With the kernel's driver, after a client had it."""


class Disk(Device):
    """An NVMe disk, which belongs to the kernel or to a client."""

    data = bytes(SECTORS * SECTOR)

    @contextlib.contextmanager
    def open(self):
        if self.driver != "nvme":
            self.give(None)
        node = wait_for(f"disk of {self.bdf}", lambda: next(self.path.glob("nvme/nvme*/nvme*n1/dev"), None)).parent.name
        wait_for(f"node of {node}", lambda: Path("/dev", node).exists())
        handle = os.open(f"/dev/{node}", os.O_RDWR | os.O_SYNC)
        try:
            yield handle
        finally:
            os.close(handle)

    def prepare(self, sector, mode):
        """Write the boot sector and something new to read, and give it to vfio-pci."""
        self.data = os.urandom(SECTORS * SECTOR)
        boot = bytearray(sector)
        boot[MODE] = ord(mode)
        with self.open() as disk:
            os.pwrite(disk, boot, 0)
            os.pwrite(disk, self.data, SOURCE * SECTOR)
            os.pwrite(disk, bytes((SECTORS + 2) * SECTOR), (TARGET - 1) * SECTOR)
        self.give("vfio-pci")

    def verify(self, source):
        """Take it back: it has what the boot sector makes of the data of a disk, and no sector more."""
        changed = int.from_bytes(source.data, "little") ^ int.from_bytes(CHANGE.to_bytes(2, "little") *
                                                                         (len(source.data) // 2), "little")
        with self.open() as disk:
            found = os.pread(disk, (SECTORS + 2) * SECTOR, (TARGET - 1) * SECTOR)
            kept = os.pread(disk, len(self.data), SOURCE * SECTOR)
        wanted = bytes(SECTOR) + changed.to_bytes(len(source.data), "little") + bytes(SECTOR)
        if found != wanted:
            wrong = [n for n in range(SECTORS + 2) if found[n * SECTOR:][:SECTOR] != wanted[n * SECTOR:][:SECTOR]]
            raise Wrong(f"{self.bdf}: sectors {TARGET - 1 + wrong[0]} and so on, {len(wrong)} in all, are not as the "
                        "guest had to write them")
        if kept != self.data:
            raise Wrong(f"{self.bdf}: the sectors that the guest was to read have changed")

    def works(self):
        with self.open() as disk:
            expect(f"bytes read from {self.bdf}", len(os.pread(disk, SECTOR, 0)), SECTOR)


class Card(Device):
    """A network card."""

    @property
    def name(self):
        return wait_for(f"network interface of {self.bdf}",
                        lambda: next((p.name for at in ("", "virtio*/") for p in self.path.glob(f"{at}net/*")), None))

    @contextlib.contextmanager
    def up(self):
        """A socket for whole frames, while the interface is up."""
        name = self.name
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as link:
            self.flags(link, name, IFF_UP | IFF_PROMISC)
            try:
                link.bind((name, ETH_P_ALL))
                yield link
            finally:
                self.flags(link, name, 0)

    @staticmethod
    def flags(link, name, wanted):
        request = struct.pack("16sH14x", name.encode(), 0)
        old = struct.unpack("16sH14x", fcntl.ioctl(link, SIOCGIFFLAGS, request))[1]
        new = old & ~(IFF_UP | IFF_PROMISC) | wanted
        fcntl.ioctl(link, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), new))

    def reaches(self, other):
        """Frames go from here to another card."""
        frame = b"\xff" * 6 + b"\2\0\0\0\0\1" + struct.pack("!H", ETH_P_TEST) + os.urandom(50)
        with self.up() as here, other.up() as there:
            there.settimeout(0.2)

            def arrives():
                with contextlib.suppress(OSError):		# no carrier as yet
                    here.send(frame)
                with contextlib.suppress(TimeoutError):
                    return there.recv(2048) == frame
                return False

            wait_for(f"a frame from {self.bdf} to {other.bdf}", arrives)

    def works(self):
        for other in devices("virtio-net-pci")[:1]:
            self.reaches(other)
        # A virtio-net whose interface is down again goes on receiving into the buffers that it has from then. QEMU 10
        # has written to wrong places of the kernel's memory at that, behind an IOMMU: it begins anew, without any.
        if self.bdf in [card.bdf for card in devices("virtio-net-pci")]:
            self.give(None)


KINDS = {"nvme": Disk, "e1000e": Card, "virtio-net-pci": Card}
CLASSES = {"0x0108": Disk, "0x0200": Card}


def devices(kind):
    """The machine's devices of a kind on the root bus, in the order in which they were asked for."""
    found = []
    for key, bdf in os.environ.items():
        name = key.removeprefix("VM_DEV_")
        if name != key and name.rstrip("0123456789") == kind.replace("-", "_"):
            found.append((int(name[len(kind):] or 0), bdf))
    return [KINDS.get(kind, Device)(bdf) for _, bdf in sorted(found)]


def some(kind, number):
    found = devices(kind)
    if len(found) < number:
        raise Missing(f"this machine has {len(found)} of {kind}, and {number} are needed")
    return found[:number]


def below(port, kind=Device):
    """The functions behind a bridge, by the bridge's id."""
    bdf = os.environ.get(f"VM_DEV_{port}")
    if not bdf:
        raise Missing(f"this machine has no '{port}'")
    return [kind(path.name) for path in sorted((PCI / bdf).glob("????:??:??.?"))]


def with_clients():
    """The devices that are with vfio-pci."""
    for path in sorted(PCI.iterdir()):
        kind = CLASSES.get((path / "class").read_text()[:6], Device)
        device = kind(path.name)
        if device.driver == "vfio-pci":
            yield device
