"""Recipes over the sequence classifier: alarms on the records of entities, for intrusions and for fraud."""

from gatewise.tasks.recipes.detector import RecordDetector
from gatewise.tasks.recipes.evaluation import RecordEvaluation
from gatewise.tasks.recipes.fraud import fraud_detector, load_credit_card, window_features, with_seen_before
from gatewise.tasks.recipes.intrusion import intrusion_detector, load_nsl_kdd
from gatewise.tasks.recipes.transactions import simulate_transactions

__all__ = [
    "RecordDetector",
    "RecordEvaluation",
    "fraud_detector",
    "intrusion_detector",
    "load_credit_card",
    "load_nsl_kdd",
    "simulate_transactions",
    "window_features",
    "with_seen_before",
]
