"""Every command explains itself."""

import pytest

from sqdm.cli import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_json(sqdm, command):
    outcome = sqdm(command, "--help")
    assert outcome.status == 0
    assert f"Example: sqdm {command}" in outcome.out
    assert "--json" in outcome.out


def test_help_lists_the_commands(sqdm):
    for arguments in ((), ("--help",)):
        outcome = sqdm(*arguments)
        assert outcome.status == 0
        for command in COMMANDS:
            assert f"  {command} " in outcome.out


def test_unknown_command_is_refused(sqdm):
    sqdm("smaple").assert_refused("'smaple'", "sample")


def test_missing_and_unknown_options_are_refused(sqdm):
    sqdm("sample").assert_refused("--out")
    sqdm("sample", "--out", "x", "--colour", "1").assert_refused("--colour")
