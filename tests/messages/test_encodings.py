import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.encodings import camera_encoding, not_a_camera, parse_format
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import decode_camera_image, decode_image

COLOUR = np.random.default_rng(5).integers(0, 256, (12, 16, 3), dtype=np.uint8)
MOSAIC = np.random.default_rng(6).integers(0, 256, (12, 16), dtype=np.uint8)
DEPTH_FORMATS = [
    "16UC1; png compressed ",
    "16UC1; jpeg compressed ",
    " 16uc1 ;PNG compressed",
    "32FC1; compressedDepth png",
    "16UC1; compressedDepth rvl",
    "32FC1; png compressed ",
    "16SC1; png compressed ",
    "compressedDepth",
    "png compressed 16UC1",
    "png; 16UC1",
    "png;32FC1",
    "; png compressed 16UC1",
]


def _compressed(pixels, form, suffix=".png"):
    data = cv2.imencode(suffix, pixels)[1].reshape(-1)
    header = make_header(cdr.message_class, 7, "optical")
    return cdr.message_class("sensor_msgs/msg/CompressedImage")(
        header=header, format=form, data=data
    )


def _raw(pixels, encoding, *, big_endian=0, padding=0):
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return cdr.message_class("sensor_msgs/msg/Image")(
        header=make_header(cdr.message_class, 7, "optical"),
        height=len(pixels),
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=big_endian,
        step=rows.shape[1],
        data=rows.reshape(-1),
    )


@pytest.mark.parametrize("form", DEPTH_FORMATS)
def test_compressed_depth_is_no_camera_image(form):
    with pytest.raises(MessageError, match="not a camera image"):
        decode_camera_image(_compressed(MOSAIC, form))


@pytest.mark.parametrize(
    "encoding", ["16UC1", "32FC1", "64FC1", "16SC1", "32fc1", " 16UC1", "32FC4"]
)
def test_raw_depth_is_no_camera_image(encoding):
    with pytest.raises(MessageError, match="not a camera image"):
        decode_image(_raw(np.zeros((4, 64), np.uint8), encoding))
    assert not_a_camera(encoding)


@pytest.mark.parametrize("encoding", ["8UC3", "8UC1", "8UC4", "8uc3"])
def test_channels_without_a_meaning_are_refused_with_the_remedy(encoding):
    with pytest.raises(MessageError, match=r"does not say .* publish bgr8, rgb8 or mono8"):
        camera_encoding(encoding)


@pytest.mark.parametrize("form", ["h264", "theora", "webp", "tiff", "avif", "hevc", "image/webp"])
def test_other_codecs_are_refused_by_name(form):
    with pytest.raises(MessageError, match=f"{form!r}, but only JPEG and PNG are read"):
        decode_camera_image(_compressed(MOSAIC, form))
    with pytest.raises(MessageError, match="only JPEG and PNG"):
        parse_format(f"rgb8; {form} compressed bgr8")


@pytest.mark.requirement("TSR-CAM-003")
@pytest.mark.parametrize(
    "form",
    ["png", "PNG", " png ", "jpeg", "jpg", ".png", "image/png", "", "rgb8; png compressed bgr8",
     "bgr8; png compressed bgr8", "RGB8 ; PNG compressed BGR8", "bgra8; png compressed ",
     "yuv422; jpeg compressed bgr8"],
)  # fmt: skip
def test_colours_keep_their_order(form):
    image = decode_camera_image(_compressed(COLOUR[:, :, ::-1], form))
    np.testing.assert_array_equal(image.pixels, COLOUR)


def test_colours_that_are_stored_swapped_are_swapped_back():
    image = decode_camera_image(_compressed(COLOUR, "rgb8; png compressed rgb8"))
    np.testing.assert_array_equal(image.pixels, COLOUR)


def test_an_unknown_encoding_before_the_codec_is_refused():
    with pytest.raises(MessageError, match="'foo8' is unknown"):
        parse_format("foo8; jpeg compressed ")


PATTERNS = {"rggb": "RGGB", "bggr": "BGGR", "gbrg": "GBRG", "grbg": "GRBG"}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("form", ["{}8; png compressed ", "{}8; png compressed bgr8", "{}8;png"])
def test_a_mosaic_in_a_file_gets_its_colours(pattern, form):
    expected = cv2.cvtColor(MOSAIC, getattr(cv2, f"COLOR_Bayer{PATTERNS[pattern]}2RGB"))
    image = decode_camera_image(_compressed(MOSAIC, form.format(f"bayer_{pattern}")))
    np.testing.assert_array_equal(image.pixels, expected)


def test_a_mosaic_in_a_jpeg_gets_its_colours():
    tile = np.array([[200, 120], [120, 30]], np.uint8)
    message = _compressed(np.tile(tile, (8, 8)), "bayer_rggb8; jpeg compressed ", ".jpg")
    pixels = decode_camera_image(message).pixels
    assert np.abs(pixels[4:-4, 4:-4].astype(int) - (200, 120, 30)).mean() < 12


def test_a_mosaic_that_was_stored_as_three_equal_channels_gets_its_colours():
    stored = cv2.cvtColor(MOSAIC, cv2.COLOR_GRAY2BGR)
    image = decode_camera_image(_compressed(stored, "bayer_rggb8; png compressed "))
    np.testing.assert_array_equal(image.pixels, cv2.cvtColor(MOSAIC, cv2.COLOR_BayerRGGB2RGB))


def test_a_mosaic_of_twelve_bits_in_a_png_gets_its_colours():
    wide = MOSAIC.astype(np.uint16) << 4
    image = decode_camera_image(_compressed(wide, "bayer_rggb16; png compressed "))
    np.testing.assert_array_equal(image.pixels, cv2.cvtColor(MOSAIC, cv2.COLOR_BayerRGGB2RGB))


def test_a_bayer_picture_that_has_colours_already_is_left_alone():
    message = _compressed(COLOUR[:, :, ::-1], "bayer_rggb8; png compressed bgr8")
    np.testing.assert_array_equal(decode_camera_image(message).pixels, COLOUR)
    grey = decode_camera_image(_compressed(MOSAIC, "bayer_rggb8; png compressed mono8"))
    np.testing.assert_array_equal(grey.pixels, MOSAIC)


@pytest.mark.parametrize("big_endian", [0, 1])
@pytest.mark.parametrize("padding", [0, 6])
def test_twelve_bits_in_sixteen_are_scaled(big_endian, padding):
    wide = (MOSAIC.astype(np.uint16) << 4) + 9
    stored = wide.astype(">u2" if big_endian else "<u2")
    message = _raw(stored, "mono16", big_endian=big_endian, padding=padding)
    np.testing.assert_array_equal(decode_image(message).pixels, MOSAIC)


@pytest.mark.parametrize("name", ["rgb", "bgr", "rgba", "bgra"])
def test_colours_of_sixteen_bits_are_read(name):
    order = {"rgb": [0, 1, 2], "bgr": [2, 1, 0], "rgba": [0, 1, 2, 0], "bgra": [2, 1, 0, 0]}[name]
    wide = COLOUR[:, :, order].astype(np.uint16) * 257
    image = decode_image(_raw(wide, f"{name}16"), SampleBits(16))
    np.testing.assert_array_equal(image.pixels, COLOUR)


@pytest.mark.parametrize("text", ["RGB8", " rgb8", "Rgb8 "])
def test_case_and_blanks_do_not_matter(text):
    np.testing.assert_array_equal(decode_image(_raw(COLOUR, text)).pixels, COLOUR)
