// Drives a Verilated macro of dendritic neurons from numpy buffers, with no Python per step.
// model.h names the geometry, the fields of a neuron's port, and the ports of all neurons.

#include <cstring>

#include "Vdendritic.h"
#include "Vdendritic___024root.h"
#include "model.h"
#include "port/bits.h"
#include "port/clocked.h"
#include "port/load.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

struct Run {
    int64_t neurons, room, limit_cycles, record;
    int64_t* units;  // [step, field, neuron] if recorded
    int64_t* pairs;  // [step, neuron, neuron] if recorded
    uint64_t* rin;   // [step] if recorded
    int64_t steps;   // out: steps done
};

enum Status { DONE, HANGS, TOO_MANY_STEPS };

struct Model : Clocked<Vdendritic> {
    Model() : Clocked("dendritic") {}

    int go(Run& r) {
        top->start = 1;
        tick();
        top->start = 0;
        int64_t since = 0;
        r.steps = 0;
        while (top->busy) {
            if (top->step_valid) {
                since = 0;
                if (r.steps == r.room) return TOO_MANY_STEPS;
                if (r.record) keep(r);
                ++r.steps;
            }
            if (++since > r.limit_cycles) return HANGS;
            tick();
        }
        return DONE;
    }

    void keep(Run& r) {
        int64_t* unit = r.units + r.steps * FIELDS * r.neurons;
        int64_t* pair = r.pairs + r.steps * r.neurons * r.neurons;
        int64_t i = 0;
        const auto put = [&](const auto& values, const auto& row) {
            if (i >= r.neurons) return;
            for (int f = 0; f < FIELDS; ++f) {
                const uint64_t bits = get(values, FIELD_AT[f], FIELD_BITS[f]);
                unit[f * r.neurons + i] =
                    FIELD_SIGNED[f] ? extend(bits, FIELD_BITS[f]) : int64_t(bits);
            }
            for (int64_t k = 0; k < r.neurons; ++k)
                pair[i * r.neurons + k] = get(row, k * PAIR_BITS, PAIR_BITS);
            ++i;
        };
#define PUT(i) put(top->unit_##i, top->pairs_##i);
        NEURONS(PUT)
        r.rin[r.steps] = top->rin;
    }
};

}  // namespace

API Model* dendritic_new() { return new Model; }
API void dendritic_free(Model* model) { delete model; }
API int dendritic_run(Model* model, Run* run) { return model->go(*run); }

API void dendritic_load(Model* model, const uint32_t* chunks, int64_t count) {
    write_chunks(*model, chunks, count, 2);
}
API void dendritic_read(Model* model, uint32_t* chunks, int64_t count) {
    read_chunks(*model, chunks, count, 2);
}

// The memories of all inputs, without the load port: weights [input, lane], synapses [input, 2].
API void dendritic_inputs(Model* model, int32_t* weights, uint32_t* synapses) {
    for (int64_t j = 0; j < INPUTS; ++j) {
        const auto& row = model->top->rootp->WEIGHTS_MEMORY[j];
        for (int64_t i = 0; i < LANES; ++i) *weights++ = get(row, 32 * i, 32);
        const auto& pair = model->top->rootp->SYNAPSES_MEMORY[j];
        for (int64_t at = 0; at < 2; ++at) *synapses++ = get(pair, PSP_BITS * at, PSP_BITS);
    }
}

API void dendritic_counters(Model* model, uint64_t* counters) {
    const Vdendritic* top = model->top;
    const uint64_t all[] = {top->count_cycles, top->count_steps, top->count_inputs,
                            top->count_spikes, top->count_clips, top->count_saturations};
    memcpy(counters, all, sizeof all);
}

#if VM_COVERAGE
API void dendritic_coverage(Model* model, const char* path) {
    model->context.coveragep()->write(path);
}
#endif
