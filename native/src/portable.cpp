#define GATEWISE_ISA portable
#define GATEWISE_VECTOR_BYTES 16
#include "calls.h"

const gatewise::Kernel gatewise::portable_kernel = {
    portable::run, portable::prepared_size, portable::prepare_any, portable::apply_operation<float>, portable::apply_operation<double>};
