"""The errors that a person can cause, as one tree. Any other exception is a bug."""


class RacerError(Exception):
    """The root of the tree; the command line prints the message and exits with 2.

    A message says what was given, what is allowed and what to do.
    """


class UsageError(RacerError):
    """A command line names no known command or option, or lacks an argument."""


class ConfigError(RacerError):
    """A YAML file or a command-line override cannot be used."""


class UnexpectedKeywordError(ConfigError, TypeError):
    """A call has a keyword argument that the function does not know.

    It is also a `TypeError` with Python's own wording, because libraries probe for keywords that
    way.
    """


class EngineError(RacerError):
    """A race needs PyBullet, and it is not installed on this machine."""


class LogError(RacerError):
    """A log of a real car's driving cannot be read, or does not tell enough."""


class TrackError(RacerError):
    """A track does not exist, or its geometry cannot be driven."""


class RewardError(RacerError):
    """A user's reward file does not exist, raises, or returns something that is not a number."""


class EntryError(RacerError):
    """An entry package does not exist, is broken, or differs from its manifest.

    Attributes:
        code: One word for a program, such as `missing` or `hash`; stable, unlike the message.
    """

    def __init__(self, message: str, code: str = "entry") -> None:
        super().__init__(message)
        self.code = code


class RunError(RacerError):
    """A training run cannot be read, or its folder cannot be written."""


class RemoteError(RacerError):
    """Files at a URL cannot be read or written."""


class ProjectError(RacerError):
    """A new project's folder cannot be written, or its name cannot be used."""


class StudioError(RacerError):
    """The studio's server cannot be started, or a command that it started failed."""


class BoardError(RacerError):
    """A leaderboard cannot be opened, read or written.

    Attributes:
        code: One word for a program, such as `season` or `full`; stable, unlike the message.
    """

    def __init__(self, message: str, code: str = "board") -> None:
        super().__init__(message)
        self.code = code


class ClusterError(RacerError):
    """A cluster cannot be reached or used, or a job's workers were lost."""
