/* What a host asks of a tokenizer: tokenize, encode, decode, reconstruct. Arguments are checked
 * here; then a call is cut into sub-batches, so that working memory depends on the picture's size
 * and not on how many there are. */
#include "core/status.h"
#include "core/tensor.h"
#include "dvae/config.h"
#include "dvae/handle.h"

/* Bounds of a sub-batch: pictures, and floats of its largest map. */
enum { AT_ONCE = 8, LARGEST_MAP = 1 << 24 };

/* One call, or one sub-batch of it. Host arrays; those that a call has no use for are NULL. */
typedef struct job {
    const beit_dvae_t *dvae;
    beit__map_size_t size; /* of the pictures */
    const float *pixels;   /* (B,C,H,W) */
    const uint8_t *mask;   /* (B,h*w) */
    const int32_t *ids;    /* (B,h*w) tokens to decode */
    int32_t *tokens;       /* (B,h*w) tokens to write */
    float *out;            /* (B,*) logits or pixels */
    int64_t out_stride;    /* floats per picture */
} job_t;

static int64_t positions_of(const job_t *job)
{
    const beit__map_size_t grid = beit__dvae_grid(job->dvae, job->size);
    return grid.height * grid.width;
}

/* ---- passes ---- */

static beit_status_t tokenize_pass(beit__pass_t *pass, void *arg)
{
    const job_t *job = arg;
    return beit__encoder_tokens(pass, job->dvae, job->size, job->pixels, job->mask, job->tokens);
}

static beit_status_t encode_pass(beit__pass_t *pass, void *arg)
{
    const job_t *job = arg;
    return beit__encoder_logits(pass, job->dvae, job->size, job->pixels, job->out);
}

static beit_status_t decode_pass(beit__pass_t *pass, void *arg)
{
    const job_t *job = arg;
    return beit__decoder_pixels(pass, job->dvae, beit__dvae_grid(job->dvae, job->size), job->ids,
                                job->out);
}

static beit_status_t reconstruct_pass(beit__pass_t *pass, void *arg)
{
    const job_t *job = arg;
    int32_t *tokens = beit__pass_indices(pass, job->size.batch * positions_of(job));
    BEIT__TRY(beit__encoder_tokens(pass, job->dvae, job->size, job->pixels, NULL, tokens));
    return beit__decoder_pixels(pass, job->dvae, beit__dvae_grid(job->dvae, job->size), tokens,
                                job->out);
}

/* ---- sub-batches ---- */

static int64_t largest_map(const beit_dvae_t *dvae, beit__map_size_t pixels)
{
    const beit__map_size_t picture = {1, pixels.height, pixels.width};
    int64_t largest = 1;
    if (dvae->encoder.count > 0)
        largest = beit__network_largest(&dvae->encoder, picture);
    if (dvae->decoder.count > 0) {
        const int64_t floats =
            beit__network_largest(&dvae->decoder, beit__dvae_grid(dvae, picture));
        largest = floats > largest ? floats : largest;
    }
    return largest;
}

/* Pictures of this size that a pass takes at once: a power of two. */
static int64_t at_once(const beit_dvae_t *dvae, beit__map_size_t pixels)
{
    const int64_t largest = largest_map(dvae, pixels);
    int64_t n = AT_ONCE;
    while (n > 1 && n * largest > LARGEST_MAP)
        n /= 2;
    return n < pixels.batch ? n : pixels.batch;
}

static void advance(job_t *job, int64_t pictures)
{
    const int64_t positions = positions_of(job) * pictures;
    if (job->pixels)
        job->pixels += pictures * job->dvae->cfg.channels * job->size.height * job->size.width;
    if (job->mask)
        job->mask += positions;
    if (job->ids)
        job->ids += positions;
    if (job->tokens)
        job->tokens += positions;
    if (job->out)
        job->out += pictures * job->out_stride;
}

static beit_status_t perform(beit_dvae_t *dvae, beit__pass_fn fn, job_t job)
{
    int64_t left = job.size.batch;
    const int64_t most = at_once(dvae, job.size);
    while (left > 0) {
        job.size.batch = left < most ? left : most;
        BEIT__TRY(beit__pass_perform(&dvae->memory, fn, &job));
        advance(&job, job.size.batch);
        left -= job.size.batch;
    }
    return BEIT_OK;
}

beit_status_t beit__dvae_reserve_tokenize(beit_dvae_t *dvae, int64_t batch, int64_t height,
                                          int64_t width)
{
    static const uint8_t some_mask; /* not read: a masked call needs most */
    job_t job = {.dvae = dvae, .size = {batch, height, width}, .mask = &some_mask};
    job.size.batch = at_once(dvae, job.size);
    return beit__pass_reserve(&dvae->memory, tokenize_pass, &job);
}

/* ---- checks ---- */

static beit_status_t check_part(const beit_dvae_t *dvae, int32_t without, const char *part)
{
    if (!dvae)
        return beit__fail(BEIT_E_ARGUMENT, "dvae: the dvae is NULL");
    if (dvae->cfg.parts == without)
        return beit__fail(BEIT_E_STATE,
                          "dvae: this tokenizer was created without its %s (parts %d)", part,
                          dvae->cfg.parts);
    return BEIT_OK;
}

static beit_status_t check_encoder(const beit_dvae_t *dvae)
{
    return check_part(dvae, BEIT_DVAE_DECODER_ONLY, "encoder");
}

static beit_status_t check_decoder(const beit_dvae_t *dvae)
{
    return check_part(dvae, BEIT_DVAE_ENCODER_ONLY, "decoder");
}

