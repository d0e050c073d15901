# SPDX-License-Identifier: Apache-2.0
"""Every result reaches those who asked for it, at least once and under one id, or the failure to reach them is
visible; and no job waits for that."""

import base64
import hashlib
import hmac
import json
import os
import signal

import pytest

from conftest import free_port
from harness import send_jobs, wait_until
from receivers import MailServer, Receiver, SecureMailServer, make_certificate

SECRET = base64.b64encode(b"a secret of 24 bytes ...").decode()
OLD_SECRET = "plain and old"

CONFIGURATION = """
supervisor: {{ workers: {workers}, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state,
  drain_timeout: {drain}, lease: 12s }}
store: sqlite://{dir}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{aws}" }}
api: {{ listen: [ "unix:{dir}/api.sock" ], url: "https://gantry.example.com/" }}
queues:
  local: {{ type: store, default_deployer: shell }}
{queues}
deployers:
  shell:
    type: process
    command: [ /bin/sh, -c, "echo first; echo \\"the <last> line$$A_TOKEN\\"; until [ -e \\"{dir}/go-$$GANTRY_PROJECT\\" ]; do sleep 0.05; done; exit $${{CODE:-0}}" ]
    allow: {{ environment: ["CODE", "A_TOKEN"], notify: true }}
  other: {{ type: process, command: [ /bin/true ], lock: {{ policy: reject }} }}
notify:
{notify}
"""

ALL = "accepted, started, succeeded, failed, cancelled, superseded, uncertain"


class World:
    """A gantryd whose jobs end when told, and those it tells."""

    def __init__(self, directory, start):
        self.directory, self.start_daemon = directory, start
        self.receiver = Receiver()
        self.daemon = None

    def configure(self, *notify, workers=1, drain="2s", aws="http://127.0.0.1:9", queues=""):
        return CONFIGURATION.format(dir=self.directory, workers=workers, drain=drain, aws=aws,
                                    queues=queues, notify="\n".join(f"  - {{ {n} }}" for n in notify))

    def start(self, *notify, environment=None, **change):
        self.daemon = self.start_daemon(self.configure(*notify, **change), **(environment or {})).wait_ready()
        return self.daemon

    def hook(self, path="/hook", **more):
        keys = {"type": "webhook", "url": f'"{self.receiver.url}{path}"', "allow_private": "true", **more}
        return ", ".join(f"{key}: {value}" for key, value in keys.items())

    def go(self, *projects):
        for project in projects:
            (self.directory / f"go-{project}").touch()

    def submit(self, job, project=None, *words, wait=False, free=True):
        project = project or job
        if free:
            self.go(project)
        return self.daemon.ctl("submit", *(["--wait"] if wait else []), "--project", project, "--id", job, *words, check=False)

    def jobs(self, state):
        return json.loads(self.daemon.ctl("--json", "jobs", "--state", state).stdout)

    def outbox(self):
        return json.loads(self.daemon.ctl("--json", "outbox").stdout)

    def wait_posts(self, count, path="/hook"):
        wait_until(f"{count} posts to {path}", lambda: len(self.receiver.to(path)) >= count, 60)
        return self.receiver.to(path)

    def wait_told(self):
        wait_until("all is told", lambda: not self.outbox(), 60, pause=0.1)


@pytest.fixture
def world(tmp_path, gantry):
    made = World(tmp_path, gantry)
    yield made
    made.receiver.stop()


@pytest.fixture
def mail_server():
    server = MailServer()
    yield server
    server.stop()


def signature(secret, post):
    text = f"{post.id}.{post.headers['webhook-timestamp']}.".encode() + post.raw
    return "v1," + base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()


def test_webhook_is_told_every_event_once_signed_as_standard_webhooks_says(world):
    world.start(world.hook(when=f"[{ALL}]", secret=f"whsec_{SECRET}", old_secret=f'"{OLD_SECRET}"'))
    assert world.submit("a", wait=True).returncode == 0
    assert world.submit("b", None, "--env", "CODE=3", "--env", "A_TOKEN=hush-hush", wait=True).returncode != 0
    world.submit("c", "held", free=False)
    world.submit("d", "held", free=False)
    wait_until("d waits", lambda: json.loads(world.daemon.ctl("--json", "show", "d").stdout)["state"] == "waiting", 60)
    world.daemon.ctl("cancel", "d")
    world.go("held")
    posts = world.wait_posts(11)
    world.wait_told()
    told = sorted((p.json["data"]["id"], p.json["data"]["event"]) for p in posts)
    assert told == sorted([(job, event) for job in "abc" for event in ("accepted", "started")] + [
        ("a", "succeeded"), ("b", "failed"), ("c", "succeeded"), ("d", "accepted"), ("d", "cancelled")])
    assert len({p.id for p in posts}) == len(posts)
    for post in posts:
        assert post.json["type"] == f"job.{post.json['data']['event']}" and post.json["id"] == post.id
        assert post.headers["content-type"] == "application/json"
        assert post.headers["webhook-signature"].split(" ") == [
            signature(base64.b64decode(SECRET), post), signature(OLD_SECRET.encode(), post)]
    (failed,) = [p.json["data"] for p in posts if (p.json["data"]["id"], p.json["data"]["event"]) == ("b", "failed")]
    assert (failed["state"], failed["reason"], failed["exit_code"], failed["project"]) == ("failed", "exit_code", 3, "b")
    assert failed["log_tail"] == "first\nthe <last> line*********\n" and failed["url"] == "https://gantry.example.com/v1/jobs/b"
    assert failed["attempt"]["number"] == 1 and "token" not in failed["attempt"]


