"""TensorRT and CUDA played on the CPU, by the names that versions 8.5, 10 and 11 offer.

The "device" is ordinary memory and ONNX Runtime computes, so that masks are real: what is tried is
the order and the names of the calls, the buffers and the errors. Where there is a GPU,
test_tensorrt_gpu.py tries the real ones.
"""

from __future__ import annotations

import ctypes
import sys
import types
from enum import Enum, IntEnum
from importlib.machinery import ModuleSpec

import numpy as np
import onnxruntime

from terrain_seg_ros.model_store.onnxruntime_errors import ONNXRUNTIME_ERRORS

OUTPUTS = ("mask", "confidence", "probabilities")
VERSIONS = ("8.5.3.1", "10.3.0", "11.4.1")
MAGIC = b"stand-in "


class CudaStandIn(types.ModuleType):
    """Stands for cuda.bindings.runtime."""

    def __init__(self, *, devices=1, memory_bytes=1 << 30, capture_fails=False):
        super().__init__("cuda.bindings.runtime")
        self.devices, self.memory_bytes, self.capture_fails = devices, memory_bytes, capture_fails
        self.blocks, self.pinned, self.streams, self.graphs = {}, {}, set(), {}
        self.recording = None
        self.current_device = 0
        self.launches = 0
        self.cudaMemcpyKind = types.SimpleNamespace(
            cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2
        )
        self.cudaStreamCaptureMode = types.SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def do(self, action):
        """Do something now, or note it where a graph is being captured."""
        if self.recording is None:
            action()
        else:
            self.recording.append(action)

    def cudaGetDeviceCount(self):
        return (0, self.devices) if self.devices else (100, None)

    def cudaSetDevice(self, device):
        self.current_device = device
        return (0,)

    def cudaGetDeviceProperties(self, device):
        return 0, types.SimpleNamespace(name=b"Stand-in GPU\0", major=8, minor=7)

    def cudaGetErrorString(self, status):
        return 0, {2: b"out of memory", 100: b"no CUDA-capable device"}.get(int(status), b"error")

    def cudaGetLastError(self):
        return (0,)

    def cudaMallocHost(self, size):
        block = (ctypes.c_uint8 * size)()
        self.pinned[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    def cudaFreeHost(self, address):
        del self.pinned[address]
        return (0,)

    def cudaMalloc(self, size):
        if sum(len(block) for block in self.blocks.values()) + size > self.memory_bytes:
            return 2, None
        block = (ctypes.c_uint8 * size)()
        self.blocks[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    def cudaFree(self, address):
        del self.blocks[address]
        return (0,)

    def cudaStreamCreateWithFlags(self, flags):
        number = 1000 + len(self.streams)
        self.streams.add(number)
        return 0, number

    def cudaStreamDestroy(self, stream):
        self.streams.discard(stream)
        return (0,)

    def cudaStreamSynchronize(self, stream):
        return (0,) if stream in self.streams else (400,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        self.do(lambda: ctypes.memmove(target, source, size))
        return (0,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream):
        recorded, self.recording = self.recording, None
        return (901, None) if self.capture_fails else (0, recorded)

    def cudaGraphInstantiate(self, graph, flags):
        number = 1 + len(self.graphs)
        self.graphs[number] = list(graph)
        return 0, number

    def cudaGraphDestroy(self, graph):
        return (0,)

    def cudaGraphExecDestroy(self, number):
        self.graphs[number] = []
        return (0,)

    def cudaGraphLaunch(self, number, stream):
        self.launches += 1
        for action in self.graphs[number]:
            action()
        return (0,)


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity

    def __init__(self):
        self.made = True


class Config:
    def __init__(self, flags):
        self.flags = {flags.TF32} if hasattr(flags, "TF32") else set()
        self.profiles = []

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def set_flag(self, flag):
        self.flags.add(flag)

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)


class Profile:
    def set_shape(self, name, low, best, high):
        self.shapes = (name, low, best, high)


class Builder:
    num_DLA_cores = 2

    def __init__(self, trt, logger):
        self.trt, self.logger = trt, logger
        trt.configs.append(self)

    def create_network(self, flags=0):
        self.network_flags = flags
        return types.SimpleNamespace(data=b"")

    def create_builder_config(self):
        self.config = Config(self.trt.BuilderFlag)
        return self.config

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network(self, network, config):
        self.trt.builds += 1
        if self.trt.build_error:
            self.logger.log(Severity.ERROR, self.trt.build_error)
            return None
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building", None, 2)
            assert monitor.step_complete("Building", 0)
            monitor.phase_finish("Building")
        return bytearray(MAGIC + self.trt.__version__.encode() + b"\n" + network.data)


class OnnxParser:
    def __init__(self, network, logger):
        self.network, self.errors = network, []

    num_errors = property(lambda self: len(self.errors))

    def get_error(self, index):
        return types.SimpleNamespace(desc=lambda: self.errors[index])

    def parse(self, data):
        try:
            onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        except ONNXRUNTIME_ERRORS as error:
            self.errors.append(f"no ONNX: {error}")
            return False
        self.network.data = data
        return True


class Context:
    def __init__(self, trt, session):
        self.trt, self.session = trt, session
        self.addresses, self.shapes = {}, {}

    def set_input_shape(self, name, shape):
        self.shapes = {
            item.name: (shape[0], *item.shape[1:]) for item in self.session.get_outputs()
        }
        self.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        return self.shapes[name]

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle):
        if self.trt.run_fails:
            return False
        self.trt.cuda.do(self.compute)
        return True

    def array(self, name):
        size = int(np.prod(self.shapes[name]))
        block = (ctypes.c_uint8 * size).from_address(self.addresses[name])
        return np.ctypeslib.as_array(block).reshape(self.shapes[name])

    def compute(self):
        results = self.session.run(OUTPUTS, {"image": self.array("image").copy()})
        for name, result in zip(OUTPUTS, results, strict=True):
            self.array(name)[:] = result


class Engine:
    def __init__(self, trt, data):
        self.trt = trt
        self.session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.names = ["image", *OUTPUTS]

    num_io_tensors = property(lambda self: len(self.names))

    def get_tensor_name(self, index):
        return self.names[index]

    def create_execution_context(self):
        return Context(self.trt, self.session)


class TensorRtStandIn(types.ModuleType):
    """Stands for tensorrt of one version."""

    def __init__(self, version, cuda):
        super().__init__("tensorrt")
        self.__spec__ = ModuleSpec("tensorrt", None)
        self.__version__ = version
        self.cuda = cuda
        self.builds, self.configs = 0, []
        self.build_error, self.run_fails, self.read_error = "", False, ""
        major = int(version.split(".")[0])
        self.ILogger, self.OnnxParser = ILogger, OnnxParser
        builder = ["TF32", "GPU_FALLBACK"]
        builder += ["FP16", "INT8"] if major < 11 else []
        builder += ["BF16"] if major == 10 else []
        network = ["STRONGLY_TYPED"] if major >= 10 else []
        network += ["EXPLICIT_BATCH"] if major < 11 else []
        self.BuilderFlag = IntEnum("BuilderFlag", builder, start=0)
        self.NetworkDefinitionCreationFlag = IntEnum("NetworkFlag", network, start=0)
        self.DeviceType = types.SimpleNamespace(DLA="dla", GPU="gpu")
        self.Builder = lambda logger: Builder(self, logger)
        if major >= 10:
            self.IProgressMonitor = type("IProgressMonitor", (), {})

    def Runtime(self, logger):
        def read(data):
            head, _, onnx = data.partition(b"\n")
            if self.read_error or head != MAGIC + self.__version__.encode():
                logger.log(Severity.ERROR, self.read_error or "the plan file is of another version")
                return None
            return Engine(self, onnx)

        return types.SimpleNamespace(deserialize_cuda_engine=read)


def install(monkeypatch, *, version="10.3.0", **cuda_options) -> TensorRtStandIn:
    """Put the stand-ins where the real modules are imported from."""
    cuda = CudaStandIn(**cuda_options)
    trt = TensorRtStandIn(version, cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", types.ModuleType("cuda.bindings"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    return trt
