/* Hostile input to the C fast path: one entry for libFuzzer and for the mutator in fuzz_main.c.
 *
 * The first octet chooses: a message for the scanner, operations on a sound table beside a model,
 * a table whose octets were overwritten, rows, or a request for a plain answer. Memory is allocated to the octet, so that the
 * address sanitizer sees any access outside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sipfast.h"

#define KEYS 32U
#define HEADERS 8U
#define ITEMS (SF_HEAD_ITEMS + HEADERS * SF_HEADER_ITEMS)
#define RECORDS 24U
#define HEAP 1600U

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                       \
            abort();                                                                              \
        }                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *exactly(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size) {
        memcpy(copy, data, size);
    }
    return copy;
}

static void fuzz_scan(const uint8_t *data, uint32_t size)
{
    uint16_t *spans = malloc(ITEMS * sizeof *spans);
    uint8_t *buf = exactly(data, size);
    int32_t rc = sf_scan(buf, size, spans, ITEMS);
    CHECK(rc >= SF_NO_SPACE && rc <= (int32_t)HEADERS);
    uint32_t head = spans[11];
    for (int32_t i = 0; i < rc; i++) {
        const uint16_t *item = spans + SF_HEAD_ITEMS + (uint32_t)i * SF_HEADER_ITEMS;
        CHECK(item[2] > 0 && (uint32_t)item[1] + item[2] < item[3] && item[3] + item[4] <= head);
    }
    uint32_t cut = size ? size - 1U - (size * 7U / 11U) : 0;
    uint8_t *part = exactly(data, cut);
    int32_t partial = sf_scan(part, cut, spans, ITEMS);
    CHECK(partial == SF_PARTIAL || partial == rc);
    CHECK(rc < 0 || cut < head || partial == rc);
    free(part);
    free(buf);
    free(spans);
}

/* Operations of three octets: what and which key, length, fill. */
static void fuzz_model(const uint8_t *data, uint32_t size)
{
    uint32_t octets = (uint32_t)sf_table_size(RECORDS, HEAP);
    uint8_t *mem = malloc(octets);
    int32_t lengths[KEYS];
    uint8_t fills[KEYS];
    uint8_t value[255];
    uint8_t out[255];
    uint32_t count = 0;
    memset(lengths, 0xFF, sizeof lengths);
    CHECK(sf_table_init(mem, octets, RECORDS, (const uint8_t *)"0123456789abcdef") == SF_OK);
    for (uint32_t at = 0; at + 3 <= size; at += 3) {
        uint8_t key = data[at] % KEYS;
        int32_t rc;
        if (data[at] & 0x80) {
            rc = sf_table_remove(mem, octets, &key, 1);
            CHECK(rc == (lengths[key] < 0 ? SF_NOT_FOUND : SF_OK));
            count -= lengths[key] >= 0;
            lengths[key] = -1;
        } else {
            memset(value, data[at + 2], sizeof value);
            rc = sf_table_put(mem, octets, &key, 1, value, data[at + 1]);
            CHECK(rc == SF_OK || rc == SF_NO_SPACE);
            if (rc == SF_OK) {
                count += lengths[key] < 0;
                lengths[key] = data[at + 1];
                fills[key] = data[at + 2];
            }
        }
        rc = sf_table_get(mem, octets, &key, 1, out, sizeof out);
        CHECK(rc == (lengths[key] < 0 ? SF_NOT_FOUND : lengths[key]));
        CHECK(rc <= 0 || (out[0] == fills[key] && out[rc - 1] == fills[key]));
    }
    CHECK(sf_table_audit(mem, octets, 0, octets) == 0);
    CHECK(mem[48] == count);
    for (uint8_t key = 0; key < KEYS; key++) {
        CHECK(sf_table_remove(mem, octets, &key, 1) == (lengths[key] < 0 ? SF_NOT_FOUND : SF_OK));
    }
    for (uint32_t at = 72; at < 80; at++) {
        CHECK(mem[at] == 0); /* the digest of nothing */
    }
    free(mem);
}

