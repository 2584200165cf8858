"""How documentation, changelogs, source code and tests word an error that they only speak of."""

from __future__ import annotations

import re


def _any(*alternatives: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), flags)


# ---- at the start of a line
_MARGIN = r"(?:\d{1,6}\s{1,8}|-?>\s|\+\s)?"
CODE = _any(
    rf"{_MARGIN}(?:raise|assert|except|elif|if|return|print|def|class|throw|echo|grep|case|expect)\b",
    rf"{_MARGIN}(?:v?[fs]?n?printf|perror|f?puts|console\.\w+|fmt\.\w+|panic!?)\s?\(",
    rf"{_MARGIN}(?:std::c(?:err|out)\s?<<|throw new\s)",
    rf"{_MARGIN}(?:log(?:ger|ging)?\.\w+|warnings\.warn|with (?:torch|pytest|open|self)|@pytest|die)\b",
    flags=0,
)
COMMENT = _any(r"#{1,6}\s(?!\d)", r"//", r"/\*", r"<!--", '"""', ";;", r"\.\.\s")
BULLET = _any(r"[-*+\u2022]\s", r"\d{1,2}[.)]\s")
QUESTION = _any(r"(?:[-*#>\s]{0,6}|Q\d{0,3}[:.]\s)(?:why|how|what|does|do|is|are|can|should|which)\b.{0,300}\?\s*$")
DOCUMENTING = _any(
    r"#{1,6}\s.*\b(?:troubleshoot\w*|faq|change ?log|release notes)\b",
    r"#{1,6}\s.*\b(?:common|known|typical) \w+",
)
CHANGE = _any(
    r"(?:[-*+\u2022]\s)?(?:[0-9a-f]{7,40}\s)?(?:\(.{1,80}\)\s)?(?:\[[^\]]{1,40}\]\s?)?(?:[\w/.()-]{1,40}:\s)?"
    r"(?:fix|fixe[sd]|add|adds|added|handles?|handled|improved?|improves|support|supports|revert|merge|resolves?|resolved|"
    r"close[sd]?|document|documents|test|tests|bug ?fix|feat|docs?|chore|catch|retry on|better|clearer|suppress|"
    r"deprecate|remove|workaround)(?:\([^)]{1,40}\))?:?\s(?!to\b)"
)

# ---- before the error, on its line
_EXPECTED = (
    r"(?:avoid|prevent|fix|handle|trigger|cause|see|get|hit|encounter|raise|throw|catch|reproduce|result in|indicate|"
    r"fail with|work around|show|look for|mean|be seen as|appear as|report|recover from)"
)
SPEAKING = _any(
    r"\b(?:if|when|whenever|in case|unless|should)\s(?:you|your|users?|there|it|this|an?|the|any)\b",
    rf"\b(?:can|could|may|might|will|would|should|often|sometimes|usually|you|you'll)\s{_EXPECTED}\b",
    r"(?<!failed )(?<!unable )(?<!error )\bto\s(?:avoid|prevent|fix|handle|reproduce|work around|recover from|debug)\b",
    r"\b(?:such as|e\.g\.|for example|for instance|similar to|errors? like|messages? like|known as|means|stands for)\b",
    r"\b(?:refers to|symptoms?|troubleshoot\w*|common (?:errors?|causes?|problems?|issues?)|avoid(?:s|ing)?)\b",
    r"\b(?:prevent(?:s|ing)?|handling of|workaround for|support for|answers? (?:to|for)|how to|the dreaded)\b",
    r"\b(?:function|call|API|it) returns\b",
)
COMPARED = _any(r"(?:match\s?=|\bin|==|!=|contains\(|includes\(|startswith\()\s?[rf]?[\"']\S{0,40}\s?$")
TEST = _any(r"\.py::\w[^\n]*$")
QUOTES = ('"', "\u201c", "\u201e")

# ---- behind the error
DESCRIBED = _any(
    r"[\"'`*)\]\u201d]{0,4}\s{0,2}(?:(?:errors?|exceptions?|failures?|messages?|warnings?|issues?|problems?|faults?)\s)?"
    r"(?:means|indicates?|usually|typically|often|occurs?|happens?|appears?|can (?:be|also|happen|occur)|"
    r"(?:may|might) (?:be|happen|occur|appear)|(?:is|are) (?:an?|usually|often|typically|caused|raised|error \d{1,4})|"
    r"(?:when|if|unless) (?:the|you|your|an?|there|it|this|/\w+))\b"
)
DEFINED = _any(r"[\"'`*_)\]]{0,4}[^.\n]{0,40}?(?::|\s-|\u2014|\u2013|->|\u2192|=>)\s+[\"'`*]{0,2}[a-z]")
QUOTED = _any(r"[\"\u201d]\s+[a-z]+\s+[a-z]+(?![^\n]{0,30}=)")

# ---- on the lines before
INTRODUCTION = _any(
    r"\b(?:if|when|in case) (?:you|your)\b",
    r"\byou (?:may|might|can|could|will|would|should) \w",
    r"\b(?:errors?|messages?|problems?|issues?|output|something) (?:like|such as|similar to)\b",
    r"\bfor example\b|\be\.g\.",
    r"\b(?:common|known|typical|frequent) (?:errors?|messages?|problems?|issues?|symptoms?)\b",
)
REPORTED = _any(r"\b(?:I|we)\b.{0,30}\b(?:get|got|getting|see|saw|seeing|received?|receiving|hit|face|facing)\b")
FAILING = _any("error", "fail", "warn", "exception", "traceback", "cannot", "fatal")

WORD = _any(r"[a-z]{3,}")
EMPHASIS = _any(r"[*`_\"]{1,3}")
