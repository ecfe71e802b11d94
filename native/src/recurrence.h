// Runs a plan over all steps. Included once for each instruction set and instantiated for float and double.
//
// Products that depend on no state are computed for a block of steps at once, in the same cache as the rest of the step.
//
// Threads share the work in one of two ways. Slices of the batch need no barrier: rows never meet inside a step.
// Slices of the units need one barrier for each product or sum, and keep each core's share of the matrices in its own
// cache. Either way each number is computed by the same operations in the same order.
#pragma once

#include "gatewise.h"
#include "kernels.h"
#include "packing.h"
#include "philox.h"
#include "plan.h"
#include "pointwise.h"
#include "product.h"
#include "sharing.h"
#include "threads.h"

#include <cstdlib>
#include <memory>
#include <utility>

namespace gatewise {
namespace GATEWISE_ISA {

template <class T>
class Run {
public:
    Run(const gatewise_plan& plan, const gatewise_call& call) : plan_(plan), call_(call) {}

    // Decides how the call is shared by at most so many threads, and takes all memory; whether there was enough.
    bool ready(int threads) {
        shared_ = share_work(plan_, call_, threads);
        return allocate();
    }
    int threads() const { return shared_.threads; }

    // The share of thread `index` of `count`, which is at most threads().
    void body(int index, int count) {
        char* mine = own_ + own_bytes_ * index;
        Own own{reinterpret_cast<char**>(mine), reinterpret_cast<char**>(mine + own_here_),
            reinterpret_cast<int64_t*>(mine + own_strides_), reinterpret_cast<T*>(mine + own_temporaries_), reinterpret_cast<T*>(mine + own_rows_),
            reinterpret_cast<TermRun<T>*>(mine + own_terms_)};
        for (int s = 0; s < plan_.slots(); s++) {
            own.here[s] = nullptr;
            own.rows[s] = row_bytes_[s];
        }
        for (int s = plan_.first_temporary(); s < plan_.first_row_temporary(); s++)
            own.now[s] = reinterpret_cast<char*>(own.temporaries + size_t(s - plan_.first_temporary()) * chunk_);
        for (int s = plan_.first_row_temporary(); s < plan_.slots(); s++)
            own.now[s] =
                reinterpret_cast<char*>(own.row_temporaries + size_t(s - plan_.first_row_temporary()) * call_.rows);
        if (shared_.packed && !call_.prepared) {
            pack_share(index, count);
            barrier_.wait(count);
        }
        if (shared_.by_units) {
            run_rows(own, 0, call_.rows, index, count);
        } else {
            int64_t rows = call_.rows, first = rows * index / count, last = rows * (index + 1) / count;
            int64_t pieces = (last - first + most_rows - 1) / most_rows;
            for (int64_t k = 0; k < pieces; k++)
                run_rows(own, first + (last - first) * k / pieces, first + (last - first) * (k + 1) / pieces, 0, 1);
        }
    }

private:
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };

    // What a thread has of its own.
    struct Own {
        char** now;      // by slot: row 0 at this step
        char** here;     // by slot: this row, this chunk
        int64_t* rows;   // by slot: bytes from row to row at this step
        T* temporaries;
        T* row_temporaries;
        TermRun<T>* terms;
    };

    // --- memory

    // A place in a block of memory that is still to be allocated. No single size overflows: rows, widths and counts
    // are bounded; their sum is.
    size_t take(size_t bytes) {
        size_t at = total_;
        if (bytes >> 50 || total_ >> 50)
            too_much_ = true;
        else
            total_ += round_up(bytes);
        return at;
    }

