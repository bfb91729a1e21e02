// The memory behind the accelerator's AXI port: one flat byte array from address 0 that the caller owns; anything outside
// answers SLVERR.
//
// It takes a read burst, a write burst and a beat of write data every cycle and serves them in order. The first beat of a
// read comes `latency` cycles after its request, then one a cycle over all bursts; a beat holds what the memory held when
// the request was taken. A beat of write data reaches the memory `latency` cycles after it was taken, and with the last
// one comes the response: who reads back earlier gets the old data. BUS_WORDS is the width of a beat in 32-bit words.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

constexpr uint64_t BUS_BYTES = 4 * BUS_WORDS;
constexpr int OKAY = 0, SLVERR = 2;

// First in, first out, of fixed size: a power of two, at least `room`.
template <typename T>
class Queue {
public:
    explicit Queue(std::size_t room) {
        std::size_t size = 1;
        while (size < room) size *= 2;
        items.resize(size);
    }
    bool empty() const { return first == last; }
    std::size_t room() const { return items.size() - (last - first); }
    T& front() { return items[first & (items.size() - 1)]; }
    T& push() { return items[last++ & (items.size() - 1)]; }
    void pop() { ++first; }
    void clear() { first = last = 0; }

private:
    std::vector<T> items;
    std::size_t first = 0, last = 0;
};

// Verilator holds 64-bit ports as integers and wider ones as arrays of 32-bit words.
void store(QData& port, const uint32_t* words) { port = uint64_t(words[1]) << 32 | words[0]; }
void load(const QData& port, uint32_t* words) { words[0] = uint32_t(port), words[1] = uint32_t(port >> 32); }

template <std::size_t N>
void store(VlWide<N>& port, const uint32_t* words) {
    for (std::size_t i = 0; i < N; ++i) port[i] = words[i];
}

template <std::size_t N>
void load(const VlWide<N>& port, uint32_t* words) {
    for (std::size_t i = 0; i < N; ++i) words[i] = port[i];
}

class AxiMemory {
public:
    enum Fault { NONE = 0, DROP_READ = 1, FAIL_READ = 2, STOP_READS = 3, FAIL_WRITE = 4, STOP_WRITES = 5 };
    enum Violation { KEPT = 0, BURST_KIND = 1, BURST_CROSSES = 2, WRONG_LAST = 3 };

    AxiMemory(uint8_t* memory, uint64_t bytes, uint32_t latency)
        : latency(latency), reads(latency + 4 * LONGEST_BURST), bursts(LONGEST_BURST),
          writes(latency + 4 * LONGEST_BURST), responses(latency + 4 * LONGEST_BURST) {
        attach(memory, bytes);
    }

    void attach(uint8_t* memory, uint64_t bytes) {
        this->memory = memory;
        this->bytes = bytes;
    }

    // Forget all transactions and faults.
    void reset() {
        reads.clear();
        bursts.clear();
        writes.clear();
        responses.clear();
        pending = 0;
        violation = KEPT;
        break_answers(NONE, 0);
    }

    // The next read beat or write response but `skipped` goes wrong, or all from it on until the next call.
    void break_answers(int fault, uint64_t skipped) {
        this->fault = fault;
        broken = skipped;
        answered = confirmed = 0;
    }

    // Set the accelerator's inputs for this cycle.
    void drive(Vtop& top, uint64_t cycle) {
        if (fault == DROP_READ && answered == broken && due(cycle)) {
            reads.pop();
            ++answered;
        }
        answering = due(cycle) && !(fault == STOP_READS && answered >= broken);
        if (answering) {
            const ReadBeat& beat = reads.front();
            store(top.m_axi_rdata, beat.word);
            top.m_axi_rid = beat.id;
            top.m_axi_rlast = beat.last;
            top.m_axi_rresp = fault == FAIL_READ && answered == broken ? SLVERR : beat.response;
        }
        top.m_axi_rvalid = answering;
        confirming = !responses.empty() && !(fault == STOP_WRITES && confirmed >= broken);
        if (confirming) {
            top.m_axi_bid = responses.front().id;
            top.m_axi_bresp = fault == FAIL_WRITE && confirmed == broken ? SLVERR : responses.front().response;
        }
        top.m_axi_bvalid = confirming;
        top.m_axi_arready = reads.room() >= LONGEST_BURST;
        top.m_axi_awready = bursts.room() > 0;
        top.m_axi_wready = !bursts.empty() && writes.room() > 0 && responses.room() > pending;
    }

