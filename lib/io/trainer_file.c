/* A trainer's file: weights, both moments, configuration of everything that takes part, and the
 * state that continues the run bit for bit. Random numbers are functions of seed, step and picture,
 * so there is no generator to save. */
#include <beit/checkpoint.h>
#include <string.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/log.h"
#include "core/status.h"
#include "dvae/dvae.h"
#include "io/config_json.h"
#include "io/json.h"
#include "io/sets.h"
#include "masker/masker.h"
#include "model/model.h"
#include "train/trainer.h"

#define KIND "trainer"
#define SETS 3

static void sets_of(const beit__trainer_view_t *view, beit__set_t sets[SETS])
{
    sets[0] = (beit__set_t){"", view->weights};
    sets[1] = (beit__set_t){"exp_avg.", view->exp_avg};
    sets[2] = (beit__set_t){"exp_avg_sq.", view->exp_avg_sq};
}

/* The configurations that a continuation depends on. */
typedef struct part {
    const char *key;
    beit__config_kind_t kind;
    const void *config; /* NULL: takes no part */
} part_t;

#define PARTS 4

static void parts_of(const beit__trainer_view_t *view, part_t parts[PARTS])
{
    parts[0] = (part_t){"trainer", BEIT__CONFIG_TRAINER, view->config};
    parts[1] =
        (part_t){"model", BEIT__CONFIG_MODEL, view->model ? beit__model_config(view->model) : NULL};
    parts[2] =
        (part_t){"dvae", BEIT__CONFIG_DVAE, view->dvae ? beit__dvae_config(view->dvae) : NULL};
    parts[3] = (part_t){"masker", BEIT__CONFIG_MASKER,
                        view->masker ? beit__masker_config(view->masker) : NULL};
}

/* ---- saving ---- */

static json_t *config_json(const beit__trainer_view_t *view)
{
    part_t parts[PARTS];
    parts_of(view, parts);
    json_t *config = json_object();
    for (size_t i = 0; config && i < PARTS; i++)
        if (parts[i].config &&
            json_object_set_new(config, parts[i].key,
                                beit__config_to_json(parts[i].kind, parts[i].config)) != 0) {
            json_decref(config);
            config = NULL;
        }
    return config;
}

/* {"name": [lr_scale, decay]} for every tensor whose group is not the default. */
static json_t *groups_json(const beit_trainer_t *trainer, const beit__trainer_view_t *view)
{
    const beit__param_list_t *list = view->weights->list;
    json_t *groups = json_object();
    for (size_t i = 0; groups && i < list->count; i++) {
        const beit__group_t usual = beit__trainer_default_group(trainer, i);
        const beit__group_t *group = &view->groups[i];
        if (group->lr_scale == usual.lr_scale && group->decay == usual.decay)
            continue;
        json_t *pair = json_pack("[o, i]", beit__json_float(group->lr_scale), (int)group->decay);
        if (json_object_set_new(groups, list->items[i].name, pair) != 0) {
            json_decref(groups);
            groups = NULL;
        }
    }
    return groups;
}

/* A tokenizer's weights are not in the file, only whether they are the same. "" without one. */
static beit_status_t tokenizer_checksum(const beit__trainer_view_t *view,
                                        char text[BEIT__CHECKSUM_TEXT])
{
    text[0] = '\0';
    if (!view->model || !view->dvae)
        return BEIT_OK;
    return beit__params_checksum(beit_dvae_params(view->dvae), text);
}

beit_status_t beit_trainer_save(const beit_trainer_t *trainer, const char *path,
                                const beit_io_t *io)
{
    if (!trainer)
        return beit__fail(BEIT_E_ARGUMENT, "trainer is NULL");
    const beit__trainer_view_t view = beit__trainer_view(trainer);
    if (view.pending)
        return beit__fail(BEIT_E_STATE, "a step is half done: save after beit_trainer_apply()");
    char tokenizer[BEIT__CHECKSUM_TEXT];
    BEIT__TRY(tokenizer_checksum(&view, tokenizer));
    json_t *config = config_json(&view);
    json_t *state =
        json_pack("{s:o, s:o, s:o, s:s, s:s}", "step", beit__json_u64(view.step), "samples",
                  beit__json_u64(view.samples), "groups", groups_json(trainer, &view), "tokenizer",
                  tokenizer, "ran_on", beit_context_describe(view.ctx));
    if (!config || !state) {
        json_decref(config);
        json_decref(state);
        return beit__fail(BEIT_E_NOMEM, "no memory for the header");
    }
    beit__set_t sets[SETS];
    sets_of(&view, sets);
    return beit__sets_save(view.ctx, sets, SETS, KIND, config, state, path, io);
}

/* ---- resuming ---- */

/* What is stored besides tensors. */
typedef struct saved {
    json_t *config, *state;
    uint64_t step, samples;
    beit__group_t *groups; /* one per tensor */
} saved_t;

static beit_status_t compare_part(const part_t *part, const json_t *stored, const char *path)
{
    if (!stored != !part->config)
        return beit__fail(BEIT_E_MISMATCH, "%s: saved %s a %s, this trainer has %s", path,
                          stored ? "with" : "without", part->key, stored ? "none" : "one");
    if (!stored)
        return BEIT_OK;
    union {
        beit_model_config_t model;
        beit_dvae_config_t dvae;
        beit_masker_config_t masker;
        beit_trainer_config_t trainer;
    } config;
    BEIT__TRY(beit__config_from_json(part->kind, &config, stored, path));
    return beit__config_compare(part->kind, &config, part->config, path);
}

