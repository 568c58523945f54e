/* view_draw.c, jitter.c, two_view.c, views_config.c: drawn augmentations follow the published
 * recipe, and every pixel of both views is Pillow's. */
#include "check.h"
#include "failing_alloc.h"
#include "picture.h"

#include "core/philox.h"
#include "data/jitter.h"

enum { DRAWS = 20000 };

static beit_views_config_t defaults(void)
{
    beit_views_config_t cfg;
    beit_views_config_init(&cfg, sizeof cfg);
    return cfg;
}

static beit_view_draw_t drawn(const beit_views_config_t *cfg, uint64_t seed, uint64_t epoch,
                              uint64_t sample, int32_t height, int32_t width)
{
    beit_view_draw_t draw = {.struct_size = sizeof draw};
    check_ok(beit_views_draw(cfg, seed, epoch, sample, height, width, &draw));
    return draw;
}

/* The whole picture, nothing changed. */
static beit_view_draw_t plain(int32_t height, int32_t width)
{
    return (beit_view_draw_t){.struct_size = sizeof(beit_view_draw_t),
                              .width = width,
                              .height = height,
                              .jitter_order = {0, 1, 2},
                              .brightness = 1,
                              .contrast = 1,
                              .saturation = 1};
}

/* A view of new memory; free its data. */
static beit_tensor_t planes(int32_t height, int32_t width)
{
    const int64_t shape[3] = {3, height, width};
    float *data = malloc((size_t)height * (size_t)width * 3 * sizeof *data);
    assert_non_null(data);
    return beit_tensor_make(data, BEIT_F32, 3, shape);
}

/* Planes of v/255 back to interleaved bytes. */
static uint8_t *to_bytes(const beit_tensor_t *view)
{
    const int64_t area = view->shape[1] * view->shape[2];
    const float *from = view->data;
    uint8_t *bytes = malloc((size_t)area * 3);
    assert_non_null(bytes);
    for (int64_t c = 0; c < 3; c++)
        for (int64_t i = 0; i < area; i++)
            bytes[i * 3 + c] = (uint8_t)lrintf(from[c * area + i] * 255);
    return bytes;
}

static void check_view(const beit_tensor_t *view, const golden_t *wanted, size_t number)
{
    uint8_t *bytes = to_bytes(view);
    check_golden(bytes, (int32_t)view->shape[1], (int32_t)view->shape[2], wanted, number);
    free(bytes);
    free(view->data);
}

static void equals_pillow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_views / sizeof *golden_views; i++) {
        const golden_views_t *wanted = &golden_views[i];
        beit_views_config_t cfg = defaults();
        cfg.pixels_height = wanted->pixels_size[0];
        cfg.pixels_width = wanted->pixels_size[1];
        cfg.tokens_height = wanted->tokens_size[0];
        cfg.tokens_width = wanted->tokens_size[1];
        cfg.tokens_scaling = BEIT_TOKENS_UNIT;
        for (int c = 0; c < 3; c++) {
            cfg.mean[c] = 0;
            cfg.std[c] = 1;
        }
        beit_view_draw_t draw = {.struct_size = sizeof draw,
                                 .left = wanted->box[0],
                                 .top = wanted->box[1],
                                 .width = wanted->box[2],
                                 .height = wanted->box[3],
                                 .flip = wanted->flip,
                                 .brightness = wanted->factors[0],
                                 .contrast = wanted->factors[1],
                                 .saturation = wanted->factors[2]};
        memcpy(draw.jitter_order, wanted->order, sizeof draw.jitter_order);
        const beit_tensor_t rgb = picture(wanted->formula, wanted->size[0], wanted->size[1]);
        const beit_tensor_t pixels = planes(cfg.pixels_height, cfg.pixels_width),
                            tokens = planes(cfg.tokens_height, cfg.tokens_width);
        check_ok(beit_views_apply(NULL, &cfg, &draw, &rgb, &pixels, &tokens));
        check_view(&pixels, &wanted->pixels, i);
        check_view(&tokens, &wanted->tokens, i);
        free(rgb.data);
    }
}

