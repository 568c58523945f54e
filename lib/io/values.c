/* Conversion goes through a buffer on the stack, a run of numbers at a time. */
#include "io/values.h"

#include <string.h>

#include "core/status.h"
#include "core/tensor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are stored in host order");

#define CHUNK 16384u /* bytes read at a time where values are converted */

bool beit__values_are_real(int32_t dtype)
{
    return dtype == BEIT_F32 || dtype == BEIT_F16 || dtype == BEIT_BF16 || dtype == BEIT_F64;
}

/* ---- one number ---- */

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 0x1fu, mantissa = half & 0x3ffu;
    if (exponent == 0x1f) /* infinity, NaN */
        return from_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) /* zero, subnormal: mantissa * 2^-24, exact */
        return (sign ? -1.0f : 1.0f) * (float)mantissa * 0x1p-24f;
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static float convert(int32_t dtype, const unsigned char *raw)
{
    uint16_t half;
    uint32_t bits;
    double wide;
    switch (dtype) {
    case BEIT_F64:
        memcpy(&wide, raw, sizeof wide);
        return (float)wide;
    case BEIT_F32:
        memcpy(&bits, raw, sizeof bits);
        return from_bits(bits);
    case BEIT_BF16:
        memcpy(&half, raw, sizeof half);
        return from_bits((uint32_t)half << 16);
    default:
        memcpy(&half, raw, sizeof half);
        return from_half(half);
    }
}

/* ---- one run ---- */

/* `count` numbers, `stride` elements apart in the file and `step` floats apart in dst. */
static beit_status_t read_run(const beit__source_t *source, uint64_t at, int32_t dtype,
                              uint64_t count, uint64_t stride, float *dst, uint64_t step)
{
    unsigned char raw[CHUNK];
    const uint64_t width = beit__dtype_size(dtype), room = sizeof raw / width - 1;
    const uint64_t most = stride == 0 ? count : room / stride + 1;
    for (uint64_t done = 0; done < count;) {
        const uint64_t left = count - done, n = left < most ? left : most;
        const uint64_t span = (n - 1) * stride + 1;
        BEIT__TRY(beit__source_read(source, at + done * stride * width, raw, span * width));
        for (uint64_t i = 0; i < n; i++)
            dst[(done + i) * step] = convert(dtype, raw + i * stride * width);
        done += n;
    }
    return BEIT_OK;
}

beit_status_t beit__values_read(const beit__source_t *source, uint64_t at, int32_t dtype,
                                uint64_t count, float *dst)
{
    if (dtype == BEIT_F32)
        return beit__source_read(source, at, dst, (size_t)count * sizeof *dst);
    return read_run(source, at, dtype, count, 1, dst, 1);
}

/* ---- any arrangement ---- */

static bool is_packed(int32_t ndim, const int64_t *shape, const int64_t *stride)
{
    int64_t expected = 1;
    for (int32_t d = ndim; d-- > 0; expected *= shape[d])
        if (shape[d] != 1 && stride[d] != expected)
            return false;
    return true;
}

/* The dimension along which neighbours are closest in the file, so that runs are long: the last
 * one of a packed tensor, the first one of a transposed matrix. */
static int32_t densest(int32_t ndim, const int64_t *shape, const int64_t *stride)
{
    int32_t best = 0;
    for (int32_t d = 1; d < ndim; d++)
        if (shape[d] > 1 && stride[d] > 0 &&
            (shape[best] <= 1 || stride[best] == 0 || stride[d] <= stride[best]))
            best = d;
    return best;
}

beit_status_t beit__values_gather(const beit__source_t *source, uint64_t at, int32_t dtype,
                                  int32_t ndim, const int64_t *shape, const int64_t *stride,
                                  float *dst)
{
    uint64_t count = 1;
    int64_t step[BEIT_MAX_DIMS]; /* of dst */
    for (int32_t d = ndim; d-- > 0; count *= (uint64_t)shape[d])
        step[d] = (int64_t)count;
    if (count == 0)
        return BEIT_OK;
    if (is_packed(ndim, shape, stride))
        return beit__values_read(source, at, dtype, count, dst);
    const int32_t inner = densest(ndim, shape, stride);
    const uint64_t width = beit__dtype_size(dtype);
    int64_t index[BEIT_MAX_DIMS] = {0}; /* of the first number of a run */
    for (int32_t d = ndim; d >= 0;) {
        uint64_t from = 0, to = 0;
        for (d = 0; d < ndim; d++) {
            from += (uint64_t)(index[d] * stride[d]);
            to += (uint64_t)(index[d] * step[d]);
        }
        BEIT__TRY(read_run(source, at + from * width, dtype, (uint64_t)shape[inner],
                           (uint64_t)stride[inner], dst + to, (uint64_t)step[inner]));
        for (d = ndim - 1; d >= 0 && (d == inner || ++index[d] == shape[d]); d--)
            index[d] = 0;
    }
    return BEIT_OK;
}
