/* One request and its answer: building, finding, checking; and the phone at a proxy's far end. */
#include "sipload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAGIC_COOKIE "z9hG4bK" /* RFC 3261 8.1.1.7 */
#define FIRST_CSEQ 1000
#define LONGEST_TO 400 /* octets of a To value that an ACK repeats */

static const char *const METHODS[] = {"OPTIONS", "INVITE", "MESSAGE", "REGISTER"};

struct text {
    const char *at;
    size_t n;
};

static const char SDP[] = "v=0\r\no=- 3849 3849 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
                          "t=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
                          "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

static unsigned long cseq_of(uint64_t seq, unsigned attempt)
{
    return FIRST_CSEQ + (unsigned long)(seq % 500000000u) * 2 + attempt;
}

/* A name that no other exchange has and whose order a hash cannot profit from. */
static uint64_t scramble(uint64_t seq)
{
    seq ^= seq >> 30;
    seq *= 0xbf58476d1ce4e5b9u;
    seq ^= seq >> 27;
    seq *= 0x94d049bb133111ebu;
    return seq ^ seq >> 31;
}

static int write_identity(const struct sl_run *run, char *out, uint64_t seq, unsigned attempt,
                          const char *method, const struct sl_subscriber *who, struct text to)
{
    int registers = run->scenario == SL_REGISTER;
    return sprintf(out,
                   "Via: SIP/2.0/UDP %s;branch=" MAGIC_COOKIE "%08x%016llx%u;rport\r\n"
                   "Max-Forwards: 70\r\n"
                   "From: <sip:%s>;tag=%016llx\r\n"
                   "To: %.*s\r\n"
                   "Call-ID: %016llx%08x@sipload\r\n"
                   "CSeq: %lu %s\r\n",
                   run->local, (unsigned)run->salt, (unsigned long long)seq, attempt,
                   registers ? who->aor : "caller@caller.example.net",
                   (unsigned long long)scramble(seq), (int)to.n, to.at,
                   (unsigned long long)scramble(~seq),
                   (unsigned)run->salt, cseq_of(seq, attempt), method);
}

