"""The kinds of race are the same ones wherever they are named."""

from typing import get_args

from racer.cli import options
from racer.race import RACE_KINDS
from racer.registration import ENV_IDS


def test_every_kind_of_race_has_an_environment_and_no_other_has():
    assert tuple(ENV_IDS) == RACE_KINDS


def test_the_command_line_takes_every_kind_of_race():
    assert get_args(options.RaceKind) == RACE_KINDS
