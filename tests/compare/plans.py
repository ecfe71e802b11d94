"""Small comparisons for the tests."""

from __future__ import annotations

from typing import Any

from gatewise.compare import Plan, parse_plan


def settings(**changes: Any) -> dict[str, Any]:
    """A configuration of four short runs; changes replace whole parts."""
    made = {
        "title": "A small comparison",
        "cells": ["rnn_tanh", "lstm"],
        "seeds": 2,
        "problem": [{"kind": "temporal-order", "steps": 10}],
        "budget": {"parameters": 400, "steps": 12},
        "training": {"validate_every": 4, "batch_size": 8, "learning_rate": 0.01, "dropout": 0.1},
    }
    return {**made, **changes}


def plan(**changes: Any) -> Plan:
    """The same as a plan."""
    return parse_plan(settings(**changes))
