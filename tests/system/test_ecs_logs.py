# SPDX-License-Identifier: Apache-2.0
"""Logs and results over HTTP: of ECS tasks, read once from CloudWatch Logs, by offset, live, and with a clear
answer when there are none; of all deployments masked, and attempt by attempt."""

import concurrent.futures
import http.client
import json
import time

import botocore.loaders
import botocore.model
import botocore.validate
import pytest

import harness
from conftest import free_port
from harness import wait_until

TOKEN = "a-token-for-the-ci-server"
LATER = 60

CONFIGURATION = """
supervisor: {{ workers: 1, pid_file: {{dir}}/pid, control_socket: {{dir}}/control.sock, state_dir: {{dir}}/state, drain_timeout: 1s }}
store: sqlite://{{dir}}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{endpoint}" }}
api:
  listen: [ "127.0.0.1:{port}" ]
  queue: local
  tokens: [ {{ name: ci, token: {token}, may: [submit, read, admin], rate: 0 }} ]
queues:
  local: {{ type: store, default_deployer: web }}
deployers:
  web:
    type: ecs
    cluster: prod
    task_definition: web:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1] }}
    allow: {{ environment: ["*"] }}
  told:
    type: ecs
    cluster: prod
    task_definition: web:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1] }}
    allow: {{ environment: ["*"] }}
    logs: {{ group: /ecs/web, prefix: ecs }}
  twice:
    type: ecs
    cluster: prod
    task_definition: web:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1] }}
    allow: {{ environment: ["*"] }}
    attempts: 2
  silent:
    type: ecs
    cluster: prod
    task_definition: silent
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1] }}
    allow: {{ environment: ["*"] }}
  shell:
    type: process
    command: [ "{{dir}}/script" ]
    attempts: 2
    mask: [ "*_hidden", "*KEY*" ]
    environment: {{ CONFIGURED_HIDDEN: "of-{{{{ project }}}}" }}
    allow: {{ environment: ["*"] }}
"""


class Site:
    """A gantryd with an API, on a simulator."""

    def __init__(self, directory, sim, start):
        self.port, self.sim, self.directory = free_port(), sim, directory
        sim.call("RegisterTaskDefinition", {"family": "silent", "containerDefinitions": [
            {"name": "app", "image": "x", "logConfiguration": {"logDriver": "splunk"}}]},
            "AmazonEC2ContainerServiceV20141113", "1.1")
        self.daemon = start(CONFIGURATION.format(endpoint=sim.url, port=self.port, token=TOKEN))
        self.daemon.wait_ready(60)

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LATER)
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        connection.request(method, path, body and json.dumps(body), {"Authorization": f"Bearer {TOKEN}", **headers})
        return connection, connection.getresponse()

    def call(self, method, path, body=None, **headers):
        connection, answer = self.request(method, path, body, **headers)
        data = answer.read()
        connection.close()
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            data = json.loads(data)
        return answer.status, data, answer.headers

    def submit(self, deployer="web", project=None, **environment):
        status, doc, _ = self.call("POST", "/v1/jobs", {"project": project or f"p-{time.monotonic_ns()}",
                                                        "deployer": deployer, "environment": environment})
        assert status == 202, doc
        return doc["id"]

    def wait_state(self, job, *states):
        def look():
            doc = self.call("GET", f"/v1/jobs/{job}")[1]
            return doc if doc["state"] in states else None

        return wait_until(f"{job} is {states}", look, LATER)

    def wait_final(self, job):
        return self.wait_state(job, "succeeded", "failed", "cancelled")

    def wait_log(self, job, enough):
        """The whole log, once enough(bytes) says so."""
        def look():
            status, log, _ = self.call("GET", f"/v1/jobs/{job}/log")
            assert status == 200, log
            return log if enough(log) else None

        return wait_until(f"log of {job}", look, LATER, 0.2)

    def reads(self):
        return sum(self.sim.stats()["calls"].get("GetLogEvents", {}).values())

    def events(self, job, last=None):
        """What is streamed until its end: (event, data, id)."""
        connection, answer = self.request("GET", f"/v1/jobs/{job}/events", **({"Last_Event_ID": last} if last else {}))
        assert answer.status == 200
        event = {}
        try:
            for line in iter(answer.readline, b""):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name in ("id", "event", "data"):
                    event[name] = value
                elif not line.strip() and event:
                    yield event["event"], json.loads(event["data"]), event["id"]
                    event = {}
        finally:
            connection.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ecs_logs")
    programs = []

    def start(text):
        programs.append(harness.Gantry(directory, text.replace("{dir}", str(directory))))
        return programs[-1]

    sim = harness.AwsSim(directory, "--no-auth", "--task-start-ms", "50", "--task-run-ms", "100",
                         "--record", directory / "requests")
    try:
        yield Site(directory, sim, start)
        for program in programs:
            program.stop(timeout=LATER)
            assert "AddressSanitizer" not in program.text() and "runtime error" not in program.text()
    finally:
        for program in programs:
            program.stop(timeout=LATER)
        sim.stop()


