"""One execution context with its stream and buffers, for one batch size: copy, run, copy back.

A captured graph belongs to one context and one shape (TensorRT's guide), hence one runner each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.engines.engine_cache import Report
from terrain_seg_ros.inference.tensorrt.build import TENSORRT_ERRORS, remedy
from terrain_seg_ros.inference.tensorrt.memory import Cuda
from terrain_seg_ros.model_store.onnx_contract import INPUT, OUTPUTS


class TensorRtRunner:
    """Run an engine on one batch size."""

    def __init__(
        self, cuda: Cuda, engine: Any, logger: Any, shape: tuple[int, int, int, int], report: Report
    ) -> None:
        """Allocate everything, run once to warm up, and capture the run as a graph.

        Args:
            cuda: the device.
            engine: TensorRT's; must outlive the runner.
            logger: holds TensorRT's last error.
            shape: of the input, (N, h, w, C).
            report: is called if no graph can be captured; the runner works without it.

        Raises:
            InferenceError: the memory is full, or the engine breaks the contract of our models.
        """
        self._cuda = cuda
        self._logger = logger
        self._addresses: dict[str, int] = {}
        self._stream: Any = None
        self._graph: Any = None
        self._context: Any = None
        self._arrays: dict[str, U8] = {}
        made = False
        try:
            self._make(engine, shape)
            self._enqueue()
            self._wait()
            self._graph = self._capture(report)
            made = True
        finally:
            if not made:
                self.close()

    def run(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run a batch of the runner's shape and return views that the next run overwrites.

        Raises:
            InferenceError: the run failed.
        """
        np.copyto(self._arrays[INPUT], tensor_nhwc_u8)
        if self._graph is not None:
            self._cuda.call("cudaGraphLaunch", self._graph, self._stream)
        else:
            self._enqueue()
        self._wait()
        return NetworkOutput(*(self._arrays[name] for name in OUTPUTS))

    def close(self) -> None:
        """Free all but the arrays, which their last view frees; calling again does nothing."""
        if self._stream is not None:
            self._cuda.api.cudaStreamSynchronize(self._stream)
        if self._graph is not None:
            self._cuda.api.cudaGraphExecDestroy(self._graph)
        self._context = self._graph = None
        for address in self._addresses.values():
            self._cuda.api.cudaFree(address)
        self._addresses = {}
        if self._stream is not None:
            self._cuda.api.cudaStreamDestroy(self._stream)
        self._stream = None
        self._arrays = {}

    def _make(self, engine: Any, shape: tuple[int, int, int, int]) -> None:
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        if not {INPUT, *OUTPUTS} <= set(names):
            raise InferenceError(
                f"the engine has the tensors {sorted(names)}, expected {[INPUT, *OUTPUTS]}; run "
                "`terrain-seg prepare --backend tensorrt --force`"
            )
        try:
            self._context = engine.create_execution_context()
        except TENSORRT_ERRORS as error:
            raise InferenceError(self._failure("make a context", str(error))) from error
        if self._context is None:
            raise InferenceError(self._failure("make a context"))
        self._stream = self._cuda.stream()
        if not self._context.set_input_shape(INPUT, shape):
            raise InferenceError(self._failure(f"take the input shape {shape}"))
        for name in names:
            sizes = tuple(int(size) for size in self._context.get_tensor_shape(name))
            array = self._cuda.pinned(sizes)
            array.fill(0)
            self._arrays[name] = array
            self._addresses[name] = self._cuda.allocate(array.nbytes)
            if not self._context.set_tensor_address(name, self._addresses[name]):
                raise InferenceError(self._failure(f"take the memory of {name!r}"))

    def _enqueue(self) -> None:
        self._cuda.upload(self._addresses[INPUT], self._arrays[INPUT], self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise InferenceError(self._failure("run the engine"))
        for name in OUTPUTS:
            self._cuda.download(self._arrays[name], self._addresses[name], self._stream)

    def _wait(self) -> None:
        self._cuda.call("cudaStreamSynchronize", self._stream)

    def _capture(self, report: Report) -> Any:
        """Return the run as a graph that starts in one call; None where that cannot be."""
        api = self._cuda.api
        # Other threads may allocate meanwhile; only this one is watched.
        mode = api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        try:
            self._cuda.call("cudaStreamBeginCapture", self._stream, mode)
            try:
                self._enqueue()
            finally:
                status, captured = api.cudaStreamEndCapture(self._stream)
            if int(status):
                raise InferenceError(f"CUDA's cudaStreamEndCapture failed with {int(status)}")
            try:
                return self._cuda.instantiate(captured)
            finally:
                api.cudaGraphDestroy(captured)
        except InferenceError as error:
            report(f"TensorRT runs without a CUDA graph, a little slower: {error}")
            # The failed capture leaves an error that the next call would be blamed for.
            api.cudaGetLastError()
            return None

    def _failure(self, action: str, reason: str = "") -> str:
        text = self._logger.last() or reason
        return f"TensorRT cannot {action} ({text or 'no reason given'}); {remedy(text)}"
