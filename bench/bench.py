#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the measures one after the other, prints each figure as it comes, and writes all of them as Markdown and JSON.

bench/run sets up what this needs and then starts it.  A measure is a file in bench/measures with a function
measure(bench) that yields Rows; what it starts it gives to bench.keep(), which stops it at the measure's end.

Every figure is of one run on one machine that also runs the simulator and the senders: ratios between rows mean
more than the rows do."""

import argparse
import datetime
import importlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
MEASURES = ("floor", "throughput", "latency", "idle", "inflight", "reload", "reload_pm2", "store", "start")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

sys.path[:0] = [str(HERE), str(TOP / "tests/system")]

from lib.rows import as_json, cells, markdown   # noqa: E402 (after the path)


class Bench:
    """What a measure is given."""

    def __init__(self, build, work, quick):
        self.build = build          # a build with -O2 and without sanitizers
        self.work = work            # a directory that is gone afterwards
        self.quick = quick          # small sizes: the whole in about five minutes
        self.results = {}           # (measure, name): Row, of what ran before
        self.kept = []
        self.directories = 0

    def keep(self, program):
        """Has program.stop() called at the end of the measure, newest first, whatever happens."""
        self.kept.append(program)
        return program

    def stop_kept(self):
        while self.kept:
            program = self.kept.pop()
            try:
                program.stop()
            except Exception as failure:    # the others are to be stopped all the same
                print(f"{program}: {failure}", file=sys.stderr)

    def directory(self, name):
        """A new empty directory."""
        self.directories += 1
        path = self.work / f"{self.directories:03d}-{name}"
        path.mkdir()
        return path

    def say(self, text):
        """What is under way, for the one who waits."""
        print(f"    {text}", file=sys.stderr, flush=True)

    def value(self, measure, name):
        """What an earlier measure has found; None when it didn't run."""
        row = self.results.get((measure, name))
        return row.value if row else None


def first_line(*argv):
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "not here"
    return (done.stdout or done.stderr).strip().splitlines()[0]


def processor():
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def npm_version(build, package):
    try:
        return json.loads((build / "peers/node_modules" / package / "package.json").read_text())["version"]
    except (OSError, ValueError):
        return "not here"


def debian_version(package):
    return first_line("dpkg-query", "-W", "-f", "${Version}\n", package)


def about(bench):
    """The date, the machine, and the versions of everything that was compared."""
    memory_kib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "quick": bench.quick,
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory_kib / 2**20),
            "kernel": platform.release(),
        },
        "versions": {
            "gantry": first_line(bench.build / "gantryd", "-V").removeprefix("gantryd "),
            "node": npm_version(bench.build, "node"),
            "pm2": npm_version(bench.build, "pm2"),
            "sqs-consumer": npm_version(bench.build, "sqs-consumer"),
            "@aws-sdk/client-ecs": npm_version(bench.build, "@aws-sdk/client-ecs"),
            "celery": debian_version("python3-celery"),
            "botocore": debian_version("python3-botocore"),
            "redis-server": debian_version("redis-server"),
        },
    }


def report(facts, rows, failures):
    machine = facts["machine"]
    lines = [
        f"{facts['date']}, {machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}{', --quick' if facts['quick'] else ''}.",
        "; ".join(f"{name} {version}" for name, version in facts["versions"].items()) + ".",
        "", markdown(rows).rstrip("\n"), "",
    ]
    judged = [row for row in rows if row.reached is not None]
    missed = [row for row in judged if not row.reached]
    if judged:
        lines.append(f"{len(judged) - len(missed)} of {len(judged)} goals were reached.")
    lines += [f"Not reached: {row.measure}, {row.name}." for row in missed]
    lines += [f"Not measured: {name}: {failure}" for name, failure in failures]
    return "\n".join(lines) + "\n"


def put_into(document, text):
    """Replaces what is between the two marks."""
    page = document.read_text()
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    document.write_text(f"{page[:begin]}\n{text}{page[end:]}")


def run_measure(bench, name):
    module = importlib.import_module(f"measures.{name}")
    for row in module.measure(bench):
        bench.results[(row.measure, row.name)] = row
        print("  ".join(cell for cell in cells(row) if cell), flush=True)


def write(out, facts, rows, failures):
    out.mkdir(parents=True, exist_ok=True)
    (out / "performance.md").write_text(report(facts, rows, failures))
    (out / "performance.json").write_text(as_json({**facts, "failures": dict(failures)}, rows))


def arguments():
    parser = argparse.ArgumentParser(description="Measures gantry beside what people use today.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of: {' '.join(MEASURES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, about five minutes")
    parser.add_argument("--build", type=Path, default=TOP / "build-bench", help="the build to measure")
    parser.add_argument("--out", type=Path, help="where performance.md and .json go; default: the build")
    parser.add_argument("--into", type=Path, help="a document that has the table between two marks")
    parser.add_argument("--keep", action="store_true", help="keep the measures' directories, and say where")
    given = parser.parse_args()
    # Not "choices": argparse of Debian 12 refuses an empty list that has them.
    unknown = [name for name in given.measures if name not in MEASURES]
    if unknown:
        parser.error(f"no such measure: {' '.join(unknown)}; there are: {' '.join(MEASURES)}")
    return given


def leave(number, _frame):
    """A signal ends the measure as an exception does, so that nothing stays behind."""
    sys.exit(128 + number)


def main():
    given = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    build = given.build.resolve()
    # Read by the tests' harness when it is imported: it starts the programs of this build.
    os.environ["BUILDDIR"] = os.environ["PLAINDIR"] = str(build)
    work = Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    bench = Bench(build, work, given.quick)
    failures = []
    try:
        facts = about(bench)
        for name in [name for name in MEASURES if not given.measures or name in given.measures]:
            began = time.monotonic()
            bench.say(f"{name} ...")
            try:
                run_measure(bench, name)
            except Exception as failure:    # one that fails is said to have failed; the others are still wanted
                traceback.print_exc()
                failures.append((name, (str(failure).splitlines() or [type(failure).__name__])[0][:200]))
            finally:
                bench.stop_kept()
            bench.say(f"{name}: {time.monotonic() - began:.0f} s")
            write(given.out or build, facts, list(bench.results.values()), failures)
    finally:
        if given.keep:
            print(f"kept: {work}", file=sys.stderr)
        else:
            shutil.rmtree(work, ignore_errors=True)
    text = report(facts, list(bench.results.values()), failures)
    print(f"\n{text}", end="")
    if given.into:
        put_into(given.into, text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
