#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
A plot of what map and unmap cost per 4 KiB over the size of the call, for each kind of memory, ours beside the others: an SVG
made by gnuplot, from what "run.py --tests sizes" has measured, which this does first.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))

import debian  # noqa: E402
from util import BUILD, CLONE, Fail, chroot, inside, on_terminate  # noqa: E402

KINDS = {"anon4k": "4 KiB pages, contiguous", "frag4k": "4 KiB pages, scattered", "thp": "huge pages (THP)",
         "hugetlb2m": "hugetlbfs, 2 MiB"}
TITLES = {"ours": "ours", "mainline": "mainline's iommufd", "type1": "VFIO's type 1"}
COLORS = {"ours": "#0b6623", "mainline": "#b8520a", "type1": "#4a4a8a"}
PANEL = """
set title "{title}"
plot {curves}
"""
PLOT = """
set terminal svg size 1000,760 dynamic font "sans-serif,13" background "white"
set output "{output}"
set multiplot layout 2,2 title "{title}"
set logscale x 2
set logscale y 10
set format x "%.0b %BB"
set xlabel "size of the call"
set ylabel "instructions per 4 KiB"
set xrange [4096:268435456]
set yrange [0.5:200000]
set xtics 4096,16,268435456
set grid lc rgb "#dddddd"
set key top right samplen 3 font ",10"
"""


def curves(results, kind, place):
    """The data of one kind of memory, written to files there; gives what gnuplot is told to draw."""
    drawn = []
    for column, measured in results.items():
        for what, dash in (("map", 1), ("unmap", 3)):
            points = sorted((int(match.group(1)), entry["ns_per_4k"]) for metric, entry in measured.items()
                            if (match := re.fullmatch(rf"size_{what}_{kind}_(\d+)", metric)) and "ns_per_4k" in entry)
            if not points:
                continue
            data = place / f"{column}-{what}-{kind}"
            data.write_text("".join(f"{size} {cost}\n" for size, cost in points))
            drawn.append(f'"{inside(data)}" with linespoints pt 7 ps 0.3 lw 1.7 dt {dash} lc rgb "{COLORS[column]}" '
                         f'title "{what}, {TITLES[column]}"')
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", choices=["lean", "newest", "stock"], default="lean", help="as for run.py")
    parser.add_argument("--as-measured", action="store_true", help="draw what is there, measure nothing")
    parser.add_argument("output", nargs="?", type=Path, default=HERE / "cost.svg", help="default: cost.svg beside this program")
    args = parser.parse_args()
    on_terminate()
    folder = BUILD / "bench" / f"{args.kernel}-sizes"
    if not args.as_measured:
        done = subprocess.run([HERE / "run.py", "--kernel", args.kernel, "--tests", "sizes"], check=False)
        if done.returncode:
            return done.returncode
    results = json.loads((folder / "bench.json").read_text())
    debian.root(["gnuplot-nox"])
    place = CLONE / "plot"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    script = [PLOT.format(output=inside(place / "plot.svg"), title="What a call to map and to unmap costs")]
    for kind, title in KINDS.items():
        drawn = curves(results, kind, place)
        if not drawn:
            raise Fail(f"{folder}: nothing was measured of {title}")
        script.append(PANEL.format(title=title, curves=", ".join(drawn)))
    (place / "script").write_text("".join(script))
    chroot(["gnuplot", inside(place / "script")], what="drawing")
    # As git wants text to be
    args.output.write_text("".join(f"{line.rstrip()}\n" for line in (place / "plot.svg").read_text().rstrip().splitlines()))
    print(args.output)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Fail, OSError, subprocess.SubprocessError) as err:
        sys.exit(f"plot: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