@pytest.mark.parametrize("deployer", ["web", "told"])
def test_log_of_a_task_is_read_by_offset_and_range(site, deployer):
    before = sum(site.sim.stats()["calls"].get("DescribeTaskDefinition", {}).values())
    job = site.submit(deployer, SIM_LOG="one\ntwo", SIM_LOG_END="three")
    site.wait_final(job)
    assert site.wait_log(job, lambda log: log.count(b"\n") == 3) == b"one\ntwo\nthree\n"
    status, part, headers = site.call("GET", f"/v1/jobs/{job}/log?offset=4")
    assert (status, part, headers["X-Next-Offset"]) == (200, b"two\nthree\n", "14")
    status, part, headers = site.call("GET", f"/v1/jobs/{job}/log", Range="bytes=4-6")
    assert (status, part, headers["Content-Range"]) == (206, b"two", "bytes 4-6/14")
    assert site.call("GET", f"/v1/jobs/{job}/log", Range="bytes=100-")[0] == 416
    asked = sum(site.sim.stats()["calls"].get("DescribeTaskDefinition", {}).values()) - before
    assert (asked > 0) == (deployer == "web")


def test_many_readers_cost_one_and_none_costs_nothing(site):
    job = site.submit(SIM_LOG_LINES="30000", SIM_LOG_LINE="a line of the log")
    site.wait_final(job)
    want = b"".join(b"a line of the log %d\n" % i for i in range(30000))
    before = site.reads()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        logs = list(pool.map(lambda _: site.call("GET", f"/v1/jobs/{job}/log")[1], range(10)))
    assert all(log == want for log in logs)
    # Three pages and the end, where each alone would cost as much; who comes late may cause one more look, or two.
    assert 4 <= site.reads() - before < 40
    wait_until("the log is complete", lambda: site.call("GET", f"/v1/jobs/{job}/log")[2]["X-Log-Complete"] == "true", LATER)
    before = site.reads()
    assert site.call("GET", f"/v1/jobs/{job}/log")[1] == want
    # Some seconds later, it is looked at once more.
    assert site.reads() - before <= 1


def test_follower_gets_each_line_live_and_goes_on_where_it_was(site):
    job = site.submit(SIM_LOG_LINES="40", SIM_LOG_EVERY_MS="50", SIM_RUN_MS="2100", SIM_LOG_END="last\n")
    want = "".join(f"line {i}\n" for i in range(40)) + "last\n"
    text, last, told = "", None, []
    for event, data, last in site.events(job):
        if event == "log":
            assert data["offset"] == len(text)
            text += data["text"]
            break
    for event, data, last in site.events(job, last):
        if event == "log":
            assert data["offset"] == len(text)
            text += data["text"]
        told.append(event if event == "log" else data["state"])
    assert text == want
    assert "succeeded" in told and "log_error" not in told


