// Fields of a port of a Verilated model, whether it is an integer or an array of 32-bit words.

#include <cstdint>
#include <type_traits>

template <class T> uint64_t get(const T& port, int64_t at, int bits) {
    const uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    if constexpr (std::is_integral_v<T>) {
        return uint64_t(port) >> at & mask;
    } else {
        uint64_t value = port[at / 32] >> at % 32;
        for (int have = 32 - at % 32, word = at / 32 + 1; have < bits; have += 32, ++word)
            value |= uint64_t(port[word]) << have;
        return value & mask;
    }
}

template <class T> void set(T& port, int64_t at, int bits, uint64_t value) {  // bits that were 0
    if constexpr (std::is_integral_v<T>) {
        port |= T(value) << at;
    } else {
        for (int done = 0; done < bits;) {
            const int64_t bit = at + done;
            port[bit / 32] |= uint32_t(value >> done << bit % 32);
            done += 32 - bit % 32;
        }
    }
}

template <class T> void zero(T& port) {
    if constexpr (std::is_integral_v<T>) port = 0;
    else for (size_t i = 0; i < sizeof(port) / sizeof(port[0]); ++i) port[i] = 0;
}

inline int64_t extend(uint64_t value, int bits) {
    return int64_t(value << (64 - bits)) >> (64 - bits);
}
