# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on a run: what its guest said, what its kernel's log shows, and what it left behind."""

from dataclasses import dataclass
from pathlib import Path

import kernels
import logscan

GUEST_ERROR = 125	# exit status of a run whose command succeeded and which failed nevertheless
GUEST_TIMEOUT = 124


@dataclass
class Result:
    status: int
    problems: list
    text: str
    folder: Path
    report: dict


def judge(opts, ended, report, console, said):
    """
    The exit status of a run and what was wrong with it: ended says whether QEMU ended in time, report is what the guest told,
    console the kernel's log, said what QEMU printed.
    """
    problems = []
    bye = report.get("exit")
    status = bye["status"] if bye else GUEST_ERROR
    if not ended:
        problems.append(f"not finished after {opts.timeout:.0f} s")
        status = status or GUEST_TIMEOUT
        if not bye:
            status = GUEST_TIMEOUT
    elif not bye:
        problems.append("the guest ended without reporting back" if "boot" in report else "the guest did not boot")
    problems += logscan.suspicious(console, opts.ignore)
    if said and not bye:
        problems += ["QEMU: " + line for line in said.splitlines() if "warning:" not in line]
    if bye:
        allowed = opts.taint + ("N" if kernels.KERNELS[opts.kernel].in_tree else "OEN")
        taint = logscan.unexpected_taint(bye["taint"], allowed)
        if taint:
            problems.append(f"kernel tainted: {taint} (see Documentation/admin-guide/tainted-kernels.rst)")
        if bye["pins_before"] != bye["pins_after"]:
            problems.append(f"pages left pinned: {bye['pins_after'] - bye['pins_before']}")
        if bye["leaks"]:
            problems.append(f"kmemleak: {bye['leaks']} unreferenced objects (see out/kmemleak)")
    return status or (GUEST_ERROR if problems else 0), problems
