"""A job for one PE array: its operands by slot and plane, what must come out of it and what it costs."""

import numpy as np

from sqdm.golden.conv import conv_psum
from sqdm.rtl.config import WORD_NIBBLES, Config, ceil_div


def digits(acts: np.ndarray, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Low and high digits of 8-bit codes: acts = 16 * high + low; balanced, -8..7, when ``signed``, else 0..15."""
    low = acts.astype(np.int16) % 16
    if signed:
        low = np.where(low >= 8, low - 16, low)
    return low, (acts - low) // 16


class Job:
    """One image through one output tile: ``acts`` (C, lines, W), the strip with its halo, ``kernel`` (lanes, C, R, R).

    Parameters: ``halo`` lines above and below the strip; ``two_planes``: 8-bit codes; ``low``, ``high``: the channels
    of each plane that this array processes, in the order in which they are dealt, all by default; ``spare_groups`` lie
    between the planes; ``new_weights`` False reuses the weights of the job before.
    """

    def __init__(
        self, config: Config, acts: np.ndarray, kernel: np.ndarray, signed=False, two_planes=False, halo=(0, 0),
        low=None, high=None, spare_groups=0, new_weights=True,
    ):  # fmt: skip
        self.kernel, self.signed, self.two_planes, self.halo = kernel, signed, two_planes, halo
        self.new_weights, self.slot_count = new_weights, config.slots
        self.lines, self.width = acts.shape[1:]
        self.height = self.lines - sum(halo)
        self.taps = kernel.shape[2] * kernel.shape[3]
        everything = range(acts.shape[0])
        self.planes = [acts.astype(np.int16)]
        self.members = [list(everything if low is None else low)]
        if two_planes:
            self.planes = list(digits(acts, signed))
            self.members.append(list(everything if high is None else high))
        self.depths = [ceil_div(len(members), config.slots) for members in self.members]
        self.groups = max(1, *(ceil_div(depth, WORD_NIBBLES) for depth in self.depths)) + spare_groups
        self.plane_rows = WORD_NIBBLES * ceil_div(self.lines * self.width, WORD_NIBBLES)
        self.rows = len(self.planes) * self.groups * self.plane_rows  #: of the activation buffer

    def channels(self, plane: int, slot: int) -> list[int]:
        """The channels of a slot by index; a slot may hold fewer than `depths`."""
        return self.members[plane][slot :: self.slot_count]

    def payload(self, act_base: int, weight_half: int) -> dict:
        """The job as `payloads.job`. Without the plane HIGH, its number of channels is noise."""
        return {
            "height": self.height,
            "width": self.width,
            "kernel3": int(self.taps == 9),
            "halo_top": self.halo[0],
            "halo_bottom": self.halo[1],
            "signed_acts": int(self.signed),
            "two_planes": int(self.two_planes),
            "channels_low": self.depths[0],
            "channels_high": self.depths[1] if self.two_planes else 3,
            "plane_rows": self.plane_rows,
            "groups": self.groups,
            "high_rows": self.groups * self.plane_rows,
            "act_base": act_base,
            "weight_half": weight_half,
        }

    def psums(self) -> list[list[int]]:
        """Expected partial sums: pixels in raster order, lanes."""
        lanes, channels = self.kernel.shape[:2]
        if channels == 0:
            return [[0] * lanes] * (self.height * self.width)
        acts = np.zeros(self.planes[0].shape, np.int16)
        for plane, (codes, members) in enumerate(zip(self.planes, self.members, strict=True)):
            acts[members] += codes[members] << 4 * plane
        sums = conv_psum(acts[None], self.kernel)[0]
        return sums[:, self.halo[0] : self.halo[0] + self.height].reshape(lanes, -1).T.tolist()

    def _seen(self, counts: np.ndarray) -> np.ndarray:
        """(lines, W) to (height, W): the sum over the taps of each output pixel."""
        reach = int(self.taps == 9)
        padded = np.pad(counts, reach)
        span = range(1 + 2 * reach)
        lines = sum(padded[y : y + self.lines, x : x + self.width] for y in span for x in span)
        return lines[self.halo[0] : self.halo[0] + self.height]

    def dense_steps(self) -> int:
        """Cycles that a dense array multiplies: every channel of a slot under every tap inside the strip."""
        return sum(self.depths) * int(self._seen(np.ones((self.lines, self.width), np.int64)).sum())

    def _work(self) -> np.ndarray:
        """Non-zero operands by plane, slot, output row and column."""
        return np.array(
            [
                [
                    self._seen(np.count_nonzero(codes[self.channels(plane, slot)], axis=0))
                    for slot in range(self.slot_count)
                ]
                for plane, codes in enumerate(self.planes)
            ]
        )

    def sparse_steps(self) -> int:
        """The least number of cycles for a sparse array: the busiest slot of each plane of each output pixel."""
        return int(self._work().max(axis=1).sum())

    def nonzero_operands(self) -> int:
        """Operands that a sparse array multiplies, all slots together."""
        return int(self._work().sum())
