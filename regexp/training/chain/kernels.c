/* Parts of a chain's step, with the bits that torch's kernels have on one thread.

   Each sum is made in the order in which torch makes it, and `a * b + c` is rounded once, as there,
   where the processor can do that. Matrices are [rows, units] of float32, row by row. */

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8, TOGETHER = 4 };

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Truths __attribute__((vector_size(4 * LANES)));

/* Keeps a product from being rounded together with the sum that it goes into. */
#define ROUNDED(value) __asm__("" : "+m"(value))

#define INLINE static inline __attribute__((always_inline))

INLINE Lanes load(const float *from, int64_t lanes) {
    Lanes values = {0};
    memcpy(&values, from, lanes * sizeof(float));
    return values;
}

INLINE void store(float *to, Lanes values, int64_t lanes) {
    memcpy(to, &values, lanes * sizeof(float));
}

INLINE Lanes where(Truths truths, Lanes values) {
    return (Lanes)(truths & (Truths)values);
}

/* Units `begin` to `begin + groups * LANES`, of which the last group has `last`. */
INLINE void forward(const float *inputs, float *outputs, const float *mask, int relu,
                    const float *weight, const float *bias, float *running_mean,
                    float *running_var, float *mean, float *inverse, int64_t rows, int64_t units,
                    float momentum, double eps, int64_t groups, int64_t last) {
    Lanes sums[TOGETHER], means[TOGETHER], squares[TOGETHER], slope[TOGETHER], shift[TOGETHER];
#define WIDTH (g + 1 < groups ? LANES : last)
    for (int64_t g = 0; g < groups; g++) sums[g] = squares[g] = (Lanes){0};
    for (int64_t row = 0; row < rows; row++)
        for (int64_t g = 0; g < groups; g++)
            sums[g] = sums[g] + load(inputs + row * units + g * LANES, WIDTH);
    for (int64_t g = 0; g < groups; g++) {
        sums[g] = sums[g] + 0; /* no sum is -0 */
        for (int64_t i = 0; i < LANES; i++) means[g][i] = (float)((double)sums[g][i] / rows);
    }
    for (int64_t row = 0; row < rows; row++)
        for (int64_t g = 0; g < groups; g++) {
            Lanes apart = load(inputs + row * units + g * LANES, WIDTH) - means[g];
            squares[g] = squares[g] + apart * apart;
        }
    for (int64_t g = 0; g < groups; g++) {
        Lanes weights = load(weight + g * LANES, WIDTH);
        for (int64_t i = 0; i < LANES; i++)
            slope[g][i] = (float)(1 / sqrt((double)(squares[g][i] / (float)rows) + eps));
        store(mean + g * LANES, means[g], WIDTH);
        store(inverse + g * LANES, slope[g], WIDTH);
        slope[g] = slope[g] * weights;
        shift[g] = load(bias + g * LANES, WIDTH) - means[g] * slope[g];
        for (int64_t i = 0; i < WIDTH; i++) {
            float *average = running_mean + g * LANES + i, *variance = running_var + g * LANES + i;
            float new = momentum * means[g][i], old = (1 - momentum) * *average;
            double estimate = (double)momentum * (squares[g][i] / (float)(rows - 1));
            ROUNDED(new);
            ROUNDED(old);
            *average = new + old;
            old = (1 - momentum) * *variance;
            ROUNDED(estimate);
            ROUNDED(old);
            *variance = (float)(estimate + old);
        }
    }
    for (int64_t row = 0; row < rows; row++)
        for (int64_t g = 0; g < groups; g++) {
            int64_t at = row * units + g * LANES;
            Lanes values = load(inputs + at, WIDTH) * slope[g] + shift[g];
            if (relu) values = where(~(values < 0), values);
            if (mask) values = values * load(mask + at, WIDTH);
            store(outputs + at, values, WIDTH);
        }
}

/* Batch normalization of training, then ReLU and a mask that is multiplied, where asked for.

   outputs = mask * relu((inputs - mean) * inverse * weight + bias), with the mean of each unit and
   the inverse of its deviation, which are kept, and running averages of mean and variance. */
void batch_norm(const float *inputs, float *outputs, const float *mask, int relu,
                const float *weight, const float *bias, float *running_mean, float *running_var,
                float *mean, float *inverse, int64_t rows, int64_t units, double momentum,
                double eps) {
#define ALL(groups, last)                                                                         \
    forward(inputs + u, outputs + u, mask ? mask + u : 0, relu, weight + u, bias + u,              \
            running_mean + u, running_var + u, mean + u, inverse + u, rows, units,                 \
            (float)momentum, eps, groups, last)
    int64_t u = 0;
    for (; u + TOGETHER * LANES <= units; u += TOGETHER * LANES) ALL(TOGETHER, LANES);
    for (; u + LANES <= units; u += LANES) ALL(1, LANES);
    if (u < units) ALL(1, units - u);
#undef ALL
}

