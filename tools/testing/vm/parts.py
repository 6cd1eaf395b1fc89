# SPDX-License-Identifier: GPL-2.0-only
"""'make check': builds, static checkers, KUnit suites, selftests in virtual machines, the demo; one sum of it all."""

import functools
import gzip
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import time

import build
import debian
import fuzz
import guest
import ktap
import logscan
import machine
import selfcheck
import system
from util import BUILD, CLONE, HERE, JOBS, REPO, Fail, chroot_argv, inside, lock, repo_files, say

sys.path.append(str(HERE.parent / "mutate"))
import mutate		# noqa: E402

# What the selftests find in their machine; the guest knows each by its id, see vm-bind.
DEVICES = [
    "edu", "nvme", "e1000e", "igb", "pci-testdev", "ivshmem", "virtio-net-pci", "edu",
    # Two in one group, which a bridge reset resets
    "pcie-pci-bridge,id=bridge", "edu,bus=bridge,addr=1", "edu,bus=bridge,addr=2",
    # An empty one, for tests to plug something into; one with a device that can be reset in all ways: with a faster link the
    # kernel would wait after each reset for what QEMU does not report where devices are plugged in by ACPI
    "pcie-root-port,id=port0,chassis=1,slot=1,x-speed=2_5",
    "pcie-root-port,id=port1,chassis=2,slot=2,x-speed=2_5", "nvme,bus=port1,addr=0",
    # One with a VF; what that gets of the flexible resources is up to the driver of the PF
    "nvme,max_ioqpairs=8,msix_qsize=9,sriov_max_vfs=1,sriov_vq_flexible=4,sriov_vi_flexible=3",
    # One that raises interrupts on request, alone on its bus, on the interrupt line of one of the others: see their slots
    "pcie-root-port,id=port2,chassis=3,slot=3,x-speed=2_5", "edu,bus=port2,addr=0",
    # Two functions of one device, of which the first leads to the second, in two groups: the kernel knows that those of
    # igb do not talk to each other
    "pcie-root-port,id=port3,chassis=4,slot=4,x-speed=2_5",
    "igb,id=twin0,bus=port3,addr=0.0,multifunction=on,x-pcie-ari-nextfn-1=on", "igb,id=twin1,bus=port3,addr=0.1",
    # Two that report errors, the first one's being asked for
    "pcie-root-port,id=port4,chassis=5,slot=5,x-speed=2_5,addr=19",
    "virtio-net-pci,id=faulty,bus=port4,addr=0.0,multifunction=on,aer=on", "virtio-net-pci,bus=port4,addr=0.1",
    # One with 16 MSI vectors, where the VFs of igb are not
    "nec-usb-xhci,msi=on,msix=off,addr=18",
    "VGA",
]

# IOMMUs, what is run with each on the stock kernel, and more of the command line.
USUAL = [("iommu", "iommufd_device"), ("iommu", "vfio_compat")]
# What a device reaches after a mapping has ended, and when page tables are freed; the largest mappings need large devices.
RELEASE = [("vfio", "vfio_pci_release"), ("vfio", "vfio_group_release"), ("vfio", "vfio_pci_release_bar")]
TABLES = ("vfio", "vfio_pci_tables")
LARGE = {"edu": "edu,dma_mask=0xffffffffff", "ivshmem": "ivshmem,size=8G"}
UNSAFE = "iommufd.allow_unsafe_interrupts=1"
MODELS = {
    "intel": ([*RELEASE, TABLES], ""),
    "intel-scalable": ([*USUAL, *RELEASE], ""),
    "intel-flts": ([*USUAL, *RELEASE, TABLES], ""),
    "intel-nosc": ([*USUAL, *RELEASE], ""),
    "amd": ([*USUAL, *RELEASE], ""),
    "amd-remap": ([*USUAL, ("vfio", "vfio_pci_p2p"), *RELEASE], ""),
    "virtio": ([*USUAL, *RELEASE], UNSAFE),
    # One MSI vector at a time, for want of remapping
    "intel-nointremap": ([("vfio", "vfio_cdev_isolation"), ("vfio", "vfio_pci_msi"), *USUAL], UNSAFE),
    "none": ([("vfio", "vfio_group_noiommu")], ""),
}
# More options of those runs. A kernel that lets a device do without an IOMMU says so (U).
MODEL_OPTIONS = {"none": {"env": {"MAY_LOCK_DOWN": 1}, "taint": "U"}}

