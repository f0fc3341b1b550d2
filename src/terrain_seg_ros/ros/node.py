"""The lifecycle node."""

from __future__ import annotations

import os
import traceback
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.parameters.file import NODE_NAME
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.ros.bond import break_bond, make_bond
from terrain_seg_ros.ros.node_parameters import NodeParameters, changes_of
from terrain_seg_ros.ros.refused_transitions import answer_refused_transitions
from terrain_seg_ros.ros.security import RCLError, why_refused
from terrain_seg_ros.ros.wire import Transport, port_with_wire
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.live import DIAGNOSTICS_PERIOD_S, LiveNode
from terrain_seg_ros.runtime.run_summary import run_summary
from terrain_seg_ros.runtime.security_request import is_secured
from terrain_seg_ros.runtime.session import Session

DEFECT_TEXT = "a defect in the node: its traceback is in the log"
_SUCCESS = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE


class TerrainSegNode(LifecycleNode):  # type: ignore[misc]
    """Segment camera images and keep the hazard grid.

    configure checks the parameters and loads the model, activate tests it and subscribes,
    deactivate unsubscribes and keeps the engine, cleanup frees everything. An
    expected error fails the transition with one line in the log; the process continues.
    """

    def __init__(self, **options: Any) -> None:
        """Make an unconfigured node; options are rclpy's."""
        super().__init__(NODE_NAME, automatically_declare_parameters_from_overrides=True, **options)
        answer_refused_transitions(self)
        self._live: LiveNode | None = None
        self.summary: dict[str, Any] | None = None
        """What the node did between its last `configure` and `cleanup`; see `run_summary`."""
        self._opened = ExitStack()
        self._resort = LastResort(Health())
        self._resort.tell_by(self.get_logger().error)
        self._transport: Transport
        self._bond: Any = None
        self._configured_by_us = False
        self._parameters_of_node = NodeParameters(self)
        self.add_on_set_parameters_callback(self._on_set)
        self.create_service(SetBool, "~/enable", self._enable)
        self.create_service(Trigger, "~/segment_once", self._segment_once)
        self.create_service(Trigger, "~/reset_map", self._reset_map)
        self.create_service(SetBool, "~/select_site", self._select_site)
        # A clock of its own: a bag that is paused must not stop the diagnostics too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._diagnose, clock=steady)

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters and load the model."""
        with _Attempt(self, "configure") as attempt:
            parameters = self._parameters_of_node.read()
            with ExitStack() as undo:
                session = Session(parameters, live=True)
                undo.callback(session.close)
                port = port_with_wire(self)
                undo.callback(port.close)
                live = LiveNode(session, port)
                undo.callback(live.close)
                live.resort.tell_by(self.get_logger().error)
                self._declare(parameters, live)
                self._opened = undo.pop_all()
            self._live = live
            self._transport = Transport(self, live, port)
            self._transport.say()
            about = session.describe()
            self.get_logger().info(", ".join(f"{key} {value}" for key, value in about.items()))
        return attempt.result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Test the engine and take images."""
        with _Attempt(self, "activate") as attempt:
            live = self._configured()
            live.session.self_test()
            live.activate()
            self._transport.say()
            self._bond = make_bond(self)
        if attempt.result != _SUCCESS:
            with _Attempt(self, "closing what was opened"):
                self._configured().deactivate()
            return attempt.result
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take no more images; the engine is kept."""
        with _Attempt(self, "deactivate") as attempt:
            self._break_bond()
            self._configured().deactivate()
        if attempt.result != _SUCCESS:
            return attempt.result
        return super().on_deactivate(state)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        return self._free("cleanup")

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        return self._free("shutdown")

    def on_error(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, to be configured again."""
        return self._free("recover")

    @property
    def resort(self) -> LastResort:
        """Return what counts unexpected errors, beside the images once configured."""
        return self._resort if self._live is None else self._live.resort

    def close(self) -> None:
        """Free everything, whatever the state."""
        self._free("close")

    def _free(self, what: str) -> TransitionCallbackReturn:
        with _Attempt(self, what) as attempt:
            self._break_bond()
            live, self._live = self._live, None
            about = {} if live is None else live.session.describe()
            self._opened.close()
            if live is not None:
                self.summary = run_summary(live.snapshot(), about)
            self._parameters_of_node.forget_card()
        return attempt.result

    def _declare(self, parameters: NodeSettings, live: LiveNode) -> None:
        self._configured_by_us = True
        try:
            self._parameters_of_node.declare(parameters, live.session.taxonomy)
        finally:
            self._configured_by_us = False

    def _configured(self) -> LiveNode:
        if self._live is None:
            raise ConfigError("the node is not configured; configure it first")
        return self._live

    def _break_bond(self) -> None:
        bond, self._bond = self._bond, None
        if bond is not None:
            break_bond(self, bond)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = changes_of(parameters)
        if self._configured_by_us or not changes:
            return SetParametersResult(successful=True)
        with self.resort.around("changing parameters") as attempt:
            try:
                if self._live is not None:
                    self._live.change(changes)
            except TerrainSegError as error:
                return SetParametersResult(successful=False, reason=str(error))
        if attempt.failed:
            return SetParametersResult(successful=False, reason=DEFECT_TEXT)
        self._parameters_of_node.note(changes)
        return SetParametersResult(successful=True)

    def _enable(self, request: Any, response: Any) -> Any:
        with _Answer(response, self.resort):
            live = self._active()
            live.worker.takes_images = bool(request.data)
            response.message = (
                "images are taken" if live.worker.takes_images else "images are ignored"
            )
        return response

    def _segment_once(self, _: Any, response: Any) -> Any:
        with _Answer(response, self.resort):
            self._active().worker.takes_next_image = True
            response.message = "the next image will be taken"
        return response

    def _reset_map(self, _: Any, response: Any) -> Any:
        with _Answer(response, self.resort):
            self._configured().reset_map()
            response.message = "the grid was cleared"
        return response

    def _select_site(self, request: Any, response: Any) -> Any:
        with _Answer(response, self.resort):
            response.message = self._active().select_best_site(keep=bool(request.data))
        return response

    def _active(self) -> LiveNode:
        live = self._configured()
        if not live.is_active:
            raise ConfigError("the node is not active; activate it first")
        return live

    def _diagnose(self) -> None:
        if self._live is None:
            return
        self._live.diagnose()
        try:
            self._live.check()
        except TerrainSegError as error:
            self.get_logger().fatal(f"{error}; the node deactivates itself")
            self.trigger_deactivate()


class _Attempt:
    """Turn an expected error into a failed transition, and log others, which ROS would hide."""

    def __init__(self, node: TerrainSegNode, what: str) -> None:
        self._node, self._what = node, what
        self.result = _SUCCESS

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            return False
        self.result = _FAILURE
        if isinstance(error, TerrainSegError):
            self._node.get_logger().error(f"{self._what} failed: {error}")
            return True
        if isinstance(error, RCLError) and is_secured(os.environ):
            self._node.get_logger().error(f"{self._what} failed: {why_refused(error)}")
            return True
        self._node.get_logger().fatal("".join(traceback.format_exception(kind, error, trace)))
        return False


class _Answer:
    """Put an error into a service's response; an unexpected one is counted too."""

    def __init__(self, response: Any, resort: LastResort) -> None:
        self._response = response
        self._resort = resort

    def __enter__(self) -> None:
        self._response.success = True

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> bool:
        if not isinstance(error, Exception):
            return False
        text = str(error)
        if not isinstance(error, TerrainSegError):
            self._resort.failed("a service", error)
            text = DEFECT_TEXT
        self._response.success, self._response.message = False, text
        return True
