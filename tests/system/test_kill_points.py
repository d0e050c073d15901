# SPDX-License-Identifier: Apache-2.0
"""Killed at any system call, a worker loses and doubles nothing; nor does the master within a reload or an
upgrade.  Each test tries as many points as its time allows, in a seeded order, and tells how many.
GANTRY_KILL_POINTS=all tries every one; GANTRY_KILL_SEED repeats an order."""

import functools
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from signal import SIGHUP, SIGUSR2

import pytest

import harness
from harness import wait_until
from killpoints import Killer, Lane, Points, choose_seed, run_lanes, wants_all

LANES = 12
BUDGET_S = {"worker": 20, "hand-over": 10, "reload": 10, "upgrade": 10}


@pytest.fixture
def lanes(tmp_path):
    """A function that makes lanes; they are closed at the end."""
    harness.plain_build()
    made = []

    def make(count, **how):
        for _ in range(count):
            made.append(Lane(tmp_path / f"lane{len(made)}", **how))
        return made

    yield make
    with ThreadPoolExecutor() as pool:
        list(pool.map(Lane.close, made))


names = itertools.count()
# While a master is killed a task runs, nobody waits long for a receive to end, and what the dead one's
# workers hand over is looked for every second, as no master tells of it.
TURN = {"run_ms": 400, "wait_time": "1s", "lease": "3s"}


def try_all(lanes, figures, what, try_point, **how):
    """Measures the path, then tries its points for as long as they may take."""
    made = lanes(LANES, **how)
    for lane in made:
        lane.start()
    begun = time.monotonic()
    measured = Points(0, 0, True, 0)
    length = max(try_point(made[0], measured, 0) for _ in range(2))
    points = Points(length, BUDGET_S[what], wants_all(), choose_seed())
    run_lanes(made, points, try_point)
    figures(f"{points.summary()}, {time.monotonic() - begun:.0f} s")
    assert measured.wrong + points.wrong == []
    assert points.killed() >= points.ENOUGH
    return made


def kill_worker(lane, points, n):
    """One job, and its worker killed at the n-th system call of its path."""
    job = f"job-{next(names)}"
    (pid,) = lane.wait_active()
    deleted = lane.deleted() + 1
    killer = Killer(pid, n)
    lane.send(job)
    wait_until("killed or done", lambda: killer.has_killed() or lane.is_done(job), 30, pause=0.005)
    killed, count, number = killer.finish()
    if killed:
        lane.wait_active(besides=[pid])
    lane.wait_done(job, deleted)
    points.note(n, killed, number, lane.check(job))
    return count


def kill_in_turn(lane, points, n, *, victim, request):
    """A process killed at its n-th system call after a signal to the master, while a task runs."""
    job = f"job-{next(names)}"
    if lane.daemon.process.poll() is not None:
        lane.start()
    old = lane.wait_active()
    deleted = lane.deleted() + 1
    lane.send(job)
    wait_until("the task", lambda: lane.tasks(job), pause=0.01)
    generations = lane.daemon.text().count('msg="ended"')
    killer = Killer(lane.daemon.pid if victim == "master" else old[0], n)
    lane.daemon.signal(request)
    wait_until("killed or done", lambda: killer.has_killed() or
               lane.daemon.text().count('msg="ended"') > generations, 30)
    killed, count, number = killer.finish()
    if killed and victim == "master":
        lane.start()
    lane.wait_done(job, deleted)
    points.note(n, killed, number, lane.check(job))
    return count


def test_worker_killed_at_any_system_call_of_a_jobs_path(lanes, figures):
    try_all(lanes, figures, "worker", kill_worker)


def test_worker_killed_at_any_system_call_of_its_hand_over(lanes, figures):
    try_point = functools.partial(kill_in_turn, victim="worker", request=SIGHUP)
    made = try_all(lanes, figures, "hand-over", try_point, **TURN)
    assert [lane.received_again() for lane in made] == [0] * len(made)


def test_master_killed_at_any_system_call_of_a_reload(lanes, figures):
    try_point = functools.partial(kill_in_turn, victim="master", request=SIGHUP)
    made = try_all(lanes, figures, "reload", try_point, **TURN)
    assert [lane.received_again() for lane in made] == [0] * len(made)


def test_master_killed_at_any_system_call_of_an_upgrade(lanes, figures):
    try_point = functools.partial(kill_in_turn, victim="master", request=SIGUSR2)
    made = try_all(lanes, figures, "upgrade", try_point, **TURN)
    assert [lane.received_again() for lane in made] == [0] * len(made)
