// How a call's work is shared by a team of threads, and how many steps' input products are computed at once.
#pragma once

#include "gatewise.h"
#include "plan.h"

namespace gatewise {

// Rows that pass through all steps together: enough to use a matrix well, few enough to stay in cache.
constexpr int64_t most_rows = 72;

struct Sharing {
    int threads;
    bool by_units;  // each thread has some units of all rows, else some rows of all units
    bool packed;    // matrices are copied in the order in which they are read
    int64_t block;  // steps whose input products are computed at once
};

// The quickest way for at most so many threads.
Sharing share_work(const gatewise_plan& plan, const gatewise_call& call, int threads);

}  // namespace gatewise
