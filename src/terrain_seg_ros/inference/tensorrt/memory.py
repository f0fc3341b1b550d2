"""One GPU by CUDA's runtime API: what it is, its memory, pinned host memory and streams."""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.tensorrt.bindings import load_cuda

_NON_BLOCKING = 1
"""cudaStreamNonBlocking: the stream does not wait for the default one."""
_NO_MEMORY = 2
_OLD_DRIVER = 35
_NO_DEVICE = 100
_REMEDIES = {
    _NO_MEMORY: "the GPU's memory is full: end other programs on it, or use a smaller model or "
    "precision fp16",
    _OLD_DRIVER: "NVIDIA's driver is absent, or too old for cuda-python: update it, or take the "
    "cuda-python of its CUDA version",
    _NO_DEVICE: "there is no GPU: choose backend openvino or onnxruntime, or check nvidia-smi",
}
_OTHER_REMEDY = "run `terrain-seg doctor` or choose another backend"


@dataclass(frozen=True)
class Gpu:
    """The properties of a GPU that an engine depends on."""

    name: str
    capability: tuple[int, int]


class Cuda:
    """Call CUDA's runtime on one device; every failure is an InferenceError with its remedy."""

    def __init__(self, device: int) -> None:
        """Take a device by number.

        Raises:
            InferenceError: the bindings, the driver or the device are absent.
        """
        self.api = load_cuda()
        count = int(self.call("cudaGetDeviceCount"))
        if device >= count:
            raise InferenceError(
                f"tensorrt_device is {device}, but there are {count} GPUs; choose one of "
                f"{list(range(count))}, or another backend"
            )
        self.device = device
        self.use()

    def use(self) -> None:
        """Make the device that of the calling thread: each thread has its own.

        Raises:
            InferenceError: the driver refuses.
        """
        self.call("cudaSetDevice", self.device)

    def gpu(self) -> Gpu:
        """Return the device's name and compute capability.

        Raises:
            InferenceError: the driver refuses.
        """
        found = self.call("cudaGetDeviceProperties", self.device)
        name = found.name.decode(errors="replace") if isinstance(found.name, bytes) else found.name
        return Gpu(str(name).rstrip("\0").strip(), (int(found.major), int(found.minor)))

    def call(self, function: str, *arguments: Any) -> Any:
        """Call one function of the runtime and return its value; None where it has none.

        Raises:
            InferenceError: it failed.
        """
        try:
            status, *values = getattr(self.api, function)(*arguments)
        except RuntimeError as error:
            raise InferenceError(
                f"CUDA's {function} cannot be called ({error}); install NVIDIA's driver, or choose "
                "backend openvino or onnxruntime"
            ) from error
        code = int(status)
        if code:
            text = self.api.cudaGetErrorString(status)[-1]
            reason = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
            raise InferenceError(
                f"CUDA's {function} failed with error {code} ({reason}); "
                f"{_REMEDIES.get(code, _OTHER_REMEDY)}"
            )
        return values[0] if values else None

    def pinned(self, shape: tuple[int, ...]) -> U8:
        """Return an array in page-locked memory, freed with its last view.

        Raises:
            InferenceError: there is not enough memory.
        """
        size = prod(shape)
        address = int(self.call("cudaMallocHost", size))
        owner = (ctypes.c_uint8 * size).from_address(address)
        free = weakref.finalize(owner, self.api.cudaFreeHost, address)
        # At exit the driver goes first; the system takes the memory back.
        free.atexit = False
        return np.asarray(np.ctypeslib.as_array(owner).reshape(shape), dtype=np.uint8)

    def allocate(self, size: int) -> int:
        """Return the address of memory on the device.

        Raises:
            InferenceError: there is not enough memory.
        """
        return int(self.call("cudaMalloc", size))

    def stream(self) -> Any:
        """Return a new stream that waits for no other.

        Raises:
            InferenceError: the driver refuses.
        """
        return self.call("cudaStreamCreateWithFlags", _NON_BLOCKING)

    def upload(self, address: int, array: U8, stream: Any) -> None:
        """Queue a copy of a pinned array to the device.

        Raises:
            InferenceError: the driver refuses.
        """
        kind = self.api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream)

    def download(self, array: U8, address: int, stream: Any) -> None:
        """Queue a copy from the device to a pinned array.

        Raises:
            InferenceError: the driver refuses.
        """
        kind = self.api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream)

    def instantiate(self, graph: Any) -> Any:
        """Return a captured graph made ready to be launched.

        Raises:
            InferenceError: the driver refuses.
        """
        try:
            return self.call("cudaGraphInstantiate", graph, 0)
        except TypeError:
            # The bindings of CUDA 11 want room for a log instead of flags.
            return self.call("cudaGraphInstantiate", graph, b"", 0)


def gpu_count() -> int:
    """Return how many GPUs CUDA can use here; 0 where the bindings or the driver are absent."""
    try:
        status, *values = load_cuda().cudaGetDeviceCount()
    except (InferenceError, RuntimeError):
        return 0
    return int(values[0]) if int(status) == 0 else 0
