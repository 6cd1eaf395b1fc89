# SPDX-License-Identifier: GPL-2.0-only
"""Read KTAP/TAP results, from a program's output or out of a kernel log."""

import re
from dataclasses import dataclass, field

RESULT = re.compile(r"(not )?ok\b[ \t]*(\d+)?[ \t]*(?:- )?(.*)")
DIRECTIVE = re.compile(r"(.*?)\s*#\s*(SKIP|TODO|XFAIL)\b:?\s*(.*)", re.I)
PLAN = re.compile(r"1\.\.(\d+)\b(?:\s*#\s*SKIP\b:?\s*(.*))?", re.I)
LOG_PREFIX = re.compile(r"^(<\d+>)?\[ *\d+\.\d+\](\[ *[CT]\d+\])? ")


@dataclass
class Results:
    passed: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)		# (name, reason) pairs
    seconds: int = 0					# that it took, where that is known

    def add(self, other, prefix=""):
        self.passed += [prefix + name for name in other.passed]
        self.failed += [prefix + name for name in other.failed]
        self.skipped += [(prefix + name, reason) for name, reason in other.skipped]

    def only(self, names):
        """Drop all but these, and failures that are no test's."""
        self.passed = [name for name in self.passed if name in names]
        self.failed = [name for name in self.failed if name in names or ":" in name or " " in name]
        self.skipped = [(name, reason) for name, reason in self.skipped if name in names]

    def summary(self):
        return f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def parse(text, what):
    """
    Results of one program. Leaves count: a result line that sums up the nested ones before it counts only if
    it fails and none of those did. A plan that is not kept, no plan at the outermost level (parameterized KUnit cases
    have none), and no result at all are failures.
    """
    found = Results()
    # One frame per nesting level: indentation, planned, seen, names of failures below, leaves below
    frames = []

    def frame(indent):
        while frames and frames[-1]["indent"] > indent:
            close(frames.pop())
        if not frames or frames[-1]["indent"] < indent:
            frames.append({"indent": indent, "plan": None, "seen": 0, "leaves": 0, "failures": 0})
        return frames[-1]

    def close(level):
        if level["plan"] is None and level["seen"] and not frames:
            found.failed.append(f"{what}: results without a plan")
            level["failures"] += 1
        elif level["plan"] is not None and level["seen"] != level["plan"]:
            found.failed.append(f"{what}: {level['plan']} tests planned, {level['seen']} reported")
            level["failures"] += 1
        below["leaves"] += level["leaves"] + level["seen"]
        below["failures"] += level["failures"]

    below = {"leaves": 0, "failures": 0}
    for raw in text.replace("\r", "").splitlines():
        line = LOG_PREFIX.sub("", raw)
        body = line.lstrip(" ")
        indent = len(line) - len(body)
        plan = PLAN.match(body)
        if plan:
            level = frame(indent)
            if level["plan"] is None:
                level["plan"] = int(plan.group(1))
                if plan.group(1) == "0":
                    found.skipped.append((what, plan.group(2) or "no reason given"))
            continue
        result = RESULT.match(body)
        if not result:
            continue
        below = {"leaves": 0, "failures": 0}
        level = frame(indent)			# closes nested levels into 'below'
        level["seen"] += 1
        failed, name = bool(result.group(1)), result.group(3).strip()
        directive = DIRECTIVE.match(name)
        kind, reason = (directive.group(2).upper(), directive.group(3)) if directive else (None, "")
        name = directive.group(1) if directive else name
        if below["leaves"]:
            if failed and not below["failures"]:
                found.failed.append(name)
                level["failures"] += 1
            level["failures"] += below["failures"]
        elif kind == "SKIP":
            found.skipped.append((name, reason or "no reason given"))
        elif failed and kind not in ("TODO", "XFAIL"):
            found.failed.append(name)
            level["failures"] += 1
        else:
            found.passed.append(name)
    below = {"leaves": 0, "failures": 0}
    while frames:
        close(frames.pop())
    if not (found.passed or found.failed or found.skipped):
        found.failed.append(f"{what}: no results")
    return found
