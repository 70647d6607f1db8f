/* The table stays inside its region, whole or corrupted in any one octet. */
#include "guard.h"
#include "sipfast.h"

#define RECORDS 12U
#define HEAP 800U
#define SEED ((const uint8_t *)"0123456789abcdef")

static const uint8_t *key_of(uint32_t number, uint8_t *key)
{
    key[0] = 'k';
    key[1] = (uint8_t)('a' + number);
    return key;
}

static uint8_t *new_table(uint32_t *size)
{
    uint8_t key[2];
    uint8_t value[40];
    *size = (uint32_t)sf_table_size(RECORDS, HEAP);
    uint8_t *mem = guarded(*size);
    CHECK(sf_table_init(mem, *size, RECORDS, SEED) == SF_OK);
    memset(value, 'v', sizeof value);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK(sf_table_put(mem, *size, key_of(i, key), 2, value, 4U * i) == SF_OK);
    }
    CHECK(sf_table_remove(mem, *size, key_of(3, key), 2) == SF_OK);
    CHECK(sf_table_audit(mem, *size, 0, 1000) == 0);
    return mem;
}

/* Every call; results do not matter, staying inside does. */
static void use(uint8_t *mem, uint32_t size, uint8_t *other)
{
    uint8_t key[2];
    uint8_t out[64];
    uint32_t spans[4];
    static const uint8_t rows[] = {0, 2, 0, 3, 'k', 'b', 'x', 'y', 'z', 0, 2, 0xFF, 0xFF, 'k', 'c'};
    sf_table_attach(mem, size);
    sf_table_audit(mem, size, 0, 1000);
    for (uint32_t i = 0; i < 12; i++) {
        if (sf_table_find(mem, size, key_of(i, key), 2, spans) == SF_OK) {
            CHECK(spans[0] <= size && spans[1] <= size - spans[0]);
        }
        if (!(mem[12] & 1U)) { /* else it waits for the writer in vain */
            CHECK(sf_table_get(mem, size, key, 2, out, sizeof out) <= (int32_t)sizeof out);
        }
    }
    int32_t cursor = 0;
    while ((cursor = sf_table_next(mem, size, (uint32_t)cursor, spans)) > 0) {
        CHECK(spans[0] <= size && spans[1] <= size - spans[0]);
        CHECK(spans[2] <= size && spans[3] <= size - spans[2]);
    }
    sf_table_init(other, size, RECORDS, SEED);
    sf_table_copy(mem, size, other, size, 0, 1000);
    for (uint32_t i = 0; i < 12; i++) {
        sf_table_put(mem, size, key_of(i, key), 2, out, i * 5U);
    }
    sf_table_apply(mem, size, rows, 0, sizeof rows, 2);
    for (uint32_t i = 0; i < 12; i++) {
        sf_table_remove(mem, size, key_of(i, key), 2);
    }
}

static void test_one_octet_corrupted(void)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xFF};
    uint32_t size;
    const uint8_t *good = new_table(&size);
    uint8_t *mem = guarded(size);
    uint8_t *other = guarded(size);
    for (uint32_t at = 0; at < size; at++) {
        for (uint32_t i = 0; i < sizeof changes; i++) {
            memcpy(mem, good, size);
            mem[at] ^= changes[i];
            use(mem, size, other);
        }
        if (at == 540) {
            at = 2047; /* unused until the bucket sums */
        }
    }
}

/* Octets from a fixed xorshift in the place of the index and the heap. */
static void test_garbage(void)
{
    uint32_t size;
    const uint8_t *good = new_table(&size);
    uint8_t *mem = guarded(size);
    uint8_t *other = guarded(size);
    uint32_t random = 2463534242U;
    for (uint32_t turn = 0; turn < 500; turn++) {
        memcpy(mem, good, size);
        for (uint32_t at = turn & 1U ? 4096U : 64U; at < size; at++) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            if ((random >> 8 & 7U) <= (turn >> 1 & 7U)) {
                mem[at] = (uint8_t)random;
            }
        }
        use(mem, size, other);
    }
}

