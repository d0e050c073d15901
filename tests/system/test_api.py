# SPDX-License-Identifier: Apache-2.0
"""The HTTP role: what is answered 2xx is accepted, logs are read without loss, and strangers hold nothing."""

import base64
import concurrent.futures
import errno
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

import harness
from conftest import free_port

TOKEN = "a-token-for-the-ci-server"
READER = "a-token-that-only-reads"
RARE = "a-token-that-reads-now-and-then"
ADMIN = "a-token-of-the-operators"
SOME_ADMIN = "a-token-of-some-projects"

CONFIGURATION = """
supervisor: {{ workers: 1, pid_file: {{dir}}/pid, control_socket: {{dir}}/control.sock, state_dir: {{dir}}/state }}
store: sqlite://{{dir}}/gantry.db
aws: {{ region: us-east-1, access_key: A, secret_key: B }}
api:
  listen: [ "127.0.0.1:{port}", "unix:{{dir}}/api.sock" ]
  queue: local
  deploy: {{ queue: local, deployer: shell }}
  body_limit: 64KiB
  tokens:
    - {{ name: ci, token: {token}, may: [submit, read], projects: ["p*", "site"], rate: 0 }}
    - {{ name: reader, token: {reader}, may: [read], rate: 5 }}
    - {{ name: rare, token: {rare}, may: [read], rate: 1 }}
    - {{ name: operator, token: {admin}, may: [admin], rate: 0 }}
    - {{ name: some, token: {some_admin}, may: [admin], projects: ["p*"], rate: 0, streams: 2 }}
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/sh, -c, "{command}" ]
    allow: {{ environment: ["*"], command: true, directory: [ "{{dir}}/*" ] }}
"""


class Api:
    """Calls of one gantryd."""

    def __init__(self, gantry, port, directory):
        self.gantry, self.port, self.directory = gantry, port, directory

    def call(self, method, path, body=None, token=TOKEN, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.deadline_s(60))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.headers.get("Content-Type", "").startswith("application/json") and data:
            data = json.loads(data)
        return answer.status, data, answer.headers

    def submit(self, **message):
        status, doc, _ = self.call("POST", "/v1/jobs", message)
        assert status == 202, doc
        return doc["id"]

    def job(self, job):
        status, doc, _ = self.call("GET", f"/v1/jobs/{job}", token=ADMIN)
        assert status == 200, doc
        return doc

    def wait_final(self, job):
        final = ("succeeded", "failed", "cancelled", "superseded")

        def look():
            doc = self.job(job)
            return doc if doc["state"] in final else None

        return harness.wait_until(f"{job} ends", look)


@pytest.fixture
def api(tmp_path, gantry):
    def start(command="echo done", **change):
        port = free_port()
        text = CONFIGURATION.format(port=port, token=TOKEN, reader=READER, rare=RARE, admin=ADMIN, some_admin=SOME_ADMIN, command=command)
        for old, new in change.items():
            text = text.replace(old, new)
        daemon = gantry(text)
        daemon.wait_ready()
        return Api(daemon, port, tmp_path)

    return start


def test_submitted_job_runs_and_serves_its_log_and_result(api):
    a = api("echo one; echo two >&2; echo '{}' > $$GANTRY_RESULT".replace("{}", '{\\"ok\\": true}'))
    status, doc, headers = a.call("POST", "/v1/jobs", {"project": "p1", "id": "first"})
    assert (status, doc["id"], headers["Location"]) == (202, "first", "/v1/jobs/first")
    assert a.call("GET", "/v1/jobs/first/result")[0] in (404, 200)
    assert a.wait_final("first")["state"] == "succeeded"
    status, log, headers = a.call("GET", "/v1/jobs/first/log")
    assert (status, log, headers["X-Next-Offset"]) == (200, b"one\ntwo\n", "8")
    assert a.call("GET", "/v1/jobs/first/log?offset=4")[1] == b"two\n"
    status, part, headers = a.call("GET", "/v1/jobs/first/log", Range="bytes=1-2")
    assert (status, part, headers["Content-Range"]) == (206, b"ne", "bytes 1-2/8")
    assert a.call("GET", "/v1/jobs/first/log", Range="bytes=100-")[0] == 416
    status, result, headers = a.call("GET", "/v1/jobs/first/result")
    assert (status, result, headers["Content-Type"]) == (200, {"ok": True}, "application/json")
    status, doc, _ = a.call("POST", "/v1/jobs", {"project": "p1", "id": "first"})
    assert (status, doc["state"]) == (200, "succeeded")


