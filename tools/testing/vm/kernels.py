# SPDX-License-Identifier: GPL-2.0-only
"""
The kernels that there are: of Debian's packages, for which our modules are built, built from its source with ours inside, and
built from it with iommufd and VFIO as modules, whose place ours take.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    arch: str = "x86_64"	# as the kernel's Makefile names it
    # Of a package: the one that depends on the newest of its kind, and the suite that has it
    package: str = None
    suite: str = "trixie"
    series: int = 0		# which of the series that the suite has: 0 for what the package depends on, 1 for the one before that
    native: bool = False	# our modules are built in a system of that suite, because Debian 13 has not the kernel's compiler
    # Built here: the configuration, as fragments in config/, and what the build gives; None: it is only compiled
    fragments: tuple = ()
    product: str = None
    mainline: bool = False	# with its own iommufd and VFIO, to measure beside ours
    newest: bool = False	# of the newest source that there is, without a bridge between that and ours
    modular: bool = False	# those are modules, and ours are built for it as for a packaged one

    @property
    def in_tree(self):
        return not self.package and not self.modular


LEAN = Kernel(fragments=("lean.frag",), product="arch/x86/boot/bzImage")

KERNELS = {
    "stock": Kernel(package="linux-image-amd64"),
    "cloud": Kernel(package="linux-image-cloud-amd64"),
    "rt": Kernel(package="linux-image-rt-amd64"),
    # What Debian 12 has to offer
    "deb12": Kernel(package="linux-image-6.12-amd64", suite="bookworm-security"),
    "deb12-cloud": Kernel(package="linux-image-6.12-cloud-amd64", suite="bookworm-security"),
    "deb12-rt": Kernel(package="linux-image-6.12-rt-amd64", suite="bookworm-security"),
    "deb12-backports": Kernel(package="linux-image-amd64", suite="bookworm-backports"),
    # The newest that there is for Debian 13, and the series before it
    "backports": Kernel(package="linux-image-amd64", suite="trixie-backports"),
    "backports-cloud": Kernel(package="linux-image-cloud-amd64", suite="trixie-backports"),
    "backports-rt": Kernel(package="linux-image-rt-amd64", suite="trixie-backports"),
    "backports-before": Kernel(package="linux-image-amd64", suite="trixie-backports", series=1),
    # The next Debian's
    "sid": Kernel(package="linux-image-amd64", suite="sid", native=True),
    # The stock kernel of another architecture, with pages of 4 and of 16 KiB
    "arm64": Kernel(arch="arm64", package="linux-image-arm64"),
    "arm64-16k": Kernel(arch="arm64", package="linux-image-arm64-16k"),
    "backports-arm64": Kernel(arch="arm64", package="linux-image-arm64", suite="trixie-backports"),
    "lean": LEAN,
    # With a mock IOMMU in it, which what is measured has not
    "lean-mock": Kernel(fragments=("lean.frag", "mock.frag"), product=LEAN.product),
    "lean-mainline": Kernel(fragments=LEAN.fragments, product=LEAN.product, mainline=True),
    # Both of the newest source
    "lean-newest": Kernel(fragments=LEAN.fragments, product=LEAN.product, newest=True),
    "lean-newest-mainline": Kernel(fragments=LEAN.fragments, product=LEAN.product, newest=True, mainline=True),
    # For an Arm processor, whose IOMMU driver makes virtual IOMMUs there
    "lean-arm64": Kernel(arch="arm64", fragments=("lean.frag", "lean-arm64.frag"), product="arch/arm64/boot/Image", newest=True),
    # As other distributions configure theirs
    "modular": Kernel(fragments=("lean.frag", "modular.frag"), product=LEAN.product, mainline=True, modular=True),
    # QEMU would start a vmlinux at its PVH entry, which runs instrumented code before KASAN has its shadow.
    "debug": Kernel(fragments=("lean.frag", "debug.frag"), product="arch/x86/boot/bzImage"),
    "uml": Kernel(arch="um", fragments=("uml.frag",), product="linux"),
    "check": Kernel(fragments=("lean.frag", "debug.frag", "check.frag")),
    "newest": Kernel(fragments=("newest.frag", "newest-x86.frag"), newest=True),
    "newest-arm64": Kernel(arch="arm64", fragments=("newest.frag", "newest-arm64.frag"), newest=True),
}
# Those that our modules are built for, beside the stock kernel
OTHERS = [name for name, kernel in KERNELS.items() if kernel.package and name != "stock"]
# Those that our modules are built for, in all
CARRIERS = [name for name, kernel in KERNELS.items() if kernel.package or kernel.modular]
# Those that a virtual machine boots
BOOTED = [name for name, kernel in KERNELS.items() if kernel.arch != "um" and (kernel.package or kernel.product)]
# The stock kernel of each architecture
STOCK = {"amd64": "stock", "arm64": "arm64"}
