#include "plan.h"

#include "gatewise.h"
#include "operations.h"

#include <algorithm>
#include <new>

using namespace gatewise;

namespace {

constexpr int32_t magic = 0x47575031;  // "GWP1"
constexpr int32_t most_entries = 1 << 16;
constexpr int32_t most_units = 1 << 24;

// Reads words one after the other and remembers whether anything was wrong.
struct Reader {
    const int32_t* words;
    int64_t count;
    int64_t at = 0;
    bool good = true;

    int32_t next() {
        if (at >= count) {
            good = false;
            return 0;
        }
        return words[at++];
    }
    int32_t in(int32_t low, int32_t high) {  // low <= word < high
        int32_t word = next();
        if (word < low || word >= high) {
            good = false;
            return low;
        }
        return word;
    }
    // Room for entries of so many words each is there: a torn plan cannot ask for much memory.
    bool room(int32_t entries, int32_t words_each) {
        if (int64_t(entries) * words_each > count - at) good = false;
        return good;
    }
};

// Operands that an operation does not have are set to 0.
Instruction instruction(Reader& r) {
    Instruction i{r.next(), r.next(), r.next(), r.next(), r.next()};
    int operands = operands_of(i.operation);
    if (operands < 2) i.b = 0;
    if (operands < 3) i.c = 0;
    return i;
}

struct Checker {
    const gatewise_plan& plan;

    bool memory(int32_t slot) const { return slot >= 0 && slot < plan.first_temporary(); }
    bool numbers(int32_t slot) const {
        return memory(slot) && !(slot < plan.first_scratch() && plan.buffers[slot].truth);
    }

    bool states() const {
        for (const StateEntry& s : plan.states) {
            if (s.initial < 0 || s.initial >= plan.first_scratch() || s.final < 0 || s.final >= plan.first_scratch())
                return false;
            const Buffer &first = plan.buffers[s.initial], &last = plan.buffers[s.final];
            if (first.truth || last.truth || first.width != s.width || last.width != s.width) return false;
            if (first.unit != s.unit || last.unit != s.unit || first.per_step || last.per_step) return false;
            if (!numbers(s.write) || s.write >= plan.first_state()) return false;
            if (plan.width(s.write) != s.width || plan.unit(s.write) != s.unit) return false;
            // The next state must outlive the step: a whole sequence, or two copies.
            if (s.write >= plan.first_scratch() && plan.scratch[s.write - plan.first_scratch()].copies != copies_two)
                return false;
        }
        return true;
    }

    bool sums() const {
        for (const SumEntry& s : plan.sums)
            if (s.slot < plan.first_row_temporary() || s.slot >= plan.slots()) return false;
        return true;
    }

    bool terms() const {
        for (const Term& t : plan.terms) {
            if (!numbers(t.vector) || is_ahead(t.vector)) return false;
            const WeightEntry& w = plan.weights[t.weight];
            if (int64_t(t.vector_offset) + t.length > plan.width(t.vector)) return false;
            if (plan.unit(t.vector) == 0 && t.length > 1) return false;
            int64_t last = t.transposed ? t.row : t.column;
            if (last + t.length > (t.transposed ? w.rows : w.columns)) return false;
        }
        return true;
    }

    bool products() const {
        int64_t term = 0;
        for (const Product& p : plan.products) {
            if (!numbers(p.out) || p.out >= plan.first_state()) return false;
            if (is_ahead(p.out) != (&p - plan.products.data() < plan.ahead)) return false;
            if (int64_t(p.out_offset) + p.columns > plan.width(p.out) || p.width > plan.width(p.out)) return false;
            if (plan.unit(p.out) == 0 && p.columns > 1) return false;
            if (p.base != -1 && !numbers(p.base)) return false;
            if (p.base != -1 && plan.unit(p.base) && plan.width(p.base) < p.out_offset + p.columns) return false;
            // Each term is of one product: it is packed once, for that product's columns.
            if (p.first_term != term || term + p.terms > int64_t(plan.terms.size())) return false;
            term += p.terms;
            for (int32_t k = 0; k < p.terms; k++) {
                const Term& t = plan.terms[p.first_term + k];
                const WeightEntry& w = plan.weights[t.weight];
                int64_t last = t.transposed ? t.column : t.row;
                if (last + p.columns > (t.transposed ? w.columns : w.rows)) return false;
            }
        }
        return true;
    }

    bool is_ahead(int32_t slot) const {
        return slot >= plan.first_scratch() && slot < plan.first_state() &&
               plan.scratch[slot - plan.first_scratch()].copies == copies_ahead;
    }

    // Products that run ahead read what was there before the loop.
    bool ahead() const {
        for (int32_t k = 0; k < plan.ahead; k++) {
            const Product& p = plan.products[k];
            if (p.base != -1 && (p.base >= plan.first_scratch() || plan.buffers[p.base].per_step)) return false;
            for (int32_t t = p.first_term; t < p.first_term + p.terms; t++)
                if (plan.terms[t].vector >= plan.first_scratch()) return false;
        }
        return true;
    }

