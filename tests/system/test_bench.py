# SPDX-License-Identifier: Apache-2.0
"""bench/ tells what it measured: the table, the goals that were reached and those that were not, in Markdown and JSON,
and it leaves nothing behind.  No figure is judged here."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import harness

BENCH = harness.SRCDIR / "bench"

# bench.py with measures of the test's own, which need no peers and no time.
RUNNER = """
import sys, types
sys.path.insert(0, {bench!r})
import bench
def add(name, measure):
    module = types.ModuleType("measures." + name)
    module.measure = measure
    sys.modules[module.__name__] = module
{measures}
sys.exit(bench.main())
"""


def run_bench(tmp_path, measures, *argv, **environment):
    program = RUNNER.format(bench=str(BENCH), measures=textwrap.dedent(measures))
    return subprocess.run([sys.executable, "-c", program, "--build", str(harness.BUILDDIR), "--out", str(tmp_path / "out"), *argv],
                          env=harness.clean_environment(PYTHONDONTWRITEBYTECODE="1", **environment),
                          capture_output=True, text=True, timeout=300, check=False)


def table(text):
    """The cells of each line of a Markdown table."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")]


MEASURES = """
    from lib.rows import Row, at_least, at_most

    def floor(bench):
        yield Row("floor", "CPU", 0.2234, "s", note="one | two")
        yield at_most("floor", "memory", 12, "MB", 16)

    def start(bench):
        yield at_least("start", "ratio", bench.value("floor", "CPU") * 10, "times", 3)

    add("floor", floor)
    add("start", start)
"""


def test_table_is_written_as_markdown_and_json_and_into_a_document(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n")
    done = run_bench(tmp_path, MEASURES, "floor", "start", "--into", str(document))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out/performance.md").read_text()
    assert table(text) == [
        ["measure", "figure", "value", "goal", "reached", "note"],
        ["floor", "CPU", "0.223 s", "", "", "one \\| two"],
        ["", "memory", "12 MB", "<= 16", "yes", ""],
        ["start", "ratio", "2.23 times", ">= 3", "**no**", ""],
    ]
    assert text.endswith("1 of 2 goals were reached.\nNot reached: start, ratio.\n")
    assert done.stdout.endswith(f"\n{text}")
    assert document.read_text() == f"before\n<!-- bench: begin -->\n{text}<!-- bench: end -->\nafter\n"

    told = json.loads((tmp_path / "out/performance.json").read_text())
    assert [(row["measure"], row["value"], row["reached"]) for row in told["rows"]] == [
        ("floor", 0.2234, None), ("floor", 12, True), ("start", 2.234, False)]
    assert told["machine"]["cores"] > 0 and told["versions"]["gantry"] and told["failures"] == {}


def test_measure_that_fails_is_named_and_the_others_run_and_nothing_stays(tmp_path):
    done = run_bench(tmp_path, """
        import subprocess
        from lib.rows import Row

        class Sleeper:
            def __init__(self, path):
                self.process = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                path.write_text(str(self.process.pid))

            def stop(self):
                self.process.kill()
                self.process.wait()

        def floor(bench):
            bench.keep(Sleeper(bench.work.parent / "pid"))
            yield Row("floor", "a figure", 1, "s")
            raise AssertionError("the simulator is gone\\nand more")

        add("floor", floor)
        add("start", lambda bench: [Row("start", "another", 2, "s")])
    """, "floor", "start", TMPDIR=str(tmp_path))
    assert done.returncode == 1
    text = (tmp_path / "out/performance.md").read_text()
    assert [row[1] for row in table(text)[1:]] == ["a figure", "another"]
    assert text.endswith("Not measured: floor: the simulator is gone\n")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
    assert list(tmp_path.glob("gantry-bench-*")) == []


def test_backlog_is_drained_and_all_of_it_is_counted(tmp_path):
    done = run_bench(tmp_path, """
        from measures import throughput
        throughput.WARM_UP_QUICK, throughput.JOBS_QUICK, throughput.SETTLE_S = 10, 20, 0

        def measure(bench):
            found = throughput.drain(bench, "gantryd", throughput.Backlog, lambda *given: throughput.start_gantryd(*given, 1))
            yield from throughput.rows_of("gantryd", found)

        add("floor", measure)
    """, "floor", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row["value"] for row in json.loads((tmp_path / "out/performance.json").read_text())["rows"]}
    assert set(rows) == {f"gantryd: {what}" for what in ("jobs settled", "CPU per 1,000 jobs", "calls per job", "memory idle", "memory loaded")}
    assert all(value > 0 for value in rows.values())
    # A RunTask each, and at least a receive and a deletion for every ten.
    assert rows["gantryd: calls per job"] >= 1.2


def test_unknown_measure_is_refused(tmp_path):
    done = run_bench(tmp_path, "", "speed")
    assert done.returncode == 2
    assert "no such measure: speed; there are: floor throughput" in done.stderr


def test_each_measure_can_be_imported(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("bench_runner", BENCH / "bench.py")
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    assert set(runner.MEASURES) == {path.stem for path in (BENCH / "measures").glob("*.py")}
    script = "\n".join(f"from measures.{name} import measure" for name in runner.MEASURES)
    path = os.pathsep.join([str(BENCH), str(harness.SRCDIR / "tests/system")])
    done = subprocess.run([sys.executable, "-c", script], env=harness.clean_environment(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1"),
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
