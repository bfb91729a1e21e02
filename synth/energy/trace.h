// Records an accelerator's registers cycle by cycle. It stands in for Verilator's header of the model in harness.cpp.

#pragma once

#include <cstdint>
#include <vector>

#include "Vmodel.h"

namespace trace {

constexpr int LANES = 64;  // cycles in one word of the record

using Sink = void (*)(const uint64_t* words);  // called with [TRACE_WORDS * LANES signals][blocks]

inline Sink sink = nullptr;
inline uint64_t blocks = 0, period = 1, cycle = 0;
inline std::vector<uint64_t> pending, record;

// Transposes 64 x 64 bits: bit j of row i becomes bit i of row j (Hacker's Delight, section 7-3).
inline void transpose(uint64_t* rows) {
    uint64_t mask = 0x00000000FFFFFFFFull;
    for (int width = 32; width; width >>= 1, mask ^= mask << width) {
        for (int i = 0; i < LANES; i = (i + width + 1) & ~width) {
            const uint64_t swap = ((rows[i] >> width) ^ rows[i + width]) & mask;
            rows[i + width] ^= swap;
            rows[i] ^= swap << width;
        }
    }
}

// Whether this cycle belongs to a record: the first of every `period` times `blocks` blocks do.
inline bool recording() { return sink && cycle / (blocks * LANES) % period == 0; }

// All signals of one cycle, each word of 64 signals from ``words``; whole blocks of 64 cycles are kept transposed.
inline void sample(const uint64_t* words) {
    const int lane = cycle % LANES;
    for (int i = 0; i < TRACE_WORDS; ++i) pending[i * LANES + lane] = words[i];
    if (lane != LANES - 1) return;
    const uint64_t block = cycle / LANES % blocks;
    for (int i = 0; i < TRACE_WORDS; ++i) {
        transpose(&pending[i * LANES]);
        for (int j = 0; j < LANES; ++j) record[(i * LANES + j) * blocks + block] = pending[i * LANES + j];
    }
    if (block == blocks - 1) sink(record.data());
}

}  // namespace trace

// The model, recorded in the first half of each clock cycle, when everything combinational has settled.
class Vtop : public Vmodel {
public:
    using Vmodel::Vmodel;

    void eval() {
        Vmodel::eval();
        if (clk) return;
        if (trace::recording()) {
            uint64_t words[TRACE_WORDS];
            collect(words);
            trace::sample(words);
        }
        ++trace::cycle;
    }

private:
    void collect(uint64_t* words) const;
};

// From now on ``sink`` gets ``blocks`` blocks at a time, of all cycles 1 in ``period``; with 0 recording ends.
extern "C" void trace_start(trace::Sink sink, uint64_t blocks, uint64_t period);
