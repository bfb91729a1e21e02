// One CONV from the load of its table to its completion: the order of loads, jobs, sorting.

#pragma once

#include "arrays.h"
#include "image_memory.h"

// Weights of an output tile, or of an image: when each set's last job was finished by the last array.
struct WeightHalves {
    std::vector<Cycle> released;  // by set, over the whole program

    // When the set with that number may be asked for.
    Cycle free(size_t set) const {
        if (set < 2) return LONG_AGO;
        return set - 2 < released.size() ? released[set - 2] + 1 : NEVER;
    }
};

class LayerRun {
public:
    LayerRun(const Machine& machine, Loader& loader, ImageLoader& acts, Arrays& arrays, Outputs& outputs,
             Activity& activity, WeightHalves& halves, size_t& sets, const Layer& layer, const Data& data)
        : machine(machine), loader(loader), acts(acts), arrays(arrays), outputs(outputs), activity(activity),
          halves(halves), sets(sets), layer(layer), data(data),
          jobs(layer.tiles * layer.images), sets_left(layer.image_weights ? jobs : layer.tiles),
          resident(layer.images <= layer.buffer_images), memory(loader, acts),
          images_left(resident ? layer.images : jobs) {
        for (int plane = 0; plane < layer.planes; ++plane)
            deals.emplace_back(machine, layer.channels, (layer.scan ? data.scan_dense : data.dense)[plane]);
    }

    // All activations are loaded once, counted; from cycle `start` on. Returns when the sequencer sees it.
    Cycle scan(Cycle start) {
        Cycle choose = start + 1;
        Cycle loaded = LONG_AGO;
        for (int image = 0; image < layer.images; ++image) {
            choose = load_image(choose, image);
            loaded = acts.loaded();
        }
        for (int plane = 0; plane < layer.planes; ++plane)
            deals[plane] = Deal(machine, layer.channels, data.dense[plane]);
        return std::max(choose + 2, loaded + 1);
    }

    // Parameters and first weights are asked for from cycle `start` on; `until`: the layer may begin, unknown: NEVER.
    // Returns the cycle in which nothing is being loaded.
    Cycle prepare(Cycle start, Cycle until) {
        choose = start + 1;
        if (layer.output != RAW) {
            const Cycle accepted = std::max(choose, loader.command_ready());
            loader.command(accepted);
            loader.words(layer.param_words, 0);
            loader.take(layer.param_words, LONG_AGO);
            loader.end();
            choose = accepted;
        }
        ++choose;
        go = until;
        started = false;
        if (until < NEVER) return until;
        while (load()) {}
        return std::max(loaded_weights + 1, loader.command_ready());
    }

    // The layer begins to compute: first cycle of its settings. Returns when all loads have ended, for the sequencer.
    Cycle run(Cycle begin) {
        go = begin;
        started = true;
        arrays.begin(layer, deals, data);
        offered = begin + 1 + OFFER;
        while (load()) {}
        while (next_job < jobs) {
            if (!start_job()) break;
        }
        return std::max(choose + 1, std::max(loaded_acts, loaded_weights) + 1) + 1;
    }

    // When the last array has finished its last job; when all activations have been counted.
    Cycle computed() const { return *std::max_element(last_finished.begin(), last_finished.end()); }
    Cycle counted() const { return acts_ready[layer.images - 1] - OFFER; }

private:
    static constexpr int OFFER = 1;  // from what a job needs to its offer, but for its weights

    // The next load. False when there is none left.
    bool load() {
        while (start_job()) {}
        if (sets_left == 0 && images_left == 0) return false;
        const bool first = weights_ready.empty();
        const bool held = layer.images >= machine.images_ahead && !first && !layer.image_weights;
        Cycle weights = sets_left ? std::max(choose, halves.free(sets)) : NEVER;
        if (held) weights = std::max(weights, go);
        const Cycle images = images_left && !first ? std::max({choose, go, place_free()}) : NEVER;
        const Cycle when = std::min(weights, images);
        if (when >= NEVER) return false;
        const bool both = weights <= when && images <= when;
        if (weights <= when && (!both || first || layer.image_weights || !few_ahead(when))) {
            load_weights(when);
        } else {
            const int image = int(acts_ready.size()) % layer.images;
            choose = load_image(when, image);
            loaded_acts = acts.loaded();
            acts_ready.push_back(loaded_acts + 1 + OFFER);
            --images_left;
        }
        return true;
    }

