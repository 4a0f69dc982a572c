/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes that every public declaration uses. Nothing here is called by hand. */
#ifndef ROVE_EXPORT_H
#define ROVE_EXPORT_H

#if defined(__GNUC__)
#define ROVE_API      __attribute__((visibility("default")))
#define ROVE_MUST_USE __attribute__((warn_unused_result))
#else
#define ROVE_API
#define ROVE_MUST_USE
#endif

#ifdef __cplusplus
#define ROVE_BEGIN_DECLS extern "C" {
#define ROVE_END_DECLS   }
#else
#define ROVE_BEGIN_DECLS
#define ROVE_END_DECLS
#endif

#endif
