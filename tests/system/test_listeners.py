# SPDX-License-Identifier: Apache-2.0
"""The API's sockets outlive its processes: whoever connects is answered, whatever is replaced meanwhile."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import free_port
from harness import deadline_s, wait_until
from supervision import FAKES, GANTRYD, Master, alive


@pytest.fixture(name="master")
def fixture_master(tmp_path):
    """Started from a copy of gantryd that a test may replace."""
    copy = tmp_path / "gantryd"
    shutil.copy2(GANTRYD, copy)
    master = Master(tmp_path, gantryd=copy)
    yield master
    master.clean_up()


def listen(*addresses):
    return "api: {{ listen: [ {} ] }}".format(", ".join(f'"{a}"' for a in addresses))


def connect(address):
    if address.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(deadline_s(60))
        client.connect(address[5:])
        return client
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=deadline_s(60))


def ask(address):
    """(pid, generation) of the one that answers."""
    with connect(address) as client:
        said = b""
        while chunk := client.recv(100):
            said += chunk
    pid, generation = said.split()
    return int(pid), int(generation)


def heard(address, generation):
    """Waits until that generation answers: the one before it accepts until it has heard of its drain."""
    wait_until(f"generation {generation} on {address}", lambda: ask(address)[1] == generation)


def refused(address):
    try:
        connect(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


class Visitors:
    """Threads that connect, one connection after the other, until they are stopped."""

    def __init__(self, *addresses):
        self.answers, self.failures = [], []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.visit, args=(address,)) for address in addresses]

    def visit(self, address):
        while not self.stopping.is_set():
            try:
                self.answers.append(ask(address))
            except (OSError, ValueError) as failure:
                self.failures.append(f"{address}: {failure!r}")

    def generations(self):
        return {generation for _, generation in self.answers}

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        for thread in self.threads:
            thread.join(deadline_s(60))


@pytest.fixture(name="addresses")
def fixture_addresses(tmp_path):
    return [f"127.0.0.1:{free_port()}", f"unix:{tmp_path}/api.sock"]


def api_pid(master):
    """Of the running generation's, once it is active."""
    def look():
        status = master.status()
        current = status.one("daemon")["generation"]
        pids = [int(w["pid"]) for w in status.all("worker")
                if w["role"] == "api" and w["state"] == "active" and w["generation"] == current]
        return pids[0] if pids else None

    return wait_until("an active API", look)


# -- one process per generation --------------------------------------------------------------------


def test_api_is_started_beside_the_workers_and_not_counted_with_them(master, addresses):
    master.configure(api=listen(*addresses))
    master.start()
    status = master.status()
    assert (status.one("daemon")["workers"], status.one("daemon")["active"]) == ("2", "2")
    rows = status.all("worker")
    assert sorted(w["role"] for w in rows) == ["api", "worker", "worker"]
    (api,) = [w for w in rows if w["role"] == "api"]
    assert (api["state"], api["generation"]) == ("active", "1")
    for address in addresses:
        assert ask(address) == (int(api["pid"]), 1)
    # Channel, configuration, log, figures and two listeners: nothing of a worker's.
    ((_, _, _, what),) = [e for e in master.events_of(1, "descriptors") if e[0] == int(api["pid"])]
    assert what == "descriptors 0 1 2 4 5 6 7 8 9"
    assert "api" in master.log_text() and master.count_log("ready: generation 1, 2 workers") == 1


def test_without_the_section_there_is_no_api(master):
    master.start()
    assert {w["role"] for w in master.status().all("worker")} == {"worker"}
    assert master.events_of(1, "started first=. slots=2 role=api") == []


