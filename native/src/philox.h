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

#if defined(__AVX2__)
// The products of eight numbers with a factor: their upper and their lower halves.
GATEWISE_INLINE void wide_product(__m256i a, __m256i factor, __m256i& high, __m256i& low) {
    __m256i even = _mm256_mul_epu32(a, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
    high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

// As `draw` for eight counters, by vectors: the compiler's own way through 64-bit products takes four times as long.
template <>
inline void draw<8>(uint32_t quad, uint32_t row, uint32_t time, uint32_t which, uint64_t seed, uint32_t* numbers) {
    __m256i c0 = _mm256_add_epi32(_mm256_set1_epi32(int(quad)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    __m256i c1 = _mm256_set1_epi32(int(row)), c2 = _mm256_set1_epi32(int(time)), c3 = _mm256_set1_epi32(int(which));
    const __m256i m0 = _mm256_set1_epi32(int(0xD2511F53u)), m1 = _mm256_set1_epi32(int(0xCD9E8D57u));
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; round++) {
        __m256i high0, low0, high1, low1;
        wide_product(c0, m0, high0, low0);
        wide_product(c2, m1, high1, low1);
        c0 = _mm256_xor_si256(_mm256_xor_si256(high1, c1), _mm256_set1_epi32(int(k0)));
        c2 = _mm256_xor_si256(_mm256_xor_si256(high0, c3), _mm256_set1_epi32(int(k1)));
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    // Four numbers of each counter side by side.
    __m256i a = _mm256_unpacklo_epi32(c0, c1), b = _mm256_unpackhi_epi32(c0, c1);
    __m256i c = _mm256_unpacklo_epi32(c2, c3), d = _mm256_unpackhi_epi32(c2, c3);
    __m256i r0 = _mm256_unpacklo_epi64(a, c), r1 = _mm256_unpackhi_epi64(a, c);
    __m256i r2 = _mm256_unpacklo_epi64(b, d), r3 = _mm256_unpackhi_epi64(b, d);
    __m256i* to = reinterpret_cast<__m256i*>(numbers);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(r0, r1, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(r2, r3, 0x20));
    _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(r0, r1, 0x31));
    _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(r2, r3, 0x31));
}
#endif

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
        if (skipped == 0 && own == 4 * width && !never) {
            for (int n = 0; n < 4 * width; n++) {
                I value = -I(numbers[n] >= threshold);
                std::memcpy(lanes + k + n, &value, sizeof(I));
            }
            k += own;
            continue;
        }
        for (int n = 0; n < own; n++) {
            I value = never ? I(0) : -I(numbers[skipped + n] >= threshold);
            std::memcpy(lanes + k + n, &value, sizeof(I));
        }
        k += own;
    }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
