// Where the packed matrices of a plan lie, and how they are made.
#pragma once

#include "gatewise.h"
#include "plan.h"
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

inline size_t bytes_of(int format, size_t element) {
    return format == GATEWISE_BFLOAT16 ? 2 : format == GATEWISE_INT8 ? 1 : element;
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
            total += round_up(columns * size_t(plan.terms[t].length) * bytes_of(format, sizeof(T)));
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
    for (int64_t k = 0; k < int64_t(length) * panel_columns<float>; k++) {
        uint32_t word;
        std::memcpy(&word, panel + k, 4);
        bool nan = (word & 0x7fffffff) > 0x7f800000;
        to[k] = uint16_t(nan ? (word >> 16) | 0x40 : (word + 0x7fff + ((word >> 16) & 1)) >> 16);
    }
}
inline void narrow(const float* panel, int length, int8_t* to, float* scales) {
    constexpr int width = panel_columns<float>;
    for (int n = 0; n < width; n++) {
        float largest = 0;
        for (int k = 0; k < length; k++) {
            float size = std::fabs(panel[k * width + n]);
            largest = size > largest || size != size ? size : largest;
        }
        scales[n] = largest / 127;
        for (int k = 0; k < length; k++) {
            float level = largest > 0 && std::isfinite(largest) ? std::nearbyint(panel[k * width + n] / scales[n]) : 0;
            to[k * width + n] = int8_t(level);
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
                size_t at = size_t(column) * term.length;
                // `pack` counts panels from the first column on.
                Term shifted = term;
                (term.transposed ? shifted.column : shifted.row) += column;
                int own = p.columns - column < width ? p.columns - column : width;
                pack<T>(shifted, static_cast<const T*>(w.data), w.leading, own, 0, own, panel);
                if constexpr (sizeof(T) == 4) {
                    if (format == GATEWISE_BFLOAT16) {
                        narrow(panel, term.length, reinterpret_cast<uint16_t*>(packed + places[t].panels) + at);
                        continue;
                    }
                    if (format == GATEWISE_INT8) {
                        narrow(panel, term.length, reinterpret_cast<int8_t*>(packed + places[t].panels) + at,
                            reinterpret_cast<float*>(packed + places[t].scales) + column);
                        continue;
                    }
                }
                std::memcpy(packed + places[t].panels + at * sizeof(T), panel, size_t(width) * term.length * sizeof(T));
            }
        }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
