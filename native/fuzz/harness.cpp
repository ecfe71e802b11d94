// Runs any plan on any call, on memory of exactly the stated size, so that the address sanitizer sees every access
// outside. The entry is libFuzzer's; `driver.cpp` runs it on files without libFuzzer.
#include "input.h"
#include "kernels_here.h"
#include "operations.h"
#include "plan.h"
#include "team.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

using gatewise_fuzz::Input;

namespace gatewise_fuzz {
long plans_made = 0, calls_run = 0, calls_refused = 0;
}

namespace {

void expect(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "fuzz: %s\n", what);
    std::abort();
}

struct Free {
    void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, Free>;

// Numbers of all kinds; of bytes zeros and ones.
struct Fill {
    uint64_t state;
    uint8_t kind;

    uint64_t next() {
        state += 0x9E3779B97F4A7C15u;
        uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    template <class T>
    void numbers(void* data, int64_t count) {
        T* to = static_cast<T*>(data);
        for (int64_t k = 0; k < count; k++) {
            uint64_t word = next();
            T value = T(double(word >> 11) / 9007199254740992.0 * 2 - 1);
            if (kind & 1 && word % 7 == 0) value = T(1) / T(0);
            if (kind & 2 && word % 5 == 0) value = T(0) / T(0);
            if (kind & 4) std::memcpy(&value, &word, sizeof(T));
            if (kind & 8) value *= T(1e30);
            to[k] = value;
        }
    }
    Memory make(int64_t count, int element) {
        // No more than is stated: what lies behind it is poisoned.
        Memory memory(std::malloc(size_t(count) * size_t(element)));
        if (!memory) std::abort();
        if (element == 4) numbers<float>(memory.get(), count);
        if (element == 8) numbers<double>(memory.get(), count);
        if (element == 1)
            for (int64_t k = 0; k < count; k++) static_cast<uint8_t*>(memory.get())[k] = uint8_t(next() & 1);
        return memory;
    }
};

// Multiply-adds and pointwise operations of one row and step, and what does not depend on rows.
double work_of(const gatewise_plan& plan, double rows, double steps) {
    double each = 1, once = 1;
    for (int k = 0; k < plan.ahead; k++)
        for (int t = plan.products[k].first_term; t < plan.products[k].first_term + plan.products[k].terms; t++) {
            each += double(plan.products[k].columns + 16) * plan.terms[t].length;
            once += double(plan.products[k].columns + 16) * plan.terms[t].length;
        }
    for (const gatewise::Segment& s : plan.segments) {
        for (int k = s.first_product; k < s.first_product + s.products; k++) {
            const gatewise::Product& p = plan.products[k];
            for (int t = p.first_term; t < p.first_term + p.terms; t++)
                each += double(p.columns + 16) * plan.terms[t].length;
        }
        for (int k = s.first_block; k < s.first_block + s.blocks; k++)
            each += double(plan.blocks[k].per_row ? 1 : plan.blocks[k].width) * (plan.blocks[k].count + 1) * 2;
        for (int k = s.first_sum; k < s.first_sum + s.sums; k++) each += plan.sums[k].width / 64.0 + 1;
    }
    for (const gatewise::Product& p : plan.products)
        for (int t = p.first_term; t < p.first_term + p.terms; t++)
            once += double(p.columns + 16) * plan.terms[t].length;
    for (const gatewise::StateEntry& s : plan.states) once += s.width * rows;
    return each * rows * steps + once + double(plan.slots()) * steps;
}

double memory_of(const gatewise_plan& plan, double rows) {
    double bytes = double(plan.slots()) * 40 + double(plan.temporaries) * 1024 + plan.row_temporaries * rows * 8;
    bytes *= 4;
    for (const gatewise::Scratch& s : plan.scratch) bytes += s.width * rows * 64;
    for (const gatewise::SumEntry& s : plan.sums) bytes += (s.width / 128.0 + 1) * rows * 16;
    return bytes;
}

// The row stride of a buffer, from its own width to ones that overlap or leave gaps.
int64_t row_stride(uint8_t shape, const gatewise::Buffer& b) {
    const int64_t own = b.unit ? b.width : 1;
    switch (shape & 7) {
        case 4: return own + 1;
        case 5: return own + 7;
        case 6: return 0;
        case 7: return b.unit ? own - 1 : 2;
        default: return own;
    }
}

int64_t step_stride(uint8_t shape, int64_t rows, int64_t row) {
    switch (shape >> 3 & 7) {
        case 4: return 0;
        case 5: return rows * row + 3;
        case 6: return row;
        case 7: return 1;
        default: return rows * row;
    }
}

// Packs the weights into memory of exactly the size; empty where that is refused.
Memory pack(const gatewise_plan& plan, const std::vector<gatewise_weight>& weights, const Input& input, int64_t& size) {
    int code = gatewise_prepared_size(&plan, input.format(), &size);
    if (code != GATEWISE_OK || size > 1 << 24) return Memory();
    Memory packed(std::aligned_alloc(64, size_t(size)));
    if (!packed) return packed;
    expect(gatewise_prepare(&plan, weights.data(), input.format(), packed.get(), size - 1) == GATEWISE_BAD_CALL,
        "memory that is too small was accepted for packing");
    code = gatewise_prepare(&plan, weights.data(), input.format(), packed.get(), size);
    expect(code == GATEWISE_OK || code == GATEWISE_BAD_CALL || code == GATEWISE_NO_MEMORY, "an unknown code");
    if (code != GATEWISE_OK) packed.reset();
    return packed;
}

void run(const gatewise_plan& plan, const Input& input) {
    int64_t steps = input.steps(), rows = input.rows();
    if (work_of(plan, double(rows), double(steps)) > 4e6) steps = 2, rows = rows % 4 + 1;
    if (work_of(plan, double(rows), double(steps)) > 4e6 || memory_of(plan, double(rows)) > 3e7) return;
    Fill fill{input.fill_seed(), input.fill()};
    std::vector<Memory> kept;
    std::vector<gatewise_buffer> buffers;
    std::vector<gatewise_weight> weights;
    bool too_small = false;
    int64_t total = 0;
    for (size_t k = 0; k < plan.buffers.size(); k++) {
        const gatewise::Buffer& b = plan.buffers[k];
        const uint8_t shape = input.shape(k);
        const int64_t row = row_stride(shape, b), step = step_stride(shape, rows, row);
        const int64_t size = (b.per_step ? step * (steps - 1) : 0) + row * (rows - 1) + (b.unit ? b.width : 1);
        if ((total += size) > 1 << 18) return;
        if (input.share_memory() && k == 1 && buffers[0].size == size && plan.buffers[0].truth == b.truth) {
            buffers.push_back({buffers[0].data, step, row, size});
            continue;
        }
        bool small = shape >= 254 && size > 1;
        too_small |= small;
        kept.push_back(fill.make(size - small, b.truth ? 1 : plan.element));
        buffers.push_back({kept.back().get(), step, row, size - small});
    }
    for (size_t k = 0; k < plan.weights.size(); k++) {
        const gatewise::WeightEntry& w = plan.weights[k];
        const uint8_t shape = input.shape(k + 11);
        const int64_t leading = w.columns + (shape & 4 ? shape & 3 : 0);
        if (int64_t(w.rows) * leading > 1 << 19) return;
        const int64_t size = leading * (w.rows - 1) + w.columns;
        if ((total += size) > 1 << 20) return;
        kept.push_back(fill.make(size, plan.element));
        weights.push_back({kept.back().get(), leading, size});
    }
    gatewise_call call = {};
    call.buffers = buffers.data();
    call.weights = weights.data();
    call.steps = steps;
    call.rows = rows;
    call.start = input.start();
    call.seed = input.seed();
    call.stream = input.stream();
    call.reverse = input.reverse();
    call.threads = input.threads();
    gatewise_tests::most_threads() = input.team();
    call.parallel = input.threads() > 1 ? gatewise_tests::parallel : nullptr;
    static const std::vector<gatewise_tests::Kernel> kernels = gatewise_tests::kernels_here();
    expect(!kernels.empty(), "no kernel is there");
    gatewise_choose_kernel((input.portable() ? kernels.front() : kernels.back()).number);
    Memory packed;
    if (input.format()) {
        packed = pack(plan, weights, input, call.prepared_size);
        if (!packed) return;
        call.prepared = packed.get();
        call.weights = nullptr;
        // Any of the head's words, which say for what the memory was made.
        if (input.torn_packing()) static_cast<char*>(packed.get())[input.shape(3) % 24] ^= 1;
    }
    std::vector<gatewise_buffer> others;
    gatewise_call second = call;
    if (input.together()) {
        for (size_t k = 0; k < buffers.size(); k++) {
            kept.push_back(fill.make(buffers[k].size, plan.buffers[k].truth ? 1 : plan.element));
            others.push_back({kept.back().get(), buffers[k].step, buffers[k].row, buffers[k].size});
        }
        second.buffers = others.data();
        second.reverse = !call.reverse;
    }
    const gatewise_plan* plans[] = {&plan, &plan};
    const gatewise_call* calls[] = {&call, &second};
    int code = input.together() ? gatewise_run_together(plans, calls, 2) : gatewise_run(&plan, &call);
    expect(!(input.format() && input.torn_packing()) || code != GATEWISE_OK, "torn packed memory was accepted");
    expect(code == GATEWISE_OK || code == GATEWISE_BAD_CALL || code == GATEWISE_NO_MEMORY, "an unknown code");
    expect(!too_small || code != GATEWISE_OK, "memory that is too small was accepted");
    (code == GATEWISE_OK ? gatewise_fuzz::calls_run : gatewise_fuzz::calls_refused)++;
}

// One operation on arrays.
void apply(const Input& input) {
    const int element = input.head[1] & 1 ? 4 : 8;
    const int64_t count = 1 + input.head[2];
    const int operation = int(input.head[3]) - 2;
    Fill fill{input.fill_seed(), input.fill()};
    Memory a = fill.make(count, element), b = fill.make(count, element), c = fill.make(count, element);
    Memory result = fill.make(count, element);
    const bool missing_b = input.head[4] & 1, missing_c = input.head[4] & 2;
    int code = gatewise_apply(operation, element, a.get(), missing_b ? nullptr : b.get(),
        missing_c ? nullptr : c.get(), result.get(), count);
    expect(code == GATEWISE_OK || code == GATEWISE_BAD_CALL, "an unknown code");
}

}  // namespace

extern "C" const char* __asan_default_options() {
    return "allocator_may_return_null=1:detect_stack_use_after_return=0:quarantine_size_mb=16";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input(data, size);
    if (input.what() >= 250) {
        apply(input);
        return 0;
    }
    // On the heap and no longer than it is: reading behind the last word is seen.
    std::unique_ptr<int32_t[]> words(new int32_t[input.words.size()]);
    std::copy(input.words.begin(), input.words.end(), words.get());
    gatewise_plan* plan = nullptr;
    int code = gatewise_plan_make(words.get(), int64_t(input.words.size()), &plan);
    expect((code == GATEWISE_OK) == (plan != nullptr), "a plan without its code, or a code without its plan");
    expect(code == GATEWISE_OK || code == GATEWISE_BAD_PLAN, "an unknown code");
    if (!plan) return 0;
    gatewise_fuzz::plans_made++;
    run(*plan, input);
    gatewise_plan_free(plan);
    return 0;
}
