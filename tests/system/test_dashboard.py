# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a browser: one session of headless Chromium goes through all that it promises."""

import json
import os
import subprocess

from conftest import free_port
from harness import BUILDDIR, SRCDIR

ADMIN = "a-token-of-the-operators"
READER = "a-token-that-only-reads"

CONFIGURATION = """
supervisor: {{ workers: 1, drain_timeout: 1s, pid_file: {{dir}}/pid, control_socket: {{dir}}/control.sock, state_dir: {{dir}}/state }}
store: sqlite://{{dir}}/gantry.db
api:
  listen: [ "127.0.0.1:{port}" ]
  queue: local
  tokens:
    - {{ name: operator, token: {admin}, may: [admin], rate: 0 }}
    - {{ name: reader, token: {reader}, may: [read], rate: 0 }}
queues:
  local: {{ type: store, default_deployer: shell }}
deployers:
  shell:
    type: process
    command: [ /bin/true ]
    allow: {{ command: true }}
"""


def test_dashboard_keeps_its_promises_in_a_browser(tmp_path, gantry, figures):
    port = free_port()
    daemon = gantry(CONFIGURATION.format(port=port, admin=ADMIN, reader=READER))
    daemon.wait_ready()
    pictures = os.environ.get("GANTRY_SCREENSHOTS") or str(tmp_path)
    given = tmp_path / "given.json"
    given.write_text(json.dumps({
        "url": f"http://127.0.0.1:{port}", "admin": ADMIN, "reader": READER, "work": str(tmp_path), "pictures": pictures,
        "reload": [str(BUILDDIR / "gantryctl"), "-c", str(daemon.configuration), "reload"],
    }))
    modules = BUILDDIR / "peers/node_modules"
    # Chromium keeps its profile and its crash reports here.
    environment = {**daemon.environment, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([modules / ".bin/node", SRCDIR / "tests/system/peers/drive_dashboard.mjs", modules, given],
                          capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr + daemon.text()[-3000:]
    figures(f"{done.stdout.count('ok ')} promises kept in one session of Chromium")