    bool allocate() {
        const int slots = plan_.slots();
        const size_t rows = size_t(call_.rows);
        chunk_ = chunk_units(sizeof(T));
        size_t row_bytes = take(slots * sizeof(int64_t)), unit_bytes = take(slots * sizeof(int64_t));
        size_t functions = take(plan_.instructions.size() * sizeof(Pointwise<T>));
        size_t places = take((plan_.terms.size() + 1) * sizeof(Place));
        size_t chunks = take((plan_.sums.size() + 1) * sizeof(size_t));
        size_t scratch = take(plan_.scratch.size() * sizeof(size_t));
        // What the threads have of their own.
        const size_t here = round_up(slots * sizeof(char*)), strides = 2 * here;
        const size_t temporaries = 3 * here;
        const size_t row_temporaries = temporaries + round_up(size_t(plan_.temporaries) * chunk_ * sizeof(T));
        const size_t terms = row_temporaries + round_up(size_t(plan_.row_temporaries) * rows * sizeof(T));
        own_bytes_ = terms + round_up(plan_.terms.size() * sizeof(TermRun<T>));
        size_t own = take(own_bytes_ * shared_.threads);
        if (too_much_) return false;
        std::unique_ptr<char, Free> tables(static_cast<char*>(std::aligned_alloc(64, total_ + 64)));
        if (!tables) return false;
        char* base = tables.get();
        row_bytes_ = reinterpret_cast<int64_t*>(base + row_bytes);
        unit_bytes_ = reinterpret_cast<int64_t*>(base + unit_bytes);
        functions_ = reinterpret_cast<Pointwise<T>*>(base + functions);
        places_ = reinterpret_cast<Place*>(base + places);
        sums_at_ = reinterpret_cast<size_t*>(base + chunks);
        scratch_at_ = reinterpret_cast<size_t*>(base + scratch);
        own_ = base + own;
        own_here_ = here, own_strides_ = strides, own_temporaries_ = temporaries, own_rows_ = row_temporaries, own_terms_ = terms;
        tables_ = std::move(tables);

        total_ = 0;
        for (size_t k = 0; k < plan_.scratch.size(); k++) {
            const Scratch& s = plan_.scratch[k];
            size_t copies = s.copies == copies_ahead ? size_t(shared_.block) : s.copies == copies_two ? 2 : 1;
            scratch_at_[k] = take(rows * s.width * sizeof(T) * copies + 64);
        }
        for (size_t k = 0; k < plan_.sums.size(); k++)
            sums_at_[k] = take(2 * rows * chunks_of(plan_.sums[k].width) * sizeof(T));
        size_t matrices = 0;
        if (shared_.packed) {
            format_ = call_.prepared ? static_cast<const Prepared*>(call_.prepared)->format : int32_t(GATEWISE_PACKED);
            if (!place_packed<T>(plan_, format_, places_, matrices)) return false;
        }
        size_t own_matrices = call_.prepared ? 0 : take(matrices);
        if (too_much_) return false;
        memory_.reset(static_cast<char*>(std::aligned_alloc(64, total_ + 64)));
        if (!memory_) return false;
        own_packed_ = memory_.get() + own_matrices;
        packed_at_ = call_.prepared ? static_cast<const char*>(call_.prepared) + sizeof(Prepared) : own_packed_;
        describe();
        return true;
    }

    size_t chunks_of(int32_t width) const { return (width + chunk_ - 1) / chunk_; }

    // Strides and functions, which are the same for all threads.
    void describe() {
        const int slots = plan_.slots();
        for (int s = 0; s < slots; s++) {
            switch (plan_.kind(s)) {
                case SlotKind::buffer: {
                    int64_t size = plan_.buffers[s].truth ? 1 : sizeof(T);
                    row_bytes_[s] = call_.buffers[s].row * size;
                    unit_bytes_[s] = plan_.buffers[s].unit * size;
                    break;
                }
                case SlotKind::scratch:
                    row_bytes_[s] = plan_.width(s) * int64_t(sizeof(T));
                    unit_bytes_[s] = plan_.unit(s) * int64_t(sizeof(T));
                    break;
                case SlotKind::state:
                    row_bytes_[s] = 0;  // set at each step
                    unit_bytes_[s] = plan_.unit(s) * int64_t(sizeof(T));
                    break;
                case SlotKind::temporary: row_bytes_[s] = unit_bytes_[s] = 0; break;
                case SlotKind::row_temporary:
                    row_bytes_[s] = sizeof(T);
                    unit_bytes_[s] = 0;
                    break;
            }
        }
        // A state is read from where it was written, except at the first step: one stride must do for both.
        for (size_t k = 0; k < plan_.states.size(); k++)
            row_bytes_[plan_.first_state() + int32_t(k)] = row_bytes_[plan_.states[k].write];
        for (const Block& block : plan_.blocks)
            for (int k = block.first; k < block.first + block.count; k++) {
                const Instruction& i = plan_.instructions[k];
                functions_[k] = pointwise<T>(i.operation, scalars_of(block, i));
            }
    }