def test_api_is_told_of_no_jobs(master, addresses):
    """Orphans, adoption and sweeps are for workers; those are told when it has changed the store."""
    master.configure("hold api:hint", api=listen(*addresses), workers=1, drain_timeout="0", restart_delay="1s")
    master.start()
    master.wait_event(1, "adopt")
    master.wait_event(1, "sweep")
    pid = api_pid(master)
    os.kill(next(iter(master.states())), signal.SIGKILL)
    master.wait_event(1, "orphans")
    os.kill(pid, signal.SIGKILL)
    master.wait_log(f'api {pid}" msg="killed by signal 9; next start')
    assert api_pid(master) != pid
    assert master.ask("reload").status == 0
    # The old worker has given its jobs up; all of the new generation are active by then.
    master.wait_event(2, "adopt")
    # What they were told before their end has been heard by then.
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert len(master.events_of(1, "orphans")) == 1, "the API held no jobs"
    apis = {p for p, _, _, what in master.event_lines() if "role=api" in what}
    words = {what.split()[0] for p, _, _, what in master.event_lines() if p in apis}
    assert len(apis) == 3 and words <= {"started", "descriptors", "go", "ping", "drain", "release", "leaves"}


def test_job_that_nobody_owns_is_offered_to_one_worker_after_the_other(master, addresses):
    master.configure("api:offer=6", api=listen(*addresses), workers=3)
    master.start()
    wait_until("all are passed on", lambda: len(master.events_of(1, "adopt")) == 6)
    told = [p for p, _, _, what in master.event_lines() if what == "adopt"]
    assert sorted(told.count(pid) for pid in set(told)) == [2, 2, 2]
    assert master.events_of(1, "sweep") == []


def test_api_that_cannot_get_ready_rolls_a_reload_back(master, addresses):
    master.configure(api=listen(*addresses))
    master.start()
    pid = api_pid(master)
    master.configure("api:refuse=no_certificate", api=listen(*addresses))
    answer = master.ask("reload")
    assert answer.status == 1 and re.search(r"api \d+: no certificate", answer.why)
    assert ask(addresses[0]) == (pid, 1)


def test_installation_without_the_api_refuses_its_section(master, addresses):
    (master.programs / "gantry-api").unlink()
    master.start()
    master.configure(api=listen(*addresses))
    answer = master.ask("reload")
    assert answer.status == 1
    assert answer.why == "api: this installation has no gantry-api: it was built without it"
    assert refused(addresses[0])
    master.signal(signal.SIGTERM)
    assert master.wait_exit() == 0
    assert "it was built without it" in master.daemon().stderr


# -- no connection is refused ----------------------------------------------------------------------


def test_reloads_refuse_no_connection(master, addresses):
    master.configure("api:linger=0.02", api=listen(*addresses))
    master.start()
    with Visitors(*addresses, *addresses) as visitors:
        for generation in range(2, 7):
            assert master.ask("reload").status == 0
            wait_until("it is heard", lambda g=generation: g in visitors.generations())
    assert visitors.failures == []
    assert visitors.generations() == {1, 2, 3, 4, 5, 6}


def test_rolled_back_reload_refuses_no_connection(master, addresses):
    master.configure(api=listen(*addresses))
    master.start()
    with Visitors(*addresses) as visitors:
        master.configure("api:never", api=listen(*addresses), ready_timeout="1s")
        answer = master.ask("reload")
        assert answer.status == 1 and "was not ready in time" in answer.why
        seen = len(visitors.answers)
        wait_until("more are answered", lambda: len(visitors.answers) > seen + 10)
    assert visitors.failures == [] and visitors.generations() == {1}


def test_upgrades_refuse_no_connection(master, addresses):
    master.configure(api=listen(*addresses))
    master.start()
    descriptors = master.descriptors()
    with Visitors(*addresses) as visitors:
        for generation in (2, 3):
            answer = master.ask("upgrade")
            assert (answer.status, answer.why) == (0, "")
            wait_until("it is heard", lambda g=generation: g in visitors.generations())
        shutil.copy2(FAKES / "gantryd_faulty", master.directory / "gantryd.new")
        (master.directory / "gantryd.new").rename(master.gantryd)
        assert master.ask("upgrade").status == 1
        seen = len(visitors.answers)
        wait_until("more are answered", lambda: len(visitors.answers) > seen + 10)
    assert visitors.failures == []
    wait_until("descriptors are as before", lambda: master.descriptors() == descriptors)
    os.kill(api_pid(master), signal.SIGKILL)
    wait_until("it is replaced under the program that took over", lambda: ask(addresses[0])[1] == 3)