    // Whether an instruction of a block may read a slot of that kind at this place.
    bool reads(const Block& block, int32_t slot, bool truth_bytes) const {
        if (slot < 0 || slot >= plan.slots()) return false;
        switch (plan.kind(slot)) {
            case SlotKind::temporary: return !block.per_row && !truth_bytes;
            case SlotKind::row_temporary: return !truth_bytes;
            default: break;
        }
        bool bytes = slot < plan.first_scratch() && plan.buffers[slot].truth;
        if (bytes != truth_bytes) return false;
        if (block.per_row) return plan.unit(slot) == 0;
        return plan.unit(slot) == 0 || plan.width(slot) >= block.width;
    }
    bool writes(const Block& block, int32_t slot, bool truth_bytes) const {
        if (slot < 0 || slot >= plan.slots()) return false;
        switch (plan.kind(slot)) {
            case SlotKind::temporary: return !block.per_row && !truth_bytes;
            case SlotKind::row_temporary: return block.per_row && !truth_bytes;
            case SlotKind::state: return false;
            case SlotKind::scratch:
                if (is_ahead(slot)) return false;
                break;
            default: break;
        }
        bool bytes = slot < plan.first_scratch() && plan.buffers[slot].truth;
        if (bytes != truth_bytes) return false;
        if (block.per_row) return plan.unit(slot) == 0;
        return plan.unit(slot) == 1 && plan.width(slot) >= block.width;
    }

    bool instruction(const Block& block, const Instruction& i) const {
        if (i.operation < 0 || i.operation >= operation_count) return false;
        if (i.operation == op_keep)
            return i.a >= 0 && i.a < int32_t(plan.keeps.size()) && writes(block, i.result, false);
        if (i.operation == op_sum)
            return !block.per_row && i.result >= 0 && i.result < int32_t(plan.sums.size()) &&
                   plan.sums[i.result].width == block.width && reads(block, i.a, false);
        if (!writes(block, i.result, i.operation == op_store_truth)) return false;
        const int32_t operands[] = {i.a, i.b, i.c};
        for (int k = 0; k < operands_of(i.operation); k++)
            if (!reads(block, operands[k], i.operation == op_load_truth)) return false;
        return true;
    }

