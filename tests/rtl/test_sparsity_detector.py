import random

import pytest
from streams import collect, emits_verilog, send, simulate, watch

from sqdm.golden.detector import assign_channels
from sqdm.rtl.config import PRESETS, Config, ceil_div
from sqdm.rtl.registers import Policy
from sqdm.rtl.sparsity_detector import SparsityDetector

TINY = PRESETS["tiny"]
SMALL = {"slots": 2, "bus_bits": 64, "max_channels": 50, "act_rows": 256}
CONFIGS = [
    TINY,
    Config(name="dense", dense_arrays=2, sparse_arrays=0, **SMALL),
    Config(name="sparse", dense_arrays=0, sparse_arrays=2, **SMALL),
    Config(name="uneven", dense_arrays=3, sparse_arrays=1, **SMALL),
    Config(name="single", **(SMALL | {"slots": 1})),
]


def word_with(rng, nonzeros):
    nibbles = [rng.randrange(1, 16) for _ in range(nonzeros)] + [0] * (16 - nonzeros)
    rng.shuffle(nibbles)
    return nibbles


def words_for(rng, counts, in_order, plane=0):
    """Counted words that give these counts; channel by channel, or interleaved with repeats."""
    queues = []
    for channel, count in enumerate(counts):
        parts = []
        while count > 0 or not parts:
            parts.append(min(count, rng.choice([16, 16, rng.randrange(17)])))
            count -= parts[-1]
        queues.append([{"plane": plane, "channel": channel, "first": not index, "word": word_with(rng, part)}
                       for index, part in enumerate(parts)])  # fmt: skip
    if in_order:
        return [word for queue in queues for word in queue]
    words = []
    while queues:
        queue = rng.choice(queues[:3])
        words.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return words


def command(counts, policy, sparse_count, count_shift, pixels, slot_channels=32, plane=0):
    return {"plane": plane, "slot_channels": slot_channels, "channels": len(counts),
            "policy": policy.value, "sparse_count": sparse_count,
            "count_shift": count_shift, "pixels": pixels}  # fmt: skip


def run(config, runs, idle=0.0, stall=0.0, in_order=True, seed=1):
    """Counts and sorts each (counts, policy, sparse_count, count_shift, pixels, slot_channels, plane).

    Returns [(order, counts in that order, labels, cycles)]. Checks that every position is written once, and before the
    labels.
    """
    device = SparsityDetector(config)
    rng = random.Random(seed)
    results = []

    async def bench(ctx):
        for counts, *settings in runs:
            plane = settings[5] if len(settings) > 5 else 0
            await send(ctx, device.words, words_for(rng, counts, in_order, plane), rng, idle, always_ready=True)
            order = [None] * len(counts)
            written_counts = [None] * len(counts)
            cycles = 0
            ctx.set(device.commands.payload, command(counts, *settings))
            ctx.set(device.commands.valid, 1)
            taken = False
            while True:
                sample = ctx.tick().sample(
                    device.commands.ready, device.labels.valid, device.table_writes.valid, device.table_writes.payload
                )
                _, _, ready, labelled, written, entry = await sample
                cycles += 1
                if labelled:
                    break
                if written:
                    assert order[entry.position] is None
                    order[entry.position] = entry.channel
                    written_counts[entry.position] = entry.count
                    assert entry.plane == plane
                if ready:
                    assert not taken
                    taken = True
                    ctx.set(device.commands.valid, 0)
            assert taken
            (labels,) = await collect(ctx, device.labels, 1, rng, stall)
            results.append((order, written_counts, labels, cycles - 1))

    simulate(device, bench)
    return results


def check(config, runs, **options):
    results = run(config, runs, **options)
    assert len(results) == len(runs)
    for (counts, *settings), (order, written_counts, labels, cycles) in zip(runs, results, strict=True):
        slot_channels = settings[4] if len(settings) > 4 else 32
        pools = (config.dense_slots, config.sparse_slots)
        expected, dense = assign_channels(counts, *settings[:4], *pools, slot_channels)
        assert order == expected.tolist()
        assert written_counts == [counts[channel] for channel in order]
        assert labels.dense_channels == dense
        assert labels.nonzeros == sum(counts)
        least = SparsityDetector.sort_cycles(len(counts))
        if settings[0] == Policy.BALANCED and config.dense_arrays and config.sparse_arrays:
            assert least < cycles <= least + 2 * len(counts) + 1
        else:
            assert cycles == least


def random_counts(rng, channels, high=200):
    return [rng.choice([0, high, rng.randrange(high + 1), rng.randrange(high + 1)]) for _ in range(channels)]


