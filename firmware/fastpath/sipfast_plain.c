/* Takes requests of the plain kind apart; whatever else the grammar allows is left to Python.
 *
 * Each function here accepts less than firmware/sip does, and reads what it accepts in the same way.
 */
#include <string.h>

#include "sipfast_plain.h"

#define URI_LIMIT 1024U
#define VIA_HEAD "SIP/2.0/UDP "
#define VIA_HEAD_OCTETS 12U
#define MAX_PARAMS 8U
#define PORT_DIGITS 5U
#define NUMBER_DIGITS 9U

/* RFC 3261 25.1: token; gen-value; host as firmware/sip/uri.py reads it; user without escapes */
static const octet_set tokens = {{0x00000000U, 0x03FF6CA2U, 0x87FFFFFEU, 0x47FFFFFFU}};
static const octet_set values = {{0x00000000U, 0x07FF6CA2U, 0xAFFFFFFEU, 0x47FFFFFFU}};
static const octet_set hosts = {{0x00000000U, 0x03FF6000U, 0x87FFFFFEU, 0x07FFFFFEU}};
static const octet_set users = {{0x00000000U, 0x23FFFFD2U, 0x87FFFFFEU, 0x47FFFFFEU}};

/* The first octet from `at` on that is not in the set, at most `end`. */
static uint32_t skip(const octet_set *set, const uint8_t *buf, uint32_t at, uint32_t end)
{
    while (at < end && is_in(set, buf[at])) {
        at++;
    }
    return at;
}

static uint32_t find(const uint8_t *buf, uint32_t at, uint32_t end, uint8_t octet)
{
    while (at < end && buf[at] != octet) {
        at++;
    }
    return at;
}

/* 1..digits decimal digits at *at into *number; 0 where there are none or more. */
static uint32_t read_number(const uint8_t *buf, uint32_t *at, uint32_t end, uint32_t digits,
                            uint32_t *number)
{
    uint32_t start = *at;
    *number = 0;
    while (*at < end && buf[*at] >= '0' && buf[*at] <= '9') {
        if (*at - start == digits) {
            return 0;
        }
        *number = *number * 10U + (uint32_t)(buf[(*at)++] - '0');
    }
    return *at > start;
}

/* `host[:port]` that fills buf[at..end): its host, and the port or 0. */
static uint32_t read_hostport(const uint8_t *buf, uint32_t at, uint32_t end, piece *host,
                              uint32_t *port)
{
    uint32_t stop = skip(&hosts, buf, at, end);
    host->at = at;
    host->length = stop - at;
    *port = 0;
    if (stop == at) {
        return 0;
    }
    if (stop == end) {
        return 1;
    }
    if (buf[stop++] != ':') {
        return 0;
    }
    return read_number(buf, &stop, end, PORT_DIGITS, port) && stop == end && *port > 0
           && *port <= 0xFFFFU;
}

static uint32_t is_named(const uint8_t *buf, piece name, const char *other, uint32_t length)
{
    uint32_t at = 0;
    while (at < length && at < name.length && lower(buf[name.at + at]) == (uint8_t)other[at]) {
        at++;
    }
    return at == length && name.length == length;
}

static uint32_t is_repeated(const uint8_t *buf, const piece *names, uint32_t count)
{
    piece last = names[count];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (names[i].length == last.length && at < last.length
               && lower(buf[names[i].at + at]) == lower(buf[last.at + at])) {
            at++;
        }
        if (at == last.length) {
            return 1;
        }
    }
    return 0;
}

