// Drives a Verilated macro of oscillators from numpy buffers, with no Python per step.
// model.h names the geometry, the places of fields, and the ports of all oscillators.

#include <cstring>

#include "Vonn.h"
#include "Vonn___024root.h"
#include "model.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#include "port/bits.h"
#include "port/clocked.h"
#include "port/load.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

struct Run {
    int64_t oscillators, room, limit_cycles, record;
    int32_t* units;   // [step, field, oscillator] if recorded
    int32_t* whole;   // [step, 4] if recorded
    int64_t steps;    // out: steps done
    int64_t settled;  // out: it ended because it settled
    int64_t* last;    // out: [4] step, period, cycles, same
};

enum Status { DONE, HANGS, TOO_MANY_STEPS };

struct Model : Clocked<Vonn> {
    Model() : Clocked("onn") {}

    int go(Run& r) {
        top->start = 1;
        tick();
        top->start = 0;
        int64_t since = 0;
        r.steps = 0;
        for (bool busy = true; busy;) {
            busy = top->busy;
            if (top->step_valid) {
                since = 0;
                if (r.record) {
                    if (r.steps == r.room) return TOO_MANY_STEPS;
                    keep(r);
                }
                ++r.steps;
            }
            if (++since > r.limit_cycles) return HANGS;
            tick();
        }
        r.settled = top->settled;
        const int64_t last[] = {top->step, top->period, top->cycles, top->same};
        memcpy(r.last, last, sizeof last);
        return DONE;
    }

    void keep(Run& r) {
        int32_t* to = r.units + r.steps * FIELDS * r.oscillators;
        int64_t i = 0;
        const int64_t n = r.oscillators;
        const auto put = [&](uint64_t unit) {
            if (i >= n) return;
            for (int f = 0; f < FIELDS; ++f)
                to[f * n + i] = int32_t(unit >> FIELD_AT[f] & ((1ull << FIELD_BITS[f]) - 1));
            ++i;
        };
#define PUT(port) put(top->port);
        UNITS(PUT)
        int32_t* whole = r.whole + r.steps * 4;
        whole[0] = top->step, whole[1] = top->period, whole[2] = top->cycles, whole[3] = top->same;
    }
};

}  // namespace

API Model* onn_new() { return new Model; }
API void onn_free(Model* model) { delete model; }
API int onn_run(Model* model, Run* run) { return model->go(*run); }

API void onn_load(Model* model, const uint32_t* chunks, int64_t count) {
    write_chunks(*model, chunks, count, 2);
}
API void onn_read(Model* model, uint32_t* chunks, int64_t count) {
    read_chunks(*model, chunks, count, 2);
}

API void onn_counters(Model* model, uint64_t* counters) {
    const Vonn* top = model->top;
    const uint64_t all[] = {top->count_cycles, top->count_steps, top->count_reads,
                            top->count_clips, top->count_crossings};
    memcpy(counters, all, sizeof all);
}

#if VM_COVERAGE
API void onn_coverage(Model* model, const char* path) { model->context.coveragep()->write(path); }
#endif
