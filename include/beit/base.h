/**
 * @file base.h
 * What every other header needs: status codes, tensor views, the host's hooks, the context.
 *
 * Conventions of the whole library:
 *  - A function that can fail returns ::beit_status_t; 0 is success. On failure
 *    beit_last_error() holds one line about it, out-parameters are NULL or unchanged, and the
 *    object is as it was before the call.
 *  - A handle is used by one thread at a time. Different handles may be used concurrently, also
 *    when they share a context.
 *  - A configuration struct starts with `struct_size`; its `_init` function sets that field and
 *    writes the defaults of the library that runs.
 *  - The library never aborts, exits, prints, installs signal handlers or changes global state.
 */
#ifndef BEIT_BASE_H
#define BEIT_BASE_H

#include <stddef.h>
#include <stdint.h>

#include "version.h"

#if defined(__GNUC__)
#define BEIT_API __attribute__((visibility("default")))
#else
#define BEIT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Result of a call. The values are pinned for ever. @since 0.1 */
typedef enum beit_status {
    BEIT_OK = 0,             /**< success */
    BEIT_E_ARGUMENT = -1,    /**< a stated precondition was not met */
    BEIT_E_NOMEM = -2,       /**< an allocation failed; the object is as before the call */
    BEIT_E_STATE = -3,       /**< not allowed now, e.g. apply without accumulate */
    BEIT_E_SHAPE = -4,       /**< rank, extent, stride or dtype does not fit */
    BEIT_E_IO = -5,          /**< storage failed */
    BEIT_E_FORMAT = -6,      /**< the file is not what it claims to be */
    BEIT_E_MISMATCH = -7,    /**< the file is sound, but for another configuration */
    BEIT_E_UNSUPPORTED = -8, /**< this build or backend cannot do it */
    BEIT_E_NUMERIC = -9,     /**< loss or gradient is not finite; weights untouched */
    BEIT_E_CANCELLED = -10,  /**< the host asked to stop; everything is consistent */
    BEIT_E_BACKEND = -11,    /**< the backend or its device failed */
    BEIT_E_ABI = -12         /**< struct_size or ABI number not acceptable */
} beit_status_t;

/** Version of the library that runs, `major << 16 | minor << 8 | patch`. @since 0.1 */
BEIT_API uint32_t beit_version(void);

/** ABI number of the library that runs; compare with ::BEIT_ABI. @since 0.1 */
BEIT_API uint32_t beit_abi_version(void);

/** One line about the build: version, compiled instruction sets, CBLAS found. Static text.
 *  @since 0.1 */
BEIT_API const char *beit_build_info(void);

/** Short static text for a status, never NULL, also for unknown values. @since 0.1 */
BEIT_API const char *beit_status_string(beit_status_t status);

/** What was wrong in this thread's last failed call, with the value found and what would be
 *  right. Never NULL; empty before the first failure. Valid until this thread's next call.
 *  @since 0.1 */
BEIT_API const char *beit_last_error(void);

/** Sizes and field offsets of every public struct as a JSON object,
 *  `{"beit_tensor":{"size":120,"fields":{"data":0,...}},...}`. Static text, for bindings that
 *  mirror the structs by hand and want to check themselves. @since 0.1 */
BEIT_API const char *beit_struct_layouts(void);

/** Element type of a tensor view. @since 0.1 */
typedef enum beit_dtype {
    BEIT_F32 = 1,  /**< IEEE single */
    BEIT_U8 = 2,   /**< unsigned byte */
    BEIT_I32 = 3,  /**< 32-bit integer */
    BEIT_I64 = 4,  /**< 64-bit integer */
    BEIT_F16 = 5,  /**< IEEE half, in files only */
    BEIT_BF16 = 6, /**< bfloat16, in files only */
    BEIT_F64 = 7   /**< IEEE double, in files only */
} beit_dtype_t;

/** Largest rank of a tensor view. */
#define BEIT_MAX_DIMS 6

/**
 * A view of somebody's memory; never owns. The layout is frozen: arrays of it cross the ABI.
 * Strides count elements. The library's entry points take host memory (`memory == 0`) in
 * row-major order without gaps, unless a function says otherwise. @since 0.1
 */
typedef struct beit_tensor {
    void *data;                    /**< first element; dereferenceable iff memory == 0 */
    int32_t dtype;                 /**< ::beit_dtype_t */
    int32_t ndim;                  /**< 0..::BEIT_MAX_DIMS */
    int64_t shape[BEIT_MAX_DIMS];  /**< extents, the first ndim count */
    int64_t stride[BEIT_MAX_DIMS]; /**< in elements */
    int32_t memory;                /**< 0 = host, else named by the backend */
    int32_t reserved;              /**< 0 */
} beit_tensor_t;