# The same for programs of the distribution, see tools/testing/clients
CLIENTS = "tools/testing/clients/clients.py"
CLIENT_PACKAGES = ["binutils", "dpdk-dev"]
CLIENT_DEVICES = [
    "nvme", "nvme", "e1000e", "e1000e", "igb",
    # The kernel's not behind the IOMMU: there QEMU 10 writes to the wrong page where an element of a ring crosses pages.
    # DPDK's elements do not.
    "virtio-net-pci,iommu_platform=off", "virtio-net-pci",
    # Two in one group, of which each has a reset of its own
    "pcie-root-port,id=rootport,chassis=1,slot=1",
    "nvme,bus=rootport,addr=0.0,multifunction=on", "nvme,bus=rootport,addr=0.1",
    "pcie-pci-bridge,id=bridge", "edu,bus=bridge,addr=1", "edu,bus=bridge,addr=2",
    # To see, after each case, what users are charged
    "edu",
]
# A disk, a network card and its peer
CLIENT_FEW = ["nvme", "e1000e", "e1000e", "virtio-net-pci,iommu_platform=off", "edu"]
# What a newer QEMU might do in another way
NEWER_CASES = ["qemu iommufd", "qemu iommufd, descriptors passed", "qemu group", "qemu memory memfd", "qemu memory hugetlb",
               "qemu hot plug"]
# The runs, each a part of the check, the longest first: IOMMU, devices, cases, and more options
CLIENT_RUNS = {
    "qemu": ("intel", CLIENT_DEVICES, ["qemu *"], {}),
    "dpdk": ("intel", CLIENT_DEVICES, ["dpdk *"], {}),
    # On two processors that take turns on one thread, what runs in KVM in TCG gets lost: Linux at once, firmware at times.
    "kvm": ("intel", CLIENT_FEW, ["linux *", "kvm *"], {"smp": 1}),
    "intel-scalable": ("intel-scalable", CLIENT_FEW, ["qemu iommufd", "qemu group", "dpdk iova as va"], {}),
    "intel-flts": ("intel-flts", CLIENT_FEW, ["qemu iommufd", "qemu group", "dpdk iova as va"], {}),
    # KVM asks for coherence
    "intel-nosc": ("intel-nosc", CLIENT_FEW, ["qemu iommufd", "qemu group", "kvm iommufd", "kvm group"], {"smp": 1}),
    "intel-nointremap": ("intel-nointremap", CLIENT_FEW, ["qemu unsafe interrupts"], {}),
    "amd": ("amd-remap", CLIENT_FEW, ["qemu iommufd", "qemu group", "dpdk iova as va"], {}),
    "newer": ("intel", CLIENT_FEW, NEWER_CASES, {"newer_qemu": True}),
    "none": ("none", CLIENT_FEW, ["dpdk no iommu"], {"taint": "U"}),
}

CLIENT_SECONDS = 2 * 15 * 60		# of processor time, for all of them

# The same for vfioctl: IOMMU and more options, by the kind of machine, which the cases are told
VFIOCTL = "tools/testing/vfioctl/vfioctl_test.py"
VFIOCTL_PACKAGES = ["e2fsprogs", "python3-jsonschema"]
VFIOCTL_DEVICES = [
    "nvme", "e1000e", "igb", "edu",
    # Two in one group; one that can be unplugged
    "pcie-root-port,id=rootport,chassis=1,slot=1,x-speed=2_5",
    "nvme,bus=rootport,addr=0.0,multifunction=on", "nvme,bus=rootport,addr=0.1",
    "pcie-root-port,id=port0,chassis=2,slot=2,x-speed=2_5", "edu,id=plugged,bus=port0,addr=0",
]
VFIOCTL_RUNS = {
    "intel": ("intel", {}),
    "stock": ("intel", {"modules": False}),
    "amd": ("amd", {}),
    "none": ("none", {}),
    "nointremap": ("intel-nointremap", {}),
}

