/* The one-dimensional steps of F(4,3) (Lavin and Gray 2015, arXiv 1509.09308), written for any
 * type that VALUE names: a float, or a vector. Applied to the columns and then to the rows of a
 * tile they give
 *   U = G g G^T,  V = B^T d B,  Y = A^T M A,  and the adjoints  A y A^T,  G^T u G,
 *
 *         4  0 -5  0  1  0          1/4    0     0           1  1  1  1  1  0
 *         0 -4 -4  1  1  0         -1/6  -1/6  -1/6    A^T = 0  1 -1  2 -2  0
 *   B^T = 0  4 -4 -1  1  0     G = -1/6   1/6  -1/6          0  1  1  4  4  0
 *         0 -2 -1  2  1  0         1/24  1/12   1/6          0  1 -1  8 -8  1
 *         0  2 -1 -2  1  0         1/24 -1/12   1/6
 *         0  4  0 -5  0  1           0     0     1
 *
 * The includer defines VALUE, STEP_INLINE, ADD(a,b), SUB(a,b), and with a constant factor
 * TIMES(c,a) = c a and PLUS(c,a,b) = c a + b. `in` and `out` steps are between elements. */

STEP_INLINE void step_input(const VALUE *d, size_t in, VALUE *v, size_t out)
{
    const VALUE even = PLUS(-4.0f, d[2 * in], d[4 * in]), odd = PLUS(-4.0f, d[in], d[3 * in]);
    const VALUE outer = SUB(d[4 * in], d[2 * in]), inner = SUB(d[3 * in], d[in]);
    v[0] = PLUS(4.0f, d[0], PLUS(-5.0f, d[2 * in], d[4 * in]));
    v[out] = ADD(even, odd);
    v[2 * out] = SUB(even, odd);
    v[3 * out] = PLUS(2.0f, inner, outer);
    v[4 * out] = PLUS(-2.0f, inner, outer);
    v[5 * out] = PLUS(4.0f, d[in], PLUS(-5.0f, d[3 * in], d[5 * in]));
}

STEP_INLINE void step_output(const VALUE *m, size_t in, VALUE *y, size_t out)
{
    const VALUE sum1 = ADD(m[in], m[2 * in]), difference1 = SUB(m[in], m[2 * in]);
    const VALUE sum2 = ADD(m[3 * in], m[4 * in]), difference2 = SUB(m[3 * in], m[4 * in]);
    y[0] = ADD(m[0], ADD(sum1, sum2));
    y[out] = PLUS(2.0f, difference2, difference1);
    y[2 * out] = PLUS(4.0f, sum2, sum1);
    y[3 * out] = PLUS(8.0f, difference2, ADD(difference1, m[5 * in]));
}

STEP_INLINE void step_spread(const VALUE *y, size_t in, VALUE *v, size_t out)
{
    const VALUE even1 = ADD(y[0], y[2 * in]), odd1 = ADD(y[in], y[3 * in]);
    const VALUE even2 = PLUS(4.0f, y[2 * in], y[0]);
    const VALUE odd2 = PLUS(8.0f, y[3 * in], TIMES(2.0f, y[in]));
    v[0] = y[0];
    v[out] = ADD(even1, odd1);
    v[2 * out] = SUB(even1, odd1);
    v[3 * out] = ADD(even2, odd2);
    v[4 * out] = SUB(even2, odd2);
    v[5 * out] = y[3 * in];
}

STEP_INLINE void step_weights(const VALUE *g, size_t in, VALUE *u, size_t out)
{
    const VALUE even1 = TIMES(-1.0f / 6.0f, ADD(g[0], g[2 * in]));
    const VALUE odd1 = TIMES(-1.0f / 6.0f, g[in]);
    const VALUE even2 = PLUS(1.0f / 6.0f, g[2 * in], TIMES(1.0f / 24.0f, g[0]));
    const VALUE odd2 = TIMES(1.0f / 12.0f, g[in]);
    u[0] = TIMES(0.25f, g[0]);
    u[out] = ADD(even1, odd1);
    u[2 * out] = SUB(even1, odd1);
    u[3 * out] = ADD(even2, odd2);
    u[4 * out] = SUB(even2, odd2);
    u[5 * out] = g[2 * in];
}

STEP_INLINE void step_gather(const VALUE *u, size_t in, VALUE *g, size_t out)
{
    const VALUE sum1 = ADD(u[in], u[2 * in]), difference1 = SUB(u[2 * in], u[in]);
    const VALUE sum2 = ADD(u[3 * in], u[4 * in]), difference2 = SUB(u[3 * in], u[4 * in]);
    g[0] = PLUS(0.25f, u[0], PLUS(1.0f / 24.0f, sum2, TIMES(-1.0f / 6.0f, sum1)));
    g[out] = PLUS(1.0f / 12.0f, difference2, TIMES(1.0f / 6.0f, difference1));
    g[2 * out] = PLUS(1.0f / 6.0f, SUB(sum2, sum1), u[5 * in]);
}
