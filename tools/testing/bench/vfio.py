#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What VFIO and vfio-pci cost, in instructions of the guest, beside Debian's own on the same kernel: reading and writing regions,
faults of a mapped BAR, 64 MSI-X vectors, opening and closing.

Stock modules know groups and containers only, ours are measured by these and by character devices. QEMU counts instructions instead
of time (-icount); see run.py. What takes longer because something is waited for is listed with "waits".
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
sys.path.insert(0, str(HERE))

import build  # noqa: E402
import guest  # noqa: E402
import image  # noqa: E402
import run as bench  # noqa: E402
from util import BUILD, Fail, digest, on_terminate, say  # noqa: E402

# name of the column: (our modules, backend of vfio_bench), in the order in which they are measured
COLUMNS = {
    "cdev": (True, "cdev"),
    "stock": (False, "group"),
    "group": (True, "group"),
}

# title, metric of vfio_bench, per what, columns of ours that do the same as stock
BOTH = ["cdev", "group"]
ROWS = [
    ("read 4 bytes of a BAR", "bar_read_4", "call", BOTH),
    ("write 4 bytes of a BAR", "bar_write_4", "call", BOTH),
    ("read 4 KiB of a BAR", "bar_read_4k", "call", BOTH),
    ("write 4 KiB of a BAR", "bar_write_4k", "call", BOTH),
    ("read configuration space", "config_read_4", "call", BOTH),
    ("write configuration space", "config_write_1", "call", BOTH),
    ("touch 1 GiB of a BAR, huge", "touch_huge", "page", BOTH),
    ("unmap it", "unmap_huge", "page", BOTH),
    ("touch 1 GiB of a BAR, 4K", "touch_4k", "page", BOTH),
    ("unmap it", "unmap_4k", "page", BOTH),
    ("set up 64 MSI-X vectors", "irqs_on", "call", BOTH),
    ("give them other eventfds", "irqs_again", "call", BOTH),
    ("take them down", "irqs_off", "call", BOTH),
    ("open, bind, attach", "open", "cycle", BOTH),
    ("close", "close", "cycle", BOTH),
    # A device that has been given to a group's container is bound and attached by that.
    ("open and close a device only", "device", "cycle", ["group"]),
]

DEVICES = ["edu", "ivshmem,size=1G", "nvme,msix_qsize=65"]
SCRIPT = """
set -eo pipefail
[ -z "$2" ] || cat /proc/kallsyms > "$VM_OUT/kallsyms"
"$0" "$1" "$VM_DEV_ivshmem1" "$VM_DEV_nvme2" "$VM_DEV_edu0" | tee "$VM_OUT/bench.jsonl" |
    sed -un 's/.*"metric":"\\([^"]*\\)".*/  measured: \\1/p'
"""


def program():
    return bench.in_guest(bench.compiled("vfio_bench"))


def options(column, out, timeout, **more):
    """A guest that measures one column; what it says goes to @out."""
    ours, backend = COLUMNS[column]
    return guest.Options(
        command=["bash", "-c", SCRIPT, program(), backend, "profile" if more else ""], kernel="stock", modules=ours,
        devices=DEVICES, load=["vfio-pci"] if ours else ["vfio_iommu_type1", "vfio-pci"],
        bind=["edu0", "ivshmem1", "nvme2"], icount=True, memory="2G", timeout=timeout, name=f"bench-vfio-{column}", out=out,
        append="no_timer_check tsc=reliable", kmemleak=False, **more)


def measure(column, out, args):
    ours, backend = COLUMNS[column]
    done = out / "identity"
    parts = [backend, bench.compiled("vfio_bench"), image.packaged().name]
    if ours:
        parts += sorted(build.modules().glob("*.ko"))
    wanted = digest(*parts)
    if not args.again and done.exists() and done.read_text() == wanted:
        say(f"bench: {column}: measured already")
        return
    done.unlink(missing_ok=True)
    say(f"bench: {column}")
    if guest.run_guest(options(column, out, args.timeout)):
        raise Fail(f"{column} was not measured")
    done.write_text(wanted)


def table(results):
    """The table, and the rows where ours is dearer than stock."""
    ours = [c for c in COLUMNS if COLUMNS[c][0]]
    head = f"{'guest instructions':32}{'per':7}" + "".join(f"{c:>10}" for c in [*ours, "stock"])
    lines = [head + "".join(f"{'stock/' + c:>14}" for c in ours), ""]
    missed = []
    for title, metric, per, same in ROWS:
        entries = {c: results[c].get(metric, {}) for c in results}
        cells = {c: e.get("ns_per_op") for c, e in entries.items()}
        line = f"{title:32}{per:7}"
        line += "".join(f"{cells[c]:10.1f}" if cells.get(c) is not None else f"{'-':>10}" for c in [*ours, "stock"])
        for c in ours:
            known = cells.get(c) and cells.get("stock") and c in same
            line += f"{cells['stock'] / cells[c]:13.2f}x" if known else f"{'-':>14}"
            if known and cells[c] > cells["stock"] * 1.01:
                missed.append(f"{title}: {c} is dearer than stock")
        waits = {c: entries[c]["elapsed_per_op"] - cells[c] for c in entries if cells.get(c) is not None}
        waits = {c: f"{wait:.0f}" for c, wait in waits.items() if wait > cells[c] / 4 and wait > 10000}
        if waits:
            line += "  waits: " + ", ".join(f"{c} {wait} ns" for c, wait in waits.items())
        lines.append(line)
    return lines, missed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", metavar="COLUMN", choices=list(COLUMNS),
                        help="measure only these columns; the others are those of the last time")
    parser.add_argument("--again", action="store_true", help="measure also what was measured already")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="for each column")
    args = parser.parse_args()
    on_terminate()
    folder = BUILD / "bench/vfio"
    for column in COLUMNS:
        if not args.only or column in args.only:
            measure(column, folder / column, args)
    results = {column: bench.metrics(folder / column) for column in COLUMNS}
    target = folder / "bench.json"
    target.write_text(json.dumps(results, indent=1) + "\n")
    lines, missed = table(results)
    print("\n".join(lines))
    print(f"\nall of it: {target.relative_to(BUILD.parent)}")
    print("\n".join(["not reached:", *missed] if missed else ["nothing is dearer than stock"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Fail, subprocess.SubprocessError) as err:
        sys.exit(f"bench: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
