import struct
import zlib
from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages import cdr, image_message, picture_size
from terrain_seg_ros.messages.encodings import ENCODINGS
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import (
    decode_compressed,
    decode_image,
    encode_compressed,
    encode_image,
)

IMAGE = "sensor_msgs/msg/Image"
STAMP_NS = 1_700_000_000_123_456_789


def _picture(height, width, channels, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _header():
    return make_header(cdr.message_class, STAMP_NS, "camera_optical")


def _message(encoding, rows, width, *, step=None, height=None, big_endian=0):
    """Make an Image of flat rows (H, row bytes), padded with 0xEE up to the step."""
    rows = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    step = rows.shape[1] if step is None else step
    padded = np.full((len(rows), max(step, rows.shape[1])), 0xEE, np.uint8)
    padded[:, : rows.shape[1]] = rows
    return cdr.message_class(IMAGE)(
        header=_header(),
        height=len(rows) if height is None else height,
        width=width,
        encoding=encoding,
        is_bigendian=big_endian,
        step=step,
        data=padded.reshape(-1),
    )


def _through_cdr(message):
    return cdr.deserialize(cdr.serialize(message, IMAGE), IMAGE)


EIGHT_BIT = {
    "rgb8": (3, lambda p: p),
    "bgr8": (3, lambda p: p[:, :, ::-1]),
    "rgba8": (4, lambda p: p[:, :, :3]),
    "bgra8": (4, lambda p: p[:, :, 2::-1]),
    "mono8": (1, lambda p: p),
}


@settings(max_examples=60)
@given(
    encoding=st.sampled_from(sorted(EIGHT_BIT)),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 7),
)
def test_eight_bit_equals_numpy_with_any_padding(encoding, height, width, padding):
    channels, expected = EIGHT_BIT[encoding]
    picture = _picture(height, width, channels)
    message = _message(encoding, picture, width, step=width * channels + padding)
    image = decode_image(_through_cdr(message))
    np.testing.assert_array_equal(image.pixels, expected(picture))
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, "camera_optical")


@pytest.mark.parametrize("padding", [0, 1, 3, 8])
@pytest.mark.parametrize("big_endian", [0, 1])
def test_mono16_is_its_high_byte(big_endian, padding):
    values = np.random.default_rng(1).integers(0, 65536, (5, 7), dtype=np.uint16)
    stored = values.astype(">u2" if big_endian else "<u2")
    message = _message("mono16", stored, 7, step=14 + padding, big_endian=big_endian)
    image = decode_image(_through_cdr(message))
    np.testing.assert_array_equal(image.pixels, (values >> 8).astype(np.uint8))


@pytest.mark.parametrize("encoding", ["mono8", "rgb8"])
@pytest.mark.parametrize("padding", [0, 5])
def test_mono8_and_rgb8_are_views(encoding, padding):
    channels = EIGHT_BIT[encoding][0]
    message = _through_cdr(
        _message(encoding, _picture(4, 6, channels), 6, step=6 * channels + padding)
    )
    assert np.shares_memory(decode_image(message).pixels, message.data)


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda b: array("B", b), memoryview])
def test_data_of_any_buffer_is_read(kind):
    picture = _picture(4, 6, 1)
    message = _message("mono8", picture, 6)
    message.data = kind(picture.tobytes())
    np.testing.assert_array_equal(decode_image(message).pixels, picture)


def test_last_row_may_lack_its_padding():
    message = _message("mono8", _picture(3, 4, 1), 4, step=6)
    whole = decode_image(message).pixels.copy()
    message.data = message.data[:-2]
    np.testing.assert_array_equal(decode_image(message).pixels, whole)


BAYER = {"rggb": "RGGB", "bggr": "BGGR", "gbrg": "GBRG", "grbg": "GRBG"}


def _mosaic(colour, pattern):
    """Sample a uniform colour through a Bayer pattern, given by its first two rows."""
    values = dict(zip("RGB", colour))
    tile = np.array([values[letter] for letter in pattern], np.uint8).reshape(2, 2)
    return np.tile(tile, (4, 5))


@pytest.mark.parametrize("name", sorted(BAYER))
def test_bayer_of_one_colour_gives_that_colour(name):
    mosaic = _mosaic((200, 120, 30), BAYER[name])
    pixels = decode_image(_through_cdr(_message(f"bayer_{name}8", mosaic, 10, step=13))).pixels
    assert np.abs(pixels.astype(int) - (200, 120, 30)).max() == 0


