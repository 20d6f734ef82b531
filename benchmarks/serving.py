"""Load on the service of examples/ray_serve.py over loopback; needs the extras ray and serve.

python -m benchmarks.serving [requests]
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

PORT, CLIENTS = 18124, 32


def post(body: bytes) -> tuple[int, float]:
    """Returns the status of a request and the seconds that it took; 503 is tried again."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/predict", body)
    request.add_header("Content-Type", "application/json")
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return answer.status, time.monotonic() - started
    except urllib.error.HTTPError as error:
        return error.code, time.monotonic() - started


def replica_mib() -> float:
    """Returns the resident memory of the process that predicts."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ServeReplica" in path.read_bytes() and b"Service" in path.read_bytes():
                status = path.with_name("status").read_text()
                return int(status.split("VmRSS:")[1].split()[0]) / 1024
        except (OSError, IndexError):
            continue
    return float("nan")


def main(num_requests: int = 2000) -> None:
    import keras
    import ray
    from ray import serve

    from examples import ray_serve

    ray.cloudpickle.register_pickle_by_value(ray_serve)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        layers = keras.layers
        body = [layers.Dense(64, "relu"), layers.Dropout(0.5), layers.Dense(10, "softmax")]
        keras.Sequential([keras.Input((64,)), *body]).save(Path(folder) / "m.keras")
        serve.start(http_options={"port": PORT})
        serve.run(ray_serve.build(f"{folder}/m.keras", 1.0))
        rows = np.random.default_rng(0).normal(size=(256, 64)).round(3)
        bodies = [json.dumps({"input": row.tolist()}).encode() for row in rows]
        memory, found = [], Counter[int]()
        times: list[float] = []
        lock = threading.Lock()

        def one(number: int) -> None:
            status, took = post(bodies[number % len(bodies)])
            with lock:
                found[status] += 1
                times.append(took)

        for part in range(10):
            size = num_requests // 10
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(one, range(part * size, (part + 1) * size)))
            memory.append(replica_mib())
        with ThreadPoolExecutor(600) as pool:  # more than may wait
            burst = Counter(status for status, _ in pool.map(post, bodies * 4))
        print("statuses", dict(found), "milliseconds", np.quantile(times, [0.5, 0.99]) * 1000)
        print("replica MiB", np.round(memory), "after the burst", round(replica_mib()))
        print("burst of 1,024 from 600 clients", dict(burst), "then", post(bodies[0])[0])
        serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
