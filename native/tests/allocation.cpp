// Every allocation of the library failed once: of plan making and of calls, serial and shared by a team. Each must give
// GATEWISE_NO_MEMORY, keep nothing and write nothing, and the next call must work.
#include "case.h"
#include "failing.h"
#include "kernels_here.h"
#include "team.h"

#include <cstdio>

using namespace gatewise_tests;

namespace {

long failures = 0, failed_allocations = 0;

void expect(bool good, const Case& given, const char* what) {
    if (good) return;
    failures++;
    std::printf("FAILED %s: %s\n", given.name.c_str(), what);
}

// What threads of a team allocate would not be reported in any way: it must be nothing.
std::atomic<long> in_bodies{0};

struct Inner {
    gatewise_body body;
    void* context;
};

void counted_body(void* context, int index, int count) {
    const Inner* inner = static_cast<const Inner*>(context);
    gatewise_fail_allocation(1L << 40);
    inner->body(inner->context, index, count);
    in_bodies += gatewise_allocations();
    gatewise_fail_allocation(0);
}

void counted_parallel(gatewise_body body, void* context, int threads) {
    gatewise_fail_allocation(0);  // the team's own allocations are not the library's
    Inner inner{body, context};
    parallel(counted_body, &inner, threads);
}

void check_plan(const Case& given) {
    const int32_t* words = given.words.data();
    const int64_t count = int64_t(given.words.size());
    for (long n = 1;; n++) {
        const long before = gatewise_live_blocks();
        gatewise_plan* plan = reinterpret_cast<gatewise_plan*>(&plan);
        gatewise_fail_allocation(n);
        int code = gatewise_plan_make(words, count, &plan);
        const bool failed = gatewise_allocations() >= n;
        gatewise_fail_allocation(0);
        if (!failed) {
            expect(code == GATEWISE_OK, given, "no plan although nothing failed");
            gatewise_plan_free(plan);
            expect(gatewise_live_blocks() == before, given, "a plan that was freed has left memory behind");
            expect(n > 1, given, "making a plan allocates nothing: nothing was tested");
            return;
        }
        failed_allocations++;
        expect(code == GATEWISE_NO_MEMORY, given, "making a plan without memory has another code");
        expect(plan == nullptr, given, "a plan without memory");
        expect(gatewise_live_blocks() == before, given, "a plan that was not made has left memory behind");
    }
}

void check_run(const Case& given, const gatewise_plan* plan, int64_t times, int threads) {
    Run run(given, times);
    expect(run.run(plan, nullptr, 1) == GATEWISE_OK, given, "does not run");
    const std::vector<uint8_t> expected = run.outcome();
    const std::vector<uint8_t> before = Run(given, times).outcome();
    for (long n = 1;; n++) {
        const long live = gatewise_live_blocks();
        // Run::run itself prepares the call: the count begins where the library is entered.
        int code = run.run(plan, threads > 1 ? counted_parallel : nullptr, threads, [n] { gatewise_fail_allocation(n); });
        const bool failed = code != GATEWISE_OK;
        gatewise_fail_allocation(0);
        expect(gatewise_live_blocks() == live, given, "a call has left memory behind");
        if (!failed) {
            expect(run.outcome() == expected, given, "other numbers after failed calls");
            expect(n > 1, given, "a call allocates nothing: nothing was tested");
            return;
        }
        failed_allocations++;
        expect(code == GATEWISE_NO_MEMORY, given, "a call without memory has another code");
        expect(run.outcome() == before, given, "a call without memory wrote results");
        if (n > 1000) return expect(false, given, "fails without end");
        expect(run.run(plan, nullptr, 1) == GATEWISE_OK, given, "the next call fails too");
        expect(run.outcome() == expected, given, "the next call has other numbers");
    }
}

}  // namespace

int main(int count, char** arguments) {
    long cases = 0;
    try {
        for (int k = 1; k < count; k++)
            for (const Case& given : File(arguments[k]).cases()) {
                cases++;
                check_plan(given);
                Plan plan(given);
                expect(plan.code == GATEWISE_OK, given, "no plan; record the cases again");
                if (plan.code) continue;
                for (const Kernel& kernel : kernels_here()) {
                    gatewise_choose_kernel(kernel.number);
                    check_run(given, plan.made, 1, 1);
                    check_run(given, plan.made, given.made ? 1 : 400, 3);
                }
            }
    } catch (const std::exception& error) {
        std::printf("FAILED: %s\n", error.what());
        return 1;
    }
    if (in_bodies > 0) failures++, std::printf("FAILED: threads of a team allocate\n");
    std::printf("%ld cases, %ld allocations failed, %ld teams of threads; %ld failed\n", cases, failed_allocations,
        teams().load(), failures);
    return failures > 0 || cases == 0 || failed_allocations == 0 || teams() == 0;
}
