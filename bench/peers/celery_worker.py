# SPDX-License-Identifier: Apache-2.0
"""Celery's worker from Debian, with Redis and with its SQS transport, four processes in its pool."""

import base64
import subprocess
import sys
from pathlib import Path

import botocore.config
import botocore.session

from harness import CREDENTIALS, Program, RedisServer, clean_environment
from lib.backlog import Backlog
from lib.daemon import free_port

POOL = 4
HERE = Path(__file__).resolve().parent
LIST = "celery"                         # Celery's default queue
BACKLOG_DB = "1"                        # where nobody reads it

SENDER = """
import sys
from deploy_app import deploy
for line in sys.stdin:
    deploy.delay(line.strip())
"""


class RedisBacklog(Backlog):
    """The messages are Celery's own, in another database of Redis until the release."""

    def __init__(self, bench, directory, jobs):
        super().__init__(bench, directory, jobs)
        self.redis = bench.keep(RedisServer(directory, free_port()))

    def fill(self):
        send(self, self.redis)

    def environment(self):
        return surroundings(self.sim, self.redis.url, self.url)

    def open_up(self):
        self.redis.cli("-n", BACKLOG_DB, "MOVE", LIST, "0")

    def all_done(self):
        """Celery takes a message off Redis before it runs the task."""
        return self.sim.get("/_account")["tasks"]["created"]

    def end_ms(self):
        return max(task["created_ms"] for task in self.entries("tasks"))


class SqsBacklog(Backlog):
    """Celery's messages, as its SQS transport writes them: the JSON that Redis gets, in base64."""

    def fill(self):
        redis = self.bench.keep(RedisServer(self.directory, free_port()))
        send(self, redis)
        lines = redis.cli("-n", BACKLOG_DB, "LRANGE", LIST, "0", "-1").splitlines()
        bodies = [base64.b64encode(line.encode()).decode() for line in lines]
        client = botocore.session.get_session().create_client(
            "sqs", region_name=CREDENTIALS["AWS_REGION"], endpoint_url=self.sim.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(retries={"max_attempts": 0}))
        for at in range(0, self.jobs, 10):
            answer = client.send_message_batch(QueueUrl=self.url, Entries=[
                {"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[at:at + 10])])
            assert len(answer["Successful"]) == len(bodies[at:at + 10]), answer
        redis.stop()

    def environment(self):
        key, secret = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        return surroundings(self.sim, f"sqs://{key}:{secret}@127.0.0.1:{self.sim.port}", self.url)


def surroundings(sim, broker, queue_url):
    return clean_environment(**CREDENTIALS, ENDPOINT_URL=sim.url, BROKER_URL=broker, QUEUE_URL=queue_url,
                             PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1")


def send(backlog, redis):
    """Has Celery itself write the messages."""
    url = f"{redis.url.removesuffix('0')}{BACKLOG_DB}"
    subprocess.run([sys.executable, "-c", SENDER], env=surroundings(backlog.sim, url, backlog.url), cwd=backlog.directory,
                   input="\n".join(backlog.projects()), text=True, check=True, timeout=300)
    assert int(redis.cli("-n", BACKLOG_DB, "LLEN", LIST)) == backlog.jobs


class CeleryWorker(Program):
    def __init__(self, bench, directory, backlog):
        super().__init__([sys.executable, "-m", "celery", "-A", "deploy_app", "worker", "--concurrency", str(POOL)],
                         directory, "celery", env=backlog.environment())
        bench.keep(self)
        self.wait_for("deploy_app is ready", timeout=60)

    @property
    def roots(self):
        return [self.pid]

    def complaints(self):
        return "\n".join(line for line in self.text().splitlines() if "ERROR" in line or "Error" in line)
