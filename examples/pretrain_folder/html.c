/* The style sheet, escaping, and pictures as data URIs. */
#include "html.h"

#include <stdint.h>

const char html_style[] =
    ":root{color-scheme:light dark;--ink:#1c2733;--soft:#5b6875;--page:#fff;--card:#f3f5f7;"
    "--grid:#dfe4e8;--a:#2a6f97;--b:#d2602a;--c:#5a8f3d;--level:#8a5a9e}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#9aa7b3;--page:#14191f;"
    "--card:#1f262e;--grid:#323c46;--a:#6db3dd;--b:#f0925f;--c:#94c973;--level:#c29ad6}}\n"
    "body{margin:0 auto;padding:1.2rem;max-width:46rem;background:var(--page);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;line-height:1.2;margin:.2em 0}h2{font-size:1.25rem;margin:2em 0 .4em;"
    "border-bottom:1px solid var(--grid)}h3{font-size:1rem;margin:1.2em 0 .3em}\n"
    "p{margin:.5em 0}.soft{color:var(--soft)}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;"
    "margin:1em 0}.cards div{background:var(--card);border-radius:.5rem;padding:.6rem .8rem}"
    ".cards b{display:block;font-size:1.35rem;line-height:1.25}"
    ".cards span{font-size:.85rem;color:var(--soft)}\n"
    "figure{margin:1em 0}figure img{width:100%;max-width:36rem;height:auto;display:block;"
    "background:#fff;border-radius:.25rem}figcaption{font-size:.9rem;color:var(--soft)}"
    "figcaption span{margin-right:1em;white-space:nowrap}"
    "figcaption i{display:inline-block;width:1.2em;height:.25em;margin-right:.4em;"
    "vertical-align:middle}\n"
    ".columns{display:grid;max-width:36rem;font-size:.85rem;color:var(--soft);text-align:center}\n"
    "svg{width:100%;height:auto;display:block}svg text{font:12px system-ui,sans-serif;"
    "fill:var(--soft)}.grid{stroke:var(--grid)}.axis{stroke:var(--soft)}"
    ".level{stroke:var(--level);stroke-dasharray:5 4}"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    "polyline.run,i.run{stroke:var(--a);background:var(--a)}polyline.run{opacity:.55;"
    "stroke-width:1.5}.train{stroke:var(--c);background:var(--c)}"
    ".held{stroke:var(--b);background:var(--b)}circle.train{fill:var(--c)}"
    "circle.held{fill:var(--b)}\n"
    "table{border-collapse:collapse;font-size:.9rem}td,th{padding:.15em .8em .15em 0;"
    "text-align:left;vertical-align:top}td.number,th.number{text-align:right}"
    "tr+tr td{border-top:1px solid var(--grid)}.wide{overflow-x:auto}\n"
    "@media (max-width:30rem){svg text{font-size:15px}}\n"
    "details{margin:.8em 0}summary{cursor:pointer}code{font-size:.9em;overflow-wrap:anywhere}\n"
    "@media print{:root{--ink:#000;--soft:#333;--page:#fff;--card:#f3f5f7;--grid:#ccc;--a:#2a6f97;"
    "--b:#d2602a;--c:#5a8f3d;--level:#8a5a9e}body{font-size:11pt;max-width:none;padding:0}"
    "figure,.cards div{break-inside:avoid}details{display:none}"
    "figure img,.columns,svg{max-width:26rem}}\n";

void html_text(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
}

/* Base64 of the rest of a file. */
static void write_base64(FILE *out, FILE *in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char group[3] = {0};
    size_t length;
    while ((length = fread(group, 1, sizeof group, in)) > 0) {
        const uint32_t bits = (uint32_t)group[0] << 16 | (uint32_t)group[1] << 8 | group[2];
        for (size_t i = 0; i < 4; i++)
            fputc(i <= length ? digits[bits >> (18 - 6 * i) & 63] : '=', out);
        group[0] = group[1] = group[2] = 0;
    }
}

void html_png(FILE *out, const char *path, const char *alternative)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        return;
    fputs("<img src='data:image/png;base64,", out);
    write_base64(out, in);
    fprintf(out, "' alt='%s'>\n", alternative);
    (void)fclose(in);
}
