/* What was built: numbers from the header, and the choices that the build made. */
#include <beit/base.h>

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define VERSION                                                                                    \
    TEXT(BEIT_VERSION_MAJOR)                                                                       \
    "." TEXT(BEIT_VERSION_MINOR) "." TEXT(BEIT_VERSION_PATCH)

#ifdef BEIT_HAVE_X86_KERNELS
#define KERNELS "c avx2 avx512"
#else
#define KERNELS "c"
#endif

#ifdef BEIT_HAVE_CBLAS
#define BACKENDS "reference cblas"
#else
#define BACKENDS "reference"
#endif

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
    return "libbeit " VERSION ", backends: " BACKENDS ", kernels: " KERNELS;
}
