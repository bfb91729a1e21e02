// Drives the compiled accelerator: clock, register port (AXI4-Lite) and memory. Called from Python through ctypes.

#include <cstdint>

#include "Vtop.h"
#include "axi_memory.h"
#include "verilated.h"

namespace {

enum Outcome { INTERRUPT = 0, CYCLE_LIMIT = 1, PROTOCOL = 2 };

constexpr int PATIENCE = 1000;  // cycles that the register port may take to answer
constexpr int64_t NO_ANSWER = -1, REFUSED = -2;

class Simulation {
public:
    Simulation(uint8_t* bytes, uint64_t size, uint32_t latency) : memory(bytes, size, latency), top(&context, "top") {
        reset();
    }

    ~Simulation() { top.final(); }

    void reset() {
        memory.reset();
        top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = top.s_axi_arvalid = top.s_axi_rready = 0;
        top.rst = 1;
        for (int i = 0; i < 4; ++i) tick();
        top.rst = 0;
    }

    // The register's value, NO_ANSWER or REFUSED.
    int64_t read_register(uint32_t address) {
        top.s_axi_araddr = address;
        top.s_axi_arvalid = top.s_axi_rready = 1;
        int64_t result = NO_ANSWER;
        for (int i = 0; i < PATIENCE && result == NO_ANSWER; ++i) {
            settle();
            const bool taken = top.s_axi_arvalid && top.s_axi_arready;
            if (top.s_axi_rvalid) result = top.s_axi_rresp == OKAY ? int64_t(top.s_axi_rdata) : REFUSED;
            step();
            if (taken) top.s_axi_arvalid = 0;
        }
        top.s_axi_arvalid = top.s_axi_rready = 0;
        return result;
    }

    // 0, NO_ANSWER or REFUSED.
    int64_t write_register(uint32_t address, uint32_t value) {
        top.s_axi_awaddr = address;
        top.s_axi_wdata = value;
        top.s_axi_wstrb = 15;
        top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 1;
        int64_t result = NO_ANSWER;
        for (int i = 0; i < PATIENCE && result == NO_ANSWER; ++i) {
            settle();
            const bool address_taken = top.s_axi_awvalid && top.s_axi_awready;
            const bool data_taken = top.s_axi_wvalid && top.s_axi_wready;
            if (top.s_axi_bvalid) result = top.s_axi_bresp == OKAY ? 0 : REFUSED;
            step();
            if (address_taken) top.s_axi_awvalid = 0;
            if (data_taken) top.s_axi_wvalid = 0;
        }
        top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 0;
        return result;
    }

    Outcome run(uint64_t limit) {
        for (uint64_t i = 0; i < limit; ++i) {
            if (top.__SYM__interrupt) return INTERRUPT;  // Verilator's name for a port that is a reserved word
            tick();
            if (memory.violation) return PROTOCOL;
        }
        return top.__SYM__interrupt ? INTERRUPT : CYCLE_LIMIT;
    }

    uint64_t cycle = 0;
    AxiMemory memory;

private:
    void tick() {
        settle();
        step();
    }

    // First half of a clock cycle: the memory's outputs, everything combinational.
    void settle() {
        memory.drive(top, cycle);
        top.clk = 0;
        top.eval();
    }

    // Second half: the handshakes of this cycle, the rising edge.
    void step() {
        if (!top.rst) memory.sample(top, cycle);
        top.clk = 1;
        top.eval();
        ++cycle;
    }

    VerilatedContext context;
    Vtop top;
};

}  // namespace

extern "C" {
Simulation* sim_create(uint8_t* memory, uint64_t bytes, uint32_t latency) {
    return new Simulation(memory, bytes, latency);
}
void sim_destroy(Simulation* sim) { delete sim; }
void sim_attach(Simulation* sim, uint8_t* memory, uint64_t bytes) { sim->memory.attach(memory, bytes); }
void sim_reset(Simulation* sim) { sim->reset(); }
int64_t sim_read(Simulation* sim, uint32_t address) { return sim->read_register(address); }
int64_t sim_write(Simulation* sim, uint32_t address, uint32_t value) { return sim->write_register(address, value); }
int sim_run(Simulation* sim, uint64_t limit) { return sim->run(limit); }
void sim_break(Simulation* sim, int fault, uint64_t skipped) { sim->memory.break_answers(fault, skipped); }
uint64_t sim_cycle(const Simulation* sim) { return sim->cycle; }
uint64_t sim_words_read(const Simulation* sim) { return sim->memory.words_read; }
uint64_t sim_words_written(const Simulation* sim) { return sim->memory.words_written; }
int sim_violation(const Simulation* sim) { return sim->memory.violation; }
}
