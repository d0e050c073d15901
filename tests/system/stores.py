# SPDX-License-Identifier: Apache-2.0
"""The servers that several gantryds may share as their store.  Each keeps what it has answered, so that it can be killed
at any moment; crash() does that to all its processes, and start() takes up where they have ended."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import harness
from harness import wait_until


def children(pid):
    """Pids of the processes whose parent it is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z" and int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def state_of(pid):
    """As proc(5) has it; Z: gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


class DurableRedis(harness.Program):
    """redis-server that has lost nothing when it is killed; a second one takes up where the first has ended."""

    def __init__(self, directory, port):
        self.port = port
        super().__init__(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
                          "--appendfsync", "always", "--dir", directory], directory, "redis")
        self.url = f"redis://127.0.0.1:{port}/0"
        self.wait_for("Ready to accept connections", 60)


def program(name):
    """Debian keeps PostgreSQL's programs out of the path; the newest of them."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else name


def as_other_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return [], None
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"], user


def make_cluster():
    """A new cluster in a folder of its own, whose path is short enough for a socket in it."""
    folder = tempfile.mkdtemp(prefix="gantry-pg-", dir="/tmp")
    words, user = as_other_user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    subprocess.run([*words, program("initdb"), "-D", f"{folder}/data", "-A", "trust", "-U", "gantry", "-E", "UTF8",
                    "--no-locale", "--no-sync"], check=True, capture_output=True, cwd="/", timeout=120)
    return folder


class Postgres(harness.Program):
    """A server on a Unix socket in the folder of its cluster.  durable: it would also survive its host's crash."""

    def __init__(self, folder, durable=False):
        words, _ = as_other_user()
        self.url = f"postgresql://gantry@/postgres?host={folder}"
        super().__init__([*words, program("postgres"), "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses=",
                          "-c", f"fsync={'on' if durable else 'off'}", "-c", "shared_buffers=16MB"], folder, "postgres")
        self.wait_for("database system is ready to accept connections", 60)

    def crash(self):
        self.signal(signal.SIGQUIT)
        self.wait()

    def stop(self, number=signal.SIGQUIT, timeout=60.0):
        """Not the one that waits until all clients have gone."""
        return super().stop(number, timeout)


# -- stores that can be killed and come back --------------------------------------------------------

class SqliteStore:
    """A file; nobody serves it."""

    kind, server = "sqlite", None

    def __init__(self, directory):
        self.path = Path(directory) / "gantry.db"
        self.url = f"sqlite://{self.path}"

    def stop(self):
        pass


class ServedStore:
    """With a server, which start_server() gives."""

    server = None

    def start(self):
        self.server = self.start_server()

    def crash(self):
        """SIGKILL, to every process of it; stopped first, so that none is forked meanwhile."""
        self.server.signal(signal.SIGSTOP)
        wait_until("the server stands still", lambda: state_of(self.server.pid) == "T", 60)
        pids = [self.server.pid, *children(self.server.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.wait()
        wait_until("the server's processes are gone", lambda: all(state_of(pid) == "Z" for pid in pids), 60)
        self.server.stop()

    def stop(self):
        self.server.stop(timeout=60)


class RedisStore(ServedStore):
    kind = "redis"

    def __init__(self, directory, port):
        self.directory, self.port = Path(directory), port
        self.start()
        self.url = self.server.url

    def start_server(self):
        return DurableRedis(self.directory, self.port)


class PostgresStore(ServedStore):
    kind = "postgresql"

    def __init__(self):
        self.folder = make_cluster()
        self.start()
        self.url = self.server.url

    def start_server(self):
        return Postgres(self.folder, durable=True)

    def stop(self):
        super().stop()
        shutil.rmtree(self.folder)


def make_store(kind, directory, port):
    if kind == "redis":
        return RedisStore(directory, port)
    return PostgresStore() if kind == "postgresql" else SqliteStore(directory)
