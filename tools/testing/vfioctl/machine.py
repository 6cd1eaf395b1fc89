# SPDX-License-Identifier: GPL-2.0-only
"""The machine of the tests of vfioctl: its devices, programs that use them, and vfioctl itself."""

import fcntl
import json
import mmap
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import jsonschema

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
PROGRAM = os.environ.get("VFIOCTL", str(TOP / "build/tools/vfioctl"))
# Without sanitizers: with them libtracefs takes a minute and more to read what events there are, in a guest without KVM.
PLAIN = str(TOP / "build/tools/vfioctl")
SCHEMA = json.loads((TOP / "tools/vfioctl/vfioctl.schema.json").read_text())
PCI = Path("/sys/bus/pci/devices")
PASID_TESTDEV = "0x1234", "0x5a51"
STATE = Path("/run/vfioctl")
NOBODY = 65534
# A sanitizer that finds something ends the program with a status that it has for nothing else. Leaks cannot be looked for
# under strace, nor by whom may not be traced.
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
# By how much everything may take longer, see guest/pace of the VM harness
PATIENCE = int(os.environ.get("VM_PATIENCE", 1))
LIMIT = 120 * PATIENCE


class Wrong(Exception):
    """The case has failed."""


def check(condition, what):
    if not condition:
        raise Wrong(what)


def equal(what, found, wanted):
    check(found == wanted, f"{what}: {found!r}, not {wanted!r}")


# ---- vfioctl

class Outcome:
    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    def __str__(self):
        return f"vfioctl {' '.join(self.argv)}: exit status {self.status}\n{self.out}{self.err}"

    def says(self, *texts):
        for text in texts:
            check(text in self.out + self.err, f"it does not say '{text}': {self}")
        return self

    def json(self, command):
        """What it printed, which the schema has to allow."""
        document = json.loads(self.out)
        try:
            jsonschema.validate(document, {"$ref": f"#/$defs/{command}", "$defs": SCHEMA["$defs"]})
        except jsonschema.ValidationError as err:
            raise Wrong(f"not what the schema says: {err.message} at {list(err.absolute_path)}") from None
        return document


def become(user):
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user is not None else []


def vfioctl(*argv, status=0, user=None, before=(), program=PROGRAM, **more):
    """Run it, as that user if one is given; its exit status has to be that one (None: any of the documented ones)."""
    argv = [str(arg) for arg in argv]
    command = [*become(user), *before, program, *argv]
    more.setdefault("timeout", LIMIT)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          env={**os.environ, **SANITIZED}, **more)
    outcome = Outcome(argv, done.returncode, done.stdout, done.stderr)
    wanted = (0, 1, 2) if status is None else (status,)
    check(done.returncode in wanted, f"not {wanted}: {outcome}")
    return outcome


def start(*argv, program=PROGRAM, **more):
    return subprocess.Popen([program, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, **SANITIZED}, **more)


def on_terminal(columns, *argv):
    """What it prints on a terminal of that width."""
    pid, fd = pty.fork()
    if not pid:
        fcntl.ioctl(1, 0x5414, struct.pack("HHHH", 24, columns, 0, 0))		# TIOCSWINSZ
        os.execve(PROGRAM, [PROGRAM, *argv], {**os.environ, **SANITIZED, "TERM": "vt100"})
    out = b""
    while select.select([fd], [], [], LIMIT)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(fd)
    check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, f"it failed: {out}")
    return out.decode(errors="replace").replace("\r", "").splitlines()


# ---- devices

def driver(bdf):
    link = PCI / bdf / "driver"
    return os.path.basename(os.readlink(link)) if link.exists() else None


def override(bdf):
    text = (PCI / bdf / "driver_override").read_text().strip()
    return None if text in ("", "(null)") else text


def group(bdf):
    link = PCI / bdf / "iommu_group"
    return int(os.path.basename(os.readlink(link))) if link.exists() else None


