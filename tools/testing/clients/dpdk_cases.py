# SPDX-License-Identifier: GPL-2.0-only
"""
DPDK's testpmd, which forwards packets between two network cards on one hub: what goes out of one comes in at the other.
"""

import contextlib
import errno
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from machine import ETH_P_TEST, Device, Missing, Wrong, expect, huge_pages, some, traced, wait_for

PROGRAM = "dpdk-testpmd"
PAGES = 160		# huge ones
SECONDS = 3		# of forwarding
ENOUGH = 1000		# packets in each direction
FRAMES = 100		# of the witness
NO_IOMMU = Path("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
RANDOMIZE = Path("/proc/sys/kernel/randomize_va_space")
ENABLE_SRIOV = Path("/sys/module/vfio_pci/parameters/enable_sriov")
TOKEN, OTHER_TOKEN = "3e0a5c2b-1122-4344-8566-778899aabbcc", "01020304-1122-4344-8566-778899aabbcc"
DISCARD = 9		# testpmd's packets go to this UDP port

running = []


class Testpmd:
    """A testpmd with these ports, forwarding from each to the other; if it waits, then only when it is told to."""

    def __init__(self, cards, *eal, name="clients", lcores="0@0,1@1", waits=False):
        self.log = tempfile.NamedTemporaryFile(prefix="testpmd.")
        # By lines, to see how far it is
        self.argv = ["stdbuf", "-oL", PROGRAM, "--lcores", lcores, "-n", "1", "--file-prefix", name]
        self.argv += [word for card in cards for word in ("-a", card.bdf)]
        self.argv += [*eal, "--", "--forward-mode=io", "--total-num-mbufs=4096", "-i" if waits else "--tx-first"]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)
        running.append(self)

    def said(self):
        return Path(self.log.name).read_text(errors="replace")

    def forwarding(self):
        status = self.process.poll()
        if status is not None:
            raise Wrong(f"{PROGRAM} has ended with status {status}")
        return "Press enter to exit" in self.said()

    def waiting(self):
        self.forwarding()
        return "testpmd>" in self.said()

    def finish(self, command="\n"):
        """End it; gives (received, sent) of each port."""
        self.process.stdin.write(command.encode())
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


class Witness:
    """A card on the hub that the kernel has: it sees what the others send."""

    def __init__(self, link):
        self.link, self.back = link, set()
        self.mark = os.urandom(8)
        link.settimeout(30)

    def sees_test_packets(self):
        wait_for("packets on the hub", lambda: is_test_packet(self.link.recv(2048)))

    def receive(self):
        """Of our frames, which ones others have sent by now; gives how many they are."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, (_, _, kind, *_) = self.ours.recvfrom(2048)
                if kind != socket.PACKET_OUTGOING and frame[14:22] == self.mark:
                    self.back.add(frame[22])
        return len(self.back)

    @contextlib.contextmanager
    def listening(self):
        """Only to our frames, of which the other ones leave no room."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_TEST)) as self.ours:
            self.ours.bind((self.link.getsockname()[0], ETH_P_TEST))
            self.ours.setblocking(False)
            yield

    def send(self):
        """The frames that have not come back."""
        for number in set(range(FRAMES)) - self.back:
            self.link.send(b"\xff" * 6 + b"\2\0\0\0\0\1" + struct.pack("!H", ETH_P_TEST) + self.mark +
                           bytes([number]) + bytes(41))
            self.receive()

    def gets_frames_back(self):
        """
        What it sends to everyone is received and sent by another card: half of it, as some may get lost. All of them
        do as long as the card has no carrier, which it gets some time after it is up, and unheard by the sender: they
        are sent again.
        """
        again = 0

        def come_back():
            nonlocal again
            if time.monotonic() >= again:
                self.send()
                again = time.monotonic() + 1
            return self.receive() >= FRAMES // 2

        with self.listening():
            wait_for(f"half of {FRAMES} frames to come back", come_back, 30)

    def gets_nothing_back(self, seconds=0.5):
        with self.listening():
            self.send()
            time.sleep(seconds)
            expect("frames that came back", self.receive(), 0)


