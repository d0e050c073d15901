# SPDX-License-Identifier: Apache-2.0
"""GET /metrics: its numbers are what was done, they never fall, and Prometheus' own tool finds no fault."""

import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

import harness
from conftest import free_port
from harness import main_job, send_jobs, wait_until

TOKEN = "a-token-of-the-scraper"
TOP = Path(__file__).resolve().parents[2]
MANUAL = TOP / "man" / "gantry-api.8.in"
RULES = TOP / "contrib" / "prometheus" / "gantry.rules.yml"
SAMPLE = re.compile(r'^(?P<name>[a-z_]+)(\{(?P<labels>.*)\})? (?P<value>[-+0-9.e]+)$')


def promtool(*arguments, text=""):
    """Of Debian's package prometheus; contrib/check unpacks it beside the build."""
    beside = harness.BUILDDIR / "promtool"
    program = str(beside) if beside.exists() else shutil.which("promtool")
    assert program, "promtool is not there: sh contrib/check puts it into the build directory"
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=60)


class Scrapes:
    """The metrics of one gantryd; each is a dictionary of (name, labels) to a number."""

    def __init__(self, port):
        self.port = port

    def text(self, accept="*/*"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics",
                                         headers={"Authorization": f"Bearer {TOKEN}", "Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def now(self):
        return parse(self.text())

    def wait(self, what, check, timeout=90.0):
        """The first one that passes.  gantryd's answers are good for a second, so there is no point in haste."""
        found = {}

        def look():
            found.update(got=self.now())
            return check(found["got"])
        wait_until(what, look, timeout, pause=0.3)
        return found["got"]


def parse(text):
    got = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = tuple(sorted(re.findall(r'([a-z_]+)="([^"]*)"', match["labels"] or "")))
        assert (match["name"], labels) not in got, f"twice: {line}"
        got[match["name"], labels] = float(match["value"])
    return got


def value(got, metric, **labels):
    return got.get((metric, tuple(sorted(labels.items()))), 0)


def total(got, metric, **labels):
    """Over all samples of a metric that have these labels."""
    return sum(v for (name, its), v in got.items() if name == metric and set(labels.items()) <= set(its))


def types(text):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def of_processes(metric):
    return metric.startswith(("gantry_process_", "gantry_worker_"))


def want_no_less(before, after, kinds):
    """Counters, and buckets and sums too; those of a single process end with it."""
    for (name, labels), was in before.items():
        family = re.sub("_(bucket|count|sum)$", "", name)
        if kinds.get(name) == "counter" or kinds.get(family) == "histogram":
            if not of_processes(name):
                assert after.get((name, labels), -1) >= was, f"{name} {labels} fell from {was}"


@pytest.fixture
def deploys(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys", "--task-start-ms", "5", "--task-run-ms", "30")
    port = free_port()
    api = (f'api: {{ listen: [ "127.0.0.1:{port}" ], '
           f'tokens: [ {{ name: prometheus, token: {TOKEN}, may: [read], rate: 0 }} ] }}')
    # Without a watchdog the numbers go on all the same.
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), extra=api, supervisor_extra="  watchdog: 0",
                             deployer_extra='    allow: { environment: ["SIM_*"] }'))
    daemon.wait_ready()
    return sim, daemon, Scrapes(port)


def deploy(daemon, prefix, count, failing=0):
    send_jobs(daemon, [{"id": f"{prefix}-{i}", "project": f"p{i}",
                        "environment": {"SIM_EXIT_CODE": "1" if i < failing else "0"}} for i in range(count)])


def settled(got):
    return value(got, "gantry_settle_duration_seconds_count", deployer="mystical")


def calls(sim, action):
    return sim.stats()["calls"].get(action, {})


