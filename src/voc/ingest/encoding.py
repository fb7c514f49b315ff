"""Bytes to text, and text that was damaged on its way mended: encoding alone, never the words."""

import codecs
import re

import ftfy

# Quotes, dashes, currency signs and emoji alone are no damage: what was read in a wrong encoding always
# shows letters or box signs too. Looking for those first spares most texts ftfy's costly patterns.
_SUSPECT = re.compile("[^\x00-\x7f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\ufe0f\U0001f300-\U0001faff]")
_MARKS = (  # the longest first: UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def sniff_encoding(head: bytes) -> str:
    """Tell the encoding from a file's first bytes: its mark, the NULs of UTF-16, else UTF-8."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    even, odd = head[0:1000:2], head[1:1000:2]
    if len(even) > 4:
        # ASCII signs in UTF-16 have a NUL on one side; real NULs in UTF-8 text are far rarer.
        if odd.count(0) * 2 > len(odd) and even.count(0) * 10 < len(even):
            return "utf-16-le"
        if even.count(0) * 2 > len(even) and odd.count(0) * 10 < len(odd):
            return "utf-16-be"
    return "utf-8"


def decode_line(line: bytes) -> tuple[str, bool]:
    """Decode one line as UTF-8, else Windows-1252, else Latin-1, which takes any byte.

    Line by line, since exports put together from several sources change encoding half-way. Text in
    Windows-1252 with letters beyond ASCII is next to never valid UTF-8, so no line is mistaken.

    Returns
    -------
    the text; whether it was UTF-8
    """
    try:
        return line.decode("utf-8"), True
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252"), False
    except UnicodeDecodeError:
        return line.decode("latin-1"), False


def mend(text: str) -> str:
    """Undo mojibake (UTF-8 once read as another encoding) and replace half characters by U+FFFD.

    Nothing else changes: no quotes straightened, no entities unescaped, no spaces trimmed, no
    letters composed. Text without signs of damage comes back as it is.

    Source: ftfy.fix_encoding (Speer, doi:10.5281/zenodo.2591652).
    """
    if text.isascii() or not _SUSPECT.search(text):
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates: emoji cut in half by a limit on length
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    mended: str = ftfy.fix_encoding(text)
    return mended
