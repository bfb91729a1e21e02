// What a sparse slot does in a phase, one plane of an output pixel, apart from when it begins.

#pragma once

#include "deal.h"

// Non-zeros of every activation word: (group, image, row, column, slot).
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
    words.images = layer.images, words.slots = slots, words.groups = ceil_div(depth, machine.turn_rows);
    const int pixels = words.rows * words.width;
    words.counts.assign(int64_t(words.groups) * layer.images * pixels * slots, 0);
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
                uint8_t* out = &words.counts[(int64_t(group) * layer.images + image) * pixels * slots + s];
                for (int i = 0; i < pixels; ++i) out[int64_t(i) * slots] = sums[i];
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

// State of all slots in a phase, in cycles from the first pop. `Slots`: how many, or 0: `slots`, at most MOST_SLOTS.
constexpr int MOST_SLOTS = 128;

template <int Slots>
struct Walk {
    static constexpr int SIZE = Slots ? Slots : MOST_SLOTS;
    int16_t skipped[SIZE], began[SIZE], next[SIZE], waits[SIZE], last[SIZE], pops[SIZE];
    const int slots;

    explicit Walk(int slots) : slots(Slots ? Slots : slots) {}

    void begin() {
        for (int16_t* values : {skipped, began, next, waits, last, pops}) std::fill(values, values + slots, 0);
    }

    // A word with `counts` non-zeros comes; `end`: the phase's last one.
    void word(const uint8_t* counts, bool end) {
        const int16_t closing = end ? -1 : 0;  // masks: all ones or zero
        for (int s = 0; s < (Slots ? Slots : slots); ++s) {
            const int16_t k = counts[s];
            const int16_t starts = std::max<int16_t>(next[s], waits[s] + 1);      // when it would be popped
            const int16_t marked = std::max<int16_t>(next[s] - 1, waits[s] + 1);  // or only ends the phase
            const int16_t from = began[s] & starts;
            const int16_t some = k > 0 ? -1 : 0;
            const int16_t loads = some | (closing & ~began[s]);                   // otherwise it is dropped
            const int16_t popped = from + std::max<int16_t>(k, 1) - 1;
            last[s] = (loads & popped) | (~loads & ((closing & marked) | (~closing & last[s])));
            next[s] = (loads & int16_t(from + k)) | (~loads & next[s]);
            waits[s] = (loads & from) | (~loads & int16_t(waits[s] - began[s]));
            skipped[s] += (~loads & ~began[s]) & 1;
            began[s] |= loads;
            pops[s] += k;
        }
    }

    // When the word that comes next is taken: from the first pop; `leading`: from when the phase's first word waits.
    void taken(const uint8_t* counts, bool end, int16_t* when, uint8_t* leading) const {
        for (int s = 0; s < slots; ++s) {
            leading[s] = !began[s] && counts[s] == 0 && !end;
            if (!began[s]) when[s] = leading[s] ? skipped[s] : -1;
            else when[s] = counts[s] > 0 ? std::max<int>(next[s], waits[s] + 1) - 1 : waits[s];
        }
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
        if (none || words.slots == 0) return;
        switch (words.slots) {
            case 2: walk_all<2>(); break;
            case 4: walk_all<4>(); break;
            case 8: walk_all<8>(); break;
            case 16: walk_all<16>(); break;
            default: walk_all<0>(); break;
        }
    }

    int word_count(int pixel) const {
        return none ? 1 : words.groups * Taps(layer, false, pixel / layer.width, pixel % layer.width).count();
    }

    // When each slot takes a word of an image, see `Walk::taken`.
    void taken(int image, const Place& place, int16_t* when, uint8_t* leading) const {
        std::fill(when, when + words.slots, -1);
        std::fill(leading, leading + words.slots, 0);
        if (none) return;
        Walk<0> walk(words.slots);
        walk.begin();
        visit(image, place.pixel, [&](const uint8_t* counts, int number, bool end) {
            if (number == place.word) walk.taken(counts, end, when, leading);
            walk.word(counts, end);
        });
    }

private:
    template <int Slots>
    void walk_all() {
        Walk<Slots> walk(words.slots);
        int64_t place = 0;
        for (int image = 0; image < layer.images; ++image)
            for (int pixel = 0; pixel < layer.height * layer.width; ++pixel, place += walk.slots) {
                walk.begin();
                visit(image, pixel, [&](const uint8_t* counts, int, bool end) { walk.word(counts, end); });
                std::copy(walk.skipped, walk.skipped + walk.slots, &skipped[place]);
                std::copy(walk.last, walk.last + walk.slots, &length[place]);
                std::copy(walk.waits, walk.waits + walk.slots, &behind[place]);
                std::copy(walk.pops, walk.pops + walk.slots, &pops[place]);
            }
    }

    template <typename Use>
    void visit(int image, int pixel, Use use) const {
        const Taps taps(layer, false, pixel / layer.width, pixel % layer.width);
        int number = 0;
        for (int y = taps.row_low; y <= taps.row_high; ++y)
            for (int x = taps.column_low; x <= taps.column_high; ++x)
                for (int group = 0; group < words.groups; ++group, ++number)
                    use(words.at(group, image, y, x), number,
                        y == taps.row_high && x == taps.column_high && group == words.groups - 1);
    }

    const Layer& layer;
    const Words& words;
    const bool none;
};