/* Patches of three octets over a table in use: offset u16, octet; then every call. */
static void fuzz_corrupted(const uint8_t *data, uint32_t size)
{
    uint32_t octets = (uint32_t)sf_table_size(RECORDS, HEAP);
    uint8_t *mem = malloc(octets);
    uint8_t *other = malloc(octets);
    uint8_t out[255] = {0};
    uint32_t spans[4];
    sf_table_init(mem, octets, RECORDS, (const uint8_t *)"0123456789abcdef");
    for (uint8_t key = 0; key < 20; key++) {
        sf_table_put(mem, octets, &key, 1, out, key * 3U);
    }
    for (uint32_t at = 0; at + 3 <= size; at += 3) {
        uint32_t place = ((uint32_t)data[at] << 8 | data[at + 1]) % octets;
        mem[place] = data[at + 2];
    }
    mem[12] &= 0xFE; /* else every read waits for a writer */
    sf_table_audit(mem, octets, 0, octets);
    for (uint8_t key = 0; key < KEYS; key++) {
        if (sf_table_find(mem, octets, &key, 1, spans) == SF_OK) {
            CHECK(spans[0] <= octets && spans[1] <= octets - spans[0]);
        }
        sf_table_get(mem, octets, &key, 1, out, sizeof out);
    }
    int32_t cursor = 0;
    while ((cursor = sf_table_next(mem, octets, (uint32_t)cursor, spans)) > 0) {
        CHECK(spans[2] <= octets && spans[3] <= octets - spans[2]);
    }
    sf_table_init(other, octets, RECORDS, (const uint8_t *)"0123456789abcdef");
    sf_table_copy(mem, octets, other, octets, 0, octets);
    for (uint8_t key = 0; key < KEYS; key++) {
        sf_table_put(mem, octets, &key, 1, out, (key * 37U) & 0xFFU);
    }
    for (uint8_t key = 0; key < KEYS; key++) {
        sf_table_remove(mem, octets, &key, 1);
    }
    free(other);
    free(mem);
}

static void fuzz_rows(const uint8_t *data, uint32_t size)
{
    uint32_t octets = (uint32_t)sf_table_size(RECORDS, HEAP);
    uint8_t *mem = malloc(octets);
    uint8_t *rows = exactly(data, size);
    sf_table_init(mem, octets, RECORDS, (const uint8_t *)"0123456789abcdef");
    for (uint32_t count = 0; count < 8; count++) {
        int32_t rc = sf_table_apply(mem, octets, rows, 0, size, count);
        CHECK(rc == (int32_t)count || rc == SF_BAD_ARGUMENT || rc == SF_NO_SPACE);
        CHECK(sf_table_audit(mem, octets, 0, octets) == 0);
    }
    free(rows);
    free(mem);
}

/* A request of any octets to a redirect domain with one user: an answer, silence or Python. */
static void fuzz_answer(const uint8_t *data, uint32_t size)
{
    static const uint8_t config[] = {
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xC4, 0x13, 64, 0, 2, 0, 0, 0,
        11, 9, 0, 0, 'r', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e',
        0, 10, 0xC4, 0x13, '1', '9', '2', '.', '0', '.', '2', '.', '1', '0'};
    static const uint8_t record[] = {1, 0, 24, 2, 0xBC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                     1, 0, 7, 's', 'i', 'p', ':', 'b', '@', 'h'};
    static const uint8_t peer[6] = {192, 0, 2, 1, 0x13, 0xC4};
    uint32_t octets = (uint32_t)sf_table_size(RECORDS, HEAP);
    uint32_t capacity = 2048;
    uint8_t *mem = malloc(octets);
    uint8_t *work = malloc(SF_ANSWER_WORK);
    uint8_t *out = malloc(capacity);
    uint8_t *buf = exactly(data, size);
    uint32_t result[4];
    sf_table_init(mem, octets, RECORDS, (const uint8_t *)"0123456789abcdef");
    sf_table_put(mem, octets, (const uint8_t *)"abob@r.example", 14, record, sizeof record);
    int32_t rc = sf_answer(config, sizeof config, mem, octets, buf, size, peer, 1, work, out,
                           capacity, result);
    CHECK(rc == SF_NOT_PLAIN || (rc >= 0 && rc <= (int32_t)capacity));
    CHECK((rc == 0) == (rc >= 0 && result[0] == SF_DID_ACK));
    if (rc > 0) {
        CHECK(memcmp(out, "SIP/2.0 ", 8) == 0 && memcmp(out + rc - 4, "\r\n\r\n", 4) == 0);
        CHECK(result[1] && result[3] <= size && result[2] <= size - result[3]);
    }
    free(buf);
    free(out);
    free(work);
    free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 0x10000) {
        return 0;
    }
    uint32_t length = (uint32_t)size - 1U;
    switch (data[0] & 7) {
    case 0:
        fuzz_scan(data + 1, length);
        break;
    case 1:
        fuzz_model(data + 1, length);
        break;
    case 2:
        fuzz_corrupted(data + 1, length);
        break;
    case 3:
        fuzz_rows(data + 1, length);
        break;
    default:
        fuzz_answer(data + 1, length);
    }
    return 0;
}