    bool segments() const {
        for (const Segment& s : plan.segments) {
            if (int64_t(s.first_sum) + s.sums > int64_t(plan.sums.size())) return false;
            if (int64_t(s.first_product) + s.products > int64_t(plan.products.size())) return false;
            if (s.products && s.first_product < plan.ahead) return false;
            if (int64_t(s.first_block) + s.blocks > int64_t(plan.blocks.size())) return false;
        }
        for (const Block& b : plan.blocks) {
            if (int64_t(b.first) + b.count > int64_t(plan.instructions.size())) return false;
            for (int32_t k = 0; k < b.count; k++)
                if (!instruction(b, plan.instructions[b.first + k])) return false;
        }
        return true;
    }
};

std::vector<int32_t> slots_of(const gatewise_plan& plan, const Block& block) {
    std::vector<int32_t> found;
    for (int32_t k = block.first; k < block.first + block.count; k++) {
        const Instruction& i = plan.instructions[k];
        const int32_t operands[] = {i.a, i.b, i.c};
        if (i.operation != op_sum) found.push_back(i.result);
        if (i.operation != op_keep)
            for (int n = 0; n < operands_of(i.operation); n++) found.push_back(operands[n]);
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

// Which buffers a plan reads.
std::vector<bool> buffers_read(const gatewise_plan& plan) {
    std::vector<bool> found(size_t(plan.first_scratch()), false);
    auto read = [&](int32_t slot) {
        if (slot >= 0 && slot < plan.first_scratch()) found[slot] = true;
    };
    for (const StateEntry& s : plan.states) {
        read(s.initial);
        read(s.write);
    }
    for (const Term& t : plan.terms) read(t.vector);
    for (const Product& p : plan.products) read(p.base);
    for (const Instruction& i : plan.instructions) {
        const int32_t operands[] = {i.a, i.b, i.c};
        for (int n = 0; i.operation != op_keep && n < operands_of(i.operation); n++) read(operands[n]);
    }
    return found;
}

}  // namespace

int32_t gatewise_plan::width(int32_t slot) const {
    if (slot < first_scratch()) return buffers[slot].width;
    if (slot < first_state()) return scratch[slot - first_scratch()].width;
    return states[slot - first_state()].width;
}

int32_t gatewise_plan::unit(int32_t slot) const {
    if (slot < first_scratch()) return buffers[slot].unit;
    if (slot < first_state()) return scratch[slot - first_scratch()].unit;
    return states[slot - first_state()].unit;
}

int gatewise::read_plan(const int32_t* words, int64_t count, gatewise_plan& plan) {
    Reader r{words, count};
    if (r.next() != magic || r.next() != GATEWISE_ABI) return GATEWISE_BAD_PLAN;
    plan.element = r.next();
    if (plan.element != 4 && plan.element != 8) return GATEWISE_BAD_PLAN;
    int32_t buffers = r.in(0, most_entries), scratch = r.in(0, most_entries), states = r.in(0, most_entries);
    plan.temporaries = r.in(0, most_entries);
    plan.row_temporaries = r.in(0, most_entries);
    int32_t keeps = r.in(0, most_entries), sums = r.in(0, most_entries), weights = r.in(0, most_entries);
    int32_t terms = r.in(0, most_entries), products = r.in(0, most_entries), instructions = r.in(0, most_entries);
    int32_t blocks = r.in(0, most_entries), segments = r.in(0, most_entries);
    plan.ahead = r.in(0, products + 1);
    if (!r.good) return GATEWISE_BAD_PLAN;
    try {
        for (int32_t k = 0; r.room(buffers - k, 4) && k < buffers; k++)
            plan.buffers.push_back({r.in(0, 2), r.in(1, most_units), r.in(0, 2), r.in(0, 2)});
        for (int32_t k = 0; r.room(scratch - k, 3) && k < scratch; k++)
            plan.scratch.push_back({r.in(1, most_units), r.in(0, 2), r.in(0, 3)});
        for (int32_t k = 0; r.room(states - k, 5) && k < states; k++)
            plan.states.push_back({r.in(1, most_units), r.in(0, 2), r.next(), r.next(), r.next()});
        for (int32_t k = 0; r.room(keeps - k, 4) && k < keeps; k++) {
            uint64_t low = uint32_t(r.next()), high = uint32_t(r.in(0, 2));
            plan.keeps.push_back({high << 32 | low, uint32_t(r.in(0, 256)), r.in(0, 2)});
        }
        for (int32_t k = 0; r.room(sums - k, 2) && k < sums; k++) plan.sums.push_back({r.next(), r.in(1, most_units)});
        for (int32_t k = 0; r.room(weights - k, 2) && k < weights; k++)
            plan.weights.push_back({r.in(1, most_units), r.in(1, most_units)});
        for (int32_t k = 0; r.room(terms - k, 7) && k < terms; k++)
            plan.terms.push_back({r.next(), r.in(0, most_units), r.in(1, most_units), r.in(0, weights ? weights : 1),
                r.in(0, most_units), r.in(0, most_units), r.in(0, 2)});
        if (terms && !weights) return GATEWISE_BAD_PLAN;
        for (int32_t k = 0; r.room(products - k, 7) && k < products; k++)
            plan.products.push_back({r.next(), r.in(0, most_units), r.in(1, most_units), r.next(),
                r.in(0, most_entries), r.in(1, most_entries), r.in(1, most_units)});
        for (int32_t k = 0; r.room(instructions - k, 5) && k < instructions; k++)
            plan.instructions.push_back(instruction(r));
        for (int32_t k = 0; r.room(blocks - k, 4) && k < blocks; k++)
            plan.blocks.push_back({r.in(1, most_units), r.in(0, 2), r.in(0, most_entries), r.in(0, most_entries)});
        for (int32_t k = 0; r.room(segments - k, 6) && k < segments; k++)
            plan.segments.push_back({r.in(0, most_entries), r.in(0, most_entries), r.in(0, most_entries),
                r.in(0, most_entries), r.in(0, most_entries), r.in(0, most_entries)});
    } catch (const std::bad_alloc&) {
        return GATEWISE_NO_MEMORY;
    }
    if (!r.good || r.at != count) return GATEWISE_BAD_PLAN;
    Checker check{plan};
    if (!check.states() || !check.sums() || !check.terms() || !check.products() || !check.ahead() ||
        !check.segments())
        return GATEWISE_BAD_PLAN;
    for (const Block& block : plan.blocks)
        for (int32_t k = block.first; block.per_row && k < block.first + block.count; k++) {
            int32_t result = plan.instructions[k].result;
            if (result < plan.first_scratch()) plan.buffers[result].filled_by_rows = true;
        }
    try {
        for (const Block& block : plan.blocks) plan.used.push_back(slots_of(plan, block));
        const std::vector<bool> read = buffers_read(plan);
        for (const Instruction& i : plan.instructions)
            plan.last_word.push_back(
                i.operation != op_sum && i.result >= 0 && i.result < plan.first_scratch() && !read[i.result]);
    } catch (const std::bad_alloc&) {
        return GATEWISE_NO_MEMORY;
    }
    plan.may_split_units = true;
    for (const Product& p : plan.products)
        if (p.out_offset != 0 || p.columns != p.width) plan.may_split_units = false;
    return GATEWISE_OK;
}
