# SPDX-License-Identifier: GPL-2.0-only
"""The plan of 'vm check': what runs on which kernel, in machines with which devices."""

import collections
from dataclasses import dataclass, field

import package
from build import FUZZER_PACKAGES
from kernels import KERNELS, OTHERS

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
    "none": ([("vfio", "vfio_cdev_noiommu"), ("vfio", "vfio_group_noiommu")], ""),
}
# What takes a device of our own to show, see tools/testing/pasid-testdev; nothing may be skipped there.
PROOFS = {
    "intel-pasid": [("vfio", "vfio_pci_pasid"), ("vfio", "vfio_pci_fault"), ("vfio", "vfio_pci_walk"),
                    ("iommu", "iommufd_example_pasid"), ("iommu", "iommufd_example_fault")],
    "intel-pasid-second": [("vfio", "vfio_pci_pasid"), ("vfio", "vfio_pci_walk")],
    "intel-nested": [("vfio", "vfio_pci_nested"), ("vfio", "vfio_pci_walk"), ("iommu", "iommufd_example_nested")],
    "intel-dirty": [("vfio", "vfio_pci_dirty")],
}
# What the shorter runs of CI leave to 'check all', as options of the programs: sizes whose page tables are more of the same,
# and on the debug kernel devices whose configuration space is like that of others.
LARGE_SIZES = {
    ("vfio", "vfio_pci_release"): "-V of_3_gib -V of_8_gib",
    ("vfio", "vfio_group_release"): "-V of_3_gib -V of_8_gib -V v2_of_3_gib",
    ("vfio", "vfio_pci_release_bar"): "-V of_3_gib -V of_8_gib",
}
LIKE_OTHERS = {
    ("vfio", "vfio_pci_release"): "-V of_some_pages -V of_mixed_sizes",
    ("vfio", "vfio_pci_config"): "-V edu -V nvme -V testdev -V ivshmem",
}

# More options of those runs. A kernel that lets a device do without an IOMMU says so (U).
MODEL_OPTIONS = {"none": {"env": {"MAY_LOCK_DOWN": 1}, "taint": "U", "test_modules": True}}

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
               "qemu hot plug", "without nesting"]
# The runs, each a part of the check: IOMMU, devices, cases, and more options
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
    # Our own device, see PROOFS
    "nested": ("intel-nested", ["pasid-testdev", "edu"], ["nested *"],
               {"newer_qemu": True, "smp": 1, "selftests": True}),
    "none": ("none", CLIENT_FEW, ["dpdk no iommu"], {"taint": "U"}),
    # QEMU emulates a PC here, too.
    "arm64": ("smmuv3", CLIENT_FEW, ["qemu iommufd", "qemu iommufd, descriptors passed", "qemu group", "dpdk iova as va"],
              {"kernel": "arm64"}),
}

# About how long each takes
CLIENT_RUN_SECONDS = {**dict.fromkeys(CLIENT_RUNS, 60), "qemu": 300, "dpdk": 250, "nested": 100, "arm64": 300}
CLIENT_GROUPS = {"intel-scalable": ("clients",),	# CI has that with first-stage tables
                 "arm64": ("kernels",)}
CLIENT_SECONDS = 2 * 15 * 60		# of processor time, for all of them

# The same for vfioctl: IOMMU and more options, by the kind of machine, which the cases are told
VFIOCTL = "tools/testing/vfioctl/vfioctl_test.py"
VFIOCTL_PACKAGES = ["dmsetup", "e2fsprogs", "fdisk", "libvirt-common", "libxml2-utils", "lvm2", "mdadm", "python3-jsonschema"]
VFIOCTL_DEVICES = [
    "nvme", "e1000e", "igb", "edu",
    # Two in one group; one that can be unplugged
    "pcie-root-port,id=rootport,chassis=1,slot=1,x-speed=2_5",
    "nvme,bus=rootport,addr=0.0,multifunction=on", "nvme,bus=rootport,addr=0.1",
    "pcie-root-port,id=port0,chassis=2,slot=2,x-speed=2_5", "edu,id=plugged,bus=port0,addr=0",
    # That of the console
    "VGA",
]
VFIOCTL_RUNS = {
    "intel": ("intel", {}),
    "stock": ("intel", {"modules": False}),
    "amd": ("amd-remap", {}),
    "none": ("none", {}),
    "nointremap": ("intel-nointremap", {}),
    # With the kernel's sample of a mediated device
    "mdev": ("intel", {"test_modules": True}),
    # With a device of our own that has PASIDs and page requests
    "pasid": ("intel-pasid", {"devices": [*VFIOCTL_DEVICES, "pasid-testdev"]}),
    "nested": ("intel-nested", {"devices": [*VFIOCTL_DEVICES, "pasid-testdev"]}),
}
# Of these CI has most in the others
VFIOCTL_LIKE_OTHERS = ["amd", "nointremap", "nested"]
VFIOCTL_ARM64 = {"arm64": ("smmuv3", {"kernel": "arm64", "taint": "U"})}

