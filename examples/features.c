/* What a pre-trained model makes of pictures: the mean of the patch tokens after the last block,
 * whose cosines say which pictures it finds alike.
 * usage: features MODEL.safetensors PICTURE PICTURE... */
#include <beit/beit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/image_file.h"

/* The picture, whole, as the model's patch view. */
static beit_status_t make_view(const image_t *image, const beit_model_config_t *model, float *view)
{
    beit_views_config_t cfg;
    beit_views_config_init(&cfg, sizeof cfg);
    cfg.pixels_height = model->image_height;
    cfg.pixels_width = model->image_width;
    const beit_view_draw_t draw = {.struct_size = sizeof draw,
                                   .width = image->width,
                                   .height = image->height,
                                   .jitter_order = {0, 1, 2},
                                   .brightness = 1,
                                   .contrast = 1,
                                   .saturation = 1};
    const int64_t rgb_shape[] = {image->height, image->width, 3};
    const int64_t view_shape[] = {3, model->image_height, model->image_width};
    const beit_tensor_t rgb = beit_tensor_make(image->rgb, BEIT_U8, 3, rgb_shape);
    const beit_tensor_t pixels = beit_tensor_make(view, BEIT_F32, 3, view_shape);
    return beit_views_apply(NULL, &cfg, &draw, &rgb, &pixels, NULL);
}

/* Mean of T - 1 patch tokens (the class token comes first), scaled to length 1. */
static void pool(const float *features, int64_t tokens, int64_t width, float *mean)
{
    double length = 0;
    for (int64_t d = 0; d < width; d++) {
        double sum = 0;
        for (int64_t t = 1; t < tokens; t++)
            sum += (double)features[t * width + d];
        mean[d] = (float)(sum / (double)(tokens - 1));
        length += (double)mean[d] * (double)mean[d];
    }
    for (int64_t d = 0; d < width; d++)
        mean[d] = (float)((double)mean[d] / sqrt(length));
}

/* The feature of one picture file into mean (D). */
static int describe(beit_model_t *model, const beit_model_config_t *cfg, const char *path,
                    float *mean)
{
    const int64_t patches =
        (int64_t)(cfg->image_height / cfg->patch_size) * (cfg->image_width / cfg->patch_size);
    const int64_t view_shape[] = {1, 3, cfg->image_height, cfg->image_width};
    const int64_t feature_shape[] = {1, patches + 1, cfg->embed_dim};
    char reason[IMAGE_REASON];
    image_t image = {0};
    if (!image_read(path, cfg->image_height, &image, reason)) {
        fprintf(stderr, "features: %s: %s\n", path, reason);
        return 1;
    }
    float *view = malloc((size_t)(3 * view_shape[2] * view_shape[3]) * sizeof *view);
    float *features = malloc((size_t)((patches + 1) * cfg->embed_dim) * sizeof *features);
    const beit_tensor_t pixels = beit_tensor_make(view, BEIT_F32, 4, view_shape);
    const beit_tensor_t out = beit_tensor_make(features, BEIT_F32, 3, feature_shape);
    int status = 1;
    if (!view || !features)
        fputs("features: no memory\n", stderr);
    else if (make_view(&image, cfg, view) ||
             beit_model_encode(model, &pixels, NULL, cfg->depth - 1, &out))
        fprintf(stderr, "features: %s\n", beit_last_error());
    else
        status = 0;
    if (status == 0)
        pool(features, patches + 1, cfg->embed_dim, mean);
    free(features);
    free(view);
    image_free(&image);
    return status;
}

static void print_cosines(const float *means, int count, int64_t width)
{
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            double cosine = 0;
            for (int64_t d = 0; d < width; d++)
                cosine += (double)means[i * width + d] * (double)means[j * width + d];
            printf("%8.4f%s", cosine, j + 1 < count ? "" : "\n");
        }
}

int main(int argc, char **argv)
{
    const int count = argc - 2;
    beit_model_t *model = NULL;
    beit_model_config_t cfg = {.struct_size = sizeof cfg};
    if (count < 2) {
        fputs("usage: features MODEL.safetensors PICTURE PICTURE...\n", stderr);
        return 2;
    }
    if (beit_model_load(&model, NULL, argv[1], NULL) || beit_model_config(model, &cfg)) {
        fprintf(stderr, "features: %s\n", beit_last_error());
        beit_model_destroy(model);
        return 1;
    }
    float *means = malloc((size_t)count * (size_t)cfg.embed_dim * sizeof *means);
    int status = means == NULL;
    for (int i = 0; i < count && status == 0; i++)
        status = describe(model, &cfg, argv[i + 2], means + (int64_t)i * cfg.embed_dim);
    if (status == 0)
        print_cosines(means, count, cfg.embed_dim);
    free(means);
    beit_model_destroy(model);
    return status;
}
