// Native harness, second part, behind chip.cpp: runs many samples per call from numpy buffers.
// Inputs go straight into the slots of the axon rings. After each tick, spikes, membranes and
// counters are read from the memories and registers of the model.

#pragma GCC visibility push(default)
extern "C" {

// States of a neuron that may be recorded, and the memories that hold them. A chip may lack some.
enum { MEMBRANE, CURRENT, ADAPTATION, STATES };

// The structures of cosim/verilator/harness.py.
struct InputPlace {
    int64_t core;
    int64_t size;           // lines
    int64_t delay;          // ticks from a step to the arrival of its spikes
    int64_t first_axon;     // axon of line 0
    int64_t stride;         // bytes of a step of `spikes`
    const uint8_t* spikes;  // [sample, step, stride]
};
struct PopulationPlace {
    int64_t core, size, start;
    const int64_t* neurons;  // [size] word * lanes + lane
    uint8_t* spikes;         // [sample, step, ceil(size / 8)]
    int32_t* states[STATES]; // [sample, step, size], or null: membranes, currents, adaptations
};
// The PIM layer of a chip with a macro. Frame k is computed right before tick start + k.
struct Pim {
    int64_t pixels, frames, start, size;
    const uint8_t* images;    // [sample, pixel]
    const int64_t* rows;      // [pixel] row of the memory of pixels
    const uint32_t* streams;  // [frame]
    const int64_t* neurons;   // [size] word * lanes + lane
    int32_t* currents;        // [sample, frame, size]
};
// The macro of a chip whose results are events. It runs right before each of the first `runs` ticks
// of a sample. It sends its events to a group of axons right before `steps` ticks, from its first on.
struct Front {
    int64_t writes, reads, groups, runs;
    const uint32_t* write_addresses;  // [write]
    const uint32_t* writes_of;        // [sample, write] words for them
    const uint32_t* read_addresses;   // [read]
    uint32_t* reads_of;               // [sample, read] words there behind the sample
    const int64_t* firsts;            // [group] first tick
    const uint32_t* axons;            // [group] axon of line 0
    const uint32_t* delays;           // [group] of the events
};
struct Run {
    int64_t samples, steps, ticks, lanes, words, axon_chunks, slots, cycle_limit;
    int64_t bits[STATES];  // of each state
    int64_t cores, inputs, populations, counters;
    const InputPlace* input;  // those of one core are neighbours
    const PopulationPlace* population;
    int64_t* counts;  // [sample, tick, core, counters] what each tick added
    const Pim* pim;   // or null
    const Front* front;  // or null
};
}
#pragma GCC visibility pop

namespace {

const char* const STATE_MEMORIES[STATES] = {"v", "y", "a"};

// Where a neuron's spike (a bit of the spikes memory) and states (entries of `values`) are.
struct Place {
    int32_t spike, state;
};

// dst |= src, `bits` of them, at bit offset `at` of dst.
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

// Eight blocks side by side, the same 32 x 32 bit transpose in each: out[c] bit r = in[r] bit c.
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

// 32 bits of src from bit offset `at`. At least 8 bytes behind the end of src are readable.
uint32_t bits32(const uint8_t* src, int64_t at) {
    uint64_t word;
    std::memcpy(&word, src + (at >> 3), 8);
    return uint32_t(word >> (at & 7));
}

// The bit planes of one state as numbers.
class State {
  public:
    State(const Run& run, int which, std::vector<Memory*> memories)
        : run(run), bits(run.bits[which]), is_signed(which != ADAPTATION), memories(memories),
          groups((run.lanes + 31) / 32), blocks(run.words * groups), stride(memories[0]->stride),
          plane_buffer(run.words * stride + 8), values((blocks + BLOCKS - 1) / BLOCKS * BLOCKS * 32) {
    }
    void record(int64_t core, const std::vector<Place>& places, int32_t* out) {
        if (unpacked != core) unpack(core);
        for (const Place& place : places) *out++ = values[place.state];
    }
    void forget() { unpacked = -1; }

  private:
    const Run& run;
    const int64_t bits;
    const bool is_signed;
    std::vector<Memory*> memories;  // of each core
    const int64_t groups;           // blocks of a word
    const int64_t blocks;           // of 32 lanes of a word
    const int64_t stride;
    std::vector<uint8_t> plane_buffer;
    std::vector<int32_t> values;  // [blocks / BLOCKS, lane of 32, BLOCKS]
    int64_t unpacked = -1;        // core whose state is in `values`

