// Native harness: one Verilated chip with its pins, its memories as plain bytes, and its clock.
// samples.cpp, which is compiled behind it, runs whole samples.
// The generated model.h gives CORES (1, or those of a mesh) and MEMORIES (name, core, member).
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "Vchip.h"
#include "Vchip___024root.h"
#include "Vchip__pch.h"
#include "cycle.h"
#include "model.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

#define PORT(stream, part) stream##___05F##part  // a port of the model: the simulator writes __ so
#if BANKS > 1  // `busy` also waits for words that are on their way to the bank at rest
#define TICKING working
#define HOLD(model, value) model->held = value
#else
#define TICKING busy
#define HOLD(model, value)
#endif

#ifdef DIRECT_EVAL  // the parts of the model's evaluation; declared in no header
void Vchip___024root___eval_triggers_vec__act(Vchip___024root*);
void Vchip___024root___eval_nba(Vchip___024root*);
#ifdef INPUT_REGION
bool Vchip___024root___eval_phase__ico(Vchip___024root*);
#endif
#endif

namespace {

struct Memory {
    const char* name;
    int64_t core;
    uint8_t* data;
    int64_t stride, rows;  // bytes per row, rows
};

struct Model {
    VerilatedContext context;
    std::unique_ptr<Vchip> top;
    Vchip___024root* root;
    std::vector<Memory> memories;
    std::vector<uint64_t> outputs;  // events that left: address | delay << 32 | core << 40
    uint64_t evaluations = 0;
#if BANKS > 1
    const uint64_t *feed = nullptr, *feed_end = nullptr;  // requests of sl_feed, one a cycle
    bool held = false;                                    // the feed pauses
#endif
#ifdef DIRECT_EVAL
    // what the pin's falling edge triggers
    uint64_t falling[sizeof(Vchip___024root::__VnbaTriggered) / sizeof(uint64_t)];
#endif
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> waves;  // one time unit is half a cycle
    uint64_t now = 0;
#endif

