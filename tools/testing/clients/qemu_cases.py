# SPDX-License-Identifier: GPL-2.0-only
"""
What QEMU is put through. Its guest is the boot sector, which proves config space, BARs, DMA in both directions and
reset; what it wrote is then read from the disk by the kernel's driver.
"""

import contextlib
import fcntl
import os
import re
import struct
import threading
from pathlib import Path

from machine import Disk, Missing, Wrong, below, expect, huge_pages, pinned, probed, some, traced, wait_for
from qemu import MEGABYTES, NOBODY, PAGES, Qemu, boot_sector

ENOUGH = MEGABYTES + 64 << 20		# bytes of locked memory for a guest's memory and firmware
TOO_LITTLE = MEGABYTES - 32 << 20
BUSY = "Device or resource busy"
NOT_PERMITTED = "Operation not permitted"
INVALID = "Invalid argument"		# bound already
IOMMU_OPTION, RLIMIT_MODE, BY_PROCESS = 0x3b87, 0, 1
DIRTY_PAGES, START, STOP = 0x3b75, "1", "2"
UNSAFE = Path("/sys/module/iommufd/parameters/allow_unsafe_interrupts")

SECTOR = boot_sector()


# ---- how a device gets into QEMU: arguments, and descriptors that it inherits

def vfio(device, number, *properties):
    """-device for the n-th device of a QEMU."""
    boot = [f"bootindex={number + 1}"] if isinstance(device, Disk) else []
    return ["-device", ",".join(["vfio-pci", f"id=device{number}", *properties, *boot])]


def iommufd(*given):
    """QEMU opens /dev/iommu and the devices."""
    args = ["-object", "iommufd,id=iommufd0"]
    for number, device in enumerate(given):
        args += vfio(device, number, f"host={device.bdf}", "iommufd=iommufd0")
    return args, []


def iommufd_each(*given):
    """The same with a /dev/iommu for each device."""
    args = []
    for number, device in enumerate(given):
        args += ["-object", f"iommufd,id=iommufd{number}",
                 *vfio(device, number, f"host={device.bdf}", f"iommufd=iommufd{number}")]
    return args, []


def passed(*given, by_process=False):
    """A launcher opens them, and QEMU has no right to."""
    fds = [os.open("/dev/iommu", os.O_RDWR)]
    if by_process:
        fcntl.ioctl(fds[0], IOMMU_OPTION, struct.pack("=IIHHIQ", 24, RLIMIT_MODE, 0, 0, 0, BY_PROCESS))
    args = ["-object", f"iommufd,id=iommufd0,fd={fds[0]}"]
    for number, device in enumerate(given):
        fds.append(os.open(device.cdev, os.O_RDWR))
        args += vfio(device, number, f"fd={fds[-1]}", "iommufd=iommufd0")
    return args, fds


def passed_by_process(*given):
    """The same, as libvirt does it: QEMU shall pay for its own memory, and not for that of others of its user."""
    return passed(*given, by_process=True)


def group(*given):
    """The old way: groups and a container."""
    args = []
    for number, device in enumerate(given):
        args += vfio(device, number, f"host={device.bdf}")
    return args, []


@contextlib.contextmanager
def started(way, *given, more=(), **options):
    """A QEMU with devices, and more arguments and options; it is gone at the end."""
    args, fds = way(*given)
    if way in (passed, passed_by_process):
        options.setdefault("nobody_locks", ENOUGH)
    try:
        client = Qemu(*more, *args, fds=fds, **options)
    finally:
        for fd in fds:
            os.close(fd)
    yield client		# after a failure it is asked what it has to say, and killed then
    if client.process.returncode is None:
        client.kill()


def nested_kvm():
    if not Path("/dev/kvm").exists():
        raise Missing("no KVM in this virtual machine")
    os.chmod("/dev/kvm", 0o666)		# as udev has it
    return "kvm"


# ---- the cases

def boots(way, kvm=False, memory=None, pages=0):
    """The guest does its work."""
    def case():
        accel = nested_kvm() if kvm else "tcg"
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "e")
        with huge_pages(pages) if pages else contextlib.nullcontext():
            with started(way, disk, accel=accel, memory=memory) as client:
                client.finish()
        disk.verify(disk)
    return case


