// Random masks from a counter: Philox 4x32-10 (Salmon et al. 2011), the same numbers as gatewise.engines.philox.
#pragma once

#include "lanes.h"
#include "plan.h"

namespace gatewise {
namespace GATEWISE_ISA {

// Truth values of units [first, first + count) of one row; `first` may be any number.
template <class T>
void keep_chunk(T* result, const Keep& keep, int64_t first, int count, uint32_t row, uint32_t time, uint32_t which,
    uint64_t seed) {
    using I = typename Lanes<T>::integer;
    if (!keep.per_step) time = 0;
    int k = 0;
    // Blocks of counters side by side, so that the compiler may take them together.
    constexpr int width = 8;
    alignas(64) uint32_t numbers[4][width];
    while (k < count) {
        int64_t quad = (first + k) / 4;
        uint32_t c0[width], c1[width], c2[width], c3[width];
        for (int j = 0; j < width; j++) {
            c0[j] = uint32_t(quad + j);
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
            numbers[0][j] = c0[j];
            numbers[1][j] = c1[j];
            numbers[2][j] = c2[j];
            numbers[3][j] = c3[j];
        }
        int64_t from = quad * 4;
        for (int64_t unit = first + k; unit < from + 4 * width && k < count; unit++, k++) {
            I value = uint64_t(numbers[(unit - from) % 4][(unit - from) / 4]) >= keep.threshold ? I(-1) : I(0);
            std::memcpy(result + k, &value, sizeof(I));
        }
    }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
