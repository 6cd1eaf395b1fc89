# SPDX-License-Identifier: GPL-2.0-only
"""
Guests with an Arm processor: a Debian 13 for arm64 as their root, of which nothing runs on the host, and how programs are built for
it, by the cross compiler of the Debian root.
"""

import shutil

import debian
from util import ROOT, SRV, digest, inside, lock, replace_tree, run, step

CROSS = "aarch64-linux-gnu-"
CROSS_PACKAGES = ["gcc-aarch64-linux-gnu"]
QEMU_PACKAGES = ["qemu-system-arm"]
# What a guest runs, libraries for the programs that are built for it, and clients: a QEMU for x86, as our boot sector is
GUEST_PACKAGES = """
    base-files base-passwd bash busybox-static coreutils dash diffutils findutils grep kmod libc-bin mawk mount pciutils procps
    psmisc python3 python3-jsonschema sed strace udev util-linux
    libblkid-dev libc6-dev libcap-dev libjansson-dev libkmod-dev libmount-dev libpci-dev libsmartcols-dev libtraceevent-dev
    libtracefs-dev libudev-dev
    binutils-x86-64-linux-gnu dpdk-dev ipxe-qemu qemu-system-x86 seabios
""".split()
# What their maintainer scripts would do, which do not run here
LINKS = {"usr/bin/sh": "dash", "usr/bin/awk": "mawk", "usr/bin/which": "which.debianutils"}


def root():
    """The directory of a Debian 13 for arm64 that guests have as their root, made once: its packages unpacked, not set up."""
    target = SRV / f"root-arm64-{digest(GUEST_PACKAGES, LINKS)}"
    with lock("root-arm64"):
        if target.exists():
            return target
        debian.root()
        part = SRV / "root-arm64.part"
        if part.exists():
            run(["rm", "-rf", "--one-file-system", part])
        with step("unpacking Debian 13 for arm64 (about 500 MB)"):
            debian.bootstrap(part, GUEST_PACKAGES, "--variant=extract", "--architectures=arm64")
        for name in ("passwd", "group", "nsswitch.conf"):
            shutil.copy(ROOT / "etc" / name, part / "etc" / name)
        for name, goal in LINKS.items():
            if not (part / name).exists():
                (part / name).symlink_to(goal)
        for name in ("dev", "lib/modules", "proc", "repo", "root", "run/lock", "srv", "sys", "tmp", "vm/out"):
            (part / name).mkdir(parents=True, exist_ok=True)
        replace_tree(part, target)
    return target


def cross_make(folder):
    """Variables for a make of programs that such a guest runs."""
    sysroot = inside(root())
    debian.root(CROSS_PACKAGES)
    lib = f"{sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig:{sysroot}/usr/share/pkgconfig"
    return ["env", f"PKG_CONFIG_LIBDIR={lib}", f"PKG_CONFIG_SYSROOT_DIR={sysroot}", "make", "-C", folder,
            f"CROSS_COMPILE={CROSS}", f"AR={CROSS}ar", f"CC={CROSS}gcc --sysroot={sysroot}"]
