// Replays recorded calls: every case, on every kernel of this processor, on one thread and on teams of several.
//
// Numbers may differ from the recorded ones by rounding alone: kernels add in vectors of other widths, and one
// processor has fused multiply-adds where another has none. A number comes out of `steps` times a chain of at most
// `length` operations (a product's terms, a sum's units, some tens of pointwise operations). Roundings are as good as
// independent and add up as their square root (Higham and Mary 2019), so that four times sqrt(steps * length) roundings of
// the largest number of the buffer are allowed. Threads change no bit.
#include "case.h"
#include "kernels_here.h"
#include "team.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

using namespace gatewise_tests;

namespace {

long failures = 0;

void fail(const Case& given, const std::string& kernel, const std::string& what) {
    failures++;
    std::printf("FAILED %s (%s): %s\n", given.name.c_str(), kernel.c_str(), what.c_str());
}

double number(const std::vector<uint8_t>& bytes, int64_t item, int64_t k) {
    float narrow;
    double wide;
    if (item == 1) return bytes[size_t(k)];
    if (item == 4) {
        std::memcpy(&narrow, &bytes[size_t(k) * 4], 4);
        return narrow;
    }
    std::memcpy(&wide, &bytes[size_t(k) * 8], 8);
    return wide;
}

// Roundings that may add up, as a share of the largest number.
double allowed(const Case& given) {
    constexpr double pointwise = 64;
    double length = pointwise;
    for (const Weight& w : given.weights) length += double(std::max(w.rows, w.columns));
    for (const Buffer& b : given.buffers) length = std::max(length, double(b.units));
    const double half_unit = given.element == 4 ? std::ldexp(1, -24) : std::ldexp(1, -53);
    return 4 * std::sqrt(double(given.steps) * length) * half_unit;
}

// How much larger than what is allowed the worst difference is; infinite where NaN or a truth value differs.
double compare(const Case& given, const Buffer& b, const std::vector<uint8_t>& ours) {
    double scale = 1, worst = 0;
    for (int64_t k = 0; k < b.count(); k++) {
        double size = std::fabs(number(b.after, b.item, k));
        if (std::isfinite(size)) scale = std::max(scale, size);
    }
    for (int64_t k = 0; k < b.count(); k++) {
        double theirs = number(b.after, b.item, k), own = number(ours, b.item, k);
        if (theirs == own || (std::isnan(theirs) && std::isnan(own))) continue;
        double error = std::fabs(theirs - own) / (allowed(given) * scale);
        worst = std::max(worst, b.item == 1 || !(error == error) ? INFINITY : error);
    }
    return worst;
}

struct Totals {
    long cases = 0, calls = 0;
    double worst = 0;
};

void check_recorded(const Case& given, const Kernel& kernel, const Plan& plan, Totals& totals) {
    Run run(given);
    if (int code = run.run(plan.made, nullptr, 1)) return fail(given, kernel.name, gatewise_error_text(code));
    totals.calls++;
    if (!run.untouched()) fail(given, kernel.name, "memory outside the results was written");
    for (size_t k = 0; k < given.buffers.size(); k++) {
        if (!given.buffers[k].written || given.made) continue;
        double error = compare(given, given.buffers[k], run.elements(k));
        totals.worst = std::max(totals.worst, error);
        if (error > 1)
            fail(given, kernel.name,
                "buffer " + std::to_string(k) + " is off by " + std::to_string(error) + " times what rounding may do");
    }
}

// The rows so many times over that a team shares them: no bit may depend on how many there are.
void check_threads(const Case& given, const Kernel& kernel, const Plan& plan, int64_t times, Totals& totals) {
    Run run(given, times);
    std::vector<uint8_t> serial;
    // (asked for, really there)
    for (auto [threads, team] : {std::pair{1, 1}, {2, 2}, {3, 2}, {5, 5}}) {
        most_threads() = team;
        if (int code = run.run(plan.made, threads == 1 ? nullptr : parallel, threads))
            return fail(given, kernel.name, gatewise_error_text(code));
        totals.calls++;
        if (!run.untouched()) fail(given, kernel.name, "a team wrote memory outside the results");
        if (serial.empty()) serial = run.outcome();
        if (serial != run.outcome())
            fail(given, kernel.name, "the bits depend on the number of threads, " + std::to_string(team));
    }
}

void check_file(const std::string& path, const std::vector<Kernel>& kernels, Totals& totals) {
    for (const Case& given : File(path).cases()) {
        totals.cases++;
        Plan plan(given);
        if (plan.code) {
            fail(given, "any", std::string(gatewise_error_text(plan.code)) +
                                   "; record the cases again (python tools/record_native.py)");
            continue;
        }
        for (const Kernel& kernel : kernels) {
            gatewise_choose_kernel(kernel.number);
            check_recorded(given, kernel, plan, totals);
            // A team is started for some hundred thousand operations and more.
            check_threads(given, kernel, plan, given.made ? 1 : 400, totals);
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    const std::vector<Kernel> kernels = kernels_here();
    Totals totals;
    try {
        for (int k = 1; k < count; k++) check_file(arguments[k], kernels, totals);
    } catch (const std::exception& error) {
        std::printf("FAILED: %s\n", error.what());
        return 1;
    }
    std::printf("%ld cases, %ld calls, %ld by teams of threads;", totals.cases, totals.calls, teams().load());
    for (const Kernel& kernel : kernels) std::printf(" %s", kernel.name.c_str());
    std::printf("; worst difference %.2g of what rounding may do; %ld failed\n", totals.worst, failures);
    return failures > 0 || totals.cases == 0 || teams() == 0;
}
