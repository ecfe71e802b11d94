// Products of a few rows with a matrix: out[r][n] = base[r][n] + sum over terms and k of vector[r][k] * matrix[k][n].
//
// Each result is one chain of multiply-adds over k in order, however many rows or columns are computed together, so
// that its bits depend neither on the slice of the batch nor on the number of threads.
#pragma once

#include "lanes.h"
#include "plan.h"

namespace gatewise {
namespace GATEWISE_ISA {

// Columns of a packed panel: two vectors.
template <class T>
constexpr int panel_columns = 2 * Lanes<T>::count;
constexpr int most_tile_rows = 6;
// Steps over k between two visits of the results: a panel's block stays in the first-level cache for all rows.
template <class T>
constexpr int block_length = 1024 / int(sizeof(T));

template <class T>
struct TermRun {
    const T* vector;  // of row 0
    int64_t row;      // elements from row to row
    int32_t length;
    const T* matrix;   // packed panels, or the weights themselves
    int64_t leading;   // of the weights themselves
};

template <class T>
struct Target {
    T* out;
    int64_t row;
    const T* base;  // or nullptr
    int64_t base_row;
    bool base_is_scalar;
};

// R rows and P panels; `columns` of the last panel exist.
template <class T, int R, int P>
GATEWISE_INLINE void tile(const T* vector, int64_t vector_row, int length, const T* const* panels, const T* start,
    int64_t start_row, bool start_is_scalar, T* out, int64_t out_row, int columns) {
    constexpr int lanes = Lanes<T>::count, width = panel_columns<T>;
    using V = Vector<T>;
    V total[R][P * 2];
    const bool whole = columns == P * width;
    if (start == nullptr) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) total[r][p] = V{};
    } else if (start_is_scalar) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) total[r][p] = spread<T>(start[r * start_row]);
    } else if (whole) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) total[r][p] = load(start + r * start_row + p * lanes);
    } else {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) {
                int rest = columns - p * lanes;
                total[r][p] = rest <= 0 ? V{}
                                        : load_some(start + r * start_row + p * lanes, rest < lanes ? rest : lanes);
            }
    }
    for (int k = 0; k < length; k++) {
        V right[P * 2];
#pragma GCC unroll 8
        for (int p = 0; p < P; p++) {
            right[2 * p] = load(panels[p] + int64_t(k) * width);
            right[2 * p + 1] = load(panels[p] + int64_t(k) * width + lanes);
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            V left = spread<T>(vector[r * vector_row + k]);
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) total[r][p] += left * right[p];
        }
    }
    if (whole) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) store(out + r * out_row + p * lanes, total[r][p]);
    } else {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int p = 0; p < P * 2; p++) {
                int rest = columns - p * lanes;
                if (rest > 0) store_some(out + r * out_row + p * lanes, total[r][p], rest < lanes ? rest : lanes);
            }
    }
}

template <class T>
using Tile = void (*)(const T*, int64_t, int, const T* const*, const T*, int64_t, bool, T*, int64_t, int);

template <class T, int R, int P>
void tile_function(const T* vector, int64_t vector_row, int length, const T* const* panels, const T* start,
    int64_t start_row, bool start_is_scalar, T* out, int64_t out_row, int columns) {
    tile<T, R, P>(vector, vector_row, length, panels, start, start_row, start_is_scalar, out, out_row, columns);
}

template <class T, int P>
Tile<T> tile_of(int rows) {
    if constexpr (P == 1) {
        switch (rows) {
            case 1: return tile_function<T, 1, 1>;
            case 2: return tile_function<T, 2, 1>;
            case 3: return tile_function<T, 3, 1>;
            case 4: return tile_function<T, 4, 1>;
            case 5: return tile_function<T, 5, 1>;
            default: return tile_function<T, 6, 1>;
        }
    } else if constexpr (P == 2) {
        return rows == 3 ? tile_function<T, 3, 2> : tile_function<T, 2, 2>;
    } else {
        return tile_function<T, 1, 4>;
    }
}

