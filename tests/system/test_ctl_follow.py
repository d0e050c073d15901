# SPDX-License-Identifier: Apache-2.0
"""gantryctl submit --wait, log and logs: what happens is shown while it happens, once and whole, and the exit status is
the deployment's."""

import collections
import http.server
import json
import os
import signal
import subprocess
import threading

import pytest

import harness
from harness import wait_until

# A deployment that says two things and waits for a file in between.
SAYS = ("echo part 1 of $$GANTRY_ATTEMPT; until [ -e {dir}/go-$$GANTRY_JOB-$$GANTRY_ATTEMPT ] || [ -n \\\"$$FREE\\\" ]; "
        "do sleep 0.05; done; printf 'part 2'; [ -z \\\"$$SIGNAL\\\" ] || kill -$$SIGNAL $$$$; exit $${{CODE:-0}}")
LOCAL = """
supervisor: {{ workers: 2, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
log: {{ to: {dir}/gantryd.log }}
store: sqlite://{dir}/gantry.db
queues:
  local: {{ type: store, default_deployer: once }}
deployers:
  once:
    type: process
    command: [ /bin/sh, -c, "{says}" ]
    allow: {{ environment: [FREE, CODE, SIGNAL] }}
  leaky:
    type: process
    command: [ /bin/sh, -c, "echo begun; printf '%s' $${{HIDDEN_KEY%%-*}}; until [ -e {dir}/go-leaky-1 ]; do sleep 0.05; done; echo -$${{HIDDEN_KEY#*-}}; echo ended" ]
    allow: {{ environment: [HIDDEN_KEY] }}
  twice:
    type: process
    attempts: 2
    command: [ /bin/sh, -c, "{says}" ]
    allow: {{ environment: [FREE, CODE, SIGNAL] }}
  short:
    type: process
    timeout: 1s
    command: [ /bin/sleep, "600" ]
  missing:
    type: process
    command: [ /nowhere/deploy ]
  newest:
    type: process
    lock: {{ policy: latest }}
    command: [ /bin/sh, -c, "{says}" ]
"""


class Daemon(harness.Gantry):
    """One for the tests of this file; its log is a file, so readiness is asked for."""

    def start_ctl(self, *words, **environment):
        return subprocess.Popen(
            [str(self.build / "gantryctl"), "-c", str(self.configuration), *words], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**self.environment, **environment})

    def state(self, job):
        shown = self.ctl("--json", "show", job, check=False)
        return json.loads(shown.stdout)["state"] if shown.returncode == 0 else None

    def wait_state(self, job, state):
        wait_until(f"{job} is {state}", lambda: self.state(job) == state, timeout=90, pause=0.1)

    def go(self, job, attempt=1):
        (self.directory / f"go-{job}-{attempt}").touch()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("follow")
    program = Daemon(directory, LOCAL.format(dir=directory, says=SAYS.format(dir=directory)))
    log = directory / "gantryd.log"
    try:
        wait_until("it is ready", lambda: log.exists() and 'msg="ready: generation' in log.read_text(), timeout=60)
        yield program
    finally:
        program.stop(timeout=60)


@pytest.fixture
def ended():
    """Processes that a test started and that must not stay when it fails."""
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def read_until(process, text):
    """What a process has printed up to a text."""
    seen = ""
    while text not in seen:
        piece = os.read(process.stdout.fileno(), 65536).decode()
        assert piece, f"it ended without {text!r}: {seen!r} {process.stderr.read()!r}"
        seen += piece
    return seen


def finish(process):
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


# -- submit --wait -------------------------------------------------------------------------------


def test_submit_shows_states_and_log_while_they_happen(daemon, ended):
    process = daemon.start_ctl("submit", "--wait", "--project", "p", "--id", "live")
    ended.append(process)
    begun = read_until(process, "part 1 of 1\n")
    assert "live: running\n" in begun and "part 2" not in begun
    daemon.go("live")
    status, rest, _ = finish(process)
    assert (status, rest) == (0, "part 2\nlive: succeeded\n")


