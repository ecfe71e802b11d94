#include "sharing.h"

namespace gatewise {
namespace {

// What a step costs.
struct Costs {
    double products, pointwise;  // operations a row
    double weights;              // bytes of all matrices
    double ahead, ahead_weights; // bytes of input products a row, and of their matrices
};

Costs costs_of(const gatewise_plan& plan) {
    Costs costs{};
    for (size_t k = 0; k < plan.products.size(); k++) {
        const Product& p = plan.products[k];
        double length = 0;
        for (int t = p.first_term; t < p.first_term + p.terms; t++) length += plan.terms[t].length;
        costs.products += 2 * length * p.columns;
        costs.weights += length * p.columns * plan.element;
        if (k < size_t(plan.ahead)) {
            costs.ahead += double(p.columns) * plan.element;
            costs.ahead_weights += length * p.columns * plan.element;
        }
    }
    for (const Block& b : plan.blocks) costs.pointwise += double(b.per_row ? 1 : b.width) * b.count * 2;
    return costs;
}

int count_barriers(const gatewise_plan& plan) {
    int count = 0;
    for (const Segment& s : plan.segments) count += s.products || s.sums;
    return count;
}

void share_by_rows_or_units(const gatewise_plan& plan, const gatewise_call& call, const Costs& costs, Sharing& shared) {
    const double rows = double(call.rows), steps = double(call.steps), work = costs.products + costs.pointwise;
    int threads = shared.threads;
    // A team costs some microseconds.
    if (steps * rows * work < 5e5) threads = 1;
    shared.threads = threads > rows ? int(call.rows) : threads;
    if (threads == 1 || !plan.may_split_units) return;
    if (plan.products.empty() && plan.sums.empty()) {  // no barriers
        shared.threads = threads;
        shared.by_units = rows < threads;
        return;
    }
    // Time of the products a step in units of one row's arithmetic; the matrices must come from somewhere.
    // Fewer rows than these cost as much as so many: the matrices come from the second cache, the third, or memory
    // (measured on two AVX2 cores, docs/results/native.md).
    auto cost = [&](double own_rows, double own_weights) {
        double floor = own_weights < 8e5 ? 2.7 : own_weights < 8e6 ? 6.0 : 24.0;
        return own_rows > floor ? own_rows : floor;
    };
    double slice = double((call.rows + threads - 1) / threads);
    double by_rows = cost(slice, costs.weights) * costs.products;
    double barriers = 2e4 * double(count_barriers(plan));  // some 300 ns each
    double by_units = cost(rows, costs.weights / threads) * costs.products / threads + barriers;
    if (by_units < by_rows && rows * work / threads > 2e4) {
        shared.threads = threads;
        shared.by_units = true;
    }
}

// The products of a block of steps stay in a core's second cache, beside the matrices; but rows must be enough that
// reading the input's matrix, from wherever it comes, takes less time than multiplying by it.
int64_t steps_ahead(const gatewise_call& call, const Costs& costs, const Sharing& shared) {
    const double rows = double(call.rows), steps = double(call.steps);
    double own_rows = shared.by_units ? rows / shared.threads : (rows + shared.threads - 1) / shared.threads;
    if (own_rows > most_rows) own_rows = most_rows;
    double block = costs.ahead > 0 ? 1.5e5 / (own_rows * costs.ahead) : 1;
    double matrices = shared.by_units ? costs.ahead_weights / shared.threads : costs.ahead_weights;
    double least = matrices < 2e5 ? 12 : matrices < 4e6 ? 96 : 192;
    if (block * own_rows < least) block = least / own_rows;
    if (block > steps) block = steps;
    return block < 1 ? 1 : int64_t(block);
}

}  // namespace

Sharing share_work(const gatewise_plan& plan, const gatewise_call& call, int threads) {
    const Costs costs = costs_of(plan);
    // Few rows and steps go straight to the weights.
    Sharing shared{threads, false, call.prepared || double(call.steps) * double(call.rows) >= 6, 1};
    share_by_rows_or_units(plan, call, costs, shared);
    shared.block = steps_ahead(call, costs, shared);
    return shared;
}

}  // namespace gatewise