def two_disks(way, spaces, contexts=1):
    """Two devices, in so many address spaces: memory is pinned once for each."""
    def case():
        first, second = some("nvme", 2)
        first.prepare(SECTOR, "s")
        second.prepare(SECTOR, "s")
        before = pinned()
        with started(way, first, second) as client:
            client.goes_on(1)
            pages = pinned() - before
            if not 0.9 * spaces * PAGES < pages < (spaces + 0.5) * PAGES:
                raise Wrong(f"{pages} pages are pinned for {spaces} address spaces with {PAGES} pages of guest memory")
            if way is not group:
                texts = client.iommufds()
                expect("number of open /dev/iommu", len(texts), contexts)
                for kind, number in (("ioas", spaces), ("device", 2)):
                    expect(f"objects of kind {kind}", sum(len(re.findall(rf"(?m)^object:\s+\d+ {kind} ", text))
                                                          for text in texts), number)
        second.verify(first)
    return case


def shared_group():
    """Two functions of one group: together or not at all."""
    first, second = pair = below("rootport", Disk)
    expect("devices in the group", first.group_size, 2)
    first.prepare(SECTOR, "e")
    second.works()
    for way, reason in ((iommufd, NOT_PERMITTED), (group, "not viable")):
        with started(way, first) as client:
            client.refused(reason)
    second.works()
    for way in (iommufd, group):
        for disk in pair:
            disk.prepare(SECTOR, "e")
        with started(way, *pair) as client:
            client.finish()
        second.verify(first)
        second.give("vfio-pci")

    for owner in (iommufd, group):
        first.prepare(SECTOR, "l")
        with started(owner, first) as client:
            client.goes_on(1)
            for way in (iommufd, group):
                with started(way, second) as other:
                    other.refused(BUSY, NOT_PERMITTED)
            client.goes_on(1)


def hot_reset():
    """Two functions behind a bridge, which has to be reset for them, beside a disk."""
    disk, = some("nvme", 1)
    pair = below("bridge")
    expect("devices behind the bridge", len(pair), 2)
    for device in pair:
        device.give("vfio-pci")
    for way in (iommufd, group):
        disk.prepare(SECTOR, "e")
        with started(way, disk, *pair) as client:
            client.finish()
        disk.verify(disk)


def killed(way):
    """SIGKILL, while the device reads and writes; whoever comes next finds it free."""
    def case():
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "l")
        with started(way, disk) as client:
            client.goes_on()
            client.kill()
        boots(way)()
    return case


def contended(way):
    """Others want the same device: they are refused, and who has it does not notice."""
    def case():
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "l")
        with started(way, disk) as client:
            client.goes_on()
            for other in (iommufd, group):
                with started(other, disk) as second:
                    second.refused(INVALID if way is other is iommufd else BUSY)
                client.goes_on()
    return case


def unbound(way):
    """The host takes the device away while the guest uses it: QEMU is asked, asks its guest, and lets go."""
    def case():
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "l")
        before = pinned()
        with started(way, disk) as client:
            client.goes_on()
            client.greet()
            taking = threading.Thread(target=(disk.path / "driver/unbind").write_text, args=[disk.bdf], daemon=True)
            taking.start()
            client.event("DEVICE_DELETED")
            taking.join(60)
            expect("the host still waits for the device", taking.is_alive(), False)
            expect("driver of the device", disk.driver, None)
            expect("status of QEMU, which has to run without the device", client.process.poll(), None)
            wait_for("all pages to be unpinned", lambda: pinned() == before)
        boots(way)()
    return case


