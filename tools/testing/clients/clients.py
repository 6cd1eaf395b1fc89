#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Programs of the distribution as users of iommufd and VFIO, in a virtual machine of the harness; prints KTAP.
Arguments: patterns of cases to run (default: all that suit the machine), or --list.
"""

import fnmatch
import signal
import subprocess
import sys
import time
import traceback

import charge
import dpdk_cases
import linux_cases
import machine
import nested_cases
import qemu
import qemu_cases
from machine import PATIENCE, Missing, Wrong

CASES = {**qemu_cases.CASES, **linux_cases.CASES, **dpdk_cases.CASES, **nested_cases.CASES}
# Of other machines than the usual one
OTHER_CASES = {**qemu_cases.UNSAFE_CASES, **dpdk_cases.NO_IOMMU_CASES, **nested_cases.NESTED_CASES}
LIMIT = 300 * PATIENCE		# seconds for a case


def out_of_time(*_):
    raise Wrong(f"not finished after {LIMIT} s")


def clean_up(before):
    """Give all devices back; they work, and nothing of the client is left. Gives problems."""
    qemu.kill_all()
    dpdk_cases.kill_all()
    problems = []
    for device in machine.with_clients():
        try:
            device.give(None)
            device.works()
        except (Wrong, OSError) as err:
            problems.append(f"{device.bdf}, given back: {err}")
    try:
        problems += charge.problems()
    except (Wrong, OSError) as err:
        problems.append(f"what users are charged cannot be seen: {err}")
    problems += machine.reload_modules()
    try:
        machine.wait_for("as before", lambda: machine.state() == before, 20)
    except Wrong:
        problems += [f"{what}: {value}, and {before[what]} before"
                     for what, value in machine.state().items() if value != before[what]]
    return problems


def run(function):
    """Problems, or the reason to skip."""
    before = machine.state()
    problems, reason = [], None
    signal.alarm(LIMIT)
    try:
        function()
    except Missing as err:
        reason = str(err)
    except Exception as err:
        problems += [str(err)] if isinstance(err, (Wrong, OSError)) else traceback.format_exc().splitlines()
        for client in qemu.running:
            problems += client.describe()
        problems += dpdk_cases.describe()
    signal.alarm(0)
    return problems + clean_up(before), reason


def matching(cases, patterns):
    return {name: case for name, case in cases.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def main():
    cases = CASES
    if sys.argv[1:] == ["--list"]:
        print("\n".join([*CASES, *OTHER_CASES]))
        return 0
    if sys.argv[1:]:
        cases = matching(CASES, sys.argv[1:]) or matching(OTHER_CASES, sys.argv[1:])
        for pattern in sys.argv[1:]:
            if not matching(cases, [pattern]):
                sys.exit(f"no case matches '{pattern}'")
    signal.signal(signal.SIGALRM, out_of_time)
    for module in ("nvme", "e1000e", "igb", "virtio_net"):
        subprocess.run(["modprobe", "-q", module], stderr=subprocess.DEVNULL)
    user = charge.remember()
    print(f"KTAP version 1\n1..{len(cases)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(cases.items(), 1):
        with open("/dev/kmsg", "w") as log:
            log.write(f"clients: {name}")
        begin = time.monotonic()
        problems, reason = run(function)
        for line in problems:
            print(f"# {line}")
        skip = f" # SKIP {reason}" if reason and not problems else ""
        print(f"{'not ' if problems else ''}ok {number} {name}{skip}")
        print(f"# {time.monotonic() - begin:.1f} s", flush=True)
        failed += bool(problems)
    user.kill()
    user.wait()
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
