"""Language: told where it can be, not guessed where it can't."""

import pytest

from voc.language import LanguageDetector, whole_characters


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


@pytest.mark.parametrize(
    "text",
    [
        "My refund never came",
        "wont load",
        "ok",
        "Thanks!",
        "horrible",
        "refund plz",
        "Han",
        "gr8 servis guys",
    ],
)
def test_short_and_misspelled_english_is_english(detector, text):
    assert detector.detect(text).code == "en"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Das Paket ist kaputt angekommen", "de"),
        ("la comida estaba fria", "es"),
        ("Je n'ai jamais reçu mon colis", "fr"),
        ("Где мой заказ?", "ru"),
        ("荷物が届きません", "ja"),
    ],
)
def test_other_languages_are_told(detector, text, code):
    assert detector.detect(text).code == code


@pytest.mark.parametrize("text", ["", "639431", "https://example.com/x", "@someone", "!!!", "😡"])
def test_what_holds_no_words_has_no_language(detector, text):
    assert detector.detect(text).code is None


def test_half_an_emoji_does_not_hinder_and_is_replaced_one_for_one(detector):
    text = "My refund never came \ud83d and nobody answers \ude21"

    assert detector.detect(text).code == "en"
    assert whole_characters(text) == "My refund never came \ufffd and nobody answers \ufffd"
    assert whole_characters("whole \U0001f621") == "whole \U0001f621"