def then_ok(*first):
    """Answers one after the other, then 200."""
    left = list(first)
    return lambda post: left.pop(0) if left else (200, {}, b"")


def test_receiver_in_trouble_is_tried_again_under_one_id_until_it_takes_it(world, tmp_path):
    down = free_port()
    answers = world.receiver.answers
    answers["/error"] = then_ok((500, {}, b"oh"), (503, {"Retry-After": "1"}, b""))
    answers["/busy"] = then_ok((429, {"Retry-After": "2"}, b""))
    answers["/garbage"] = then_ok((0, {}, b"\x00\x01 this is no HTTP\r\n\r\n"))
    answers["/redirect"] = then_ok((302, {"Location": f"{world.receiver.url}/elsewhere"}, b""))
    answers["/long"] = lambda post: (200, {}, b"x" * 300000)
    answers["/gone"] = 410
    slow = []
    answers["/slow"] = lambda post: slow.append(1) or (world.receiver.hold.wait(60) if len(slow) == 1 else 0) and None or (200, {}, b"")
    hooks = [world.hook(f"/{name}", name=name) for name in ("error", "busy", "garbage", "redirect", "long", "gone")]
    world.start(*hooks, world.hook("/slow", name="slow", timeout="6s"),
                f'type: webhook, name: down, url: "http://127.0.0.1:{down}/hook", allow_private: true',
                world.hook("/private", name="private", allow_private="false", give_up_after="1s"))
    assert world.submit("a", wait=True).returncode == 0
    for name, tries in {"error": 3, "busy": 2, "garbage": 2, "redirect": 2, "slow": 2, "long": 1}.items():
        posts = world.wait_posts(tries, f"/{name}")
        assert len(posts) == tries and len({p.id for p in posts}) == 1, name
    assert world.receiver.to("/elsewhere") == [] and world.receiver.to("/private") == []
    wait_until("down was tried", lambda: [d for d in world.outbox() if d["sink"] == "down" and d["tries"] >= 2], 60)
    late = Receiver(down)
    try:
        wait_until("the late one is told", lambda: late.to("/hook"), 60)
        wait_until("two are given up", lambda: sorted((d["sink"], d["dead"]) for d in world.outbox()) == [
            ("gone", True), ("private", True)], 60, pause=0.1)
    finally:
        late.stop()
    dead = {d["sink"]: d for d in world.outbox()}
    assert dead["gone"]["tries"] == 1 and "410" in dead["gone"]["error"]
    assert 1 <= dead["private"]["tries"] <= 4 and "127.0.0.1 is no public address" in dead["private"]["error"]
    shown = json.loads(world.daemon.ctl("--json", "show", "a").stdout)["deliveries"]
    assert {d["sink"] for d in shown if d["dead"]} == {"gone", "private"} and len(shown) == 9
    world.receiver.answers["/gone"] = 200
    world.daemon.ctl("outbox", "replay", dead["gone"]["id"])
    posts = world.wait_posts(2, "/gone")
    assert len({p.id for p in posts}) == 1


