/* What only reads: hashes, look-up, walk and audit. sipfast.h is the manual. */
#include "sipfast_region.h"

#define READ_TRIES 1000U

int32_t sf_siphash(const uint8_t *key, const uint8_t *buf, uint32_t start, uint32_t end,
                   uint8_t *out)
{
    if (!key || !buf || !out || start > end) {
        return SF_BAD_ARGUMENT;
    }
    set64(out, sip_of(key, buf + start, end - start));
    return SF_OK;
}

int32_t sf_bucket(const uint8_t *key, uint32_t key_length)
{
    return key ? (int32_t)(sip_of(digest_key, key, key_length) & 0xFFU) : SF_BAD_ARGUMENT;
}

int32_t sf_table_attach(const void *mem, uint32_t size)
{
    region r;
    int32_t rc = open_region(&r, mem, size);
    if (rc != SF_OK) {
        return rc;
    }
    return (read_sequence(r.mem) & 1U) || get16(r.mem + AT_DIRTY) ? SF_CORRUPT : SF_OK;
}

int32_t sf_table_find(const void *mem, uint32_t size, const uint8_t *key, uint32_t key_length,
                      uint32_t *span)
{
    region r;
    uint8_t *record;
    if (!key || !span || key_length == 0 || key_length > SF_MAX_KEY
        || open_region(&r, mem, size) != SF_OK) {
        return SF_BAD_ARGUMENT;
    }
    search(&r, key, key_length, hash_of(&r, key, key_length), &record);
    if (!record) {
        return SF_NOT_FOUND;
    }
    span[0] = (uint32_t)(record - r.mem) + RECORD_HEAD + key_length;
    span[1] = value_length_of(record);
    return SF_OK;
}

/* One try of a read beside a writer, who may change lengths after they were checked: each is
 * checked against the region again where it is used. */
static int32_t copy_value(const region *r, const uint8_t *key, uint32_t key_length, uint8_t *out,
                          uint32_t capacity)
{
    uint8_t *record;
    search(r, key, key_length, hash_of(r, key, key_length), &record);
    if (!record) {
        return SF_NOT_FOUND;
    }
    uint32_t length = value_length_of(record);
    if (length > octets_behind(r, record) - key_length) {
        return SF_NOT_FOUND;
    }
    if (length > capacity) {
        return SF_NO_SPACE;
    }
    memcpy(out, record + RECORD_HEAD + key_length, length);
    return (int32_t)length;
}

int32_t sf_table_get(const void *mem, uint32_t size, const uint8_t *key, uint32_t key_length,
                     uint8_t *out, uint32_t capacity)
{
    region r;
    if (!key || !out || key_length == 0 || key_length > SF_MAX_KEY
        || open_region(&r, mem, size) != SF_OK) {
        return SF_BAD_ARGUMENT;
    }
    for (uint32_t i = 0; i < READ_TRIES; i++) {
        uint32_t sequence = read_sequence(r.mem);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (sequence & 1U) {
            continue;
        }
        int32_t result = copy_value(&r, key, key_length, out, capacity);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (read_sequence(r.mem) == sequence) {
            return result;
        }
    }
    return SF_BUSY;
}

int32_t sf_table_next(const void *mem, uint32_t size, uint32_t cursor, uint32_t *spans)
{
    region r;
    if (!spans || open_region(&r, mem, size) != SF_OK) {
        return SF_BAD_ARGUMENT;
    }
    for (uint32_t slot = cursor; slot <= r.mask; slot++) {
        uint32_t entry = get32(index_at(&r, slot));
        if (entry == 0) {
            continue;
        }
        const uint8_t *record = record_of(&r, entry);
        if (!record) {
            return SF_CORRUPT;
        }
        spans[0] = (uint32_t)(record - r.mem) + RECORD_HEAD;
        spans[1] = key_length_of(record);
        spans[2] = spans[0] + spans[1];
        spans[3] = value_length_of(record);
        return (int32_t)(slot + 1U);
    }
    return SF_NOT_FOUND;
}

/* True if the record of an index entry is whole and is the one the entry means. */
static uint32_t sound(const region *r, uint32_t entry)
{
    const uint8_t *record = record_of(r, entry);
    if (!record) {
        return 0;
    }
    uint32_t key_length = key_length_of(record);
    uint32_t length = RECORD_HEAD + key_length + value_length_of(record);
    if (crc32_of(record + 4, length - 4U) != get32(record)) {
        return 0;
    }
    uint64_t hash = hash_of(r, record + RECORD_HEAD, key_length);
    return (uint32_t)hash == get32(record + 4) && (uint32_t)(hash >> 59) == entry >> 27;
}

int32_t sf_table_audit(const void *mem, uint32_t size, uint32_t cursor, uint32_t count)
{
    region r;
    if (open_region(&r, mem, size) != SF_OK || cursor > r.mask) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t stop = count > r.mask - cursor ? r.mask + 1U : cursor + count;
    for (uint32_t slot = cursor; slot < stop; slot++) {
        uint32_t entry = get32(index_at(&r, slot));
        if (entry && !sound(&r, entry)) {
            return SF_CORRUPT;
        }
    }
    return stop > r.mask ? 0 : (int32_t)stop;
}
