/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal numbers without the C library, whose own depend on the locale. Up to 15 digits and a
 * power of ten up to 22, which is all that tags carry, are exact; beyond that the last bit may
 * differ. */
#include <capability/look.h>

static double scaled(double value, int power)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool down = power < 0;
    for (int left = down ? -power : power; left > 0;) {
        int step = left < 22 ? left : 22;
        value = down ? value / tens[step] : value * tens[step];
        left -= step;
    }
    return value;
}

typedef struct digits {
    uint64_t value;
    int power; /* of ten, that the value is to be multiplied with */
    bool any;
} digits;

static size_t read_digits(const char *at, size_t i, size_t size, bool fraction, digits *d)
{
    for (; i < size && at[i] >= '0' && at[i] <= '9'; i++) {
        d->any = true;
        if (d->value > (UINT64_MAX - 9) / 10) {
            d->power += fraction ? 0 : 1; /* further digits do not count */
            continue;
        }
        d->value = d->value * 10 + (uint64_t)(at[i] - '0');
        d->power -= fraction ? 1 : 0;
    }
    return i;
}

bool rovei_decimal(rove_span text, double *ret)
{
    const char *at = text.data;
    size_t i = 0, size = text.size;
    digits d = {.any = false};
    if (size > 1024)
        return false;
    bool minus = size && at[0] == '-';
    if (size && (at[0] == '-' || at[0] == '+'))
        i++;
    i = read_digits(at, i, size, false, &d);
    if (i < size && at[i] == '.')
        i = read_digits(at, i + 1, size, true, &d);
    if (!d.any)
        return false;
    if (i < size && (at[i] == 'e' || at[i] == 'E')) {
        bool down = i + 1 < size && at[i + 1] == '-';
        i += i + 1 < size && (at[i + 1] == '-' || at[i + 1] == '+') ? 2 : 1;
        int power = 0;
        size_t begin = i;
        for (; i < size && at[i] >= '0' && at[i] <= '9'; i++)
            power = power < 10000 ? power * 10 + (at[i] - '0') : power;
        if (i == begin)
            return false;
        d.power += down ? -power : power;
    }
    if (i != size)
        return false;
    double value = d.value ? scaled((double)d.value, d.power) : 0;
    *ret = minus ? -value : value;
    return true;
}
