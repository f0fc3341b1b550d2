"""Point clouds: sensor_msgs/PointCloud2 with x, y, z, label and confidence."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import F32, FARTHEST_M, U8
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import flat_bytes
from terrain_seg_ros.messages.message_types import Types, sequence_of

HAZARD_POINT_LIMIT = 24_000
"""Nav2's obstacle layer stays quick up to about this many points."""
INPUT_POINT_LIMIT = 8_000_000
"""Larger clouds are refused: no sensor sends them, and they would need a gigabyte."""

_POINT_BYTES = 16
_POINT_BYTES_LIMIT = 65535
_FLOAT32, _UINT8 = 7, 2
_FIELDS = (
    ("x", 0, _FLOAT32),
    ("y", 4, _FLOAT32),
    ("z", 8, _FLOAT32),
    ("label", 12, _UINT8),
    ("confidence", 13, _UINT8),
)
"""Name, offset and datatype (sensor_msgs/PointField); two bytes of padding align the points."""
_PLACES = ("x", "y", "z")


class Cloud(NamedTuple):
    """A cloud: `points_m` (H, W, 3) float32, `labels` and `confidence` (H, W) uint8."""

    points_m: F32
    labels: U8
    confidence: U8


class SensedPoints(NamedTuple):
    """What a sensor measured: points (N, 3) float32 in its frame, NaN where nothing was."""

    points_m: F32
    stamp_ns: int
    frame_id: str


def encode_points(
    types: Types, points_optical: F32, mask: U8, *, confidence: U8, header: Any
) -> Any:
    """Return the organised cloud: exactly one point per mask pixel, row-major.

    For a decimated cloud slice all three arrays alike and publish them together.

    Args:
        types: message classes.
        points_optical: (H, W, 3) metres in the optical frame, NaN where there is no ground.
        mask: (H, W) class ids.
        confidence: (H, W), 0 to 255.
        header: the image's header.

    Raises:
        MessageError: the arrays differ in size.
    """
    if points_optical.shape != (*mask.shape, 3) or confidence.shape != mask.shape:
        raise MessageError(
            f"points {points_optical.shape}, mask {mask.shape} and confidence {confidence.shape} "
            "differ; give one point per mask pixel"
        )
    return _encode(types, Cloud(points_optical, mask, confidence), header, is_dense=False)


def encode_hazard_points(
    types: Types,
    cloud: Cloud,
    header: Any,
    *,
    min_height_m: float,
    max_height_m: float,
) -> Any:
    """Return hazard points as an unorganised cloud that Nav2's obstacle layer does not drop.

    Points that are not finite are left out; of more than 24,000 every n-th is kept, so that all
    of the view stays covered.

    Args:
        types: message classes.
        cloud: the hazard pixels only, of any shape, in the frame of the header (odom).
        header: the image's stamp, the grid's frame.
        min_height_m: z is lifted to at least this.
        max_height_m: z is lowered to at most this. Nav2's defaults are 0.0 and 0.0.

    Raises:
        MessageError: the heights are no interval.
    """
    if not min_height_m <= max_height_m:
        raise MessageError(
            f"obstacle heights are {min_height_m} to {max_height_m} m, expected min <= max"
        )
    points_m = np.asarray(cloud.points_m, dtype=np.float32).reshape(-1, 3)
    kept = np.flatnonzero(np.isfinite(points_m).all(axis=1))
    if kept.size > HAZARD_POINT_LIMIT:
        spread = np.arange(HAZARD_POINT_LIMIT) * kept.size // HAZARD_POINT_LIMIT
        kept = kept[spread]
    lifted = points_m[kept]
    np.clip(lifted[:, 2], min_height_m, max_height_m, out=lifted[:, 2])
    row = Cloud(
        lifted[np.newaxis],
        cloud.labels.reshape(-1)[kept][np.newaxis],
        cloud.confidence.reshape(-1)[kept][np.newaxis],
    )
    return _encode(types, row, header, is_dense=True)


