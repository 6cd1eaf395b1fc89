# SPDX-License-Identifier: GPL-2.0-only
"""Modules, source trees, kernels and test programs, all built in the Debian root with its compiler."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import arm64
import debian
from kernels import KERNELS
from util import (BUILD, CLONE, HERE, JOBS, REPO, ROOT, SRV, Fail, chroot, chroot_argv, digest, follow_us, inside, lock,
                  output, replace_tree, repo_files, run, say, step, sync, synced, write_if_changed)

# What our sources take the place of; it is never extracted.
REPLACED = ["drivers/iommu/iommufd", "drivers/vfio",
            *[f"include/linux/{name}.h" for name in ("iommufd", "vfio", "vfio_pci_core", "mdev")],
            "include/uapi/linux/iommufd.h"]
# Drivers of others inside drivers/vfio, to be compiled against our headers when a check asks for them.
VARIANTS = ["pci/hisilicon", "pci/mlx5", "pci/nvgrace-gpu", "pci/pds", "pci/qat", "pci/virtio",
            "fsl-mc", "cdx"]
# Those that compile on this architecture, by directory: the Kconfig symbols that they take.
VARIANT_SYMBOLS = {
    "drivers/vfio/pci/hisilicon": ["HISI_ACC_VFIO_PCI"],
    "drivers/vfio/pci/mlx5": ["MLX5_VFIO_PCI"],
    "drivers/vfio/pci/nvgrace-gpu": ["NVGRACE_GPU_VFIO_PCI"],
    "drivers/vfio/pci/pds": ["PDS_VFIO_PCI"],
    "drivers/vfio/pci/qat": ["QAT_VFIO_PCI"],
    "drivers/vfio/pci/virtio": ["VIRTIO_VFIO_PCI"],
    "drivers/vfio/fsl-mc": ["VFIO_FSL_MC"],
    "drivers/vfio/cdx": ["VFIO_CDX"],
    "samples/vfio-mdev": [f"SAMPLE_VFIO_MDEV_{name}" for name in ("MTTY", "MDPY", "MDPY_FB", "MBOCHS")],
}
# Of ours, what is for other architectures only and compiles on this one all the same
NOT_ON_X86 = ["PLATFORM_BASE", "PLATFORM", "AMBA", "PLATFORM_VIRTIO_MMIO_RESET"]
# What a guest has its root by
NINE_P = ("net/9p", "fs/9p")
SAMPLES = "samples/vfio-mdev"
# The one header of mainline's iommufd that is ABI: the ioctls of the mock IOMMU, which test programs use.
MOCK_ABI = "drivers/iommu/iommufd"
ASIDE = [f"drivers/vfio/{name}" for name in VARIANTS] + [f"{MOCK_ABI}/iommufd_test.h"]
# Of a newer kernel, whose selftests are run as well
NEWER_SELFTESTS = [f"{MOCK_ABI}/iommufd_test.h",
                   *[f"tools/testing/selftests/{name}" for name in ("iommu", "vfio", "lib.mk", "kselftest*")],
                   *[f"include/uapi/linux/{name}.h" for name in ("iommufd", "pci_regs", "vfio")],
                   "include/linux/pci_ids.h", "scripts/subarch.include", "tools/arch/x86/include", "tools/include",
                   *[f"drivers/dma/{name}.h" for name in ("idxd/registers", "ioat/hw", "ioat/registers")],
                   "drivers/net/ethernet/intel/igb/*.h"]
LAID_OVER = ("drivers", "include")
PRIVATE_HEADER = "drivers/iommu/iommu-priv.h"
# Our Makefiles in a kernel tree whose style is older than that of our sources have this line.
TREE_COMPAT = b"include $(srctree)/compat/tree.mk\n\n"
# The modules that are built and installed, a line for each; 'make install' and the package read it, too.
PRODUCT = (REPO / "packaging/modules").read_text().split()


def pristine():
    """The kernel source of the Debian package, without what ours replaces."""
    found = debian.versions()
    return extracted(found["series"], found["version"], debian.APT, {"aside": aside()})


def newest_version():
    """Series and version of the newest kernel that there is a source of up to that of our ABI."""
    return list(debian.newer_sources().items())[-1]


def newest():
    """The same of that kernel, whose style our sources have."""
    series, version = newest_version()
    return extracted(series, version, debian.APT_NEWER)


def extracted(series, version, at, besides=None):
    """A kernel source without what ours replaces, and besides what stays out of it; at is the apt that has the package."""
    debian.root()
    target = SRV / f"linux-{version}"
    with lock("source"):
        if target.exists():
            return target
        top = f"linux-source-{series}"
        deb = debian.package(top, version, at=at)
        part = SRV / "linux.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with step(f"extracting the kernel source {version}, without {', '.join(REPLACED[:2])}"):
            run(["dpkg-deb", "-x", deb, part / "deb"], "unpacking the kernel source package")
            archive = part / f"deb/usr/src/{top}.tar.xz"
            choices = {"tree": [f"--exclude={top}/{n}" for n in REPLACED], "aside": [f"{top}/{n}" for n in ASIDE]}
            for name in ("tree", *(besides or ())):
                (part / name).mkdir()
                chroot(["tar", "-xf", inside(archive), "-C", inside(part / name), "--strip-components=1", *choices[name]],
                       what="extracting the kernel source")
        for name, place in (besides or {}).items():
            replace_tree(part / name, place)
        replace_tree(part / "tree", target)
        shutil.rmtree(part)
    return target


def aside():
    """Parts of the kernel source that are not in its tree and that checks lay beside ours."""
    return SRV / f"aside-{debian.versions()['version']}"


def with_compat(name, data):
    """What a file of ours is in the kernel tree."""
    return TREE_COMPAT + data if name.parts[0] == "drivers" and name.name == "Makefile" else data


def newest_tree():
    """The same of the newest kernel, which needs no bridge."""
    return overlaid(newest(), "tree-newest")


def tree(variants=False):
    """This clone's source tree: the kernel's with ours and what bridges the two laid over it. Incremental."""
    return overlaid(pristine(), "tree", ["compat"], with_compat, variants)


def with_wide_registers(target):
    """
    Have User-mode Linux of that tree keep all registers of a processor with AMX: those take 11008 bytes, and where there is room for
    fewer, ptrace() of a newer host refuses to set any, so that init dies.
    """
    path = target / "arch/x86/um/user-offsets.c"
    text = path.read_text()
    wide = text.replace("DEFINE_LONGS(HOST_FP_SIZE, 2696);", "DEFINE_LONGS(HOST_FP_SIZE, 12288);")
    if wide != text:
        path.unlink()		# a hard link
        path.write_text(wide)


def overlaid(source, label, more=(), change=None, variants=False):
    """A kernel source with ours laid over it, as a tree of this clone: more directories of ours, changed as sync() does."""
    target = CLONE / label
    origin = CLONE / f"{label}.origin"
    with lock(f"{CLONE.name}-{label}"):
        if not target.exists() or not origin.exists() or origin.read_text() != source.name:
            CLONE.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            with step("making this clone's source tree (hard links)"):
                run(["cp", "-al", source, target], "copying the source tree")
            origin.write_text(source.name)
        before = synced(target)
        sync(repo_files(*more, *LAID_OVER), target, change)
        with_wide_registers(target)
        for name in before - synced(target):		# a header of the kernel that ours stood in for until now
            if (source / name).exists():
                os.link(source / name, target / name)
        for name in VARIANTS:
            here = target / "drivers/vfio" / name
            if variants and not here.exists():
                here.parent.mkdir(parents=True, exist_ok=True)
                run(["cp", "-al", aside() / "drivers/vfio" / name, here])
            elif not variants and here.exists():
                shutil.rmtree(here)
    return target


def mainline_tree(newest_source=False):
    """A kernel source as it is in Debian's package. It is for measuring beside ours only, and not for reading."""
    if newest_source:
        source, at = newest(), debian.APT_NEWER
        series, version = newest_version()
    else:
        source, at = pristine(), debian.APT
        series, version = debian.versions()["series"], debian.versions()["version"]
    target = SRV / f"mainline-{version}"
    with lock("mainline-tree"):
        if target.exists():
            return target
        part = SRV / "mainline.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        top = f"linux-source-{series}"
        with step("extracting what ours replaces, for the kernel that is measured beside ours"):
            run(["dpkg-deb", "-x", debian.package(top, version, at=at), part / "deb"], "unpacking the kernel source package")
            run(["cp", "-al", source, part / "tree"], "copying the source tree")
            chroot(["tar", "-xf", inside(part / f"deb/usr/src/{top}.tar.xz"), "-C", inside(part / "tree"),
                    "--strip-components=1", *[f"{top}/{name}" for name in REPLACED]], what="extracting the kernel source")
        replace_tree(part / "tree", target)
        shutil.rmtree(part)
    return target


