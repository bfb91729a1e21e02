// In which cycles something goes on: one bit a cycle, so that causes that overlap can be told apart.

#pragma once

#include "timing.h"

// Cycles as bits, from `origin` on.
class Marks {
public:
    void begin(Cycle first) {
        origin = first;
        bits.clear();
    }

    // Cycles first .. last.
    void set(Cycle first, Cycle last) {
        if (last < first) return;
        first = std::max(0, first - origin);
        last -= origin;
        if (last < 0) return;
        const size_t from = first >> 6, to = last >> 6;
        if (to >= bits.size()) bits.resize(2 * to + 64);
        const uint64_t head = ~0ull << (first & 63), tail = ~0ull >> (63 - (last & 63));
        if (from == to) {
            bits[from] |= head & tail;
            return;
        }
        bits[from] |= head;
        for (size_t i = from + 1; i < to; ++i) bits[i] = ~0ull;
        bits[to] |= tail;
    }

    uint64_t word(size_t index) const { return index < bits.size() ? bits[index] : 0; }

private:
    Cycle origin = 0;
    std::vector<uint64_t> bits;
};

// What RunCounters looks at; causes in its order.
class Activity {
public:
    enum Cause { BLOCKED, RUNNING, WAITS_WEIGHTS, WAITS_ACTS, MAPPING, DRAINING, DETECTING, CAUSES };

    void begin(Cycle first) {
        origin = first;
        for (Marks& marks : causes) marks.begin(first);
        dense_marks.begin(first);
        sparse_marks.begin(first);
    }

    void dense(Cycle first, Cycle last) { dense_marks.set(first, last); }
    void sparse(Cycle first, Cycle last) { sparse_marks.set(first, last); }
    void blocked(Cycle first, Cycle last) { causes[BLOCKED].set(first, last); }
    void set(Cause cause, Cycle first, Cycle last) { causes[cause].set(first, last); }

    // Adds the cycles before `end` to the counters; cycles that the host rests in are not marked at all.
    void count(Cycle end, int64_t* counters) const {
        static constexpr int COUNTER[CAUSES] = {STALL_OUTPUT, STALL_OTHER, STALL_WEIGHTS, STALL_ACTS, STALL_MAP,
                                                STALL_OUTPUT, STALL_DETECT};
        const int64_t cycles = end - origin;
        counters[CYCLES] += cycles;
        for (int64_t first = 0; first < cycles; first += 64) {
            const size_t index = first >> 6;
            uint64_t left = cycles - first >= 64 ? ~0ull : (1ull << (cycles - first)) - 1;
            const uint64_t dense = dense_marks.word(index) & left, sparse = sparse_marks.word(index) & left;
            counters[BUSY_DENSE] += __builtin_popcountll(dense);
            counters[BUSY_SPARSE] += __builtin_popcountll(sparse);
            counters[ACTIVE] += __builtin_popcountll(dense | sparse);
            left &= ~(dense | sparse);
            for (int cause = 0; cause < CAUSES; ++cause) {
                counters[COUNTER[cause]] += __builtin_popcountll(left & causes[cause].word(index));
                left &= ~causes[cause].word(index);
            }
            counters[STALL_OTHER] += __builtin_popcountll(left);
        }
    }

private:
    Cycle origin = 0;
    Marks dense_marks, sparse_marks, causes[CAUSES];
};