/* Saturation 0 leaves the grey of each pixel; every one of the 2^24 colours is tried. */
static void grey_is_exact_for_every_colour(void **state)
{
    (void)state;
    beit__jitter_t jitter;
    beit_view_draw_t draw = plain(1, 256);
    draw.saturation = 0;
    uint8_t line[256 * 3] = {0}, made[256 * 3];
    beit__jitter_prepare(&jitter, &draw, line, 256);
    uint32_t wrong = 0;
    for (uint32_t colours = 0; colours < 1u << 16; colours++) {
        const uint32_t red = colours >> 8, green = colours & 255;
        for (uint32_t blue = 0; blue < 256; blue++) {
            line[3 * blue] = (uint8_t)red;
            line[3 * blue + 1] = (uint8_t)green;
            line[3 * blue + 2] = (uint8_t)blue;
        }
        beit__jitter_apply(&jitter, line, made, 256);
        for (uint32_t blue = 0; blue < 256; blue++) {
            const uint32_t grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
            for (uint32_t c = 0; c < 3; c++)
                wrong += made[3 * blue + c] != grey;
        }
    }
    assert_int_equal(wrong, 0);
}

/* With sizes equal to the picture's, no pass changes a byte, and only the scaling remains. */
static void scaling(void **state)
{
    (void)state;
    beit_views_config_t cfg = defaults();
    cfg.pixels_height = cfg.tokens_height = 5;
    cfg.pixels_width = cfg.tokens_width = 7;
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    memcpy(cfg.mean, mean, sizeof mean);
    memcpy(cfg.std, std, sizeof std);
    const beit_tensor_t rgb = picture(2, 5, 7), pixels = planes(5, 7), tokens = planes(5, 7);
    const beit_view_draw_t draw = plain(5, 7);
    const uint8_t *bytes = rgb.data;
    for (int32_t scale = BEIT_TOKENS_SYMMETRIC; scale <= BEIT_TOKENS_UNIT; scale++) {
        cfg.tokens_scaling = scale;
        check_ok(beit_views_apply(NULL, &cfg, &draw, &rgb, &pixels, &tokens));
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 35; i++) {
                const float x = (float)bytes[i * 3 + c] / 255.0f;
                assert_true(((float *)pixels.data)[c * 35 + i] == (x - mean[c]) / std[c]);
                const float token = ((float *)tokens.data)[c * 35 + i];
                assert_true(token == (scale == BEIT_TOKENS_SYMMETRIC ? (x - 0.5f) / 0.5f
                                      : scale == BEIT_TOKENS_LOGIT   ? 0.8f * x + 0.1f
                                                                     : x));
            }
    }
    free(rgb.data);
    free(pixels.data);
    free(tokens.data);
}

static void flip_comes_before_the_crop(void **state)
{
    (void)state;
    beit_views_config_t cfg = defaults();
    cfg.tokens_height = 1;
    cfg.tokens_width = 2;
    cfg.tokens_scaling = BEIT_TOKENS_UNIT;
    const beit_tensor_t rgb = picture(2, 3, 6), tokens = planes(1, 2);
    beit_view_draw_t draw = plain(1, 2);
    draw.top = 2;
    draw.left = 1;
    draw.flip = 1;
    check_ok(beit_views_apply(NULL, &cfg, &draw, &rgb, NULL, &tokens));
    uint8_t *bytes = to_bytes(&tokens);
    for (int c = 0; c < 3; c++) { /* columns 1 and 2 of the flipped picture are columns 4 and 3 */
        assert_int_equal(bytes[c], picture_byte(2, 2, 4, c));
        assert_int_equal(bytes[3 + c], picture_byte(2, 2, 3, c));
    }
    free(bytes);
    free(tokens.data);
    free(rgb.data);
}

static void make_is_draw_and_apply(void **state)
{
    (void)state;
    const beit_tensor_t rgb = picture(0, 60, 80);
    const beit_tensor_t made = planes(224, 224), made_tokens = planes(112, 112);
    const beit_tensor_t applied = planes(224, 224), applied_tokens = planes(112, 112);
    for (uint64_t sample = 0; sample < 4; sample++) {
        const beit_view_draw_t draw = drawn(NULL, 1, 2, sample, 60, 80);
        check_ok(beit_views_apply(NULL, NULL, &draw, &rgb, &applied, &applied_tokens));
        check_ok(beit_views_make(NULL, NULL, 1, 2, sample, &rgb, &made, &made_tokens));
        assert_memory_equal(made.data, applied.data, 224 * 224 * 3 * sizeof(float));
        assert_memory_equal(made_tokens.data, applied_tokens.data, 112 * 112 * 3 * sizeof(float));
        memset(made.data, 0, 224 * 224 * 3 * sizeof(float));
        check_ok(beit_views_make(NULL, NULL, 1, 2, sample, &rgb, &made, NULL));
        assert_memory_equal(made.data, applied.data, 224 * 224 * 3 * sizeof(float));
        check_ok(beit_views_make(NULL, NULL, 1, 2, sample, &rgb, NULL, NULL));
    }
    free(rgb.data);
    free(made.data);
    free(made_tokens.data);
    free(applied.data);
    free(applied_tokens.data);
}

