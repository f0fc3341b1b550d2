"""TensorRT on an NVIDIA GPU or its accelerator, from engines that are built once and cached."""

from __future__ import annotations

from collections import deque
from typing import Any

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BUILD_NEVER, BackendOptions
from terrain_seg_ros.inference.engines.engine_cache import EngineCache, default_cache_folder, warn
from terrain_seg_ros.inference.engines.engine_key import NO_DLA, EngineKey
from terrain_seg_ros.inference.input_tensor import run_each
from terrain_seg_ros.inference.tensorrt.bindings import load_tensorrt
from terrain_seg_ros.inference.tensorrt.build import (
    NAME,
    TENSORRT_ERRORS,
    EnginePlan,
    Progress,
    build_engine,
    is_out_of_memory,
    make_logger,
    plan_engine,
    remedy,
)
from terrain_seg_ros.inference.tensorrt.memory import Cuda, gpu_count
from terrain_seg_ros.inference.tensorrt.precision import device_precisions
from terrain_seg_ros.inference.tensorrt.runner import TensorRtRunner
from terrain_seg_ros.model_store.loaded_model import LoadedModel

SLOTS = 2


def is_present() -> bool:
    """Return whether TensorRT, CUDA's bindings and a GPU are there."""
    try:
        load_tensorrt()
    except InferenceError:
        return False
    return gpu_count() > 0


def usable_precisions() -> tuple[str, ...]:
    """Return the precisions that the first GPU computes in, whatever the model.

    Raises:
        InferenceError: TensorRT or a GPU is absent.
    """
    return device_precisions(load_tensorrt(), Cuda(0).gpu().capability)


def devices() -> tuple[str, ...]:
    """Return the name of the first GPU.

    Raises:
        InferenceError: TensorRT or a GPU is absent.
    """
    return (Cuda(0).gpu().name,)


def engine_key(model: LoadedModel, options: BackendOptions) -> EngineKey:
    """Return what an engine for this model, these options and this machine depends on.

    Raises:
        InferenceError: TensorRT or the GPU is absent, or cannot run the model.
        ConfigError: the accelerator cannot run it.
    """
    gpu = Cuda(options.device).gpu()
    return plan_engine(load_tensorrt(), model, options, gpu=gpu).key


def build(model: LoadedModel, options: BackendOptions, progress: Progress | None = None) -> bytes:
    """Return a new engine; minutes pass.

    Raises:
        InferenceError: TensorRT or the GPU is absent, or cannot build it.
        ConfigError: the accelerator cannot run it.
    """
    trt, cuda = load_tensorrt(), Cuda(options.device)
    plan = plan_engine(trt, model, options, gpu=cuda.gpu())
    return build_engine(trt, plan, model.graph(), cuda=cuda, progress=progress)


