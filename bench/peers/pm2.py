# SPDX-License-Identifier: Apache-2.0
"""sqs-consumer in a cluster of pm2: what is compared is its daemon and all its processes."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import CREDENTIALS, clean_environment, wait_until
from lib.cost import tree

HERE = Path(__file__).resolve().parent
INSTANCES = 4


class Pm2:
    def __init__(self, bench, directory, backlog, mode, drain=False):
        self.peers = bench.build / "peers"
        self.home = directory / "pm2"
        for name in ("consumer.mjs", "ecosystem.config.cjs"):       # Node looks for packages beside the script
            shutil.copy(HERE / name, self.peers / name)
        binaries = self.peers / "node_modules/.bin"
        environment = {
            **CREDENTIALS, "AWS_ENDPOINT_URL": backlog.sim.url, "QUEUE_URL": backlog.url, "MODE": mode,
            "PM2_HOME": str(self.home), "HOME": str(directory), "PATH": f"{binaries}:{os.environ['PATH']}",
            "INSTANCES": str(INSTANCES), "PM2_DISABLE_VERSION_CHECK": "true", "CI": "true",
        }
        if drain:
            environment["DRAIN"] = "1"
        self.environment = clean_environment(**environment)
        self.pids = []
        bench.keep(self)
        self.ctl("start", "ecosystem.config.cjs")
        self.pids = self.processes()

    def ctl(self, *words, timeout=120):
        done = subprocess.run(["node", "node_modules/pm2/bin/pm2", *words], cwd=self.peers, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"pm2 {words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    @property
    def roots(self):
        return [int((self.home / "pm2.pid").read_text())]

    def processes(self):
        return tree(*self.roots)

    def complaints(self):
        """What the consumers have written to standard error."""
        return "".join(path.read_text(errors="replace") for path in self.home.glob("logs/*error*.log"))

    def reload(self):
        """Seconds that `pm2 reload` took."""
        began = time.monotonic()
        self.ctl("reload", "ecosystem.config.cjs")
        return time.monotonic() - began

    def stop(self):
        left = []
        try:
            left = self.processes()
            self.ctl("kill", timeout=30)
        except (OSError, ValueError, AssertionError, subprocess.TimeoutExpired):
            pass        # it never came up, or is stuck: what is left is ended below
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until("pm2 is gone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), 30)