/** A packed row-major view of host memory. ndim beyond ::BEIT_MAX_DIMS gives a view with
 *  ndim -1, which every call refuses. @since 0.1 */
BEIT_API beit_tensor_t beit_tensor_make(void *data, beit_dtype_t dtype, int32_t ndim,
                                        const int64_t *shape);

/** The host's allocator: both functions, or neither. Called only on threads that are inside a
 *  library call. If several threads use one context at once, both must be thread-safe.
 *  @since 0.1 */
typedef struct beit_allocator {
    size_t struct_size;
    void *user;                                            /**< passed through */
    void *(*alloc)(void *user, size_t size, size_t align); /**< NULL when it cannot */
    void (*free)(void *user, void *ptr, size_t size, size_t align);
} beit_allocator_t;

/** One task of a parallel loop: index in [0, n), worker in [0, workers). */
typedef void (*beit_task_fn)(void *arg, size_t index, unsigned worker);

/** The host's own thread pool. Tasks never nest and never block on each other. @since 0.1 */
typedef struct beit_executor {
    size_t struct_size;
    void *user;
    unsigned (*workers)(void *user); /**< >= 1 and constant */
    /** Call fn(arg, i, w) once for each i in [0, n), in any order, w < workers() and no two
     *  concurrent calls with the same w; return after the last. */
    beit_status_t (*parallel_for)(void *user, size_t n, beit_task_fn fn, void *arg);
} beit_executor_t;

/** Severity of a log line. @since 0.1 */
typedef enum beit_log_level {
    BEIT_LOG_OFF = 0,
    BEIT_LOG_ERROR = 1,
    BEIT_LOG_WARN = 2,
    BEIT_LOG_INFO = 3,
    BEIT_LOG_DEBUG = 4,
    BEIT_LOG_TRACE = 5 /**< one line per backend operation with shapes and time */
} beit_log_level_t;

/** Receives finished lines without newline, on the thread that made the call. */
typedef void (*beit_log_fn)(void *user, beit_log_level_t level, const char *line);

typedef struct beit_backend_ops beit_backend_ops_t; /**< see beit/backend.h */

/** Shared environment of handles: memory, threads, log, backend. Reference counted.
 *  Thread-safety: may be shared by handles in different threads. @since 0.1 */
typedef struct beit_context beit_context_t;

/** Configuration of a context. @since 0.1 */
typedef struct beit_context_config {
    size_t struct_size;
    const beit_allocator_t *allocator; /**< copied; NULL = the C library's (default) */
    const beit_executor_t *executor;   /**< copied; NULL = own pool (default) */
    const beit_backend_ops_t *backend; /**< borrowed, static storage; NULL = "cblas" if built,
                                            else "reference" (default) */
    /** Copied; "key=value,key=value" or NULL (default). The built-in backends know
     *  `isa=c|avx2|avx512|auto` and `blas_threads=N` (changes a process-wide setting of the
     *  BLAS, therefore only when asked). */
    const char *backend_options;
    beit_log_fn log;   /**< NULL = silent (default) */
    void *log_user;    /**< passed to log */
    int32_t log_level; /**< highest level passed on, default ::BEIT_LOG_WARN */
    int32_t threads;   /**< size of the own pool, 0 = CPUs this process may use (default) */
} beit_context_config_t;

/** Write the defaults; size is `sizeof *cfg` as the caller knows it. @since 0.1 */
BEIT_API void beit_context_config_init(beit_context_config_t *cfg, size_t size);

/**
 * Create a context. cfg NULL = defaults. Wherever a context is an argument, NULL makes a private
 * one with defaults.
 * @return ::BEIT_E_ARGUMENT, ::BEIT_E_ABI, ::BEIT_E_NOMEM, ::BEIT_E_BACKEND,
 *         ::BEIT_E_UNSUPPORTED (a backend without host memory lacks an operation: it is named)
 * @since 0.1
 */
BEIT_API beit_status_t beit_context_create(beit_context_t **out, const beit_context_config_t *cfg);

/** Take one more reference; returns ctx. Thread-safe. @since 0.1 */
BEIT_API beit_context_t *beit_context_ref(beit_context_t *ctx);

/** Drop a reference; the last one frees. NULL allowed. Thread-safe. @since 0.1 */
BEIT_API void beit_context_unref(beit_context_t *ctx);

/** What is used: backend, instruction set, BLAS, threads. Borrowed, one line. @since 0.1 */
BEIT_API const char *beit_context_describe(const beit_context_t *ctx);

/** Bytes that handles of this context hold now, and at most so far. @since 0.1 */
BEIT_API void beit_context_memory(const beit_context_t *ctx, size_t *now, size_t *peak);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_BASE_H */
