"""What the environment asks of DDS security."""

from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.runtime.security_request import (
    check_security,
    is_secured,
    refuse_where_secured,
    unenforced,
)


@pytest.mark.parametrize("value", ["True", "TRUE", "1", "yes", "on", " true", "enable"])
def test_a_wish_for_security_that_ros_does_not_understand_is_refused(value):
    with pytest.raises(ConfigError, match=r"ROS_SECURITY_ENABLE is .* set it to true"):
        check_security({"ROS_SECURITY_ENABLE": value})


@pytest.mark.parametrize("value", ["enforce", "ENFORCE", "true", "Enforced", " Enforce"])
def test_a_strategy_that_ros_takes_for_permissive_is_refused(value):
    with pytest.raises(ConfigError, match=r"ROS_SECURITY_STRATEGY is .* set it to Enforce"):
        check_security({"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": value})


@pytest.mark.parametrize("value", [None, "", "false", "False", "0", "no", "OFF"])
def test_without_a_wish_for_security_nothing_is_said(value):
    environment = {} if value is None else {"ROS_SECURITY_ENABLE": value}
    environment["ROS_SECURITY_STRATEGY"] = "enforce"
    check_security(environment)
    assert not is_secured(environment)
    assert unenforced(environment) == ""


@pytest.mark.parametrize("strategy", ["", "Permissive", None])
def test_security_that_is_not_enforced_is_a_warning(strategy):
    environment = {"ROS_SECURITY_ENABLE": "true"}
    if strategy is not None:
        environment["ROS_SECURITY_STRATEGY"] = strategy
    check_security(environment)
    assert "set it to Enforce" in unenforced(environment)
    assert unenforced({**environment, "ROS_SECURITY_STRATEGY": "Enforce"}) == ""


@pytest.mark.requirement("TSR-BUS-006")
@pytest.mark.parametrize("strategy", ["Enforce", "Permissive", ""])
def test_a_bus_without_security_is_not_joined_where_security_is_asked_for(strategy):
    environment = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": strategy}
    with pytest.raises(ConfigError, match="has no security plug-ins"):
        refuse_where_secured(environment)
    refuse_where_secured({**environment, "ROS_SECURITY_ENABLE": "false"})
