/* Names of the transformer's tensors. A name is a chain of wrapping modules, then either a block
 * with its number and a name within it, or a name of the model's own. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "io/names.h"

/* Modules that wrap the transformer: DistributedDataParallel and DeepSpeed, torch.compile,
 * Lightning, mmpretrain, Hugging Face. */
static const char *const wrappers[] = {"module.",   "_orig_mod.", "model.",
                                       "backbone.", "beit.",      "encoder."};

/* Parts of a checkpoint that are no part of the transformer. */
static const char *const others[] = {"target_generator.", "data_preprocessor."};

/* Blocks of unilm and timm; mmpretrain and newer Hugging Face; older Hugging Face. */
static const char *const blocks[] = {"blocks.", "layers.", "layer."};

/* `*` stands for "weight" or "bias" on both sides. */
typedef struct rule {
    const char *theirs, *ours;
    int row; /* as in beit__translation_t */
} rule_t;

static const rule_t model_rules[] = {
    {"cls_token", "cls_token", 0},
    {"mask_token", "mask_token", 0},
    {"pos_embed", "pos_embed", 0},
    {"patch_embed.proj.*", "patch_embed.proj.*", 0},
    {"rel_pos_bias.relative_position_bias_table", "rel_pos_bias.relative_position_bias_table", 0},
    {"norm.*", "norm.*", 0},
    {"fc_norm.*", "fc_norm.*", 0},
    {"lm_head.*", "lm_head.*", 0},
    {"head.*", "head.*", 0},
    /* Hugging Face */
    {"embeddings.cls_token", "cls_token", 0},
    {"embeddings.mask_token", "mask_token", 0},
    {"embeddings.position_embeddings", "pos_embed", 0},
    {"embeddings.patch_embeddings.projection.*", "patch_embed.proj.*", 0},
    {"relative_position_bias.relative_position_bias_table",
     "rel_pos_bias.relative_position_bias_table", 0},
    {"shared_position_bias.relative_position_bias_table",
     "rel_pos_bias.relative_position_bias_table", 0},
    {"layernorm.*", "norm.*", 0},
    {"pooler.layernorm.*", "fc_norm.*", 0},
    {"classifier.*", "head.*", 0},
    /* mmpretrain */
    {"patch_embed.projection.*", "patch_embed.proj.*", 0},
    {"ln1.*", "norm.*", 0},
    {"ln2.*", "fc_norm.*", 0},
    {"head.cls_head.*", "lm_head.*", 0},
    {"head.fc.*", "head.*", 0},
};

static const rule_t block_rules[] = {
    {"gamma_1", "gamma_1", 0},
    {"gamma_2", "gamma_2", 0},
    {"norm1.*", "norm1.*", 0},
    {"norm2.*", "norm2.*", 0},
    {"attn.q_bias", "attn.q_bias", 0},
    {"attn.v_bias", "attn.v_bias", 0},
    {"attn.relative_position_bias_table", "attn.relative_position_bias_table", 0},
    {"attn.qkv.weight", "attn.qkv.weight", 0},
    {"attn.proj.*", "attn.proj.*", 0},
    {"mlp.fc1.*", "mlp.fc1.*", 0},
    {"mlp.fc2.*", "mlp.fc2.*", 0},
    /* Hugging Face, as files have it */
    {"lambda_1", "gamma_1", 0},
    {"lambda_2", "gamma_2", 0},
    {"layernorm_before.*", "norm1.*", 0},
    {"layernorm_after.*", "norm2.*", 0},
    {"attention.attention.query.weight", "attn.qkv.weight", 1},
    {"attention.attention.key.weight", "attn.qkv.weight", 2},
    {"attention.attention.value.weight", "attn.qkv.weight", 3},
    {"attention.attention.query.bias", "attn.q_bias", 0},
    {"attention.attention.value.bias", "attn.v_bias", 0},
    {"attention.attention.relative_position_bias.relative_position_bias_table",
     "attn.relative_position_bias_table", 0},
    {"attention.output.dense.*", "attn.proj.*", 0},
    {"intermediate.dense.*", "mlp.fc1.*", 0},
    {"output.dense.*", "mlp.fc2.*", 0},
    /* Hugging Face, as newer modules have it */
    {"attention.q_proj.weight", "attn.qkv.weight", 1},
    {"attention.k_proj.weight", "attn.qkv.weight", 2},
    {"attention.v_proj.weight", "attn.qkv.weight", 3},
    {"attention.q_proj.bias", "attn.q_bias", 0},
    {"attention.v_proj.bias", "attn.v_bias", 0},
    {"relative_position_bias.relative_position_bias_table", "attn.relative_position_bias_table", 0},
    {"attention.o_proj.*", "attn.proj.*", 0},
    /* mmpretrain */
    {"ln1.*", "norm1.*", 0},
    {"ln2.*", "norm2.*", 0},
    {"ffn.layers.0.0.*", "mlp.fc1.*", 0},
    {"ffn.layers.1.*", "mlp.fc2.*", 0},
};

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *unwrap(const char *name)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers;)
        if (begins(name, wrappers[i])) {
            name += strlen(wrappers[i]);
            i = 0;
        } else {
            i++;
        }
    return name;
}

/* What follows the number of a block, or NULL. Numbers have no leading zeros. */
static const char *within_block(const char *name, int *block)
{
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char *digits = name + strlen(blocks[i]);
        if (!begins(name, blocks[i]) || !isdigit((unsigned char)*digits))
            continue;
        const char *end = digits;
        for (*block = 0; isdigit((unsigned char)*end) && end - digits < 4; end++)
            *block = 10 * *block + (*end - '0');
        return *end == '.' && (*digits != '0' || end - digits == 1) ? end + 1 : NULL;
    }
    return NULL;
}

/* What `*` stands for, or "" without one; NULL when the rule is not for this name. */
static const char *match(const char *theirs, const char *name)
{
    const char *star = strchr(theirs, '*');
    if (!star)
        return strcmp(theirs, name) == 0 ? "" : NULL;
    const char *rest = name + (star - theirs);
    if (strncmp(theirs, name, (size_t)(star - theirs)) != 0)
        return NULL;
    return strcmp(rest, "weight") == 0 || strcmp(rest, "bias") == 0 ? rest : NULL;
}

static bool apply(const rule_t *rules, size_t count, const char *name, const char *prefix,
                  beit__translation_t *translation)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest = match(rules[i].theirs, name);
        if (!rest)
            continue;
        (void)snprintf(translation->name, sizeof translation->name, "%s%.*s%s", prefix,
                       (int)strcspn(rules[i].ours, "*"), rules[i].ours, rest);
        translation->row = rules[i].row;
        return true;
    }
    return false;
}

void beit__names_model(const char *stored, beit__translation_t *translation)
{
    const char *name = unwrap(stored), *inner;
    char prefix[32] = "";
    int block = 0;
    *translation = (beit__translation_t){.row = 0};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        translation->other = translation->other || begins(name, others[i]);
    inner = within_block(name, &block);
    if (inner)
        (void)snprintf(prefix, sizeof prefix, "blocks.%d.", block);
    translation->known = inner ? apply(block_rules, sizeof block_rules / sizeof *block_rules, inner,
                                       prefix, translation)
                               : apply(model_rules, sizeof model_rules / sizeof *model_rules, name,
                                       prefix, translation);
}
