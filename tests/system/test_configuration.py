# SPDX-License-Identifier: Apache-2.0
"""gantry-check: a configuration is understood as it is documented, or all of its errors are named."""

import os
import pathlib
import pwd
import re
import resource
import subprocess
import time

import pytest

BUILDDIR = pathlib.Path(os.environ.get("BUILDDIR", "."))
SOURCE = pathlib.Path(__file__).resolve().parents[2]
CHECK = BUILDDIR.resolve() / "gantry-check"

QUEUES = """\
queues:
  q: { type: sqs, url: "http://localhost/1/q" }
"""
DEPLOYERS = """\
deployers:
  d: { type: ecs, task_definition: t, container: c }
"""
GOOD = QUEUES + DEPLOYERS         # four lines


def check(directory, text, *options, environment=None, name="gantry.yaml"):
    """Runs gantry-check in directory on text (or on what is there already, without a text)."""
    if text is not None:
        (directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return subprocess.run([CHECK, *options, name], cwd=directory, capture_output=True, timeout=60, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": "/home/nobody", **(environment or {})})


def canonical(directory, text, environment=None, options=()):
    done = check(directory, text, "--canonical", *options, environment=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    if "--mask" not in options:
        assert lines[0] == "gantry-configuration 1"
        assert re.fullmatch(rf"end {len(lines) - 2} [0-9a-f]{{16}}", lines[-1])
        lines = lines[1:-1]
    return dict(line.split("\t", 1) for line in lines)


# -- what is wrong -------------------------------------------------------------------------------

def queue(rest):
    return f"queues:\n  q: {{ type: sqs, url: http://h/a/q, {rest} }}\n" + DEPLOYERS


def deployer(rest):
    return QUEUES + f"deployers:\n  d: {{ type: ecs, task_definition: t, container: c, {rest} }}\n"


URL = "expected a URL that starts with https:// or http://, found"
QUEUE_URL = "expected a queue's URL, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, found"
ADDRESS = "expected ADDRESS:PORT, [ADDRESS]:PORT or unix:/path (names are not looked up), found"
STORE = ("expected a URL that starts with sqlite:///, redis://, rediss://, redis+sentinel://, unix:///, postgresql://, postgres:// "
         "or memory:, found")
NO_ELEMENTS = "expected at least one name with a section of keys, found"
NAMES = "id project deployer queue commit ref stage attempt fence body payload.NAME"

BAD = {
    "an empty file": ("", [
        f"1:1: queues: {NO_ELEMENTS} nothing",
        f"1:1: deployers: {NO_ELEMENTS} nothing"]),
    "sections without anything": ("queues:\ndeployers: {}\n", [
        f"1:8: queues: {NO_ELEMENTS} nothing",
        f"2:12: deployers: {NO_ELEMENTS} nothing"]),
    "sections of the wrong kind": ("queues: []\ndeployers: x\n", [
        f"1:9: queues: {NO_ELEMENTS} a list",
        f'2:12: deployers: {NO_ELEMENTS} "x"']),
    "a list for a document": ("- a\n", ["1:1: document: expected a section of keys, found a list"]),
    "a text for a document": ("text", ['1:1: document: expected a section of keys, found "text"']),
    "an unknown key at the top": ("supervisr: {}\n" + GOOD, [
        '1:1: supervisr: expected a known key, found "supervisr"; did you mean "supervisor"?']),
    "an unknown key": ("supervisor:\n  workes: 3\n" + GOOD, [
        '2:3: supervisor.workes: expected a known key, found "workes"; did you mean "workers"?']),
    "a key like no other": ("supervisor:\n  zzz: 3\n" + GOOD, [
        '2:3: supervisor.zzz: expected a known key, found "zzz"']),
    "a key that only programs use": ("environment: { A: b }\n" + GOOD, [
        '1:1: environment: expected a known key, found "environment"']),
    "too few": ("supervisor: { workers: 0 }\n" + GOOD, [
        '1:24: supervisor.workers: expected a whole number from 1 to 512, found "0"']),
    "too many": ("supervisor: { workers: 513 }\n" + GOOD, [
        '1:24: supervisor.workers: expected a whole number from 1 to 512, found "513"']),
    "no number": ("supervisor: { workers: four }\n" + GOOD, [
        '1:24: supervisor.workers: expected a whole number from 1 to 512, found "four"']),
    "a list for a number": ("supervisor: { workers: [1] }\n" + GOOD, [
        "1:24: supervisor.workers: expected a whole number from 1 to 512, found a list"]),
    "a number for a section": ("supervisor: 4\n" + GOOD, [
        '1:13: supervisor: expected a section of keys, found "4"']),
    "a duration without unit": ("supervisor: { drain_timeout: 30 }\n" + GOOD, [
        '1:30: supervisor.drain_timeout: expected a duration of up to 1h, found "30"; did you mean "30s"?']),
    "a duration with a wrong unit": ("supervisor: { drain_timeout: 30sec }\n" + GOOD, [
        '1:30: supervisor.drain_timeout: expected a duration of up to 1h, found "30sec"']),
    "a duration that is too short": ("supervisor: { watchdog: 100ms }\n" + GOOD, [
        '1:25: supervisor.watchdog: expected a duration from 1s to 1h, or 0 (off), found "100ms"']),
    "a relative path": ("supervisor: { pid_file: gantryd.pid }\n" + GOOD, [
        '1:25: supervisor.pid_file: expected an absolute path, found "gantryd.pid"']),
    "a socket path that no socket takes": (f"supervisor: {{ control_socket: /{'x' * 107} }}\n" + GOOD, [
        "1:31: supervisor.control_socket: expected an absolute path of at most 107 bytes, found "
        f'"/{"x" * 63}..."']),
    "one path for two files": ("supervisor: { pid_file: /a, control_socket: /a }\n" + GOOD, [
        "1:45: supervisor.control_socket: expected another path than pid_file, found the same"]),
    "a ceiling below the start": ("supervisor: { restart_delay: 1m, restart_delay_max: 1s }\n" + GOOD, [
        "1:53: supervisor.restart_delay_max: expected at least restart_delay (1m), found 1s"]),
    "an unknown level": ("log: { level: warning }\n" + GOOD, [
        '1:15: log.level: expected debug, info, warn or error, found "warning"; did you mean "warn"?']),
    "a misspelt word": ("log: { format: josn }\n" + GOOD, [
        '1:16: log.format: expected logfmt or json, found "josn"; did you mean "json"?']),
    "a misspelt target": ("log: { to: stdeer }\n" + GOOD, [
        '1:12: log.to: expected stderr or syslog, or an absolute path, found "stdeer"; did you mean "stderr"?']),
    "a store of another kind": ("store: mysql://h/gantry\n" + GOOD, [
        f'1:8: store: {STORE} "mysql://h/gantry"']),
    "a store without a path": ("store: sqlite://gantry.db\n" + GOOD, [
        f'1:8: store: {STORE} "sqlite://gantry.db"']),
    "a Redis list without its keys": ("queues:\n  a: { type: redis }\n" + DEPLOYERS, [
        "2:6: queues.a.url: expected a URL that starts with redis://, rediss://, redis+sentinel:// or unix:///, found nothing",
        "2:6: queues.a.list: expected a line of text of at most 512 bytes, found nothing"]),
    "a Redis list on another server": ("queues:\n  a: { type: redis, url: https://h/a/q, list: x }\n" + DEPLOYERS, [
        '2:26: queues.a.url: expected a URL that starts with redis://, rediss://, redis+sentinel:// or unix:///, found "https://h/a/q"']),
    "a Redis list taken from its middle": (
        "queues:\n  a: { type: redis, url: redis://h, list: x, pop: middle, wait_time: 1s }\n" + DEPLOYERS, [
            '2:51: queues.a.pop: expected right or left, found "middle"',
            '2:59: queues.a.wait_time: expected a key for this type, found "wait_time", which is for type sqs']),
    "an SQS queue with a list": (queue("list: x"), [
        '2:38: queues.q.list: expected a key for this type, found "list", which is for type redis']),
    "a store's queue with a URL": ("queues:\n  q: { type: store, url: redis://h }\n" + DEPLOYERS, [
        '2:21: queues.q.url: expected a key for this type, found "url", which is for type redis or sqs or redis-stream']),
    "a deployer type that is none": (QUEUES + "deployers:\n  d: { type: proces, command: [a] }\n", [
        '4:14: deployers.d.type: expected ecs or process, found "proces"; did you mean "process"?']),
    "keys of another type": (QUEUES + "deployers:\n  d: { type: process, command: [a], cluster: c }\n"
                             "  e: { type: ecs, task_definition: t, container: c, nice: 5 }\n", [
        '4:37: deployers.d.cluster: expected a key for this type, found "cluster", which is for type ecs',
        '5:53: deployers.e.nice: expected a key for this type, found "nice", which is for type process']),
    "a local command without one": (QUEUES + "deployers:\n  d: { type: process }\n", [
        "4:6: deployers.d.command: expected command or commands, or allow.command, found none"]),
    "a local command twice": (QUEUES + "deployers:\n  d: { type: process, command: [a], commands: [b] }\n", [
        "4:47: deployers.d.commands: expected command or commands, found both"]),
    "a local command's odd values": (QUEUES + """deployers:
  d:
    type: process
    command: [ "" ]
    umask: "888"
    directory: srv/x
    dotenv: a/../b
    user: no-such-user-here
    limits: { cpu: 1500ms, log: 1 }
    stages: { s: {}, t: { environment: { GANTRY_RESULT: x } } }
    cgroup: sometimes
""", [
        "6:14: deployers.d.command: expected a program first, found an empty text",
        '7:12: deployers.d.umask: expected an octal mask from 0 to 777, found "888"',
        '8:16: deployers.d.directory: expected an absolute path, found "srv/x"',
        '9:13: deployers.d.dotenv: expected a path without "..", found "a/../b"',
        '10:11: deployers.d.user: expected a user of this host, found "no-such-user-here"',
        '11:20: deployers.d.limits.cpu: expected whole seconds, as the kernel takes them, found "1500ms"',
        '11:33: deployers.d.limits.log: expected a size from 1KiB to 16GiB, found "1"',
        "12:18: deployers.d.stages.s: expected refs or environment, found neither",
        '12:57: deployers.d.stages.t.environment.GANTRY_RESULT: expected a name that gantry does not set itself, found '
        '"GANTRY_RESULT"',
        '13:13: deployers.d.cgroup: expected none or auto, or an absolute path of at most 2000 bytes, found '
        '"sometimes"']),
    "a misspelt queue type": ("queues:\n  q: { type: sqss, url: http://h/a/q }\n" + DEPLOYERS, [
        '2:14: queues.q.type: expected sqs, redis, redis-stream or store, found "sqss"; did you mean "sqs"?']),
    "a queue without type and URL": ("queues:\n  q: {}\n" + DEPLOYERS, [
        "2:6: queues.q.type: expected sqs, redis, redis-stream or store, found nothing"]),
    "a queue's URL of another scheme": ("queues:\n  q: { type: sqs, url: ftp://h/q }\n" + DEPLOYERS, [
        f'2:24: queues.q.url: {URL} "ftp://h/q"']),
    "a queue's URL without a queue": ("queues:\n  q: { type: sqs, url: https://example.com/ }\n" + DEPLOYERS, [
        f'2:24: queues.q.url: {QUEUE_URL} "https://example.com/"']),
    "a queue's URL without an account": (
        "queues:\n  q: { type: sqs, url: https://sqs.us-east-1.amazonaws.com/q }\n" + DEPLOYERS, [
            f'2:24: queues.q.url: {QUEUE_URL} "https://sqs.us-east-1.amazonaws.com/q"']),
    "times that SQS does not take": (queue("visibility_timeout: 13h, wait_time: 21s"), [
        '2:58: queues.q.visibility_timeout: expected a duration from 10s to 12h, found "13h"',
        '2:74: queues.q.wait_time: expected a duration from 1s to 20s, or 0 (do not wait), found "21s"']),
    "a visibility that cannot be renewed in time": (queue("visibility_timeout: 5s"), [
        '2:58: queues.q.visibility_timeout: expected a duration from 10s to 12h, found "5s"']),
    "a part of a second": (queue("wait_time: 1500ms"), [
        '2:49: queues.q.wait_time: expected whole seconds, as SQS takes them, found "1500ms"']),
    "a deployer that is not there": (queue("default_deployer: dd"), [
        '2:56: queues.q.default_deployer: expected a name under deployers, found "dd"; did you mean "d"?']),
    "an events queue that is not there": ("ecs: { events: qq }\n" + GOOD, [
        '1:16: ecs.events: expected a name under queues, found "qq"; did you mean "q"?']),
    "an events queue that EventBridge cannot feed": ("ecs: { events: l }\nqueues: { l: { type: store } }\n" + DEPLOYERS, [
        '1:16: ecs.events: expected a queue of type sqs, found "l", which is none']),
    "submissions to the events queue": ("ecs: { events: q }\napi: { queue: q, deploy: { queue: q } }\n" + GOOD, [
        '2:15: api.queue: expected a queue that jobs come from, found "q", which ecs.events names',
        '2:35: api.deploy.queue: expected a queue that jobs come from, found "q", which ecs.events names']),
    "a body without project and deployer": (queue('body: { stage: "{{ body }}" }'), [
        "2:6: queues.q.default_deployer: expected a deployer here or in body, found nothing",
        "2:44: queues.q.body: expected at least project, found none"]),
    "a template without quotes": (
        "queues:\n  q:\n    type: sqs\n    url: http://h/a/q\n    body:\n      project: {{ body }}\n" + DEPLOYERS, [
            '6:17: queues.q.body.project: expected "{{ }}" in quotes, found it without']),
    "an unknown name in a template": (queue('body: { project: "{{ boddy }}", deployer: d }'), [
        f'2:55: queues.q.body.project: expected one of {NAMES} in "{{{{ }}}}", found "boddy"']),
    "an open template": (queue('body: { project: "{{ body", deployer: d }'), [
        '2:55: queues.q.body.project: expected "}}" after "{{", found the end of the text']),
    "a name that is none": ('queues:\n  "a b": { type: sqs, url: http://h/a/q }\n' + DEPLOYERS, [
        '2:3: queues: expected a name of letters, digits, "_" and "-", found "a b"']),
    "a key that comes twice": (QUEUES + '  q: { type: sqs, url: "http://h/a/q" }\n' + DEPLOYERS, [
        "3:3: queues.q: expected each key once, found it again after line 2"]),
    "a deployer without what it needs": (QUEUES + "deployers:\n  d: { type: ecs }\n", [
        "4:6: deployers.d.task_definition: expected a line of text of at most 512 bytes, found nothing",
        "4:6: deployers.d.container: expected a line of text of at most 255 bytes, found nothing"]),
    "a misspelt launch type": (deployer("launch_type: fargat"), [
        '4:66: deployers.d.launch_type: expected FARGATE, EC2 or EXTERNAL, found "fargat"; did you mean "FARGATE"?']),
    "two ways to launch": (deployer("launch_type: FARGATE, capacity_providers: [FARGATE_SPOT]"), [
        "4:95: deployers.d.capacity_providers: expected launch_type or capacity_providers, found both"]),
    "more than awsvpc takes": (
        deployer(f"network: {{ subnets: {list(range(17))}, security_groups: {list(range(6))} }}"), [
            "4:73: deployers.d.network.subnets: expected at most 16, found 17",
            "4:150: deployers.d.network.security_groups: expected at most 5, found 6"]),
    "yes for true": (deployer("execute_command: yes"), [
        '4:70: deployers.d.execute_command: expected true or false, found "yes"; did you mean "true"?']),
    "a public address without a subnet": (deployer("network: { assign_public_ip: true }"), [
        "4:62: deployers.d.network.subnets: expected at least one subnet, found none"]),
    "half of a place for logs": (deployer("logs: { group: g }"), [
        "4:59: deployers.d.logs.prefix: expected a prefix beside group, found nothing"]),
    "the other half": (deployer("logs: { region: r }"), [
        "4:59: deployers.d.logs.group: expected a group beside prefix and region, found nothing"]),
    "a text for a command": (deployer("command: make"), [
        '4:62: deployers.d.command: expected a list of templates, found "make"']),
    "other things than words in a command": (deployer("command: [a, {b: c}, [], ~]"), [
        "4:66: deployers.d.command.1: expected a template of at most 16384 bytes, found a section",
        "4:74: deployers.d.command.2: expected a template of at most 16384 bytes, found a list",
        "4:78: deployers.d.command.3: expected a text, found nothing"]),
    "a secret that the job's record would hold": (deployer("environment: { A: !file token }"), [
        "4:71: deployers.d.environment.A: expected a template of at most 16384 bytes, found !file, which is for "
        "secrets that no job's record holds"]),
    "a list for an environment": (deployer("environment: [A=b]"), [
        "4:66: deployers.d.environment: expected names with a template each, found a list"]),
    "names that no environment takes": (deployer('environment: { "A B": x, GANTRY_JOB: y, C: "{{ nope }}" }'), [
        '4:75: deployers.d.environment.A B: expected a variable\'s name, found "A B"',
        '4:90: deployers.d.environment.GANTRY_JOB: expected a name that gantry does not set itself, '
        'found "GANTRY_JOB"',
        "4:96: deployers.d.environment.C: expected a template with known names, found a value that is not shown"]),
    "a tag that is AWS's": (deployer('tags: { "aws:x": 1 }'), [
        '4:70: deployers.d.tags.aws:x: expected a tag\'s key that is not AWS\'s own, found "aws:x"']),
    "more tags than ECS takes": (deployer("tags: { " + ", ".join(f"k{i}: v" for i in range(51)) + " }"), [
        "4:59: deployers.d.tags: expected at most 50, found 51"]),
    "a misspelt policy": (deployer("lock: { policy: lastest }"), [
        "4:69: deployers.d.lock.policy: expected queue, latest, reject or parallel, "
        'found "lastest"; did you mean "latest"?']),
    "several errors in one section": (deployer("attempts: 99, timeout: 30, colour: red"), [
        '4:63: deployers.d.attempts: expected a whole number from 1 to 10, found "99"',
        '4:76: deployers.d.timeout: expected a duration from 1s to 7d, or 0 (never), found "30"; '
        'did you mean "30s"?',
        '4:80: deployers.d.colour: expected a known key, found "colour"']),
    "a section for a list": (GOOD + "errors: { type: redis }\n", [
        "5:9: errors: expected a list of sections, found a section"]),
    "a sink without a place": (GOOD + 'errors: [ { type: redis, url: "redis://h" } ]\n', [
        "5:11: errors.0.channel: expected a channel, a list or both, found neither"]),
    "sinks that tell nobody": (GOOD + """notify:
  - { type: redis, url: "redis://h" }
  - { type: email, smtp: "smtp://h", from: "gantry", to: [], user: u }
  - { type: exec, command: [tell] }
  - { type: sns, topic: deploys }
""", [
        "6:5: notify.0.channel: expected a channel, a list or a key, found none",
        "7:5: notify.1.password: expected a password beside user, found nothing",
        '7:44: notify.1.from: expected an address such as gantry@example.com, found "gantry"',
        "7:58: notify.1.to: expected a list of texts, found nothing",
        '8:29: notify.2.command.0: expected an absolute path, found "tell"',
        '9:25: notify.3.topic: expected a topic\'s ARN, such as arn:aws:sns:us-east-1:123456789012:deploys, found "deploys"']),
    "sinks that cannot be": (GOOD + """notify:
  - { type: webhook, url: "ftp://h", secret: "whsec_no base64", when: [ended] }
  - { type: webhook, url: "http://h", name: "two words", old_secret: x }
  - { type: slack, url: "h", text: "{{ payload.x }}" }
  - { type: webhook, url: "http://h", list: l }
  - { type: email, smtp: "smtp://h", from: "a@b\\r\\nBcc: c@d", to: ["a@b, c@d"], user: u, password: p, starttls: off }
  - { type: celery, url: "db+mysql://h/d" }
""", [
        '6:27: notify.0.url: expected a URL that starts with https:// or http://, found "ftp://h"',
        '6:46: notify.0.secret: expected base64 after "whsec_", found a value that is not shown',
        "6:72: notify.0.when.0: expected accepted, started, retrying, succeeded, failed, cancelled, superseded or uncertain, "
        'found "ended"',
        "7:5: notify.1.secret: expected a secret beside old_secret, found nothing",
        '7:45: notify.1.name: expected letters, digits, "_" and "-", and not "errors", found "two words"',
        "8:25: notify.2.url: expected a URL that starts with https:// or http://, found a value that is not shown",
        "8:36: notify.2.text: expected one of event id project deployer queue commit ref stage state reason detail "
        'exit_code attempt accepted started finished host url log_tail in "{{ }}", found "payload.x"',
        '9:5: notify.3.name: expected a name of its own, as notify.0 is "webhook", too',
        '9:39: notify.3.list: expected a key for this type, found "list", which is for type redis',
        '10:44: notify.4.from: expected a line of text of at most 320 bytes, found "a@b??Bcc: c@d"',
        '10:68: notify.4.to.0: expected an address such as ops@example.com, found "a@b, c@d"',
        "10:113: notify.4.starttls: expected offered or required beside a password, found off",
        "11:26: notify.5.url: expected a URL that starts with redis://, rediss://, redis+sentinel://, unix:///, db+postgresql://, "
        'db+postgresql+psycopg2:// or db+postgresql+psycopg://, found "db+mysql://h/d"']),
    "a sink of an unknown type": (GOOD + 'errors: [ { type: webhook, url: "http://h" } ]\n', [
        '5:19: errors.0.type: expected redis, found "webhook"']),
    "nothing to listen on": ("api: { listen: [] }\n" + GOOD, [
        "1:16: api.listen: expected at least one address, found none"]),
    "addresses that are none": (
        'api: { listen: [ "localhost:80", "127.0.0.1", "[::1:80", "1.2.3.4:65536", "unix:api.sock", ":80" ] }\n' + GOOD, [
            f'1:{column}: api.listen.{number}: {ADDRESS} "{found}"' for number, column, found in (
                (0, 18, "localhost:80"), (1, 34, "127.0.0.1"), (2, 47, "[::1:80"), (3, 58, "1.2.3.4:65536"),
                (4, 75, "unix:api.sock"), (5, 92, ":80"))]),
    "one address twice": ('api: { listen: [ "[::1]:80", "[0:0::1]:080" ] }\n' + GOOD, [
        "1:30: api.listen.1: expected each address once, found it again"]),
    "more addresses than one process accepts from": (
        f"api: {{ listen: [ {', '.join(f'127.0.0.1:{8000 + i}' for i in range(17))} ] }}\n" + GOOD, [
            "1:16: api.listen: expected at most 16, found 17"]),
    "a token without anything": ("api: { tokens: [ {} ] }\n" + GOOD, [
        "1:18: api.tokens.0.name: expected a line of text of at most 64 bytes, found nothing",
        "1:18: api.tokens.0.token: expected a line of text of at most 512 bytes, found nothing"]),
    "a token that can be guessed": ("api: { tokens: [ { name: ci, token: hunter2 } ] }\n" + GOOD, [
        "1:37: api.tokens.0.token: expected at least 16 characters, found 7"]),
    "tokens that are not told apart": (
        f"api: {{ tokens: [ {{ name: a, token: {'x' * 16} }}, {{ name: a, token: {'x' * 16} }} ] }}\n" + GOOD, [
            '1:64: api.tokens.1.name: expected each name once, found "a" again',
            '1:74: api.tokens.1.token: expected each token once, found that of "a" again']),
    "powers that there are not": (
        f"api: {{ tokens: [ {{ name: a, token: {'x' * 16}, may: [submit, write], rate: 0.5 }} ] }}\n" + GOOD, [
            '1:68: api.tokens.0.may.1: expected submit, read or admin, found "write"',
            "1:82: api.tokens.0.rate: expected a whole number from 1 to 100000, or 0 (no limit), "
            'found "0.5"']),
    "a token that is good for nothing": (
        f"api: {{ tokens: [ {{ name: a, token: {'x' * 16}, may: [], projects: [] }} ] }}\n" + GOOD, [
            "1:59: api.tokens.0.may: expected at least one of submit, read and admin, found none",
            "1:73: api.tokens.0.projects: expected at least one glob, found none"]),
    "queues and deployers of the API that are not there": (
        "api: { queue: p, deploy: { queue: qq, deployer: dd } }\n" + GOOD, [
            '1:15: api.queue: expected a name under queues, found "p"; did you mean "q"?',
            '1:35: api.deploy.queue: expected a name under queues, found "qq"; did you mean "q"?',
            '1:49: api.deploy.deployer: expected a name under deployers, found "dd"; did you mean "d"?']),
    "a certificate without its key": ("api: { tls: { certificate: /c.pem } }\n" + GOOD, [
        "1:13: api.tls.key: expected a key beside certificate, found nothing"]),
    "a key without its certificate": ("api: { tls: { key: /k.pem } }\n" + GOOD, [
        "1:13: api.tls.certificate: expected a certificate beside key, found nothing"]),
    "sizes that are none": ("api: { body_limit: 10, connections: 0, idle_timeout: 0, log_retention: 14 }\n" + GOOD, [
        '1:20: api.body_limit: expected a size from 1KiB to 16MiB, found "10"',
        '1:37: api.connections: expected a whole number from 1 to 100000, found "0"',
        '1:54: api.idle_timeout: expected a duration from 1s to 1h, found "0"',
        '1:72: api.log_retention: expected a duration from 1m to 366d, found "14"']),
    "a text for the API": ("api: on\n" + GOOD, [
        '1:6: api: expected a section of keys, found "on"']),
    "an access key alone": (GOOD + "aws: { access_key: A }\n", [
        "5:6: aws.secret_key: expected a secret_key beside access_key, found nothing"]),
    "thresholds the wrong way round": (GOOD.replace("queues:\n", "queues:\n  s: { type: redis-stream, url: redis://h, stream: s, group: \"a b\", default_deployer: d, warn_depth: 5, alarm_depth: 4 }\n", 1), [
        '2:62: queues.s.group: expected a name without blanks, found "a b"',
        "2:118: queues.s.alarm_depth: expected at least warn_depth (5), found 4"]),
    "fewer workers at most than at least": (GOOD + "supervisor: { scale: { min: 3, max: 2 } }\n", [
        "5:37: supervisor.scale.max: expected at least min (3), found 2"]),
    "a secret key alone": (GOOD + "aws: { secret_key: hunter2 }\n", [
        "5:6: aws.access_key: expected an access_key beside secret_key, found nothing"]),
    "a session token alone": (GOOD + "aws: { session_token: hunter2 }\n", [
        "5:6: aws.access_key: expected an access_key beside session_token, found nothing"]),
    "an empty text": (GOOD + 'aws: { region: "" }\n', [
        '5:16: aws.region: expected a line of text of at most 64 bytes, found ""']),
    "a file for what is no secret": (GOOD + "aws: { region: !file /etc/hostname }\n", [
        "5:16: aws.region: expected a line of text of at most 64 bytes, found !file, which is for secrets"]),
    "another tag": (GOOD + "aws: { region: !env HOME }\nlog: { level: !!str info }\n", [
        '5:16: aws.region: expected no tag but !file, found "!env"',
        '6:15: log.level: expected no tag but !file, found "!!str"']),
    "an anchor and an alias": (GOOD + "log: &log { level: info }\naws: *log\n", [
        '5:6: log: expected no anchor, found "&log"',
        '6:6: aws: expected no alias, found "*log"']),
    "a variable that is unset": ("queues:\n  q:\n    type: sqs\n    url: ${NOPE}\n" + DEPLOYERS, [
        "4:10: queues.q.url: expected NOPE in the environment, found it unset"]),
    "a variable in braces without quotes": ("queues:\n  q: { type: sqs, url: ${NOPE} }\n" + DEPLOYERS, [
        '2:24: queues.q: expected "${NOPE}" in quotes, as it stands inside { } or [ ], found it without']),
    "a variable in brackets without quotes": (deployer("command: [a, ${NOPE}]"), [
        '4:66: deployers.d.command: expected "${NOPE}" in quotes, as it stands inside { } or [ ], '
        "found it without"]),
    "an open variable": ('queues:\n  q: { type: sqs, url: "${NOPE" }\n' + DEPLOYERS, [
        '2:24: queues.q.url: expected "}" after "${", found the end of the value']),
    "a variable's name that is none": ('queues:\n  q: { type: sqs, url: "${no-pe}" }\n' + DEPLOYERS, [
        '2:24: queues.q.url: expected ${NAME} or ${NAME:-default}, found neither after "${"']),
    "a variable with a wrong value": ('queues:\n  q: { type: sqs, url: "${NOPE:-abc}" }\n' + DEPLOYERS, [
        f'2:24: queues.q.url: {URL} the value of "${{NOPE:-abc}}"']),
    "a tab": (GOOD + "\tlog: {}\n", ["5:1: deployers: expected YAML indented by blanks, found a tab"]),
    "an open brace": (GOOD + "log: {\n", ["6:1: log: expected node content, found something else"]),
    "no colon": (GOOD + "log\n", ["6:1: deployers: expected ':', found something else"]),
    "a second document": (GOOD + "---\nlog: {}\n", ["5:1: document: expected one document, found a second one"]),
    "a key that is a list": (GOOD + "? [a]\n: b\n", ["5:3: document: expected a key, found a list"]),
    "bytes that are not UTF-8": ((GOOD + "log: { level: ").encode() + b"\xc3\x28 }\n", [
        "5:16: document: expected YAML in UTF-8, found other bytes"]),
    "a NUL": (GOOD + 'log: { to: "/a\\0b" }\n', ["5:12: log.to: expected a text, found a NUL in it"]),
    "a newline in a word": (GOOD + 'log: { level: "a\\nb" }\n', [
        '5:15: log.level: expected debug, info, warn or error, found "a?b"']),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_configuration_is_refused_with_exact_lines(tmp_path, name):
    text, lines = BAD[name]
    done = check(tmp_path, text)
    assert done.stderr.splitlines() == [f"gantry.yaml:{line}" for line in lines]
    assert done.stdout == ""
    assert done.returncode == 1


def test_errors_come_in_the_order_of_the_file(tmp_path):
    text = "log: { level: x }\ndeployers:\n  d: { type: ecs, container: c, attempts: 0 }\nqueues:\n  q: { type: sqs }\n"
    done = check(tmp_path, text)
    places = [tuple(map(int, line.split(":")[1:3])) for line in done.stderr.splitlines()]
    assert len(places) == 4
    assert places == sorted(places)


def test_endless_errors_are_counted_not_printed(tmp_path):
    done = check(tmp_path, GOOD + "".join(f"key{i}: x\n" for i in range(500)))
    lines = done.stderr.splitlines()
    assert len(lines) == 201
    assert lines[-1] == "gantry.yaml: and 300 more"


@pytest.mark.parametrize("name, reason", [
    ("missing.yaml", "No such file or directory"), (".", "not a regular file"), ("/dev/null", "not a regular file")])
def test_file_that_cannot_be_read_is_an_error(tmp_path, name, reason):
    done = check(tmp_path, None, name=name)
    assert done.stderr == f"{name}:1:1: document: expected a file of at most 1 MiB that can be read, found {reason}\n"
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [
    [], ["a", "b"], ["--mask", "a"], ["--fd", "x", "a"], ["--canonical", "--fd", "3", "a"], ["--nothing", "a"],
    ["--man", "a"], ["--only-user", "--canonical", "a"]])
def test_wrong_usage_has_status_2(arguments):
    done = subprocess.run([CHECK, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "usage: gantry-check" in done.stderr
    assert done.stdout == ""


# -- what is right -------------------------------------------------------------------------------

def test_good_configuration_is_ok_and_silent(tmp_path):
    done = check(tmp_path, GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "gantry.yaml: ok\n", "")


def test_defaults_are_those_of_the_manual(tmp_path):
    good = GOOD.replace("queues:\n", "queues:\n  red: { type: redis, url: redis://h, list: l }\n"
                        "  str: { type: redis-stream, url: redis://h, stream: s }\n", 1)
    values = canonical(tmp_path, good + "  p: { type: process, command: [a] }\n")
    state, run = directories(values)
    manual = (SOURCE / "man/gantry.yaml.5").read_text()
    documented = dict(re.findall(r'^\.It Cm (\S+) :.* Pq default "(.*)"$', manual, re.M))
    assert len(documented) > 25
    for key, default in documented.items():
        if key.startswith(("errors.", "api.", "notify.")):
            continue
        paths = [key.replace("queues.NAME", queue).replace("deployers.NAME", deployer)
                 for queue in ("queues.q", "queues.red", "queues.str") for deployer in ("deployers.d", "deployers.p")]
        given = {values[path] for path in paths if path in values}
        given |= {", ".join(value for name, value in values.items() if name.startswith(path + "."))
                  for path in paths if path + ".0" in values}
        assert given == {default.replace("$STATE", state).replace("$RUN", run)}, key


@pytest.mark.parametrize("section", ["api:\n", "api: {}\n"])
def test_api_is_there_when_its_section_is(tmp_path, section):
    assert not [key for key in canonical(tmp_path, GOOD) if key.startswith("api")]
    values = canonical(tmp_path, section + GOOD)
    assert {key: value for key, value in values.items() if key.startswith("api.")} == {
        "api.listen.0": "127.0.0.1:7777", "api.listen.1": f"unix:{directories(values)[1]}/api.sock",
        "api.body_limit": "1MiB", "api.idle_timeout": "1m", "api.connections": "1000", "api.log_retention": "14d", "api.log_size": "0"}
    values = canonical(tmp_path, f"api: {{ tokens: [ {{ name: a, token: {'x' * 16} }} ] }}\n" + GOOD)
    assert {key: value for key, value in values.items() if key.startswith("api.tokens")} == {
        "api.tokens.0.name": "a", "api.tokens.0.token": "x" * 16, "api.tokens.0.may.0": "submit",
        "api.tokens.0.may.1": "read", "api.tokens.0.projects.0": "*", "api.tokens.0.rate": "50",
        "api.tokens.0.streams": "100"}


def test_paths_of_the_api_may_be_relative_to_the_file(tmp_path):
    values = canonical(tmp_path, "api: { tls: { certificate: c.pem, key: /k.pem } }\n" + GOOD)
    assert values["api.tls.certificate"].endswith("/c.pem") and values["api.tls.certificate"].startswith("/")
    assert values["api.tls.key"] == "/k.pem"


def directories(values):
    return (values["store"].removeprefix("sqlite://").removesuffix("/gantry.db"),
            values["supervisor.control_socket"].removesuffix("/control.sock"))


def test_service_uses_the_systems_directories(tmp_path):
    service = canonical(tmp_path, "supervisor: { user: gantry }\n" + GOOD)
    assert service["supervisor.user"] == "gantry"
    assert directories(service)[0].endswith("/lib/gantry")
    assert directories(service)[1].endswith("/gantry")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_ordinary_user_has_directories_of_his_own(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "gantry.yaml").write_text(GOOD)
    nobody = pwd.getpwnam("nobody")
    done = subprocess.run([CHECK, "--canonical", "/dev/fd/0"], stdin=open(tmp_path / "gantry.yaml"), user=nobody.pw_uid,
                          group=nobody.pw_gid, capture_output=True, text=True, timeout=60, cwd="/",
                          env={"HOME": "/home/x", "XDG_RUNTIME_DIR": "/run/user/7"})
    if done.returncode != 0 and "Permission denied" in done.stderr:
        pytest.fail(f"nobody cannot run {CHECK}: {done.stderr}")
    values = dict(line.split("\t", 1) for line in done.stdout.splitlines()[1:-1])
    assert directories(values) == ("/home/x/.local/state/gantry", "/run/user/7/gantry")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("user, verdict", [("nobody", 0), ("root", 1)])
def test_user_of_a_command_is_one_that_gantryd_may_become(tmp_path, user, verdict):
    text = QUEUES + f"deployers:\n  d: {{ type: process, command: [a], user: {user} }}\n"
    assert check(tmp_path, text).returncode == 0
    nobody = pwd.getpwnam("nobody")
    done = subprocess.run([CHECK, "/dev/fd/0"], stdin=open(tmp_path / "gantry.yaml"), user=nobody.pw_uid, group=nobody.pw_gid,
                          extra_groups=[], capture_output=True, text=True, timeout=60, cwd="/", env={"HOME": "/home/x"})
    assert done.returncode == verdict, done.stderr
    if verdict == 1:
        assert done.stderr == ("/dev/fd/0:4:43: deployers.d.user: expected gantryd's own user, or a gantryd that is root or has "
                               'kept CAP_SETUID and CAP_SETGID, found "root"\n')


def test_every_key_is_read(tmp_path):
    text = """
supervisor: { workers: 2, user: gantry, pid_file: /p, control_socket: /c, ready_timeout: 2s, drain_timeout: 0,
  lease: 3s, watchdog: 0, probation: 0, old_generations: 1, restart_delay: 1s, restart_delay_max: 1m, state_dir: /s,
  scale: { min: 2, max: 4, depth_per_worker: 5 }, depth_interval: 1m }
log: { level: debug, format: json, to: /var/log/g.log }
store: "memory:"
aws: { region: eu-west-1, profile: p, endpoint_url: "http://e", sqs_endpoint_url: "http://s",
  ecs_endpoint_url: "https://c", access_key: A, secret_key: B, session_token: C, run_task_rate: 500 }
ecs: { events: two }
api:
  listen: ["0.0.0.0:80", "[::]:80", "unix:/run/x.sock"]
  url: "https://gantry.example.com"
  tokens: [ { name: ci, token: 0123456789abcdef, may: [admin], projects: ["web-*"], rate: 0, streams: 7 } ]
  queue: one
  deploy: { queue: one, deployer: d }
  tls: { certificate: c.pem, key: k.pem }
  body_limit: 64KiB
  idle_timeout: 5s
  connections: 10
  log_retention: 1h
  log_size: 1GiB
queues:
  one: { type: sqs, url: "https://sqs.eu-west-1.amazonaws.com/123456789012/a-b_c.fifo", visibility_timeout: 12h,
    wait_time: 0, delete_linger: 0, max_in_flight: 10000, default_deployer: d, malformed: dead_letter, unwrap: sns }
  two: { type: sqs, url: "http://127.0.0.1:4566/000000000000/q", body: { project: "{{ body }}", deployer: d } }
  red: { type: redis, url: "rediss://u:p@h:1/2", list: "a b", pop: left, warn_depth: 5, alarm_depth: 6 }
  str: { type: redis-stream, url: "redis+sentinel://a:1,b/one/2", stream: s, group: g, field: f, delete: true, unwrap: celery }
deployers:
  d: { type: ecs, cluster: c, task_definition: "t:3", container: app, capacity_providers: [A, B],
    platform_version: "1.4.0", group: g, cpu: 256, memory: 0.5 GB, task_role: r, execution_role: x,
    execute_command: true, propagate_tags: true,
    network: { subnets: [s1, s2], security_groups: [g1], assign_public_ip: true }, command: ["", "{{ id }}", "$$x"],
    environment: { A: "{{ payload.a.b }}", B: "" }, tags: { "k.1": "{{ ref }}" },
    allow: { environment: ["A_*"], command: true, directory: ["/srv/*"], notify: true },
    timeout: 0, attempts: 10, lock: { key: "x/{{ stage }}", policy: parallel },
    logs: { group: /ecs/t, prefix: p, region: eu-west-1 }, mask: ["*PIN*"] }
  e: { type: ecs, task_definition: t, container: c, launch_type: EC2 }
  p: { type: process, commands: ["make {{ ref }}"], directory: "/srv/{{ project }}", user: root, umask: "027",
    kill_after: 1m, nice: 19, parallel: 0, pass_environment: [LANG, TZ], dotenv: .env, require_last: ["make *"],
    limits: { cpu: 10s, memory: 1GiB, file_size: 0, core: 1MiB, files: 100, processes: 50, log: 1MiB }, cgroup: auto,
    stages: { production: { refs: ["refs/tags/*"], environment: { A: "{{ stage }}" } } } }
errors:
  - { type: redis, url: "rediss://u:p@h:1/2", channel: a:b, list: c, keep: 1 }
  - { type: redis, url: "unix:///run/redis.sock", list: c }
notify:
  - { type: webhook, name: ci, when: [accepted, uncertain], url: "https://h/x?y=1", secret: "whsec_YQ==", old_secret: s,
      allow_private: true, rate: 10, timeout: 5m, give_up_after: 30d }
  - { type: email, smtp: "smtps://h:465", user: u, password: p, starttls: required, from: a@b, to: [c@d, e@f],
      subject: "{{ project }}", text: "{{ log_tail }}" }
  - { type: sns, topic: "arn:aws:sns:us-east-1:123456789012:deploys.fifo", group: "{{ deployer }}" }
  - { type: slack, url: "https://hooks.example.com/T/B", text: "{{ event }}" }
  - { type: redis, url: "redis://h", channel: c, list: l, keep: 1, key: "r:{{ id }}", ttl: 0 }
  - { type: exec, command: [/bin/true, x] }
  - { type: celery, url: "redis://h", ttl: 1h }
"""
    values = canonical(tmp_path, text)
    assert values["queues.one.visibility_timeout"] == "12h"
    assert values["queues.one.wait_time"] == "0ms"
    assert values["queues.two.body.project"] == "{{ body }}"
    assert values["queues.red.url"] == "rediss://u:p@h:1/2"
    assert values["queues.red.pop"] == "left"
    assert values["deployers.d.cpu"] == "256"
    assert values["deployers.d.memory"] == "0.5 GB"
    assert values["deployers.d.command.0"] == ""
    assert values["deployers.d.command.2"] == "$x"
    assert values["deployers.d.environment.B"] == ""
    assert values["deployers.d.tags.k.1"] == "{{ ref }}"
    assert values["deployers.d.allow.directory.0"] == "/srv/*"
    assert values["errors.1.url"] == "unix:///run/redis.sock"
    assert values["notify.0.give_up_after"] == "30d" and values["notify.1.to.1"] == "e@f"
    assert values["deployers.p.stages.production.environment.A"] == "{{ stage }}"
    named = {re.sub(r"^queues\.\w+|^deployers\.\w+", lambda found: found[0].split(".")[0] + ".NAME", path) for path in values}
    named = {re.sub(r"stages\.\w+", "stages.NAME", re.sub(r"^(errors|notify|api\.tokens)\.\d", r"\1.N", path)) for path in named}
    missing = {key for key in manual_keys() if not any(path == key or path.startswith(key + ".") for path in named)}
    assert missing == {"env_file"}


def test_null_and_empty_variables_are_not_given(tmp_path):
    values = canonical(tmp_path, GOOD + """
log: { level: ~ }
supervisor:
aws:
  region:
  access_key: ${NOPE:-}
  profile: ${EMPTY}${NOPE:-}
""", environment={"EMPTY": ""})
    assert values["log.level"] == "info"
    assert values["supervisor.workers"] == "4"
    assert [key for key in values if key.startswith("aws.")] == ["aws.run_task_rate"]


# -- variables, env_file, secrets ----------------------------------------------------------------

def test_environment_wins_over_env_file_and_children_get_what_it_lacks(tmp_path):
    (tmp_path / ".env").write_text("export A='file a'\nB=file b # comment\nC=\"file\\nc\"\n")
    values = canonical(tmp_path, GOOD + """
env_file: .env
aws: { region: "${A}-${B}", profile: "${D:-d}$$" }
""", environment={"A": "real"})
    assert values["env_file"] == str(tmp_path / ".env")
    assert values["aws.region"] == "real-file b"
    assert values["aws.profile"] == "d$"
    assert "environment.A" not in values
    assert values["environment.B"] == "file b"
    assert values["environment.C"] == "file\\nc"


def test_env_file_is_relative_to_the_configuration_and_read_at_each_check(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/gantry.yaml").write_text(GOOD + "env_file: my.env\naws: { region: \"${R}\" }\n")
    for region in "one", "two":
        (tmp_path / "etc/my.env").write_text(f"R={region}\n")
        done = check(tmp_path, None, "--canonical", name="etc/gantry.yaml")
        assert f"aws.region\t{region}\n" in done.stdout


def test_missing_env_file_is_named_only_when_a_variable_is_missed(tmp_path):
    text = GOOD + "env_file: .env\n"
    assert check(tmp_path, text).returncode == 0
    done = check(tmp_path, text + 'aws: { region: "${R}" }\n')
    assert done.stderr == (f'gantry.yaml:6:16: aws.region: expected R in the environment, found it unset, '
                           f'and no env_file "{tmp_path}/.env"\n')


def test_bad_env_file_is_refused_by_its_own_name_and_without_its_values(tmp_path):
    (tmp_path / ".env").write_text("A=1\nhunter2\nB='hunter2' hunter2\nC=\"hunter2\n")
    done = check(tmp_path, GOOD + "env_file: .env\n")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{tmp_path}/.env:2:1: document: expected NAME=VALUE, found something else",
        f"{tmp_path}/.env:3:13: B: expected the end of the line, found more text",
        f"{tmp_path}/.env:4:3: C: expected a closing quote, found the end of the file"]


def test_env_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "d").mkdir()
    done = check(tmp_path, GOOD + "env_file: d\n")
    assert done.stderr == (f"gantry.yaml:5:11: env_file: expected a text file of at most 256 KiB that can be read, "
                           f"found {tmp_path}/d: not a regular file\n")
    (tmp_path / "d2").write_bytes(b"A=b\0c\n")
    done = check(tmp_path, GOOD + "env_file: d2\n")
    assert "found a NUL in it" in done.stderr


def test_variable_cannot_change_the_structure_of_the_file(tmp_path):
    values = canonical(tmp_path, GOOD + 'aws: { region: "${R}" }\n',
                       environment={"R": 'x", secret_key: "y" } ${HOME} $$ {{ '})
    assert values["aws.region"] == 'x", secret_key: "y" } ${HOME} $$ {{ '
    assert "aws.secret_key" not in values


def test_secret_file_is_read_without_its_newline(tmp_path):
    (tmp_path / "key").write_text("hunter2\n")
    (tmp_path / "url").write_text("redis://:hunter2@h:1/0\r\n")
    values = canonical(tmp_path, QUEUES + f"""
aws: {{ access_key: A, secret_key: !file key }}
errors: [ {{ type: redis, url: !file {tmp_path}/url, list: l }} ]
deployers:
  d: {{ type: ecs, task_definition: t, container: c, environment: {{ TOKEN: t }} }}
""")
    assert values["aws.secret_key"] == "hunter2"
    assert values["errors.0.url"] == "redis://:hunter2@h:1/0"


@pytest.mark.parametrize("content, found", [
    (None, "{dir}/key: No such file or directory"),
    (b"", "{dir}/key empty"),
    (b"a\0b", "{dir}/key with a NUL in it"),
    (b"x" * (64 << 10 | 1), "{dir}/key: larger than 65536 bytes"),
])
def test_bad_secret_file_is_refused(tmp_path, content, found):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    done = check(tmp_path, GOOD + "aws: { access_key: A, secret_key: !file key }\n")
    assert done.returncode == 1
    assert done.stderr.startswith("gantry.yaml:5:35: aws.secret_key: expected a file ")
    assert f"found {found.format(dir=tmp_path)}\n" in done.stderr


SECRET = "hunter2"

LEAKS = [
    f"aws: {{ secret_key: {SECRET} }}\n",
    f"aws: {{ access_key: A, secret_key: [{SECRET}] }}\n",
    f"aws: {{ access_key: A, secret_key: \"{SECRET}\\n{SECRET}\" }}\n",
    f"aws: {{ access_key: A, secret_key: \"${{{SECRET}\" }}\n",
    f"aws: {{ access_key: A, secret_key: \"a${{x-{SECRET}}}\" }}\n",
    f"aws: {{ access_key: A, secret_key: \"{SECRET * 100}\" }}\n",
    "aws: { access_key: A, secret_key: \"${S}${S}\", session_token: \"${S\" }\n",
    "supervisor: { workers: \"${S}\" }\n",
    "supervisor: { drain_timeout: \"${S}\", pid_file: \"${S}\" }\n",
    "log: { level: \"${S}\" }\nstore: \"${S}\"\n",
    f"store: redis:/:{SECRET}@h/0\n",
    f"store: http://u:{SECRET}@h/0\n",
    f"errors: [ {{ type: redis, url: \"http://:{SECRET}@h\", list: l }} ]\n",
    f"errors: [ {{ type: redis, url: \"redis://:{SECRET}@h\" }} ]\n",
    f"errors: [ {{ type: redis, url: \"{SECRET}@\", list: l }} ]\n",
    f"api: {{ tokens: [ {{ name: a, token: {SECRET} }}, {{ name: a, token: {SECRET} }} ] }}\n",
    f"api: {{ tokens: [ {{ token: \"{SECRET * 100}\" }}, {{ name: a, token: [{SECRET}] }} ] }}\n",
    f"aws: {{ access_key: A, secret_key: !!str {SECRET} }}\n",
    f"aws: {{ access_key: A, secret_key: &x {SECRET} }}\n",
    f"aws:\n  secret_key: {SECRET}\n  secret_key: {SECRET}\n",
    f"aws:\n  secret_key: \"{SECRET}\n",
    f"aws:\n  secret_key: {SECRET}: {SECRET}\n",
    f"aws:\n  secret_key: '{SECRET}' {SECRET}\n",
    f"aws:\n  secret_key: \"{SECRET}\\q\"\n",
    f"aws: {{ secret_key: {SECRET}\n",
    f"aws:\n  secret_key: @{SECRET}\n",
]


@pytest.mark.parametrize("text", LEAKS)
def test_no_error_shows_a_secret(tmp_path, text):
    done = check(tmp_path, GOOD + text, environment={"S": SECRET})
    assert done.returncode == 1
    assert SECRET not in done.stderr + done.stdout


def test_no_error_shows_what_a_deployers_environment_holds(tmp_path):
    done = check(tmp_path, deployer(f'environment: {{ A: "{{{{ {SECRET} }}}}", B: [{SECRET}], "C D": {SECRET} }}'))
    assert len(done.stderr.splitlines()) == 3
    assert SECRET not in done.stderr


def test_masked_form_shows_no_secret(tmp_path):
    (tmp_path / ".env").write_text(f"PW={SECRET}\n")
    values = canonical(tmp_path, QUEUES + f"""
env_file: .env
aws: {{ access_key: AKID, secret_key: {SECRET}, session_token: "${{PW}}" }}
errors: [ {{ type: redis, url: "redis://user:${{PW}}@h:1/0", list: l }} ]
notify:
  - {{ type: slack, url: "https://hooks.example.com/{SECRET}" }}
  - {{ type: webhook, url: "https://u:{SECRET}@h/x", secret: {SECRET}, old_secret: "${{PW}}" }}
  - {{ type: email, smtp: "smtp://h", from: a@b, to: [a@b], user: u, password: {SECRET} }}
deployers:
  d: {{ type: ecs, task_definition: t, container: c, environment: {{ TOKEN: {SECRET} }} }}
""", options=["--mask"])
    assert values["aws.access_key"] == "AKID"
    assert values["aws.secret_key"] == "********"
    assert values["errors.0.url"] == "redis://user:********@h:1/0"
    assert values["deployers.d.environment.TOKEN"] == "********"
    assert values["environment.PW"] == "********"
    assert SECRET not in "".join(values.values())


# -- files that are made to hurt -----------------------------------------------------------------

def laughs():
    lines = [b"a: &a [x, x, x, x, x, x, x, x, x]"]
    for letter in range(ord("b"), ord("z")):
        lines.append(b"%c: &%c [%s]" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9)))
    return b"\n".join(lines)


BOMBS = {
    "a billion laughs": laughs(),
    "brackets": b"[" * (1 << 20),
    "braces": b"{a: " * (1 << 18),
    "indentation": b"\n".join(b" " * i + b"a:" for i in range(1400)),
    "dashes": b"- " * (1 << 19),
    "question marks": b"? " * (1 << 19),
    "colons": b":" * (1 << 20),
    "commas": b"{" + b"," * ((1 << 20) - 1),
    "a long list": b"a: [" + b"x," * 500000 + b"]",
    "a list of lists": b"a: [" + b"[]," * 300000 + b"]",
    "many keys": b"".join(b"k%d: 1\n" % i for i in range(80000)),
    "many queues": b"queues: {" + b",".join(b"q%d: {}" % i for i in range(1000)) + b"}",
    "a long text": b"a: " + b"x" * 1040000,
    "a long key": b"x" * 1040000 + b": 1",
    "a long line of quotes": b"a: '" + b"''" * 500000 + b"'",
    "escapes": b'a: "' + b"\\x41" * 250000 + b'"',
    "a long tag": b"a: !" + b"x" * 1000000 + b" b",
    "a long anchor": b"a: &" + b"x" * 1000000 + b" b",
    "directives": b"%YAML 1.1\n" + b"%TAG !a! b\n" * 50000,
    "comments": b"#\n" * 500000,
    "variables": b'log: { to: "' + b"${A:-aaaa}" * 50000 + b'" }',
    "zeroes": b"\0" * (1 << 20),
    "more than a MiB": b"#" * ((1 << 20) + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_in_little_time_and_memory(tmp_path, name):
    (tmp_path / "gantry.yaml").write_bytes(BOMBS[name])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    done = check(tmp_path, None)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 1
    assert 0 < len(done.stderr.splitlines()) <= 201
    assert all(len(line) < 2048 for line in done.stderr.splitlines()), "a complaint stays a line"
    assert after.ru_utime - before.ru_utime < 10
    assert time.monotonic() - begin < 30


# -- for the master ------------------------------------------------------------------------------

def test_canonical_form_goes_into_a_descriptor(tmp_path):
    (tmp_path / "gantry.yaml").write_text(GOOD)
    fd = os.memfd_create("configuration")
    try:
        done = subprocess.run([CHECK, "--fd", str(fd), "gantry.yaml"], cwd=tmp_path, pass_fds=[fd],
                              capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        written = os.pread(fd, 1 << 20, 0).decode()
    finally:
        os.close(fd)
    assert written.startswith("gantry-configuration 1\n")
    assert "queues.q.url\thttp://localhost/1/q\n" in written


def test_bad_configuration_writes_nothing_into_the_descriptor(tmp_path):
    (tmp_path / "gantry.yaml").write_text("queues: 1\n" + DEPLOYERS)
    fd = os.memfd_create("configuration")
    try:
        done = subprocess.run([CHECK, "--fd", str(fd), "gantry.yaml"], cwd=tmp_path, pass_fds=[fd],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith("gantry.yaml:1:9: queues: ")
        assert os.fstat(fd).st_size == 0
    finally:
        os.close(fd)


def test_descriptor_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "gantry.yaml").write_text(GOOD)
    done = subprocess.run([CHECK, "--fd", "99", "gantry.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Bad file descriptor" in done.stderr


def test_full_output_is_an_error(tmp_path):
    (tmp_path / "gantry.yaml").write_text(GOOD)
    for options in [], ["--canonical"], ["--only-user"]:
        with open("/dev/full", "w") as full:
            done = subprocess.run([CHECK, *options, "gantry.yaml"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=60)
        assert done.returncode == 1
        assert "No space left on device" in done.stderr


def test_user_is_read_without_opening_anything_else(tmp_path):
    text = """
env_file: /nonexistent/.env
supervisor: { user: "${WHO:-gantry}", workers: nonsense }
aws: { secret_key: !file /nonexistent/key }
"""
    done = check(tmp_path, text, "--only-user")
    assert (done.returncode, done.stdout, done.stderr) == (0, "gantry\n", "")
    assert check(tmp_path, text, "--only-user", environment={"WHO": "deploy"}).stdout == "deploy\n"
    assert check(tmp_path, GOOD, "--only-user").stdout == "\n"
    done = check(tmp_path, "supervisor: { user: [a] }\n", "--only-user")
    assert done.returncode == 1
    assert done.stderr == ("gantry.yaml:1:21: supervisor.user: expected a line of text of at most 32 bytes, "
                           "found a list\n")


# -- documents -----------------------------------------------------------------------------------

def manual_keys():
    return re.findall(r"^\.It Cm (\S+) :", (SOURCE / "man/gantry.yaml.5").read_text(), re.M)


def test_manual_lists_the_keys_as_the_schema_has_them():
    done = subprocess.run([CHECK, "--man"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    keys = re.findall(r"^\.It Cm (\S+) :", done.stdout, re.M)
    assert len(keys) == len(set(keys)) > 60
    assert manual_keys() == keys
    assert done.stdout in (SOURCE / "man/gantry.yaml.5").read_text()


def test_manual_is_sound_mdoc():
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", SOURCE / "man/gantry.yaml.5"], capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def manual_examples():
    manual = (SOURCE / "man/gantry.yaml.5").read_text()
    for example in re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed$", manual, re.M | re.S):
        if re.match(r"(queues|deployers|aws|api):", example):
            yield example


@pytest.mark.parametrize("example", manual_examples())
def test_examples_of_the_manual_are_accepted(tmp_path, example):
    for number, name in enumerate(("git.token", "aws.secret", "ci.token", "dashboard.token")):
        (tmp_path / name).write_text(f"{number}-{'x' * 16}\n")
    text = example
    if "queues:" not in text:
        text += QUEUES.replace("  q:", "  deployer:")
    if "deployers:" not in text:
        text += DEPLOYERS.replace("  d:", "  site:")
    done = check(tmp_path, text, environment={
        "CONSUMER_QUEUE_URL": "http://h/1/q", "NAMES_QUEUE_URL": "http://h/1/q"})
    assert (done.returncode, done.stderr) == (0, "")


OLD_CONSUMER = {
    "AWS_ACCESS_KEY": "AKIDEXAMPLE", "AWS_SECRET_KEY": SECRET, "CLUSTER_NAME": "builds",
    "TASK_DEFINITION_MYSTICAL": "mystical:4", "CONTAINER_MYSTICAL": "app",
    "CONSUMER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/deploys",
    "REDIS_URL": f"redis://:{SECRET}@redis:6379/1",
}


def installed_file_values(directory, environment):
    (directory / "gantry.yaml").write_text((SOURCE / "etc/gantry.yaml").read_text())
    done = check(directory, None, "--canonical", environment=environment)
    assert done.stderr == ""
    return dict(line.split("\t", 1) for line in done.stdout.splitlines()[1:-1])


@pytest.mark.parametrize("where", ["environment", "env_file"])
def test_installed_file_takes_the_old_consumers_names(tmp_path, where):
    if where == "env_file":
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in OLD_CONSUMER.items()))
    values = installed_file_values(tmp_path, OLD_CONSUMER if where == "environment" else {})
    assert values["aws.access_key"] == "AKIDEXAMPLE"
    assert values["aws.secret_key"] == SECRET
    assert values["queues.deployer.url"] == OLD_CONSUMER["CONSUMER_QUEUE_URL"]
    assert values["deployers.mystical.cluster"] == "builds"
    assert values["deployers.mystical.task_definition"] == "mystical:4"
    assert values["deployers.mystical.container"] == "app"
    assert values["errors.0.url"] == OLD_CONSUMER["REDIS_URL"]


def test_installed_file_needs_no_keys_where_the_machine_has_a_role(tmp_path):
    needed = {name: OLD_CONSUMER[name] for name in OLD_CONSUMER if name not in
              ("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "REDIS_URL")}
    values = installed_file_values(tmp_path, needed)
    assert [key for key in values if key.startswith("aws.")] == ["aws.run_task_rate"]
    assert values["errors.0.url"] == "redis://127.0.0.1:6379/0"
