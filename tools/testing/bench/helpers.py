#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
How much sooner a large map is done with threads that help (iommufd.pin_helpers=4) than without: by the clock, in turns in one
machine, in several machines one after the other. The guest has four processors, each a thread of QEMU's, so that half of them
may help; what comes out is only as good as the host has idle processors for these.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
sys.path.insert(0, str(HERE))

import guest  # noqa: E402
import run as bench  # noqa: E402
from util import BUILD, Fail, on_terminate, say  # noqa: E402

KINDS = {"thp": "huge pages", "anon4k": "4K, contiguous", "frag4k": "4K, scattered", "thp_untouched": "huge pages, untouched",
         "4k_untouched": "4K, untouched"}


def measure(number, args):
    """One machine; gives the times in ms, by kind, without and with helpers."""
    out = BUILD / "bench/helpers" / str(number)
    out.mkdir(parents=True, exist_ok=True)
    opts = guest.Options(
        command=["bash", "-c", bench.SCRIPT, bench.program(), "iommufd", "helpers", str(args.mib)], kernel="stock", devices=["edu"],
        load=["vfio-pci"], bind=["edu0"], smp=4, parallel=True, memory="6G", timeout=1800, name="bench-helpers", out=out,
        kmemleak=False)
    if guest.run_guest(opts):
        raise Fail("it was not measured")
    found = {entry["metric"]: entry["ns"] / 1e6 for entry in map(json.loads, (out / "bench.jsonl").read_text().splitlines())
             if "ns" in entry}
    return {kind: (found[f"helpers0_{kind}"], found[f"helpers4_{kind}"]) for kind in KINDS if f"helpers0_{kind}" in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=2048, help="memory to map (2048)")
    parser.add_argument("--machines", type=int, default=3, help="so many, one after the other (3)")
    args = parser.parse_args()
    on_terminate()
    load = os.getloadavg()[0]
    if load > 1:
        say(f"this host is busy: its load is {load:.1f}")
    results = [measure(number, args) for number in range(args.machines)]
    print(f"{args.mib} MiB, {os.cpu_count()} processors of the host: ms without, with helpers, and the ratio, in {args.machines} machines")
    for kind, title in KINDS.items():
        cells = [f"{without:8.0f} {with_:7.0f} {without / with_:5.2f}x" for without, with_ in (result[kind] for result in results)]
        print(f"{title:24}" + "   ".join(cells))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Fail, OSError, subprocess.SubprocessError) as err:
        sys.exit(f"helpers: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
