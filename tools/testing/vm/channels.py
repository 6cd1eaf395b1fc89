# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of a guest's channels: its console, its last words, what its command prints, QEMU's monitor."""

import contextlib
import json
import selectors
import socket
import sys
import time


class Conversation:
    """The host's side of a guest's channels."""

    def __init__(self, opts, log):
        self.opts, self.log = opts, log
        self.text, self.report = bytearray(), {}
        self.buffers = {}
        self.replies_due, self.events, self.waits = [], [], []
        self.pairs = {name: socket.socketpair() for name in ("console", "monitor", "ctl", "out", "qmp")}

    def remote(self):
        return {name: pair[1].fileno() for name, pair in self.pairs.items()}

    def close(self, ours=False):
        for pair in self.pairs.values():
            pair[0 if ours else 1].close()

    def send(self, channel, message):
        with contextlib.suppress(OSError):
            self.pairs[channel][0].sendall(json.dumps(message).encode() + b"\n")

    def received(self, channel, data):
        if channel == "console":
            self.log.write(data)
            self.log.flush()
            if self.opts.verbose:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()
        elif channel == "out":
            self.text += data
            if not self.opts.capture:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        else:
            lines = (self.buffers.pop(channel, b"") + data).split(b"\n")
            self.buffers[channel] = lines.pop()
            for line in filter(None, lines):
                try:
                    getattr(self, "on_" + channel)(json.loads(line))
                except ValueError:
                    self.send(channel, {"error": {"desc": "not JSON"}})

    def on_ctl(self, message):
        self.report[message.pop("event")] = message

    def on_monitor(self, message):
        if "QMP" in message:
            self.send("monitor", {"execute": "qmp_capabilities", "id": "greeting"})
        elif "event" in message:
            self.events.append(message)
            self.serve_waits()
        elif message.get("id") != "greeting":
            message.pop("id", None)
            self.send("qmp", message)

    def on_qmp(self, message):
        """A guest's wish: a QMP command, or to wait for an event."""
        if "wait" in message:
            self.waits.append((time.monotonic() + message.get("seconds", 10), message["wait"]))
            self.serve_waits()
        else:
            self.send("monitor", message)

    def serve_waits(self):
        for wait in list(self.waits):
            deadline, name = wait
            event = next((e for e in self.events if e["event"] == name), None)
            if event:
                self.events.remove(event)
                self.send("qmp", event)
            elif time.monotonic() > deadline:
                self.send("qmp", {"error": {"desc": f"no event {name}"}})
            else:
                continue
            self.waits.remove(wait)

    def talk(self, late):
        """Until QEMU ends (True) or late() says that time is up (False)."""
        with selectors.DefaultSelector() as selector:
            for name, pair in self.pairs.items():
                selector.register(pair[0], selectors.EVENT_READ, name)
            open_channels = len(self.pairs)
            while open_channels:
                for key, _ in selector.select(0.2):
                    try:
                        data = key.fileobj.recv(65536)
                    except OSError:
                        data = b""
                    if data:
                        self.received(key.data, data)
                    else:
                        selector.unregister(key.fileobj)
                        open_channels -= 1
                self.serve_waits()
                if late():
                    return False
        return True
