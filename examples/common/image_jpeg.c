/* JPEG by libjpeg-turbo. Its fatal errors come back by longjmp, so everything that must survive the
 * jump lives in the caller's frame. A truncated file is only a warning to libjpeg, which fills the
 * rest with grey; here it is an error. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
/* After jpeglib.h. */
#include <jerror.h>

#include "common/image_codecs.h"

typedef struct jpeg {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    char *reason;
    bool damaged;
    unsigned char *cmyk; /* one row */
    image_t *image;
} jpeg_t;

static void on_error(j_common_ptr info)
{
    jpeg_t *jpeg = info->client_data;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(jpeg->reason, IMAGE_REASON, "%.*s", IMAGE_REASON - 1, text);
    longjmp(jpeg->jump, 1);
}

static void on_message(j_common_ptr info, int level)
{
    jpeg_t *jpeg = info->client_data;
    const int code = info->err->msg_code;
    if (level < 0 &&
        (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
        jpeg->damaged = true;
}

/* Let the decoder shrink by 1/2, 1/4 or 1/8 while the shorter side stays at least 2 * enough. */
static void choose_scale(struct jpeg_decompress_struct *info, int32_t enough)
{
    const JDIMENSION shorter =
        info->image_width < info->image_height ? info->image_width : info->image_height;
    info->scale_num = 1;
    info->scale_denom = 1;
    while (enough > 0 && info->scale_denom < 8 &&
           shorter / (info->scale_denom * 2) >= 2 * (JDIMENSION)enough)
        info->scale_denom *= 2;
}

/* Adobe's programs store the inverse of the ink. */
static void convert_cmyk(const unsigned char *cmyk, uint8_t *rgb, JDIMENSION width, bool inverted)
{
    for (JDIMENSION x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            const unsigned light = inverted ? cmyk[c] : 255u - cmyk[c];
            const unsigned key = inverted ? cmyk[3] : 255u - cmyk[3];
            rgb[c] = (uint8_t)((light * key + 127) / 255);
        }
}

static void read_rows(jpeg_t *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    const bool cmyk = info->out_color_space == JCS_CMYK;
    while (info->output_scanline < info->output_height) {
        uint8_t *rgb = jpeg->image->rgb + (size_t)info->output_scanline * info->output_width * 3;
        JSAMPROW row = cmyk ? jpeg->cmyk : rgb;
        (void)jpeg_read_scanlines(info, &row, 1);
        if (cmyk)
            convert_cmyk(row, rgb, info->output_width, info->saw_Adobe_marker);
    }
}

static bool decode_guarded(jpeg_t *jpeg, FILE *file, int32_t enough)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    if (setjmp(jpeg->jump))
        return false;
    jpeg_create_decompress(info);
    jpeg_stdio_src(info, file);
    (void)jpeg_read_header(info, TRUE);
    const bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    choose_scale(info, enough);
    jpeg_calc_output_dimensions(info);
    if (!image_allocate(jpeg->image, info->output_width, info->output_height, jpeg->reason))
        return false;
    if (cmyk && !(jpeg->cmyk = malloc((size_t)info->output_width * 4))) {
        snprintf(jpeg->reason, IMAGE_REASON, "no memory");
        return false;
    }
    (void)jpeg_start_decompress(info);
    read_rows(jpeg);
    (void)jpeg_finish_decompress(info);
    if (jpeg->damaged)
        snprintf(jpeg->reason, IMAGE_REASON, "the file is truncated or damaged");
    return !jpeg->damaged;
}

bool image_decode_jpeg(FILE *file, int32_t enough, image_t *image, char reason[IMAGE_REASON])
{
    jpeg_t jpeg = {.reason = reason, .image = image};
    jpeg.info.err = jpeg_std_error(&jpeg.errors);
    jpeg.info.client_data = &jpeg;
    jpeg.errors.error_exit = on_error;
    jpeg.errors.emit_message = on_message;
    const bool done = decode_guarded(&jpeg, file, enough);
    jpeg_destroy_decompress(&jpeg.info);
    free(jpeg.cmyk);
    return done;
}
