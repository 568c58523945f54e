/* Checks a backend against the reference:
 *     check_backend NAME|PLUGIN.so[:SYMBOL] [OPTIONS [OPERATION]]
 * NAME is a built-in backend; a plug-in exports its table as SYMBOL, else `beit_plugin_backend`.
 * OPTIONS are passed to the backend's open(); OPERATION restricts the check to one. Exit code 0, 1
 * when something differs, 77 (a skipped test) when the built-in backend is not in this build or
 * this CPU lacks the instruction set, 2 on other failures. */
#include "conform.h"
#include "target.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_SYMBOL "beit_plugin_backend"

enum { EXIT_DIFFERS = 1, EXIT_USAGE = 2, EXIT_SKIPPED = 77 };

static const beit_backend_ops_t *load(const char *what)
{
    char path[4096];
    const char *colon = strrchr(what, ':');
    const char *symbol = colon ? colon + 1 : DEFAULT_SYMBOL;
    snprintf(path, sizeof path, "%.*s", colon ? (int)(colon - what) : (int)strlen(what), what);
    void *plugin = dlopen(path, RTLD_NOW);
    const beit_backend_ops_t *ops = plugin ? dlsym(plugin, symbol) : NULL;
    if (!ops)
        fprintf(stderr, "check_backend: %s\n", dlerror());
    return ops;
}

/* One operation, or all of them when `name` is NULL; -1 when there is none of that name. */
static int check(conform_t *c, const char *name)
{
    if (!name)
        return conform_run_all(c, true);
    for (int op = 0; op < BEIT_OP_COUNT; op++)
        if (!strcmp(op_name((beit_op_id_t)op), name))
            return conform_run_op(c, (beit_op_id_t)op, true);
    fprintf(stderr, "check_backend: no operation is called %s\n", name);
    return -1;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: check_backend NAME|PLUGIN.so[:SYMBOL] [OPTIONS [OPERATION]]\n");
        return EXIT_USAGE;
    }
    const char *what = argv[1], *options = argc > 2 ? argv[2] : NULL;
    const bool plugin = strchr(what, '/') != NULL;
    const beit_backend_ops_t *ops = plugin ? load(what) : beit_backend_builtin(what);
    if (!ops)
        return plugin ? EXIT_USAGE : EXIT_SKIPPED;
    conform_t *c = conform_open(ops, options);
    if (!c)
        return plugin ? EXIT_USAGE : EXIT_SKIPPED;
    const int failures = check(c, argc > 3 ? argv[3] : NULL);
    conform_print_summary(c);
    conform_close(c);
    return failures < 0 ? EXIT_USAGE : failures ? EXIT_DIFFERS : 0;
}
