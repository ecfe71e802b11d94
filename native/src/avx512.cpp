#define GATEWISE_ISA avx512
#define GATEWISE_VECTOR_BYTES 64
#include "calls.h"

const gatewise::Kernel gatewise::avx512_kernel = {avx512::run, avx512::prepared_size, avx512::prepare_any,
    avx512::apply_operation<float>, avx512::apply_operation<double>};
