"""Which flags give which precision, by the flags that each version of TensorRT has."""

from __future__ import annotations

import pytest

from support.tensorrt_stand_in import CudaStandIn, TensorRtStandIn
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.tensorrt.precision import choose_precision, device_precisions

OLD, MIDDLE, NEW = "8.5.3.1", "10.3.0", "11.4.1"


def choose(version, *, graph="fp32", asked="auto", dla_core=-1):
    trt = TensorRtStandIn(version, CudaStandIn())
    return choose_precision(trt, graph=graph, asked=asked, dla_core=dla_core)


@pytest.mark.parametrize(
    ("version", "graph", "asked", "precision", "network", "builder"),
    [
        (OLD, "fp32", "auto", "fp32", {"EXPLICIT_BATCH"}, set()),
        (OLD, "fp32", "fp16", "fp16", {"EXPLICIT_BATCH"}, {"FP16"}),
        (OLD, "fp16", "auto", "fp16", {"EXPLICIT_BATCH"}, {"FP16"}),
        (OLD, "int8", "int8", "int8", {"EXPLICIT_BATCH"}, {"INT8"}),
        (MIDDLE, "fp32", "fp32", "fp32", {"EXPLICIT_BATCH", "STRONGLY_TYPED"}, set()),
        (MIDDLE, "fp32", "bf16", "bf16", {"EXPLICIT_BATCH"}, {"BF16"}),
        (MIDDLE, "int8", "auto", "int8", {"EXPLICIT_BATCH", "STRONGLY_TYPED"}, set()),
        (NEW, "fp32", "auto", "fp32", {"STRONGLY_TYPED"}, set()),
        (NEW, "fp16", "fp16", "fp16", {"STRONGLY_TYPED"}, set()),
        (NEW, "bf16", "auto", "bf16", {"STRONGLY_TYPED"}, set()),
        (NEW, "int8", "auto", "int8", {"STRONGLY_TYPED"}, set()),
    ],
)
def test_what_can_be_made(version, graph, asked, precision, network, builder):
    choice = choose(version, graph=graph, asked=asked)
    assert choice.precision == precision
    assert set(choice.network_flags) == network
    assert set(choice.builder_flags) == builder


@pytest.mark.parametrize(
    ("version", "graph", "asked", "text"),
    [
        (
            NEW,
            "fp32",
            "fp16",
            "11.4.1 cannot compute this model in fp16; export .*--precision fp16",
        ),
        (OLD, "fp32", "bf16", "cannot compute this model in bf16"),
        (OLD, "bf16", "auto", "cannot compute this model in bf16"),
        (MIDDLE, "fp32", "int8", "only what is quantised; export .*--precision int8"),
        (MIDDLE, "int8", "fp32", "exported in int8, TensorRT cannot run it in fp32"),
        (MIDDLE, "fp16", "bf16", "exported in fp16"),
    ],
)
def test_what_cannot_be_made_names_the_remedy(version, graph, asked, text):
    with pytest.raises(InferenceError, match=text):
        choose(version, graph=graph, asked=asked)


def test_the_accelerator_is_not_strongly_typed_where_there_is_a_choice():
    choice = choose(MIDDLE, graph="fp16", dla_core=0)
    assert set(choice.network_flags) == {"EXPLICIT_BATCH"}
    assert set(choice.builder_flags) == {"FP16", "GPU_FALLBACK"}


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_the_accelerator_computes_in_two_precisions(asked):
    with pytest.raises(ConfigError, match="tensorrt_dla_core is 0"):
        choose(MIDDLE, asked=asked, dla_core=0)


@pytest.mark.parametrize(
    ("version", "capability", "expected"),
    [
        (MIDDLE, (5, 2), {"fp32"}),
        (MIDDLE, (5, 3), {"fp32", "fp16"}),
        (MIDDLE, (7, 5), {"fp32", "fp16", "int8"}),
        (MIDDLE, (8, 7), {"fp32", "fp16", "int8", "bf16"}),
        (OLD, (8, 7), {"fp32", "fp16", "int8"}),
    ],
)
def test_precisions_of_a_gpu(version, capability, expected):
    trt = TensorRtStandIn(version, CudaStandIn())
    assert set(device_precisions(trt, capability)) == expected
