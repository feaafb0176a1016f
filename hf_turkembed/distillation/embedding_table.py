"""Trains an embedding table row by row: AdamW that walks only the rows that a batch touches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_BETA1, _BETA2 = 0.9, 0.999
_EPSILON = 1e-8
# Rows that are brought up to date at once, to bound what the intermediate results take.
_BLOCK_ROWS = 16_384


class EmbeddingTable:
    """The rows of an embedding, trained by AdamW as if every row took part in every step.

    Between two steps that touch a row its gradient is zero, and what AdamW does to it is a geometric series: momentum
    decays by beta1, the second moment by beta2, and weight decay multiplies. The sum is known in closed form, as the
    learning rates of all steps are, so that a row is brought up to date when it is needed and not before. The result
    is that of `torch.optim.AdamW` but for rounding, and for its epsilon, which does not decay in skipped steps.

    While a step is under way the module's weight is a leaf that holds the touched rows alone, so that neither
    gradients nor their exchange between processes grow with the vocabulary.

    References:
        https://huggingface.co/papers/1711.05101
    """

    def __init__(self, module: nn.Embedding, learning_rates: Sequence[float], weight_decay: float) -> None:
        """Take over an embedding's weight.

        Args:
            module: The embedding; its weight no longer asks for gradients.
            learning_rates: Of every step of the run.
            weight_decay: As in AdamW.
        """
        self._module = module
        # The padding of a batch is masked, so that its row has no gradient anyway; and numbers change meaning here.
        self._padding_idx, module.padding_idx = module.padding_idx, None
        self.weight = module.weight.requires_grad_(False)
        self.first_moment = torch.zeros_like(self.weight)
        self.second_moment = torch.zeros_like(self.weight)
        # Steps after which each row is up to date; ahead of the run where a row is held back.
        self.updated = torch.zeros(len(self.weight), dtype=torch.long, device=self.weight.device)
        rates = np.concatenate([[0.0], learning_rates])
        steps = np.arange(len(rates))
        with np.errstate(divide="ignore", invalid="ignore"):
            corrected = np.nan_to_num(rates * np.sqrt(1 - _BETA2**steps) / (1 - _BETA1**steps), posinf=0.0)
        decay = np.cumprod(1 - rates * weight_decay)
        ratio = _BETA1 / _BETA2**0.5
        series = np.zeros(len(rates))
        for step in range(len(rates) - 2, -1, -1):
            series[step] = ratio * (corrected[step + 1] / decay[step + 1] + series[step + 1])
        device = self.weight.device
        self._ratio = ratio
        self._decay = torch.from_numpy(decay).to(device)
        self._series = torch.from_numpy(series).to(device)
        self._corrected = corrected
        self._held_steps = 0
        self._rows: Tensor | None = None

    def hold_back(self, held: Tensor, steps: int) -> None:
        """Leave rows as they are for the first steps of the run, as if those were over for them.

        Their gradients count for nothing then, nor does weight decay; called before the first step.

        Args:
            held: Which rows, `(rows,)`.
            steps: How many steps.
        """
        self.updated[held] = steps
        self._held_steps = steps

    def gather(self, rows: Tensor, step: int) -> nn.Parameter:
        """Begin a step: put the rows in the module's place, in their order.

        Args:
            rows: Distinct row numbers, `(touched,)`.
            step: Number of the step, from 1.

        Returns:
            The leaf that gets the gradient, `(touched, hidden_size)`.
        """
        self._bring_up_to_date(rows, step - 1)
        self._rows = rows
        leaf = nn.Parameter(self.weight.index_select(0, rows))
        self._module.weight = leaf
        return leaf

    def drop_held_gradients(self, step: int) -> None:
        """Let rows that are held back count for nothing in the norm of the leaf's gradient.

        Args:
            step: Number of the step under way, from 1.
        """
        gradient = self._module.weight.grad
        if step <= self._held_steps and self._rows is not None and gradient is not None:
            gradient[self.updated[self._rows] >= step] = 0

    def apply(self, step: int) -> None:
        """End a step: move the touched rows along the leaf's gradient, and put the whole table back.

        Args:
            step: Number of the step, from 1.
        """
        if self._rows is None:
            raise RuntimeError("`apply` without `gather`.")
        rows, gradient = self._rows, self._module.weight.grad
        self._module.weight = self.weight
        self._rows = None
        if gradient is None:
            return
        if step <= self._held_steps:
            free = self.updated[rows] < step
            rows, gradient = rows[free], gradient[free]
        with torch.no_grad():
            weight, first, second = self._select(rows)
            first.mul_(_BETA1).add_(gradient, alpha=1 - _BETA1)
            second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
            weight.mul_(float(self._decay[step] / self._decay[step - 1]))
            correction = (1 - _BETA2**step) ** 0.5
            # AdamW adds epsilon to the root of the corrected moment.
            weight.addcdiv_(first, second.sqrt().add_(_EPSILON * correction), value=-float(self._corrected[step]))
            self._put_back(rows, weight, first, second, step)

    def finish(self, step: int) -> None:
        """Bring every row up to date, for whoever reads the table between steps.

        Args:
            step: The last step that was applied.
        """
        for rows in torch.arange(len(self.weight), device=self.weight.device).split(_BLOCK_ROWS):
            self._bring_up_to_date(rows, step)

    def release(self) -> None:
        """Give the embedding back as it was taken over, trained."""
        self._module.padding_idx = self._padding_idx
        self.weight.requires_grad_(True)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs besides the weights."""
        return {"first": self.first_moment, "second": self.second_moment, "updated": self.updated}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.first_moment.copy_(state["first"])
        self.second_moment.copy_(state["second"])
        self.updated.copy_(state["updated"])

    def _bring_up_to_date(self, rows: Tensor, step: int) -> None:
        """Do what AdamW does to rows without gradient in the steps since they were last touched."""
        last = self.updated[rows]
        rows, last = rows[last < step], last[last < step]
        if not len(rows):
            return
        passed = (step - last).double()
        share = self._ratio**passed
        total = (self._series[last] - share * self._series[step]) * self._decay[step]
        kept = self._decay[step] / self._decay[last]
        with torch.no_grad():
            weight, first, second = self._select(rows)
            direction = second.sqrt().add_(_EPSILON)
            torch.div(first, direction, out=direction)
            weight.mul_(kept.float()[:, None]).addcmul_(direction, -total.float()[:, None])
            first.mul_((_BETA1**passed).float()[:, None])
            second.mul_((_BETA2**passed).float()[:, None])
            self._put_back(rows, weight, first, second, step)

    def _select(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Copy rows of the weight and of both moments; three times as fast on a processor as indexing."""
        weight, first, second = (
            table.index_select(0, rows) for table in (self.weight, self.first_moment, self.second_moment)
        )
        return weight, first, second

    def _put_back(self, rows: Tensor, weight: Tensor, first: Tensor, second: Tensor, step: int) -> None:
        """Put rows in their place, up to date after a step."""
        self.weight[rows], self.first_moment[rows], self.second_moment[rows] = weight, first, second
        self.updated[rows] = step