    void unpack(int64_t core) {
        unpacked = core;
        std::memcpy(plane_buffer.data(), memories[core]->data, run.words * stride);
        for (int64_t first = 0; first < blocks; first += BLOCKS) {
            Blocks planes[32] = {};
            for (int64_t i = 0; i < BLOCKS && first + i < blocks; ++i) {
                const uint8_t* word = plane_buffer.data() + (first + i) / groups * stride;
                const int64_t lane = (first + i) % groups * 32;
                for (int64_t b = 0; b < bits; ++b)
                    planes[b][i] = bits32(word, b * run.lanes + lane);
            }
            for (int64_t b = bits; is_signed && b < 32; ++b) planes[b] = planes[bits - 1];
            transpose32(planes);
            std::memcpy(&values[first * 32], planes, sizeof planes);
        }
    }
};

// Spikes and states of every population, tick by tick.
class Recorder {
  public:
    Recorder(Model* model, const Run& run) : run(run), places(run.populations) {
        for (int64_t core = 0; core < run.cores; ++core)
            spikes.push_back(model->find("spikes", core));
        for (int which = 0; which < STATES; ++which) {
            std::vector<Memory*> memories;
            for (int64_t core = 0; core < run.cores && run.bits[which]; ++core)
                memories.push_back(model->find(STATE_MEMORIES[which], core));
            if (run.bits[which]) states[which] = std::make_unique<State>(run, which, memories);
        }
        const int64_t groups = (run.lanes + 31) / 32;
        for (int64_t p = 0; p < run.populations; ++p)
            for (int64_t n = 0; n < run.population[p].size; ++n) {
                const int64_t neuron = run.population[p].neurons[n];
                const int64_t word = neuron / run.lanes, lane = neuron % run.lanes;
                const int64_t block = word * groups + lane / 32;
                places[p].push_back(
                    {int32_t(word * spikes[0]->stride * 8 + lane),
                     int32_t((block / BLOCKS * 32 + lane % 32) * BLOCKS + block % BLOCKS)});
            }
    }
    // Every population that is inside its steps at this tick.
    void record(int64_t sample, int64_t tick) {
        for (auto& state : states)
            if (state) state->forget();
        for (int64_t p = 0; p < run.populations; ++p) {
            const PopulationPlace& pop = run.population[p];
            const int64_t step = tick - pop.start;
            if (step < 0 || step >= run.steps) continue;
            const int64_t row = sample * run.steps + step, bytes = (pop.size + 7) / 8;
            uint8_t* out = pop.spikes + row * bytes;
            std::memset(out, 0, bytes);
            const Place* place = places[p].data();
            const uint8_t* fired = spikes[pop.core]->data;
            for (int64_t n = 0; n < pop.size; ++n) {
                const int32_t at = place[n].spike;
                out[n >> 3] |= uint8_t(((fired[at >> 3] >> (at & 7)) & 1) << (n & 7));
            }
            for (int which = 0; which < STATES; ++which)
                if (pop.states[which])
                    states[which]->record(pop.core, places[p], pop.states[which] + row * pop.size);
        }
    }

