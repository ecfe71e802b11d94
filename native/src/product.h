// Products of a few rows with a matrix: out[r][n] = base[r][n] + sum over terms and k of vector[r][k] * matrix[k][n].
//
// Each result is chains of multiply-adds over k in order, each from zero over one block and then added to what there is,
// however many rows or columns are computed together, so that its bits depend neither on the slice of the batch nor on the
// number of threads. Short chains keep the rounding small: what a chain has gathered stays near the size of its terms.
//
// Packed matrices may hold numbers of fewer bits (gatewise_format): they are widened in registers, and every product and sum
// is one of T.
#pragma once

#include "lanes.h"
#include "plan.h"

#include <utility>

namespace gatewise {
namespace GATEWISE_ISA {

// Columns of a packed panel: two vectors.
template <class T>
constexpr int panel_columns = 2 * Lanes<T>::count;
// Rows of a tile: its results and one row of the panel fill the registers, of which AVX-512 has twice as many.
constexpr int most_tile_rows = GATEWISE_VECTOR_BYTES == 64 ? 12 : 6;
// Steps over k between two visits of the results: a panel's block stays in the first-level cache for all rows.
template <class T>
constexpr int block_length = 1024 / int(sizeof(T));

template <class T>
struct TermRun {
    const T* vector;  // of row 0
    int64_t row;      // elements from row to row
    int64_t group;    // elements from one group of rows to the next
    int32_t length;
    const void* matrix;   // packed panels, or the weights themselves
    int64_t leading;      // of the weights themselves; columns of packed ones
    const float* scales;  // by column, where the panels hold int8
};

template <class T>
struct Target {
    T* out;
    int64_t row, group;
    const T* base;  // or nullptr
    int64_t base_row, base_group;
    bool base_is_scalar;
};

// One row of a packed panel, two vectors of T.
template <class T>
GATEWISE_INLINE void widen(const T* from, Vector<T>& first, Vector<T>& second) {
    first = load(from);
    second = load(from + Lanes<T>::count);
}
// bfloat16: the upper half of a float. A word holds one of the first vector below one of the second.
GATEWISE_INLINE void widen(const uint16_t* from, Vector<float>& first, Vector<float>& second) {
    Integers<float> words;
    std::memcpy(&words, from, sizeof(words));
    first = bits<Vector<float>>(Integers<float>(words << 16));
    second = bits<Vector<float>>(Integers<float>(words & int32_t(0xffff0000)));
}

// `columns` of `lanes` that exist, from `from` on.
template <class T>
GATEWISE_INLINE Vector<T> load_columns(const T* from, int rest) {
    return rest <= 0 ? Vector<T>{} : load_some(from, rest < Lanes<T>::count ? rest : Lanes<T>::count);
}

// What a tile of results is added to: nothing, one number a row, or a number for each.
template <class T, int R, int P>
GATEWISE_INLINE void add_start(
    Vector<T> (&total)[R][P * 2], const T* start, int64_t start_row, bool start_is_scalar, int columns) {
    constexpr int lanes = Lanes<T>::count;
    if (start == nullptr) return;
    const bool whole = columns == P * panel_columns<T>;
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 16
        for (int p = 0; p < P * 2; p++) {
            if (start_is_scalar)
                total[r][p] += spread<T>(start[r * start_row]);
            else if (whole)
                total[r][p] += load(start + r * start_row + p * lanes);
            else
                total[r][p] += load_columns(start + r * start_row + p * lanes, columns - p * lanes);
        }
}

// R rows and P panels; `columns` of the last panel exist.
template <class T, class W, int R, int P>
void tile(const T* vector, int64_t vector_row, int length, const void* const* matrices,
    const T* start, int64_t start_row, bool start_is_scalar, T* out, int64_t out_row, int columns) {
    constexpr int lanes = Lanes<T>::count, width = panel_columns<T>;
    using V = Vector<T>;
    V total[R][P * 2] = {};
    const W* panels[P];
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) panels[p] = static_cast<const W*>(matrices[p]);
    for (int k = 0; k < length; k++) {
        V right[P * 2];
#pragma GCC unroll 16
        for (int p = 0; p < P; p++) {
            widen(panels[p] + int64_t(k) * width, right[2 * p], right[2 * p + 1]);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            V left = spread<T>(vector[r * vector_row + k]);
#pragma GCC unroll 16
            for (int p = 0; p < P * 2; p++) total[r][p] += left * right[p];
        }
    }
    add_start<T, R, P>(total, start, start_row, start_is_scalar, columns);
    const bool whole = columns == P * width;
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 16
        for (int p = 0; p < P * 2; p++) {
            T* to = out + r * out_row + p * lanes;
            int rest = columns - p * lanes;
            if (whole)
                store(to, total[r][p]);
            else if (rest > 0)
                store_some(to, total[r][p], rest < lanes ? rest : lanes);
        }
}

template <class T>
using Tile = void (*)(const T*, int64_t, int, const void* const*, const T*, int64_t, bool, T*, int64_t, int);

template <class T, class W, size_t... R>
Tile<T> row_tile(int rows, std::index_sequence<R...>) {
    static constexpr Tile<T> tiles[] = {tile<T, W, int(R) + 1, 1>...};
    return tiles[rows - 1];
}

template <class T, class W>
Tile<T> tile_of(int rows, int panels) {
    if (panels == 4) return tile<T, W, 1, 4>;
    if (panels == 2) return rows == 3 ? tile<T, W, 3, 2> : tile<T, W, 2, 2>;
    return row_tile<T, W>(rows, std::make_index_sequence<most_tile_rows>());
}

// Columns [first, first + count) of a product whose matrices are packed, for rows [0, rows) of each of several groups;
// `first` is that of a panel.
template <class T, class W>
void packed_product(const TermRun<T>* terms, int term_count, const Target<T>& target, int groups, int rows, int first,
    int count) {
    constexpr int width = panel_columns<T>;
    const int tiles = (rows + most_tile_rows - 1) / most_tile_rows;
    const int together = rows == 1 ? 4 : rows <= 3 ? 2 : 1;  // few rows: more columns, so that no addition waits
    for (int column = first; column < first + count;) {
        int left = first + count - column;
        int panels = left > (together - 1) * width ? together : 1;
        int columns = left < panels * width ? left : panels * width;
        bool begun = false;
        for (int t = 0; t < term_count; t++) {
            const TermRun<T>& term = terms[t];
            const W* matrix = static_cast<const W*>(term.matrix);
            for (int k = 0; k < term.length; k += block_length<T>) {
                int length = term.length - k < block_length<T> ? term.length - k : block_length<T>;
                const void* right[4];
                for (int p = 0; p < panels; p++)
                    right[p] = matrix + (int64_t(column / width) + p) * term.length * width + int64_t(k) * width;
                for (int g = 0; g < groups; g++) {
                    T* out = target.out + g * target.group + column;
                    const T* vector = term.vector + g * term.group + k;
                    const T* start = begun ? out : target.base ? target.base + g * target.base_group : nullptr;
                    const bool scalar = !begun && target.base_is_scalar;
                    const int64_t start_row = begun ? target.row : target.base_row;
                    if (!begun && start && !scalar) start += column;
                    int row = 0;
                    for (int i = 0; i < tiles; i++) {
                        int own = rows / tiles + (i < rows % tiles);
                        // The results lie far apart: those of the next tile are fetched while this one is computed.
                        if (start && i + 1 < tiles)
                            for (int r = row + own; r < row + 2 * own && r < rows; r++)
                                __builtin_prefetch(start + r * start_row);
                        tile_of<T, W>(own, panels)(vector + row * term.row, term.row, length, right,
                            start ? start + row * start_row : nullptr, start_row, scalar, out + row * target.row,
                            target.row, columns);
                        row += own;
                    }
                }
                begun = true;
            }
        }
        column += columns;
    }
}

// Two rows of squares of `step` by `step`: the upper right one and the lower left one change places.
template <class T, int step, size_t... J>
GATEWISE_INLINE void exchange(Vector<T>& a, Vector<T>& b, std::index_sequence<J...>) {
    constexpr size_t lanes = Lanes<T>::count;
    Vector<T> upper = __builtin_shufflevector(a, b, ((J & step) ? lanes + J - step : J)...);
    b = __builtin_shufflevector(a, b, ((J & step) ? lanes + J : J + step)...);
    a = upper;
}

template <class T, int step = 1>
GATEWISE_INLINE void turn_from(Vector<T> (&square)[Lanes<T>::count]) {
    constexpr int lanes = Lanes<T>::count;
    if constexpr (step < lanes) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++)
            if (!(i & step)) exchange<T, step>(square[i], square[i + step], std::make_index_sequence<lanes>());
        turn_from<T, step * 2>(square);
    }
}

