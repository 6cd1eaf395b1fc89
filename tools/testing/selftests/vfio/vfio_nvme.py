#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
The NVMe driver of tools/vfio-nvme on QEMU's nvme: with each kind of interrupt, with a device file that another process has
opened, and on a PF and its VF. What it has written is afterwards read by the kernel's own driver.

  vfio_nvme.py [TEST]...
"""

import fcntl
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))
import sysdev  # noqa: E402

PROGRAM = Path(__file__).resolve().parents[4] / "build/tools/vfio-nvme"
DEVICES = sysdev.PCI
CLASS_NVME = "0x010802"
PATIENCE = int(os.environ.get("VM_PATIENCE", 1))
TIMEOUT = 60 * PATIENCE
BLOCK = 512


class Skip(Exception):
    """The test makes no sense here."""


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def wait_for(what, condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        expect(time.monotonic() < deadline, f"{what}: not within {TIMEOUT} s")
        time.sleep(0.05)


# ---- devices

def attribute(bdf, name):
    return (DEVICES / bdf / name).read_text().strip()


def faults(bdf, what):
    """Tell who judges the kernel's log: DMA of a device is to be stopped by the IOMMU, from here or until here."""
    Path("/dev/kmsg").write_text(f"DMA faults of {bdf} {what}\n")


def give_to(bdf, name):
    """Give a device to a driver, or to the one that the kernel chooses for ''."""
    try:
        sysdev.set_driver(bdf, name)
    except OSError as err:
        raise AssertionError(f"{bdf} has no driver {name}: {err}") from err
    if name:
        found = sysdev.driver(bdf)
        expect(found == name, f"{bdf} is bound to {found}, not to {name}")


def controllers():
    return sorted(path.name for path in DEVICES.iterdir() if attribute(path.name, "class") == CLASS_NVME)


def plain():
    """A controller that has no VFs and is none."""
    for bdf in controllers():
        if not (DEVICES / bdf / "sriov_totalvfs").exists() and not (DEVICES / bdf / "physfn").exists():
            return bdf
    raise Skip("no nvme device")


def physical():
    for bdf in controllers():
        if (DEVICES / bdf / "sriov_totalvfs").exists():
            return bdf
    raise Skip("no nvme device with VFs")


class Borrowed:
    """A device that vfio-pci has for a while; the kernel's driver has it before and afterwards."""

    def __init__(self, bdf):
        self.bdf = bdf

    def __enter__(self):
        give_to(self.bdf, "vfio-pci")
        return self.bdf

    def __exit__(self, *_):
        give_to(self.bdf, "")


# ---- the program

