"""Strange rows in series: found by recurrent networks, judged without flattering metrics."""

from gatewise.tasks.anomaly.detector import AnomalyDetector
from gatewise.tasks.anomaly.evaluation import Evaluation
from gatewise.tasks.anomaly.events import event_hits, point_adjusted_hits, point_hits
from gatewise.tasks.anomaly.nab import NabFile, best_nab, score_nab
from gatewise.tasks.anomaly.ranges import range_hits
from gatewise.tasks.anomaly.vus import vus_pr

__all__ = [
    "AnomalyDetector",
    "Evaluation",
    "NabFile",
    "best_nab",
    "event_hits",
    "point_adjusted_hits",
    "point_hits",
    "range_hits",
    "score_nab",
    "vus_pr",
]
