"""What is wrong with a recurrent network, from what it does: findings in words, each with its number and threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.inspect.findings import THRESHOLDS, Finding, of_flows, of_layer, of_training
from gatewise.inspect.flow import gradient_flow
from gatewise.inspect.flow_numbers import GradientFlow
from gatewise.inspect.recording import LongestCalls, Trace, layers_of, record
from gatewise.inspect.statistics import Statistics, Tally
from gatewise.nn.arguments import no_type_check
from gatewise.store.documents import plain

__all__ = ["Health", "examine", "health"]

# What is called to run an estimator over data: the first that it has.
_WAYS = ("log_probabilities", "score_samples", "predict_proba", "predict")
# Sequences and steps of one call that gradient flow is measured on.
_FLOW_ROWS, _FLOW_STEPS = 8, 256


@dataclass(frozen=True)
class Health:
    """What an examination found.

    Attributes:
        findings: the serious ones first.
        statistics: what each unit did.
        flows: by module path, how gradients flow through it; empty where that was not measured.
        unmeasured: what could not be examined, and why.
    """

    findings: tuple[Finding, ...]
    statistics: Statistics
    flows: Mapping[str, GradientFlow]
    unmeasured: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing serious was found."""
        return not any(one.serious for one in self.findings)

    @property
    def verdict(self) -> str:
        """One sentence."""
        serious = [one.kind for one in self.findings if one.serious]
        if serious:
            named = ", ".join(dict.fromkeys(serious))
            return f"{len(serious)} serious {'finding' if len(serious) == 1 else 'findings'}: {named}."
        notes = len(self.findings)
        rest = "" if not notes else f"; {notes} {'note' if notes == 1 else 'notes'}"
        return f"Nothing serious was found{rest}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "verdict": self.verdict, "healthy": self.healthy, "findings": plain(self.findings, digits=6),
            "thresholds": dict(THRESHOLDS), "unmeasured": list(self.unmeasured),
            "gradient_flow": {name: flow.to_dict() for name, flow in self.flows.items()},
            "statistics": self.statistics.to_dict(),
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [self.verdict]
        for one in self.findings:
            lines.append(f"- {'' if one.serious else 'note: '}{one.words} {one.suggestion}")
        return "\n".join([*lines, *(f"- not examined: {one}" for one in self.unmeasured)])


@no_type_check
def health(
    model: Any, *data: Any, history: Iterable[Any] | None = None, flow: bool = True, **further: Any
) -> Health:  # fmt: skip
    """Run a model over data and say what is wrong with its recurrent layers.

    Args:
        model: a module, called with `data` and `further`; or a fitted estimator, whose `log_probabilities`,
            `score_samples`, `predict_proba` or `predict` (the first that it has) is.
        *data: what it is run on.
        history: records of its training: a `FlowMonitor`'s, or dicts with any of "step", "loss" or "train_loss",
            "gradient_norm", "updates" (a number, or one for each group of parameters); None: an estimator's own.
        flow: whether to measure how gradients flow, on some sequences of the longest call.
        **further: passed on to the model.

    Raises:
        ArgumentError: there is no recurrent layer, or no step went through one.
        ArgumentTypeError: neither a module nor an estimator that was fitted.

    Example:
        >>> import torch
        >>> from gatewise import inspect, nn
        >>> _ = torch.manual_seed(0)
        >>> found = inspect.health(nn.RNN(3, 8), 3 * torch.randn(120, 4, 3))
        >>> [one.kind for one in found.findings]
        ['forgotten start']
    """
    layers_of(model)
    call: Callable[..., Any] = model if callable(model) else _way(model)
    own = getattr(model, "history_", None) if history is None else history
    return examine(model, lambda: call(*data, **further), history=own, flow=flow)


def _way(model: Any) -> Callable[..., Any]:
    for name in _WAYS:
        if hasattr(model, name):
            found: Callable[..., Any] = getattr(model, name)
            return found
    raise ArgumentTypeError(
        f"model: one with {', '.join(_WAYS[:-1])} or {_WAYS[-1]} is expected, came {type(model).__name__}; run it "
        "yourself within gatewise.inspect.record"
    )


def examine(
    model: Any, run: Callable[[], Any], *, history: Iterable[Any] | None = None, flow: bool = True
) -> Health:
    """Run a model in whatever way, and say what is wrong with its recurrent layers; as `health` else.

    Args:
        model: a module or a fitted estimator.
        run: runs it, without arguments.
        history: records of its training, as in `health`.
        flow: whether to measure how gradients flow.
    """
    tally, longest = Tally(), LongestCalls()

    def visit(trace: Trace) -> None:
        tally.visit(trace)
        longest.visit(trace)

    with record(model, each=visit):
        run()
    found = tally.statistics()
    flows, unmeasured = _flows(longest, layers_of(model)) if flow else ({}, ())
    findings = [one for layer in found.layers for one in of_layer(layer)]
    findings += of_flows(flows)
    findings += of_training([] if history is None else list(history))
    findings.sort(key=lambda one: not one.serious)
    return Health(tuple(findings), found, flows, unmeasured)


def _flows(
    longest: LongestCalls, modules: Mapping[str, Any]
) -> tuple[dict[str, GradientFlow], tuple[str, ...]]:
    """Gradient flow of each module that can be measured, and why not of the others."""
    found, unmeasured = {}, []
    for path, trace in longest.traces.items():
        module, name = modules[path], path or "the model"
        if len(module.program.inputs) > 1:
            unmeasured.append(f"the gradient flow of {name}: its cell reads several inputs")
            continue
        if len(trace.input) < 2:
            unmeasured.append(f"the gradient flow of {name}: it was called one step at a time")
            continue
        x, mask = longest.part(module, path, rows=_FLOW_ROWS, steps=_FLOW_STEPS)
        try:
            found[path] = gradient_flow(module, x, mask=mask)
        except ArgumentError as error:
            unmeasured.append(f"the gradient flow of {name}: {error}")
    return found, tuple(unmeasured)
