#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What map, unmap, copy and attach cost, in instructions of the guest, beside mainline's iommufd and VFIO's type 1; or, with
--latency, how long others wait for them.

QEMU counts instructions instead of time (-icount), which is repeatable to half a percent on any machine. Each backend gets
a fresh virtual machine. The numbers are per 4 KiB page, or per call where the row says so. All of it is kept as JSON.

What was measured already, of the same kernel, modules and program, is not measured again: a run that was interrupted goes on
where it stopped.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))

import build  # noqa: E402
import guest  # noqa: E402
import image  # noqa: E402
import machine  # noqa: E402
from util import BUILD, Fail, chroot, digest, inside, on_terminate, say  # noqa: E402

# name of the column: (kernel, our modules, backend of iommu_bench)
SETS = {
    "lean": {
        "ours": ("lean", True, "iommufd"),
        "mainline": ("lean-mainline", True, "iommufd"),
        "type1": ("lean-mainline", True, "type1"),
    },
    "newest": {
        "ours": ("lean-newest", True, "iommufd"),
        "mainline": ("lean-newest-mainline", True, "iommufd"),
        "type1": ("lean-newest-mainline", True, "type1"),
    },
    "stock": {
        "ours": ("stock", True, "iommufd"),
        "type1": ("stock", False, "type1"),
    },
}

# How many page tables an IOAS has, and how a row says that
DOMAINS = [(1, ""), (2, ", 2 domains"), (4, ", 4 domains"), (16, ", 16 domains")]

# title, metric of iommu_bench, per what, the most that it may cost on the lean kernel, and on the stock kernel
ROWS = [
    ("map THP", "map_thp", "page", 15),
    ("map hugetlb 2M", "map_hugetlb2m", "page", 6),
    ("map hugetlb 1G", "map_hugetlb1g", "page", 1.2),
    ("unmap THP", "unmap_thp", "page", 4),
    ("unmap hugetlb 2M", "unmap_hugetlb2m", "page", 4),
    ("unmap hugetlb 1G", "unmap_hugetlb1g", "page", 4),
    ("map 4K, contiguous", "map_anon4k", "page", 240),
    ("unmap 4K, contiguous", "unmap_anon4k", "page", 120),
    ("map 4K, scattered", "map_frag4k", "page", 745),
    ("unmap 4K, scattered", "unmap_frag4k", "page", 250),
    ("map 2M of THP", "map_thp_in2M", "call", None, 11000),
    ("map 64K, scattered", "map_frag4k_in64K", "call", None, 17000),
    ("single 4K map", "map4k_others0", "call", 2900, 3500),
    ("single 4K unmap", "unmap4k_others0", "call", 2750, 3500),
    ("single 4K map, IOVA chosen", "map4k_auto_others0", "call", None),
    ("the same with 10^5 areas", "map4k_auto_others100000", "call", None),
    *[(f"map and unmap 4K{where}", f"pair_domains{domains}", "pair", None) for domains, where in DOMAINS],
    *[(f"the same in a ring of 1024{where}", f"ring_domains{domains}", "pair", None) for domains, where in DOMAINS],
    ("copy in an attached IOAS, THP", "copy_same_ioas_thp", "page", 4),
    ("copy in an attached IOAS, 4K", "copy_same_ioas_anon4k", "page", None),
    ("one more domain, THP", "second_domain_thp", "page", 4),
    ("one more domain, 4K", "second_domain_anon4k", "page", 200),
    ("first attach, THP: pins", "attach_filled_thp", "page", 19),
    ("first attach, 4K: pins", "attach_filled_anon4k", "page", 240),
    ("detach a filled IOAS, THP", "detach_filled_thp", "page", 4),
    ("detach a filled IOAS, 4K", "detach_filled_anon4k", "page", 90),
    ("MAP_FILE hugetlb", "mapfile_hugetlb", "page", 3.2),
    ("MAP_FILE shmem 4K", "mapfile_shmem4k", "page", 450),
    ("unmap all, 500 areas pinned", "unmap_all_pinned500", "call", None, None),
    ("unmap all, 2000 areas pinned", "unmap_all_pinned2000", "call", None, 12000000),
    ("attach a nested table for another", "replace_nested", "call", None, None),
    ("invalidate 1 entry", "invalidate_1", "call", None, None),
    ("invalidate 512 entries", "invalidate_512", "call", None, None),
]

# The same for latency_bench, on the stock kernel: 128 MiB; the kills, 256 MiB
LATENCY_ROWS = [(f"stall of {title} {kind}", f"stall_{what}_{metric}", "call", 100000)
                for kind, metric in [("4K, contiguous", "anon4k"), ("4K, scattered", "frag4k"), ("THP", "thp"),
                                     ("hugetlb 2M", "hugetlb2m")]
                for title, what in [("map", "map"), ("unmap", "unmap"), ("close", "close"), ("attach", "attach"),
                                    ("detach", "detach"), ("hwpt", "second"), ("its end", "drop")]]
