# SPDX-License-Identifier: Apache-2.0
"""What trees of processes cost: CPU seconds, memory (PSS), wakeups; read from /proc.

    cost = Cost(daemon.pid)         all processes below it, those too that it starts later
    before = cost.look()
    ...
    after = cost.look()             after.cpu_s - before.cpu_s, after.wakeups - before.wakeups, after.pss_kib
    with cost.watching() as seen:   looks twice a second meanwhile
        ...
    seen.peak_pss_kib

PSS shares each page among those who map it, so that the sum over a tree counts a library once.  The CPU of a process that
has ended counts as far as it was seen: what lives for less than the pause between two looks may be missed."""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.5
GONE = (FileNotFoundError, ProcessLookupError)


@dataclass
class Look:
    at_s: float                 # monotonic
    cpu_s: float                # since the start of each
    wakeups: int                # voluntary context switches, all threads
    pss_kib: int
    processes: int


@dataclass
class Peak:
    peak_pss_kib: int = 0
    processes: int = 0


def children(pid):
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    except GONE:
        pass
    return found


def tree(*roots):
    """The processes below and with the roots that live now."""
    pids, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        if pid not in pids and Path(f"/proc/{pid}").exists():
            pids.append(pid)
            todo += children(pid)
    return pids


def cpu_s(pid):
    """CPU seconds of a process since its start, ended threads included, to the nanosecond: its CPU clock."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        raise ProcessLookupError(pid) from None


def pss_kib(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def wakeups(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


class Cost:
    def __init__(self, *roots):
        self.roots = roots
        self.last = {}                      # pid: (cpu_s, wakeups) when last seen
        self.guard = threading.Lock()

    def look(self, memory=True):
        """memory=False is cheaper: it leaves pss_kib 0."""
        with self.guard:
            pss, alive = 0, tree(*self.roots)
            for pid in alive:
                try:
                    # A process that is about to be gone has no memory left to tell of.
                    pss += pss_kib(pid) if memory else 0
                    self.last[pid] = (cpu_s(pid), wakeups(pid))
                except GONE:
                    pass
            seen = self.last.values()
            return Look(time.monotonic(), sum(c for c, _ in seen), sum(w for _, w in seen), pss, len(alive))

    @contextmanager
    def watching(self, every_s=LOOK_EVERY_S):
        peak, stop = Peak(), threading.Event()

        def watch():
            while True:
                look = self.look()
                peak.peak_pss_kib = max(peak.peak_pss_kib, look.pss_kib)
                peak.processes = max(peak.processes, look.processes)
                if stop.wait(every_s):
                    return

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield peak
        finally:
            stop.set()
            thread.join()
