# SPDX-License-Identifier: Apache-2.0
"""gantryd as the measures start it: from the build that is measured, and gone at once when it has been measured."""

import os
import signal
import socket
import subprocess

from harness import Gantry, wait_until
from lib.cost import tree

READY_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon(Gantry):
    """Isn't asked to leave: a stop waits for polls that are open, and nothing of it is used again."""

    def stop(self, number=signal.SIGKILL, timeout=READY_S):
        if number == signal.SIGKILL and self.process.poll() is None:
            for pid in tree(self.pid):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        return super().stop(number, timeout)

    def receivers(self):
        """The workers that take jobs; none while nobody answers."""
        try:
            return [w for w in self.workers() if w["role"] == "worker"]
        except (AssertionError, subprocess.SubprocessError):
            return []

    def api(self):
        return [w for w in self.workers() if w["role"] == "api"]

    def pids(self):
        """{name: pid} of all its processes."""
        return {"master": self.pid, **{f"{w['role']} {w['slot']}": w["pid"] for w in self.workers()}}


def start_daemon(bench, directory, configuration, workers, **environment):
    """With its workers active; stopped at the measure's end."""
    daemon = bench.keep(Daemon(directory, configuration, **environment))
    wait_until(f"{workers} workers are active", lambda: len(daemon.receivers()) == workers, READY_S)
    return daemon
