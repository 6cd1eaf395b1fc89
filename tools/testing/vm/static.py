# SPDX-License-Identifier: GPL-2.0-only
"""'make check-static': builds without warnings, sparse, checkpatch, kernel-doc, documents, linters."""

import gzip
import io
import re
import shutil
import subprocess
import sys
import tarfile

import arm64
import build
import debian
import package
from report import single, tell_skipped
from util import BUILD, CLONE, HERE, REPO, Fail, chroot_argv, inside, repo_files, write_if_changed

sys.path += [str(HERE.parent / "mutate"), str(HERE.parent / "static")]
import layers		# noqa: E402
import mutate		# noqa: E402

# Files, by the first pattern that matches, and what checkpatch is not asked about in them.
CHECKPATCH = [
    # Tracepoints are lists of macros without commas.
    (r"/trace(_driver)?\.h$", "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT"),
    # vfio_alloc_device(), whose form drivers of other people depend on.
    (r"/include/linux/vfio\.h$", "MACRO_ARG_REUSE"),
    # Macros that drivers of other people use, with the name of a member as argument
    (r"/include/linux/iommufd\.h$", "MACRO_ARG_PRECEDENCE,MACRO_ARG_REUSE"),
    # Questions to the compiler, and functions as older kernels have them
    (r"/compat/", "AVOID_EXTERNS,CAMELCASE,COMPLEX_MACRO,EXPORT_SYMBOL,LONG_LINE_COMMENT,MACRO_ARG_REUSE,MACRO_ARG_UNUSED"),
    # Names of the user ABI
    (r"/vfio_uapi_ext\.h$", "CAMELCASE"),
    # Programs have no kernel macros; device registers are volatile; messages to the user are not broken up; tables are
    # made by macros; a macro that may skip a test has to return from it; and FIXTURE_DATA(x) * is not recognised as a type.
    (r"/tools/", "ARRAY_SIZE,BIT_MACRO,CAMELCASE,EMBEDDED_FUNCTION_NAME,LINE_SPACING,LONG_LINE_STRING,MACRO_ARG_REUSE,"
                      "MACRO_WITH_FLOW_CONTROL,"
                      "PREFER_DEFINED_ATTRIBUTE_MACRO,SPACING,STRCPY,VOLATILE"),
    (r"", ""),
]


# Of scripts: the longest line, and what pycodestyle is not asked about: two spaces before a comment at the end of a line,
# where a tab is better to see, and its usual exceptions.
LINE = 140
# In READMEs: what builds make, and what is in a kernel's source, in the cache or in a guest
NOT_OF_THE_REPO = ("build/", "updates/", "debs/", "root/", "Documentation/process/")
PYCODESTYLE = "E121,E123,E126,E127,E226,E261,E704,W503,W504"


