#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Do the tests notice small faults? Applies those of mutants.py, one at a time, to a copy of the sources, builds, and runs
the cheapest tests that should see each. See README.md in this directory.
"""

import argparse
import contextlib
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "vm")]

import mutants		# noqa: E402

# Where the copy is, below the repo whose sources are judged
COPY = "build/mutate/copy"
# At least so many percent of the mutants have to be noticed, and each of the others needs a reason.
PASS_MARK = 95
AT_LEAST = 80
# Sources that no mutant is wanted for: tests, and what only exists for them
NO_MUTANTS = re.compile(r"_kunit\.c$|_test\.c$|/tests?/|/mock/|/trace\.c$")
# One test program may take so long before the mutant counts as noticed.
SECONDS = {"uml": 90, "stock": 120, "debug": 600}
# Devices of the guests
DEVICES = None		# those of 'vm check'


# ---- the table

def body_of(text, function):
    """Start and end of a function's definition in a source file."""
    for match in re.finditer(rf"(?m)^[A-Za-z_][^;{{}}\n]*\b{function}\(", text):
        brace = text.find("{", match.end())
        semicolon = text.find(";", match.end())
        if brace < 0 or 0 <= semicolon < brace:
            continue
        end = text.find("\n}", brace)
        return match.start(), end + 2 if end >= 0 else len(text)
    # The type may be on a line of its own.
    for match in re.finditer(rf"(?m)^{function}\(", text):
        brace = text.find("{", match.end())
        semicolon = text.find(";", match.end())
        if 0 <= brace < semicolon:
            return match.start(), text.find("\n}", brace) + 2
    return None


def mutated(repo, mutant):
    """The text of the mutant's file with the fault in it, or a problem."""
    path = repo / mutant.file
    if not path.exists():
        return None, f"there is no {mutant.file}"
    text = path.read_text()
    start, end = 0, len(text)
    if mutant.function:
        found = body_of(text, mutant.function)
        if not found:
            return None, f"{mutant.file} has no function {mutant.function}()"
        start, end = found
    part = text[start:end]
    times = part.count(mutant.old)
    if times != 1:
        where = f"{mutant.function}() of {mutant.file}" if mutant.function else mutant.file
        return None, f"{mutant.old.strip().splitlines()[0]!r} is {times} times in {where}, not once"
    return text[:start] + part.replace(mutant.old, mutant.new) + text[end:], None


def check_table(repo):
    """What is wrong with the table, without building anything; for 'make check-static', too."""
    problems = []
    names = [mutant.name for mutant in mutants.MUTANTS]
    problems += [f"{name}: there are two of that name" for name in sorted(set(names)) if names.count(name) > 1]
    for mutant in mutants.MUTANTS:
        text, problem = mutated(repo, mutant)
        if problem:
            problems.append(f"{mutant.name}: {problem}")
        elif text == (repo / mutant.file).read_text():
            problems.append(f"{mutant.name}: changes nothing")
        for spec in mutant.tests:
            program, _, tests = spec.partition(":")
            source = repo / f"tools/testing/selftests/{program}.c"
            if not source.exists():
                problems.append(f"{mutant.name}: there is no selftest {program}")
                continue
            code = source.read_text()
            problems += [f"{mutant.name}: {program} has no test {test}" for test in filter(None, tests.split(","))
                         if not re.search(rf"^TEST\w*\((?:\w+, )?{test}\b", code, re.M)]
    if len(names) < AT_LEAST:
        problems.append(f"{len(names)} mutants are fewer than {AT_LEAST}")
    used = {mutant.file for mutant in mutants.MUTANTS}
    for folder in ("drivers/iommu/iommufd", "drivers/vfio"):
        for path in sorted((repo / folder).rglob("*.c")):
            name = str(path.relative_to(repo))
            if name not in used and not NO_MUTANTS.search(name) and name not in mutants.WITHOUT:
                problems.append(f"{name}: no mutant is of it")
    return problems


# ---- running; the rest of this file is executed in the copy