// A square of vectors, turned: element j of vector i becomes element i of vector j.
template <class T>
GATEWISE_INLINE void turn(Vector<T> (&square)[Lanes<T>::count]) {
    turn_from<T>(square);
}

// Packs columns [first, first + count) of a term's matrix into panels, padded with zeros.
template <class T>
void pack(const Term& term, const T* weights, int64_t leading, int columns, int first, int count, T* packed) {
    constexpr int width = panel_columns<T>, lanes = Lanes<T>::count;
    const T* from = weights + int64_t(term.row) * leading + term.column;
    for (int column = first; column < first + count; column += width) {
        T* to = packed + int64_t(column / width) * term.length * width;
        int own = columns - column < width ? columns - column : width;
        if (term.transposed) {
            for (int k = 0; k < term.length; k++, to += width) {
                const T* row = from + k * leading + column;
                for (int n = 0; n < own; n++) to[n] = row[n];
                for (int n = own; n < width; n++) to[n] = T(0);
            }
            continue;
        }
        int whole = own == width ? term.length / lanes * lanes : 0;
        for (int k = 0; k < whole; k += lanes)
            for (int half = 0; half < 2; half++) {
                Vector<T> square[lanes];
                for (int n = 0; n < lanes; n++) square[n] = load(from + int64_t(column + half * lanes + n) * leading + k);
                turn<T>(square);
                for (int n = 0; n < lanes; n++) store(to + (k + n) * width + half * lanes, square[n]);
            }
        for (int n = 0; n < width; n++) {
            const T* row = from + int64_t(column + n) * leading;
            for (int k = whole; k < term.length; k++) to[k * width + n] = n < own ? row[k] : T(0);
        }
    }
}

