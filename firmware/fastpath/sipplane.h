/* sipplane: SIP datagrams of one UDP socket in batches, answered without Python. Linux only.
 *
 * Built into a library of its own (build/libsipplane.so) from dataplane_linux.c and the portable
 * files. Codes and conventions are those of sipfast.h.
 */
#ifndef SIPPLANE_H
#define SIPPLANE_H

#include "sipfast.h"

/* Datagrams of one batch, and batches of one turn at most. */
#define SP_BATCH 64U
#define SP_BATCHES 4U

/* report[0..SP_REPORT), of the whole turn; then SP_ITEM numbers for each datagram of the last batch
 * that Python must see, in the order they came:
 *
 *      0 items              1 requests answered or absorbed    2 answers given to the kernel
 *      3 redirects (302)    4 errors (404, 480)                5 OPTIONS about us (200)
 *      6 ACKs absorbed      7 malformed relay headers          8 answers the kernel refused
 *
 *      item: kind SP_HANDED or SP_INVITE | offset in the plane's memory | length
 *            | peer: IPv4 as a number, port | where it came from: IPv4 as a number, port
 *
 * SP_HANDED: the SIP octets, not answered. SP_INVITE: the via-parm of an INVITE that was answered,
 * for the memory of CANCEL. On a plain socket the peer is where it came from.
 */
#define SP_REPORT 9U
#define SP_ITEM 7U
#define SP_REPORT_ITEMS (SP_REPORT + SP_BATCH * SP_ITEM)
#define SP_HANDED 1U
#define SP_INVITE 2U

/* Octets of a plane's memory. */
int32_t sp_size(void);

/* Take what waits on the socket `fd`, at most SP_BATCHES batches: answer the plain cases from
 * config and mem (sf_answer), and stop at the first batch of which Python must see something.
 *
 * relay_port: 0 for plain SIP; else datagrams carry the relay header of
 * firmware/switching/encapsulation.py both ways, with this VIP port in the answers. sources: of
 * whom relayed datagrams are answered, source_count times IPv4 and port (6 octets, network order);
 * those of others are handed over. hand_all: not 0 hands every datagram over. plane: sp_size() octets, zeroed once, 16-aligned, whose content must
 * stay until Python has seen the items. Never waits. Returns the number of items; BAD_ARGUMENT. */
int32_t sp_turn(uint32_t fd, uint32_t relay_port, const uint8_t *config, uint32_t config_length,
                const void *mem, uint32_t size, const uint8_t *sources, uint32_t source_count,
                uint32_t now_s, uint32_t hand_all, void *plane, uint32_t *report);

#endif
