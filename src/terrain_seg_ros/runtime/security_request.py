"""SROS2: what the environment variables request, with or without ROS."""

from __future__ import annotations

from collections.abc import Mapping

from terrain_seg_ros.core.errors import ConfigError

ENABLE, STRATEGY = "ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY"
KEYSTORE, ENCLAVE = "ROS_SECURITY_KEYSTORE", "ROS_SECURITY_ENCLAVE_OVERRIDE"
_OFF = frozenset({"", "0", "false", "no", "off"})


def is_secured(environment: Mapping[str, str]) -> bool:
    """Return whether ROS uses SROS2: only the exact value `true` enables it."""
    return environment.get(ENABLE) == "true"


def check_security(environment: Mapping[str, str]) -> None:
    """Check the variables; ROS takes any spelling but the exact one for off, without a warning.

    Raises:
        ConfigError: security is requested by a value that ROS does not recognise.
    """
    enable, strategy = environment.get(ENABLE, ""), environment.get(STRATEGY, "")
    if not is_secured(environment) and enable.strip().lower() not in _OFF:
        raise ConfigError(
            f"{ENABLE} is {enable!r}, which ROS treats as off; set it to true, or unset it"
        )
    if is_secured(environment) and strategy not in {"", "Enforce", "Permissive"}:
        raise ConfigError(
            f"{STRATEGY} is {strategy!r}, which ROS treats as Permissive; set it to Enforce"
        )


def unenforced(environment: Mapping[str, str]) -> str:
    """Return a warning if a node without keys would run unprotected, else ""."""
    if not is_secured(environment) or environment.get(STRATEGY) == "Enforce":
        return ""
    return (
        f"{STRATEGY} is not Enforce: without keys in {KEYSTORE} this node accepts images "
        "from anybody on the network, without a warning; set it to Enforce"
    )


def refuse_where_secured(environment: Mapping[str, str]) -> None:
    """Refuse to join a bus with a DDS without security plug-ins where security is requested.

    Raises:
        ConfigError: security is requested.
    """
    check_security(environment)
    if is_secured(environment):
        raise ConfigError(
            f"{ENABLE} is true, but Cyclone DDS from pip has no security plug-ins: what joins with "
            "it is unprotected; run the ROS 2 node for SROS2, or unset the variable on an isolated "
            "network (docs/security.md)"
        )