SPHINX_PACKAGES = ["python3-sphinx"]

# Those of the kernel itself, unmodified; what those of VFIO get, one of them behind a bridge; the IOMMUs, with the others.
# Not ivshmem: the tests take it that every BAR is a page at least.
MAINLINE = ("mainline", "mainline.py")
MAINLINE_KINDS = ["edu", "nvme", "e1000e", "igb"]
MAINLINE_DEVICES = {"intel": [*MAINLINE_KINDS, "pcie-pci-bridge,id=bridge", "edu,bus=bridge,addr=1"], "none": []}

# Four minutes on the debug kernel, which "make check" does not have
RACES = [("vfio", "vfio_pci_race"), ("vfio", "vfio_pci_hotplug"), ("vfio", "vfio_pci_neighbour")]

# Minutes, and nothing else should run beside it on the same kernel: it measures time
HUGE = [("iommu", "iommufd_huge")]

# Why tests skip themselves when there are no drivers for tests
NEEDS_TEST_MODULES = re.compile(r"IOMMUFD_TEST|driver \w\S+ is not loaded")

# A minute or so; "make fuzz" is for longer runs.
FUZZ_RUNS = 3000

# Files, by the first pattern that matches, and what checkpatch is not asked about in them.
CHECKPATCH = [
    # Tracepoints are lists of macros without commas.
    (r"/trace\.h$", "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT"),
    # vfio_alloc_device(), whose form drivers of other people depend on.
    (r"/include/linux/vfio\.h$", "MACRO_ARG_REUSE"),
    # Programs have no kernel macros; device registers are volatile; messages to the user are not broken up; tables are
    # made by macros; and FIXTURE_DATA(x) * is not recognised as a type.
    (r"/tools/", "ARRAY_SIZE,BIT_MACRO,CAMELCASE,EMBEDDED_FUNCTION_NAME,LINE_SPACING,LONG_LINE_STRING,MACRO_ARG_REUSE,"
                      "PREFER_DEFINED_ATTRIBUTE_MACRO,SPACING,STRCPY,VOLATILE"),
    (r"", ""),
]


def tell(verdict, name, detail=""):
    print(f"{verdict:7} {name}{detail}", flush=True)


def single(results, name, problems):
    """One test of which only the problems are known."""
    if problems:
        results.failed.append(name)
        for line in problems[:20]:
            print(f"        {line}", flush=True)
        tell("FAILED", name)
    else:
        results.passed.append(name)
        tell("ok", name)


def tell_skipped(skipped):
    """Skips by their reason."""
    reasons = {}
    for name, reason in skipped:
        program, _, test = name.rpartition(": ")
        reasons.setdefault((program, reason), []).append(test)
    for (program, reason), names in reasons.items():
        tell("skipped", f"{program}: {names[0] if len(names) == 1 else f'{len(names)} tests'}: {reason}")


def collect(results, found, prefix):
    """The results of a program: its failures and skips in words, the rest as a number."""
    results.add(found, prefix)
    for name in found.failed:
        tell("FAILED", prefix + name)
    tell_skipped([(prefix + name, reason) for name, reason in found.skipped])
    tell("ok" if not found.failed else "FAILED", f"{prefix.rstrip(': ')}",
         f": {found.summary()}" + (f" ({found.seconds} s)" if found.seconds else ""))


def captured(argv, cwd):
    """Everything that a checker says, in lines, and its exit status."""
    done = subprocess.run(chroot_argv(argv, cwd), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout.splitlines(), done.returncode


# ---- the parts

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
NOT_OURS = re.compile(r"vfio[-_](ap|ccw)|vfio/(mlx5|qat|pds|cdx|platform|nvgrace-gpu|virtio|fsl-mc)|hisi_acc|EEH|SPAPR")


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


def static(results):
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
                     if name.endswith(".c") and name not in seen]
    except Fail as err:
        problems.append(str(err))
    single(results, "in-tree build as modules with W=1, and sparse", problems)

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


