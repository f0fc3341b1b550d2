"""`training.precision: auto`: the number format in which this machine trains fastest."""

from __future__ import annotations

import copy
import logging
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

AUTO, FULL, HALF = "auto", "fp32", "bf16"
WARM_UP_STEPS, TIMED_STEPS = 1, 3
GAIN = 1.05
"""By which bfloat16 must be faster to be chosen: its weights are less exact."""
_CPU_FLAGS = {"amx_bf16", "avx512_bf16"}


def choose_precision(
    recipe: Recipe, network: nn.Module, example: Tensor, *, processes: int, gpu: bool
) -> str:
    """Return the precision of a recipe, measured where it says `auto`.

    Bfloat16 is measured only on hardware that computes in it (AMX, AVX-512-BF16, a GPU). Several
    processes do not measure, since each could choose differently: they take bfloat16 where the
    hardware has it.

    Args:
        recipe: of the run.
        network: to train; it is not changed, nor are random numbers.
        example: (1, C, H, W), as the network sees an image.
        processes: that train together.
        gpu: it will train on a GPU.
    """
    wanted = recipe.training.precision
    if wanted != AUTO:
        return wanted
    if not has_bfloat16(gpu=gpu):
        log.info("precision %s: this machine has no bfloat16 arithmetic", FULL)
        return FULL
    if processes > 1:
        log.info("precision %s, not measured: %d processes train together", HALF, processes)
        return HALF
    images = example.expand(recipe.training.batch_size, -1, -1, -1)
    device = torch.device("cuda" if gpu else "cpu")
    full, half = (step_seconds(network, images, device, bfloat16=kind) for kind in (False, True))
    chosen = HALF if half * GAIN < full else FULL
    log.info("precision %s: a step takes %.3f s in fp32, %.3f s in bf16", chosen, full, half)
    return chosen


def has_bfloat16(*, gpu: bool, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the hardware computes in bfloat16."""
    if gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        words = cpuinfo.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return not _CPU_FLAGS.isdisjoint(words)


def step_seconds(
    network: nn.Module, images: Tensor, device: torch.device, *, bfloat16: bool
) -> float:
    """Return the shortest time of a step, forward and backward, of a copy of a network."""
    trial = copy.deepcopy(network).to(device).train()
    pixels = images.to(device).contiguous(memory_format=torch.channels_last)
    devices = [device] if device.type == "cuda" else []
    times = []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        for _ in range(WARM_UP_STEPS + TIMED_STEPS):
            _wait(device)
            start_s = time.perf_counter()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                output = trial(pixels)
            output.float().square().mean().backward()
            _wait(device)
            times.append(time.perf_counter() - start_s)
    return min(times[WARM_UP_STEPS:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
