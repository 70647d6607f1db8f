/* SIP message scanner: sipfast.h is the manual, pure_scan.py the twin. */
#include "sipfast.h"

#define SPAN_LIMIT 65535U

typedef struct {
    char name[20]; /* lower case; an array, so that the table needs no relocation */
    uint8_t length;
    uint8_t id;
} named_id;

/* Sorted by length; the ids are those of layout.py (tests/parity checks every name). */
static const named_id header_ids[] = {
    {"v", 1, 1}, {"f", 1, 2}, {"t", 1, 3}, {"i", 1, 4}, {"m", 1, 7}, {"l", 1, 8}, {"c", 1, 9},
    {"k", 1, 15}, {"s", 1, 32}, {"e", 1, 38}, {"o", 1, 22}, {"u", 1, 35}, {"r", 1, 33},
    {"b", 1, 34}, {"x", 1, 36}, {"to", 2, 3}, {"via", 3, 1}, {"from", 4, 2}, {"cseq", 4, 5},
    {"path", 4, 18}, {"date", 4, 28}, {"rseq", 4, 44}, {"rack", 4, 45}, {"route", 5, 11},
    {"allow", 5, 21}, {"event", 5, 22}, {"accept", 6, 30}, {"server", 6, 31},
    {"min-se", 6, 37}, {"reason", 6, 42}, {"call-id", 7, 4}, {"contact", 7, 7},
    {"expires", 7, 10}, {"require", 7, 13}, {"subject", 7, 32}, {"warning", 7, 39},
    {"privacy", 7, 41}, {"refer-to", 8, 33}, {"supported", 9, 15}, {"timestamp", 9, 23},
    {"user-agent", 10, 19}, {"unsupported", 11, 24}, {"retry-after", 11, 27},
    {"referred-by", 11, 34}, {"min-expires", 11, 20}, {"max-forwards", 12, 6},
    {"content-type", 12, 9}, {"record-route", 12, 12}, {"allow-events", 12, 35},
    {"proxy-require", 13, 14}, {"authorization", 13, 16}, {"service-route", 13, 29},
    {"content-length", 14, 8}, {"session-expires", 15, 36}, {"www-authenticate", 16, 25},
    {"content-encoding", 16, 38}, {"proxy-authenticate", 18, 26}, {"subscription-state", 18, 46},
    {"proxy-authorization", 19, 17}, {"p-asserted-identity", 19, 40},
    {"authentication-info", 19, 43},
};

static const named_id method_ids[] = {
    {"ACK", 3, 2}, {"BYE", 3, 3}, {"INFO", 4, 11}, {"PRACK", 5, 7}, {"REFER", 5, 12},
    {"INVITE", 6, 1}, {"CANCEL", 6, 4}, {"NOTIFY", 6, 9}, {"UPDATE", 6, 14}, {"OPTIONS", 7, 5},
    {"PUBLISH", 7, 10}, {"MESSAGE", 7, 13}, {"REGISTER", 8, 6}, {"SUBSCRIBE", 9, 8},
};

#define COUNT_OF(table) ((uint32_t)(sizeof(table) / sizeof((table)[0])))

/* token of RFC 3261 25.1, one bit per octet */
static const uint32_t token_bits[8] = {
    0x00000000U, 0x03FF6CA2U, 0x87FFFFFEU, 0x47FFFFFFU, 0, 0, 0, 0,
};

static uint32_t is_token(uint8_t octet)
{
    return (token_bits[octet >> 5] >> (octet & 31U)) & 1U;
}

static uint32_t is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t';
}

static uint32_t is_lws(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

static uint32_t is_digit(uint8_t octet)
{
    return octet >= '0' && octet <= '9';
}

static uint8_t to_lower(uint8_t octet)
{
    return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet + 32U) : octet;
}

/* Id of buf[start..start+length) in a table sorted by length; fold: compare in lower case. */
static uint16_t lookup(const named_id *table, uint32_t count, const uint8_t *buf, uint32_t length,
                       uint32_t fold)
{
    for (uint32_t i = 0; i < count && table[i].length <= length; i++) {
        if (table[i].length != length) {
            continue;
        }
        uint32_t at = 0;
        while (at < length
               && (fold ? to_lower(buf[at]) : buf[at]) == (uint8_t)table[i].name[at]) {
            at++;
        }
        if (at == length) {
            return table[i].id;
        }
    }
    return 0;
}