static beit_status_t check_side(const beit_dvae_t *dvae, const char *name, const char *side,
                                int64_t value)
{
    const int64_t stride = beit__dvae_stride(&dvae->cfg);
    if (value % stride != 0)
        return beit__fail(BEIT_E_SHAPE, "%s: %s is %lld, expected a multiple of %lld", name, side,
                          (long long)value, (long long)stride);
    if (value > BEIT__DVAE_MAX_SIDE)
        return beit__fail(BEIT_E_SHAPE, "%s: %s is %lld, expected at most %d", name, side,
                          (long long)value, BEIT__DVAE_MAX_SIDE);
    return BEIT_OK;
}

/* Pictures (B,C,H,W); their size through `size`. */
static beit_status_t check_pictures(const beit_dvae_t *dvae, const beit_tensor_t *view,
                                    const char *name, beit__map_size_t *size)
{
    const int64_t shape[4] = {BEIT__ANY, dvae->cfg.channels, BEIT__ANY, BEIT__ANY};
    BEIT__TRY(beit__tensor_check(view, name, BEIT_F32, 4, shape));
    BEIT__TRY(check_side(dvae, name, "height", view->shape[2]));
    BEIT__TRY(check_side(dvae, name, "width", view->shape[3]));
    *size = (beit__map_size_t){view->shape[0], view->shape[2], view->shape[3]};
    return BEIT_OK;
}

/* One value per token of pictures of this size: (B,h,w) or (B,h*w). */
static beit_status_t check_grid(const beit_dvae_t *dvae, const beit_tensor_t *view,
                                const char *name, beit_dtype_t dtype, beit__map_size_t pixels)
{
    const beit__map_size_t grid = beit__dvae_grid(dvae, pixels);
    const int64_t flat[2] = {grid.batch, grid.height * grid.width};
    const int64_t full[3] = {grid.batch, grid.height, grid.width};
    if (view && view->ndim == 2)
        return beit__tensor_check(view, name, dtype, 2, flat);
    return beit__tensor_check(view, name, dtype, 3, full);
}

static beit_status_t check_ids(const beit_dvae_t *dvae, const beit_tensor_t *tokens)
{
    const int32_t *ids = tokens->data;
    const int64_t count = beit__tensor_count(tokens);
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= dvae->cfg.vocab_size)
            return beit__fail(BEIT_E_ARGUMENT, "tokens: element %lld is %d, expected 0 to %d",
                              (long long)i, ids[i], dvae->cfg.vocab_size - 1);
    return BEIT_OK;
}

/* ---- calls ---- */

beit_status_t beit_dvae_tokenize(beit_dvae_t *dvae, const beit_tensor_t *pixels,
                                 const beit_tensor_t *mask, const beit_tensor_t *tokens)
{
    beit__map_size_t size;
    BEIT__TRY(check_encoder(dvae));
    BEIT__TRY(check_pictures(dvae, pixels, "pixels", &size));
    if (mask)
        BEIT__TRY(check_grid(dvae, mask, "mask", BEIT_U8, size));
    BEIT__TRY(check_grid(dvae, tokens, "tokens", BEIT_I32, size));
    return perform(dvae, tokenize_pass,
                   (job_t){.dvae = dvae,
                           .size = size,
                           .pixels = pixels->data,
                           .mask = mask ? mask->data : NULL,
                           .tokens = tokens->data});
}

beit_status_t beit_dvae_encode(beit_dvae_t *dvae, const beit_tensor_t *pixels,
                               const beit_tensor_t *logits)
{
    beit__map_size_t size;
    BEIT__TRY(check_encoder(dvae));
    BEIT__TRY(check_pictures(dvae, pixels, "pixels", &size));
    const beit__map_size_t grid = beit__dvae_grid(dvae, size);
    const int64_t vocab = dvae->cfg.vocab_size;
    const int64_t shape[4] = {grid.batch, vocab, grid.height, grid.width};
    BEIT__TRY(beit__tensor_check(logits, "logits", BEIT_F32, 4, shape));
    return perform(dvae, encode_pass,
                   (job_t){.dvae = dvae,
                           .size = size,
                           .pixels = pixels->data,
                           .out = logits->data,
                           .out_stride = vocab * grid.height * grid.width});
}

beit_status_t beit_dvae_decode(beit_dvae_t *dvae, const beit_tensor_t *tokens,
                               const beit_tensor_t *pixels)
{
    beit__map_size_t size;
    BEIT__TRY(check_decoder(dvae));
    BEIT__TRY(check_pictures(dvae, pixels, "pixels", &size));
    BEIT__TRY(check_grid(dvae, tokens, "tokens", BEIT_I32, size));
    BEIT__TRY(check_ids(dvae, tokens));
    return perform(dvae, decode_pass,
                   (job_t){.dvae = dvae,
                           .size = size,
                           .ids = tokens->data,
                           .out = pixels->data,
                           .out_stride = dvae->cfg.channels * size.height * size.width});
}

beit_status_t beit_dvae_reconstruct(beit_dvae_t *dvae, const beit_tensor_t *pixels,
                                    const beit_tensor_t *out)
{
    beit__map_size_t size;
    BEIT__TRY(check_encoder(dvae));
    BEIT__TRY(check_decoder(dvae));
    BEIT__TRY(check_pictures(dvae, pixels, "pixels", &size));
    BEIT__TRY(beit__tensor_check(out, "out", BEIT_F32, 4, pixels->shape));
    return perform(dvae, reconstruct_pass,
                   (job_t){.dvae = dvae,
                           .size = size,
                           .pixels = pixels->data,
                           .out = out->data,
                           .out_stride = dvae->cfg.channels * size.height * size.width});
}
