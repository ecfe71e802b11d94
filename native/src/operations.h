// The numbers of the operations: those of the table, then those that only the interpreter knows.
#pragma once

#include <cstdint>

namespace gatewise {

enum Operation : int32_t {
#define GATEWISE_OPERATION(name, arity, text) op_##name,
#include "operations.inc"
#undef GATEWISE_OPERATION
    op_copy,
    op_load_truth,
    op_store_truth,
    op_keep,
    op_sum,
    op_multiply_add,       // a * b + c
    op_multiply_subtract,  // c - a * b
    operation_count
};

inline int operands_of(int32_t operation) {
    switch (operation) {
#define GATEWISE_OPERATION(name, arity, text) \
    case op_##name: return arity;
#include "operations.inc"
#undef GATEWISE_OPERATION
        case op_copy:
        case op_load_truth:
        case op_store_truth:
        case op_keep:
        case op_sum: return 1;
        default: return 3;
    }
}

}  // namespace gatewise
