// What a sparse slot does in a phase, one plane of an output pixel, apart from when it begins.

#pragma once

#include <cstring>

#include "deal.h"

constexpr int SIDE = 8;  // slots side by side
constexpr int MOST_SLOTS = 128;

// Non-zeros of every activation word: (group, image, row, column, slot), slots in whole sides.
struct Words {
    int groups = 0, rows = 0, width = 0, images = 0, slots = 0;
    std::vector<uint8_t> counts;

    const uint8_t* at(int group, int image, int row, int column) const {
        return &counts[(((int64_t(group) * images + image) * rows + row) * width + column) * slots];
    }
};

// `first`: number of the pool's first slot; `nonzeros` of the plane (images, channels, rows, width).
inline Words count_words(const Machine& machine, const Layer& layer, const Deal& deal, int first, int slots,
                         const int32_t* order, const uint8_t* nonzeros) {
    Words words;
    const int depth = deal.depth[1];
    words.rows = layer.height + layer.halo_top + layer.halo_bottom, words.width = layer.width;
    words.images = layer.images, words.slots = ceil_div(slots, SIDE) * SIDE;
    words.groups = ceil_div(depth, machine.turn_rows);
    const int pixels = words.rows * words.width;
    words.counts.assign(int64_t(words.groups) * layer.images * pixels * words.slots, 0);
    std::vector<uint8_t> sums(pixels);
    for (int group = 0; group < words.groups; ++group)
        for (int image = 0; image < layer.images; ++image)
            for (int s = 0; s < slots; ++s) {
                std::fill(sums.begin(), sums.end(), 0);
                const int end = std::min(depth, (group + 1) * machine.turn_rows);
                for (int index = group * machine.turn_rows; index < end; ++index) {
                    const int position = Deal::position(deal.slots[first + s], index);
                    if (position < 0) continue;
                    const uint8_t* channel = nonzeros + (int64_t(image) * layer.channels + order[position]) * pixels;
                    for (int i = 0; i < pixels; ++i) sums[i] += channel[i];
                }
                uint8_t* out = &words.counts[(int64_t(group) * layer.images + image) * pixels * words.slots + s];
                for (int i = 0; i < pixels; ++i) out[int64_t(i) * words.slots] = sums[i];
            }
    return words;
}

// The taps of output pixel (row, column) that lie inside the input: rows and columns of it, `high` included.
struct Taps {
    int row_low, row_high, column_low, column_high;

    Taps(const Layer& layer, bool empty, int row, int column) {
        const int middle = row + layer.halo_top;
        row_low = row_high = middle, column_low = column_high = column;
        if (layer.taps == 1 || empty) return;
        row_low -= row > 0 || layer.halo_top;
        row_high += row < layer.height - 1 || layer.halo_bottom;
        column_low -= column > 0;
        column_high += column < layer.width - 1;
    }

    int count() const { return (row_high - row_low + 1) * (column_high - column_low + 1); }
};

// What is computed for one slot is computed for eight.
typedef int16_t Side __attribute__((vector_size(2 * SIDE)));
typedef uint8_t Bytes __attribute__((vector_size(SIDE)));

inline Side larger(Side a, Side b) { return a > b ? a : b; }

// State of eight slots in a phase, in cycles from the first pop; masks are all ones or zero.
struct Walk {
    Side skipped{}, began{}, next{}, waits{}, last{}, pops{};

    // A word with `k` non-zeros comes; `end`: the phase's last one.
    void word(Side k, bool end) {
        const Side one = Side{} + 1, closing = Side{} - int16_t(end);
        const Side starts = larger(next, waits + one);       // when it would be popped
        const Side marked = larger(next - one, waits + one);  // or only ends the phase
        const Side from = began & starts;
        const Side loads = (k > 0) | (closing & ~began);      // otherwise it is dropped
        const Side popped = from + larger(k, one) - one;
        last = (loads & popped) | (~loads & ((closing & marked) | (~closing & last)));
        next = (loads & (from + k)) | (~loads & next);
        waits = (loads & from) | (~loads & (waits - began));
        skipped += ~loads & ~began & one;
        began |= loads;
        pops += k;
    }

    // When the word that comes next is taken: from the first pop; where `leading`: from when the first word waits.
    Side taken(Side k, bool end, Side& leading) const {
        const Side one = Side{} + 1, closing = Side{} - int16_t(end);
        const Side later = ((k > 0) & (larger(next, waits + one) - one)) | (~(k > 0) & waits);
        leading = ~began & ~(k > 0) & ~closing;
        return (began & later) | (leading & skipped) | (~began & ~leading & -one);
    }
};

// A word of an image, the same in all slots: of which pixel and plane, which one of that phase; `pixel` < 0: none.
struct Place {
    int pixel = -1, plane = 0, word = 0;
};

class Phases {
public:
    // Of every phase (image, pixel, slot): zero words before the first one that is loaded; cycles from its first pop to
    // its last one; cycles from its first pop until the next phase's first word waits; pops.
    std::vector<int16_t> skipped, length, behind, pops;

    // `none`: the pool has no channels of this plane; every pixel then is one empty word.
    Phases(const Layer& layer, const Words& words, bool none) : layer(layer), words(words), none(none) {
        const int64_t size = int64_t(layer.images) * layer.height * layer.width * words.slots;
        for (auto* values : {&skipped, &length, &behind, &pops}) values->assign(size, 0);
        if (none) return;
        for (int side = 0; side < words.slots; side += SIDE) {
            int64_t place = side;
            for (int image = 0; image < layer.images; ++image)
                for (int row = 0; row < layer.height; ++row)
                    for (int column = 0; column < layer.width; ++column, place += words.slots) {
                        Walk walk;
                        visit(image, row, column, side, [&](Side k, int, bool end) { walk.word(k, end); });
                        store(&skipped[place], walk.skipped);
                        store(&length[place], walk.last);
                        store(&behind[place], walk.waits);
                        store(&pops[place], walk.pops);
                    }
        }
    }

    int word_count(int pixel) const {
        return none ? 1 : words.groups * Taps(layer, false, pixel / layer.width, pixel % layer.width).count();
    }

    // When each slot takes a word of an image, see `Walk::taken`.
    void taken(int image, const Place& place, int16_t* when, int16_t* leading) const {
        std::fill(when, when + words.slots, -1);
        std::fill(leading, leading + words.slots, 0);
        if (none) return;
        for (int side = 0; side < words.slots; side += SIDE) {
            Walk walk;
            visit(image, place.pixel / layer.width, place.pixel % layer.width, side, [&](Side k, int number, bool end) {
                if (number == place.word) {
                    Side first;
                    store(when + side, walk.taken(k, end, first));
                    store(leading + side, first);
                }
                walk.word(k, end);
            });
        }
    }

private:
    static void store(int16_t* to, Side values) { std::memcpy(to, &values, sizeof values); }

    template <typename Use>
    void visit(int image, int row, int column, int side, Use use) const {
        const Taps taps(layer, false, row, column);
        int number = 0;
        for (int y = taps.row_low; y <= taps.row_high; ++y)
            for (int x = taps.column_low; x <= taps.column_high; ++x)
                for (int group = 0; group < words.groups; ++group, ++number) {
                    Bytes counts;
                    std::memcpy(&counts, words.at(group, image, y, x) + side, sizeof counts);
                    use(__builtin_convertvector(counts, Side), number,
                        y == taps.row_high && x == taps.column_high && group == words.groups - 1);
                }
    }

    const Layer& layer;
    const Words& words;
    const bool none;
};