def documents():
    """What Sphinx says of the documents, with the kernel's configuration of it; the pages are in build/htmldocs."""
    debian.root(SPHINX_PACKAGES)
    tree, source, out = build.tree(), build.mirror() / "Documentation", CLONE / "htmldocs"
    shutil.rmtree(out, ignore_errors=True)
    settings = {"kerneldoc_srctree": inside(tree), "kerneldoc_bin": f"{inside(tree)}/scripts/kernel-doc"}
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


def run_kunit(suites=None):
    """Run the KUnit suites on User-mode Linux; gives what it printed and how long it took."""
    kernel = build.kernel("uml")
    argv = [kernel / "kernel", "mem=512M", "kunit_shutdown=halt", "kasan_multi_shot", "panic=-1"]
    if suites:
        argv.append(f"kunit.filter_glob={suites}")
    log = BUILD / "logs/kunit.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    scratch = CLONE / "uml"
    scratch.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    try:
        done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600, text=True, errors="replace",
                              env=dict(os.environ, TMPDIR=str(scratch)))
        text = done.stdout
    except subprocess.TimeoutExpired as err:
        text = (err.stdout or b"").decode(errors="replace") + "\nKernel panic - not syncing: not finished after 600 s\n"
    log.write_text(text)
    return text, time.monotonic() - begin


def kunit(results, suites=None, verbose=False):
    text, seconds = run_kunit(suites)
    if verbose:
        print(text)
    collect(results, ktap.parse(text, "kunit"), "kunit: ")
    single(results, f"kunit: kernel log ({seconds:.0f} s)", logscan.suspicious(text))


def run_tests(tests, kernel, **more):
    """Run selftests in one guest; gives the results of each, by (directory, program), and the run."""
    names = [f"{folder}/{program}" for folder, program in tests]
    more.setdefault("devices", DEVICES)
    opts = guest.Options(command=["run-tests", *names], kernel=kernel, memory="3G", **more)
    say(f"running {len(names)} selftests on the {kernel} kernel{' with drivers for tests' if opts.test_modules else ''}")
    if kernel == "debug":
        opts.env["VM_SLOWER"] = 5
        opts.append += " kasan_multi_shot"
    result = guest.boot_once(opts)
    outcomes = {}
    for folder, program in tests:
        base = result.folder / f"out/{folder}.{program}"
        found = ktap.Results()
        if base.with_name(base.name + ".status").exists():
            found = ktap.parse(base.with_name(base.name + ".tap").read_text(errors="replace"), program)
            status, found.seconds = map(int, base.with_name(base.name + ".status").read_text().split())
            if status not in (0, 4) and not found.failed:
                found.failed.append(f"exit status {status}" + (" (time-out)" if status in (124, 137) else ""))
        else:
            found.failed.append("did not run to its end")
        outcomes[folder, program] = found
    return outcomes, result


def by_themselves(results, tests, kernel, name, **more):
    """Selftests that have a part of their own."""
    missing = set(tests) - set(build.userspace())
    if missing:
        raise Fail(f"no such selftests: {missing}")
    outcomes, result = run_tests(tests, kernel, name=f"check-{name}", load=["iommufd", "vfio-pci"], **more)
    for (folder, program), found in outcomes.items():
        collect(results, found, f"{kernel}: {folder}/{program}: ")
    single(results, f"{name}: kernel log, taint, pinned pages and leaks after all that", result.problems)


def races(results):
    """Those of the selftests that take longest on the debug kernel."""
    by_themselves(results, RACES, "debug", "debug-races", timeout=1800)


def huge(results):
    """The largest objects that everybody can make, and the kernel's watchdog."""
    by_themselves(results, HUGE, "stock", "huge", timeout=900)


