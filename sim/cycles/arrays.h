// The PE arrays with the psum join: when jobs are taken, pixels closed and sums joined.

#pragma once

#include "activity.h"
#include "outputs.h"
#include "sparse_arrays.h"

// Words between a slot's walker and the word that leaves next: what a walker is ahead when a job ends.
constexpr int SPARSE_AHEAD = 4, DENSE_AHEAD = 2;

class Arrays {
public:
    Arrays(const Machine& machine, Outputs& outputs, Activity& activity)
        : machine(machine), outputs(outputs), activity(activity), arrays(machine.dense_arrays + machine.sparse_arrays),
          sparse_slots(machine.sparse_arrays * machine.slots), sides(ceil_div(sparse_slots, SIDE) * SIDE),
          ends(machine.dense_arrays), waiting(sparse_slots, LONG_AGO), ahead(sparse_slots),
          ended(sparse_slots, LONG_AGO), closed(arrays, LONG_AGO), walked(arrays, LONG_AGO),
          sparse_phase(sparse_phase_for(sparse_slots, machine.slots)) {
        size_t size = 1;
        while (size <= size_t(machine.psum_depth)) size *= 2;
        room.resize(size);
    }

    // A CONV begins. `deals`: of each plane, HIGH first.
    void begin(const Layer& layer, const std::vector<Deal>& deals, const Data& data) {
        this->layer = &layer;
        this->deals = &deals;
        this->data = &data;
        prepared = false;
        std::fill(room.begin(), room.end(), LONG_AGO);
        pixel = 0;
    }

    // One image through a tile; it can be taken from cycle `ready` on. Returns when the last array has taken it;
    // `finished` gets the cycle of each array's pulse.
    Cycle job(int image, Cycle ready, std::vector<Cycle>& finished) {
        if (!prepared) prepare();
        Cycle all_taken = LONG_AGO;
        for (int a = 0; a < arrays; ++a) {
            const Cycle taken = std::max(ready, walked[a]);
            all_taken = std::max(all_taken, taken);
            if (a < machine.dense_arrays) {
                ready_dense[a] = taken + machine.dense_feeder - FEED_DENSE;
            } else {
                const Cycle first = taken + machine.sparse_feeder - FEED_SPARSE;
                for (int s = 0; s < machine.slots; ++s) {
                    Cycle& word = waiting[(a - machine.dense_arrays) * machine.slots + s];
                    word = std::max(word, first);
                }
            }
            walked[a] = taken + WALK;
        }
        pixels(image);
        for (int a = 0; a < arrays; ++a) finished[a] = closed[a] + REGISTER;
        return all_taken;
    }

    int count() const { return arrays; }

private:
    static constexpr int REGISTER = 1;
    static constexpr int FEED_DENSE = 2, FEED_SPARSE = 3;  // from the first word that is there to its operand
    static constexpr int WALK = 3;                         // from a job to its first word's step
    static constexpr int ROOM = 2;                         // from a place that gets free to the pixel that takes it

    void prepare() {
        prepared = true;
        found.clear();
        words.clear();
        words.reserve(layer->planes);
        ready_dense.assign(arrays, LONG_AGO);
        const int first = machine.dense_arrays * machine.slots;
        const int64_t plane_size = int64_t(layer->images) * layer->channels * layer->width *
                                   (layer->height + layer->halo_top + layer->halo_bottom);
        for (int plane = 0; plane < layer->planes; ++plane) {
            const Deal& deal = (*deals)[plane];
            words.push_back(count_words(machine, *layer, deal, first, sparse_slots,
                                        data->order + int64_t(plane) * layer->channels,
                                        data->nonzeros + plane * plane_size));
        }
        for (int plane = 0; plane < layer->planes; ++plane)
            found.emplace_back(*layer, words[plane], (*deals)[plane].depth[1] == 0);
        behind = place_from_end(SPARSE_AHEAD);
        taken.assign(int64_t(layer->images) * sides, 0);
        leading.assign(taken.size(), 0);
        looked.assign(layer->images, 0);
    }

    // The word that many words before an image's last one.
    Place place_from_end(int ahead) const {
        for (int number = layer->height * layer->width - 1; number >= 0; --number)
            for (int plane = layer->planes - 1; plane >= 0; --plane) {
                if (!present(plane, 1)) continue;
                const int count = found[plane].word_count(number);
                if (ahead < count) return {number, plane, count - 1 - ahead};
                ahead -= count;
            }
        return {};
    }

    bool present(int plane, int pool) const {
        return plane == layer->planes - 1 || (*deals)[plane].depth[pool] > 0;
    }