class TensorRtBackend:
    """Run a model in TensorRT; the outputs are views of pinned memory.

    `submit` and `collect` keep two batches on their way at once, so that one is copied while the
    other is computed; a call does both for one batch. For one thread at a time.
    """

    name = NAME

    def __init__(self, model: LoadedModel, options: BackendOptions) -> None:
        """Load the engine from the cache, or build it where the options allow that.

        Raises:
            InferenceError: TensorRT or the GPU is absent, refuses the model or has no memory
                left, or there is no engine and none may be built.
            ConfigError: the accelerator cannot run it.
        """
        self._card = model.card
        self._trt, self._cuda = load_tensorrt(), Cuda(options.device)
        self._logger = make_logger(self._trt)
        self._plan = plan_engine(self._trt, model, options, gpu=self._cuda.gpu())
        self.precision = self._plan.choice.precision
        self._runners: dict[tuple[int, int], TensorRtRunner] = {}
        self._free: deque[int] = deque(range(SLOTS))
        self._busy: dict[int, TensorRtRunner] = {}
        self._runtime: Any = None
        self._engine: Any = None
        made = False
        try:
            self._engine = self._load(model, options)
            self._runner(self._free[0], 1)
            made = True
        finally:
            if not made:
                self.close()

    @property
    def engine_key(self) -> EngineKey:
        """Return what the engine depends on."""
        return self._plan.key

    @property
    def max_batch(self) -> int:
        """Return how many images go together at most."""
        return self._plan.key.profile.max_batch

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8.

        Returns:
            For as many images as go together, views that a later call overwrites; for more, new
            arrays.

        Raises:
            InferenceError: the tensor does not fit the model, or the run failed.
        """
        return run_each(tensor_nhwc_u8, self._card, self._run, max_batch=self.max_batch)

    def submit(self, tensor_nhwc_u8: U8) -> int:
        """Set a batch of at most `max_batch` going and return its number for `collect`.

        Raises:
            InferenceError: the tensor does not fit, or two are on their way already.
        """
        if self._engine is None:
            raise InferenceError("the tensorrt backend is closed; make a new one")
        if not self._free:
            raise InferenceError(f"{SLOTS} batches are on their way; collect one first")
        count = int(tensor_nhwc_u8.shape[0])
        expected = self._plan.key.profile.shape(count)
        if tensor_nhwc_u8.shape != expected or not 1 <= count <= self.max_batch:
            raise InferenceError(
                f"input has shape {tensor_nhwc_u8.shape}, expected {expected} with at most "
                f"{self.max_batch} images"
            )
        self._cuda.use()
        slot = self._free[0]
        runner = self._runner(slot, count)
        runner.start(tensor_nhwc_u8)
        self._free.popleft()
        self._busy[slot] = runner
        return slot

    def collect(self, number: int) -> NetworkOutput:
        """Wait for a batch and return views, valid until two more are submitted.

        Raises:
            InferenceError: no such batch is on its way, or its run failed.
        """
        runner = self._busy.pop(number, None)
        if runner is None:
            raise InferenceError(f"no batch {number} is on its way; submit one first")
        self._free.append(number)
        return runner.finish()

    def close(self) -> None:
        """Free the engine and the GPU's memory; calling again does nothing."""
        if self._runners:
            self._cuda.api.cudaSetDevice(self._cuda.device)
        for runner in self._runners.values():
            runner.close()
        self._runners = {}
        self._busy = {}
        # TensorRT wants the engine to go before the runtime that read it.
        self._engine = None
        self._runtime = None

    def _run(self, tensor: U8) -> NetworkOutput:
        return self.collect(self.submit(tensor))

    def _runner(self, slot: int, count: int) -> TensorRtRunner:
        found = self._runners.get((slot, count))
        if found is None:
            shape = self._plan.key.profile.shape(count)
            found = TensorRtRunner(self._cuda, self._engine, self._logger, shape, warn)
            self._runners[slot, count] = found
        return found

    def _load(self, model: LoadedModel, options: BackendOptions) -> Any:
        cache = EngineCache(options.cache_dir or default_cache_folder())
        may_build = options.engine_build != BUILD_NEVER
        engine = self._deserialize(self._bytes(cache, model, may_build=may_build))
        if engine is not None:
            return engine
        refusal = self._logger.last()
        if is_out_of_memory(refusal):
            raise InferenceError(f"TensorRT cannot load an engine ({refusal}); {remedy(refusal)}")
        cache.discard(self._plan.key, refusal or "TensorRT does not read it")
        engine = self._deserialize(self._bytes(cache, model, may_build=may_build))
        if engine is None:
            reason = self._logger.last()
            raise InferenceError(
                f"TensorRT cannot read the engine that it built ({reason or 'no reason given'}); "
                f"{remedy(reason)}"
            )
        return engine

    def _bytes(self, cache: EngineCache, model: LoadedModel, *, may_build: bool) -> bytes:
        plan = self._plan
        if may_build:
            return cache.load_or_build(plan.key, lambda: self._build(plan, model))
        found = cache.load(plan.key)
        if found is None:
            raise InferenceError(
                f"no engine is cached for {plan.key.text()} ({cache.refusal(plan.key)}); run "
                f"`terrain-seg prepare --backend tensorrt --precision {plan.key.precision}`"
            )
        return found

    def _build(self, plan: EnginePlan, model: LoadedModel) -> bytes:
        warn(f"building a TensorRT engine of model {self._card.name!r}, which takes minutes")
        return build_engine(self._trt, plan, model.graph(), cuda=self._cuda)

    def _deserialize(self, data: bytes) -> Any:
        """Return the engine, None where TensorRT refuses it."""
        try:
            self._runtime = self._trt.Runtime(self._logger)
            if self._plan.key.dla_core != NO_DLA:
                self._runtime.DLA_core = self._plan.key.dla_core
            return self._runtime.deserialize_cuda_engine(data)
        except TENSORRT_ERRORS as error:
            raise InferenceError(
                f"TensorRT cannot load an engine ({self._logger.last() or error}); "
                f"{remedy(self._logger.last() or str(error))}"
            ) from error
