/* Health of a set of tokens: how many codes occur, and how evenly. */
#include <math.h>

#include "core/abi.h"
#include "core/status.h"
#include "dvae/dvae.h"

enum { OLDEST_USAGE = 48 }; /* sizeof in 0.1 */

static beit_status_t check_tokens(const int32_t *tokens, size_t n, int32_t vocab_size,
                                  const uint64_t *histogram)
{
    if (!tokens && n > 0)
        return beit__fail(BEIT_E_ARGUMENT, "token usage: tokens is NULL");
    if (!histogram)
        return beit__fail(BEIT_E_ARGUMENT, "token usage: histogram is NULL");
    if (vocab_size < 1)
        return beit__fail(BEIT_E_ARGUMENT, "token usage: vocab_size is %d, expected at least 1",
                          vocab_size);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= vocab_size)
            return beit__fail(BEIT_E_ARGUMENT,
                              "token usage: token %zu is %d, expected less than vocab_size %d", i,
                              tokens[i], vocab_size);
    return BEIT_OK;
}

static beit_token_usage_t measure(const uint64_t *histogram, int32_t vocab_size)
{
    beit_token_usage_t usage = {.struct_size = sizeof usage};
    uint64_t top = 0;
    for (int32_t v = 0; v < vocab_size; v++) {
        usage.tokens += histogram[v];
        usage.used += histogram[v] > 0;
        top = histogram[v] > top ? histogram[v] : top;
    }
    if (usage.tokens == 0)
        return usage;
    const double total = (double)usage.tokens;
    for (int32_t v = 0; v < vocab_size; v++)
        if (histogram[v] > 0)
            usage.entropy -= (double)histogram[v] / total * log((double)histogram[v] / total);
    usage.perplexity = exp(usage.entropy);
    usage.top_share = (double)top / total;
    return usage;
}

beit_status_t beit_token_usage(const int32_t *tokens, size_t n, int32_t vocab_size,
                               uint64_t *histogram, beit_token_usage_t *usage)
{
    BEIT__TRY(check_tokens(tokens, n, vocab_size, histogram));
    beit_token_usage_t ours = {.struct_size = sizeof ours};
    BEIT__TRY(beit__abi_out(usage, &ours, sizeof ours, OLDEST_USAGE, "beit_token_usage"));
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= 0)
            histogram[tokens[i]]++;
    ours = measure(histogram, vocab_size);
    return beit__abi_out(usage, &ours, sizeof ours, OLDEST_USAGE, "beit_token_usage");
}
