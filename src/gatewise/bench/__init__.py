"""Measurements that anyone can repeat on their own machine: ratios within one run, after the outputs agree."""

from gatewise.bench.kernels import Report, Row, measure_kernels

__all__ = ["Report", "Row", "measure_kernels"]
