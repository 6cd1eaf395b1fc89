# SPDX-License-Identifier: GPL-2.0-only
"""
DPDK's testpmd, which forwards packets between two network cards on one hub: what goes out of one comes in at the other.
"""

import contextlib
import errno
import re
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from machine import ETH_P_TEST, Device, Missing, Wrong, expect, huge_pages, some, wait_for

PROGRAM = "dpdk-testpmd"
PAGES = 160		# huge ones
SECONDS = 3		# of forwarding
ENOUGH = 1000		# packets in each direction
FRAMES = 100		# to virtual functions
NO_IOMMU = Path("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
ENABLE_SRIOV = Path("/sys/module/vfio_pci/parameters/enable_sriov")
TOKEN, OTHER_TOKEN = "3e0a5c2b-1122-4344-8566-778899aabbcc", "01020304-1122-4344-8566-778899aabbcc"
DISCARD = 9		# testpmd's packets go to this UDP port

running = []


class Testpmd:
    """A testpmd with these ports, forwarding from each to the other."""

    def __init__(self, cards, *eal, name="clients"):
        self.log = tempfile.NamedTemporaryFile(prefix="testpmd.")
        # By lines, to see how far it is
        self.devices = [word for card in cards for word in ("-a", card.bdf)]
        self.argv = ["stdbuf", "-oL", PROGRAM, "-l", "0,1", "-n", "1", "--file-prefix", name, *self.devices]
        self.argv += [*eal, "--", "--forward-mode=io", "--tx-first", "--total-num-mbufs=4096"]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)
        running.append(self)

    def said(self):
        return Path(self.log.name).read_text(errors="replace")

    def forwarding(self):
        status = self.process.poll()
        if status is not None:
            raise Wrong(f"{PROGRAM} has ended with status {status}")
        return "Press enter to exit" in self.said()

    def finish(self):
        """End it; gives (received, sent) of each port."""
        self.process.stdin.write(b"\n")
        self.process.stdin.close()
        expect(f"exit status of {PROGRAM}", self.process.wait(60), 0)
        ports = re.findall(r"Forward statistics for port \d+ .*?RX-packets: (\d+).*?TX-packets: (\d+)", self.said(),
                           re.S)
        running.remove(self)
        return [(int(received), int(sent)) for received, sent in ports]

    def refused(self):
        """It gets none of its devices; gives what it says."""
        wait_for(f"{PROGRAM} to do without devices", self.forwarding, 120)
        expect("devices that were refused are missed", "No probed ethernet devices" in self.said(), True)
        self.kill()
        return self.said()

    def kill(self):
        self.process.kill()
        self.process.wait()
        running.remove(self)


def kill_all():
    for client in list(running):
        client.kill()


def describe():
    return [line for client in running for line in [" ".join(client.argv), *client.said().splitlines()[-25:]]]


def is_test_packet(frame):
    """Of testpmd: UDP over IPv4 to the port that discards."""
    return len(frame) > 38 and frame[12:14] == b"\x08\x00" and frame[23] == 17 and \
        struct.unpack_from("!H", frame, 36)[0] == DISCARD


def two_e1000e():
    return some("e1000e", 2)


def igb_and_virtio():
    """The second virtio-net is one that the IOMMU translates for."""
    return [*some("igb", 1), some("virtio-net-pci", 2)[1]]


@contextlib.contextmanager
def started(*eal, cards=two_e1000e):
    """A testpmd that forwards."""
    cards = cards()
    witness = some("virtio-net-pci", 1)[0]
    if not shutil.which(PROGRAM):
        raise Missing(f"no {PROGRAM}: vm root dpdk-dev")
    for card in cards:
        card.give("vfio-pci")
    with huge_pages(PAGES):
        client = Testpmd(cards, *eal)
        wait_for(f"{PROGRAM} to forward", client.forwarding, 120)
        # A third card on the hub, which the kernel has, sees what the two send.
        with witness.up() as link:
            link.settimeout(30)
            wait_for("packets on the hub", lambda: is_test_packet(link.recv(2048)))
        time.sleep(SECONDS)
        yield client
        kill_all()


def enough(what, ports):
    expect(f"number of ports of {what}", len(ports), 2)
    for received, sent in ports:
        if received < ENOUGH or sent < ENOUGH:
            raise Wrong(f"too few packets, says {what}: (received, sent) of each port: {ports}")


def forwards(*eal, cards=two_e1000e, iommu="IOMMU type 1 "):
    def case():
        with started(*eal, cards=cards) as client:
            enough(PROGRAM, client.finish())
            if iommu not in client.said():
                raise Wrong(f"not by a container of {iommu}")
    return case


