"""A process on the bus, secured or not: it shows images or listens, and says on stdout what came.

Run as `python bus_member.py KIND ROLE DOMAIN MARK`. KIND is `ros` (rclpy), `pip` (the Cyclone DDS
wheel without ROS) or `forged` (datagrams in another's name). Images and their masks are recognised
by MARK, the stamp's last three digits. Each line on stdout is one JSON object. The process ends
when its stdin is closed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

OUTPUTS = ("mask", "hazard_grid", "label_info", "hazard_points")
TOPIC = "/terrain/image"
FAR_AHEAD = 1_000_000
"""Sequence numbers that the true writer has not reached, so that none counts as an old one."""
MOST_PARTICIPANTS = 33
"""How many have a port on one machine where discovery is that of this machine."""
PERIOD_S = 0.1
MARKS = 1000


def mark_of(stamp):
    return stamp % MARKS


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class RosShower:
    """Publish images, intrinsics, mounting and poses through rclpy."""

    def __init__(self, domain):
        from support.ros_peer import RosPeer, wait_until  # noqa: PLC0415  (each kind has its own bus)

        self._peer = RosPeer(domain, "sensors", "/terrain")
        self._peer.mount()
        (writer,) = wait_until(
            lambda: self._peer.image and self._peer.node.get_publishers_info_by_topic(TOPIC)[:1],
            "our own writer",
        )
        say(gid=bytes(writer.endpoint_gid).hex())
        self.close = self._peer.close

    def show(self, stamp):
        """Show an image; return how many subscribe to images."""
        self._peer.show(stamp=stamp)
        return self._peer.image.get_subscription_count()


class RosListener:
    """Subscribe through rclpy."""

    def __init__(self, domain):
        from support.ros_peer import RosPeer  # noqa: PLC0415

        self._peer = RosPeer(domain, "consumer", "/terrain")
        self._peer.listen(*OUTPUTS)
        self.close = self._peer.close

    def take(self):
        for name in OUTPUTS:
            while self._peer.got[name]:
                yield name, self._peer.got[name].pop(0)


class RosOperator:
    """Change the node's state through rclpy, once each time."""

    def __init__(self, domain):
        from support.ros_peer import RosPeer  # noqa: PLC0415

        self._peer = RosPeer(domain, "operator", "/terrain")
        self.change, self.close = self._peer.change, self._peer.close


class PipMember:
    """Show or listen with the Cyclone DDS wheel."""

    def __init__(self, domain):
        import peer  # noqa: PLC0415

        self._stamped = peer.stamped
        self._peer = peer.Peer(domain, OUTPUTS)
        self._peer.mount()
        self.close = self._peer.close

    def show(self, stamp):
        self._peer.mount()
        self._peer.drive(stamp)
        self._peer.image.write(self._stamped(stamp))

    def take(self):
        for name, reader in self._peer.readers.items():
            yield from ((name, message) for message in reader.take())


class Forger:
    """Send datagrams that say they come from the writer FORGED_GID."""

    def __init__(self, domain):
        import buses  # noqa: PLC0415
        import peer  # noqa: PLC0415

        self._buses, self._stamped, self._domain = buses, peer.stamped, domain
        self._gid = bytes.fromhex(os.environ["FORGED_GID"])
        self._sequence = FAR_AHEAD

    def show(self, stamp):
        from terrain_seg_ros.messages import cdr  # noqa: PLC0415

        payload = bytes(cdr.serialize(self._stamped(stamp), "sensor_msgs/msg/Image"))
        self._sequence += 1
        datagram = self._buses.rtps_data(self._gid, payload, self._sequence)
        self._buses.send_to_domain(self._domain, datagram, participants=MOST_PARTICIPANTS)

    def close(self):
        """Do nothing: nothing is held."""


KINDS = {
    "ros": {"show": RosShower, "listen": RosListener, "bring_up": RosOperator, "halt": RosOperator},
    "pip": {"show": PipMember, "listen": PipMember},
    "forged": {"show": Forger},
}


def show_images(member, mark):
    readers = member.show(time.time_ns() // MARKS * MARKS + mark)
    say(shown=mark, readers=readers)


def listen(member, _):
    from terrain_seg_ros.messages.header_message import stamp_ns  # noqa: PLC0415

    for name, message in member.take():
        say(heard=name, mark=mark_of(stamp_ns(message.header)))


def bring_up(member, _):
    for name in ("configure", "activate"):
        well = member.change(name)
        say(changed=name, well=well)
        if not well:
            return


def halt(member, _):
    say(changed="deactivate", well=member.change("deactivate"))


ROLES = {"show": (True, show_images), "listen": (True, listen)}
ROLES |= {"bring_up": (False, bring_up), "halt": (False, halt)}
"""What each does, and whether again and again."""


def main():
    sys.path.append(str(Path(__file__).parents[1]))
    kind, role, domain, mark = sys.argv[1:]
    repeats, act = ROLES[role]
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    try:
        member = KINDS[kind][role](int(domain))
        say(joined=True)
        act(member, int(mark))
    except Exception as error:  # noqa: BLE001  (whatever refuses it is the answer)
        say(refused=f"{type(error).__name__}: {error}")
        return
    while not done.wait(PERIOD_S):
        if repeats:
            act(member, int(mark))
    member.close()


class BusMember:
    """Hold such a process, and what it said."""

    def __init__(self, kind, role, domain, mark=0, *, environment=None):
        command = [sys.executable, __file__, kind, role, str(domain), str(mark)]
        self._process = subprocess.Popen(
            command,
            env=os.environ if environment is None else environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said, self._errors = [], []
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=lambda: self._errors.extend(self._process.stderr), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def errors(self):
        return "".join(self._errors)

    @property
    def refused(self):
        """Return what refused the process its membership or an endpoint, or None."""
        return next((said["refused"] for said in self.said if "refused" in said), None)

    @property
    def gid(self):
        """Return the id of its image writer, in hexadecimal, once it has said so."""
        return next((said["gid"] for said in list(self.said) if "gid" in said), None)

    @property
    def has_joined(self):
        return any("joined" in said for said in self.said)

    @property
    def changed(self):
        """Return the transitions that the node went through for this process."""
        return [said["changed"] for said in list(self.said) if said.get("well")]

    @property
    def shown(self):
        return sum("shown" in said for said in self.said)

    @property
    def readers(self):
        """Return how many subscribed to its images, at each of them."""
        return [said["readers"] for said in list(self.said) if "shown" in said]

    def heard(self, name=None, mark=None):
        """Return how many messages came: of a topic, with a mark, or all."""
        return sum(
            "heard" in said and name in {None, said["heard"]} and mark in {None, said["mark"]}
            for said in list(self.said)
        )

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(20.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()

    def _read(self):
        for line in self._process.stdout:
            if line.startswith("{"):
                self.said.append(json.loads(line))


if __name__ == "__main__":
    main()
