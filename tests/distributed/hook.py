"""What goes wrong on a worker, for `--import`: MCDROP_FAULTS names a folder with the fault to have.

Each fault happens once: whoever has it takes away the file that asks for it.
"""

import errno
import os
import signal
import time
from pathlib import Path

from mcdrop.cli import writers

FAULTS = Path(__file__).parent  # the tests copy this file to a folder of their own


def taken(name):
    try:
        (FAULTS / name).rename(FAULTS / f"{name}.had")
    except FileNotFoundError:
        return False
    return True


def node():
    import ray

    return ray.get_runtime_context().get_node_id()


def faulty(self, *rows):
    write(self, *rows)
    if taken("kill worker"):
        os.kill(os.getpid(), signal.SIGKILL)
    if taken(f"stall {node()}"):
        time.sleep(300)
    if "part-00003" in self._path.name and (FAULTS / "kill driver").exists():
        os.kill(int((FAULTS / "kill driver").read_text()), signal.SIGKILL)
        time.sleep(300)
    if taken("full disk"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))


write = writers.ParquetWriter.write
writers.ParquetWriter.write = faulty
