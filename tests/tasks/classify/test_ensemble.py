"""Members decide together by the mean of their probabilities, and each learns from its own errors."""

from __future__ import annotations

import numpy as np
import torch

from gatewise.tasks.classify.fitted import Fitted
from gatewise.tasks.classify.training import ClassObjective, Labels
from tests.tasks.classify.waves import small, waves

# A sum of three float32 probabilities.
CLOSE = 3 * 6e-8


def test_the_mean_of_the_members_probabilities() -> None:
    X, y = waves(20)
    fitted: Fitted = small(members=3).fit(X, y).fitted_
    batch = fitted.encoder.encode(small().fit(X, y)._known(X)).batch(np.arange(20))
    with torch.no_grad():
        each = [torch.softmax(member(batch), dim=-1) for member in fitted.network.members]
        together = torch.softmax(fitted.network(batch), dim=-1)
    assert (each[0] - each[1]).abs().max() > 1e-3
    torch.testing.assert_close(together, sum(each) / 3, rtol=0, atol=CLOSE)


def test_each_member_is_charged_for_its_own_probabilities() -> None:
    """The loss is the mean of the members' log losses, not the log loss of their mean."""
    X, y = waves(12)
    for output in ("sequence", "step"):
        by_step = output == "step"
        targets = [np.full(len(x), one) for x, one in zip(X, y, strict=True)] if by_step else y
        model = small(members=2, output=output, dropout=0.0).fit(X, targets)
        sequences = model._known(X)
        encoded = model.fitted_.encoder.encode(sequences)
        each = (y == "slow").astype(np.int64)
        labels = Labels(np.repeat(each, sequences.lengths) if by_step else each, by_step)
        everything = np.arange(12)
        objective = ClassObjective(encoded, labels, everything, np.ones(2), "")
        batch = encoded.batch(everything) | {"y": labels.batch(sequences, everything)}
        network = model.fitted_.network.train()
        with torch.no_grad():
            found = float(objective.loss(network, batch))
            losses = []
            for member in network.members:
                logs = torch.log_softmax(member(batch), dim=-1).numpy()
                own = [
                    -logs[step, place, each[place]] if by_step else -logs[place, each[place]]
                    for place in range(12)
                    for step in range(sequences.lengths[place] if by_step else 1)
                ]
                losses.append(np.mean(own))
        np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)
