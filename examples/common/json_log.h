/* A log of JSON objects, one a line, each written at once, so that what a killed run leaves behind
 * is complete up to its last line. */
#ifndef EXAMPLES_JSON_LOG_H
#define EXAMPLES_JSON_LOG_H

#include <jansson.h>
#include <stdbool.h>

typedef struct json_log json_log_t;

enum { JSON_LOG_REASON = 512 };

/* Open for appending. Of the rows that are there already, those stay for which keep() is true; a
 * half-written last line goes. keep NULL = none stays. NULL with a reason on failure. */
json_log_t *json_log_open(const char *path, bool (*keep)(void *user, const json_t *row), void *user,
                          char reason[JSON_LOG_REASON]);

/* Append a row and drop the reference to it. False with errno set when it cannot be written. */
bool json_log_write(json_log_t *log, json_t *row);

void json_log_close(json_log_t *log);

/* Call each() for every row of a log; a line that is no JSON object is passed over. False with
 * errno set when the file cannot be read. */
bool json_log_read(const char *path, void (*each)(void *user, const json_t *row), void *user);

/* A number, or null where JSON has none. */
json_t *json_number(double value);

#endif
