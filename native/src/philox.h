// Random masks from a counter: Philox 4x32-10 (Salmon et al. 2011), the same numbers as gatewise.engines.philox.
#pragma once

#include "lanes.h"
#include "plan.h"

namespace gatewise {
namespace GATEWISE_ISA {

// Four random numbers for each of `width` counters in a row, in the order of the counters.
template <int width>
GATEWISE_INLINE void draw(uint32_t quad, uint32_t row, uint32_t time, uint32_t which, uint64_t seed, uint32_t* numbers) {
    uint32_t c0[width], c1[width], c2[width], c3[width];
    for (int j = 0; j < width; j++) {
        c0[j] = quad + uint32_t(j);
        c1[j] = row;
        c2[j] = time;
        c3[j] = which;
    }
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; round++) {
        for (int j = 0; j < width; j++) {
            uint64_t p0 = uint64_t(0xD2511F53u) * c0[j], p1 = uint64_t(0xCD9E8D57u) * c2[j];
            c0[j] = uint32_t(p1 >> 32) ^ c1[j] ^ k0;
            c2[j] = uint32_t(p0 >> 32) ^ c3[j] ^ k1;
            c1[j] = uint32_t(p1);
            c3[j] = uint32_t(p0);
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int j = 0; j < width; j++) {
        numbers[4 * j] = c0[j];
        numbers[4 * j + 1] = c1[j];
        numbers[4 * j + 2] = c2[j];
        numbers[4 * j + 3] = c3[j];
    }
}

// Truth values of units [first, first + count) of one row; `first` may be any number.
template <class T>
void keep_chunk(T* result, const Keep& keep, int64_t first, int count, uint32_t row, uint32_t time, uint32_t which,
    uint64_t seed) {
    using I = typename Lanes<T>::integer;
    if (!keep.per_step) time = 0;
    I* lanes = reinterpret_cast<I*>(result);
    // Counters side by side, so that the compiler takes them together; units in the order in which they come out.
    constexpr int width = 8;
    alignas(64) uint32_t numbers[4 * width];
    const bool never = keep.threshold >> 32;
    const uint32_t threshold = uint32_t(keep.threshold);
    for (int k = 0; k < count;) {
        const int64_t quad = (first + k) / 4;
        draw<width>(uint32_t(quad), row, time, which, seed, numbers);
        const int skipped = int(first + k - quad * 4);
        const int own = count - k < 4 * width - skipped ? count - k : 4 * width - skipped;
        for (int n = 0; n < own; n++) {
            I value = never ? I(0) : -I(numbers[skipped + n] >= threshold);
            std::memcpy(lanes + k + n, &value, sizeof(I));
        }
        k += own;
    }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
