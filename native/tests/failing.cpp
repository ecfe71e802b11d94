#include "failing.h"

#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

thread_local long fail_at = 0, seen = 0;
thread_local bool counting = false;
std::atomic<long> live{0};

// Loaded before a whole process, only what the library itself asks for counts.
bool counts(void* caller) {
#ifdef GATEWISE_PRELOAD
    Dl_info found;
    return counting && dladdr(caller, &found) && found.dli_fname && std::strstr(found.dli_fname, "libgatewise_native");
#else
    (void)caller;
    return counting;
#endif
}

void* take(std::size_t size, std::size_t alignment, void* caller) {
    if (counts(caller) && ++seen == fail_at) return nullptr;
    void* found = nullptr;
    if (alignment <= alignof(std::max_align_t)) return std::malloc(size ? size : 1);
    return posix_memalign(&found, alignment, size ? size : 1) == 0 ? found : nullptr;
}

void* make(std::size_t size, std::size_t alignment, void* caller) {
    void* found = take(size, alignment, caller);
    if (found) live++;
    return found;
}

void* or_throw(void* found) {
    if (!found) throw std::bad_alloc();
    return found;
}

void drop(void* p) {
    if (p) live--;
    std::free(p);
}

}  // namespace

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

extern "C" {
EXPORT void gatewise_fail_allocation(long n) {
    fail_at = n;
    seen = 0;
    counting = n > 0;
}
EXPORT long gatewise_allocations(void) { return seen; }
EXPORT long gatewise_live_blocks(void) { return live; }

EXPORT void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    void* found = take(size, alignment, CALLER);
    if (!found) errno = ENOMEM;
    return found;
}
}

using Size = std::size_t;
using Align = std::align_val_t;
constexpr Size plain = 1;

EXPORT void* operator new(Size n) { return or_throw(make(n, plain, CALLER)); }
EXPORT void* operator new[](Size n) { return or_throw(make(n, plain, CALLER)); }
EXPORT void* operator new(Size n, const std::nothrow_t&) noexcept { return make(n, plain, CALLER); }
EXPORT void* operator new[](Size n, const std::nothrow_t&) noexcept { return make(n, plain, CALLER); }
EXPORT void* operator new(Size n, Align a) { return or_throw(make(n, Size(a), CALLER)); }
EXPORT void* operator new[](Size n, Align a) { return or_throw(make(n, Size(a), CALLER)); }
EXPORT void* operator new(Size n, Align a, const std::nothrow_t&) noexcept { return make(n, Size(a), CALLER); }
EXPORT void* operator new[](Size n, Align a, const std::nothrow_t&) noexcept { return make(n, Size(a), CALLER); }
EXPORT void operator delete(void* p) noexcept { drop(p); }
EXPORT void operator delete[](void* p) noexcept { drop(p); }
EXPORT void operator delete(void* p, Size) noexcept { drop(p); }
EXPORT void operator delete[](void* p, Size) noexcept { drop(p); }
EXPORT void operator delete(void* p, const std::nothrow_t&) noexcept { drop(p); }
EXPORT void operator delete[](void* p, const std::nothrow_t&) noexcept { drop(p); }
EXPORT void operator delete(void* p, Align) noexcept { drop(p); }
EXPORT void operator delete[](void* p, Align) noexcept { drop(p); }
EXPORT void operator delete(void* p, Size, Align) noexcept { drop(p); }
EXPORT void operator delete[](void* p, Size, Align) noexcept { drop(p); }
EXPORT void operator delete(void* p, Align, const std::nothrow_t&) noexcept { drop(p); }
EXPORT void operator delete[](void* p, Align, const std::nothrow_t&) noexcept { drop(p); }