// Sums of the elements of each of several vectors, side by side: the elements of one are added in their order.
template <class T>
GATEWISE_INLINE Vector<T> sums_of(Vector<T> (&square)[Lanes<T>::count]) {
    turn<T>(square);
    Vector<T> total = square[0];
    for (int j = 1; j < Lanes<T>::count; j++) total += square[j];
    return total;
}

// One row's products with `count` rows of a matrix, at most as many as a vector has elements.
template <class T>
GATEWISE_INLINE Vector<T> dots(const T* vector, const T* matrix, int64_t leading, int length, int count) {
    constexpr int lanes = Lanes<T>::count;
    Vector<T> square[lanes];
    for (int p = 0; p < lanes; p++) square[p] = Vector<T>{};
    const int whole = length / lanes * lanes;
    if (count == lanes) {
        for (int k = 0; k < whole; k += lanes) {
            Vector<T> left = load(vector + k);
#pragma GCC unroll 16
            for (int p = 0; p < lanes; p++) square[p] += left * load(matrix + p * leading + k);
        }
    } else {
        for (int p = 0; p < count; p++)
            for (int k = 0; k < whole; k += lanes) square[p] += load(vector + k) * load(matrix + p * leading + k);
    }
    if (whole < length) {
        Vector<T> left = load_some(vector + whole, length - whole);
        for (int p = 0; p < count; p++) square[p] += left * load_some(matrix + p * leading + whole, length - whole);
    }
    return sums_of<T>(square);
}

// Columns [first, first + count) of a product for few rows and steps, straight from the weights. Each piece of a matrix
// meets all rows before the next one is read.
template <class T>
void direct_product(const Term* entries, const TermRun<T>* terms, int term_count, const Target<T>& target,
    int rows, int first, int count) {
    constexpr int lanes = Lanes<T>::count;
    using V = Vector<T>;
    for (int row = 0; row < rows; row++) {
        T* out = target.out + row * target.row;
        const T* base = target.base ? target.base + row * target.base_row : nullptr;
        for (int n = first; n < first + count; n++) out[n] = base ? base[target.base_is_scalar ? 0 : n] : T(0);
    }
    for (int t = 0; t < term_count; t++) {
        const TermRun<T>& term = terms[t];
        const T* matrix = static_cast<const T*>(term.matrix);
        if (!entries[t].transposed) {
            for (int n = first; n < first + count; n += lanes) {
                int own = first + count - n < lanes ? first + count - n : lanes;
                for (int row = 0; row < rows; row++) {
                    T* out = target.out + row * target.row + n;
                    V sums = dots(term.vector + row * term.row, matrix + n * term.leading, term.leading, term.length, own);
                    if (own == lanes)
                        store(out, load(out) + sums);
                    else
                        store_some(out, load_some(out, own) + sums, own);
                }
            }
            continue;
        }
        for (int row = 0; row < rows; row++) {
            T* out = target.out + row * target.row;
            const T* vector = term.vector + row * term.row;
            int n = first;
            for (; n + 4 * lanes <= first + count; n += 4 * lanes) {
                V total[4];
                for (int p = 0; p < 4; p++) total[p] = load(out + n + p * lanes);
                for (int k = 0; k < term.length; k++) {
                    V left = spread<T>(vector[k]);
                    const T* right = matrix + k * term.leading + n;
                    for (int p = 0; p < 4; p++) total[p] += left * load(right + p * lanes);
                }
                for (int p = 0; p < 4; p++) store(out + n + p * lanes, total[p]);
            }
            for (; n < first + count; n += lanes) {
                int own = first + count - n < lanes ? first + count - n : lanes;
                V total = load_some(out + n, own);
                for (int k = 0; k < term.length; k++)
                    total += spread<T>(vector[k]) * load_some(matrix + k * term.leading + n, own);
                store_some(out + n, total, own);
            }
        }
    }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