def test_result_is_not_found_until_it_is_there(api, tmp_path):
    a = api("until [ -e {dir}/go ]; do sleep 0.05; done".replace("{dir}", str(tmp_path)))
    job = a.submit(project="p1")
    status, doc, _ = a.call("GET", f"/v1/jobs/{job}/result")
    assert status == 404 and doc["state"] in ("queued", "launching", "running")
    (tmp_path / "go").touch()
    a.wait_final(job)
    status, doc, _ = a.call("GET", f"/v1/jobs/{job}/result")
    assert (status, doc["state"]) == (404, "succeeded")


@pytest.mark.parametrize("token, method, path, status", [
    (None, "GET", "/v1/jobs", 401),
    ("wrong-token-of-the-right-size", "GET", "/v1/jobs", 401),
    (READER, "POST", "/v1/jobs", 403),
    (TOKEN, "DELETE", "/v1/jobs/x", 403),
    (TOKEN, "DELETE", "/v1/locks/x", 403),
    (ADMIN, "DELETE", "/v1/jobs/x", 404),
    (None, "POST", "/deploy", 403),
    (READER, "POST", "/deploy", 403),
    (None, "GET", "/healthz", 200),
    (None, "GET", "/readyz", 200),
    (TOKEN, "GET", "/nowhere", 404),
    (TOKEN, "PUT", "/v1/jobs", 405),
])
def test_who_may_what(api_for_reading, token, method, path, status):
    answer, doc, _ = api_for_reading.call(method, path, {"project": "p1"} if method == "POST" else None, token=token)
    assert answer == status, doc
    if path == "/deploy":
        assert doc == {"error": "Unauthorized"}


@pytest.fixture(scope="module")
def api_for_reading(tmp_path_factory):
    directory = tmp_path_factory.mktemp("api")
    port = free_port()
    text = CONFIGURATION.format(port=port, token=TOKEN, reader=READER, rare=RARE, admin=ADMIN, some_admin=SOME_ADMIN, command="true")
    daemon = harness.Gantry(directory, text.replace("{dir}", str(directory)))
    daemon.wait_ready()
    yield Api(daemon, port, directory)
    daemon.stop()


@pytest.mark.parametrize("body, detail", [
    ("{", "JSON"),
    ("[]", "object"),
    ({"project": 5}, "project"),
    ({}, "project"),
    ({"project": "p", "deployer": "nobody"}, "nobody"),
    ({"project": "p", "id": "two words"}, "id"),
    ({"project": "p", "environment": {"A": 1}}, "environment"),
])
def test_bad_submission_is_told_what_to_do(api_for_reading, body, detail):
    status, doc, _ = api_for_reading.call("POST", "/v1/jobs", body)
    assert status == 400 and detail in doc["detail"], doc


def test_large_body_is_refused(api_for_reading):
    status, doc, _ = api_for_reading.call("POST", "/v1/jobs", b"x" * 100000)
    assert (status, doc["error"]) == (413, "body too large")


def test_token_is_limited_to_its_projects_and_rate(api_for_reading):
    a = api_for_reading
    assert a.call("POST", "/v1/jobs", {"project": "other"})[0] == 403
    assert a.call("POST", "/v1/jobs", {"project": "other", "id": "theirs"}, token=ADMIN)[0] == 202
    assert a.call("GET", "/v1/jobs/theirs")[0] == 404
    assert "theirs" not in [job["id"] for job in a.call("GET", "/v1/jobs")[1]["jobs"]]
    harness.wait_until("too many", lambda: a.call("GET", "/v1/jobs", token=RARE)[0] == 429, pause=0)