def without_iommu():
    """Devices that no IOMMU confines, once the administrator has accepted that."""
    if Path("/sys/kernel/iommu_groups").exists() and any(Path("/sys/kernel/iommu_groups").iterdir()):
        raise Missing("this machine has an IOMMU")
    card = two_e1000e()[0]
    try:
        card.give("vfio-pci")
    except OSError as err:
        expect("the refusal", err.errno, errno.EINVAL)
    except Wrong:
        expect("driver of a device without IOMMU", card.driver, None)
    else:
        raise Wrong("a device without IOMMU is given away unasked")
    NO_IOMMU.write_text("Y")
    try:
        forwards("--iova-mode=pa", iommu="IOMMU type 8 ")()
    finally:
        NO_IOMMU.write_text("N")


def killed():
    """SIGKILL, while the cards receive and send; whoever comes next finds them free."""
    with started("--iova-mode=va") as client:
        client.kill()
    forwards("--iova-mode=va")()


def second_process():
    """Another process gets the container and the devices from the first, and reads their counters."""
    with started("--iova-mode=va") as client:
        done = subprocess.run(["dpdk-proc-info", "--file-prefix", "clients", *client.devices, "--", "--stats"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120)
        ports = re.findall(r"NIC statistics for port \d+ .*?RX-packets: +(\d+).*?TX-packets: +(\d+)", done.stdout, re.S)
        if done.returncode or len(ports) != 2:
            raise Wrong(f"dpdk-proc-info: status {done.returncode}: {done.stdout[-1500:]}")
        enough("dpdk-proc-info", [(int(received), int(sent)) for received, sent in ports])
        enough(PROGRAM, client.finish())


def virtual_functions():
    """The user of a physical function decides, by a token, who uses its virtual ones."""
    card, = some("igb", 1)
    witness = some("virtio-net-pci", 1)[0]
    before = ENABLE_SRIOV.read_text()
    ENABLE_SRIOV.write_text("Y")
    card.give("vfio-pci")
    (card.path / "sriov_numvfs").write_text("2")
    try:
        ports = [Device((card.path / f"virtfn{number}").resolve().name) for number in range(2)]
        for port in ports:
            port.give("vfio-pci")
        with huge_pages(PAGES):
            owner = Testpmd([card], "--iova-mode=va", f"--vfio-vf-token={TOKEN}", name="owner")
            wait_for("the owner to forward", owner.forwarding, 120)
            said = Testpmd(ports, "--iova-mode=va", f"--vfio-vf-token={OTHER_TOKEN}").refused()
            if "etting a vfio_dev_fd" not in said:
                raise Wrong(f"refused for another reason: {said[-1500:]}")
            client = Testpmd(ports, "--iova-mode=va", f"--vfio-vf-token={TOKEN}")
            wait_for("the virtual functions to forward", client.forwarding, 120)
            # What one of them sends goes to the hub; what comes from there to everyone, both receive.
            with witness.up() as link:
                link.settimeout(30)
                for _ in range(FRAMES):
                    link.send(b"\xff" * 6 + b"\2\0\0\0\0\1" + struct.pack("!H", ETH_P_TEST) + bytes(50))
                time.sleep(SECONDS)
            found = client.finish()
            expect("number of ports", len(found), 2)
            for received, sent in found:
                if received < FRAMES // 2 or sent < FRAMES // 2:
                    raise Wrong(f"too few packets: (received, sent) of each port: {found}")
            kill_all()
    finally:
        kill_all()
        (card.path / "sriov_numvfs").write_text("0")
        ENABLE_SRIOV.write_text(before)


CASES = {
    "dpdk iova as va": forwards("--iova-mode=va"),
    "dpdk iova as pa": forwards("--iova-mode=pa"),
    "dpdk legacy memory": forwards("--iova-mode=va", "--legacy-mem"),
    "dpdk legacy memory, iova as pa": forwards("--iova-mode=pa", "--legacy-mem"),
    "dpdk igb and virtio-net": forwards("--iova-mode=va", cards=igb_and_virtio),
    "dpdk igb and virtio-net, iova as pa": forwards("--iova-mode=pa", cards=igb_and_virtio),
    "dpdk second process": second_process,
    "dpdk killed": killed,
    "dpdk virtual functions": virtual_functions,
}
# Of machines without an IOMMU
NO_IOMMU_CASES = {"dpdk no iommu": without_iommu}
