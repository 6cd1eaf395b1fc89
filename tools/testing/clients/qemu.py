# SPDX-License-Identifier: GPL-2.0-only
"""QEMU as a client, with the firmware and a boot sector for its guest."""

import functools
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from machine import CHANGE, NOBODY, PATIENCE, SECTORS, SOURCE, TARGET, Wrong, expect, wait_for

HERE = Path(__file__).resolve().parent
PROGRAM = "qemu-system-x86_64"	# as PATH has it
GOOD, BAD = 16, 17		# what the boot sector tells isa-debug-exit
MEGABYTES = 128			# of memory that a guest has
PAGES = MEGABYTES << 8
LIMIT = 120 * PATIENCE		# seconds for what takes it a few, mostly

running = []			# every QEMU that was started and not waited for


def boot_sector():
    """What bootsector.S makes, on whatever machine."""
    tools = "" if platform.machine() == "x86_64" else "x86_64-linux-gnu-"
    symbols = {"SECTORS": SECTORS, "SOURCE": SOURCE, "TARGET": TARGET, "CHANGE": CHANGE, "GOOD": GOOD, "BAD": BAD}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([f"{tools}as", "--32", *[f"--defsym={name}={value}" for name, value in symbols.items()],
                        "-o", f"{folder}/o", HERE / "bootsector.S"], check=True)
        subprocess.run([f"{tools}ld", "-m", "elf_i386", "--oformat=binary", "-Ttext=0x7c00", "-o", f"{folder}/bin",
                        f"{folder}/o"], check=True)
        return Path(folder, "bin").read_bytes()


