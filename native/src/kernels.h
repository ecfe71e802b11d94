// One kernel for each instruction set; which one runs is decided when the library is first used.
#pragma once

#include "gatewise.h"

#include <cstdint>

namespace gatewise {

// What stands before packed matrices: for which plan's layout, kernel and format they were made.
struct alignas(64) Prepared {
    uint32_t magic;
    int32_t kernel, format, terms;
    int64_t size;
};
constexpr uint32_t prepared_magic = 0x47575050;  // "GWPP"

struct Kernel {
    int (*run)(const gatewise_plan* const* plans, const gatewise_call* const* calls, int count);
    int64_t (*prepared_size)(const gatewise_plan& plan, int format);
    int (*prepare)(const gatewise_plan& plan, const gatewise_weight* weights, int format, char* memory);
    int (*apply_float)(int, const void*, const void*, const void*, void*, int64_t);
    int (*apply_double)(int, const void*, const void*, const void*, void*, int64_t);
};

extern const Kernel portable_kernel;
#ifdef GATEWISE_HAS_AVX2
extern const Kernel avx2_kernel;
#endif

}  // namespace gatewise
