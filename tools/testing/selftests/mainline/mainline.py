#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Run mainline's selftests of iommufd, and judge them: what is in the file "later" has to fail, and is reported as a skip
with what is missing; all else has to pass. Arguments: versions or programs to run (default: all that were built).
"""

import errno
import fcntl
import fnmatch
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
WANTED_HUGE_PAGES = 80		# the largest buffer is 128 MiB, and there are others
CONSOLE = Path("/proc/sys/kernel/printk")
WARNINGS_ONLY = 5		# each mock device is told of, and a slow console makes tests exceed their time
IOMMU_TEST_CMD = ord(";") << 8 | 0x80 + 32
RESULT = re.compile(r"(not )?ok \d+ (?:- )?(\S+)(?:\s*#\s*SKIP\b:?\s*(.*))?")


def no_mock():
    """Why there is no mock IOMMU to test with; None if there is one."""
    command = bytearray(struct.pack("=LL", 72, 0).ljust(72, b"\0"))
    try:
        with open("/dev/iommu", "rb+", buffering=0) as iommu:
            fcntl.ioctl(iommu, IOMMU_TEST_CMD, command)
    except OSError as err:
        if err.errno == errno.EOPNOTSUPP:
            return None
        return f"no mock IOMMU, which is CONFIG_IOMMUFD_TEST ({err.strerror})"
    return None


def later():
    """What is not there as yet: patterns of tests, and what they need."""
    for line in (HERE / "later").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            version, program, test, needs = line.split(None, 3)
            yield f"{version} {program} {test}", needs


def results(program):
    """(test, passed, reason to skip) of each of its tests; what it prints is shown as comments."""
    process = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", cwd=program.parent)
    planned, seen = None, 0
    for line in process.stdout:
        print(f"# {line}", end="", flush=True)
        if line.startswith("1.."):
            planned = int(line[3:].split()[0])
        found = RESULT.match(line)
        if found:
            seen += 1
            yield found.group(2), not found.group(1), found.group(3)
    process.wait()
    if process.returncode < 0:
        yield f"ended by {signal.Signals(-process.returncode).name}", False, None
    if planned is None or planned != seen:
        yield f"{planned} tests planned, {seen} reported", False, None


def run(program, expected):
    """Result lines of one program, without 'ok' and number."""
    version, name = program.parent.name, program.name
    for test, passed, skipped in results(program):
        full = f"{version} {name} {test}"
        needs = next((needs for pattern, needs in expected if fnmatch.fnmatchcase(full, pattern)), None)
        if skipped is not None:
            yield True, f"{full} # SKIP {skipped or 'no reason given'}"
        elif needs is None:
            yield passed, full
        elif passed:
            yield False, f"{full}: passes, so that it has to leave the list 'later'"
        else:
            yield True, f"{full} # SKIP later: {needs}"


def main():
    programs = sorted(path for path in HERE.glob("[0-9]*/iommufd*") if path.is_file() and path.suffix == "")
    chosen = [p for p in programs if not sys.argv[1:] or {p.parent.name, p.name} & set(sys.argv[1:])]
    reason = "none was built" if not chosen else no_mock()
    print("TAP version 13")
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 4

    expected = list(later())
    before = {path: path.read_text() for path in (HUGE_PAGES, CONSOLE) if path.exists()}
    if int(before.get(HUGE_PAGES, WANTED_HUGE_PAGES)) < WANTED_HUGE_PAGES:
        HUGE_PAGES.write_text(str(WANTED_HUGE_PAGES))
    CONSOLE.write_text(str(WARNINGS_ONLY))
    number = failed = 0
    try:
        for program in chosen:
            for passed, line in run(program, expected):
                number += 1
                failed += not passed
                print(f"{'' if passed else 'not '}ok {number} {line}", flush=True)
    finally:
        for path, text in before.items():
            path.write_text(text)
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