def source_tree(config):
    """The source tree that a kernel of that configuration is built in."""
    if config.mainline:
        return mainline_tree(config.newest)
    return newest_tree() if config.newest else tree()


def tree_key():
    """A hash of everything of ours that a kernel is built from."""
    parts = []
    for name in sorted(repo_files("compat", *LAID_OVER)):
        with contextlib.suppress(OSError):
            parts += [str(name), (REPO / name).read_bytes()]
    return digest(*parts)


def make_argv(name, out, *goals):
    argv = ["nice", "make", f"-j{JOBS}", f"ARCH={KERNELS[name].arch}", f"O={out}", *goals]
    if KERNELS[name].arch == "arm64":
        argv.append(f"CROSS_COMPILE={arm64.CROSS}")
    if KERNELS[name].arch == "um":
        # The C library runs constructors, as KASAN makes one for global variables, before there is a task to count for.
        argv.append("CFLAGS_KCOV=-fsanitize-coverage=trace-pc --param asan-globals=0")
    return argv


def long_make(argv, cwd, what, with_proc=False):
    """
    A make that takes minutes: its output goes to a file in build/, to the terminal only how far it is and what
    concerns our sources. What it runs finds a /proc if asked for.
    """
    argv = chroot_argv(argv, cwd)
    if with_proc:
        argv = ["unshare", "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec "$@"', str(ROOT), *argv]
    log = BUILD / "logs" / (re.sub(r"\W+", "-", what) + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    ours = re.compile(r"drivers/(iommu/iommufd|vfio)/.*(warning|error)|\*\*\*|\berror:")
    files, told = 0, time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               preexec_fn=follow_us(), errors="replace", text=True)
    try:
        with open(log, "w") as copy:
            for line in process.stdout:
                copy.write(line)
                files += bool(re.match(r"  (CC|AS)\b", line))
                if ours.search(line):
                    sys.stderr.write(line)
                if time.monotonic() > told + 20:
                    told = time.monotonic()
                    say(f"  {what}: {files} files compiled")
        process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if process.returncode:
        sys.stderr.write("".join(log.read_text().splitlines(True)[-15:]))
        raise Fail(f"{what} failed; all of its output: {log.relative_to(REPO)}")
    return log


def configure(name, source, out):
    """tinyconfig plus the fragments; complains about what Kconfig refused."""
    fragments = [HERE / "config" / f for f in KERNELS[name].fragments]
    wanted = "\n".join(f.read_text() for f in fragments)
    ours = [p.read_text() for p in map(source.joinpath, repo_files("drivers")) if p.name == "Kconfig" and p.exists()]
    if "CONFIG_KUNIT=y" in wanted:
        suites = [suite for text in ours for suite in re.findall(r"(?m)^config (\w*KUNIT\w*)", text)]
        wanted += "".join(f"\nCONFIG_{suite}=y" for suite in suites)
    stamp = source / out / ".config.wanted"
    kconfigs = digest(wanted, *ours)
    if stamp.exists() and stamp.read_text() == kconfigs:
        return
    chroot(make_argv(name, out, "-s", "tinyconfig"), cwd=inside(source), what="make tinyconfig", stdout=2)
    config = source / out / ".config"
    # Later lines win; kconfig would tell of each.
    keys = {}
    for line in (config.read_text() + wanted).splitlines():
        match = re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set)", line)
        if match:
            keys[match.group(1)] = line
    config.write_text("\n".join(keys.values()) + "\n")
    chroot(make_argv(name, out, "-s", "olddefconfig"), cwd=inside(source), what="make olddefconfig", stdout=2)
    got = set(config.read_text().splitlines())
    refused = [line for line in dict.fromkeys(wanted.splitlines())
               if re.match(r"CONFIG_\w+=", line) and keys[line.split("=")[0]] == line and line not in got]
    if refused:
        say(f"configuration '{name}': not to be had: {' '.join(refused)}")
    stamp.write_text(kconfigs)