def hot_plug():
    """A disk comes to a running QEMU and goes, twice: by name, and with descriptors through its monitor."""
    disk, = some("nvme", 1)
    before = pinned()
    with started(group) as client:
        for turn in ("names", "descriptors"):
            disk.prepare(SECTOR, "s")
            backend = {"qom-type": "iommufd", "id": "iommufd0"}
            front = {"driver": "vfio-pci", "id": "disk", "iommufd": "iommufd0", "bus": "pci.0", "addr": "5"}
            if turn == "names":
                front["host"] = disk.bdf
            else:
                for name, path in (("iommu", "/dev/iommu"), ("vfio", disk.cdev)):
                    fd = os.open(path, os.O_RDWR)
                    client.command("getfd", {"fdname": name}, fds=[fd])
                    os.close(fd)
                backend["fd"], front["fd"] = "iommu", "vfio"
            client.command("object-add", backend)
            client.command("device_add", front)
            done = client.rounds()
            client.command("system_reset")
            wait_for("the guest to use the new disk", lambda: client.rounds() > done, 120)

            client.command("device_del", {"id": "disk"})
            client.event("DEVICE_DELETED")
            client.command("object-del", {"id": "iommufd0"})
            wait_for("all pages to be unpinned", lambda: pinned() == before)
            # QEMU does not close what it was given.
            texts = client.iommufds()
            expect("number of open /dev/iommu", len(texts), 0 if turn == "names" else 1)
            if any("object:" in text for text in texts):
                raise Wrong(f"something is left in the context: {texts[0]!r}")
            disk.verify(disk)


def refused_in_words(disk, reason, way=passed, **options):
    """With descriptors passed: refused for a reason; gives what the context says of it."""
    args, fds = way(disk)
    try:
        Qemu(*args, fds=fds, **options).refused(reason)
        return Path(f"/proc/self/fdinfo/{fds[0]}").read_text()
    finally:
        for fd in fds:
            os.close(fd)


def locked_memory():
    """Without privileges: refused, in words, below the limit, accepted above, and the charge comes back."""
    disk, = some("nvme", 1)
    disk.prepare(SECTOR, "e")
    told = refused_in_words(disk, "Cannot allocate memory", nobody_locks=TOO_LITTLE)
    if not re.search(rf"(?m)^last-refusal:.*memlock limit.*RLIMIT_MEMLOCK is {TOO_LITTLE >> 10} kB", told):
        raise Wrong(f"the context does not tell why it was refused: {told!r}")
    # The limit is too low for two, one after the other ...
    for _ in range(2):
        disk.prepare(SECTOR, "e")
        with started(passed, disk) as client:
            client.finish()
        disk.verify(disk)
    # ... and at the same time
    other = some("nvme", 2)[1]
    disk.prepare(SECTOR, "l")
    other.give("vfio-pci")
    with started(passed, disk) as client:
        client.goes_on(1)
        told = refused_in_words(other, "Cannot allocate memory", nobody_locks=ENOUGH)
        if not re.search(r"(?m)^last-refusal:.*memlock limit: the user has", told):
            raise Wrong(f"the context does not tell why it was refused: {told!r}")
        client.goes_on(1)


def locked_memory_of_process():
    """Each process by itself: one below its limit is refused, in words, and two above do not add up."""
    first, second = some("nvme", 2)
    first.prepare(SECTOR, "l")
    second.prepare(SECTOR, "s")
    told = refused_in_words(first, "Cannot allocate memory", passed_by_process, nobody_locks=TOO_LITTLE)
    if not re.search(rf"(?m)^last-refusal:.*memlock limit: the process .*MEMLOCK is {TOO_LITTLE >> 10} kB", told):
        raise Wrong(f"the context does not tell why it was refused: {told!r}")
    with started(passed_by_process, first) as client:
        client.goes_on(1)
        # The limit is too low for two of a user
        with started(passed_by_process, second) as other:
            other.goes_on(1)
            for qemu in (client, other):
                expect("accounting", re.search(r"(?m)^accounting:\t(\w+)", *qemu.iommufds()).group(1), "process")
                locked = qemu.locked()
                if not MEGABYTES << 10 <= locked <= ENOUGH >> 10:
                    raise Wrong(f"{locked} kB are locked for a guest with {MEGABYTES} MB")
        second.verify(second)
        client.goes_on(1)


@contextlib.contextmanager
def owned_by_nobody(*nodes):
    before = {node: os.stat(node) for node in nodes}
    for node in before:
        os.chown(node, NOBODY, NOBODY)
    try:
        yield
    finally:
        for node, was in before.items():
            os.chown(node, was.st_uid, was.st_gid)


def permitted():
    """A user who may open the devices, and has nothing else, in both ways."""
    disk, = some("nvme", 1)
    for way, nodes in ((iommufd, lambda: ["/dev/iommu", disk.cdev]), (group, lambda: [disk.group])):
        disk.prepare(SECTOR, "e")
        with owned_by_nobody(*nodes()), started(way, disk, nobody_locks=ENOUGH) as client:
            client.finish()
        disk.verify(disk)


