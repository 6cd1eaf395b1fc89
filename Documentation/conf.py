# SPDX-License-Identifier: GPL-2.0-only
# For Sphinx outside of a kernel tree, where the kernel's own directive for comments of the sources is not at hand. It needs
# the kernel's kernel-doc program: KERNEL_DOC=/usr/lib/linux-kbuild-6.12*/scripts/kernel-doc.
# (Where there is a kernel tree, its Documentation/conf.py takes the place of this file.)

import os
import re
import subprocess
import tempfile
from pathlib import Path

from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

TOP = Path(__file__).resolve().parent.parent

project = "iommufd-vfio"
author = "the authors of iommufd-vfio"
copyright = f"2026, {author}"
version = release = (TOP / "VERSION").read_text().strip()
primary_domain = "c"
highlight_language = "none"
c_id_attributes = ["__iomem", "__user", "__must_check", "__printf"]
exclude_patterns = ["ABI"]
html_show_sourcelink = html_copy_source = False


class KernelDoc(SphinxDirective):
    """The comments of a source file, as the kernel's documents include them."""

    required_arguments = 1
    option_spec = dict.fromkeys(("doc", "export", "internal", "identifiers"), directives.unchanged)

    def run(self):
        path = TOP / self.arguments[0]
        argv = [os.environ["KERNEL_DOC"], "-rst"]
        if "doc" in self.options:
            argv += ["-function", self.options["doc"]]
        elif self.options.get("identifiers"):
            for name in self.options["identifiers"].split():
                argv += ["-function", name]
        elif "identifiers" in self.options:
            argv.append("-no-doc-sections")
        argv += [f"-{name}" for name in ("export", "internal") if name in self.options]
        with tempfile.NamedTemporaryFile("w", suffix=".c") as exports:
            # 6.12's program does not know namespaces that are strings.
            for name in re.findall(r"^EXPORT_SYMBOL_NS(?:_GPL)?\((\w+),", path.read_text(), re.MULTILINE):
                print(f"EXPORT_SYMBOL_GPL({name});", file=exports)
            exports.flush()
            done = subprocess.run([*argv, "-export-file", exports.name, path], capture_output=True, text=True)
        if done.returncode:
            raise ExtensionError(f"{path}: {done.stderr}")
        self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(done.stdout, allow_section_headings=True)


def setup(app):
    app.add_directive("kernel-doc", KernelDoc)
