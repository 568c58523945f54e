/* Configuration structs to JSON objects and back, by one table of fields per struct. */
#ifndef BEIT_IO_CONFIG_JSON_H
#define BEIT_IO_CONFIG_JSON_H

#include <beit/dvae.h>
#include <beit/masker.h>
#include <beit/model.h>
#include <beit/trainer.h>
#include <stdbool.h>

struct json_t;

typedef enum beit__config_kind {
    BEIT__CONFIG_MODEL,
    BEIT__CONFIG_DVAE,
    BEIT__CONFIG_MASKER,
    BEIT__CONFIG_TRAINER /* without its callback */
} beit__config_kind_t;

/* A new reference; NULL when memory runs out. */
struct json_t *beit__config_to_json(beit__config_kind_t kind, const void *config);

/* The struct's own rule applies to fields as well: what the text lacks reads as zero; what this
 * library does not know must be zero there, or the file asks for something it cannot do. `where`
 * begins the messages. */
beit_status_t beit__config_from_json(beit__config_kind_t kind, void *config,
                                     const struct json_t *json, const char *where);

/* BEIT_E_MISMATCH with the name and both values of the first setting that differs. Seeds of
 * initial weights are no settings: a file brings its own weights. */
beit_status_t beit__config_compare(beit__config_kind_t kind, const void *stored,
                                   const void *present, const char *where);

#endif