/* `;name=value;flag` without quotes or space that fills buf[at..end). */
static uint32_t read_via_params(plain *p, uint32_t at, uint32_t end)
{
    piece names[MAX_PARAMS];
    for (uint32_t count = 0; at < end; count++) {
        if (count == MAX_PARAMS || p->buf[at++] != ';') {
            return 0;
        }
        uint32_t stop = skip(&tokens, p->buf, at, end);
        names[count].at = at;
        names[count].length = stop - at;
        if (stop == at || is_repeated(p->buf, names, count)) {
            return 0;
        }
        p->has_rport |= is_named(p->buf, names[count], "rport", 5);
        p->has_received |= is_named(p->buf, names[count], "received", 8);
        at = stop;
        if (at < end && p->buf[at] == '=') {
            stop = skip(&values, p->buf, ++at, end);
            if (stop == at) {
                return 0;
            }
            at = stop;
        }
    }
    return 1;
}

/* One via-parm by UDP (RFC 3261 20.42). */
static uint32_t read_via(plain *p)
{
    uint32_t at = p->via.at;
    uint32_t end = at + p->via.length;
    uint32_t head_end = find(p->buf, at, end, ';');
    if (head_end - at <= VIA_HEAD_OCTETS) {
        return 0;
    }
    for (uint32_t i = 0; i < VIA_HEAD_OCTETS; i++) {
        if (p->buf[at + i] != (uint8_t)VIA_HEAD[i]) {
            return 0;
        }
    }
    p->via_head = head_end - at;
    return read_hostport(p->buf, at + VIA_HEAD_OCTETS, head_end, &p->via_host, &p->via_port)
           && read_via_params(p, head_end, end);
}

/* Where the `<` of a name-addr stands, `end` where the display name is not plain. */
static uint32_t open_bracket(const uint8_t *buf, uint32_t at, uint32_t end)
{
    if (at < end && buf[at] == '"') {
        for (at++; at < end && buf[at] != '"'; at++) {
            if (buf[at] == '\\') {
                return end;
            }
        }
        at += at < end;
        while (at < end && buf[at] == ' ') {
            at++;
        }
    } else {
        while (at < end && (is_in(&tokens, buf[at]) || buf[at] == ' ')) {
            at++;
        }
    }
    return at < end && buf[at] == '<' ? at : end;
}

/* `Display <uri>` or `Display <uri>;tag=token` (RFC 3261 20.20); tag: where the token is. */
static uint32_t read_name_addr(const uint8_t *buf, piece value, piece *tag)
{
    static const char mark[] = ";tag=";
    uint32_t end = value.at + value.length;
    uint32_t at = open_bracket(buf, value.at, end);
    uint32_t close = find(buf, at, end, '>');
    tag->at = tag->length = 0;
    if (close == end || find(buf, at, end, '"') < end) {
        return 0;
    }
    if (++close == end) {
        return 1;
    }
    for (uint32_t i = 0; i < 5; i++, close++) {
        if (close == end || buf[close] != (uint8_t)mark[i]) {
            return 0;
        }
    }
    tag->at = close;
    tag->length = end - close;
    return close < end && skip(&tokens, buf, close, end) == end;
}

/* `number method` with one space; the method is the request's (RFC 3261 8.1.1.5). */
static uint32_t read_cseq(const plain *p)
{
    uint32_t at = p->cseq.at;
    uint32_t end = at + p->cseq.length;
    uint32_t number;
    uint32_t length = p->spans[3];
    if (!read_number(p->buf, &at, end, NUMBER_DIGITS, &number) || end - at != length + 1U
        || p->buf[at++] != ' ') {
        return 0;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (p->buf[at + i] != p->buf[p->spans[2] + i]) {
            return 0;
        }
    }
    return 1;
}

static uint32_t read_call_id(const plain *p)
{
    for (uint32_t i = 0; i < p->call_id.length; i++) {
        if (p->buf[p->call_id.at + i] <= ' ') {
            return 0;
        }
    }
    return p->call_id.length > 0;
}

