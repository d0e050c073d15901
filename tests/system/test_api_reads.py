# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for the store hold up nobody else, are answered or ended, and leave nothing behind."""

import contextlib
import fcntl
import os
import signal
import socket

from harness import wait_until
from test_api import ADMIN, answers, api  # noqa: F401 (a fixture)

PATHS = ("/v1/jobs", "/v1/jobs/first", "/v1/jobs/first/why", "/v1/jobs/first/log", "/v1/jobs/first/events",
         "/v1/jobs/first/result", "/v1/locks", "/status/first", "/queue/status", "/metrics", "/v1/events")
FIRST_LOCK, LOCKS, INDEX_HEADER = 120, 8, 96            # sqlite.org/walformat.html, 2.3.1


@contextlib.contextmanager
def unreadable(database):
    """As while another process takes up the log after a crash: its index is void, and its locks are held."""
    with open(f"{database}-shm", "r+b", buffering=0) as index:
        fcntl.lockf(index, fcntl.LOCK_EX, LOCKS, FIRST_LOCK)
        index.write(bytes(INDEX_HEADER))
        yield


def ask(port, path):
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n".encode())
    return s


def go_away(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()


def test_requests_whose_store_cannot_be_read_are_answered_or_end(api):  # noqa: F811
    a = api()
    a.submit(project="p1", id="first")
    a.wait_final("first")
    pid = next(worker["pid"] for worker in a.gantry.status()["workers"] if worker["role"] == "api")
    with unreadable(a.directory / "gantry.db"):
        waiting = [ask(a.port, path) for path in PATHS]
        gone = [ask(a.port, path) for path in PATHS]
        # What needs no store is answered meanwhile; by the second answer the loop has read all the others.
        assert all(a.call("GET", "/healthz")[0] == 200 for _ in range(2))
        for s in gone:
            go_away(s)
        assert a.call("GET", "/v1/jobs")[0] == 503
        # The next ones are asked for anew, and still under way when the process goes.
        late = [ask(a.port, path) for path in PATHS]
        assert all(a.call("GET", "/healthz")[0] == 200 for _ in range(2))
        os.kill(pid, signal.SIGQUIT)
        for s in waiting + late:
            with contextlib.suppress(ConnectionResetError):
                while s.recv(65536):
                    pass
            s.close()
    wait_until("a new process answers", lambda: answers(a))
    assert a.job("first")["state"] == "succeeded"
    for path in PATHS:
        go_away(ask(a.port, path))
    assert a.call("GET", "/v1/jobs")[0] == 200
    assert "Sanitizer" not in a.gantry.text()
