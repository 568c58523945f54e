/* The settings of the program. The table behind them is settings.def. */
#ifndef PRETRAIN_SETTINGS_H
#define PRETRAIN_SETTINGS_H

#include "common/options.h"

enum { MODEL_NANO, MODEL_TINY, MODEL_SMALL, MODEL_BASE, MODEL_LARGE };
enum { RELATIVE_SHARED, RELATIVE_OWN, RELATIVE_BOTH, RELATIVE_NONE };
enum { SWITCH_AUTO, SWITCH_ON, SWITCH_OFF };
enum { RECIPE_AUTO, RECIPE_SMALL, RECIPE_PUBLISHED };
enum { LAYOUT_U, LAYOUT_L };
enum { MASK_BLOCK, MASK_RANDOM };
enum { BACKEND_AUTO, BACKEND_CBLAS, BACKEND_REFERENCE };

typedef struct settings {
    const char *images; /* the folder, the one argument that is no option */
#define GROUP(heading)
#define TEXT(field, ...)    const char *field;
#define INTEGER(field, ...) int64_t field;
#define REAL(field, ...)    double field;
#define CHOICE(field, ...)  int32_t field;
#define FLAG(field, ...)    int32_t field;
#include "settings.def"
#undef GROUP
#undef TEXT
#undef INTEGER
#undef REAL
#undef CHOICE
#undef FLAG
} settings_t;

extern const options_t settings_options;

/* Name of the model's size, as beit_model_config_preset() takes it. */
const char *settings_model_name(const settings_t *settings);

/* Fill in defaults, then --config's file, then the command line. *file is what texts may stay in;
 * the caller drops it. False with a message about what is wrong. */
bool settings_read(settings_t *settings, json_t **file, int argc, char **argv,
                   char message[OPTION_MESSAGE]);

void settings_help(FILE *out);

#endif
