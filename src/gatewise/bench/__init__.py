"""Measurements that anyone can repeat on their own machine: ratios within one run, after the outputs agree."""

from gatewise.bench.kernels import measure_kernels
from gatewise.bench.rows import Report, Row

__all__ = ["Report", "Row", "measure_kernels"]
