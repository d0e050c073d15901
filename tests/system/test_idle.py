# SPDX-License-Identifier: Apache-2.0
"""An idle daemon sleeps: at most one wakeup a second for each process besides polls, and memory
that stays as it is.  GANTRY_IDLE_S sets how long it is watched (default 180 s)."""

import os
import time

from harness import FLAT_MEMORY, main_job, send_jobs, wait_until


def status(pid):
    with open(f"/proc/{pid}/status") as lines:
        return dict(line.split(":", 1) for line in lines)


def wakeups(pid):
    return int(status(pid)["voluntary_ctxt_switches"])


def resident_kib(pid):
    return int(status(pid)["VmRSS"].split()[0])


def receives(sim):
    return sum(sim.stats()["calls"].get("ReceiveMessage", {}).values())


def test_idle_daemon_neither_spins_nor_grows(tmp_path, awssim, gantry):
    watched_s = float(os.environ.get("GANTRY_IDLE_S", "180"))
    sim = awssim("--queue", "deploys", "--task-run-ms", "50")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), wait_time="20s", workers=2),
                    ASAN_OPTIONS=FLAT_MEMORY)
    daemon.wait_ready()
    send_jobs(daemon, [{"project": f"p{i}"} for i in range(50)])
    wait_until("all are deleted", lambda: sim.get("/_account")["messages"]["deleted"] == 50, 60)
    wait_until("idle", lambda: all(w["in_flight"] == 0 for w in daemon.workers()))
    # The polls of the rush end first: an idle queue costs one poll a worker.
    wait_until("one poll a worker",
               lambda: all(q["receiving"] == q["workers"] for q in daemon.status()["queues"]), 60, pause=1)
    pids = {"master": daemon.pid, **{f"worker {w['slot']}": w["pid"] for w in daemon.workers()}}
    before = {name: (wakeups(pid), resident_kib(pid)) for name, pid in pids.items()}
    polls, began = receives(sim), time.monotonic()
    # The one wait for time itself: what is measured is that nothing happens meanwhile.
    time.sleep(watched_s)
    elapsed_s = time.monotonic() - began
    polls = receives(sim) - polls
    for name, pid in pids.items():
        rate = (wakeups(pid) - before[name][0]) / elapsed_s
        grown_kib = resident_kib(pid) - before[name][1]
        print(f"{name}: {rate:.2f} wakeups/s, {grown_kib:+d} KiB in {elapsed_s:.0f} s, {polls} polls in all")
        assert rate <= 1, name
        assert grown_kib <= 1024, name
    assert polls <= 2 * (elapsed_s / 20 + 2)
