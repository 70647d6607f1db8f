/* Location table and SipHash: sipfast.h is the manual, pure_table.py and pure_siphash.py the twins. */
#include <string.h>

#include "sipfast.h"

#define MAX_SIZE 0x7FFFFFF0U
#define HEADER_BYTES 4096U
#define AT_VERSION 4U
#define AT_DIRTY 6U
#define AT_SIZE 8U
#define AT_SEQUENCE 12U
#define AT_SEED 32U
#define AT_COUNT 48U
#define AT_SLOTS 52U
#define AT_HEAP 56U
#define AT_GRANULES 60U
#define AT_TOP 64U
#define AT_FREE 68U
#define AT_DIGEST 72U
#define AT_FREE_LISTS 256U
#define AT_BUCKETS 2048U
#define LAYOUT_VERSION 1U
#define MAGIC 0x31544653U /* "SFT1" */

#define MIN_SLOTS 16U
#define MAX_SLOTS (1U << 27)
#define REFERENCE_MASK ((1U << 27) - 1U)
#define EXACT_CLASSES 64U
#define CLASSES 71U
#define RECORD_HEAD 12U
#define ROW_HEAD 4U
#define READ_TRIES 1000U

static const uint8_t digest_key[16] = {'S', 'I', 'P', ' ', 'l', 'o', 'c', 'a',
                                       't', 'i', 'o', 'n', ' ', 'd', 'b', '1'};

/* CRC-32 (IEEE 802.3, reflected) of four bits at a time */
static const uint32_t crc_nibble[16] = {
    0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U,
    0x4DB26158U, 0x5005713CU, 0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU,
    0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
};

/* The checked geometry of a region, for the time of one call. */
typedef struct {
    uint8_t *mem;
    uint32_t mask;     /* slots - 1 */
    uint32_t heap;     /* offset of granule 0 */
    uint32_t granules; /* of the heap */
} region;

typedef struct {
    uint64_t v0, v1, v2, v3;
    uint64_t word; /* octets not yet mixed in */
    uint32_t length;
} siphash;

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static uint32_t get16_big(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | (uint32_t)p[1];
}

static void set16(uint8_t *p, uint32_t number)
{
    p[0] = (uint8_t)number;
    p[1] = (uint8_t)(number >> 8);
}

static void set32(uint8_t *p, uint32_t number)
{
    set16(p, number);
    set16(p + 2, number >> 16);
}

static void set64(uint8_t *p, uint64_t number)
{
    set32(p, (uint32_t)number);
    set32(p + 4, (uint32_t)(number >> 32));
}

/* memcmp is not to be had in a native MicroPython module. */
static uint32_t equal(const uint8_t *a, const uint8_t *b, uint32_t length)
{
    uint32_t at = 0;
    while (at < length && a[at] == b[at]) {
        at++;
    }
    return at == length;
}

static uint32_t crc32_of(const uint8_t *p, uint32_t length)
{
    uint32_t crc = 0xFFFFFFFFU;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ crc_nibble[crc & 15U];
        crc = crc >> 4 ^ crc_nibble[crc & 15U];
    }
    return ~crc;
}

static uint64_t rotate(uint64_t number, uint32_t bits)
{
    return number << bits | number >> (64U - bits);
}