@functools.cache
def version():
    said = subprocess.run([PROGRAM, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", said).groups()))


class Qemu:
    """
    A QEMU. args are more of its arguments, fds what it inherits; accel names the accelerator, memory a backend of
    its guest's memory; as nobody it has no privileges, and may lock so many bytes.
    """

    def __init__(self, *args, fds=(), machine="pc", accel="tcg", memory=None, nobody_locks=None, megabytes=MEGABYTES):
        self.folder = Path(tempfile.mkdtemp(prefix="qemu."))
        self.console = self.folder / "console"
        self.greeted, self.events, self.reply = False, [], b""
        machine += f",accel={accel}" + (",memory-backend=memory" if memory else "")
        self.qmp, theirs = socket.socketpair()
        argv = [PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-machine", machine,
                "-cpu", "max" if accel == "tcg" else "host", "-m", str(megabytes)]
        if memory:
            argv += ["-object", f"{memory},id=memory,size={megabytes}M"]
        argv += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
        for name, port in (("console", 0xe9), ("firmware", 0x402)):
            argv += ["-chardev", f"file,id={name},path={self.folder}/{name}",
                     "-device", f"isa-debugcon,iobase={port},chardev={name}"]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", *map(str, args)]

        def become_nobody():
            if nobody_locks:
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (nobody_locks, nobody_locks))
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)

        if nobody_locks:
            os.chown(self.folder, NOBODY, NOBODY)
        with open(self.folder / "errors", "wb") as errors:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            pass_fds=[theirs.fileno(), *fds], preexec_fn=become_nobody)
        running.append(self)
        theirs.close()
        self.argv = argv

    # ---- what it says

    def said(self):
        """Without advice for who starts the next one."""
        lines = (self.folder / "errors").read_text(errors="replace").strip().splitlines()
        return "\n".join(line for line in lines if "is deprecated" not in line)

    def guest_said(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def rounds(self):
        """How often the boot sector has come to its end."""
        if "!" in self.guest_said():
            raise Wrong("the guest says that its data are wrong")
        return self.guest_said().count(".")

    def describe(self):
        """For a failure: all there is to know."""
        firmware = self.folder / "firmware"
        lines = [f"QEMU: {' '.join(self.argv)}", f"its status: {self.process.poll()}",
                 *[f"it says: {line}" for line in self.said().splitlines()[-12:]],
                 f"its guest says: {self.guest_said()[-60:]!r}"]
        if firmware.exists():
            lines += [f"firmware: {line}" for line in firmware.read_text(errors="replace").splitlines()[-12:]]
        return lines

    # ---- what it is asked

    def line(self, deadline):
        while b"\n" not in self.reply:
            self.qmp.settimeout(max(0.01, deadline - time.monotonic()))
            data = self.qmp.recv(65536)
            if not data:
                raise Wrong("QEMU has closed its monitor")
            self.reply += data
        line, _, self.reply = self.reply.partition(b"\n")
        return json.loads(line)

    def answer(self, wanted, seconds):
        """The first message with one of these keys; events are kept."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                message = self.line(deadline)
                if "event" in message:
                    self.events.append(message)
                if any(key in message for key in wanted):
                    return message
        except TimeoutError:
            raise Wrong(f"QEMU's monitor: no {' or '.join(wanted)} within {seconds} s") from None

    def greet(self, seconds=LIMIT):
        """What comes before the first command; without it there are no events."""
        if not self.greeted:
            self.greeted = True
            self.answer(["QMP"], seconds)
            self.command("qmp_capabilities")

    def command(self, name, arguments=None, fds=(), seconds=LIMIT):
        self.greet(seconds)
        text = json.dumps({"execute": name, "arguments": arguments or {}}).encode() + b"\n"
        socket.send_fds(self.qmp, [text], list(fds))
        message = self.answer(["return", "error"], seconds)
        if "error" in message:
            raise Wrong(f"{name}: {message['error']['desc']}")
        return message["return"]

    def event(self, name, seconds=LIMIT):
        """Wait for an event that nobody has waited for."""
        deadline = time.monotonic() + seconds
        while True:
            for number, message in enumerate(self.events):
                if message["event"] == name:
                    return self.events.pop(number)
            self.answer(["event"], max(0.01, deadline - time.monotonic()))

    def iommufds(self, node="/dev/iommu"):
        """What each open /dev/iommu, or container, says of itself, as text."""
        fds = Path(f"/proc/{self.process.pid}/fd")
        return [(fds.parent / "fdinfo" / fd.name).read_text() for fd in fds.iterdir() if os.readlink(fd) == node]

    def locked(self):
        """How many kB of memory it has locked."""
        return int(re.search(r"(?m)^VmLck:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text()).group(1))

    def memory(self):
        """Where its guest's memory is: (bytes, permissions, name) of each mapping that could be that."""
        found = re.findall(r"(?m)^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$",
                           Path(f"/proc/{self.process.pid}/maps").read_text())
        return [(int(end, 16) - int(begin, 16), permissions, name) for begin, end, permissions, name in found]

    # ---- its end

    def finish(self, seconds=LIMIT):
        """Wait for the boot sector to end well."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Wrong(f"QEMU has not ended within {seconds} s") from None
        expect("exit status of QEMU", status, GOOD << 1 | 1)
        self.forget()

    def refused(self, *reasons, seconds=LIMIT):
        """It has to end at once, and to give one of these reasons; gives what it says."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Wrong(f"QEMU has not been refused within {seconds} s") from None
        expect("exit status of a QEMU that has to be refused", status, 1)
        said = self.said()
        if not any(re.search(reason, said) for reason in reasons):
            raise Wrong(f"QEMU gives another reason than {' or '.join(reasons)}")
        self.forget()
        return said

    def goes_on(self, more=2, seconds=120):
        """The boot sector, in a loop, comes to its end so many times more."""
        before = self.rounds()

        def test():
            expect("status of a QEMU that has to run", self.process.poll(), None)
            return self.rounds() >= before + more

        wait_for("a guest that reads and writes", test, seconds)

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait()
        self.forget()

    def forget(self):
        running.remove(self)
        self.qmp.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def kill_all():
    for client in list(running):
        client.kill()
