// A plan: what one step computes, checked once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatewise {

// Slots are numbered through: buffers, scratch, states, temporaries, row temporaries.
enum class SlotKind : int32_t { buffer, scratch, state, temporary, row_temporary };

struct Buffer {
    int32_t truth;  // whether its elements are bytes that hold 0 or 1
    int32_t width;  // units a row
    int32_t unit;   // 1: one element a unit; 0: one element a row
    int32_t per_step;  // whether the step's stride counts
    bool filled_by_rows = false;  // whether a block of one value a row writes it, row after row
};

struct Scratch {
    int32_t width;
    int32_t unit;
    int32_t copies;
};

// How many copies of a scratch value there are.
enum Copies : int32_t {
    copies_one = 0,
    copies_two = 1,    // for even and odd steps: another thread may still read the last step's
    copies_ahead = 2,  // for each step of a block: an input product, computed for the block at once
};

struct StateEntry {
    int32_t width;
    int32_t unit;
    int32_t initial;  // buffer
    int32_t write;    // slot that holds the next state after a step
    int32_t final;    // buffer
};

struct Keep {
    uint64_t threshold;
    uint32_t site;
    int32_t per_step;
};

struct SumEntry {
    int32_t slot;  // row temporary
    int32_t width;
};

struct WeightEntry {
    int32_t rows, columns;
};

struct Term {
    int32_t vector, vector_offset, length;
    int32_t weight, row, column;
    int32_t transposed;
};

struct Product {
    int32_t out, out_offset, columns;
    int32_t base;  // slot whose values are added, or -1
    int32_t first_term, terms;
    int32_t width;  // of the whole value that `columns` is a part of
};

struct Instruction {
    int32_t operation, result, a, b, c;
};

struct Block {
    int32_t width;
    int32_t per_row;  // one value a row: the instructions run over rows
    int32_t first, count;
};

struct Segment {
    int32_t first_sum, sums, first_product, products, first_block, blocks;
};

}  // namespace gatewise

struct gatewise_plan {
    int32_t element;  // bytes of a number: 4 or 8
    int32_t temporaries, row_temporaries;
    std::vector<gatewise::Buffer> buffers;
    std::vector<gatewise::Scratch> scratch;
    std::vector<gatewise::StateEntry> states;
    std::vector<gatewise::Keep> keeps;
    std::vector<gatewise::SumEntry> sums;
    std::vector<gatewise::WeightEntry> weights;
    std::vector<gatewise::Term> terms;
    std::vector<gatewise::Product> products;
    int32_t ahead;  // the first so many products depend on no state; they are computed for a block of steps at once
    std::vector<gatewise::Instruction> instructions;
    std::vector<gatewise::Block> blocks;
    std::vector<gatewise::Segment> segments;
    std::vector<std::vector<int32_t>> used;  // by block: the slots that its instructions name
    std::vector<bool> last_word;  // by instruction: whether it writes a buffer that nothing in the plan reads
    bool may_split_units;  // whether threads may share a row

    int32_t first_scratch() const { return int32_t(buffers.size()); }
    int32_t first_state() const { return first_scratch() + int32_t(scratch.size()); }
    int32_t first_temporary() const { return first_state() + int32_t(states.size()); }
    int32_t first_row_temporary() const { return first_temporary() + temporaries; }
    int32_t slots() const { return first_row_temporary() + row_temporaries; }

    gatewise::SlotKind kind(int32_t slot) const {
        if (slot < first_scratch()) return gatewise::SlotKind::buffer;
        if (slot < first_state()) return gatewise::SlotKind::scratch;
        if (slot < first_temporary()) return gatewise::SlotKind::state;
        if (slot < first_row_temporary()) return gatewise::SlotKind::temporary;
        return gatewise::SlotKind::row_temporary;
    }
    // Units a row of a slot in memory.
    int32_t width(int32_t slot) const;
    // Elements from one unit to the next: 0 for one value a row.
    int32_t unit(int32_t slot) const;
};

namespace gatewise {

// Units that one pass of the interpreter handles; a temporary has so many elements.
constexpr int32_t chunk_units(int32_t element) { return element == 4 ? 256 : 128; }

// Reads and checks a plan; an error code.
int read_plan(const int32_t* words, int64_t count, gatewise_plan& plan);

}  // namespace gatewise