def run(*args):
    """Run it; gives all that it says."""
    done = subprocess.run([str(PROGRAM), "--timeout", str(10 * PATIENCE), *map(str, args)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT)
    for line in done.stdout.splitlines():
        print(f"#   {line}")
    if "no interrupt of this kind" in done.stdout:
        raise Skip("the controller has no interrupt of this kind")
    expect(not done.returncode, f"exit status {done.returncode}")
    return done.stdout


def check_use(block, *args, vectors=None):
    """Read, with all queues, write, and be told of it by so many vectors; gives what is to be found in the block."""
    before = sysdev.pages_pinned()
    text = run("--read", "0:4096", "--write", block, *args)
    expect(f"wrote block {block}, flushed, and read the same back" in text, "the block was not written")
    wait_for("no page stays pinned", lambda: sysdev.pages_pinned() == before)
    if vectors:
        match = re.search(r"announced by \w+ on eventfds; wake-ups per vector: ([\d, ]+)", text)
        expect(match, "nothing is said of interrupts")
        counts = [int(n) for n in match.group(1).split(",")]
        expect(all(counts) and len(counts) == vectors, f"not {vectors} vectors with interrupts, but {counts}")
    line = f"vfio-nvme wrote block {block}. ".encode()
    return (line * (BLOCK // len(line) + 1))[:BLOCK]


def kernel_reads(bdf, block):
    """What the kernel's driver finds in a block."""
    subprocess.run(["modprobe", "-q", "nvme"], check=False)		# or it is built in
    if sysdev.driver(bdf) != "nvme":
        give_to(bdf, "nvme")

    def disks():
        names = [disk.name for disk in (DEVICES / bdf).glob("nvme/nvme*/nvme*n*")]
        # With several controllers for one disk, that is the subsystem's.
        for controller in (DEVICES / bdf).glob("nvme/nvme*"):
            names += [disk.name for disk in Path("/sys/class/nvme-subsystem").glob("*/nvme*n*")
                      if (disk.parent / controller.name).exists()]
        return [name for name in names if Path("/dev", name).is_block_device()]
    wait_for("the kernel's driver has a disk", disks)
    with open(f"/dev/{disks()[0]}", "rb", buffering=0) as disk:
        os.posix_fadvise(disk.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(disk.fileno(), BLOCK, block * BLOCK)


def test_irq(kind, block, vectors):
    bdf = plain()
    with Borrowed(bdf):
        wanted = check_use(block, "--irq", kind, bdf, vectors=vectors)
    expect(kernel_reads(bdf, block) == wanted, "the kernel's driver finds something else")


def irq_msix():
    test_irq("msix", 200, 3)


def irq_msi():
    test_irq("msi", 201, 1)


def irq_intx():
    test_irq("intx", 202, 1)


def irq_poll():
    test_irq("poll", 203, 0)


def passed_fd():
    """One process opens the file, and is gone before the other uses it."""
    bdf = plain()
    with Borrowed(bdf), tempfile.TemporaryDirectory() as folder:
        sock = f"{folder}/device"
        with subprocess.Popen([str(PROGRAM), "--give", sock, bdf], stdout=subprocess.PIPE, text=True) as giver:
            try:
                wait_for("the socket is there", lambda: os.path.exists(sock) or giver.poll() is not None)
                wanted = check_use(204, "--socket", sock)
                expect("opened and given away" in giver.stdout.read(), "the giver is not content")
                expect(not giver.wait(TIMEOUT), "the giver failed")
            finally:
                giver.kill()
    expect(kernel_reads(bdf, 204) == wanted, "the kernel's driver finds something else")


def physical_function():
    bdf = physical()
    with Borrowed(bdf):
        wanted = check_use(205, bdf, vectors=3)
    expect(kernel_reads(bdf, 205) == wanted, "the kernel's driver finds something else")


# ---- the PF's driver gives resources to the VF: NVMe 1.4, 5.22

ADMIN_IDENTIFY, ADMIN_VIRTUALIZATION = 0x06, 0x1c
IDENTIFY_SECONDARY = 0x15
PRIMARY_FLEXIBLE, SECONDARY_OFFLINE, SECONDARY_ASSIGN, SECONDARY_ONLINE = 1, 7, 8, 9
QUEUES, VECTORS = 0, 1
NVME_IOCTL_ADMIN_CMD, NVME_IOCTL_RESET = 0xc0484e41, 0x4e44


class Admin:
    """Admin commands, by the kernel's driver."""

    def __init__(self, bdf):
        wait_for("the controller is there", lambda: list((DEVICES / bdf).glob("nvme/nvme*")))
        self.path = "/dev/" + next((DEVICES / bdf).glob("nvme/nvme*")).name
        wait_for(self.path, lambda: os.path.exists(self.path))

    def __enter__(self):
        self.fd = os.open(self.path, os.O_RDWR)
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def command(self, opcode, cdw10, cdw11=0, data=None):
        import ctypes
        buf = ctypes.create_string_buffer(4096)
        arg = bytearray(struct.pack("<BBHIIIQQII6III", opcode, 0, 0, 0, 0, 0, 0, ctypes.addressof(buf) if data else 0, 0,
                                    4096 if data else 0, cdw10, cdw11, 0, 0, 0, 0, 0, 0))
        status = fcntl.ioctl(self.fd, NVME_IOCTL_ADMIN_CMD, arg)
        expect(not status, f"admin command {opcode:#x}, {cdw10:#x}, {cdw11:#x}: status {status:#x}")
        return buf.raw

    def virtualization(self, action, controller, resource=0, number=0):
        self.command(ADMIN_VIRTUALIZATION, controller << 16 | resource << 8 | action, number)

    def secondary(self):
        """The identifier of the first secondary controller, and of its primary one."""
        data = self.command(ADMIN_IDENTIFY, IDENTIFY_SECONDARY, data=True)
        expect(data[0], "no secondary controllers")
        return struct.unpack_from("<HH", data, 32)

    def reset(self):
        fcntl.ioctl(self.fd, NVME_IOCTL_RESET)


def virtual_function():
    pf = physical()
    subprocess.run(["modprobe", "-q", "nvme"], check=False)
    give_to(pf, "nvme")
    (DEVICES / pf / "sriov_drivers_autoprobe").write_text("0")
    with Admin(pf) as admin:
        second, first = admin.secondary()
        admin.virtualization(PRIMARY_FLEXIBLE, first, QUEUES, 0)
        admin.virtualization(PRIMARY_FLEXIBLE, first, VECTORS, 0)
        admin.reset()
        (DEVICES / pf / "sriov_numvfs").write_text("1")
        try:
            vf = (DEVICES / pf / "virtfn0").resolve().name
            admin.virtualization(SECONDARY_ASSIGN, second, QUEUES, 3)
            admin.virtualization(SECONDARY_ASSIGN, second, VECTORS, 3)
            admin.virtualization(SECONDARY_ONLINE, second)
            give_to(vf, "vfio-pci")
            wanted = check_use(206, vf, vectors=3)
            faults(vf, "begin")
            text = run("--protect", vf)
            faults(vf, "end")
            expect("told so again after the page was unmapped, it could not" in text, "it is not confined")
            admin.virtualization(SECONDARY_OFFLINE, second)
        finally:
            (DEVICES / pf / "sriov_numvfs").write_text("0")
            (DEVICES / pf / "sriov_drivers_autoprobe").write_text("1")
    expect(kernel_reads(pf, 206) == wanted, "the PF finds something else")


TESTS = [irq_msix, irq_msi, irq_intx, irq_poll, passed_fd, physical_function, virtual_function]


def main():
    wanted = [test for test in TESTS if test.__name__ in sys.argv[1:]] or TESTS
    print("TAP version 13")
    if not PROGRAM.exists():
        print(f"1..0 # SKIP there is no {PROGRAM}: make tools")
        return 4
    print(f"1..{len(wanted)}")
    failed = 0
    for number, test in enumerate(wanted, 1):
        try:
            test()
            print(f"ok {number} {test.__name__}", flush=True)
        except Skip as reason:
            print(f"ok {number} {test.__name__} # SKIP {reason}", flush=True)
        except Exception:
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {number} {test.__name__}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
