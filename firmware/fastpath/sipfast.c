/* What writes to a table: heap, records, index. sipfast.h is the manual, pure_*.py the twins. */
#include "sipfast_region.h"

#define EXACT_CLASSES 64U
#define CLASSES 71U
#define ROW_HEAD 4U

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
