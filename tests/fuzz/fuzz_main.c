/* A seeded mutator for compilers without libFuzzer: fuzz_main SECONDS SEED [CORPUS-FILE...].
 *
 * Each input is a corpus file, or noise, with a few octets changed, moved or cut. The same seed gives
 * the same inputs, so a failure is repeated by its seed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LARGEST 4096U
#define FILES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static uint32_t below(uint64_t *state, uint32_t bound)
{
    return bound ? (uint32_t)(random_next(state) % bound) : 0;
}

static uint32_t read_file(const char *path, uint8_t *out)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return 0;
    }
    uint32_t length = (uint32_t)fread(out, 1, LARGEST, file);
    fclose(file);
    return length;
}

/* Change `data` in place; returns its new length. */
static uint32_t mutate(uint8_t *data, uint32_t length, uint64_t *state)
{
    static const uint8_t telling[] = "\r\n :\t\\\"<>/.2\0\x7F\x80\xFF";
    for (uint32_t turns = 1 + below(state, 6); turns && length; turns--) {
        uint32_t at = below(state, length);
        uint32_t span = 1 + below(state, length - at < 16 ? length - at : 16);
        switch (below(state, 5)) {
        case 0:
            data[at] = (uint8_t)random_next(state);
            break;
        case 1:
            data[at] = telling[below(state, sizeof telling - 1)];
            break;
        case 2:
            memmove(data + at, data + at + span, length - at - span);
            length -= span;
            break;
        case 3:
            if (length + span <= LARGEST) {
                memmove(data + at + span, data + at, length - at);
                length += span;
            }
            break;
        default:
            data[at] ^= (uint8_t)(1U << below(state, 8));
        }
    }
    return length;
}

static uint32_t noise(uint8_t *data, uint64_t *state)
{
    uint32_t length = 1 + below(state, 600);
    for (uint32_t i = 0; i < length; i++) {
        data[i] = (uint8_t)(random_next(state) & (below(state, 2) ? 0xFFU : 0x8FU));
    }
    return length;
}

int main(int count, char **words)
{
    static uint8_t corpus[FILES][LARGEST];
    static uint8_t data[LARGEST + 1];
    uint32_t lengths[FILES];
    uint32_t files = 0;
    if (count < 3) {
        fprintf(stderr, "usage: fuzz_main SECONDS SEED [CORPUS-FILE...]\n");
        return 2;
    }
    uint64_t state = strtoull(words[2], NULL, 10) * 2654435761U + 88172645463325252U;
    for (int i = 3; i < count && files < FILES; i++) {
        lengths[files] = read_file(words[i], corpus[files]);
        files += lengths[files] > 0;
    }
    time_t end = time(NULL) + (time_t)strtoul(words[1], NULL, 10);
    unsigned long runs = 0;
    while (time(NULL) < end) {
        for (uint32_t i = 0; i < 256; i++, runs++) {
            uint32_t pick = below(&state, files * 2U + 1U);
            uint32_t length;
            if (pick < files) {
                length = lengths[pick];
                memcpy(data + 1, corpus[pick], length);
                data[0] = 0;
            } else {
                length = noise(data + 1, &state);
                data[0] = (uint8_t)random_next(&state);
            }
            length = mutate(data + 1, length, &state);
            LLVMFuzzerTestOneInput(data, length + 1U);
        }
    }
    printf("fuzz_fastpath: %lu inputs, seed %s\n", runs, words[2]);
    return 0;
}
