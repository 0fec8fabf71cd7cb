// A Verilated board: bytes in and out of its host link, with no Python per cycle.
// model.h gives DIVISOR: cycles of a bit on the UART's pins, or 0 where bytes lie on streams.
#include <cstdint>
#include <memory>

#include "Vboard.h"
#include "model.h"
#include "verilated.h"

#define API extern "C" __attribute__((visibility("default")))
#define PORT(stream, part) stream##___05F##part  // a port of the model: the simulator writes __ so

namespace {

constexpr int QUIET = 4;  // cycles without anything after which nothing more comes by itself

struct Model {
    VerilatedContext context;
    std::unique_ptr<Vboard> top;
    uint64_t cycles = 0;
#if DIVISOR
    double bit = DIVISOR;   // cycles of a bit of the host
    double sent = 0;        // cycles of the bit on the line so far
    uint32_t out_bits = 0;  // bits still to send, the next lowest
    int out_left = 0;
    int64_t in_wait = -1;  // cycles until the next bit of a byte is sampled; -1: no byte
    int in_left = 0;
    uint32_t in_bits = 0;
    bool broken = false;  // the line is held low
#endif

    Model() {
        const char* name = "board";
        context.commandArgs(1, &name);  // memories ask for +NAME=FILE
        top = std::make_unique<Vboard>(&context, "board");
        top->clk = 0;
#if DIVISOR
        top->rx = 1;
#endif
        reset();
    }
    ~Model() { top->final(); }
    void cycle() {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
        ++cycles;
    }
    void reset() {
        top->rst = 1;
        cycle();  // one is enough
        top->rst = 0;
    }
    // Clock the board for `limit` cycles at most. The board takes `*taken` bytes of `in`. Returns
    // how many bytes came out. Ends early when nothing more happens by itself, or when `out` is
    // full and more bytes wait.
    int64_t run(const uint8_t* in, int64_t count, int64_t* taken, uint8_t* out, int64_t capacity,
                int64_t limit) {
        int64_t got = 0, gone = 0;
        int still = 0;
        while (limit-- > 0 && still < QUIET) {
#if DIVISOR
            if (!out_left && gone < count && !broken) {
                out_bits = 0x200u | uint32_t(in[gone++]) << 1, out_left = 10;
            }
            top->rx = broken ? 0 : out_left ? out_bits & 1 : 1;
            if (out_left && (sent += 1) >= bit) {
                sent -= bit;
                out_bits >>= 1, --out_left;
            }
            cycle();
            if (in_wait < 0) {
                if (!top->tx) in_wait = DIVISOR + DIVISOR / 2 - 1, in_left = 9;
            } else if (!in_wait--) {
                in_wait = DIVISOR - 1;
                if (--in_left) {
                    in_bits = in_bits >> 1 | (top->tx ? 0x80u : 0);
                } else {
                    if (got < capacity) out[got++] = uint8_t(in_bits);
                    in_wait = -1;
                }
            }
            const bool busy = out_left || gone < count || in_wait >= 0 || !top->quiet || broken;
#else
            top->PORT(i, valid) = gone < count;
            if (gone < count) top->PORT(i, payload) = in[gone];
            top->PORT(o, ready) = got < capacity;
            const bool full = top->PORT(o, valid) && got == capacity;
            gone += gone < count && top->PORT(i, ready);
            if (top->PORT(o, valid) && got < capacity) out[got++] = top->PORT(o, payload);
            cycle();
            const bool busy = !full && (gone < count || !top->quiet);
#endif
            still = busy ? 0 : still + 1;
        }
#if !DIVISOR
        top->PORT(i, valid) = 0;
        top->PORT(o, ready) = 0;
#endif
        *taken = gone;
        return got;
    }
};

}  // namespace

API Model* board_new() { return new Model; }
API void board_free(Model* model) {
    // The model's scopes leave the context of this thread, which may be another, freed one.
    Verilated::threadContextp(&model->context);
    delete model;
}
API void board_reset(Model* model) { model->reset(); }
API int board_quiet(Model* model) { return model->top->quiet; }
API uint64_t board_cycles(Model* model) { return model->cycles; }
API int64_t board_run(Model* model, const uint8_t* in, int64_t count, int64_t* taken, uint8_t* out,
                      int64_t capacity, int64_t limit) {
    return model->run(in, count, taken, out, capacity, limit);
}
#if DIVISOR
API void board_baud(Model* model, double cycles_of_a_bit) { model->bit = cycles_of_a_bit; }
API void board_break(Model* model, int on) { model->broken = on; }
#endif
