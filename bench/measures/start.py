# SPDX-License-Identifier: Apache-2.0
"""From exec to READY=1, the message of sd_notify(3) that lets a service manager go on."""

import signal
import socket
import statistics
import time

from harness import AwsSim, main_job
from lib.daemon import Daemon
from lib.rows import Row

RUNS = 5


def seconds_to_ready(directory, text):
    """Of one start; the daemon is gone afterwards."""
    path = directory / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(60)
        began_s = time.monotonic()
        daemon = Daemon(directory, text, NOTIFY_SOCKET=str(path))
        try:
            while "READY=1" not in notify.recv(4096).decode():
                pass
            return time.monotonic() - began_s
        finally:
            daemon.stop(signal.SIGQUIT)


def measure(bench):
    for workers in (1, 4):
        directory = bench.directory("start")
        sim = bench.keep(AwsSim(directory, "--queue", "deploys"))
        text = main_job(directory, sim.url, sim.queue_url("deploys"), workers=workers, wait_time="1s")
        first_s = seconds_to_ready(directory, text)
        times = [seconds_to_ready(directory, text) for _ in range(RUNS)]
        name = f"exec to ready, {workers} {'worker' if workers == 1 else 'workers'}"
        yield Row("start", name, statistics.median(times) * 1000, "ms",
                  note=f"median of {RUNS}; {first_s * 1000:.0f} ms the first time, with a store to make")
        bench.stop_kept()
