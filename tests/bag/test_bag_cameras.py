"""Which topics of a bag are cameras, what they are called and which camera_info is theirs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from support.bags import (
    HEIGHT_PX,
    WIDTH_PX,
    compressed,
    header,
    image,
    info,
    message_class,
    picture,
    stamp,
    text,
    write_bag,
)
from terrain_seg_ros.bag.cameras import BagCamera, find_cameras, left_out_images
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.parameters.parameters import load_parameters


def cameras_of(path, entries, **choice):
    with BagReader(write_bag(path, entries)) as reader:
        return find_cameras(reader, "front", **choice)


def depth(topic):
    entry = image(0, topic=topic)
    entry.message.encoding = "32FC1"
    return entry


def compressed_depth(topic):
    entry = compressed(0, topic=topic)
    entry.message.format = "16UC1; compressedDepth png"
    return entry


def test_one_camera_has_the_usual_name_and_the_info_beside_it(tmp_path):
    entries = [image(0, topic="/a/image_raw"), info(0, topic="/a/camera_info")]
    entries.append(info(0, topic="/b/camera_info"))
    assert cameras_of(tmp_path / "bag", entries) == [
        BagCamera("front", "/a/image_raw", "/a/camera_info")
    ]


@pytest.mark.parametrize(
    ("image_topic", "info_topic", "expected"),
    [
        ("/a/image_raw/compressed", "/a/camera_info", "/a/camera_info"),
        ("/curiosity/navcam", "/curiosity/camera_info", "/curiosity/camera_info"),
        ("/navcam", "/navcam/camera_info", "/navcam/camera_info"),
        ("/a/image_raw", "/elsewhere/info", "/elsewhere/info"),
        ("/image", "/camera_info", "/camera_info"),
    ],
)
def test_the_info_of_one_camera_is_found(tmp_path, image_topic, info_topic, expected):
    make = compressed if image_topic.endswith("compressed") else image
    entries = [make(0, topic=image_topic), info(0, topic=info_topic)]
    (camera,) = cameras_of(tmp_path / "bag", entries)
    assert camera.info_topic == expected


def test_a_lone_info_is_not_shared_by_several_cameras(tmp_path):
    entries = [image(0, topic=f"/{side}/image_raw") for side in "ab"]
    entries.append(info(0, topic="/b/camera_info"))
    infos = [camera.info_topic for camera in cameras_of(tmp_path / "bag", entries)]
    assert infos == [None, "/b/camera_info"]


def test_of_several_forms_of_one_image_the_rawest_is_taken(tmp_path):
    entries = [
        image(0, topic="/a/image_rect"),
        compressed(0, topic="/a/image_raw/compressed"),
        image(0, topic="/a/image_raw"),
        compressed(0, topic="/b/image_raw/compressed"),
    ]
    found = [camera.image_topic for camera in cameras_of(tmp_path / "bag", entries)]
    assert found == ["/a/image_raw", "/b/image_raw/compressed"]


def test_depth_maps_and_pictures_of_ours_are_no_cameras(tmp_path):
    entries = [
        image(0, topic="/a/image_raw"),
        depth("/a/depth/image_raw"),
        compressed_depth("/b/image_raw/compressedDepth"),
        compressed_depth("/c/image_raw/compressed"),
        image(0, topic="/terrain/mask"),
        image(0, topic="/elsewhere/left/overlay"),
        compressed(0, topic="/terrain/color_mask/compressed"),
    ]
    (camera,) = cameras_of(tmp_path / "bag", entries)
    assert camera.image_topic == "/a/image_raw"


def test_pictures_of_ours_alone_are_named_in_the_error(tmp_path):
    entries = [image(0, topic="/terrain/mask"), text(0)]
    expected = r"no camera images, but /notes \(1 x std_msgs.*\), /terrain/mask \(1 x sensor_msgs"
    with pytest.raises(ConfigError, match=expected):
        cameras_of(tmp_path / "bag", entries)


def test_an_error_names_a_limited_number_of_topics(tmp_path):
    entries = [text(0)._replace(topic=f"/n{index:02}") for index in range(25)]
    with pytest.raises(ConfigError, match=r"/n19 \(1 x .*\), 5 more topics; record") as caught:
        cameras_of(tmp_path / "bag", entries)
    assert "/n20" not in str(caught.value)


def test_a_camera_whose_first_image_is_malformed_is_still_one(tmp_path):
    raw = [("/a/image_raw", "sensor_msgs/msg/Image", 1, b"\x00\x01\x00\x00\xff")]
    with BagReader(write_bag(tmp_path / "bag", [image(0)], raw=raw)) as reader:
        found = [camera.image_topic for camera in find_cameras(reader, "front")]
    assert found == ["/a/image_raw", "/navcam/image_raw"]


@pytest.mark.parametrize(
    ("image_topics", "names"),
    [
        (["/left/image_raw", "/right/image_raw"], ["left", "right"]),
        (["/rig/left/image", "/rig/right/image"], ["left", "right"]),
        (["/left/cam/image_raw", "/right/cam/image_raw"], ["left/cam", "right/cam"]),
        (["/cam/image_raw", "/navcam"], ["cam", "navcam"]),
        (["/image_raw", "/left/image_raw"], ["camera", "left"]),
    ],
)
def test_names_are_the_shortest_that_tell_cameras_apart(tmp_path, image_topics, names):
    entries = [image(0, topic=topic) for topic in image_topics]
    assert [camera.name for camera in cameras_of(tmp_path / "bag", entries)] == names


def test_two_forms_of_one_image_may_be_asked_for(tmp_path):
    topics = ["/a/image_raw", "/a/image_raw/compressed"]
    entries = [image(0, topic=topics[0]), compressed(0, topic=topics[1])]
    found = cameras_of(tmp_path / "bag", entries, image_topics=topics)
    assert [camera.image_topic for camera in found] == topics
    assert len({camera.name for camera in found}) == 2


def depth_as_images(topic, form, *, dtype=np.uint16, suffix=".png"):
    entry = compressed(0, topic=topic)
    values = (picture().astype(np.uint16) * 20).astype(dtype)
    entry.message.format = form
    entry.message.data = cv2.imencode(suffix, values)[1].reshape(-1)
    return entry


ALIGNED = "/camera/aligned_depth_to_color/image_raw/compressed"


@pytest.mark.parametrize(
    ("topic", "form", "dtype", "suffix"),
    [
        (ALIGNED, "16UC1; png compressed ", np.uint16, ".png"),
        (ALIGNED, "16UC1; jpeg compressed ", np.uint8, ".jpg"),
        (ALIGNED, "png", np.uint16, ".png"),
        (ALIGNED, "mono16; png compressed ", np.uint16, ".png"),
        ("/camera/range_view/compressed", "32FC1; png compressed ", np.uint8, ".png"),
        ("/stereo/disparity/compressed", "png", np.uint8, ".png"),
        ("/front/depth_view/compressed", "jpeg", np.uint8, ".jpg"),
    ],
)
def test_depth_that_was_compressed_as_an_image_is_left_out_and_named(
    tmp_path, topic, form, dtype, suffix
):
    entries = [image(0), depth_as_images(topic, form, dtype=dtype, suffix=suffix)]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        cameras = find_cameras(reader, "front")
        assert [camera.image_topic for camera in cameras] == ["/navcam/image_raw"]
        assert "depth" in left_out_images(reader, cameras)[topic]


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("/lidar/range_image", "contains 'range' and it is 16-bit grey"),
        ("/tof/distance/image_raw", "contains 'distance'"),
        ("/stereo/disp/image", "contains 'disp'"),
    ],
)
def test_measured_values_of_sixteen_bits_are_told_by_the_words_of_their_name(
    tmp_path, topic, words
):
    entries = [image(0), image(0, topic="/long_range/image_raw"), sixteen_bits(topic)]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        cameras = find_cameras(reader, "front")
        found = {camera.image_topic for camera in cameras}
        assert found == {"/navcam/image_raw", "/long_range/image_raw"}
        assert words in left_out_images(reader, cameras)[topic]


def sixteen_bits(topic):
    entry = image(0, topic=topic)
    entry.message.encoding = "mono16"
    entry.message.step = 2 * WIDTH_PX
    entry.message.data = np.zeros(2 * WIDTH_PX * HEIGHT_PX, dtype=np.uint8)
    return entry


def test_a_colour_camera_called_after_its_depth_is_one(tmp_path):
    entry = image(0, topic="/depth_camera/image_raw")
    pixels = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    coloured = entry._replace(message=encode_image(message_class, pixels, "rgb8", header(stamp(0))))
    (camera,) = cameras_of(tmp_path / "bag", [coloured])
    assert camera.image_topic == "/depth_camera/image_raw"


def test_depth_that_is_asked_for_as_a_camera_is_refused(tmp_path):
    entries = [image(0), depth_as_images(ALIGNED, "16UC1; png compressed ")]
    with pytest.raises(ConfigError, match=r"cannot be a camera's: .*16UC1"):
        cameras_of(tmp_path / "bag", entries, image_topics=[ALIGNED])


def test_a_name_that_says_depth_may_be_overruled(tmp_path):
    topic = "/depth/image_raw"
    with pytest.raises(ConfigError, match="its name says depth; select it with --image-topic"):
        cameras_of(tmp_path / "one", [image(0, topic=topic)])
    (camera,) = cameras_of(tmp_path / "two", [image(0, topic=topic)], image_topics=[topic])
    assert camera.image_topic == topic


def test_a_bag_of_depth_alone_has_no_camera_and_says_why(tmp_path):
    entries = [depth_as_images(ALIGNED, "16UC1; png compressed ")]
    with pytest.raises(ConfigError, match=r"no camera images.*16UC1 is depth"):
        cameras_of(tmp_path / "bag", entries)


@pytest.mark.parametrize(
    "topic", ["/navcam/truth/image", "/labels/image_raw", "/semantic_segmentation/image"]
)
def test_pictures_of_class_ids_beside_a_camera_are_left_out_and_named(tmp_path, topic):
    with BagReader(write_bag(tmp_path / "bag", [image(0), image(0, topic=topic)])) as reader:
        cameras = find_cameras(reader, "front")
        assert [camera.image_topic for camera in cameras] == ["/navcam/image_raw"]
        assert "truth or labels" in left_out_images(reader, cameras)[topic]
    (camera,) = cameras_of(tmp_path / "alone", [image(0, topic=topic)])
    assert camera.image_topic == topic


def test_foreign_pictures_called_like_ours_are_left_out_and_named_and_ours_in_silence(tmp_path):
    topics = ("/zed/confidence/confidence_map", "/terrain/confidence")
    entries = [image(0), *(image(0, topic=topic) for topic in topics)]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        cameras = find_cameras(reader, "front")
        assert [camera.image_topic for camera in cameras] == ["/navcam/image_raw"]
        told = left_out_images(reader, cameras)
    assert list(told) == [topics[0]]
    assert "select it with --image-topic" in told[topics[0]]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["cam-left", "cam-right"], ["cam_left", "cam_right"]),
        (["0", "1"], ["camera_0", "camera_1"]),
        (["links", "ñandú"], ["links", "nandu"]),
        (["a-b", "a_b"], ["a_b_2", "a_b"]),
        (["кам", "左"], ["camera", "camera_2"]),
        (["x" * 300, "y" * 300], ["x" * 48, "y" * 48]),
    ],
)
def test_cameras_named_outside_the_letters_of_ros_get_unique_names_and_a_note(
    tmp_path, folders, names
):
    entries = [image(0, topic=f"/{folder}/image_raw") for folder in folders]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        cameras = find_cameras(reader, "front")
        (note,) = reader.notes
    assert [camera.name for camera in cameras] == names
    for camera, folder in zip(cameras, folders):
        assert camera.image_topic == f"/{folder}/image_raw"
        if camera.name != folder:
            assert f"{camera.name} stands for {camera.image_topic[:77]}" in note
    load_parameters().with_values({"cameras": names})


def test_more_image_topics_than_cameras_are_told_with_the_option_that_chooses(tmp_path):
    entries = [image(0, topic=f"/cam{number}/image_raw") for number in range(17)]
    with pytest.raises(ConfigError, match=r"has 17 image topics.*at most 16.*--image-topic /cam0"):
        cameras_of(tmp_path / "bag", entries)
    chosen = ["/cam3/image_raw", "/cam4/image_raw"]
    assert len(cameras_of(tmp_path / "chosen", entries, image_topics=chosen)) == 2


@pytest.mark.parametrize(("raw", "packed"), [(1, 6), (3, 4), (96, 100)])
def test_of_raw_and_compressed_images_those_are_taken_of_which_there_are_clearly_more(
    tmp_path, raw, packed
):
    entries = [image(index) for index in range(raw)] + [compressed(i) for i in range(packed)]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        (camera,) = find_cameras(reader, "front")
        (note,) = reader.notes
    assert camera.image_topic == "/navcam/image_raw/compressed"
    assert f"it has {packed} images and /navcam/image_raw only {raw}" in note
    assert "--image-topic chooses" in note


@pytest.mark.parametrize(("raw", "packed"), [(4, 4), (5, 4), (99, 100)])
def test_raw_images_are_preferred_where_hardly_any_is_missing(tmp_path, raw, packed):
    entries = [image(index) for index in range(raw)] + [compressed(i) for i in range(packed)]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        (camera,) = find_cameras(reader, "front")
        assert camera.image_topic == "/navcam/image_raw"
        assert not reader.notes
