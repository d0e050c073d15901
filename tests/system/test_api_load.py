# SPDX-License-Identifier: Apache-2.0
"""The HTTP role under load: many followers, hostile clients, and changes of generation while many submit.

The amounts are what every run can afford; GANTRY_FOLLOWERS, GANTRY_FOLLOWED_MIB, GANTRY_CONNECTIONS and
GANTRY_REQUESTS ask for more."""

import asyncio
import concurrent.futures
import http.client
import json
import os
import random
import socket
import threading
import time

import harness
from conftest import free_port

ADMIN = "a-token-of-the-operators"
FOLLOWERS = int(os.environ.get("GANTRY_FOLLOWERS", 50))
FOLLOWED_BYTES = int(os.environ.get("GANTRY_FOLLOWED_MIB", 5)) << 20
CONNECTIONS = int(os.environ.get("GANTRY_CONNECTIONS", 5000))
REQUESTS = int(os.environ.get("GANTRY_REQUESTS", 1200))
SLOW = 300
PATIENCE_S = 120

CONFIGURATION = """
supervisor: {{ workers: 2, drain_timeout: 1s, old_generations: 8, pid_file: {{dir}}/pid, control_socket: {{dir}}/control.sock, state_dir: {{dir}}/state }}
store: sqlite://{{dir}}/gantry.db
log: {{ level: warn }}
api:
  listen: [ "127.0.0.1:{port}" ]
  queue: local
  tokens: [ {{ name: operator, token: {admin}, may: [admin], rate: 0, streams: 0 }} ]
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/true ]
    allow: {{ command: true }}
"""


