/* What the generated pictures show: stripes and a disc, whose place and colour the number decides.
 */
#ifndef PROGRAM_PICTURE_PATTERN_H
#define PROGRAM_PICTURE_PATTERN_H

enum { PATTERN_WIDTH = 72, PATTERN_HEIGHT = 56 };

/* File types, in the order in which pictures take them: picture i is of type i % PATTERN_KINDS. */
typedef enum pattern_kind {
    JPEG_COLOUR,
    PNG_RGB,
    JPEG_GREY,
    PNG_RGBA,
    JPEG_CMYK,
    PNG_GREY,
    JPEG_PROGRESSIVE,
    PNG_PALETTE,
    PNG_DEEP,
    PNG_INTERLACED,
    PATTERN_KINDS
} pattern_kind_t;

static const char *const pattern_endings[PATTERN_KINDS] = {"jpg", "png", "JPEG", "png", "jpeg",
                                                           "PNG", "jpg", "png",  "png", "png"};

/* "FOLDER/odd/picture-007.png" */
#define PATTERN_PATH_FORMAT "%s/%s/picture-%03d.%s"
#define PATTERN_PATH(folder, number)                                                               \
    folder, (number) % 2 ? "odd" : "even", number, pattern_endings[(number) % PATTERN_KINDS]

static inline unsigned char pattern_value(int number, int channel, int x, int y)
{
    const int dx = x - (number * 17) % PATTERN_WIDTH, dy = y - (number * 29) % PATTERN_HEIGHT;
    const int disc = dx * dx + dy * dy < 300;
    const int stripe = (x * (1 + number % 3) + y * (1 + number % 2)) / 12 % 2;
    return (unsigned char)(disc ? 40 + (number * 53 + channel * 90) % 200
                                : 60 + stripe * (60 + channel * 20) + (number * 31) % 70);
}

#endif
