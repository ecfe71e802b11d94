// A barrier for a team whose size is known only once it runs.
#pragma once

#include <atomic>
#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif
#include <sched.h>

namespace gatewise {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

class Barrier {
public:
    // Returns when all `count` threads have come.
    void wait(int count) {
        if (count == 1) return;
        uint32_t turn = turn_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.store(turn + 1, std::memory_order_release);
            return;
        }
        // Another process may hold the core of the thread that is waited for: spin a little, then give way.
        for (int spins = 0; turn_.load(std::memory_order_acquire) == turn; spins++) {
            if (spins < 4000)
                pause_briefly();
            else
                sched_yield();
        }
    }

private:
    alignas(64) std::atomic<int32_t> arrived_{0};
    alignas(64) std::atomic<uint32_t> turn_{0};
};

}  // namespace gatewise