  private:
    const Run& run;
    std::vector<Memory*> spikes;  // of each core
    std::unique_ptr<State> states[STATES];
    std::vector<std::vector<Place>> places;  // so that no tick divides
};

// Set the axons whose inputs arrive at this tick.
void arrive(const Run& run, const std::vector<Memory*>& rings, std::vector<uint8_t>& slot_bits,
            int64_t sample, int64_t tick) {
    const int64_t slot = tick % run.slots;
    for (int64_t p = 0; p < run.inputs;) {
        const int64_t core = run.input[p].core;
        bool any = false;
        for (; p < run.inputs && run.input[p].core == core; ++p) {
            const InputPlace& in = run.input[p];
            const int64_t step = tick - in.delay;
            if (step < 0 || step >= run.steps) continue;
            if (!any) std::fill(slot_bits.begin(), slot_bits.end(), 0), any = true;
            const uint8_t* spikes = in.spikes + (sample * run.steps + step) * in.stride;
            or_bits(slot_bits.data(), in.first_axon, spikes, in.size);
        }
        if (any) {
            uint8_t* target = rings[core]->data + slot * RING_CHUNKS * rings[core]->stride;
            for (int64_t i = 0; i < run.axon_chunks * 8; ++i) target[i] |= slot_bits[i];
        }
    }
}

#ifdef CONTROL_PIM_BIT
void fill_pixels(Model* model, const Pim& pim, int64_t sample) {
    Memory* pixels = model->find("pim_pixels", 0);
    const uint8_t* image = pim.images + sample * pim.pixels;
    for (int64_t i = 0; i < pim.pixels; ++i) pixels->data[pim.rows[i] * pixels->stride] = image[i];
}

// The currents of the frame that this tick needs, if it needs one. False: the macro does not end.
bool convert(Model* model, const Run& run, int64_t sample, int64_t tick) {
    const Pim& pim = *run.pim;
    const int64_t frame = tick - pim.start;
    if (frame < 0 || frame >= pim.frames) return true;
    model->write(PIM_STREAM_ADDRESS, pim.streams[frame]);
    model->write(CONTROL_ADDRESS, CONTROL_PIM_BIT);
    if (!model->idle(run.cycle_limit)) return false;
    const Memory* currents = model->find("currents", 0);
    int32_t* out = pim.currents + (sample * pim.frames + frame) * pim.size;
    for (int64_t n = 0; n < pim.size; ++n) {
        const int64_t word = pim.neurons[n] / run.lanes, lane = pim.neurons[n] % run.lanes;
        std::memcpy(&out[n], currents->data + word * currents->stride + lane * 4, 4);
    }
    return true;
}
#endif

#ifdef CONTROL_RUN_BIT
// What the macro begins a sample with.
void begin(Model* model, const Front& front, int64_t sample) {
    for (int64_t i = 0; i < front.writes; ++i)
        model->write(front.write_addresses[i], front.writes_of[sample * front.writes + i]);
}

// Its state behind the sample.
void finish(Model* model, const Run& run, int64_t sample) {
    const Front& front = *run.front;
    for (int64_t i = 0; i < front.reads; ++i)
        front.reads_of[sample * front.reads + i] = uint32_t(model->read(front.read_addresses[i], run.cycle_limit));
}

// What the macro does right before this tick. False: it does not end.
bool run_front(Model* model, const Run& run, int64_t tick) {
    const Front& front = *run.front;
    if (tick < front.runs) {
        model->write(CONTROL_ADDRESS, CONTROL_RUN_BIT);
        if (!model->idle(run.cycle_limit)) return false;
    }
    for (int64_t i = 0; i < front.groups; ++i) {
        const int64_t turn = tick - front.firsts[i];
        if (turn < 0 || turn >= run.steps) continue;
        model->write(FRONT_AXON_ADDRESS, front.axons[i]);
#ifdef FRONT_DELAY_ADDRESS
        model->write(FRONT_DELAY_ADDRESS, front.delays[i]);
#endif
        model->write(CONTROL_ADDRESS, CONTROL_SEND_BIT);
        if (!model->idle(run.cycle_limit)) return false;
    }
    return true;
}
#endif

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// 0: done. 1: a tick did not end within the limit.
int sl_run(Model* model, const Run* run) {
    Vchip___024root* root = model->root;
    std::vector<Memory*> rings;  // of each core
    for (int64_t core = 0; core < run->cores; ++core) rings.push_back(model->find("ring", core));
    const int64_t counters = run->cores * run->counters;
    std::vector<uint64_t> before(counters, 0), now(counters, 0);
    std::vector<uint8_t> slot_bits(RING_CHUNKS * 8 + 8);
    Recorder recorder(model, *run);

    for (int64_t sample = 0; sample < run->samples; ++sample) {
        HOLD(model, true);
        model->write(CONTROL_ADDRESS, CONTROL_CLEAR_BIT);
        if (!model->idle(run->cycle_limit)) return 1;
        HOLD(model, false);
        READ_COUNTERS(root, before);
#ifdef CONTROL_PIM_BIT
        if (run->pim) fill_pixels(model, *run->pim, sample);
#endif
#ifdef CONTROL_RUN_BIT
        if (run->front) begin(model, *run->front, sample);
#endif
        for (int64_t tick = 0; tick < run->ticks; ++tick) {
            arrive(*run, rings, slot_bits, sample, tick);
#ifdef CONTROL_PIM_BIT
            if (run->pim && !convert(model, *run, sample, tick)) return 1;
#endif
#ifdef CONTROL_RUN_BIT
            if (run->front && !run_front(model, *run, tick)) return 1;
#endif
            model->top->tick = 1;
            model->cycle();
            model->top->tick = 0;
            if (!model->ticked(run->cycle_limit)) return 1;
            READ_COUNTERS(root, now);
            int64_t* counts = run->counts + (sample * run->ticks + tick) * counters;
            for (int64_t c = 0; c < counters; ++c) counts[c] = int64_t(now[c] - before[c]);
            before = now;
            recorder.record(sample, tick);
        }
#ifdef CONTROL_RUN_BIT
        if (run->front) finish(model, *run, sample);
#endif
    }
    return 0;
}
}
#pragma GCC visibility pop
