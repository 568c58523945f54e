/* CBLAS itself, and what can be learnt about its threads without linking to one vendor: the
 * functions that differ are looked up by name among what the process has loaded. */
#define _GNU_SOURCE
#include "backend/cblas/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

/* Vendors by the names of their thread calls; BLIS counts in 64-bit integers. */
static const struct {
    const char *name, *get, *set;
    bool wide;
} VENDORS[] = {
    {"OpenBLAS", "openblas_get_num_threads", "openblas_set_num_threads", false},
    {"MKL", "MKL_Get_Max_Threads", "MKL_Set_Num_Threads", false},
    {"BLIS", "bli_thread_get_num_threads", "bli_thread_set_num_threads", true},
};
#define VENDOR_COUNT (sizeof VENDORS / sizeof VENDORS[0])

/* ISO C has no conversion from void * to a function pointer, POSIX promises it works. */
static bool find(const char *symbol, void *function, size_t size)
{
    void *address = dlsym(RTLD_DEFAULT, symbol);
    memcpy(function, &address, size);
    return address != NULL;
}

int beit__blas_threads(void)
{
    int (*get)(void);
    int64_t (*get_wide)(void);
    for (size_t i = 0; i < VENDOR_COUNT; i++) {
        if (VENDORS[i].wide && find(VENDORS[i].get, &get_wide, sizeof get_wide))
            return get_wide() > 1 ? (int)get_wide() : 1;
        if (!VENDORS[i].wide && find(VENDORS[i].get, &get, sizeof get))
            return get() > 1 ? get() : 1;
    }
    return 1;
}

bool beit__blas_set_threads(int threads)
{
    void (*set)(int);
    void (*set_wide)(int64_t);
    for (size_t i = 0; i < VENDOR_COUNT; i++) {
        if (VENDORS[i].wide && find(VENDORS[i].set, &set_wide, sizeof set_wide)) {
            set_wide(threads);
            return true;
        }
        if (!VENDORS[i].wide && find(VENDORS[i].set, &set, sizeof set)) {
            set(threads);
            return true;
        }
    }
    return false;
}

const char *beit__blas_name(void)
{
    int (*get)(void);
    for (size_t i = 0; i < VENDOR_COUNT; i++)
        if (find(VENDORS[i].get, &get, sizeof get))
            return VENDORS[i].name;
    return "BLAS";
}

void beit__blas_sgemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
                      const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                      size_t ldc)
{
    if (m == 0 || n == 0)
        return;
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
                trans_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a, (int)lda, b,
                (int)ldb, beta, c, (int)ldc);
}
