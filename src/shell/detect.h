/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine can do, as the system shows it. */
#ifndef ROVEI_SHELL_DETECT_H
#define ROVEI_SHELL_DETECT_H

#include <capability/set.h>

/* Adds tags for processors, memory, the disk of the present folder, the system and the GPUs that
 * it shows. What cannot be found out is left out, and so is what the set says already. Errors of
 * rovei_caps_add. Blocking: for file access. */
ROVE_MUST_USE rove_err rovei_detect(rovei_caps_draft *d);

/* The parts, with the folders to look into, for tests. */
ROVE_MUST_USE rove_err rovei_detect_gpus(rovei_caps_draft *d, const char *drm);
ROVE_MUST_USE rove_err rovei_detect_processors(rovei_caps_draft *d, const char *cpus);
ROVE_MUST_USE rove_err rovei_detect_system(rovei_caps_draft *d, const char *os_release);

#endif