class Server:
    """One gantryd with its API."""

    def __init__(self, gantry, **environment):
        self.port = free_port()
        self.gantry = gantry(CONFIGURATION.format(port=self.port, admin=ADMIN), **environment)
        harness.wait_until("the API answers", self.alive, timeout=60)

    def alive(self):
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def call(self, method, path, body=None, token=ADMIN):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def state(self, job):
        status, text = self.call("GET", f"/v1/jobs/{job}")
        assert status == 200, text
        return json.loads(text)["state"]

    def pid(self):
        return next(w["pid"] for w in self.gantry.status()["workers"] if w["role"] == "api")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid()}/fd"))

    def memory_kib(self, what="VmRSS"):
        with open(f"/proc/{self.pid()}/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(what))


# -- followers --------------------------------------------------------------------------------------

LINE = "%09d the quick brown fox jumps over the lazy dog, and the log grows by a line of eighty\n"


async def follow(port, job, log, checked):
    """Reads the events of a job to their end: how much of its log they told, in order, and its last state.  checked
    remembers what was compared with the log already, for those who read the same."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    writer.write(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    size, state, text = 0, None, b""
    while True:
        chunk = int(await reader.readline(), 16)
        text += await reader.readexactly(chunk)
        await reader.readline()
        *events, text = text.split(b"\n\n")
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
            data = fields.get(b"data")
            if fields.get(b"event") == b"log":
                if data not in checked:
                    doc = json.loads(data)
                    piece = doc["text"].encode()
                    assert log[doc["offset"]:doc["offset"] + len(piece)] == piece, f"another text at {doc['offset']}"
                    checked[data] = doc["offset"], len(piece)
                offset, length = checked[data]
                assert offset == size, f"at {size} came {offset}"
                size += length
            elif fields.get(b"event") == b"state":
                state = json.loads(data)["state"]
        if chunk == 0:
            writer.close()
            return size, state


def test_each_of_many_followers_gets_every_byte_once(tmp_path, started, figures):
    """Without sanitizers, which take several times the memory that is looked at here."""
    harness.plain_build()

    def start(configuration):
        started.append(harness.PlainGantry(tmp_path, configuration.replace("{dir}", str(tmp_path))))
        return started[-1]

    follow_all(Server(start), tmp_path, FOLLOWERS, FOLLOWED_BYTES, figures)


def test_some_followers_get_every_byte_once_under_sanitizers(gantry, tmp_path, figures):
    server = Server(gantry)
    follow_all(server, tmp_path, FOLLOWERS // 5, FOLLOWED_BYTES // 5, figures)
    assert "Sanitizer" not in server.gantry.text()


def follow_all(server, tmp_path, followers, followed_bytes, figures):
    lines = followed_bytes // len(LINE % 0)
    log, checked = "".join(LINE % n for n in range(lines)).encode(), {}
    script = tmp_path / "print.py"
    script.write_text(f"import sys\nfor n in range({lines}):\n    sys.stdout.write({LINE!r} % n)\n")
    go = tmp_path / "go"
    command = ["/bin/sh", "-c", f"until [ -e {go} ]; do sleep 0.1; done; exec /usr/bin/python3 {script}"]
    assert server.call("POST", "/v1/jobs", {"id": "prints", "project": "loud", "command": command})[0] == 202

    async def all_of_them():
        tasks = [asyncio.ensure_future(follow(server.port, "prints", log, checked)) for _ in range(followers)]
        await asyncio.sleep(0)
        go.touch()
        return await asyncio.gather(*tasks)

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(lambda: asyncio.run(all_of_them()))
        # Another deployment is launched and ends while they read.
        assert server.call("POST", "/v1/jobs", {"id": "beside", "project": "quiet"})[0] == 202
        harness.wait_until("the other deployment ends", lambda: server.state("beside") == "succeeded", timeout=PATIENCE_S)
        beside_s = time.monotonic() - began
        got = answers.result()
    assert set(got) == {(len(log), "succeeded")}
    highest = server.memory_kib("VmHWM")
    figures(f"{followers} followers of {len(log) / 1048576:.0f} MiB in {time.monotonic() - began:.1f} s; api at most {highest >> 10} MiB; "
            f"another deployment took {beside_s:.1f} s meanwhile")
    if isinstance(server.gantry, harness.PlainGantry):
        assert highest < 64 << 10, f"the api grew to {highest} KiB"


# -- hostile clients ----------------------------------------------------------------------------------

class Slow(threading.Thread):
    """Hundreds of connections whose requests never become whole: a byte a second each."""

    def __init__(self, port):
        super().__init__()
        self.sockets = []
        self.stopping = threading.Event()
        for n in range(SLOW):
            s = socket.create_connection(("127.0.0.1", port))
            # The last kind is whole, but has more arguments than libmicrohttpd has room for, which then says nothing.
            s.sendall([b"", b"GET /v1/jobs HTTP/1.1\r\nX-A: ", b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
                       b"Authorization: Bearer " + ADMIN.encode() + b"\r\n\r\n{",
                       b"GET /?" + b"a=b&" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"][n % 4])
            self.sockets.append(s)
        self.start()

    def run(self):
        while not self.stopping.wait(1.0):
            for s in self.sockets:
                try:
                    s.send(b"a")
                except OSError:
                    pass

    def close(self):
        self.stopping.set()
        self.join()
        for s in self.sockets:
            s.close()
        return True

    def ends(self):
        """Whether the server has ended each of them."""
        for s in self.sockets:
            s.settimeout(PATIENCE_S)
            try:
                while s.recv(65536):
                    pass
            except ConnectionResetError:
                pass
        return self.close()


def drop_connections(port, count, rng):
    """Opens and drops connections: with nothing said, half a request, or a whole one whose answer nobody reads."""
    says = [b"", b"G", b"GET /v1/jobs HTTP/1.1\r\nHo", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nAuthorization: Bearer " + ADMIN.encode() + b"\r\n\r\n{\"pro",
            b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN.encode() + b"\r\n\r\n"]
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
            try:
                s.sendall(rng.choice(says))
            except OSError:
                pass
            if rng.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"get", b"G\0T", b"", b"A" * 9000]
PATHS = [b"/", b"/v1/jobs", b"/v1/jobs/", b"/v1/jobs/x/log", b"/v1/jobs/x/events", b"/v1/jobs/%2e%2e/log", b"/v1/jobs/%00", b"/deploy", b"/status/x",
         b"/v1/events", b"/v1/locks/%", b"*", b"http://[::1", b"/" + b"a" * 40000, b"/v1/jobs?state=%ff&after=-1", b"/v1/jobs?count=1e9",
         b"//", b"/?" + b"a=b&" * 300, b"\xff\xfe", b"/v1/jobs/a b"]
VERSIONS = [b" HTTP/1.1", b" HTTP/1.0", b" HTTP/9.9", b" HTTP/1.1 x", b"", b" FTP/1.1", b" HTTP/1." + b"1" * 500]
HEADERS = [b"Host: x", b"Host:", b": x", b"X" * 3000 + b": y", b"X-Y: " + b"z" * 30000, b"Content-Length: -1", b"Content-Length: 99999999999999999999",
           b"Content-Length: 5\r\nContent-Length: 6", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, gzip", b"Expect: 100-continue",
           b"Range: bytes=9-1,-,5-", b"Last-Event-ID: 99999999999/-5/\xff", b"Last-Event-ID: " + b"1/" * 4000, b"Connection: upgrade\r\nUpgrade: h2c",
           b"Authorization: Bearer " + ADMIN.encode(), b"Authorization: Bearer", b"Authorization: " + b"\x80" * 200, b"x-deployster-token: x",
           b"Cookie: " + b"a=b; " * 2000, b" folded", b"\0: \0", b"Accept: application/openmetrics-text; q=x"]
BODIES = [b"", b"{", b"[" * 5000, b"{\"project\": \"p\"}", b"{\"project\": \"\\ud800\"}", b"{\"project\": 1e999}", b"\x00" * 500, b"{\"a\":" * 3000,
          b"0\r\n\r\n", b"zz\r\n", b"fffffffffffffffff\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"{\"project\": \"p\", \"delay\": \"-1h\", \"priority\": 1e300}",
          b"{\"project\": \"" + b"p" * 2000000 + b"\"}", b"{\"project\": \"p\", \"environment\": {\"\": null}, \"command\": [[]]}"]


def a_request(rng):
    """Bytes that are nearly a request, or not at all."""
    body = rng.choice(BODIES)
    headers = rng.sample(HEADERS, rng.randrange(6))
    if rng.random() < 0.5:
        headers += [b"Host: x", b"Authorization: Bearer " + ADMIN.encode(), b"Content-Length: %d" % len(body)]
    text = rng.choice(METHODS) + b" " + rng.choice(PATHS) + rng.choice(VERSIONS) + b"\r\n"
    text += b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body
    for _ in range(rng.choice([0, 0, 1, 5])):
        at = rng.randrange(len(text))
        text = text[:at] + bytes([rng.randrange(256)]) * rng.choice([0, 1, 1, 50]) + text[at + rng.randrange(3):]
    return text


def send_garbage(port, rng, count):
    """How often each status was answered; "" is a connection that was closed without an answer."""
    seen = {}
    for _ in range(count):
        text, answer = a_request(rng), b""
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
            try:
                s.sendall(text)
                s.shutdown(socket.SHUT_WR)
                # A stream of events goes on for as long as it is read.
                while len(answer) < 4096 and b"text/event-stream" not in answer:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    answer += piece
            except OSError as error:
                assert not isinstance(error, TimeoutError), text[:300]
        assert answer == b"" or answer.startswith(b"HTTP/1."), (text[:300], answer[:300])
        status = answer[9:12].decode()
        assert status != "500", (text[:300], answer[:500])
        seen[status] = seen.get(status, 0) + 1
    return seen


def guess_tokens(server, rng, count):
    for _ in range(count):
        guess = "".join(rng.choices(ADMIN, k=rng.choice([1, 5, len(ADMIN), len(ADMIN), 2000])))
        assert server.call("GET", "/v1/jobs", token=guess)[0] == 401


def attack(server, rng, patient):
    """All of it at once; how often each status was answered to what was malformed.  patient: until the slow ones are
    ended by the server, and not by themselves."""
    slow = Slow(server.port)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        dropping = pool.submit(drop_connections, server.port, CONNECTIONS // 2, random.Random(rng.random()))
        seen = send_garbage(server.port, rng, REQUESTS // 2)
        guess_tokens(server, rng, 100)
        assert server.call("GET", "/v1/jobs")[0] == 200
        dropping.result()
    assert slow.ends() if patient else slow.close()
    harness.wait_until("they have all gone", lambda: server.descriptors() < 100, timeout=PATIENCE_S)
    return seen


def test_hostile_clients_take_nothing_away(gantry, figures):
    server = Server(gantry, ASAN_OPTIONS=harness.FLAT_MEMORY)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng, pid = random.Random(seed), server.pid()
    # What the first attack needed at its height may be kept; the second may need no more.
    attack(server, rng, patient=False)
    descriptors, memory = server.descriptors(), server.memory_kib()
    seen = attack(server, rng, patient=True)
    harness.wait_until("descriptors are as before", lambda: server.descriptors() <= descriptors, timeout=PATIENCE_S)
    grown = server.memory_kib() - memory
    figures(f"twice {SLOW} slow, {CONNECTIONS // 2} dropped, {sum(seen.values())} malformed {dict(sorted(seen.items()))}, 100 guesses: "
            f"the api has {memory} KiB, and {grown} more after the second time")
    assert server.pid() == pid
    assert grown < 12 << 10
    assert "Sanitizer" not in server.gantry.text()


# -- changes of generation ----------------------------------------------------------------------------

def test_submissions_during_reloads_and_upgrades_are_all_accepted_and_kept(gantry, figures):
    server = Server(gantry)
    stop, accepted, failures = threading.Event(), [], []

    def submit(client):
        n = 0
        while not stop.is_set():
            job = f"c{client}-{n}"
            try:
                status, text = server.call("POST", "/v1/jobs", {"id": job, "project": f"p{client}", "delay": "1h"})
            except OSError as error:
                failures.append(f"{job}: {error!r}")
                return
            if status == 202:
                accepted.append(job)
            else:
                failures.append(f"{job}: {status} {text}")
            n += 1
            stop.wait(0.3)

    clients = [threading.Thread(target=submit, args=(client,)) for client in range(50)]
    for client in clients:
        client.start()
    for order in ("reload", "upgrade", "reload"):
        enough = len(accepted) + 50
        harness.wait_until("all go on", lambda: len(accepted) >= enough or failures, timeout=PATIENCE_S)
        server.gantry.ctl(order, timeout=PATIENCE_S)
    stop.set()
    for client in clients:
        client.join()
    assert failures == []
    assert len(accepted) >= 150
    found, after = set(), ""
    while after is not None:
        status, text = server.call("GET", "/v1/jobs?count=500" + after)
        assert status == 200, text
        doc = json.loads(text)
        found |= {job["id"] for job in doc["jobs"]}
        after = f"&after={doc['after']}" if "after" in doc else None
    assert set(accepted) <= found, sorted(set(accepted) - found)[:10]
    figures(f"{len(accepted)} jobs accepted from 50 clients over two reloads and an upgrade")