    // Images that are asked for are less than `images_ahead` ahead of the jobs, in cycle `when`.
    bool few_ahead(Cycle when) const {
        const int job = int(acts_ready.size()) - machine.images_ahead;
        return job < 0 || (job < next_job && sent[job] < when);
    }

    // When there is a place for another image.
    Cycle place_free() const {
        const int job = int(acts_ready.size()) - layer.buffer_images;
        if (resident || job < 0) return LONG_AGO;
        return job < next_job ? finished[job] + 1 : NEVER;
    }

    // One image; returns the cycle of the next choice.
    Cycle load_image(Cycle when, int image) {
        if (image == 0) {
            memory.forget();
            return request_image(when, image);
        }
        return memory.load(when, [&](Cycle from) { return request_image(from, image); });
    }

    Cycle request_image(Cycle when, int image) {
        if (layer.int16_acts && (image == 0 || layer.new_constants)) {
            const Cycle accepted = std::max(when + 1, loader.command_ready());
            loader.command(accepted);
            loader.words(layer.constant_words, 0);
            loader.take(layer.constant_words, LONG_AGO);
            loader.end();
            when = accepted;
        }
        for (int plane = 0; plane < layer.planes; ++plane) {
            const Cycle accepted = std::max(when + 1, loader.command_ready());
            loader.command(accepted);
            acts.plane(layer, deals[plane], plane == layer.planes - 1);
            loader.end();
            when = accepted;
        }
        return when + 1;
    }

    void load_weights(Cycle when) {
        Cycle last = LONG_AGO;
        for (int plane = 0; plane < layer.planes; ++plane) {
            const Cycle accepted = std::max(when + 1, loader.command_ready());
            loader.command(accepted);
            for (const Deal::Slot& slot : deals[plane].slots)
                for (int index = 0; index < slot.depth; ++index) {
                    const int position = Deal::position(slot, index);
                    last = position < 0 ? loader.zero() : loader.words(layer.tile_words, 0);
                    loader.take(position < 0 ? 1 : layer.tile_words, last);
                }
            loader.end();
            when = accepted;
        }
        choose = when + 1;
        loaded_weights = last;
        weights_ready.push_back(last + 1);
        ++sets;
        --sets_left;
    }

    // The next job, if all that it needs has been asked for.
    bool start_job() {
        if (!started || next_job >= jobs) return false;
        const int set = layer.image_weights ? next_job : next_job / layer.images;
        const int item = resident ? next_job % layer.images : next_job;
        if (set >= int(weights_ready.size()) || item >= int(acts_ready.size())) return false;
        const Cycle ready = std::max({offered, weights_ready[set], acts_ready[item]});
        activity.set(Activity::WAITS_WEIGHTS, offered, weights_ready[set] - 1);
        activity.set(Activity::WAITS_ACTS, std::max(offered, weights_ready[set]), acts_ready[item] - 1);
        const int image = next_job % layer.images;
        last_finished.resize(arrays.count());
        const Cycle taken = arrays.job(image, ready, last_finished);
        sent.push_back(taken);
        finished.push_back(computed());
        activity.set(Activity::RUNNING, ready + 1, finished.back());
        if (layer.image_weights || image == layer.images - 1) halves.released.push_back(finished.back());
        offered = taken + 1 + OFFER;
        ++next_job;
        return true;
    }

    const Machine& machine;
    Loader& loader;
    ImageLoader& acts;
    Arrays& arrays;
    Outputs& outputs;
    Activity& activity;
    WeightHalves& halves;
    size_t& sets;  // of weights that were asked for, over the whole program
    const Layer& layer;
    const Data& data;
    const int jobs;
    int sets_left;
    const bool resident;
    ImageMemory memory;
    int images_left;
    int next_job = 0;
    bool started = false;
    Cycle choose = 0;               // the scheduler looks for the next load from this cycle on
    Cycle go = NEVER, offered = 0;  // the layer begins; the next job may be offered
    Cycle loaded_acts = LONG_AGO, loaded_weights = LONG_AGO;
    std::vector<Deal> deals;
    std::vector<Cycle> weights_ready, acts_ready, sent, finished, last_finished;
};
