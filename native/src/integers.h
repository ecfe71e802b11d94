// Products of a few rows with a matrix of int8: sums of whole numbers, exact, of weights and of inputs rounded to 16 bits.
//
// Of each block of k the inputs of a row share one scale, the weights of a column another for all k. No sum overflows: 127 *
// 32767 * block_length is below 2^31.
#pragma once

#include "product.h"

#include <cmath>

namespace gatewise {
namespace GATEWISE_ISA {

constexpr int integer_block = 256, integer_rows = 4;

// Blocks of k follow each other in memory; of each block the panels, of a panel pairs of k, of a pair all columns. `columns` fills
// its panels. Where the panel of a block begins, in bytes:
inline int64_t integer_panel(int64_t length, int64_t columns, int64_t k, int64_t column) {
    const int64_t block = length - k < integer_block ? (length - k + 1) / 2 * 2 : integer_block;
    return k * columns + column * block;
}

// Rounds `length` inputs to whole numbers, two of them in a word; what one of them stands for.
inline float to_integers(const float* from, int length, int16_t* to) {
    float largest = 0;
    bool finite = true;
    for (int k = 0; k < length; k++) {
        float size = std::fabs(from[k]);
        largest = size > largest ? size : largest;
        finite &= size <= std::numeric_limits<float>::max();
    }
    const float inverse = finite && largest > 1e-30f ? 32767 / largest : 0;
    for (int k = 0; k < length; k++) {
        // Adding 1.5 * 2^23 rounds to the nearest whole number, which then stands in the lowest bits.
        float shifted = from[k] * inverse + 12582912.0f;
        int32_t word;
        std::memcpy(&word, &shifted, 4);
        to[k] = int16_t(word);
    }
    if (length & 1) to[length] = 0;
    return finite ? largest / 32767 : std::numeric_limits<float>::quiet_NaN();
}

// Adds to each column the products of a pair of weights and a pair of inputs.
GATEWISE_INLINE void add_pairs(const int8_t* weights, const int16_t* pair, Integers<float> (&total)[2]) {
    constexpr int lanes = Lanes<float>::count;
#if GATEWISE_VECTOR_BYTES == 64
    int32_t word;
    std::memcpy(&word, pair, 4);
    const __m512i inputs = _mm512_set1_epi32(word);
    for (int p = 0; p < 2; p++) {
        __m512i wide =
            _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + p * 2 * lanes)));
        total[p] = bits<Integers<float>>(_mm512_add_epi32(bits<__m512i>(total[p]), _mm512_madd_epi16(wide, inputs)));
    }
#elif defined(__AVX2__)
    int32_t word;
    std::memcpy(&word, pair, 4);
    const __m256i inputs = _mm256_set1_epi32(word);
    for (int p = 0; p < 2; p++) {
        __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + p * 2 * lanes)));
        total[p] = bits<Integers<float>>(_mm256_add_epi32(bits<__m256i>(total[p]), _mm256_madd_epi16(wide, inputs)));
    }
#else
    const int32_t first = pair[0], second = pair[1];
    for (int p = 0; p < 2; p++)
        for (int n = 0; n < lanes; n++) {
            const int8_t* at = weights + p * 2 * lanes + 2 * n;
            total[p][n] += at[0] * first + at[1] * second;
        }
#endif
}

template <int R>
void integer_tile(const int16_t (*inputs)[integer_block], const float* units, int pairs, const int8_t* panel,
    const float* scales, float* const* out, int columns) {
    constexpr int lanes = Lanes<float>::count;
    Integers<float> total[R][2] = {};
    for (int k = 0; k < pairs; k++) {
        if (k % 2 == 0) __builtin_prefetch(panel + int64_t(k) * 2 * panel_columns<float> + 1024);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) add_pairs(panel + int64_t(k) * 2 * panel_columns<float>, inputs[r] + 2 * k, total[r]);
    }
    for (int r = 0; r < R; r++)
        for (int p = 0; p < 2; p++) {
            int rest = columns - p * lanes;
            if (rest <= 0) continue;
            Vector<float> sum = __builtin_convertvector(total[r][p], Vector<float>) * (load(scales + p * lanes) * units[r]);
            float* to = out[r] + p * lanes;
            if (rest >= lanes)
                store(to, load(to) + sum);
            else
                store_some(to, load_some(to, rest) + sum, rest);
        }
}

// As packed_product, of panels that `narrow` made; a few rows at a time.
inline void integer_product(const TermRun<float>* terms, int term_count, const Target<float>& target, int groups, int rows,
    int first, int count) {
    constexpr int width = panel_columns<float>;
    const int64_t all = int64_t(groups) * rows;
    for (int64_t begin = 0; begin < all; begin += integer_rows) {
        const int own = int(all - begin < integer_rows ? all - begin : integer_rows);
        int64_t group[integer_rows], row[integer_rows];
        for (int r = 0; r < own; r++) {
            group[r] = (begin + r) / rows, row[r] = (begin + r) % rows;
            float* out = target.out + group[r] * target.group + row[r] * target.row;
            const float* base = target.base ? target.base + group[r] * target.base_group + row[r] * target.base_row : nullptr;
            for (int n = first; n < first + count; n++) out[n] = base ? base[target.base_is_scalar ? 0 : n] : 0;
        }
        for (int t = 0; t < term_count; t++) {
            const TermRun<float>& term = terms[t];
            for (int k = 0; k < term.length; k += integer_block) {
                const int length = term.length - k < integer_block ? term.length - k : integer_block;
                alignas(64) int16_t inputs[integer_rows][integer_block];
                float units[integer_rows];
                for (int r = 0; r < own; r++)
                    units[r] = to_integers(term.vector + group[r] * term.group + row[r] * term.row + k, length, inputs[r]);
                for (int column = first; column < first + count; column += width) {
                    const int8_t* panel =
                        static_cast<const int8_t*>(term.matrix) + integer_panel(term.length, term.leading, k, column);
                    float* out[integer_rows];
                    for (int r = 0; r < own; r++) out[r] = target.out + group[r] * target.group + row[r] * target.row + column;
                    const int columns = first + count - column < width ? first + count - column : width;
                    const int pairs = (length + 1) / 2;
                    const float* scales = term.scales + column;
                    switch (own) {
                        case 1: integer_tile<1>(inputs, units, pairs, panel, scales, out, columns); break;
                        case 2: integer_tile<2>(inputs, units, pairs, panel, scales, out, columns); break;
                        case 3: integer_tile<3>(inputs, units, pairs, panel, scales, out, columns); break;
                        default: integer_tile<4>(inputs, units, pairs, panel, scales, out, columns);
                    }
                }
            }
        }
    }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