    int scalars_of(const Block& block, const Instruction& i) const {
        if (i.operation == op_keep || i.operation == op_sum) return 0;
        const int32_t operands[] = {i.a, i.b, i.c};
        int found = 0;
        for (int k = 0; k < operands_of(i.operation); k++) {
            int32_t s = operands[k];
            bool one = block.per_row ? row_bytes_[s] == 0
                                     : plan_.kind(s) != SlotKind::temporary && unit_bytes_[s] == 0;
            found |= int(one) << k;
        }
        return found;
    }

    // --- one thread

    void pack_share(int index, int count) {
        for (const Product& p : plan_.products) {
            int panels = (p.columns + panel_columns<T> - 1) / panel_columns<T>;
            int first = int(int64_t(panels) * index / count) * panel_columns<T>;
            int last = int(int64_t(panels) * (index + 1) / count) * panel_columns<T>;
            for (int t = p.first_term; t < p.first_term + p.terms; t++) {
                const gatewise_weight& w = call_.weights[plan_.terms[t].weight];
                pack<T>(plan_.terms[t], static_cast<const T*>(w.data), w.leading, p.columns, first, last - first,
                    reinterpret_cast<T*>(own_packed_ + places_[t].panels));
            }
        }
    }

    // Units [first, last) of a value of some width that thread `index` of `count` computes.
    void share(int32_t width, int index, int count, int& first, int& last) const {
        if (count == 1) {
            first = 0, last = width;
            return;
        }
        int grain = plan_.sums.empty() ? panel_columns<T> : chunk_;
        int grains = (width + grain - 1) / grain;
        first = int(int64_t(grains) * index / count) * grain;
        last = int(int64_t(grains) * (index + 1) / count) * grain;
        if (first > width) first = width;
        if (last > width) last = width;
    }

    // All steps for some rows; of each value the share of one thread.
    void run_rows(Own& own, int64_t first, int64_t last, int index, int count) {
        for (int64_t i = 0; i < call_.steps; i++) {
            int64_t t = call_.reverse ? call_.steps - 1 - i : i;
            locate(own, i);
            if (plan_.ahead && i % shared_.block == 0) look_ahead(own, i, first, last, index, count);
            for (const Segment& segment : plan_.segments) {
                if (count > 1 && (segment.products || segment.sums)) barrier_.wait(count);
                for (int k = segment.first_sum; k < segment.first_sum + segment.sums; k++)
                    combine(own, k, int(i & 1), first, last);
                for (int k = segment.first_product; k < segment.first_product + segment.products; k++)
                    product(own, plan_.products[k], first, last, index, count);
                for (int k = segment.first_block; k < segment.first_block + segment.blocks; k++) {
                    const Block& block = plan_.blocks[k];
                    if (block.per_row)
                        row_block(own, block, t, first, last, index == 0);
                    else
                        wide_block(own, block, i, t, first, last, index, count);
                }
            }
        }
        keep_final(first, last, index, count);
    }

    char* buffer_at(int slot, int64_t t) const {
        const gatewise_buffer& b = call_.buffers[slot];
        int64_t size = plan_.buffers[slot].truth ? 1 : sizeof(T);
        return static_cast<char*>(b.data) + (plan_.buffers[slot].per_step ? t * b.step * size : 0);
    }

    // Steps of the block that step i belongs to.
    int64_t block_steps(int64_t i) const {
        int64_t left = call_.steps - i / shared_.block * shared_.block;
        return left < shared_.block ? left : shared_.block;
    }

    char* written_at(int slot, int64_t i) const {
        if (slot < plan_.first_scratch()) return buffer_at(slot, call_.reverse ? call_.steps - 1 - i : i);
        const Scratch& s = plan_.scratch[slot - plan_.first_scratch()];
        // Of a block of steps, the place follows the time, whichever way it runs.
        int64_t copy = s.copies == copies_two ? i & 1 : 0;
        if (s.copies == copies_ahead) copy = call_.reverse ? block_steps(i) - 1 - i % shared_.block : i % shared_.block;
        return memory_.get() + scratch_at_[slot - plan_.first_scratch()] + size_t(copy) * call_.rows * s.width * sizeof(T);
    }

