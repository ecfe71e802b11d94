// Elementary functions on vectors. Error bounds are stated with each and tested over all floats
// (tests/native/test_functions.py). The methods and coefficients of exp, tanh and log are those of the Cephes library
// (S. L. Moshier, "Methods and Programs for Mathematical Functions", 1989); the rest follows from them.
// Infinities and NaN go through as in the C library.
#pragma once

#include "lanes.h"

#include <cmath>
#include <limits>

namespace gatewise {
namespace GATEWISE_ISA {

template <class V>
GATEWISE_INLINE V polynomial(V, V sum) {
    return sum;
}
// Horner's rule, highest coefficient first.
template <class V, class... Rest>
GATEWISE_INLINE V polynomial(V x, V sum, double next, Rest... rest) {
    using T = std::remove_reference_t<decltype(sum[0])>;
    return polynomial(x, V(sum * x + T(next)), rest...);
}

template <class T>
struct Constants;

template <>
struct Constants<float> {
    static constexpr float log2_e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float one_plus = -40.0f;  // below it 1 + exp is 1
    static constexpr float largest = 88.8f, smallest = -104.5f;  // beyond them exp is infinite, or zero
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr int mantissa = 23, bias = 127;
    static constexpr int32_t half_bits = 0x3f000000, mantissa_mask = 0x007fffff;
};

template <>
struct Constants<double> {
    static constexpr double log2_e = 1.4426950408889634073599, ln2_high = 6.93145751953125E-1,
                            ln2_low = 1.42860682030941723212E-6;
    static constexpr double one_plus = -80.0;
    static constexpr double largest = 709.9, smallest = -745.5;
    static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr int64_t half_bits = 0x3fe0000000000000, mantissa_mask = 0x000fffffffffffff;
};

template <class T>
GATEWISE_INLINE Vector<T> power_of_two(Integers<T> n) {
    using C = Constants<T>;
    using I = typename Lanes<T>::integer;
    return bits<Vector<T>>(Integers<T>((n + I(C::bias)) << I(C::mantissa)));
}

GATEWISE_INLINE Vector<float> exp_reduced(Vector<float> x) {
    Vector<float> p = polynomial(x, Vector<float>{} + 1.9875691500E-4f, 1.3981999507E-3, 8.3334519073E-3,
        4.1665795894E-2, 1.6666665459E-1, 5.0000001201E-1);
    return p * (x * x) + x + 1.0f;
}
GATEWISE_INLINE Vector<double> exp_reduced(Vector<double> x) {
    Vector<double> z = x * x;
    Vector<double> p = x * polynomial(z, Vector<double>{} + 1.26177193074810590878E-4, 3.02994407707441961300E-2,
        9.99999999999999999910E-1);
    Vector<double> q = polynomial(z, Vector<double>{} + 3.00198505138664455042E-6, 2.52448340349684104192E-3,
        2.27265548208155028766E-1, 2.00000000000000000009E0);
    return 1.0 + 2.0 * (p / (q - p));
}

// Within 2 units in the last place; within 1 of the smallest number where the result is denormal.
template <class T>
GATEWISE_INLINE Vector<T> exp_of(Vector<T> a) {
    using C = Constants<T>;
    using V = Vector<T>;
    V x = a > C::largest ? V{} + C::largest : a;
    x = x < C::smallest ? V{} + C::smallest : x;
    V shifted = x * C::log2_e + C::magic;
    Integers<T> n = bits<Integers<T>>(shifted) - bits<Integers<T>>(V{} + C::magic);
    V rounded = shifted - C::magic;
    x = x - rounded * C::ln2_high;
    x = x - rounded * C::ln2_low;
    Integers<T> half = n >> 1;
    return exp_reduced(x) * power_of_two<T>(half) * power_of_two<T>(n - half);
}

// exp where its result is no denormal number; infinite from 2^(bias + 1/2) on. NaN goes through.
template <class T>
GATEWISE_INLINE Vector<T> exp_inside(Vector<T> x) {
    using C = Constants<T>;
    using I = typename Lanes<T>::integer;
    using V = Vector<T>;
    // The power of two, with the bias of exponents, stands in the lowest bits of `shifted`; what lies above is shifted out.
    const T magic = C::magic + T(C::bias);
    V shifted = x * C::log2_e + magic;
    V rounded = shifted - magic;
    x = x - rounded * C::ln2_high;
    x = x - rounded * C::ln2_low;
    Integers<T> power = bits<Integers<T>>(shifted) << I(C::mantissa);
    return exp_reduced(x) * bits<V>(power);
}

template <class T>
GATEWISE_INLINE Vector<T> absolute(Vector<T> a) {
    using I = typename Lanes<T>::integer;
    return bits<Vector<T>>(Integers<T>(bits<Integers<T>>(a) & std::numeric_limits<I>::max()));
}

GATEWISE_INLINE Vector<float> tanh_near_zero(Vector<float> x) {
    Vector<float> z = x * x;
    Vector<float> p = polynomial(z, Vector<float>{} + -5.70498872745E-3f, 2.06390887954E-2, -5.37397155531E-2,
        1.33314422036E-1, -3.33332819422E-1);
    return p * z * x + x;
}
GATEWISE_INLINE Vector<double> tanh_near_zero(Vector<double> x) {
    Vector<double> z = x * x;
    Vector<double> p = polynomial(z, Vector<double>{} + -9.64399179425052238628E-1, -9.92877231001918586564E1,
        -1.61468768441708447952E3);
    Vector<double> q = polynomial(z, Vector<double>{} + 1.0, 1.12811678491632931402E2, 2.23548839060100448583E3,
        4.84406305325125486048E3);
    return x + x * (z * (p / q));
}

// Within 2 units in the last place.
template <class T>
GATEWISE_INLINE Vector<T> tanh_of(Vector<T> a) {
    using V = Vector<T>;
    using I = typename Lanes<T>::integer;
    V size = absolute<T>(a);
    // From `flat` on the result rounds to 1.
    const T flat = sizeof(T) == 4 ? T(10) : T(20);
    V near = size > flat ? V{} + flat : size;
    V far = T(1) - T(2) / (exp_inside<T>(near + near) + T(1));
    Integers<T> sign = bits<Integers<T>>(a) & std::numeric_limits<I>::min();
    far = bits<V>(Integers<T>(bits<Integers<T>>(far) | sign));
    return size < T(0.625) ? tanh_near_zero(a) : far;
}

// Within 3 units in the last place; within the smallest normal number of zero where the result is smaller than that.
template <class T>
GATEWISE_INLINE Vector<T> sigmoid_of(Vector<T> a) {
    using C = Constants<T>;
    using V = Vector<T>;
    V x = -a;
    x = x > C::largest ? V{} + C::largest : x;      // exp is infinite there, and the result 0
    x = x < C::one_plus ? V{} + C::one_plus : x;    // 1 + exp is 1 there
    return T(1) / (T(1) + exp_inside<T>(x));
}

GATEWISE_INLINE Vector<float> log_reduced(Vector<float> x, Vector<float> e) {
    Vector<float> z = x * x;
    Vector<float> y = polynomial(x, Vector<float>{} + 7.0376836292E-2f, -1.1514610310E-1, 1.1676998740E-1,
        -1.2420140846E-1, 1.4249322787E-1, -1.6668057665E-1, 2.0000714765E-1, -2.4999993993E-1, 3.3333331174E-1);
    y = y * x * z;
    y = y + e * -2.12194440e-4f;
    y = y - z * 0.5f;
    return e * 0.693359375f + (x + y);
}
GATEWISE_INLINE Vector<double> log_reduced(Vector<double> x, Vector<double> e) {
    Vector<double> z = x * x;
    Vector<double> p = polynomial(x, Vector<double>{} + 1.01875663804580931796E-4, 4.97494994976747001425E-1,
        4.70579119878881725854E0, 1.44989225341610930846E1, 1.79368678507819816313E1, 7.70838733755885391666E0);
    Vector<double> q = polynomial(x, Vector<double>{} + 1.0, 1.12873587189167450590E1, 4.52279145837532221105E1,
        8.29875266912776603211E1, 7.11544750618563894466E1, 2.31251620126765340583E1);
    Vector<double> y = x * (z * (p / q));
    y = y - e * 2.121944400546905827679e-4;
    y = y - z * 0.5;
    return (x + y) + e * 0.693359375;
}

// Within 2 units in the last place.
template <class T>
GATEWISE_INLINE Vector<T> log_of(Vector<T> a) {
    using C = Constants<T>;
    using V = Vector<T>;
    using I = typename Lanes<T>::integer;
    const T infinity = std::numeric_limits<T>::infinity();
    Integers<T> tiny = a < std::numeric_limits<T>::min();
    V scaled = tiny ? V(a * T(I(1) << C::mantissa)) : a;
    Integers<T> raw = bits<Integers<T>>(scaled);
    Integers<T> exponent = ((raw >> I(C::mantissa)) & I(2 * C::bias + 1)) - I(C::bias - 1);
    exponent = tiny ? Integers<T>(exponent - I(C::mantissa)) : exponent;
    V m = bits<V>(Integers<T>((raw & I(C::mantissa_mask)) | I(C::half_bits)));  // [0.5, 1)
    Integers<T> low = m < T(0.70710678118654752440);
    exponent = low ? Integers<T>(exponent - 1) : exponent;
    V x = low ? V(m + m - T(1)) : V(m - T(1));
    V e = __builtin_convertvector(exponent, V);
    V value = log_reduced(x, e);
    value = a == T(0) ? V{} - infinity : value;
    value = a < T(0) ? V{} + std::numeric_limits<T>::quiet_NaN() : value;
    value = a == infinity ? a : value;
    return a == a ? value : a;
}

// log(1 + e) for e in [0, 1], where 1 + e is rounded.
template <class T>
GATEWISE_INLINE Vector<T> log_one_plus(Vector<T> e) {
    Vector<T> u = T(1) + e;
    Vector<T> lost = (u - T(1)) - e;
    return log_of<T>(u) - lost / u;
}

// Within 3 units in the last place.
template <class T>
GATEWISE_INLINE Vector<T> softplus_of(Vector<T> a) {
    Vector<T> e = exp_of<T>(-absolute<T>(a));
    // Below the rounding of 1 + e, log(1 + e) is e.
    Vector<T> tail = e < std::numeric_limits<T>::epsilon() ? e : log_one_plus<T>(e);
    Vector<T> value = (a > T(0) ? a : Vector<T>{}) + tail;
    return a == a ? value : a;
}

template <class T>
GATEWISE_INLINE Vector<T> sqrt_of(Vector<T> a) {
    for (int k = 0; k < Lanes<T>::count; k++) a[k] = std::sqrt(a[k]);
    return a;
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