def test_delivery_of_a_killed_worker_is_told_again_under_its_id_and_none_is_lost_over_a_restart(world):
    world.receiver.answers["/hook"] = None
    hooks = world.hook(timeout="60s"), world.hook("/other", name="other")
    daemon = world.start(*hooks, workers=2)
    world.submit("a")
    (first,) = world.wait_posts(1)
    holder = next(w["pid"] for w in daemon.workers() if connected(w["pid"], world.receiver.port))
    os.kill(holder, signal.SIGKILL)
    assert [p.id for p in world.wait_posts(2)] == [first.id] * 2
    # Told to leave at once, with the second try still without an answer.
    daemon.stop(signal.SIGQUIT)
    again = world.daemon = world.start_daemon(daemon.configuration.read_text()).wait_ready()
    assert {p.id for p in world.wait_posts(3)} == {first.id}
    # A drain doesn't wait for longer than it may, and what it leaves is told by the next generation.
    again.ctl("reload")
    assert {p.id for p in world.wait_posts(4)} == {first.id}
    world.receiver.answers["/hook"] = 200
    world.receiver.hold.set()
    world.wait_told()
    assert len({p.id for p in world.receiver.to("/hook")}) == 1 and len(world.receiver.to("/other")) == 1


def connected(pid, port):
    """Whether a process has a connection to a port, asked of /proc."""
    try:
        with open(f"/proc/{pid}/net/tcp") as table:
            inodes = {row.split()[9] for row in table.readlines()[1:]
                      if row.split()[2].endswith(f":{port:04X}") and row.split()[3] == "01"}
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


def test_mail_slack_redis_sns_and_a_program_are_told(world, mail_server, redis_server, awssim, tmp_path):
    sim = awssim("--no-auth", "--queue", "deploys")
    program = tmp_path / "tell"
    program.write_text(f'#!/bin/sh\necho "$GANTRY_EVENT $GANTRY_JOB $GANTRY_PROJECT" >> {tmp_path}/told\n'
                       f'cat > {tmp_path}/input\necho said\n[ "$GANTRY_PROJECT" != stuck ] || sleep 300\n')
    program.chmod(0o755)
    topic = "arn:aws:sns:us-east-1:123456789012:deploys.fifo"
    world.start(
        f'type: email, smtp: "{mail_server.url}", from: gantry@example.com, to: [ops@example.com, dev@example.com]',
        f'type: slack, url: "{world.receiver.url}/slack", allow_private: true, when: [failed], text: "<!here> {{{{ project }}}} {{{{ log_tail }}}}"',
        f'type: redis, url: "{redis_server.url}", list: results, key: "result:{{{{ id }}}}", ttl: 1h',
        f'type: sns, topic: "{topic}", subject: "{{{{ project }}}} {{{{ event }}}}"',
        f'type: exec, command: ["{program}", "x"], timeout: 12s, give_up_after: 1s', aws=sim.url,
        queues=f'  deploys: {{ type: sqs, url: "{sim.queue_url("deploys")}", wait_time: 1s, default_deployer: shell }}')
    hostile = "p: \u00e4\u20ac " + "x" * 90
    assert world.submit("a", hostile, "--env", "CODE=7", wait=True).returncode != 0
    world.wait_told()
    (sender, to, mail), = mail_server.mails
    assert (sender, to) == ("<gantry@example.com>", ["<ops@example.com>", "<dev@example.com>"])
    assert mail["Subject"] == f"[gantry] {hostile}: failed" and mail["From"] == "gantry@example.com"
    plain, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    assert "exit code 7" in plain and "the <last> line" in plain and "https://gantry.example.com/v1/jobs/a" in plain
    assert "the &lt;last&gt; line" in html and 'href="https://gantry.example.com/v1/jobs/a"' in html
    assert all(len(line) <= 998 for line in mail_server.raw[0].split(b"\r\n"))
    (slack,) = world.receiver.to("/slack")
    assert slack.json == {"text": f"<!here> {hostile} first\nthe &lt;last&gt; line\n"}
    result = json.loads(redis_server.cli("get", "result:a"))
    assert result == json.loads(redis_server.cli("lindex", "results", "0")) and result["data"]["exit_code"] == 7
    assert 3000 < int(redis_server.cli("ttl", "result:a")) <= 3600
    (published,) = sim.get("/_account/published")["published"]
    assert published["TopicArn"] == topic and json.loads(published["Message"])["id"] == result_id(published, result)
    assert (tmp_path / "told").read_text() == f"failed a {hostile}\n"
    assert json.loads((tmp_path / "input").read_text())["data"] == result["data"]
    world.daemon.wait_for("it printed: said", 60)
    # One that doesn't end is killed, and delays nobody.
    assert world.submit("b", "stuck", wait=True).returncode == 0
    wait_until("the others are told", lambda: len(mail_server.mails) == 2, 60)
    # A message whose job is refused at once, as its lock is taken, has its end told too.
    send_jobs(world.daemon, [{"id": "c", "project": "held"}])
    wait_until("c runs", lambda: '"running"' in world.daemon.ctl("--json", "jobs").stdout, 60)
    send_jobs(world.daemon, [{"id": "d", "project": "held", "deployer": "other"}])
    wait_until("d is told", lambda: json.loads(redis_server.cli("get", "result:d").strip() or "{}").get("type") == "job.failed", 60)
    assert json.loads(redis_server.cli("get", "result:d"))["data"]["reason"] == "locked"
    world.go("held")
    wait_until("the program is killed", lambda: [d for d in world.outbox() if "killed after its timeout" in (d["error"] or "")], 60)


