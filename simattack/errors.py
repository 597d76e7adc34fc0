"""Everything that can go wrong by somebody's doing, as one tree.

    SimattackError
    |- ConfigError          a scenario, suite, flag or name is wrong (names file and field)
    |- MapError             an OpenDRIVE map cannot be used
    |- WeightsError         a weights file is missing, changed, or would need to be trusted
    |- PatchError           a patch image or its card cannot be used
    |- BudgetError          an attack would break its own physical budget
    |- CalibrationError     the twin cannot be calibrated here
    |- ResultsError         a results folder belongs to other inputs or is damaged
    |- RecordingError       a server's recording cannot be written, found, read or replayed
    |- SetupError           the machine lacks something (EGL, a port, a package)
    |  `- RenderError       no OpenGL context can be made
    |- ProtocolError        the *peer* broke CARLA's wire protocol; never our own fault
    `- ServerGone           the CARLA server vanished or does not answer
       `- SensorTimeout     it answers, but a sensor sent nothing for a tick

Each message is one line: what was expected, what came, where, what to do. The command line prints
it as ``simattack: <message>`` and exits with 1. A traceback is a bug of ours.
"""


class SimattackError(Exception):
    """The root: an expected failure, told in one line."""


class ConfigError(SimattackError):
    """A scenario, suite, flag or name is wrong."""


class MapError(SimattackError):
    """An OpenDRIVE map cannot be used."""


class WeightsError(SimattackError):
    """A weights file is missing, changed, or would need to be trusted."""


class PatchError(SimattackError):
    """A patch image or its card cannot be used."""


class BudgetError(SimattackError):
    """An attack would break its own physical budget."""


class CalibrationError(SimattackError):
    """The twin cannot be calibrated here."""


class ResultsError(SimattackError):
    """A results folder belongs to other inputs or is damaged."""


class RecordingError(SimattackError):
    """A server's recording cannot be written, found, read or replayed."""


class SetupError(SimattackError):
    """The machine lacks something."""


class RenderError(SetupError):
    """No OpenGL context can be made."""


class ProtocolError(SimattackError):
    """The peer broke CARLA's wire protocol."""


class ServerGone(SimattackError):
    """The CARLA server vanished or does not answer."""


class SensorTimeout(ServerGone):
    """The server answers, but a sensor sent nothing for a tick."""