# What makes the documents, and what reads scripts; Debian 13 has no ruff
STATIC_PACKAGES = ["python3-sphinx", "pycodestyle", "pyflakes3", "shellcheck"]

# Those of the kernel itself, unmodified; what those of VFIO get, one of them behind a bridge; the IOMMUs, with the others.
# Not ivshmem: the tests take it that every BAR is a page at least.
MAINLINE = ("mainline", "mainline.py")
MAINLINE_KINDS = ["edu", "nvme", "e1000e", "igb"]
MAINLINE_DEVICES = {"intel": [*MAINLINE_KINDS, "pcie-pci-bridge,id=bridge", "edu,bus=bridge,addr=1"], "none": []}

# Four minutes on the debug kernel, which "make check" does not have
RACES = [("vfio", "vfio_pci_race"), ("vfio", "vfio_pci_hotplug"), ("vfio", "vfio_pci_neighbour")]

# Minutes, and nothing else should run beside it on the same kernel: it measures time
HUGE = [("iommu", "iommufd_huge")]
# Threads that help to pin, two of them
PARALLEL = [("iommu", "iommufd_mock_parallel")]
HELPERS = {"load": ["iommufd"], "smp": 4}

# What shows on a kernel that mapping, DMA, interrupts, the container and the mock-free rest of the ABI work
FEW = [("iommu", "iommufd_ioas"), ("iommu", "iommufd_map"), *USUAL, ("vfio", "vfio_pci_bar"), ("vfio", "vfio_pci_irq"),
       ("vfio", "vfio_pci_release")]
# Of a kernel with its own iommufd and VFIO: whose modules are used, and what is dirty
MODULAR = [*FEW, ("vfio", "vfio_pci_config"), ("iommu", "iommufd_abi"), ("vfio", "vfio_never_mixed.sh")]
MODULAR_MOCK = [("iommu", "dirty"), ("iommu", "iommufd_mock_hwpt"), ("iommu", "iommufd_mock_viommu")]
# On arm64 the processor, the interrupt controller and the IOMMU are others: what is about memory, DMA and interrupts
ARM64 = [("iommu", "iommufd_ioas"), ("iommu", "iommufd_map"), ("iommu", "iommufd_device"), ("iommu", "vfio_compat"),
         ("vfio", "vfio_pci_bar"), ("vfio", "vfio_pci_config"), ("vfio", "vfio_pci_irq"), ("vfio", "vfio_pci_msi"),
         ("vfio", "vfio_pci_release"), ("vfio", "vfio_pci_reset")]
# Nested translation there
SMMU = [("vfio", "vfio_pci_smmu")]
# Devices of no bus, which no IOMMU of QEMU confines; a kernel that lets them do without one says so (U)
ARM64_PLATFORM = [("vfio", "vfio_platform")]

# dma-bufs of one device that another one imports, which takes a kernel with PCI_P2PDMA, a driver for tests, and a processor whose
# root complex passes on what devices send each other: the kernel knows that of AMD's, from family 23 on
IMPORTS = {"tests": [("vfio", "vfio_pci_dmabuf")], "seconds": 900, "test_modules": True, "whole": True,
           "load": ["iommufd", "vfio-pci", "vfio-test"], "qemu_args": ["-cpu max,family=23"]}

# What "make variants" builds, with a device of QEMU's
VARIANTS = [("vfio", "vfio_pci_variants")]

# A minute or so; "make fuzz" is for longer runs.
FUZZ_RUNS = 3000


