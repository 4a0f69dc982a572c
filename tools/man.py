#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the man pages: those of the commands out of what `rove COMMAND --help` prints and the text
beside it in docs/man, those of the public headers out of their own comments. So neither can say
something else than the program and the headers do.

Usage: man.py command ROVE VERSION NAME TEXT PAGE   one command's page; NAME "rove" is the program's
       man.py header HEADER VERSION PAGE            a header's page
       man.py aliases HEADER FOLDER                 pages named after its functions, that refer to it
       man.py functions HEADER                      their names"""
import os
import re
import subprocess
import sys


# ---- roff ----


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\`")
    return re.sub(r"^([.'])", r"\\&\1", text)


def inline(text):
    """`literal` becomes bold; the rest is as it stands."""
    parts = text.split("`")
    return "".join(
        "\\fB%s\\fR" % escape(part) if i % 2 else escape_middle(part, i == 0)
        for i, part in enumerate(parts)
    )


def escape_middle(text, first):
    escaped = escape("x" + text)[1:]
    return "\\&" + escaped if first and escaped[:1] in (".", "'") else escaped


def literal(lines):
    yield ".PP"
    yield ".RS 4"
    yield ".nf"
    for line in lines:
        yield escape(line) or "\\&"
    yield ".fi"
    yield ".RE"


def paragraphs(text):
    """A small part of Markdown: headings, paragraphs, "- term: what it is" lists, and code that is
    indented by four blanks."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    code = []
    for block in blocks + [""]:
        if block.startswith("    "):
            code += ([""] if code else []) + [line[4:] for line in block.split("\n")]
            continue
        if code:
            yield from literal(code)
            code = []
        if block.startswith("# "):
            yield ".SH " + escape(block[2:].upper())
        elif block.startswith("- "):
            for item in re.split(r"\n- ", "\n" + block)[1:]:
                term, _, what = " ".join(item.split()).partition(": ")
                yield ".TP"
                yield inline(term)
                yield inline(what)
        elif block:
            yield ".PP"
            yield inline(" ".join(block.split()))


def title(name, section, version):
    return '.TH "%s" %s "" "rove %s" "Rove"' % (escape(name.upper()), section, version)


def write(path, lines):
    with open(path, "w", encoding="utf-8") as page:
        page.write("\n".join(lines) + "\n")


# ---- commands ----


class Help:
    """What `rove NAME --help` says, taken apart."""

    def __init__(self, rove, name):
        arguments = [rove] + ([] if name == "rove" else [name]) + ["--help"]
        text = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
        self.usage, _, rest = text.partition("\n\n")
        self.usage = self.usage[len("Usage: ") :]
        self.about, _, rest = rest.partition("\n\n")
        self.sections = []
        for block in rest.strip("\n").split("\n\n"):
            heading, _, body = block.partition(":\n")
            self.sections.append((heading, body) if body else (None, block))

    def rows(self, heading, indent="  "):
        """Two columns: (left, right), the right one joined where it goes on below."""
        rows = []
        for line in dict(self.sections).get(heading, "").split("\n"):
            match = re.match(indent + r"(\S.*?)(?:\s{2,}(\S.*))?$", line)
            if not line.startswith(indent + " ") and match:
                left, right = match.groups()
                if right is None and left.startswith("-") and left.count(" ") > 1:
                    option = re.match(r"(-\S+ \S+) (.*)", left)
                    left, right = option.groups()
                rows.append([left, right or ""])
            elif rows and line.strip():
                rows[-1][1] = (rows[-1][1] + " " + line.strip()).strip()
        return rows


def summary_of(rove, name):
    for left, right in Help(rove, "rove").rows("Commands"):
        if left == name:
            return right
    sys.exit("rove --help does not list %s" % name)


COMMON = """# Environment

- `ROVE_CONTROL`: the control socket to use when `--control` is not given.
- `XDG_RUNTIME_DIR`: without either of them the socket is `rove/control` in this folder.

# Files

- `/run/rove/control`: the control socket when nothing else says which."""

