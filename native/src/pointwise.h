// The pointwise part of a step: a list of operations, each a loop over a chunk of units of one row.
#pragma once

#include "functions.h"
#include "operations.h"
#include "plan.h"

#include <type_traits>

namespace gatewise {
namespace GATEWISE_ISA {

// The names that the table's texts use, for both kinds of vector. A truth value is a number with all bits set.
#define GATEWISE_FUNCTIONS(T)                                                                   \
    GATEWISE_INLINE Vector<T> exp(Vector<T> a) { return exp_of<T>(a); }                          \
    GATEWISE_INLINE Vector<T> log(Vector<T> a) { return log_of<T>(a); }                          \
    GATEWISE_INLINE Vector<T> sqrt(Vector<T> a) { return sqrt_of<T>(a); }                        \
    GATEWISE_INLINE Vector<T> tanh(Vector<T> a) { return tanh_of<T>(a); }                        \
    GATEWISE_INLINE Vector<T> sigmoid(Vector<T> a) { return sigmoid_of<T>(a); }                  \
    GATEWISE_INLINE Vector<T> softplus(Vector<T> a) { return softplus_of<T>(a); }                \
    GATEWISE_INLINE Vector<T> fabs(Vector<T> a) { return absolute<T>(a); }                       \
    GATEWISE_INLINE Integers<T> test(Vector<T> a) { return bits<Integers<T>>(a); }
GATEWISE_FUNCTIONS(float)
GATEWISE_FUNCTIONS(double)
#undef GATEWISE_FUNCTIONS
// Of which integers a comparison of doubles is a vector, g++ and clang++ do not agree.
template <class I>
GATEWISE_INLINE auto mark(I a) {
    return bits<Vector<std::conditional_t<sizeof(a[0]) == 4, float, double>>>(a);
}

// The table's C++ text, on vectors. Arguments that an operation does not have are not read.
template <class T, int operation>
struct Form;

#define GATEWISE_OPERATION(name, arity, text)                                                    \
    template <class T>                                                                           \
    struct Form<T, op_##name> {                                                                  \
        static constexpr int operands = arity;                                                   \
        static GATEWISE_INLINE Vector<T> of(Vector<T> a, Vector<T> b, Vector<T> c) {             \
            (void)b;                                                                             \
            (void)c;                                                                             \
            return text;                                                                         \
        }                                                                                        \
    };
#include "operations.inc"
#undef GATEWISE_OPERATION

template <class T>
struct Form<T, op_copy> {
    static constexpr int operands = 1;
    static GATEWISE_INLINE Vector<T> of(Vector<T> a, Vector<T>, Vector<T>) { return a; }
};
template <class T>
struct Form<T, op_multiply_add> {
    static constexpr int operands = 3;
    static GATEWISE_INLINE Vector<T> of(Vector<T> a, Vector<T> b, Vector<T> c) { return a * b + c; }
};
template <class T>
struct Form<T, op_multiply_subtract> {
    static constexpr int operands = 3;
    static GATEWISE_INLINE Vector<T> of(Vector<T> a, Vector<T> b, Vector<T> c) { return c - a * b; }
};

template <class T>
using Pointwise = void (*)(T* result, const T* a, const T* b, const T* c, int count);

// Bits of `scalars`: the first, second, third operand is one number for the whole chunk.
template <class T, int operation, int scalars>
void apply(T* result, const T* a, const T* b, const T* c, int count) {
    using F = Form<T, operation>;
    constexpr int lanes = Lanes<T>::count;
    constexpr bool has_b = F::operands > 1, has_c = F::operands > 2;
    Vector<T> one_a{}, one_b{}, one_c{};
    if constexpr ((scalars & 1) != 0) one_a = spread<T>(*a);
    if constexpr (has_b && (scalars & 2) != 0) one_b = spread<T>(*b);
    if constexpr (has_c && (scalars & 4) != 0) one_c = spread<T>(*c);
    int k = 0;
    for (; k + lanes <= count; k += lanes) {
        Vector<T> va = one_a, vb = one_b, vc = one_c;
        if constexpr ((scalars & 1) == 0) va = load(a + k);
        if constexpr (has_b && (scalars & 2) == 0) vb = load(b + k);
        if constexpr (has_c && (scalars & 4) == 0) vc = load(c + k);
        store(result + k, F::of(va, vb, vc));
    }
    if (k < count) {
        int rest = count - k;
        Vector<T> va = one_a, vb = one_b, vc = one_c;
        if constexpr ((scalars & 1) == 0) va = load_some(a + k, rest);
        if constexpr (has_b && (scalars & 2) == 0) vb = load_some(b + k, rest);
        if constexpr (has_c && (scalars & 4) == 0) vc = load_some(c + k, rest);
        store_some(result + k, F::of(va, vb, vc), rest);
    }
}

template <class T, int operation>
Pointwise<T> variant(int scalars) {
    switch (scalars) {
        case 0: return apply<T, operation, 0>;
        case 1: return apply<T, operation, 1>;
        case 2: return apply<T, operation, 2>;
        case 3: return apply<T, operation, 3>;
        case 4: return apply<T, operation, 4>;
        case 5: return apply<T, operation, 5>;
        case 6: return apply<T, operation, 6>;
        default: return apply<T, operation, 7>;
    }
}

template <class T>
Pointwise<T> pointwise(int operation, int scalars) {
    switch (operation) {
#define GATEWISE_OPERATION(name, arity, text) \
    case op_##name: return variant<T, op_##name>(scalars & ((1 << arity) - 1));
#include "operations.inc"
#undef GATEWISE_OPERATION
        case op_copy: return variant<T, op_copy>(scalars & 1);
        case op_multiply_add: return variant<T, op_multiply_add>(scalars);
        case op_multiply_subtract: return variant<T, op_multiply_subtract>(scalars);
        default: return nullptr;
    }
}

template <class T>
void load_truth(T* result, const uint8_t* from, int count, bool scalar) {
    using I = typename Lanes<T>::integer;
    I* lanes = reinterpret_cast<I*>(result);
    for (int k = 0; k < count; k++) {
        I value = from[scalar ? 0 : k] ? I(-1) : I(0);
        std::memcpy(lanes + k, &value, sizeof(I));
    }
}

template <class T>
void store_truth(uint8_t* to, const T* from, int count, bool scalar) {
    using I = typename Lanes<T>::integer;
    for (int k = 0; k < count; k++) {
        I value;
        std::memcpy(&value, from + (scalar ? 0 : k), sizeof(I));
        to[k] = value != 0;
    }
}

template <class T>
T sum_chunk(const T* from, int count, bool scalar) {
    if (scalar) return *from * T(count);
    constexpr int lanes = Lanes<T>::count;
    Vector<T> total{};
    int k = 0;
    for (; k + lanes <= count; k += lanes) total += load(from + k);
    if (k < count) total += load_some(from + k, count - k);
    return sum_of<T>(total);
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
