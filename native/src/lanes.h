// Vectors of numbers, in the compiler's own vector types: one source for every instruction set.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef GATEWISE_VECTOR_BYTES
#error "GATEWISE_VECTOR_BYTES: expected the width of a vector register in bytes"
#endif

#define GATEWISE_INLINE inline __attribute__((always_inline))

namespace gatewise {
namespace GATEWISE_ISA {

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
    static constexpr int count = GATEWISE_VECTOR_BYTES / 4;
    typedef float vector __attribute__((vector_size(GATEWISE_VECTOR_BYTES)));
    typedef float unaligned __attribute__((vector_size(GATEWISE_VECTOR_BYTES), aligned(4)));
    typedef int32_t integers __attribute__((vector_size(GATEWISE_VECTOR_BYTES)));
    using integer = int32_t;
};

template <>
struct Lanes<double> {
    static constexpr int count = GATEWISE_VECTOR_BYTES / 8;
    typedef double vector __attribute__((vector_size(GATEWISE_VECTOR_BYTES)));
    typedef double unaligned __attribute__((vector_size(GATEWISE_VECTOR_BYTES), aligned(8)));
    typedef int64_t integers __attribute__((vector_size(GATEWISE_VECTOR_BYTES)));
    using integer = int64_t;
};

template <class T>
using Vector = typename Lanes<T>::vector;
template <class T>
using Integers = typename Lanes<T>::integers;

template <class T>
GATEWISE_INLINE Vector<T> load(const T* from) {
    return *reinterpret_cast<const typename Lanes<T>::unaligned*>(from);
}
template <class T>
GATEWISE_INLINE void store(T* to, Vector<T> value) {
    *reinterpret_cast<typename Lanes<T>::unaligned*>(to) = value;
}
template <class T>
GATEWISE_INLINE Vector<T> spread(T value) {
    return value - Vector<T>{};  // x - 0 is x for every x, so that this is one broadcast
}
// The first `count` elements, fewer than a vector has; nothing behind them is touched.
template <class T>
GATEWISE_INLINE Vector<T> load_some(const T* from, int count) {
    Vector<T> value{};
    for (int k = 0; k < count; k++) value[k] = from[k];
    return value;
}
template <class T>
GATEWISE_INLINE void store_some(T* to, Vector<T> value, int count) {
    for (int k = 0; k < count; k++) to[k] = value[k];
}
#if GATEWISE_VECTOR_BYTES == 64
// Lanes below `count`, which is less than 16.
GATEWISE_INLINE __mmask16 first_lanes(int count) { return __mmask16((1u << count) - 1); }
template <>
GATEWISE_INLINE Vector<float> load_some<float>(const float* from, int count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
template <>
GATEWISE_INLINE void store_some<float>(float* to, Vector<float> value, int count) {
    _mm512_mask_storeu_ps(to, first_lanes(count), value);
}
template <>
GATEWISE_INLINE Vector<double> load_some<double>(const double* from, int count) {
    return _mm512_maskz_loadu_pd(__mmask8(first_lanes(count)), from);
}
template <>
GATEWISE_INLINE void store_some<double>(double* to, Vector<double> value, int count) {
    _mm512_mask_storeu_pd(to, __mmask8(first_lanes(count)), value);
}
#elif defined(__AVX2__)
// Lanes below `count` are all bits set.
GATEWISE_INLINE __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
GATEWISE_INLINE __m256i first_wide_lanes(int count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
template <>
GATEWISE_INLINE Vector<float> load_some<float>(const float* from, int count) {
    return _mm256_maskload_ps(from, first_lanes(count));
}
template <>
GATEWISE_INLINE void store_some<float>(float* to, Vector<float> value, int count) {
    _mm256_maskstore_ps(to, first_lanes(count), value);
}
template <>
GATEWISE_INLINE Vector<double> load_some<double>(const double* from, int count) {
    return _mm256_maskload_pd(from, first_wide_lanes(count));
}
template <>
GATEWISE_INLINE void store_some<double>(double* to, Vector<double> value, int count) {
    _mm256_maskstore_pd(to, first_wide_lanes(count), value);
}
#endif

// The bits of a vector as another type of the same size.
template <class To, class From>
GATEWISE_INLINE To bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "sizes differ");
    To result;
    std::memcpy(&result, &value, sizeof(To));
    return result;
}

template <class T>
GATEWISE_INLINE T sum_of(Vector<T> value) {
    T lanes[Lanes<T>::count];
    std::memcpy(lanes, &value, sizeof(lanes));
    for (int half = Lanes<T>::count / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) lanes[k] += lanes[k + half];
    return lanes[0];
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