def test_operator_of_some_projects_touches_no_other(api_for_reading):
    a = api_for_reading
    assert a.call("POST", "/v1/jobs", {"project": "other", "id": "others", "delay": "1h"}, token=ADMIN)[0] == 202
    for method, path in (("GET", "/v1/jobs/others"), ("GET", "/v1/jobs/others/why"), ("GET", "/v1/jobs/others/log"),
                         ("GET", "/v1/jobs/others/events"), ("GET", "/v1/jobs/others/result"), ("GET", "/status/others"),
                         ("DELETE", "/v1/jobs/others"), ("POST", "/v1/jobs/others/retry")):
        status, doc, _ = a.call(method, path, token=SOME_ADMIN)
        assert status == 404 and "other" not in json.dumps(doc).replace("others", ""), (method, path, doc)
    assert a.call("DELETE", "/v1/locks/other", token=SOME_ADMIN)[0] == 403
    assert a.job("others")["state"] == "waiting"
    assert a.call("DELETE", "/v1/jobs/others", token=ADMIN)[0] == 202


def test_id_of_another_project_shows_nothing_of_its_job(api_for_reading):
    a = api_for_reading
    first = {"project": "other", "id": "taken", "ref": "a-secret-branch"}
    assert a.call("POST", "/v1/jobs", first, token=ADMIN)[0] == 202
    for path, body in (("/v1/jobs", {"project": "p1", "id": "taken"}),
                       ("/deploy", {"id": "taken", "project": "p1", "cd": str(a.directory), "commands": ["true"]})):
        status, doc, _ = a.call("POST", path, body)
        assert status == 409 and doc["error"] == "conflict", doc
        assert "a-secret-branch" not in json.dumps(doc) and "other\"" not in json.dumps(doc)
    assert a.call("POST", "/v1/jobs", first, token=ADMIN)[0] == 200


def test_list_of_jobs_leaves_their_messages_out(api_for_reading):
    a = api_for_reading
    job = a.submit(project="plisted", note="kept with the job")
    assert "kept with the job" in a.job(job)["body"]
    _, doc, _ = a.call("GET", "/v1/jobs?project=plisted")
    assert [entry["id"] for entry in doc["jobs"]] == [job] and "body" not in doc["jobs"][0]


def test_unix_socket_knows_its_peer(api_for_reading):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(api_for_reading.directory / "api.sock"))
        s.sendall(b"GET /v1/locks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")


def test_pages_list_every_job_once_newest_first(api_for_reading):
    a = api_for_reading
    ids = [a.submit(project="pages") for _ in range(7)]
    seen, after = [], ""
    while True:
        _, doc, _ = a.call("GET", f"/v1/jobs?project=pages&count=3{after}")
        seen += [job["id"] for job in doc["jobs"]]
        if "after" not in doc:
            break
        after = f"&after={doc['after']}"
    assert seen == ids[::-1]


