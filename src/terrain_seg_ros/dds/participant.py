"""Join a DDS domain in a way that ROS 2 nodes recognise."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakValueDictionary

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.cyclone import (
    DDSException,
    Domain,
    DomainParticipant,
    Policy,
    Qos,
    Topic,
)
from terrain_seg_ros.dds.discovery import Discovery, choose_domain, domain_configuration
from terrain_seg_ros.dds.idl_types import sample_class
from terrain_seg_ros.runtime.security_request import refuse_where_secured

USER_DATA = b"enclave=/;"
"""ROS nodes look for this in a participant before they treat it as a ROS node."""

_domains: WeakValueDictionary[int, Any] = WeakValueDictionary()


class Participant:
    """One membership of a domain; those of one process share the domain's configuration."""

    def __init__(self, domain_id: int, discovery: Discovery) -> None:
        """Join the domain.

        Raises:
            ConfigError: the network or the configuration does not allow it, or the environment asks
                for security, which this DDS does not have.
        """
        refuse_where_secured(os.environ)
        self.domain_id = choose_domain(domain_id)
        try:
            self._domain = _shared_domain(self.domain_id, discovery)
            qos = Qos(Policy.Userdata(USER_DATA))
            self._entity: Any = DomainParticipant(self.domain_id, qos=qos)
        except DDSException as error:
            raise ConfigError(
                f"DDS domain {self.domain_id} with discovery {discovery.value!r} cannot be joined: "
                f"{error}; check the network interfaces and CYCLONEDDS_URI, or try another "
                "discovery"
            ) from error
        self._topics: dict[str, Any] = {}

    @property
    def entity(self) -> Any:
        """Return Cyclone's own participant.

        Raises:
            ConfigError: the participant was closed.
        """
        if self._entity is None:
            raise ConfigError(f"the participant of domain {self.domain_id} is closed; make another")
        return self._entity

    @property
    def gid(self) -> bytes:
        """Return the 16 bytes that name this participant in the ROS graph."""
        return gid_of(self.entity)

    def topic(self, dds_name: str, message_type: str) -> Any:
        """Return Cyclone's topic of a DDS name such as "rt/terrain/mask".

        Raises:
            ConfigError: Cyclone refuses the name.
        """
        key = f"{dds_name} {message_type}"
        if key not in self._topics:
            try:
                self._topics[key] = Topic(self.entity, dds_name, sample_class(message_type))
            except DDSException as error:
                raise ConfigError(
                    f"topic {dds_name!r} cannot be made with type {message_type}: {error}; "
                    "check the name"
                ) from error
        return self._topics[key]

    def close(self) -> None:
        """Leave the domain; endpoints that are still open become useless."""
        self._topics.clear()
        self._entity = None
        self._domain = None


def gid_of(entity: Any) -> bytes:
    """Return the 16 bytes that name a participant, reader or writer."""
    name: bytes = entity.guid.bytes
    return name


def _shared_domain(domain_id: int, discovery: Discovery) -> Any:
    """Return the process's one Domain of an id, or None where no configuration is given."""
    configuration = domain_configuration(discovery)
    if configuration is None:
        return None
    domain = _domains.get(domain_id)
    if domain is None:
        domain = Domain(domain_id, configuration)
        _domains[domain_id] = domain
    return domain