def kernel(name, goals=()):
    """Build a kernel from source; gives the directory with its image. Kept under a hash of what went into it."""
    config, product = KERNELS[name], KERNELS[name].product
    version = newest_version()[1] if config.newest else debian.versions()["version"]
    debian.root(arm64.CROSS_PACKAGES if config.arch == "arm64" else [])
    key = digest(name, product, "kernel", version, *[HERE / "config" / f for f in config.fragments],
                 "" if config.mainline else tree_key())
    done = SRV / "kernels" / f"{name}-{key}"
    if done.exists() and not goals:
        os.utime(done)
        return done
    out = f"o-{name}"
    with lock("kernel-build"), step(f"building the {name} kernel (from nothing 5 to 10 minutes on two cores)"):
        if done.exists() and not goals:		# another part of a check wanted it, too
            return done
        source = source_tree(config)
        (source / out).mkdir(exist_ok=True)
        configure(name, source, out)
        if goals:
            long_make(make_argv(name, out, *goals), inside(source), f"make {' '.join(goals)}")
            return source / out
        image = [os.path.basename(product), *(["modules"] if config.modular else [])]
        # 7.3's objtool asks it how large its stack may be.
        long_make(make_argv(name, out, *image), inside(source), f"building the {name} kernel", with_proc=config.newest)
        part = done.with_name(done.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copy2(source / out / product, part / "kernel")
        shutil.copy2(source / out / ".config", part / "config")
        release = (source / out / "include/config/kernel.release").read_text().strip()
        (part / "release").write_text(release)
        if config.arch != "um":
            modules = part / "modules" / release
            modules.mkdir(parents=True)
            for listing in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(source / out / listing, modules / listing)
            (modules / "modules.order").touch()		# which 7.3 does not make for a kernel without modules
        if config.modular:
            for path in (source / out).rglob("*.ko"):
                target = modules / "kernel" / path.relative_to(source / out)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
            # What packages of headers have
            shutil.copytree(source / out, part / "build", symlinks=True, ignore=shutil.ignore_patterns(
                "*.o", "*.a", "*.ko", "*.cmd", "*.mod", "*.mod.c", "vmlinux*", "bzImage", ".tmp_*"))
        replace_tree(part, done)
    older = sorted(SRV.glob(f"kernels/{name}-*"), key=lambda p: p.stat().st_mtime)
    for path in older[:-6]:
        shutil.rmtree(path, ignore_errors=True)
    return done


def inspect():
    """Compile our directories in-tree, as modules, with W=1, and have sparse read them; gives the log of it."""
    debian.root()
    out = "o-check"
    with lock("kernel-build"):
        source = tree()
        (source / out).mkdir(exist_ok=True)
        configure("check", source, out)
        long_make(make_argv("check", out, "prepare", "scripts"), inside(source), "preparing the in-tree check")
        # sparse runs with the compiler; what did not change since is read again all the same.
        symbols = [f"CONFIG_VFIO_{symbol}=m" for symbol in NOT_ON_X86]
        argv = make_argv("check", out, "W=1", "C=2", *symbols, "drivers/iommu/iommufd/", "drivers/vfio/")
        return long_make(argv, inside(source), "in-tree W=1 and sparse")


def in_newest(name):
    """
    Compile the directories of iommufd, of IOMMU drivers and of VFIO in the newest source, with W=1; gives the log and where the
    objects are.
    """
    debian.root(arm64.CROSS_PACKAGES if KERNELS[name].arch == "arm64" else [])
    out = f"o-{name}"
    with lock("kernel-build"):
        source = newest_tree()
        (source / out).mkdir(exist_ok=True)
        configure(name, source, out)
        long_make(make_argv(name, out, "prepare", "scripts"), inside(source), f"preparing {name}")
        for goal in ("drivers/iommu/iommufd", "drivers/vfio"):		# what is up to date warns of nothing
            shutil.rmtree(source / out / goal, ignore_errors=True)
        log = long_make(make_argv(name, out, "W=1", "drivers/iommu/", "drivers/vfio/"), inside(source), f"{name}, W=1")
    return log, source / out


def variants():
    """Compile the kernel's other VFIO drivers, unmodified, against our headers; gives the log of it."""
    debian.root()
    out = "o-check"
    with lock("kernel-build"):
        source = tree(variants=True)
        try:
            (source / out).mkdir(exist_ok=True)
            configure("check", source, out)
            long_make(make_argv("check", out, "prepare", "scripts"), inside(source), "preparing the in-tree check")
            symbols = [f"CONFIG_{symbol}=m" for names in VARIANT_SYMBOLS.values() for symbol in names]
            goals = [f"{folder}/" for folder in VARIANT_SYMBOLS]
            for goal in goals:		# what is up to date warns of nothing
                shutil.rmtree(source / out / goal, ignore_errors=True)
            return long_make(make_argv("check", out, *symbols, *goals), inside(source), "other VFIO drivers")
        finally:
            tree()


def mirror(arch="x86_64"):
    """The repo as the chroot and the guest see it; what is built there for guests of that kind stays between calls."""
    debian.root()
    with lock(f"{CLONE.name}-build"):
        target = CLONE / ("repo" if arch == "x86_64" else f"repo-{arch}")
        target.mkdir(parents=True, exist_ok=True)
        sync(repo_files(), target)
    return target


def kernel_directory(name):
    """The release of a kernel that modules are built for, and what tells make where its headers are."""
    if KERNELS[name].modular:
        made = kernel(name)
        return (made / "release").read_text(), ["-C", inside(mainline_tree()), f"O={inside(made)}/build"]
    if KERNELS[name].native:
        release, _, _ = debian.packaged_kernel(KERNELS[name])
    else:
        release = debian.versions()["kernel"] if name == "stock" else debian.headers(KERNELS[name])
    return release, ["-C", f"/usr/src/linux-headers-{release}"]


def modules(werror=False, test=False, kernel="stock"):
    """
    External modules for a kernel of a package, in build/modules/RELEASE; with the mock IOMMU, other drivers that are for
    tests only and, for the stock kernel, the kernel's samples, in build/modules-test/RELEASE.
    """
    kind = "modules-test" if test else "modules"
    debian.root()
    place = kind if kernel == "stock" else f"{kind}-{kernel}"
    release, where = kernel_directory(kernel)
    root = debian.native_root(KERNELS[kernel]) if KERNELS[kernel].native else ROOT
    with lock(f"{CLONE.name}-{place}"):
        here = root / CLONE.relative_to(ROOT) / place
        here.mkdir(parents=True, exist_ok=True)
        sync(repo_files("Kbuild", "compat", *LAID_OVER), here)
        argv = ["nice", "make", f"-j{JOBS}", "-s", *where, f"M={inside(here, root)}", "modules"]
        if werror:
            argv += ["W=1", "KCFLAGS=-Werror"]
        if test:
            argv.append("IOMMUFD_TEST=y")
        if test and not werror and kernel == "stock":
            sample = here / SAMPLES
            sample.mkdir(parents=True, exist_ok=True)
            for path in (pristine() / SAMPLES).iterdir():
                write_if_changed(sample / path.name, path.read_bytes())
            argv += ["VFIO_SAMPLES=m", "CONFIG_SAMPLE_VFIO_MDEV_MTTY=m", "CONFIG_SAMPLE_VFIO_MDEV_MDPY=m"]
        chroot(argv, what=f"building the modules for {release}", root=root, stdout=2)
        target = BUILD / kind / release
        target.mkdir(parents=True, exist_ok=True)
        built = {path.name: path for path in here.glob("**/*.ko")}
        for path in target.glob("*.ko"):
            if path.name not in built:
                path.unlink()
        for name, path in built.items():
            write_if_changed(target / name, path.read_bytes())
    return target


def nine_p(name):
    """
    The modules of 9p, by which a guest has its root, for a packaged kernel that comes without, as Debian's for clouds do: from
    the kernel's source that is nearest.
    """
    release, where = kernel_directory(name)
    source = pristine() if release.startswith(debian.versions()["series"]) else newest()
    here = CLONE / f"9p-{name}"
    with lock(here.name), step(f"building 9p for {release}"):
        for folder in NINE_P:
            place = here / folder
            place.mkdir(parents=True, exist_ok=True)
            for path in (source / folder).iterdir():
                write_if_changed(place / path.name, path.read_bytes())
        write_if_changed(here / "Kbuild", "".join(f"obj-m += {folder}/\n" for folder in NINE_P).encode())
        chroot(["nice", "make", f"-j{JOBS}", "-s", *where, f"M={inside(here)}", "CONFIG_NET_9P=m", "CONFIG_NET_9P_VIRTIO=m",
                "CONFIG_9P_FS=m", "modules"], what=f"building 9p for {release}", stdout=2)
    return list(here.rglob("*.ko"))


def variant_modules(kernel="stock"):
    """What 'make variants' builds for a kernel, ours among it, in build/modules-variants/RELEASE."""
    debian.root()
    if kernel == "stock":
        found = debian.versions()
        series, version, at = found["series"], found["version"], debian.APT
    else:
        (series, version), at = newest_version(), debian.APT_NEWER
    release, _ = kernel_directory(kernel)
    here, name = CLONE / f"variants-{kernel}", f"linux-source-{series}"
    with lock(f"{CLONE.name}-{here.name}"):
        place, source = here / "repo", here / version
        place.mkdir(parents=True, exist_ok=True)
        sync(repo_files("Makefile", "Kbuild", "VERSION", "packaging", "compat", *LAID_OVER), place)
        if not source.exists():
            run(["dpkg-deb", "-x", debian.package(name, version, at=at), here / "part"], "unpacking the kernel source package")
            replace_tree(here / "part", source)
        chroot(["nice", "make", f"-j{JOBS}", "-s", "-C", inside(place), "variants",
                f"KDIR=/usr/src/linux-headers-{release}", f"LINUX_SOURCE={inside(source)}/usr/src/{name}.tar.xz"],
               what=f"make variants for {release}", stdout=2)
        target = BUILD / "modules-variants" / release
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(place / "build/modules" / release, target)
    return target


def newer_selftests():
    """
    Place of what mainline's selftests of iommufd and VFIO need, from the source of each newer kernel that debian.newer_sources()
    gives, by series. Fail says why they are not to be had.
    """
    debian.root()
    places, sources = {}, debian.newer_sources()
    for series, version in sources.items():
        try:
            places[series] = newer_selftest(series, version)
        except Fail:			# the suites that it comes from change every week
            if debian.newer_sources(update=True) == sources:
                raise
            return newer_selftests()
    return places


def newer_selftest(series, version):
    """The same of one source package."""
    target = SRV / f"selftests-{version}-{digest(NEWER_SELFTESTS)}"
    with lock("newer-selftests"):
        if not target.exists():
            name = f"linux-source-{series}"
            deb = debian.package(name, version, at=debian.APT_NEWER)
            part = SRV / "selftests.part"
            shutil.rmtree(part, ignore_errors=True)
            (part / "tree").mkdir(parents=True)
            with step(f"extracting mainline's selftests of {series}"):
                run(["dpkg-deb", "-x", deb, part / "deb"], "unpacking the kernel source package")
                chroot(["tar", "-xf", inside(part / f"deb/usr/src/{name}.tar.xz"), "-C", inside(part / "tree"),
                        "--strip-components=1", "--wildcards", *[f"{name}/{path}" for path in NEWER_SELFTESTS]],
                       what="extracting mainline's selftests")
            replace_tree(part / "tree", target)
            shutil.rmtree(part)
    return target


def harness(source, target):
    """The kernel's harness for selftests, in a directory of its own, with time limits that VM_PATIENCE makes longer. Is it new?"""
    header = source / "tools/testing/selftests/kselftest_harness.h"
    text = output(["sed", "-E", "-f", REPO / "tools/testing/selftests/patience.sed", header], "changing the selftests' harness")
    if "t->timeout * harness_patience()" not in text:
        raise Fail(f"{header} has its time limits in another form")
    new = not (target / header.name).exists() or (target / header.name).read_text() != text
    write_if_changed(target / header.name, text)
    return new


def private_header(kernel):
    """Release and text of the IOMMU core's private header, of a kernel of the table: its source has it, its headers do not."""
    debian.root()
    if kernel == "stock":
        return debian.versions()["kernel"], (pristine() / PRIVATE_HEADER).read_text()
    release, at, packages = debian.packaged_kernel(KERNELS[kernel])
    version = packages["image"][0][1]
    kept = SRV / "private-headers" / f"{version}.h"
    with lock("private-headers"):
        if not kept.exists():
            name = f"linux-source-{'.'.join(release.split('.')[:2])}"
            deb = debian.package(name, version, at=at)
            part = SRV / "private.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            with step(f"extracting {PRIVATE_HEADER} of {release}"):
                run(["dpkg-deb", "-x", deb, part / "deb"], "unpacking the kernel source package")
                chroot(["tar", "-xf", inside(part / f"deb/usr/src/{name}.tar.xz"), "-C", inside(part),
                        "--strip-components=1", f"{name}/{PRIVATE_HEADER}"], what=f"extracting {PRIVATE_HEADER}")
            kept.parent.mkdir(exist_ok=True)
            write_if_changed(kept, (part / PRIVATE_HEADER).read_bytes())
            shutil.rmtree(part)
    return release, kept.read_text()


def make(folder, arch="x86_64"):
    """Command line of a make of programs in a directory of the Debian root, for guests of that architecture."""
    argv = arm64.cross_make(folder) if arch == "arm64" else ["make", "-C", folder]
    return [*argv, f"-j{JOBS}", "-s"]


def userspace(newer=None, arch="x86_64"):
    """
    The programs of tools/ and the selftests, built where a guest finds them below /repo; gives the selftests as
    (directory, program) pairs. With what newer_selftests() gives also those. Mainline's are for x86 only.
    """
    tests = []
    source = pristine()
    here = mirror(arch)
    with lock(f"{CLONE.name}-build"):
        tools(here, arch)
        patient = here / "build/harness"
        new = harness(source, patient)
        for makefile in sorted(here.glob("tools/testing/selftests/*/Makefile")):
            folder = makefile.parent
            if arch != "x86_64" and folder.name == "mainline":
                continue
            argv = [*make(inside(folder), arch), f"COLLECTION={folder.name}",
                    f"KSFT_DIR={inside(source)}/tools/testing/selftests", f"MOCK_ABI_DIR={inside(aside())}/{MOCK_ABI}"]
            if newer:
                argv.append("MAINLINE=" + " ".join(f"{series}={inside(place)}" for series, place in newer.items()))
            if new:
                chroot([*argv, "clean"], what=f"cleaning the {folder.name} selftests", stdout=2)
            chroot(argv, env={"CFLAGS": f"-isystem {inside(patient)}"}, what=f"building the {folder.name} selftests", stdout=2)
            listing = chroot([*argv, "emit_tests"], what="listing the selftests", stdout=subprocess.PIPE, text=True)
            tests += [tuple(line.split(":", 1)) for line in listing.splitlines() if ":" in line]
    return tests


# libFuzzer, without the compiler that it comes from
FUZZER_PACKAGES = ["libclang-rt-19-dev"]


def fuzzer():
    """The fuzzer, built where a guest finds it below /repo."""
    debian.root(FUZZER_PACKAGES)
    here = mirror()
    with lock(f"{CLONE.name}-build"):
        chroot(["make", "-s", "-C", f"{inside(here)}/tools/testing/fuzz", f"O={inside(here)}/build/fuzz"],
               what="building the fuzzer", stdout=2)


def tools(here, arch="x86_64"):
    if (here / "tools/Makefile").exists():
        chroot([*make(f"{inside(here)}/tools", arch), f"O={inside(here)}/build/tools"],
               what="building the programs in tools/", stdout=2)


def testdev():
    """The PCI test device that QEMU loads; gives its path."""
    here = mirror()
    with lock(f"{CLONE.name}-build"):
        chroot(["make", "-s", "-C", f"{inside(here)}/tools/testing/pasid-testdev", f"O={inside(here)}/build/testdev"],
               what="building the PCI test device", stdout=2)
    return here / "build/testdev/pasid-testdev.so"


def vfioctl(arch="x86_64"):
    """vfioctl as it is and, for x86, with sanitizers, built where a guest finds it below /repo; gives the one to test."""
    debian.root()
    here = mirror(arch)
    with lock(f"{CLONE.name}-build"):
        tools(here, arch)
        if arch != "x86_64":
            return "/repo/build/tools/vfioctl"
        chroot(["make", "-s", "-C", f"{inside(here)}/tools", f"O={inside(here)}/build/sanitized", "vfioctl",
                "CFLAGS=-O1 -g -fsanitize=address,undefined"], what="building vfioctl with sanitizers", stdout=2)
    return "/repo/build/sanitized/vfioctl"