/* 20,000 draws: area share and log ratio uniform; flips in half; every order in a sixth; factors
 * uniform in (0.6, 1.4). Tolerances are five standard errors. */
static void draws_have_the_published_distribution(void **state)
{
    (void)state;
    double scale = 0, scale_squares = 0, log_ratio = 0, flips = 0, factors[3] = {0},
           orders[27] = {0};
    beit_views_config_t cfg = defaults();
    cfg.max_scale = 0.5f; /* so that every box fits at the first attempt */
    for (uint64_t sample = 0; sample < DRAWS; sample++) {
        const beit_view_draw_t draw = drawn(&cfg, 4, 0, sample, 4000, 4000);
        assert_true(draw.left >= 0 && draw.left + draw.width <= 4000);
        assert_true(draw.top >= 0 && draw.top + draw.height <= 4000);
        const double share = (double)draw.width * draw.height / 16e6;
        scale += share;
        scale_squares += share * share;
        log_ratio += log((double)draw.width / draw.height);
        flips += draw.flip;
        orders[draw.jitter_order[0] * 9 + draw.jitter_order[1] * 3 + draw.jitter_order[2]]++;
        const float found[3] = {draw.brightness, draw.contrast, draw.saturation};
        for (int i = 0; i < 3; i++) {
            assert_true(found[i] >= 0.6f && found[i] <= 1.4f);
            factors[i] += (double)found[i];
        }
    }
    /* Uniform (0.08, 0.5): deviation 0.1212, 0.0716 for the square. */
    check_near(scale / DRAWS, 0.29, 0.0043);
    check_near(scale_squares / DRAWS, 0.29 * 0.29 + 0.42 * 0.42 / 12, 0.0026);
    check_near(log_ratio / DRAWS, 0, 0.0059); /* deviation 2 ln(4/3) / sqrt(12) */
    check_near(flips / DRAWS, 0.5, 0.0177);
    for (int i = 0; i < 3; i++)
        check_near(factors[i] / DRAWS, 1, 0.0082);
    static const int permutations[] = {0 * 9 + 1 * 3 + 2, 0 * 9 + 2 * 3 + 1, 1 * 9 + 0 * 3 + 2,
                                       1 * 9 + 2 * 3 + 0, 2 * 9 + 0 * 3 + 1, 2 * 9 + 1 * 3 + 0};
    for (int i = 0; i < 6; i++)
        check_near(orders[permutations[i]] / DRAWS, 1.0 / 6, 0.0132);
}

/* The order of draws, which doc/reference/rng.md makes binding. */
static void draws_follow_their_streams(void **state)
{
    (void)state;
    for (uint64_t sample = 0; sample < 100; sample++) {
        const beit_view_draw_t draw = drawn(NULL, 6, 7, sample, 300, 400);
        beit__draws_t crop = beit__draws(6, BEIT__STREAM_CROP, 7, sample, 0);
        int32_t w, h;
        do {
            const double area = beit__draw_uniform(&crop, (double)0.08f, 1) * 300 * 400;
            const double ratio = exp(beit__draw_uniform(&crop, log(0.75), log((double)(4.0f / 3))));
            w = (int32_t)rint(sqrt(area * ratio));
            h = (int32_t)rint(sqrt(area / ratio));
        } while (w > 400 || h > 300);
        assert_int_equal(draw.width, w);
        assert_int_equal(draw.height, h);
        assert_int_equal(draw.top, beit__draw_below(&crop, (uint32_t)(301 - h)));
        assert_int_equal(draw.left, beit__draw_below(&crop, (uint32_t)(401 - w)));

        beit__draws_t flip = beit__draws(6, BEIT__STREAM_FLIP, 7, sample, 0);
        assert_int_equal(draw.flip, beit__draw_unit(&flip) < 0.5);

        beit__draws_t jitter = beit__draws(6, BEIT__STREAM_JITTER, 7, sample, 0);
        int32_t order[3] = {0, 1, 2};
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t j = i + beit__draw_below(&jitter, 3 - i);
            const int32_t kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        assert_memory_equal(draw.jitter_order, order, sizeof order);
        const double low = 1 - (double)0.4f, high = 1 + (double)0.4f;
        assert_true(draw.brightness == (float)beit__draw_uniform(&jitter, low, high));
        assert_true(draw.contrast == (float)beit__draw_uniform(&jitter, low, high));
        assert_true(draw.saturation == (float)beit__draw_uniform(&jitter, low, high));
    }
}