def test_dead_api_is_replaced_and_those_who_knocked_are_answered(master, addresses):
    master.configure(api=listen(*addresses), restart_delay="1s")
    master.start()
    pid = api_pid(master)
    os.kill(pid, signal.SIGKILL)
    wait_until("it is dead", lambda: not alive(pid))
    waiting = [connect(address) for address in addresses]
    for client in waiting:
        answered, generation = client.makefile().readline().split()
        assert int(answered) != pid and generation == "1"
        client.close()
    assert list(master.states().values()) == ["active"] * 2


def test_hung_api_is_aborted_and_replaced(master, addresses):
    master.configure("api:hang", api=listen(*addresses), watchdog="2s")
    master.start()
    master.wait_log(r'api \d+" msg="was silent for \d+s; aborted')
    master.wait_log(r'api \d+" msg="killed by signal 6')


def test_requests_under_way_are_finished_by_the_old_api(master, addresses):
    master.configure("api:linger=2", api=listen(*addresses))
    master.start()
    pid = api_pid(master)
    with connect(addresses[0]) as client:
        master.wait_event(1, "accepts")
        master.configure(api=listen(*addresses))
        assert master.ask("reload").status == 0
        heard(addresses[0], 2)
        assert client.makefile().readline() == f"{pid} 1\n"
    wait_until("it has left", lambda: not alive(pid))
    master.wait_log(rf'api {pid}" msg="left with status 0')


def test_api_that_will_not_end_is_ended(master, addresses):
    master.configure("api:stubborn", api=listen(*addresses), drain_timeout="1s")
    master.start()
    pid = api_pid(master)
    master.configure(api=listen(*addresses), drain_timeout="1s")
    assert master.ask("reload").status == 0
    master.wait_event(1, "release")
    master.wait_log(rf'api {pid}" msg="did not leave in time; killed')
    heard(addresses[0], 2)


def test_killed_master_frees_the_addresses(master, addresses):
    master.configure(api=listen(*addresses))
    master.start()
    pid = api_pid(master)
    master.signal(signal.SIGKILL)
    master.wait_exit()
    wait_until("the API has left", lambda: not alive(pid))
    master.process.stdout.close()
    assert master.daemon().returncode == 0
    for address in addresses:
        assert ask(address)[1] == 1


# -- addresses come and go -------------------------------------------------------------------------


def test_addresses_are_bound_and_closed_by_a_reload(master, addresses):
    more = [f"[::1]:{free_port()}", f"unix:{master.directory}/more.sock"]
    master.configure(api=listen(*addresses))
    master.start()
    master.configure(api=listen(addresses[0], *more))
    with Visitors(addresses[0]) as visitors:
        assert master.ask("reload").status == 0
        for address in more:
            assert ask(address)[1] == 2
        wait_until("what is not named any more is closed", lambda: refused(addresses[1]))
        assert not os.path.exists(addresses[1][5:])
    assert visitors.failures == []
    master.configure()
    assert master.ask("reload").status == 0
    for address in [addresses[0], *more]:
        wait_until(f"{address} is closed", lambda a=address: refused(a))
    master.settle(3)


