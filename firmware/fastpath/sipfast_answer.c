/* Answers requests of the plain kind from the location table. sipfast.h is the manual. */
#include "sipfast_output.h"

#define AT_VIP_PORT 16U
#define AT_HEADERS 18U
#define AT_ENTRIES 20U

#define MAX_DIGITS 32U  /* of a number prefix (record.py) */
#define BINDING_HEAD 14U /* q u16 | expires u32 | cseq u32 | reg_id u32 (binding.py) */
#define FIELD_HEAD 3U
#define FIELD_CONTACT 1U
#define RECORD_VERSION 1U

typedef struct {
    const uint8_t *contact;
    uint32_t length;
    uint32_t q;
    uint32_t expires_s;
} binding;

/* Octets written, or NOT_PLAIN where the answer does not fit. */
static int32_t finish(output *out)
{
    put(out, TEXT("Content-Length: 0\r\n\r\n"));
    return out->is_full ? SF_NOT_PLAIN : (int32_t)out->used;
}

/* Whom the Request-URI means (locator.py): *domain the entry of the configuration or NULL, *own if
 * the host and port are this card's or the VIP's. 0 for a configuration that is cut short. */
static uint32_t find_domain(const context *c, const plain *p, const uint8_t **domain,
                            uint32_t *own)
{
    uint32_t port = p->port ? p->port : DEFAULT_PORT;
    uint32_t at = SF_CONFIG_HEAD;
    const uint8_t *preset = NULL;
    *domain = NULL;
    *own = 0;
    for (uint32_t left = get16(c->config + AT_ENTRIES); left; left--) {
        const uint8_t *entry = c->config + at;
        if (c->config_length - at < SF_CONFIG_ENTRY
            || c->config_length - at - SF_CONFIG_ENTRY < entry[1]) {
            return 0;
        }
        at += SF_CONFIG_ENTRY + entry[1];
        preset = entry[0] & SF_DEFAULT ? entry : preset;
        if (entry[1] != p->host_length || !equal(entry + SF_CONFIG_ENTRY, p->host, entry[1])) {
            continue;
        }
        if (!(entry[0] & SF_DOMAIN)) {
            *own |= (uint32_t)(get16(entry + 2) == port);
        } else if (p->port == 0 || port == get16(c->config + AT_VIP_PORT)
                   || (port == DEFAULT_PORT && !(entry[0] & SF_NUMERIC))) {
            *domain = entry;
        }
    }
    if (!*domain && *own) {
        *domain = preset;
    }
    return 1;
}

/* The value of `a user@host` into the work memory: its length or a code. */
static int32_t look_up(const context *c, const plain *p, const uint8_t *host, uint32_t length)
{
    uint8_t *key = c->work->key;
    uint32_t used = p->user.length + 1U;
    if (used + 1U + length > KEY_OCTETS) {
        return SF_NOT_PLAIN;
    }
    key[0] = 'a';
    memcpy(key + 1, p->buf + p->user.at, p->user.length);
    key[used++] = '@';
    memcpy(key + used, host, length);
    return sf_table_get(c->mem, c->size, key, used + length, c->work->value, SF_MAX_VALUE);
}

/* NOT_FOUND if no number route can mean the user part, else NOT_PLAIN (locator.py _number). */
static int32_t look_up_number(const context *c, const plain *p)
{
    static const octet_set numbers = {{0x00000000U, 0x03FF6F08U, 0x00000000U, 0x00000000U}};
    uint8_t *key = c->work->key;
    uint32_t length = 1;
    key[0] = 'n';
    for (uint32_t i = 0; i < p->user.length; i++) {
        uint8_t octet = p->buf[p->user.at + i];
        if (!is_in(&numbers, octet)) {
            return SF_NOT_FOUND;
        }
        if (octet >= '0' && octet <= '9' && length <= MAX_DIGITS) {
            key[length++] = octet;
        }
    }
    for (; length > 1; length--) {
        if (sf_table_get(c->mem, c->size, key, length, c->work->value, SF_MAX_VALUE)
            != SF_NOT_FOUND) {
            return SF_NOT_PLAIN;
        }
    }
    return SF_NOT_FOUND;
}

