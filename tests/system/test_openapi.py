# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document says what the server does: each call, each answer's members, each refusal, and nothing else."""

import http.client
import json
import re
import socket

import jsonschema
import pytest

import harness
from conftest import free_port
from harness import SRCDIR, wait_until
from test_api import Api

METHODS = ("get", "post", "delete", "put", "patch")
TOKENS = {"admin": "a-token-of-the-operators", "read": "a-token-that-only-reads", "submit": "a-token-that-submits",
          "narrow": "a-token-of-one-project"}

CONFIGURATION = """
supervisor: {{ workers: 1, drain_timeout: 1s, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: sqlite://{dir}/gantry.db
api:
  listen: [ "127.0.0.1:{port}" ]
  queue: local
  deploy: {{ queue: local, deployer: shell }}
  body_limit: 16KiB
  tokens:
    - {{ name: operator, token: {admin}, may: [admin], rate: 0 }}
    - {{ name: reader, token: {read}, may: [read], rate: 1 }}
    - {{ name: ci, token: {submit}, may: [submit], rate: 0 }}
    - {{ name: one, token: {narrow}, may: [admin], projects: [mine], rate: 0 }}
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/sh, -c, "echo started; echo '[1]' > $$GANTRY_RESULT; until [ -e {dir}/go-$$GANTRY_PROJECT ]; do sleep 0.05; done; exit $${{CODE:-0}}" ]
    attempts: 2
    allow: {{ environment: ["*"], command: true, directory: [ "{dir}/*" ] }}
  picky: {{ type: process, command: [ "true" ], lock: {{ policy: reject }} }}
"""


# -- the document -------------------------------------------------------------------------------

def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def closed(document, schema):
    """A schema without references and allOf, which takes no member that it does not name: clients must, we need not."""
    schema = dict(resolve(document, schema))
    for part in schema.pop("allOf", []):
        part = closed(document, part)
        schema["type"] = "object"
        schema["properties"] = {**schema.get("properties", {}), **part["properties"]}
        schema["required"] = schema.get("required", []) + part.get("required", [])
    if "properties" in schema:
        schema["properties"] = {name: closed(document, value) for name, value in schema["properties"].items()}
        schema.setdefault("additionalProperties", False)
    if "items" in schema:
        schema["items"] = closed(document, schema["items"])
    if "anyOf" in schema:
        schema["anyOf"] = [closed(document, one) for one in schema["anyOf"]]
    return schema


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def documented(operation, status):
    return operation["responses"].get(str(status)) or operation["responses"].get(f"{status // 100}XX")