def node(bdf):
    names = sorted(os.listdir(PCI / bdf / "vfio-dev"))
    return f"/dev/vfio/devices/{names[0]}"


def find(ids, **more):
    """Addresses of the devices with these ids, '8086:10d3', sorted."""
    def of(path):
        return f"{(path / 'vendor').read_text().strip()[2:]}:{(path / 'device').read_text().strip()[2:]}"
    return sorted(path.name for path in PCI.iterdir() if of(path) == ids)


class Devices:
    """Those that the run has, by what they are; their groups are of one device if they have a root port to themselves."""
    def __init__(self):
        nvme = find("1b36:0010")
        alone = [bdf for bdf in nvme if sum(group(bdf) == group(other) for other in nvme) == 1 or group(bdf) is None]
        self.nvme = alone[0] if alone else None
        self.pair = [bdf for bdf in nvme if bdf not in alone]
        self.edu = (find("1234:11e8") or [None])[0]
        self.behind = [bdf for bdf in find("1234:11e8") if not bdf.startswith("0000:00")]
        self.nic = (find("8086:10d3") or [None])[0]
        self.pf = (find("8086:10c9") or [None])[0]
        self.gpu = (find("1234:1111") or [None])[0]


def disk(bdf):
    """The block device of an NVMe controller, as soon as it is there."""
    wait_for("a disk", lambda: list((PCI / bdf).glob("nvme/nvme*/nvme*n1")))
    name = list((PCI / bdf).glob("nvme/nvme*/nvme*n1"))[0].name
    wait_for(name, lambda: os.path.exists(f"/dev/{name}"))
    return f"/dev/{name}"


def interface(bdf):
    wait_for("a network interface", lambda: (PCI / bdf / "net").exists() and os.listdir(PCI / bdf / "net"))
    return os.listdir(PCI / bdf / "net")[0]


def wait_for(what, condition, seconds=20):
    seconds *= PATIENCE
    until = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < until, f"{what}: not within {seconds} s")
        time.sleep(0.05)


