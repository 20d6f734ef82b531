"""`mcdrop predict --engine ray`: the parts of a folder, made by the workers of a cluster."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mcdrop.cli.predict_parts import Blocks, Job, do_job
from mcdrop.cli.predicting import Predicting
from mcdrop.cli.terminal import Terminal
from mcdrop.distributed import cluster
from mcdrop.distributed.dtypes import check_dtype, dtype_here
from mcdrop.distributed.parts import Part
from mcdrop.errors import DataError, McdropError
from mcdrop.recalibrate import calibrations


def run(
    jobs: Sequence[Job], folder: Path, predicting: Predicting
) -> Iterator[tuple[Job, Part | None]]:
    """Yields the jobs as they are done, in any order, with the part that was made.

    Raises:
        DataError: What a worker found wrong, or Ray cannot be had.
    """
    options = predicting.options
    rows = [json.dumps(asdict(job)) for job in jobs]
    arguments = (_for_workers(predicting), folder.resolve())
    for text in cluster.run(
        PartWorker, arguments, rows, workers=options.workers, address=options.address
    ):
        done = json.loads(text)
        if "error" in done:
            raise DataError(done["error"])
        part = done["part"]
        yield jobs[done["number"]], None if part is None else Part(**part)


class PartWorker:
    """Makes parts on a worker, which opens the model and the data once."""

    def __init__(self, options: Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._predicting: Predicting | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what became of each job; what is wrong with the data is no crash to try again."""
        return {"result": np.array([self._do(str(text)) for text in batch["job"]], object)}

    def _do(self, text: str) -> str:
        fields = json.loads(text)
        known = fields.pop("known")
        job = Job(**fields, known=None if known is None else Part(**known))
        try:
            predicting = self._open()
            blocks = Blocks(predicting.blocks(job.start))
            part = do_job(job, self._folder, predicting, blocks, lambda done, total: None)
        except McdropError as error:
            return json.dumps({"error": str(error)})
        return json.dumps({"number": job.number, "part": None if part is None else asdict(part)})

    def _open(self) -> Predicting:
        if self._predicting is None:
            check_dtype(self._options.compute_dtype)
            given = self._options.calibration
            calibration = None if given is None else calibrations.load(given)
            self._predicting = Predicting.open(self._options, calibration, Terminal(quiet=True))
        return self._predicting


def _for_workers(predicting: Predicting) -> Namespace:
    """Returns the options, with paths that do not depend on the folder that a worker runs in."""
    found = Namespace(**vars(predicting.options))
    # The choice of --splitting auto is made once: roundings differ between machines.
    found.splitting = predicting.mc.splitting
    found.compute_dtype = dtype_here(found.compute_dtype)
    for name in ("model", "labels", "calibration"):
        path = getattr(found, name)
        setattr(found, name, None if path is None else path.resolve())
    if Path(found.data).exists():
        found.data = str(Path(found.data).resolve())
    found.imports = [str(Path(n).resolve()) if n.endswith(".py") else n for n in found.imports]
    return found
