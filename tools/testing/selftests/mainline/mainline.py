#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Run mainline's selftests of iommufd and VFIO, and judge them: what is in the file "differs" has to fail, and is reported
as a skip with the reason; all else has to pass. Those of VFIO use each of the devices that vfio-pci has.
Arguments: versions or programs to run (default: all that were built).
"""

import errno
import fcntl
import fnmatch
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VFIO_PCI = Path("/sys/bus/pci/drivers/vfio-pci")
ALL_DEVICES = "vfio_pci_device_init_perf_test"		# takes them at once
# Has its device access what is not mapped, and copy megabytes: minutes for one test on the debug kernel beside other load. A
# test that exceeds its time leaves a process that keeps the device, so that all that follow fail.
UNMAPPED = "vfio_pci_driver_test"
PATIENCE = 3
# Of the mock IOMMU: since 7.3 the tests want a page to be dirty as a whole, before they wanted halves of it
PAGE_LEAVES = Path("/sys/module/iommufd/parameters/mock_page_leaves")
SETTINGS = {
    # each mock device is told of, and a slow console makes tests exceed their time
    Path("/proc/sys/kernel/printk"): lambda before: "5",
    # the largest buffer is 128 MiB, and there are others
    Path("/proc/sys/vm/nr_hugepages"): lambda before: str(max(80, int(before))),
    Path("/sys/module/vfio_pci/parameters/enable_sriov"): lambda before: "Y",
    # as the program wants it, see set_mock()
    PAGE_LEAVES: lambda before: before,
}
SKIPPED = 4			# exit status
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


def differs():
    """What does not pass here: patterns of tests, and why."""
    for line in (HERE / "differs").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            version, program, test, reason = line.split(None, 3)
            yield f"{version} {program} {test}", reason


def runs(programs):
    """(program, its arguments, why it cannot run) of each run of each program."""
    mock = no_mock()
    devices = sorted(path.name for path in VFIO_PCI.glob("*:*:*.*"))
    for program in programs:
        if program.name.startswith("iommufd"):
            yield program, [], mock
        elif not devices:
            yield program, [], "vfio-pci has no device"
        elif program.name == ALL_DEVICES:
            yield program, devices, None
        else:
            for device in devices:
                yield program, [device], None


def set_mock(program):
    """Make the mock IOMMU the one that a program was written for."""
    if PAGE_LEAVES.exists():
        version = [int(part) for part in program.parent.name.split(".")]
        PAGE_LEAVES.write_text("Y" if version >= [7, 3] else "N")


def announce(program, devices, what):
    """Tell the log when DMA faults are what a program is about: elsewhere they are failures."""
    for device in devices if program.name == UNMAPPED else []:
        Path("/dev/kmsg").write_text(f"DMA faults of {device} {what}\n")


def results(program, arguments):
    """(test, passed, reason to skip) of each of its tests; what it prints is shown as comments."""
    patience = int(os.environ.get("VM_PATIENCE", "1")) * (PATIENCE if program.name == UNMAPPED else 1)
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", cwd=program.parent, env={**os.environ, "VM_PATIENCE": str(patience)})
    planned, seen, said = None, 0, ""
    for line in process.stdout:
        print(f"# {line}", end="", flush=True)
        said = line.strip() or said
        if line.startswith("1.."):
            planned = int(line[3:].split()[0])
        found = RESULT.match(line)
        if found:
            seen += 1
            yield found.group(2), not found.group(1), found.group(3)
    process.wait()
    if process.returncode == SKIPPED and not seen:
        yield "all", True, said.partition("SKIP ")[2] or said
        return
    if process.returncode < 0:
        yield f"ended by {signal.Signals(-process.returncode).name}", False, None
    if planned is None or planned != seen:
        yield f"{planned} tests planned, {seen} reported", False, None


def run(program, arguments, expected):
    """Result lines of one run of a program, without 'ok' and number."""
    version, name = program.parent.name, program.name
    using = f" with {', '.join(arguments)}" if arguments else ""
    for test, passed, skipped in results(program, arguments):
        full = f"{version} {name} {test}"
        reason = next((reason for pattern, reason in expected if fnmatch.fnmatchcase(full, pattern)), None)
        if skipped is not None:
            yield True, f"{full}{using} # SKIP {skipped or 'no reason given'}"
        elif reason is None:
            yield passed, full + using
        elif passed:
            yield False, f"{full}{using}: passes, so that it has to leave the list 'differs'"
        else:
            yield True, f"{full}{using} # SKIP {reason}"


def main():
    programs = sorted(path for path in HERE.glob("[0-9]*/*") if path.is_file() and path.suffix == "" and
                      path.name.startswith(("iommufd", "vfio_")))
    chosen = [p for p in programs if not sys.argv[1:] or {p.parent.name, p.name} & set(sys.argv[1:])]
    planned = list(runs(chosen))
    print("TAP version 13")
    if all(why_not for _, _, why_not in planned):
        print(f"1..0 # SKIP {planned[0][2] if planned else 'none was built'}")
        return SKIPPED

    expected = list(differs())
    before = {path: path.read_text() for path in SETTINGS if path.exists()}
    number = failed = 0
    try:
        for path, text in before.items():
            path.write_text(SETTINGS[path](text))
        for program, arguments, why_not in planned:
            if why_not:
                number += 1
                print(f"ok {number} {program.parent.name} {program.name} # SKIP {why_not}", flush=True)
                continue
            set_mock(program)
            announce(program, arguments, "begin")
            for passed, line in run(program, arguments, expected):
                number += 1
                failed += not passed
                print(f"{'' if passed else 'not '}ok {number} {line}", flush=True)
            announce(program, arguments, "end")
    finally:
        for path, text in before.items():
            path.write_text(text)
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
