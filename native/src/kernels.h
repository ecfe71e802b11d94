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

// What the head of packed matrices begins with: a format may have the size of another one, so that sizes alone do not tell.
inline uint32_t seal(int32_t kernel, int32_t format, int32_t terms) {
    return prepared_magic ^ uint32_t(kernel) << 24 ^ uint32_t(format) << 16 ^ uint32_t(terms);
}

struct Kernel {
    int (*run)(const gatewise_plan* const* plans, const gatewise_call* const* calls, int count);
    int64_t (*prepared_size)(const gatewise_plan& plan, int format);
    int (*prepare)(const gatewise_plan& plan, const gatewise_weight* weights, int format, char* memory);
    int (*apply_float)(int, const void*, const void*, const void*, void*, int64_t);
    int (*apply_double)(int, const void*, const void*, const void*, void*, int64_t);
};

extern const Kernel portable_kernel;
#ifdef GATEWISE_ON_X86
extern const Kernel avx2_kernel, avx512_kernel;
#endif

}  // namespace gatewise
