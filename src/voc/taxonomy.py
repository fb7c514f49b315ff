"""The fixed words: signals, kinds of deviation and of source, with their definitions."""

from typing import Final

SENTIMENTS: Final = ("negative", "neutral", "positive")

SIGNALS: Final[dict[str, str]] = {
    "delay": "Something came, happened or was answered later than promised or expected.",
    "repeat_contact": "The customer had to contact, ask, send or do the same thing more than once.",
    "handoff_failure": "The customer was passed between people or teams, or what one side knew was lost.",
    "billing_error": "A wrong, double, hidden or disputed charge, or a refund that was not given.",
    "fulfilment_error": "The wrong, missing, damaged or undelivered item; an order carried out wrongly.",
    "outage_defect": "A product, app, site, network or device is down, slow or does not work.",
    "access_friction": "The customer can't log in, verify, reach a person, submit, cancel or self-serve.",
    "misinformation": "The customer was told something false, or a promise was broken, or terms were hidden.",
    "staff_conduct": "An employee was rude, dismissive, incompetent or unhelpful.",
    "fraud_security": "Unauthorised transactions, identity theft, hacked accounts, scams, theft.",
    "privacy": "Personal data leaked, shared, misused or asked for without need; unwanted contact.",
    "safety": "Injury, illness, fire, contamination, hazard or danger to people, or fear of it.",
    "legal_threat": "The customer mentions suing, a lawyer, police, a regulator or a breach of law.",
    "churn_intent": "The customer left, cancels, will leave or is moving to a competitor.",
    "escalation_request": "The customer asks for a supervisor, a formal complaint, or goes public.",
}

DEVIATION_KINDS: Final[dict[str, str]] = {
    "rework_loop": "A step is done again after other work, more often than the map allows.",
    "handoff_delay": "Work waits too long between one resource and the next.",
    "ping_pong": "Work goes back and forth between the same two resources.",
    "skipped_step": "A mandatory step did not happen although the case went on past it.",
    "wrong_order": "A step happened before one it must follow.",
    "sla_breach": "A step or the whole case took longer than its service level.",
    "stalled": "Nothing has happened for too long in a case that has not ended.",
}

SOURCE_KINDS: Final = ("survey", "transcript", "social", "review", "ticket", "email", "staff_note")

RATING_SCALES: Final[dict[str, tuple[float, float]]] = {
    "nps": (0, 10),
    "csat": (1, 5),
    "ces": (1, 7),
    "stars": (1, 5),
}
