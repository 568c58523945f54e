/* The few conversions between JSON and our types that jansson leaves open. */
#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/alloc.h"

#define FLOAT_DIGITS_LEAST 6
#define FLOAT_DIGITS_MOST  9  /* enough for any float */
#define REAL_DIGITS        15 /* enough for those, and short: 17 would print 0.10000000000000001 */
#define TEXT_FLAGS         (JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(REAL_DIGITS))

char *beit__json_text(beit_context_t *ctx, const json_t *json, size_t *bytes)
{
    const size_t length = json ? json_dumpb(json, NULL, 0, TEXT_FLAGS) : 0;
    if (length == 0)
        return NULL;
    char *text = beit__alloc(ctx, length + 1);
    if (!text)
        return NULL;
    if (json_dumpb(json, text, length, TEXT_FLAGS) != length) {
        beit__free(ctx, text, length + 1);
        return NULL;
    }
    text[length] = '\0';
    *bytes = length + 1;
    return text;
}

bool beit__json_is_nomem(const json_error_t *error)
{
    return !error->text[0] || json_error_code(error) == json_error_out_of_memory;
}

double beit__json_shortest(float value)
{
    /* Printing and reading use the same locale, so its decimal point does not matter. */
    double real = (double)value;
    for (int digits = FLOAT_DIGITS_LEAST; digits <= FLOAT_DIGITS_MOST; digits++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
        real = strtod(text, NULL);
        if ((float)real == value)
            break;
    }
    return real;
}

json_t *beit__json_float(float value)
{
    return json_real(beit__json_shortest(value));
}

json_t *beit__json_u64(uint64_t value)
{
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

int beit__json_get_u64(const json_t *json, uint64_t *value)
{
    if (json_is_integer(json) && json_integer_value(json) >= 0) {
        *value = (uint64_t)json_integer_value(json);
        return 0;
    }
    const char *text = json_string_value(json);
    if (!text || *text < '0' || *text > '9')
        return -1;
    uint64_t sum = 0;
    for (; *text; text++)
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum))
            return -1;
    *value = sum;
    return 0;
}
