# SPDX-License-Identifier: GPL-2.0-only
"""A virtual machine: what a run may ask for, and QEMU's command line for it."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import arm64
import build
import debian
from kernels import KERNELS
from util import CACHE, CLONE, HERE, ROOT, Fail, chroot, inside, lock, run

VTD = "intel-iommu,caching-mode=on,aw-bits=48"
# With eim (xtsup) the guest reaches its interrupt controllers by registers of the processor instead of memory, which
# is faster, and cannot get lost where each processor has a thread of its own: see processors().
REMAP = "intremap=on,eim=on"
# QEMU 11.1's, which has PASIDs, and with first-stage tables page requests
PASID = f"intel-iommu,aw-bits=48,{REMAP},scalable-mode=on,pasid-bits=8,device-iotlb=on"
IOMMUS = {
    "intel": ["-device", f"{VTD},{REMAP},snoop-control=on"],
    "intel-scalable": ["-device", f"{VTD},{REMAP},snoop-control=on,x-scalable-mode=on"],
    "intel-flts": ["-device", f"{VTD},{REMAP},x-scalable-mode=on,x-flts=on"],	# first-stage tables only
    "intel-nosc": ["-device", f"{VTD},{REMAP}"],	# cannot force DMA to be coherent
    "intel-nointremap": ["-device", f"{VTD},intremap=off,snoop-control=on"],
    "intel-pasid": ["-device", f"{PASID},fsts=on,svm=on"],
    "intel-pasid-second": ["-device", PASID],	# second-stage tables only
    "intel-nested": ["-device", f"{PASID},fsts=on,svm=on"],	# with what EXTENDED says
    "intel-dirty": ["-device", PASID],
    "amd": ["-device", "amd-iommu,intremap=on,xtsup=on"],	# devices cannot do DMA
    "amd-remap": ["-device", "amd-iommu,intremap=on,xtsup=on,dma-remap=on"],
    "virtio": ["-device", "virtio-iommu-pci,addr=1b"],
    "smmuv3": ["-machine", "iommu=smmuv3"],
    "none": [],
}
NEEDS_NEWER_QEMU = ["amd-remap", "intel-pasid", "intel-pasid-second", "intel-nested", "intel-dirty"]
# The device that we bring along, which needs it, too; for an IOMMU that it extends it is loaded in any case
TESTDEV = "pasid-testdev"
EXTENDED = {"intel-nested": {"PASID_TESTDEV_NESTED": "1"}, "intel-dirty": {"PASID_TESTDEV_DIRTY": "1"}}


@dataclass(frozen=True)
class Machine:
    """What differs between architectures; other machines have other IOMMUs."""
    program: str
    machine: str
    iommus: tuple	# names in IOMMUS, the usual one first
    console: str
    cpu: str = "max"
    append: tuple = ()
    packages: tuple = ()	# for the Debian root

    def iommu(self, name):
        """The IOMMU of that name, or the usual one."""
        if name and name not in self.iommus:
            raise Fail(f"{self.program} has no IOMMU '{name}', but: {' '.join(self.iommus)}")
        return name or self.iommus[0]


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", "q35", tuple(name for name in IOMMUS if name != "smmuv3"), "ttyS0",
                      append=("no_timer_check", "tsc=reliable", "intel_iommu=on")),
    # Pointers are signed, which the architecture's own algorithm makes slow to emulate.
    "arm64": Machine("qemu-system-aarch64", "virt,gic-version=3,its=on", ("smmuv3", "virtio", "none"), "ttyAMA0",
                     cpu="max,pauth-impdef=on", packages=tuple(arm64.QEMU_PACKAGES)),
}


@dataclass
class Options:
    """What a run is asked to be; the command line of 'vm run' in one object."""
    command: list = field(default_factory=lambda: ["true"])
    kernel: str = "stock"
    iommu: str = None		# None: the usual one of the architecture
    devices: list = field(default_factory=list)
    modules: bool = True
    test_modules: bool = False
    variants: bool = False	# with what 'make variants' builds, and as that builds ours
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
    kept: bool = False		# what it writes to that disk stays there
    initramfs: Path = None	# of that system
    image: Path = None		# a kernel of that system, in place of the one that the run is named after

    def __post_init__(self):
        self.iommu = self.machine.iommu(self.iommu)

    @property
    def machine(self):
        return MACHINES[KERNELS[self.kernel].arch]


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


def has_testdev(opts):
    return opts.iommu in EXTENDED or any(re.match(rf"{TESTDEV}\b", spec) for spec in opts.devices)


def needs_newer_qemu(opts):
    return opts.iommu in NEEDS_NEWER_QEMU or has_testdev(opts)


def qemu(opts):
    """
    QEMU of the Debian root, or a newer one, started by that root's own loader instead of by chroot: its 9p server needs
    /proc, which a chroot has only where mounting is allowed.
    """
    lib = ROOT / "usr/lib/x86_64-linux-gnu"
    usr = (debian.newer_qemu() if needs_newer_qemu(opts) else ROOT) / "usr"
    preload = ["--preload", f"{build.testdev()}"] if has_testdev(opts) else []
    settings = {"QEMU_MODULE_DIR": f"{lib}/qemu", **EXTENDED.get(opts.iommu, {})}
    return ["env", *[f"{name}={value}" for name, value in settings.items()],
            f"{ROOT}/lib64/ld-linux-x86-64.so.2", "--library-path", f"{lib}", *preload,
            f"{usr}/bin/{opts.machine.program}", "-L", f"{usr}/share/qemu", "-L", f"{usr}/share/seabios",
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
    machine = opts.machine
    append = [f"console={machine.console}", "panic=-1", "oops=panic", *machine.append,
              "rcupdate.rcu_cpu_stall_timeout=120", "watchdog_thresh=60", "printk.devkmsg=on"]
    append += ["root=/dev/vda", "rw"] if opts.disk else [f"vm.run={inside(folder)}"]
    if machine is MACHINES["arm64"]:
        append.append(f"vm.root={inside(arm64.root())}")
    argv = [*qemu(opts), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-name", f"iommufd-vfio-{folder.name}", "-cpu", machine.cpu, "-m", opts.memory,
            "-smp", "1" if opts.icount else str(opts.smp), "-rtc", "base=utc",
            "-kernel", str(opts.image or kernel / "kernel"), "-initrd", str(opts.initramfs or folder / "initramfs")]
    argv += ["-machine", machine.machine + (",kernel-irqchip=split" if accel == "kvm" else ""), *processors(opts, accel)]
    if opts.icount:
        # QEMU gives up ("Bad icount read") when the timer of an x2APIC is written.
        append += ["tsc_early_khz=1000000", "nox2apic"]
    elif accel == "tcg" and machine is MACHINES["x86_64"]:
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
        argv += ["-drive", f"if=virtio,format=raw,snapshot={'off' if opts.kept else 'on'},file={opts.disk}"]
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
