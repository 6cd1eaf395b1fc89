#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
In a guest: for each job, load its modules, run its tests, unload. What came out of it is left in $VM_OUT as NAME.json: the
host judges. Ends at the first job after which the guest is not as it was before.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.append("/repo/tools/testing/selftests/lib")
import sysdev  # noqa: E402

OUT = pathlib.Path(os.environ["VM_OUT"])
TESTS = pathlib.Path("/repo/tools/testing/selftests")
UPDATES = pathlib.Path("/lib/modules") / os.uname().release / "updates"
# In the order in which they go
OURS = ["mtty", "mdpy", "vfio_test", "vfio_pci", "vfio_pci_core", "mdev", "vfio", "iommufd"]
BAD = ("WARNING: ", "BUG: ", "Oops", "UBSAN: ", "refcount_t: ", "list_del corruption", "list_add corruption",
       "general protection", "blocked for more than")


def quiet(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def unload():
    """Take our modules out of the kernel; gives problems."""
    for device in pathlib.Path("/sys/bus/pci/drivers/vfio-pci").glob("0000:*"):
        sysdev.unbind(device.name)
    deadline = time.monotonic() + 10
    while True:
        for name in OURS:
            quiet("rmmod", name)
        users = pathlib.Path("/sys/module/iommufd/holders")
        if users.exists():
            for holder in users.iterdir():
                quiet("rmmod", holder.name)
        left = [name for name in ("vfio", "iommufd") if pathlib.Path(f"/sys/module/{name}").exists()]
        if not left:
            return []
        if time.monotonic() > deadline:
            return [f"{', '.join(left)} cannot be unloaded"]
        time.sleep(0.5)


def run(spec, limit):
    """Run one test program; gives its output and its exit status, or None if it cannot be got rid of."""
    program, _, tests = spec.partition(":")
    folder, _, name = program.partition("/")
    argv = [f"./{name}"]
    for test in filter(None, tests.split(",")):
        argv += ["-t", test]
    path = pathlib.Path("/tmp/mutant.tap")
    with open(path, "w") as out:
        process = subprocess.Popen(argv, cwd=TESTS / folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = 124
            os.killpg(process.pid, 9)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                status = None
    return path.read_text(errors="replace"), status


def do(job):
    """One job; gives its report."""
    report = {"tests": {}, "problems": [], "pins": 0, "log": "", "last": False}
    if job["modules"]:
        for path in pathlib.Path(job["modules"]).glob("*.ko"):
            shutil.copy(path, UPDATES / path.name)
    quiet("dmesg", "--clear")
    print(f"vm: mutant {job['name']}", file=open("/dev/kmsg", "w"))
    if job["modules"]:
        for name in ("iommufd", "vfio-pci"):
            if quiet("modprobe", name):
                report["problems"].append(f"{name} cannot be loaded")
    before = sysdev.pages_pinned()
    for spec in job["tests"]:
        text, status = run(spec, job["limit"])
        report["tests"][spec] = [text, 124 if status is None else status]
        if status is None:
            report["problems"].append(f"{spec} cannot be killed")
            report["last"] = True
            break
    if not report["last"] and job["modules"]:
        report["problems"] += unload()
        report["last"] = bool(report["problems"])
    report["pins"] = sysdev.pages_pinned() - before
    report["log"] = subprocess.run(["dmesg", "--notime"], stdout=subprocess.PIPE, text=True, errors="replace").stdout
    report["last"] = report["last"] or report["pins"] != 0 or any(word in report["log"] for word in BAD)
    return report


def main():
    jobs = json.loads(pathlib.Path(sys.argv[1]).read_text())
    huge = pathlib.Path("/proc/sys/vm/nr_hugepages")
    if int(huge.read_text()) < 32:
        huge.write_text("32")
    unload()
    for job in jobs:
        report = do(job)
        part = OUT / f"{job['name']}.part"
        part.write_text(json.dumps(report))
        part.rename(OUT / f"{job['name']}.json")
        if report["last"]:
            break


main()