@dataclass(frozen=True)
class Part:
    """A row of the plan: what runs, on which kernel, which says of which architecture."""
    name: str
    what: str			# a function of parts.py, static.py or selfcheck.py
    kernel: str = None		# of kernels.KERNELS; None: on several, or on none
    arguments: dict = field(default_factory=dict)	# of that function, besides the results and the row
    groups: tuple = ("check", "ci")	# by whose names it is asked for, too
    packages: tuple = ()	# what it wants in the Debian root
    seconds: int = 60		# about how long it takes: the longest begin first
    short_for: str = None	# the row of which this runs a part only

    @property
    def arch(self):
        return KERNELS[self.kernel].arch if self.kernel else None


PLAN = [
    Part("selfcheck", "harness", seconds=80),
    Part("static", "static", seconds=300, packages=STATIC_PACKAGES),
    Part("in-tree-newest", "in_tree_newest", groups=("kernels",), seconds=250),
    Part("kunit", "kunit", "uml", seconds=70),
    Part("stock", "selftests", "stock", seconds=600),
    Part("demo", "demo", "stock", seconds=90),
    # The other kernels: all are built for, the newest one is run
    Part("builds", "builds", groups=("check", "kernels"), seconds=700),
    # The oldest one, which lacks most of what compat/ bridges
    Part("short-builds", "builds", arguments={"kernels": ["deb12-backports"]}, groups=("ci",), seconds=100, short_for="builds"),
    Part("backports", "newest", "backports", groups=("check", "kernels"), seconds=600),
    Part("imports", "by_themselves", "backports", arguments=IMPORTS, groups=("check", "kernels"), seconds=60),
    Part("debug-imports", "by_themselves", "debug", arguments={**IMPORTS, "test_modules": False}, groups=("more", "debug"), seconds=200),
    Part("demo-backports", "demo", "backports", groups=("check", "kernels", "ci"), seconds=60),
    *[Part(f"kernel-{name}", "on_kernel", name, arguments={"tests": FEW}, groups=("kernels",), seconds=200)
      for name in OTHERS if name != "backports"],
    Part("vfioctl", "vfioctl", "stock", arguments={"runs": VFIOCTL_RUNS}, groups=("check",), seconds=1000, packages=VFIOCTL_PACKAGES),
    Part("short-vfioctl", "vfioctl", "stock", groups=("ci",), seconds=700, packages=VFIOCTL_PACKAGES, short_for="vfioctl",
         arguments={"runs": {kind: run for kind, run in VFIOCTL_RUNS.items() if kind not in VFIOCTL_LIKE_OTHERS}}),
    Part("debug-iommu", "selftests", "debug", arguments={"folders": ["iommu"]}, groups=("check", "debug", "ci"), seconds=900),
    Part("debug-vfio", "selftests", "debug", arguments={"folders": ["vfio"]}, groups=("check", "debug"), seconds=1900),
    Part("short-debug-vfio", "selftests", "debug", arguments={"folders": ["vfio"], "options": LIKE_OTHERS}, groups=("ci",), seconds=1500,
         short_for="debug-vfio"),
    # The others take long, and most have a target of their own.
    Part("debug-races", "by_themselves", "debug", arguments={"tests": RACES, "seconds": 1800}, groups=("more", "debug", "ci"),
         seconds=500),
    Part("huge", "by_themselves", "stock", arguments={"tests": HUGE, "seconds": 900}, groups=("more", "ci"), seconds=150),
    Part("parallel", "by_themselves", "stock", groups=("more",), seconds=100,
         arguments={"tests": PARALLEL, "seconds": 600, "test_modules": True, **HELPERS}),
    # With failing allocations, which the stock kernel cannot inject
    Part("debug-parallel", "by_themselves", "debug", groups=("more", "debug"), seconds=400,
         arguments={"tests": PARALLEL, "seconds": 1800, "whole": True, **HELPERS}),
    Part("mainline", "mainline", "stock", groups=("more", "ci"), seconds=500),
    Part("mock-mainline", "mainline", "lean-mock", groups=(), seconds=400),
    Part("debug-mainline", "mainline", "debug", groups=(), seconds=2700),
    Part("fuzz", "fuzzing", "uml", groups=("more", "ci"), seconds=120, packages=FUZZER_PACKAGES),
    *[Part(f"models-{iommu}", "models", "stock", arguments={"iommu": iommu}, groups=("more", "models"), seconds=200)
      for iommu in MODELS],
    *[Part(f"proof-{iommu}", "proofs", "stock", arguments={"iommu": iommu}, groups=("more", "ci"), seconds=60) for iommu in PROOFS],
    # The only one that QEMU emulates of which a kernel makes virtual IOMMUs: 7.3, with our iommufd in its tree
    Part("proof-smmuv3", "by_themselves", "lean-arm64", groups=("kernels",), seconds=60,
         arguments={"tests": SMMU, "seconds": 600, "whole": True, "devices": ["edu"]}),
    # A kernel that has its own iommufd and VFIO as modules, as those of other distributions
    Part("modular", "modular", "modular", groups=("kernels",), seconds=900),
    Part("demo-modular", "demo", "modular", groups=("kernels",), seconds=100),
    Part("proof-modular-dirty", "proofs", "modular", arguments={"iommu": "intel-dirty"}, groups=("kernels",), seconds=60),
    # The stock selftests have one of the three on intel.
    *[Part(f"short-models-{iommu}", "models", "stock", arguments={"iommu": iommu, "without": without, "options": LARGE_SIZES},
           groups=("ci",), seconds=100, short_for=f"models-{iommu}")
      for iommu, without in {"intel": [RELEASE[0], TABLES], "intel-flts": USUAL, "amd-remap": []}.items()],
    *[Part(f"clients-{run}", "clients", CLIENT_RUNS[run][3].get("kernel", "stock"), arguments={"run": run}, seconds=seconds,
           packages=CLIENT_PACKAGES, groups=CLIENT_GROUPS.get(run, ("clients", "ci")))
      for run, seconds in CLIENT_RUN_SECONDS.items()],
    *[Part(name, "by_themselves", kernel, groups=("kernels",), seconds=150,
           arguments={"tests": VARIANTS, "seconds": 600, "variants": True, "devices": ["edu", "virtio-net-pci,netdev=sink"],
                      "qemu_args": ["-netdev user,id=sink,restrict=on"]})	# which takes frames
      for name, kernel in {"variants": "stock", "backports-variants": "backports"}.items()],
    Part("demo-arm64", "demo", "arm64", groups=("kernels",), seconds=200),
    Part("demo-backports-arm64", "demo", "backports-arm64", groups=("kernels",), seconds=200),
    # Pages of 16 KiB
    Part("demo-arm64-16k", "demo", "arm64-16k", groups=("kernels",), seconds=200),
    Part("arm64", "by_themselves", "arm64", arguments={"tests": ARM64, "seconds": 1800}, groups=("kernels",), seconds=900),
    Part("arm64-vfioctl", "vfioctl", "arm64", arguments={"runs": VFIOCTL_ARM64}, groups=("kernels",), seconds=200),
    Part("arm64-platform", "by_themselves", "arm64", groups=("kernels",), seconds=100,
         arguments={"tests": ARM64_PLATFORM, "seconds": 600, "devices": [], "qemu_args": ["-device virtio-rng-device"],
                    "taint": "U"}),
    Part("installed", "installed", "stock", groups=("ci",), seconds=150),
    Part("package", "packages", groups=("packages", "ci"), packages=package.PACKAGES, seconds=100),
    Part("package-system", "package_system", "stock", groups=("packages",), packages=package.PACKAGES, seconds=400),
    # It builds modules in a virtual machine, which is slow.
    Part("package-in-use", "package_in_use", "stock", groups=("packages",), packages=package.PACKAGES, seconds=1500),
    Part("package-debian12", "package_debian12", groups=("packages",), packages=package.PACKAGES, seconds=200),
    Part("package-libvirt", "package_libvirt", "stock", groups=("packages",), packages=package.PACKAGES, seconds=300),
    Part("package-dracut", "package_dracut", groups=("packages",), packages=package.PACKAGES, seconds=200),
]

PARTS = {part.name: part for part in PLAN}
GROUPS = collections.defaultdict(list, {"all": [part.name for part in PLAN if not part.short_for]})
for _part in PLAN:
    for _group in _part.groups:
        GROUPS[_group].append(_part.name)


def chosen(names):
    """The parts that names of parts and groups stand for, each once, the longest first; without names those of "check"."""
    wanted = {part for name in names or ["check"] for part in GROUPS.get(name, [name])}
    unknown = wanted - set(PARTS)
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    return sorted(map(PARTS.get, wanted), key=lambda part: (-part.seconds, part.name))
