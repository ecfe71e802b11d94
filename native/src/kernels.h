// One kernel for each instruction set; which one runs is decided when the library is first used.
#pragma once

#include "gatewise.h"

#include <cstdint>

namespace gatewise {

struct Kernel {
    int (*run)(const gatewise_plan& plan, const gatewise_call& call);
    int (*apply_float)(int, const void*, const void*, const void*, void*, int64_t);
    int (*apply_double)(int, const void*, const void*, const void*, void*, int64_t);
};

extern const Kernel portable_kernel;
#ifdef GATEWISE_HAS_AVX2
extern const Kernel avx2_kernel;
#endif

}  // namespace gatewise
