// Drives a Verilated plastic core from numpy buffers, with no Python per cycle.
// model.h names the geometry and the places of fields. Spikes go into the memory of lines directly,
// or through the stream of the pins; everything that the core writes is taken from its ports.

#include <cstring>
#include <deque>
#include <vector>

#include "Vplastic.h"
#include "Vplastic___024root.h"
#include "model.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#include "port/bits.h"
#include "port/load.h"

#define API extern "C" __attribute__((visibility("default")))
#define PORT(stream, part) stream##___05F##part  // a port of the model: the simulator writes __ so

namespace {

struct Crc {  // CRC-32 as zlib has it
    uint32_t table[256];
    Crc() {
        for (uint32_t n = 0; n < 256; ++n) {
            uint32_t c = n;
            for (int i = 0; i < 8; ++i) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
            table[n] = c;
        }
    }
    uint32_t add(uint32_t crc, uint8_t byte) const { return table[(crc ^ byte) & 255] ^ crc >> 8; }
};
const Crc crc32;

struct Run {
    int64_t first, presentations, record, pins, limit_cycles;
    uint64_t stall;          // 0: never; else the seed of pauses of the spikes' receiver
    const int64_t* ticks;    // [presentation]
    const uint8_t* spikes;   // packed [tick, SPIKE_BYTES]
    const uint8_t* teacher;  // packed [tick, TEACHER_BYTES]
    const uint8_t *learn, *adapt, *normalise;  // [presentation]
    int32_t* values;         // [tick, 7, neuron] if recorded: s, v, ge, gi, theta, c, y
    int64_t* counts;         // [presentation, neuron], spikes
    int64_t *cycles, *rest_cycles, *normalise_cycles;
    int64_t *crc, *clips;    // [presentation]
};

enum Status { DONE, HANGS, SPIKES_LOST };

struct Model {
    VerilatedContext context;
    Vplastic* top;
    const Run* run = nullptr;
    int64_t presentation = 0, k = 0;
    int32_t* values = nullptr;
    int64_t* counts = nullptr;
    uint64_t random = 0;
    std::vector<int64_t> arrivals, updates, emitted, fired;
    std::deque<int64_t> offered;  // lines that the core has not taken

    Model() {
        const char* name = "plastic";
        context.commandArgs(1, &name);  // memories ask for +NAME=FILE
        top = new Vplastic(&context, "");
        top->rst = 1;
        top->eval();
        for (int i = 0; i < 4; ++i) tick();
        top->rst = 0;
        tick();
    }
    ~Model() { top->final(); delete top; }

    bool pause() {
        if (!run || !run->stall) return false;
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        return random >> 33 & 1;
    }

    // A cycle in which pins may differ from those of the cycle before.
    void tick() {
        top->PORT(o, ready) = !pause();
        if ((top->PORT(i, valid) = !offered.empty())) top->PORT(i, payload) = offered.front();
        edge(0, true);
        if (run) watch();
        if (top->PORT(i, valid) && top->PORT(i, ready)) offered.pop_front();
        edge(1, false);
    }

    // A cycle in which no pin differs, and no line is offered.
    void same() {
        edge(0, false);
        if (run) watch();
        edge(1, false);
    }

    // One edge of the clock; pins: they may differ from those of the edge before.
    void edge(int level, bool pins) {
        top->clk = level;
#ifdef DIRECT_EVAL
        // The parts of eval(), once each: no register makes a clock rise and no gate is behind a
        // gate, so that a second pass finds nothing. They are defined above, in the same file.
        auto* root = top->rootp;
        static_assert(sizeof root->__VnbaTriggered == sizeof(uint64_t));
        if (pins) {
            root->__VicoFirstIteration = 1;
            Vplastic___024root___eval_phase__ico(root);
        }
        Vplastic___024root___eval_triggers_vec__act(root);
        root->__VnbaTriggered[0] = root->__VactTriggered[0];
        if (root->__VnbaTriggered[0]) Vplastic___024root___eval_nba(root);
        root->__VnbaTriggered[0] = 0;
#else
        top->eval();
#endif
    }