def decode_sensed_points(message: Any) -> SensedPoints:
    """Return what a stereo camera or a lidar measured: float32 x, y, z at any offset, either order.

    Points that are not finite, or beyond any ground, were not measured: NaN.

    Raises:
        MessageError: a field is missing or of another type, there are too many points or too few
            bytes, or the frame is empty.
    """
    frame_id = str(message.header.frame_id)
    if not frame_id:
        raise MessageError("cloud has an empty frame_id; name the sensor's frame")
    points = _stored(message)
    points_m = np.empty((points.size, 3), dtype=np.float32)
    for index, name in enumerate(_PLACES):
        points_m[:, index] = points[name].reshape(-1)
    with np.errstate(invalid="ignore"):
        points_m[~(np.abs(points_m) <= FARTHEST_M).all(axis=1)] = np.nan
    return SensedPoints(points_m, stamp_ns(message.header), frame_id)


def _stored(message: Any) -> NDArray[Any]:
    """Return the points (rows, cols) of a message as they lie in its bytes."""
    rows, cols = int(message.height), int(message.width)
    point_step, row_step = int(message.point_step), int(message.row_step)
    if not 0 < point_step <= _POINT_BYTES_LIMIT:
        raise MessageError(
            f"cloud has point_step {point_step}, expected 1 to {_POINT_BYTES_LIMIT} bytes"
        )
    if rows < 0 or cols < 0 or rows * cols > INPUT_POINT_LIMIT:
        raise MessageError(
            f"cloud is {cols}x{rows} points, expected 0 to {INPUT_POINT_LIMIT}; send fewer"
        )
    order = ">" if message.is_bigendian else "<"
    dtype = _point_dtype(message.fields, point_step, order)
    data = flat_bytes(message.data)
    if row_step < cols * point_step or data.size < rows * row_step:
        raise MessageError(
            f"cloud of {cols}x{rows} points has row_step {row_step} and {data.size} bytes, "
            f"expected {cols * point_step} and {rows * row_step} or more; check the publisher"
        )
    if rows * cols == 0:
        return np.empty((rows, cols), dtype=dtype)
    points: NDArray[Any] = np.ndarray(
        (rows, cols), dtype=dtype, buffer=data.data, strides=(row_step, point_step)
    )
    return points


def _encode(types: Types, cloud: Cloud, header: Any, *, is_dense: bool) -> Any:
    rows, cols = cloud.labels.shape
    floats: F32 = np.zeros((rows, cols, _POINT_BYTES // 4), dtype=np.dtype("<f4"))
    floats[..., :3] = cloud.points_m
    data: U8 = floats.view(np.uint8)
    data[..., 12] = cloud.labels
    data[..., 13] = cloud.confidence
    field = types("sensor_msgs/msg/PointField")
    return types("sensor_msgs/msg/PointCloud2")(
        header=header,
        height=rows,
        width=cols,
        fields=[
            field(name=name, offset=offset, datatype=datatype, count=1)
            for name, offset, datatype in _FIELDS
        ],
        is_bigendian=False,
        point_step=_POINT_BYTES,
        row_step=cols * _POINT_BYTES,
        data=sequence_of(types, data),
        is_dense=is_dense,
    )


def _point_dtype(present: Any, point_step: int, order: str) -> np.dtype[Any]:
    found = {str(field.name): field for field in present}
    offsets = []
    for name in _PLACES:
        field = found.get(name)
        if field is None or field.datatype != _FLOAT32 or field.offset + 4 > point_step:
            raise MessageError(
                f"cloud has no usable field {name!r} (fields {sorted(found)}, point_step "
                f"{point_step}); expected float32 x, y, z"
            )
        offsets.append(int(field.offset))
    return np.dtype(
        {
            "names": _PLACES,
            "formats": [f"{order}f4"] * len(_PLACES),
            "offsets": offsets,
            "itemsize": point_step,
        }
    )