/* A half-width above 1 gives factors in (0, 1 + half-width), as torchvision does. */
static void wide_factors_stop_at_zero(void **state)
{
    (void)state;
    beit_views_config_t cfg = defaults();
    cfg.brightness = 3;
    float least = 4, most = 0;
    for (uint64_t sample = 0; sample < 1000; sample++) {
        const float factor = drawn(&cfg, 0, 0, sample, 10, 10).brightness;
        least = fminf(least, factor);
        most = fmaxf(most, factor);
    }
    assert_true(least >= 0 && least < 0.1f && most > 3.9f && most <= 4);
}

static void switching_one_off_leaves_the_others(void **state)
{
    (void)state;
    beit_views_config_t cfg = defaults();
    const beit_view_draw_t all = drawn(&cfg, 0, 0, 3, 300, 400);
    cfg.contrast = 0;
    cfg.flip = 0;
    beit_view_draw_t some = drawn(&cfg, 0, 0, 3, 300, 400);
    assert_true(some.contrast == 1);
    assert_int_equal(some.flip, 0);
    some.contrast = all.contrast;
    some.flip = all.flip;
    assert_memory_equal(&some, &all, sizeof all);
}

/* No box fits in ten attempts: the largest centred one is taken. */
static void fallback_is_central(void **state)
{
    (void)state;
    beit_views_config_t cfg = defaults();
    cfg.min_scale = cfg.max_scale = 1;
    const beit_view_draw_t wide = drawn(&cfg, 0, 0, 0, 30, 1000);
    assert_int_equal(wide.height, 30);
    assert_int_equal(wide.width, 40);
    assert_int_equal(wide.left, 480);
    assert_int_equal(wide.top, 0);
    const beit_view_draw_t tall = drawn(&cfg, 0, 0, 0, 1001, 30);
    assert_int_equal(tall.width, 30);
    assert_int_equal(tall.height, 40);
    assert_int_equal(tall.left, 0);
    assert_int_equal(tall.top, 480);
    /* The picture's own ratio is allowed: all of it. */
    cfg.min_ratio = 0.75f;
    cfg.max_ratio = 1.3f;
    const beit_view_draw_t square = drawn(&cfg, 0, 0, 0, 1000, 1000);
    assert_int_equal(square.width, 1000);
    assert_int_equal(square.height, 1000);
}

static void tiny_pictures_have_a_pixel_to_show(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{1, 1}, {1, 2}, {3, 1}, {2, 2}, {1, 300}, {300, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t sample = 0; sample < 500; sample++) {
            const int32_t height = sizes[i][0], width = sizes[i][1];
            const beit_view_draw_t draw = drawn(NULL, 2, 0, sample, height, width);
            assert_true(draw.width >= 1 && draw.left >= 0 && draw.left + draw.width <= width);
            assert_true(draw.height >= 1 && draw.top >= 0 && draw.top + draw.height <= height);
        }
}

static void defaults_are_the_published_recipe(void **state)
{
    (void)state;
    const beit_views_config_t cfg = defaults();
    assert_int_equal(cfg.struct_size, sizeof cfg);
    assert_int_equal(cfg.pixels_height, 224);
    assert_int_equal(cfg.pixels_width, 224);
    assert_int_equal(cfg.tokens_height, 112);
    assert_int_equal(cfg.tokens_width, 112);
    assert_int_equal(cfg.tokens_scaling, BEIT_TOKENS_SYMMETRIC);
    assert_int_equal(cfg.pixels_filter, BEIT_FILTER_BICUBIC);
    assert_int_equal(cfg.tokens_filter, BEIT_FILTER_LANCZOS);
    const float numbers[] = {cfg.min_scale, cfg.max_scale,  cfg.min_ratio, cfg.max_ratio,
                             cfg.flip,      cfg.brightness, cfg.contrast,  cfg.saturation,
                             cfg.mean[1],   cfg.std[2]};
    static const float wanted[] = {0.08f, 1, 0.75f, 4.0f / 3, 0.5f, 0.4f, 0.4f, 0.4f, 0.5f, 0.5f};
    assert_memory_equal(numbers, wanted, sizeof wanted);
}

