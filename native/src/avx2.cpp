#define GATEWISE_ISA avx2
#define GATEWISE_VECTOR_BYTES 32
#include "calls.h"

const gatewise::Kernel gatewise::avx2_kernel = {
    avx2::run, avx2::prepared_size, avx2::prepare_any, avx2::apply_operation<float>, avx2::apply_operation<double>};
