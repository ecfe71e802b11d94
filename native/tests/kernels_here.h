// The kernels that this processor runs, whatever their numbers.
#pragma once

#include "gatewise.h"

#include <string>
#include <vector>

namespace gatewise_tests {

struct Kernel {
    int number;
    std::string name;
};

inline std::vector<Kernel> kernels_here() {
    std::vector<Kernel> found;
    for (int number = 0; number < 16; number++) {
        if (gatewise_choose_kernel(number) != GATEWISE_OK) continue;
        const bool named = number == GATEWISE_PORTABLE || number == GATEWISE_AVX2;
        found.push_back({number, !named ? "kernel " + std::to_string(number)
                                        : number == GATEWISE_PORTABLE ? "portable" : "avx2"});
    }
    return found;
}

}  // namespace gatewise_tests
