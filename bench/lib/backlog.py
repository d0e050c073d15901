# SPDX-License-Identifier: Apache-2.0
"""A simulator of SQS and ECS whose queue holds a backlog that everybody gets to see in one moment.

The queue delays its messages for 15 minutes, so that consumers can be started, asked for their idle memory and left to
settle beside a full queue; then the simulator's clock is put forward.  What is measured between release() and the last
deletion is therefore the draining alone, not the start of anybody's runtime.  Times are the simulator's own."""

import json
import subprocess

from harness import CREDENTIALS, AwsSim, clean_environment, wait_until

DELAY_S = 900
VISIBILITY_S = 30
QUEUE = "jobs"
# Not what a job costs: how often one looks whether tasks have ended depends on how long they take.
WATCHING = "DescribeTasks"
PAGE = 5000
STALLED_S = 60


def calls_of(stats):
    """{action: calls}, whatever became of them."""
    return {action: sum(outcomes.values()) for action, outcomes in stats["calls"].items()}


class Backlog:
    """Tasks end by themselves, 250 ms after they were asked for.  It can be filled and released several times; the figures
    are of the last time."""

    def __init__(self, bench, directory, jobs):
        self.bench, self.directory, self.jobs = bench, directory, jobs
        self.earlier = 0            # jobs of the times before
        self.sim = bench.keep(AwsSim(directory, "--queue", f"{QUEUE}:DelaySeconds={DELAY_S},VisibilityTimeout={VISIBILITY_S}"))
        self.url = self.sim.queue_url(QUEUE)
        self.before, self.released_ms = {}, 0

    def fill(self):
        """Sends the jobs, each of a project of its own, so that no two wait for one another."""
        conf = self.directory / "send.yaml"
        conf.write_text(f'supervisor: {{ control_socket: "{self.directory}/none.sock" }}\nstore: "sqlite://{self.directory}/none.db"\n'
                        f'aws: {{ region: us-east-1, endpoint_url: "{self.sim.url}" }}\n'
                        f'queues: {{ {QUEUE}: {{ type: sqs, url: "{self.url}", default_deployer: d }} }}\n'
                        'deployers: { d: { type: process, command: ["true"] } }\n')
        lines = "".join(json.dumps({"project": project}) + "\n" for project in self.projects())
        done = subprocess.run([str(self.bench.build / "gantryctl"), "-c", str(conf), "send", QUEUE, "-"], input=lines, text=True,
                              capture_output=True, timeout=300, check=False,
                              env=clean_environment(**CREDENTIALS, GANTRY_LIBEXECDIR=str(self.bench.build)))
        assert done.returncode == 0, done.stderr[-2000:]

    def projects(self):
        return [f"project-{i}" for i in range(self.earlier, self.earlier + self.jobs)]

    def again(self, jobs):
        """For another fill() and release(), of so many."""
        self.earlier += self.jobs
        self.jobs = jobs

    def release(self):
        """Everything can be received from now on; the calls made so far no longer count."""
        self.before = calls_of(self.sim.stats())
        self.open_up()
        self.released_ms = self.sim.stats()["now_ms"]

    def open_up(self):
        self.sim.post("/_admin/clock", {"advance_s": DELAY_S + 1})

    def all_done(self):
        """How many jobs are over since the simulator's start, as far as the consumer cares."""
        return self.sim.get("/_account")["messages"]["deleted"]

    def done(self):
        return self.all_done() - self.earlier

    def wait_done(self, jobs, stalled_s=STALLED_S):
        """Waits as long as it goes on: that nothing has ended for stalled_s is a failure."""
        last = self.done()
        while last < jobs:
            last = wait_until(f"{last} of {self.jobs} jobs are over, and no more", lambda: self.more_than(last), stalled_s, pause=0.1)

    def more_than(self, last):
        now = self.done()
        return now if now > last else None

    def wait_idle(self, receivers, timeout=120):
        """Waits until so many receives find nothing; returns how many messages are hidden then."""
        def idle():
            queue = self.sim.stats()["queues"][QUEUE]
            return queue if queue["ready"] == 0 and queue["waiters"] >= receivers else None

        return wait_until("an empty queue", idle, timeout, pause=0.1)["in_flight"]

    def entries(self, kind):
        """Every "messages" or "tasks" entry of the simulator's account."""
        after = 0
        while after is not None:
            page = self.sim.get(f"/_account/{kind}?limit={PAGE}&after={after}")
            yield from page[kind]
            after = page["next"]

    def end_ms(self):
        return max(message["deletes"][0] for message in self.entries("messages"))

    def drained_s(self):
        """From the release to the last job's end."""
        return (self.end_ms() - self.released_ms) / 1000

    def launched_s(self):
        """From the release to the last RunTask."""
        return (max(task["created_ms"] for task in self.entries("tasks")) - self.released_ms) / 1000

    def calls_per_job(self):
        """(all but DescribeTasks, DescribeTasks), since the release."""
        made = {action: count - self.before.get(action, 0) for action, count in calls_of(self.sim.stats()).items()}
        watching = made.pop(WATCHING, 0)
        return sum(made.values()) / self.jobs, watching / self.jobs

    def launches(self):
        """(projects launched at all, projects launched more than once), those of the times before included."""
        found = self.sim.get("/_account?env=PROJECT")["environment"]
        return found["distinct"], len(found["doubled"])