    // Where each slot's row 0 is at this step.
    void locate(Own& own, int64_t i) const {
        for (int s = 0; s < plan_.first_state(); s++) own.now[s] = written_at(s, i);
        for (size_t k = 0; k < plan_.states.size(); k++) {
            const StateEntry& s = plan_.states[k];
            size_t slot = plan_.first_state() + k;
            own.now[slot] = i == 0 ? static_cast<char*>(call_.buffers[s.initial].data) : written_at(s.write, i - 1);
            own.rows[slot] = i == 0 ? call_.buffers[s.initial].row * int64_t(sizeof(T)) : row_bytes_[s.write];
        }
    }

    void combine(Own& own, int sum, int parity, int64_t first, int64_t last) const {
        const SumEntry& entry = plan_.sums[sum];
        T* to = reinterpret_cast<T*>(own.now[entry.slot]);
        size_t chunks = chunks_of(entry.width);
        const T* parts = partial(sum, parity);
        for (int64_t row = first; row < last; row++) {
            T total = parts[row];
            for (size_t k = 1; k < chunks; k++) total += parts[k * call_.rows + row];
            to[row] = total;
        }
    }

    T* partial(int sum, int parity) const {
        size_t half = parity ? chunks_of(plan_.sums[sum].width) * size_t(call_.rows) : 0;
        return reinterpret_cast<T*>(memory_.get() + sums_at_[sum]) + half;
    }

    // The terms of a product: its vectors at this step, its matrices.
    void meet(Own& own, const Product& p) const {
        for (int k = 0; k < p.terms; k++) {
            int t = p.first_term + k;
            const Term& term = plan_.terms[t];
            TermRun<T>& run = own.terms[k];
            run = {reinterpret_cast<const T*>(own.now[term.vector]) + term.vector_offset,
                own.rows[term.vector] / int64_t(sizeof(T)), 0, term.length, nullptr, 0, nullptr};
            if (shared_.packed) {
                run.matrix = packed_at_ + places_[t].panels;
                run.leading = (p.columns + panel_columns<T> - 1) / panel_columns<T> * panel_columns<T>;
                if (format_ == GATEWISE_INT8) run.scales = reinterpret_cast<const float*>(packed_at_ + places_[t].scales);
            } else {
                const gatewise_weight& w = call_.weights[term.weight];
                run.matrix = static_cast<const T*>(w.data) + int64_t(term.row) * w.leading + term.column;
                run.leading = w.leading;
            }
        }
    }

    void multiply(Own& own, const Product& p, const Target<T>& target, int groups, int rows, int from, int to) const {
        if (!shared_.packed) {
            direct_product<T>(&plan_.terms[p.first_term], own.terms, p.terms, target, rows, from, to - from);
            return;
        }
        if constexpr (sizeof(T) == 4) {
            if (format_ == GATEWISE_BFLOAT16)
                return packed_product<T, uint16_t>(own.terms, p.terms, target, groups, rows, from, to - from);
            if (format_ == GATEWISE_INT8)
                return integer_product(own.terms, p.terms, target, groups, rows, from, to - from);
        }
        packed_product<T, T>(own.terms, p.terms, target, groups, rows, from, to - from);
    }

    void product(Own& own, const Product& p, int64_t first, int64_t last, int index, int count) {
        int from, to;
        share(p.columns, index, count, from, to);
        if (from == to) return;
        meet(own, p);
        for (int k = 0; k < p.terms; k++) own.terms[k].vector += first * own.terms[k].row;
        Target<T> target{};
        target.row = own.rows[p.out] / int64_t(sizeof(T));
        target.out = reinterpret_cast<T*>(own.now[p.out]) + p.out_offset + first * target.row;
        if (p.base != -1) {
            target.base_is_scalar = plan_.unit(p.base) == 0;
            target.base_row = own.rows[p.base] / int64_t(sizeof(T));
            target.base = reinterpret_cast<const T*>(own.now[p.base]) + (target.base_is_scalar ? 0 : p.out_offset) +
                          first * target.base_row;
        }
        multiply(own, p, target, 1, int(last - first), from, to);
    }