/* major * 256 + minor of "SIP/d.d" at buf[start..end), -1 if it is something else. */
static int32_t version_of(const uint8_t *buf, uint32_t start, uint32_t end)
{
    if (end - start != 7) {
        return -1;
    }
    const uint8_t *p = buf + start;
    if (to_lower(p[0]) != 's' || to_lower(p[1]) != 'i' || to_lower(p[2]) != 'p' || p[3] != '/'
        || !is_digit(p[4]) || p[5] != '.' || !is_digit(p[6])) {
        return -1;
    }
    return (p[4] - '0') * 256 + (p[6] - '0');
}

/* Walk one line from start: *end = end of its text, returns the start of the next line, or a code.
 * quoted: a NUL behind a backslash passes. */
static int32_t line_break(const uint8_t *buf, uint32_t start, uint32_t n, uint32_t quoted,
                          uint32_t *end)
{
    for (uint32_t at = start; at < n; at++) {
        uint8_t octet = buf[at];
        if (octet > '\r') {
            continue;
        }
        if (octet == '\n') {
            *end = at;
            return (int32_t)(at + 1);
        }
        if (octet == '\r') {
            if (at + 1 == n) {
                return SF_PARTIAL;
            }
            if (buf[at + 1] != '\n') {
                return SF_SYNTAX;
            }
            *end = at;
            return (int32_t)(at + 2);
        }
        if (octet == 0 && (!quoted || at == start || buf[at - 1] != '\\')) {
            return SF_SYNTAX;
        }
    }
    return SF_PARTIAL;
}

static int32_t status_line(const uint8_t *buf, int32_t version, uint32_t start, uint32_t end,
                           uint16_t *spans)
{
    if (end - start < 3 || !is_digit(buf[start]) || !is_digit(buf[start + 1])
        || !is_digit(buf[start + 2])) {
        return SF_SYNTAX;
    }
    uint32_t status = (uint32_t)(buf[start] - '0') * 100U + (uint32_t)(buf[start + 1] - '0') * 10U
                      + (uint32_t)(buf[start + 2] - '0');
    uint32_t reason = start + 3;
    if (reason < end && buf[reason++] != ' ') {
        return SF_SYNTAX;
    }
    if (status < 100 || status > 699) {
        return SF_SYNTAX;
    }
    spans[0] = 2;
    spans[6] = (uint16_t)version;
    spans[7] = (uint16_t)status;
    spans[8] = (uint16_t)reason;
    spans[9] = (uint16_t)(end - reason);
    return SF_OK;
}

static int32_t request_line(const uint8_t *buf, uint32_t start, uint32_t space, uint32_t end,
                            uint16_t *spans)
{
    uint32_t stop = end;
    while (stop > space && is_blank(buf[stop - 1])) {
        stop--;
    }
    uint32_t last = stop;
    while (last > space && !is_blank(buf[last - 1])) {
        last--;
    }
    int32_t version = version_of(buf, last, stop);
    if (version < 0) {
        return SF_SYNTAX;
    }
    uint32_t uri = space;
    while (uri < last && is_blank(buf[uri])) {
        uri++;
    }
    uint32_t uri_end = last;
    while (uri_end > uri && is_blank(buf[uri_end - 1])) {
        uri_end--;
    }
    uint32_t good = stop == end && uri == space + 1 && uri_end + 1 == last && uri < uri_end;
    for (uint32_t at = uri; at < uri_end; at++) {
        good &= (uint32_t)(buf[at] > 32 && buf[at] < 127);
    }
    spans[0] = good ? 1 : 3;
    spans[1] = lookup(method_ids, COUNT_OF(method_ids), buf + start, space - start, 0);
    spans[2] = (uint16_t)start;
    spans[3] = (uint16_t)(space - start);
    spans[4] = (uint16_t)uri;
    spans[5] = (uint16_t)(uri_end - uri);
    spans[6] = (uint16_t)version;
    return SF_OK;
}

static int32_t start_line(const uint8_t *buf, uint32_t start, uint32_t end, uint16_t *spans)
{
    uint32_t space = start;
    uint32_t token = 1;
    while (space < end && buf[space] != ' ') {
        token &= is_token(buf[space]);
        space++;
    }
    if (space == end) {
        return SF_SYNTAX;
    }
    int32_t version = version_of(buf, start, space);
    if (version >= 0) {
        return status_line(buf, version, space + 1, end, spans);
    }
    if (!token || space == start) {
        return SF_SYNTAX;
    }
    return request_line(buf, start, space, end, spans);
}

