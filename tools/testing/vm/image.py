# SPDX-License-Identifier: GPL-2.0-only
"""What a guest boots: a kernel with its modules, an initramfs, and the directory that it sees."""

import contextlib
import lzma
import os
import re
import shlex
import shutil
import stat
import struct

import arm64
import build
import debian
import kernels
from machine import MACHINES, addresses
from util import BUILD, CLONE, HERE, ROOT, SRV, chroot, digest, inside, lock, replace_tree, run, step

# Modules of the stock kernel that guests get, with all that they depend on.
STOCK_MODULES = """
    9p 9pnet_virtio overlay loop virtio_blk ext4 crc32c_generic
    nvme e1000e igb igbvf virtio_net virtio_iommu uio_pci_generic
    vfio vfio-pci vfio_iommu_type1 mdev kvm kvm-amd kvm-intel tun bridge vhost_net udmabuf
    mlx5_core intel_qat raid1 dm_mod bochs
""".split()
# The root's virtio device waits for the IOMMU that it is behind.
BOOT_MODULES = ["virtio_iommu", "9pnet_virtio", "9p", "overlay"]
APPLETS = "sh cat grep insmod mount umount mkdir ln ifconfig switch_root".split()


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


def packaged(name="stock"):
    """A kernel of a package: image, configuration and the modules that guests want, unpacked."""
    if name == "stock":
        found = debian.versions()
        release, at, packages = found["kernel"], debian.APT, [(f"linux-image-{found['kernel']}", found["version"])]
    else:
        release, at, found = debian.packaged_kernel(kernels.KERNELS[name])
        packages = found = found["image"]
    target = SRV / f"{name}-{digest(found, STOCK_MODULES, build.NINE_P, 'kernel')}"
    with lock(name):
        if target.exists():
            return target
        debian.root()
        debs = [debian.package(*package, at=at) for package in packages]
        with step(f"unpacking the {name} kernel {release}"):
            part = SRV / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            package = part / "package"
            package.mkdir(parents=True)
            for deb in debs:
                run(["dpkg-deb", "-x", deb, package], f"unpacking the {name} kernel")
            # Older kernels have modules below /lib, newer ones everything but those below /boot.
            modules = next(package.glob(f"**/lib/modules/{release}/kernel")).parent
            if (package / f"boot/vmlinuz-{release}").exists():
                packed, config = (package / f"boot/{file}-{release}" for file in ("vmlinuz", "config"))
            else:
                packed, config = modules / "vmlinuz", modules / "config"
            if kernels.KERNELS[name].arch == "arm64":
                shutil.copy(packed, part / "kernel")	# QEMU takes it as it is
            else:
                unpack_kernel(packed, part / "kernel")
            shutil.copy(config, part / "config")
            (part / "release").write_text(release)
            available = {p.name.split(".")[0].replace("-", "_"): p for p in modules.rglob("*.ko*")}
            if not re.search("^CONFIG_9P_FS=", (part / "config").read_text(), re.M):
                available.update((path.stem, path) for path in build.nine_p(name))
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


def bootable(name):
    """A kernel of the table, of a package or built."""
    return packaged(name) if kernels.KERNELS[name].package else build.kernel(name)


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


def initramfs(kernel, target, root=ROOT):
    """The smallest thing that mounts the real root, with the busybox of that one."""
    entries = [(name, stat.S_IFDIR | 0o755, b"", (0, 0)) for name in ("bin", "dev", "proc", "layer", "modules")]
    entries += [
        ("bin/busybox", stat.S_IFREG | 0o755, (root / "usr/bin/busybox").read_bytes(), (0, 0)),
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


def guest_root(arch):
    """The Debian 13 that a guest of an architecture has as its root."""
    return arm64.root() if arch == "arm64" else debian.root()


def prepare(opts, kernel, folder):
    """Fill the directory that the guest sees: a snapshot, so that later builds cannot disturb the run."""
    release = (kernel / "release").read_text().strip()
    (folder / "out").mkdir(parents=True)
    arch = kernels.KERNELS[opts.kernel].arch
    mirror = build.mirror(arch)
    with lock(f"{CLONE.name}-build", shared=True):
        run(["cp", "-al", mirror, folder / "repo"])
    modules = folder / "modules" / release
    if (kernel / "modules" / release).exists():
        (folder / "modules").mkdir()
        run(["cp", "-al", kernel / "modules" / release, modules])
    else:
        modules.mkdir(parents=True)
    if opts.modules and not kernels.KERNELS[opts.kernel].in_tree:
        (modules / "updates").mkdir()
        kind = "modules-variants" if opts.variants else "modules-test" if opts.test_modules else "modules"
        built = BUILD / kind / release
        for path in sorted(built.glob("*.ko")):
            shutil.copy(path, modules / "updates" / path.name)
    # depmod wants lib/modules below its base directory
    (folder / "base/lib").mkdir(parents=True)
    (folder / "base/lib/modules").symlink_to("../../modules")
    chroot(["depmod", "-b", inside(folder / "base"), release], what="depmod")
    lines = [f"{key}={shlex.quote(str(value))}" for key, value in {
        "VM_KERNEL": opts.kernel, "VM_IOMMU": opts.iommu, "VM_SHELL": int(opts.shell),
        "VM_CONSOLE": MACHINES[arch].console, "VM_KMEMLEAK": int(opts.kmemleak), **addresses(opts.devices), **opts.env}.items()]
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
    initramfs(kernel, folder / "initramfs", guest_root(arch))
