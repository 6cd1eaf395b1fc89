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
import subprocess
import threading
from pathlib import Path

from machine import (NOBODY, Disk, Wrong, below, expect, huge_pages, pages_pinned, probed, some, traced, unsafe_interrupts,
                     wait_for)
import qemu
from qemu import MEGABYTES, PAGES, Qemu, boot_sector

ENOUGH = MEGABYTES + 64 << 20		# bytes of locked memory for a guest's memory and firmware
TOO_LITTLE = MEGABYTES - 32 << 20
BUSY = "Device or resource busy"
NOT_PERMITTED = "Operation not permitted"
INVALID = "Invalid argument"		# bound already
IOMMU_OPTION, RLIMIT_MODE, BY_PROCESS = 0x3b87, 0, 1
DIRTY_PAGES, START, STOP = 0x3b75, "1", "2"
RESET, FUNCTION, HOT = "vfio_pci/vfio_pci_reset", "function", "hot"
# Where KVM has to be told that DMA may bypass the caches
INCOHERENT = "intel-nosc"
HUGE = 9		# order of a huge page
ATTACHED = re.compile(r"(?m)^ioas-\d+-devices:\t(.*)")

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


def node_of(way):
    """What QEMU opens, or is given, for its address spaces."""
    return "/dev/vfio/vfio" if way is group else "/dev/iommu"


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
    """QEMU's name for KVM, which the processors that the harness emulates have."""
    for module in ("kvm_amd", "kvm_intel"):
        subprocess.run(["modprobe", "-q", module], stderr=subprocess.DEVNULL)
    if not Path("/dev/kvm").exists():
        raise Wrong("no KVM in this virtual machine")
    os.chmod("/dev/kvm", 0o666)		# as udev has it
    return "kvm"


def accelerator(kvm):
    return nested_kvm() if kvm else "tcg"


def resets(trace, *devices):
    """What kinds of reset devices were asked for, and their results."""
    found = re.findall(r"vfio_pci_reset: (\S+) (\w+) ret=(-?\d+)", trace.text())
    return {(kind, int(result)) for bdf, kind, result in found if bdf in [device.bdf for device in devices]}


@contextlib.contextmanager
def coherence():
    """KVM learns that a device's DMA may bypass the caches, and that it is gone, where that is so and nowhere else."""
    changes = "register", "unregister"
    with contextlib.ExitStack() as stack:
        trace = stack.enter_context(traced(*[
            stack.enter_context(probed(f"p:clients_{change} kvm:kvm_arch_{change}_noncoherent_dma"))
            for change in changes]))
        yield
        for change in changes:
            expect(f"how often KVM had to {change} a device that is not coherent",
                   trace.text().count(f"clients_{change}:"), int(os.environ["VM_IOMMU"] == INCOHERENT))


# ---- the cases

def boots(way, kvm=False):
    """The guest does its work, and the device was reset for that."""
    def case():
        accel = accelerator(kvm)
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "e")
        with traced(RESET) as trace, coherence() if kvm else contextlib.nullcontext():
            with started(way, disk, accel=accel) as client:
                client.finish()
            expect("resets of the disk", resets(trace, disk), {(FUNCTION, 0)})
        disk.verify(disk)
    return case


def uses_memory(way, backend, permissions, where, huge=False):
    """
    The guest's memory is of a kind; of huge pages almost all is contiguous for the IOMMU, too. A QEMU that knows how to maps
    a file as such.
    """
    def case():
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "s")
        as_file = way is not group and permissions == "rw-s" and qemu.version() >= MAPS_FILES
        with probed("p:clients_map_file iommufd:iommufd_ioas_map_file") as event, traced(event) as maps, \
                huge_pages(MEGABYTES // 2) if huge else contextlib.nullcontext():
            with started(way, disk, memory=backend) as client:
                client.goes_on(1)
                expect("is memory mapped as a file", maps.number() > 0, as_file)
                found = sum(size for size, *rest in client.memory() if rest[0] == permissions and where in rest[1])
                expect(f"bytes of memory of {where}", found, MEGABYTES << 20)
                if huge:
                    free = re.search(r"(?m)^HugePages_Free: +(\d+)", Path("/proc/meminfo").read_text()).group(1)
                    expect("huge pages that the guest does not use", free, "0")
                    text, = client.iommufds(node_of(way))
                    pages = int(re.search(r"(?m)^ioas-\d+:.* pinned=(\d+)", text).group(1)) >> 12
                    runs = re.findall(r"(\d+):(\d+)", re.search(r"(?m)^ioas-\d+-runs:\t(.*)", text).group(1))
                    small = sum(int(count) << int(order) + 1 for order, count in runs if int(order) < HUGE)
                    if pages - small < 0.9 * PAGES:
                        raise Wrong(f"the IOMMU's runs of {pages} pages are ORDER:COUNT {runs}")
        disk.verify(disk)
    return case


def two_disks(way, spaces, contexts=1):
    """Two devices, in so many address spaces: memory is pinned once for each."""
    def case():
        first, second = some("nvme", 2)
        first.prepare(SECTOR, "s")
        second.prepare(SECTOR, "s")
        before = pages_pinned()
        with started(way, first, second) as client:
            client.goes_on(1)
            pages = pages_pinned() - before
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
        with traced(RESET) as trace, started(way, disk, *pair) as client:
            client.finish()
            expect("resets of the pair", resets(trace, *pair), {(HOT, 0)})
            expect("resets of the disk", resets(trace, disk), {(FUNCTION, 0)})
        disk.verify(disk)


def killed(way, kvm=False):
    """SIGKILL, while the device reads and writes; whoever comes next finds it free."""
    def case():
        accel = accelerator(kvm)
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "l")
        with started(way, disk, accel=accel) as client:
            client.goes_on()
            client.kill()
        boots(way, kvm)()
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