static beit_status_t compare_config(const saved_t *saved, const beit__trainer_view_t *view,
                                    const char *path)
{
    part_t parts[PARTS];
    parts_of(view, parts);
    for (size_t i = 0; i < PARTS; i++)
        BEIT__TRY(compare_part(&parts[i], json_object_get(saved->config, parts[i].key), path));
    return BEIT_OK;
}

static beit_status_t compare_tokenizer(const saved_t *saved, const beit__trainer_view_t *view,
                                       const char *path)
{
    char present[BEIT__CHECKSUM_TEXT];
    BEIT__TRY(tokenizer_checksum(view, present));
    const char *stored = json_string_value(json_object_get(saved->state, "tokenizer"));
    if (!stored || strcmp(stored, present) != 0)
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: the tokenizer has other weights than when it was "
                          "saved",
                          path);
    return BEIT_OK;
}

static bool parse_group(const json_t *pair, beit__group_t *group)
{
    const json_t *scale = json_array_get(pair, 0), *decay = json_array_get(pair, 1);
    if (!json_is_number(scale) || !(json_number_value(scale) >= 0) || !json_is_integer(decay))
        return false;
    group->lr_scale = (float)json_number_value(scale);
    group->decay = json_integer_value(decay) != 0;
    return true;
}

static beit_status_t parse_groups(const beit_trainer_t *trainer, const beit__trainer_view_t *view,
                                  saved_t *saved, const char *path)
{
    const size_t count = view->weights->list->count;
    saved->groups = beit__calloc(view->ctx, count, sizeof *saved->groups);
    if (!saved->groups)
        return BEIT_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        saved->groups[i] = beit__trainer_default_group(trainer, i);
    const char *name;
    json_t *pair;
    json_object_foreach(json_object_get(saved->state, "groups"), name, pair)
    {
        size_t index;
        if (beit_params_find(view->weights, name, &index) != BEIT_OK ||
            !parse_group(pair, &saved->groups[index]))
            return beit__fail(BEIT_E_FORMAT, "%s: libbeit.state: the group of '%s' makes no sense",
                              path, name);
    }
    return BEIT_OK;
}

static beit_status_t parse_saved(const beit_trainer_t *trainer, const beit__trainer_view_t *view,
                                 const beit__archive_t *archive, saved_t *saved)
{
    const char *path = archive->name;
    const char *kind = beit__archive_metadata(archive, BEIT__METADATA_KIND);
    if (!kind || strcmp(kind, KIND) != 0)
        return beit__fail(BEIT_E_MISMATCH, "%s: holds a %s, not a trainer's state", path,
                          kind ? kind : "set of weights");
    BEIT__TRY(beit__checkpoint_json(archive, BEIT__METADATA_CONFIG, &saved->config));
    BEIT__TRY(beit__checkpoint_json(archive, BEIT__METADATA_STATE, &saved->state));
    if (!json_is_object(saved->config) || !json_is_object(saved->state) ||
        beit__json_get_u64(json_object_get(saved->state, "step"), &saved->step) != 0 ||
        beit__json_get_u64(json_object_get(saved->state, "samples"), &saved->samples) != 0)
        return beit__fail(BEIT_E_FORMAT, "%s: libbeit.config or libbeit.state is incomplete", path);
    BEIT__TRY(compare_config(saved, view, path));
    BEIT__TRY(compare_tokenizer(saved, view, path));
    return parse_groups(trainer, view, saved, path);
}

static void warn_of_other_machine(const beit__trainer_view_t *view, const saved_t *saved)
{
    const char *then = json_string_value(json_object_get(saved->state, "ran_on"));
    const char *now = beit_context_describe(view->ctx);
    if (then && strcmp(then, now) != 0)
        beit__log(view->ctx, BEIT_LOG_WARN,
                  "resumed on \"%s\" what ran on \"%s\": results may differ in the last bits", now,
                  then);
}

beit_status_t beit_trainer_resume(beit_trainer_t *trainer, const char *path, const beit_io_t *io)
{
    if (!trainer)
        return beit__fail(BEIT_E_ARGUMENT, "trainer is NULL");
    const beit__trainer_view_t view = beit__trainer_view(trainer);
    beit__archive_t archive;
    BEIT__TRY(beit__archive_open(&archive, view.ctx, path, io));
    saved_t saved = {0};
    beit__set_t sets[SETS];
    sets_of(&view, sets);
    beit_status_t status;
    BEIT__TRY_GOTO(parse_saved(trainer, &view, &archive, &saved));
    BEIT__TRY_GOTO(beit__sets_load(&archive, sets, SETS, 0));
    beit__trainer_restore(trainer, saved.step, saved.samples, saved.groups);
    warn_of_other_machine(&view, &saved);
fail:
    beit__free(view.ctx, saved.groups, view.weights->list->count * sizeof *saved.groups);
    json_decref(saved.config);
    json_decref(saved.state);
    beit__archive_close(&archive);
    return status;
}