    void watch() {
        if (top->PORT(o, valid) && top->PORT(o, ready)) emitted.push_back(top->PORT(o, payload));
        if (top->neuron_valid) neuron();
        if (!run->record) return;
        if (top->arrival_valid) {
            const int64_t axon = get(top->arrival, ARRIVAL_AXON, AXON_BITS);
            const int64_t x = get(top->arrival, ARRIVAL_X, 16);
            arrivals.insert(arrivals.end(), {presentation, k, axon, x});
        }
        if (top->update_valid) {
            const auto& u = top->update;
            updates.insert(updates.end(),
                           {presentation, k, int64_t(get(u, UPDATE_USE, 2)),
                            int64_t(get(u, UPDATE_AXON, AXON_BITS)),
                            int64_t(get(u, UPDATE_NEURON, NEURON_BITS)),
                            int64_t(get(u, UPDATE_OLD, WEIGHT_BITS)),
                            int64_t(get(u, UPDATE_NEW, WEIGHT_BITS))});
        }
    }

    void neuron() {
        const auto& port = top->neuron;
        const int64_t n = get(port, NEURON_NUMBER, NEURON_BITS);
        const bool spike = get(port, NEURON_SPIKE, 1);
        if (spike) fired.push_back(n), ++counts[n];
        if (!run->record) return;
        int32_t* to = values + n;
        *to = spike, to += NEURONS;
        *to = extend(get(port, NEURON_V, MEMBRANE_BITS), MEMBRANE_BITS), to += NEURONS;
        *to = get(port, NEURON_GE, 24), to += NEURONS;
        *to = get(port, NEURON_GI, 24), to += NEURONS;
        *to = get(port, NEURON_THETA, 24), to += NEURONS;
        *to = get(port, NEURON_C, 6), to += NEURONS;
        *to = get(port, NEURON_Y, 16);
    }

    // A command from its strobe to the end. -1 if it hangs, else the cycles the core has counted.
    int64_t command(CData& strobe, int64_t limit) {
        const uint64_t before = top->count_cycles;
        strobe = 1;
        tick();
        strobe = 0;
        for (int64_t n = 0; top->busy; ++n) {
            if (n > limit) return -1;
            if (n && !(run && run->stall) && !top->PORT(i, valid))
                same();
            else
                tick();
        }
        tick();  // the counter has seen the last cycle
        return top->count_cycles - before;
    }

    void lines(const uint8_t* spikes, const uint8_t* teacher) {
        uint64_t chunks[LINE_ROWS + 1] = {};
        memcpy(chunks, spikes, SPIKE_BYTES);
        for (int64_t byte = 0; byte < TEACHER_BYTES; ++byte) {
            const int64_t at = AXONS + 8 * byte;
            if (!teacher[byte]) continue;
            chunks[at / 64] |= uint64_t(teacher[byte]) << at % 64;
            if (at % 64 > 56) chunks[at / 64 + 1] |= uint64_t(teacher[byte]) >> (64 - at % 64);
        }
        for (int64_t row = 0; row < LINE_ROWS; ++row) {
            if (!run->pins) {
                top->rootp->LINES_MEMORY[row] |= chunks[row];
                continue;
            }
            for (int bit = 63; bit >= 0; --bit)
                if (chunks[row] >> bit & 1) offered.push_back(row * 64 + bit);
        }
    }

    // Through the pins the lines of a tick are offered before the command ahead of it, and wait.
    int64_t ahead(CData& strobe, int64_t row) {
        const Run& r = *run;
        if (r.pins && row >= 0)
            lines(r.spikes + row * SPIKE_BYTES, r.teacher + row * TEACHER_BYTES);
        const int64_t cycles = command(strobe, r.limit_cycles);
        for (int64_t n = 0; cycles >= 0 && (!offered.empty() || top->busy); ++n) {
            if (n > r.limit_cycles) return -1;
            tick();
        }
        return cycles;
    }

