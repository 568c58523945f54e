/**
 * @file checkpoint.h
 * Weights and training state on disk: safetensors, written atomically (temporary file, sync,
 * rename, sync of the directory), with an XXH3-64 checksum in the metadata.
 *
 * Loads also take what others have written, without Python and executing nothing: safetensors, one
 * or in shards; files of torch.save (.pth, .pt, .bin, .pkl), zip or legacy; folders with
 * model.safetensors or pytorch_model.bin. doc/reference/readable-files.md lists formats and names.
 */
#ifndef BEIT_CHECKPOINT_H
#define BEIT_CHECKPOINT_H

#include "base.h"
#include "dvae.h"
#include "model.h"
#include "params.h"
#include "trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The host's storage, in place of the file system. Reading uses size and read_at, writing uses
 *  append and commit. @since 0.1 */
typedef struct beit_io {
    size_t struct_size;
    void *user;
    beit_status_t (*size)(void *user, uint64_t *bytes);
    beit_status_t (*read_at)(void *user, uint64_t offset, void *dst, size_t n);
    beit_status_t (*append)(void *user, const void *src, size_t n);
    beit_status_t (*commit)(void *user); /**< make durable, then visible */
} beit_io_t;

#define BEIT_LOAD_PARTIAL      1u /**< names absent from the file keep their values */
#define BEIT_LOAD_IGNORE_EXTRA 2u /**< names unknown to the set are passed over */

/* In all functions below: path names a file, or, when io is not NULL, is only used in messages.
 * On failure the destination is as before: a load checks and reads everything before it changes
 * anything (for a moment that takes as much memory again), a save leaves the old file. Common
 * statuses: BEIT_E_IO, BEIT_E_FORMAT, BEIT_E_MISMATCH, BEIT_E_NOMEM. */

/** Save a parameter set. @since 0.1 */
BEIT_API beit_status_t beit_params_save(const beit_params_t *params, const char *path,
                                        const beit_io_t *io);

/** Load values into a parameter set; shapes must agree. F32, F16, BF16 and F64 are converted, the
 *  names of other libraries are translated.
 *  @param flags BEIT_LOAD_* @since 0.1 */
BEIT_API beit_status_t beit_params_load(beit_params_t *params, const char *path,
                                        const beit_io_t *io, uint32_t flags);

/** Save weights with the configuration in the metadata. @since 0.1 */
BEIT_API beit_status_t beit_model_save(const beit_model_t *model, const char *path,
                                       const beit_io_t *io);

/** Create a model from a file. Where beit_model_save() did not write it, the configuration is
 *  inferred from names and shapes, and from the config.json beside it where shapes leave something
 *  open: masked-modeling models and classifiers of unilm, timm, Hugging Face and mmpretrain.
 *  @return ::BEIT_E_MISMATCH also names what can neither be inferred nor is in the config.json
 *  @since 0.1 */
BEIT_API beit_status_t beit_model_load(beit_model_t **out, beit_context_t *ctx, const char *path,
                                       const beit_io_t *io);

/** Save weights with the configuration in the metadata. @since 0.1 */
BEIT_API beit_status_t beit_dvae_save(const beit_dvae_t *dvae, const char *path,
                                      const beit_io_t *io);

/** Create a tokenizer from a file. Where beit_dvae_save() did not write it, the configuration is
 *  inferred from names and shapes: both DiscreteVAE layouts; OpenAI's encoder, decoder or both, as
 *  pickled modules (encoder.pkl), state dicts, FLAVA's codebook, or inside mmpretrain's
 *  checkpoints. @since 0.1 */
BEIT_API beit_status_t beit_dvae_load(beit_dvae_t **out, beit_context_t *ctx, const char *path,
                                      const beit_io_t *io);

/** Save everything that a bit-identical continuation needs: weights, moments, step, groups,
 *  configuration. @return also ::BEIT_E_STATE between accumulate and apply @since 0.1 */
BEIT_API beit_status_t beit_trainer_save(const beit_trainer_t *trainer, const char *path,
                                         const beit_io_t *io);

/** Continue from a file that beit_trainer_save() wrote, into a trainer created alike: same
 *  settings, model, masker, and a tokenizer of the same weights. Groups come from the file. A file
 * of another backend, CPU kind or thread setting is accepted with a warning in the log.
 *  @return ::BEIT_E_MISMATCH names the first setting that differs @since 0.1 */
BEIT_API beit_status_t beit_trainer_resume(beit_trainer_t *trainer, const char *path,
                                           const beit_io_t *io);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_CHECKPOINT_H */
