/* The tables of fields are complete: every setting of every public configuration reaches the text
 * and comes back. beit_struct_layouts() is the list that they are held against. */
#include "io/config_json.h"

#include <jansson.h>

#include "check.h"

/* Fields that are no settings: they belong to the struct or to the host. */
static bool is_no_setting(const char *name)
{
    return strcmp(name, "struct_size") == 0 || strncmp(name, "reserved", 8) == 0 ||
           strncmp(name, "progress", 8) == 0;
}

typedef struct kind {
    const char *name;
    beit__config_kind_t kind;
    size_t size;
} kind_t;

static const kind_t kinds[] = {
    {"beit_model_config", BEIT__CONFIG_MODEL, sizeof(beit_model_config_t)},
    {"beit_dvae_config", BEIT__CONFIG_DVAE, sizeof(beit_dvae_config_t)},
    {"beit_masker_config", BEIT__CONFIG_MASKER, sizeof(beit_masker_config_t)},
    {"beit_trainer_config", BEIT__CONFIG_TRAINER, sizeof(beit_trainer_config_t)},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static json_t *fields_of(const json_t *layouts, const kind_t *kind)
{
    json_t *fields = json_object_get(json_object_get(layouts, kind->name), "fields");
    assert_non_null(fields);
    return fields;
}

static void every_setting_is_in_the_text(void **state)
{
    (void)state;
    json_t *layouts = json_loads(beit_struct_layouts(), 0, NULL);
    assert_non_null(layouts);
    for (size_t k = 0; k < KINDS; k++) {
        unsigned char config[512] = {0};
        json_t *text = beit__config_to_json(kinds[k].kind, config);
        size_t settings = 0;
        const char *name;
        json_t *offset;
        json_object_foreach(fields_of(layouts, &kinds[k]), name, offset)
        {
            if (is_no_setting(name))
                continue;
            settings++;
            if (!json_object_get(text, name))
                fail_msg("%s: '%s' is not saved", kinds[k].name, name);
        }
        assert_int_equal(json_object_size(text), settings);
        json_decref(text);
    }
    json_decref(layouts);
}

/* Every 4-byte word of the struct holds another small number, which is a float or an integer. */
static void every_setting_comes_back(void **state)
{
    (void)state;
    json_t *layouts = json_loads(beit_struct_layouts(), 0, NULL);
    for (size_t k = 0; k < KINDS; k++) {
        unsigned char config[512] = {0}, back[512];
        memcpy(config, &kinds[k].size, sizeof kinds[k].size);
        float value = 0.1f;
        const char *name;
        json_t *offset;
        json_object_foreach(fields_of(layouts, &kinds[k]), name, offset)
        {
            if (is_no_setting(name))
                continue;
            memcpy(config + json_integer_value(offset), &value, sizeof value);
            value += 0.7f;
        }
        json_t *text = beit__config_to_json(kinds[k].kind, config);
        memset(back, 0xff, sizeof back);
        check_ok(beit__config_from_json(kinds[k].kind, back, text, "test"));
        assert_memory_equal(back, config, kinds[k].size);
        check_ok(beit__config_compare(kinds[k].kind, config, back, "test"));
        json_decref(text);
    }
    json_decref(layouts);
}

/* A change of any one setting is found and named; seeds of initial weights are none. */
static void every_difference_is_named(void **state)
{
    (void)state;
    json_t *layouts = json_loads(beit_struct_layouts(), 0, NULL);
    for (size_t k = 0; k < KINDS; k++) {
        const char *name;
        json_t *offset;
        json_object_foreach(fields_of(layouts, &kinds[k]), name, offset)
        {
            if (is_no_setting(name))
                continue;
            unsigned char a[512] = {0}, b[512] = {0};
            const float value = 2;
            memcpy(b + json_integer_value(offset), &value, sizeof value);
            const beit_status_t status = beit__config_compare(kinds[k].kind, a, b, "test");
            if (strcmp(name, "init_seed") == 0) {
                check_ok(status);
                continue;
            }
            check_status(status, BEIT_E_MISMATCH);
            check_error_has(name);
        }
    }
    json_decref(layouts);
}

static void check_refused(const char *text, beit_status_t status, const char *reason)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    beit_model_config_t config;
    check_status(beit__config_from_json(BEIT__CONFIG_MODEL, &config, json, "test"), status);
    check_error_has(reason);
    json_decref(json);
}

static void senseless_text_is_refused(void **state)
{
    (void)state;
    check_refused("[]", BEIT_E_FORMAT, "not a JSON object");
    check_refused("{\"depth\":12.5}", BEIT_E_FORMAT, "'depth'");
    check_refused("{\"depth\":4294967296}", BEIT_E_FORMAT, "'depth'");
    check_refused("{\"init_seed\":-1}", BEIT_E_FORMAT, "'init_seed'");
    check_refused("{\"drop_path\":\"0.1\"}", BEIT_E_FORMAT, "'drop_path'");
    check_refused("{\"drop_path\":1e39}", BEIT_E_FORMAT, "'drop_path'");
    check_refused("{\"later\":1}", BEIT_E_UNSUPPORTED, "'later' is not known");
    check_refused("{\"later\":false}", BEIT_E_UNSUPPORTED, "'later' is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_is_in_the_text),
        cmocka_unit_test(every_setting_comes_back),
        cmocka_unit_test(every_difference_is_named),
        cmocka_unit_test(senseless_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