def captured(argv, cwd):
    """Everything that a checker says, in lines, and its exit status."""
    done = subprocess.run(chroot_argv(argv, cwd), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout.splitlines(), done.returncode


def install():
    """Problems of make install into an empty directory and of make uninstall from there."""
    target = CLONE / "install"
    shutil.rmtree(target, ignore_errors=True)
    problems = []
    release = debian.versions()["kernel"]
    for goal, expected in (("install", build.PRODUCT), ("uninstall", [])):
        done = subprocess.run(["make", "-s", goal, f"DESTDIR={target}", f"KREL={release}"], cwd=REPO, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            problems.append(f"make {goal}: {done.stdout.strip()}")
        files = [str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()]
        modules = sorted(f for f in files if f.endswith(".ko"))
        if modules != sorted(f"lib/modules/{release}/updates/{name}.ko" for name in expected):
            problems.append(f"after make {goal}: {modules}")
        if not expected and files:
            problems.append(f"make uninstall leaves {files}")
    return problems


FIXES = "Documentation/driver-api/stable-fixes.rst"
# Drivers that use VFIO and are not ours, in the subjects of fixes to them
NOT_OURS = re.compile(r"vfio[-_](ap|ccw)|vfio/(mlx5|qat|pds|cdx|nvgrace-gpu|virtio|fsl-mc)|hisi_acc|EEH|SPAPR")


def stable_fixes():
    """Fixes that the Debian kernel has, by the changelog of its package, and that our list of them lacks."""
    found = debian.versions()
    deb = debian.package(f"linux-image-{found['kernel']}", found["version"])
    place = f"./usr/share/doc/linux-image-{found['kernel']}/changelog.gz"
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        log = gzip.decompress(archive.extractfile(place).read()).decode(errors="replace")
    listed = (REPO / FIXES).read_text()
    problems = []
    for line in log.splitlines():
        if re.match(r"linux \(6\.1[01][.~]", line):		# before the series of the list
            break
        subject = re.match(r" +- (?:\[[^]]*\] )?(.*)", line)
        if not subject or not re.search(r"iommufd|vfio|iova_bitmap", subject[1]):
            continue
        name = re.sub(r" \(CVE-.*", "", subject[1])
        if not NOT_OURS.search(name) and not name.startswith("Revert ") and name not in listed:
            problems.append(f"not in {FIXES}: {name}")
    revision = re.search(r"Debian revision: (\S+)", listed)
    if not revision or revision[1] != found["version"]:
        problems.append(f"{FIXES} is of Debian revision {revision[1] if revision else 'none'}, the kernel's is {found['version']}")
    return problems


PRIVATE_HEADER = "compat/iommu/iommu-priv.h"
NEWEST = "backports"


def prototypes(text):
    """The functions that a header declares, by name."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    found = re.findall(r"(?m)^((?:const |struct |unsigned )*\w+[ *\n]+)(\w+)(\([^;{}]*\));", text)
    return {name: re.sub(r"\s*([(),*])\s*", r"\1", " ".join((kind + name + arguments).split()))
            for kind, name, arguments in found}


def private_prototypes(header, kernel):
    """What a kernel's private header has otherwise than ours, which stands in for it in external builds."""
    theirs = prototypes(header)
    text = (REPO / PRIVATE_HEADER).read_text()
    if kernel != NEWEST:
        text = re.sub(r"(?ms)^#ifndef COMPAT_LACKS_.*?^#endif", "", text)
    ours = prototypes(text)
    problems = [f"{PRIVATE_HEADER}: {theirs.get(name, 'nothing of that name')} in the kernel, {prototype} here"
                for name, prototype in ours.items() if theirs.get(name) != prototype]
    return problems if ours else [f"{PRIVATE_HEADER}: no prototypes found"]


def compare_headers(results):
    """Our private header, with that of the oldest and of the newest kernel."""
    for kernel in ("stock", NEWEST):
        try:
            release, header = build.private_header(kernel)
        except Fail as err:
            results.skipped.append((f"prototypes of {kernel}", f"not to be had: {err}"))
            tell_skipped(results.skipped[-1:])
            continue
        single(results, f"private prototypes are those of {release}", private_prototypes(header, kernel))


# What of IOMMU drivers calls iommufd, by the kernel of the table: of Intel's and AMD's their page tables do
IOMMU_DRIVERS = {
    "newest": ("generic_pt/fmt/iommu_vtdss.o", "generic_pt/fmt/iommu_amdv1.o"),
    "newest-arm64": ("arm/arm-smmu-v3/arm-smmu-v3-iommufd.o", "arm/arm-smmu-v3/tegra241-cmdqv.o"),
}
OURS = re.compile(r"_?iommufd_|iova_bitmap_")
EXPORTED = "__export_symbol_"


def symbols(path, prefix):
    """What an object, or an archive, defines for others or marks as exported, and what it wants of others."""
    lines, status = captured([f"{prefix}nm", inside(path)], "/")
    if status:
        raise Fail(f"nm: {lines[-1] if lines else path}")
    found = [line.split()[-2:] for line in lines if re.search(r" [A-Za-z] \S+$", line)]
    defined = {name for kind, name in found if kind in "ABCDGRSTVW" or name.startswith(EXPORTED)}
    return defined, {name for kind, name in found if kind == "U"}


def unlinked(core, drivers, modules):
    """
    What is wrong between the objects of drivers/iommu that are in the kernel itself, of which drivers, by name, call iommufd,
    and our modules: each is what symbols() gives.
    """
    defined, wanted = core
    problems = [f"{name}: wanted in the kernel and not defined there" for name in sorted(wanted - defined) if OURS.match(name)]
    problems += [f"{name}: wanted in the kernel and defined in a module" for name in sorted((wanted - defined) & modules[0])
                 if not OURS.match(name)]
    for driver, (_, uses) in drivers.items():
        calls = {name for name in uses if OURS.match(name)}
        if not calls:
            problems.append(f"{driver}: does not call iommufd")
        problems += [f"{name}: {driver} calls it, and no module could" for name in sorted(calls) if EXPORTED + name not in defined]
    problems += [f"{name}: of a module and of the kernel" for name in sorted(defined & modules[0])]
    return problems


def in_tree_newest(results, part):
    """Our directories in the newest kernel's source: compiled without a bridge, and linked with its IOMMU drivers."""
    for kernel, names in IOMMU_DRIVERS.items():
        prefix = arm64.CROSS if kernel.endswith("arm64") else ""
        problems = {"compiled with W=1": [], "linked with the kernel's IOMMU drivers": []}
        compiled, linked = problems.values()
        try:
            log, out = build.in_newest(kernel)
            compiled += [line for line in log.read_text().splitlines()
                         if re.search(r"drivers/(iommu/iommufd|vfio)/.*\b(warning|error):", line)]
            iommu = out / "drivers/iommu"
            # Nothing is defined twice
            lines, status = captured([f"{prefix}ld", "-r", "-o", "/dev/null", "--whole-archive", inside(iommu / "built-in.a")], "/")
            linked += lines if status else []
            modules = [symbols(iommu / "iommufd/iommufd.o", prefix),
                       *[symbols(path, prefix) for path in map((out / "drivers/vfio").joinpath, ("vfio.o", "pci/vfio-pci-core.o"))]]
            linked += unlinked(symbols(iommu / "built-in.a", prefix), {name: symbols(iommu / name, prefix) for name in names},
                               (set().union(*[defined for defined, _ in modules]), set()))
        except Fail as err:
            compiled.append(str(err))
        for what, found in problems.items():
            single(results, f"{kernel}: in the kernel's tree, {what}", found)


def static(results, part):
    """All of it."""
    single(results, "one version in all places", package.versions_agree())
    compare_headers(results)
    debian.root(part.packages)
    single(results, "mutants have their places", mutate.check_table(REPO))
    single(results, "the list of stable fixes is that of Debian's kernel", stable_fixes())
    problems = []
    try:
        build.modules(werror=True)
        build.modules(werror=True, test=True)
    except Fail as err:
        problems.append(str(err))
    single(results, "external build with W=1, for the stock kernel", problems)
    single(results, "make install, make uninstall", install())

    problems = []
    try:
        log = build.inspect()
        text = log.read_text()
        problems = [line for line in text.splitlines() if re.search(r"\b(warning|error):", line)]
        seen = set(re.findall(r"(?m)^  CHECK   \.\./(drivers/.*)", text))
        problems += [f"{name}: no Makefile compiles it" for name in map(str, repo_files("drivers"))
                     if name.endswith(".c") and name not in seen | layers.NEWER]
    except Fail as err:
        problems.append(str(err))
    single(results, "in-tree build as modules with W=1, and sparse", problems)
    objects = build.tree() / "o-check"
    single(results, "files use only what is below them",
           layers.check(REPO, objects, lambda argv, folder: "\n".join(captured(argv, inside(folder))[0])))

    problems = []
    try:
        text = build.variants().read_text()
        problems = [line for line in text.splitlines() if re.search(r"\b(warning|error):", line)]
        problems += [f"nothing compiled in {folder}" for folder in build.VARIANT_SYMBOLS
                     if f" {folder}/" not in text]
    except Fail as err:
        problems.append(str(err))
    single(results, "the kernel's other VFIO drivers and samples compile against our headers", problems)

    tree = inside(build.tree())
    repo = inside(build.mirror())
    ours = [f"{repo}/{name}" for name in repo_files("drivers", "include", "compat", "tools")
            if name.suffix in (".c", ".h") and "build" not in name.parts]
    lines, left = [], ours
    for pattern, ignore in CHECKPATCH:
        names = [name for name in left if re.search(pattern, name)]
        left = [name for name in left if name not in names]
        options = [f"--ignore={ignore}"] if ignore else []
        lines += captured(["perl", "scripts/checkpatch.pl", "--strict", "--no-tree", f"--root={tree}", "--terse", "--no-summary",
                           "--show-types", *options, "-f", *names], tree)[0]
    single(results, "checkpatch --strict", [line.replace(repo + "/", "") for line in lines if line.strip()])
    documented = [name for name in ours if "/drivers/" in name or "/include/" in name]
    lines, _ = captured(["perl", "scripts/kernel-doc", "-none", "-Wall", *documented], tree)
    single(results, "kernel-doc -Wall", [line.replace(repo + "/", "") for line in lines if line.strip()])
    single(results, "Sphinx", documents())
    scripts = list(repo_files())
    single(results, "pyflakes and pycodestyle", python(scripts))
    single(results, "shellcheck", shell(scripts))
    single(results, "tests that skip keep what has failed", skips())
    single(results, "READMEs name what there is", places())


def interpreted_by(name, *words):
    """Does a file begin with a line that says so?"""
    try:
        with open(REPO / name, "rb") as file:
            first = file.readline(80)
    except OSError:
        return False
    return first.startswith(b"#!") and any(re.search(rb"\b%s\d*\b" % word, first) for word in words)


def linted(argv, names):
    """What a linter says of some files, with their names in the repo."""
    place = inside(build.mirror())
    lines, status = captured([*argv, *[f"{place}/{name}" for name in names]], place)
    problems = [line.replace(place + "/", "") for line in lines if line.strip()]
    return problems or ([f"{argv[0]}: exit status {status}"] if status else [])


def python(names):
    """What linters say of what is written in Python."""
    ours = [name for name in names if name.suffix == ".py" or interpreted_by(name, b"python")]
    style = ["pycodestyle", f"--max-line-length={LINE}", f"--ignore={PYCODESTYLE}"]
    tables = [name for name in ours if name.name == "mutants.py"]	# of lines of other files, as long as those are
    return (linted(["pyflakes3"], ours) + linted(style, [name for name in ours if name not in tables]) +
            linted([*style[:-1], f"{style[-1]},E501"], tables))


def shell(names):
    """What shellcheck says of what is written for a shell; it may not know busybox' by name."""
    ours = [name for name in names if name.suffix == ".bash" or interpreted_by(name, b"sh", b"bash")]
    ash = [name for name in ours if interpreted_by(name, b"busybox")]
    problems = linted(["shellcheck", "-f", "gcc", "-S", "warning"], [name for name in ours if name not in ash])
    return problems + (linted(["shellcheck", "-f", "gcc", "-S", "warning", "-s", "dash"], ash) if ash else [])


def skips():
    """Tests that may fail first and skip then: SKIP() makes of the failure a skip."""
    problems = []
    for name in repo_files("tools/testing/selftests"):
        if name.suffix != ".c":
            continue
        text = (REPO / name).read_text()
        for test in re.finditer(r"(?ms)^(?:TEST|FIXTURE_SETUP).*?^}", text):
            first = test[0].find("EXPECT_")
            late = re.search(r"\bSKIP\(", test[0][first:]) if first >= 0 else None
            if late:
                line = text.count("\n", 0, test.start() + first + late.start()) + 1
                problems.append(f"{name}:{line}: SKIP() behind EXPECT_; SKIP_REST() keeps what has failed")
    return problems


def places():
    """Paths that READMEs give and that are not there, and files of the harness that its README has not."""
    problems = []
    for name in (path for path in repo_files() if path.name in ("README.md", "README", "CONTRIBUTING.md")):
        folder = (REPO / name).parent
        for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", (REPO / name).read_text()):
            if not path.startswith(NOT_OF_THE_REPO) and not (REPO / path).exists() and not (folder / path).exists():
                problems.append(f"{name}: there is no {path}")
    text = (HERE / "README.md").read_text()
    return problems + [f"{HERE.name}/README.md: nothing of {path.name}" for path in sorted(HERE.glob("*.py"))
                       if f"`{path.name}`" not in text]


def documents():
    """What Sphinx says of the documents, with the kernel's configuration of it; the pages are in build/htmldocs."""
    tree, source, out = build.tree(), build.mirror() / "Documentation", CLONE / "htmldocs"
    shutil.rmtree(out, ignore_errors=True)
    # 6.12's program does not know exports whose namespace is a string.
    program = CLONE / "kernel-doc"
    text = (tree / "scripts/kernel-doc").read_text()
    write_if_changed(program, text.replace(r",\s*\w+\)\s*;';", r""",\s*"?\w+"?\)\s*;';"""))
    program.chmod(0o755)
    settings = {"kerneldoc_srctree": inside(tree), "kerneldoc_bin": inside(program)}
    settings.update(dict.fromkeys(("version", "release"), debian.versions()["series"]))
    argv = ["env", "PYTHONDONTWRITEBYTECODE=1", f"BUILDDIR={inside(out)}", f"srctree={inside(tree)}",
            "sphinx-build", "-q", "-b", "html", "-c", f"{inside(tree)}/Documentation", "-d", f"{inside(out)}/.doctrees",
            *[f"-D{key}={value}" for key, value in settings.items()], inside(source), inside(out)]
    lines, status = captured(argv, f"{inside(tree)}/Documentation")
    problems = [line.replace(inside(source.parent) + "/", "").replace(inside(tree) + "/", "") for line in lines
                if line.strip() and not re.search(r"^Using \w+ theme$|dot\(1\) not found", line)]
    if status:
        problems.append(f"sphinx-build: exit status {status}")
    for name in repo_files("Documentation"):
        # Sphinx makes links of those that exist, and is silent about the others.
        for other in re.findall(r"\bDocumentation/[\w./-]*\w", (REPO / name).read_text()):
            if not (REPO / other).exists():
                problems.append(f"{name}: there is no {other}")
    if not problems:
        shutil.copytree(out, BUILD / "htmldocs", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".doctrees"))
    return problems
