# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages of this project: built in the Debian root from what git knows, in build/deb/."""

import re
import shutil
import subprocess

import debian
from util import BUILD, CLONE, REPO, ROOT, Fail, chroot, chroot_argv, inside, lock, replace_tree, run, say

# What debian/control wants besides the packages that the root has anyway, and the checker of packages
PACKAGES = ["build-essential", "debhelper", "dh-dkms", "dpkg-dev", "linux-headers-amd64", "lintian", "python3-sphinx"]
NAMES = ["iommufd-vfio-dkms", "iommufd-vfio-doc", "vfioctl"]


def version():
    return (REPO / "VERSION").read_text().strip()


def versions_agree():
    """Problems: the places that say which version this is, and do not say what VERSION does."""
    found = {"debian/changelog": re.search(r"\((\S+)\)", (REPO / "debian/changelog").read_text()).group(1),
             "CHANGELOG.md": re.search(r"(?m)^## (\S+)", (REPO / "CHANGELOG.md").read_text()).group(1)}
    for path in (REPO / "drivers").rglob("*.c"):
        for said in re.findall(r'MODULE_VERSION\("(.*)"\)', path.read_text()):
            found[str(path.relative_to(REPO))] = said
    problems = [f"{place} has {said}, VERSION {version()}" for place, said in found.items() if said != version()]
    # One per module that is installed
    modules = len(found) - 2
    return problems + ([] if modules == 5 else [f"{modules} modules have a version"])


def sources(target):
    """The files that belong to the project, as they are now."""
    listing = run(["git", "-C", REPO, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                  stdout=subprocess.PIPE, text=True)
    for name in filter(None, listing.split("\0")):
        if (REPO / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, target / name)


def build(change=None, place="deb"):
    """
    Build source and binary packages in a directory of that name in the root, and give the path of the directory that they
    are in. change(tree) may alter the sources before.
    """
    debian.root(PACKAGES)
    home = CLONE / place
    with lock(f"{CLONE.name}-{place}"):
        run(["rm", "-rf", "--one-file-system", home])
        tree = home / f"iommufd-vfio-{version()}"
        tree.mkdir(parents=True)
        sources(tree)
        if change:
            change(tree)
        log = BUILD / "logs" / f"{place}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as out:
            try:
                chroot(["dpkg-buildpackage", "-us", "-uc"], cwd=inside(tree), env={"DEB_BUILD_OPTIONS": "terse noautodbgsym"},
                       what=f"building the packages (see {log.relative_to(REPO)})", stdout=out, stderr=out)
            except Fail:
                say("".join(log.read_text(errors="replace").splitlines(True)[-15:]))
                raise
        run(["rm", "-rf", "--one-file-system", tree])
    return home


def deb():
    """'make deb': the packages in build/deb."""
    home = build()
    new = BUILD / "deb.part"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(home, new)
    replace_tree(new, BUILD / "deb")
    run(["rm", "-rf", "--one-file-system", home])
    return BUILD / "deb"


def lintian(folder):
    """What lintian says of the packages in a directory of the root."""
    changes = next(folder.glob("*.changes"))
    done = subprocess.run(chroot_argv(["lintian", "--pedantic", "--tag-display-limit=0", "--fail-on=none", "--allow-root",
                                       changes.name], cwd=inside(folder)),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    problems = done.stdout.splitlines()
    return problems + ([f"lintian: exit status {done.returncode}"] if done.returncode else [])


def dkms_check():
    """What dkms asks before a build: a kernel that lacks an export is skipped with a sentence, the stock one is not."""
    release, lacking = debian.versions()["kernel"], "iommu_attach_group_handle"
    home = CLONE / "dkms-check"
    run(["rm", "-rf", "--one-file-system", home])
    headers = ROOT / f"usr/src/linux-headers-{release}"
    for name in ("Kbuild", "compat", "drivers", "include", "packaging"):
        (home / "source").mkdir(parents=True, exist_ok=True)
        run(["cp", "-r", REPO / name, home / "source"])
    run(["cp", "-a", headers, home / "headers"])
    (home / "headers/scripts").unlink()
    (home / "headers/scripts").symlink_to(inside((headers / "scripts").resolve()))
    symbols = [line for line in (headers / "Module.symvers").read_text().splitlines(True) if f"\t{lacking}\t" not in line]
    (home / "headers/Module.symvers").unlink()
    (home / "headers/Module.symvers").write_text("".join(symbols))
    problems = []
    for place, status in (headers, 0), (home / "headers", 77):
        done = subprocess.run(chroot_argv(["packaging/dkms-check", release, inside(place)], cwd=inside(home / "source")),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != status or (status and not re.search(f"no modules for kernel .*{lacking}", done.stdout)):
            problems.append(f"{place.name}: exit status {done.returncode}: {done.stdout}")
    run(["rm", "-rf", "--one-file-system", home])
    return problems


def check():
    """Gives (what is checked, problems); leaves the packages in build/deb."""
    debian.root(PACKAGES)
    yield "a kernel that lacks an export is skipped", dkms_check()
    first, second = deb(), build(place="deb-again")
    # The others say when and where they were built.
    names = sorted(path.name for path in first.iterdir() if path.suffix not in (".buildinfo", ".changes"))
    problems = [f"{name} differs from one build to the next" for name in names
                if not (second / name).exists() or (first / name).read_bytes() != (second / name).read_bytes()]
    built = {name.split("_")[0] for name in names if name.endswith(".deb")}
    problems += [f"{name} is not built" for name in NAMES if name not in built]
    yield "packages are built, twice the same", problems
    yield "lintian --pedantic", lintian(second)
    run(["rm", "-rf", "--one-file-system", second])
