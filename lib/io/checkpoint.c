/* Parameter sets, models and tokenizers to and from files. */
#include <beit/checkpoint.h>
#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "core/status.h"
#include "dvae/dvae.h"
#include "io/config_json.h"
#include "io/infer.h"
#include "io/json.h"
#include "io/names.h"
#include "io/sets.h"
#include "model/model.h"

#define PARAMS     "params"
#define LOAD_FLAGS (BEIT_LOAD_PARTIAL | BEIT_LOAD_IGNORE_EXTRA)

static beit__set_t plain_set(const beit_params_t *params)
{
    return (beit__set_t){.prefix = "", .params = (beit_params_t *)params};
}

beit_status_t beit_params_save(const beit_params_t *params, const char *path, const beit_io_t *io)
{
    if (!params)
        return beit__fail(BEIT_E_ARGUMENT, "params is NULL");
    const beit__set_t set = plain_set(params);
    return beit__sets_save(params->list->ctx, &set, 1, PARAMS, NULL, NULL, path, io);
}

/* Whose names a set has. */
static beit__names_kind_t kind_of(const beit_params_t *params)
{
    for (size_t index = 0; index < params->list->count; index++)
        if (strcmp(params->list->items[index].name, "cls_token") == 0)
            return BEIT__NAMES_MODEL;
    return BEIT__NAMES_DVAE;
}

beit_status_t beit_params_load(beit_params_t *params, const char *path, const beit_io_t *io,
                               uint32_t flags)
{
    if (!params)
        return beit__fail(BEIT_E_ARGUMENT, "params is NULL");
    if (flags & ~LOAD_FLAGS)
        return beit__fail(BEIT_E_ARGUMENT, "flags is 0x%x, expected a combination of BEIT_LOAD_*",
                          flags);
    beit__archive_t archive;
    BEIT__TRY(beit__archive_open(&archive, params->list->ctx, path, io));
    const beit__set_t set = plain_set(params);
    beit_status_t status = BEIT_OK;
    if (!beit__archive_metadata(&archive, BEIT__METADATA_KIND))
        status = beit__names_translate(&archive, kind_of(params));
    if (status == BEIT_OK)
        status = beit__sets_load(&archive, &set, 1, flags);
    beit__archive_close(&archive);
    return status;
}

/* ---- configurations in files ---- */

static beit_status_t save_with_config(beit_context_t *ctx, const beit_params_t *params,
                                      const char *name, beit__config_kind_t kind,
                                      const void *config, const char *path, const beit_io_t *io)
{
    json_t *json = beit__config_to_json(kind, config);
    if (!json)
        return beit__fail(BEIT_E_NOMEM, "no memory for the header");
    const beit__set_t set = plain_set(params);
    return beit__sets_save(ctx, &set, 1, name, json, NULL, path, io);
}

/* Read a configuration of this kind; *found tells whether the file has one, which bare parameter
 * sets and other libraries' files have not. A file of another kind is refused. */
static beit_status_t read_config(const beit__archive_t *archive, const char *name,
                                 beit__config_kind_t kind, void *config, bool *found)
{
    const char *path = archive->name;
    const char *stored = beit__archive_metadata(archive, BEIT__METADATA_KIND);
    *found = false;
    if (stored && strcmp(stored, name) != 0 && strcmp(stored, PARAMS) != 0)
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: holds a %s, not a %s; its weights can be read by "
                          "beit_params_load()",
                          path, stored, name);
    json_t *json;
    BEIT__TRY(beit__checkpoint_json(archive, BEIT__METADATA_CONFIG, &json));
    if (!json && stored && strcmp(stored, PARAMS) != 0)
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: no libbeit.config in the metadata; create the %s and read the "
                          "weights by beit_params_load()",
                          path, name);
    if (!json)
        return BEIT_OK;
    *found = true;
    const beit_status_t status = beit__config_from_json(kind, config, json, path);
    json_decref(json);
    return status;
}

/* To the reader of a file a configuration that no handle accepts is damage. */
static beit_status_t refused(const char *path, beit_status_t status)
{
    if (status != BEIT_E_ARGUMENT)
        return status;
    char reason[256];
    (void)snprintf(reason, sizeof reason, "%s", beit_last_error());
    return beit__fail(BEIT_E_FORMAT, "%s: its configuration is not acceptable: %s", path, reason);
}