    // Take the handshakes of this cycle, before the rising edge.
    void sample(const Vtop& top, uint64_t cycle) {
        if (answering && top.m_axi_rready) {
            reads.pop();
            ++answered;
        }
        if (confirming && top.m_axi_bready) {
            responses.pop();
            ++confirmed;
        }
        if (top.m_axi_wvalid && top.m_axi_wready) take_data(top, cycle);
        if (top.m_axi_awvalid && top.m_axi_awready) take_write(top);
        if (top.m_axi_arvalid && top.m_axi_arready) take_read(top, cycle);
        while (!writes.empty() && writes.front().due <= cycle + 1) commit();
    }

    uint64_t words_read = 0, words_written = 0;
    int violation = KEPT;

private:
    static constexpr int LONGEST_BURST = 256;
    static constexpr int INCR = 1;
    static constexpr uint64_t ALL_STROBES = BUS_BYTES == 64 ? ~0ull : (1ull << BUS_BYTES) - 1;

    struct ReadBeat {
        uint64_t due;
        uint32_t word[BUS_WORDS];
        uint8_t id, response;
        bool last;
    };

    struct Burst {
        uint64_t address;
        uint32_t beats;
        uint8_t id, response;
    };

    struct WriteBeat {
        uint64_t due, address, strobes;
        uint32_t word[BUS_WORDS];
        uint8_t id, response;
        bool last;
    };

    struct Response {
        uint8_t id, response;
    };

    bool due(uint64_t cycle) { return !reads.empty() && reads.front().due <= cycle; }

    void check_burst(uint64_t address, uint64_t length, int size, int kind) {
        if (kind != INCR || 1u << size != BUS_BYTES || address % BUS_BYTES) violation = BURST_KIND;
        if (address / 4096 != (address + length - 1) / 4096) violation = BURST_CROSSES;
    }

    void take_read(const Vtop& top, uint64_t cycle) {
        const uint64_t address = top.m_axi_araddr, beats = top.m_axi_arlen + 1;
        check_burst(address, beats * BUS_BYTES, top.m_axi_arsize, top.m_axi_arburst);
        const bool inside = address + beats * BUS_BYTES <= bytes;
        for (uint64_t i = 0; i < beats; ++i) {
            ReadBeat& beat = reads.push();
            beat.due = cycle + latency;
            beat.id = top.m_axi_arid;
            beat.last = i + 1 == beats;
            beat.response = inside ? OKAY : SLVERR;
            if (inside) std::memcpy(beat.word, memory + address + i * BUS_BYTES, BUS_BYTES);
        }
        words_read += beats;
    }

    void take_write(const Vtop& top) {
        const uint64_t address = top.m_axi_awaddr;
        const uint32_t beats = top.m_axi_awlen + 1;
        check_burst(address, beats * BUS_BYTES, top.m_axi_awsize, top.m_axi_awburst);
        const bool inside = address + beats * BUS_BYTES <= bytes;
        bursts.push() = Burst{address, beats, uint8_t(top.m_axi_awid), uint8_t(inside ? OKAY : SLVERR)};
    }

    void take_data(const Vtop& top, uint64_t cycle) {
        Burst& burst = bursts.front();
        WriteBeat& beat = writes.push();
        beat.due = cycle + latency;
        beat.address = burst.address;
        beat.strobes = top.m_axi_wstrb;
        beat.id = burst.id;
        beat.response = burst.response;
        beat.last = burst.beats == 1;
        load(top.m_axi_wdata, beat.word);
        if (beat.last != bool(top.m_axi_wlast)) violation = WRONG_LAST;
        pending += beat.last;
        ++words_written;
        burst.address += BUS_BYTES;
        if (--burst.beats == 0) bursts.pop();
    }

    void commit() {
        const WriteBeat& beat = writes.front();
        if (beat.response == OKAY && beat.strobes == ALL_STROBES) {
            std::memcpy(memory + beat.address, beat.word, BUS_BYTES);
        } else if (beat.response == OKAY) {
            const uint8_t* data = reinterpret_cast<const uint8_t*>(beat.word);
            for (uint64_t i = 0; i < BUS_BYTES; ++i)
                if (beat.strobes >> i & 1) memory[beat.address + i] = data[i];
        }
        if (beat.last) {
            responses.push() = Response{beat.id, beat.response};
            --pending;
        }
        writes.pop();
    }

    uint8_t* memory;
    uint64_t bytes;
    uint32_t latency;
    Queue<ReadBeat> reads;
    Queue<Burst> bursts;
    Queue<WriteBeat> writes;
    Queue<Response> responses;
    std::size_t pending = 0;  // bursts whose data is in `writes`: they will need a response
    bool answering = false, confirming = false;
    int fault = NONE;
    uint64_t broken = 0, answered = 0, confirmed = 0;
};