static int32_t find_bindings(const context *c, const plain *p, const uint8_t *domain)
{
    const uint8_t *name = domain + SF_CONFIG_ENTRY;
    int32_t length = look_up(c, p, p->host, p->host_length);
    if (length == SF_NOT_FOUND
        && (domain[1] != p->host_length || !equal(name, p->host, domain[1]))) {
        length = look_up(c, p, name, domain[1]);
    }
    if (length == SF_NOT_FOUND) {
        length = p->has_params ? SF_NOT_PLAIN : look_up_number(c, p);
    }
    return length >= 0 || length == SF_NOT_FOUND ? length : SF_NOT_PLAIN;
}

/* The binding at *at of a record's value (binding.py): 1, 0 at the end, or NOT_PLAIN. */
static int32_t next_binding(const uint8_t *value, uint32_t length, uint32_t *at, binding *b)
{
    if (*at == length) {
        return 0;
    }
    if (length - *at < 2U + BINDING_HEAD || get16_big(value + *at) > length - *at - 2U
        || get16_big(value + *at) < BINDING_HEAD) {
        return SF_NOT_PLAIN;
    }
    const uint8_t *p = value + *at + 2U;
    const uint8_t *end = p + get16_big(value + *at);
    *at += 2U + get16_big(value + *at);
    b->q = get16_big(p);
    b->expires_s = get16_big(p + 2) << 16 | get16_big(p + 4);
    b->contact = end;
    b->length = 0;
    for (p += BINDING_HEAD; end - p >= (int32_t)FIELD_HEAD;) {
        uint32_t size = get16_big(p + 1);
        uint8_t field = p[0];
        p += FIELD_HEAD;
        if (end - p < (int32_t)size) {
            return SF_NOT_PLAIN;
        }
        if (field == FIELD_CONTACT) {
            b->contact = p;
            b->length = size;
        }
        p += size;
    }
    return 1;
}

/* True if the contact holds the Request-URI's host, so that it may be the same URI. */
static uint32_t has_host(const binding *b, const plain *p)
{
    for (uint32_t at = 0; p->host_length <= b->length - at; at++) {
        uint32_t i = 0;
        while (i < p->host_length && lower(b->contact[at + i]) == p->host[i]) {
            i++;
        }
        if (i == p->host_length) {
            return 1;
        }
    }
    return 0;
}

/* The Contact lines of all live bindings (redirect.py): how many, or NOT_PLAIN. */
static int32_t put_contacts(output *out, const context *c, const plain *p, uint32_t length)
{
    const uint8_t *value = c->work->value;
    uint32_t at = 1;
    int32_t live = 0;
    int32_t rc;
    binding b;
    if (length == 0 || value[0] != RECORD_VERSION) {
        return SF_NOT_PLAIN;
    }
    while ((rc = next_binding(value, length, &at, &b)) > 0) {
        if (b.expires_s && b.expires_s <= c->now_s) {
            continue;
        }
        if (has_host(&b, p)) {
            return SF_NOT_PLAIN;
        }
        live++;
        put(out, TEXT("Contact: <"));
        put(out, b.contact, b.length);
        put(out, TEXT(">;q="));
        put_q(out, b.q);
        if (b.expires_s) {
            put(out, TEXT(";expires="));
            put_number(out, b.expires_s - c->now_s);
        }
        put(out, TEXT("\r\n"));
    }
    return rc < 0 ? rc : live;
}

static int32_t refuse(output *out, const context *c, const plain *p, const uint8_t *status,
                      uint32_t length, uint32_t *result)
{
    out->used = out->is_full = 0;
    result[0] = SF_DID_ERROR;
    put_head(out, c, p, status, length);
    return finish(out);
}

