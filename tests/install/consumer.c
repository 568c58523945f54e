/* The smallest host, valid C99 and C++11: it uses what it links, and says which library runs. */
#include <beit/beit.h>
#include <stdio.h>

int main(void)
{
    beit_context_t *ctx = NULL;
    if (beit_context_create(&ctx, NULL) != BEIT_OK || beit_abi_version() != BEIT_ABI)
        return fprintf(stderr, "%s\n", beit_last_error()), 1;
    printf("%s; %s\n", beit_build_info(), beit_context_describe(ctx));
    beit_context_unref(ctx);
    return 0;
}