@pytest.mark.parametrize("policy", list(Policy), ids=lambda policy: policy.name)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_sorts_and_labels(config, policy):
    rng = random.Random(config.name + policy.name)
    runs = [
        (random_counts(rng, channels), policy, rng.randrange(200), rng.choice([0, 2, 3, 5]), rng.choice([64, 200, 256]))
        for channels in (2, config.max_channels // 2 + 1, config.max_channels)
    ]
    check(config, runs)


@pytest.mark.parametrize("policy", list(Policy), ids=lambda policy: policy.name)
def test_equal_zero_and_single(policy):
    counts = [[0] * 20, [7] * 20, [7], [0], [200, 0, 200, 0], [33, 32, 31, 30]]
    check(TINY, [(c, policy, *rest) for c in counts for rest in ((7, 0, 200), (6, 15, 1))])


@pytest.mark.parametrize("pixels", [1, 4, 16, 40, 64, 100, 256])
def test_balanced_split_over_the_range(pixels):
    rng = random.Random(pixels)
    runs = [(random_counts(rng, channels, pixels), Policy.BALANCED, 0, 2, pixels) for channels in (3, 17, 40)]
    check(TINY, runs)
    check(CONFIGS[3], runs)


@pytest.mark.parametrize("policy", list(Policy), ids=lambda policy: policy.name)
@pytest.mark.parametrize("config", CONFIGS[:4], ids=lambda config: config.name)
def test_no_slot_gets_more_than_slot_channels(config, policy):
    rng = random.Random(policy.name)
    runs = []
    for channels in (5, 24, 40):
        least = ceil_div(channels, config.arrays * config.slots)
        for depth in (least, least + 1, 2 * least):
            runs.append((random_counts(rng, channels), policy, 100, 3, 200, depth))
    check(config, runs)


def test_planes_are_counted_and_sorted_apart():
    rng = random.Random(8)
    device = SparsityDetector(TINY)
    counts = [random_counts(rng, 12, 40), random_counts(rng, 12, 40)]
    words = [words_for(rng, counts[plane], True, plane) for plane in (0, 1)]
    mixed = []
    while words[0] or words[1]:
        mixed.append(rng.choice([queue for queue in words if queue]).pop(0))

    async def bench(ctx):
        await send(ctx, device.words, mixed, rng, always_ready=True)
        for plane in (1, 0, 1):
            ctx.set(device.commands.payload, command(counts[plane], Policy.SPARSE, 0, 0, 40, plane=plane))
            ctx.set(device.commands.valid, 1)
            entries = await watch(ctx, device.table_writes, SparsityDetector.sort_cycles(12) - 1)
            ctx.set(device.commands.valid, 0)
            (labels,) = await collect(ctx, device.labels, 1, rng)
            assert labels.nonzeros == sum(counts[plane])
            order, _ = assign_channels(counts[plane], Policy.SPARSE, 0, 0, 40, 2, 2, 32)
            table = {entry.position: (entry.plane, entry.channel, entry.count) for entry in entries}
            assert [table[i] for i in range(12)] == [(plane, c, counts[plane][c]) for c in order]

    simulate(device, bench)


def test_words_in_any_order_with_idle():
    rng = random.Random(3)
    runs = [(random_counts(rng, 30), policy, 50, 3, 200) for policy in Policy]
    check(TINY, runs, idle=0.3, stall=0.5, in_order=False)


def test_default_configuration():
    rng = random.Random(4)
    check(PRESETS["default"], [(random_counts(rng, 256, 64), Policy.BALANCED, 30, 1, 64, 64, 1)])


def test_counts_large_values():
    device = SparsityDetector(TINY)
    full = {"channel": 3, "word": [15] * 16}

    async def bench(ctx):
        rng = random.Random(0)
        words = [{**full, "first": index == 0} for index in range(4095)]
        await send(ctx, device.words, words, rng, always_ready=True)
        for channel in range(3):
            await send(ctx, device.words, [{"channel": channel, "first": 1}], rng, always_ready=True)
        ctx.set(device.commands.payload, command([0] * 4, Policy.THRESHOLD, 65519, 11, 65520))
        ctx.set(device.commands.valid, 1)
        entries = await watch(ctx, device.table_writes, SparsityDetector.sort_cycles(4))
        table = [(entry.position, entry.channel, entry.count) for entry in entries]
        assert table == [(1, 0, 0), (2, 1, 0), (3, 2, 0), (0, 3, 65520)]
        assert ctx.get(device.labels.valid)
        assert ctx.get(device.labels.payload.nonzeros) == 65520
        assert ctx.get(device.labels.payload.dense_channels) == 1

    simulate(device, bench)


def test_second_sort_without_new_words():
    device = SparsityDetector(TINY)

    async def bench(ctx):
        rng = random.Random(0)
        await send(ctx, device.words, words_for(rng, [5, 9, 1], True), rng, always_ready=True)
        for policy, dense in ((Policy.DENSE, 3), (Policy.THRESHOLD, 2), (Policy.SPARSE, 0)):
            ctx.set(device.commands.payload, command([0] * 3, policy, 4, 0, 16))
            ctx.set(device.commands.valid, 1)
            await ctx.tick().until(device.commands.ready)
            ctx.set(device.commands.valid, 0)
            (labels,) = await collect(ctx, device.labels, 1, rng)
            assert (labels.dense_channels, labels.nonzeros) == (dense, 15)

    simulate(device, bench)


@pytest.mark.parametrize("config", CONFIGS[:3], ids=lambda config: config.name)
def test_emits_verilog(config):
    assert emits_verilog(SparsityDetector(config), "sparsity_detector")