    // The input products of a block of steps; step i, where own.now stands, is the first of them to run.
    void look_ahead(Own& own, int64_t i, int64_t first, int64_t last, int index, int count) {
        const int64_t steps = block_steps(i), back = call_.reverse ? steps - 1 : 0;  // from the earliest step to i
        for (int k = 0; k < plan_.ahead; k++) {
            const Product& p = plan_.products[k];
            int from, to;
            share(p.columns, index, count, from, to);
            if (from == to) continue;
            meet(own, p);
            Target<T> target{};
            target.row = own.rows[p.out] / int64_t(sizeof(T));
            target.group = call_.rows * target.row;
            target.out = reinterpret_cast<T*>(own.now[p.out]) + p.out_offset + first * target.row - back * target.group;
            if (p.base != -1) {
                target.base_is_scalar = plan_.unit(p.base) == 0;
                target.base = reinterpret_cast<const T*>(own.now[p.base]) + (target.base_is_scalar ? 0 : p.out_offset);
                target.base_row = own.rows[p.base] / int64_t(sizeof(T));
                target.base += first * target.base_row;
            }
            bool even = last - first == call_.rows && target.base_row == 0;  // rows of all steps at one distance
            for (int n = 0; n < p.terms; n++) {
                const Term& term = plan_.terms[p.first_term + n];
                TermRun<T>& run = own.terms[n];
                run.group = plan_.buffers[term.vector].per_step ? call_.buffers[term.vector].step : 0;
                run.vector += first * run.row - back * run.group;
                even = even && run.group == call_.rows * run.row;
            }
            int64_t groups = steps, rows = last - first;
            if (!shared_.packed) {
                for (int64_t g = 0; g < groups; g++) {
                    multiply(own, p, target, 1, int(rows), from, to);
                    target.out += target.group;
                    for (int n = 0; n < p.terms; n++) own.terms[n].vector += own.terms[n].group;
                }
                continue;
            }
            if (even) {
                rows *= steps, groups = 1;
            } else if (rows < most_tile_rows && rows < steps) {
                // Few rows: those of one sequence over all steps are taken together.
                std::swap(rows, groups);
                std::swap(target.row, target.group);
                std::swap(target.base_row, target.base_group);
                for (int n = 0; n < p.terms; n++) std::swap(own.terms[n].row, own.terms[n].group);
            }
            multiply(own, p, target, int(groups), int(rows), from, to);
        }
    }

    // Every thread that shares a row computes what there is once a row; what nobody reads again one of them writes.
    void row_block(
        Own& own, const Block& block, int64_t t, int64_t first, int64_t last, bool writes_results) const {
        int count = int(last - first);
        for (int k = block.first; k < block.first + block.count; k++) {
            const Instruction& i = plan_.instructions[k];
            if (!writes_results && plan_.last_word[k]) continue;
            auto at = [&](int32_t s) { return own.now[s] + first * own.rows[s]; };
            T* result = i.operation == op_sum ? nullptr : reinterpret_cast<T*>(at(i.result));
            switch (i.operation) {
                case op_load_truth:
                    load_truth<T>(result, reinterpret_cast<const uint8_t*>(at(i.a)), count, row_bytes_[i.a] == 0);
                    break;
                case op_store_truth:
                    store_truth<T>(reinterpret_cast<uint8_t*>(result), reinterpret_cast<const T*>(at(i.a)), count,
                        row_bytes_[i.a] == 0);
                    break;
                case op_keep:
                    for (int r = 0; r < count; r++) keep(result + r, i.a, 0, 1, first + r, t);
                    break;
                default: {
                    int operands = operands_of(i.operation);
                    functions_[k](result, reinterpret_cast<const T*>(at(i.a)),
                        operands > 1 ? reinterpret_cast<const T*>(at(i.b)) : nullptr,
                        operands > 2 ? reinterpret_cast<const T*>(at(i.c)) : nullptr, count);
                }
            }
        }
    }

    void keep(T* result, int32_t entry, int64_t unit, int count, int64_t row, int64_t t) const {
        const Keep& k = plan_.keeps[entry];
        uint32_t which = k.site << 24 | uint32_t(call_.stream & 0xffffff);
        keep_chunk<T>(result, k, unit, count, uint32_t(row), uint32_t(uint64_t(call_.start) + uint64_t(t)), which, call_.seed);
    }

