# SPDX-License-Identifier: GPL-2.0-only
"""Boot a kernel in QEMU, run one command in it, judge the run."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import build
import channels
import debian
import image
import kernels
import machine
import verdict
from machine import Options
from util import BUILD, CACHE, CLONE, REPO, SRV, follow_us, lock, replace_tree, say


def accelerator():
    """kvm if a kernel really boots with it (a device node is no proof), else tcg. Asked once per boot of the host."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    note = CACHE / "accelerator.json"
    with lock("accelerator"):
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(note.read_text())
            if known["boot"] == boot:
                return known["accel"]
        say("trying whether /dev/kvm works ...")
        result = boot_once(Options(modules=False, accel="kvm", timeout=40, name="kvm-probe", capture=True))
        accel = "tcg" if result.problems else "kvm"
        say(f"virtual machines use {accel}")
        note.write_text(json.dumps({"boot": boot, "accel": accel}))
        return accel


claims = {}


def claim(name):
    """A directory name in build/vm for the runs of this process that no other process uses until we end."""
    if name not in claims:
        folder = CACHE / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        for label in (name, *(f"{name}-{number}" for number in range(2, 100))):
            handle = open(folder / f"{CLONE.name}-run-{label}", "a")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            claims[name] = label, handle
            break
    return claims[name][0]


def boot_once(opts):
    """Boot, run, judge."""
    if opts.icount or kernels.KERNELS[opts.kernel].arch != os.uname().machine:
        accel = "tcg"
    else:
        accel = opts.accel or accelerator()
    debian.root(opts.machine.packages)
    kernel = image.bootable(opts.kernel)
    if not kernels.KERNELS[opts.kernel].in_tree:
        if opts.variants:
            build.variant_modules(opts.kernel)
        elif opts.modules:
            build.modules(test=opts.test_modules, kernel=opts.kernel)
    folder = SRV / f"run-{os.getpid()}-{time.monotonic_ns() // 1000 % 10**9}"
    logs = BUILD / "vm" / claim(opts.name or opts.kernel)
    for path in SRV.glob("run-*"):		# of runs that were killed
        if not Path("/proc", path.name.split("-")[1]).exists() and path.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(path, ignore_errors=True)
    with lock("root", shared=True):
        try:
            return boot_in(folder, kernel, opts, accel, logs)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def late(pid, deadline):
    """
    Is it past a deadline, even without the time in which the busiest thread of the process had to wait for a processor? What
    others do on this machine does not count.
    """
    over = time.monotonic() - deadline
    if over < 0:
        return False
    waited = [0]
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            waited.append(int(path.read_text().split()[1]) / 1e9)
    return over > max(waited)


def boot_in(folder, kernel, opts, accel, logs):
    if opts.disk:
        (folder / "out").mkdir(parents=True)
    else:
        image.prepare(opts, kernel, folder)
    begin = time.monotonic()
    with open(folder / "console.log", "wb") as log, open(folder / "qemu.log", "wb") as errors:
        talk = channels.Conversation(opts, log)
        argv = machine.qemu_argv(opts, kernel, folder, accel, talk.remote())
        process = subprocess.Popen(argv, pass_fds=talk.remote().values(), start_new_session=not opts.shell,
                                   preexec_fn=follow_us(signal.SIGKILL),
                                   stdin=None if opts.shell else subprocess.DEVNULL,
                                   stdout=None if opts.shell else errors, stderr=errors)
        talk.close()
        try:
            ended = talk.talk(lambda: not opts.shell and late(process.pid, begin + opts.timeout))
            if ended:
                process.wait(10)
        except subprocess.TimeoutExpired:
            ended = False
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            talk.close(ours=True)
    seconds = time.monotonic() - begin
    said = (folder / "qemu.log").read_text(errors="replace").strip()
    console = (folder / "console.log").read_text(errors="replace")
    status, problems = verdict.judge(opts, ended, talk.report, console, said)
    keep(folder, logs, opts)
    return verdict.Result(status, problems, talk.text.decode(errors="replace"), logs,
                          {**talk.report, "seconds": seconds, "accel": accel})


def keep(folder, logs, opts):
    """Bring the run's files to build/, in one move."""
    new = logs.with_name(f"{logs.name}.{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name in ("console.log", "qemu.log", "out"):
        if (folder / name).exists():
            shutil.move(folder / name, new / name)
    if opts.out:
        shutil.copytree(new / "out", opts.out, dirs_exist_ok=True)
    replace_tree(new, logs)


def run_guest(opts):
    """Boot as asked and tell of what went wrong; gives the exit status."""
    result = boot_once(opts)
    up = result.report.get("boot", {}).get("uptime")
    say(f"{result.report['accel']}, {result.report['seconds']:.1f} s in all" + (f", booted in {up} s" if up else ""))
    if result.problems:
        for line in result.problems[:12]:
            say(f"FAILED: {line}")
        say(f"kernel log: {(result.folder / 'console.log').relative_to(REPO)}")
        if "exit" not in result.report:
            tail = (result.folder / "console.log").read_text(errors="replace").splitlines()[-15:]
            print("\n".join("    " + line for line in tail), file=sys.stderr)
    return result.status
