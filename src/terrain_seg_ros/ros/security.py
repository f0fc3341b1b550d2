"""Error texts for what ROS refuses because of SROS2."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.impl.implementation_singleton import rclpy_implementation

from terrain_seg_ros.runtime.security_request import ENABLE, ENCLAVE, KEYSTORE

RCLError: type[Exception] = rclpy_implementation.RCLError
"""What rclpy raises where the middleware refuses, for example without a permission."""


def why_not_joined(error: Exception, environment: Mapping[str, str]) -> str:
    """Return one line about a node that could not join a secured bus."""
    named = environment.get(ENCLAVE, "")
    enclave = f"the enclave {named!r}" if named else f"the enclave of {ENCLAVE} or --enclave"
    domain = environment.get("ROS_DOMAIN_ID", "") or "0"
    return (
        f"ROS does not start with {ENABLE}=true: {_one_line(error)}; {KEYSTORE} "
        f"({environment.get(KEYSTORE, '')!r}) must hold {enclave}, made with "
        f"ROS_DOMAIN_ID={domain} (docs/security.md)"
    )


def why_not_started(error: Exception, environment: Mapping[str, str]) -> str:
    """Return one line about a node that could not join a bus without security."""
    domain = environment.get("ROS_DOMAIN_ID", "") or "0"
    return (
        f"ROS does not start with ROS_DOMAIN_ID={domain}: {_one_line(error)}; `terrain-seg doctor` "
        "checks what ROS needs"
    )


def why_refused(error: Exception) -> str:
    """Return one line about an endpoint that the middleware refused on a secured bus."""
    return (
        f"{_one_line(error)}; the policy of the node's enclave must allow this name "
        "(docs/security.md)"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