def locked_memory_of_container():
    """A container counts what its process has locked; when QEMU has ended for it, the trace still tells why."""
    disk, = some("nvme", 1)
    disk.prepare(SECTOR, "e")
    with owned_by_nobody(disk.group), traced("iommufd/iommufd_refuse") as events:
        with started(group, disk, nobody_locks=TOO_LITTLE) as client:
            client.refused("Cannot allocate memory")
        if not re.search(rf"iommufd_refuse: error=-12 memlock limit: the process .*is {TOO_LITTLE >> 10} kB", events()):
            raise Wrong(f"the trace does not tell why it was refused: {events()[-500:]!r}")
        with started(group, disk, nobody_locks=ENOUGH) as client:
            client.finish()
    disk.verify(disk)


def dirty_rate():
    """QEMU has a container log what is written, and stop that, while the guest reads and writes."""
    disk, = some("nvme", 1)
    disk.prepare(SECTOR, "l")
    with probed("p:clients_ioctl iommufd:iommufd_vfio_ioctl cmd=%si:x32 flags=+u4(%dx):u32") as event, \
            started(group, disk) as client, traced(event, only=f"cmd=={DIRTY_PAGES:#x}") as events:
        client.goes_on(1)
        client.command("calc-dirty-rate", {"calc-time": 1, "mode": "dirty-bitmap"})
        wait_for("QEMU to measure", lambda: client.command("query-dirty-rate")["status"] == "measured")
        found = re.findall(r" flags=(\d+)", events())
        expect("requests to start and to stop", found, [START, STOP])
        expect("what QEMU says", client.said(), "")
        client.goes_on(1)


def unsafe_interrupts():
    """Without interrupt remapping: refused, unless the administrator accepts that."""
    disk, = some("nvme", 1)
    disk.prepare(SECTOR, "e")
    with started(group, disk) as client:
        client.refused(NOT_PERMITTED)
    told = refused_in_words(disk, NOT_PERMITTED)
    if not re.search(r"(?m)^last-refusal:.*allow_unsafe_interrupts", told):
        raise Wrong(f"the context does not tell why it was refused: {told!r}")
    before = UNSAFE.read_text()
    UNSAFE.write_text("Y")
    try:
        boots(iommufd)()
        boots(group)()
    finally:
        UNSAFE.write_text(before)


CASES = {
    "qemu iommufd": boots(iommufd),
    "qemu iommufd, descriptors passed": boots(passed),
    "qemu group": boots(group),
    "qemu kvm iommufd": boots(iommufd, kvm=True),
    "qemu kvm iommufd, descriptors passed": boots(passed, kvm=True),
    "qemu kvm group": boots(group, kvm=True),
    "qemu unprivileged": permitted,
    "qemu locked memory": locked_memory,
    "qemu locked memory by process": locked_memory_of_process,
    "qemu locked memory, group": locked_memory_of_container,
    "qemu memory memfd": boots(iommufd, memory="memory-backend-memfd,share=on"),
    "qemu memory hugetlb": boots(iommufd, memory="memory-backend-memfd,hugetlb=on,hugetlbsize=2M,share=on",
                                 pages=MEGABYTES // 2),
    "qemu memory hugetlb, private": boots(group, memory="memory-backend-file,mem-path=/dev/hugepages,share=off",
                                          pages=MEGABYTES // 2),
    "qemu two devices": two_disks(iommufd, 1),
    "qemu two devices, two iommufds": two_disks(iommufd_each, 2, 2),
    "qemu two devices, groups": two_disks(group, 1),
    "qemu shared group": shared_group,
    "qemu hot reset": hot_reset,
    "qemu killed": killed(iommufd),
    "qemu killed, group": killed(group),
    "qemu contended": contended(iommufd),
    "qemu contended, group": contended(group),
    "qemu unbound": unbound(iommufd),
    "qemu unbound, group": unbound(group),
    "qemu hot plug": hot_plug,
    "qemu dirty rate, group": dirty_rate,
}
# Of machines without interrupt remapping
UNSAFE_CASES = {"qemu unsafe interrupts": unsafe_interrupts}