class Bench:
    """The copy of the sources, and what is built and run of it."""

    def __init__(self, verbose):
        import build
        import guest
        import ktap
        import logscan
        import plan
        import util
        self.build, self.plan, self.guest = build, plan, guest
        self.ktap, self.logscan, self.util = ktap, logscan, util
        self.repo = util.REPO
        self.verbose = verbose
        self.place = util.CLONE / "mutate"
        self.place.mkdir(parents=True, exist_ok=True)
        self.baseline = {}

    @contextlib.contextmanager
    def applied(self, mutant):
        """While this lasts, the copy has the fault."""
        path = self.repo / mutant.file
        before = path.read_bytes()
        text, problem = mutated(self.repo, mutant)
        if problem:
            raise self.util.Fail(problem)
        path.write_text(text)
        try:
            yield
        finally:
            path.write_bytes(before)

    def judge(self, spec, text, status, level):
        """What a test program found wrong that it does not find wrong without a fault."""
        if text is None:
            return [f"{spec}: did not run to its end"]
        found = self.ktap.parse(text, spec)
        failed = list(found.failed)
        if status in (124, 137):
            failed.append("time-out")
        elif status not in (0, 4) and not failed:
            failed.append(f"exit status {status}")
        known = self.baseline.get((level, spec))
        if known is None:
            return [f"{spec}: {name}" for name in failed]
        return [f"{spec}: {name}" for name in failed if name not in known]

    # -- User-mode Linux

    def run_uml(self, kernel, suites, specs):
        """Boot, run the suites and the tests; gives (problems of the kernel, {spec: (text, status)}, {suite: text})."""
        out = self.place / "uml"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        top = self.util.inside(self.util.CLONE / "repo") + "/tools/testing/selftests"
        lines = ["sleep 0"]
        for number, spec in enumerate(specs):
            program, _, tests = spec.partition(":")
            folder, _, name = program.partition("/")
            words = " ".join(f"-t {test}" for test in filter(None, tests.split(",")))
            lines.append(f"cd {top}/{folder} && timeout -k 5 {SECONDS['uml']} ./{name} {words} >/tmp/{number}.tap 2>&1; "
                         f"echo $? >/run/out/{number}.status; cp /tmp/{number}.tap /run/out/")
        (out / "command").write_text("\n".join(lines) + "\n")
        init = self.util.inside(self.util.CLONE / "repo") + "/tools/testing/fuzz/init"
        argv = [kernel / "kernel", "mem=768M", "rootfstype=hostfs", f"rootflags={self.util.ROOT}", "ro",
                f"init={init}", f"FUZZ_OUT={out}", "panic=-1", "kasan_multi_shot", "loglevel=7"]
        # Without a test program there is nothing to boot up to.
        argv += [f"kunit.filter_glob={suites}"] if suites else ["kunit.enable=0"]
        if suites and not specs:
            argv.append("kunit_shutdown=halt")
        scratch = self.util.CLONE / "uml"
        scratch.mkdir(parents=True, exist_ok=True)
        env = dict(os.environ, TMPDIR=str(scratch), GLIBC_TUNABLES="glibc.pthread.rseq=0")
        limit = 120 + SECONDS["uml"] * len(specs)
        late = False
        with open(out / "console.log", "wb") as log:
            process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True, env=env)
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()
        console = (out / "console.log").read_text(errors="replace")
        problems = self.logscan.suspicious(console)
        if late:
            problems.append(f"not finished after {limit} s")
        results = {}
        for number, spec in enumerate(specs):
            tap, status = out / f"{number}.tap", out / f"{number}.status"
            done = tap.exists() and status.exists()
            results[spec] = (tap.read_text(errors="replace"), int(status.read_text())) if done else (None, 0)
        if specs:
            status = out / "status"
            if not status.exists():
                problems.append("ended without reporting back")
            elif int(status.read_text().split()[1]):
                problems.append(f"kmemleak: {status.read_text().split()[1]} unreferenced objects")
        return problems, results, console

    def uml_verdict(self, kernel, mutant):
        # KUnit's own leftovers would count as leaks of the selftests, which are not needed if KUnit tells already.
        seen = []
        if mutant.suites:
            problems, _, console = self.run_uml(kernel, mutant.suites, [])
            found = self.ktap.parse(console, "kunit")
            seen += [f"KUnit: {name}" for name in found.failed if name not in self.baseline.get("kunit", ())]
            seen += self.new_problems(problems)
        if mutant.tests and not seen:
            problems, results, _ = self.run_uml(kernel, None, mutant.tests)
            for spec, (text, status) in results.items():
                seen += self.judge(spec, text, status, "uml")
            seen += self.new_problems(problems)
        return seen

    def new_problems(self, problems):
        """What the log of User-mode Linux tells that it does not tell without a fault."""
        known = self.baseline.get("uml log", ())
        return [f"kernel log: {self.strip(line)}" for line in problems if self.strip(line) not in known]

    @staticmethod
    def strip(line):
        return re.sub(r"^\[ *[\d.]+\]\s*|\b0x[0-9a-f]+\b|PID: \d+", "", line)

    def level_uml(self, rows, report):
        self.build.userspace()
        kernel = self.build.kernel("uml")
        specs = list(dict.fromkeys(spec for row in rows for spec in row.tests))
        suites = any(row.suites for row in rows)
        self.util.say(f"User-mode Linux without a fault: {'KUnit and ' if suites else ''}{len(specs)} sets of tests")
        if suites:
            problems, _, console = self.run_uml(kernel, "*", [])
            self.baseline["kunit"] = self.ktap.parse(console, "kunit").failed
            self.baseline["uml log"] = [self.strip(line) for line in problems]
        if specs:
            problems, results, _ = self.run_uml(kernel, None, specs)
            self.baseline.setdefault("uml log", []).extend(map(self.strip, problems))
            self.learn("uml", results)
        for row in rows:
            begin = time.monotonic()
            try:
                with self.applied(row):
                    kernel = self.build.kernel("uml")
            except self.util.Fail as err:
                report(row, None, [f"does not build: {err}"], begin)
                continue
            try:
                report(row, "uml", self.uml_verdict(kernel, row), begin)
            finally:
                shutil.rmtree(kernel, ignore_errors=True)

    def learn(self, level, results):
        """Remember what fails without any fault."""
        for spec, (text, status) in results.items():
            found = self.judge(spec, text, status, None)
            self.baseline[level, spec] = [name[len(spec) + 2:] for name in found]
            for name in found:
                self.util.say(f"without a fault, too, fails {name}")

    # -- guests

    def boot(self, level, jobs, **more):
        """Boot once, do as many of the jobs as the guest lives for; gives {name: what the guest reported}, the run."""
        (self.place / "jobs.json").write_text(json.dumps(jobs))
        seconds = sum(60 + job["limit"] * len(job["tests"]) for job in jobs)
        where = self.util.inside(self.place / "jobs.json")
        opts = self.guest.Options(
            command=["python3", "tools/testing/mutate/in_guest.py", where], kernel=level, memory="3G", name=f"mutate-{level}",
            devices=self.plan.DEVICES, test_modules=level == "stock", timeout=seconds + 300, capture=True, **more)
        if level == "debug":
            opts.append += " kasan_multi_shot"
        result = self.guest.boot_once(opts)
        found = {}
        for job in jobs:
            path = result.folder / f"out/{job['name']}.json"
            if path.exists():
                found[job["name"]] = json.loads(path.read_text())
        return found, result

    def job(self, level, name, specs, modules=None):
        return {"name": name, "tests": specs, "limit": SECONDS[level], "modules": modules}

    def verdict(self, level, row, report):
        seen = []
        for spec in row.tests:
            text, status = report["tests"].get(spec, (None, 0))
            seen += self.judge(spec, text, status, level)
        known = self.baseline.get(f"{level} log", ())
        seen += [f"kernel log: {self.strip(line)}" for line in self.logscan.suspicious(report["log"])
                 if self.strip(line) not in known]
        if report["pins"]:
            seen.append(f"{report['pins']} pages left pinned")
        return seen + report["problems"]

    def guest_baseline(self, level, rows, modules=None):
        specs = list(dict.fromkeys(spec for row in rows for spec in row.tests))
        self.util.say(f"{level} kernel without a fault: {len(specs)} sets of tests")
        found, _ = self.boot(level, [self.job(level, "none", specs, modules)])
        if "none" not in found:
            raise self.util.Fail(f"the guest does not survive the tests without a fault: build/vm/mutate-{level}")
        report = found["none"]
        self.learn(level, {spec: tuple(pair) for spec, pair in report["tests"].items()})
        self.baseline[f"{level} log"] = [self.strip(line) for line in self.logscan.suspicious(report["log"])]
        for line in [*report["problems"], *self.baseline[f"{level} log"]]:
            self.util.say(f"without a fault, too: {line}")

    def build_set(self, name):
        """The modules as they are now, where a guest sees them."""
        built = self.build.modules(test=True)
        target = self.place / "sets" / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in built.glob("*.ko"):
            shutil.copy(path, target)
        return self.util.inside(target)

    def level_stock(self, rows, report):
        self.build.userspace()
        shutil.rmtree(self.place / "sets", ignore_errors=True)
        sets = {}
        base = self.build_set("none")
        begin = time.monotonic()
        for row in rows:
            try:
                with self.applied(row):
                    sets[row.name] = self.build_set(row.name)
            except self.util.Fail as err:
                report(row, None, [f"does not build: {err}"], begin)
        rows = [row for row in rows if row.name in sets]
        self.build.modules(test=True)
        self.util.say(f"{len(rows)} sets of modules in {time.monotonic() - begin:.0f} s")
        if not rows:
            return
        self.guest_baseline("stock", rows, base)
        while rows:
            begin = time.monotonic()
            found, run = self.boot("stock", [self.job("stock", row.name, row.tests, sets[row.name]) for row in rows])
            died = next((row for row in rows if row.name not in found), None)
            for row in [row for row in rows if row.name in found]:
                report(row, "stock", self.verdict("stock", row, found[row.name]), begin)
                begin = time.monotonic()
            rows = [row for row in rows if row.name not in found]
            # The guest ends by itself after a mutant that cannot be got rid of; otherwise it died of the next one.
            if rows and not any(r.get("last") for r in found.values()):
                report(died, "stock", [f"the guest: {line}" for line in run.problems[:3]] or ["the guest died"], begin)
                rows.remove(died)

    def level_debug(self, rows, report):
        self.build.userspace()
        self.guest_baseline("debug", rows)
        for row in rows:
            begin = time.monotonic()
            try:
                with self.applied(row):
                    kernel = self.build.kernel("debug")
                    found, run = self.boot("debug", [self.job("debug", row.name, row.tests)])
            except self.util.Fail as err:
                report(row, None, [f"does not build: {err}"], begin)
                continue
            if row.name in found:
                seen = self.verdict("debug", row, found[row.name])
                seen += [line for line in run.problems if line.startswith(("kmemleak", "pages left"))]
            else:
                seen = [f"the guest: {line}" for line in run.problems[:3]] or ["the guest died"]
            report(row, "debug", seen, begin)
            shutil.rmtree(kernel, ignore_errors=True)


