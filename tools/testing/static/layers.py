#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Does each source file use only what is below it? Takes what files use of one another from the symbols of their objects and
from their #include lines, and the order of the files from the list that the documentation shows.

A list has one layer a line, the top one first: files, two spaces or more, and what they are about. Files on one line may use
each other. A header belongs to the file of its name, unless it has a line of its own; one that has neither is nobody's. Lines
that begin with # are comments.

    layers.py DIRECTORY        DIRECTORY has the objects of a build, in drivers/
"""

import collections
import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

# Directories of sources, and their lists
LISTS = {
    "drivers/iommu/iommufd": "Documentation/driver-api/iommufd-layers.txt",
    "drivers/vfio": "Documentation/driver-api/vfio-layers.txt",
    "drivers/vfio/pci": "Documentation/driver-api/vfio-pci-layers.txt",
}
# Only newer kernels compile these. Here it is their headers that are looked at; "vm check in-tree-newest" compiles the first,
# "vm check proof-smmuv3" both.
NEWER = {"drivers/iommu/iommufd/sw_msi.c", "drivers/vfio/test/smmu.c"}


class Layers:
    """The order of the files of a directory; a layer's number grows from the top to the bottom."""

    def __init__(self, repo, folder, name):
        self.name = name
        below = tuple(f"{other}/" for other in LISTS if other.startswith(f"{folder}/"))		# with lists of their own
        found = [str(path.relative_to(repo)) for path in sorted((repo / folder).rglob("*.[ch]"))]
        found = [name[len(folder) + 1:] for name in found if not name.startswith(below)]
        self.files = [file for file in found if file.endswith(".c")]
        self.headers = [file for file in found if file.endswith(".h")]
        self.number = {}
        self.problems = []
        lines = [line for line in (repo / name).read_text().splitlines() if line.strip() and not line.startswith("#")]
        for number, line in enumerate(lines):
            names, *subject = re.split(r"  +", line.strip(), maxsplit=1)
            if not subject:
                self.problems.append(f"{name}: nothing is said of {names}")
            for pattern in names.split():
                found = fnmatch.filter(self.headers if pattern.endswith(".h") else self.files, pattern)
                if not found:
                    self.problems.append(f"{name} has {pattern}, but {folder} has no such file")
                for file in found:
                    if file in self.number:
                        self.problems.append(f"{name} has {file} twice")
                    self.number[file] = number
        self.problems += [f"{folder}/{file} is not in {name}" for file in self.files if file not in self.number]

    def judge(self, uses):
        """What is wrong with (user, used, by what) tuples."""
        number = self.number
        return [f"{user} uses {what} of {used}, which is above it in {self.name}"
                for user, used, what in uses if user in number and used in number and number[used] < number[user]]


def symbols(text):
    """(defined, undefined) by object, of the output of nm -A."""
    defined, undefined = collections.defaultdict(set), collections.defaultdict(set)
    for line in text.splitlines():
        match = re.match(r"(\S+?):[0-9a-f ]* ([A-Za-z]) (\S+)$", line)
        if not match:
            continue
        file, kind, symbol = match.groups()
        if kind in "Uw":
            undefined[file].add(symbol)
        elif kind.isupper():
            defined[file].add(symbol)
    return defined, undefined


def symbol_uses(text):
    """(user, used, symbol) tuples, of the output of nm -A; what several objects define is of none of them."""
    defined, undefined = symbols(text)
    owners = collections.defaultdict(list)
    for file, names in defined.items():
        for name in names:
            owners[name].append(file)
    for user, names in sorted(undefined.items()):
        for name in sorted(names):
            if len(owners[name]) == 1:
                yield user, owners[name][0], name


def header_uses(source, layers):
    """(user, used, header) tuples"""
    def owner(name):
        return name if name in layers.number else name[:-2] + ".c"

    for file in layers.files + layers.headers:
        for header in re.findall(r'(?m)^#include "(.*)"', (source / file).read_text()):
            used = os.path.normpath(os.path.join(os.path.dirname(file), header))
            if owner(used) != owner(file):
                yield owner(file), owner(used), os.path.basename(header)


def run_nm(argv, cwd):
    return subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, check=True, text=True).stdout


def check(repo, objects, run=run_nm, lists=None):
    """
    What is wrong, as lines. objects is a directory with what was compiled of the sources in repo; run executes a command in
    that directory and gives its output; lists is LISTS, except in a test of this.
    """
    problems = []
    for folder, name in (lists or LISTS).items():
        layers = Layers(Path(repo), folder, name)
        problems += layers.problems
        built = {f"{folder}/{file[:-2]}.o": file for file in layers.files}
        missing = [path for path in built if not os.path.exists(f"{objects}/{path}")]
        problems += [f"{folder}/{built[path]} is not compiled" for path in missing if f"{folder}/{built[path]}" not in NEWER]
        text = run(["nm", "-A", *[path for path in built if path not in missing]], objects)
        uses = [(built[user], built[used], what) for user, used, what in symbol_uses(text)]
        problems += layers.judge(uses)
        problems += layers.judge(header_uses(Path(repo) / folder, layers))
    return problems


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    problems = check(Path(__file__).resolve().parents[3], sys.argv[1])
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
