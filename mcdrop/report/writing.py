"""A report's directory: written whole or not at all, and never over anything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop.files import Kind, claim
from mcdrop.prediction import Prediction
from mcdrop.report.context import ReportContext, kind_of

if TYPE_CHECKING:
    import pandas as pd

    from mcdrop.evaluation import Evaluation
    from mcdrop.report.figures import Figure
    from mcdrop.report.recalibration import Recalibration

PAGE, NUMBERS, TABLE, FIGURES = "index.html", "report.json", "predictions.parquet", "figures"
REPORT = Kind("a report")


def write(
    evaluation: Evaluation,
    path: str | Path,
    *,
    x: ArrayLike | None = None,
    class_names: Sequence[Any] | None = None,
    out_of_distribution: Prediction | None = None,
    recalibration: Recalibration | None = None,
    context: ReportContext | None = None,
    sampled: Callable[[NDArray[np.intp]], Prediction] | None = None,
    force: bool = False,
) -> Path:
    """Writes the report on one model to a directory.

    The directory holds `index.html`, one self-contained page that opens without a network;
    `report.json`, its numbers; `predictions.parquet`, one row an example; `figures`; and
    `_mcdrop-files.json`, the list by which mcdrop knows its own files when it replaces them.

    Args:
        evaluation: What `mcdrop.evaluate` returned.
        path: The directory to write.
        x: The inputs when they are images, shape (N, H, W) or (N, H, W, channels).
        class_names: One name a class (a label, for "multilabel").
        out_of_distribution: The same model's prediction of data of another kind.
        recalibration: The evaluated prediction after recalibration, shown beside it.
        context: Names, command, versions and layers to state.
        sampled: Of a classifier: a function that predicts the examples at some places of the
            evaluated data again, with `keep_samples=True` and `examples=places`, so that the page
            can show the passes of a few examples when those of all were not kept.
        force: Whether to replace a report that is already there.

    Returns:
        The path of the page.

    Raises:
        DataError: The directory exists and `force` is not set, it holds files that mcdrop did
            not write, or it cannot be written; images, names, the other or the repaired
            prediction do not fit the evaluation; `sampled` returns other passes.

    Example:
        >>> import mcdrop, tempfile
        >>> passes = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]]])
        >>> prediction = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write(mcdrop.evaluate(prediction, [0, 1]), f"{folder}/report")
        ...     page.name, sorted(item.name for item in page.parent.glob("*.json"))
        ('index.html', ['_mcdrop-files.json', 'report.json'])
    """
    with claim(path, REPORT, force=force) as output:
        # Matplotlib takes a second to import: bad arguments should not wait for them.
        from mcdrop.report.building import build

        content = build(
            evaluation,
            x=x,
            class_names=class_names,
            out_of_distribution=out_of_distribution,
            recalibration=recalibration,
            context=context,
            sampled=sampled,
        )
        from mcdrop.report import numbers, pages
        from mcdrop.report.drawing import draw

        figures = draw(content)
        with output.draft() as folder:
            _write_files(folder, pages.render(content, figures), numbers.dump(content), figures)
            prediction_frame(evaluation).to_parquet(folder / TABLE, index=False)
    return Path(path).resolve() / PAGE


def compare(
    evaluations: Mapping[str, Evaluation | ArrayLike | tuple[ArrayLike, ArrayLike]],
    path: str | Path,
    *,
    context: ReportContext | None = None,
    force: bool = False,
) -> Path:
    """Writes a report that sets several models side by side.

    Where the models were evaluated on the same targets, differences to the first model are
    paired: what makes an example hard for all of them cancels.

    Args:
        evaluations: At least two models by name, the first being the reference: evaluations,
            and of models without dropout what they predict for the same examples, as
            `mcdrop.compare` takes it.
        path: The directory to write: `index.html`, `report.json` and `figures`.
        context: Names, command and versions to state.
        force: Whether to replace a report that is already there.

    Returns:
        The path of the page.

    Raises:
        DataError: There are fewer than two models, their tasks differ, or the directory exists
            and `force` is not set.
    """
    with claim(path, REPORT, force=force) as output:
        from mcdrop.report.comparison import build_comparison

        content = build_comparison(evaluations, context)
        from mcdrop.report import numbers, pages
        from mcdrop.report.drawing import draw_comparison

        figures = draw_comparison(content)
        with output.draft() as folder:
            page = pages.render_comparison(content, figures)
            _write_files(folder, page, numbers.dump_comparison(content), figures)
    return Path(path).resolve() / PAGE


def _write_files(folder: Path, page: str, numbers: str, figures: Mapping[str, Figure]) -> None:
    folder.mkdir()
    (folder / PAGE).write_text(page, encoding="utf-8")
    (folder / NUMBERS).write_text(numbers, encoding="utf-8")
    (folder / FIGURES).mkdir()
    for name, figure in figures.items():
        (folder / FIGURES / f"{name}.svg").write_text(figure.svg, encoding="utf-8")


def prediction_frame(evaluation: Evaluation) -> pd.DataFrame:
    """Returns one row an example: its number, its truth, the other columns of `to_frame`.

    The truth is `label`, or `label_0`, `label_1`, ... for several labels or outputs; for maps
    it is `error`, the share of wrong pixels or the root mean squared error of the example.
    """
    from mcdrop.report.gallery import wrong_share

    prediction, truth = evaluation.prediction, np.asarray(evaluation.y_true)
    frame = prediction.to_frame()
    if kind_of(prediction) == "pixels":
        frame.insert(1, "error", wrong_share(prediction.predicted_class, truth))
    elif truth.ndim > 2:
        squares = np.square(truth.reshape(prediction.mean.shape) - prediction.mean)
        frame.insert(1, "error", np.sqrt(squares.reshape(len(prediction), -1).mean(axis=1)))
    else:
        columns = truth.reshape(len(prediction), -1).T
        for place, column in enumerate(columns):
            frame.insert(1 + place, "label" if len(columns) == 1 else f"label_{place}", column)
    return frame