/* Makes a handle of what an archive holds; out is the address of the handle's pointer. */
typedef beit_status_t (*loader_fn)(void *out, beit_context_t *ctx, beit__archive_t *archive);

static beit_status_t load_file(void *out, beit_context_t *ctx, const char *path,
                               const beit_io_t *io, loader_fn load)
{
    beit_context_t *own;
    BEIT__TRY(beit__context_acquire(&own, ctx));
    beit__archive_t archive;
    beit_status_t status = beit__archive_open(&archive, own, path, io);
    if (status == BEIT_OK) {
        status = load(out, own, &archive);
        beit__archive_close(&archive);
    }
    beit_context_unref(own);
    return status;
}

/* ---- models ---- */

beit_status_t beit_model_save(const beit_model_t *model, const char *path, const beit_io_t *io)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    beit_model_t *own = (beit_model_t *)model; /* only read */
    return save_with_config(beit__model_context(own), beit_model_params(own), "model",
                            BEIT__CONFIG_MODEL, beit__model_config(model), path, io);
}

static beit_status_t load_model(void *out, beit_context_t *ctx, beit__archive_t *archive)
{
    beit_model_config_t config;
    bool found;
    BEIT__TRY(read_config(archive, "model", BEIT__CONFIG_MODEL, &config, &found));
    if (!found) {
        BEIT__TRY(beit__names_translate(archive, BEIT__NAMES_MODEL));
        BEIT__TRY(beit__infer_model(archive, &config));
    }
    BEIT__TRY(beit__plausible_model(archive, &config));
    beit_model_t *model;
    BEIT__TRY(refused(archive->name, beit_model_create(&model, ctx, &config)));
    const beit__set_t set = plain_set(beit_model_params(model));
    const beit_status_t status = beit__sets_load(archive, &set, 1, BEIT__LOAD_FRESH);
    if (status == BEIT_OK)
        *(beit_model_t **)out = model;
    else
        beit_model_destroy(model);
    return status;
}

beit_status_t beit_model_load(beit_model_t **out, beit_context_t *ctx, const char *path,
                              const beit_io_t *io)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "out is NULL");
    *out = NULL;
    return load_file(out, ctx, path, io, load_model);
}

/* ---- tokenizers ---- */

beit_status_t beit_dvae_save(const beit_dvae_t *dvae, const char *path, const beit_io_t *io)
{
    if (!dvae)
        return beit__fail(BEIT_E_ARGUMENT, "dvae is NULL");
    beit_dvae_t *own = (beit_dvae_t *)dvae; /* only read */
    return save_with_config(beit__dvae_context(own), beit_dvae_params(own), "dvae",
                            BEIT__CONFIG_DVAE, beit__dvae_config(dvae), path, io);
}

static beit_status_t load_dvae(void *out, beit_context_t *ctx, beit__archive_t *archive)
{
    beit_dvae_config_t config;
    bool found;
    BEIT__TRY(read_config(archive, "dvae", BEIT__CONFIG_DVAE, &config, &found));
    if (!found) {
        BEIT__TRY(beit__names_translate(archive, BEIT__NAMES_DVAE));
        BEIT__TRY(beit__infer_dvae(archive, &config));
    }
    BEIT__TRY(beit__plausible_dvae(archive, &config));
    beit_dvae_t *dvae;
    BEIT__TRY(refused(archive->name, beit_dvae_create(&dvae, ctx, &config)));
    const beit__set_t set = plain_set(beit_dvae_params(dvae));
    const beit_status_t status = beit__sets_load(archive, &set, 1, BEIT__LOAD_FRESH);
    if (status == BEIT_OK)
        *(beit_dvae_t **)out = dvae;
    else
        beit_dvae_destroy(dvae);
    return status;
}

beit_status_t beit_dvae_load(beit_dvae_t **out, beit_context_t *ctx, const char *path,
                             const beit_io_t *io)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "out is NULL");
    *out = NULL;
    return load_file(out, ctx, path, io, load_dvae);
}
