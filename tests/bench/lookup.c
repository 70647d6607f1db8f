/* Nanoseconds of one lookup in a location table, called from C one after the other.
 * usage: lookup REGION KEYS LOOKUPS; REGION is the table, KEYS one octet with the length of every
 * key and then keys that the table holds, in the order of asking. */
#include "sipfast.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint8_t *load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*size);
    if (!data || fread(data, 1, *size, file) != *size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return data;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: lookup REGION KEYS LOOKUPS\n");
        return 2;
    }
    size_t size, key_octets;
    uint8_t *region = load(argv[1], &size);
    uint8_t *keys = load(argv[2], &key_octets);
    uint32_t length = keys[0], count = (uint32_t)((key_octets - 1) / length);
    uint32_t wanted = (uint32_t)atol(argv[3]), found = 0, span[2];
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint32_t i = 0; i < wanted; i++) {
        const uint8_t *key = keys + 1 + (size_t)(i % count) * length;
        found += sf_table_find(region, (uint32_t)size, key, length, span) == SF_OK;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    printf("%.1f\n", ns / wanted);
    return found == wanted ? 0 : 1;
}
