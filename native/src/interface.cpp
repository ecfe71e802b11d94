// The C interface: checks what comes in, and hands it to a kernel.
#include "gatewise.h"
#include "kernels.h"
#include "operations.h"
#include "plan.h"

#include <atomic>
#include <new>

using namespace gatewise;

namespace {

// The kernel of a number, or nullptr where there is none that this processor can run.
const Kernel* kernel_of(int number) {
#ifdef GATEWISE_ON_X86
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (number == GATEWISE_AVX2 && avx2) return &avx2_kernel;
    if (number == GATEWISE_AVX512 && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &avx512_kernel;
#endif
    return number == GATEWISE_PORTABLE ? &portable_kernel : nullptr;
}

int best_kernel() {
    for (int number : {GATEWISE_AVX512, GATEWISE_AVX2})
        if (kernel_of(number)) return number;
    return GATEWISE_PORTABLE;
}

std::atomic<int> chosen{-1};

// The chosen number always has a kernel.
const Kernel& kernel() { return *kernel_of(gatewise_kernel_in_use()); }

using Fork = void (*)(void (*)(void*), void*, unsigned, unsigned);
using Ask = int (*)();
std::atomic<Fork> fork_team{nullptr};
std::atomic<Ask> own_number{nullptr}, team_size{nullptr};

struct Team {
    gatewise_body body;
    void* context;
};

void member(void* argument) {
    const Team* team = static_cast<const Team*>(argument);
    team->body(team->context, own_number.load()(), team_size.load()());
}

void openmp_parallel(gatewise_body body, void* context, int threads) {
    Team team{body, context};
    fork_team.load()(member, &team, unsigned(threads), 0);
}

bool is_aligned(const void* memory, size_t bytes) { return reinterpret_cast<uintptr_t>(memory) % bytes == 0; }

bool weights_fit(const gatewise_plan& plan, const gatewise_weight* weights) {
    const int64_t most = int64_t(1) << 40;
    if (!plan.weights.empty() && !weights) return false;
    for (size_t k = 0; k < plan.weights.size(); k++) {
        const WeightEntry& w = plan.weights[k];
        const gatewise_weight& given = weights[k];
        if (!given.data || !is_aligned(given.data, plan.element) || given.leading < w.columns || given.leading > most) return false;
        if (__int128(given.leading) * (w.rows - 1) + w.columns > given.size) return false;
    }
    return true;
}

bool has_format(const gatewise_plan& plan, int format) {
    return format == GATEWISE_PACKED ||
           (plan.element == 4 && (format == GATEWISE_BFLOAT16 || format == GATEWISE_INT8));
}

// Whether a call's packed matrices were made for this plan's layout by the kernel that will read them.
bool is_prepared(const gatewise_plan& plan, const gatewise_call& call) {
    if (!is_aligned(call.prepared, 64) || call.prepared_size < int64_t(sizeof(Prepared))) return false;
    const Prepared& head = *static_cast<const Prepared*>(call.prepared);
    return head.magic == seal(head.kernel, head.format, head.terms) && head.kernel == gatewise_kernel_in_use() && has_format(plan, head.format) &&
           head.terms == int32_t(plan.terms.size()) && head.size == call.prepared_size &&
           head.size == kernel().prepared_size(plan, head.format);
}

// Whether a call's memory is as large as the plan will touch.
bool fits(const gatewise_plan& plan, const gatewise_call& call) {
    const int64_t most = int64_t(1) << 40;
    if (call.steps < 1 || call.rows < 1 || call.steps > most || call.rows > (int64_t(1) << 31) - 1) return false;
    if (call.stream < 0 || call.stream >= 1 << 24) return false;
    if (!plan.buffers.empty() && !call.buffers) return false;
    for (size_t k = 0; k < plan.buffers.size(); k++) {
        const Buffer& b = plan.buffers[k];
        const gatewise_buffer& given = call.buffers[k];
        if (!given.data || !is_aligned(given.data, b.truth ? 1 : plan.element)) return false;
        if (given.step < 0 || given.row < 0 || given.step > most || given.row > most) return false;
        if (!b.unit && given.row > 1) return false;
        if (b.filled_by_rows && given.row != 1) return false;
        __int128 last = __int128(b.per_step ? given.step : 0) * (call.steps - 1) +
                        __int128(given.row) * (call.rows - 1) + (b.unit ? b.width : 1);
        if (last > given.size) return false;
    }
    // One value a row: instructions run over rows, and the same ones over a state's first and later values.
    for (const StateEntry& s : plan.states) {
        if (s.unit) continue;
        if (call.buffers[s.initial].row != 1 || call.buffers[s.final].row != 1) return false;
        if (s.write < plan.first_scratch() && call.buffers[s.write].row != 1) return false;
    }
    return call.prepared ? is_prepared(plan, call) : weights_fit(plan, call.weights);
}

}  // namespace

extern "C" {

int gatewise_abi(void) { return GATEWISE_ABI; }

const char* gatewise_error_text(int code) {
    switch (code) {
        case GATEWISE_OK: return "no error";
        case GATEWISE_NO_MEMORY: return "not enough memory";
        case GATEWISE_BAD_PLAN: return "the plan is not valid";
        case GATEWISE_BAD_CALL: return "the call's memory does not fit the plan";
        case GATEWISE_NO_SUCH_KERNEL: return "this processor cannot run that kernel";
        default: return "unknown error";
    }
}

int gatewise_kernel_in_use(void) {
    int now = chosen.load();
    if (now < 0) chosen.store(now = best_kernel());
    return now;
}

int gatewise_choose_kernel(int wanted) {
    if (!kernel_of(wanted)) return GATEWISE_NO_SUCH_KERNEL;
    chosen.store(wanted);
    return GATEWISE_OK;
}

int gatewise_use_openmp(void* fork, void* number, void* count) {
    if (!fork || !number || !count) return GATEWISE_BAD_CALL;
    fork_team.store(reinterpret_cast<Fork>(fork));
    own_number.store(reinterpret_cast<Ask>(number));
    team_size.store(reinterpret_cast<Ask>(count));
    return GATEWISE_OK;
}

gatewise_parallel gatewise_openmp(void) { return fork_team.load() ? openmp_parallel : nullptr; }

int gatewise_plan_make(const int32_t* words, int64_t count, gatewise_plan** plan) {
    if (!plan || !words || count < 0) return GATEWISE_BAD_CALL;
    *plan = nullptr;
    gatewise_plan* made = new (std::nothrow) gatewise_plan();
    if (!made) return GATEWISE_NO_MEMORY;
    int code = read_plan(words, count, *made);
    if (code != GATEWISE_OK) {
        delete made;
        return code;
    }
    *plan = made;
    return GATEWISE_OK;
}

void gatewise_plan_free(gatewise_plan* plan) { delete plan; }

int gatewise_run(const gatewise_plan* plan, const gatewise_call* call) {
    return gatewise_run_together(&plan, &call, 1);
}

int gatewise_run_together(const gatewise_plan* const* plans, const gatewise_call* const* calls, int32_t count) {
    if (!plans || !calls || count < 1 || count > 1 << 16) return GATEWISE_BAD_CALL;
    for (int32_t k = 0; k < count; k++)
        if (!plans[k] || !calls[k] || plans[k]->element != plans[0]->element || !fits(*plans[k], *calls[k]))
            return GATEWISE_BAD_CALL;
    return kernel().run(plans, calls, count);
}

int gatewise_prepared_size(const gatewise_plan* plan, int format, int64_t* size) {
    if (!plan || !size || !has_format(*plan, format)) return GATEWISE_BAD_CALL;
    *size = kernel().prepared_size(*plan, format);
    return *size ? GATEWISE_OK : GATEWISE_NO_MEMORY;
}

int gatewise_prepare(
    const gatewise_plan* plan, const gatewise_weight* weights, int format, void* memory, int64_t size) {
    int64_t needed = 0;
    int code = gatewise_prepared_size(plan, format, &needed);
    if (code != GATEWISE_OK) return code;
    if (!memory || !is_aligned(memory, 64) || size < needed || !weights_fit(*plan, weights)) return GATEWISE_BAD_CALL;
    code = kernel().prepare(*plan, weights, format, static_cast<char*>(memory));
    if (code == GATEWISE_OK)
        *static_cast<Prepared*>(memory) =
            Prepared{seal(gatewise_kernel_in_use(), format, int32_t(plan->terms.size())), gatewise_kernel_in_use(), format,
                int32_t(plan->terms.size()), needed};
    return code;
}

int gatewise_apply(
    int operation, int element, const void* a, const void* b, const void* c, void* result, int64_t count) {
    if (operation < 0 || operation >= operation_count || (element != 4 && element != 8) || count < 0)
        return GATEWISE_BAD_CALL;
    if (!a || !result || (operands_of(operation) > 1 && !b) || (operands_of(operation) > 2 && !c))
        return GATEWISE_BAD_CALL;
    const Kernel& k = kernel();
    return element == 4 ? k.apply_float(operation, a, b, c, result, count)
                        : k.apply_double(operation, a, b, c, result, count);
}

}  // extern "C"