def test_what_comes_late_is_not_lost(site):
    job = site.submit(SIM_LOG="first", SIM_LOG_END="last", SIM_LOG_DELAY_MS="2500")
    text = "".join(data["text"] for event, data, _ in site.events(job) if event == "log")
    assert text == "first\nlast\n"


def test_follower_reads_a_failed_attempt_to_its_end_before_the_next(site):
    job = site.submit("twice", SIM_LOG_LINES="5", SIM_LOG_END="over", SIM_EXIT_CODE="3")
    logs = {}
    for event, data, _ in site.events(job):
        if event == "log":
            assert data["attempt"] >= max(logs, default=0)
            logs[data["attempt"]] = logs.get(data["attempt"], "") + data["text"]
    want = "".join(f"line {i}\n" for i in range(5)) + "over\n"
    assert logs == {1: want, 2: want}


def test_earlier_attempts_can_be_read_by_who_comes_later(site):
    job = site.submit("twice", SIM_LOG="a line", SIM_LOG_END="over", SIM_EXIT_CODE="3")
    site.wait_final(job)
    want = "a line\nover\n"
    wait_until("the log of the first attempt", lambda: site.call("GET", f"/v1/jobs/{job}/log?attempt=1")[1] == want.encode(), LATER, 0.2)
    for attempt in 1, 2:
        status, part, headers = site.call("GET", f"/v1/jobs/{job}/log?attempt={attempt}", Range="bytes=2-5")
        assert (status, part, headers["X-Job-Attempt"]) == (206, b"line", str(attempt))
        assert site.daemon.ctl("log", "--attempt", attempt, job).stdout == want
    assert site.call("GET", f"/v1/jobs/{job}/log")[2]["X-Job-Attempt"] == "2"
    status, doc, _ = site.call("GET", f"/v1/jobs/{job}/log?attempt=3")
    assert (status, doc["error"]) == (404, "no log") and "so many attempts" in doc["detail"]
    assert site.call("GET", f"/v1/jobs/{job}/log?attempt=x")[0] == 400
    # One that had read a part of the first attempt when its connection broke.
    told = [(data["attempt"], data["text"]) for event, data, _ in site.events(job, "1/7/running") if event == "log"]
    assert told[0] == (1, "over\n") and "".join(text for attempt, text in told if attempt == 2) == want


@pytest.mark.parametrize("line, result, kind", [
    ('{"feed": "https://example.com/a.ics"}', {"feed": "https://example.com/a.ics"}, "application/json"),
    ("it is done", b"it is done", "text/plain; charset=utf-8"),
])
def test_marked_line_is_the_result(site, line, result, kind):
    job = site.submit(SIM_LOG=f"gantry-result: an earlier one\nnoise\ngantry-result: {line}", SIM_LOG_END="more noise",
                      SIM_RUN_MS="3600000")
    status, doc, _ = site.call("GET", f"/v1/jobs/{job}/result")
    assert status == 404 and doc["state"] in ("queued", "launching", "running"), doc
    site.wait_state(job, "running")
    site.sim.finish()
    site.wait_final(job)
    status, doc, headers = site.call("GET", f"/v1/jobs/{job}/result")
    assert (status, doc, headers["Content-Type"]) == (200, result, kind)


def test_task_without_a_result_says_so(site):
    job = site.submit(SIM_LOG="say gantry-result: no")
    site.wait_final(job)

    def told():
        status, doc, _ = site.call("GET", f"/v1/jobs/{job}/result")
        assert (status, doc["error"], doc["state"]) == (404, "no result", "succeeded")
        return "left none" in doc["detail"]

    wait_until("it is sure that none comes", told, LATER, 0.2)
    before = site.reads()
    assert told() and site.reads() - before <= 1