#define FIELD(name) offsetof(beit_views_config_t, name)
static const struct {
    size_t field;
    int32_t integer;
    float number; /* used when not 0, or when the field is one of the last */
    const char *message;
} wrong_settings[] = {
    {FIELD(pixels_height), 0, 0, "pixels_height is 0, allowed are 1 to 1048576"},
    {FIELD(pixels_width), -3, 0, "pixels_width is -3"},
    {FIELD(tokens_height), 1048577, 0, "tokens_height is 1048577"},
    {FIELD(tokens_width), 0, 0, "tokens_width is 0"},
    {FIELD(tokens_scaling), 4, 0, "tokens_scaling is 4, allowed are 1 to 3"},
    {FIELD(pixels_filter), 0, 0, "pixels_filter is 0, allowed are 1 to 3"},
    {FIELD(tokens_filter), 4, 0, "tokens_filter is 4"},
    {FIELD(reserved), 1, 0, "reserved is 1, allowed are 0 to 0"},
    {FIELD(min_scale), 0, 0, "min_scale is 0, allowed are 1e-06 to 1"},
    {FIELD(min_scale), 0, NAN, "min_scale is nan"},
    {FIELD(max_scale), 0, 1.5f, "max_scale is 1.5"},
    {FIELD(max_scale), 0, 0.01f, "min_scale is 0.08, more than max_scale, which is 0.01"},
    {FIELD(min_ratio), 0, 2, "min_ratio is 2, more than max_ratio, which is 1.33333"},
    {FIELD(max_ratio), 0, INFINITY, "max_ratio is inf"},
    {FIELD(flip), 0, 1.1f, "flip is 1.1, allowed are 0 to 1"},
    {FIELD(brightness), 0, -0.1f, "brightness is -0.1, allowed are 0 to 100"},
    {FIELD(contrast), 0, NAN, "contrast is nan"},
    {FIELD(saturation), 0, 101, "saturation is 101"},
    {FIELD(mean[1]), 0, NAN, "mean[1] is nan"},
    {FIELD(std[2]), 0, 0, "std[2] is 0, allowed are 1e-06 to 1e+06"},
    {FIELD(reserved2[1]), 0, 1, "reserved2[1] is 1"},
};

static void wrong_settings_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_settings / sizeof *wrong_settings; i++) {
        beit_views_config_t cfg = defaults();
        char *field = (char *)&cfg + wrong_settings[i].field;
        if (wrong_settings[i].field < FIELD(min_scale))
            memcpy(field, &wrong_settings[i].integer, sizeof(int32_t));
        else
            memcpy(field, &wrong_settings[i].number, sizeof(float));
        beit_view_draw_t draw = {.struct_size = sizeof draw};
        check_status(beit_views_draw(&cfg, 0, 0, 0, 10, 10, &draw), BEIT_E_ARGUMENT);
        check_error_has("views config: ");
        check_error_has(wrong_settings[i].message);
    }
}

static void check_draw_refused(const beit_view_draw_t *draw, beit_status_t status,
                               const char *message)
{
    uint8_t bytes[10 * 12 * 3] = {0};
    const beit_tensor_t rgb = bytes_view(bytes, 10, 12);
    check_status(beit_views_apply(NULL, NULL, draw, &rgb, NULL, NULL), status);
    check_error_has(message);
}

