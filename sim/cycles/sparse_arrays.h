// The sparse arrays' share of a pixel: the inner loop of the model, over all slots at once.

#pragma once

#include "phases.h"

// Where a pixel's place in the psum queue comes from: cycles before which it cannot be closed, right behind the pixel
// before and later.
struct Room {
    Cycle own, next;
};

struct Closed {
    Cycle latest;   // by all arrays
    Cycle first;    // first pop of those that pop after the pixel before was closed by all
    Cycle popped;   // the last pop of all
    Cycle blocked;  // the longest wait for a place
};

// One phase in all slots; `Slots` and `Each` of an array, known to the compiler, or 0. `before`: when each slot's array
// ended the phase before; `since`: when all had.
template <int Slots, int Each>
Closed sparse_phase(int all, int each, const int16_t* skipped, const int16_t* length, const int16_t* behind,
                    bool closes, const Room& room, Cycle since, Cycle* before, Cycle* waiting) {
    constexpr int SIZE = Slots ? Slots : MOST_SLOTS;
    const int slots = Slots ? Slots : all, step = Each ? Each : each;
    Cycle first[SIZE], done[SIZE];
    for (int s = 0; s < slots; ++s) {
        first[s] = std::max(before[s], waiting[s] + skipped[s]) + 1;
        done[s] = first[s] + length[s];
        waiting[s] = first[s] + behind[s];
    }
    if (step > 1)
        for (int a = 0; a < slots; a += step) {
            Cycle last = done[a];
            for (int s = 1; s < step; ++s) last = std::max(last, done[a + s]);
            for (int s = 0; s < step; ++s) done[a + s] = last;
        }
    Cycle latest = LONG_AGO, blocked = 0;
    for (int s = 0; s < slots; ++s) {
        const Cycle own = std::max(done[s], room.own);
        const Cycle when = closes ? own == before[s] + 1 ? own : std::max(own, room.next) : done[s];
        blocked = std::max(blocked, when - done[s]);
        before[s] = when;
        latest = std::max(latest, when);
    }
    Cycle begun = NEVER, popped = LONG_AGO;
    for (int s = 0; s < slots; ++s) {
        begun = std::min(begun, done[s] > since ? first[s] : NEVER);
        popped = std::max(popped, done[s]);
    }
    return {latest, begun, popped, blocked};
}

using SparsePhase = decltype(&sparse_phase<0, 0>);

inline SparsePhase sparse_phase_for(int slots, int each) {
    if (each == 1 && slots == 2) return sparse_phase<2, 1>;
    if (each == 1 && slots == 4) return sparse_phase<4, 1>;
    if (each == 1 && slots == 8) return sparse_phase<8, 1>;
    if (each == 2 && slots == 2) return sparse_phase<2, 2>;
    if (each == 4 && slots == 4) return sparse_phase<4, 4>;
    if (each == 4 && slots == 8) return sparse_phase<8, 4>;
    return sparse_phase<0, 0>;
}