def sh(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(not done.returncode, f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout


def qmp(command, arguments):
    sh("vm-qmp", command, json.dumps(arguments))


# ---- programs that use devices

class Holder:
    """A process of ours that has a device open, in one of several ways; ends with the block."""
    def __init__(self, path, how="fd", user=None):
        self.pid = None
        self.path, self.how, self.user = path, how, user

    def __enter__(self):
        parent, child = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            try:
                parent.close()
                self.hold(child)
            finally:
                os._exit(1)
        child.close()
        self.sock = parent
        check(parent.recv(5) == b"ready", f"{self.path} cannot be opened")
        return self

    def hold(self, sock):
        keep = []
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        if self.how == "flight":
            keep = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            socket.send_fds(keep[0], [b"x"], [fd])
            os.close(fd)
        if self.how == "child" and not os.fork():
            time.sleep(1000)
        if self.how == "map":
            # Bound and mapped, and the descriptors closed
            iommu = os.open("/dev/iommu", os.O_RDWR)
            fcntl.ioctl(fd, 0x3b76, bytearray(struct.pack("<IIii", 16, 0, iommu, 0)), True)	# BIND_IOMMUFD
            keep = mmap.mmap(fd, 4096, trackfd=False)		# BAR 0
            os.close(fd)
            os.close(iommu)
        if self.user:
            os.setresuid(self.user, self.user, self.user)
        sock.send(b"ready")
        sock.recv(1)
        del keep

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.sock.close()
        for child in re.findall(r"\d+", subprocess.run(["pgrep", "-f", "vfioctl_test"], capture_output=True,
                                                        text=True).stdout):
            if int(child) != os.getpid() and parent_of(int(child)) == 1:
                os.kill(int(child), signal.SIGKILL)


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


class Ioas:
    """An address space of this process, for whoever looks at it."""
    ALLOC, MAP, UNMAP = 0x3b81, 0x3b85, 0x3b86

    def __enter__(self):
        self.fd = os.open("/dev/iommu", os.O_RDWR | os.O_CLOEXEC)
        answer = bytearray(struct.pack("<III", 12, 0, 0))
        fcntl.ioctl(self.fd, self.ALLOC, answer, True)
        self.id = struct.unpack("<III", answer)[2]
        self.memory = mmap.mmap(-1, 1 << 20)
        return self

    def address(self):
        import ctypes
        return ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

    def map(self, iova, size=1 << 16):
        fcntl.ioctl(self.fd, self.MAP, bytearray(struct.pack("<IIIIQQQ", 40, 7, self.id, 0, self.address(), size, iova)),
                    True)

    def unmap(self, iova, size=1 << 16):
        fcntl.ioctl(self.fd, self.UNMAP, bytearray(struct.pack("<IIQQ", 24, self.id, iova, size)), True)

    def __exit__(self, *_):
        os.close(self.fd)


class Edu(Ioas):
    """The device edu, bound to vfio-pci, in such an address space, and its DMA."""
    BIND, ATTACH, REGION = 0x3b76, 0x3b77, 0x3b6c
    BAR, CONFIG = 0, 7
    BUFFER = 0x40000		# in the device

    def __init__(self, bdf):
        self.bdf = bdf

    def __enter__(self):
        super().__enter__()
        self.device = os.open(node(self.bdf), os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self.device, self.BIND, bytearray(struct.pack("<IIii", 16, 0, self.fd, 0)), True)
        fcntl.ioctl(self.device, self.ATTACH, bytearray(struct.pack("<III", 12, 0, self.id)), True)
        command = struct.unpack("<H", os.pread(self.device, 2, self.offset(self.CONFIG) + 4))[0]
        os.pwrite(self.device, struct.pack("<H", command | 6), self.offset(self.CONFIG) + 4)	# memory, bus master
        return self

    def offset(self, region):
        answer = bytearray(struct.pack("<IIIIQQ", 32, 0, region, 0, 0, 0))
        fcntl.ioctl(self.device, self.REGION, answer, True)
        return struct.unpack("<IIIIQQ", answer)[5]

    def read_memory(self, iova, size=64):
        """Have the device read memory."""
        bar = self.offset(self.BAR)
        for register, value in ((0x80, iova), (0x88, self.BUFFER), (0x90, size), (0x98, 1)):
            os.pwrite(self.device, struct.pack("<I", value), bar + register)
        wait_for("DMA", lambda: not os.pread(self.device, 4, bar + 0x98)[0] & 1)

    def __exit__(self, *_):
        os.close(self.device)
        super().__exit__()


class Faults:
    """Within, DMA faults of the device are no surprise to whoever judges the kernel's log."""
    def __init__(self, bdf):
        self.bdf = bdf

    def say(self, what):
        Path("/dev/kmsg").write_text(f"DMA faults of {self.bdf} {what}\n")

    def __enter__(self):
        self.say("begin")

    def __exit__(self, *_):
        self.say("end")


# ---- another machine than this one

class Faked:
    """
    Files and directories of /sys, /proc and so on that a program finds in place of the real ones, by mounts that it has for
    itself: {path: text or bytes, or a dictionary of what is in the directory instead}. A link is a Path.
    """
    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        mounts = []
        for number, (path, content) in enumerate(self.files.items()):
            made = Path(self.folder.name) / str(number)
            self.make(made, content)
            mounts.append(f"mount --bind {made} {path}")
        self.before = ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]
        return self

    def make(self, path, content):
        if isinstance(content, dict):
            path.mkdir()
            for name, inner in content.items():
                self.make(path / name, inner)
        elif isinstance(content, Path):
            path.symlink_to(content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)

    def vfioctl(self, *argv, user=None, limits=(), **more):
        return vfioctl(*argv, before=[*self.before, *become(user), *limits], **more)

    def __exit__(self, *_):
        self.folder.cleanup()
