import struct

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.image.exif import exif_turn, turned_size, upright

STORED = np.arange(6, dtype=np.uint8).reshape(2, 3)
UPRIGHT = {
    1: STORED,
    2: STORED[:, ::-1],
    3: cv2.rotate(STORED, cv2.ROTATE_180),
    4: STORED[::-1],
    5: STORED.T,
    6: cv2.rotate(STORED, cv2.ROTATE_90_CLOCKWISE),
    7: cv2.rotate(STORED.T, cv2.ROTATE_180),
    8: cv2.rotate(STORED, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def tiff(orientation, order):
    head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    other = struct.pack(f"{order}HHII", 271, 2, 1, 0)
    entry = struct.pack(f"{order}HHIHH", 274, 3, 1, orientation, 0)
    return head + struct.pack(f"{order}H", 2) + other + entry + bytes(4)


def in_jpeg(block):
    data = cv2.imencode(".jpg", STORED)[1].tobytes()
    body = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def in_png(block):
    data = cv2.imencode(".png", STORED)[1].tobytes()
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + bytes(4)
    return data[:33] + chunk + data[33:]


def in_webp(block):
    data = cv2.imencode(".webp", STORED)[1].tobytes()
    return data + b"EXIF" + struct.pack("<I", len(block)) + block


@pytest.mark.parametrize("place", [in_jpeg, in_png, in_webp])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_found(place, order, orientation):
    assert exif_turn(place(tiff(orientation, order))) == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_opencv(orientation):
    turned = upright(STORED, orientation)
    np.testing.assert_array_equal(turned, UPRIGHT[orientation])
    assert turned_size(3, 2, orientation) == turned.shape[::-1]
    decoded = cv2.imdecode(
        np.frombuffer(in_jpeg(tiff(orientation, ">")), np.uint8), cv2.IMREAD_GRAYSCALE
    )
    assert decoded.shape == turned.shape


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"no image", in_jpeg(b""), in_jpeg(b"II*\0"),
                                  in_jpeg(tiff(0, "<")), in_jpeg(tiff(99, ">"))])  # fmt: skip
def test_what_has_none_is_upright(data):
    assert exif_turn(data) == 1


def test_every_truncation_is_harmless():
    for place in (in_jpeg, in_png, in_webp):
        data = place(tiff(6, "<"))
        assert {exif_turn(data[:size]) for size in range(len(data))} <= {1, 6}
