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
    const Machine& machine;
    Cycle bus_free = LONG_AGO;  // first cycle in which the bus has no beat of before
};

// The address generator and the loader up to where its answers are used.
class Loader {
public:
    explicit Loader(const Machine& machine) : machine(machine), port(machine), taken(TAGS, LONG_AGO) {}

    Cycle command_ready() const { return generator_free; }

    // A command is accepted; its requests follow, one a cycle.
    void command(Cycle accepted) { request = accepted + machine.command; }

    // The command's last request has been made.
    void end() { generator_free = request - machine.command + WALK; }

    // `words` consecutive memory words; returns when the last of them can be used. `first`: when the first one can.
    Cycle words(int count, int64_t address, Cycle* first = nullptr) {
        wait_for_tags(count);
        if (others && request + count - 1 + REGISTER >= others_from) {
            request += std::min(others, std::max(0, others_from + others - request - REGISTER));
            others = 0;
        }
        const Cycle answered = port.read(request + REGISTER, count, address, first) + REGISTER;
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
            taken[number % TAGS] = when - i;
            ++number;
        }
    }

    // Another client's `count` requests go first, from cycle `when` on.
    void yield(Cycle when, int count) { others_from = when, others = count; }

    Port& memory() { return port; }

private:
    static constexpr int REGISTER = 1, WALK = 2, TAG = 3;
    static constexpr int TAGS = 66;  // tags in the queue and behind it

    void wait_for_tags(int count) {
        request = std::max(request, taken[(number + count - 1) % TAGS] + 1 - (count - 1));
    }

    const Machine& machine;
    Port port;
    std::vector<Cycle> taken;
    int64_t number = 0;
    Cycle others_from = LONG_AGO;
    int others = 0;
    Cycle generator_free = 0, request = 0, there = LONG_AGO;
};
