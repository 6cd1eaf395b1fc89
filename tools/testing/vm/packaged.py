# SPDX-License-Identifier: GPL-2.0-only
"""
A Debian 13 system on which our packages are installed by apt, from a repository made of build/deb: what apt, dkms, the
initramfs and modprobe do there, over updates of the kernel and until the packages are removed. It is booted, too.
"""

import contextlib
import re
import shutil
import subprocess

import build
import debian
import guest
import image
import package
import system
from kernels import KERNELS
from util import CACHE, CLONE, HERE, REPO, Fail, chroot, digest, inside, lock, output, replace_tree, run, step

# What is there before: dkms, what our packages depend on, what their test does, and QEMU. The compiler comes with the
# headers of kernels.
PACKAGES = [*system.PACKAGES, "ccache", "dkms", "libc6-dev", "libjs-sphinxdoc", "libtracefs1", "openssl", "pciutils",
            "qemu-system-x86", "seabios"]
OTHER = "v4l2loopback-dkms"		# a dkms package of somebody else
SIZE = "4G"
# What makes it a host of libvirt, the one of the backports, which knows iommufd
LIBVIRT_SUITES = [debian.SUITE, f"{debian.SUITE}-updates", debian.BACKPORTS]
LIBVIRT = ["libvirt-clients", "libvirt-daemon", "libvirt-daemon-driver-nodedev", "libvirt-daemon-driver-qemu"]
# Nobody may do what libvirt does for the machine: it has only the descriptors that it is given.
LIBVIRT_CONFIGURATION = """
user = "nobody"
group = "nogroup"
security_driver = "none"
namespaces = []
stdio_handler = "file"
"""
# What compilers there have compiled before, by distribution
COMPILED = CACHE / "dkms-ccache"
CCACHE = "var/cache/ccache"


def ordered(release):
    return [int(number) for number in re.findall(r"\d+", release)]


def previous():
    """Release and package version of the kernel that Debian 13 had before the stock kernel; None if the mirror has none."""
    found = debian.versions()
    names = output(debian.apt("apt-cache", "search", "--names-only",
                              rf"^linux-image-{re.escape(found['series'])}\.[0-9]+\+deb13-amd64$")).split("\n")
    releases = [line.split()[0].removeprefix("linux-image-") for line in names if line]
    older = [release for release in releases if ordered(release) < ordered(found["kernel"])]
    if not older:
        return None
    release = max(older, key=ordered)
    show = output(debian.apt("apt-cache", "show", f"linux-image-{release}"))
    return release, re.search(r"(?m)^Version: (\S+)", show).group(1)


def kernel_packages(release, version):
    """The .deb files of a kernel and of what modules for it are built with."""
    common = release.replace("-amd64", "-common")
    return [debian.package(name, version) for name in
            (f"linux-image-{release}", f"linux-headers-{release}", f"linux-headers-{common}",
             f"linux-kbuild-{release.removesuffix('-amd64')}")]


def base(kernel):
    """The system before us, with one of the kernels of update(), made once."""
    release, debs = kernel
    target = CACHE / f"packaged-{digest(release, [deb.name for deb in debs], PACKAGES, system.CONFIGURATION)}"
    with lock("packaged"):
        if target.exists():
            return target
        debian.host_packages(("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs"))
        part = CACHE / "packaged.part"
        for path in [part, *CACHE.glob("packaged-*")]:
            run(["rm", "-rf", "--one-file-system", path])
        with step("making a Debian 13 system with dkms and QEMU with mmdebstrap"):
            debian.bootstrap(part, [*PACKAGES, "gcc-14", "pahole"])
            for name, text in system.CONFIGURATION.items():
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            # Documents and manual pages, too, from here on
            for path in (part / "etc/dpkg/dpkg.cfg.d").glob("*mmdebstrap*"):
                path.unlink()
            system.chroot(part, "systemctl", "enable", system.PROGRAM)
            (part / "var/tmp/debs").mkdir()
            for deb in debs:
                shutil.copy(deb, part / "var/tmp/debs")
            system.chroot(part, "sh", "-c", "dpkg -i /var/tmp/debs/*.deb && rm -r /var/tmp/debs")
        replace_tree(part, target)
    return target


