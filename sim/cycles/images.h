// How long activations take from their request to the buffers: normaliser and corner turns.

#pragma once

#include "deal.h"
#include "reads.h"

constexpr int TURNS = 2;

// Loads images row by row: 16 pixels of a channel are a row, up to 16 rows of a slot a block.
class ImageLoader {
public:
    ImageLoader(const Machine& machine, Loader& loader) : machine(machine), loader(loader) {}

    // The rows of one plane of an image. `last`: nothing else of the image follows.
    void plane(const Layer& layer, const Deal& deal, bool last) {
        const int pixels = (layer.height + layer.halo_top + layer.halo_bottom) * layer.width;
        const int chunks = ceil_div(pixels, machine.turn_rows);
        const int words = layer.int16_acts ? machine.chunk_words : 1;
        for (size_t s = 0; s < deal.slots.size(); ++s) {
            const Deal::Slot& slot = deal.slots[s];
            for (int begin = 0; begin < slot.depth; begin += machine.turn_rows)
                for (int chunk = 0; chunk < chunks; ++chunk) {
                    const int rows = std::min(machine.turn_rows, slot.depth - begin);
                    for (int row = 0; row < rows; ++row) {
                        const int position = Deal::position(slot, begin + row);
                        arrive(layer.int16_acts, position < 0 ? 0 : words);
                        queue(s % TURNS, rows, row);
                    }
                }
        }
        if (last) mark();
    }

    // The cycle after which the last image is in the buffers.
    Cycle loaded() const { return done; }

    // All times that the future depends on; see `Loader`.
    template <typename Use>
    void visit(Use use) {
        for (Turn& turn : turns) {
            for (int i = 1; i <= machine.turn_queue; ++i) use(turn.left[(turn.rows - i) & (RING - 1)]);
            use(turn.free);
        }
        for (Cycle* time : {&left_normaliser, &queued, &queued_before, &done}) use(*time);
    }

private:
    static constexpr int REGISTER = 1, QUEUE = 2;
    static constexpr int RING = 64;  // a power of two, not below the rows of a queue

    struct Turn {
        Cycle left[RING];          // when the rows of before left the queue
        uint32_t rows = 0;
        Cycle free = LONG_AGO;     // the turn takes the next row from then on
        bool filled = false;       // a block waits for the next one

        Turn() { std::fill(left, left + RING, LONG_AGO); }
    };

    // A row of `words` memory words, 0: of zeros, comes to the queues in cycle `arrived`.
    void arrive(bool int16, int words) {
        const int count = std::max(words, 1);
        Cycle there = words ? loader.words(words, 0) : loader.zero();
        const Cycle room = queued_before + REGISTER;  // in the register in front of the queues
        if (int16) {
            const Cycle codes = std::max(there + machine.normaliser, left_normaliser + count);
            left_normaliser = std::max(codes, room);
            there = left_normaliser - machine.normaliser;
            arrived = left_normaliser + REGISTER;
        } else {
            there = std::max(there, room);
            arrived = there + REGISTER;
        }
        loader.take(count, there);
    }

    // That row goes to the queue of a turn: row `row` of a block of `rows`.
    void queue(int number, int rows, int row) {
        Turn& turn = turns[number];
        const Cycle taken = enter(turn, std::max(arrived, queued + 1));
        queued_before = queued;
        queued = taken;
        const Cycle start = std::max(taken + QUEUE, turn.free);
        leave(turn, start);
        turn.free = start + 1 + (row == rows - 1 ? machine.turn_rows - rows : 0);
        turn.filled = true;
    }

    // The image's last row is in its queue: a marker goes into each, and pushes the waiting block out.
    void mark() {
        done = LONG_AGO;
        for (Turn& turn : turns) {
            const Cycle taken = enter(turn, queued + 1);
            const Cycle end = std::max(taken + QUEUE, turn.free) + (turn.filled ? machine.turn_rows - 1 : 0);
            leave(turn, end);
            turn.free = end + 1;
            turn.filled = false;
            done = std::max(done, end);
        }
    }

    // When a row that comes in cycle `when` finds room in the queue.
    Cycle enter(const Turn& turn, Cycle when) const {
        return std::max(when, turn.left[(turn.rows - machine.turn_queue) & (RING - 1)] + 1);
    }

    void leave(Turn& turn, Cycle when) {
        turn.left[turn.rows & (RING - 1)] = when;
        ++turn.rows;
    }

    const Machine& machine;
    Loader& loader;
    Turn turns[TURNS];
    Cycle left_normaliser = LONG_AGO, arrived = LONG_AGO, queued = LONG_AGO, queued_before = LONG_AGO, done = LONG_AGO;
};