LATENCY_ROWS += [
    ("stall of unmap, 4096 areas", "stall_unmap_areas", "call", 100000),
    ("stall of close, 4096 areas", "stall_close_areas", "call", 100000),
    ("stall of a dirty read 4K, scattered", "stall_dirty_frag4k", "call", 100000),
    ("stall of a dirty read THP", "stall_dirty_thp", "call", 100000),
    ("map beside a dirty read 4K", "stall_dirty_map_frag4k", "call", 100000),
    ("map beside a dirty read THP", "stall_dirty_map_thp", "call", 100000),
    ("map beside nothing", "stall_none_map_frag4k", "call", None),
    ("no stall", "stall_none", "call", None),
    ("stall of close, nothing mapped", "stall_close", "call", None),
    ("kill who maps 4K, contiguous", "kill_map_anon4k", "call", 2000000),
    ("kill who maps 4K, scattered", "kill_map_frag4k", "call", 2000000),
    ("kill who waits to allocate a hwpt", "kill_waiting_hwpt_frag4k", "call", 1000000),
    ("kill who waits to map", "kill_waiting_map_frag4k", "call", 1000000),
]

TESTS = "null,open,anon4k,frag4k,thp,hugetlb,gigantic,lat0,lat1e5,copy,attach,second,file,pairs"
# What plot.py draws, kept beside the rest
SIZES = "sizes"
LATENCY_TESTS = "none,anon4k,frag4k,thp,hugetlb,areas,kill"
# What is ours alone, on machines of their own: one whose IOMMU has dirty bits, which our device makes it announce, and one
# with the mock IOMMU
DIRTY_TESTS, DIRTY_IOMMU = ["dirty"], "intel-dirty"
MOCK_TESTS = ["nested", "pinned"]

# What the kernel of the guest must be told, and then the program $0 with its backend, tests and MiB.
SCRIPT = r"""
set -eo pipefail
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug || true
echo always > /sys/kernel/mm/transparent_hugepage/enabled
limit=/sys/module/vfio_iommu_type1/parameters/dma_entry_limit
[ ! -e $limit ] || echo 1000000 > $limit
echo 140 > /proc/sys/vm/nr_hugepages
"$0" -b "$1" -d "$VM_DEV_edu0" -t "$2" -m "$3" -r 3 | tee "$VM_OUT/bench.jsonl" |
    sed -un 's/.*"metric":"\([^"]*\)".*/  measured: \1/p'
"""


def compiled(name):
    """Build a program that measures, with the library of the selftests; gives where it is."""
    here = build.mirror()
    target = here / "build/bench" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = [f"tools/testing/bench/{name}.c", "tools/lib/sysdev.c"]
    chroot(["gcc", "-std=gnu11", "-O2", "-Wall", "-I", inside(here / "include/uapi"), "-DHAVE_MOCK",
            "-I", inside(here / "drivers/iommu/iommufd"), "-o", inside(target),
            *[inside(here / source) for source in sources], "-lpthread"], what=f"building {name}")
    return target


def in_guest(target):
    return f"/repo/build/bench/{target.name}"


def program(latency=False):
    return in_guest(compiled("latency_bench" if latency else "iommu_bench"))


def identity(choice, args, iommu):
    """What a measurement depends on; kernel and modules are built for it."""
    kernel, modules, backend = choice
    parts = [backend, iommu, args.tests, args.mib, compiled("latency_bench" if args.latency else "iommu_bench")]
    if kernel == "stock":
        parts.append(image.packaged().name)
        if modules:
            parts += sorted(build.modules(test=backend == "mock").glob("*.ko"))
    else:
        parts.append(build.kernel(kernel).name)
    return digest(*parts)


def measure(column, choice, out, args, iommu=None):
    """Boot and measure one backend, if that was not done; what it says goes to @out."""
    kernel, modules, backend = choice
    done = out / "identity"
    wanted = identity(choice, args, iommu)
    if not args.again and done.exists() and done.read_text() == wanted:
        say(f"bench: {column}: measured already")
        return
    done.unlink(missing_ok=True)
    say(f"bench: {column} ({backend} on the {kernel} kernel)")
    load = []
    if kernel == "stock":
        load = ["vfio-pci"] if modules else ["vfio_iommu_type1", "vfio-pci"]
    opts = guest.Options(
        command=["bash", "-c", SCRIPT, program(args.latency), backend, args.tests, str(args.mib)], kernel=kernel, modules=modules,
        iommu=iommu, devices=["edu", *([machine.TESTDEV] if iommu else [])], load=load, bind=["edu0"], icount=True, memory="4G",
        timeout=args.timeout, name=f"bench-{column}", out=out, append="no_timer_check tsc=reliable hugepagesz=1G hugepages=1",
        kmemleak=False, test_modules=backend == "mock")
    if guest.run_guest(opts):
        raise Fail(f"{column} was not measured")
    done.write_text(wanted)


