"""Encoding is mended; words never change."""

import ftfy
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.ingest.encoding import decode_line, mend, sniff_encoding

# Letters as people write them in support messages, beyond ASCII in several scripts.
WORDS = (
    *("Straße", "größer", "Ärger", "français", "déjà", "où", "señor", "mañana", "São", "não", "più", "città"),
    *("naïve", "Zürich", "Łódź", "żółty", "Привет", "возврат", "заказ", "你好", "退款", "注文", "こんにちは"),
    *("“quoted”", "it’s", "—", "…", "€20", "£5", "😀", "👍🏽", "مرحبا", "नमस्ते", "&amp;", "ok", "not", "12"),
)
clean = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(clean)
def test_clean_text_is_never_changed(text):
    assert mend(text) == text


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_is_never_changed(text):
    assert mend(text) == text


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_mending_takes_any_text_and_gives_text_that_can_be_stored(text):
    mend(text).encode("utf-8")


def test_utf8_read_as_windows_1252_is_mended():
    for text in ("Straße größer", "it’s déjà vu", "the café’s wi-fi", "£5 – €20"):
        assert mend(text.encode("utf-8").decode("cp1252", "replace")) == text


def test_spaces_quotes_entities_and_letter_forms_stay():
    text = "  It’s  “fine” &amp; ﬁne, cafe\u0301 \t"

    assert mend(text) == text


def test_half_an_emoji_becomes_a_replacement_sign_and_a_whole_one_stays():
    assert mend("good \ud83d") == "good \ufffd"
    assert mend("good \ud83d\ude00") == "good 😀"


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_utf8_lines_are_read_as_utf8(text):
    assert decode_line(text.encode("utf-8")) == (text, True)


@settings(deadline=None, max_examples=60)
@given(st.binary())
def test_any_bytes_decode(line):
    assert isinstance(decode_line(line)[0], str)


def test_a_line_that_is_not_utf8_is_read_as_windows_1252():
    assert decode_line("Größe €5".encode("cp1252")) == ("Größe €5", False)


def test_utf16_is_told_by_its_mark_or_its_nuls():
    text = "id,text\n1,hello there\n"

    assert sniff_encoding(text.encode("utf-16")) == "utf-16"
    assert sniff_encoding(text.encode("utf-16-le")) == "utf-16-le"
    assert sniff_encoding(text.encode("utf-16-be")) == "utf-16-be"
    assert sniff_encoding(text.encode("utf-8")) == "utf-8"
    assert sniff_encoding(text.encode("utf-8-sig")) == "utf-8-sig"


@settings(deadline=None, max_examples=60)
@given(clean)
def test_texts_that_mending_passes_over_would_not_have_been_changed(text):
    """The quick check before ftfy must never hide damage."""
    for encoding in ("cp1252", "latin-1", "mac_roman", "cp437", "cp1251"):
        damaged = text.encode("utf-8").decode(encoding, "replace")
        assert mend(damaged) == ftfy.fix_encoding(damaged)
