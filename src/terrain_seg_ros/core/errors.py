"""The one family of errors; every message names the offending value and the remedy."""

THREADS_REMEDY = (
    "raise the limit of processes (ulimit -u, TasksMax of the service, pids limit of the "
    "container) or lower `threads`"
)
"""What helps where the system gives no more threads."""


class TerrainSegError(Exception):
    """Be the base of every expected failure."""


class ConfigError(TerrainSegError):
    """Report a parameter, file or command line that cannot be used."""


class ModelError(TerrainSegError):
    """Report a model, card or golden image that is missing, corrupt or contradictory."""


class GeometryError(TerrainSegError):
    """Report a camera, transform or grid that cannot be used."""


class TransformTimeError(GeometryError):
    """Two frames are connected, but not at the stamp asked for; perhaps they soon will be."""


class MessageError(TerrainSegError):
    """Report a message whose content contradicts its own description."""


class InferenceError(TerrainSegError):
    """Report a backend that is missing or that failed."""