@pytest.mark.parametrize("job, words, status, last", [
    ("seven", ["--env", "CODE=7"], 7, "failed: exit status 7"),
    ("high", ["--env", "CODE=200"], 125, "failed: exit status 200"),
    ("killed", ["--env", "SIGNAL=KILL"], 125, "failed: killed by signal 9"),
    ("late", ["--deployer", "short"], 204, "failed"),
    ("nothing", ["--deployer", "missing"], 205, "failed"),
])
def test_submit_exits_as_the_deployment_did(daemon, job, words, status, last):
    free = [] if "--deployer" in words else ["--env", "FREE=1"]
    done = daemon.ctl("submit", "--wait", "--project", job, "--id", job, *free, *words, check=False)
    assert done.returncode == status, done
    assert done.stdout.splitlines()[-1].startswith(f"{job}: {last}"), done.stdout


def test_submit_has_a_status_of_its_own_for_cancelled_and_superseded(daemon, ended):
    words = ["submit", "--wait", "--project", "series", "--deployer", "newest", "--id"]
    running = daemon.start_ctl(*words, "holder")
    ended.append(running)
    read_until(running, "part 1 of 1\n")
    older = daemon.start_ctl(*words, "older")
    ended.append(older)
    read_until(older, "older: waiting\n")
    daemon.ctl("submit", "--project", "series", "--deployer", "newest", "--id", "newer")
    status, out, _ = finish(older)
    assert status == 202 and out.startswith("older: superseded")
    daemon.ctl("cancel", "newer")
    daemon.ctl("cancel", "holder")
    status, out, _ = finish(running)
    assert status == 201 and "holder: cancelled" in out


def test_interrupt_leaves_the_deployment_running_and_says_so(daemon, ended):
    process = daemon.start_ctl("submit", "--wait", "--project", "interrupted", "--id", "goes-on")
    ended.append(process)
    read_until(process, "part 1 of 1\n")
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 130 and "goes-on goes on" in err and "gantryctl log -f goes-on" in err
    daemon.go("goes-on")
    daemon.wait_state("goes-on", "succeeded")


def test_submit_prints_lines_of_json(daemon):
    done = daemon.ctl("--json", "submit", "--wait", "--project", "j", "--id", "lines", "--env", "FREE=1")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(e["text"] for e in events if e["event"] == "log") == "part 1 of 1\npart 2"
    assert (events[-1]["event"], events[-1]["state"], events[-1]["exit_code"]) == ("state", "succeeded", 0)


