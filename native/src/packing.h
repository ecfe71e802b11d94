// Where the packed matrices of a plan lie, and how they are made.
#pragma once

#include "gatewise.h"
#include "plan.h"
#include "integers.h"
#include "product.h"

#include <cmath>
#include <cstring>

namespace gatewise {
namespace GATEWISE_ISA {

inline size_t round_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Of one term: from the start of the packed matrices to its panels and, for int8, its scales.
struct Place {
    size_t panels, scales;
};

// Bytes of the packed matrix of a term.
template <class T>
size_t matrix_bytes(int format, int32_t length, size_t columns) {
    if (format == GATEWISE_INT8) return (size_t(length) + 1) / 2 * 2 * columns;
    return size_t(length) * columns * (format == GATEWISE_BFLOAT16 ? 2 : sizeof(T));
}

// Sizes cannot overflow: a plan has fewer than 2^16 terms of fewer than 2^48 numbers each, and what is too much is refused.
template <class T>
bool place_packed(const gatewise_plan& plan, int format, Place* places, size_t& total) {
    constexpr size_t width = panel_columns<T>;
    total = 0;
    for (const Product& p : plan.products) {
        size_t columns = (size_t(p.columns) + width - 1) / width * width;
        for (int t = p.first_term; t < p.first_term + p.terms; t++) {
            Place place{total, 0};
            total += round_up(matrix_bytes<T>(format, plan.terms[t].length, columns));
            place.scales = total;
            if (format == GATEWISE_INT8) total += round_up(columns * sizeof(float));
            if (places) places[t] = place;
            if (total >> 46) return false;
        }
    }
    return true;
}

// One panel in fewer bits: bfloat16 to the nearest, even on a tie; int8 by the largest size in its column.
inline void narrow(const float* panel, int length, uint16_t* to) {
    constexpr int width = panel_columns<float>, half = width / 2;
    for (int k = 0; k < length; k++)
        for (int n = 0; n < width; n++) {
            uint32_t word;
            std::memcpy(&word, panel + int64_t(k) * width + n, 4);
            bool nan = (word & 0x7fffffff) > 0x7f800000;
            uint16_t upper = uint16_t(nan ? (word >> 16) | 0x40 : (word + 0x7fff + ((word >> 16) & 1)) >> 16);
            to[int64_t(k) * width + n % half * 2 + n / half] = upper;
        }
}
inline void narrow(const float* panel, int length, int columns, int column, int8_t* to, float* scales) {
    constexpr int width = panel_columns<float>;
    for (int n = 0; n < width; n++) {
        float largest = 0;
        bool finite = true;
        for (int k = 0; k < length; k++) {
            float size = std::fabs(panel[int64_t(k) * width + n]);
            largest = size > largest ? size : largest;
            finite &= size <= std::numeric_limits<float>::max();
        }
        // A column that holds no number gives none.
        scales[n] = finite ? largest / 127 : std::numeric_limits<float>::quiet_NaN();
        for (int k = 0; k < (length + 1) / 2 * 2; k++) {
            bool counts = k < length && finite && scales[n] > 0;
            float level = counts ? std::nearbyint(panel[int64_t(k) * width + n] / scales[n]) : 0;
            int block = k / integer_block * integer_block, inside = k - block;
            to[integer_panel(length, columns, block, column) + inside / 2 * 2 * width + 2 * n + inside % 2] = int8_t(level);
        }
    }
}

// All matrices of a plan, packed for later calls. `panel` has room for the longest panel.
template <class T>
void prepare(const gatewise_plan& plan, const gatewise_weight* weights, int format, const Place* places, char* packed, T* panel) {
    constexpr int width = panel_columns<T>;
    for (const Product& p : plan.products)
        for (int t = p.first_term; t < p.first_term + p.terms; t++) {
            const Term& term = plan.terms[t];
            const gatewise_weight& w = weights[term.weight];
            for (int column = 0; column < p.columns; column += width) {
                // `pack` counts panels from the first column on.
                Term shifted = term;
                (term.transposed ? shifted.column : shifted.row) += column;
                int own = p.columns - column < width ? p.columns - column : width;
                pack<T>(shifted, static_cast<const T*>(w.data), w.leading, own, 0, own, panel);
                char* matrix = packed + places[t].panels;
                size_t at = size_t(column) * term.length;
                if constexpr (sizeof(T) == 4) {
                    if (format == GATEWISE_BFLOAT16) {
                        narrow(panel, term.length, reinterpret_cast<uint16_t*>(matrix) + at);
                        continue;
                    }
                    if (format == GATEWISE_INT8) {
                        narrow(panel, term.length, (p.columns + width - 1) / width * width, column,
                            reinterpret_cast<int8_t*>(matrix), reinterpret_cast<float*>(packed + places[t].scales) + column);
                        continue;
                    }
                }
                std::memcpy(matrix + at * sizeof(T), panel, size_t(width) * term.length * sizeof(T));
            }
        }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
