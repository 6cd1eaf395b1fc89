# SPDX-License-Identifier: GPL-2.0-only
"""Boot a kernel in QEMU, run one command in it, judge the run."""

import contextlib
import fcntl
import json
import lzma
import os
import re
import selectors
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import build
import debian
import logscan
from util import BUILD, CACHE, CLONE, HERE, REPO, ROOT, SRV, chroot, digest, inside, lock, replace_tree, run, say, step

GUEST_ERROR = 125	# exit status of a run whose command succeeded and which failed nevertheless
GUEST_TIMEOUT = 124

# Modules of the stock kernel that guests get, with all that they depend on.
STOCK_MODULES = """
    9p 9pnet_virtio overlay loop virtio_blk ext4 crc32c_generic
    nvme e1000e igb igbvf virtio_net virtio_iommu uio_pci_generic
    vfio vfio-pci vfio_iommu_type1 mdev kvm kvm-amd kvm-intel tun bridge vhost_net udmabuf
""".split()
# The root's virtio device waits for the IOMMU that it is behind.
BOOT_MODULES = ["virtio_iommu", "9pnet_virtio", "9p", "overlay"]
APPLETS = "sh cat grep insmod mount umount mkdir ln ifconfig switch_root".split()

VTD = "intel-iommu,caching-mode=on,aw-bits=48"
# With eim (xtsup) the guest reaches its interrupt controllers by registers of the processor instead of memory, which
# is faster, and cannot get lost where each processor has a thread of its own: see processors().
REMAP = "intremap=on,eim=on"
IOMMUS = {
    "intel": ["-device", f"{VTD},{REMAP},snoop-control=on"],
    "intel-scalable": ["-device", f"{VTD},{REMAP},snoop-control=on,x-scalable-mode=on"],
    "intel-flts": ["-device", f"{VTD},{REMAP},x-scalable-mode=on,x-flts=on"],	# first-stage tables only
    "intel-nosc": ["-device", f"{VTD},{REMAP}"],	# cannot force DMA to be coherent
    "intel-nointremap": ["-device", f"{VTD},intremap=off,snoop-control=on"],
    "amd": ["-device", "amd-iommu,intremap=on,xtsup=on"],	# devices cannot do DMA
    "amd-remap": ["-device", "amd-iommu,intremap=on,xtsup=on,dma-remap=on"],
    "virtio": ["-device", "virtio-iommu-pci,addr=1b"],
    "none": [],
}
NEEDS_NEWER_QEMU = ["amd-remap"]


@dataclass
class Options:
    """What a run is asked to be; the command line of 'vm run' in one object."""
    command: list = field(default_factory=lambda: ["true"])
    kernel: str = "stock"
    iommu: str = "intel"
    devices: list = field(default_factory=list)
    modules: bool = True
    test_modules: bool = False
    load: list = field(default_factory=list)
    bind: list = field(default_factory=list)
    append: str = ""
    memory: str = "2G"
    smp: int = 2
    parallel: bool = False	# a thread of the host for each of the guest's processors
    icount: bool = False
    timeout: float = 300
    qemu_args: list = field(default_factory=list)
    env: dict = field(default_factory=dict)
    taint: str = ""
    ignore: list = field(default_factory=list)
    kmemleak: bool = True
    out: Path = None
    name: str = None
    shell: bool = False
    verbose: bool = False
    capture: bool = False
    accel: str = None
    disk: Path = None		# a system to boot instead of the Debian root, which reports as guest/main does
    initramfs: Path = None	# of that system


# ---- kernels and what they boot with

def module_info(blob, key):
    match = re.search(rb"\0" + key + rb"=([^\0]*)\0", b"\0" + blob)
    return match.group(1).decode() if match else ""


def unpack_kernel(packed, target):
    """
    The ELF file inside a bzImage that is packed with zstd, as Debian's are: QEMU starts it at its PVH entry, and the
    guest need not unpack it, which under TCG takes longer than to boot.
    """
    image = packed.read_bytes()
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    payload = target.with_name("payload.zst")
    payload.write_bytes(image[start:start + length - 4])	# the last four bytes are its length unpacked
    chroot(["zstd", "-q", "-d", "--rm", inside(payload), "-o", inside(target)], what="unpacking the kernel image")


