"""The configuration of the tests of boards."""

from dataclasses import replace

from sqdm.rtl.config import PRESETS

#: The smallest configuration that takes the digits network.
SMALL = replace(PRESETS["tiny"], name="small", max_channels=128)