/* `sip:[user@]host[:port][;parameters]` without password, escapes or headers. */
static uint32_t read_uri(plain *p)
{
    uint32_t at = p->spans[4];
    uint32_t end = at + p->spans[5];
    const uint8_t *buf = p->buf;
    piece host;
    if (end - at < 5 || end - at > URI_LIMIT || buf[at] != 's' || buf[at + 1] != 'i'
        || buf[at + 2] != 'p' || buf[at + 3] != ':' || find(buf, at, end, '?') < end) {
        return 0;
    }
    at += 4;
    uint32_t sign = find(buf, at, end, '@');
    p->user.at = p->user.length = 0;
    if (sign < end) {
        if (sign == at || skip(&users, buf, at, sign) < sign) {
            return 0;
        }
        p->user.at = at;
        p->user.length = sign - at;
        at = sign + 1;
    }
    uint32_t stop = find(buf, at, end, ';');
    p->has_params = stop < end;
    if ((p->has_params && stop + 1 == end) || !read_hostport(buf, at, stop, &host, &p->port)
        || host.length > HOST_OCTETS) {
        return 0;
    }
    p->host_length = host.length;
    for (uint32_t i = 0; i < host.length; i++) {
        p->host[i] = lower(buf[host.at + i]);
    }
    return 1;
}

/* Content-Length, where there is one, is digits and no more than what is there. */
static uint32_t fits_body(const plain *p, const uint16_t *item, uint32_t length)
{
    if (!item) {
        return 1;
    }
    uint32_t at = item[3];
    uint32_t end = at + item[4];
    uint32_t octets;
    return read_number(p->buf, &at, end, NUMBER_DIGITS, &octets) && at == end
           && octets <= length - p->spans[11];
}

/* The first header of each id; 0 where one is folded or stands twice against the rules. */
static uint32_t index_headers(const plain *p, const uint16_t **first)
{
    for (uint32_t i = 0; i < p->headers; i++) {
        const uint16_t *item = p->spans + SF_HEAD_ITEMS + i * SF_HEADER_ITEMS;
        if (item[5] || item[0] >= HEADER_IDS || item[0] == HEADER_ROUTE
            || item[0] == HEADER_REQUIRE) {
            return 0;
        }
        if (!first[item[0]]) {
            first[item[0]] = item;
        } else if ((item[0] >= HEADER_FROM && item[0] <= HEADER_MAX_FORWARDS)
                   || item[0] == HEADER_CONTENT_LENGTH) {
            return 0;
        }
    }
    return first[HEADER_VIA] && first[HEADER_FROM] && first[HEADER_TO] && first[HEADER_CALL_ID]
           && first[HEADER_CSEQ];
}

static piece value_of(const uint16_t *item)
{
    piece value = {item[3], item[4]};
    return value;
}

uint32_t sf_plain_read(plain *p, const uint8_t *buf, uint32_t length, uint16_t *spans,
                       uint32_t capacity)
{
    const uint16_t *first[HEADER_IDS];
    piece from_tag;
    int32_t count = sf_scan(buf, length, spans, capacity);
    if (count < 0 || spans[0] != 1 || spans[6] != 0x0200) {
        return 0;
    }
    memset(first, 0, sizeof first);
    p->buf = buf;
    p->spans = spans;
    p->headers = (uint32_t)count;
    p->method = spans[1];
    if (p->method == 0 || p->method == METHOD_CANCEL || p->method == METHOD_REGISTER
        || !index_headers(p, first)) {
        return 0;
    }
    p->via = value_of(first[HEADER_VIA]);
    p->from = value_of(first[HEADER_FROM]);
    p->to = value_of(first[HEADER_TO]);
    p->call_id = value_of(first[HEADER_CALL_ID]);
    p->cseq = value_of(first[HEADER_CSEQ]);
    p->has_rport = p->has_received = 0;
    return read_via(p) && read_name_addr(buf, p->from, &from_tag)
           && read_name_addr(buf, p->to, &p->to_tag) && read_cseq(p) && read_call_id(p)
           && read_uri(p) && fits_body(p, first[HEADER_CONTENT_LENGTH], length);
}
