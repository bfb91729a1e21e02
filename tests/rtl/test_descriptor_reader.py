"""DescriptorReader: every word and field where `rtl/descriptor.py` puts it."""

import random

import pytest
from streams import simulate, strobe

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import BYTES, FIELDS, WORDS
from sqdm.rtl.descriptor_reader import DescriptorReader

CONFIGS = [PRESETS["tiny"], PRESETS["default"], Config(name="wide bus", lanes=128, bus_bits=512)]


class Fetcher:
    """A memory that answers late, and counts the `done` pulses."""

    def __init__(self, config, seed):
        self.device, self.rng = DescriptorReader(config), random.Random(seed)
        self.bus_bits = config.bus_bits

    async def fetch(self, ctx, address, number):
        """Fetch the descriptor ``number``; everything that was read is checked."""
        device, count = self.device, 8 * BYTES // self.bus_bits
        ctx.set(device.address, address)
        await strobe(ctx, device.start)
        ctx.set(device.address, self.rng.getrandbits(32))
        asked, answered, done = [], 0, 0
        while not done:
            ready = self.rng.random() < 0.6
            give = answered < len(asked) and self.rng.random() < 0.5
            ctx.set(device.reads.ready, ready)
            ctx.set(device.answers.valid, give)
            word = number >> self.bus_bits * answered & (1 << self.bus_bits) - 1
            ctx.set(device.answers.payload, word if give else self.rng.getrandbits(self.bus_bits))
            assert ctx.get(device.answers.ready)
            _, _, valid, where = await ctx.tick().sample(device.reads.valid, device.reads.payload)
            if valid and ready:
                asked.append(where)
            answered += give
            done = ctx.get(device.done)
            assert done == (answered == count)
        assert asked == [address + i for i in range(count)]
        ctx.set(device.answers.valid, 1)  # an answer that nobody asked for changes nothing
        ctx.set(device.answers.payload, (1 << self.bus_bits) - 1)
        await ctx.tick()
        ctx.set(device.answers.valid, 0)
        assert not ctx.get(device.done) and not ctx.get(device.reads.valid)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_words_and_fields(config):
    fetcher = Fetcher(config, 1)

    async def bench(ctx):
        assert not ctx.get(fetcher.device.reads.valid) and not ctx.get(fetcher.device.done)
        for _ in range(4):
            words = [fetcher.rng.getrandbits(32) for _ in range(WORDS)]
            await fetcher.fetch(ctx, fetcher.rng.getrandbits(27), sum(w << 32 * i for i, w in enumerate(words)))
            for name, word in FIELDS.items():
                value, got = words[word.offset // 4], getattr(fetcher.device.descriptor, name.lower())
                if not word.fields:
                    assert ctx.get(got) == value
                for part in word.fields:
                    assert ctx.get(getattr(got, part.name)) == value >> part.lsb & (1 << part.width) - 1, part.name

    simulate(fetcher.device, bench)


def test_reserved_is_any_bit_without_a_field():
    fetcher = Fetcher(CONFIGS[2], 2)
    used = set()
    for word in FIELDS.values():
        for lsb, width in [(part.lsb, part.width) for part in word.fields] or [(0, 32)]:
            used |= {8 * word.offset + lsb + bit for bit in range(width)}

    async def bench(ctx):
        await fetcher.fetch(ctx, 0, sum(1 << bit for bit in used))
        assert not ctx.get(fetcher.device.reserved)
        for bit in sorted(set(range(32 * WORDS)) - used):
            await fetcher.fetch(ctx, 64, 1 << bit)
            assert ctx.get(fetcher.device.reserved), f"bit {bit % 32} of word {bit // 32}"

    simulate(fetcher.device, bench)