@contextlib.contextmanager
def watched():
    """Gives a Witness."""
    with some("virtio-net-pci", 1)[0].up() as link:
        yield Witness(link)


@contextlib.contextmanager
def with_vfio(cards):
    """Cards for DPDK, and its memory."""
    if not shutil.which(PROGRAM):
        raise Missing(f"no {PROGRAM}: vm root dpdk-dev")
    for card in cards:
        card.give("vfio-pci")
    with huge_pages(PAGES):
        yield
        kill_all()


@contextlib.contextmanager
def started(*eal, cards=two_e1000e):
    """A testpmd that forwards."""
    cards = cards()
    with with_vfio(cards):
        client = Testpmd(cards, *eal)
        wait_for(f"{PROGRAM} to forward", client.forwarding, 120)
        with watched() as witness:
            witness.sees_test_packets()
            witness.gets_frames_back()
        time.sleep(SECONDS)
        yield client


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


@contextlib.contextmanager
def same_addresses():
    """Processes of a program have everything at the same address, as DPDK wants it for drivers in two of them."""
    before = RANDOMIZE.read_text()
    RANDOMIZE.write_text("0")
    try:
        yield
    finally:
        RANDOMIZE.write_text(before)


def second_process():
    """Another process gets the container and the devices from the first, and forwards for it."""
    cards = two_e1000e()
    with with_vfio(cards), same_addresses(), watched() as witness:
        first = Testpmd(cards, "--iova-mode=va", waits=True)
        wait_for("the first process", first.waiting, 120)
        witness.gets_nothing_back()
        second = Testpmd(cards, "--iova-mode=va", "--proc-type=secondary", lcores="2@0,3@1")
        wait_for("the second process to forward", second.forwarding, 120)
        witness.sees_test_packets()
        witness.gets_frames_back()
        time.sleep(SECONDS)
        enough("the second process", second.finish())
        first.finish("quit\n")


def virtual_functions():
    """The user of a physical function decides, by a token, who uses its virtual ones."""
    card, = some("igb", 1)
    before = ENABLE_SRIOV.read_text()
    ENABLE_SRIOV.write_text("Y")
    card.give("vfio-pci")
    (card.path / "sriov_numvfs").write_text("2")
    try:
        ports = [Device((card.path / f"virtfn{number}").resolve().name) for number in range(2)]
        with with_vfio(ports):
            owner = Testpmd([card], "--iova-mode=va", f"--vfio-vf-token={TOKEN}", name="owner")
            wait_for("the owner to forward", owner.forwarding, 120)
            # No token at all, and a wrong one, after which DPDK tries to do without; a second port it would not even ask for
            for port, token, tries in ((ports[0], [], 1), (ports[1], [f"--vfio-vf-token={OTHER_TOKEN}"], 2)):
                with traced("syscalls/sys_exit_ioctl", only=f"ret=={-errno.EACCES}") as trace:
                    Testpmd([port], "--iova-mode=va", *token).refused()
                    found = re.findall(rf"(?m)^ *{PROGRAM}-\d+ .* sys_ioctl -> ", trace.text())
                    expect("ioctls refused with EACCES", len(found), tries)
            client = Testpmd(ports, "--iova-mode=va", f"--vfio-vf-token={TOKEN}")
            wait_for("the virtual functions to forward", client.forwarding, 120)
            # What one of them sends goes to the hub; what comes from there to everyone, both receive.
            with watched() as witness:
                witness.gets_frames_back()
            found = client.finish()
            expect("number of ports", len(found), 2)
            for received, sent in found:
                if received < FRAMES // 2 or sent < FRAMES // 2:
                    raise Wrong(f"too few packets: (received, sent) of each port: {found}")
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
