# SPDX-License-Identifier: GPL-2.0-only
"""
A Debian 13 system with its own kernel, initramfs, init and udev, as users have it: our modules are installed there by
'make install', and it is booted. (Other guests run on a layer above the Debian root, without an init.)
"""

import re
import shutil
import subprocess

import build
import debian
import guest
from util import CACHE, CLONE, HERE, REPO, Fail, digest, lock, replace_tree, run, step

# The libraries are vfioctl's.
PACKAGES = """
    systemd-sysv udev kmod initramfs-tools linux-base make zstd busybox
    libcap2 libjansson4 libpci3 libsmartcols1 libtracefs1
""".split()
PROGRAM = "installed"		# in guest/
SIZE = "2G"
HOME = "/usr/local/src/iommufd-vfio"		# of our sources in it

# As users of vfio-pci have it who want devices taken before any other driver sees them; in effect before we come.
CONFIGURATION = {
    "etc/initramfs-tools/modules": "vfio\nvfio_iommu_type1\nvfio_pci\n",
    "etc/modprobe.d/vfio.conf": "options vfio-pci ids=1234:11e8\noptions vfio_iommu_type1 dma_entry_limit=4321\n",
    # Else systemd takes it for a boot after the installation, and asks questions.
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/hostname": "vm\n",
    f"etc/systemd/system/{PROGRAM}.service": f"""
[Unit]
Description=Look at what make install did
After=systemd-udev-settle.service
Wants=systemd-udev-settle.service
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/{PROGRAM}
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
""",
}


def chroot(root, *argv):
    """Run a command there; gives what it says."""
    done = subprocess.run(["chroot", root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                           "DEBIAN_FRONTEND=noninteractive", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        raise Fail(f"{' '.join(argv)} in {root}: exit status {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def base():
    """The system without us, made once."""
    found = debian.versions()
    target = CACHE / f"system-{digest(found, PACKAGES, CONFIGURATION)}"
    with lock("system"):
        if target.exists():
            return target
        debian.host_packages(("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs"))
        image = debian.package(f"linux-image-{found['kernel']}", found["version"])
        part = CACHE / "system.part"
        for path in [part, *CACHE.glob("system-*")]:
            run(["rm", "-rf", "--one-file-system", path])
        with step("making a Debian 13 system with mmdebstrap"):
            debian.bootstrap(part, PACKAGES)
            for name, text in CONFIGURATION.items():
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            chroot(part, "systemctl", "enable", PROGRAM)
            shutil.copy(image, part / "var/tmp/kernel.deb")
            chroot(part, "dpkg", "-i", "/var/tmp/kernel.deb")		# makes the initramfs, too
            (part / "var/tmp/kernel.deb").unlink()
        replace_tree(part, target)
    return target


def vfio_modules(root, release):
    """Where modprobe finds the modules there, and which of them are in its initramfs."""
    found = {name: chroot(root, "modinfo", "-k", release, "-n", name).strip().partition(f"/{release}/")[2]
             for name in build.PRODUCT if name != "iommufd"}		# which the kernel has built in
    listing = chroot(root, "lsinitramfs", f"/boot/initrd.img-{release}")
    early = set(re.findall(r"(?m)modules/[^/]+/(\S*/(?:vfio\S*|iommufd)\.ko\S*)$", listing))
    return found, early


def bring(root, release, vfioctl=False):
    """Have there what 'make install' needs."""
    names = {name: REPO / name for name in ("Makefile", "packaging", f"build/modules/{release}")}
    if vfioctl:
        built = "build/tools/vfioctl", "build/tools/vfioctl.8", "tools/vfioctl/vfioctl.bash"
        names |= {name: CLONE / "repo" / name for name in built}
    for name, source in names.items():
        target = root / HOME[1:] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        run(["cp", "-r", source, target])


def install(root, release):
    """'make install' there; gives problems."""
    bring(root, release, vfioctl=True)
    chroot(root, "make", "-s", "-C", HOME, "install", f"KREL={release}")
    found, early = vfio_modules(root, release)
    wanted = {name: f"updates/{name}.ko" for name in found}
    problems = [] if found == wanted else [f"modprobe finds {found}"]
    missing = {f"updates/{name}.ko" for name in build.PRODUCT if name != "mdev"} - early
    problems += [f"not in the initramfs: {missing}"] if missing else []
    return problems


def uninstall(root, release):
    """'make uninstall' there; gives problems."""
    chroot(root, "make", "-s", "-C", HOME, "uninstall", f"KREL={release}")
    found, early = vfio_modules(root, release)
    problems = [f"modprobe finds {path}" for path in found.values() if not path.startswith("kernel/drivers/vfio/")]
    problems += [f"in the initramfs: {path}" for path in early if not path.startswith("kernel/drivers/vfio/")]
    problems += [] if early else ["no vfio modules are in the initramfs"]
    problems += [f"there is still {path.relative_to(root)}" for folder in ("etc/modprobe.d", "etc/udev/rules.d")
                 for path in (root / folder).glob("*iommufd*")]
    return problems


def boot(disk, initramfs, name, *more):
    """Boot it with devices, one of them behind a port, and more of them."""
    return guest.boot_once(guest.Options(
        disk=disk, kept=True, initramfs=initramfs, memory="1G", append="vfio_iommu_type1.disable_hugepages=1", timeout=900, name=name,
        devices=["edu", "edu", "nvme", "pcie-root-port,id=port0,chassis=1,slot=1,addr=10,x-speed=2_5", "nvme,bus=port0,addr=0", *more]))


def installed():
    """Gives (what is tested, problems), and (when, result) of each boot."""
    release = debian.versions()["kernel"]
    build.modules()
    build.userspace()
    build.tools(build.mirror())
    home = CLONE / "system"
    root, image = home / "root", home / "disk"
    run(["rm", "-rf", "--one-file-system", home])
    home.mkdir(parents=True)
    try:
        source = base()
        with lock("system", shared=True):
            run(["cp", "-a", "--reflink=auto", source, root])
        yield "make install, with vfio modules in the initramfs", install(root, release)
        shutil.copy(HERE / "guest" / PROGRAM, root / "usr/local/sbin")
        shutil.copy(CLONE / "repo/build/tools/vfio-edu", root / "usr/local/bin")
        run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, SIZE], stdout=subprocess.DEVNULL)
        yield "after a reboot", boot(image, root / f"boot/initrd.img-{release}", "check-installed")
        # The disk as the first boot left it, and the initramfs that it made
        initramfs = home / "initramfs"
        run(["debugfs", "-R", f"dump /boot/initrd.img-{release} {initramfs}", image], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        # Another port takes the number of the bus behind the first one.
        yield "after vfioctl persist and another reboot", boot(
            image, initramfs, "check-persisted", "pcie-root-port,id=port1,chassis=2,slot=2,addr=f,x-speed=2_5")
        yield "make uninstall, with vfio modules in the initramfs", uninstall(root, release)
    finally:
        run(["rm", "-rf", "--one-file-system", home])