def test_no_log_is_told_from_an_empty_one(site):
    job = site.submit("silent", SIM_LOG="unseen")
    site.wait_final(job)
    status, doc, _ = site.call("GET", f"/v1/jobs/{job}/log")
    assert (status, doc["error"], doc["state"]) == (404, "no log", "succeeded") and "splunk" in doc["detail"]
    events = list(site.events(job))
    assert [data["detail"] for event, data, _ in events if event == "log_error"] and events[-1][1]["state"] == "succeeded"


def test_refused_log_is_an_error_and_comes_back(site):
    job = site.submit(SIM_LOG="secret or not")
    site.wait_final(job)
    site.sim.fault(action="GetLogEvents", kind="error", code="AccessDeniedException", count=1,
                   message="User: x is not authorized to perform: logs:GetLogEvents")
    status, doc, _ = site.call("GET", f"/v1/jobs/{job}/log")
    assert (status, doc["error"]) == (502, "refused") and "logs:GetLogEvents" in doc["detail"]
    assert wait_until("it can be read", lambda: site.call("GET", f"/v1/jobs/{job}/log")[1] == b"secret or not\n", LATER, 0.3)


def test_throttles_and_empty_pages_cost_only_time(site):
    job = site.submit(SIM_LOG_LINES="20")
    site.wait_final(job)
    site.sim.fault(action="GetLogEvents", kind="throttle", count=2)
    site.sim.fault(action="GetLogEvents", kind="empty", count=2)
    assert site.wait_log(job, lambda log: log.count(b"\n") == 20).endswith(b"line 19\n")
    site.sim.post("/_admin/fault", method="DELETE")


def test_secrets_are_masked_wherever_a_log_is_read(site):
    token, word = "ghp_0123456789abcdef", "short"
    job = site.submit(SIM_LOG=f"a {token} b\nand {TOKEN}\n{word} {token}{token}", deploy_Token=token, API_KEY=word)
    site.wait_final(job)
    stars = "*" * len(token)
    want = f"a {stars} b\nand {'*' * len(TOKEN)}\n{word} {stars}{stars}\n".encode()
    assert site.wait_log(job, lambda log: log.count(b"\n") == 3) == want
    for first in (0, 2, 5, 20, 30):
        assert site.call("GET", f"/v1/jobs/{job}/log", Range=f"bytes={first}-{first + 6}")[1] == want[first:first + 7]
    assert "".join(d["text"] for e, d, _ in site.events(job) if e == "log").encode() == want
    assert site.call("GET", f"/status/{job}")[1]["logs"].encode() == want


def test_reader_of_status_goes_on_over_an_expired_token_and_a_reload(site):
    job = site.submit(SIM_LOG="begun", SIM_RUN_MS="120000")
    site.wait_state(job, "running")
    seen = ""

    def status(text):
        nonlocal seen
        seen += site.call("GET", f"/status/{job}")[1]["logs"]
        return seen == text

    wait_until("the first line", lambda: status("begun\n"), LATER, 0.2)
    # Tokens are good for a day: then the stream is read anew, and nobody gets a line twice.
    site.sim.fault(action="GetLogEvents", kind="error", code="InvalidParameterException", status=400)
    wait_until("the token has expired", lambda: status("begun\n") and not site.sim.get("/_admin/fault")["faults"], LATER, 0.2)
    assert status("begun\n")
    site.daemon.ctl("reload")
    task = site.call("GET", f"/v1/jobs/{job}")[1]["attempts"][-1]["handle"].split("/")[-1]
    site.sim.call("PutLogEvents", {"logGroupName": "/ecs/web", "logStreamName": f"ecs/app/{task}",
                                   "logEvents": [{"timestamp": 1, "message": "more"}]}, "Logs_20140328", "1.1")
    wait_until("the line after the reload", lambda: status("begun\nmore\n"), LATER, 0.2)
    site.call("DELETE", f"/v1/jobs/{job}")
    site.wait_final(job)


# -- local commands -------------------------------------------------------------------------------