size_t sl_build_request(struct sl_run *run, char *out, uint64_t seq, unsigned attempt,
                        const struct sl_subscriber *who)
{
    const char *method = METHODS[run->method];
    const char *at = strchr(who->aor, '@');
    const char *domain = at ? at + 1 : who->aor;
    char uri[300];
    snprintf(uri, sizeof uri, "sip:%s", run->scenario == SL_REGISTER ? domain : who->aor);
    int n = sprintf(out, "%s %s SIP/2.0\r\n", method, uri);
    char to[LONGEST_TO + 1];
    size_t to_length = (size_t)snprintf(to, sizeof to, "<sip:%s>", who->aor);
    n += write_identity(run, out + n, seq, attempt, method, who, (struct text){to, to_length});
    if (run->scenario == SL_REGISTER) {
        n += sprintf(out + n, "Contact: <%s>;expires=%u\r\n", who->contact,
                     (unsigned)run->expires_s);
        if (run->challenge.nonce[0] && who->password[0]) {
            n += (int)sl_build_authorization(&run->challenge, out + n, who->aor,
                                             at ? (size_t)(at - who->aor) : strlen(who->aor),
                                             who->password, uri);
        }
    } else if (run->method != SL_MESSAGE) {
        n += sprintf(out + n, "Contact: <sip:caller@%s>\r\n", run->local);
    }
    if (run->method == SL_INVITE) {
        n += sprintf(out + n, "Content-Type: application/sdp\r\n");
    }
    const char *body = run->method == SL_INVITE ? SDP : "";
    n += sprintf(out + n, "User-Agent: sipload\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return (size_t)n;
}

/* The next header line from *at on: its name and value; 0 at the end of the head. */
static int next_header(const char *buf, size_t n, size_t *at, struct text *name, struct text *value)
{
    const char *line = buf + *at;
    const char *end = memchr(line, '\n', n - *at);
    if (!end || end == line || (end == line + 1 && line[0] == '\r')) {
        return 0;
    }
    *at = (size_t)(end - buf) + 1;
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (!colon) {
        return 0;
    }
    const char *stop = end > line && end[-1] == '\r' ? end - 1 : end;
    const char *start = colon + 1;
    while (start < stop && (*start == ' ' || *start == '\t')) {
        start++;
    }
    *name = (struct text){line, (size_t)(colon - line)};
    *value = (struct text){start, (size_t)(stop - start)};
    return 1;
}

static int is_named(struct text name, const char *full, char compact)
{
    if (name.n == 1 && compact) {
        return (name.at[0] | 0x20) == compact;
    }
    return name.n == strlen(full) && strncasecmp(name.at, full, name.n) == 0;
}

static size_t first_line(const char *buf, size_t n)
{
    const char *end = memchr(buf, '\n', n);
    return end ? (size_t)(end - buf) + 1 : n;
}

static const char *find(struct text in, const char *what)
{
    return in.n ? memmem(in.at, in.n, what, strlen(what)) : NULL;
}

static int is_text(struct text value, const char *expected)
{
    return value.n == strlen(expected) && memcmp(value.at, expected, value.n) == 0;
}

/* the headers of an answer that its check looks at; Contacts are searched as they pass */
struct answer {
    struct text via, call_id, cseq, from, to, challenge;
    unsigned vias, contacts;
    int has_contact; /* one of them is the expected one */
};

static int holds_uri(struct text value, const char *uri)
{
    size_t length = strlen(uri);
    const char *at = length ? find(value, uri) : NULL;
    while (at) {
        const char *after = at + length;
        size_t left = value.n - (size_t)(after - value.at);
        int opened = at == value.at || at[-1] == '<' || at[-1] == ' ' || at[-1] == ',';
        if (opened && (left == 0 || strchr(">;, ", *after))) {
            return 1;
        }
        at = find((struct text){after, left}, uri);
    }
    return 0;
}

static void read_answer(const char *buf, size_t n, const char *contact, struct answer *answer)
{
    struct text name, value;
    size_t at = first_line(buf, n);
    memset(answer, 0, sizeof *answer);
    while (at < n && next_header(buf, n, &at, &name, &value)) {
        if (is_named(name, "Via", 'v')) {
            answer->via = value;
            answer->vias++;
        } else if (is_named(name, "Call-ID", 'i')) {
            answer->call_id = value;
        } else if (is_named(name, "CSeq", 0)) {
            answer->cseq = value;
        } else if (is_named(name, "From", 'f')) {
            answer->from = value;
        } else if (is_named(name, "To", 't')) {
            answer->to = value;
        } else if (is_named(name, "Contact", 'm')) {
            answer->contacts++;
            answer->has_contact |= holds_uri(value, contact);
        } else if (is_named(name, "WWW-Authenticate", 0) && find(value, "SHA-256") == NULL) {
            answer->challenge = value;
        }
    }
}

size_t sl_build_ack(const struct sl_run *run, char *out, uint64_t seq, unsigned status,
                    const struct sl_subscriber *who, const char *answer, size_t n)
{
    /* the ACK of a 2xx is a transaction of its own (RFC 3261 13.2.2.4), of others it is not */
    unsigned attempt = status < 300 ? 2 : 0;
    struct answer read;
    read_answer(answer, n, who->contact, &read);
    if (read.to.n > LONGEST_TO) {
        read.to.n = 0;
    }
    int length = sprintf(out, "ACK sip:%s SIP/2.0\r\n", who->aor);
    char head[1024];
    write_identity(run, head, seq, attempt, "ACK", who, read.to);
    char *cseq = strstr(head, "CSeq: ");
    sprintf(cseq, "CSeq: %lu ACK\r\n", cseq_of(seq, 0));
    length += sprintf(out + length, "%sContent-Length: 0\r\n\r\n", head);
    return (size_t)length;
}

int sl_find_exchange(const struct sl_run *run, const char *answer, size_t n, uint64_t *seq)
{
    char cookie[24], digits[17];
    sprintf(cookie, MAGIC_COOKIE "%08x", (unsigned)run->salt);
    struct text whole = {answer, n};
    const char *at = find(whole, cookie);
    int is_answer = n >= 12 && memcmp(answer, "SIP/2.0 ", 8) == 0;
    if (!at || is_answer == (run->scenario == SL_ECHO)) {
        return -1;
    }
    at += strlen(cookie);
    if ((size_t)(answer + n - at) < 17) {
        return -1;
    }
    memcpy(digits, at, 16);
    digits[16] = '\0';
    char *end;
    *seq = strtoull(digits, &end, 16);
    return *end ? -1 : 0;
}

static unsigned wanted_status(const struct sl_run *run)
{
    return run->scenario == SL_REDIRECT ? 302 : 200;
}

/* What is wrong with an answer's own marks (RFC 3261 8.2.6.2), or NULL. */
static const char *identity_fault(const struct sl_run *run, const struct answer *answer,
                                  uint64_t seq, unsigned attempt, const struct sl_subscriber *who)
{
    char expected[320];
    if (answer->vias != 1) {
        return "not exactly one Via";
    }
    sprintf(expected, "SIP/2.0/UDP %s;branch=" MAGIC_COOKIE "%08x%016llx%u", run->local,
            (unsigned)run->salt, (unsigned long long)seq, attempt);
    if (answer->via.n < strlen(expected) || memcmp(answer->via.at, expected, strlen(expected))) {
        return "another Via";
    }
    sprintf(expected, "%016llx%08x@sipload", (unsigned long long)scramble(~seq),
            (unsigned)run->salt);
    if (!is_text(answer->call_id, expected)) {
        return "another Call-ID";
    }
    sprintf(expected, "%lu %s", cseq_of(seq, attempt), METHODS[run->method]);
    if (!is_text(answer->cseq, expected)) {
        return "another CSeq";
    }
    sprintf(expected, ";tag=%016llx", (unsigned long long)scramble(seq));
    if (!find(answer->from, expected)) {
        return "another From tag";
    }
    snprintf(expected, sizeof expected, "sip:%s", who->aor);
    if (!find(answer->to, expected)) {
        return "another To";
    }
    return NULL;
}

enum sl_verdict sl_check_answer(struct sl_run *run, const char *buf, size_t n, uint64_t seq,
                                const struct sl_subscriber *who, unsigned *status,
                                const char **why)
{
    struct answer answer;
    char marked[40];
    read_answer(buf, n, who->contact, &answer);
    *status = (unsigned)strtoul((char[4]){buf[8], buf[9], buf[10], '\0'}, NULL, 10);
    sprintf(marked, "%016llx1", (unsigned long long)seq);
    unsigned attempt = find(answer.via, marked) ? 1 : 0;
    *why = identity_fault(run, &answer, seq, attempt, who);
    if (*why) {
        return SL_WRONG;
    }
    if (run->scenario == SL_ECHO) {
        return SL_RIGHT;
    }
    if (*status < 200) {
        return SL_PROVISIONAL;
    }
    if (!find(answer.to, ";tag=")) {
        *why = "no To tag";
        return SL_WRONG;
    }
    if (*status == 401 && run->scenario == SL_REGISTER && who->password[0] && attempt == 0
        && sl_read_challenge(&run->challenge, answer.challenge.at, answer.challenge.n) == 0) {
        return SL_CHALLENGED;
    }
    if (*status != wanted_status(run)) {
        *why = "another status";
        return SL_WRONG;
    }
    if (who->contact[0] ? !answer.has_contact : !answer.contacts) {
        *why = "not the Contact of this AoR";
        return SL_WRONG;
    }
    return SL_RIGHT;
}

size_t sl_build_callee_answer(const char *request, size_t n, char *out)
{
    const char *space = memchr(request, ' ', n);
    if (!space || memcmp(request, "ACK ", 4) == 0 || memcmp(request, "SIP/2.0", 7) == 0) {
        return 0;
    }
    struct text uri = {space + 1, 0};
    while (uri.at + uri.n < request + n && uri.at[uri.n] != ' ') {
        uri.n++;
    }
    struct text name, value;
    size_t at = first_line(request, n);
    int length = sprintf(out, "SIP/2.0 200 OK\r\n");
    while (at < n && next_header(request, n, &at, &name, &value)) {
        int is_to = is_named(name, "To", 't');
        if (is_to || is_named(name, "Via", 'v') || is_named(name, "From", 'f')
            || is_named(name, "Call-ID", 'i') || is_named(name, "CSeq", 0)
            || is_named(name, "Record-Route", 0)) {
            length += sprintf(out + length, "%.*s: %.*s%s\r\n", (int)name.n, name.at, (int)value.n,
                              value.at, is_to ? ";tag=callee" : "");
        }
    }
    length += sprintf(out + length, "Contact: <%.*s>\r\nContent-Length: 0\r\n\r\n", (int)uri.n, uri.at);
    return (size_t)length;
}
