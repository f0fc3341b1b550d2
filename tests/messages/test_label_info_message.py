import pytest

from support.decoders import decode_label_info
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.label_info_message import encode_label_info

LABEL_INFO = "vision_msgs/msg/LabelInfo"
TAXONOMY = Taxonomy(
    (TerrainClass(0, "soil", (1, 2, 3), 0.0), TerrainClass(1, "big rock", (4, 5, 6), 1.0))
)


def test_round_trip(types, round_trip):
    header = make_header(types, 7, "cam")
    message = round_trip(encode_label_info(types, TAXONOMY, 0.5, header), LABEL_INFO)
    labels = decode_label_info(message)
    assert labels.names == {0: "soil", 1: "big rock"}
    assert labels.threshold == 0.5
    assert (stamp_ns(message.header), message.header.frame_id) == (7, "cam")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_threshold_out_of_range_is_refused(threshold):
    header = make_header(cdr.message_class, 7, "cam")
    with pytest.raises(MessageError, match="label threshold"):
        encode_label_info(cdr.message_class, TAXONOMY, threshold, header)
