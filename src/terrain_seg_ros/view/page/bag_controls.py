"""Play, pause, speed and time of a bag."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.view.bag_source import BagPlayer

SPEEDS = ("0.25", "0.5", "1", "2", "5")
PLAY, PAUSE = "Play", "Pause"


class BagControls:
    """Controls that follow the player and move it."""

    def __init__(self, gui: Any, player: BagPlayer) -> None:
        """Add the controls to the container that is open in viser."""
        self._player = player
        longest_s = max(0.1, round(player.duration_s, 1))
        self._slider = gui.add_slider("Time, s", 0.0, longest_s, 0.1, 0.0)
        self._button = gui.add_button(PLAY)
        self._speed = gui.add_dropdown("Speed", SPEEDS, initial_value="1")
        self._shown_s = 0.0
        self._slider.on_update(self._on_slider)
        self._button.on_click(lambda _: player.play(not player.is_playing))
        self._speed.on_update(lambda _: setattr(player, "speed", float(self._speed.value)))

    def draw(self) -> None:
        """Show where the player is."""
        label = PAUSE if self._player.is_playing else PLAY
        if self._button.label != label:
            self._button.label = label
        position_s = min(round(self._player.position_s, 1), self._slider.max)
        if position_s != self._slider.value:
            self._shown_s = position_s
            self._slider.value = position_s

    def _on_slider(self, event: Any) -> None:
        # Without a client the change is our own, from `draw`.
        if event.client is not None:
            self._player.seek(float(self._slider.value))