static void test_wrong_arguments(void)
{
    uint32_t size;
    uint32_t spans[4];
    uint8_t out[8];
    uint8_t *mem = new_table(&size);
    const uint8_t *key = (const uint8_t *)"kb";
    CHECK(sf_table_attach(mem, size) == SF_OK);
    CHECK(sf_table_attach(mem, size - 1U) == SF_BAD_ARGUMENT);
    CHECK(sf_table_attach(mem + 1, size) == SF_BAD_ARGUMENT);
    CHECK(sf_table_attach(NULL, size) == SF_BAD_ARGUMENT);
    CHECK(sf_table_put(mem, size, key, 0, key, 1) == SF_BAD_ARGUMENT);
    CHECK(sf_table_put(mem, size, key, SF_MAX_KEY + 1U, key, 1) == SF_BAD_ARGUMENT);
    CHECK(sf_table_put(mem, size, key, 1, key, SF_MAX_VALUE + 1U) == SF_BAD_ARGUMENT);
    CHECK(sf_table_put(mem, size, NULL, 1, key, 1) == SF_BAD_ARGUMENT);
    CHECK(sf_table_put(mem, size, key, 1, NULL, 1) == SF_BAD_ARGUMENT);
    CHECK(sf_table_put(mem, size, key, 2, NULL, 0) == SF_OK);
    CHECK(sf_table_find(mem, size, key, 2, NULL) == SF_BAD_ARGUMENT);
    CHECK(sf_table_find(mem, size, key, 2, spans) == SF_OK && spans[1] == 0);
    CHECK(sf_table_get(mem, size, (const uint8_t *)"kf", 2, out, 8) == SF_NO_SPACE);
    CHECK(sf_table_next(mem, size, 0xFFFFFFFFU, spans) == SF_NOT_FOUND);
    CHECK(sf_table_audit(mem, size, 3, 0xFFFFFFFFU) == 0);
    CHECK(sf_table_audit(mem, size, 0xFFFFFFFFU, 1) == SF_BAD_ARGUMENT);
    CHECK(sf_table_copy(mem, size, mem, size, 0, 1) == SF_BAD_ARGUMENT);
    CHECK(sf_table_apply(mem, size, key, 2, 1, 0) == SF_BAD_ARGUMENT);
    CHECK(sf_table_apply(mem, size, key, 0, 0, 0xFFFFFFFFU) == SF_BAD_ARGUMENT);
    CHECK(sf_table_size(0xFFFFFFFFU, 0) == SF_BAD_ARGUMENT);
    CHECK(sf_table_size(1, 0xFFFFFFFFU) == SF_BAD_ARGUMENT);
    CHECK(sf_siphash(key, key, 1, 0, out) == SF_BAD_ARGUMENT);
}

/* A reader beside a writer that stopped within a write is told so. */
static void test_busy(void)
{
    uint32_t size;
    uint8_t out[64];
    uint8_t *mem = new_table(&size);
    mem[12] |= 1U;
    CHECK(sf_table_get(mem, size, (const uint8_t *)"kb", 2, out, sizeof out) == SF_BUSY);
    CHECK(sf_table_attach(mem, size) == SF_CORRUPT);
}

static void test_rows_at_the_edge(void)
{
    static const uint8_t rows[] = {0, 1, 0, 2, 'a', 'b', 'c', 0, 1, 0xFF, 0xFF, 'a'};
    uint32_t size;
    uint8_t *mem = new_table(&size);
    for (uint32_t n = 0; n <= sizeof rows; n++) {
        uint8_t *cut = guarded(n);
        memcpy(cut, rows, n);
        for (uint32_t count = 0; count < 4; count++) {
            uint32_t good = (n == 0 && count == 0) || (n == 7 && count == 1)
                            || (n == 12 && count == 2);
            int32_t rc = sf_table_apply(mem, size, cut, 0, n, count);
            CHECK(rc == (good ? (int32_t)count : SF_BAD_ARGUMENT));
        }
    }
}

int main(void)
{
    test_one_octet_corrupted();
    test_garbage();
    test_wrong_arguments();
    test_busy();
    test_rows_at_the_edge();
    return 0;
}
