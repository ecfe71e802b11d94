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
        const char* const names[] = {"portable", "avx2", "avx512"};
        found.push_back({number, number < 3 ? names[number] : "kernel " + std::to_string(number)});
    }
    return found;
}

}  // namespace gatewise_tests
