/* Health figures of token sets. */
#include "check.h"

#include <beit/dvae.h>

enum { VOCAB = 6 };

static beit_token_usage_t fresh(void)
{
    return (beit_token_usage_t){.struct_size = sizeof(beit_token_usage_t)};
}

static void test_figures(void **state)
{
    (void)state;
    const int32_t tokens[] = {0, 0, 0, 0, 3, 3, -1, 5, 5, -1}; /* 4 of 8, 2 of 8, 2 of 8 */
    uint64_t histogram[VOCAB] = {0};
    beit_token_usage_t usage = fresh();
    check_ok(beit_token_usage(tokens, 10, VOCAB, histogram, &usage));
    assert_int_equal(usage.tokens, 8);
    assert_int_equal(usage.used, 3);
    check_near(usage.entropy, 1.5 * log(2), 1e-15);
    check_near(usage.perplexity, pow(2, 1.5), 1e-14);
    check_near(usage.top_share, 0.5, 0);
    const uint64_t counts[VOCAB] = {4, 0, 0, 2, 0, 2};
    assert_memory_equal(histogram, counts, sizeof counts);
}

static void test_accumulation(void **state)
{
    (void)state;
    const int32_t first[] = {1, 1}, second[] = {2, 2};
    uint64_t histogram[VOCAB] = {0};
    beit_token_usage_t usage = fresh();
    check_ok(beit_token_usage(NULL, 0, VOCAB, histogram, &usage));
    assert_int_equal(usage.tokens, 0);
    check_near(usage.perplexity, 0, 0); /* of nothing, not 1 */
    check_ok(beit_token_usage(first, 2, VOCAB, histogram, &usage));
    check_near(usage.perplexity, 1, 0);
    check_near(usage.top_share, 1, 0);
    check_ok(beit_token_usage(second, 2, VOCAB, histogram, &usage));
    assert_int_equal(usage.tokens, 4);
    check_near(usage.perplexity, 2, 1e-15);
}

static void test_refusals(void **state)
{
    (void)state;
    const int32_t tokens[] = {1, VOCAB};
    uint64_t histogram[VOCAB] = {0};
    beit_token_usage_t usage = fresh();
    check_status(beit_token_usage(tokens, 2, VOCAB, histogram, &usage), BEIT_E_ARGUMENT);
    assert_string_equal(beit_last_error(),
                        "token usage: token 1 is 6, expected less than vocab_size 6");
    assert_int_equal(histogram[1], 0); /* nothing was counted */
    check_status(beit_token_usage(NULL, 2, VOCAB, histogram, &usage), BEIT_E_ARGUMENT);
    check_error_has("tokens is NULL");
    check_status(beit_token_usage(tokens, 1, VOCAB, NULL, &usage), BEIT_E_ARGUMENT);
    check_error_has("histogram is NULL");
    check_status(beit_token_usage(tokens, 1, 0, histogram, &usage), BEIT_E_ARGUMENT);
    check_error_has("vocab_size is 0");
    usage.struct_size = 8;
    check_status(beit_token_usage(tokens, 1, VOCAB, histogram, &usage), BEIT_E_ABI);
    assert_int_equal(histogram[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures),
                                       cmocka_unit_test(test_accumulation),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