/* Name of a header: *name_end, returns the offset of its colon or a code. */
static int32_t header_name(const uint8_t *buf, uint32_t start, uint32_t n, uint32_t *name_end)
{
    uint32_t at = start;
    while (at < n && is_token(buf[at])) {
        at++;
    }
    *name_end = at;
    if (at == start) {
        return SF_SYNTAX;
    }
    while (at < n && is_blank(buf[at])) {
        at++;
    }
    if (at == n) {
        return SF_PARTIAL;
    }
    return buf[at] == ':' ? (int32_t)at : SF_SYNTAX;
}

/* One header with its folded lines into item[0..5]; returns the start of the next line or a code. */
static int32_t header(const uint8_t *buf, uint32_t start, uint32_t n, uint16_t *item)
{
    uint32_t name_end;
    int32_t colon = header_name(buf, start, n, &name_end);
    if (colon < 0) {
        return colon;
    }
    uint32_t value = (uint32_t)colon + 1;
    uint32_t at = value;
    uint32_t end = value;
    int32_t next;
    for (;;) {
        next = line_break(buf, at, n, 1, &end);
        if (next < 0) {
            return next;
        }
        at = (uint32_t)next;
        if (at == n) {
            return SF_PARTIAL;
        }
        if (!is_blank(buf[at])) {
            break;
        }
    }
    while (end > value && is_lws(buf[end - 1])) {
        end--;
    }
    while (value < end && is_lws(buf[value])) {
        value++;
    }
    uint16_t folded = 0;
    for (uint32_t i = value; i < end; i++) {
        folded |= (uint16_t)(buf[i] == '\n');
    }
    item[0] = lookup(header_ids, COUNT_OF(header_ids), buf + start, name_end - start, 1);
    item[1] = (uint16_t)start;
    item[2] = (uint16_t)(name_end - start);
    item[3] = (uint16_t)value;
    item[4] = (uint16_t)(end - value);
    item[5] = folded;
    return next;
}

/* Header lines from `at` to the empty line, and the items that the end of the head gives. */
static int32_t headers(const uint8_t *buf, uint32_t at, uint32_t n, uint16_t *spans,
                       uint32_t capacity)
{
    uint32_t used = SF_HEAD_ITEMS;
    uint16_t count = 0;
    for (;;) {
        if (at == n || (buf[at] == '\r' && at + 1 == n)) {
            return SF_PARTIAL;
        }
        if (buf[at] == '\n' || buf[at] == '\r') {
            break;
        }
        if (capacity - used < SF_HEADER_ITEMS) {
            return SF_NO_SPACE;
        }
        int32_t next = header(buf, at, n, spans + used);
        if (next < 0) {
            return next;
        }
        at = (uint32_t)next;
        used += SF_HEADER_ITEMS;
        count++;
    }
    if (buf[at] == '\r' && buf[++at] != '\n') {
        return SF_SYNTAX;
    }
    spans[11] = (uint16_t)(at + 1);
    spans[12] = (uint16_t)(at + 1 - spans[10]);
    spans[13] = count;
    return count;
}

static int32_t scan(const uint8_t *buf, uint32_t n, uint16_t *spans, uint32_t capacity)
{
    for (uint32_t i = 0; i < SF_HEAD_ITEMS; i++) {
        spans[i] = 0;
    }
    uint32_t start = 0;
    while (start < n && (buf[start] == '\n' || buf[start] == '\r')) {
        if (buf[start] == '\r') {
            if (start + 1 == n) {
                return SF_PARTIAL;
            }
            if (buf[++start] != '\n') {
                return SF_SYNTAX;
            }
        }
        start++;
    }
    uint32_t end = start;
    int32_t next = line_break(buf, start, n, 0, &end);
    if (next < 0) {
        return next;
    }
    if (start_line(buf, start, end, spans) != SF_OK) {
        return SF_SYNTAX;
    }
    spans[10] = (uint16_t)start;
    return headers(buf, (uint32_t)next, n, spans, capacity);
}

int32_t sf_scan(const uint8_t *buf, uint32_t length, uint16_t *spans, uint32_t capacity)
{
    if (!buf || !spans || capacity < SF_HEAD_ITEMS) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t n = length < SPAN_LIMIT ? length : SPAN_LIMIT;
    int32_t result = scan(buf, n, spans, capacity);
    return result == SF_PARTIAL && length > n ? SF_NO_SPACE : result;
}