def test_metrics_are_well_formed(api_for_reading):
    status, text, headers = api_for_reading.call("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families, samples = {}, 0
    for line in text.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in families
            families[name] = kind
        elif not line.startswith("#"):
            name = line.split("{")[0].split()[0]
            family = name if name in families else name.rsplit("_", 1)[0]
            assert family in families, line
            float(line.rsplit(" ", 1)[1])
            samples += 1
    assert samples > 15 and families["gantry_jobs"] == "gauge"
    text = api_for_reading.call("GET", "/metrics", Accept="application/openmetrics-text")[1]
    assert text.endswith(b"# EOF\n")


class Events:
    """A reader of an event stream, in a thread of its own."""

    def __init__(self, a, job, last=None):
        self.events, self.last = [], last
        self.connection = http.client.HTTPConnection("127.0.0.1", a.port, timeout=harness.deadline_s(60))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", f"/v1/jobs/{job}/events", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        fields = {}
        try:
            for line in self.answer:
                line = line.decode().rstrip("\n")
                if line == "" and "event" in fields:
                    self.last = fields["id"]
                    self.events.append((fields["event"], json.loads(fields["data"])))
                if line == "":
                    fields = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def log(self):
        return "".join(doc["text"] for kind, doc in list(self.events) if kind == "log")

    def states(self):
        return [doc["state"] for kind, doc in list(self.events) if kind == "state"]


def test_events_tell_each_line_and_state_once_also_over_a_reload(api, tmp_path):
    a = api("for i in 1 2 3 4 5 6; do echo line $$i; until [ -e {dir}/$$i ]; do sleep 0.02; done; done".replace(
        "{dir}", str(tmp_path)))
    job = a.submit(project="p1")
    first, second = Events(a, job), Events(a, job)
    for number in range(1, 4):
        harness.wait_until("the line", lambda: f"line {number}\n" in first.log() and f"line {number}\n" in second.log())
        (tmp_path / str(number)).touch()
    a.gantry.ctl("reload")
    first.thread.join(harness.deadline_s(60))
    assert not first.thread.is_alive()
    again = Events(a, job, first.last)
    for number in range(4, 7):
        (tmp_path / str(number)).touch()
    harness.wait_until("the end", lambda: "succeeded" in again.states())
    again.thread.join(harness.deadline_s(60))
    whole = "".join(f"line {i}\n" for i in range(1, 7))
    assert first.log() + again.log() == whole
    states = first.states() + again.states()
    assert len(states) == len(set(states)) and states[-1] == "succeeded"
    second.connection.close()


def test_follower_that_comes_late_reads_the_same(api, tmp_path):
    a = api("for i in 1 2 3; do echo line $$i; until [ -e {dir}/$$i ]; do sleep 0.02; done; done".replace(
        "{dir}", str(tmp_path)))
    job = a.submit(project="p1")
    first = Events(a, job)
    harness.wait_until("the line", lambda: "line 1\n" in first.log())
    (tmp_path / "1").touch()
    harness.wait_until("the next line", lambda: "line 2\n" in first.log())
    second = Events(a, job)
    (tmp_path / "2").touch()
    (tmp_path / "3").touch()
    for reader in (first, second):
        reader.thread.join(harness.deadline_s(60))
        assert reader.log() == "line 1\nline 2\nline 3\n" and reader.states()[-1] == "succeeded"
    assert "Sanitizer" not in a.gantry.text()


def test_reader_that_comes_again_after_a_retry_reads_the_new_log(api):
    a = api("echo attempt $$GANTRY_ATTEMPT")
    job = a.submit(project="p1")
    first = Events(a, job)
    first.thread.join(harness.deadline_s(60))
    assert first.log() == "attempt 1\n"
    assert a.call("POST", f"/v1/jobs/{job}/retry", token=ADMIN)[0] == 202
    harness.wait_until("it ends again", lambda: a.job(job)["state"] == "succeeded")
    again = Events(a, job, first.last)
    again.thread.join(harness.deadline_s(60))
    assert again.log() == "attempt 2\n" and again.states() == ["succeeded"]


def test_events_cut_no_character_of_a_long_line(api):
    a = api("/usr/bin/python3 -c 'import sys; sys.stdout.buffer.write(bytes([97] + [195, 164] * 9000))'")
    job = a.submit(project="p1")
    reader = Events(a, job)
    reader.thread.join(harness.deadline_s(60))
    assert reader.log() == "a" + "ä" * 9000
    assert a.call("GET", f"/status/{job}")[1]["logs"] == "a" + "ä" * 9000


def test_state_of_a_job_with_a_large_message_is_told(api):
    a = api(**{"body_limit: 64KiB": "body_limit: 2MiB"})
    status, doc, _ = a.call("POST", "/v1/jobs", {"project": "p1", "note": "\\" * 150000})
    assert status == 202, doc
    reader = Events(a, doc["id"])
    reader.thread.join(harness.deadline_s(60))
    assert reader.states()[-1:] == ["succeeded"]


def test_end_with_connections_on_every_socket_is_clean(api):
    a = api()
    tcp = socket.create_connection(("127.0.0.1", a.port))
    local = socket.socket(socket.AF_UNIX)
    local.connect(str(a.directory / "api.sock"))
    for s in (tcp, local):
        s.settimeout(harness.deadline_s(60))
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    pid = next(worker["pid"] for worker in a.gantry.status()["workers"] if worker["role"] == "api")
    os.kill(pid, 3)
    for s in (tcp, local):
        assert s.recv(4096) == b""
        s.close()
    harness.wait_until("a new one answers", lambda: answers(a))
    assert "Sanitizer" not in a.gantry.text()


def answers(a):
    try:
        return a.call("GET", "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_retry_of_what_still_has_its_message_says_when(api, awssim):
    sim = awssim("--queue", "deploys", "--no-auth")
    for action in ("DeleteMessageBatch", "DeleteMessage"):
        sim.fault(kind="http_500", action=action, count=-1)
    a = api(**{"access_key: A,": f'access_key: A, endpoint_url: "{sim.url}",',
               "queues:\n": f'queues:\n  deploys: {{ type: sqs, url: "{sim.queue_url("deploys")}", default_deployer: shell }}\n'})
    harness.send_jobs(a.gantry, [{"id": "a", "project": "p1"}])
    harness.wait_until("it is known", lambda: a.call("GET", "/v1/jobs/a", token=ADMIN)[0] == 200)
    a.wait_final("a")
    status, doc, _ = a.call("POST", "/v1/jobs/a/retry", token=ADMIN)
    assert status == 409 and "try again in a few seconds" in doc["detail"], doc
    sim.post("/_admin/fault", method="DELETE")
    harness.wait_until("it can be retried", lambda: a.call("POST", "/v1/jobs/a/retry", token=ADMIN)[0] == 202)


def test_retry_of_a_job_that_its_lock_rejects_is_a_conflict(api, tmp_path):
    a = api("[ $$GANTRY_JOB = quick ] || until [ -e {dir}/go ]; do sleep 0.05; done".replace("{dir}", str(tmp_path)),
            **{"    type: process\n": "    type: process\n    lock: { policy: reject }\n"})
    a.submit(project="p1", id="quick")
    a.wait_final("quick")
    a.submit(project="p1", id="holder")
    assert a.call("POST", "/v1/jobs", {"project": "p1", "id": "late"})[0] == 409
    assert a.call("POST", "/v1/jobs/quick/retry", token=ADMIN)[0] == 409
    (tmp_path / "go").touch()
    a.wait_final("holder")


def make_certificate(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                    directory / f"{name}.key", "-out", directory / f"{name}.pem"], check=True, capture_output=True, timeout=60)


def test_tls_speaks_with_its_certificate_and_a_bad_pair_refuses_the_reload(api, tmp_path):
    make_certificate(tmp_path, "one")
    make_certificate(tmp_path, "two")
    pair = f"tls: {{ certificate: {tmp_path}/one.pem, key: {tmp_path}/one.key }}"
    a = api(**{"queue: local\n  deploy": f"queue: local\n  {pair}\n  deploy"})
    trust = ssl.create_default_context(cafile=tmp_path / "one.pem")

    def ask():
        connection = http.client.HTTPSConnection("127.0.0.1", a.port, timeout=harness.deadline_s(60), context=trust)
        connection.request("GET", "/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}"})
        status = connection.getresponse().status
        connection.close()
        return status

    assert ask() == 200
    with socket.create_connection(("127.0.0.1", a.port)) as plain:
        plain.settimeout(harness.deadline_s(60))
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert not plain.recv(4096).startswith(b"HTTP")
        except ConnectionResetError:
            pass
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(tmp_path / "api.sock"))
        local.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert local.recv(4096).startswith(b"HTTP/1.")
    (tmp_path / "one.key").write_bytes((tmp_path / "two.key").read_bytes())
    refused = a.gantry.ctl("reload", check=False)
    assert refused.returncode == 1 and "belong together" in refused.stdout + refused.stderr
    assert ask() == 200


