/* Settings of a program from one table, which parses the command line, reads and writes JSON,
 * writes the help text with every default, and tells what differs between two runs. A field
 * `batch_size` is `--batch-size` on the command line and "batch_size" in JSON. */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum option_kind {
    OPTION_GROUP,   /* a heading of the help text; only `help` counts */
    OPTION_TEXT,    /* const char *, NULL = not given */
    OPTION_INTEGER, /* int64_t */
    OPTION_REAL,    /* double */
    OPTION_CHOICE,  /* int32_t, index into `choices` */
    OPTION_FLAG     /* int32_t, 0 or 1; takes no value */
} option_kind_t;

/* A number that is left to the program; written "auto". */
#define OPTION_AUTO_INTEGER INT64_MIN
#define OPTION_AUTO_REAL    ((double)NAN)

#define OPTION_MAY_BE_AUTO 1u
#define OPTION_NOT_STORED  2u /* does not belong into a file of settings */
#define OPTION_DECIDES     4u /* changes what a run computes */

typedef struct option {
    option_kind_t kind;
    const char *field;
    size_t offset;        /* in the settings struct */
    const char *value;    /* what stands for the value in the help text */
    const char *fallback; /* default, as one would type it; NULL = none */
    double low, high;     /* of numbers, both allowed */
    const char *choices;  /* "nano|tiny|small" */
    unsigned flags;
    const char *help;
} option_t;

typedef struct options {
    const option_t *items;
    size_t count;
} options_t;

enum { OPTION_MESSAGE = 512, OPTION_VALUE = 64 };

void options_defaults(const options_t *options, void *settings);

/* Take settings from a command line; operand receives the one argument that is no option (left
 * alone if there is none). Texts stay in argv. False with a message when something is wrong;
 * settings may then be half changed. */
bool options_parse(const options_t *options, void *settings, int argc, char **argv,
                   const char **operand, char message[OPTION_MESSAGE]);

/* A JSON object of all stored settings; NULL when memory is short. */
json_t *options_to_json(const options_t *options, const void *settings);

/* Take settings from a JSON object. Texts stay in it. */
bool options_from_json(const options_t *options, void *settings, const json_t *object,
                       char message[OPTION_MESSAGE]);

/* The value of a setting as one would type it. Long texts are cut. */
void options_value(const option_t *option, const void *settings, char text[OPTION_VALUE]);

/* The sections of the help text that the table knows. */
void options_help(const options_t *options, FILE *out);

/* Is the number left to the program? */
static inline bool option_is_auto(int64_t integer)
{
    return integer == OPTION_AUTO_INTEGER;
}
static inline bool option_is_auto_real(double real)
{
    return isnan(real);
}

#endif
