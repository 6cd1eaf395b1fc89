# SPDX-License-Identifier: GPL-2.0-only
"""What the parts of the plan do that run in a guest, or a program. Each function gets the results and its row of the plan."""

import os
import re
import resource
import signal
import subprocess
import time

import build
import debian
import fuzz
import guest
import ktap
import logscan
import machine
import package
import packaged
import plan
import system
from kernels import KERNELS, OTHERS
from report import collect, single, tell_skipped
from util import BUILD, CLONE, REPO, Fail, follow_us, inside, say

# Why tests skip themselves when there are no drivers for tests
NEEDS_TEST_MODULES = re.compile(r"IOMMUFD_TEST|driver \w\S+ is not loaded")


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
                              preexec_fn=follow_us(signal.SIGKILL),
                              env=dict(os.environ, TMPDIR=str(scratch)))
        text = done.stdout
    except subprocess.TimeoutExpired as err:
        text = (err.stdout or b"").decode(errors="replace") + "\nKernel panic - not syncing: not finished after 600 s\n"
    log.write_text(text)
    return text, time.monotonic() - begin


def kunit(results, part=None, suites=None, verbose=False):
    """The KUnit suites, or those that a pattern names."""
    text, seconds = run_kunit(suites)
    if verbose:
        print(text)
    collect(results, ktap.parse(text, "kunit"), "kunit: ")
    single(results, f"kunit: kernel log ({seconds:.0f} s)", logscan.suspicious(text))


def run_tests(tests, kernel, options=None, **more):
    """
    Run selftests in one guest, some with options; gives the results of each, by (directory, program), and the run.
    """
    options = options or {}
    names = [f"{folder}/{program} {options.get((folder, program), '')}".strip() for folder, program in tests]
    more.setdefault("devices", plan.DEVICES)
    more.setdefault("memory", "3G")
    opts = guest.Options(command=["run-tests", *names], kernel=kernel, **more)
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


def must_not_skip(found):
    """What was skipped has failed."""
    found.failed += [f"{case}: skipped: {reason}" for case, reason in found.skipped]
    found.skipped = []


def by_themselves(results, part, tests, seconds, whole=False, **more):
    """Selftests that have a part of their own, of which nothing may be skipped if they are to run as a whole; more is of the machine."""
    more.setdefault("load", ["iommufd", "vfio-pci"])
    missing = set(tests) - set(build.userspace(arch=part.arch))
    if missing:
        raise Fail(f"no such selftests: {missing}")
    outcomes, result = run_tests(tests, part.kernel, name=f"check-{part.name}", timeout=seconds, **more)
    for (folder, program), found in outcomes.items():
        if whole:
            must_not_skip(found)
        collect(results, found, f"{part.kernel}: {folder}/{program}: ")
    single(results, f"{part.name}: kernel log, taint, pinned pages and leaks after all that", result.problems)


def selftests(results, part, folders=None, options=None):
    """All selftests, or those in some directories; on the debug kernel without those that race."""
    # It is the IOMMU that counts: the longer of the release tests are left to where each is tried. HUGE, PARALLEL and MAINLINE
    # are parts of their own.
    kernel, name = part.kernel, part.name
    apart = [*plan.RELEASE[1:], *plan.HUGE, *plan.PARALLEL, plan.MAINLINE]
    tests = [test for test in build.userspace() if test not in apart and (not folders or test[0] in folders)]
    if kernel == "debug":
        tests = [test for test in tests if test not in plan.RACES]
    if not tests:
        results.failed.append(f"{name}: no selftests found")
        return
    at_boot = kernel == "debug" and "iommu" in folders	# KUnit suites
    outcomes, result = run_tests(tests, kernel, options, name=f"check-{name}", load=["iommufd", "vfio-pci"], timeout=5400,
                                 append="kunit.enable=1" if at_boot else "")
    problems = result.problems
    if not KERNELS[kernel].in_tree:
        # What users get has no mock IOMMU and the like. What was skipped for that gets a second chance where there is.
        again = [test for test in tests if any(NEEDS_TEST_MODULES.search(reason) for _, reason in outcomes[test].skipped)]
        if again:
            second, result = run_tests(again, kernel, name=f"check-{name}-test", test_modules=True, timeout=1500,
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


def mainline(results, part):
    """Mainline's own selftests, of the stock kernel's version and of newer ones, up to the one whose ABI is ours."""
    kernel, newer = part.kernel, None
    try:
        newer = build.newer_selftests()
    except Fail as err:
        missing = (f"mainline: the selftests of Linux {debian.NEWER_SINCE} to {debian.ABI}", f"not to be had: {err}")
        results.skipped.append(missing)
        tell_skipped([missing])
    if plan.MAINLINE not in build.userspace(newer):
        raise Fail("mainline's selftests were not built")
    for iommu, devices in plan.MAINLINE_DEVICES.items():
        name = f"mainline: {kernel}, IOMMU {iommu}"
        outcomes, result = run_tests([plan.MAINLINE], kernel, name=f"check-mainline-{kernel}-{iommu}", iommu=iommu,
                                     devices=devices, bind=plan.MAINLINE_KINDS if devices else [],
                                     test_modules=not KERNELS[kernel].in_tree, load=["iommufd", "vfio-pci"], memory="4G",
                                     append="hugepagesz=1G hugepages=1", timeout=7200 if kernel == "debug" else 3600)
        collect(results, outcomes[plan.MAINLINE], f"{name}: ")
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


def models(results, part, iommu, without=(), options=None):
    """An IOMMU: what it maps and does not map any longer, and what it is refused for."""
    tests, append = plan.MODELS[iommu]
    tests = [test for test in tests if test not in without]
    if not has_emulator(results, iommu):
        return
    missing = set(tests) - set(build.userspace())
    if missing:
        raise Fail(f"no such selftests: {missing}")
    outcomes, result = run_tests(tests, part.kernel, options, name=f"check-{part.name}", iommu=iommu, timeout=3000,
                                 load=["iommufd", "vfio-pci"], append=append,
                                 devices=[plan.LARGE.get(device, device) for device in plan.DEVICES],
                                 **plan.MODEL_OPTIONS.get(iommu, {}))
    for (_, program), found in outcomes.items():
        collect(results, found, f"{iommu}: {program}: ")
    single(results, f"{iommu}: kernel log, taint and pinned pages", result.problems)


def proofs(results, part, iommu):
    """What our own PCI device shows behind that IOMMU; the programs say it in words."""
    if not has_emulator(results, iommu):
        return
    tests = plan.PROOFS[iommu]
    missing = set(tests) - set(build.userspace())
    if missing:
        raise Fail(f"no such selftests: {missing}")
    outcomes, result = run_tests(tests, part.kernel, name=f"check-{part.name}", iommu=iommu, timeout=900,
                                 load=["iommufd", "vfio-pci"], devices=[machine.TESTDEV])
    for (_, program), found in outcomes.items():
        must_not_skip(found)
        collect(results, found, f"{iommu}: {program}: ")
    single(results, f"{iommu}: kernel log, taint and pinned pages", result.problems)


def fuzzing(results, part):
    """The corpus, and a fixed number of inputs made of it."""
    problems = fuzz.fuzz(runs=plan.FUZZ_RUNS, jobs=1, fresh=True)
    single(results, f"fuzz: the corpus and {plan.FUZZ_RUNS} inputs made of it", problems)


def to_be_had(results, kernel):
    """Is there such a kernel in the mirror? If not, that is said as a skip."""
    try:
        if kernel in OTHERS:
            debian.packaged_kernel(KERNELS[kernel])
        return True
    except Fail as err:
        missing = (f"{kernel}: everything", f"not to be had: {err}")
        results.skipped.append(missing)
        tell_skipped([missing])
        return False


def builds(results, part, kernels=OTHERS):
    """The modules, for each kernel of the table that the mirror has, or for some."""
    for kernel in filter(lambda name: to_be_had(results, name), kernels):
        problems = []
        begin = time.monotonic()
        try:
            release = build.modules(werror=True, kernel=kernel).name
        except Fail as err:
            release, problems = kernel, [str(err)]
        single(results, f"external build with W=1 for {release} ({time.monotonic() - begin:.0f} s)", problems)


def on_kernel(results, part, tests):
    """Some selftests, on a kernel of the table."""
    if to_be_had(results, part.kernel):
        by_themselves(results, part, tests, 1500)


def modular(results, part):
    """A few selftests on a kernel whose own iommufd and VFIO are modules, without and with the mock IOMMU."""
    by_themselves(results, part, plan.MODULAR, 1500)
    by_themselves(results, part, plan.MODULAR_MOCK, 900, test_modules=True)


def newest(results, part):
    """All selftests, on the newest kernel of the table."""
    if to_be_had(results, part.kernel):
        selftests(results, part)


def demo(results, part):
    """make demo"""
    if not to_be_had(results, part.kernel):
        return
    program = REPO / "tools/demo/run"
    if not program.exists():
        return
    done = subprocess.run([str(program), f"--kernel={part.kernel}"], stdin=subprocess.DEVNULL)
    single(results, part.name, [] if not done.returncode else [f"exit status {done.returncode}"])


def clients(results, part, run):
    """One of the runs. Its machine has what the cases need, so that nothing may be skipped."""
    debian.root(part.packages)
    iommu, devices, cases, options = plan.CLIENT_RUNS[run]
    command = [plan.CLIENTS, *cases]
    newer = options.get("newer_qemu")
    if not has_emulator(results, iommu, newer):
        return
    if options.get("selftests"):
        build.userspace()
    if newer:
        command = ["sh", "-c", f'PATH={inside(debian.newer_qemu())}/bin:$PATH exec "$@"', "sh", *command]
    result = guest.boot_once(guest.Options(
        command=command, iommu=iommu, kernel=part.kernel, devices=devices, memory="3G", name=f"check-{part.name}",
        load=["iommufd", "vfio-pci"], timeout=1800, smp=options.get("smp", 2), taint=options.get("taint", "")))
    found = ktap.parse(result.text, plan.CLIENTS)
    found.failed += [f"{case}: skipped: {reason}" for case, reason in found.skipped]
    found.skipped = []
    collect(results, found, f"clients: {run}: ")
    single(results, f"clients: {run}: kernel log, taint and pinned pages", result.problems)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    results.seconds = int(used.ru_utime + used.ru_stime)


def clients_in_time(results):
    """All of the runs take 15 minutes at most, on two processors that have nothing else to do, whatever these have now."""
    single(results, f"clients: {results.seconds} s of processor time",
           [f"more than {plan.CLIENT_SECONDS} s"] if results.seconds > plan.CLIENT_SECONDS else [])


def vfioctl(results, part, runs):
    """vfioctl, with sanitizers, on our modules and on the kernel's own, and without what it takes."""
    debian.root(part.packages)
    program = build.vfioctl(part.arch)
    build.userspace(arch=part.arch or "x86_64")
    for kind, (iommu, options) in runs.items():
        if not has_emulator(results, iommu):
            continue
        result = guest.boot_once(guest.Options(
            command=[plan.VFIOCTL, kind], iommu=iommu, memory="3G", name=f"check-vfioctl-{kind}", env={"VFIOCTL": program}, timeout=3600,
            **{"devices": plan.VFIOCTL_DEVICES, **options}))
        collect(results, ktap.parse(result.text, plan.VFIOCTL), f"vfioctl: {kind}: ")
        single(results, f"vfioctl: {kind}: kernel log, taint and pinned pages", result.problems)


def installed(results, part):
    """A Debian system with our modules installed."""
    for name, found in system.installed():
        if isinstance(found, list):
            single(results, f"installed: {name}", found)
        else:
            collect(results, ktap.parse(found.text, "installed"), f"installed: {name}: ")
            single(results, f"installed: {name}: kernel log and taint", found.problems)


def packages(results, part):
    """The Debian packages, as they are built."""
    for name, problems in package.check():
        single(results, f"package: {name}", problems)


def package_system(results, part):
    """The packages on a Debian 13 system, over updates of the kernel, until they are removed."""
    package_steps(results, packaged.steps())


def package_in_use(results, part):
    """An upgrade and a removal of the packages while a device is in use."""
    package_steps(results, packaged.in_use())


def package_debian12(results, part):
    """The package on Debian 12, if something can be mounted here."""
    package_mounted(results, packaged.on_debian_12, "Debian 12")


def package_dracut(results, part):
    """The packages where dracut makes the initramfs, if something can be mounted here."""
    package_mounted(results, packaged.with_dracut, "dracut")


def package_mounted(results, steps, where):
    """Steps that need a /proc in the system that they are taken in."""
    if packaged.can_mount():
        package_steps(results, steps(), f"{where}: ")
    else:
        missing = (f"package: {where}: everything", "nothing can be mounted here, and this needs a /proc")
        results.skipped.append(missing)
        tell_skipped([missing])


def package_libvirt(results, part):
    """A domain of libvirt, where the packages are installed."""
    package_steps(results, packaged.with_libvirt(), "libvirt: ")


def package_steps(results, steps, where=""):
    for name, found in steps:
        if isinstance(found, str):
            results.skipped.append((f"package: {where}{name}", found))
            tell_skipped(results.skipped[-1:])
        elif isinstance(found, list):
            single(results, f"package: {where}{name}", found)
        else:
            collect(results, ktap.parse(found.text, "installed"), f"package: {where}{name}: ")
            single(results, f"package: {where}{name}: kernel log and taint", found.problems)