def test_reload_refuses_no_request(api):
    a = api()
    stop, failures, answers = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            try:
                answers.append(a.call("GET", "/healthz")[0])
            except OSError as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        a.gantry.ctl("reload")
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == [] and set(answers) == {200} and len(answers) > 20


def test_jobs_of_a_project_wait_and_are_cancelled_and_retried(api, tmp_path):
    a = api("until [ -e {dir}/go ]; do sleep 0.05; done".replace("{dir}", str(tmp_path)))
    first, second = a.submit(project="p1"), a.submit(project="p1")
    assert a.job(second)["state"] == "waiting"
    _, doc, _ = a.call("GET", "/v1/locks")
    assert [(lock["key"], lock["holder"], lock["waiting"]) for lock in doc["locks"]] == [("p1", first, 1)]
    assert a.call("GET", f"/v1/jobs/{second}/why")[1]["held_by"] == first
    harness.wait_until("it runs", lambda: a.job(first)["state"] == "running")
    assert a.call("DELETE", f"/v1/jobs/{first}", token=ADMIN)[0] == 202
    assert a.wait_final(first)["state"] == "cancelled"
    harness.wait_until("the next runs", lambda: a.job(second)["state"] == "running")
    (tmp_path / "go").touch()
    assert a.wait_final(second)["state"] == "succeeded"
    assert a.call("POST", f"/v1/jobs/{first}/retry", token=ADMIN)[0] == 202
    assert a.wait_final(first)["state"] == "succeeded"


