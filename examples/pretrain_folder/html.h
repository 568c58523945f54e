/* Pieces of a web page. */
#ifndef PRETRAIN_HTML_H
#define PRETRAIN_HTML_H

#include <stdio.h>

extern const char html_style[];

/* Text with what would be markup escaped. */
void html_text(FILE *out, const char *text);

/* An image element that holds the PNG file at `path` itself; nothing when there is no such file. */
void html_png(FILE *out, const char *path, const char *alternative);

#endif
