// Images are loaded in the same way one after the other: what has happened before need not be worked out again.

#pragma once

#include "images.h"

class ImageMemory {
public:
    ImageMemory(Loader& loader, ImageLoader& acts) : loader(loader), acts(acts) {}

    // Another layer.
    void forget() { known = false; }

    // Loads an image that is chosen in cycle `when`: by `load`, which returns the cycle of the next choice, or as the
    // image before if everything is as it was then.
    template <typename Load>
    Cycle load(Cycle when, Load load) {
        if (!loader.alone()) {
            known = false;
            return load(when);
        }
        look(when, now);
        if (known && now == entry) {
            size_t place = 0;
            const auto write = [&](Cycle& time) { time = when + exit[place++]; };
            loader.skip(requests);
            loader.visit(write);
            acts.visit(write);
            return when + next;
        }
        entry.swap(now);
        const int64_t before = loader.requests();
        const Cycle chosen = load(when);
        requests = loader.requests() - before;
        next = chosen - when;
        look(when, exit);
        known = true;
        return chosen;
    }

private:
    static constexpr Cycle OLD = -8192;  // what is older makes no difference

    void look(Cycle origin, std::vector<Cycle>& times) {
        times.clear();
        const auto read = [&](Cycle& time) { times.push_back(std::max(OLD, time - origin)); };
        loader.visit(read);
        acts.visit(read);
    }

    Loader& loader;
    ImageLoader& acts;
    bool known = false;
    std::vector<Cycle> now, entry, exit;  // cycles from the choice
    int64_t requests = 0;
    Cycle next = 0;
};
