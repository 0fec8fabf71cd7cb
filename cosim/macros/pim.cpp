// Drives a Verilated PIM macro alone from numpy buffers, with no Python per cycle.
// model.h names the geometry. Pixels are streamed in the order of pysim.pim.window: by address, row
// group by row group. No unfolded image exists.


#include "Vpim.h"
#include "model.h"
#include "port/bits.h"

#define API extern "C" __attribute__((visibility("default")))
#define PORT(stream, part) stream##___05F##part  // a port of the model: the simulator writes __ so

namespace {

struct Run {
    int64_t samples, positions, kernel_rows, channels, passes, groups, limit_cycles;
    int64_t source[4];  // channels, depth, height, width
    int64_t kernel[3], stride[3], padding[3], target[3];  // depth, height, width
    int64_t shift, limit, sigma;
    uint64_t stall;  // 0: never; else the seed of pauses of both streams
    const uint32_t* streams;
    const uint8_t* images;
    int64_t* currents;  // [sample, channel, position]
    int32_t* codes;     // [sample, position, pass, group, pulse, round, converter], or null
    int64_t* cycles;    // [sample], from the first pixels to the last currents, and all waiting
    uint64_t* counters;
};

struct Model {
    VerilatedContext context;
    Vpim* top;
    const Run* run = nullptr;
    int64_t sample = 0, position = 0, pass = 0, cycle = 0;
    int32_t* code = nullptr;
    uint64_t random = 0;

    Model() {
        const char* name = "pim";
        context.commandArgs(1, &name);  // memories ask for +NAME=FILE
        top = new Vpim(&context, "");
        top->rst = 1;
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

    void tick() {
        if (top->code_valid && code)
            for (int n = 0; n < CONVERTERS; ++n) {
                const uint64_t bits = get(top->codes, int64_t(n) * ADC_BITS, ADC_BITS);
                *code++ = MERGED ? int32_t(extend(bits, ADC_BITS)) : int32_t(bits);
            }
        if (run) {
            top->PORT(o, ready) = !pause();
            top->clk = 0;
            top->eval();
            if (top->PORT(o, valid) && top->PORT(o, ready)) take();
        } else {
            top->clk = 0;
            top->eval();
        }
        top->clk = 1;
        top->eval();
        ++cycle;
    }

    void take() {
        for (int64_t word = 0; word < CAPACITY; ++word) {
            const int64_t channel = pass * CAPACITY + word;
            if (channel >= run->channels) break;
            const int64_t at = (sample * run->channels + channel) * run->positions + position;
            const uint64_t bits = get(top->PORT(o, payload), word * CURRENT_BITS, CURRENT_BITS);
            run->currents[at] = extend(bits, CURRENT_BITS);
        }
        if (++pass == run->passes) pass = 0, ++position;
    }

    void pixels(const uint8_t* image, const int64_t* at, int64_t group) {
        const Run& r = *run;
        zero(top->PORT(i, payload));
        for (int64_t row = 0; row < ACTIVE_ROWS; ++row) {
            int64_t k = group * ACTIVE_ROWS + row;
            if (k >= r.kernel_rows) return;
            int64_t place[3], flat = 0;
            bool inside = true;
            for (int d = 2; d >= 0; --d) {
                place[d] = at[d] * r.stride[d] + k % r.kernel[d] - r.padding[d];
                k /= r.kernel[d];
                inside &= place[d] >= 0 && place[d] < r.source[d + 1];
            }
            flat = ((k * r.source[1] + place[0]) * r.source[2] + place[1]) * r.source[3] + place[2];
            if (inside) set(top->PORT(i, payload), row * PIXEL_BITS, PIXEL_BITS, image[flat]);
        }
    }

    int go(const Run& r) {
        run = &r;
        random = r.stall;
        const int64_t size = r.source[0] * r.source[1] * r.source[2] * r.source[3];
        code = r.codes;
        top->kernel_rows = r.kernel_rows, top->channels = r.channels;
        top->shift = r.shift, top->limit = r.limit, top->sigma = r.sigma;
        top->zero = 1;
        tick();
        top->zero = 0;
        for (sample = 0; sample < r.samples; ++sample) {
            top->stream = r.streams[sample];
            top->clear = 1;
            tick();
            top->clear = 0;
            while (top->busy) tick();
            const int64_t begin = cycle;
            position = pass = 0;
            int64_t at[3];
            for (at[0] = 0; at[0] < r.target[0]; ++at[0])
                for (at[1] = 0; at[1] < r.target[1]; ++at[1])
                    for (at[2] = 0; at[2] < r.target[2]; ++at[2])
                        for (int64_t n = 0; n < r.passes * r.groups; ++n) {
                            const int64_t since = cycle;
                            while (pause()) tick();
                            pixels(r.images + sample * size, at, n % r.groups);
                            top->PORT(i, valid) = 1;
                            bool taken = false;
                            while (!taken) {
                                if (cycle - since > r.limit_cycles) return 1;
                                top->clk = 0;
                                top->eval();
                                taken = top->PORT(i, ready);
                                tick();
                            }
                            top->PORT(i, valid) = 0;
                        }
            for (const int64_t since = cycle; position < r.positions; tick())
                if (cycle - since > r.limit_cycles) return 1;
            r.cycles[sample] = cycle - begin;
        }
        tick();
        const uint64_t counters[] = {top->count_n_read,   top->count_n_blp, top->count_n_adc,
                                     top->count_n_cycles, top->count_n_sat, top->count_n_clip};
        for (int n = 0; n < 6; ++n) r.counters[n] = counters[n];
        run = nullptr;
        code = nullptr;
        return 0;
    }
};

}  // namespace

API Model* pim_new() { return new Model; }
API void pim_free(Model* model) { delete model; }
API int pim_run(Model* model, const Run* run) { return model->go(*run); }

// Chunks uint32 [count, 4]: memory, row, index, data.
API void pim_load(Model* model, const uint32_t* chunks, int64_t count) {
    for (; count--; chunks += 4) {
        zero(model->top->load);
        set(model->top->load, 0, 1, 1);
        set(model->top->load, LOAD_MEMORY, 16, chunks[0]);
        set(model->top->load, LOAD_ROW, 16, chunks[1]);
        set(model->top->load, LOAD_INDEX, 16, chunks[2]);
        set(model->top->load, LOAD_DATA, 32, chunks[3]);
        model->tick();
    }
    zero(model->top->load);
    model->tick();
    model->tick();
}
