/* The C interface of Gatewise's CPU engine.
 *
 * A plan says what one step of a recurrent network computes, as a list of 32-bit words (docs/architecture.md,
 * "The native engine"). It is checked once, when it is made. A call runs it over all steps. Pointers, sizes and
 * strides go in, an error code comes out; nothing is thrown, nothing is kept between calls.
 */
#ifndef GATEWISE_H
#define GATEWISE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define GATEWISE_API __declspec(dllexport)
#else
#define GATEWISE_API __attribute__((visibility("default")))
#endif

#define GATEWISE_ABI 2

enum gatewise_error {
    GATEWISE_OK = 0,
    GATEWISE_NO_MEMORY = 1,
    GATEWISE_BAD_PLAN = 2,
    GATEWISE_BAD_CALL = 3,
    GATEWISE_NO_SUCH_KERNEL = 4
};

enum gatewise_kernel { GATEWISE_PORTABLE = 0, GATEWISE_AVX2 = 1, GATEWISE_AVX512 = 2 };

typedef struct gatewise_plan gatewise_plan;

/* Runs body(context, index, count) for every index of a team of at most `threads`; count is how many really run. */
typedef void (*gatewise_body)(void* context, int index, int count);
typedef void (*gatewise_parallel)(gatewise_body body, void* context, int threads);

/* Memory that a call reads or writes, aligned as its elements are. Strides count elements; `size` elements may be touched from `data` on. */
typedef struct gatewise_buffer {
    void* data;
    int64_t step, row, size;
} gatewise_buffer;

typedef struct gatewise_weight {
    const void* data;
    int64_t leading, size; /* elements from one row of the matrix to the next; elements in all */
} gatewise_weight;

/* How the matrices of a call are given: as they are, or packed before by gatewise_prepare. */
enum gatewise_format {
    GATEWISE_PLAIN = 0,
    GATEWISE_PACKED = 1,   /* numbers of the plan's element */
    GATEWISE_BFLOAT16 = 2, /* of float plans: the upper half of each number, to the nearest */
    GATEWISE_INT8 = 3      /* of float plans: whole numbers of -127 to 127, and a scale for each column of a product;
                            inputs are rounded to 16 bits, sums are exact */
};

typedef struct gatewise_call {
    const gatewise_buffer* buffers; /* one for each buffer of the plan */
    const gatewise_weight* weights; /* one for each weight of the plan */
    int64_t steps, rows;
    int64_t start;      /* time of the first step, for random masks */
    uint64_t seed;      /* of random masks */
    int64_t stream;     /* layer and direction of random masks, below 2**24 */
    int32_t reverse;    /* from the last step to the first */
    int32_t threads;    /* at most so many */
    gatewise_parallel parallel; /* NULL: one thread */
    const void* prepared;       /* by gatewise_prepare for this plan; NULL: pack the weights in this call */
    int64_t prepared_size;
} gatewise_call;

GATEWISE_API int gatewise_abi(void);
GATEWISE_API const char* gatewise_error_text(int code);

/* The best kernel of this processor, or the one that was chosen; choosing one that cannot run is an error. */
GATEWISE_API int gatewise_kernel_in_use(void);
GATEWISE_API int gatewise_choose_kernel(int kernel);

/* An OpenMP runtime that is already loaded: GOMP_parallel, omp_get_thread_num and omp_get_num_threads. */
GATEWISE_API int gatewise_use_openmp(void* fork, void* number, void* count);
GATEWISE_API gatewise_parallel gatewise_openmp(void);

GATEWISE_API int gatewise_plan_make(const int32_t* words, int64_t count, gatewise_plan** plan);
GATEWISE_API void gatewise_plan_free(gatewise_plan* plan);
GATEWISE_API int gatewise_run(const gatewise_plan* plan, const gatewise_call* call);

/* Several calls by one team: each gets its share of the threads. They must not write what another one touches. */
GATEWISE_API int gatewise_run_together(
    const gatewise_plan* const* plans, const gatewise_call* const* calls, int32_t count);

/* Packs the matrices of a plan once for many calls. A prepared call's weights are not read and may be NULL. What was prepared by one
 * kernel serves that kernel alone. `size` gets the bytes that are needed; `memory` must be aligned to 64 bytes. */
GATEWISE_API int gatewise_prepared_size(const gatewise_plan* plan, int format, int64_t* size);
GATEWISE_API int gatewise_prepare(
    const gatewise_plan* plan, const gatewise_weight* weights, int format, void* memory, int64_t size);

/* One operation of the table on arrays, for tests of its accuracy; a truth value is a number with all bits set. */
GATEWISE_API int gatewise_apply(
    int operation, int element, const void* a, const void* b, const void* c, void* result, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
