# SPDX-License-Identifier: Apache-2.0
"""The shell steps that workflows of GitHub Actions use with the queued-deployments server, curl and jq, as they are."""

import os
import subprocess

import pytest

from conftest import free_port

TOKEN = "a-token-of-the-workflows"

CONFIGURATION = """
supervisor: {{ workers: 1, drain_timeout: 1s, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: sqlite://{dir}/gantry.db
api:
  listen: [ "127.0.0.1:{port}" ]
  tokens: [ {{ name: actions, token: {token}, may: [submit, read] }} ]
  deploy: {{ queue: local, deployer: shell }}
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/false ]
    require_last: [ "sh restart *" ]
    allow: {{ command: true, directory: [ "{dir}/sites/*" ] }}
"""

# One step deploys and prints the log as it grows, until the deployment has ended one way or the other.
STEPS = r"""
set -euo pipefail
RESPONSE=$(curl -sS -X POST "$DEPLOY_URL/deploy" \
  -H "Content-Type: application/json" \
  -H "x-deployster-token: $DEPLOY_TOKEN" \
  -d "{
    \"cd\": \"$DEPLOY_PATH\",
    \"commands\": $DEPLOY_COMMANDS,
    \"commit_hash\": \"$GITHUB_SHA\",
    \"ref_name\": \"$GITHUB_REF_NAME\"
  }")
ERROR=$(echo "$RESPONSE" | jq -r '.error // empty')
if [ -n "$ERROR" ]; then
  echo "::error::$ERROR"
  exit 1
fi
JOB_ID=$(echo "$RESPONSE" | jq -r '.job_id')
if [ "$(echo "$RESPONSE" | jq -r '.queued // false')" = "true" ]; then
  echo "$(echo "$RESPONSE" | jq -r '.message')"
fi
while true; do
  STATUS_RESPONSE=$(curl -sS "$DEPLOY_URL/status/$JOB_ID" -H "x-deployster-token: $DEPLOY_TOKEN")
  STATUS=$(echo "$STATUS_RESPONSE" | jq -r '.status')
  LOGS=$(echo "$STATUS_RESPONSE" | jq -r '.logs // empty')
  if [ -n "$LOGS" ]; then
    echo "$LOGS"
  fi
  case "$STATUS" in
    complete) echo "Deployment completed"; exit 0 ;;
    failed) echo "::error::Deployment failed"; exit 1 ;;
    not_found) echo "::error::Job not found"; exit 1 ;;
  esac
  sleep 0.2
done
"""


@pytest.fixture
def run_steps(tmp_path, gantry):
    port = free_port()
    site = tmp_path / "sites/shop"
    site.mkdir(parents=True)
    (site / "restart").write_text("echo restarted $1\n")
    gantry(CONFIGURATION.format(dir=tmp_path, port=port, token=TOKEN)).wait_ready()

    def begin(commands, token=TOKEN):
        environment = {**os.environ, "DEPLOY_URL": f"http://127.0.0.1:{port}", "DEPLOY_TOKEN": token, "DEPLOY_PATH": str(site),
                       "DEPLOY_COMMANDS": commands, "GITHUB_SHA": "0a1b2c3d", "GITHUB_REF_NAME": "main"}
        return subprocess.Popen(["bash", "-c", STEPS], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return begin


def ended(step):
    """Its exit status, and what it printed but for the commands themselves, which the log shows before their output."""
    text, _ = step.communicate(timeout=120)
    return step.returncode, [line for line in text.splitlines() if not line.startswith("+ ")]


def test_steps_deploy_follow_the_log_and_end_as_the_deployment_did(run_steps, tmp_path):
    code, text = ended(run_steps('["echo building in $PWD", "sh restart shop"]'))
    assert (code, text) == (0, [f"building in {tmp_path}/sites/shop", "restarted shop", "Deployment completed"])
    code, text = ended(run_steps('["echo before; exit 4", "sh restart shop"]'))
    assert (code, text) == (1, ["before", "::error::Deployment failed"])


def test_steps_wait_for_the_deployment_before_theirs(run_steps, tmp_path):
    gate = tmp_path / "gate"
    first = run_steps(f'["echo first", "until [ -e {gate} ]; do sleep 0.05; done", "sh restart one"]')
    while first.stdout.readline() != "first\n":
        assert first.poll() is None
    second = run_steps('["echo second", "sh restart two"]')
    assert second.stdout.readline().strip(), "it is told that it waits"
    gate.touch()
    assert ended(first)[0] == 0
    code, text = ended(second)
    assert (code, text) == (0, ["second", "restarted two", "Deployment completed"])


def test_steps_fail_when_they_are_refused(run_steps):
    code, text = ended(run_steps('["sh restart shop"]', token="another-token-than-that"))
    assert (code, text) == (1, ["::error::Unauthorized"])
    code, text = ended(run_steps('["sh restart shop", "echo too much"]'))
    assert (code, text[1:]) == (1, ["::error::Deployment failed"]) and text[0].startswith("rejected: commands: expected the last")
