/* Double-precision oracles: each forward formula of the specification, written down once more and
 * apart from the library, and a derivative by four points. Arrays are packed row-major. */
#ifndef TESTS_REF64_H
#define TESTS_REF64_H

#include <stddef.h>
#include <stdint.h>

/* d f / d *x, error O(h^4); *x is restored. The scale of *x is taken to be about 1. */
typedef double (*ref64_fn)(const void *user);
double ref64_slope(ref64_fn f, const void *user, double *x);

/* Layers. */
double ref64_gelu(double x);
void ref64_softmax(const double *z, int64_t n, double *p);
void ref64_layernorm(const double *x, const double *weight, const double *bias, int64_t rows,
                     int64_t cols, double eps, double *y);
void ref64_linear(const double *x, /* (M,K) */
                  const double *w, /* (N,K) */
                  const double *b, /* (N) or NULL */
                  int64_t M, int64_t N, int64_t K, double *y);
void ref64_embed(const double *x,                             /* (B,N,D) */
                 const uint8_t *mask,                         /* (B,N) or NULL */
                 const double *cls, const double *mask_token, /* (D) */
                 const double *pos,                           /* (N+1,D) or NULL */
                 int64_t B, int64_t N, int64_t D, double *y); /* (B,N+1,D) */
int64_t ref64_relpos_index(int64_t rows, int64_t cols, int64_t query, int64_t key);
void ref64_attention(const double *qkv,  /* (B,T,3,h,d) */
                     const double *bias, /* (h,T,T) or NULL */
                     const double *keep, /* (B,h,T,T) factors on the probabilities, or NULL */
                     int64_t B, int64_t T, int64_t h, int64_t d, double scale,
                     double *o); /* (B,T,h,d) */

/* Convolution over NHWC maps; weight (O,I,k,k). The large map is (H,W,I), the small one (h,w,O). */
typedef struct ref64_conv {
    int64_t B, H, W, I, O, k, stride, pad;
} ref64_conv_t;
int64_t ref64_conv_side(const ref64_conv_t *c, int64_t large);
void ref64_conv(const ref64_conv_t *c, const double *large, const double *weight,
                const double *bias, double *small);
void ref64_conv_transpose(const ref64_conv_t *c, const double *small, const double *weight,
                          const double *bias, double *large);

/* Losses: sums over rows. */
double ref64_cross_entropy(const double *z, const int32_t *labels, int64_t rows, int64_t V,
                           double smoothing);
double ref64_kl_to_uniform(const double *z, int64_t rows, int64_t V, double epsilon);
double ref64_kl_from_uniform(const double *z, int64_t rows, int64_t V);
double ref64_balance(const double *z, int64_t rows, int64_t V);
double ref64_sharpness(const double *z, int64_t rows, int64_t V);
double ref64_square(double d);
double ref64_smooth_l1(double d);

/* One step of AdamW as the specification states it; t from 1. */
typedef struct ref64_adam {
    double p, m, v;
} ref64_adam_t;
void ref64_adamw(ref64_adam_t *s, double g, double lr, double wd, double beta1, double beta2,
                 double eps, int t);

#endif