def test_address_in_use_refuses_the_reload_and_closes_what_it_opened(master, addresses):
    master.configure(api=listen(addresses[0]))
    master.start()
    fresh = f"127.0.0.1:{free_port()}"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        master.configure(api=listen(addresses[0], fresh, busy))
        answer = master.ask("reload")
        assert (answer.status, answer.why) == (1, f"api.listen: {busy}: Address already in use")
        assert refused(fresh)
        assert ask(addresses[0])[1] == 1
    assert master.ask("reload").status == 0
    heard(busy, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_binds_what_its_user_may_not_and_a_reload_says_so(master, addresses):
    def somewhere(lowest):
        for port in range(lowest, 1024):
            try:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
        raise AssertionError("no low port is free")

    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as start:
        if int(start.read()) < 1024:
            pytest.skip("every port may be bound by everybody here")
    first = somewhere(600)
    os.chmod(master.directory, 0o777)
    for parent in master.directory.parents:
        if str(parent).startswith("/tmp/"):
            os.chmod(parent, 0o755)
    master.configure(supervisor="  user: nobody", api=listen(f"127.0.0.1:{first}", addresses[1]))
    os.chmod(master.file, 0o644)
    os.chmod(master.directory / "env", 0o644)
    master.start()
    assert ask(f"127.0.0.1:{first}")[1] == 1
    status = os.stat(addresses[1][5:])
    assert (status.st_uid, status.st_mode & 0o777) == (65534, 0o660)
    second = somewhere(first + 1)
    master.configure(supervisor="  user: nobody", api=listen(f"127.0.0.1:{first}", f"127.0.0.1:{second}"))
    answer = master.ask("reload")
    assert (answer.status, answer.why) == (1, f"api.listen: 127.0.0.1:{second}: Permission denied")
    assert ask(f"127.0.0.1:{first}")[1] == 1


def test_socket_file_is_removed_only_by_its_owner(master, addresses):
    path = addresses[1][5:]
    master.configure(api=listen(addresses[1]))
    master.start()
    assert os.stat(path).st_mode & 0o777 == 0o660
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(path)
        master.signal(signal.SIGTERM)
        assert master.wait_exit() == 0
        assert os.path.exists(path), "it is somebody else's by now"


def test_file_that_is_no_socket_is_left_alone(master, addresses):
    path = addresses[1][5:]
    with open(path, "w", encoding="ascii") as precious:
        precious.write("precious\n")
    master.configure(api=listen(addresses[1]))
    done = master.daemon()
    assert done.returncode == 1 and "there is a file that is no socket" in done.stderr
    with open(path, encoding="ascii") as precious:
        assert precious.read() == "precious\n"


def test_socket_of_another_kind_is_left_alone(master, addresses):
    """It is alive, though nobody can connect to it."""
    path = addresses[1][5:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as another:
        another.bind(path)
        master.configure(api=listen(addresses[1]))
        done = master.daemon()
        assert done.returncode == 1 and "whether it is in use can't be seen" in done.stderr
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"still there", path)
        assert another.recv(100) == b"still there"


def test_stop_closes_the_door_at_once_and_finishes_what_is_inside(master, addresses):
    master.configure("api:linger=1 hold", api=listen(*addresses), drain_timeout="5m")
    master.start()
    pid = api_pid(master)
    with connect(addresses[1]) as client:
        master.wait_event(1, "accepts")
        master.signal(signal.SIGTERM)
        wait_until("nobody is let in", lambda: refused(addresses[0]) and refused(addresses[1]))
        assert master.status().one("daemon")["state"] == "stopping"
        assert client.makefile().readline() == f"{pid} 1\n"
    # The workers hold their jobs for as long as they may.
    master.signal(signal.SIGQUIT)
    assert master.wait_exit() == 0
    assert not os.path.exists(addresses[1][5:])


# -- the service manager's -------------------------------------------------------------------------


def environment_of(pid):
    """Empty for one that has just left, as those of the old generation do."""
    try:
        return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_sockets_of_the_service_manager_are_used_and_kept(master, addresses):
    path = addresses[1][5:]
    with socket.socket() as network, socket.socket(socket.AF_UNIX) as local:
        network.bind(("127.0.0.1", 0))
        local.bind(path)
        lent = [f"127.0.0.1:{network.getsockname()[1]}", addresses[1]]
        for each in network, local:
            each.listen()
        master.configure(api=listen(*lent))
        script = f"exec 3<&{network.fileno()} 4<&{local.fileno()}; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$@\""
        master.process = subprocess.Popen(
            ["bash", "-c", script, "bash", str(master.gantryd), "-f", "-c", str(master.file)], env=master.env(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            pass_fds=(network.fileno(), local.fileno()))
        master.pid = master.process.pid
        master.wait_log("ready: generation 1")
        for address in lent:
            assert ask(address)[1] == 1
        assert master.ask("upgrade").status == 0
        for address in lent:
            heard(address, 2)
        for pid in master.living():
            assert "LISTEN_" not in environment_of(pid)
        # It can be had only once, so it is kept while it is not wanted.
        master.configure(api=listen(lent[0]))
        assert master.ask("reload").status == 0
        master.configure(api=listen(*lent))
        assert master.ask("reload").status == 0
        for address in lent:
            heard(address, 4)
        master.signal(signal.SIGTERM)
        assert master.wait_exit() == 0
        assert os.path.exists(path)
