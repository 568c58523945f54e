/* What was built. The build passes the two texts; files below do not depend on them. */
#include <beit/base.h>

#ifndef BEIT__BUILD_ISAS
#define BEIT__BUILD_ISAS "c"
#endif
#ifndef BEIT__BUILD_CBLAS
#define BEIT__BUILD_CBLAS "none"
#endif

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

uint32_t beit_version(void)
{
    return BEIT_VERSION_MAJOR << 16 | BEIT_VERSION_MINOR << 8 | BEIT_VERSION_PATCH;
}

uint32_t beit_abi_version(void)
{
    return BEIT_ABI;
}

const char *beit_build_info(void)
{
    return "libbeit " TEXT(BEIT_VERSION_MAJOR) "." TEXT(BEIT_VERSION_MINOR) "." TEXT(
        BEIT_VERSION_PATCH) ", kernels: " BEIT__BUILD_ISAS ", CBLAS: " BEIT__BUILD_CBLAS;
}