def selftests(results, kernel, folders=None):
    """All selftests, or those in some directories; on the debug kernel without those that race."""
    # It is the IOMMU that counts: the longer of the release tests are left to where each is tried. HUGE is a part of its own.
    apart = RELEASE[1:] + HUGE
    tests = [test for test in build.userspace() if test not in apart and (not folders or test[0] in folders)]
    if kernel == "debug":
        tests = [test for test in tests if test not in RACES]
    name = "-".join([kernel, *(folders or [])])
    if not tests:
        results.failed.append(f"{name}: no selftests found")
        return
    tests = [test for test in tests if test != MAINLINE]		# a part of its own
    at_boot = kernel == "debug" and "iommu" in folders	# KUnit suites
    outcomes, result = run_tests(tests, kernel, name=f"check-{name}", load=["iommufd", "vfio-pci"], timeout=2700,
                                 append="kunit.enable=1" if at_boot else "")
    problems = result.problems
    if kernel == "stock":
        # What users get has no mock IOMMU and the like. What was skipped for that gets a second chance where there is.
        again = [test for test in tests if any(NEEDS_TEST_MODULES.search(reason) for _, reason in outcomes[test].skipped)]
        if again:
            second, result = run_tests(again, kernel, name="check-stock-test", test_modules=True, timeout=1500,
                                       load=["iommufd", "vfio-pci", "vfio-test"])
            problems = problems + result.problems
            for test, found in second.items():
                names = {name for name, _ in outcomes[test].skipped}
                if test[1] not in names:		# not skipped as a whole
                    found.only(names)
                outcomes[test].skipped = []
                outcomes[test].add(found)
                outcomes[test].seconds += found.seconds
    for (folder, program), found in outcomes.items():
        collect(results, found, f"{kernel}: {folder}/{program}: ")
    if at_boot:
        boot = (result.folder / "console.log").read_text(errors="replace").split("Run /init", 1)[0]
        collect(results, ktap.parse(boot, "kunit"), f"{kernel}: kunit: ")
    single(results, f"{name}: kernel log, taint, pinned pages and leaks after all that", problems)


def mainline(results, kernel):
    """Mainline's own selftests, of the stock kernel's version and of the one whose ABI is ours."""
    newer = None
    try:
        newer = build.newer_selftests()
    except Fail as err:
        missing = (f"mainline: the selftests of Linux {debian.ABI}", f"not to be had: {err}")
        results.skipped.append(missing)
        tell_skipped([missing])
    if MAINLINE not in build.userspace(newer):
        raise Fail("mainline's selftests were not built")
    for iommu, devices in MAINLINE_DEVICES.items():
        name = f"mainline: {kernel}, IOMMU {iommu}"
        outcomes, result = run_tests([MAINLINE], kernel, name=f"check-mainline-{kernel}-{iommu}", iommu=iommu,
                                     devices=devices, bind=MAINLINE_KINDS if devices else [],
                                     test_modules=kernel == "stock", load=["iommufd", "vfio-pci"], timeout=3600)
        collect(results, outcomes[MAINLINE], f"{name}: ")
        single(results, f"{name}: kernel log, taint, pinned pages and leaks after all that", result.problems)


def has_emulator(results, iommu, newer=False):
    """Is there a QEMU that has such an IOMMU, or a newer one at all? If not, that is said as a skip."""
    if newer or iommu in machine.NEEDS_NEWER_QEMU:
        try:
            debian.newer_qemu()
        except Fail as err:
            missing = (f"{iommu}: everything", f"a newer QEMU is not to be had: {err}")
            results.skipped.append(missing)
            tell_skipped([missing])
            return False
    return True


def models(results):
    """Each IOMMU: what it maps and does not map any longer, and what it is refused for."""
    available = build.userspace()
    for iommu, (tests, append) in MODELS.items():
        if not has_emulator(results, iommu):
            continue
        missing = set(tests) - set(available)
        if missing:
            raise Fail(f"no such selftests: {missing}")
        outcomes, result = run_tests(tests, "stock", name=f"check-{iommu}", iommu=iommu, timeout=1500,
                                     load=["iommufd", "vfio-pci"], append=append,
                                     devices=[LARGE.get(device, device) for device in DEVICES],
                                     **MODEL_OPTIONS.get(iommu, {}))
        for (_, program), found in outcomes.items():
            collect(results, found, f"{iommu}: {program}: ")
        single(results, f"{iommu}: kernel log, taint and pinned pages", result.problems)


