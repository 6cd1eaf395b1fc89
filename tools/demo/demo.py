#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
make demo: boots the stock Debian 13 kernel, or another of Debian's that is named, with an emulated IOMMU, an edu device and
an NVMe disk, loads our modules and runs guest.sh there. Exits 0 only if everything that it reports is true.
"""

import argparse
import hashlib
import random
import re
import shlex
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "testing/vm"))

import build		# noqa: E402 (found through the path above)
import debian		# noqa: E402
import guest		# noqa: E402
import image		# noqa: E402
import kernels		# noqa: E402
import ktap		# noqa: E402
import machine		# noqa: E402
import plan		# noqa: E402
from util import BUILD, Fail, inside, lock, on_terminate, say		# noqa: E402

BLOCK = 512
DISK_BLOCKS = 64 << 11		# 64 MiB
KNOWN = (2048, 8192)		# first block and number of blocks with known contents: 4 MiB
SCRATCH = 100000		# the block that the demo overwrites


def make_image(path):
    """A disk with contents that are the same every time; gives those of the known blocks."""
    first, count = KNOWN
    data = random.Random(BLOCK).randbytes(count * BLOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as disk:
        disk.truncate(DISK_BLOCKS * BLOCK)
        # Block 0, too, so that a read of it changes whatever it reaches.
        disk.write(data[:BLOCK])
        disk.seek(first * BLOCK)
        disk.write(data)
    return data


def build_tools(arch):
    """The userspace programs, built with Debian 13's compiler; gives their directory as the guest sees it."""
    mirror = build.mirror(arch)
    with lock(f"{mirror.parent.name}-build"):
        build.tools(mirror, arch)
    return "/repo/build/tools"


def shown(text):
    """What the tests say in words, of all that they print."""
    return re.findall(r"(?m)^# ([a-z].*)", text)


def advanced(kernel):
    """
    What takes a device of ours in a newer QEMU: PASIDs, page faults and nested page tables. Gives what went wrong; where that
    QEMU is not to be had, nothing.
    """
    print("\n6. PASIDs, page faults, nested page tables: a PCI device of our own, behind two more IOMMUs")
    if kernel != "stock":
        print("          left to the stock kernel")
        return []
    try:
        debian.newer_qemu()
    except Fail as err:
        print(f"          left out, there is no newer QEMU: {err}")
        return []
    build.userspace()
    problems = []
    for iommu in ("intel-pasid", "intel-nested"):
        result = guest.boot_once(guest.Options(
            command=["run-tests", *["/".join(test) for test in plan.PROOFS[iommu]]], kernel=kernel, iommu=iommu,
            devices=[machine.TESTDEV], load=["vfio-pci"], name=f"demo-{iommu}", timeout=300, capture=True))
        problems += result.problems
        for folder, program in plan.PROOFS[iommu]:
            tap = result.folder / f"out/{folder}.{program}.tap"
            text = tap.read_text(errors="replace") if tap.exists() else ""
            found = ktap.parse(text, program)
            bad = [*found.failed, *[f"{case}: skipped: {reason}" for case, reason in found.skipped]]
            for line in shown(text):
                print(f"  {'FAILED' if bad else 'ok    '}  {line}")
            problems += bad
    return problems


def main():
    parser = argparse.ArgumentParser(prog="tools/demo/run", description=__doc__)
    parser.add_argument("--kernel", choices=kernels.CARRIERS, default="stock")
    kernel = parser.parse_args().kernel
    on_terminate()
    begin = time.monotonic()
    name = "demo" if kernel == "stock" else f"demo-{kernel}"
    disk = BUILD / name / "nvme.img"
    data = make_image(disk)
    checksum = hashlib.sha256(data).hexdigest()
    config = inside(image.bootable(kernel) / "config")
    tools = build_tools(kernels.KERNELS[kernel].arch)
    command = shlex.join(["tools/demo/guest.sh", tools, config, "%d:%d" % KNOWN, checksum, str(SCRATCH)])

    say(f"booting the {kernel} kernel in a virtual machine ...")
    result = guest.boot_once(guest.Options(command=[command], kernel=kernel, devices=["edu", f"nvme,file={disk}"],
                                           name=name, timeout=300))
    seconds = result.report["seconds"]

    problems = list(result.problems)
    saved = result.folder / "out/blocks"
    if not saved.exists():
        problems.append("no blocks of the disk came back from the guest")
    elif saved.read_bytes() != data:
        problems.append("the blocks that came back from the guest differ from those of the disk image")
    else:
        print("The blocks that the userspace driver read are, byte for byte, those of the host's disk image.")
    if result.status and not problems:
        problems.append(f"the guest's part failed with exit status {result.status}")
    problems += advanced(kernel)
    for line in problems:
        print(f"FAILED: {line}")
    if problems:
        print(f"The guest's kernel log: {(result.folder / 'console.log').relative_to(BUILD.parent)}")
    up = result.report.get("boot", {}).get("uptime")
    print(f"{'demo failed' if problems else 'demo passed'}: {time.monotonic() - begin:.0f} s in all, {seconds:.0f} s of "
          f"them the virtual machine ({result.report['accel']}{f', booted in {up:.0f} s' if up else ''})")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fail as err:
        sys.exit(f"demo: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
