"""The errors a person can cause, as one tree. Anything else that is raised is a bug."""


class RacerError(Exception):
    """What was got, what was wanted and what to do, in one message; the command exits with 2."""


class UsageError(RacerError):
    """A command line that names no command or option, or lacks a word."""


class ConfigError(RacerError):
    """A YAML file or a command-line override cannot be used."""


class UnexpectedKeywordError(ConfigError, TypeError):
    """A call has a keyword argument that the function does not know.

    It is a `TypeError` with Python's own words, since libraries probe for keywords that way.
    """


class TrackError(RacerError):
    """A track is missing or its geometry cannot be driven."""


class RewardError(RacerError):
    """A user's reward file is missing, raises, or returns something that is not a number."""


class EntryError(RacerError):
    """An entry package is missing, broken or not what its manifest says.

    Attributes:
        code: One word for a program, such as `missing` or `hash`; stable, unlike the message.
    """

    def __init__(self, message: str, code: str = "entry") -> None:
        super().__init__(message)
        self.code = code


class RunError(RacerError):
    """A training run cannot be read, or its folder cannot be written."""


class BoardError(RacerError):
    """A board cannot be opened, read or written.

    Attributes:
        code: One word for a program, such as `season` or `full`; stable, unlike the message.
    """

    def __init__(self, message: str, code: str = "board") -> None:
        super().__init__(message)
        self.code = code
