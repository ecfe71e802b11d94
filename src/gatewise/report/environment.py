"""Where something was computed, for reports and results."""

from __future__ import annotations

import os
import platform

import numpy as np
import torch

import gatewise

__all__ = ["environment"]


def environment() -> dict[str, str]:
    """Machine and versions, as text."""
    return {
        "gatewise": gatewise.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu cores": str(os.cpu_count()),
        "torch threads": str(torch.get_num_threads()),
    }