static int32_t redirect(output *out, const context *c, const plain *p, const uint8_t *domain,
                        uint32_t *result)
{
    int32_t length = find_bindings(c, p, domain);
    if (p->method == METHOD_INVITE) {
        result[2] = p->via.at;
        result[3] = p->via.length;
    }
    if (length == SF_NOT_FOUND) {
        return refuse(out, c, p, TEXT("SIP/2.0 404 Not Found"), result);
    }
    if (length < 0) {
        return length;
    }
    result[0] = SF_DID_REDIRECT;
    put_head(out, c, p, TEXT("SIP/2.0 302 Moved Temporarily"));
    int32_t live = put_contacts(out, c, p, (uint32_t)length);
    if (live < 0) {
        return live;
    }
    return live ? finish(out)
                : refuse(out, c, p, TEXT("SIP/2.0 480 Temporarily Unavailable"), result);
}

/* 200 to OPTIONS about ourselves (RFC 3261 11.2; server.py has the same lines). */
static int32_t tell_abilities(output *out, const context *c, const plain *p, uint32_t *result)
{
    result[0] = SF_DID_OPTIONS;
    put_head(out, c, p, TEXT("SIP/2.0 200 OK"));
    put(out, TEXT("Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER\r\n"
                  "Accept: application/sdp\r\nAccept-Encoding: identity\r\n"
                  "Accept-Language: en\r\nSupported: path\r\n"));
    return finish(out);
}

static int32_t answer(context *c, const plain *p, output *out, uint32_t *result)
{
    const uint8_t *domain;
    uint32_t own;
    write_tag(c, p);
    if (p->method == METHOD_ACK && p->to_tag.length == TAG_OCTETS
        && equal(p->buf + p->to_tag.at, c->tag, TAG_OCTETS)) {
        result[0] = SF_DID_ACK;
        return 0;
    }
    if (!find_domain(c, p, &domain, &own)) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t redirects = domain && (domain[0] & SF_REDIRECT);
    if (p->method == METHOD_ACK) {
        result[0] = SF_DID_ACK;
        return (p->user.length ? redirects : domain || own) ? 0 : SF_NOT_PLAIN;
    }
    write_address(c);
    result[1] = p->has_rport ? get16_big(c->peer + 4)
                             : p->via_port ? p->via_port : DEFAULT_PORT;
    if (p->user.length == 0) {
        return (domain || own) && p->method == METHOD_OPTIONS
                   ? tell_abilities(out, c, p, result)
                   : SF_NOT_PLAIN;
    }
    return redirects ? redirect(out, c, p, domain, result) : SF_NOT_PLAIN;
}

int32_t sf_answer(const uint8_t *config, uint32_t config_length, const void *mem, uint32_t size,
                  const uint8_t *buf, uint32_t length, const uint8_t *peer, uint32_t now_s,
                  void *work, uint8_t *out, uint32_t capacity, uint32_t *result)
{
    plain p;
    if (!config || config_length < SF_CONFIG_HEAD || !mem || !buf || !peer || !work || !out
        || !result || ((uintptr_t)work & 3U)) {
        return SF_BAD_ARGUMENT;
    }
    context c = {.config = config, .config_length = config_length, .mem = mem, .size = size,
                 .peer = peer, .now_s = now_s, .work = work};
    output written = {out, 0, capacity, 0};
    uint32_t headers = get16(config + AT_HEADERS);
    headers = headers < SF_ANSWER_HEADERS ? headers : SF_ANSWER_HEADERS;
    result[0] = result[1] = result[2] = result[3] = 0;
    if (get16_big(peer + 4) == 0
        || !sf_plain_read(&p, buf, length, c.work->spans,
                          SF_HEAD_ITEMS + headers * SF_HEADER_ITEMS)) {
        return SF_NOT_PLAIN;
    }
    return answer(&c, &p, &written, result);
}
