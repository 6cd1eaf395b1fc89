# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages by name, and a Debian 13 system in a directory, without touching the host's apt."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from util import CACHE, ROOT, SRV, Fail, chroot, digest, inside, lock, output, replace_tree, run, say, step

SUITE = "trixie"
CODENAMES = "buster bullseye bookworm trixie forky duke sid stable testing unstable oldstable".split()
KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
APT = CACHE / "apt"
# Where newer kernels are, of which only the tests are taken: from the first that has our interfaces to the one whose user ABI is ours.
NEWER_SUITES = ("sid", "experimental", f"{SUITE}-backports")
APT_NEWER = CACHE / "apt-newer"
NEWER_SINCE, ABI = "7.2", "7.3"
# Where a newer QEMU is that runs on Debian 13, and what is needed of it besides what the older one has
BACKPORTS = f"{SUITE}-backports"
APT_BACKPORTS = CACHE / "apt-backports"
NEWER_QEMU = ["qemu-system-x86", "qemu-system-data", "seabios"]
NEWER_QEMU_LIBRARIES = ["libfuse3-4", "libpmem1", "librdmacm1t64"]
DEBS = CACHE / "debs"
LISTS_SECONDS = 24 * 60 * 60	# after that, package lists of the kernels are read again

# What is used inside the root: to build modules and kernels, to check, to run QEMU, to be a guest.
PACKAGES = """
    bash busybox-static bc bison ca-certificates ccache cpio flex gcc kmod libc6-dev libcap-dev libelf-dev
    libssl-dev linux-libc-dev make pciutils perl procps psmisc python3-minimal python3 rsync sparse strace udev
    util-linux uuid-dev xz-utils zstd lz4 qemu-system-x86 seabios ipxe-qemu
    libblkid-dev libjansson-dev libkmod-dev libmount-dev libpci-dev libsmartcols-dev libtraceevent-dev
    libtracefs-dev libudev-dev pkgconf python3-docutils
""".split()