def stock():
    """The stock kernel: image, configuration and the modules that guests want, unpacked."""
    found = debian.versions()
    release = found["kernel"]
    target = SRV / f"stock-{digest(found, STOCK_MODULES, 'kernel')}"
    with lock("stock"):
        if target.exists():
            return target
        debian.root()
        deb = debian.package(f"linux-image-{release}", found["version"])
        with step(f"unpacking the stock kernel {release}"):
            part = SRV / "stock.part"
            shutil.rmtree(part, ignore_errors=True)
            package = part / "package"
            package.mkdir(parents=True)
            run(["dpkg-deb", "-x", deb, package], "unpacking the stock kernel")
            unpack_kernel(package / f"boot/vmlinuz-{release}", part / "kernel")
            shutil.copy(package / f"boot/config-{release}", part / "config")
            (part / "release").write_text(release)
            modules = package / f"usr/lib/modules/{release}"
            available = {p.name.split(".")[0].replace("-", "_"): p for p in modules.rglob("*.ko*")}
            kept = part / f"modules/{release}"
            kept.mkdir(parents=True)
            order, todo = [], [m.replace("-", "_") for m in STOCK_MODULES]

            def take(name):
                if name in order or name not in available:	# not available: built in
                    return
                path = available[name]
                blob = path.read_bytes()
                if path.suffix == ".xz":
                    blob = lzma.decompress(blob)
                for other in filter(None, module_info(blob, b"depends").split(",")):
                    take(other.replace("-", "_"))
                order.append(name)
                (kept / f"{name}.ko").write_bytes(blob)

            for name in todo:
                take(name)
            (kept / "order").write_text("\n".join(order))
            for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(modules / name, kept / name)
            shutil.rmtree(package)
            replace_tree(part, target)
    return target


def cpio(entries):
    """An initramfs (newc); entries are (name, mode, data, device) tuples."""
    out = bytearray()
    for number, (name, mode, data, device) in enumerate([*entries, ("TRAILER!!!", 0, b"", (0, 0))]):
        fields = [number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4)
        out += data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def initramfs(kernel, target):
    """The smallest thing that mounts the real root."""
    entries = [(name, stat.S_IFDIR | 0o755, b"", (0, 0)) for name in ("bin", "dev", "proc", "layer", "modules")]
    entries += [
        ("bin/busybox", stat.S_IFREG | 0o755, (ROOT / "usr/bin/busybox").read_bytes(), (0, 0)),
        ("init", stat.S_IFREG | 0o755, (HERE / "guest/init").read_bytes(), (0, 0)),
        *[(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox", (0, 0)) for name in APPLETS],
        ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)),
        ("dev/null", stat.S_IFCHR | 0o666, b"", (1, 3)),
    ]
    load = []
    order = next(kernel.glob("modules/*/order"), None)
    if order:
        folder = order.parent

        def take(name):
            path = folder / f"{name}.ko"
            if name in load or not path.exists():
                return
            blob = path.read_bytes()
            for other in filter(None, module_info(blob, b"depends").split(",")):
                take(other.replace("-", "_"))
            load.append(name)
            entries.append((f"modules/{name}.ko", stat.S_IFREG | 0o644, blob, (0, 0)))

        for name in BOOT_MODULES:
            take(name)
    entries.append(("modules.order", stat.S_IFREG | 0o644, "\n".join(load).encode(), (0, 0)))
    target.write_bytes(cpio(entries))


# ---- the machine

def device_args(spec, number, folder):
    """QEMU arguments for '--device name[,property=value...]', with what such a device cannot do without."""
    name, _, rest = spec.partition(",")
    properties = dict(p.partition("=")[::2] for p in rest.split(",") if p)
    args, more, tag = [], [], f"{name}{number}"
    properties.setdefault("id", tag)
    if "bus" not in properties:
        properties.setdefault("addr", f"{number + 2:x}")
    if name == "nvme":
        image = folder / f"{tag}.img"
        given = properties.pop("file", None)
        if given:
            run(["cp", "--sparse=always", given, image])
        else:
            with open(image, "wb") as disk:
                disk.truncate(64 << 20)
        args += ["-drive", f"if=none,format=raw,id={tag}-disk,file={image}"]
        properties.setdefault("serial", tag)
        if "sriov_max_vfs" in properties:
            # Its VFs are controllers of the same subsystem, and see only namespaces that belong to that.
            args += ["-device", f"nvme-subsys,id={tag}-subsys"]
            properties["subsys"] = f"{tag}-subsys"
            more = ["-device", f"nvme-ns,drive={tag}-disk,bus={properties['id']}"]
        else:
            properties.setdefault("drive", f"{tag}-disk")
    elif name in ("e1000e", "igb", "e1000", "virtio-net-pci"):
        args += ["-netdev", f"hubport,hubid=0,id={tag}-net"]
        properties.setdefault("netdev", f"{tag}-net")
        if name == "virtio-net-pci":
            properties.setdefault("iommu_platform", "on")
            properties.setdefault("disable-legacy", "on")
    elif name == "ivshmem":
        name = "ivshmem-plain"
        args += ["-object", f"memory-backend-ram,share=on,size={properties.pop('size', '64M')},id={tag}-mem"]
        properties.setdefault("memdev", f"{tag}-mem")
    return [*args, "-device", ",".join([name, *[f"{k}={v}" for k, v in properties.items()]]), *more]