def test_mail_server_that_takes_its_time_keeps_nobody_else_waiting(world, mail_server):
    world.start(f'type: email, smtp: "{mail_server.url}", from: gantry@example.com, to: [ops@example.com], when: [succeeded], '
                'timeout: 5m', world.hook(when="[succeeded]"))
    mail_server.hold.clear()
    assert world.submit("a", wait=True).returncode == 0
    wait_until("the mail is there", lambda: mail_server.mails, 60)
    assert world.submit("b", wait=True).returncode == 0
    wait_until("both are told by webhook", lambda: {p.json["data"]["id"] for p in world.receiver.posts} == {"a", "b"}, 60)
    # All that while the mail server had said nothing: the first try of no mail has ended.
    assert {d["tries"] for d in world.outbox() if d["sink"] == "email"} == {0}
    mail_server.hold.set()
    world.wait_told()
    assert sorted(mail["Subject"] for _, _, mail in mail_server.mails) == ["[gantry] a: succeeded", "[gantry] b: succeeded"]


def test_password_is_told_to_the_right_mail_server_alone_and_nobody_else(world, mail_server, tmp_path):
    password, wrong = "right-p\u00e4ss'word", "wrong-password"
    trusted, stranger = make_certificate(tmp_path, "trusted"), make_certificate(tmp_path, "stranger")
    servers = starttls, tls, other = [
        SecureMailServer(free_port(), certificate, "gantry", password, from_the_first_byte)
        for certificate, from_the_first_byte in ((trusted, False), (trusted, True), (stranger, False))]

    def mail(name, url, *more):
        return ", ".join((f'type: email, name: {name}, smtp: "{url}", from: gantry@example.com, to: [{name}@example.com]', *more))

    def login(with_password):
        return f'user: gantry, password: "{with_password}"'

    try:
        world.start(mail("right", starttls.url, login(password)), mail("smtps", tls.url, login(password)),
                    mail("required", starttls.url, login(password), "starttls: required"),
                    mail("wrong", starttls.url, login(wrong)), mail("nobody", starttls.url, "starttls: required"),
                    mail("stranger", other.url, login(password)), mail("untrusted", other.url, "starttls: required"),
                    mail("unprotected", mail_server.url, login(password)),
                    mail("plain", mail_server.url, "starttls: required"),
                    environment={"SSL_CERT_FILE": str(trusted[0])})
        assert world.submit("a", wait=True).returncode == 0
        refused = {"wrong", "nobody", "stranger", "untrusted", "unprotected", "plain"}
        left = wait_until("the others are told", lambda: (o := world.outbox()) and {d["sink"] for d in o} == refused and
                          all(d["tries"] for d in o) and {d["sink"]: d for d in o}, 60, pause=0.1)
        assert sorted(m["To"] for m in starttls.mails + tls.mails) == [
            "required@example.com", "right@example.com", "smtps@example.com"]
        assert len(tls.mails) == 1 and other.mails == mail_server.mails == []
        # Who is not who he should be, or cannot be talked to in private, is asked for nothing.
        assert other.logins == [] and set(starttls.logins) == {("gantry", password), ("gantry", wrong)}
        assert "authenti" in left["wrong"]["error"].lower() or "Login denied" in left["wrong"]["error"], left["wrong"]["error"]
        for name in ("stranger", "untrusted"):
            assert "certificate" in left[name]["error"].lower(), left[name]["error"]
        for name in ("unprotected", "plain"):
            assert "STARTTLS" in left[name]["error"] or "SSL" in left[name]["error"], left[name]["error"]
        told = world.daemon.text() + json.dumps(world.outbox(), ensure_ascii=False) + \
            world.daemon.ctl("--json", "show", "a").stdout + world.daemon.ctl("conf").stdout
        for secret in (password, wrong):
            for form in (secret, base64.b64encode(secret.encode()).decode(), base64.b64encode(f"\0gantry\0{secret}".encode()).decode()):
                assert form not in told
    finally:
        for server in servers:
            server.stop()


def result_id(published, result):
    """Deliveries of one event to two sinks have ids of their own; SNS has the delivery's twice."""
    assert published["MessageDeduplicationId"] != result["id"]
    return published["MessageDeduplicationId"]


