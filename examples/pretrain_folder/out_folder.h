/* The folder that a run writes: made, recognised when a run goes on in it, and cleared on request
 * without losing anything. */
#ifndef PRETRAIN_OUT_FOLDER_H
#define PRETRAIN_OUT_FOLDER_H

#include <jansson.h>

#include "outcome.h"
#include "settings.h"

/* "out/name", from malloc; NULL when memory is short. */
char *out_path(const char *out, const char *name);

bool out_exists(const char *out, const char *name);

/* Make the folder and what belongs into it, and see that it can be written. */
outcome_t out_make(const char *out);

/* Does the folder hold a run? */
bool out_holds_run(const char *out);

/* Move an earlier run's files to DIR/earlier-N. */
outcome_t out_put_aside(const char *out);

/* Write config.json: `asked` as given, `resolved` with every auto replaced, and what the data was.
 * Takes the reference to `data`. */
outcome_t out_write_config(const char *out, const settings_t *asked, const settings_t *resolved,
                           json_t *data);

/* May a run with these settings and data go on in this folder? If not, all differences are said. */
outcome_t out_compare_config(const char *out, const settings_t *resolved, const json_t *data);

/* Write a file at once: temporary, sync, rename. */
outcome_t out_write_file(const char *path, const void *data, size_t size);

#endif