    void wide_block(Own& own, const Block& block, int64_t step, int64_t t, int64_t first, int64_t last, int index,
        int count) {
        int from, to;
        share(block.width, index, count, from, to);
        const std::vector<int32_t>& used = plan_.used[&block - plan_.blocks.data()];
        char** here = own.here;
        const Instruction* instructions = plan_.instructions.data();
        for (int64_t row = first; row < last; row++)
            for (int unit = from; unit < to; unit += chunk_) {
                int units = to - unit < chunk_ ? to - unit : chunk_;
                for (int32_t s : used) here[s] = own.now[s] + row * own.rows[s] + unit * unit_bytes_[s];
                for (int k = block.first; k < block.first + block.count; k++) {
                    const Instruction& i = instructions[k];
                    if (functions_[k]) {
                        // Slots that an operation does not have are number 0, which is never read.
                        functions_[k](reinterpret_cast<T*>(here[i.result]), reinterpret_cast<const T*>(here[i.a]),
                            reinterpret_cast<const T*>(here[i.b]), reinterpret_cast<const T*>(here[i.c]), units);
                        continue;
                    }
                    special(own, i, step, t, row, unit, units);
                }
            }
    }

    void special(
        Own& own, const Instruction& i, int64_t step, int64_t t, int64_t row, int unit, int units) {
        char** here = own.here;
        auto scalar = [&](int32_t s) { return plan_.kind(s) != SlotKind::temporary && unit_bytes_[s] == 0; };
        switch (i.operation) {
            case op_load_truth:
                load_truth<T>(reinterpret_cast<T*>(here[i.result]), reinterpret_cast<const uint8_t*>(here[i.a]), units,
                    scalar(i.a));
                break;
            case op_store_truth:
                store_truth<T>(reinterpret_cast<uint8_t*>(here[i.result]), reinterpret_cast<const T*>(here[i.a]),
                    units, scalar(i.a));
                break;
            case op_keep: keep(reinterpret_cast<T*>(here[i.result]), i.a, unit, units, row, t); break;
            default:  // op_sum
                partial(i.result, int(step & 1))[size_t(unit / chunk_) * call_.rows + row] =
                    sum_chunk<T>(reinterpret_cast<const T*>(here[i.a]), units, scalar(i.a));
        }
    }

    void keep_final(int64_t first, int64_t last, int index, int count) const {
        for (const StateEntry& s : plan_.states) {
            int from, to;
            share(s.width, index, count, from, to);
            const char* source = written_at(s.write, call_.steps - 1);
            int64_t source_row = row_bytes_[s.write];
            char* to_rows = static_cast<char*>(call_.buffers[s.final].data);
            int64_t to_row = call_.buffers[s.final].row * int64_t(sizeof(T));
            if (from == to) continue;
            if (!s.unit) from = 0, to = 1;
            for (int64_t row = first; row < last; row++)
                std::memcpy(to_rows + row * to_row + from * sizeof(T), source + row * source_row + from * sizeof(T),
                    size_t(to - from) * sizeof(T));
        }
    }

    const gatewise_plan& plan_;
    const gatewise_call& call_;
    Sharing shared_{1, false, false, 1};
    int chunk_ = 0;
    bool too_much_ = false;
    size_t total_ = 0, own_bytes_ = 0, own_here_ = 0, own_strides_ = 0, own_temporaries_ = 0, own_rows_ = 0, own_terms_ = 0;
    std::unique_ptr<char, Free> tables_, memory_;
    int64_t *row_bytes_ = nullptr, *unit_bytes_ = nullptr;
    Pointwise<T>* functions_ = nullptr;
    Place* places_ = nullptr;
    char* own_packed_ = nullptr;
    const char* packed_at_ = nullptr;
    int32_t format_ = GATEWISE_PLAIN;
    size_t *sums_at_ = nullptr, *scratch_at_ = nullptr;
    char* own_ = nullptr;
    Barrier barrier_;
};

template <class T>
int apply_operation(int operation, const void* a, const void* b, const void* c, void* result, int64_t count) {
    Pointwise<T> f = pointwise<T>(operation, 0);
    if (!f) return GATEWISE_BAD_CALL;
    const int64_t piece = 1 << 20;
    for (int64_t at = 0; at < count; at += piece)
        f(static_cast<T*>(result) + at, static_cast<const T*>(a) + at, b ? static_cast<const T*>(b) + at : nullptr,
            c ? static_cast<const T*>(c) + at : nullptr, int(count - at < piece ? count - at : piece));
    return GATEWISE_OK;
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
