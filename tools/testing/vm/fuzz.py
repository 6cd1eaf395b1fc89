# SPDX-License-Identifier: GPL-2.0-only
"""'make fuzz': the fuzzer of tools/testing/fuzz on User-mode Linux, one per processor, or in a virtual machine."""

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import build
import guest
import logscan
from util import BUILD, CLONE, HERE, JOBS, ROOT, Fail, chroot_argv, follow_us, inside, replace_tree, say

HOME = BUILD / "fuzz"
SOURCE = HERE.parent / "fuzz"
DEVICES = ["edu", "pci-testdev", "edu", "pcie-root-port,id=port0,chassis=1,slot=1,x-speed=2_5", "nvme,bus=port0"]
BEGIN = "fuzz: begin"		# of init, in the kernel's log
# What User-mode Linux does wrong by itself, see kernel.c of the fuzzer
NOT_OURS = re.compile(r"WARNING: suspicious RCU usage(?=(?:(?!stack backtrace:).)*at: unmap_mapping_)", re.DOTALL)
STANDSTILL = 300		# seconds in which nothing happens, after which a kernel hangs; programs take seconds at most
CURRENT_SIZE = 16384
# The host's kernel would go on writing to the C library's restartable sequences, in address spaces of guest processes.
NO_RSEQ = {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}