class Caller:
    """Calls operations of the document and holds the answers against it."""

    def __init__(self, api):
        self.api, self.seen = api, set()
        status, self.document, _ = api.call("GET", "/v1/openapi.json", token=None)
        assert status == 200

    def operation(self, method, path):
        return self.document["paths"][path][method.lower()]

    def check(self, method, path, status, data, headers):
        answer = documented(self.operation(method, path), status)
        assert answer is not None, f"{method} {path} answered {status}, which is not documented"
        answer = resolve(self.document, answer)
        self.seen.add((method, path, str(status)))
        for name in answer.get("headers", {}):
            assert name in headers, f"{method} {path} {status}: no header {name}"
        kind = headers.get("Content-Type", "").split(";")[0]
        content = answer.get("content", {})
        media = content.get(kind) or content.get("*/*")
        assert media is not None, f"{method} {path} {status}: {kind} is not one of {list(content)}"
        if kind == "application/json" and "schema" in media:
            schema = closed(self.document, media["schema"])
            jsonschema.validate(data, schema, cls=jsonschema.Draft202012Validator,
                                format_checker=jsonschema.draft202012_format_checker)

    def call(self, method, path, want, body=None, token="admin", query="", headers=None, **names):
        """path is the document's; names fill its templates."""
        real = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], path) + query
        status, data, got = self.api.call(method, real, body, token=TOKENS.get(token, token), **(headers or {}))
        self.check(method, path, status, data, got)
        assert status == want, (method, real, status, data)
        return data

    def stream(self, path, until, **names):
        """Follows a stream until the text that is waited for has come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api.port, timeout=harness.deadline_s(60))
        real = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], path)
        try:
            connection.request("GET", real, headers={"Authorization": f"Bearer {TOKENS['admin']}"})
            answer = connection.getresponse()
            text = ""
            while until not in text:
                line = answer.readline().decode()
                assert line, text
                text += line
        finally:
            connection.close()
        self.check("GET", path, answer.status, None, answer.headers)
        return text


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    directory = tmp_path_factory.mktemp("openapi")
    port = free_port()
    daemon = harness.Gantry(directory, CONFIGURATION.format(dir=directory, port=port, **TOKENS))
    daemon.wait_ready()
    yield Caller(Api(daemon, port, directory))
    daemon.stop()


def test_document_is_sound(caller):
    document = caller.document
    assert document["openapi"].startswith("3.1.") and document["info"]["title"] == "gantry"
    assert document == json.loads((SRCDIR / "src/api/openapi.json").read_text())
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    # Every part is used, and every reference leads somewhere.
    used = set(re.findall(r'"#/components/([^"]+)"', json.dumps(document)))
    parts = {f"{kind}/{name}" for kind in ("schemas", "responses", "parameters") for name in document["components"][kind]}
    assert used == parts
    for method, path, operation in operations(document):
        given = [resolve(document, one) for one in document["paths"][path].get("parameters", []) + operation.get("parameters", [])]
        assert {one["name"] for one in given if one["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path)), path
        assert {"tags", "summary", "responses", "security"} <= set(operation), (method, path)
        assert any(status.startswith("2") for status in operation["responses"])
        for way in operation["security"]:
            assert set(way) <= set(document["components"]["securitySchemes"])


def test_every_route_is_in_the_document_and_every_operation_is_a_route(caller):
    routes = set()
    source = (SRCDIR / "src/api/routes.c").read_text()
    for line in source[source.index("routes[] = {"):source.index("};")].splitlines():
        match = re.match(r'\s*\{ "(\w+)", "([^"]*)", (NULL|"([^"]*)"), ([A-Z_ |]+),', line)
        if match:
            argument = "" if match[3] == "NULL" else "{}" + match[4]
            scopes = {word.removeprefix("SCOPE_").lower() for word in match[5].split(" | ")} - {"none"}
            routes.add((match[1], match[2] + argument, frozenset(scopes)))
    assert len(routes) > 15
    told = {(method, re.sub(r"\{\w+\}", "{}", path), frozenset(scope for way in operation["security"] for scopes in way.values()
                                                              for scope in scopes))
            for method, path, operation in operations(caller.document)}
    assert told == routes


def test_methods_that_are_not_in_the_document_are_refused_by_name(caller):
    for path, item in caller.document["paths"].items():
        status, doc, headers = caller.api.call("PUT", re.sub(r"\{\w+\}", "x", path), token=TOKENS["admin"])
        assert status == 405, (path, doc)
        assert set(headers["Allow"].split(", ")) >= {method.upper() for method in METHODS if method in item}


def follow_a_job(call, api, directory):
    job = call("POST", "/v1/jobs", 202, {"project": "p", "id": "first", "environment": {"CODE": "3"}, "ref": "main"})
    assert job["id"] == "first"
    call("POST", "/v1/jobs", 200, {"project": "p", "id": "first"})
    assert call("POST", "/v1/jobs", 202, {"project": "p", "id": "second"})["state"] == "waiting"
    wait_until("the first runs", lambda: call("GET", "/v1/jobs/{id}", 200, id="first")["state"] == "running")
    call("GET", "/v1/jobs/{id}/result", 404, id="first")
    why = call("GET", "/v1/jobs/{id}/why", 200, id="second")
    assert (why["held_by"], why["held_by_project"]) == ("first", "p")
    call("GET", "/v1/locks", 200)
    (directory / "go-p").touch()
    wait_until("the second is over", lambda: call("GET", "/v1/jobs/{id}", 200, id="second")["state"] == "succeeded")
    job = wait_until("it has failed twice", lambda: (lambda doc: doc if doc["state"] == "failed" else None)(
        call("GET", "/v1/jobs/{id}", 200, id="first")))
    told = [(one["number"], one["exit_code"], one["reason"]) for one in job["attempts"]]
    assert told == [(1, 3, "exit_code"), (2, 3, "exit_code")]
    assert all(one["handle"] and one["started"] and one["ended"] for one in job["attempts"])


def read_the_log(caller):
    call = caller.call
    call("GET", "/v1/jobs/{id}/log", 200, id="first")
    call("GET", "/v1/jobs/{id}/log", 206, id="first", headers={"Range": "bytes=0-1"})
    call("GET", "/v1/jobs/{id}/log", 416, id="first", headers={"Range": "bytes=1000-"})
    call("GET", "/v1/jobs/{id}/log", 400, id="first", query="?offset=x")
    call("GET", "/v1/jobs/{id}/result", 200, id="first")
    text = caller.stream("/v1/jobs/{id}/events", '"state":"failed"', id="first")
    states = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith('data: {"id"')]
    brief = closed(caller.document, {"$ref": "#/components/schemas/JobBrief"})
    for state in states:
        jsonschema.validate(state, brief, cls=jsonschema.Draft202012Validator)
    assert states


def ask_for_what_is_not_there(call):
    for method, path in (("GET", "/v1/jobs/{id}"), ("GET", "/v1/jobs/{id}/why"), ("GET", "/v1/jobs/{id}/log"),
                         ("GET", "/v1/jobs/{id}/result"), ("GET", "/v1/jobs/{id}/events"), ("POST", "/v1/jobs/{id}/retry"),
                         ("DELETE", "/v1/jobs/{id}"), ("GET", "/status/{id}")):
        call(method, path, 404, id="none")


def change_jobs(call, caller):
    large = "x" * 20000
    call("POST", "/v1/jobs", 400, {})
    call("POST", "/v1/jobs", 413, large)
    call("POST", "/v1/jobs", 409, {"project": "mine", "id": "first"}, token="narrow")
    call("POST", "/v1/jobs", 202, {"project": "mine", "id": "holder"})
    call("POST", "/v1/jobs", 409, {"project": "mine", "deployer": "picky"})
    call("GET", "/v1/jobs", 200, query="?state=failed&project=p&count=1")
    call("GET", "/v1/jobs", 400, query="?state=nonsense")
    call("DELETE", "/v1/jobs/{id}", 409, id="first")
    wait_until("it runs", lambda: call("GET", "/v1/jobs/{id}", 200, id="holder")["state"] == "running")
    call("POST", "/v1/jobs/{id}/retry", 409, id="holder")
    call("POST", "/v1/jobs/{id}/retry", 413, large, id="holder")
    call("DELETE", "/v1/jobs/{id}", 202, id="holder")
    wait_until("it has stopped", lambda: call("GET", "/v1/jobs/{id}", 200, id="holder")["state"] == "cancelled")
    wait_until("it can be retried", lambda: caller.api.call("POST", "/v1/jobs/holder/retry", token=TOKENS["admin"])[0] == 202)
    call("DELETE", "/v1/locks/{key}", 202, key="mine")
    assert call("DELETE", "/v1/locks/{key}", 202, key="p") == {"id": None, "state": None}
    call("DELETE", "/v1/locks/{key}", 404, key="never")
    wait_until("it has stopped", lambda: call("GET", "/v1/jobs/{id}", 200, id="holder")["state"] == "cancelled")

    def is_taken():
        """Not before its end was told."""
        try:
            return call("POST", "/v1/jobs/{id}/retry", 202, id="holder")
        except AssertionError:
            return None

    wait_until("it is taken again", is_taken)


def look_around(caller):
    call = caller.call
    call("GET", "/v1/locks", 400, query="?count=0")
    for path in ("/v1/queues", "/v1/workers", "/v1/access", "/metrics", "/queue/status"):
        call("GET", path, 200)
    for path in ("/v1/openapi.json", "/healthz", "/readyz", "/"):
        call("GET", path, 200, token=None)
    caller.stream("/v1/events", "event: ready")


def deploy_as_before(call, directory):
    site = directory / "site"
    site.mkdir()
    body = {"cd": str(site), "commands": [f"until [ -e {directory}/go-site ]; do sleep 0.05; done"], "ref_name": "main"}
    first = call("POST", "/deploy", 200, body)["job_id"]
    assert call("POST", "/deploy", 202, body)["queued"] is True
    call("POST", "/deploy", 400, [])
    call("POST", "/deploy", 413, "x" * 20000)
    call("POST", "/deploy", 409, {**body, "id": "first", "project": "mine"}, token="narrow")
    call("GET", "/status/{id}", 200, id=first)
    (directory / "go-site").touch()


def ask_until(caller, method, path, want, pause=0.05):
    """With the reader's token, whose rate is small: until it is answered so, and that fits the document."""
    def ask():
        status, data, headers = caller.api.call(method, re.sub(r"\{\w+\}", "x", path), token=TOKENS["read"])
        if status == want:
            caller.check(method, path, status, data, headers)
        return status == want

    wait_until(f"{method} {path} is answered with {want}", ask, pause=pause)