def host_packages(*names):
    """Install what the host itself needs; names are (program, package) pairs."""
    missing = sorted({package for program, package in names
                      if not (shutil.which(program) or os.path.exists(program))})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Fail(f"please install: {' '.join(missing)}")
    say(f"installing on this host, with apt-get: {' '.join(missing)}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing]
    try:
        run(install, env=env, stdout=2)
    except Fail:
        run(["apt-get", "-qq", "update"], env=env)
        run(install, f"installing {' '.join(missing)} on this host", env=env, stdout=2)


def host_sources():
    """(address, suite) of every Debian archive in the host's apt configuration, in either format."""
    found = []
    folder = Path("/etc/apt/sources.list.d")
    lists = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list"))]
    for path in lists:
        if path.exists():
            for line in path.read_text(errors="replace").splitlines():
                match = re.match(r"\s*deb\s+(?:\[.*?\]\s+)?(\S+)\s+(\S+)", line)
                if match:
                    found.append(match.groups())
    for path in sorted(folder.glob("*.sources")):
        for block in re.split(r"\n\s*\n", path.read_text(errors="replace")):
            block = re.sub(r"(?m)^#.*\n?", "", block)
            field = {key.lower(): value.split()
                     for key, value in re.findall(r"(?m)^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", block)}
            if "deb" in field.get("types", []) and field.get("enabled", ["yes"]) != ["no"]:
                found += [(uri, suite) for uri in field.get("uris", []) for suite in field.get("suites", [])]
    return [(uri.rstrip("/"), suite) for uri, suite in found
            if re.split(r"[-/]", suite)[0] in CODENAMES]


def sources(suites=None):
    """Lines of a sources.list on the mirror that the host uses, or on MIRROR: for Debian 13, or for other suites."""
    keyring = next((k for k in KEYRINGS if os.path.exists(k)), None)
    if not keyring:
        raise Fail("no Debian archive keyring: install debian-archive-keyring")
    mirror, security = os.environ.get("MIRROR"), os.environ.get("MIRROR_SECURITY")
    if not mirror:
        known = host_sources()
        mirror = next((uri for uri, suite in known if suite in CODENAMES), None)
        security = security or next((uri for uri, suite in known if "security" in suite), None)
    if not mirror:
        raise Fail("this host's apt has no Debian archive: give one as MIRROR=http://.../debian")
    if suites:
        pairs = [(security if suite.endswith("-security") else mirror, suite) for suite in suites]
        if None in dict(pairs):
            raise Fail("this host's apt has no Debian security archive: give one as MIRROR_SECURITY=http://.../debian-security")
    else:
        pairs = [(mirror, SUITE), (mirror, SUITE + "-updates")]
        if security:
            pairs.append((security, SUITE + "-security"))
    return [f"deb [signed-by={keyring}] {uri} {suite} main" for uri, suite in pairs]


def apt(*argv, root=None, at=APT):
    """Command line of an apt tool with lists, sources and state of our own."""
    state = root or at
    arch = "arm64" if at.name.endswith("-arm64") else "amd64"
    options = {
        "Dir::Etc::sourcelist": at / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": at / "lists", "Dir::State::status": at / "status",
        "Dir::State::extended_states": at / "extended_states",
        "Dir::Cache": at / "cache", "Dir::Log": at / "log",
        "APT::Architecture": arch, "APT::Architectures": arch, "APT::Sandbox::User": "root",
        "Acquire::Languages": "none", "Acquire::Retries": "3",
        # A mirror may stand still; its lists are signed all the same
        "Acquire::Check-Valid-Until": "false",
    }
    if root:
        options.update({
            "Dir::State::status": root / "var/lib/dpkg/status",
            "Dir::State::extended_states": root / "var/lib/apt/extended_states",
            "Dir::Cache": root / "var/cache/apt", "DPkg::Chroot-Directory": root,
            "APT::Install-Recommends": "false",
        })
    assert state.is_dir()
    return [argv[0], *[f"-o{key}={value}" for key, value in options.items()], *argv[1:]]


def prepare_apt(at, suites=None):
    """Directories and sources of our own apt."""
    for folder in ("lists/partial", "cache/archives/partial", "log"):
        (at / folder).mkdir(parents=True, exist_ok=True)
    (at / "status").touch()
    (at / "sources.list").write_text("\n".join(sources(suites)) + "\n")


def versions(update=False):
    """Which kernel is 'the stock kernel': decided once, kept until an update is asked for."""
    path = CACHE / "versions.json"
    with lock("apt"):
        if path.exists() and not update:
            return json.loads(path.read_text())
        if not any(map(os.path.exists, KEYRINGS)):
            host_packages((KEYRINGS[0], "debian-archive-keyring"))
        prepare_apt(APT)
        with step("reading Debian 13's package lists"):
            try:
                run(apt("apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "update"))
            except Fail:
                raise Fail("cannot read Debian 13's package lists: is there a network, and is the mirror right? "
                           "(it is taken from this host's apt sources; MIRROR= overrides)") from None
        depends = output(apt("apt-cache", "depends", "linux-image-amd64"))
        kernel = re.search(r"linux-image-(\d[\w.+-]*-amd64)\b", depends).group(1)
        show = output(apt("apt-cache", "show", f"linux-image-{kernel}"))
        version = re.search(r"(?m)^Version: (\S+)", show).group(1)
        found = {"kernel": kernel, "version": version, "series": ".".join(kernel.split(".")[:2])}
        path.write_text(json.dumps(found))
        say(f"stock kernel: {kernel}, package version {version}")
        return found


def refresh():
    """Look for a newer stock kernel, if that was done last more than a day ago; without a network it is the one that is known."""
    path = CACHE / "versions.json"
    if path.exists() and time.time() - path.stat().st_mtime > LISTS_SECONDS:
        try:
            versions(update=True)
        except Fail as err:
            say(f"{err}; the stock kernel is the one of an earlier time")


def show(name, at):
    """The fields of a package, of the newest version that there is; None if there is none."""
    try:
        text = output(apt("apt-cache", "--no-all-versions", "show", name, at=at), stderr=subprocess.DEVNULL)
    except Fail:
        return None
    return dict(re.findall(r"(?m)^([\w-]+): (.*)", text.split("\n\n")[0]))


def suite_lists(suite, update=False, arch="x86_64"):
    """An apt of our own for a suite; its lists are read when they are older than a day, if that is possible."""
    at = APT if suite == SUITE else CACHE / f"apt-{suite}"
    if arch != "x86_64":
        at = at.with_name(f"{at.name}-{arch}")
    elif suite == SUITE:
        versions(update)
        return at
    stamp = at / "read"
    with lock(at.name):
        if stamp.exists() and not update and time.time() - stamp.stat().st_mtime < LISTS_SECONDS:
            return at
        prepare_apt(at, None if suite == SUITE else [suite])
        try:
            with step(f"reading the package lists of {suite}, {arch}"):
                run(apt("apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "update", at=at))
        except Fail:
            if not stamp.exists():
                raise Fail(f"the package lists of {suite} cannot be read") from None
            say(f"the package lists of {suite} cannot be read, those of an earlier time are used")
        stamp.touch()
    return at


def packaged_kernel(kernel, update=False):
    """
    What there is of a kernel of the table: its release, the apt that has it, and the packages with its files and with its
    headers, as (name, version). Fail says why it is not to be had.
    """
    at = suite_lists(kernel.suite, update, kernel.arch)
    meta = show(kernel.package, at)
    match = meta and re.search(r"\blinux-image-(\d[\w.+-]*)", meta["Depends"])
    if not match:
        raise Fail(f"there is no {kernel.package} in {kernel.suite}")
    release = match.group(1)
    if kernel.series:
        release = series_before(release, at)
    packages = {}
    for kind in ("image", "headers"):
        top = show(f"linux-{kind}-{release}", at)
        if not top:
            raise Fail(f"there is no linux-{kind}-{release} in {kernel.suite}")
        # Of what it depends on, only what has a part of this very kernel
        found = [(f"linux-{kind}-{release}", top["Version"])]
        parts = "binary|modules" if kind == "image" else "headers|kbuild"
        for name in re.findall(rf"\b(linux-(?:{parts}|base)-\d[\w.+-]*)", top["Depends"]):
            part = show(name, at)
            if not part:
                raise Fail(f"there is no {name} in {kernel.suite}")
            found.append((name, part["Version"]))
        packages[kind] = found
    return release, at, packages


def series_before(release, at):
    """The newest kernel with headers of the series before that of a release, of the same flavour."""
    flavour = release.split("-", 1)[1]
    known = output(apt("apt-cache", "search", "--names-only", rf"^linux-headers-[0-9.]+[+][^-]+-{flavour}$", at=at))
    releases = [line.split()[0].removeprefix("linux-headers-") for line in known.splitlines()]
    number = {name: in_order(name.split("+")[0]) for name in releases}
    older = [name for name in releases if number[name][:2] < in_order(release.split("+")[0])[:2]]
    if not older:
        raise Fail(f"there are no headers of a kernel older than {release}")
    return max(older, key=number.get)


# objtool of 7.3 reads here where its stack is, to tell of an overflow; a root without mounts has nothing there.
FAKE_MAPS = "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n"


def fake_maps(root):
    if not (root / "proc/self").exists():
        (root / "proc/self").mkdir()
        (root / "proc/self/maps").write_text(FAKE_MAPS)


def unpacked(name, version, now=False):
    """
    Whether that version of a package is in the root already, as it is from now on if @now. Kernels have packages in common, and
    who builds for the other one would miss files while they are replaced.
    """
    stamp = ROOT / f"var/lib/iommufd-vfio.unpacked/{name}"
    if now:
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(version)
    if stamp.exists():
        return stamp.read_text() == version
    done = subprocess.run(["dpkg-query", f"--root={ROOT}", "-W", "-f", "${db:Status-Status} ${Version}", name],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout == f"installed {version}"


def headers(kernel):
    """The release of a kernel of the table, its headers being in the root, and the compiler that they want."""
    root()
    release, at, packages = packaged_kernel(kernel)
    stamp = ROOT / f"var/lib/iommufd-vfio.headers-{release}"
    wanted = "".join(f"{name} {version}\n" for name, version in packages["headers"])
    with lock(f"headers-{release}"):
        if not stamp.exists() or stamp.read_text() != wanted:
            part = SRV / f"headers-{release}.part"
            for name, version in packages["headers"]:
                if unpacked(name, version):
                    continue
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(parents=True)
                # The programs that a build calls are there for each architecture.
                place = suite_lists(kernel.suite) if "kbuild" in name else at
                run(["dpkg-deb", "-x", package(name, version, at=place), part], f"unpacking {name}")
                # Not all of it: the root's /lib is a link.
                for found in (*part.glob("usr/src/*"), *part.glob("usr/lib/linux-kbuild-*")):
                    target = ROOT / found.relative_to(part)
                    if not target.is_symlink():
                        shutil.rmtree(target, ignore_errors=True)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        found.rename(target)
                unpacked(name, version, now=True)
            shutil.rmtree(part, ignore_errors=True)
            stamp.write_text(wanted)
        fake_maps(ROOT)
    variables = (ROOT / f"usr/src/linux-headers-{release}/.kernelvariables").read_text()
    suffix = "-aarch64-linux-gnu" if kernel.arch == "arm64" else ""
    root([gcc + suffix for gcc in re.findall(r"\bgcc-\d+\b", variables)])
    return release


def native_root(kernel):
    """A small system of the suite that a kernel is of, with the kernel's headers and the compiler that they want."""
    release, _, packages = packaged_kernel(kernel)
    target = CACHE / f"root-{kernel.suite}"
    stamp = target / "var/lib/iommufd-vfio.headers"
    wanted = "".join(f"{name} {version}\n" for name, version in packages["headers"])
    with lock(target.name):
        if stamp.exists() and stamp.read_text() == wanted:
            return target
        host_packages(("mmdebstrap", "mmdebstrap"))
        new = CACHE / f"{target.name}.new"
        if new.exists():
            run(["rm", "-rf", "--one-file-system", new])
        with step(f"making a Debian {kernel.suite} with the headers of {release} (about 600 MB)"):
            bootstrap(new, ["make", "kmod", f"linux-headers-{release}"], suites=[kernel.suite])
        fake_maps(new)
        (new / stamp.relative_to(target)).write_text(wanted)
        replace_tree(new, target)
    return target


def newer_sources(update=False):
    """Version of the source of each newer kernel, by series: those up to that of our ABI, else the next one that there is."""
    path = CACHE / "newer-sources.json"
    with lock("apt-newer"):
        if path.exists() and not update:
            return json.loads(path.read_text())
        prepare_apt(APT_NEWER, NEWER_SUITES)
        with step(f"reading the package lists of {', '.join(NEWER_SUITES)}"):
            try:
                run(apt("apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "update", at=APT_NEWER))
            except Fail:
                raise Fail(f"the package lists of {', '.join(NEWER_SUITES)} cannot be read") from None
        known = output(apt("apt-cache", "search", "--names-only", r"^linux-source-[0-9.]+$", at=APT_NEWER))
        series = [line.split()[0].removeprefix("linux-source-") for line in known.splitlines()]
        newer = [s for s in sorted(series, key=in_order) if in_order(s) >= in_order(NEWER_SINCE)]
        chosen = [s for s in newer if in_order(s) <= in_order(ABI)] or newer[:1]
        if not chosen:
            raise Fail(f"there is no linux-source-{NEWER_SINCE} or newer in {', '.join(NEWER_SUITES)}")
        found = {}
        for one in chosen:
            show = output(apt("apt-cache", "show", f"linux-source-{one}", at=APT_NEWER))
            found[one] = re.search(r"(?m)^Version: (\S+)", show).group(1)
        path.write_text(json.dumps(found))
        return found


def newer_qemu(update=False):
    """A directory with a QEMU of Debian 13's backports as a program in bin/; Fail says why it is not to be had."""
    root(NEWER_QEMU_LIBRARIES)
    path = CACHE / "backports.json"
    with lock("apt-backports"):
        if not path.exists() or update:
            prepare_apt(APT_BACKPORTS, [BACKPORTS])
            with step(f"reading the package lists of {BACKPORTS}"):
                try:
                    run(apt("apt-get", "-qq", "-oAPT::Update::Error-Mode=any", "update", at=APT_BACKPORTS))
                except Fail:
                    raise Fail(f"the package lists of {BACKPORTS} cannot be read") from None
            versions = {}
            for name in NEWER_QEMU:
                show = output(apt("apt-cache", "show", name, at=APT_BACKPORTS))
                versions[name] = re.search(r"(?m)^Version: (\S+)", show).group(1)
            path.write_text(json.dumps(versions))
        versions = json.loads(path.read_text())
        target = SRV / f"qemu-{digest(versions)}"
        if target.exists():
            return target
        part = SRV / "qemu.part"
        shutil.rmtree(part, ignore_errors=True)
        (part / "bin").mkdir(parents=True)
        try:
            debs = [package(name, version, at=APT_BACKPORTS) for name, version in versions.items()]
        except Fail:
            if update:
                raise
        else:
            for deb in debs:
                run(["dpkg-deb", "-x", deb, part], f"unpacking {deb.name}")
            share = inside(target / "usr/share")
            program = part / "bin/qemu-system-x86_64"
            program.write_text(f"#!/bin/sh\nexec {inside(target)}/usr/bin/{program.name} "
                               f'-L {share}/qemu -L {share}/seabios -L /usr/share/qemu "$@"\n')
            program.chmod(0o755)
            replace_tree(part, target)
            return target
    return newer_qemu(update=True)		# what was known is not there any more


def in_order(series):
    return [int(part) for part in series.split(".")]


def package(name, version, at=APT):
    """Download one package; gives its path."""
    DEBS.mkdir(parents=True, exist_ok=True)
    with lock(f"deb-{name}"):
        path = DEBS / f"{name}_{version}.deb"
        if path.exists():
            return path
        part = DEBS / f"part-{name}"
        part.mkdir(exist_ok=True)
        for attempt in ("try", "retry"):
            try:
                with step(f"downloading {name} {version}"):
                    run(apt("apt-get", "-qq", "download", f"{name}={version}", at=at), f"downloading {name}", cwd=part)
                break
            except Fail:
                if attempt == "retry":
                    raise Fail(f"cannot download {name} {version}: is there a network? If the mirror has moved on "
                               "to a newer version: tools/testing/vm/vm fetch --update") from None
        next(part.glob("*.deb")).rename(path)
        shutil.rmtree(part)
        return path


def fetch(update=False, source=False):
    found = versions(update)
    if update:
        for stamp in CACHE.glob("apt-*/read"):
            stamp.unlink()
        (CACHE / "newer-sources.json").unlink(missing_ok=True)
        (CACHE / "backports.json").unlink(missing_ok=True)
    package(f"linux-image-{found['kernel']}", found["version"])
    if source:
        package(f"linux-source-{found['series']}", found["version"])
    return found


def root(extra=(), fresh=False):
    """The Debian 13 system, made once, complemented when more packages are asked for."""
    found = versions()
    wanted = sorted({*PACKAGES, *extra, f"linux-headers-{found['kernel']}"})
    stamp = ROOT / "var/lib/iommufd-vfio.packages"
    have = set(stamp.read_text().split()) if stamp.exists() else set()
    if have.issuperset(wanted) and not fresh:
        return ROOT
    if os.geteuid():
        raise Fail("making the Debian root and using it by chroot needs root: run this as root")
    with lock("root-packages"):
        have = set(stamp.read_text().split()) if stamp.exists() else set()
        if have.issuperset(wanted) and not fresh:
            return ROOT
        if have and not fresh:
            add_packages(sorted(set(wanted) - have))
        else:
            with lock("root"):
                make_root(wanted)
            have = set()
        stamp.write_text("\n".join(sorted(have | set(wanted))) + "\n")
    return ROOT


def add_packages(names):
    """More packages for the root. Builds and guests that use it meanwhile do not mind: nothing there is replaced."""
    with step(f"adding to the Debian 13 root: {' '.join(names)}"):
        (ROOT / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
        log = CACHE / "root-install.log"
        with open(log, "w") as out:
            run(apt("apt-get", "-qq", "-y", "--no-upgrade", "install", *names, root=ROOT),
                f"installing in the Debian 13 root (see {log})", stdout=out, stderr=out,
                env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
        shutil.rmtree(ROOT / "var/cache/apt/archives")


def bootstrap(target, packages, *options, suites=None):
    """The smallest Debian 13, or the one of other suites, with these packages, in a new directory."""
    # Unpacking is what takes the time, and this copy can be made anew: do not wait for the disk.
    run(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", *options, "--dpkgopt=force-unsafe-io",
         "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
         "--dpkgopt=path-exclude=/usr/share/doc/*", "--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
         f"--include={','.join(packages)}", suites[0] if suites else SUITE, target, *sources(suites)],
        "making a Debian system with mmdebstrap")


def make_root(wanted):
    host_packages(("mmdebstrap", "mmdebstrap"))
    new = CACHE / "root.new"
    if new.exists():
        run(["rm", "-rf", "--one-file-system", new])
    with step("making the Debian 13 root with mmdebstrap (about 700 MB; downloads about 200 MB)"):
        bootstrap(new, wanted)
    (new / "srv").mkdir(exist_ok=True)
    if SRV.exists():
        shutil.rmtree(new / "srv")
        SRV.rename(new / "srv")
    replace_tree(new, ROOT)
    for name in ("dev/shm", "run/lock"):
        (ROOT / name).mkdir(parents=True, exist_ok=True)
    try:
        chroot(["sh", "-c", ": >/dev/null </dev/zero && gcc --version >/dev/null"])
    except Fail:
        raise Fail(f"programs cannot use devices in {ROOT}: its file system forbids them (nodev?). "
                   "Point XDG_CACHE_HOME at another file system") from None


def unpack(name, version, target, paths=()):
    """Files of a package, in a directory of their own."""
    if target.exists():
        return target
    deb = package(name, version)
    with lock(f"unpack-{name}"):
        if not target.exists():
            part = target.with_name(target.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            run(["dpkg-deb", "-x", deb, part], f"unpacking {name}")
            replace_tree(part, target)
    return target