def test_what_an_attempt_wrote_is_shown_before_the_next_one_begins(daemon):
    done = daemon.ctl("--json", "submit", "--wait", "--project", "o", "--id", "order", "--deployer", "twice", "--env", "FREE=1",
                      "--env", "CODE=4", check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    attempts = [e["attempt"] for e in events]
    assert done.returncode == 4 and attempts == sorted(attempts), events
    for attempt in (1, 2):
        text = "".join(e["text"] for e in events if e["event"] == "log" and e["attempt"] == attempt)
        assert text == f"part 1 of {attempt}\npart 2"


# -- log -----------------------------------------------------------------------------------------


def test_log_follows_all_attempts_over_a_reload_and_loses_nothing(daemon, ended):
    daemon.ctl("submit", "--project", "f", "--id", "again", "--deployer", "twice", "--env", "CODE=3")
    daemon.wait_state("again", "running")
    process = daemon.start_ctl("log", "-f", "again")
    ended.append(process)
    assert read_until(process, "\n") == "part 1 of 1\n"
    daemon.ctl("reload")
    daemon.go("again", 1)
    assert read_until(process, "part 1 of 2\n") == "part 2part 1 of 2\n"
    daemon.go("again", 2)
    status, rest, _ = finish(process)
    assert (status, rest) == (0, "part 2")
    assert daemon.ctl("log", "again").stdout == "part 1 of 2\npart 2"
    assert daemon.ctl("log", "--attempt", "1", "again").stdout == "part 1 of 1\npart 2"
    pieces = [json.loads(line) for line in daemon.ctl("--json", "log", "-f", "again").stdout.splitlines()]
    assert "".join(piece["text"] for piece in pieces) == "part 1 of 2\npart 2" and pieces[0]["attempt"] == 2
    missing = daemon.ctl("log", "--attempt", "3", "again", check=False)
    assert missing.returncode == 1 and "has had 2 attempts" in missing.stderr
    nobody = daemon.ctl("log", "-f", "nobody", check=False)
    assert nobody.returncode == 1 and "no such job" in nobody.stderr


def test_log_of_a_local_command_shows_no_secret_also_while_it_is_half_written(daemon, ended):
    process = daemon.start_ctl("submit", "--wait", "--project", "leaky", "--id", "leaky", "--deployer", "leaky", "--env",
                               "HIDDEN_KEY=open-sesame")
    ended.append(process)
    begun = read_until(process, "begun\n")
    daemon.go("leaky")
    status, rest, _ = finish(process)
    assert status == 0 and "ope" not in begun + rest and "***********\nended\n" in rest
    assert daemon.ctl("log", "leaky").stdout == "begun\n***********\nended\n"


class Api(http.server.ThreadingHTTPServer):
    """Answers for a job's log as gantry-api does, in pieces, and drops some requests on the floor."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        self.log, self.dropped, self.tokens, self.refusal = b"", 0, set(), None
        super().__init__(("127.0.0.1", 0), ApiHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"


class ApiHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        api = self.server
        api.tokens.add(self.headers.get("Authorization"))
        if api.dropped > 0:
            api.dropped -= 1
            self.close_connection = True
            return
        offset = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        body = api.log[offset:offset + 5]
        status = 206 if body else 416
        if api.refusal:
            status, body = api.refusal, b'{"error": "forbidden", "detail": "this token is not good for that"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Log-Complete", "true")
        self.end_headers()
        self.wfile.write(body)


ECS = """
supervisor: {{ workers: 1, pid_file: {dir}/pid, control_socket: {dir}/control.sock, drain_timeout: 1s }}
store: sqlite://{dir}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{url}" }}
{api}
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
    attempts: 2
"""


@pytest.fixture(scope="module")
def ecs(tmp_path_factory):
    """With an API, which has the logs of tasks; blind.yaml is the same without."""
    directory = tmp_path_factory.mktemp("ecs")
    sim = harness.AwsSim(directory, "--no-auth", "--task-start-ms", "20", "--task-run-ms", "100")
    listen = f'api: {{ listen: ["unix:{directory}/api.sock"] }}'
    program = Daemon(directory, ECS.format(dir=directory, url=sim.url, api=listen))
    (directory / "blind.yaml").write_text(ECS.format(dir=directory, url=sim.url, api=""))
    try:
        program.wait_ready(60)
        yield program
        program.stop(timeout=90)
    finally:
        program.stop(timeout=90)
        sim.stop()


def test_submit_shows_the_log_of_a_task_also_what_can_be_read_only_after_its_end(ecs):
    done = ecs.ctl("submit", "--wait", "--project", "shop", "--id", "task", "--env", "SIM_LOG=grün\nund blau", "--env",
                   "SIM_LOG_END=the end", "--env", "SIM_EXIT_CODE=9", "--env", "SIM_LOG_DELAY_MS=2000", check=False)
    states = [line for line in done.stdout.splitlines() if line.startswith("task: ")]
    assert done.returncode == 9 and states[-1].startswith("task: failed")
    written = "".join(line + "\n" for line in done.stdout.splitlines() if not line.startswith("task: "))
    assert written.endswith("grün\nund blau\nthe end\n"), done.stdout
    # The API has the log of the last attempt only; what is missing of the first is not passed over in silence.
    assert written == 2 * "grün\nund blau\nthe end\n" or "is not attempt 1" in done.stderr, done
    assert ecs.ctl("log", "task").stdout == "grün\nund blau\nthe end\n"


def test_log_of_a_task_goes_on_over_a_reload_of_the_api(ecs, ended):
    ecs.ctl("submit", "--project", "long", "--id", "long", "--env", "SIM_LOG_LINES=40", "--env", "SIM_LOG_EVERY_MS=100",
            "--env", "SIM_RUN_MS=4100")
    wait_until("it is launched", lambda: ecs.state("long") in ("running", "succeeded"))
    process = ecs.start_ctl("log", "-f", "long")
    ended.append(process)
    begun = read_until(process, "line 0\n")
    ecs.ctl("reload")
    status, rest, _ = finish(process)
    assert (status, begun + rest) == (0, "".join(f"line {i}\n" for i in range(40)))


def test_log_of_a_task_goes_on_where_it_was_when_the_api_drops_requests(ecs, ended):
    ecs.ctl("submit", "--project", "other", "--id", "other", "--env", "SIM_LOG=x")
    ecs.wait_state("other", "succeeded")
    blind = str(ecs.directory / "blind.yaml")

    def log(*words, **environment):
        process = subprocess.Popen([ecs.build / "gantryctl", "-c", blind, "log", *words, "other"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={**ecs.environment, **environment})
        ended.append(process)
        return finish(process)

    status, out, err = log()
    assert (status, out) == (1, "") and "gantry-api has to be asked, and the configuration has no api" in err
    api = Api()
    try:
        api.log, api.dropped = "grün\n".encode() * 40, 2
        assert log("-f", GANTRY_API_URL=api.url, GANTRY_TOKEN="sesame")[:2] == (0, "grün\n" * 40)
        assert api.tokens == {"Bearer sesame"}
        api.refusal = 403
        status, _, err = log(GANTRY_API_URL=api.url)
        assert status == 1 and "gantry-api answers 403: forbidden: this token is not good for that" in err
    finally:
        api.shutdown()
        api.server_close()


# Its standard error is a file of the test's.
def test_logs_find_the_file_that_standard_error_is(ecs):
    assert ecs.ctl("logs", "-n", "100000").stdout.splitlines()[0] == ecs.text().splitlines()[0]


# -- logs ----------------------------------------------------------------------------------------


def test_logs_follow_over_rotation_and_lose_no_line(daemon, ended):
    log, old = daemon.directory / "gantryd.log", daemon.directory / "gantryd.log.1"
    process = daemon.start_ctl("logs", "-f", "-n", "100000")
    ended.append(process)
    seen = read_until(process, 'msg="ready: generation')
    daemon.ctl("submit", "--project", "r", "--id", "before", "--env", "FREE=1")
    seen += read_until(process, "job before")
    log.rename(old)
    daemon.ctl("submit", "--project", "r", "--id", "between", "--env", "FREE=1")
    seen += read_until(process, "job between")
    daemon.signal(signal.SIGUSR1)
    wait_until("the log is opened anew", log.exists, timeout=60)
    daemon.ctl("submit", "--wait", "--project", "r", "--id", "after", "--env", "FREE=1")
    seen += read_until(process, "job after")
    last = wait_until("it is logged", lambda: log.read_text().splitlines()[-1:], timeout=60)[0]
    if last not in seen:
        seen += read_until(process, last)
    wanted = old.read_text().splitlines() + log.read_text().splitlines()
    given = collections.Counter(seen[:seen.rindex("\n")].splitlines())
    assert collections.Counter(wanted[:wanted.index(last)]) - given == {} and given - collections.Counter(wanted) == {}


def test_logs_show_the_last_lines_also_as_json(daemon):
    lines = daemon.ctl("logs", "--lines", "3").stdout.splitlines()
    assert len(lines) == 3
    for record in map(json.loads, daemon.ctl("--json", "logs", "-n", "3").stdout.splitlines()):
        assert {"time", "level", "msg"} <= set(record)


def test_logs_that_go_to_syslog_are_asked_of_the_journal(tmp_path):
    configuration = tmp_path / "gantry.yaml"
    configuration.write_text("log: { to: syslog }\nqueues: { q: { type: store } }\n"
                             "deployers: { d: { type: process, command: [ /bin/true ] } }\n")
    tools = tmp_path / "bin"
    tools.mkdir()

    def logs(*words):
        return subprocess.run([harness.BUILDDIR / "gantryctl", "-c", configuration, "logs", *words], capture_output=True,
                              text=True, timeout=60, check=False, env=harness.clean_environment(PATH=str(tools)))

    without = logs()
    assert without.returncode == 1 and "journalctl" in without.stderr and "syslogd" in without.stderr
    (tools / "journalctl").write_text('#!/bin/sh\necho "$@"\n')
    (tools / "journalctl").chmod(0o755)
    identifiers = "-t gantryd -t gantry-worker -t gantry-api\n"
    assert logs("-f", "-n", "7").stdout == "--no-pager -n 7 -o cat -f " + identifiers
    assert logs("--json").stdout == "--no-pager -n 100 -o json " + identifiers
