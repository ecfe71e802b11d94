// A parallel function of the C interface on the standard library's threads.
#pragma once

#include "gatewise.h"

#include <atomic>
#include <thread>
#include <vector>

namespace gatewise_tests {

// At most so many threads really run, whatever a call asks for; teams may come out smaller than wanted.
inline std::atomic<int>& most_threads() {
    static std::atomic<int> most{1024};
    return most;
}

// How many teams of more than one thread have run.
inline std::atomic<long>& teams() {
    static std::atomic<long> count{0};
    return count;
}

inline void parallel(gatewise_body body, void* context, int threads) {
    int count = threads < most_threads() ? threads : most_threads().load();
    if (count > 1) teams()++;
    std::vector<std::thread> others;
    for (int k = 1; k < count; k++) others.emplace_back(body, context, k, count);
    body(context, 0, count);
    for (std::thread& other : others) other.join();
}

}  // namespace gatewise_tests
