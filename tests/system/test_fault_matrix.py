# SPDX-License-Identifier: Apache-2.0
"""Whoever fails, at whatever moment, however: nothing is lost, doubled, interleaved or left locked.

The matrix is who x when x how.  What makes no sense has its reason in SENSELESS instead of a test; every
combination is one or the other.  GANTRY_FAULT_ROUNDS=N goes through the cells N times."""

import itertools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from faultcells import (ACTIONS, ANSWERS, MOMENTS, Cell, fill_disk, kill, stop_and_continue, use_up_descriptors)

WHO = ("master", "worker", "all", "awssim", "redis", "disk", "descriptors")
WHEN = tuple(MOMENTS)
HOW = ("kill", "stop", *ANSWERS, "used_up")
PARALLEL = 6

PROCESSES = ("master", "worker", "all", "awssim", "redis")
# (who, when, how) or * in its place, and why there is no such cell.  The first that matches counts.
SENSELESS = [
    (("disk", "descriptors"), "*", ("kill", "stop"), "no process, nothing to signal"),
    (PROCESSES, "*", "used_up", "a process is not used up; what it uses has rows of its own"),
    ("awssim", "*", "kill", "SQS and ECS do not forget all they know; the simulator would"),
    (("master", "worker", "all", "disk", "descriptors"), "*", tuple(ANSWERS), "gives no answers over HTTP"),
    ("redis", "*", tuple(ANSWERS), "only the outcome of a delivery comes from Redis: there or not there"),
    ("redis", ("admit", "lock", "launch", "watch", "settle"), "*", "Redis is not asked for anything then"),
    ("awssim", "lock", tuple(ANSWERS), "a lock is the store's alone"),
    ("awssim", "deliver", tuple(ANSWERS), "errors are delivered to Redis; AWS has no part in it"),
]


def senseless(who, when, how):
    """Why it is no cell; None: it is one."""
    def fits(have, want):
        return want in ("*", have) or (isinstance(want, tuple) and have in want)

    return next((why for *row, why in SENSELESS if all(map(fits, (who, when, how), row))), None)


ALL = list(itertools.product(WHO, WHEN, HOW))
CELLS = [cell for cell in ALL if senseless(*cell) is None]


def apply(cell, who, when, how):
    """Brings the cell to its moment and lets it happen."""
    if who == "awssim" and how in ANSWERS:
        if when == "drain":
            MOMENTS[when](cell)
        cell.answer_wrongly(ANSWERS[how], *ACTIONS[when])
        if when != "drain":
            MOMENTS["watch"](cell)
        cell.note_known()
        return
    workers = MOMENTS[when](cell)
    cell.note_known()
    {"kill": kill, "stop": stop_and_continue,
     "used_up": fill_disk if who == "disk" else use_up_descriptors}[how](cell, who, workers)
    if when == "deliver" and who != "redis":
        cell.redis.signal(signal.SIGCONT)
    cell.sim.post("/_admin/fault", method="DELETE")


def run_cell(directory, number, who, when, how):
    """What went wrong, a line each, and how long it took."""
    begun = time.monotonic()
    # A short name: a Unix socket's path has little room.
    cell = Cell(directory / f"{number}", run_ms=1500 if when == "drain" else 300,
                redis=who == "redis" or when == "deliver", preload=who == "disk")
    wrong = []
    try:
        apply(cell, who, when, how)
        cell.wait_settled()
        wrong = cell.violations()
    except Exception as failure:        # pylint: disable=broad-except
        wrong.append(repr(failure))
    wrong += cell.stop()
    return [f"{who} x {when} x {how}: {line}; see {cell.directory}" for line in wrong], time.monotonic() - begun


def test_every_combination_is_a_cell_or_has_its_reason(figures):
    figures(f"{len(ALL)} combinations: {len(CELLS)} cells, {len(ALL) - len(CELLS)} senseless")
    for _, _, _, why in SENSELESS:
        assert any(senseless(*cell) == why for cell in ALL), f"for nothing: {why}"
    assert {who for who, _, _ in CELLS} == set(WHO)
    assert {when for _, when, _ in CELLS} == set(WHEN)
    assert {how for _, _, how in CELLS} == set(HOW)


@pytest.mark.parametrize("who", WHO)
def test_whoever_fails_nothing_is_lost_doubled_or_interleaved(tmp_path, figures, who):
    harness.plain_build()
    cells = [cell for cell in CELLS if cell[0] == who] * int(os.environ.get("GANTRY_FAULT_ROUNDS", "1"))
    with ThreadPoolExecutor(PARALLEL) as pool:
        done = list(pool.map(lambda numbered: run_cell(tmp_path, numbered[0], *numbered[1]), enumerate(cells)))
    wrong = list(itertools.chain(*(lines for lines, _ in done)))
    slowest_s, slowest = max(zip((took_s for _, took_s in done), cells))
    figures(f"{len(cells)} cells, {len(wrong)} violations; the slowest took {slowest_s:.1f} s: {' x '.join(slowest)}")
    assert not wrong, "\n".join(wrong)
