"""What runs a network: torch before the export, the vehicle's own backends after it."""

from __future__ import annotations

from pathlib import Path

import torch

from terrain_seg_ros.core.backend import Backend, NetworkOutput
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.openvino_backend import OpenVinoBackend, usable_precisions
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.onnx_contract import check_onnx
from terrain_training.export.onnx_graph import DeployedNetwork


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

    def close(self) -> None:
        """Do nothing; torch holds no device here."""


def unscored_model(path: Path, card: ModelCard) -> LoadedModel:
    """Return a model without a golden image, as the backends take it.

    Raises:
        ModelError: card and file contradict each other.
    """
    data = path.read_bytes()
    check_onnx(data, card, source=str(path))
    return LoadedModel(card=card, onnx_path=path, onnx_bytes=data, golden=None)


def reference_backend(model: LoadedModel) -> Backend:
    """Return ONNX Runtime in float32, what everything else is compared with."""
    return OnnxRuntimeBackend(model, BackendOptions(torch.get_num_threads(), "fp32"))


def lowered_model(data: bytes, card: ModelCard) -> LoadedModel:
    """Return a file of lower precision, not written yet, as the backends take it."""
    return LoadedModel(card=card, onnx_path=None, onnx_bytes=data, golden=None)


def file_backends(model: LoadedModel) -> list[Backend]:
    """Return the runtimes that take a file as it is and compute the rest in float32."""
    options = BackendOptions(torch.get_num_threads(), "fp32")
    return [OnnxRuntimeBackend(model, options), OpenVinoBackend(model, options)]


def openvino_backends(model: LoadedModel) -> list[Backend]:
    """Return OpenVINO in float32 and in each lower precision of this machine."""
    lower = [name for name in usable_precisions() if name not in ("fp32", model.card.precision)]
    threads = torch.get_num_threads()
    return [OpenVinoBackend(model, BackendOptions(threads, name)) for name in ("fp32", *lower)]
