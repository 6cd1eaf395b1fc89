#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
The VM harness: Debian 13's kernel, tools and root from its packages; our modules in a virtual machine.
See README.md in this directory.
"""

import argparse
import shutil
import sys
from pathlib import Path

import build
import debian
import fuzz
import guest
import kernels
import ktap
import machine
import package
import parts
import plan
import schedule
from util import BUILD, CACHE, CLONE, Fail, lock, on_terminate, run, say


def add_run_options(parser):
    parser.add_argument("--kernel", choices=kernels.BOOTED, default="stock")
    parser.add_argument("--arch", choices=kernels.STOCK, help="the stock kernel of that architecture")
    parser.add_argument("--iommu", choices=sorted(machine.IOMMUS), help="default: intel; smmuv3 on arm64")
    parser.add_argument("--device", action="append", default=[], dest="devices", metavar="NAME[,PROPERTY=VALUE...]",
                        help="edu, nvme[,file=IMAGE], e1000e, igb, ivshmem, or any of QEMU's")
    parser.add_argument("--load", action="append", default=[], metavar="MODULE", help="modprobe it before")
    parser.add_argument("--bind", action="append", default=[], metavar="DEVICE", help="bind it to vfio-pci before")
    parser.add_argument("--no-modules", action="store_false", dest="modules", help="a stock kernel without ours")
    parser.add_argument("--test-modules", action="store_true", help="with the mock IOMMU and other drivers for tests")
    parser.add_argument("--variants", action="store_true", help="with the drivers that 'make variants' builds; kernels stock and backports")
    parser.add_argument("--append", default="", help="more words for the kernel's command line")
    parser.add_argument("--mem", default="2G", dest="memory")
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--parallel", action="store_true",
                        help="really run the processors in parallel (QEMU may lose accesses to registers then)")
    parser.add_argument("--icount", action="store_true", help="count instructions instead of time; one processor")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--qemu-arg", action="append", default=[], dest="qemu_args", metavar="ARGS")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="environment of the command")
    parser.add_argument("--taint", default="", metavar="LETTERS", help="taint flags that are all right")
    parser.add_argument("--ignore", action="append", default=[], metavar="REGEX", help="log lines that are all right")
    parser.add_argument("--no-kmemleak", action="store_false", dest="kmemleak", help="do not scan for leaks at the end")
    parser.add_argument("--out", type=Path, help="a further place for what the guest leaves in $VM_OUT")
    parser.add_argument("--name", help="name of the run's directory in build/vm (default: the kernel)")
    parser.add_argument("--accel", choices=["tcg", "kvm"], help="default: kvm if it works")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the kernel's console")


def guest_options(args, **more):
    given = {key: value for key, value in vars(args).items() if key in machine.Options.__dataclass_fields__}
    if args.arch:
        given["kernel"] = kernels.STOCK[args.arch]
    given["env"] = dict(pair.partition("=")[::2] for pair in args.env)
    return machine.Options(**{**given, **more})


def main():
    parser = argparse.ArgumentParser(prog="vm", description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)

    sub = commands.add_parser("fetch", help="download the stock kernel (and its source)")
    sub.add_argument("--update", action="store_true", help="look for newer packages")
    sub.add_argument("--source", action="store_true")
    sub = commands.add_parser("root", help="make the Debian 13 root")
    sub.add_argument("--fresh", action="store_true", help="make it anew")
    sub.add_argument("packages", nargs="*", help="more packages to have in it")
    sub = commands.add_parser("modules", help="build the modules for the stock kernel, or another of Debian's")
    sub.add_argument("--kernel", choices=kernels.CARRIERS, default="stock")
    sub.add_argument("--arch", choices=kernels.STOCK, help="the stock kernel of that architecture")
    sub.add_argument("--werror", action="store_true", help="with W=1, warnings are errors")
    sub.add_argument("--test", action="store_true", help="with the mock IOMMU and other drivers for tests")
    commands.add_parser("deb", help="build the Debian packages into build/deb/")
    commands.add_parser("tree", help="lay the sources over the kernel's")
    sub = commands.add_parser("kernel", help="build a kernel from source")
    sub.add_argument("which", choices=sorted(name for name, kernel in kernels.KERNELS.items() if not kernel.package))
    sub.add_argument("goals", nargs="*", help="make these instead of the image")
    sub = commands.add_parser("run", help="run a command in a guest")
    add_run_options(sub)
    sub.add_argument("command", nargs="+", metavar="-- COMMAND")
    sub = commands.add_parser("shell", help="a shell in a guest; Ctrl-A X ends it at once")
    add_run_options(sub)
    sub = commands.add_parser("kunit", help="run the KUnit suites on User-mode Linux")
    sub.add_argument("suites", nargs="?", metavar="GLOB", help="only these")
    sub = commands.add_parser("fuzz", help="run the fuzzer of the ioctls")
    sub.add_argument("--kernel", choices=["uml", "debug"], default="uml", help="where (default: User-mode Linux)")
    sub.add_argument("--seconds", type=int, help="how long (default: 600, unless --runs)")
    sub.add_argument("--runs", type=int, help="how many inputs; 0: only those that there are")
    sub.add_argument("--jobs", type=int, help="how many at once on User-mode Linux (default: one per processor)")
    sub.add_argument("--option", action="append", default=[], dest="arguments", metavar="-NAME=VALUE",
                     help="of libFuzzer")
    sub.add_argument("files", nargs="*", metavar="FILE", help="inputs as text, in place of the corpus")
    sub = commands.add_parser("check", help="run all checks, or some parts of them")
    sub.add_argument("parts", nargs="*", metavar="PART", help=" ".join([*plan.PARTS, *plan.GROUPS]))
    sub.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    sub = commands.add_parser("clean", help="remove build/")
    sub.add_argument("--all", action="store_true", help="and the cache that all clones share")

    args = parser.parse_args()
    on_terminate()
    if args.action == "fetch":
        debian.fetch(args.update, args.source)
    elif args.action == "root":
        debian.root(args.packages, args.fresh)
    elif args.action == "modules":
        print(build.modules(args.werror, args.test, kernels.STOCK[args.arch] if args.arch else args.kernel))
    elif args.action == "deb":
        print(package.deb())
    elif args.action == "tree":
        print(build.tree())
    elif args.action == "kernel":
        print(build.kernel(args.which, args.goals))
    elif args.action == "run":
        return guest.run_guest(guest_options(args))
    elif args.action == "shell":
        return guest.run_guest(guest_options(args, shell=True, kmemleak=False))
    elif args.action == "kunit":
        results = ktap.Results()
        parts.kunit(results, args.suites, verbose=True)
        print(results.summary())
        return 1 if results.failed else 0
    elif args.action == "fuzz":
        return fuzz.command(args)
    elif args.action == "check":
        debian.refresh()
        return schedule.check(args.parts, args.results)
    elif args.action == "clean":
        clean(args.all)
    return 0


def clean(everything):
    shutil.rmtree(BUILD, ignore_errors=True)
    if everything:
        # Wait for those who use it, then it is gone.
        with lock("root"):
            say(f"removing {CACHE}")
            run(["rm", "-rf", "--one-file-system", CACHE])
    else:
        with lock(f"{CLONE.name}-build"):
            for path in CLONE.glob("repo*"):
                shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fail as err:
        sys.exit(f"vm: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
