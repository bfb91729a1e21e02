"""Fields of a JSON file: what is checked, and what the message names."""

import pytest

from sqdm.errors import UserError
from sqdm.page.shapes import NUMBER, OBJECT, OPTIONAL, TEXT, check

SHAPE = {"name": TEXT, "cycles": NUMBER, "area": OPTIONAL, "config": OBJECT, "rows": [{"x": NUMBER}],
         "stalls": {...: NUMBER}}  # fmt: skip
GOOD = {"name": "a", "cycles": 1.5, "area": None, "config": {}, "rows": [{"x": 1, "more": []}], "stalls": {"acts": 2}}


def test_good():
    check(GOOD, SHAPE, "file")
    check(GOOD | {"rows": [], "stalls": {}, "area": 3, "other": 1}, SHAPE, "file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "file must be an object, not []"),
        ({}, "file must have a field 'name', but has none"),
        (GOOD | {"name": None}, "file.name must be text, not None"),
        (GOOD | {"cycles": None}, "file.cycles must be a number, not None"),
        (GOOD | {"cycles": True}, "file.cycles must be a number, not True"),
        (GOOD | {"area": "1"}, "file.area must be a number or null, not '1'"),
        (GOOD | {"config": 1}, "file.config must be an object, not 1"),
        (GOOD | {"rows": {}}, "file.rows must be a list, not {}"),
        (GOOD | {"rows": [{"x": 1}, {}]}, "file.rows[1] must have a field 'x', but has none"),
        (GOOD | {"stalls": {"acts": "1"}}, "file.stalls.acts must be a number, not '1'"),
        (GOOD | {"name": list(range(99))}, "file.name must be text, not [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11..."),
    ],
)
def test_bad(value, message):
    with pytest.raises(UserError) as raised:
        check(value, SHAPE, "file")
    assert str(raised.value) == message
