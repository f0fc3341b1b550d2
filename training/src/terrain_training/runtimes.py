"""The runtimes at a chosen precision, to compare an exported model with itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch

from terrain_seg_ros.core.tensor_to_probabilities import NetworkOutput
from terrain_seg_ros.core.types import U8
from terrain_training.onnx_graph import DeployedNetwork

_NAMES = ("mask", "confidence", "probabilities")


class TorchFloat32:
    """Run a network that was not exported yet, in torch and float32."""

    name = "torch"
    precision = "fp32"

    def __init__(self, network: DeployedNetwork) -> None:
        """Take the network, for inference."""
        self._network = network.eval()

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8."""
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(tensor_nhwc_u8))
        return NetworkOutput(*(output.numpy() for output in outputs))


class OnnxRuntimeFloat32:
    """Run a model in ONNX Runtime on the CPU, in float32."""

    name = "onnxruntime"
    precision = "fp32"

    def __init__(self, path: Path) -> None:
        """Load the model."""
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8."""
        return NetworkOutput(*self._session.run(list(_NAMES), {"image": tensor_nhwc_u8}))


class OpenVino:
    """Run a model in OpenVINO on the CPU, in float32 or bfloat16."""

    name = "openvino"

    def __init__(self, path: Path, *, precision: str) -> None:
        """Compile the model; `precision` is fp32 or bf16."""
        self.precision = precision
        core = openvino.Core()
        hint = {"fp32": "f32", "bf16": "bf16"}[precision]
        self._compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": hint})

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8."""
        result = self._compiled({"image": tensor_nhwc_u8})
        return NetworkOutput(*(np.asarray(result[name]) for name in _NAMES))


def computes_in_bf16() -> bool:
    """Say whether OpenVINO chooses bfloat16 by itself on this CPU."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities
