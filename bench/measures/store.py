# SPDX-License-Identifier: Apache-2.0
"""How many transitions a second each store takes, durable and not, and whether it slows down with what it remembers.

bench/store_speed.c takes jobs through their five transitions, as one worker does.  100 at once share commits, as under
load; one at a time, each transition waits for the one before, as in a daemon that is idle otherwise.  Not durable means:
SQLite without fdatasync (all else unchanged), Redis without its append-only file, PostgreSQL with fsync off.

The cost of a job is looked at in an SQLite store of 100 jobs, and of up to a million that have ended, put there by SQL
with random ids; its CPU time is compared, as the disk has no part in that."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from harness import RedisServer, clean_environment
from lib.cost import cpu_s, tree
from lib.daemon import free_port
from lib.rows import Row, at_most
from stores import DurableRedis, Postgres, make_cluster

AT_ONCE = 100
LEVELS, LEVELS_QUICK = (100, 10_000, 100_000, 1_000_000), (100, 100_000)
FLAT = 1.25             # times the cost at the first level: an index of a million is two pages deeper
RUNS = 3
TIMEOUT_S = 300


def speed(bench, url, jobs, at_once, *options):
    """One run of the program; what it says of itself."""
    argv = [bench.build / "bench/store_speed", "--store", url, "--jobs", jobs, "--at-once", at_once, *options]
    done = subprocess.run([str(word) for word in argv], env=clean_environment(), capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


# -- the stores; each gives (url, pid of its server or None, options of the program) ---------------

@contextlib.contextmanager
def sqlite_store(bench, durable):
    yield f"sqlite://{bench.directory('sqlite')}/gantry.db", None, [] if durable else ["--no-sync"]


@contextlib.contextmanager
def redis_store(bench, durable):
    server = bench.keep((DurableRedis if durable else RedisServer)(bench.directory("redis"), free_port()))
    yield server.url, server.pid, []
    bench.stop_kept()


@contextlib.contextmanager
def postgresql_store(bench, durable):
    folder = make_cluster()
    try:
        server = bench.keep(Postgres(folder, durable))
        yield server.url, server.pid, []
    finally:
        bench.stop_kept()
        shutil.rmtree(folder)


STORES = {"SQLite": sqlite_store, "Redis": redis_store, "PostgreSQL": postgresql_store}


def server_cpu_s(pid):
    """Of a server, its processes, and those of them that have ended: PostgreSQL has one for each client."""
    if not pid:
        return 0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ended_ticks = int(fields[13]) + int(fields[14])
    return sum(cpu_s(each) for each in tree(pid)) + ended_ticks / os.sysconf("SC_CLK_TCK")


def speed_rows(bench, name, durable):
    jobs, few = (500, 50) if bench.quick else (5000, 200)
    kind = "durable" if durable else "not durable"
    with STORES[name](bench, durable) as (url, pid, options):
        before_s = server_cpu_s(pid)
        many = speed(bench, url, jobs, AT_ONCE, *options)
        note = f"client {many['cpu_s'] * 1000 / jobs:.3f} s CPU per 1,000 jobs"
        if pid:
            note += f", server {(server_cpu_s(pid) - before_s) * 1000 / jobs:.3f} s"
        one = speed(bench, url, few, 1, *options)
        rates = [run["transitions"] / run["seconds"] for run in (many, one)]
    yield Row("store", f"{name}, {kind}, {AT_ONCE} jobs at once", rates[0], "transitions/s", note=note)
    yield Row("store", f"{name}, {kind}, one at a time", rates[1], "transitions/s")


# -- does it slow down ----------------------------------------------------------------------------

def columns(db, table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def copy_first(db, table, key, place, changes):
    """Copies the table's row of `key` for each of the new ids, with some of its columns changed."""
    names = columns(db, table)
    values = ", ".join(changes.get(name, f"old.{name}") for name in names)
    db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM ids, {table} AS old "
               f"WHERE old.{key} = {place}")


def fill(path, level):
    """Brings the store to so many jobs: copies of its first one, which has ended, under ids of their own."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
            db.execute(f"PRAGMA {pragma}")
        there, last, first = db.execute("SELECT count(*), max(seq), min(seq) FROM jobs").fetchone()
        db.execute("CREATE TEMP TABLE ids (n INTEGER PRIMARY KEY, id TEXT)")
        db.execute("WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?) "
                   "INSERT INTO ids SELECT n, lower(hex(randomblob(16))) FROM i", (level - there,))
        db.execute("BEGIN")
        copy_first(db, "jobs", "seq", first, {
            "seq": f"{last} + n", "rank": f"{last} + n", "id": "'deploys:' || ids.id", "message_id": "ids.id",
            "project": "'project-' || ids.id", "lock_key": "'project-' || ids.id"})
        copy_first(db, "bodies", "job", first, {"job": f"{last} + n"})
        copy_first(db, "attempts", "job", first, {"job": f"{last} + n", "token": "ids.id || ids.id"})
        key = db.execute("SELECT lock_key FROM jobs WHERE seq = ?", (first,)).fetchone()[0]
        copy_first(db, "locks", "key", f"'{key}'", {"key": "'project-' || ids.id"})
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("SELECT count(*) FROM jobs").fetchone()[0] == level


def flat_rows(bench):
    path = bench.directory("flat") / "gantry.db"
    url, jobs = f"sqlite://{path}", 1000 if bench.quick else 2000
    levels = LEVELS_QUICK if bench.quick else LEVELS
    speed(bench, url, levels[0], AT_ONCE, "--no-sync")
    costs = []
    for level in levels:
        if level > levels[0]:
            bench.say(f"store: filling up to {level:,} jobs")
            fill(path, level)
        runs = [speed(bench, url, jobs, AT_ONCE, "--no-sync") for _ in range(RUNS)]
        costs.append(min(run["cpu_s"] for run in runs) * 1000 / jobs)
        yield Row("store", f"SQLite with {level:,} jobs, CPU per 1,000 more", costs[-1], "s",
                  note=f"best of {RUNS} runs of {jobs:,} jobs each, which stay" if level == levels[0] else "")
    yield at_most("store", f"cost of a job, {levels[-1]:,} in the store : {levels[0]}", costs[-1] / costs[0], "times", FLAT)


def measure(bench):
    for name in STORES:
        rates = {}
        for durable in (True, False):
            for row in speed_rows(bench, name, durable):
                rates[durable, row.name.rsplit(",", 1)[-1]] = row.value
                yield row
        for way in (f" {AT_ONCE} jobs at once", " one at a time"):
            yield Row("store", f"{name}, not durable : durable,{way}", rates[False, way] / rates[True, way], "times")
    yield from flat_rows(bench)
