# SPDX-License-Identifier: GPL-2.0-only
"""'vm check': runs parts of the plan, some at a time; one sum of it all."""

import json
import os
import subprocess
import sys
import time

import debian
import ktap
import parts
import plan
import selfcheck
import static
from report import tell, tell_skipped
from util import BUILD, CLONE, HERE, JOBS, Fail, follow_us, lock, say

# What each part calls; a name that is nowhere fails here
FUNCTIONS = {part.name: next(getattr(module, part.what) for module in (parts, static, selfcheck) if hasattr(module, part.what))
             for part in plan.PLAN}
# So many at a time: a guest keeps one processor busy. With more than that a slow machine can be imitated.
LANES = max(1, int(os.environ.get("LANES") or min(2, JOBS)))


def one_part(part):
    """Run a part, tell of it; gives its results."""
    results = ktap.Results()
    started = time.monotonic()
    try:
        FUNCTIONS[part.name](results, part, **part.arguments)
    except Fail as err:
        results.failed.append(part.name)
        tell("FAILED", part.name, f": {err}")
    say(f"{part.name}: {time.monotonic() - started:.0f} s")
    return results


def part_process(part):
    """A part in a process of its own, and where it writes what it prints and its results."""
    folder = BUILD / "check"
    folder.mkdir(parents=True, exist_ok=True)
    printed, found = folder / f"{part.name}.log", folder / f"{part.name}.json"
    found.unlink(missing_ok=True)
    with open(printed, "w") as log:
        process = subprocess.Popen([sys.executable, HERE / "vm.py", "check", part.name, "--results", found],
                                   stdin=subprocess.DEVNULL, stdout=log, preexec_fn=follow_us())
    return process, printed, found


def side_by_side(todo):
    """Run parts, some at a time, and show what each printed when it has ended; gives all results."""
    results = ktap.Results()
    todo, running = list(todo), {}
    try:
        while todo or running:
            while todo and len(running) < LANES:
                part = todo.pop(0)
                running[part.name] = part, *part_process(part), time.monotonic()
            time.sleep(0.2)
            for part, process, printed, found, begin in list(running.values()):
                if process.poll() is None:
                    continue
                del running[part.name]
                print(f"--- {part.name}, {time.monotonic() - begin:.0f} s", flush=True)
                sys.stdout.buffer.write(printed.read_bytes())
                sys.stdout.buffer.flush()
                try:
                    of_part = ktap.Results(**json.loads(found.read_text()))
                    results.add(of_part)
                    results.seconds += of_part.seconds
                except (OSError, ValueError):
                    results.failed.append(f"{part.name}: ended by exit status {process.returncode}")
    finally:
        for _, process, *_ in running.values():
            process.terminate()
        for _, process, *_ in running.values():
            process.wait()
    return results


def check(names, found=None):
    """Run parts and groups of the plan (default: "check"); found: a file for the results, of a part of a larger check."""
    begin = time.monotonic()
    try:
        todo = plan.chosen(names)
    except KeyError as err:
        raise Fail(f"there is no check of {err.args[0]}, but of {', '.join([*plan.PARTS, *plan.GROUPS])}") from None
    if found:
        found.write_text(json.dumps(vars(one_part(todo[0]))))
        return 0
    with lock(f"{CLONE.name}-check"):
        if len(todo) == 1:
            print(f"--- {todo[0].name}", flush=True)
            results = one_part(todo[0])
        else:
            debian.root([name for part in todo for name in part.packages])	# before they all want it
            results = side_by_side(todo)
            if {part.name for part in todo}.issuperset(plan.GROUPS["clients"]):
                parts.clients_in_time(results)
    print(f"--- all of it, in {time.monotonic() - begin:.0f} s")
    for name in results.failed:
        tell("FAILED", name)
    tell_skipped(results.skipped)
    print(results.summary(), flush=True)
    return 1 if results.failed or not results.passed else 0