def test_clients_of_queued_deployments_are_at_home(api, tmp_path):
    a = api()
    site = tmp_path / "site"
    site.mkdir()
    body = {"cd": str(site), "commands": ["echo in $PWD", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done", "echo last"],
            "commit_hash": "abc", "ref_name": "main"}
    status, doc, _ = a.call("POST", "/deploy", body, token=None, x_deployster_token=TOKEN)
    assert status == 200, doc
    first = doc["job_id"]
    _, doc, _ = a.call("POST", "/deploy", body)
    assert doc["queued"] is True and doc["message"]
    assert a.call("GET", f"/status/{doc['job_id']}")[1]["status"] == "queued"
    harness.wait_until("the log", lambda: f"in {site}" in a.call("GET", f"/status/{first}")[1]["logs"])
    assert a.call("GET", "/queue/status")[1]["queued"] == 1
    (tmp_path / "go").touch()
    a.wait_final(first)
    _, doc, _ = a.call("GET", f"/status/{first}")
    assert doc["status"] == "complete" and doc["logs"].endswith("last\n") and f"in {site}" not in doc["logs"]
    _, doc, _ = a.call("GET", f"/status/{first}", token=ADMIN)
    assert f"in {site}" in doc["logs"] and doc["logs"].endswith("last\n")
    assert a.call("GET", "/status/none")[1]["status"] == "not_found"
    assert a.job(first)["project"] == "site"


def test_slow_client_holds_nothing(api):
    a = api(**{"body_limit: 64KiB": "body_limit: 64KiB\n  connections: 20"})
    slow = []
    for _ in range(15):
        s = socket.create_connection(("127.0.0.1", a.port))
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        slow.append(s)
    assert a.call("GET", "/healthz")[0] == 200
    for s in slow:
        s.settimeout(harness.deadline_s(60))
        while s.recv(4096):
            pass
        s.close()


def test_garbage_is_survived(api):
    a = api()
    for garbage in (b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/jobs HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"\xff\xfe\r\n\r\n",
                    b"POST /v1/jobs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    b"GET /v1/jobs/%00%ff%2e%2e/log HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN.encode() +
                    b"\r\nConnection: close\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", a.port)) as s:
            s.settimeout(harness.deadline_s(60))
            try:
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
            except OSError as failure:      # shut down by the other side already
                assert failure.errno == errno.ENOTCONN, failure
    assert a.call("GET", "/healthz")[0] == 200
    assert [worker["pid"] for worker in a.gantry.status()["workers"] if worker["role"] == "api"]
    assert "left with" not in a.gantry.text() and "Sanitizer" not in a.gantry.text()


def test_what_was_answered_2xx_survives_kill_of_everything(api, tmp_path):
    a = api("echo x >> {dir}/ran-$$GANTRY_JOB".replace("{dir}", str(tmp_path)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda i: a.submit(project=f"p{i % 7}"), range(40)))
    for worker in a.gantry.status()["workers"]:
        os.kill(worker["pid"], 9)
    for job in ids:
        assert a_wait(a, job)["state"] == "succeeded"
        assert (tmp_path / f"ran-{job}").read_text() == "x\n"