def fuzzing(results):
    """The corpus, and a fixed number of inputs made of it."""
    problems = fuzz.fuzz(runs=FUZZ_RUNS, jobs=1, fresh=True)
    single(results, f"fuzz: the corpus and {FUZZ_RUNS} inputs made of it", problems)


def demo(results):
    program = REPO / "tools/demo/run"
    if not program.exists():
        return
    done = subprocess.run([str(program)], stdin=subprocess.DEVNULL)
    single(results, "demo", [] if not done.returncode else [f"exit status {done.returncode}"])


def clients(results, name):
    """One of the runs. Its machine has what the cases need, so that nothing may be skipped."""
    debian.root(CLIENT_PACKAGES)
    iommu, devices, cases, options = CLIENT_RUNS[name]
    command = [CLIENTS, *cases]
    newer = options.get("newer_qemu")
    if not has_emulator(results, iommu, newer):
        return
    if newer:
        command = ["sh", "-c", f'PATH={inside(debian.newer_qemu())}/bin:$PATH exec "$@"', "sh", *command]
    result = guest.boot_once(guest.Options(
        command=command, iommu=iommu, devices=devices, memory="3G", name=f"check-clients-{name}",
        load=["iommufd", "vfio-pci"], timeout=1800, smp=options.get("smp", 2), taint=options.get("taint", "")))
    found = ktap.parse(result.text, CLIENTS)
    found.failed += [f"{case}: skipped: {reason}" for case, reason in found.skipped]
    found.skipped = []
    collect(results, found, f"clients: {name}: ")
    single(results, f"clients: {name}: kernel log, taint and pinned pages", result.problems)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    results.seconds = int(used.ru_utime + used.ru_stime)


def clients_in_time(results):
    """All of the runs take 15 minutes at most, on two processors that have nothing else to do, whatever these have now."""
    single(results, f"clients: {results.seconds} s of processor time",
           [f"more than {CLIENT_SECONDS} s"] if results.seconds > CLIENT_SECONDS else [])


def vfioctl(results):
    """vfioctl, with sanitizers, on our modules and on the kernel's own, and without what it takes."""
    debian.root(VFIOCTL_PACKAGES)
    build.vfioctl()
    for kind, (iommu, options) in VFIOCTL_RUNS.items():
        result = guest.boot_once(guest.Options(
            command=[VFIOCTL, kind], iommu=iommu, devices=VFIOCTL_DEVICES, memory="3G", name=f"check-vfioctl-{kind}",
            env={"VFIOCTL": "/repo/build/sanitized/vfioctl"}, timeout=1800, **options))
        collect(results, ktap.parse(result.text, VFIOCTL), f"vfioctl: {kind}: ")
        single(results, f"vfioctl: {kind}: kernel log, taint and pinned pages", result.problems)


def installed(results):
    for name, found in system.installed():
        if name:
            single(results, f"installed: {name}", found)
        else:
            collect(results, ktap.parse(found.text, "installed"), "installed: ")
            single(results, "installed: kernel log and taint", found.problems)


CLIENT_PARTS = {f"clients-{name}": functools.partial(clients, name=name) for name in CLIENT_RUNS}
PARTS = {
    "selfcheck": selfcheck.check,
    "static": static,
    "kunit": kunit,
    "fuzz": fuzzing,
    "stock": lambda results: selftests(results, "stock"),
    "demo": demo,
    "vfioctl": vfioctl,
    "models": models,
    "huge": huge,
    **CLIENT_PARTS,
    "installed": installed,
    "mainline": lambda results: mainline(results, "stock"),
    "debug-mainline": lambda results: mainline(results, "debug"),
    "debug-iommu": lambda results: selftests(results, "debug", ["iommu"]),
    "debug-vfio": lambda results: selftests(results, "debug", ["vfio"]),
    "debug-races": races,
}
# Names for several
GROUPS = {"debug": ["debug-iommu", "debug-vfio", "debug-races"], "more": ["debug-races", "models", "huge", "mainline", "fuzz"],
          "clients": list(CLIENT_PARTS)}