EXIT = """# Exit status

0 when it was done, 1 when it failed, 2 when it was called wrongly, 130 when it was interrupted. An
error is one sentence on standard error that says what to do."""


def options(help_text):
    yield ".SH OPTIONS"
    for left, right in help_text.rows("Options"):
        name, _, value = left.partition(" ")
        yield ".TP"
        yield "\\fB%s\\fR" % escape(name) + (" \\fI%s\\fR" % escape(value) if value else "")
        yield inline(right)


def limits(help_text):
    for heading, body in help_text.sections:
        if not heading or not heading.startswith("Limits"):
            continue
        yield ".SH LIMITS"
        yield inline(heading + ".")
        for line in body.split("\n"):
            name, preset, why = line.split(None, 2)
            yield ".TP"
            yield "\\fB%s\\fR (%s)" % (escape(name), escape(preset))
            yield inline(why)


def usage_lines(help_text):
    command, *rest = help_text.usage.split(" ")
    words = []
    for word in [command] + rest:
        plain = re.fullmatch(r"[a-z]+|-{1,2}[a-z-]+", word)
        words.append(("\\fB%s\\fR" if plain else "\\fI%s\\fR") % escape(word))
    yield " ".join(words)


def command_page(rove, version, name, text_file, page):
    program = name == "rove"
    help_text = Help(rove, name)
    with open(text_file, encoding="utf-8") as file:
        text = re.sub(r"<!--.*?-->\s*", "", file.read(), flags=re.S)
    description, _, rest = ("\n" + text).partition("\n# ")
    summary = "daemons that move live" if program else summary_of(rove, name)
    full = "rove" if program else "rove-" + name
    lines = [title(full, 1, version), ".SH NAME", "%s \\- %s" % (escape(full), inline(summary))]
    lines += [".SH SYNOPSIS"] + list(usage_lines(help_text))
    lines += [".SH DESCRIPTION"]
    lines += list(paragraphs(help_text.about)) + list(paragraphs(description))
    if program:
        lines.append(".SH COMMANDS")
        for left, right in help_text.rows("Commands"):
            lines += [".TP", "\\fBrove\\-%s\\fR(1)" % escape(left), inline(right)]
    else:
        lines += list(options(help_text)) + list(limits(help_text))
    if rest:
        lines += list(paragraphs("# " + rest))
    if "# Exit status" not in text:
        lines += list(paragraphs(EXIT))
    if program or any(left.startswith("--control") for left, _ in help_text.rows("Options")):
        lines += list(paragraphs(COMMON))
    see = ["rove_%s.h" % h for h in ("node", "runtime", "kind")] if program else ["rove"]
    lines += [".SH SEE ALSO", ", ".join("\\fB%s\\fR(%d)" % (s, 3 if program else 1) for s in see)]
    write(page, lines)


# ---- headers ----

SKIP = re.compile(
    r"^(#(ifndef|define) ROVE_[A-Z_]+_H$|#endif|#include|ROVE_(BEGIN|END)_DECLS|#if|#else|"
    r"__attribute__)"
)


def items(text):
    """Comments at the left edge, and the code that follows each: [(comment or None, [lines])]."""
    found, comment, code = [], None, []

    def close():
        nonlocal comment, code
        if comment is not None or code:
            found.append((comment, code))
        comment, code = None, []

    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("/*"):
            close()
            block = [line]
            while "*/" not in lines[at]:
                at += 1
                block.append(lines[at])
            comment = "\n".join(block)
        elif SKIP.match(line) or (not line.strip() and not inside(code)):
            if code and not inside(code):
                close()
        else:
            code.append(line)
        at += 1
    close()
    return found


def inside(code):
    """Within braces, or a macro that goes on."""
    text = "\n".join(code)
    return text.count("{") > text.count("}") or text.endswith("\\")


def comment_text(comment):
    body = re.sub(r"^/\*+|\*+/\s*$", "", comment)
    return "\n".join(re.sub(r"^ ?\* ?", "", line.strip(" ")) for line in body.split("\n")).strip()


