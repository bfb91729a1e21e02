// Drives the compiled accelerator: clock, memory model and register port. Called from Python through ctypes.
//
// The memory is one flat byte array that the caller owns. It takes a read and a write every cycle; a read accepted in
// cycle t is answered from cycle t + latency on, in order. BUS_WORDS is the width of a memory word in 32-bit words.

#include <cstdint>
#include <cstring>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

namespace {

enum Outcome { INTERRUPT = 0, CYCLE_LIMIT = 1, BAD_ADDRESS = 2 };

constexpr uint64_t BUS_BYTES = 4 * BUS_WORDS;

struct Answer {
    uint64_t due;
    uint32_t word[BUS_WORDS];
};

// Names as Verilator makes them: `__` becomes `___05F`, and C++ keywords get a prefix.
// It holds 64-bit ports as integers and wider ones as arrays of 32-bit words.
void store(QData& port, const uint32_t* words) { port = uint64_t(words[1]) << 32 | words[0]; }

template <std::size_t N>
void store(VlWide<N>& port, const uint32_t* words) {
    for (std::size_t i = 0; i < N; ++i) port[i] = words[i];
}

class Simulation {
public:
    Simulation(uint8_t* memory, uint64_t bytes, uint32_t latency)
        : top(&context, "top"), latency(latency), ring(latency + 64) {
        attach(memory, bytes);
        reset();
    }

    ~Simulation() { top.final(); }

    void attach(uint8_t* memory, uint64_t bytes) {
        this->memory = memory;
        this->bytes = bytes;
    }

    void reset() {
        head = count = 0;
        bad_address = false;
        top.registers___05Faddress = 0;
        top.registers___05Fwrite = 0;
        top.registers___05Fwrite_data = 0;
        top.rst = 1;
        for (int i = 0; i < 4; ++i) tick();
        top.rst = 0;
    }

    uint32_t read_register(uint8_t address) {
        top.registers___05Faddress = address;
        tick();
        return top.registers___05Fread_data;
    }

    void write_register(uint8_t address, uint32_t value) {
        top.registers___05Faddress = address;
        top.registers___05Fwrite_data = value;
        top.registers___05Fwrite = 1;
        tick();
        top.registers___05Fwrite = 0;
    }

    Outcome run(uint64_t limit) {
        for (uint64_t i = 0; i < limit; ++i) {
            if (top.__SYM__interrupt) return INTERRUPT;
            tick();
            if (bad_address) return BAD_ADDRESS;
        }
        return top.__SYM__interrupt ? INTERRUPT : CYCLE_LIMIT;
    }

    uint64_t cycle = 0;
    uint64_t fault = 0;

private:
    // One clock cycle: inputs, settle, handshakes of this cycle, rising edge.
    void tick() {
        const bool answering = count > 0 && ring[head].due <= cycle;
        const bool room = count < ring.size();
        top.answers___05Fvalid = answering;
        if (answering) store(top.answers___05Fpayload, ring[head].word);
        top.reads___05Fready = room;
        top.writes___05Fready = 1;
        top.clk = 0;
        top.eval();
        if (!top.rst) {
            if (answering && top.answers___05Fready) {
                head = head + 1 == ring.size() ? 0 : head + 1;
                --count;
            }
            if (room && top.reads___05Fvalid) accept(top.reads___05Fpayload);
            if (top.writes___05Fvalid) write();
        }
        top.clk = 1;
        top.eval();
        ++cycle;
    }

    bool inside(uint64_t address) {
        if ((address + 1) * BUS_BYTES <= bytes) return true;
        bad_address = true;
        fault = address;
        return false;
    }

    void accept(uint64_t address) {
        Answer& slot = ring[(head + count) % ring.size()];
        slot.due = cycle + latency;
        if (inside(address)) std::memcpy(slot.word, memory + address * BUS_BYTES, BUS_BYTES);
        ++count;
    }

    void write() {
        const uint64_t address = top.writes___05Fpayload[0];
        if (!inside(address)) return;
        uint32_t word[BUS_WORDS];
        for (int i = 0; i < BUS_WORDS; ++i) word[i] = top.writes___05Fpayload[i + 1];
        std::memcpy(memory + address * BUS_BYTES, word, BUS_BYTES);
    }

    VerilatedContext context;
    Vtop top;
    uint8_t* memory;
    uint64_t bytes;
    uint32_t latency;
    std::vector<Answer> ring;
    std::size_t head = 0;
    std::size_t count = 0;
    bool bad_address = false;
};

}  // namespace


extern "C" {
Simulation* sim_create(uint8_t* memory, uint64_t bytes, uint32_t latency) {
    return new Simulation(memory, bytes, latency);
}
void sim_destroy(Simulation* sim) { delete sim; }
void sim_attach(Simulation* sim, uint8_t* memory, uint64_t bytes) { sim->attach(memory, bytes); }
void sim_reset(Simulation* sim) { sim->reset(); }
uint32_t sim_read(Simulation* sim, uint8_t address) { return sim->read_register(address); }
void sim_write(Simulation* sim, uint8_t address, uint32_t value) { sim->write_register(address, value); }
int sim_run(Simulation* sim, uint64_t limit) { return sim->run(limit); }
uint64_t sim_cycle(const Simulation* sim) { return sim->cycle; }
uint64_t sim_fault(const Simulation* sim) { return sim->fault; }
}