def a_wait(a, job):
    """As Api.wait_final(), while the API itself may be on its way back."""

    def look():
        try:
            doc = a.job(job)
        except (OSError, http.client.HTTPException):
            return None
        return doc if doc["state"] in ("succeeded", "failed") else None

    return harness.wait_until(f"{job} ends", look)


def test_dashboard_is_one_page_of_its_own(api_for_reading):
    status, page, headers = api_for_reading.call("GET", "/", token=None)
    policy, text = headers["Content-Security-Policy"], page.decode()
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    addresses = re.findall(r'\b(?:src|href)="([^"]*)', text)
    assert addresses and all(address.startswith(("#", "data:")) for address in addresses)
    for part in ("style", "script"):
        digest = hashlib.sha256(text.split(f"<{part}>")[1].split(f"</{part}>")[0].encode()).digest()
        assert f"{part}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_feed_tells_each_token_what_is_its_own(api_for_reading):
    a = api_for_reading
    a.wait_final(a.submit(project="p-feed", id="ours-of-the-feed"))
    assert a.call("POST", "/v1/jobs", {"project": "q-feed", "id": "theirs-of-the-feed"}, token=ADMIN)[0] == 202
    a.wait_final("theirs-of-the-feed")

    def look(token):
        """The jobs of the feed until it says that this was all."""
        with socket.create_connection(("127.0.0.1", a.port), timeout=60) as s, s.makefile("rb") as lines:
            s.sendall(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            seen, event = set(), None
            for line in lines:
                if line.startswith(b"event: "):
                    event = line[7:].strip().decode()
                elif line.startswith(b"data: ") and event == "job":
                    seen.add(json.loads(line[6:])["id"])
                elif event == "ready":
                    return seen
        raise AssertionError("the feed ended before it was ready")

    assert "ours-of-the-feed" in look(TOKEN) and "theirs-of-the-feed" not in look(TOKEN)
    assert {"ours-of-the-feed", "theirs-of-the-feed"} <= look(ADMIN)


def test_token_has_no_more_streams_open_than_it_may(api_for_reading):
    a = api_for_reading
    a.wait_final(a.submit(project="p-streams", id="streamed"))

    def begin(path="/v1/events"):
        connection = http.client.HTTPConnection("127.0.0.1", a.port, timeout=60)
        connection.request("GET", path, headers={"Authorization": f"Bearer {SOME_ADMIN}"})
        return connection, connection.getresponse()

    two = [begin() for _ in range(2)]
    assert [answer.status for _, answer in two] == [200, 200]
    for path in "/v1/events", "/v1/jobs/streamed/events":
        connection, answer = begin(path)
        assert answer.status == 429 and answer.headers["Retry-After"]
        assert json.loads(answer.read()) == {"error": "too many streams", "detail": "this token may have 2 open at once"}
        connection.close()
    # What is no stream goes on, and so do other tokens' streams; one that has ended makes room.
    assert a.call("GET", "/v1/jobs", token=SOME_ADMIN)[0] == 200
    two[0][1].close()
    two[0][0].close()

    def again():
        connection, answer = begin()
        answer.close()
        connection.close()
        return answer.status == 200

    harness.wait_until("room for a stream", again, 60, 0.1)
    two[1][1].close()
    two[1][0].close()


def test_who_asks_is_told_what_it_may(api_for_reading):
    answers = [api_for_reading.call("GET", "/v1/access", token=token)[:2] for token in (READER, TOKEN, ADMIN, "nobody")]
    assert answers[0] == (200, {"name": "reader", "may": ["read"], "projects": ["*"]})
    assert answers[1] == (200, {"name": "ci", "may": ["submit", "read"], "projects": ["p*", "site"]})
    assert answers[2] == (200, {"name": "operator", "may": ["submit", "read", "admin"], "projects": ["*"]})
    assert answers[3][0] == 401
