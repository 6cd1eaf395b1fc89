#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What the kernel keeps for memory that is mapped, in bytes per TiB: its own notes, from the counters of the slab, and the
IOMMU's page table, from the counter of pages; beside VFIO's type 1, which keeps no notes, or mainline's iommufd.

A guest has no TiB. It maps a file of a quarter of a GiB over and over, side by side, which makes no difference to what
is kept, and measures what is mapped with one call.
"""

import argparse
import ctypes
import fcntl
import json
import mmap
import os
import struct
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = mmap.PAGESIZE
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
FILE = 256 * MIB
IOVA = 1 << 32

# title, name, bytes to map, of huge pages?, the most that the notes may take per TiB
KINDS = [
    ("of 2 MiB pages", "huge", 256 * GIB, True, 16 * MIB),
    ("scattered 4 KiB pages", "scattered", 4 * GIB, False, 2.2 * GIB),
]


# ---- in the guest

def io(number):
    return ord(";") << 8 | number


class Iommufd:
    """The device $VM_DEV_edu0 in an address space of /dev/iommu."""

    def __init__(self, device):
        node = next(Path(f"/sys/bus/pci/devices/{device}/vfio-dev").iterdir()).name
        self.fd = os.open("/dev/iommu", os.O_RDWR)
        self.device = os.open(f"/dev/vfio/devices/{node}", os.O_RDWR)
        fcntl.ioctl(self.device, io(118), struct.pack("=IIiI", 16, 0, self.fd, 0))
        answer = fcntl.ioctl(self.fd, io(0x81), struct.pack("=III", 12, 0, 0))
        self.ioas = struct.unpack("=III", answer)[2]
        fcntl.ioctl(self.device, io(119), struct.pack("=III", 12, 0, self.ioas))

    def map(self, address, size):
        fcntl.ioctl(self.fd, io(0x85), struct.pack("=IIIIQQQ", 40, 7, self.ioas, 0, address, size, IOVA))

    def unmap(self, size):
        fcntl.ioctl(self.fd, io(0x86), struct.pack("=IIQQ", 24, self.ioas, IOVA, size))


class Type1:
    """The same in a container."""

    def __init__(self, device):
        group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{device}/iommu_group"))
        self.fd = os.open("/dev/vfio/vfio", os.O_RDWR)
        self.group = os.open(f"/dev/vfio/{group}", os.O_RDWR)
        fcntl.ioctl(self.group, io(104), struct.pack("=i", self.fd))
        fcntl.ioctl(self.fd, io(102), 3)

    def map(self, address, size):
        fcntl.ioctl(self.fd, io(113), struct.pack("=IIQQQ", 32, 3, address, IOVA, size))

    def unmap(self, size):
        fcntl.ioctl(self.fd, io(114), struct.pack("=IIQQ", 24, 0, IOVA, size))


def counters():
    """Bytes in slabs, in the IOMMU's page tables, and free, when caches of free pages are empty."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    Path("/proc/sys/vm/stat_refresh").write_text("1")
    info = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    vmstat = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    kib = {key: int(info[key].split()[0]) << 10 for key in ("Slab", "MemFree")}
    return {"notes": kib["Slab"], "table": int(vmstat["nr_iommu_pages"]) * PAGE, "free": kib["MemFree"]}