    void pixels(int image) {
        const int slots = machine.slots, count = layer->height * layer->width;
        int64_t at = int64_t(image) * count * sides;
        int number = 0;
        for (int row = 0; row < layer->height; ++row)
            for (int column = 0; column < layer->width; ++column, ++number, at += sides, ++pixel) {
                const bool last = number == count - 1;
                const Room place = {joined(machine.psum_depth), joined(machine.psum_depth - 1)};
                Cycle latest = LONG_AGO;
                for (int a = 0; a < machine.dense_arrays; ++a)
                    latest = std::max(latest, dense(a, row, column, last, place));
                for (int plane = 0; plane < layer->planes && sparse_slots; ++plane) {
                    if (!present(plane, 1)) continue;
                    const Phases& phase = found[plane];
                    if (number == behind.pixel && plane == behind.plane) look_ahead(image, at);
                    const Closed closes = sparse_phase(sparse_slots, slots, &phase.skipped[at], &phase.length[at],
                                                       &phase.behind[at], plane == layer->planes - 1, place,
                                                       since, ended.data(), waiting.data());
                    since = closes.latest;
                    latest = std::max(latest, closes.latest);
                    if (pops(&phase.pops[at])) activity.sparse(closes.first + 1, closes.popped + 1);
                    if (closes.blocked) activity.blocked(closes.latest - closes.blocked, closes.latest - 1);
                }
                room[pixel & (room.size() - 1)] = outputs.join(latest + machine.psum, last);
            }
        for (int s = 0; s < sparse_slots; ++s) {
            const int a = machine.dense_arrays + s / slots;
            closed[a] = ended[s];
            if (behind.pixel >= 0) walked[a] = std::max(walked[a], ahead[s] + 1 + REGISTER);
        }
    }

    // Whether any slot has a non-zero in a phase.
    bool pops(const int16_t* counts) const {
        int sum = 0;
        for (int s = 0; s < sides; ++s) sum |= counts[s];
        return sum != 0;
    }

    // When the pixel that many places before was joined, and its place can be used again.
    Cycle joined(int before) const {
        return pixel >= before ? room[(pixel - before) & (room.size() - 1)] + ROOM : LONG_AGO;
    }

    // When the slots take the word `behind` of an image.
    void look_ahead(int image, int64_t at) {
        const Phases& phase = found[behind.plane];
        int16_t* when = &taken[int64_t(image) * sides];
        int16_t* from_first = &leading[int64_t(image) * sides];
        if (!looked[image]) phase.taken(image, behind, when, from_first);
        looked[image] = 1;
        for (int s = 0; s < sparse_slots; ++s) {
            const Cycle first = std::max(ended[s], waiting[s] + phase.skipped[at + s]) + 1;
            ahead[s] = (from_first[s] ? waiting[s] : first) + when[s];
        }
    }

    // A dense array's pixel: when it is closed.
    Cycle dense(int array, int row, int column, bool last, const Room& place) {
        Cycle start = std::max(closed[array] + 1, ready_dense[array]);
        int operands = 0, real = 0;
        for (int plane = 0; plane < layer->planes; ++plane) {
            if (!present(plane, 0)) continue;
            const int channels = (*deals)[plane].depth[0];
            const Taps taps(*layer, channels == 0, row, column);
            real += channels * taps.count();
            for (int tap = 0; tap < taps.count(); ++tap)
                for (int begin = 0; begin < std::max(1, channels); begin += machine.turn_rows) {
                    operands += std::max(1, std::min(channels - begin, machine.turn_rows));
                    ends[array].push(start + operands - 1);
                }
        }
        const Cycle done = start + operands - 1;
        closed[array] = close(done, closed[array], place);
        if (real) activity.dense(start + 1, start + real - 1);
        if (real == operands) activity.dense(closed[array] + 1, closed[array] + 1);
        ends[array].moved(closed[array]);
        if (last) walked[array] = std::max(walked[array], ends[array].earliest() + 1 + REGISTER);
        return closed[array];
    }

    // A pixel is finished in cycle `done`; when it finds a place in the queue. `before`: when the array's last one did.
    Cycle close(Cycle done, Cycle before, const Room& place) {
        Cycle when = std::max(done, place.own);
        if (when != before + 1) when = std::max(when, place.next);
        if (when > done) activity.blocked(done, when - 1);
        return when;
    }

    // When the last `DENSE_AHEAD` + 1 words were used up.
    struct Ends {
        Cycle times[DENSE_AHEAD + 1] = {LONG_AGO, LONG_AGO, LONG_AGO};
        void push(Cycle when) {
            for (int i = 0; i < DENSE_AHEAD; ++i) times[i] = times[i + 1];
            times[DENSE_AHEAD] = when;
        }
        void moved(Cycle when) { times[DENSE_AHEAD] = when; }
        Cycle earliest() const { return times[0]; }
    };

    const Machine& machine;
    Outputs& outputs;
    Activity& activity;
    const int arrays, sparse_slots, sides;  // `sides`: sparse slots in whole sides
    const Layer* layer = nullptr;
    const std::vector<Deal>* deals = nullptr;
    const Data* data = nullptr;
    bool prepared = false;
    std::vector<Words> words;
    std::vector<Phases> found;
    Place behind;               // the word that is taken before a slot's walker gives an image's last one
    std::vector<Ends> ends;
    std::vector<Cycle> waiting, ahead, ended, closed, walked, ready_dense;
    std::vector<int16_t> taken;    // of each image and slot: when the word `behind` is taken, see Walk::taken
    std::vector<int16_t> leading;
    std::vector<uint8_t> looked;
    SparsePhase sparse_phase;
    std::vector<Cycle> room;  // when the sums of a pixel were joined
    int64_t pixel = 0;
    Cycle since = LONG_AGO;    // all sparse arrays have ended the last phase
};
