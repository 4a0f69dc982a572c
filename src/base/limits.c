/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of limits: defaults, parsing, and how the values must fit together. */
#include <rove/limits.h>
#include <stddef.h>
#include <string.h>

struct row {
    rove_limit_info info;
    size_t offset; /* of the value in rove_limits */
};

#define UNIT_T 'T'
#define UNIT_B 'B'
#define UNIT_N 'N'

static const struct row rows[] = {
#define ROW(name, unit, preset, least, most, why)                                                  \
    {{#name, UNIT_##unit, (preset), (least), (most), why}, offsetof(rove_limits, name)},
    ROVE_LIMIT_LIST(ROW)
#undef ROW
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static uint64_t value_of(const rove_limits *limits, const struct row *row)
{
    uint64_t v;
    memcpy(&v, (const char *)limits + row->offset, sizeof v);
    return v;
}

void rove_limits_init(rove_limits *limits)
{
    *limits = (rove_limits){.struct_version = ROVE_LIMITS_VERSION};
#define PRESET(name, unit, preset, least, most, why) limits->name = (preset);
    ROVE_LIMIT_LIST(PRESET)
#undef PRESET
}

/* Decimal digits at *text; false without any or above 64 bits. */
static bool parse_digits(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t v = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (p == *text)
        return false;
    *text = p;
    *ret = v;
    return true;
}

/* Seconds with up to nine decimals. */
static bool parse_time(const char *text, uint64_t *ret)
{
    uint64_t seconds, nanos = 0;
    if (!parse_digits(&text, &seconds))
        return false;
    if (*text == '.') {
        text++;
        uint64_t unit = ROVE_SECOND / 10;
        for (; *text >= '0' && *text <= '9' && unit; text++, unit /= 10)
            nanos += (uint64_t)(*text - '0') * unit;
    }
    if (*text || seconds > (UINT64_MAX - nanos) / ROVE_SECOND)
        return false;
    *ret = seconds * ROVE_SECOND + nanos;
    return true;
}

static bool parse_number(const char *text, uint64_t *ret)
{
    uint64_t v;
    if (!parse_digits(&text, &v))
        return false;
    unsigned shift = 0;
    if (*text) {
        const char *suffixes = "KMG";
        const char *at = strchr(suffixes, *text);
        if (!at || text[1])
            return false;
        shift = 10 * (unsigned)(at - suffixes + 1);
    }
    if (v > UINT64_MAX >> shift)
        return false;
    *ret = v << shift;
    return true;
}

rove_err rove_limits_set(rove_limits *limits, const char *name, const char *value)
{
    if (!limits || !name || !value)
        return ROVE_E_USAGE;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const rove_limit_info *info = &rows[i].info;
        if (strcmp(info->name, name) != 0)
            continue;
        uint64_t v = 0;
        if (!(info->unit == 'T' ? parse_time(value, &v) : parse_number(value, &v)))
            return ROVE_E_USAGE;
        if (v < info->least || v > info->most)
            return ROVE_E_BOUND;
        memcpy((char *)limits + rows[i].offset, &v, sizeof v);
        return ROVE_OK;
    }
    return ROVE_E_NOT_FOUND;
}

/* The rule that one limit breaks against another, or NULL when all fit together; the limit itself
 * in *ret_name. Sums cannot overflow: each value is within its own bounds by now. */
static const char *misfit(const rove_limits *l, const char **ret_name)
{
    const struct {
        bool good;
        const char *name, *rule;
    } rules[] = {
        {l->rekey_time < l->reject_time, "reject_time", "must be above rekey_time"},
        {l->rekey_packets < l->reject_packets, "reject_packets", "must be above rekey_packets"},
        {l->heartbeat < l->suspect_after, "suspect_after", "must be above heartbeat"},
        {l->suspect_after < l->fail_after, "fail_after", "must be above suspect_after"},
        {l->fail_after < l->move_stall, "move_stall", "must be above fail_after"},
        {l->net_heartbeat < l->net_suspect, "net_suspect", "must be above net_heartbeat"},
        {l->net_suspect < l->net_fail, "net_fail", "must be above net_suspect"},
        {l->net_fail < l->net_move_stall, "net_move_stall", "must be above net_fail"},
        {l->send_giveup + 2 * l->reject_time < l->lane_expiry, "lane_expiry",
         "must be above send_giveup and twice reject_time together"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!rules[i].good) {
            *ret_name = rules[i].name;
            return rules[i].rule;
        }
    return NULL;
}

rove_err rove_limits_check(const rove_limits *limits, const char **ret_name, const char **ret_rule)
{
    if (!limits)
        return ROVE_E_USAGE;
    if (limits->struct_version != ROVE_LIMITS_VERSION)
        return ROVE_E_STRUCT_VERSION;
    const char *name = NULL, *rule = "is out of its bounds";
    for (size_t i = 0; i < ROW_COUNT && !name; i++) {
        uint64_t v = value_of(limits, &rows[i]);
        if (v < rows[i].info.least || v > rows[i].info.most)
            name = rows[i].info.name;
    }
    if (!name)
        rule = misfit(limits, &name);
    if (!name)
        return ROVE_OK;
    if (ret_name)
        *ret_name = name;
    if (ret_rule)
        *ret_rule = rule;
    return ROVE_E_BOUND;
}

bool rove_limits_info(size_t index, rove_limit_info *ret)
{
    if (index >= ROW_COUNT || !ret)
        return false;
    *ret = rows[index].info;
    return true;
}