def memory(size, huge):
    """The address of @size bytes of shared memory, populated, of which no two neighbours of 4 KiB lie together."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

    def do_mmap(address, length, flags, fd):
        got = libc.mmap(address, length, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0)
        if got == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
        return got

    fd = os.memfd_create("bench", os.MFD_HUGETLB if huge else 0)
    os.ftruncate(fd, FILE)
    if not huge:
        with mmap.mmap(fd, FILE) as view:
            pages = FILE // PAGE
            for i in range(pages):
                view[i * 9973 % pages * PAGE] = 1
    # Aligned to 2 MiB, as the file has to be
    reserved = do_mmap(None, size + 2 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1)	# MAP_NORESERVE
    start = (reserved + 2 * MIB - 1) // (2 * MIB) * (2 * MIB)
    for offset in range(0, size, FILE):
        do_mmap(start + offset, FILE, mmap.MAP_SHARED | 0x10 | 0x8000, fd)	# MAP_FIXED, MAP_POPULATE
    return start


def measure(backend):
    space = {"iommufd": Iommufd, "type1": Type1}[backend](os.environ["VM_DEV_edu0"])
    Path("/proc/sys/vm/nr_hugepages").write_text(str(FILE // (2 * MIB) + 2))
    results = {}
    for _, name, size, huge, _ in KINDS:
        address = memory(size, huge)
        space.map(address, 2 * MIB)		# what is allocated once stays
        space.unmap(2 * MIB)
        before = counters()
        space.map(address, size)
        mapped = counters()
        space.unmap(size)
        time.sleep(3)		# nodes of trees are freed after an RCU grace period
        after = counters()
        per_tib = {key: (mapped[key] - before[key]) * TIB // size for key in before}
        per_tib["left"] = (after["notes"] - before["notes"] + after["table"] - before["table"]) * TIB // size
        results[name] = per_tib
        print(name, per_tib, flush=True)
    Path(os.environ["VM_OUT"], "memory.json").write_text(json.dumps(results))


# ---- on the host

def table(results):
    """The table, and what is above its bar."""
    lines = [f"{'MiB per TiB mapped':26}" + "".join(f"{column + ', ' + what:>20}" for column in results
                                                     for what in ("notes", "table")) + f"{'bar of the notes':>20}", ""]
    missed = []
    for title, name, _, _, bar in KINDS:
        cells = [results[column][name][what] / MIB for column in results for what in ("notes", "table")]
        lines.append(f"{title:26}" + "".join(f"{cell:20.1f}" for cell in cells) + f"{bar / MIB:20.1f}")
        ours = results["ours"][name]
        if ours["notes"] > bar:
            missed.append(f"{title}: {ours['notes'] / MIB:.1f} MiB of notes")
        if ours["left"] > bar / 10:
            missed.append(f"{title}: {ours['left'] / MIB:.1f} MiB are left after an unmap")
    return lines, missed


def main():
    sys.path.insert(0, str(HERE.parent / "vm"))
    import guest  # noqa: E402
    import run  # noqa: E402
    from util import BUILD, Fail, on_terminate, say  # noqa: E402

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", choices=sorted(run.SETS), default="stock",
                        help="lean: in-tree, ours and mainline's; stock: Debian's, ours and its own type 1")
    parser.add_argument("--timeout", type=float, default=1200, metavar="SECONDS", help="for each column")
    args = parser.parse_args()
    on_terminate()
    results = {}
    try:
        for column, (kernel, modules, backend) in run.SETS[args.kernel].items():
            say(f"memory: {column} ({backend} on the {kernel} kernel)")
            load = []
            if kernel == "stock":
                load = ["vfio-pci"] if modules else ["vfio_iommu_type1", "vfio-pci"]
            out = BUILD / "bench" / args.kernel / f"memory-{column}"
            opts = guest.Options(command=["tools/testing/bench/memory.py", "--measure", backend], kernel=kernel,
                                 modules=modules, devices=["edu"], load=load, bind=["edu0"], memory="3G",
                                 timeout=args.timeout, name=f"memory-{column}", out=out, kmemleak=False)
            if guest.run_guest(opts):
                raise Fail(f"{column} was not measured")
            results[column] = json.loads((out / "memory.json").read_text())
    except Fail as err:
        sys.exit(f"memory: error: {err}")
    lines, missed = table(results)
    print("\n".join([*lines, "", *(["not reached:", *missed] if missed else ["nothing is above its bar"])]))
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
        sys.exit(0)
    sys.exit(main())