def test_job_names_whom_to_tell_where_that_is_allowed(world, mail_server):
    world.start(f'type: email, smtp: "{mail_server.url}", from: gantry@example.com, to: [ops@example.com], when: [cancelled]')
    job = {"id": "a", "project": "a", "notify": ["dev@example.com", f"{world.receiver.url}/hook", "http://169.254.169.254/x"]}
    for name, more in ("a", {}), ("b", {"deployer": "other"}):
        (world.directory / f"{name}.json").write_text(json.dumps({**job, "id": name, "project": name, **more}))
        world.go(name)
    assert world.daemon.ctl("submit", "--wait", world.directory / "a.json").returncode == 0
    wait_until("the address is told", lambda: mail_server.mails, 60)
    assert mail_server.mails[0][1] == ["<dev@example.com>"]
    # What a stranger names must be public, and is not tried twice.
    dead = wait_until("two are given up", lambda: (o := world.outbox()) and all(d["dead"] for d in o) and len(o) == 2 and o, 60)
    assert {d["tries"] for d in dead} == {1} and all("no public address" in d["error"] for d in dead)
    assert world.receiver.posts == []
    assert world.daemon.ctl("submit", "--wait", world.directory / "b.json", check=False).returncode != 0
    refused = json.loads(world.daemon.ctl("--json", "show", "b").stdout)
    assert "notify" in refused["detail"] and {d["sink"] for d in refused["deliveries"]} == {"(nobody)"}


def test_job_that_is_cancelled_before_any_worker_has_seen_it_is_told(world):
    world.start(world.hook(when="[cancelled]"))
    (worker,) = [w["pid"] for w in world.daemon.workers() if w["role"] == "worker"]
    os.kill(worker, signal.SIGSTOP)
    try:
        assert world.submit("a", free=False).returncode == 0
        assert world.daemon.ctl("cancel", "a", check=False).returncode == 0
    finally:
        os.kill(worker, signal.SIGCONT)
    (post,) = world.wait_posts(1)
    assert post.json["type"] == "job.cancelled" and post.json["data"]["id"] == "a"


def test_deliveries_wait_their_turn_at_a_limited_sink_and_no_job_waits_for_them(world):
    world.start(world.hook(rate=60), world.hook("/free", name="free"))
    for name in "abcd":
        assert world.submit(name, wait=True).returncode == 0
    assert len(world.wait_posts(4, "/free")) == 4
    posts = world.wait_posts(4)
    stamps = [int(p.headers["webhook-timestamp"]) for p in posts]
    # Each second brings one: four take three seconds and more, however fast they came.
    assert stamps[-1] - stamps[0] >= 2
    assert world.outbox() == [] or world.wait_told() is None


@pytest.mark.parametrize("reloaded", [False, True])
def test_what_ends_while_gantryd_stops_is_told_before_it_has_left(world, reloaded):
    world.start(world.hook(), world.hook("/limited", name="limited", rate=1), world.hook("/failing", name="failing"),
                drain="5m")
    world.receiver.answers["/failing"] = 500
    assert world.submit("first", wait=True).returncode == 0
    world.wait_posts(1, "/limited")
    wait_until("it failed", lambda: [d for d in world.outbox() if d["tries"] > 0], 60)
    for job in "abc":
        world.submit(job, free=False)
    wait_until("they run", lambda: {j["id"] for j in world.jobs("running")} == set("abc"), 60)
    if reloaded:
        # Their worker drains already, and believes that others come after it.
        world.daemon.ctl("reload")
        world.daemon.wait_for(r"draining: ")
    world.daemon.signal(signal.SIGTERM)
    world.daemon.wait_for(r"draining: ", count=2 if reloaded else 1)
    world.go(*"abc")
    # Neither a receiver in trouble nor one whose turns are minutes apart is waited for.
    assert world.daemon.wait(120) == 0
    assert sorted(p.json["data"]["id"] for p in world.receiver.to("/hook")) == ["a", "b", "c", "first"]
    assert len(world.receiver.to("/limited")) < 4
    assert {p.json["data"]["id"] for p in world.receiver.to("/failing")} == {"first"}


def test_drain_does_not_wait_for_the_turn_of_deliveries_which_the_next_generation_takes(world):
    world.start(world.hook(rate=1), drain="5m")
    for name in "abc":
        assert world.submit(name, wait=True).returncode == 0
    world.wait_posts(1)
    old = [worker["pid"] for worker in world.daemon.workers()]
    world.daemon.ctl("reload")
    # The next generation's first turn; the old worker had its own, and leaves two that would take it minutes.
    wait_until("the old worker has left", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in old), 60)
    assert len({p.id for p in world.wait_posts(2)}) == 2
