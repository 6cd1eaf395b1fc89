#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Where the instructions of a map and an unmap go, or with --vfio those of all that vfio.py measures, by function of the guest's kernel.

A plugin of QEMU counts them (hotspots.c) while iommu_bench runs its test "trace", whose rounds it marks, or while vfio_bench runs.
The output has, for each kind of round, what it costs in every function alone. --flow shows the cheapest round in the order of execution.
"""

import argparse
import bisect
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
sys.path.insert(0, str(HERE))

import build  # noqa: E402
import guest  # noqa: E402
import run as bench  # noqa: E402
import vfio  # noqa: E402
from util import BUILD, Fail, chroot, inside, on_terminate, say  # noqa: E402

SCRIPT = """
set -e
echo always > /sys/kernel/mm/transparent_hugepage/enabled
cat /proc/kallsyms > "$VM_OUT/kallsyms"
"$0" -b "$1" -d "$VM_DEV_edu0" -t trace > "$VM_OUT/phases.jsonl"
"""


def plugin():
    here = build.mirror()
    target = here / "build/bench/hotspots.so"
    target.parent.mkdir(parents=True, exist_ok=True)
    chroot(["gcc", "-std=gnu11", "-O2", "-Wall", "-shared", "-fPIC", "-fvisibility=hidden", "-o", inside(target),
            inside(here / "tools/testing/bench/hotspots.c")], what="building the plugin")
    return target


class Symbols:
    def __init__(self, path):
        table = []
        for line in path.read_text().splitlines():
            address, kind, name, *_ = line.split()
            if kind in "tTwW":
                table.append((int(address, 16), name))
        table.sort()
        self.addresses = [address for address, _ in table]
        self.names = [name for _, name in table]

    def name(self, address):
        if address < 1 << 47:
            return "(user)"
        index = bisect.bisect_right(self.addresses, address) - 1
        return self.names[index] if index >= 0 else hex(address)


def report(listing, symbols, names, least, flow):
    rounds, blocks, steps = {}, defaultdict(lambda: defaultdict(int)), defaultdict(list)
    for line in listing.read_text().splitlines():
        kind, phase, *rest = line.split()
        if kind == "phase":
            rounds[phase] = int(rest[0])
        elif kind == "block":
            blocks[phase][symbols.name(int(rest[0], 16))] += int(rest[1])
        elif flow:
            name, count = symbols.name(int(rest[0], 16)), int(rest[1])
            if steps[phase] and steps[phase][-1][0] == name:
                steps[phase][-1][1] += count
            else:
                steps[phase].append([name, count])
    for phase, number in rounds.items():
        total = sum(blocks[phase].values()) / number
        print(f"\n{names.get(int(phase), phase)}: {total:.0f} instructions per round, {number} rounds")
        for name, count in sorted(blocks[phase].items(), key=lambda item: -item[1]):
            if count / number >= max(total * least / 100, 1):
                print(f"{count / number:12.1f} {100 * count / number / total:5.1f}%  {name}")
        if flow and len(steps[phase]) < 5000:
            print("  in order, of the cheapest round:")
            for name, count in steps[phase]:
                print(f"{count:12}  {name}")


def profile(opts, listing, phases, args):
    if guest.run_guest(opts):
        raise Fail("the guest failed")
    names = {entry["phase"]: entry["name"] for entry in map(json.loads, phases.read_text().splitlines()) if "phase" in entry}
    report(listing, Symbols(opts.out / "kallsyms"), names, args.least, args.flow)
    say(f"all of it: {opts.out.relative_to(BUILD.parent)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", choices=["stock", "lean", "lean-mainline", "lean-newest", "lean-newest-mainline"], default="lean")
    parser.add_argument("--backend", choices=["iommufd", "type1", "mock"], default="iommufd")
    parser.add_argument("--least", type=float, default=0.5, metavar="PERCENT", help="leave out what is less")
    parser.add_argument("--flow", action="store_true", help="show the order, too")
    parser.add_argument("--vfio", choices=list(vfio.COLUMNS), metavar="COLUMN", help="a column of vfio.py, on the stock kernel")
    args = parser.parse_args()
    on_terminate()
    if args.vfio:
        out = BUILD / "bench" / f"hotspots-vfio-{args.vfio}"
        out.mkdir(parents=True, exist_ok=True)
        listing = out / "hotspots.txt"
        profile(vfio.options(args.vfio, out, 3000, qemu_args=[f"-plugin {plugin()},out={listing}"]), listing,
                out / "bench.jsonl", args)
        return 0
    modules = args.kernel == "stock" and args.backend != "type1"
    load = ["vfio-pci"] if modules else ["vfio_iommu_type1", "vfio-pci"]
    out = BUILD / "bench" / f"hotspots-{args.kernel}-{args.backend}"
    out.mkdir(parents=True, exist_ok=True)
    listing = out / "hotspots.txt"
    opts = guest.Options(
        command=["sh", "-c", SCRIPT, bench.program(), args.backend], kernel=args.kernel, modules=modules, devices=["edu"],
        load=load if args.kernel == "stock" else [], bind=["edu0"], icount=True, timeout=1500, name="hotspots", out=out,
        kmemleak=False, test_modules=args.backend == "mock", qemu_args=[f"-plugin {plugin()},out={listing}"])
    profile(opts, listing, out / "phases.jsonl", args)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Fail, subprocess.SubprocessError) as err:
        sys.exit(f"hotspots: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
