// Native harness: drives the Verilated chip from numpy buffers, many samples per call, no Python per cycle.
// MEMORIES (name, core, member) comes from the generated model.h; every memory is reachable as plain bytes. CORES: 1, or those of a mesh.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "Vchip.h"
#include "Vchip___024root.h"
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
    const uint64_t *feed = nullptr, *feed_end = nullptr;  // requests that go in while ticks run, one a cycle
    bool held = false;                                     // not now
#endif
#ifdef DIRECT_EVAL
    uint64_t falling[sizeof(Vchip___024root::__VnbaTriggered) / sizeof(uint64_t)];  // what the pin's falling edge triggers
#endif
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> waves;  // one time unit is half a cycle
    uint64_t now = 0;
#endif

    Model(int count, const char** arguments) {  // as main has them; memories look for +NAME=FILE
#if VM_TRACE
        context.traceEverOn(true);
#endif
        context.commandArgs(count, arguments);
        top = std::make_unique<Vchip>(&context, "chip");
        root = top->rootp;
#define MEMORY(name, core, member) \
    memories.push_back({name, core, reinterpret_cast<uint8_t*>(&member[0]), int64_t(sizeof(member[0])), int64_t(sizeof(member) / sizeof(member[0]))});
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
        // One pass: no register of ours makes a clock rise, so nothing can be left to do in a second one, which eval() always makes.
#ifdef INPUT_REGION
        root->__VicoFirstIteration = 1;
        Vchip___024root___eval_phase__ico(root);
#endif
        if (level || GATES_BEHIND_GATES || !evaluations) {
            Vchip___024root___eval_triggers_vec__act(root);
            if (!level) std::memcpy(falling, &root->__VactTriggered, sizeof falling);
        } else {  // the pin's falling edge, the only one that is looked for, leaves every clock low
            std::memcpy(&root->__VactTriggered, falling, sizeof falling);
            CLOCKS_LOW(root);
        }
        uint64_t any = 0;
        for (size_t i = 0; i < words; ++i) any |= root->__VnbaTriggered[i] = root->__VactTriggered[i];
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
        return uint64_t(OUTPUT_ADDRESS(payload)) | uint64_t(OUTPUT_DELAY(payload)) << 32 | uint64_t(OUTPUT_CORE(payload)) << 40;
    }
    inline void cycle() {
        if (top->PORT(o, valid) && top->PORT(o, ready)) outputs.push_back(output(top->PORT(o, payload)));
#if BANKS > 1
        const bool feeding = feed != feed_end && !held && !top->PORT(request, valid), taken = top->PORT(request, ready);
        if (feeding) top->PORT(request, payload) = *feed, top->PORT(request, valid) = 1;
#endif
        half(1);
        half(0);
        ++evaluations;
#if BANKS > 1
        if (feeding) top->PORT(request, valid) = 0, feed += taken;
#endif
    }
    // false: the pin did not fall within the limit
    template <typename Pin> inline bool fallen(const Pin& pin, int64_t limit) {
        while (pin) {
            if (limit-- <= 0) return false;
            cycle();
        }
        return true;
    }
    bool idle(int64_t limit) { return fallen(top->busy, limit); }
    bool ticked(int64_t limit) { return fallen(top->TICKING, limit); }
    void reset() {
        top->rst = 1;
        top->PORT(o, ready) = 1;
        top->PORT(response, ready) = 1;
        for (int i = 0; i < 4; ++i) cycle();
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

// where a neuron's spike (a bit of the spikes memory) and its membrane (an entry of the unpacked ones) are
struct Place {
    int32_t spike, membrane;
};

// dst |= src, `bits` of them, at bit offset `at` of dst
void or_bits(uint8_t* dst, int64_t at, const uint8_t* src, int64_t bits) {
    const int shift = at & 7;
    dst += at >> 3;
    const int64_t bytes = (bits + 7) >> 3;
    if (!shift) {
        for (int64_t i = 0; i < bytes; ++i) dst[i] |= src[i];
        return;
    }
    for (int64_t i = 0; i < bytes; ++i) {
        dst[i] |= uint8_t(src[i] << shift);
        const uint8_t carry = uint8_t(src[i] >> (8 - shift));
        if (carry) dst[i + 1] |= carry;
    }
}

// Eight blocks side by side: the same 32 x 32 bit transpose in each; out[c] bit r = in[r] bit c
constexpr int BLOCKS = 8;
typedef uint32_t Blocks __attribute__((vector_size(4 * BLOCKS)));
void transpose32(Blocks a[32]) {
    uint32_t m = 0x0000FFFF;
    for (int j = 16; j; j >>= 1, m ^= m << j)
        for (int k = 0; k < 32; k = ((k | j) + 1) & ~j) {
            const Blocks t = ((a[k] >> j) ^ a[k | j]) & m;
            a[k] ^= t << j;
            a[k | j] ^= t;
        }
}

// 32 bits of src from bit offset `at`; src has at least 8 readable bytes behind its end
uint32_t bits32(const uint8_t* src, int64_t at) {
    uint64_t word;
    std::memcpy(&word, src + (at >> 3), 8);
    return uint32_t(word >> (at & 7));
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

struct InputPlace {
    int64_t core, size, delay, first_axon, stride;  // lines; steps after its step that it arrives; axon of line 0; bytes per step of `spikes`
    const uint8_t* spikes;                    // [sample, step, stride]
};
struct PopulationPlace {
    int64_t core, size, start;
    const int64_t* neurons;  // [size] word * lanes + lane
    uint8_t* spikes;         // [sample, step, ceil(size / 8)]
    int32_t* membranes;      // [sample, step, size], or null
};
// The PIM layer of a chip with a macro; frame k is computed right before tick start + k.
struct Pim {
    int64_t pixels, frames, start, size;
    const uint8_t* images;   // [sample, pixel]
    const int64_t* rows;     // [pixel] of the memory of pixels
    const uint32_t* streams; // [frame]
    const int64_t* neurons;  // [size] word * lanes + lane
    int32_t* currents;       // [sample, frame, size]
};
struct Run {
    int64_t samples, steps, ticks, lanes, words, membrane_bits, axon_chunks, slots, cycle_limit;
    int64_t cores, inputs, populations, counters;
    const InputPlace* input;
    const PopulationPlace* population;
    int64_t* counts;  // [sample, tick, core, counters], what each tick added
    const Pim* pim;   // or null
};

Model* sl_new(int count, const char** arguments) {
    auto* model = new Model(count, arguments);
    model->reset();
    return model;
}
void sl_free(Model* model) {
    Verilated::threadContextp(&model->context);  // its scopes leave the context of this thread, which may be another, freed one
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
int sl_memory(Model* model, int64_t core, const char* name, uint8_t** data, int64_t* stride, int64_t* rows) {
    Memory* memory = model->find(name, core);
    if (!memory) return 1;
    *data = memory->data, *stride = memory->stride, *rows = memory->rows;
    return 0;
}
void sl_write(Model* model, uint32_t address, uint32_t data) { model->write(address, data); }
int64_t sl_read(Model* model, uint32_t address) { return model->read(address, 1 << 20); }
void sl_cycles(Model* model, int64_t n) {
    while (n-- > 0) model->cycle();
}
int sl_idle(Model* model, int64_t limit) { return model->idle(limit) ? 0 : 1; }
void sl_ready(Model* model, int ready) { model->top->PORT(o, ready) = ready; }
// 1: taken; 0: the chip did not take it within the limit
int sl_send(Model* model, uint32_t core, uint32_t axon, uint32_t delay, int64_t limit) {
    model->top->PORT(i, payload) = axon | delay << AXON_BITS | uint64_t(core) << (AXON_BITS + DELAY_BITS);
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
int64_t sl_events(Model* model, uint64_t* out, int64_t capacity) {
    const int64_t n = int64_t(model->outputs.size());
    for (int64_t i = 0; i < n && i < capacity; ++i) out[i] = model->outputs[i];
    if (out) model->outputs.clear();
    return n;
}
#if BANKS > 1
// From now on these requests (of the caller, until they are in) go in, one a cycle, while the model is clocked by sl_run or sl_cycles.
void sl_feed(Model* model, const uint64_t* requests, int64_t count) { model->feed = requests, model->feed_end = requests + count; }
// Requests still to go in.
int64_t sl_fed(Model* model) { return model->feed_end - model->feed; }
#endif
uint64_t sl_evaluations(Model* model) { return model->evaluations; }
#if VM_COVERAGE
void sl_coverage(Model* model, const char* path) { model->context.coveragep()->write(path); }
#endif

// 0: done; 1: a tick did not end within the limit
int sl_run(Model* model, const Run* run) {
    Vchip___024root* root = model->root;
    std::vector<Memory*> rings, potentials, spikes;  // of each core
    for (int64_t core = 0; core < run->cores; ++core) {
        rings.push_back(model->find("ring", core));
        potentials.push_back(model->find("v", core));
        spikes.push_back(model->find("spikes", core));
    }
    const int64_t counters = run->cores * run->counters, groups = (run->lanes + 31) / 32;
    std::vector<uint64_t> before(counters, 0), now(counters, 0);
    const int64_t blocks = run->words * groups, stride = potentials[0]->stride;  // a block: 32 lanes of a word
    std::vector<uint8_t> plane_buffer(run->words * stride + 8), slot_bits(RING_CHUNKS * 8 + 8);
    std::vector<int32_t> membranes((blocks + BLOCKS - 1) / BLOCKS * BLOCKS * 32);  // [blocks / BLOCKS, lane of 32, BLOCKS]
    std::vector<std::vector<Place>> places(run->populations);  // no division per neuron and tick
    for (int64_t p = 0; p < run->populations; ++p)
        for (int64_t n = 0; n < run->population[p].size; ++n) {
            const int64_t word = run->population[p].neurons[n] / run->lanes, lane = run->population[p].neurons[n] % run->lanes;
            const int64_t block = word * groups + lane / 32;
            places[p].push_back({int32_t(word * spikes[0]->stride * 8 + lane),
                                 int32_t((block / BLOCKS * 32 + lane % 32) * BLOCKS + block % BLOCKS)});
        }

    for (int64_t sample = 0; sample < run->samples; ++sample) {
        HOLD(model, true);
        model->write(CONTROL_ADDRESS, CONTROL_CLEAR_BIT);
        if (!model->idle(run->cycle_limit)) return 1;
        HOLD(model, false);
        READ_COUNTERS(root, before);
#ifdef CONTROL_PIM_BIT
        if (run->pim) {
            const Pim& pim = *run->pim;
            Memory* pixels = model->find("pim_pixels", 0);
            for (int64_t i = 0; i < pim.pixels; ++i) pixels->data[pim.rows[i] * pixels->stride] = pim.images[sample * pim.pixels + i];
        }
#endif
        for (int64_t tick = 0; tick < run->ticks; ++tick) {
            const int64_t slot = tick % run->slots;
            for (int64_t p = 0; p < run->inputs;) {  // those of a core are neighbours
                const int64_t core = run->input[p].core;
                bool any = false;
                for (; p < run->inputs && run->input[p].core == core; ++p) {
                    const InputPlace& in = run->input[p];
                    const int64_t step = tick - in.delay;
                    if (step < 0 || step >= run->steps) continue;
                    if (!any) std::fill(slot_bits.begin(), slot_bits.end(), 0), any = true;
                    or_bits(slot_bits.data(), in.first_axon, in.spikes + (sample * run->steps + step) * in.stride, in.size);
                }
                if (any) {
                    uint8_t* target = rings[core]->data + slot * RING_CHUNKS * rings[core]->stride;
                    for (int64_t i = 0; i < run->axon_chunks * 8; ++i) target[i] |= slot_bits[i];
                }
            }
#ifdef CONTROL_PIM_BIT
            if (run->pim && tick >= run->pim->start && tick < run->pim->start + run->pim->frames) {
                const Pim& pim = *run->pim;
                const int64_t frame = tick - pim.start;
                model->write(PIM_STREAM_ADDRESS, pim.streams[frame]);
                model->write(CONTROL_ADDRESS, CONTROL_PIM_BIT);
                if (!model->idle(run->cycle_limit)) return 1;
                const Memory* currents = model->find("currents", 0);
                int32_t* out = pim.currents + (sample * pim.frames + frame) * pim.size;
                for (int64_t n = 0; n < pim.size; ++n)
                    std::memcpy(&out[n], currents->data + pim.neurons[n] / run->lanes * currents->stride + pim.neurons[n] % run->lanes * 4, 4);
            }
#endif
            model->top->tick = 1;
            model->cycle();
            model->top->tick = 0;
            if (!model->ticked(run->cycle_limit)) return 1;
            READ_COUNTERS(root, now);
            int64_t* counts = run->counts + (sample * run->ticks + tick) * counters;
            for (int64_t c = 0; c < counters; ++c) counts[c] = int64_t(now[c] - before[c]);
            before = now;

            int64_t unpacked = -1;  // core whose membranes are in `membranes`
            const auto unpack = [&](int64_t core) {
                unpacked = core;
                std::memcpy(plane_buffer.data(), potentials[core]->data, run->words * stride);
                for (int64_t first = 0; first < blocks; first += BLOCKS) {
                    Blocks planes[32] = {};
                    for (int64_t i = 0; i < BLOCKS && first + i < blocks; ++i) {
                        const uint8_t* word = plane_buffer.data() + (first + i) / groups * stride;
                        const int64_t lane = (first + i) % groups * 32;
                        for (int64_t b = 0; b < run->membrane_bits; ++b) planes[b][i] = bits32(word, b * run->lanes + lane);
                    }
                    for (int64_t b = run->membrane_bits; b < 32; ++b) planes[b] = planes[run->membrane_bits - 1];
                    transpose32(planes);
                    std::memcpy(&membranes[first * 32], planes, sizeof planes);
                }
            };
            for (int64_t p = 0; p < run->populations; ++p) {
                const PopulationPlace& pop = run->population[p];
                const int64_t step = tick - pop.start;
                if (step < 0 || step >= run->steps) continue;
                const int64_t row = sample * run->steps + step, bytes = (pop.size + 7) / 8;
                uint8_t* out = pop.spikes + row * bytes;
                std::memset(out, 0, bytes);
                const Place* place = places[p].data();
                const uint8_t* fired = spikes[pop.core]->data;
                for (int64_t n = 0; n < pop.size; ++n)
                    out[n >> 3] |= uint8_t(((fired[place[n].spike >> 3] >> (place[n].spike & 7)) & 1) << (n & 7));
                if (pop.membranes) {
                    if (unpacked != pop.core) unpack(pop.core);
                    int32_t* v_out = pop.membranes + row * pop.size;
                    for (int64_t n = 0; n < pop.size; ++n) v_out[n] = membranes[place[n].membrane];
                }
            }
        }
    }
    return 0;
}
}
#pragma GCC visibility pop