def measure_alone(column, tests, backend, folder, args, iommu=None):
    """Boot and measure those of the tests that are asked for; takes them from the tests of the other machines."""
    asked = args.tests.split(",")
    alone = argparse.Namespace(**{**vars(args), "tests": ",".join(test for test in asked if test in tests)})
    if not alone.tests:
        return {}
    args.tests = ",".join(test for test in asked if test not in tests)
    kernel, modules, _ = SETS[args.kernel]["ours"]
    if not args.only or "ours" in args.only:
        measure(column, (kernel, modules, backend), folder / column, alone, iommu)
    return metrics(folder / column)


def metrics(out):
    """What a backend was measured to cost, by metric; nothing if it was not."""
    listing = out / "bench.jsonl"
    lines = listing.read_text().splitlines() if listing.exists() else []
    return {entry["metric"]: entry for entry in map(json.loads, lines)}


def value(measured, metric, per):
    entry = measured.get(metric, {})
    return entry.get("ns_per_4k" if per == "page" else "ns_per_op")


def table(results, rows, bars, compare):
    """The table, and what is above its bar, the @bars-th of each row, or dearer than the others, if @compare."""
    columns = list(results)
    head = f"{'guest instructions':36}{'per':6}" + "".join(f"{c:>10}" for c in columns) + f"{'bar':>9}"
    others = [c for c in columns if c != "ours"]
    lines = [head + "".join(f"{c + '/ours':>15}" for c in others), ""]
    missed = []
    for title, metric, per, *limits in rows:
        bar = limits[bars] if bars < len(limits) else None
        cells = {c: value(results[c], metric, per) for c in columns}
        ours = cells["ours"]
        if ours is None:
            continue
        line = f"{title:36}{per:6}"
        line += "".join(f"{cells[c]:10.1f}" if cells[c] is not None else f"{'-':>10}" for c in columns)
        line += f"{bar:9}" if bar is not None else f"{'-':>9}"
        line += "".join(f"{cells[c] / ours:14.1f}x" if cells[c] else f"{'-':>15}" for c in others)
        if bar is not None and ours > bar:
            missed.append(f"{title}: {ours:.1f}, bar {bar}")
            line += "  above the bar"
        slower = [c for c in others if compare and cells[c] and ours > cells[c] * 1.01]
        if slower:
            missed.append(f"{title}: dearer than {', '.join(slower)}")
            line += f"  dearer than {', '.join(slower)}"
        lines.append(line)
    return lines, missed


def default_tests(args):
    if args.latency:
        return ",".join([LATENCY_TESTS, *DIRTY_TESTS])
    # The mock IOMMU is in modules of its own.
    return ",".join([TESTS, *(MOCK_TESTS if args.kernel == "stock" else [])])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", choices=sorted(SETS), default="lean",
                        help="lean: in-tree kernels, ours and mainline's; newest: the same of the newest source; stock: Debian's "
                        "kernel, ours and its own type 1")
    parser.add_argument("--only", action="append", metavar="COLUMN",
                        help="measure only these columns; the others are those of the last time")
    parser.add_argument("--again", action="store_true", help="measure also what was measured already")
    parser.add_argument("--latency", action="store_true",
                        help="measure stalls and kills on Debian's kernel, in instructions of the longest one")
    parser.add_argument("--tests", metavar="LIST", help=f"default: {TESTS}, for stock {','.join(MOCK_TESTS)}, too, or for --latency "
                        f"{LATENCY_TESTS},{','.join(DIRTY_TESTS)}")
    parser.add_argument("--mib", type=int, help="memory to map (256, or 128 for --latency)")
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="for each column")
    args = parser.parse_args()
    on_terminate()
    if args.latency:
        args.kernel = "stock"
    args.tests = args.tests or default_tests(args)
    args.mib = args.mib or (128 if args.latency else 256)
    folder = BUILD / "bench" / ("latency" if args.latency else f"{args.kernel}-sizes" if args.tests == SIZES else args.kernel)
    if args.latency:
        alone = measure_alone("dirty", DIRTY_TESTS, "iommufd", folder, args, DIRTY_IOMMU)
    else:
        alone = measure_alone("mock", MOCK_TESTS, "mock", folder, args)
    for column, choice in SETS[args.kernel].items():
        if args.tests and (not args.only or column in args.only):
            measure(column, choice, folder / column, args)
    results = {column: metrics(folder / column) for column in SETS[args.kernel]}
    results["ours"].update(alone)
    target = folder / "bench.json"
    target.write_text(json.dumps(results, indent=1) + "\n")
    if args.tests == SIZES:
        print(f"all of it: {target.relative_to(BUILD.parent)}")
        return 0
    if args.latency:
        lines, missed = table(results, LATENCY_ROWS, bars=0, compare=False)
    else:
        lines, missed = table(results, ROWS, bars=int(args.kernel == "stock"), compare=True)
    print("\n".join(lines))
    print(f"\nall of it: {target.relative_to(BUILD.parent)}")
    met = "nothing is above its bar" + ("" if args.latency else " or dearer than another")
    print("\n".join(["not reached:", *missed] if missed else [met]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Fail, subprocess.SubprocessError) as err:
        sys.exit(f"bench: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
