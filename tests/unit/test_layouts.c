/* layouts.c: the text is JSON, agrees with the compiler, and misses no field: fields of a public
 * struct follow each other without gaps. */
#include "check.h"

#include <beit/backend.h>
#include <beit/beit.h>
#include <jansson.h>
#include <stdbool.h>

static const struct {
    const char *owner, *name;
    size_t owner_size, offset, size;
} fields[] = {
#define X(owner, name)                                                                             \
    {#owner, #name, sizeof(struct owner), offsetof(struct owner, name),                            \
     sizeof(((struct owner *)0)->name)},
#include "layouts_table.h"
#undef X
};
#define FIELDS (sizeof fields / sizeof *fields)

static void fields_leave_no_gap(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIELDS; i++) {
        const bool first = i == 0 || strcmp(fields[i - 1].owner, fields[i].owner) != 0;
        const bool last = i + 1 == FIELDS || strcmp(fields[i + 1].owner, fields[i].owner) != 0;
        const size_t before = first ? 0 : fields[i - 1].offset + fields[i - 1].size;
        if (fields[i].offset != before)
            print_error("before %s.%s\n", fields[i].owner, fields[i].name);
        assert_int_equal(fields[i].offset, before);
        if (last)
            assert_int_equal(fields[i].offset + fields[i].size, fields[i].owner_size);
    }
}

static void text_tells_what_the_compiler_says(void **state)
{
    (void)state;
    json_error_t error;
    json_t *all = json_loads(beit_struct_layouts(), JSON_REJECT_DUPLICATES, &error);
    assert_non_null(all);
    size_t found = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        const json_t *owner = json_object_get(all, fields[i].owner);
        assert_int_equal(json_integer_value(json_object_get(owner, "size")), fields[i].owner_size);
        const json_t *offset = json_object_get(json_object_get(owner, "fields"), fields[i].name);
        assert_true(json_is_integer(offset));
        assert_int_equal(json_integer_value(offset), fields[i].offset);
    }
    const char *name;
    json_t *owner;
    json_object_foreach(all, name, owner) found +=
        json_object_size(json_object_get(owner, "fields"));
    assert_int_equal(found, FIELDS);
    json_decref(all);
    assert_ptr_equal(beit_struct_layouts(), beit_struct_layouts());
}

/* Frozen by promise: arrays of views cross the ABI. */
static void views_are_frozen(void **state)
{
    (void)state;
    if (sizeof(void *) != 8)
        skip();
    assert_non_null(strstr(beit_struct_layouts(),
                           "\"beit_tensor\":{\"size\":120,\"fields\":{\"data\":0,\"dtype\":8,"
                           "\"ndim\":12,\"shape\":16,\"stride\":64,\"memory\":112,"
                           "\"reserved\":116}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_leave_no_gap),
        cmocka_unit_test(text_tells_what_the_compiler_says),
        cmocka_unit_test(views_are_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
