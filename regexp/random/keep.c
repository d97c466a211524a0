/* Masks of dropout from the Mersenne Twister of torch's generator for the CPU (Matsumoto and
   Nishimura, 1998), whose words are drawn many at a time. */

#include <stdint.h>

enum { WORDS = 624, AHEAD = 397 };

static inline uint32_t twisted(uint32_t high, uint32_t low) {
    uint32_t word = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (word >> 1) ^ ((0u - (low & 1u)) & 0x9908b0dfu);
}

/* The next words; those of each pair change places, as torch makes 64 bits of them. */
static void draw(uint32_t *state, uint32_t *words) {
    for (int i = 0; i < WORDS - AHEAD; i++)
        state[i] = state[i + AHEAD] ^ twisted(state[i], state[i + 1]);
    for (int i = WORDS - AHEAD; i < WORDS - 1; i++)
        state[i] = state[i + AHEAD - WORDS] ^ twisted(state[i], state[i + 1]);
    state[WORDS - 1] = state[AHEAD - 1] ^ twisted(state[WORDS - 1], state[0]);
    for (int i = 0; i < WORDS; i++) {
        uint32_t word = state[i ^ 1];
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c5680u;
        word ^= (word << 15) & 0xefc60000u;
        words[i] = word ^ (word >> 18);
    }
}

/* For each run rows of units: its scale where 16 random bits are at least its level, else 0.

   The bits are those of `random_` on int64, from a generator that is seeded by the run's seed. Runs
   and rows begin so many elements after each other. */
void keep(float *out, const uint32_t *seeds, const int16_t *levels, const float *scales,
          int64_t runs, int64_t rows, int64_t units, int64_t run_stride, int64_t row_stride) {
    uint32_t state[WORDS];
    union {
        uint32_t words[WORDS];
        int16_t bits[2 * WORDS];
    } drawn;
    for (int64_t run = 0; run < runs; run++) {
        int16_t level = levels[run];
        float scale = scales[run], *row = out + run * run_stride;
        int64_t used = 2 * WORDS, unit = 0, left = rows * units;
        if (level > INT16_MIN) { /* else all bits are kept, and none are drawn */
            state[0] = seeds[run];
            for (uint32_t i = 1; i < WORDS; i++)
                state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
        }
        while (left) {
            if (used == 2 * WORDS) {
                if (level > INT16_MIN) draw(state, drawn.words);
                used = 0;
            }
            int64_t count = units - unit;
            if (count > 2 * WORDS - used) count = 2 * WORDS - used;
            for (int64_t i = 0; i < count; i++)
                row[unit + i] = level == INT16_MIN || drawn.bits[used + i] >= level ? scale : 0;
            left -= count;
            used += count;
            unit += count;
            if (unit == units) {
                unit = 0;
                row += row_stride;
            }
        }
    }
}