def tell(row, verdict, seen, seconds):
    detail = f": {seen[0]}" if seen else f": {row.why}" if row.why else ""
    more = f" (and {len(seen) - 1} more)" if len(seen) > 1 else ""
    print(f"{verdict:9} {row.name} ({seconds:.0f} s){detail[:200]}{more}", flush=True)


def key_of(repo, row):
    import util
    text, _ = mutated(repo, row)
    return util.digest(text or "", row.level, row.suites or "", *row.tests)


def run(args):
    """In the copy."""
    import util
    repo = util.REPO
    known_file = repo.parent / "results.json"
    known = json.loads(known_file.read_text()) if known_file.exists() else {}
    rows = [row for row in mutants.MUTANTS
            if (not args.level or row.level == args.level) and
            (not args.names or any(fnmatch.fnmatch(row.name, glob) for glob in args.names))]
    if not rows:
        raise util.Fail("no mutant is of that name and level")
    bench = Bench(args.verbose)

    def report(row, level, seen, begin):
        verdict = "invalid" if level is None else "noticed" if seen else "survived"
        known[row.name] = {"key": key_of(repo, row), "verdict": verdict, "seen": seen[:10]}
        known_file.write_text(json.dumps(known, indent=1, sort_keys=True))
        tell(row, verdict, seen, time.monotonic() - begin)

    todo = [row for row in rows if args.fresh or known.get(row.name, {}).get("key") != key_of(repo, row) or
            known[row.name]["verdict"] != "noticed"]
    util.say(f"{len(rows)} mutants, of which {len(rows) - len(todo)} are known to be noticed")
    for level in ("uml", "stock", "debug"):
        at_level = [row for row in todo if row.level == level]
        if at_level:
            getattr(bench, f"level_{level}")(at_level, report)
    return summary(rows, known)