    int64_t weight(int64_t a, int64_t n) {
        const auto& row = top->rootp->WEIGHTS_MEMORY[n / LANES * AXONS + a];
        return get(row, n % LANES * WEIGHT_BITS, WEIGHT_BITS);
    }

    uint32_t checksum() {
        uint32_t crc = ~0u;
        for (int64_t a = 0; a < AXONS; ++a)
            for (int64_t n = 0; n < NEURONS; ++n) {
                const int64_t w = weight(a, n);
                crc = crc32.add(crc32.add(crc, w & 255), w >> 8);
            }
        return ~crc;
    }

    int go(const Run& r) {
        run = &r;
        random = r.stall;
        arrivals.clear(), updates.clear();
        const int status = all(r);
        run = nullptr;
        offered.clear();
        return status;
    }

    int all(const Run& r) {
        int64_t row = 0;
        for (int64_t n = 0; n < r.presentations; ++n) {
            presentation = r.first + n;
            counts = r.counts + n * NEURONS;
            const int64_t clips = top->count_weight_clips;
            if ((r.rest_cycles[n] = ahead(top->rest, r.ticks[n] ? row : -1)) < 0) return HANGS;
            top->learn = r.learn[n], top->adapt = r.adapt[n];
            for (k = 0; k < r.ticks[n]; ++k, ++row) {
                values = r.record ? r.values + row * 7 * NEURONS : nullptr;
                if (!r.pins)
                    lines(r.spikes + row * SPIKE_BYTES, r.teacher + row * TEACHER_BYTES);
                emitted.clear(), fired.clear();
                const int64_t next = k + 1 < r.ticks[n] ? row + 1 : -1;
                if ((r.cycles[row] = ahead(top->tick, next)) < 0) return HANGS;
                if (emitted != fired) return SPIKES_LOST;
            }
            if (r.normalise[n]) {
                r.normalise_cycles[n] = command(top->normalise, r.limit_cycles);
                if (r.normalise_cycles[n] < 0) return HANGS;
            }
            r.crc[n] = checksum();
            r.clips[n] = top->count_weight_clips - clips;
        }
        return DONE;
    }
};

}  // namespace

API Model* plastic_new() { return new Model; }
API void plastic_free(Model* model) { delete model; }
API int plastic_run(Model* model, const Run* run) { return model->go(*run); }
API int64_t plastic_clear(Model* model, int64_t limit) {
    return model->command(model->top->clear, limit);
}

API void plastic_load(Model* model, const uint32_t* chunks, int64_t count) {
    write_chunks(*model, chunks, count, 1);
}
API void plastic_read(Model* model, uint32_t* chunks, int64_t count) {
    read_chunks(*model, chunks, count, 1);
}

API void plastic_weights(Model* model, uint16_t* weights) {  // [axon, neuron]
    for (int64_t a = 0; a < AXONS; ++a)
        for (int64_t n = 0; n < NEURONS; ++n) *weights++ = model->weight(a, n);
}

API int64_t plastic_rows(Model* model, int updates) {
    return updates ? model->updates.size() / 7 : model->arrivals.size() / 4;
}

API void plastic_log(Model* model, int updates, int64_t* rows) {
    const auto& log = updates ? model->updates : model->arrivals;
    memcpy(rows, log.data(), log.size() * sizeof(int64_t));
}

API void plastic_counters(Model* model, uint64_t* counters) {
    const Vplastic* top = model->top;
    const uint64_t all[] = {top->count_cycles, top->count_stalls, top->count_spikes,
                            top->count_updates, top->count_weight_clips};
    memcpy(counters, all, sizeof all);
}

#if VM_COVERAGE
API void plastic_coverage(Model* model, const char* path) {
    model->context.coveragep()->write(path);
}
#endif
