"""Load on the service over loopback: memory, failures and the bound of its queue.

pip install 'mcdrop[serve]'; python -m benchmarks.serving [requests]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

PORT, CLIENTS, ROUNDS, CROWD = 18124, 32, 10, 600


def post(body: bytes) -> tuple[int, float]:
    """Returns the status of a request, and the seconds that it took."""
    started = time.monotonic()
    connection = HTTPConnection("127.0.0.1", PORT, timeout=120)
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, time.monotonic() - started


def at_once(bodies: list[bytes], clients: int) -> Iterator[tuple[int, float]]:
    with ThreadPoolExecutor(clients) as pool:
        yield from pool.map(post, bodies)


def replica_mib() -> float:
    """Returns the resident memory of the process that predicts."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ServeReplica:default:Service" in path.read_bytes():
                status = path.with_name("status").read_text()
                return int(status.split("VmRSS:")[1].split()[0]) / 1024
        except (OSError, IndexError):
            continue
    raise SystemExit("There is no replica of the service.")


def main(num_requests: int = 4000) -> None:
    import keras
    import ray
    from ray import serve

    from mcdrop.distributed.service import Settings, build

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        layers = keras.layers
        body = [layers.Dense(64, "relu"), layers.Dropout(0.5), layers.Dense(10, "softmax")]
        keras.Sequential([keras.Input((64,)), *body]).save(f"{folder}/m.keras")
        serve.start(http_options={"port": PORT})
        serve.run(build(Settings(model=f"{folder}/m.keras", abstain_above=1.0)))
        rows = np.random.default_rng(0).normal(size=(num_requests // ROUNDS, 64)).round(3)
        bodies = [json.dumps({"input": row.tolist()}).encode() for row in rows]
        for number in range(ROUNDS):
            statuses, seconds = zip(*at_once(bodies, CLIENTS), strict=True)
            median, slow = np.quantile(seconds, [0.5, 0.99]) * 1000
            print(
                f"round {number}: {len(bodies)} requests of {CLIENTS} clients, statuses "
                f"{dict(Counter(statuses))}, {median:.0f} ms (99%: {slow:.0f} ms), "
                f"{replica_mib():.0f} MiB"
            )
        crowd = Counter(status for status, _ in at_once(bodies * 3, CROWD))
        print(f"{len(bodies) * 3} requests of {CROWD} clients: {dict(crowd)}")
        print(f"then one: {post(bodies[0])[0]}, {replica_mib():.0f} MiB")
        serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
