# SPDX-License-Identifier: GPL-2.0-only
"""
What users are charged for memory that their programs have pinned: nothing, when there is no such program. Shown by pinning
as much as the limit allows, and a page more, without privileges.
"""

import errno
import fcntl
import os
import re
import resource
import struct
import subprocess
from pathlib import Path

from machine import NOBODY, devices, unsafe_interrupts

USERS = {"root": 0, "nobody": NOBODY}
PAGE, PAGES = 4096, 64
BIND_IOMMUFD, ATTACH_IOMMUFD_PT = 0x3b76, 0x3b77
IOAS_ALLOC, IOAS_UNMAP, IOAS_MAP_FILE = 0x3b81, 0x3b86, 0x3b8f
READABLE_AND_WRITABLE = 6
EVERYTHING = (1 << 64) - 1


def remember():
    """A process, lest the kernel forget that user, and with it what it is charged, between two clients."""
    return subprocess.Popen(["sleep", "infinity"], user=NOBODY)


def pin(context, space, memory, number):
    """Map pages of a file; gives an error number, or 0."""
    try:
        fcntl.ioctl(context, IOAS_MAP_FILE, struct.pack("=IIIiQQQ", 40, READABLE_AND_WRITABLE, space, memory, 0,
                                                        number * PAGE, 0))
    except OSError as err:
        return err.errno
    return 0


def user_has_limit(uid, context, space):
    """As a process of this user: what is wrong, or nothing."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (PAGES * PAGE, PAGES * PAGE))
    os.setresuid(uid, NOBODY, NOBODY)	# the real user pays; capabilities are those of the effective one
    memory = os.memfd_create("charge")
    os.ftruncate(memory, PAGES * PAGE)
    found = pin(context, space, memory, PAGES)
    if found:
        told = re.search(r"(?m)^last-refusal:\t(.*)", Path(f"/proc/self/fdinfo/{context}").read_text())
        return f"{os.strerror(found)}; {told and told.group(1)}"
    found = pin(context, space, memory, 1)
    fcntl.ioctl(context, IOAS_UNMAP, struct.pack("=IIQQ", 24, space, 0, EVERYTHING))
    return "" if found == errno.ENOMEM else f"one page more than the limit: {os.strerror(found)}"


def in_child(function, *args):
    """What a function gives, or how it fails, in a process of its own, as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = function(*args)
        except BaseException as err:
            said = repr(err)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def problems():
    """Who is charged for something, where an IOMMU confines devices; no client is there."""
    if not any(Path("/sys/kernel/iommu_groups").glob("*")):
        return []
    device = [*devices("edu"), *devices("nvme")][0]
    device.give("vfio-pci")
    try:
        with open("/dev/iommu", "r+b", 0) as context, open(device.cdev, "r+b", 0) as opened, unsafe_interrupts():
            fcntl.ioctl(opened, BIND_IOMMUFD, struct.pack("=IIiI", 16, 0, context.fileno(), 0))
            space = struct.unpack("=III", fcntl.ioctl(context, IOAS_ALLOC, struct.pack("=III", 12, 0, 0)))[2]
            fcntl.ioctl(opened, ATTACH_IOMMUFD_PT, struct.pack("=III", 12, 0, space))
            said = {name: in_child(user_has_limit, uid, context.fileno(), space) for name, uid in USERS.items()}
    finally:
        device.give(None)
    return [f"{name} cannot pin {PAGES} pages, the limit, and no more: {text}" for name, text in said.items() if text]
