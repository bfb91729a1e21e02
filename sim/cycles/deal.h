// Who gets which channel: the snake order of docs/architecture.md.

#pragma once

#include "timing.h"

// The channels of one plane by slot.
struct Deal {
    struct Slot {
        int pool_slots, place, first, count, depth;  // its pool: slots, own number, first and number of channels, depth
    };

    Deal() = default;
    Deal(const Machine& machine, int channels, int dense_channels) {
        const int dense = machine.dense_arrays * machine.slots, sparse = machine.sparse_arrays * machine.slots;
        const int split = dense == 0 ? 0 : sparse == 0 ? channels : dense_channels;
        add(dense, 0, split);
        add(sparse, split, channels - split);
        depth[0] = dense ? ceil_div(split, dense) : 0;
        depth[1] = sparse ? ceil_div(channels - split, sparse) : 0;
    }

    // Position in the channel table of a slot's channel `index`, -1 when there is none.
    static int position(const Slot& slot, int index) {
        const int at = index * slot.pool_slots + (index & 1 ? slot.pool_slots - 1 - slot.place : slot.place);
        return at < slot.count ? slot.first + at : -1;
    }

    std::vector<Slot> slots;  // over all arrays, dense ones first
    int depth[2] = {0, 0};    // channels of every dense slot, of every sparse one

private:
    void add(int count, int first, int channels) {
        for (int i = 0; i < count; ++i)
            slots.push_back({count, i, first, channels, channels ? ceil_div(channels, count) : 0});
    }
};
