"""What writing predictions to one file and to a folder of parts have in common."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import (
    Examples,
    only_output,
    open_examples,
    passes_of,
    tell_readings,
    try_out,
    wrap_model,
)
from mcdrop.distributed.columns import Columns, finish, uncertainty
from mcdrop.prediction import Prediction
from mcdrop.recalibrate.calibrations import Calibration, Fingerprint, fingerprint_of_model

if TYPE_CHECKING:
    from mcdrop.predictor import MCDropout


@dataclass(frozen=True, eq=False)
class Predicting:
    """A model with the data that it goes through once, block by block.

    Attributes:
        options: What the user typed.
        calibration: What the predictions go through, or None.
        mc: The sampled model.
        examples: The data.
        trial: The prediction of the first examples.
    """

    options: Namespace
    calibration: Calibration | None
    mc: MCDropout
    examples: Examples
    trial: Prediction

    @classmethod
    def open(
        cls, options: Namespace, calibration: Calibration | None, terminal: Terminal
    ) -> Predicting:
        """Loads the model, opens the data and tries both on the first examples."""
        mc = wrap_model(options.model, options, terminal)
        examples = open_examples(options.data, mc.model, options, terminal)
        mc, trial = try_out(mc, examples, options, terminal)
        if calibration is not None:
            model = fingerprint_of_model(mc.model)
            calibration.made_for.check(options.calibration, trial, model)
            _tell_differences(calibration, trial, options, terminal)
        if options.abstain_above is not None:
            uncertainty(trial)
        tell_readings(examples, None, terminal)
        return cls(options, calibration, mc, examples, trial)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.examples.fitted)

    def blocks(self, start: int = 0) -> Iterator[Any]:
        """Yields the inputs from an example on."""
        return self.examples.blocks(start)

    def batches(
        self,
        blocks: Iterator[Any],
        progress: Callable[[int, int], None],
        rows: slice = slice(None),
    ) -> Iterator[tuple[Prediction, Columns]]:
        """Yields the predictions of some blocks, and columns of their examples by name.

        Args:
            blocks: The inputs of `rows` of the examples.
            progress: Called with (examples done, all of them).
            rows: Consecutive examples.
        """
        options, first = self.options, rows.start or 0
        for predictions in self.mc.predict_batches(
            blocks,
            num_samples=passes_of(self.mc, options),
            seed=options.seed,
            batch_size=options.batch_size,
            tolerance=options.tolerance,
            on_nonfinite=options.on_nonfinite,
            progress=lambda done, total: progress(first + done, len(self)),
            examples=self.examples.original.numbers[rows],
        ):
            yield finish(only_output(predictions), self.calibration, options.abstain_above)

    def _is_fitted_on(self, calibration: Calibration) -> bool:
        """Returns whether a calibration was fitted on these inputs; reads few that are others."""
        made_for = calibration.made_for
        return (
            len(self) == made_for.num_examples
            and Fingerprint.of(self.blocks()) == made_for.fingerprint
        )

    def tell(self, terminal: Terminal, **more: Any) -> None:
        """Says where the predictions are, and what may be expected of them."""
        options, calibration = self.options, self.calibration
        if calibration is not None and self._is_fitted_on(calibration):
            terminal.warn(
                f"{options.data} holds the data that {options.calibration} was fitted on, so "
                "nothing that it promises holds for these predictions."
            )
        terminal.say(f"Predictions of {len(self)} examples are in {options.output}.")
        if calibration is not None:
            terminal.say(f"Calibration {options.calibration}: {calibration.guarantee()}.")
        terminal.result(
            {
                "output": str(options.output),
                "task": self.trial.task,
                "num_examples": len(self),
                "num_samples": passes_of(self.mc, options),
                "seed": options.seed,
                **more,
            }
            | ({"splitting": self.trial.splitting} if self.trial.splitting else {})
            | ({} if calibration is None else {"calibration": calibration.to_dict()})
        )


def _tell_differences(
    calibration: Calibration, trial: Prediction, options: Namespace, terminal: Terminal
) -> None:
    found = calibration.made_for.differences(trial, options.samples)
    if options.tolerance is not None:
        found = "the same passes for all examples, not as many as --tolerance asks for"
    if found:
        terminal.warn(
            f"{options.calibration} was fitted on predictions with {found}; it may not hold for "
            "these."
        )