def addresses(devices):
    """VM_DEV_id of each device on the root bus: its PCI address."""
    found = {}
    for number, spec in enumerate(devices):
        name, *properties = spec.split(",")
        given = dict(p.partition("=")[::2] for p in properties)
        if "bus" not in given:
            slot, _, function = given.get("addr", f"{number + 2:x}").partition(".")
            ident = re.sub(r"\W", "_", given.get("id", f"{name}{number}"))
            found[f"VM_DEV_{ident}"] = f"0000:00:{int(slot, 16):02x}.{function or 0}"
    return found


def qemu(newer):
    """
    QEMU of the Debian root, or a newer one, started by that root's own loader instead of by chroot: its 9p server needs
    /proc, which a chroot has only where mounting is allowed.
    """
    lib = ROOT / "usr/lib/x86_64-linux-gnu"
    usr = (debian.newer_qemu() if newer else ROOT) / "usr"
    return ["env", f"QEMU_MODULE_DIR={lib}/qemu", f"{ROOT}/lib64/ld-linux-x86-64.so.2", "--library-path", f"{lib}",
            f"{usr}/bin/qemu-system-x86_64", "-L", f"{usr}/share/qemu", "-L", f"{usr}/share/seabios",
            "-L", f"{ROOT}/usr/share/qemu"]


def processors(opts, accel):
    """
    How QEMU runs the guest's processors. With a thread for each, QEMU 10's TCG loses accesses to registers now and then
    while another processor changes the PCI memory map, as these tests do all the time: the end of an interrupt, and
    with it all later timers of that processor, or the tail of the IOMMU's queue, for whose progress it then waits for ever.
    In turns on one thread that cannot be. It takes no longer, and leaves the host's other processors to other guests.
    """
    if opts.icount:
        return ["-accel", "tcg", "-icount", "shift=0,sleep=off"]
    if accel == "kvm":
        return ["-accel", "kvm"]
    return ["-accel", f"tcg,thread={'multi' if opts.parallel else 'single'}"]


