"""Settings of the model and of the runtime that computes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import enum_setting, setting, settings
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.model_store.model_trust import ModelTrust


@settings
@dataclass(frozen=True)
class InferenceSettings:
    """Model and runtime."""

    model: Annotated[
        str, setting("Name of a shipped or installed model, or path of model.onnx or its folder.")
    ]
    model_public_key: Annotated[
        str,
        setting(
            "File of an Ed25519 public key: only models signed with its private key are used. "
            "Empty: signatures are not required."
        ),
    ]
    model_test_deadline_s: Annotated[
        float,
        setting(
            "Time limit for the first run of a network that is not shipped, which happens in a "
            "separate process.",
            low=1.0,
            high=3600.0,
        ),
    ]
    backend: Annotated[
        BackendName,
        enum_setting(
            "Runtime of the network. auto: the fastest installed one that passes the parity check."
        ),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"],
        setting(
            "Precision in which the runtime computes. auto: the fastest that passes the parity "
            "check."
        ),
    ]
    threads: Annotated[
        int, setting("Threads of the runtime; 0: let the runtime decide.", low=0, high=256)
    ]
    onnxruntime_provider: Annotated[
        Literal["cpu", "cuda", "tensorrt"],
        setting(
            "Execution provider of ONNX Runtime; cuda and tensorrt need the package "
            "onnxruntime-gpu."
        ),
    ]
    tensorrt_device: Annotated[int, setting("Index of the GPU for TensorRT.", low=0, high=63)]
    tensorrt_dla_core: Annotated[
        int,
        setting(
            "Deep learning accelerator (DLA) for TensorRT, in fp16 or int8 only; -1: the GPU.",
            low=-1,
            high=7,
        ),
    ]
    engine_cache_dir: Annotated[
        str, setting("Folder of built TensorRT engines; empty: the user's cache folder.")
    ]
    engine_build: Annotated[
        Literal["background", "wait", "never"],
        setting(
            "What the node does if no engine is cached. background: run another backend while "
            "the engine is built; wait: wait for it; never: do without."
        ),
    ]
    deterministic: Annotated[
        bool,
        setting(
            "Bit-for-bit repeatable output; forces fp32, and onnxruntime when backend is auto."
        ),
    ]

    def __post_init__(self) -> None:
        """Check that there is a model."""
        if not self.model.strip():
            raise ConfigError("parameter 'model' is empty; set it")

    def backend_options(self) -> BackendOptions:
        """Return the options of a backend."""
        folder = self.engine_cache_dir
        return BackendOptions(
            threads=self.threads,
            precision=self.precision,
            device=self.tensorrt_device,
            dla_core=self.tensorrt_dla_core,
            cache_dir=Path(folder).expanduser() if folder else None,
            engine_build=self.engine_build,
            provider=self.onnxruntime_provider,
        )

    def model_trust(self) -> ModelTrust:
        """Return what a model must show before it is used."""
        key = self.model_public_key
        return ModelTrust(
            public_key=Path(key).expanduser() if key else None,
            test_deadline_s=self.model_test_deadline_s,
        )
