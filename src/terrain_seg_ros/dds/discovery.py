"""How far to look for other participants, in which domain; needs no Cyclone DDS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum

from terrain_seg_ros.core.errors import ConfigError

DOMAIN_LIMIT = 232
"""The largest domain id whose ports exist (RTPS port mapping)."""

_LOOPBACK = '<NetworkInterface address="127.0.0.1"/>'
_COMPATIBILITY = (
    "<Compatibility><IgnoreTypeInformation>1.15</IgnoreTypeInformation></Compatibility>"
)
"""Match endpoints of Fast DDS (vendor 1.15) by the name of their type, as it does with ours. Its
types would be looked up otherwise, and Cyclone DDS then answers lookups of others in part, after
which Fast DDS 3 (ROS 2 Kilted) never connects the endpoints that were asked about."""
_DEFAULT_CONFIGURATION = f'<CycloneDDS><Domain Id="any">{_COMPATIBILITY}</Domain></CycloneDDS>'
_CONFIGURATION = (
    '<CycloneDDS><Domain Id="any">' + _COMPATIBILITY + "<General>"
    "<Interfaces>{interfaces}</Interfaces><AllowMulticast>{multicast}</AllowMulticast>"
    "<MaxMessageSize>65500B</MaxMessageSize><FragmentSize>65000B</FragmentSize></General>"
    '<Internal><SocketReceiveBufferSize max="64MB"/></Internal>'
    '<Discovery><Peers><Peer Address="127.0.0.1"/></Peers>'
    "<ParticipantIndex>auto</ParticipantIndex>"
    "<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex></Discovery></Domain></CycloneDDS>"
)


class Discovery(str, Enum):
    """How far other participants are looked for."""

    HOST = "host"
    """This machine only: loopback, no multicast."""
    ANY = "any"
    """This machine and the network, including ROS nodes restricted to this machine."""
    NETWORK = "network"
    """Cyclone DDS's own default; it never finds nodes restricted to this machine."""


_RANGES = {
    "LOCALHOST": Discovery.HOST,
    "OFF": Discovery.HOST,
    "SUBNET": Discovery.ANY,
    "SYSTEM_DEFAULT": Discovery.NETWORK,
}
"""The values of ROS_AUTOMATIC_DISCOVERY_RANGE as a `Discovery`."""


def choose_discovery(
    argument: str | None, environment: Mapping[str, str] = os.environ
) -> Discovery:
    """Return the discovery range: the argument's, else that of ROS's variables, else `HOST`.

    Whoever can send to this bus can publish images and transforms in place of the vehicle's own,
    so the network is joined only on request.

    Raises:
        ConfigError: ROS_AUTOMATIC_DISCOVERY_RANGE has a value that ROS does not know.
    """
    if argument is not None:
        return Discovery(argument)
    if environment.get("ROS_LOCALHOST_ONLY", "").strip() == "1":
        return Discovery.HOST
    given = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").strip()
    if not given:
        return Discovery.HOST
    if given not in _RANGES:
        raise ConfigError(
            f"ROS_AUTOMATIC_DISCOVERY_RANGE is {given!r}, expected one of {list(_RANGES)}; or give "
            "--discovery"
        )
    return _RANGES[given]


def reach(discovery: Discovery, environment: Mapping[str, str] = os.environ) -> str:
    """Return a description of who can be on the bus."""
    if environment.get("CYCLONEDDS_URI"):
        return "reaching what CYCLONEDDS_URI configures"
    if discovery is Discovery.HOST:
        return (
            "on this machine only (ROS nodes here need ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST; "
            "--discovery any joins the network)"
        )
    return "open to the network"


def domain_configuration(
    discovery: Discovery, environment: Mapping[str, str] = os.environ
) -> str | None:
    """Return Cyclone's configuration, or None to use the user's own."""
    if environment.get("CYCLONEDDS_URI"):
        return None
    if discovery is Discovery.NETWORK:
        return _DEFAULT_CONFIGURATION
    network = discovery is Discovery.ANY
    automatic = '<NetworkInterface autodetermine="true"/>' if network else ""
    return _CONFIGURATION.format(
        interfaces=_LOOPBACK + automatic, multicast="true" if network else "false"
    )


def choose_domain(argument: int | None, environment: Mapping[str, str] = os.environ) -> int:
    """Return the domain id: the argument's, else that of ROS_DOMAIN_ID, else 0 as in ROS.

    Raises:
        ConfigError: it is not a number, or out of range.
    """
    text = environment.get("ROS_DOMAIN_ID", "").strip() if argument is None else str(argument)
    source = "ROS_DOMAIN_ID" if argument is None else "domain id"
    if not text:
        return 0
    try:
        number = int(text)
    except ValueError:
        raise ConfigError(f"{source} is {text!r}, expected a number") from None
    if not 0 <= number <= DOMAIN_LIMIT:
        raise ConfigError(f"{source} is {number}, expected 0 to {DOMAIN_LIMIT}")
    return number
