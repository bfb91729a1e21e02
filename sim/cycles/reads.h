// The memory port's reads and the loader's requests: when words arrive.

#pragma once

#include "timing.h"

// Requests of one client in consecutive cycles, merged into bursts; the bus gives a word per cycle, bursts in order.
class Port {
public:
    explicit Port(const Machine& machine) : machine(machine) {}

    // `words` requests for consecutive words from `address` on, one a cycle, the first one in cycle `request`.
    // Returns when the last answer is there; `first_answer` when the first one is.
    Cycle read(Cycle request, int words, int64_t address, Cycle* first_answer = nullptr) {
        Cycle answered = LONG_AGO;
        while (words > 0) {
            const int to_page_end = int(machine.page_words - address % machine.page_words);
            const int beats = std::min({words, machine.longest_burst, to_page_end});
            const Cycle sent = request + beats - 1 + machine.lone_burst;
            const Cycle first = std::max(sent + machine.memory, bus_free);
            bus_free = first + beats;
            if (first_answer != nullptr && answered == LONG_AGO) *first_answer = first + machine.answer;
            answered = first + beats - 1 + machine.answer;
            request += beats, address += beats, words -= beats;
        }
        return answered;
    }

private:
    friend class Loader;
    const Machine& machine;
    Cycle bus_free = LONG_AGO;  // first cycle in which the bus has no beat of before
};

// Reads of another client that goes first.
class Others {
public:
    void add(Cycle first, int count, int interval) {
        if (count > 0) groups.push_back({std::max(first, last + 1), count, interval});
        last = std::max(last, first + (count - 1) * interval);
    }

    // How many of them come between `words` requests from cycle `from` on; requests are asked about in order.
    int count(Cycle from, int words) {
        int found = 0;
        while (next < groups.size()) {
            Group& group = groups[next];
            const int gone = group.first < from ? ceil_div(from - group.first, group.interval) : 0;
            const int passed = std::min(group.count, gone);
            group.first += passed * group.interval, group.count -= passed;
            if (group.count > 0 && group.first >= from + words + found) break;
            if (group.count > 0) {
                ++found;
                group.first += group.interval, --group.count;
            }
            if (group.count == 0) ++next;
        }
        return found;
    }

    bool empty() const { return next == groups.size(); }

private:
    struct Group {
        Cycle first;
        int count, interval;
    };

    std::vector<Group> groups;
    size_t next = 0;
    Cycle last = LONG_AGO;
};

// The address generator and the loader up to where its answers are used.
class Loader {
public:
    explicit Loader(const Machine& machine) : machine(machine), port(machine), taken(RING, LONG_AGO) {}

    Cycle command_ready() const { return generator_free; }

    // A command is accepted; its requests follow, one a cycle.
    void command(Cycle accepted) { request = accepted + machine.command; }

    // The command's last request has been made.
    void end() { generator_free = request - machine.command + WALK; }

    // `words` consecutive memory words; returns when the last of them can be used. `first`: when the first one can.
    Cycle words(int count, int64_t address, Cycle* first = nullptr) {
        wait_for_tags(count);
        request += others.count(request + SEND, count);
        const Cycle answered = port.read(request + SEND, count, address, first) + REGISTER;
        if (first != nullptr) *first += REGISTER;
        request += count;
        return there = std::max(answered, there + 1);
    }

    // A request for something that is known to be zero.
    Cycle zero() {
        wait_for_tags(1);
        there = std::max(request + TAG, there + 1);
        ++request;
        return there;
    }

    // The answers of the last `count` requests were taken, the last one in cycle `when`.
    void take(int count, Cycle when) {
        there = std::max(there, when);
        for (int i = count - 1; i >= 0; --i) {
            taken[number & (RING - 1)] = when - i;
            ++number;
        }
    }

    // Reads of another client, which go first: `count` of them, one every `interval` cycles from cycle `first` on.
    // Later calls are for later cycles.
    void yield(Cycle first, int count, int interval) { others.add(first, count, interval); }

    Port& memory() { return port; }

    // No other client's reads are known that are still to come.
    bool alone() const { return others.empty(); }

    // All times that the future depends on, the same ones in the same order at any time.
    template <typename Use>
    void visit(Use use) {
        for (int i = 1; i <= TAGS; ++i) use(taken[(number - i) & (RING - 1)]);
        for (Cycle* time : {&generator_free, &request, &there, &port.bus_free}) use(*time);
    }

    void skip(int64_t requests) { number += requests; }
    int64_t requests() const { return number; }

private:
    static constexpr int REGISTER = 1, WALK = 2, TAG = 4;
    static constexpr int SEND = 2 * REGISTER;  // from a request to the port
    static constexpr int RING = 128;  // a power of two above TAGS
    static constexpr int TAGS = 68;  // requests in front of the queue of tags, in it and behind it

    void wait_for_tags(int count) {
        request = std::max(request, taken[(number + count - 1 - TAGS) & (RING - 1)] + 1 - (count - 1));
    }

    const Machine& machine;
    Port port;
    std::vector<Cycle> taken;
    int64_t number = 0;
    Others others;
    Cycle generator_free = 0, request = 0, there = LONG_AGO;
};
