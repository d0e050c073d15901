# SPDX-License-Identifier: Apache-2.0
"""What the disk beneath a durable store takes, so that figures of machines with other disks can be compared."""

import os
import time

BLOCK = b"\0" * 4096


def sync_times_ms(directory, count):
    """Milliseconds of each of count appended blocks, written and synced."""
    times = []
    fd = os.open(directory / "blocks", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(count):
            began_s = time.monotonic()
            os.write(fd, BLOCK)
            os.fdatasync(fd)
            times.append((time.monotonic() - began_s) * 1000)
    finally:
        os.close(fd)
    return times
