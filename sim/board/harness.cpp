// Drives the compiled board system: clock, reset and both serial lines. Called from Python through ctypes.
//
// The serial lines are shifted by a model of their own, which shares nothing with the hardware's: it sends 8N1 with
// CLOCKS_PER_BIT clock cycles a bit and looks at each received bit in its middle.

#include <cstdint>
#include <deque>

#include "Vtop.h"
#include "verilated.h"

namespace {

// Bytes to bits.
class Sender {
public:
    explicit Sender(uint32_t clocks) : clocks(clocks) {}
    bool idle() const { return left == 0 && bytes.empty(); }
    void clear() { bytes.clear(), left = 0; }

    // The line in this cycle.
    bool level() {
        if (left == 0) {
            if (bytes.empty()) return true;
            bits = uint32_t(bytes.front()) << 1 | 1u << 9;
            bytes.pop_front();
            left = 10 * clocks;
        }
        const bool level = bits >> (10 - (left + clocks - 1) / clocks) & 1;
        --left;
        return level;
    }

    std::deque<uint8_t> bytes;

private:
    uint32_t clocks, bits = 0, left = 0;  // `left`: cycles of this byte
};

// Bits to bytes.
class Receiver {
public:
    explicit Receiver(uint32_t clocks) : clocks(clocks) {}
    bool idle() const { return age < 0; }
    void clear() { bytes.clear(), age = -1; }

    // The line in this cycle.
    void look(bool level) {
        if (age < 0) {
            if (level) return;
            age = 0;
            bits = 0;
        }
        const uint32_t bit = age / clocks;
        if (age % clocks == clocks / 2) {
            bits |= uint32_t(level) << bit;
            if (bit == 9) {
                if (level && !(bits & 1)) bytes.push_back(uint8_t(bits >> 1));
                else ++broken;
                age = -1;
                return;
            }
        }
        ++age;
    }

    std::deque<uint8_t> bytes;
    uint64_t broken = 0;  // bytes without start or stop bit

private:
    uint32_t clocks, bits = 0;
    int64_t age = -1;  // cycles since the start bit began
};

class Board {
public:
    explicit Board(uint32_t clocks) : to_board(clocks), from_board(clocks), top(&context, "top") { reset(); }
    ~Board() { top.final(); }

    void reset() {
        to_board.clear();
        from_board.clear();
        top.rx = 1;
        top.rst = 1;
        for (int i = 0; i < 4; ++i) tick();
        top.rst = 0;
    }

    // Until `cycles` are over, or everything that was sent has been received and an answer has come and ended.
    void run(uint64_t cycles) {
        for (uint64_t i = 0; i < cycles; ++i) {
            top.rx = to_board.level();
            tick();
            const bool was_idle = from_board.idle();
            from_board.look(top.tx);
            if (from_board.idle() && !was_idle) ended = cycle;
            if (!from_board.bytes.empty() && from_board.idle() && to_board.idle() && cycle - ended > PAUSE) return;
        }
    }

    Sender to_board;
    Receiver from_board;
    uint64_t cycle = 0;

private:
    static constexpr uint64_t PAUSE = 64;  // cycles between two bytes of an answer are fewer

    void tick() {
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
        ++cycle;
    }

    VerilatedContext context;
    Vtop top;
    uint64_t ended = 0;
};

}  // namespace

extern "C" {
Board* board_create(uint32_t clocks_per_bit) { return new Board(clocks_per_bit); }
void board_destroy(Board* board) { delete board; }
void board_reset(Board* board) { board->reset(); }
void board_send(Board* board, const uint8_t* bytes, uint64_t count) {
    board->to_board.bytes.insert(board->to_board.bytes.end(), bytes, bytes + count);
}
void board_run(Board* board, uint64_t cycles) { board->run(cycles); }
int board_sending(const Board* board) { return !board->to_board.idle(); }
uint64_t board_take(Board* board, uint8_t* bytes, uint64_t room) {
    auto& queue = board->from_board.bytes;
    uint64_t count = 0;
    for (; count < room && !queue.empty(); ++count, queue.pop_front()) bytes[count] = queue.front();
    return count;
}
uint64_t board_cycle(const Board* board) { return board->cycle; }
uint64_t board_broken(const Board* board) { return board->from_board.broken; }
}
