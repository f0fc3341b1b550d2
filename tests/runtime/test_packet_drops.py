import socket

from terrain_seg_ros.runtime.packet_drops import dropped_packets


def test_packets_that_this_process_did_not_read_are_counted():
    before = dropped_packets()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.bind(("127.0.0.1", 0))
        for _ in range(50):
            sender.sendto(bytes(4000), receiver.getsockname())
        assert dropped_packets() - before >= 40


def test_without_the_file_system_of_processes_nothing_is_counted(tmp_path):
    assert dropped_packets(tmp_path) == 0


def test_only_own_sockets_count_and_odd_lines_do_no_harm(tmp_path):
    (tmp_path / "self" / "net").mkdir(parents=True)
    folder = tmp_path / "self" / "fd"
    folder.mkdir()
    (folder / "3").symlink_to("socket:[77]")
    (folder / "4").symlink_to("/dev/null")
    head = "  sl  local rem st tx tr tm retr uid timeout inode ref pointer drops"
    row = "1: 0100007F:1CE8 00000000:0000 07 0:0 00:0 0 0 0 {} 2 0 {}"
    lines = [head, row.format(77, 5), row.format(78, 9), "cut", row.format(77, "many")]
    (tmp_path / "self" / "net" / "udp").write_text("\n".join(lines))
    assert dropped_packets(tmp_path) == 5
