/* The table, and where settings come from. */
#include "settings.h"

#include <string.h>

#define AUTO     OPTION_MAY_BE_AUTO
#define DECIDES  OPTION_DECIDES
#define UNSTORED OPTION_NOT_STORED
#define AT(name) .field = #name, .offset = offsetof(settings_t, name)

#define GROUP(heading) {.kind = OPTION_GROUP, .help = heading},
#define TEXT(name, placeholder, standard, bits, text)                                              \
    {.kind = OPTION_TEXT,                                                                          \
     AT(name),                                                                                     \
     .value = placeholder,                                                                         \
     .fallback = standard,                                                                         \
     .flags = bits,                                                                                \
     .help = text},
#define NUMBER(number_kind, letter, name, standard, least, most, bits, text)                       \
    {.kind = number_kind,                                                                          \
     AT(name),                                                                                     \
     .value = letter,                                                                              \
     .fallback = standard,                                                                         \
     .low = least,                                                                                 \
     .high = most,                                                                                 \
     .flags = bits,                                                                                \
     .help = text},
#define INTEGER(...) NUMBER(OPTION_INTEGER, "N", __VA_ARGS__)
#define REAL(...)    NUMBER(OPTION_REAL, "X", __VA_ARGS__)
#define CHOICE(name, standard, names, bits, text)                                                  \
    {.kind = OPTION_CHOICE,                                                                        \
     AT(name),                                                                                     \
     .fallback = standard,                                                                         \
     .choices = names,                                                                             \
     .flags = bits,                                                                                \
     .help = text},
#define FLAG(name, bits, text)                                                                     \
    {.kind = OPTION_FLAG, AT(name), .fallback = "off", .flags = bits, .help = text},

static const option_t items[] = {
#include "settings.def"
};

const options_t settings_options = {items, sizeof items / sizeof *items};

const char *settings_model_name(const settings_t *settings)
{
    static const char *const names[] = {"nano", "tiny", "small", "base", "large"};
    return names[settings->model];
}

/* Settings from a JSON file: an object of settings, or a config.json, which has one inside. */
static bool read_file(settings_t *settings, json_t **file, const char *path,
                      char message[OPTION_MESSAGE])
{
    json_error_t error;
    *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!*file) {
        if (error.line > 0)
            snprintf(message, OPTION_MESSAGE, "%.200s: line %d: %.200s", path, error.line,
                     error.text);
        else
            snprintf(message, OPTION_MESSAGE, "--config: %.300s", error.text);
        return false;
    }
    const json_t *inner = json_object_get(*file, "settings");
    const json_t *object = inner ? inner : *file;
    char inside[OPTION_MESSAGE];
    if (!json_is_object(object)) {
        snprintf(message, OPTION_MESSAGE, "%.200s: holds no JSON object", path);
        return false;
    }
    if (!options_from_json(&settings_options, settings, object, inside)) {
        snprintf(message, OPTION_MESSAGE, "%.150s: %.300s", path, inside);
        return false;
    }
    return true;
}

bool settings_read(settings_t *settings, json_t **file, int argc, char **argv,
                   char message[OPTION_MESSAGE])
{
    *file = NULL;
    *settings = (settings_t){0};
    options_defaults(&settings_options, settings);
    if (!options_parse(&settings_options, settings, argc, argv, &settings->images, message))
        return false;
    if (!settings->config)
        return true;
    const char *path = settings->config;
    options_defaults(&settings_options, settings);
    return read_file(settings, file, path, message) &&
           options_parse(&settings_options, settings, argc, argv, &settings->images, message);
}

void settings_help(FILE *out)
{
    fputs("NAME\n"
          "       pretrain_folder - pre-train a BEiT vision transformer on a folder of pictures\n"
          "\n"
          "SYNOPSIS\n"
          "       pretrain_folder [OPTION]... IMAGE_FOLDER\n"
          "\n"
          "DESCRIPTION\n"
          "       Reads the JPEG and PNG files below IMAGE_FOLDER, flat or one folder per class.\n"
          "       Trains a tokenizer on them, which turns a picture into a grid of tokens, and\n"
          "       then a model, which predicts the tokens of hidden patches. From 50 pictures up\n"
          "       every tenth is held out for evaluation. The same command goes on with an\n"
          "       interrupted run, bit for bit. Ctrl-C finishes the step and saves; a second one\n"
          "       ends at once.\n"
          "\n"
          "OPTIONS\n"
          "       The default is given in brackets.\n",
          out);
    options_help(&settings_options, out);
    fputs("\n"
          "FILES\n"
          "       DIR/tokenizer.safetensors, DIR/model.safetensors\n"
          "              the results\n"
          "       DIR/report/index.html\n"
          "              curves and pictures, in one file\n"
          "       DIR/log.jsonl\n"
          "              one JSON object a step and evaluation; the first holds the settings\n"
          "       DIR/config.json\n"
          "              the settings, with every auto resolved; for --config\n"
          "       DIR/checkpoints/\n"
          "              states to go on from\n"
          "       DIR/bad_files.txt\n"
          "              files that could not be read, and why; only if there are any\n"
          "\n"
          "EXIT STATUS\n"
          "       0 done; 1 failure, such as a full disk; 2 wrong usage; 3 no usable pictures;\n"
          "       4 a checkpoint or tokenizer is damaged or does not fit; 5 training diverged;\n"
          "       130, 143 stopped by Ctrl-C or SIGTERM after saving.\n"
          "\n"
          "EXAMPLES\n"
          "       pretrain_folder ~/Pictures\n"
          "       pretrain_folder --model nano --steps 300 --out trial ~/Pictures\n"
          "       pretrain_folder --model base --tokenizer dalle.safetensors --dry-run photos\n",
          out);
}