def test_the_numbers_are_what_was_done_and_never_fall(deploys):
    sim, daemon, scrapes = deploys
    sim.fault(action="RunTask", kind="throttle", count=3)
    deploy(daemon, "first", 12, failing=2)
    of = {"deployer": "mystical"}
    first = scrapes.wait("12 jobs settled", lambda got: settled(got) == 12 and total(got, "gantry_queue_settled_total") == 12 and
                         value(got, "gantry_jobs", state="succeeded") == 10 and
                         all(value(got, f"gantry_{what}_duration_seconds_count", **of) == 12 for what in ("launch", "run")))
    assert value(first, "gantry_aws_requests_total", service="ecs", action="RunTask", outcome="ok") == 12
    assert value(first, "gantry_aws_requests_total", service="ecs", action="RunTask", outcome="throttled") == 3
    assert value(first, "gantry_launches_total", **of) == 12
    for what in ("wait", "launch", "run", "settle"):
        assert value(first, f"gantry_{what}_duration_seconds_count", **of) == 12, what
        assert value(first, f"gantry_{what}_duration_seconds_bucket", le="+Inf", **of) == 12, what
    assert value(first, "gantry_jobs_ended_total", state="succeeded", **of) == 10
    assert value(first, "gantry_jobs_ended_total", state="failed", **of) == 2
    assert value(first, "gantry_jobs", state="succeeded") == 10
    assert value(first, "gantry_workers", state="active") == 2
    kinds = types(scrapes.text())

    # A worker that is killed takes nothing with it, and neither does a generation, nor an upgrade.
    os.kill(daemon.workers()[0]["pid"], signal.SIGKILL)
    second = scrapes.wait("a restart", lambda got: total(got, "gantry_restarts_total", role="worker") == 1)
    want_no_less(first, second, kinds)
    daemon.ctl("upgrade")
    third = scrapes.wait("an upgrade and the reload after it", lambda got:
                         value(got, "gantry_upgrades_total") == 1 and
                         value(got, "gantry_reloads_total", verdict="committed") == 1)
    want_no_less(second, third, kinds)
    deploy(daemon, "second", 5)
    last = scrapes.wait("17 jobs settled", lambda got:
                        settled(got) == 17 and total(got, "gantry_queue_settled_total") == 17)
    want_no_less(third, last, kinds)
    assert value(last, "gantry_aws_requests_total", service="ecs", action="RunTask", outcome="ok") == 17
    assert value(last, "gantry_generation") == 2
    assert total(last, "gantry_api_requests_total", route="GET /metrics", code="200") > 3


def documented():
    """The names of the manual's section METRICS."""
    section = MANUAL.read_text().split("\n.Sh METRICS\n")[1].split("\n.Sh ")[0]
    return set(re.findall(r"gantry_[a-z_]+", "\n".join(re.findall(r"^\.It Cm .*$", section, re.M))))


def follow(port, job):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/jobs/{job}/events",
                                     headers={"Authorization": f"Bearer {TOKEN}"})
    return urllib.request.urlopen(request, timeout=60)


def test_what_waits_is_shown_and_every_metric_is_documented_and_well_formed(deploys):
    _, daemon, scrapes = deploys
    send_jobs(daemon, [{"id": f"slow-{i}", "project": "one", "environment": {"SIM_RUN_MS": "3600000"}} for i in range(3)])
    scrapes.wait("a running and two waiting jobs", lambda got:
                 value(got, "gantry_jobs", state="running") == 1 and value(got, "gantry_jobs", state="waiting") == 2)
    with follow(scrapes.port, "slow-0"):
        got = scrapes.wait("a follower", lambda got: value(got, "gantry_api_log_followers") == 1)
    assert value(got, "gantry_locks_held") == 1 and value(got, "gantry_lock_waiters") == 2
    assert value(got, "gantry_jobs_oldest_waiting_seconds") > 0
    scrapes.wait("what the workers hold", lambda got: total(got, "gantry_worker_in_flight_jobs") == 3 and
                 total(got, "gantry_worker_running_deployments") == 1)
    # Asked for at most once in a while: the first scrape was before they were received, perhaps.
    scrapes.wait("the queue's depth", lambda got: value(got, "gantry_queue_messages", queue="deploys", state="hidden") == 3)
    assert {dict(labels)["role"] for (name, labels) in got if name == "gantry_process_resident_memory_bytes"} == \
        {"master", "worker", "api"}

    text = scrapes.text()
    checked = promtool("check", "metrics", text=text)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert set(types(text)) == documented()

    opened = scrapes.text("application/openmetrics-text; version=1.0.0")
    assert opened.endswith("\n# EOF\n")
    kinds = types(opened)
    for line in opened.splitlines():
        name = re.match("[a-z_]+", line)
        if name is None:
            continue
        family = re.sub("_(total|bucket|count|sum)$", "", name[0])
        assert kinds.get(name[0]) == "gauge" or kinds.get(family) in ("counter", "histogram"), line
    for bound in re.findall(r'[{,]le="([^"]+)"', opened):
        assert bound == "+Inf" or bound == str(float(bound)), "bounds are floats in their canonical form"


def test_the_example_alerts_are_valid_and_of_metrics_that_exist():
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    named = set(re.findall(r"gantry_[a-z_]+", "\n".join(re.findall(r"^ +(?:expr: |sum|> ).*$", RULES.read_text(), re.M))))
    assert named and named <= documented()