// Columns [first, first + count) of a product whose matrices are packed; `first` is that of a panel.
template <class T>
void packed_product(const TermRun<T>* terms, int term_count, const Target<T>& target, int first_row, int rows,
    int first, int count) {
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
            for (int k = 0; k < term.length; k += block_length<T>) {
                int length = term.length - k < block_length<T> ? term.length - k : block_length<T>;
                const T* right[4];
                for (int p = 0; p < panels; p++)
                    right[p] = term.matrix + (int64_t(column / width) + p) * term.length * width + int64_t(k) * width;
                int row = first_row;
                for (int i = 0; i < tiles; i++) {
                    int own = rows / tiles + (i < rows % tiles);
                    const T* start = nullptr;
                    int64_t start_row = 0;
                    bool scalar = false;
                    if (begun) {
                        start = target.out + row * target.row + column;
                        start_row = target.row;
                    } else if (target.base) {
                        scalar = target.base_is_scalar;
                        start = target.base + row * target.base_row + (scalar ? 0 : column);
                        start_row = target.base_row;
                    }
                    Tile<T> f = panels == 4   ? tile_of<T, 4>(own)
                                : panels == 2 ? tile_of<T, 2>(own)
                                              : tile_of<T, 1>(own);
                    f(term.vector + row * term.row + k, term.row, length, right, start, start_row, scalar,
                        target.out + row * target.row + column, target.row, columns);
                    row += own;
                }
                begun = true;
            }
        }
        column += columns;
    }
}

// Packs columns [first, first + count) of a term's matrix into panels, padded with zeros.
template <class T>
void pack(const Term& term, const T* weights, int64_t leading, int columns, int first, int count, T* packed) {
    constexpr int width = panel_columns<T>;
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
        } else {
            // Along the rows of the weights, eight of them at a time: whole cache lines are read.
            constexpr int strip = 16;
            for (int k = 0; k < term.length; k += strip) {
                int steps = term.length - k < strip ? term.length - k : strip;
                for (int n = 0; n < own; n++) {
                    const T* row = from + int64_t(column + n) * leading + k;
                    for (int j = 0; j < steps; j++) to[(k + j) * width + n] = row[j];
                }
                for (int n = own; n < width; n++)
                    for (int j = 0; j < steps; j++) to[(k + j) * width + n] = T(0);
            }
        }
    }
}

// Columns [first, first + count) of a product for few rows and steps, straight from the weights.
template <class T>
void direct_product(const Term* entries, const TermRun<T>* terms, int term_count, const Target<T>& target,
    int first_row, int rows, int first, int count) {
    constexpr int lanes = Lanes<T>::count;
    using V = Vector<T>;
    for (int row = first_row; row < first_row + rows; row++) {
        T* out = target.out + row * target.row;
        const T* base = target.base ? target.base + row * target.base_row : nullptr;
        for (int n = first; n < first + count; n++) out[n] = base ? base[target.base_is_scalar ? 0 : n] : T(0);
        for (int t = 0; t < term_count; t++) {
            const TermRun<T>& term = terms[t];
            const T* vector = term.vector + row * term.row;
            if (entries[t].transposed) {
                int n = first;
                for (; n + 4 * lanes <= first + count; n += 4 * lanes) {
                    V total[4];
                    for (int p = 0; p < 4; p++) total[p] = load(out + n + p * lanes);
                    for (int k = 0; k < term.length; k++) {
                        V left = spread<T>(vector[k]);
                        const T* right = term.matrix + k * term.leading + n;
                        for (int p = 0; p < 4; p++) total[p] += left * load(right + p * lanes);
                    }
                    for (int p = 0; p < 4; p++) store(out + n + p * lanes, total[p]);
                }
                for (; n < first + count; n += lanes) {
                    int own = first + count - n < lanes ? first + count - n : lanes;
                    V total = load_some(out + n, own);
                    for (int k = 0; k < term.length; k++)
                        total += spread<T>(vector[k]) * load_some(term.matrix + k * term.leading + n, own);
                    store_some(out + n, total, own);
                }
            } else {
                int n = first;
                int whole = term.length / lanes * lanes;
                for (; n + 4 <= first + count; n += 4) {
                    const T* right = term.matrix + n * term.leading;
                    V total[4] = {V{}, V{}, V{}, V{}};
                    for (int k = 0; k < whole; k += lanes) {
                        V left = load(vector + k);
                        for (int p = 0; p < 4; p++) total[p] += left * load(right + p * term.leading + k);
                    }
                    for (int p = 0; p < 4; p++) {
                        T sum = sum_of<T>(total[p]);
                        for (int k = whole; k < term.length; k++) sum += vector[k] * right[p * term.leading + k];
                        out[n + p] += sum;
                    }
                }
                for (; n < first + count; n++) {
                    const T* right = term.matrix + n * term.leading;
                    V total{};
                    for (int k = 0; k < whole; k += lanes) total += load(vector + k) * load(right + k);
                    T sum = sum_of<T>(total);
                    for (int k = whole; k < term.length; k++) sum += vector[k] * right[k];
                    out[n] += sum;
                }
            }
        }
    }
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
