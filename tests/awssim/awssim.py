# SPDX-License-Identifier: Apache-2.0
"""awssim for tests written in Python: starts one, calls it, asks it what it saw.

    with Awssim("--queue", "jobs") as aws:
        aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs"), MessageBody="hello")
        aws.fault(action="RunTask", kind="lost_answer")
        aws.stats()

The AWS JSON calls are signed by botocore's SigV4; clients of whole services come from
aws.client("sqs").  The simulator ends with its `with`, or with the test process if that dies.
"""
import http.client
import json
import os
import subprocess
import threading

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session

ACCESS_KEY = "AKIDSIM"
SECRET_KEY = "simsecret"
TARGETS = {"sqs": ("AmazonSQS", "application/x-amz-json-1.0"),
           "ecs": ("AmazonEC2ContainerServiceV20141113", "application/x-amz-json-1.1"),
           "logs": ("Logs_20140328", "application/x-amz-json-1.1")}


def find_awssim():
    """The binary: $AWSSIM, or where the build in $BUILDDIR (default: here) leaves it."""
    if "AWSSIM" in os.environ:
        return os.environ["AWSSIM"]
    return os.path.join(os.environ.get("BUILDDIR", "."), "tests", "awssim", "awssim")


class AwsError(Exception):
    """An error answer: .code is the shape's name, .query_code the older one of SQS, or None."""

    def __init__(self, status, headers, body):
        self.status = status
        self.body = json.loads(body)
        self.code = self.body["__type"].split("#")[-1]
        self.message = self.body.get("message", "")
        self.query_code = headers.get("x-amzn-query-error")
        super().__init__(f"{status} {self.code}: {self.message}")


class Awssim:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [find_awssim(), "--parent-pipe", "0", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("awssim: listening on "):
            self.process.wait()
            raise RuntimeError(f"awssim did not start: {line!r}")
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.session = botocore.session.Session()
        self._local = threading.local()

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        status = self.close()
        assert kind is not None or status == 0, f"awssim ended with {status}"

    def close(self):
        """Ends the simulator and gives its exit status."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=20)

    # -- raw HTTP, one kept connection a thread

    def request(self, method, path, headers=None, body=None, fresh=False):
        """(status, headers, body as bytes)"""
        connection = getattr(self._local, "connection", None)
        if connection is None or fresh:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self._local.connection = connection
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._local.connection = None
            raise

    # -- AWS JSON

    def signed_headers(self, service, action, body, access_key=ACCESS_KEY, secret=SECRET_KEY,
                       token=None, scope=None):
        prefix, content_type = TARGETS[service]
        request = botocore.awsrequest.AWSRequest(
            "POST", self.url + "/", data=body,
            headers={"Content-Type": content_type, "X-Amz-Target": f"{prefix}.{action}"})
        credentials = botocore.credentials.Credentials(access_key, secret, token)
        botocore.auth.SigV4Auth(credentials, scope or service, "us-east-1").add_auth(request)
        return dict(request.headers.items())

    def call(self, service, action, members, **signing):
        body = json.dumps(members).encode()
        headers = self.signed_headers(service, action, body, **signing)
        status, headers, answer = self.request("POST", "/", headers, body)
        if status != 200:
            raise AwsError(status, headers, answer)
        return json.loads(answer) if answer else {}

    def sqs(self, action, **members):
        return self.call("sqs", action, members)

    def ecs(self, action, **members):
        return self.call("ecs", action, members)

    def logs(self, action, **members):
        return self.call("logs", action, members)

    def client(self, service, access_key=ACCESS_KEY, secret=SECRET_KEY, token=None):
        """botocore's own client, without retries, so that a test sees every answer."""
        return self.session.create_client(
            service, region_name="us-east-1", endpoint_url=self.url,
            aws_access_key_id=access_key, aws_secret_access_key=secret, aws_session_token=token,
            config=botocore.config.Config(retries={"total_max_attempts": 1}))

    def queue_url(self, name):
        return f"{self.url}/000000000000/{name}"

    # -- the simulator's own calls

    def admin(self, method, path, **members):
        body = json.dumps(members).encode() if members else None
        status, _, answer = self.request(method, path, {}, body)
        answer = json.loads(answer)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def fault(self, **rule):
        return self.admin("POST", "/_admin/fault", **rule)

    def no_faults(self):
        return self.admin("DELETE", "/_admin/fault")

    def advance(self, seconds):
        return self.admin("POST", "/_admin/clock", advance_s=seconds)

    def stats(self):
        return self.admin("GET", "/_stats")

    def calls(self, action):
        """How often an action was called, whatever came of it."""
        return sum(self.stats()["calls"].get(action, {}).values())

    def account(self, kind, **filters):
        """All messages, tasks or published notifications that fit, whatever their number."""
        entries, after = [], 0
        while after is not None:
            query = "&".join(f"{name}={value}" for name, value in
                             {"after": after, **filters}.items())
            page = self.admin("GET", f"/_account/{kind}?{query}")
            entries += page[kind]
            after = page.get("next")
        return entries

    def summary(self, env=None):
        return self.admin("GET", "/_account" + (f"?env={env}" if env else ""))
