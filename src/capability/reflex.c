/* SPDX-License-Identifier: Apache-2.0
 *
 * Socket addresses as text. */
#include <capability/reflex.h>
#include <string.h>

typedef struct scan {
    const char *at, *end;
} scan;

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* One to `digits` digits, a value of at most `most`. */
static bool take_number(scan *s, int base, int digits, uint64_t most, bool zeros, uint64_t *ret)
{
    uint64_t v = 0;
    int n = 0;
    const char *from = s->at;
    for (; s->at < s->end && digit_of(*s->at) < base; s->at++, n++) {
        v = v * (uint64_t)base + (uint64_t)digit_of(*s->at);
        if (v > most || n >= digits)
            return false;
    }
    if (!n || (!zeros && n > 1 && *from == '0'))
        return false;
    *ret = v;
    return true;
}

static bool take_char(scan *s, char c)
{
    if (s->at >= s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool take_ipv4(scan *s, uint8_t ret[4])
{
    scan at = *s;
    for (int i = 0; i < 4; i++) {
        uint64_t v;
        if ((i && !take_char(&at, '.')) || !take_number(&at, 10, 3, 255, false, &v))
            return false;
        ret[i] = (uint8_t)v;
    }
    *s = at;
    return true;
}

/* Groups up to `limit`; an IPv4 address may stand for the last two. */
static int take_groups(scan *s, uint16_t *ret, int limit, bool *ret_ipv4)
{
    *ret_ipv4 = false;
    for (int i = 0; i < limit; i++) {
        scan at = *s;
        if (i && !take_char(&at, ':'))
            return i;
        uint8_t v4[4];
        if (i < limit - 1 && take_ipv4(&at, v4)) {
            *s = at;
            ret[i] = (uint16_t)(v4[0] << 8 | v4[1]);
            ret[i + 1] = (uint16_t)(v4[2] << 8 | v4[3]);
            *ret_ipv4 = true;
            return i + 2;
        }
        uint64_t v;
        if (!take_number(&at, 16, 4, 0xFFFF, true, &v))
            return i;
        ret[i] = (uint16_t)v;
        *s = at;
    }
    return limit;
}

static bool take_ipv6(scan *s, uint16_t ret[8])
{
    bool ipv4;
    memset(ret, 0, 8 * sizeof *ret);
    int head = take_groups(s, ret, 8, &ipv4);
    if (head == 8)
        return true;
    if (ipv4 || !take_char(s, ':') || !take_char(s, ':'))
        return false;
    uint16_t tail[7] = {0};
    int count = take_groups(s, tail, 8 - (head + 1), &ipv4);
    memcpy(ret + 8 - count, tail, (size_t)count * sizeof *tail);
    return true;
}

/* ---- writing ---- */

static char *put_number(char *at, uint64_t v, unsigned base)
{
    char text[20];
    size_t n = sizeof text;
    do
        text[--n] = "0123456789abcdef"[v % base];
    while (v /= base);
    memcpy(at, text + n, sizeof text - n);
    return at + sizeof text - n;
}

static char *put_ipv4(char *at, const uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        if (i)
            *at++ = '.';
        at = put_number(at, ip[i], 10);
    }
    return at;
}

static char *put_groups(char *at, const uint16_t *g, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (i > from)
            *at++ = ':';
        at = put_number(at, g[i], 16);
    }
    return at;
}

static char *put_ipv6(char *at, const uint16_t g[8])
{
    static const uint16_t mapped[6] = {0, 0, 0, 0, 0, 0xFFFF};
    if (memcmp(g, mapped, sizeof mapped) == 0) {
        memcpy(at, "::ffff:", 7); /* NOLINT(bugprone-not-null-terminated-result): text goes on */
        return put_ipv4(at + 7, (uint8_t[]){(uint8_t)(g[6] >> 8), (uint8_t)g[6],
                                            (uint8_t)(g[7] >> 8), (uint8_t)g[7]});
    }
    int best = 0, longest = 0; /* the first of the longest runs of zeros */
    for (int i = 0; i < 8;) {
        int n = 0;
        while (i + n < 8 && !g[i + n])
            n++;
        if (n > longest) {
            best = i;
            longest = n;
        }
        i += n ? n : 1;
    }
    if (longest < 2)
        return put_groups(at, g, 0, 8);
    at = put_groups(at, g, 0, best);
    *at++ = ':';
    *at++ = ':';
    return put_groups(at, g, best + longest, 8);
}

size_t rovei_reflex_canonical(char ret[ROVEI_REFLEX_ROOM], rove_span text)
{
    scan s = {text.data, (const char *)text.data + text.size};
    uint64_t port, scope = 0;
    char *at = ret;
    uint8_t v4[4];
    uint16_t v6[8];
    if (take_ipv4(&s, v4)) {
        at = put_ipv4(at, v4);
    } else {
        if (!take_char(&s, '[') || !take_ipv6(&s, v6))
            return 0;
        if (take_char(&s, '%') && !take_number(&s, 10, 4096, UINT32_MAX, true, &scope))
            return 0;
        if (!take_char(&s, ']'))
            return 0;
        *at++ = '[';
        at = put_ipv6(at, v6);
        if (scope) {
            *at++ = '%';
            at = put_number(at, scope, 10);
        }
        *at++ = ']';
    }
    if (!take_char(&s, ':') || !take_number(&s, 10, 4096, 65535, true, &port) || s.at != s.end)
        return 0;
    *at++ = ':';
    at = put_number(at, port, 10);
    return (size_t)(at - ret);
}
