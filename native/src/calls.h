// What a kernel offers: calls by one team, and packing for later calls. Included once for each instruction set.
#pragma once

#include "kernels.h"
#include "packing.h"
#include "recurrence.h"

#include <memory>
#include <new>

namespace gatewise {
namespace GATEWISE_ISA {

// Several calls and their team. Calls get groups of threads where there are enough, and are taken in turn otherwise.
template <class T>
class Team {
public:
    Team(const gatewise_plan* const* plans, const gatewise_call* const* calls, int count) : calls_(calls), count_(count) {
        runs_.reset(new (std::nothrow) std::unique_ptr<Run<T>>[size_t(count)]);
        for (int k = 0; runs_ && k < count; k++) runs_[k].reset(new (std::nothrow) Run<T>(*plans[k], *calls[k]));
    }

    int all() {
        if (!runs_) return GATEWISE_NO_MEMORY;
        int threads = calls_[0]->threads < 1 || !calls_[0]->parallel ? 1 : calls_[0]->threads < 1024 ? calls_[0]->threads : 1024;
        int each = threads / count_ < 1 ? 1 : threads / count_, wanted = 0;
        for (int k = 0; k < count_; k++) {
            if (!runs_[k] || !runs_[k]->ready(each)) return GATEWISE_NO_MEMORY;
            wanted += runs_[k]->threads();
        }
        if (wanted < threads) threads = wanted;
        if (threads == 1)
            body(0, 1);
        else
            calls_[0]->parallel(&Team::entry, this, threads);
        return GATEWISE_OK;
    }

private:
    static void entry(void* context, int index, int count) { static_cast<Team*>(context)->body(index, count); }

    void body(int index, int count) {
        int wanted = 0;
        for (int k = 0; k < count_; k++) wanted += runs_[k]->threads();
        if (count < wanted) {  // fewer came than were asked for
            if (count_ == 1) return runs_[0]->body(index, count);
            for (int k = index; k < count_; k += count) runs_[k]->body(0, 1);
            return;
        }
        for (int k = 0, first = 0; k < count_; first += runs_[k]->threads(), k++)
            if (index >= first && index < first + runs_[k]->threads()) runs_[k]->body(index - first, runs_[k]->threads());
    }

    const gatewise_call* const* calls_;
    int count_;
    std::unique_ptr<std::unique_ptr<Run<T>>[]> runs_;
};

inline int run(const gatewise_plan* const* plans, const gatewise_call* const* calls, int count) {
    return plans[0]->element == 4 ? Team<float>(plans, calls, count).all() : Team<double>(plans, calls, count).all();
}

// The size of what was prepared, its head included; 0 where it is too large.
inline int64_t prepared_size(const gatewise_plan& plan, int format) {
    size_t total = 0;
    bool fine = plan.element == 4 ? place_packed<float>(plan, format, nullptr, total) : place_packed<double>(plan, format, nullptr, total);
    return fine ? int64_t(total + sizeof(Prepared)) : 0;
}

template <class T>
int prepare_as(const gatewise_plan& plan, const gatewise_weight* weights, int format, char* memory) {
    int32_t longest = 1;
    for (const Term& t : plan.terms) longest = t.length > longest ? t.length : longest;
    std::unique_ptr<Place[]> places(new (std::nothrow) Place[plan.terms.size() + 1]);
    std::unique_ptr<T[]> panel(new (std::nothrow) T[size_t(longest) * panel_columns<T>]);
    if (!places || !panel) return GATEWISE_NO_MEMORY;
    size_t total = 0;
    place_packed<T>(plan, format, places.get(), total);
    prepare<T>(plan, weights, format, places.get(), memory + sizeof(Prepared), panel.get());
    return GATEWISE_OK;
}

inline int prepare_any(const gatewise_plan& plan, const gatewise_weight* weights, int format, char* memory) {
    return plan.element == 4 ? prepare_as<float>(plan, weights, format, memory) : prepare_as<double>(plan, weights, format, memory);
}

}  // namespace GATEWISE_ISA
}  // namespace gatewise
