// From joined sums to memory: post-processor, turn, residual, statistics, writer.

#pragma once

#include "reads.h"

class Outputs {
public:
    Outputs(const Machine& machine, Loader& loader) : machine(machine), loader(loader) {}

    // A layer begins in cycle `start`.
    void begin(const Layer& layer, Cycle start) {
        groups = machine.lanes / machine.post_lanes >> layer.wide;
        words = machine.lanes >> layer.wide;
        block = layer.output == WEIGHTS ? 0 : machine.word_pixels >> (layer.output == RAW);
        residual = layer.residual, statistics = layer.statistics;
        interval = residual || statistics ? 2 : 1;
        left = layer.out_channels, images = layer.images, image = 0;
        taken = turned = last_word = cleared[0] = cleared[1] = LONG_AGO;
        in_block = blocks = 0;
        unread = layer.residual_words;
        read_residual(start + 1, machine.residual_places, 1);
    }

    // A pixel's sums are there in all arrays in cycle `there`; returns when they are joined. `last` of an image.
    Cycle join(Cycle there, bool last) {
        const Cycle joined = std::max(there, taken);
        const Cycle first = joined + REGISTER;
        const int group = (in_block + 1) * groups - 1;  // the pixel's last one, in its block
        if (in_block == 0) begun = std::max({first + PATH(), cleared[blocks & 1] + 1, turned + 1});
        taken = first + groups - 1;
        if (group >= PLACES()) taken = std::max(taken, begun + group - PLACES() + 1);
        turned = std::max(taken + PATH(), begun + group);
        ++in_block;
        if (block != 0 && (in_block == block || last)) end_block(last);
        if (block == 0) {
            in_block = 0;
            last_word = last_written = turned + 1;
        }
        return joined;
    }

    // All words of a MAP, the first one leaving the engine in cycle `first`.
    void map(const Layer& layer, Cycle first) {
        begin(layer, first);
        const int existing = std::min(left - (layer.tiles - 1) * words, words);  // in the last tile
        const int full = std::max(layer.steps, interval), dummy = interval;
        const int64_t rows = int64_t(layer.images) * layer.out_words;
        const int64_t cost = rows * (int64_t(left) * full + int64_t(layer.tiles * words - left) * dummy);
        const int entries = statistics ? (machine.statistics_words - 1) * left * layer.images : 0;
        last_word = first + Cycle(cost) - full + interval - 1 + entries;
        last_written = last_word - (words - existing) * dummy;
    }

    // When the layer's outputs are in memory.
    Cycle complete() const {
        const int way = (residual ? machine.residual - 1 : 1) + 2;
        Cycle written = last_written + way, passed = last_word + way;
        if (statistics) {
            written += 1 + machine.statistics + machine.statistics_words;
            passed += 1 + machine.statistics;
        }
        return std::max(written + WRITE + machine.memory, passed + FINISH);
    }

    Cycle last() const { return last_word; }

    static constexpr int WRITE = 7;  // from a write to its response, but for the memory's latency

private:
    static constexpr int REGISTER = 1, FINISH = 3;
    static constexpr int READ = 2;  // from a residual's use to the request that takes its place

    int PATH() const { return machine.post; }              // from a group to the turn
    int PLACES() const { return machine.post_queue - 1; }  // groups on that way

    // Residual words are asked for as places get free.
    void read_residual(Cycle first, int count, int interval) {
        count = std::min(count, unread);
        loader.yield(first, count, interval);
        unread -= count;
    }

    void end_block(bool last) {
        in_block = 0;
        const Cycle first = std::max(turned + machine.turn + 1 + interval - 1, last_word + interval);
        last_word = first + interval * (words - 1);
        last_written = first + interval * (std::min(left, words) - 1);
        if (residual) read_residual(first + READ, std::min(left, words), interval);
        if (last && statistics) last_written += (machine.statistics_words - 1) * (std::min(left, words) - 1);
        if (last && statistics) last_word += (machine.statistics_words - 1) * std::min(left, words);
        const int places = interval == 1 ? 0 : residual ? 3 : 6;  // between the turn and what takes two cycles
        const Cycle read = std::max(turned + words, last_word - places * interval + 1);
        cleared[blocks & 1] = interval == 1 ? first + words - 3 : read;
        ++blocks;
        if (last && ++image == images) {
            image = 0;
            left -= words;
        }
    }

    const Machine& machine;
    Loader& loader;
    int unread = 0;  // words of the residual that were not asked for
    int groups = 0, words = 0, block = 0, residual = 0, statistics = 0, interval = 1, left = 0, images = 0, image = 0;
    int in_block = 0, blocks = 0;
    Cycle taken = LONG_AGO;       // the last pixel's sums by the post-processor
    Cycle begun = LONG_AGO;       // the block's first group is in the turn
    Cycle turned = LONG_AGO;      // the last group is in the turn
    Cycle last_word = LONG_AGO;   // the last word has passed the residual or the statistics
    Cycle last_written = LONG_AGO;  // the last word that belongs to a channel
    Cycle cleared[2] = {LONG_AGO, LONG_AGO};
};
