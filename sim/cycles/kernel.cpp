// Predicts the cycles of a program, descriptor by descriptor; called from Python through ctypes.

#include "layer.h"

namespace {

class ProgramRun {
public:
    ProgramRun(const Machine& machine, bool pause)
        : machine(machine), pause(pause), loader(machine), acts(machine, loader), outputs(machine, loader),
          arrays(machine, outputs, activity) {}

    void run(const Layer* layers, const Data* data, int count, int64_t* counters) {
        Cycle fetch = 0;
        complete = LONG_AGO;
        activity.begin(0);
        for (int i = 0; i < count; ++i) {
            const Cycle decoded = descriptor(fetch);
            const Layer& layer = layers[i];
            if (layer.kind == WAIT) {
                if (owed) passes(decoded + 1, LONG_AGO);
                owed = true;
                fetch = decoded + 2;
            } else if (layer.kind == END) {
                end = passes(decoded + 1, LONG_AGO) + machine.reset + STOP;
            } else if (layer.kind == CONV) {
                fetch = conv(layer, data[i], decoded + 2 + machine.setup);
            } else {
                fetch = map(layer, decoded + 2 + machine.setup);
            }
            if (layer.kind == WAIT) continue;
            const Cycle until = layer.kind == END ? end : complete;
            activity.count(until, counters + i * COUNTERS);
            activity.begin(until);
            if (pause) fetch = complete + 1;
        }
    }

private:
    static constexpr int QUEUE = 2;  // cycles through an empty queue
    static constexpr int STOP = 3;   // from the end of a program to that of its cycles, but for the reset
    static constexpr int STORED = 2; // from the last word of a table to the idle TableUpdate
    static constexpr int HOST = 20;  // cycles that the host takes at least

    // Fetched from cycle `fetch` on; returns the cycle in which it is decoded.
    Cycle descriptor(Cycle fetch) {
        return loader.memory().read(fetch + 1, machine.descriptor_words, 0) + 1;
    }

    Cycle conv(const Layer& layer, const Data& data, Cycle checked) {
        LayerRun run(machine, loader, acts, arrays, outputs, activity, halves, sets, layer, data);
        const Cycle table = layer.prefetch ? checked : passes(checked, LONG_AGO) + 1;
        Cycle prepare = read_table(layer, table);
        if (layer.scan) {
            const Cycle start = passes(prepare, loader.command_ready());
            const Cycle scanned = run.scan(start);
            const Cycle sorted = sort(layer, data, scanned + 1, false);
            activity.set(Activity::DETECTING, start + 1, sorted);
            prepare = sorted + 1;
        }
        const bool waits = owed;
        Cycle begin = std::max(prepare + 1, complete) + 1;
        outputs.begin(layer, waits ? begin + HOST : begin);
        const Cycle idle = run.prepare(prepare, waits ? NEVER : begin);
        if (waits) begin = passes(prepare + 1, idle) + 1;
        const Cycle loaded = run.run(begin);
        const Cycle written = outputs.complete();
        activity.set(Activity::DRAINING, run.computed() + 2, written - 1);
        complete = written;
        if (layer.update) {
            const Cycle start = run.counted() + 1;
            const Cycle stored = sort(layer, data, start, true);
            activity.set(Activity::DETECTING, start, stored);
            complete = std::max({complete, stored + 1, stored - STORED + Outputs::WRITE + machine.memory});
        }
        return loaded + 2;
    }

    Cycle map(const Layer& layer, Cycle checked) {
        Cycle start = passes(checked, loader.command_ready()) + 1;
        if (layer.int16_acts) {
            const Cycle accepted = std::max(start, loader.command_ready());
            loader.command(accepted);
            start = loader.words(layer.constant_words, 0) + 1;
            loader.take(layer.constant_words, start - 1);
            loader.end();
        }
        const Cycle read = start + 1 + machine.map_start;
        const Cycle first = loader.memory().read(read, layer.steps, 0) + QUEUE + 2;
        outputs.map(layer, first);
        activity.set(Activity::MAPPING, start + 2, outputs.last());
        const Cycle written = outputs.complete();
        activity.set(Activity::DRAINING, outputs.last(), written - 1);
        complete = written;
        map_read = outputs.last() - (first - read);
        return start + 2;
    }

    // Something comes to the barrier in cycle `when`; `idle`: nothing is being loaded from then on. Returns the cycle
    // in which it passes. Cycles in which the program only waits for the host do not exist here.
    Cycle passes(Cycle when, Cycle idle) {
        const Cycle passed = std::max(when, complete);
        if (!owed) return passed;
        owed = false;
        return std::max(passed, std::min(idle, passed + HOST));
    }

    // The channel tables are asked for in cycle `ready`, but a MAP's reads go first; returns when the next state follows.
    Cycle read_table(const Layer& layer, Cycle ready) {
        const Cycle accepted = std::max({ready, loader.command_ready(), map_read - machine.command});
        loader.command(accepted);
        Cycle first = 0;
        const int words = layer.planes * layer.table_words;
        loader.words(words, 0, &first);
        loader.end();
        Cycle at = first;
        for (int plane = 0; plane < layer.planes; ++plane) at += 1 + layer.channels;
        loader.take(words, at);
        return at + 4;
    }

    // Every plane is sorted and, with `store`, its table written, from cycle `start` on, in which TableUpdate is told
    // so. Returns the cycle in which it is idle again.
    Cycle sort(const Layer& layer, const Data& data, Cycle start, bool store) {
        Cycle at = start;
        const bool both = machine.dense_arrays && machine.sparse_arrays;
        for (int plane = 0; plane < layer.planes; ++plane) {
            ++at;
            at += 2 * (machine.sort_keys + machine.sort_pass) + 2 * (layer.channels + machine.sort_pass) + 2;
            if (both && data.sorted_dense != nullptr) {
                const int slots = machine.dense_arrays * machine.slots;
                at += ceil_div(data.sorted_dense[plane], slots) * 2 * slots + 1;
            }
            if (store) at += layer.channels + 3;
            ++at;
        }
        return at + 1;
    }

    const Machine& machine;
    const bool pause;
    Loader loader;
    ImageLoader acts;
    Outputs outputs;
    Activity activity;
    Arrays arrays;
    WeightHalves halves;
    size_t sets = 0;
    Cycle complete = LONG_AGO;  // everything before is complete
    Cycle end = 0;
    Cycle map_read = LONG_AGO;  // the last word that a MAP reads
    bool owed = false;          // the next barrier waits for the host
};

}  // namespace

extern "C" {

// Sizes of the structures, to be compared with those of the caller.
int sqdm_size(int which) { return int(which == 0 ? sizeof(Machine) : which == 1 ? sizeof(Layer) : sizeof(Data)); }

// `counters`: COUNTERS of each descriptor, zeros before.
void sqdm_predict(const Machine* machine, const Layer* layers, const Data* data, int count, int pause,
                  int64_t* counters) {
    ProgramRun(*machine, pause != 0).run(layers, data, count, counters);
}
}