static void sip_rounds(siphash *s, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void sip_begin(siphash *s, const uint8_t *key)
{
    uint64_t k0 = get64(key);
    uint64_t k1 = get64(key + 8);
    s->v0 = k0 ^ 0x736F6D6570736575U;
    s->v1 = k1 ^ 0x646F72616E646F6DU;
    s->v2 = k0 ^ 0x6C7967656E657261U;
    s->v3 = k1 ^ 0x7465646279746573U;
    s->word = 0;
    s->length = 0;
}

static void sip_word(siphash *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static void sip_add(siphash *s, const uint8_t *p, uint32_t length)
{
    uint32_t at = 0;
    while (at < length) {
        if ((s->length & 7U) == 0 && length - at >= 8) {
            sip_word(s, get64(p + at));
            at += 8;
            s->length += 8;
            continue;
        }
        s->word |= (uint64_t)p[at++] << (8U * (s->length++ & 7U));
        if ((s->length & 7U) == 0) {
            sip_word(s, s->word);
            s->word = 0;
        }
    }
}

static uint64_t sip_end(siphash *s)
{
    sip_word(s, s->word | (uint64_t)(s->length & 0xFFU) << 56);
    s->v2 ^= 0xFFU;
    sip_rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static uint64_t sip_of(const uint8_t *key, const uint8_t *p, uint32_t length)
{
    siphash s;
    sip_begin(&s, key);
    sip_add(&s, p, length);
    return sip_end(&s);
}

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

/* The sequence is one aligned word, so that a reader in another process sees it whole. */
static uint32_t read_sequence(const uint8_t *mem)
{
    uint32_t word = *(const volatile uint32_t *)(const void *)(mem + AT_SEQUENCE);
    uint8_t octets[4];
    memcpy(octets, &word, 4);
    return get32(octets);
}

static void bump_sequence(uint8_t *mem)
{
    uint8_t octets[4];
    uint32_t word;
    set32(octets, read_sequence(mem) + 1);
    memcpy(&word, octets, 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *(volatile uint32_t *)(void *)(mem + AT_SEQUENCE) = word;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Check the fixed fields against the caller's size and fill `r`. */
static int32_t open_region(region *r, const void *mem, uint32_t size)
{
    uint8_t *p = (uint8_t *)(uintptr_t)mem;
    if (!p || ((uintptr_t)p & 3U) || size < HEADER_BYTES || size > MAX_SIZE) {
        return SF_BAD_ARGUMENT;
    }
    if (get32(p) != MAGIC || get16(p + AT_VERSION) != LAYOUT_VERSION
        || get32(p + AT_SIZE) != size) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t slots = get32(p + AT_SLOTS);
    if (slots < MIN_SLOTS || slots > MAX_SLOTS || (slots & (slots - 1U))) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t heap = HEADER_BYTES + 4U * slots;
    if (get32(p + AT_HEAP) != heap || heap > size
        || get32(p + AT_GRANULES) != (size - heap) >> 4) {
        return SF_BAD_ARGUMENT;
    }
    r->mem = p;
    r->mask = slots - 1U;
    r->heap = heap;
    r->granules = (size - heap) >> 4;
    return SF_OK;
}

static uint8_t *index_at(const region *r, uint32_t slot)
{
    return r->mem + HEADER_BYTES + 4U * slot;
}

static uint8_t *granule_at(const region *r, uint32_t granule)
{
    return r->mem + r->heap + (granule << 4);
}

static uint32_t key_length_of(const uint8_t *record)
{
    return get16(record + 8);
}

static uint32_t value_length_of(const uint8_t *record)
{
    return get16(record + 10);
}

/* Octets of the heap behind the head of a record. */
static uint32_t octets_behind(const region *r, const uint8_t *record)
{
    return (uint32_t)(granule_at(r, r->granules) - record) - RECORD_HEAD;
}

/* The record an index entry refers to, NULL if it cannot be one. */
static uint8_t *record_of(const region *r, uint32_t entry)
{
    uint32_t reference = entry & REFERENCE_MASK;
    if (reference == 0 || reference > r->granules) {
        return NULL;
    }
    uint8_t *record = granule_at(r, reference - 1U);
    uint32_t room = (r->granules - reference + 1U) << 4;
    uint32_t length = key_length_of(record);
    if (length == 0 || length > SF_MAX_KEY
        || RECORD_HEAD + length + value_length_of(record) > room) {
        return NULL;
    }
    return record;
}

/* Slot of the key and its record, or the free slot that ends its run and NULL; SF_CORRUPT if the
 * index has no free slot. */
static int32_t search(const region *r, const uint8_t *key, uint32_t length, uint64_t hash,
                      uint8_t **record)
{
    uint32_t fingerprint = (uint32_t)(hash >> 59) << 27;
    uint32_t slot = (uint32_t)hash & r->mask;
    *record = NULL;
    for (uint32_t i = 0; i <= r->mask; i++, slot = (slot + 1U) & r->mask) {
        uint32_t entry = get32(index_at(r, slot));
        if (entry == 0) {
            return (int32_t)slot;
        }
        if ((entry & ~REFERENCE_MASK) != fingerprint) {
            continue;
        }
        uint8_t *found = record_of(r, entry);
        if (found && key_length_of(found) == length && length <= octets_behind(r, found)
            && equal(found + RECORD_HEAD, key, length)) {
            *record = found;
            return (int32_t)slot;
        }
    }
    return SF_CORRUPT;
}

static uint64_t hash_of(const region *r, const uint8_t *key, uint32_t length)
{
    return sip_of(r->mem + AT_SEED, key, length);
}

static uint32_t granules_of_class(uint32_t number)
{
    return number < EXACT_CLASSES ? number + 1U : EXACT_CLASSES << (number - EXACT_CLASSES + 1U);
}

/* The largest class whose blocks are not larger than `granules` (>= 1). */
static uint32_t class_below(uint32_t granules)
{
    uint32_t number = CLASSES - 1U;
    if (granules <= EXACT_CLASSES) {
        return granules - 1U;
    }
    while (granules_of_class(number) > granules) {
        number--;
    }
    return number;
}

/* Granules of the block of a record of `length` octets. */
static uint32_t block_granules(uint32_t length)
{
    uint32_t granules = (length + 15U) >> 4;
    uint32_t block = EXACT_CLASSES;
    if (granules <= EXACT_CLASSES) {
        return granules;
    }
    while (block < granules) {
        block <<= 1;
    }
    return block;
}

static uint32_t held_granules(const uint8_t *record)
{
    return block_granules(RECORD_HEAD + key_length_of(record) + value_length_of(record));
}

/* Give ground back as free blocks: whole, or cut into the largest block sizes that fit. */
static void give(const region *r, uint32_t start, uint32_t granules)
{
    if (granules > r->granules - start) {
        granules = r->granules - start;
    }
    set32(r->mem + AT_FREE, get32(r->mem + AT_FREE) + granules);
    while (granules) {
        uint32_t number = class_below(granules);
        uint8_t *list = r->mem + AT_FREE_LISTS + 4U * number;
        set32(granule_at(r, start), get32(list));
        set32(list, start + 1U);
        start += granules_of_class(number);
        granules -= granules_of_class(number);
    }
}

/* First free block of a class that has one: its granule, or SF_CORRUPT. */
static int32_t pop(const region *r, uint32_t number)
{
    uint8_t *list = r->mem + AT_FREE_LISTS + 4U * number;
    uint32_t reference = get32(list);
    uint32_t granules = granules_of_class(number);
    if (reference > r->granules || granules > r->granules - reference + 1U) {
        return SF_CORRUPT;
    }
    set32(list, get32(granule_at(r, reference - 1U)));
    set32(r->mem + AT_FREE, get32(r->mem + AT_FREE) - granules);
    return (int32_t)(reference - 1U);
}

/* A block of `granules` (a block size): its first granule, or a code. */
static int32_t take(const region *r, uint32_t granules)
{
    uint32_t wanted = class_below(granules);
    if (get32(r->mem + AT_FREE_LISTS + 4U * wanted)) {
        return pop(r, wanted);
    }
    uint32_t top = get32(r->mem + AT_TOP);
    if (top <= r->granules && granules <= r->granules - top) {
        set32(r->mem + AT_TOP, top + granules);
        return (int32_t)top;
    }
    for (uint32_t number = wanted + 1U; number < CLASSES; number++) {
        if (get32(r->mem + AT_FREE_LISTS + 4U * number)) {
            int32_t granule = pop(r, number);
            if (granule >= 0) {
                give(r, (uint32_t)granule + granules, granules_of_class(number) - granules);
            }
            return granule;
        }
    }
    return SF_NO_SPACE;
}

/* The number whose big-endian octets are the little-endian ones of `number`. */
static uint64_t swapped(uint64_t number)
{
    uint64_t result = 0;
    for (uint32_t i = 0; i < 8; i++, number >>= 8) {
        result = result << 8 | (number & 0xFFU);
    }
    return result;
}

/* Add the record to the digest sums, or take it away. */
static void count_digest(const region *r, const uint8_t *record, uint32_t away)
{
    uint32_t key_length = key_length_of(record);
    uint8_t head[2] = {(uint8_t)(key_length >> 8), (uint8_t)key_length};
    siphash s;
    sip_begin(&s, digest_key);
    sip_add(&s, head, 2);
    sip_add(&s, record + RECORD_HEAD, key_length + value_length_of(record));
    uint64_t term = swapped(sip_end(&s));
    uint32_t bucket = (uint32_t)sip_of(digest_key, record + RECORD_HEAD, key_length) & 0xFFU;
    uint8_t *part = r->mem + AT_BUCKETS + 8U * bucket;
    if (away) {
        term = 0U - term;
    }
    set64(r->mem + AT_DIGEST, get64(r->mem + AT_DIGEST) + term);
    set64(part, get64(part) + term);
}

static void write_record(uint8_t *record, uint32_t hash, const uint8_t *key, uint32_t key_length,
                         const uint8_t *value, uint32_t value_length)
{
    uint32_t length = RECORD_HEAD + key_length + value_length;
    set32(record + 4, hash);
    set16(record + 8, key_length);
    set16(record + 10, value_length);
    memcpy(record + RECORD_HEAD, key, key_length);
    if (value_length) {
        memcpy(record + RECORD_HEAD + key_length, value, value_length);
    }
    memset(record + length, 0, (0U - length) & 15U);
    set32(record, crc32_of(record + 4, length - 4U));
}

static int32_t put(const region *r, const uint8_t *key, uint32_t key_length, const uint8_t *value,
                   uint32_t value_length)
{
    uint64_t hash = hash_of(r, key, key_length);
    uint8_t *old;
    int32_t slot = search(r, key, key_length, hash, &old);
    uint32_t slots = r->mask + 1U;
    uint32_t count = get32(r->mem + AT_COUNT);
    uint32_t granules = block_granules(RECORD_HEAD + key_length + value_length);
    if (slot < 0) {
        return slot;
    }
    if (!old && count >= slots - (slots >> 2)) {
        return SF_NO_SPACE;
    }
    uint32_t held = old ? held_granules(old) : 0;
    uint8_t *record = old;
    if (held != granules) {
        int32_t granule = take(r, granules);
        if (granule < 0) {
            return granule;
        }
        record = granule_at(r, (uint32_t)granule);
    }
    if (old) {
        count_digest(r, old, 1);
    }
    if (old && record != old) {
        give(r, (uint32_t)(old - granule_at(r, 0)) >> 4, held);
    }
    write_record(record, (uint32_t)hash, key, key_length, value, value_length);
    uint32_t reference = ((uint32_t)(record - granule_at(r, 0)) >> 4) + 1U;
    set32(index_at(r, (uint32_t)slot), (uint32_t)(hash >> 59) << 27 | reference);
    count_digest(r, record, 0);
    if (!old) {
        set32(r->mem + AT_COUNT, count + 1U);
    }
    return SF_OK;
}

/* Backward shift: move later entries of the run into the hole, so that no tombstone stays. */
static void close_gap(const region *r, uint32_t hole)
{
    uint32_t slot = hole;
    for (uint32_t i = 0; i <= r->mask; i++) {
        slot = (slot + 1U) & r->mask;
        uint32_t entry = get32(index_at(r, slot));
        if (entry == 0) {
            break;
        }
        const uint8_t *record = record_of(r, entry);
        uint32_t home = record ? get32(record + 4) & r->mask : slot;
        if (((slot - home) & r->mask) >= ((slot - hole) & r->mask)) {
            set32(index_at(r, hole), entry);
            hole = slot;
        }
    }
    set32(index_at(r, hole), 0);
}

static int32_t drop(const region *r, const uint8_t *key, uint32_t key_length)
{
    uint8_t *record;
    int32_t slot = search(r, key, key_length, hash_of(r, key, key_length), &record);
    uint32_t count = get32(r->mem + AT_COUNT);
    if (!record) {
        return SF_NOT_FOUND;
    }
    if (count == 0) {
        return SF_CORRUPT;
    }
    count_digest(r, record, 1);
    give(r, (uint32_t)(record - granule_at(r, 0)) >> 4, held_granules(record));
    close_gap(r, (uint32_t)slot);
    set32(r->mem + AT_COUNT, count - 1U);
    return SF_OK;
}

/* Smallest index that `records` fill to three quarters at most; 0 if there is none. */
static uint32_t slots_for(uint32_t records)
{
    uint32_t slots = MIN_SLOTS;
    while (slots - (slots >> 2) < records) {
        if (slots == MAX_SLOTS) {
            return 0;
        }
        slots <<= 1;
    }
    return slots;
}

int32_t sf_table_size(uint32_t records, uint32_t heap)
{
    uint32_t slots = slots_for(records);
    if (slots == 0 || heap > MAX_SIZE) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t size = HEADER_BYTES + 4U * slots;
    heap = (heap + 15U) & ~15U;
    return heap > MAX_SIZE - size ? SF_BAD_ARGUMENT : (int32_t)(size + heap);
}

int32_t sf_table_init(void *mem, uint32_t size, uint32_t records, const uint8_t *seed)
{
    uint8_t *p = mem;
    uint32_t slots = slots_for(records);
    uint32_t heap = HEADER_BYTES + 4U * slots;
    if (!p || !seed || ((uintptr_t)p & 3U) || slots == 0 || size > MAX_SIZE) {
        return SF_BAD_ARGUMENT;
    }
    if (size < heap) {
        return SF_NO_SPACE;
    }
    memset(p, 0, heap);
    set32(p, MAGIC);
    set16(p + AT_VERSION, LAYOUT_VERSION);
    set32(p + AT_SIZE, size);
    memcpy(p + AT_SEED, seed, 16);
    set32(p + AT_SLOTS, slots);
    set32(p + AT_HEAP, heap);
    set32(p + AT_GRANULES, (size - heap) >> 4);
    return SF_OK;
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

int32_t sf_table_put(void *mem, uint32_t size, const uint8_t *key, uint32_t key_length,
                     const uint8_t *value, uint32_t value_length)
{
    region r;
    if (!key || key_length == 0 || key_length > SF_MAX_KEY || value_length > SF_MAX_VALUE
        || (!value && value_length) || open_region(&r, mem, size) != SF_OK) {
        return SF_BAD_ARGUMENT;
    }
    bump_sequence(r.mem);
    int32_t rc = put(&r, key, key_length, value, value_length);
    bump_sequence(r.mem);
    return rc;
}

int32_t sf_table_remove(void *mem, uint32_t size, const uint8_t *key, uint32_t key_length)
{
    region r;
    if (!key || key_length == 0 || key_length > SF_MAX_KEY
        || open_region(&r, mem, size) != SF_OK) {
        return SF_BAD_ARGUMENT;
    }
    bump_sequence(r.mem);
    int32_t rc = drop(&r, key, key_length);
    bump_sequence(r.mem);
    return rc;
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

/* True if rows[start..end) is exactly `count` well-formed rows. */
static uint32_t rows_fit(const uint8_t *rows, uint32_t start, uint32_t end, uint32_t count)
{
    uint32_t at = start;
    for (uint32_t i = 0; i < count; i++) {
        if (end - at < ROW_HEAD) {
            return 0;
        }
        uint32_t key_length = get16_big(rows + at);
        uint32_t value_length = get16_big(rows + at + 2);
        uint32_t need = ROW_HEAD + key_length
                        + (value_length == SF_ROW_REMOVED ? 0 : value_length);
        if (key_length == 0 || key_length > SF_MAX_KEY || need > end - at) {
            return 0;
        }
        at += need;
    }
    return at == end;
}

int32_t sf_table_apply(void *mem, uint32_t size, const uint8_t *rows, uint32_t start,
                       uint32_t end, uint32_t count)
{
    if (!rows || start > end || count > MAX_SIZE || !rows_fit(rows, start, end, count)) {
        return SF_BAD_ARGUMENT;
    }
    const uint8_t *row = rows + start;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key_length = get16_big(row);
        uint32_t value_length = get16_big(row + 2);
        const uint8_t *key = row + ROW_HEAD;
        int32_t rc;
        row = key + key_length;
        if (value_length == SF_ROW_REMOVED) {
            rc = sf_table_remove(mem, size, key, key_length);
        } else {
            rc = sf_table_put(mem, size, key, key_length, row, value_length);
            row += value_length;
        }
        if (rc != SF_OK && rc != SF_NOT_FOUND) {
            return rc;
        }
    }
    return (int32_t)count;
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

int32_t sf_table_copy(const void *mem, uint32_t size, void *other, uint32_t other_size,
                      uint32_t cursor, uint32_t count)
{
    region r;
    if (open_region(&r, mem, size) != SF_OK || cursor > r.mask || mem == other) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t stop = count > r.mask - cursor ? r.mask + 1U : cursor + count;
    for (uint32_t slot = cursor; slot < stop; slot++) {
        uint32_t entry = get32(index_at(&r, slot));
        if (entry == 0) {
            continue;
        }
        const uint8_t *record = record_of(&r, entry);
        if (!record) {
            return SF_CORRUPT;
        }
        const uint8_t *key = record + RECORD_HEAD;
        uint32_t key_length = key_length_of(record);
        int32_t rc = sf_table_put(other, other_size, key, key_length, key + key_length,
                                  value_length_of(record));
        if (rc != SF_OK) {
            return rc;
        }
    }
    return stop > r.mask ? 0 : (int32_t)stop;
}
