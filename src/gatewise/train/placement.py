"""Where a run computes, in which precision, and with how many processes.

Accelerate's state is one per process and holds one device and one precision for all, so a second estimator
with another device or precision could not live beside the first. Hence: a run in a single process takes its
device from torch and its precision from `torch.autocast`, both its own; Accelerate comes in when the process
was launched as one of several (torchrun, accelerate launch), where a device per process and one process
group are what is wanted: its `PartialState` finds the backend, starts the group and assigns the device, and
holds no precision.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed
from torch import Tensor, nn

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.train.config import TrainConfig
from gatewise.train.protocols import Objective

__all__ = ["Placement"]

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Placement:
    """A run's device, precision and processes.

    Args:
        config: names the device and the precision.

    Attributes:
        device: the device.
        precision: "float32", "bfloat16" or "float16".
        rank: this process's number, from 0.
        world: how many processes train together.
        scaler: the loss scaler of float16, or None.

    Raises:
        ArgumentError: the device does not exist or is not the one this process was launched for.
        ArgumentTypeError: `config.device` is no device.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.device = _device(config.device)
        self.rank, self.world = 0, 1
        if _launched_among_several():
            self._join(config)
        self.precision = _precision(config.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type) if self.precision == "float16" else None

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that shows progress and writes files."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which the precision holds; it belongs to this thread alone."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    def move(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Put a batch on the device."""
        if self.device.type == "cpu":
            return batch
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def step_module(self, model: nn.Module, objective: Objective) -> nn.Module:
        """Return a module whose forward is a batch's loss, its gradients averaged over the processes."""
        step = LossModule(model, objective)
        index = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(step, device_ids=index)

    def share(self, batch: Mapping[str, Tensor], dim: int) -> tuple[Mapping[str, Tensor], float]:
        """Cut this process's part out of a batch.

        Args:
            batch: the whole batch, alike in every process.
            dim: the dimension that the rows lie in.

        Returns:
            The part, and how many rows it stands for. A process that no row is left for gets the first one,
            which stands for none: it must compute along, or the others would wait for it.
        """
        sizes = {value.shape[dim] for value in batch.values() if value.ndim > dim}
        if len(sizes) != 1:
            raise ArgumentError(
                f"batches: tensors must have as many rows as each other along dimension {dim} (batch_dim) "
                f"to be shared among {self.world} processes, came {sorted(sizes)}"
            )
        (rows,) = sizes
        start, stop = rows * self.rank // self.world, rows * (self.rank + 1) // self.world
        kept = max(stop - start, min(rows, 1))
        start = min(start, rows - kept)
        part = {
            name: value.narrow(dim, start, kept) if value.ndim > dim else value
            for name, value in batch.items()
        }
        return part, float(stop - rows * self.rank // self.world)

    def total(self, value: float) -> float:
        """Return a number's sum over the processes."""
        if self.world == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return float(tensor.item())

    def agree(self, values: list[float]) -> list[float]:
        """Return the main process's numbers in every process."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(tensor, 0)
        return [float(value) for value in tensor.tolist()]

    def largest(self, values: list[float]) -> list[float]:
        """Return each number's maximum over the processes."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX)
        return [float(value) for value in tensor.tolist()]

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return every process's tensor (of one shape), in the order of their ranks, on the CPU."""
        if self.world == 1:
            return [tensor.cpu()]
        parts = [torch.empty_like(tensor, device=self.device) for _ in range(self.world)]
        torch.distributed.all_gather(parts, tensor.to(self.device))
        return [part.cpu() for part in parts]

    def _join(self, config: TrainConfig) -> None:
        """Join the other processes through Accelerate."""
        from accelerate import PartialState  # type: ignore[import-untyped]  # slow, and needed only here

        # Without cpu=True, Accelerate on a machine without a GPU trains each process alone, in silence.
        state = PartialState(cpu=self.device.type == "cpu")
        if state.device.type != self.device.type:
            raise ArgumentError(
                f"device: this process was launched for {state.device}, came {str(config.device)!r}; "
                'leave device at "auto" under torchrun'
            )
        if state.num_processes == 1:
            raise ArgumentError(
                "this process is one of several, but was not started as such: start them by torchrun or "
                "accelerate launch"
            )
        self.device, self.rank, self.world = state.device, state.process_index, state.num_processes


class LossModule(nn.Module):
    """The objective's loss as a module's forward, so that data-parallel training wraps all of it.

    Args:
        model: the model.
        objective: what is minimised.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return self._objective.loss(self.model, batch)


def _launched_among_several() -> bool:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size() > 1
    world = os.environ.get("WORLD_SIZE", "1")
    return world.isdigit() and int(world) > 1


def _device(name: object) -> torch.device:
    if isinstance(name, str) and name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        # Small recurrent models on mps are often slower than on its CPU: there it has to be named.
        return found if found is not None and found.type in ("cuda", "xpu") else torch.device("cpu")
    if not isinstance(name, (str, torch.device)):
        raise ArgumentTypeError(f'device: a name such as "auto", "cpu", "cuda:0" is expected, came {name!r}')
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ArgumentError(
            f'device: {str(name)!r} cannot be used here ({reason}); "auto" picks one'
        ) from error
    if device.type == "meta":
        raise ArgumentError("device: 'meta' holds no values and cannot train; \"auto\" picks one")
    return device


def _precision(name: str, device: torch.device) -> str:
    if name != "auto":
        return name
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8:
        return "bfloat16"
    return "float32"
