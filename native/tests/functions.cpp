// The elementary functions against a wider number: the accuracy test of tests/engines/native/test_functions.py for
// machines without Python. One argument: every how many-th float32 is tried (509: 8.4 million).
#include "kernels_here.h"
#include "operations.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace {

struct Function {
    int operation;
    const char* name;
    double bound;  // units in the last place, as src/functions.h states them
    bool normal = false;  // results below the smallest normal number are measured in units of that number
};

const Function functions[] = {
    {gatewise::op_exp, "exp", 2}, {gatewise::op_tanh, "tanh", 2}, {gatewise::op_sigmoid, "sigmoid", 3, true},
    {gatewise::op_log, "log", 2}, {gatewise::op_softplus, "softplus", 3},
};

template <class W>
W exact(int operation, W x) {
    switch (operation) {
        case gatewise::op_exp: return std::exp(x);
        case gatewise::op_tanh: return std::tanh(x);
        case gatewise::op_log: return std::log(x);
        case gatewise::op_sigmoid: {
            W e = std::exp(-std::fabs(x));
            return x >= 0 ? 1 / (1 + e) : x < 0 ? e / (1 + e) : x;
        }
        default: return std::isnan(x) ? x : std::fmax(x, W(0)) + std::log1p(std::exp(-std::fabs(x)));
    }
}

// The distance in units of the last place of the exact number; infinite where one is not a number and one is.
template <class T, class W>
double error_of(T got, W expected, bool normal) {
    const T rounded = T(expected), largest = std::numeric_limits<T>::max(), least = std::numeric_limits<T>::min();
    if (std::isnan(rounded) || std::isnan(got)) return std::isnan(rounded) && std::isnan(got) ? 0 : INFINITY;
    if (std::isinf(rounded))  // the last number before infinity may round either way
        return got == rounded || std::fabs(got) >= largest * (1 - T(1e-6)) ? 0 : INFINITY;
    if (std::isinf(got)) return INFINITY;
    const T size = std::fabs(rounded);
    if (normal && size < least) return double(std::fabs(W(got) - expected) / W(least));
    const W unit = size < largest ? W(std::nextafter(size, std::numeric_limits<T>::infinity())) - W(size)
                                  : W(size) - W(std::nextafter(size, T(0)));
    return double(std::fabs(W(got) - expected) / unit);
}

template <class T, class W>
bool check(const Function& f, const char* kernel, const std::vector<T>& x) {
    std::vector<T> got(x.size());
    if (gatewise_apply(f.operation, sizeof(T), x.data(), nullptr, nullptr, got.data(), int64_t(x.size()))) return false;
    double worst = 0;
    T at = 0;
    for (size_t k = 0; k < x.size(); k++) {
        double error = error_of<T, W>(got[k], exact<W>(f.operation, W(x[k])), f.normal);
        if (error > worst) worst = error, at = x[k];
    }
    const bool good = worst <= f.bound;
    std::printf("%s%s, %s, %d bytes: %.3f units at %.9g, allowed %g, %zu numbers\n", good ? "" : "FAILED ", f.name, kernel,
        int(sizeof(T)), worst, double(at), f.bound, x.size());
    return good;
}

template <class T>
void add_special(std::vector<T>& x) {
    using L = std::numeric_limits<T>;
    for (T v : {T(0), L::infinity(), L::quiet_NaN(), L::denorm_min(), L::min(), L::max(), T(0.625), T(88.72283),
             T(88.72284), T(87.33655), T(103.97208), T(104), T(1), T(16), T(9.010913), T(709.78), T(745.13)})
        x.push_back(v), x.push_back(-v);
}

}  // namespace

int main(int count, char** arguments) {
    const uint64_t stride = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 509;
    std::vector<float> narrow;
    for (uint64_t word = 0; stride && word < uint64_t(1) << 32; word += stride) {
        uint32_t bits = uint32_t(word);
        float value;
        std::memcpy(&value, &bits, 4);
        narrow.push_back(value);
    }
    add_special(narrow);
    std::mt19937_64 random(0);
    std::vector<double> wide;
    const size_t each = narrow.size() / 40;
    for (double range : {40.0, 1.0, 750.0})
        for (size_t k = 0; k < each; k++) wide.push_back((double(random() >> 11) * 0x1p-52 - 1) * range);
    for (size_t k = 0; k < each; k++) {  // all magnitudes
        uint64_t bits = random();
        double value;
        std::memcpy(&value, &bits, 8);
        wide.push_back(value);
    }
    add_special(wide);
    bool good = stride > 0;
    for (const gatewise_tests::Kernel& kernel : gatewise_tests::kernels_here()) {
        gatewise_choose_kernel(kernel.number);
        for (const Function& f : functions) {
            good &= check<float, double>(f, kernel.name.c_str(), narrow);
            // Where the widest number is a double there is nothing to compare with.
            if (sizeof(long double) > 8) good &= check<double, long double>(f, kernel.name.c_str(), wide);
        }
    }
    return !good;
}
