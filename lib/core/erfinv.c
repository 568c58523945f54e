/* Inverse error function, from Wichura's rational approximations of the normal quantile
 * (algorithm AS 241, PPND16, Applied Statistics 37, 1988), relative error about 1e-16. Written in
 * y = 2p - 1 rather than p, so that nothing is lost near y = 0. */
#include "core/philox.h"

#include <assert.h>
#include <math.h>

#define DEGREE 7

typedef struct rational {
    double numerator[DEGREE + 1], denominator[DEGREE + 1]; /* lowest power first */
} rational_t;

static const rational_t central = {
    {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3},
    {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3}};
static const rational_t middle = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
static const rational_t far = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

static double polynomial(const double coefficients[DEGREE + 1], double x)
{
    double sum = coefficients[DEGREE];
    for (int i = DEGREE - 1; i >= 0; i--)
        sum = sum * x + coefficients[i];
    return sum;
}

static double evaluate(const rational_t *r, double x)
{
    return polynomial(r->numerator, x) / polynomial(r->denominator, x);
}

double beit__erfinv(double y)
{
    assert(y > -1 && y < 1);
    const double q = y / 2; /* p - 1/2 */
    if (fabs(q) <= 0.425)
        return q * evaluate(&central, 0.180625 - q * q) / sqrt(2);
    const double r = sqrt(-log(0.5 - fabs(q)));
    const double quantile = r <= 5 ? evaluate(&middle, r - 1.6) : evaluate(&far, r - 5);
    return copysign(quantile, y) / sqrt(2);
}
