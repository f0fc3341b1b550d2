"""TensorRT on an NVIDIA GPU or its accelerator, from engines that are built once and cached."""

from __future__ import annotations

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


def is_present() -> bool:
    """Return whether TensorRT, the CUDA bindings and a GPU are present."""
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
    """Build an engine, which takes minutes.

    Raises:
        InferenceError: TensorRT or the GPU is absent, or cannot build it.
        ConfigError: the accelerator cannot run it.
    """
    trt, cuda = load_tensorrt(), Cuda(options.device)
    plan = plan_engine(trt, model, options, gpu=cuda.gpu())
    return build_engine(trt, plan, model.graph(), cuda=cuda, progress=progress)


class TensorRtBackend:
    """Run a model in TensorRT, from one thread at a time; outputs are views of pinned memory."""

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
        self._runners: dict[int, TensorRtRunner] = {}
        self._runtime: Any = None
        self._engine: Any = None
        made = False
        try:
            self._engine = self._load(model, options)
            self._runner(1)
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
        """Return the largest number of images that run together."""
        return self._plan.key.profile.max_batch

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8.

        Returns:
            For up to `max_batch` images views that the next call overwrites; for more, new
            arrays.

        Raises:
            InferenceError: the tensor does not fit the model, or the run failed.
        """
        return run_each(tensor_nhwc_u8, self._card, self._run, max_batch=self.max_batch)

    def close(self) -> None:
        """Free the engine and the GPU's memory; calling again does nothing."""
        if self._runners:
            self._cuda.api.cudaSetDevice(self._cuda.device)
        for runner in self._runners.values():
            runner.close()
        self._runners = {}
        # TensorRT wants the engine to go before the runtime that read it.
        self._engine = None
        self._runtime = None

    def _run(self, tensor: U8) -> NetworkOutput:
        if self._engine is None:
            raise InferenceError("the tensorrt backend is closed; make a new one")
        self._cuda.use()
        return self._runner(len(tensor)).run(tensor)

    def _runner(self, count: int) -> TensorRtRunner:
        """Return the runner for a batch of that many images; it is created when first needed."""
        found = self._runners.get(count)
        if found is None:
            shape = self._plan.key.profile.shape(count)
            found = TensorRtRunner(self._cuda, self._engine, self._logger, shape, warn)
            self._runners[count] = found
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