def qemu_argv(opts, kernel, folder, accel, channels):
    append = ["console=ttyS0", "panic=-1", "oops=panic", "no_timer_check", "tsc=reliable", "intel_iommu=on",
              "rcupdate.rcu_cpu_stall_timeout=120", "watchdog_thresh=60", "printk.devkmsg=on"]
    append += ["root=/dev/vda", "rw"] if opts.disk else [f"vm.run={inside(folder)}"]
    argv = [*qemu(opts.iommu in NEEDS_NEWER_QEMU), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-name", f"iommufd-vfio-{folder.name}", "-cpu", "max", "-m", opts.memory,
            "-smp", "1" if opts.icount else str(opts.smp), "-rtc", "base=utc",
            "-kernel", str(kernel / "kernel"), "-initrd", str(opts.initramfs or folder / "initramfs")]
    argv += ["-machine", "q35,kernel-irqchip=split" if accel == "kvm" else "q35", *processors(opts, accel)]
    if opts.icount:
        # QEMU gives up ("Bad icount read") when the timer of an x2APIC is written.
        append += ["tsc_early_khz=1000000", "nox2apic"]
    elif accel == "tcg":
        khz = host_tsc()
        if khz:
            append.append(f"tsc_early_khz={khz}")
    if opts.kernel == "debug":
        append.append("kunit.enable=0")
    argv += IOMMUS[opts.iommu]
    argv += ["-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "console"] if opts.shell else \
            ["-chardev", f"socket,id=console,fd={channels['console']}"]
    argv += ["-serial", "chardev:console"]
    argv += ["-chardev", f"socket,id=monitor,fd={channels['monitor']}", "-mon", "chardev=monitor,mode=control"]
    argv += ["-device", "virtio-serial-pci,addr=1c"]
    for port in ("ctl", "out", "qmp"):
        argv += ["-chardev", f"socket,id={port},fd={channels[port]}",
                 "-device", f"virtserialport,chardev={port},name=vm.{port}"]
    if opts.disk:
        argv += ["-drive", f"if=virtio,format=raw,snapshot=on,file={opts.disk}"]
    else:
        argv += ["-fsdev", f"local,id=root,path={ROOT},security_model=none,readonly=on,multidevs=remap",
                 "-device", "virtio-9p-pci,fsdev=root,mount_tag=root,addr=1d",
                 "-fsdev", f"local,id=share,path={folder}/out,security_model=none",
                 "-device", "virtio-9p-pci,fsdev=share,mount_tag=out,addr=1e"]
    for number, spec in enumerate(opts.devices):
        argv += device_args(spec, number, folder)
    for arg in opts.qemu_args:
        argv += shlex.split(arg)
    append.append(opts.append)
    return [*argv, "-append", " ".join(filter(None, append))]


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


def host_tsc():
    """
    The host's time stamp counter in kHz, or None. Under TCG the guest sees that counter; what it would measure while
    others keep the host busy can be wrong by so much that its timers stand still. Asked once per boot of the host.
    """
    if os.uname().machine != "x86_64":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    note = CACHE / "tsc.json"
    with lock("tsc"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(note.read_text())
            if known["boot"] == boot:
                return known["khz"]
        folder = CLONE / "tsc"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "tsc.c", folder)
        chroot(["gcc", "-O1", "-o", "tsc", "tsc.c"], cwd=inside(folder), what="building the clock probe")
        khz = int(chroot(["./tsc"], cwd=inside(folder), what="measuring the clock", stdout=subprocess.PIPE, text=True))
        note.write_text(json.dumps({"boot": boot, "khz": khz}))
        return khz


# ---- a run

@dataclass
class Result:
    status: int
    problems: list
    text: str
    folder: Path
    report: dict


def prepare(opts, kernel, folder):
    """Fill the directory that the guest sees: a snapshot, so that later builds cannot disturb the run."""
    release = (kernel / "release").read_text().strip()
    (folder / "out").mkdir(parents=True)
    mirror = CLONE / "repo"
    build.mirror()
    with lock(f"{CLONE.name}-build", shared=True):
        run(["cp", "-al", mirror, folder / "repo"])
    modules = folder / "modules" / release
    if (kernel / "modules" / release).exists():
        (folder / "modules").mkdir()
        run(["cp", "-al", kernel / "modules" / release, modules])
    else:
        modules.mkdir(parents=True)
    if opts.kernel == "stock" and opts.modules:
        (modules / "updates").mkdir()
        built = BUILD / ("modules-test" if opts.test_modules else "modules") / release
        for path in sorted(built.glob("*.ko")):
            shutil.copy(path, modules / "updates" / path.name)
    # depmod wants lib/modules below its base directory
    (folder / "base/lib").mkdir(parents=True)
    (folder / "base/lib/modules").symlink_to("../../modules")
    chroot(["depmod", "-b", inside(folder / "base"), release], what="depmod")
    lines = [f"{key}={shlex.quote(str(value))}" for key, value in {
        "VM_KERNEL": opts.kernel, "VM_IOMMU": opts.iommu, "VM_SHELL": int(opts.shell),
        "VM_KMEMLEAK": int(opts.kmemleak), **addresses(opts.devices), **opts.env}.items()]
    if opts.shell:
        size = shutil.get_terminal_size()
        lines += [f"VM_ROWS={size.lines}", f"VM_COLS={size.columns}", f"VM_TERM={os.environ.get('TERM', 'vt100')}"]
    (folder / "settings").write_text("set -a\n" + "\n".join(lines) + "\nset +a\n")
    script = ["#!/bin/bash"]
    script += [f"modprobe {shlex.quote(m)} || exit" for m in opts.load]
    if opts.bind:
        script.append(f"vm-bind {shlex.join(opts.bind)}{'' if opts.shell else ' >/dev/null'} || exit")
    if opts.shell:
        script += ["exec bash -i"]
    else:
        words = opts.command
        script.append(words[0] if len(words) == 1 else shlex.join(words))
    (folder / "command").write_text("\n".join(script) + "\n")
    initramfs(kernel, folder / "initramfs")


class Conversation:
    """The host's side of a guest's channels."""

    def __init__(self, opts, log):
        self.opts, self.log = opts, log
        self.text, self.report = bytearray(), {}
        self.buffers = {}
        self.replies_due, self.events, self.waits = [], [], []
        self.pairs = {name: socket.socketpair() for name in ("console", "monitor", "ctl", "out", "qmp")}

    def remote(self):
        return {name: pair[1].fileno() for name, pair in self.pairs.items()}

    def close(self, ours=False):
        for pair in self.pairs.values():
            pair[0 if ours else 1].close()

    def send(self, channel, message):
        with contextlib.suppress(OSError):
            self.pairs[channel][0].sendall(json.dumps(message).encode() + b"\n")

    def received(self, channel, data):
        if channel == "console":
            self.log.write(data)
            self.log.flush()
            if self.opts.verbose:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()
        elif channel == "out":
            self.text += data
            if not self.opts.capture:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        else:
            lines = (self.buffers.pop(channel, b"") + data).split(b"\n")
            self.buffers[channel] = lines.pop()
            for line in filter(None, lines):
                try:
                    getattr(self, "on_" + channel)(json.loads(line))
                except ValueError:
                    self.send(channel, {"error": {"desc": "not JSON"}})

    def on_ctl(self, message):
        self.report[message.pop("event")] = message

    def on_monitor(self, message):
        if "QMP" in message:
            self.send("monitor", {"execute": "qmp_capabilities", "id": "greeting"})
        elif "event" in message:
            self.events.append(message)
            self.serve_waits()
        elif message.get("id") != "greeting":
            message.pop("id", None)
            self.send("qmp", message)

    def on_qmp(self, message):
        """A guest's wish: a QMP command, or to wait for an event."""
        if "wait" in message:
            self.waits.append((time.monotonic() + message.get("seconds", 10), message["wait"]))
            self.serve_waits()
        else:
            self.send("monitor", message)

    def serve_waits(self):
        for wait in list(self.waits):
            deadline, name = wait
            event = next((e for e in self.events if e["event"] == name), None)
            if event:
                self.events.remove(event)
                self.send("qmp", event)
            elif time.monotonic() > deadline:
                self.send("qmp", {"error": {"desc": f"no event {name}"}})
            else:
                continue
            self.waits.remove(wait)

    def talk(self, process, deadline):
        """Until QEMU ends (True) or time is up (False)."""
        with selectors.DefaultSelector() as selector:
            for name, pair in self.pairs.items():
                selector.register(pair[0], selectors.EVENT_READ, name)
            open_channels = len(self.pairs)
            while open_channels:
                for key, _ in selector.select(0.2):
                    try:
                        data = key.fileobj.recv(65536)
                    except OSError:
                        data = b""
                    if data:
                        self.received(key.data, data)
                    else:
                        selector.unregister(key.fileobj)
                        open_channels -= 1
                self.serve_waits()
                if time.monotonic() > deadline:
                    return False
        return True


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
    accel = "tcg" if opts.icount else opts.accel or accelerator()
    if opts.kernel == "stock":
        kernel = stock()
        if opts.modules:
            build.modules(test=opts.test_modules)
    else:
        kernel = build.kernel(opts.kernel)
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


def boot_in(folder, kernel, opts, accel, logs):
    if opts.disk:
        (folder / "out").mkdir(parents=True)
    else:
        prepare(opts, kernel, folder)
    problems = []
    begin = time.monotonic()
    with open(folder / "console.log", "wb") as log, open(folder / "qemu.log", "wb") as errors:
        talk = Conversation(opts, log)
        argv = qemu_argv(opts, kernel, folder, accel, talk.remote())
        process = subprocess.Popen(argv, pass_fds=talk.remote().values(), start_new_session=not opts.shell,
                                   stdin=None if opts.shell else subprocess.DEVNULL,
                                   stdout=None if opts.shell else errors, stderr=errors)
        talk.close()
        try:
            ended = talk.talk(process, begin + (10**9 if opts.shell else opts.timeout))
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
    report = talk.report
    said = (folder / "qemu.log").read_text(errors="replace").strip()
    console = (folder / "console.log").read_text(errors="replace")
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
        allowed = opts.taint + ("OEN" if opts.kernel == "stock" else "N")
        taint = logscan.unexpected_taint(bye["taint"], allowed)
        if taint:
            problems.append(f"kernel tainted: {taint} (see Documentation/admin-guide/tainted-kernels.rst)")
        if bye["pins_before"] != bye["pins_after"]:
            problems.append(f"pages left pinned: {bye['pins_after'] - bye['pins_before']}")
        if bye["leaks"]:
            problems.append(f"kmemleak: {bye['leaks']} unreferenced objects (see out/kmemleak)")
    keep(folder, logs, opts)
    result = Result(status or (GUEST_ERROR if problems else 0), problems, talk.text.decode(errors="replace"), logs,
                    {**report, "seconds": seconds, "accel": accel})
    return result


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
