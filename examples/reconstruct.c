/* A picture through a tokenizer and back: prints the grid of token ids, and writes what they stand
 * for as PNG.
 * usage: reconstruct TOKENIZER.safetensors PICTURE OUT.png */
#include <beit/beit.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/image_file.h"
#include "common/png_write.h"

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "reconstruct: %s: %s\n", what, why);
    return 1;
}

/* The middle of a picture as a token view of side x side. */
static beit_status_t make_view(const image_t *image, int32_t side, float *view)
{
    const int32_t shorter = image->width < image->height ? image->width : image->height;
    beit_views_config_t cfg;
    beit_views_config_init(&cfg, sizeof cfg);
    cfg.tokens_height = cfg.tokens_width = side;
    const beit_view_draw_t draw = {.struct_size = sizeof draw,
                                   .left = (image->width - shorter) / 2,
                                   .top = (image->height - shorter) / 2,
                                   .width = shorter,
                                   .height = shorter,
                                   .jitter_order = {0, 1, 2},
                                   .brightness = 1,
                                   .contrast = 1,
                                   .saturation = 1};
    const int64_t rgb_shape[] = {image->height, image->width, 3}, view_shape[] = {3, side, side};
    const beit_tensor_t rgb = beit_tensor_make(image->rgb, BEIT_U8, 3, rgb_shape);
    const beit_tensor_t tokens = beit_tensor_make(view, BEIT_F32, 3, view_shape);
    return beit_views_apply(NULL, &cfg, &draw, &rgb, NULL, &tokens);
}

/* [-1, 1] planes to bytes. */
static void to_rgb(const float *planes, int32_t side, uint8_t *rgb)
{
    for (int32_t i = 0; i < side * side; i++)
        for (int32_t c = 0; c < 3; c++) {
            const float x = planes[c * side * side + i] * 127.5f + 127.5f;
            rgb[i * 3 + c] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x + 0.5f);
        }
}

static int write_png(const float *planes, int32_t side, const char *path)
{
    image_t out = {malloc((size_t)side * (size_t)side * 3), side, side};
    bytes_t png = {0};
    FILE *file = NULL;
    if (!out.rgb)
        return complain(path, "no memory");
    to_rgb(planes, side, out.rgb);
    int done = png_encode(&out, &png) && (file = fopen(path, "wb")) &&
               fwrite(png.data, 1, png.size, file) == png.size;
    if (file && fclose(file) != 0)
        done = 0;
    free(png.data);
    image_free(&out);
    return done ? 0 : complain(path, "cannot be written");
}

static int run(beit_dvae_t *dvae, const image_t *image, const char *path)
{
    beit_dvae_config_t cfg = {.struct_size = sizeof cfg};
    if (beit_dvae_config(dvae, &cfg))
        return complain("tokenizer", beit_last_error());
    const int32_t side = cfg.image_height, grid = side >> cfg.num_layers;
    const size_t floats = 3 * (size_t)side * (size_t)side;
    const int64_t picture[] = {1, 3, side, side}, square[] = {1, grid, grid};
    float *view = malloc(2 * floats * sizeof *view);
    int32_t *ids = malloc((size_t)grid * (size_t)grid * sizeof *ids);
    const beit_tensor_t pixels = beit_tensor_make(view, BEIT_F32, 4, picture);
    const beit_tensor_t decoded = beit_tensor_make(view + floats, BEIT_F32, 4, picture);
    const beit_tensor_t tokens = beit_tensor_make(ids, BEIT_I32, 3, square);
    int status = 1;
    if (!view || !ids)
        (void)complain(path, "no memory");
    else if (make_view(image, side, view) || beit_dvae_tokenize(dvae, &pixels, NULL, &tokens) ||
             beit_dvae_decode(dvae, &tokens, &decoded))
        (void)complain("tokenizer", beit_last_error());
    else
        status = write_png(view + floats, side, path);
    for (int32_t i = 0; status == 0 && i < grid * grid; i++)
        printf("%5d%s", ids[i], i % grid == grid - 1 ? "\n" : "");
    free(ids);
    free(view);
    return status;
}

int main(int argc, char **argv)
{
    beit_dvae_t *dvae = NULL;
    image_t image = {0};
    char reason[IMAGE_REASON];
    if (argc != 4) {
        fputs("usage: reconstruct TOKENIZER.safetensors PICTURE OUT.png\n", stderr);
        return 2;
    }
    if (!image_read(argv[2], 0, &image, reason))
        return complain(argv[2], reason);
    int status = 1;
    if (beit_dvae_load(&dvae, NULL, argv[1], NULL))
        (void)complain(argv[1], beit_last_error());
    else
        status = run(dvae, &image, argv[3]);
    beit_dvae_destroy(dvae);
    image_free(&image);
    return status;
}