@pytest.mark.parametrize("name", sorted(BAYER))
@pytest.mark.parametrize("big_endian", [0, 1])
def test_bayer_equals_opencv(name, big_endian):
    mosaic = _picture(9, 7, 1)
    code = getattr(cv2, f"COLOR_Bayer{BAYER[name]}2RGB")
    expected = cv2.cvtColor(mosaic, code)
    np.testing.assert_array_equal(
        decode_image(_message(f"bayer_{name}8", mosaic, 7)).pixels, expected
    )
    wide = (mosaic.astype(np.uint16) * 256 + 77).astype(">u2" if big_endian else "<u2")
    message = _message(f"bayer_{name}16", wide, 7, step=16, big_endian=big_endian)
    np.testing.assert_array_equal(decode_image(_through_cdr(message)).pixels, expected)


@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "bgr8"])
def test_encoded_image_has_no_padding_and_keeps_the_header(types, round_trip, encoding):
    channels = 1 if encoding == "mono8" else 3
    picture = _picture(5, 8, channels)[:, ::2]
    header = make_header(types, STAMP_NS, "camera_optical")
    message = round_trip(encode_image(types, picture, encoding, header), IMAGE)
    assert (message.height, message.width, message.step) == (5, 4, 4 * channels)
    assert (message.encoding, message.is_bigendian) == (encoding, 0)
    image = decode_image(message)
    np.testing.assert_array_equal(
        image.pixels, picture[:, :, ::-1] if encoding == "bgr8" else picture
    )
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, "camera_optical")


@pytest.mark.parametrize(
    ("pixels", "encoding", "text"),
    [
        (np.zeros((2, 2), np.uint8), "rgb8", "do not fit rgb8"),
        (np.zeros((2, 2, 3), np.uint8), "mono8", "do not fit mono8"),
        (np.zeros((2, 2), np.uint16), "mono8", "dtype uint16"),
        (np.zeros((2, 2), np.uint8), "mono16", "cannot encode as 'mono16'"),
    ],
)
def test_pixels_that_do_not_fit_are_refused(pixels, encoding, text):
    with pytest.raises(MessageError, match=text):
        encode_image(cdr.message_class, pixels, encoding, _header())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"data": np.zeros(0, np.uint8)}, "data is empty, expected 12"),
        ({"data": np.zeros(11, np.uint8)}, "has 11 bytes and is cut off, expected 12"),
        ({"data": None}, "type NoneType, expected a buffer"),
        ({"width": 0}, "image is 0x3"),
        ({"height": 0}, "image is 4x0"),
        ({"encoding": "yuv422"}, "'yuv422' is unknown; use one of rgb8, bgr8"),
        ({"encoding": ""}, "'' is unknown"),
        ({"step": 3}, "step is 3, expected at least 4"),
        ({"step": 0}, "step is 0"),
        ({"width": 65536, "height": 65536, "step": 65536}, "more than the limit of 64000000"),
        ({"encoding": "mono16"}, "expected at least 8"),
        ({"encoding": "bayer_rggb8", "height": 2}, "4x2, expected at least 3x3"),
    ],
)
def test_bad_image_is_refused(changes, text):
    message = _message("mono8", _picture(3, 4, 1), 4)
    for field, value in changes.items():
        setattr(message, field, value)
    with pytest.raises(MessageError, match=text):
        decode_image(message)


def _compressed(data, file_format="png"):
    return cdr.message_class("sensor_msgs/msg/CompressedImage")(
        header=_header(), format=file_format, data=np.frombuffer(data, np.uint8)
    )


def _encoded(extension, pixels):
    return cv2.imencode(extension, pixels)[1].tobytes()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(types, round_trip, channels):
    picture = _picture(6, 5, channels)
    header = make_header(types, STAMP_NS, "camera_optical")
    message = encode_compressed(types, picture, "png", header)
    image = decode_compressed(round_trip(message, "sensor_msgs/msg/CompressedImage"))
    np.testing.assert_array_equal(image.pixels, picture)
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, "camera_optical")


def test_jpeg_keeps_colours_in_their_order(types):
    picture = np.full((16, 16, 3), (200, 120, 30), np.uint8)
    message = encode_compressed(types, picture, "jpeg", make_header(types, 0, "c"))
    assert np.abs(decode_compressed(message).pixels.astype(int) - picture).max() <= 4


def test_grey_jpeg_stays_grey():
    picture = np.full((16, 24), 90, np.uint8)
    image = decode_compressed(_compressed(_encoded(".jpg", picture), "jpeg"))
    assert image.pixels.shape == (16, 24)
    assert np.abs(image.pixels.astype(int) - 90).max() <= 2