def comment_blocks(text):
    """Paragraphs of a comment; lines of a list stay lists, drawings and tables stay as they are."""
    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        drawn = any(re.match(r"\s{3,}\S", line) for line in lines[1:])
        table = any(re.search(r"\S {3,}\S", line) for line in lines)
        if table or (drawn and not any(re.match(r"\s*- ", line) for line in lines)):
            yield from literal(lines)
            continue
        yield ".PP"
        for part in re.split(r"\n(?=\s*- )", block):
            words = " ".join(part.split())
            if words.startswith("- "):
                yield '.IP "\\(bu" 2'
                words = words[2:]
            yield escape_middle(words, True)


def rows_of_list(code):
    """A list that is a macro, one X(name, ..., "text") a row; nothing for other code."""
    if not re.match(r"#define ROVE_\w+_LIST\(X\)", code[0]):
        return
    for name, values, text in re.findall(
        r'X\((\w+), (.*?),\s*"(.*?)"\)', re.sub(r"\s*\\\n\s*", " ", "\n".join(code))
    ):
        values = [" ".join(v.split()) for v in values.split(", ")]
        yield ".TP"
        if name.isupper():
            yield "\\fBROVE_%s\\fR (%s)" % (escape(name), escape(", ".join(values)))
        else:
            yield "\\fB%s\\fR (%s; %s to %s)" % tuple(map(escape, [name] + values[1:4]))
        yield inline(text)


def clean(code):
    text = "\n".join(code)
    text = re.sub(r"\b(ROVE_API|ROVE_MUST_USE)\s+", "", text)
    text = re.sub(r"^(static inline[^{;]*?)\s*\n\{.*?^\}", r"\1;", text, flags=re.M | re.S)
    return text.rstrip().split("\n")


def functions(text):
    plain = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    exported = re.findall(r"ROVE_API[^;{]*?\b(rove_\w+)\s*\(", plain)
    inlined = re.findall(r"^static inline[^;{]*?\b(rove_\w+)\(", plain, flags=re.M)
    return sorted(set(exported + inlined))


def header_page(header, version, page):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    name = "rove_" + os.path.basename(header)
    parts = items(text)
    intro = re.sub(r"^SPDX-License-Identifier:.*\n\s*", "", comment_text(parts[0][0]))
    first = re.split(r"(?<=[.;])\s", " ".join(intro.split()))[0].rstrip(".;")
    names = functions(text)
    lines = [title(name, 3, version), ".SH NAME"]
    lines.append("%s \\- %s" % (", ".join(escape(n) for n in [name] + names), inline(first)))
    lines += [".SH SYNOPSIS", ".nf"]
    lines.append("\\fB#include <rove/%s>\\fR" % escape(os.path.basename(header)))
    lines += ["", escape("cc ... $(pkg-config --cflags --libs rove)"), ".fi"]
    lines += [".SH DESCRIPTION"] + list(comment_blocks(intro))
    section = False
    for comment, code in [(None, parts[0][1])] + parts[1:]:
        text = comment_text(comment) if comment else ""
        heading = re.match(r"-{3,} (.*?) -{3,}\s*", text)
        if heading:
            lines.append(".SH " + escape(heading.group(1).upper()))
            text = text[heading.end() :]
        elif code and not section:
            lines.append(".SH DECLARATIONS")
        section = section or bool(heading or code)
        if code:
            lines += list(rows_of_list(code)) or list(literal(clean(code)))
        if text:
            lines += list(comment_blocks(text))
    lines += [".SH SEE ALSO", "\\fBrove\\fR(1)"]
    write(page, lines)


def alias_pages(header, folder):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    for name in functions(text):
        target = "man3/rove_%s.3" % os.path.basename(header)
        write(os.path.join(folder, name + ".3"), [".so " + target])


def main():
    what, *rest = sys.argv[1:]
    if what == "command":
        command_page(*rest)
    elif what == "header":
        header_page(*rest)
    elif what == "aliases":
        alias_pages(*rest)
    elif what == "functions":
        with open(rest[0], encoding="utf-8") as file:
            print("\n".join(functions(file.read())))
    else:
        sys.exit(__doc__)


main()
