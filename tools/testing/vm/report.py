# SPDX-License-Identifier: GPL-2.0-only
"""How results are told: one line for each verdict that somebody may look for."""


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
