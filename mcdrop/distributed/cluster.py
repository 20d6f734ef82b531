"""Jobs on a Ray cluster, by an actor pool of Ray Data, which starts workers and jobs anew."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mcdrop.errors import DataError


def run(
    worker: type,
    arguments: Sequence[Any],
    jobs: Sequence[str],
    *,
    workers: int | None,
    address: str | None,
) -> Iterator[str]:
    """Yields what becomes of some jobs, as each is done.

    A job whose worker or machine is lost is done again elsewhere.

    Args:
        worker: Class whose objects take the batch {"job": array of texts} and return
            {"result": array of texts}; each worker makes one.
        arguments: What the class takes.
        jobs: A text each.
        workers: Number of workers; None for one a GPU, or one a machine where there is no GPU.
        address: Address of the cluster; None for the one of this machine or of RAY_ADDRESS, and
            where there is none a cluster on this machine alone.

    Raises:
        DataError: Ray is not installed, the cluster cannot be reached, or it gave up.
    """
    ray = _import()
    with _connected(ray, address):
        from ray.data import ActorPoolStrategy, DataContext

        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        count, resources = _share(ray, workers)
        try:
            done = ray.data.from_items(
                [{"job": job} for job in jobs], override_num_blocks=len(jobs)
            ).map_batches(
                worker,
                fn_constructor_args=tuple(arguments),
                batch_size=1,
                compute=ActorPoolStrategy(size=min(count, len(jobs))),
                runtime_env={
                    "env_vars": {"TF_NUM_INTRAOP_THREADS": str(max(1, resources["num_cpus"]))}
                },
                **resources,
            )
            for row in done.iter_rows():
                yield row["result"]
        except ray.exceptions.RayError as error:
            raise DataError(f"Ray gave up: {_reason(error)}") from error


def _import() -> Any:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DataError(
            f"Ray cannot be imported ({error}). Install it: pip install 'mcdrop[ray]'."
        ) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connects to a cluster, or to one of this process that is there already."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=address,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise DataError(
            f"The Ray cluster {address or 'of this machine'} cannot be reached: {_reason(error)} "
            "Look at it with 'ray status'; where it asks for a token, set RAY_AUTH_MODE=token. Or "
            "leave --address out."
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _share(ray: Any, workers: int | None) -> tuple[int, dict[str, float]]:
    """Returns how many workers to start, and what of the cluster each of them takes."""
    found = ray.cluster_resources()
    gpus, machines = int(found.get("GPU", 0)), sum(node["Alive"] for node in ray.nodes())
    count = workers or gpus or machines
    share = found.get("CPU", 1) / max(count, machines)
    # More workers than processors take parts of them, or the last would wait for ever.
    resources: dict[str, float] = {"num_cpus": int(share) if share >= 1 else int(share * 100) / 100}
    if gpus:
        resources["num_gpus"] = 1
    return count, resources


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".") + "."
