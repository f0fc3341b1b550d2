"""One model at work: parameters, backend and pipeline, opened and closed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.ground.own_body import MIN_CORNERS, OwnBody
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.kernel import compile_kernels
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.registry import self_test
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.height_map_file import read_height_map
from terrain_seg_ros.runtime.serving import engine_digest, serve


class Session:
    """What a node, a replay or a command needs to turn images into a grid.

    Use it in a `with` statement or call `close`.
    """

    def __init__(self, parameters: NodeSettings, *, live: bool = False) -> None:
        """Load the model, run the golden self-test, make an empty grid and compile its loops.

        Args:
            parameters: the values.
            live: images arrive in real time: while an engine is built another backend serves,
                unless the parameters say otherwise.

        Raises:
            ModelError: the model is missing, corrupt or fails the self-test.
            InferenceError: the backend is not installed or cannot run the model.
            ConfigError: a hazard, a speed or a protruding class names no class of the model, or a
                mask of the own body or the height map cannot be read.
        """
        self._parameters = parameters
        settings = parameters.pipeline
        asked = parameters.inference
        self.model = load_model(asked.model, asked.model_trust())
        self.model.card.taxonomy.with_hazards(settings.hazards)
        settings.speed.per_class(self.model.card.taxonomy)
        self.own_bodies = OwnBodies(parameters)
        heights = read_height_map(parameters)
        name, self._options = _backend_choice(parameters)
        served = serve(name, self.model, self._options, parameters, live=live)
        self.backend: Backend = served.backend
        self._build = served.build
        self.pipeline = Pipeline(self.model.card, self.backend, settings, heights=heights)
        self.kernel_advice = compile_kernels()
        """Why the next start must compile the loops again, empty where they are kept."""

    def __enter__(self) -> Session:
        """Return the session."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the backend."""
        self.close()

    @property
    def parameters(self) -> NodeSettings:
        """Return the values in force."""
        return self._parameters

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the model's classes with the hazards in force."""
        return self.pipeline.taxonomy

    def hazard_advice(self) -> str:
        """Return where hazards and threshold do not separate classes as users may expect."""
        return self.pipeline.hazard_rule.advice(self.pipeline.taxonomy.names)

    def novelty_advice(self) -> str:
        """Return that the model cannot tell unfamiliar images, empty where it can."""
        if self.model.card.novelty is not None or self.model.onnx_path is None:
            return ""
        return (
            f"the card of {self.model.card.name!r} does not describe its training images: images "
            "unlike them are not refused"
        )

    def change(self, changes: Mapping[str, Any]) -> NodeSettings:
        """Use other values from the next image on; return all values then in force.

        Raises:
            ConfigError: a value is wrong, static, or names no class of the model; nothing has
                changed then.
        """
        parameters = self._parameters.with_values(changes, running=True)
        self.pipeline.apply_settings(parameters.pipeline)
        self._parameters = parameters
        return parameters

    def self_test(self) -> None:
        """Run the golden image once more, which also warms the backend up.

        Raises:
            ModelError: the backend gives a wrong result.
            InferenceError: the backend fails.
        """
        self_test(self.backend, self.model, self._options)

    def describe(self) -> dict[str, str]:
        """Return model, backend and precision, for diagnostics and summaries."""
        file = self.model.file(self.backend.precision)
        card = file.card
        about = {
            "model": f"{card.name} {card.version}",
            "model_digest": file.digest[:16] or "none",
            "model_sha256": card.sha256[:16],
            "backend": self.backend.name,
            "precision": self.backend.precision,
        }
        engine = engine_digest(self.backend)
        if engine:
            about["engine"] = engine
        if self._build is not None:
            about["engine_build"] = self._build.state.value
        return about

    def close(self) -> None:
        """End a build in the background and free the backend; calling again does nothing."""
        if self._build is not None:
            self._build.stop()
        self.backend.close()


def _backend_choice(parameters: NodeSettings) -> tuple[BackendName, BackendOptions]:
    """Return backend and options; `deterministic` leaves nothing to timing or the device."""
    asked = parameters.inference
    name, options = asked.backend, asked.backend_options()
    if asked.deterministic:
        options = replace(options, precision=FULL_PRECISION)
        name = BackendName.ONNXRUNTIME if name is BackendName.AUTO else name
    return name, options


class OwnBodies:
    """Masks and outline of the vehicle by camera."""

    def __init__(self, parameters: NodeSettings) -> None:
        """Read the masks.

        Raises:
            ConfigError: a mask cannot be read or is coloured, or the outline does not consist of
                pairs.
        """
        cameras, paths = parameters.input.cameras, parameters.own_body.masks
        if len(paths) == 1:
            paths *= len(cameras)
        values = parameters.own_body.polygon
        polygon = None
        if len(values) >= 2 * MIN_CORNERS:
            polygon = np.array(values, dtype=np.float64).reshape(-1, 2)
        masks = {path: _mask(path) for path in set(paths) if path}
        self._bodies = {
            camera: OwnBody(masks.get(path), polygon, source=path)
            for camera, path in zip(cameras, paths)
            if path or polygon is not None
        }

    def of(self, camera: str) -> OwnBody | None:
        """Return what a camera sees of the vehicle, None where nothing was given."""
        return self._bodies.get(camera)


def _mask(path: str) -> U8:
    """Return a mask (H, W); a colour file is accepted if its pixels are grey."""
    pixels = read_image(Path(path).expanduser())
    return pixels if pixels.ndim == 2 else np.asarray(pixels.max(axis=2), dtype=np.uint8)