def decoded(path):
    """An input as text."""
    program = CLONE / "repo/build/fuzz/fuzz"
    copy = CLONE / f"decode-{os.getpid()}"
    shutil.copyfile(path, copy)
    try:
        return subprocess.run(chroot_argv([inside(program), "decode", inside(copy)]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    finally:
        copy.unlink()


def keep_current(out):
    """The program during which the kernel came to its end, if it did: nobody else could save it."""
    raw = (out / "current").read_bytes()
    length = struct.unpack_from("<I", raw)[0]
    (out / "crash-current").write_bytes(raw[4:4 + length])
    (out / "crash-current.txt").write_text(decoded(out / "crash-current"))


def prepare(out, texts, seeds):
    """What 'run' finds in its directory: inputs in place of the corpus, and further ones."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "current").write_bytes(bytes(CURRENT_SIZE))
    if texts:
        (out / "text").mkdir()
        for path in texts:
            shutil.copy(path, out / "text")
    if seeds.exists():
        shutil.copytree(seeds, out / "seeds")


class Uml:
    """One User-mode Linux that fuzzes."""

    def __init__(self, out, arguments, texts, seeds, limit, memory="768M"):
        self.out = out
        self.limit = limit
        prepare(self.out, texts, seeds)
        script = f"{inside(CLONE / 'repo')}/tools/testing/fuzz"
        words = " ".join(arguments)
        env = "".join(f"export {name}={value}\n" for name, value in os.environ.items() if name == "FUZZ_VERBOSE")
        (self.out / "command").write_text(f"export FUZZ_CURRENT=/dev/mmapper\n{env}{script}/run /run/out {words}\n")
        argv = [build.kernel("uml") / "kernel", f"mem={memory}", "rootfstype=hostfs", f"rootflags={ROOT}", "ro",
                f"init={script}/init", f"FUZZ_OUT={self.out}", f"iomem=mmapper,{self.out}/current", "panic=-1",
                "kunit.enable=0", "loglevel=5"]
        scratch = CLONE / "uml"
        scratch.mkdir(parents=True, exist_ok=True)
        with open(self.out / "console.log", "wb") as log:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True,
                                            preexec_fn=follow_us(signal.SIGKILL),
                                            env=dict(os.environ, TMPDIR=str(scratch), **NO_RSEQ))
        self.begin = self.moved = time.monotonic()
        self.seen = None
        self.hung = False

    def stop(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()

    def text(self, name="console.log"):
        log = self.out / name
        return log.read_text(errors="replace") if log.exists() else ""

    def progress(self):
        return last_report(self.text("log"))

    def late(self):
        return time.monotonic() > self.begin + self.limit

    def hangs(self):
        """Has it stood still: no other program, and not a word? To be asked now and then."""
        seen = (self.out / "current").read_bytes(), self.text("log"), self.text()
        if seen != self.seen:
            self.seen, self.moved = seen, time.monotonic()
        return time.monotonic() > self.moved + STANDSTILL

    def problems(self):
        """After the end: what was wrong."""
        # User-mode Linux has a bug of its own in opening its console.
        _, _, log = self.text().partition(BEGIN)
        found = logscan.suspicious(NOT_OURS.sub("", log))
        status = self.out / "status"
        if status.exists():
            code, leaks = map(int, status.read_text().split())
            if code:
                found.append(f"the fuzzer ended with exit status {code}")
                if not list(self.out.glob("*-*.txt")):
                    keep_current(self.out)
            if leaks:
                found.append(f"kmemleak: {leaks} unreferenced objects (see kmemleak)")
        else:
            found.append(f"hangs: nothing has happened for {STANDSTILL} s" if self.hung else
                         "ended without reporting back" if not self.late() else f"not finished after {self.limit} s")
            keep_current(self.out)
        return found


def last_report(text):
    lines = re.findall(r"(?m)^#\d+\s.*exec/s.*$", text)
    return lines[-1].strip() if lines else ""


def on_uml(arguments, texts, seeds, name, seconds, jobs):
    """Several at once, each with random numbers of its own; gives problems and what to call them."""
    build.fuzzer()
    build.kernel("uml")
    machines, told = [], time.monotonic()
    try:
        for number in range(jobs):
            seed = [f"-seed={number + 1}"] if not any(a.startswith("-seed=") for a in arguments) else []
            machines.append(Uml(HOME / f"{name}{number}", [*arguments, *seed], texts, seeds, seconds))
        while any(m.process.poll() is None and not m.late() for m in machines):
            time.sleep(0.5)
            if time.monotonic() > told + 60:
                told = time.monotonic()
                for machine in machines:
                    say(f"{machine.out.name}: {machine.progress()}")
                    if machine.process.poll() is None and machine.hangs():
                        machine.hung = True
                        machine.stop()
    finally:
        for machine in machines:
            machine.stop()
    problems = []
    for machine in machines:
        problems += [f"{machine.out.name}: {line}" for line in machine.problems()]
        say(f"{machine.out.name}: {machine.progress()}")
    return problems, [machine.out for machine in machines]


def in_vm(arguments, texts, seeds, seconds):
    """On the debug kernel, with PCI devices, two processors and large pages."""
    build.fuzzer()
    prepared = HOME / "vm-in"
    prepare(prepared, texts, seeds)
    mirror = CLONE / "repo/build/fuzz-in"
    replace_tree(prepared, mirror)
    words = " ".join(arguments)
    script = ("[ -d build/fuzz-in ] && cp -r build/fuzz-in/. $VM_OUT; export FUZZ_CURRENT=$VM_OUT/current; "
              "vm-bind edu0 pci-testdev1 edu2 nvme >/dev/null; echo 64 >/proc/sys/vm/nr_hugepages; "
              f"tools/testing/fuzz/run $VM_OUT {words}")
    result = guest.boot_once(guest.Options(command=[script], kernel="debug", devices=DEVICES, memory="3G",
                                           timeout=seconds, name="fuzz", append="kasan_multi_shot"))
    out = HOME / "vm"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(result.folder / "out", out)
    problems = list(result.problems)
    if result.status and "exit" in result.report:
        problems.append(f"the fuzzer ended with exit status {result.status}")
    if "exit" not in result.report and (out / "current").exists():
        keep_current(out)
    say(f"vm: {last_report(result.text)}")
    return problems, [out]


def collect(outs, keep):
    """Keep for the next run what reached something new; tell of what was found."""
    corpus = HOME / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for out in outs:
        if keep:
            for path in (out / "corpus").glob("*"):
                shutil.copy(path, corpus / path.name)
        for path in sorted(out.glob("*.txt")):
            say(f"an input that fails, {path.relative_to(BUILD.parent)}:")
            print(path.read_text(), end="", flush=True)


def fuzz(seconds=None, runs=None, kernel="uml", jobs=None, files=(), arguments=(), fresh=False):
    """
    Fuzz for a time or a number of runs, or run some inputs; gives what was wrong. What earlier runs found is used too,
    unless it is to be fresh.
    """
    texts = [Path(name).resolve() for name in files]
    missing = [str(path) for path in texts if not path.is_file()]
    if missing:
        raise Fail(f"there is no {', '.join(missing)}")
    options = list(arguments)
    if runs is None and seconds is None:
        seconds = 600
    if runs is not None:
        options.append(f"-runs={runs}")
    if seconds is not None:
        options.append(f"-max_total_time={seconds}")
    seeds = HOME / ("none" if fresh or texts else "corpus")
    limit = (seconds or 600) + 300
    if kernel == "uml":
        problems, outs = on_uml(options, texts, seeds, "check" if fresh else "uml", limit, jobs or JOBS)
    else:
        problems, outs = in_vm(options, texts, seeds, limit + 300)
    collect(outs, not fresh)
    return problems


def command(args):
    problems = fuzz(args.seconds, args.runs, args.kernel, args.jobs, args.files, args.arguments)
    for line in problems[:20]:
        say(f"FAILED: {line}")
    if problems:
        say(f"logs, inputs and their texts: {HOME.relative_to(BUILD.parent)}")
    return 1 if problems else 0