def script(site, text):
    path = site.directory / "script"
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\nset -e\ncd {site.directory}\nwait_for() {{ until [ -e $1 ]; do sleep 0.02; done; }}\n{text}\n")
    path.chmod(0o755)


def test_secret_that_is_half_written_is_not_shown_by_halves(site):
    script(site, "printf 'a top-sec'; wait_for half; printf 'ret-word b of-masked top-sec'; wait_for whole; echo")
    job = site.submit("shell", project="masked", SOME_HIDDEN="top-secret-word", KEYS="top-secret-x")
    assert site.wait_log(job, lambda log: log) == b"a "
    (site.directory / "half").touch()
    want = b"a *************** b ********* "
    assert site.wait_log(job, lambda log: len(log) >= len(want)) == want
    assert site.call("GET", f"/v1/jobs/{job}/log?offset=5")[1] == want[5:]
    (site.directory / "whole").touch()
    site.wait_final(job)
    assert site.call("GET", f"/v1/jobs/{job}/log")[1] == want + b"top-sec\n"


def test_each_of_many_secrets_that_are_much_alike_is_masked(site):
    script(site, "echo configured of-hidden; echo one of the many: word-02799-, not word-02800-; echo")
    words = "\n".join(f"word-{i:05}-" for i in range(2800))
    job = site.submit("shell", project="hidden", KEYS=words)
    assert site.wait_final(job)["state"] == "succeeded"
    assert site.call("GET", f"/v1/jobs/{job}/log")[1] == b"configured *********\none of the many: ***********, not word-02800-\n\n"


def test_each_attempt_is_read_to_its_end_by_who_lags(site):
    script(site, "echo attempt $GANTRY_ATTEMPT begins; wait_for go$GANTRY_ATTEMPT; echo and ends; [ $GANTRY_ATTEMPT = 2 ]")
    job = site.submit("shell")
    seen, last = "", None
    wait_until("the first line", lambda: site.call("GET", f"/status/{job}")[1]["logs"] == "attempt 1 begins\n", LATER)
    for event, data, last in site.events(job):
        if event == "log":
            seen += data["text"]
            break
    (site.directory / "go1").touch()
    assert site.wait_log(job, lambda log: b"attempt 2" in log) == b"attempt 2 begins\n"
    (site.directory / "go2").touch()
    site.wait_final(job)
    for event, data, last in site.events(job, last):
        if event == "log":
            seen += f"[{data['attempt']}@{data['offset']}]" + data["text"]
    assert seen == "attempt 1 begins\n[1@17]and ends\n[2@0]attempt 2 begins\nand ends\n"
    assert site.call("GET", f"/status/{job}")[1]["logs"] == "and ends\nattempt 2 begins\nand ends\n"
    assert site.call("GET", f"/status/{job}")[1]["logs"] == ""


# -- the requests ---------------------------------------------------------------------------------

def test_requests_fit_botocores_models(site):
    job = site.submit(SIM_LOG="gantry-result: it")
    site.wait_final(job)
    site.wait_log(job, lambda log: log)
    site.call("GET", f"/v1/jobs/{job}/result")
    loader, validator, seen = botocore.loaders.Loader(), botocore.validate.ParamValidator(), set()
    for line in (site.directory / "requests").read_text().splitlines():
        request = json.loads(line)
        if request["action"] not in ("GetLogEvents", "DescribeTaskDefinition"):
            continue
        seen.add((request["action"], "nextToken" in request["body"], request["body"].get("startFromHead")))
        model = botocore.model.ServiceModel(loader.load_service_model(request["service"], "service-2"))
        shape = model.operation_model(request["action"]).input_shape
        assert set(request["body"]) <= set(shape.members)
        report = validator.validate(request["body"], shape)
        assert not report.has_errors(), report.generate_report()
    assert seen >= {("GetLogEvents", False, True), ("GetLogEvents", True, True), ("GetLogEvents", False, False)}