INLINE void backward(const float *gradient, float *input_gradient, const float *inputs,
                     const float *outputs, const float *mask, const float *weight,
                     const float *mean, const float *inverse, float *weight_gradient,
                     float *bias_gradient, int64_t rows, int64_t units, int64_t groups,
                     int64_t last) {
    Lanes sums[TOGETHER], products[TOGETHER], means[TOGETHER], slope[TOGETHER], scale[TOGETHER];
    Lanes by_inverse[TOGETHER], weights[TOGETHER];
    Lanes number = (Lanes){0} + (float)rows;
    for (int64_t g = 0; g < groups; g++) {
        sums[g] = products[g] = (Lanes){0};
        means[g] = load(mean + g * LANES, WIDTH);
    }
    for (int64_t row = 0; row < rows; row++)
        for (int64_t g = 0; g < groups; g++) {
            int64_t at = row * units + g * LANES;
            Lanes values = load(gradient + at, WIDTH);
            if (mask) values = values * load(mask + at, WIDTH);
            if (outputs) values = where(~(load(outputs + at, WIDTH) <= 0), values);
            store(input_gradient + at, values, WIDTH);
            sums[g] = sums[g] + values;
            products[g] = products[g] + (load(inputs + at, WIDTH) - means[g]) * values;
        }
    for (int64_t g = 0; g < groups; g++) {
        sums[g] = sums[g] + 0;
        products[g] = products[g] + 0;
        by_inverse[g] = load(inverse + g * LANES, WIDTH);
        weights[g] = load(weight + g * LANES, WIDTH);
        store(weight_gradient + g * LANES, products[g] * by_inverse[g], WIDTH);
        store(bias_gradient + g * LANES, sums[g], WIDTH);
        slope[g] = products[g] * by_inverse[g] * by_inverse[g] / number;
        scale[g] = sums[g] / number;
    }
    for (int64_t row = 0; row < rows; row++)
        for (int64_t g = 0; g < groups; g++) {
            int64_t at = row * units + g * LANES;
            Lanes part = (load(inputs + at, WIDTH) - means[g]) * slope[g];
            if (WIDTH < LANES) ROUNDED(part); /* torch's last units take another way */
            Lanes values = load(input_gradient + at, WIDTH);
            values = (values - scale[g] - part) * by_inverse[g] * weights[g];
            store(input_gradient + at, values, WIDTH);
        }
}

/* The backward pass of `batch_norm`. `outputs` are given where there was a ReLU; `mask` where its
   zeros are not among those of the outputs, or where it scales. */
void batch_norm_backward(const float *gradient, float *input_gradient, const float *inputs,
                         const float *outputs, const float *mask, const float *weight,
                         const float *mean, const float *inverse, float *weight_gradient,
                         float *bias_gradient, int64_t rows, int64_t units) {
#define ALL(groups, last)                                                                         \
    backward(gradient + u, input_gradient + u, inputs + u, outputs ? outputs + u : 0,              \
             mask ? mask + u : 0, weight + u, mean + u, inverse + u, weight_gradient + u,          \
             bias_gradient + u, rows, units, groups, last)
    int64_t u = 0;
    for (; u + TOGETHER * LANES <= units; u += TOGETHER * LANES) ALL(TOGETHER, LANES);
    for (; u + LANES <= units; u += LANES) ALL(1, LANES);
    if (u < units) ALL(1, units - u);
#undef ALL
}

/* Cross entropy after its logarithms and exponentials: [runs, classes, rows].

   logs are those of the probabilities; gradients hold the probabilities and then the gradient of
   each row's loss. Returns whether all targets are classes; else nothing is written. */
int cross_entropy(const float *logs, float *gradients, float *losses, const int64_t *targets,
                  int64_t runs, int64_t classes, int64_t rows) {
    for (int64_t i = 0; i < runs * rows; i++)
        if (targets[i] < 0 || targets[i] >= classes) return 0;
    for (int64_t run = 0; run < runs; run++)
        for (int64_t row = 0; row < rows; row++) {
            int64_t at = (run * classes + targets[run * rows + row]) * rows + row;
            losses[run * rows + row] = -logs[at];
            gradients[at] -= 1;
        }
    return 1;
}