def refuse(caller):
    """Who may not is refused alike everywhere: without a token, and with one that is good for something else."""
    for method, path, operation in operations(caller.document):
        if operation["security"] == []:
            continue
        scopes = operation["security"][0]["bearer"]
        names = {"id": "first", "key": "x"}
        unknown = 401 if "401" in operation["responses"] else 403
        caller.call(method, path, unknown, token="not-a-token-of-anybody", **names)
        caller.call(method, path, unknown, token=None, **names)
        if "submit" not in scopes:
            caller.call(method, path, 403, token="submit", **names)
        elif "read" not in scopes:
            ask_until(caller, method, path, 403)
    ask_until(caller, "GET", "/v1/jobs", 429, pause=0)


def test_every_operation_answers_as_documented(caller):
    directory, call = caller.api.directory, caller.call
    follow_a_job(call, caller.api, directory)
    read_the_log(caller)
    ask_for_what_is_not_there(call)
    change_jobs(call, caller)
    look_around(caller)
    deploy_as_before(call, directory)
    refuse(caller)
    (directory / "go-mine").touch()
    called = {(method, path) for method, path, _ in caller.seen}
    assert called == {(method, path) for method, path, _ in operations(caller.document)}
    # What is documented was seen, but for what only a broken store or master, or a spent rate, brings about.
    rare = {"5XX", "503", "429"}
    unseen = {(method, path, status) for method, path, operation in operations(caller.document)
              for status in operation["responses"] if status not in rare} - caller.seen
    assert unseen == set()


def test_client_that_goes_while_the_store_is_read_is_forgotten(caller):
    """A read takes a turn of the loop: whoever has gone by then is not answered, and nothing of it is left."""
    for path in ("/v1/jobs", "/v1/jobs/first", "/v1/jobs/first/why", "/v1/jobs/first/events", "/v1/locks", "/status/first",
                 "/queue/status", "/metrics", "/v1/events"):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", caller.api.port)) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS['admin']}\r\n\r\n".encode())
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert caller.call("GET", "/healthz", 200, token=None)["status"] == "alive"
    assert isinstance(caller.call("GET", "/v1/jobs", 200)["jobs"], list)