static void wrong_draws_are_named(void **state)
{
    (void)state;
    static const int32_t boxes[][4] = {{-1, 0, 2, 2},       {0, -1, 2, 2}, {0, 0, 0, 2},
                                       {0, 0, 2, 0},        {11, 0, 2, 2}, {0, 9, 2, 2},
                                       {INT32_MAX, 0, 1, 1}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        beit_view_draw_t draw = plain(10, 12);
        draw.left = boxes[i][0];
        draw.top = boxes[i][1];
        draw.width = boxes[i][2];
        draw.height = boxes[i][3];
        check_draw_refused(&draw, BEIT_E_ARGUMENT, "is not within the picture of 10 x 12");
    }
    beit_view_draw_t draw = plain(10, 12);
    draw.flip = 2;
    check_draw_refused(&draw, BEIT_E_ARGUMENT, "flip is 2");
    draw = plain(10, 12);
    draw.jitter_order[2] = 1;
    check_draw_refused(&draw, BEIT_E_ARGUMENT, "jitter_order is 0, 1, 1");
    draw.jitter_order[2] = 35;
    check_draw_refused(&draw, BEIT_E_ARGUMENT, "jitter_order is 0, 1, 35");
    draw = plain(10, 12);
    draw.saturation = -1;
    check_draw_refused(&draw, BEIT_E_ARGUMENT, "saturation is -1, allowed are 0 to 101");
    draw.saturation = NAN;
    check_draw_refused(&draw, BEIT_E_ARGUMENT, "saturation is nan");
    draw = plain(10, 12);
    draw.struct_size = 8;
    check_draw_refused(&draw, BEIT_E_ABI, "beit_view_draw");
    check_draw_refused(NULL, BEIT_E_ARGUMENT, "beit_view_draw is NULL");
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    beit_view_draw_t draw = {.struct_size = sizeof draw};
    check_status(beit_views_draw(NULL, 0, 0, 0, 0, 5, &draw), BEIT_E_ARGUMENT);
    check_error_has("the picture is 0 x 5");
    check_status(beit_views_draw(NULL, 0, 0, 0, 5, 1048577, &draw), BEIT_E_ARGUMENT);
    check_status(beit_views_draw(NULL, 0, 0, 0, 5, 5, NULL), BEIT_E_ARGUMENT);
    draw.struct_size = 16;
    check_status(beit_views_draw(NULL, 0, 0, 0, 5, 5, &draw), BEIT_E_ABI);
    beit_views_config_t cfg = defaults();
    cfg.struct_size = 16;
    check_status(beit_views_draw(&cfg, 0, 0, 0, 5, 5, &draw), BEIT_E_ABI);

    const beit_tensor_t rgb = picture(0, 10, 12), small = planes(4, 4), pixels = planes(224, 224);
    check_status(beit_views_make(NULL, NULL, 0, 0, 0, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_error_has("rgb is NULL");
    check_status(beit_views_make(NULL, NULL, 0, 0, 0, &pixels, NULL, NULL), BEIT_E_SHAPE);
    check_error_has("rgb: dtype");
    check_status(beit_views_make(NULL, NULL, 0, 0, 0, &rgb, &small, NULL), BEIT_E_SHAPE);
    check_error_has("pixels: dim 2 is 4, expected 224");
    check_status(beit_views_make(NULL, NULL, 0, 0, 0, &rgb, &pixels, &pixels), BEIT_E_SHAPE);
    check_error_has("token_pixels: dim 2 is 224, expected 112");
    free(rgb.data);
    free(small.data);
    free(pixels.data);
}

static void no_memory(void **state)
{
    (void)state;
    failing_alloc_t memory = {0};
    beit_context_t *ctx;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    const size_t before = memory.blocks;
    const beit_tensor_t rgb = picture(0, 10, 12), pixels = planes(224, 224);
    memory.fail_at = memory.requests + 1;
    check_status(beit_views_make(ctx, NULL, 0, 0, 0, &rgb, &pixels, NULL), BEIT_E_NOMEM);
    check_ok(beit_views_make(ctx, NULL, 0, 0, 0, &rgb, &pixels, NULL));
    assert_int_equal(memory.blocks, before);
    assert_int_equal(memory.mismatches, 0);
    beit_context_unref(ctx);
    free(rgb.data);
    free(pixels.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),
        cmocka_unit_test(grey_is_exact_for_every_colour),
        cmocka_unit_test(scaling),
        cmocka_unit_test(flip_comes_before_the_crop),
        cmocka_unit_test(make_is_draw_and_apply),
        cmocka_unit_test(draws_have_the_published_distribution),
        cmocka_unit_test(draws_follow_their_streams),
        cmocka_unit_test(wide_factors_stop_at_zero),
        cmocka_unit_test(switching_one_off_leaves_the_others),
        cmocka_unit_test(fallback_is_central),
        cmocka_unit_test(tiny_pictures_have_a_pixel_to_show),
        cmocka_unit_test(defaults_are_the_published_recipe),
        cmocka_unit_test(wrong_settings_are_named),
        cmocka_unit_test(wrong_draws_are_named),
        cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
