/* sipload: SIP load over UDP with every answer checked. Linux, C99 with GNU sockets.
 *
 * sipload.c   options, the AoR file, sockets
 * load.c      the send and receive loop
 * report.c    latencies, processor time of the target, the report
 * exchange.c  one request and its answer: building, checking, the answering end of a proxied call
 * digest.c    MD5 and the Authorization of a REGISTER (RFC 2617, qop absent or auth)
 *
 * An exchange is named by its sequence number, from which its branch, Call-ID, CSeq and From tag
 * follow: nothing but the number, the AoR and the time is kept for what is under way.
 */
#ifndef SIPLOAD_H
#define SIPLOAD_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define SL_DATAGRAM 4096 /* octets of the largest request or answer */

/* SL_ECHO: the request itself must come back, the limit of what the machine can do */
enum sl_scenario { SL_REDIRECT, SL_PROXY, SL_REGISTER, SL_ECHO };
enum sl_method { SL_OPTIONS, SL_INVITE, SL_MESSAGE, SL_METHOD_REGISTER };

/* one line of the AoR file: aor[,contact[,password]]; absent parts are empty strings */
struct sl_subscriber {
    const char *aor;
    const char *contact;
    const char *password;
};

/* the last challenge a registrar sent; every registration until the next one answers it */
struct sl_challenge {
    char realm[128];
    char nonce[256];
    char opaque[128];
    int has_qop;
    uint32_t count; /* nonce count: requests that used this nonce */
};

/* what all exchanges of a run have in common */
struct sl_run {
    enum sl_scenario scenario;
    enum sl_method method;
    struct sockaddr_in target;
    char local[32];    /* host:port of our socket, for Via and Contact */
    uint32_t salt;     /* keeps answers to an earlier run from counting */
    uint32_t expires_s; /* of a REGISTER */
    struct sl_challenge challenge;
};

enum sl_verdict {
    SL_RIGHT,
    SL_PROVISIONAL, /* 1xx: the exchange goes on */
    SL_CHALLENGED,  /* 401: the exchange goes on with an answer to the challenge */
    SL_WRONG,       /* an answer to this exchange that it must not get */
    SL_FOREIGN      /* no answer to an exchange of this run */
};

/* Write the request of exchange `seq` for `who`; returns its length. `attempt` 1 answers a challenge. */
size_t sl_build_request(struct sl_run *run, char *out, uint64_t seq, unsigned attempt,
                        const struct sl_subscriber *who);

/* Write the ACK that an INVITE answered with `status` by answer[0..n) asks for, its To the answer's
 * (RFC 3261 17.1.1.3); returns its length. */
size_t sl_build_ack(const struct sl_run *run, char *out, uint64_t seq, unsigned status,
                    const struct sl_subscriber *who, const char *answer, size_t n);

/* The exchange that the answer names by its branch: 0 with *seq set, or -1 when it is not ours. */
int sl_find_exchange(const struct sl_run *run, const char *answer, size_t n, uint64_t *seq);

/* Judge one answer to exchange `seq`; `why` then names what is wrong, *status the SIP status. */
enum sl_verdict sl_check_answer(struct sl_run *run, const char *answer, size_t n, uint64_t seq,
                                const struct sl_subscriber *who, unsigned *status,
                                const char **why);

/* Write the 200 with which a called phone answers `request`; returns its length, 0 for an ACK. */
size_t sl_build_callee_answer(const char *request, size_t n, char *out);

/* Keep the challenge of a 401's WWW-Authenticate value; 0, or -1 when it is not Digest MD5. */
int sl_read_challenge(struct sl_challenge *challenge, const char *value, size_t n);

/* Write the Authorization header line that answers the challenge; returns its length. */
size_t sl_build_authorization(struct sl_challenge *challenge, char *out, const char *user,
                              size_t user_length, const char *password, const char *uri);

#endif