def summary(rows, known):
    verdicts = {row.name: known.get(row.name, {"verdict": "not run"})["verdict"] for row in rows}
    noticed = sum(verdict == "noticed" for verdict in verdicts.values())
    bad = 0
    for row in rows:
        if verdicts[row.name] != "noticed":
            print(f"{verdicts[row.name]}: {row.name}, {row.file}: {row.why or 'no reason is given'}")
            bad += not row.why
    percent = 100 * noticed / len(rows)
    print(f"{len(rows)} mutants, {noticed} noticed ({percent:.1f} %), {len(rows) - noticed} not, "
          f"{bad} of these without a reason", flush=True)
    return 0 if percent >= PASS_MARK and not bad else 1


def main():
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only whether each mutant still has its place")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--level", choices=["uml", "stock", "debug"], help="only those of one level")
    parser.add_argument("--fresh", action="store_true", help="also those that earlier runs noticed")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; globs")
    args = parser.parse_args()
    import util
    util.on_terminate()
    repo = util.REPO
    if args.list:
        for row in mutants.MUTANTS:
            print(f"{row.level:6} {row.name:40} {row.file}")
        return 0
    problems = check_table(repo)
    for problem in problems:
        print(f"mutants.py: {problem}")
    if args.check:
        print(f"{len(mutants.MUTANTS)} mutants, {len(problems)} problems")
        return 1 if problems else 0
    if not str(repo).endswith(COPY):
        copy = repo / COPY
        copy.mkdir(parents=True, exist_ok=True)
        util.sync(util.repo_files(), copy)
        os.execv(sys.executable, [sys.executable, str(copy / HERE.relative_to(repo) / "mutate.py"), *sys.argv[1:]])
    with util.lock(f"{util.CLONE.name}-mutate"):
        return run(args)


if __name__ == "__main__":
    from util import Fail
    try:
        sys.exit(main())
    except Fail as err:
        sys.exit(f"mutate: error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
