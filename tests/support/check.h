/* What every test needs: cmocka in its include order, and checks that print the library's own
 * line when they fail. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <beit/base.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline void check_status_at(beit_status_t found, beit_status_t wanted, const char *file,
                                   int line)
{
    if (found == wanted)
        return;
    print_error("status %d (%s), expected %d (%s); last error: %s\n", (int)found,
                beit_status_string(found), (int)wanted, beit_status_string(wanted),
                beit_last_error());
    _fail(file, line);
}

#define check_status(expression, wanted) check_status_at((expression), (wanted), __FILE__, __LINE__)
#define check_ok(expression)             check_status((expression), BEIT_OK)

/* The last error must contain `part`. */
static inline void check_error_has_at(const char *part, const char *file, int line)
{
    if (strstr(beit_last_error(), part))
        return;
    print_error("last error is \"%s\", expected it to contain \"%s\"\n", beit_last_error(), part);
    _fail(file, line);
}

#define check_error_has(part) check_error_has_at((part), __FILE__, __LINE__)

static inline void check_near_at(double found, double wanted, double tolerance, const char *file,
                                 int line)
{
    if (fabs(found - wanted) <= tolerance) /* false for NaN */
        return;
    print_error("%.17g, expected %.17g +- %g\n", found, wanted, tolerance);
    _fail(file, line);
}

#define check_near(found, wanted, tolerance)                                                       \
    check_near_at((found), (wanted), (tolerance), __FILE__, __LINE__)

#endif
