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

#define GATEWISE_ABI 1

enum gatewise_error {
    GATEWISE_OK = 0,
    GATEWISE_NO_MEMORY = 1,
    GATEWISE_BAD_PLAN = 2,
    GATEWISE_BAD_CALL = 3,
    GATEWISE_NO_SUCH_KERNEL = 4
};

enum gatewise_kernel { GATEWISE_PORTABLE = 0, GATEWISE_AVX2 = 1 };

typedef struct gatewise_plan gatewise_plan;

/* Runs body(context, index, count) for every index of a team of at most `threads`; count is how many really run. */
typedef void (*gatewise_body)(void* context, int index, int count);
typedef void (*gatewise_parallel)(gatewise_body body, void* context, int threads);

/* Memory that a call reads or writes. Strides count elements; `size` elements may be touched from `data` on. */
typedef struct gatewise_buffer {
    void* data;
    int64_t step, row, size;
} gatewise_buffer;

typedef struct gatewise_weight {
    const void* data;
    int64_t leading, size; /* elements from one row of the matrix to the next; elements in all */
} gatewise_weight;

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

/* One operation of the table on arrays, for tests of its accuracy; a truth value is a number with all bits set. */
GATEWISE_API int gatewise_apply(
    int operation, int element, const void* a, const void* b, const void* c, void* result, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
