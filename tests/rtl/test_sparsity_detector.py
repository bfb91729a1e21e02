import random

import pytest
from streams import collect, emits_verilog, send, simulate, watch

from sqdm.golden.detector import assign_channels
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.registers import Policy
from sqdm.rtl.sparsity_detector import SparsityDetector

TINY = PRESETS["tiny"]
SMALL = {"slots": 2, "lanes": 16, "bus_bits": 64, "max_channels": 50, "act_rows": 256}
CONFIGS = [
    TINY,
    Config(name="dense", dense_arrays=2, sparse_arrays=0, **SMALL),
    Config(name="sparse", dense_arrays=0, sparse_arrays=2, **SMALL),
    Config(name="uneven", dense_arrays=4, sparse_arrays=1, **SMALL),
    Config(name="single", **(SMALL | {"slots": 1})),
]


def word_with(rng, nonzeros):
    nibbles = [rng.randrange(1, 16) for _ in range(nonzeros)] + [0] * (16 - nonzeros)
    rng.shuffle(nibbles)
    return nibbles


def words_for(rng, counts, in_order):
    """Counted words that give these counts; channel by channel, or interleaved with repeats."""
    queues = []
    for channel, count in enumerate(counts):
        parts = []
        while count > 0 or not parts:
            parts.append(min(count, rng.choice([16, 16, rng.randrange(17)])))
            count -= parts[-1]
        queues.append([{"channel": channel, "first": not index, "word": word_with(rng, part)}
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


def command(counts, policy, sparse_count, count_shift, pixels):
    return {"channels": len(counts), "policy": policy.value, "sparse_count": sparse_count,
            "count_shift": count_shift, "pixels": pixels}  # fmt: skip


def run(config, runs, idle=0.0, stall=0.0, in_order=True, seed=1):
    """Counts and sorts each (counts, policy, sparse_count, count_shift, pixels); returns [(order, labels, cycles)].

    Checks that every position is written once, and before the labels. Counts of None are those of the run before.
    """
    device = SparsityDetector(config)
    rng = random.Random(seed)
    results = []

    async def bench(ctx):
        for counts, *settings in runs:
            await send(ctx, device.words, words_for(rng, counts, in_order), rng, idle, always_ready=True)
            order = [None] * len(counts)
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
                if ready:
                    assert not taken
                    taken = True
                    ctx.set(device.commands.valid, 0)
            assert taken
            (labels,) = await collect(ctx, device.labels, 1, rng, stall)
            results.append((order, labels, cycles - 1))

    simulate(device, bench)
    return results


def check(config, runs, **options):
    results = run(config, runs, **options)
    assert len(results) == len(runs)
    for (counts, *settings), (order, labels, cycles) in zip(runs, results, strict=True):
        expected, dense = assign_channels(counts, *settings, config.dense_slots, config.sparse_slots)
        assert order == expected.tolist()
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


def test_words_in_any_order_with_idle():
    rng = random.Random(3)
    runs = [(random_counts(rng, 30), policy, 50, 3, 200) for policy in Policy]
    check(TINY, runs, idle=0.3, stall=0.5, in_order=False)


def test_default_configuration():
    rng = random.Random(4)
    check(PRESETS["default"], [(random_counts(rng, 256, 64), Policy.BALANCED, 30, 1, 64)])


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
        assert [(entry.position, entry.channel) for entry in entries] == [(1, 0), (2, 1), (3, 2), (0, 3)]
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
