/* Most "damaged checkpoints" are sound files of another kind: an error page saved by a download
 * tool, the pointer of a git-lfs file, a pickle. Saying which one saves an evening. */
#include "io/sniff.h"

#include <string.h>

typedef struct signature {
    const char *bytes;
    size_t length;
    const char *meaning;
} signature_t;

#define SIGNATURE(text, meaning)                                                                   \
    {                                                                                              \
        text, sizeof(text) - 1, meaning                                                            \
    }

#define CONVERT "; convert it to safetensors first"

static const signature_t signatures[] = {
    SIGNATURE("<", "an HTML or XML page, not weights: probably a failed download"),
    SIGNATURE("version https://git-lfs",
              "a git-lfs pointer, not the file itself: fetch it with `git lfs pull`"),
    SIGNATURE("PK\003\004", "a zip archive, as torch.save writes"),
    SIGNATURE("\x80\002", "a Python pickle, as torch.save writes"),
    SIGNATURE("\x80\003", "a Python pickle"),
    SIGNATURE("\x80\004", "a Python pickle"),
    SIGNATURE("\x80\005", "a Python pickle"),
    SIGNATURE("\x93NUMPY", "a NumPy array" CONVERT),
    SIGNATURE("\x89HDF", "an HDF5 file" CONVERT),
    SIGNATURE("GGUF", "a GGUF file" CONVERT),
    SIGNATURE("\x1f\x8b", "compressed by gzip: decompress it first"),
    SIGNATURE("{", "a JSON text, not weights"),
};

/* Pages may begin with a byte order mark or blanks. */
static size_t leading_blanks(const unsigned char *bytes, size_t n)
{
    size_t skip = n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (skip < n && strchr(" \t\r\n", bytes[skip]) && bytes[skip])
        skip++;
    return skip;
}

const char *beit__sniff(const unsigned char *bytes, size_t n)
{
    const size_t skip = leading_blanks(bytes, n);
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (n - skip >= signatures[i].length &&
            memcmp(bytes + skip, signatures[i].bytes, signatures[i].length) == 0)
            return signatures[i].meaning;
    return NULL;
}
