"""The configuration of the tests of boards."""

from sqdm.rtl.config import Config

#: One array of one slot: the smallest accelerator that takes the digits network.
SMALL = Config(
    name="small", sparse_arrays=1, bus_bits=64, max_channels=128, max_out_channels=128, max_size=16, max_images=4,
    slot_channels=128, act_rows=512, psum_depth=4,
)  # fmt: skip

TIMEOUT = 60.0  #: seconds for a reply: other tests share the machine
