// Accesses through the load port of a model; model.h says where their fields lie.
// A chunk is uint32 [4]: memory, row, index, data. `wait`: cycles from an access to its effect.

template <class Model> void access(Model& model, bool write, const uint32_t* chunk) {
    auto& load = model.top->load;
    zero(load);
    set(load, LOAD_EN, 1, 1);
    set(load, LOAD_WRITE, 1, write);
    set(load, LOAD_MEMORY, LOAD_MEMORY_BITS, chunk[0]);
    set(load, LOAD_ROW, LOAD_ROW_BITS, chunk[1]);
    set(load, LOAD_INDEX, LOAD_INDEX_BITS, chunk[2]);
    set(load, LOAD_DATA, 32, chunk[3]);
    model.tick();
    zero(load);
}

template <class Model> void idle(Model& model, int wait) {
    while (wait--) model.tick();
}

template <class Model>
void write_chunks(Model& model, const uint32_t* chunks, int64_t count, int wait) {
    for (; count--; chunks += 4) access(model, true, chunks);
    idle(model, wait);
}

// Fills in the data.
template <class Model> void read_chunks(Model& model, uint32_t* chunks, int64_t count, int wait) {
    for (; count--; chunks += 4) {
        access(model, false, chunks);
        idle(model, wait);
        chunks[3] = model.top->read;
    }
}
