/* log.c: levels, formatting, and lines that are too long. */
#include "check.h"

#include "core/context.h"
#include "core/log.h"

typedef struct received {
    int lines;
    beit_log_level_t level;
    char line[1024];
} received_t;

static void receive(void *user, beit_log_level_t level, const char *line)
{
    received_t *received = user;
    received->lines++;
    received->level = level;
    assert_true(strlen(line) < sizeof received->line);
    strcpy(received->line, line);
}

static void levels_decide(void **state)
{
    (void)state;
    for (int32_t wanted = BEIT_LOG_OFF; wanted <= BEIT_LOG_TRACE; wanted++) {
        received_t received = {0};
        beit_context_t ctx = {.log = receive, .log_user = &received, .log_level = wanted};
        for (int level = BEIT_LOG_ERROR; level <= BEIT_LOG_TRACE; level++)
            beit__log(&ctx, (beit_log_level_t)level, "%d of %s", level, "five");
        assert_int_equal(received.lines, wanted);
        if (wanted == BEIT_LOG_TRACE) {
            assert_int_equal(received.level, BEIT_LOG_TRACE);
            assert_string_equal(received.line, "5 of five");
        }
    }
}

static void silence_without_a_function(void **state)
{
    (void)state;
    beit_context_t ctx = {.log_level = BEIT_LOG_TRACE};
    beit__log(&ctx, BEIT_LOG_ERROR, "nobody hears %s", "this");
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    received_t received = {0};
    beit_context_t ctx = {.log = receive, .log_user = &received, .log_level = BEIT_LOG_INFO};
    beit__log(&ctx, BEIT_LOG_INFO, "%s", text);
    assert_true(strlen(received.line) >= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_decide),
        cmocka_unit_test(silence_without_a_function),
        cmocka_unit_test(long_lines_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
