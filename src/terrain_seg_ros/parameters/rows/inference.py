"""Rows of models and the runtimes that compute them."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import choice, flag, integer, number, text

INFERENCE = (
    text("model", "Shipped model, or a path to model.onnx or its folder."),
    text(
        "model_public_key",
        "File of an Ed25519 public key: only models signed with it are used; empty: any.",
    ),
    number(
        "model_test_deadline_s",
        "How long the first run of a network that is not shipped may take, in its own process.",
        low=1.0,
        high=3600.0,
    ),
    choice(
        "backend",
        "Runtime; auto takes the fastest installed one that passes parity.",
        "auto",
        "onnxruntime",
        "openvino",
        "tensorrt",
        "constant",
    ),
    choice(
        "precision",
        "What the runtime computes in; auto takes the fastest that passes parity.",
        "auto",
        "fp32",
        "bf16",
        "fp16",
        "int8",
    ),
    integer("threads", "Threads of the runtime; 0 lets it choose.", low=0, high=256),
    text("cpu_affinity", "Processors that the node may use, such as 0,2-3; empty: all."),
    choice(
        "onnxruntime_provider",
        "What onnxruntime computes on; cuda and tensorrt need the package onnxruntime-gpu.",
        "cpu",
        "cuda",
        "tensorrt",
    ),
    integer("tensorrt_device", "Number of the GPU that TensorRT uses.", low=0, high=63),
    integer(
        "tensorrt_dla_core",
        "Deep learning accelerator that TensorRT uses, fp16 or int8 only; -1: the GPU.",
        low=-1,
        high=7,
    ),
    text("engine_cache_dir", "Folder of built engines; empty: the user's own cache folder."),
    choice(
        "engine_build",
        "Where no engine is cached: the live node serves with another backend while it is built "
        "(background), waits for it (wait), or does without (never).",
        "background",
        "wait",
        "never",
    ),
    flag("deterministic", "Give the same bytes each time: fp32, and onnxruntime for auto."),
)