def test_progressive_jpeg_is_read():
    picture = np.full((40, 24), 90, np.uint8)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_compressed(_compressed(data)).pixels.shape == (40, 24)


def test_jpeg_with_fill_and_trailing_bytes_is_read():
    data = _encoded(".jpg", np.full((8, 8), 90, np.uint8))
    padded = data[:2] + b"\xff" + data[2:] + b"\x00" * 10
    assert decode_compressed(_compressed(padded)).pixels.shape == (8, 8)


def test_png_of_16_bits_is_its_high_byte():
    values = np.random.default_rng(2).integers(0, 65536, (5, 7), dtype=np.uint16)
    image = decode_compressed(_compressed(_encoded(".png", values)))
    np.testing.assert_array_equal(image.pixels, (values >> 8).astype(np.uint8))


def test_transparency_is_dropped():
    bgra = _picture(4, 5, 4)
    image = decode_compressed(_compressed(_encoded(".png", bgra)))
    np.testing.assert_array_equal(image.pixels, bgra[:, :, 2::-1])


def test_compressing_to_another_format_is_refused():
    with pytest.raises(MessageError, match="'webp'; use jpeg or png"):
        encode_compressed(cdr.message_class, _picture(4, 4, 1), "webp", _header())


def _bomb_png(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + header + end


def _bomb_jpeg(width, height):
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + frame + b"\xff\xda\x00\x02\xff\xd9"


@pytest.mark.parametrize("data", [_bomb_png(100_000, 100_000), _bomb_jpeg(65535, 65535)])
def test_too_large_a_picture_is_refused_before_decoding(monkeypatch, data):
    monkeypatch.setattr(image_message.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(MessageError, match="more than the limit"):
        decode_compressed(_compressed(data))


@pytest.mark.parametrize("data", [_bomb_png(5000, 5000), _bomb_jpeg(5000, 5000)])
def test_more_pixels_than_the_bytes_can_hold_are_refused_before_decoding(monkeypatch, data):
    monkeypatch.setattr(image_message.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(MessageError, match="declares 5000x5000 pixels, but has only"):
        decode_compressed(_compressed(data))


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_a_large_blank_picture_is_read(extension):
    data = _encoded(extension, np.zeros((3000, 4000), np.uint8))
    assert decode_compressed(_compressed(data)).pixels.shape == (3000, 4000)


@pytest.mark.parametrize("data", [_bomb_png(0, 4), _bomb_jpeg(0, 4)])
def test_zero_size_is_refused(data):
    with pytest.raises(MessageError, match="expected at least 1x1"):
        decode_compressed(_compressed(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no data"),
        (b"GIF89a" + bytes(40), "bytes 47494638, which is neither"),
        (bytes(12), "neither JPEG nor PNG"),
        (b"\xff\xd8\x00\x00\x00\x00", "is truncated"),
        (_bomb_png(4, 4), "cannot be decoded"),
        (_bomb_jpeg(4, 4), "cannot be decoded"),
    ],
)
def test_bad_compressed_image_is_refused(data, text):
    with pytest.raises(MessageError, match=text):
        decode_compressed(_compressed(data))


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_every_truncation_of_a_picture_is_refused(extension):
    data = _encoded(extension, _picture(8, 8, 1))
    for length in range(1, len(data) - 12):
        with pytest.raises(MessageError):
            decode_compressed(_compressed(data[:length]))


@settings(max_examples=100)
@given(data=st.binary(max_size=60), magic=st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]))
def test_noise_has_a_size_or_is_refused(data, magic):
    try:
        width_px, height_px = picture_size.picture_size(memoryview(magic + data))
    except MessageError:
        return
    assert width_px >= 0
    assert height_px >= 0


def test_bad_stamp_is_refused():
    message = _message("mono8", _picture(3, 4, 1), 4)
    message.header.stamp = SimpleNamespace(sec=0, nanosec=2_000_000_000)
    with pytest.raises(MessageError, match="2000000000 ns"):
        decode_image(message)


def test_contract_encodings_are_all_read():
    wanted = {"rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16"}
    assert wanted | {f"bayer_{name}8" for name in BAYER} <= set(ENCODINGS)


def test_a_conversion_that_opencv_refuses_is_one_clear_error(monkeypatch, types):
    def refuse(*_):
        raise cv2.error("as OpenCV 4.5 does for a single pixel")

    header = make_header(types, 7, "optical")
    message = encode_image(types, np.zeros((1, 1, 3), np.uint8), "bgr8", header)
    monkeypatch.setattr(cv2, "cvtColor", refuse)
    with pytest.raises(MessageError, match=r"bgr8 image of 1x1 cannot be converted"):
        decode_image(message)