    // The arguments are those of a main(). Memories look for +NAME=FILE in them.
    Model(int count, const char** arguments) {
#if VM_TRACE
        context.traceEverOn(true);
#endif
        context.commandArgs(count, arguments);
        top = std::make_unique<Vchip>(&context, "chip");
        root = top->rootp;
#define MEMORY(name, core, member)                                                \
    memories.push_back({name, core, reinterpret_cast<uint8_t*>(&member[0]),       \
                        int64_t(sizeof(member[0])),                               \
                        int64_t(sizeof(member) / sizeof(member[0]))});
        MEMORIES
#undef MEMORY
        top->clk = 0;
        top->eval();
    }
    Memory* find(const char* name, int64_t core) {
        for (auto& m : memories)
            if (m.core == core && !std::strcmp(m.name, name)) return &m;
        return nullptr;
    }
    inline void half(int level) {
        top->clk = level;
#ifdef DIRECT_EVAL
        constexpr size_t words = sizeof(root->__VnbaTriggered) / sizeof(root->__VnbaTriggered[0]);
        // One pass is enough: no register of ours makes a clock rise. eval() always makes a second.
#ifdef INPUT_REGION
        root->__VicoFirstIteration = 1;
        Vchip___024root___eval_phase__ico(root);
#endif
        if (level || GATES_BEHIND_GATES || !evaluations) {
            Vchip___024root___eval_triggers_vec__act(root);
            if (!level) std::memcpy(falling, &root->__VactTriggered, sizeof falling);
        } else {  // the model looks for no other falling edge; this one leaves every clock low
            std::memcpy(&root->__VactTriggered, falling, sizeof falling);
            CLOCKS_LOW(root);
        }
        uint64_t any = 0;
        for (size_t i = 0; i < words; ++i)
            any |= root->__VnbaTriggered[i] = root->__VactTriggered[i];
        if (any) Vchip___024root___eval_nba(root);
        for (size_t i = 0; i < words; ++i) root->__VnbaTriggered[i] = 0;
#else
        top->eval();
#endif
#if VM_TRACE
        if (waves) waves->dump(now++);
#endif
    }
    static uint64_t output(uint64_t payload) {
        return uint64_t(OUTPUT_ADDRESS(payload)) | uint64_t(OUTPUT_DELAY(payload)) << 32 |
               uint64_t(OUTPUT_CORE(payload)) << 40;
    }
    inline void cycle() {
        if (top->PORT(o, valid) && top->PORT(o, ready))
            outputs.push_back(output(top->PORT(o, payload)));
#if BANKS > 1
        const bool feeding = feed != feed_end && !held && !top->PORT(request, valid);
        const bool taken = top->PORT(request, ready);
        if (feeding) top->PORT(request, payload) = *feed, top->PORT(request, valid) = 1;
#endif
#ifdef RISE
        top->clk = 1;
        RISE(root);
        top->clk = 0;
        FALL(root);
#else
        half(1);
        half(0);
#endif
        ++evaluations;
#if BANKS > 1
        if (feeding) top->PORT(request, valid) = 0, feed += taken;
#endif
    }
    // Clock until the pin is low. False: it did not fall within the limit.
    template <typename Pin> inline bool fallen(const Pin& pin, int64_t limit) {
        while (pin) {
            if (limit-- <= 0) return false;
            cycle();
        }
        return true;
    }
    bool idle(int64_t limit) { return fallen(top->busy, limit); }
    bool ticked(int64_t limit) { return fallen(top->TICKING, limit); }
    void reset(int64_t cycles) {
        top->rst = 1;
        top->PORT(o, ready) = 1;
        top->PORT(response, ready) = 1;
        while (cycles-- > 0) cycle();
        top->rst = 0;
        for (int i = 0; i < 4; ++i) cycle();
    }
    void write(uint32_t address, uint32_t data) {
        top->PORT(request, payload) = REQUEST(address, data, 1);
        top->PORT(request, valid) = 1;
        while (!top->PORT(request, ready)) cycle();
        cycle();
        top->PORT(request, valid) = 0;
    }
    int64_t read(uint32_t address, int64_t limit) {
        top->PORT(request, payload) = REQUEST(address, 0, 0);
        top->PORT(request, valid) = 1;
        while (!top->PORT(request, ready))
            if (limit-- <= 0) return -1;
            else cycle();
        cycle();
        top->PORT(request, valid) = 0;
        while (!top->PORT(response, valid))
            if (limit-- <= 0) return -1;
            else cycle();
        const uint32_t data = top->PORT(response, payload);
        cycle();
        return data;
    }
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

Model* sl_new(int count, const char** arguments) {
    auto* model = new Model(count, arguments);
    model->reset(1);
    return model;
}
void sl_free(Model* model) {
    // The model's scopes leave the context of this thread, which may be another, freed one.
    Verilated::threadContextp(&model->context);
    delete model;
}
#if VM_TRACE
// From here on every half cycle is recorded. 1: the file cannot be written.
int sl_wave_open(Model* model, const char* path) {
    model->waves = std::make_unique<VerilatedVcdC>();
    model->top->trace(model->waves.get(), 99);
    model->waves->open(path);
    return model->waves->isOpen() ? 0 : 1;
}
void sl_wave_close(Model* model) {
    model->waves->close();
    model->waves.reset();
}
#endif
// 1: the core has no such memory.
int sl_memory(Model* model, int64_t core, const char* name, uint8_t** data, int64_t* stride,
              int64_t* rows) {
    Memory* memory = model->find(name, core);
    if (!memory) return 1;
    *data = memory->data, *stride = memory->stride, *rows = memory->rows;
    return 0;
}
// What happens before its end is forgotten, but for the memories.
void sl_reset(Model* model, int64_t cycles) {
    model->reset(cycles);
    model->outputs.clear();
}
void sl_write(Model* model, uint32_t address, uint32_t data) { model->write(address, data); }
// Requests one after the other, without waiting for answers, for at most `cycles` cycles. An entry
// of `writes` is 1 for a write. Returns how many of the `reads` answers came.
int64_t sl_burst(Model* model, const uint32_t* addresses, const uint32_t* data,
                 const uint8_t* writes, int64_t count, uint32_t* answers, int64_t reads,
                 int64_t cycles) {
    auto& top = model->top;
    int64_t at = 0, got = 0;
    for (; (at < count || got < reads) && cycles > 0; --cycles) {
        if ((top->PORT(request, valid) = at < count))
            top->PORT(request, payload) = REQUEST(addresses[at], data[at], writes[at]);
        if (top->PORT(response, valid) && got < reads) answers[got++] = top->PORT(response, payload);
        at += at < count && top->PORT(request, ready);
        model->cycle();
    }
    top->PORT(request, valid) = 0;
    return got;
}
// -1: no answer.
int64_t sl_read(Model* model, uint32_t address) { return model->read(address, 1 << 20); }
void sl_cycles(Model* model, int64_t n) {
    while (n-- > 0) model->cycle();
}
// 1: not idle within the limit.
int sl_idle(Model* model, int64_t limit) { return model->idle(limit) ? 0 : 1; }
void sl_ready(Model* model, int ready) { model->top->PORT(o, ready) = ready; }
// 1: taken. 0: the chip did not take the event within the limit.
int sl_send(Model* model, uint32_t core, uint32_t axon, uint32_t delay, int64_t limit) {
    model->top->PORT(i, payload) =
        axon | delay << AXON_BITS | uint64_t(core) << (AXON_BITS + DELAY_BITS);
    model->top->PORT(i, valid) = 1;
    while (!model->top->PORT(i, ready))
        if (limit-- <= 0) return 0;
        else model->cycle();
    model->cycle();
    model->top->PORT(i, valid) = 0;
    return 1;
}
void sl_tick(Model* model) {
    model->top->tick = 1;
    model->cycle();
    model->top->tick = 0;
}
// How many events left since they were last taken; they are taken if `out` is not null.
int64_t sl_events(Model* model, uint64_t* out, int64_t capacity) {
    const int64_t n = int64_t(model->outputs.size());
    for (int64_t i = 0; i < n && i < capacity; ++i) out[i] = model->outputs[i];
    if (out) model->outputs.clear();
    return n;
}
#if BANKS > 1
// From now on these requests go in, one a cycle, while the model is clocked by sl_run or sl_cycles.
// They stay the caller's, who keeps them until they are in.
void sl_feed(Model* model, const uint64_t* requests, int64_t count) {
    model->feed = requests, model->feed_end = requests + count;
}
// Requests still to go in.
int64_t sl_fed(Model* model) { return model->feed_end - model->feed; }
#endif
uint64_t sl_evaluations(Model* model) { return model->evaluations; }
#if VM_COVERAGE
void sl_coverage(Model* model, const char* path) { model->context.coveragep()->write(path); }
#endif
}
#pragma GCC visibility pop