# Not in what "make check" runs: they take long, and most have a target of their own.
BY_NAME = [*GROUPS["more"], *CLIENT_PARTS, "installed", "debug-mainline"]
# What parts want in the Debian root
PACKAGES = {"static": SPHINX_PACKAGES, "vfioctl": VFIOCTL_PACKAGES, "fuzz": build.FUZZER_PACKAGES, **dict.fromkeys(CLIENT_PARTS, CLIENT_PACKAGES)}

# The longest first, so that nothing long is left at the end.
ORDER = ["debug-vfio", "stock", "debug-iommu", "vfioctl", "static", "kunit", "selfcheck", "demo", *BY_NAME]
# So many at a time: a guest keeps one processor busy.
LANES = min(2, JOBS)


def one_part(part):
    """Run a part, tell of it; gives its results."""
    results = ktap.Results()
    started = time.monotonic()
    try:
        PARTS[part](results)
    except Fail as err:
        results.failed.append(part)
        tell("FAILED", part, f": {err}")
    say(f"{part}: {time.monotonic() - started:.0f} s")
    return results


def part_process(part):
    """A part in a process of its own, and where it writes what it prints and its results."""
    folder = BUILD / "check"
    folder.mkdir(parents=True, exist_ok=True)
    printed, found = folder / f"{part}.log", folder / f"{part}.json"
    found.unlink(missing_ok=True)
    with open(printed, "w") as log:
        process = subprocess.Popen([sys.executable, HERE / "vm.py", "check", part, "--results", found],
                                   stdin=subprocess.DEVNULL, stdout=log)
    return process, printed, found


def side_by_side(parts):
    """Run parts, some at a time, and show what each printed when it has ended; gives all results."""
    results = ktap.Results()
    todo, running = sorted(parts, key=ORDER.index), {}
    try:
        while todo or running:
            while todo and len(running) < LANES:
                part = todo.pop(0)
                running[part] = part_process(part)
            time.sleep(0.2)
            for part, (process, printed, found) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[part]
                print(f"--- {part}", flush=True)
                sys.stdout.buffer.write(printed.read_bytes())
                sys.stdout.buffer.flush()
                try:
                    of_part = ktap.Results(**json.loads(found.read_text()))
                    results.add(of_part)
                    results.seconds += of_part.seconds
                except (OSError, ValueError):
                    results.failed.append(f"{part}: ended by exit status {process.returncode}")
    finally:
        for process, *_ in running.values():
            process.terminate()
        for process, *_ in running.values():
            process.wait()
    return results


def check(parts, found=None):
    """Run parts (default: all but those only run by name); found: a file for the results, of a part of a larger check."""
    if found:
        results = one_part(parts[0])
        found.write_text(json.dumps(vars(results)))
        return 0
    begin = time.monotonic()
    parts = [part for name in parts for part in GROUPS.get(name, [name])]
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise Fail(f"there is no check of {', '.join(sorted(unknown))}, but of {', '.join([*PARTS, *GROUPS])}")
    with lock(f"{CLONE.name}-check"):
        if len(parts) == 1:
            print(f"--- {parts[0]}", flush=True)
            results = one_part(parts[0])
        else:
            parts = parts or [part for part in PARTS if part not in BY_NAME]
            debian.root([name for part in parts for name in PACKAGES.get(part, [])])	# before they all want it
            results = side_by_side(parts)
            if set(CLIENT_PARTS) <= set(parts):
                clients_in_time(results)
    print(f"--- all of it, in {time.monotonic() - begin:.0f} s")
    for name in results.failed:
        tell("FAILED", name)
    tell_skipped(results.skipped)
    print(results.summary(), flush=True)
    return 1 if results.failed or not results.passed else 0
