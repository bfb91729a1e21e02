"""The float network: a DDPM++-style UNet with adaptive scale and ReLU instead of SiLU (Karras et al. 2022).

8x8 at 32 channels and 4x4 at 64. Two differences from the paper's network give the hardware its zeros: ReLU, and
resampling at a block's input, before its normalisation, since a mean after the ReLU would fill zeros.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

CHANNELS = 32  # at 8x8; twice as many at 4x4
NOISE_CHANNELS = 32
EMBED_CHANNELS = 128
CLASSES = 10
SKIP_SCALE = math.sqrt(0.5)
EPS = 1e-5


@dataclass(frozen=True)
class BlockSpec:
    """Shape of one block: channels in and out, side of its feature map, resampling of its input, attention."""

    name: str
    c_in: int
    c_out: int
    size: int
    resample: str = ""  # "", "down" (2x2 mean) or "up" (nearest)
    attention: bool = False
    concat: bool = False  # the input is concatenated with the most recent unused encoder output


ENCODER = (
    BlockSpec("enc.8x8_block0", 32, 32, 8),
    BlockSpec("enc.8x8_block1", 32, 32, 8),
    BlockSpec("enc.4x4_down", 32, 32, 4, resample="down"),
    BlockSpec("enc.4x4_block0", 32, 64, 4),
    BlockSpec("enc.4x4_block1", 64, 64, 4),
)
DECODER = (
    BlockSpec("dec.4x4_in0", 64, 64, 4, attention=True),
    BlockSpec("dec.4x4_in1", 64, 64, 4),
    BlockSpec("dec.4x4_block0", 128, 64, 4, concat=True),
    BlockSpec("dec.4x4_block1", 128, 64, 4, concat=True),
    BlockSpec("dec.4x4_block2", 96, 64, 4, attention=True, concat=True),
    BlockSpec("dec.8x8_up", 64, 64, 8, resample="up"),
    BlockSpec("dec.8x8_block0", 96, 32, 8, concat=True),
    BlockSpec("dec.8x8_block1", 64, 32, 8, concat=True),
    BlockSpec("dec.8x8_block2", 64, 32, 8, concat=True),
)
BLOCKS = ENCODER + DECODER


def groups_of(channels: int) -> int:
    """Number of GroupNorm groups: four channels to a group, at most 32 groups."""
    return min(32, channels // 4)


def key(name: str) -> str:
    """A block's name as a key of ``nn.ModuleDict``, which allows no dots."""
    return name.replace(".", "_")


def resample(x: torch.Tensor, mode: str) -> torch.Tensor:
    """2x2 mean for "down", nearest neighbour for "up", unchanged for ""; (N, C, H, W)."""
    if mode == "down":
        return functional.avg_pool2d(x, 2)
    return functional.interpolate(x, scale_factor=2, mode="nearest") if mode == "up" else x


class Attention(nn.Module):
    """Single-head self-attention over the pixels of a 4x4 map, with its own normalisation and scaled skip."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups_of(channels), channels, eps=EPS)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.proj.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3, c, h * w).unbind(1)  # each (N, C, P)
        weights = torch.softmax(torch.einsum("ncp,ncq->npq", q, k) / math.sqrt(c), dim=2)  # (N, P, P)
        mixed = torch.einsum("npq,ncq->ncp", weights, v).reshape(n, c, h, w)
        return (self.proj(mixed) + x) * SKIP_SCALE


class Block(nn.Module):
    """GroupNorm, ReLU, Conv3x3, GroupNorm * (1 + scale) + shift, ReLU, Conv3x3, + skip (1x1 when channels change)."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        self.spec = spec
        self.norm0 = nn.GroupNorm(groups_of(spec.c_in), spec.c_in, eps=EPS)
        self.conv0 = nn.Conv2d(spec.c_in, spec.c_out, 3, padding=1)
        self.affine = nn.Linear(EMBED_CHANNELS, 2 * spec.c_out)
        self.norm1 = nn.GroupNorm(groups_of(spec.c_out), spec.c_out, eps=EPS)
        self.conv1 = nn.Conv2d(spec.c_out, spec.c_out, 3, padding=1)
        self.skip = nn.Conv2d(spec.c_in, spec.c_out, 1) if spec.c_in != spec.c_out else None
        self.attention = Attention(spec.c_out) if spec.attention else None
        nn.init.zeros_(self.conv1.weight)

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        """``x`` (N, c_in, H, W) before resampling, ``emb`` (N, 128), result (N, c_out, size, size)."""
        x = resample(x, self.spec.resample)
        y = self.conv0(functional.relu(self.norm0(x)))
        scale, shift = self.affine(emb)[:, :, None, None].chunk(2, dim=1)
        y = functional.relu(self.norm1(y) * (1 + scale) + shift)
        y = (self.conv1(y) + (x if self.skip is None else self.skip(x))) * SKIP_SCALE
        return y if self.attention is None else self.attention(y)


class UNet(nn.Module):
    """F(x, c_noise, label) of EDM: (N, 1, 8, 8), (N,), (N,) to (N, 1, 8, 8)."""

    def __init__(self):
        super().__init__()
        self.map0 = nn.Linear(NOISE_CHANNELS, EMBED_CHANNELS)
        self.map_label = nn.Linear(CLASSES, NOISE_CHANNELS, bias=False)
        self.map1 = nn.Linear(EMBED_CHANNELS, EMBED_CHANNELS)
        self.conv_in = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.blocks = nn.ModuleDict({key(spec.name): Block(spec) for spec in BLOCKS})
        self.norm_out = nn.GroupNorm(groups_of(CHANNELS), CHANNELS, eps=EPS)
        self.conv_out = nn.Conv2d(CHANNELS, 1, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)

    def embed(self, c_noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Noise level and class to the embedding (N, 128) that every block's affine layer reads."""
        emb = noise_features(c_noise)
        one_hot = functional.one_hot(labels, CLASSES).to(emb.dtype)
        emb = emb + self.map_label(one_hot * math.sqrt(CLASSES))
        return functional.relu(self.map1(functional.relu(self.map0(emb))))

    def forward(self, x: torch.Tensor, c_noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """``x`` is already scaled by c_in; ``c_noise`` is ln(sigma)/4."""
        emb = self.embed(c_noise, labels)
        x = self.conv_in(x)
        skips = [x]
        for spec in ENCODER:
            x = self.blocks[key(spec.name)](x, emb)
            skips.append(x)
        for spec in DECODER:
            if spec.concat:
                x = torch.cat([x, skips.pop()], dim=1)
            x = self.blocks[key(spec.name)](x, emb)
        return self.conv_out(functional.relu(self.norm_out(x)))


def noise_features(c_noise: torch.Tensor) -> torch.Tensor:
    """DDPM++'s positional features of the noise level: sines then cosines, (N,) to (N, 32)."""
    half = NOISE_CHANNELS // 2
    ramp = torch.arange(half, dtype=c_noise.dtype) / (half - 1)
    freqs = 8.0 * 0.01**ramp  # of 18 sampling steps, neighbours are 0.13 apart in c_noise: a radian at the top
    angles = c_noise[:, None] * freqs[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
