"""The package's exceptions; every message names the offending value and a remedy."""

THREADS_REMEDY = (
    "raise the process limit (ulimit -u, TasksMax of the service, pids limit of the "
    "container) or lower `threads`"
)
"""The remedy to report when the system refuses to start more threads."""


class TerrainSegError(Exception):
    """The base class of every expected failure."""


class ConfigError(TerrainSegError):
    """A parameter, file or command line cannot be used."""


class ModelError(TerrainSegError):
    """A model, card or golden image is missing, corrupt or inconsistent."""


class GeometryError(TerrainSegError):
    """A camera, transform or grid cannot be used."""


class TransformTimeError(GeometryError):
    """Two frames are connected, but not (or not yet) at the requested stamp."""


class MessageError(TerrainSegError):
    """The content of a message is inconsistent with its own description."""


class InferenceError(TerrainSegError):
    """A backend is missing or failed."""
