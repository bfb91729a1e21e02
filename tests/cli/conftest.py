"""Runs the command line in this process."""

import json

import pytest

from sqdm.cli import main


class Outcome:
    """Exit status, standard output and standard error of a command."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        lines = self.out.strip().splitlines()
        assert len(lines) == 1, "standard output must be one JSON object"
        return json.loads(lines[0])

    def assert_refused(self, *fragments):
        """Status 2, one `error:` line with each of the fragments, nothing on standard output."""
        assert self.status == 2, (self.out, self.err)
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert self.err.splitlines()[-1] == errors[0]
        assert "Traceback" not in self.err
        for fragment in fragments:
            assert str(fragment) in errors[0]
        assert self.out == ""


@pytest.fixture
def sqdm(capsys):
    """``sqdm("layer", "--json", ...)`` gives the `Outcome`."""

    def run(*arguments):
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(leaving.value.code, captured.out, captured.err)

    return run