def unbound(way, kvm=False):
    """The host takes the device away while the guest uses it: QEMU is asked, asks its guest, and lets go."""
    def case():
        accel = accelerator(kvm)
        disk, = some("nvme", 1)
        disk.prepare(SECTOR, "l")
        before = pages_pinned()
        with started(way, disk, accel=accel) as client:
            client.goes_on()
            client.greet()
            taking = threading.Thread(target=(disk.path / "driver/unbind").write_text, args=[disk.bdf], daemon=True)
            taking.start()
            client.event("DEVICE_DELETED")
            taking.join(60)
            expect("the host still waits for the device", taking.is_alive(), False)
            expect("driver of the device", disk.driver, None)
            expect("status of QEMU, which has to run without the device", client.process.poll(), None)
            wait_for("all pages to be unpinned", lambda: pages_pinned() == before)
            expect("kB of memory that QEMU has locked", client.locked(), 0)
        boots(way, kvm)()
    return case


def hot_plug():
    """A disk comes to a running QEMU and goes: by name, with descriptors through its monitor, and in the old way."""
    disk, = some("nvme", 1)
    before = pages_pinned()
    with started(group) as client:
        for turn in ("names", "descriptors", "group"):
            disk.prepare(SECTOR, "s")
            backend = {"qom-type": "iommufd", "id": "iommufd0"}
            front = {"driver": "vfio-pci", "id": "disk", "bus": "pci.0", "addr": "5"}
            if turn != "group":
                front["iommufd"] = "iommufd0"
            if turn != "descriptors":
                front["host"] = disk.bdf
            else:
                for name, path in (("iommu", "/dev/iommu"), ("vfio", disk.cdev)):
                    fd = os.open(path, os.O_RDWR)
                    client.command("getfd", {"fdname": name}, fds=[fd])
                    os.close(fd)
                backend["fd"], front["fd"] = "iommu", "vfio"
            if turn != "group":
                client.command("object-add", backend)
            client.command("device_add", front)
            begins_again(client)
            client.command("device_del", {"id": "disk"})
            client.event("DEVICE_DELETED")
            if turn != "group":
                client.command("object-del", {"id": "iommufd0"})
            wait_for("all pages to be unpinned", lambda: pages_pinned() == before)
            expect("kB of memory that QEMU has locked", client.locked(), 0)
            # QEMU does not close what it was given.
            texts = client.iommufds()
            expect("number of open /dev/iommu", len(texts), 0 if turn == "names" else 1)
            if any("object:" in text for text in texts):
                raise Wrong(f"something is left in the context: {texts[0]!r}")
            expect("number of containers", len(client.iommufds(node_of(group))), 0)
            disk.verify(disk)


def begins_again(client):
    """The guest starts anew, with the disks that there are now, and does its work."""
    client.command("stop")		# a round that it is in does not count
    done = client.rounds()
    client.command("system_reset")
    client.event("RESET")
    client.command("cont")
    wait_for("the guest to use its disks", lambda: client.rounds() > done, 120)


def hot_plug_second(way):
    """A disk comes into the address space that another one uses, and goes."""
    def case():
        first, second = some("nvme", 2)
        first.prepare(SECTOR, "l")
        second.prepare(SECTOR, "l")
        with started(way, first) as client:
            client.goes_on(1)
            before = pages_pinned()
            front = {"driver": "vfio-pci", "id": "second", "host": second.bdf, "bus": "pci.0", "addr": "8"}
            if way is iommufd:
                front["iommufd"] = "iommufd0"
            client.command("device_add", front)
            begins_again(client)
            text, = client.iommufds(node_of(way))
            expect("devices of the one address space", sorted(" ".join(ATTACHED.findall(text)).split()),
                   sorted([first.bdf, second.bdf]))
            # What the firmware makes of its own memory may differ.
            if pages_pinned() - before > PAGES // 2:
                raise Wrong(f"{pages_pinned() - before} more pages are pinned for a second device in an address space")
            client.command("device_del", {"id": "second"})
            client.event("DEVICE_DELETED")
            text, = client.iommufds(node_of(way))
            expect("devices of the address space, then", ATTACHED.findall(text), [first.bdf])
            begins_again(client)
            client.goes_on(1)
        second.verify(first)
        first.verify(first)
    return case


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
            for one in (client, other):
                expect("accounting", re.search(r"(?m)^accounting:\t(\w+)", *one.iommufds()).group(1), "process")
                locked = one.locked()
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
    with owned_by_nobody(disk.group), traced("iommufd/iommufd_refuse") as trace:
        with started(group, disk, nobody_locks=TOO_LITTLE) as client:
            client.refused("Cannot allocate memory")
        if not re.search(rf"iommufd_refuse: error=-12 memlock limit: the process .*is {TOO_LITTLE >> 10} kB", trace.text()):
            raise Wrong(f"the trace does not tell why it was refused: {trace.text()[-500:]!r}")
        with started(group, disk, nobody_locks=ENOUGH) as client:
            client.finish()
    disk.verify(disk)


