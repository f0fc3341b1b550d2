"""SROS2: what the environment asks for, and what is said where ROS refuses for its sake."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.impl.implementation_singleton import rclpy_implementation

from terrain_seg_ros.core.errors import ConfigError

RCLError: type[Exception] = rclpy_implementation.RCLError
"""What rclpy raises where the middleware refuses, for example for want of a permission."""

ENABLE, STRATEGY = "ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY"
KEYSTORE, ENCLAVE = "ROS_SECURITY_KEYSTORE", "ROS_SECURITY_ENCLAVE_OVERRIDE"
_OFF = frozenset({"", "0", "false", "no", "off"})


def is_secured(environment: Mapping[str, str]) -> bool:
    """Return whether ROS uses SROS2: it compares with `true` to the letter."""
    return environment.get(ENABLE) == "true"


def check_security(environment: Mapping[str, str]) -> None:
    """Check the variables, which ROS compares to the letter; another spelling is off in silence.

    Raises:
        ConfigError: somebody asked for security in words that ROS does not understand.
    """
    enable, strategy = environment.get(ENABLE, ""), environment.get(STRATEGY, "")
    if not is_secured(environment) and enable.strip().lower() not in _OFF:
        raise ConfigError(
            f"{ENABLE} is {enable!r}, which ROS takes for off; set it to true, or unset it"
        )
    if is_secured(environment) and strategy not in {"", "Enforce", "Permissive"}:
        raise ConfigError(
            f"{STRATEGY} is {strategy!r}, which ROS takes for Permissive; set it to Enforce"
        )


def unenforced(environment: Mapping[str, str]) -> str:
    """Return a warning where a node that finds no keys would go on without protection, else ""."""
    if not is_secured(environment) or environment.get(STRATEGY) == "Enforce":
        return ""
    return (
        f"{STRATEGY} is not Enforce: without keys in {KEYSTORE} this node takes images from "
        "everybody on the network, and nothing tells; set it to Enforce"
    )


def why_not_joined(error: Exception, environment: Mapping[str, str]) -> str:
    """Return one line about a node that ROS did not let onto a secured bus."""
    enclave = environment.get(ENCLAVE, "")
    domain = environment.get("ROS_DOMAIN_ID", "") or "0"
    return (
        f"ROS does not start with {ENABLE}=true: {_one_line(error)}; {KEYSTORE} "
        f"({environment.get(KEYSTORE, '')!r}) must hold the enclave {enclave or '/'!r}, made with "
        f"ROS_DOMAIN_ID={domain} (docs/security.md)"
    )


def why_refused(error: Exception) -> str:
    """Return one line about an endpoint that the middleware did not make on a secured bus."""
    return (
        f"{_one_line(error)}; the policy of the node's enclave must allow this name "
        "(docs/security.md)"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