@contextlib.contextmanager
def copied(source, name, held, compiled="debian13"):
    """
    A copy of a system, in a directory of its own, that nobody changes while we hold its lock; what its compiler's cache
    has in the end is there for the next copy.
    """
    home = CLONE / name
    root, cache = home / "root", COMPILED / compiled
    run(["rm", "-rf", "--one-file-system", home])
    home.mkdir(parents=True)
    try:
        with lock(held, shared=True):
            run(["cp", "-a", "--reflink=auto", source, root])
        with lock(f"ccache-{compiled}", shared=True):
            if cache.exists():
                run(["cp", "-a", "--reflink=auto", cache, root / CCACHE])
        yield root
    finally:
        if (root / CCACHE).exists():
            with lock(f"ccache-{compiled}"):
                run(["rm", "-rf", "--one-file-system", cache])
                cache.parent.mkdir(exist_ok=True)
                run(["mv", root / CCACHE, cache])
        run(["rm", "-rf", "--one-file-system", home])


def repository(root, folder, *more):
    """A repository for apt in /srv/repository there: the packages of a directory, and more files."""
    place = root / "srv/repository"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for deb in [*folder.glob("*.deb"), *more]:
        shutil.copy(deb, place / deb.name.replace(":", "%3a"))
    shared = root.parent / "repository"		# where the Debian root can see it
    shutil.rmtree(shared, ignore_errors=True)
    run(["cp", "-al", place, shared])
    (place / "Packages").write_text(chroot(["dpkg-scanpackages", "--multiversion", "."], cwd=inside(shared),
                                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
    shutil.rmtree(shared)
    for path in (root / "etc/apt").glob("sources.list*/*"):
        path.unlink()
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repository ./\n")
    apt(root, "update")


def can_mount():
    return not subprocess.run(["unshare", "--mount", "mount", "-t", "proc", "proc", "/proc"], stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode


def with_proc(root):
    """Before a command line: for the command there is a /proc in the system, which dracut needs."""
    return ["unshare", "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec "$@"', str(root)]


def apt(root, *argv, status=0, cache=True, before=()):
    """apt-get there, with the compiler's cache or without, after the words before; gives what it says."""
    path = f"{'/usr/lib/ccache:' if cache else ''}/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run([*before, "chroot", root, "env", "-i", f"PATH={path}", "LANG=C.UTF-8", "HOME=/root",
                           "DEBIAN_FRONTEND=noninteractive", f"CCACHE_DIR=/{CCACHE}", "CCACHE_NOHASHDIR=1",
                           "CCACHE_MAXSIZE=200M", "apt-get", "-y", "-oAPT::Sandbox::User=root", f"-oDPkg::Path={path}", *argv],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    if bool(done.returncode) != bool(status):
        raise Fail(f"apt-get {' '.join(argv)}: exit status {done.returncode}: {done.stdout[-3000:]}")
    return done.stdout


def modules(root, release, ours, version=None):
    """Problems: which modules are in effect for a kernel there, by modprobe and in the initramfs; ours or its own."""
    problems = []
    names = build.PRODUCT if ours else [name for name in build.PRODUCT if name != "iommufd"]
    wanted = r"updates/dkms/[^/]*" if ours else r"kernel/drivers/vfio/\S*"
    for name in names:
        path = system.chroot(root, "modinfo", "-k", release, "-n", name).strip().partition(f"/{release}/")[2]
        if not re.fullmatch(wanted, path):
            problems.append(f"{release}: modprobe finds {path}")
        if ours:
            for field, value in (("version", version or package.version()), ("signer", "DKMS module signing key")):
                said = system.chroot(root, "modinfo", "-k", release, "-F", field, name).strip()
                if said != value:
                    problems.append(f"{release}: {name}: the {field} is {said!r}")
    listing = system.chroot(root, "lsinitramfs", f"/boot/initrd.img-{release}")
    early = set(re.findall(r"(?m)modules/[^/]+/(\S*/(?:vfio\S*|iommufd)\.ko\S*)$", listing))
    if ours:	# The configuration names it, and the settings in the initramfs replace it.
        early = {path for path in early if "vfio_iommu_type1" not in path}
    problems += [f"{release}: the initramfs has {path}" for path in sorted(early) if not re.fullmatch(wanted, path)]
    if not any("vfio" in path for path in early):
        problems.append(f"{release}: the initramfs has no vfio")
    return problems


def archives(root, *patterns):
    """Packages of the repository, as apt wants the names of files."""
    return [f"/srv/repository/{path.name}" for pattern in patterns for path in (root / "srv/repository").glob(pattern)]


def leftovers(root):
    """Files of ours that are there after a purge."""
    found = []
    for folder in ("etc", "usr/src", "usr/lib/udev", "usr/lib/modprobe.d", "usr/share/initramfs-tools", "usr/share/doc",
                   "usr/share/man", "usr/sbin", "var/lib/dkms"):
        found += [str(path.relative_to(root)) for path in (root / folder).rglob("*")
                  if re.search("iommufd|vfioctl", path.name) and "linux-headers-" not in str(path)]
    found += [str(path.relative_to(root)) for path in root.glob("lib/modules/*/updates/**/*")
              if re.match("iommufd|vfio|mdev", path.name)]
    return [f"there is still {path}" for path in found]


def newer(tree):
    """The next version of the sources, which differs in nothing else."""
    def replace(name, old, new):
        path = tree / name
        path.write_text(path.read_text().replace(old, new))

    now = package.version()
    later = f"{now}+later"
    replace("VERSION", now, later)
    replace("debian/changelog", f"({now})", f"({later})")
    for path in (tree / "drivers").rglob("*.c"):
        if "MODULE_VERSION" in path.read_text():
            replace(path.relative_to(tree), f'MODULE_VERSION("{now}")', f'MODULE_VERSION("{later}")')


def pack(root, disk):
    """A disk with that system."""
    run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, SIZE], stdout=subprocess.DEVNULL)


def boot(disk, root, kernel, append="", timeout=900):
    """Boot the system with one of its own kernels; with vm.few on its command line it does the first of the tests only."""
    unpacked = disk.with_name("kernel")
    unpacked.unlink(missing_ok=True)
    try:
        image.unpack_kernel(root / f"boot/vmlinuz-{kernel}", unpacked)
    except Fail:		# Debian 12's are packed in another way
        unpacked = root / f"boot/vmlinuz-{kernel}"
    return guest.boot_once(guest.Options(
        disk=disk, image=unpacked, initramfs=root / f"boot/initrd.img-{kernel}", modules=False,
        devices=["edu", "edu", "nvme", "e1000e"], memory="1G", append=f"vfio_iommu_type1.disable_hugepages=1 {append}",
        timeout=timeout, name=f"check-{disk.parent.name}"))


def update():
    """
    Two kernels of Debian, each as its release and its packages: the one before an update and the next. The stock kernel is
    the next one, if the mirror still has an older one, else that of the backports is.
    """
    found = debian.versions()
    stock = found["kernel"], kernel_packages(found["kernel"], found["version"])
    old = previous()
    if old:
        return (old[0], kernel_packages(*old)), stock
    release, at, packages = debian.packaged_kernel(KERNELS["backports"])
    return stock, (release, [debian.package(name, version, at=at) for kind in packages.values() for name, version in kind])


def steps():
    """Gives (what is tested, problems, or why it is not), and (name of a boot, its result)."""
    before, after = update()
    (old, _), (release, debs) = before, after
    build.modules()
    with copied(base(before), "packaged", "packaged") as root:
        with step("apt install, dkms, a kernel update"):
            older, archive = unsupported(root)
            ours = package.build(place="deb-packaged")
            repository(root, ours, *debs, debian.package(*latest(OTHER)), *archive)
            apt(root, "install", *archives(root, "iommufd-vfio-*", "vfioctl_*"))
            yield "apt install: modules for the kernel that is there", modules(root, old, ours=True)
            yield "apt install: the rules and settings are where an administrator can override them", [
                f"there is no {name}" for name in ("usr/lib/udev/rules.d/60-iommufd-vfio.rules",
                                                   "usr/lib/modprobe.d/iommufd-vfio.conf",
                                                   "usr/share/initramfs-tools/hooks/vfioctl", "usr/sbin/vfioctl")
                if not (root / name).exists()]
            yield "make install refuses beside the package", make_install(root)
            apt(root, "install", f"linux-image-{release}", f"linux-headers-{release}")
            yield "apt install of the next kernel: modules for both", [
                *modules(root, release, ours=True), *modules(root, old, ours=True)]
            apt(root, "install", OTHER)
            listing = system.chroot(root, "dkms", "status")
            yield "another dkms package beside ours", [
                f"{name} is not installed for {kernel}: {listing}" for name in ("iommufd-vfio", "v4l2loopback")
                for kernel in (release, old) if not re.search(rf"(?m)^{name}/\S+ {re.escape(kernel)}, \S+ installed", listing)]
            said = apt(root, "install", f"linux-image-{older}", f"linux-headers-{older}")
            yield "apt install of a kernel that is not supported: it is said, and the kernel has its own", [
                *([] if f"iommufd-vfio: no modules for kernel {older}, which keeps its own VFIO" in said else [f"apt: {said}"]),
                *modules(root, older, ours=False), *modules(root, release, ours=True)]
        shutil.copy(HERE / "guest" / system.PROGRAM, root / "usr/local/sbin")
        shutil.copy(REPO / "debian/tests/devices", root / "usr/local/sbin/autopkgtest-devices")
        shutil.copy(HERE.parent / "vfioctl/newcomer", root / "usr/local/sbin")
        yield "the examples of the documents build outside of the tree", examples(ours, root / "usr/local/bin")
        run(["rm", "-rf", "--one-file-system", ours])
        disk = root.with_name("disk")
        pack(root, disk)
        yield release, boot(disk, root, release)
        yield old, boot(disk, root, old, "vm.few")
        yield older, boot(disk, root, older)
        disk.unlink()
        apt(root, "remove", "iommufd-vfio-*", "vfioctl")
        yield "apt remove: the kernels' own modules are in effect", [
            *modules(root, release, ours=False), *modules(root, old, ours=False)]
        apt(root, "purge", "iommufd-vfio-*", "vfioctl")
        yield "apt purge: no file stays", leftovers(root)
        damaged = system.chroot(root, "sh", "-c", f"dpkg -V linux-image-{release} || true").strip()
        yield "apt purge: the kernel's package has all its files", damaged.splitlines()
        yield "the package refuses beside make install", beside_make_install(root)
        yield "a build without a compiler", without_compiler(root, release)
        yield "a build on a full disk", full_disk(root, release) if can_mount() else "nothing can be mounted here"


def in_use():
    """An upgrade and a removal of the packages in a virtual machine while a device is in use; gives as steps() does."""
    before, _ = update()
    old = before[0]
    with copied(base(before), "packaged-in-use", "packaged") as root:
        debs, later = package.build(place="deb-used"), package.build(newer, "deb-used-later")
        repository(root, debs, *later.glob("iommufd-vfio-dkms_*.deb"))
        # The later one first, for what the compiler's cache keeps of it: what runs in the machine is slow.
        apt(root, "install", "iommufd-vfio-dkms")
        yield "a later version", modules(root, old, True, f"{package.version()}+later")
        apt(root, "install", "--allow-downgrades", f"iommufd-vfio-dkms={package.version()}")
        yield "a downgrade", modules(root, old, ours=True)
        (root / "srv/repository/upgrade").touch()
        shutil.copy(HERE / "guest" / system.PROGRAM, root / "usr/local/sbin")
        examples(debs, root / "usr/local/bin")
        for folder in (debs, later):
            run(["rm", "-rf", "--one-file-system", folder])
        disk = root.with_name("disk")
        pack(root, disk)
        yield old, boot(disk, root, old, timeout=3600)


def on_debian_12():
    """The modules' package on Debian 12, with its older dkms, for a kernel of its backports; gives as steps() does."""
    suites = ["bookworm", "bookworm-backports"]
    release, _, _ = debian.packaged_kernel(KERNELS["deb12-backports"])
    with lock("debian12"):
        packages = ["ccache", "dkms", "initramfs-tools", "openssl", "udev", f"linux-image-{release}", f"linux-headers-{release}"]
        target = CACHE / f"debian12-{digest(packages)}"
        if not target.exists():
            for path in CACHE.glob("debian12-*"):
                run(["rm", "-rf", "--one-file-system", path])
            part = CACHE / "debian12-part"
            with step("making a Debian 12 system with mmdebstrap"):
                debian.bootstrap(part, packages, suites=suites)
                (part / "etc/initramfs-tools/modules").write_text("vfio_pci\n")
                system.chroot(part, "update-initramfs", "-u", "-k", release)
            replace_tree(part, target)
    with copied(target, "packaged-debian12", "debian12", "debian12") as root:
        debs = package.build(place="deb-debian12")
        repository(root, debs)
        run(["rm", "-rf", "--one-file-system", debs])
        # This dkms reads from /dev/fd, which is in /proc.
        apt(root, "install", *archives(root, "iommufd-vfio-dkms_*"), before=with_proc(root))
        yield f"apt install for {release}", modules(root, release, ours=True)
        apt(root, "purge", "iommufd-vfio-*", "vfioctl", before=with_proc(root))
        yield "apt purge", [*modules(root, release, ours=False), *leftovers(root)]


def libvirt_base(before):
    """That system with libvirt, made once."""
    source = base(before)
    target = CACHE / f"libvirt-{digest(source.name, LIBVIRT, LIBVIRT_CONFIGURATION)}"
    with lock("libvirt"):
        if target.exists():
            return target
        at, part = CACHE / "apt-libvirt", CACHE / "libvirt-part"
        debian.prepare_apt(at, LIBVIRT_SUITES)
        for path in CACHE.glob("libvirt-*"):
            run(["rm", "-rf", "--one-file-system", path])
        with step("making a Debian 13 system with libvirt"), open(CACHE / "libvirt.log", "w") as log:
            run(debian.apt("apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "update", at=at), "reading the package lists")
            with lock("packaged", shared=True):
                run(["cp", "-a", "--reflink=auto", source, part])
            (part / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
            run(debian.apt("apt-get", "-qq", "-y", "-t", debian.BACKPORTS, "install", *LIBVIRT, at=at, root=part),
                f"installing libvirt (see {log.name})", stdout=log, stderr=log)
            shutil.rmtree(part / "var/cache/apt/archives")
            (part / "etc/libvirt").mkdir(exist_ok=True)
            (part / "etc/libvirt/qemu.conf").write_text(LIBVIRT_CONFIGURATION)
        replace_tree(part, target)
    return target


def with_libvirt():
    """libvirt starts a domain with a device, by <driver iommufd='yes'/>; gives as steps() does."""
    before, _ = update()
    release = before[0]
    with copied(libvirt_base(before), "packaged-libvirt", "libvirt") as root:
        debs = package.build(place="deb-libvirt")
        repository(root, debs)
        apt(root, "install", "iommufd-vfio-dkms", "vfioctl")
        (root / "etc/hosts").write_text("127.0.1.1 vm\n")	# Nobody else can say, and libvirt asks
        shutil.copy(HERE / "guest" / system.PROGRAM, root / "usr/local/sbin")
        yield "the examples", examples(debs, root / "usr/local/bin")
        run(["rm", "-rf", "--one-file-system", debs])
        disk = root.with_name("disk")
        pack(root, disk)
        yield release, boot(disk, root, release, timeout=1800)


RULE = "etc/udev/rules.d/20-vfioctl-test.rules"		# as "vfioctl persist" makes them


def with_dracut():
    """The packages where dracut makes the initramfs; gives as steps() does."""
    before, _ = update()
    release = before[0]
    with copied(base(before), "packaged-dracut", "packaged") as root:
        proc = with_proc(root)
        log = root.with_name("apt.log")
        (root / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
        with step("installing dracut in that system"), open(log, "w") as out:
            (root / "etc/dracut.conf.d").mkdir(exist_ok=True)
            (root / "etc/dracut.conf.d/vfio.conf").write_text('add_drivers+=" vfio_pci "\n')
            run([*proc, *debian.apt("apt-get", "-qq", "-y", "install", "dracut", root=root)], "installing dracut",
                stdout=out, stderr=out)
        yield "before", dracut_modules(root, release, r"kernel/drivers/vfio/\S*")
        debs = package.build(place="deb-dracut")
        repository(root, debs)
        run(["rm", "-rf", "--one-file-system", debs])
        (root / RULE).parent.mkdir(parents=True, exist_ok=True)
        (root / RULE).write_text('ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:00:1f.7", ATTR{driver_override}="vfio-pci"\n')
        apt(root, "install", *archives(root, "iommufd-vfio-dkms_*", "vfioctl_*"), before=proc)
        yield "apt install: the modules are in the initramfs, and the rules of vfioctl persist", (
            dracut_modules(root, release, r"updates/dkms/[^/]*", [RULE]))
        apt(root, "purge", "iommufd-vfio-*", "vfioctl", before=proc)
        (root / RULE).unlink()
        yield "apt purge: the kernel's own modules are in the initramfs, and no file stays", [
            *dracut_modules(root, release, r"kernel/drivers/vfio/\S*"), *leftovers(root)]


def dracut_modules(root, release, wanted, files=()):
    """Problems: VFIO modules in the initramfs that are not the ones that are wanted, and files that are not there."""
    done = subprocess.run([*with_proc(root), "chroot", root, "lsinitrd", f"/boot/initrd.img-{release}"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    early = set(re.findall(rf"(?m)modules/{re.escape(release)}/(\S*/(?:vfio\S*|iommufd)\.ko\S*)$", done.stdout))
    # Our settings in the initramfs replace what vfio would load with it.
    problems = [f"the initramfs has {path}" for path in sorted(early)
                if "vfio_iommu_type1" not in path and not re.fullmatch(wanted, path)]
    problems += [f"the initramfs has no {path}" for path in files if not re.search(rf"(?m) {re.escape(path)}$", done.stdout)]
    return problems if early else [*problems, f"there are no VFIO modules in the initramfs: {done.stdout[-1000:]}"]


def examples(debs, target):
    """Build the example programs from iommufd-vfio-doc; gives problems."""
    place = debs.parent / f"{debs.name}-examples"
    shutil.rmtree(place, ignore_errors=True)
    run(["dpkg-deb", "-x", next(debs.glob("iommufd-vfio-doc_*.deb")), place])
    chroot(["make", "-s", "-C", inside(place / "usr/share/doc/iommufd-vfio-doc/examples/tools"), "examples",
            f"O={inside(place)}/built"], what="building the examples of iommufd-vfio-doc")
    for name in ("vfio-edu", "vfio-nvme"):
        shutil.copy(place / "built" / name, target)
    pages = list((place / "usr/share/doc/iommufd-vfio-doc/html").rglob("*.html"))
    shutil.rmtree(place)
    return [] if len(pages) > 5 else [f"there are {len(pages)} pages of documents"]


def unsupported(root):
    """
    The .deb files of Debian 12's kernel, which ours are not for, and of what it needs there that is not in the system. The
    dependencies are apt's to find.
    """
    at = CACHE / "apt-older"
    with lock("apt-older"):
        debian.prepare_apt(at, [debian.SUITE, "bookworm"])
        status = [f"-oDir::State::status={root}/var/lib/dpkg/status", "-oAPT::Install-Recommends=false"]
        if not (at / "release").exists():
            with step("reading the package lists of Debian 12"):
                run(debian.apt("apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "update", at=at))
            names = output(debian.apt("apt-cache", "search", "--names-only", r"^linux-image-6\.1\.[0-9-]+-amd64$", at=at))
            (at / "release").write_text(max((line.split()[0].removeprefix("linux-image-")
                                             for line in names.splitlines()), key=ordered))
        release = (at / "release").read_text()
        shutil.rmtree(at / "cache/archives", ignore_errors=True)
        (at / "cache/archives/partial").mkdir(parents=True)
        with step(f"downloading Debian 12's kernel {release}"):
            try:
                run(debian.apt("apt-get", "-qq", "-y", *status, "--download-only", "install", f"linux-image-{release}",
                               f"linux-headers-{release}", at=at))
            except Fail:
                (at / "release").unlink()	# The mirror may have moved on.
                raise
        return release, sorted((at / "cache/archives").glob("*.deb"))


def latest(name):
    """Name and version of a package of Debian 13."""
    debian.versions()
    show = output(debian.apt("apt-cache", "show", "--no-all-versions", name))
    return name, re.search(r"(?m)^Version: (\S+)", show).group(1)


def make_install(root):
    """'make install' where the package is; gives problems."""
    release = debian.versions()["kernel"]
    system.bring(root, release)
    said = system.chroot(root, "sh", "-c", f"make -s -C {system.HOME} install KREL={release} 2>&1; echo status $?")
    return [] if "apt purge iommufd-vfio-dkms" in said and "status 2" in said else [f"make install: {said}"]


def beside_make_install(root):
    """The package where 'make install' was; gives problems."""
    release = debian.versions()["kernel"]
    system.chroot(root, "make", "-s", "-C", system.HOME, "install", f"KREL={release}")
    said = apt(root, "install", *archives(root, "iommufd-vfio-dkms_*"), status=1)
    problems = [] if "make uninstall" in said else [f"apt: {said}"]
    system.chroot(root, "make", "-s", "-C", system.HOME, "uninstall", f"KREL={release}")
    apt(root, "purge", "iommufd-vfio-*", "vfioctl")
    return problems


def without_compiler(root, release):
    """A build that fails: apt fails, says where to read why, and the kernel's own modules stay in effect; gives problems."""
    compiler = root / "usr/bin/x86_64-linux-gnu-gcc-14"
    away = compiler.with_name("gcc.away")
    compiler.rename(away)
    try:
        said = apt(root, "install", *archives(root, "iommufd-vfio-dkms_*"), status=1, cache=False)
        log = re.search(r"/var/lib/dkms/iommufd-vfio/\S+/make\.log", said)
        problems = [] if log else [f"apt names no log: {said}"]
        if log and not re.search("gcc-14: (not found|No such file)", (root / log.group()[1:]).read_text() + said):
            problems.append(f"neither apt nor the log says that the compiler is missing: {said}")
        problems += modules(root, release, ours=False)
    finally:
        away.rename(compiler)
    return problems + mended(root, release)


def full_disk(root, release):
    """The same, where there is no space for what dkms builds."""
    place = root / "var/lib/dkms/iommufd-vfio"
    place.mkdir(parents=True)
    full = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m small "$0" && exec "$@"', str(place)]
    said = apt(root, "install", *archives(root, "iommufd-vfio-dkms_*"), status=1, before=full)
    problems = [] if "No space left on device" in said else [f"apt does not say that the disk is full: {said}"]
    return [*problems, *modules(root, release, ours=False), *mended(root, release)]


def mended(root, release):
    """What failed goes on when its cause is away; gives problems, and purges the packages."""
    apt(root, "--fix-broken", "install")
    problems = modules(root, release, ours=True)
    apt(root, "purge", "iommufd-vfio-*", "vfioctl")
    return problems + modules(root, release, ours=False) + leftovers(root)