def dirty_rate():
    """QEMU has a container log what is written, and stop that, while the guest reads and writes."""
    disk, = some("nvme", 1)
    disk.prepare(SECTOR, "l")
    with probed("p:clients_ioctl iommufd:iommufd_vfio_ioctl cmd=%si:x32 flags=+u4(%dx):u32") as event, \
            started(group, disk) as client, traced(event, only=f"cmd=={DIRTY_PAGES:#x}") as trace:
        client.goes_on(1)
        client.command("calc-dirty-rate", {"calc-time": 1, "mode": "dirty-bitmap"})
        wait_for("QEMU to measure", lambda: client.command("query-dirty-rate")["status"] == "measured")
        found = re.findall(r" flags=(\d+)", trace.text())
        expect("requests to start and to stop", found, [START, STOP])
        expect("what QEMU says", client.said(), "")
        client.goes_on(1)


def without_remapping():
    """Without interrupt remapping: refused, unless the administrator accepts that."""
    disk, = some("nvme", 1)
    disk.prepare(SECTOR, "e")
    with started(group, disk) as client:
        client.refused(NOT_PERMITTED)
    told = refused_in_words(disk, NOT_PERMITTED)
    if not re.search(r"(?m)^last-refusal:.*allow_unsafe_interrupts", told):
        raise Wrong(f"the context does not tell why it was refused: {told!r}")
    with unsafe_interrupts():
        boots(iommufd)()
        boots(group)()


MAPS_FILES = 10, 1		# the version that began with it
# QEMU's backend of the guest's memory, and how its mapping looks; the last two of huge pages
MEMFD = "memory-backend-memfd,share=on", "rw-s", "memfd:memory-backend-memfd"
HUGETLB = "memory-backend-memfd,hugetlb=on,hugetlbsize=2M,share=on", "rw-s", "memfd:memory-backend-memfd", True
PRIVATE_HUGETLB = "memory-backend-file,mem-path=/dev/hugepages,share=off", "rw-p", "/dev/hugepages/", True

CASES = {
    "qemu iommufd": boots(iommufd),
    "qemu iommufd, descriptors passed": boots(passed),
    "qemu group": boots(group),
    "kvm iommufd": boots(iommufd, kvm=True),
    "kvm iommufd, descriptors passed": boots(passed, kvm=True),
    "kvm group": boots(group, kvm=True),
    "qemu unprivileged": permitted,
    "qemu locked memory": locked_memory,
    "qemu locked memory by process": locked_memory_of_process,
    "qemu locked memory, group": locked_memory_of_container,
    "qemu memory memfd": uses_memory(iommufd, *MEMFD),
    "qemu memory memfd, group": uses_memory(group, *MEMFD),
    "qemu memory hugetlb": uses_memory(iommufd, *HUGETLB),
    "qemu memory hugetlb, group": uses_memory(group, *HUGETLB),
    "qemu memory hugetlb, private": uses_memory(iommufd, *PRIVATE_HUGETLB),
    "qemu memory hugetlb, private, group": uses_memory(group, *PRIVATE_HUGETLB),
    "qemu two devices": two_disks(iommufd, 1),
    "qemu two devices, two iommufds": two_disks(iommufd_each, 2, 2),
    "qemu two devices, groups": two_disks(group, 1),
    "qemu shared group": shared_group,
    "qemu hot reset": hot_reset,
    "qemu killed": killed(iommufd),
    "qemu killed, group": killed(group),
    "kvm killed, descriptors passed": killed(passed, kvm=True),
    "kvm killed, group": killed(group, kvm=True),
    "qemu contended": contended(iommufd),
    "qemu contended, group": contended(group),
    "qemu unbound": unbound(iommufd),
    "qemu unbound, group": unbound(group),
    "kvm unbound, descriptors passed": unbound(passed, kvm=True),
    "kvm unbound, group": unbound(group, kvm=True),
    "qemu hot plug": hot_plug,
    "qemu hot plug of a second": hot_plug_second(iommufd),
    "qemu hot plug of a second, group": hot_plug_second(group),
    "qemu dirty rate, group": dirty_rate,
}
# Of machines without interrupt remapping
UNSAFE_CASES = {"qemu unsafe interrupts": without_remapping}
