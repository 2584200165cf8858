"""Whether a text reports an error or only speaks of one: documentation, changelogs, source code, comments.

Careful in one direction: what a program printed must never be taken for prose, so only what stands before the
error on its line, or introduces the block it stands in, is judged.
"""

from __future__ import annotations

import re

from envcheck.explain.view import Found, View

CODE = re.compile(
    r"(?:\d{1,6}\s{1,8}|-?>\s|\+\s)?(?:raise|assert|except|elif|if|return|print|def|class|throw|echo|grep|case|expect|"
    r"log(?:ger|ging)?\.\w+|warnings\.warn|with (?:torch|pytest|open|self)|@pytest|TORCH_CHECK|fmt\.|die)\b",
)
COMPARED = re.compile(r"(?:match\s?=|\bin|==|!=|contains\(|includes\(|startswith\()\s?[rf]?[\"']\S{0,40}\s?$", re.IGNORECASE)
COMMENT = re.compile(r"(?:#{1,6}\s(?!\d)|//|/\*|<!--|\"\"\"|;;|\.\.\s)")
TABLE = re.compile(r"\|.{1,400}\|.{1,400}\|\s*$")
BULLET = re.compile(r"(?:[-*+\u2022]|\d{1,2}[.)])\s")
SPEAKING = re.compile(
    r"\b(?:if|when|whenever|in case|unless|should)\s(?:you|your|users?|there|it|this|an?|the|any)\b"
    r"|\b(?:can|could|may|might|will|would|should|often|sometimes|usually|you|you'll)\s"
    r"(?:avoid|prevent|fix|handle|trigger|cause|see|get|hit|encounter|raise|throw|catch|reproduce|result in|indicate|"
    r"fail with|work around|show|look for|mean|be seen as|appear as|report|recover from)\b"
    r"|(?<!failed )(?<!unable )(?<!error )\bto\s(?:avoid|prevent|fix|handle|reproduce|work around|recover from|troubleshoot|debug)\b"
    r"|\b(?:such as|e\.g\.|for example|for instance|similar to|errors? like|messages? like|known as|"
    r"means|(?:function|call|API|it) returns|stands for|refers to|symptoms?|troubleshoot\w*|common (?:errors?|causes?|problems?|issues?)|the (?:well-known|dreaded|infamous)|"
    r"avoid(?:s|ing)?|prevent(?:s|ing)?|handling of|workaround for|support for|answers? (?:to|for)|how to)\b",
    re.IGNORECASE,
)
CHANGE = re.compile(
    r"(?:[-*+\u2022]\s)?(?:[0-9a-f]{7,40}\s)?(?:\(.{1,80}\)\s)?(?:\[[^\]]{1,40}\]\s?)?(?:[\w/.()-]{1,40}:\s)?"
    r"(?:fix|fixe[sd]|add|adds|added|handles?|handled|improved?|improves|support|supports|revert|merge|resolves?|resolved|"
    r"close[sd]?|document|documents|test|tests|bug ?fix|feat|docs?|chore|catch|retry on|better|clearer|suppress|"
    r"deprecate|remove|workaround)(?:\([^)]{1,40}\))?:?\s(?!to\b)",
    re.IGNORECASE,
)
DESCRIBED = re.compile(
    r"[\"'`*)\]\u201d]{0,4}\s{0,2}(?:(?:errors?|exceptions?|failures?|messages?|warnings?|issues?|problems?|faults?)\s)?"
    r"(?:means|indicates?|usually|typically|often|occurs?|happens?|appears?|can (?:be|also|happen|occur)|"
    r"may (?:be|happen|occur|appear)|might (?:be|happen|occur|appear)|(?:is|are) (?:an?|usually|often|typically|caused|raised|error \d{1,4})|(?:when|if|unless) (?:the|you|your|an?|there|it|this|/\w+))\b",
    re.IGNORECASE,
)
INTRODUCTION = re.compile(
    r"\b(?:if|when|in case) (?:you|your)\b|\byou (?:may|might|can|could|will|would|should) \w"
    r"|\b(?:errors?|messages?|problems?|issues?|output|something) (?:like|such as|similar to)\b|\bfor example\b|\be\.g\."
    r"|\b(?:common|known|typical|frequent) (?:errors?|messages?|problems?|issues?|symptoms?)\b",
    re.IGNORECASE,
)
TEST = re.compile(r"\.py::\w[^\n]*$")
WORD = re.compile(r"[a-z]{3,}", re.IGNORECASE)
QUESTION = re.compile(r"(?:[-*#>\s]{0,6}|Q\d{0,3}[:.]\s)(?:why|how|what|does|do|is|are|can|should|which)\b.{0,300}\?\s*$", re.IGNORECASE)
DEFINED = re.compile(r"[\"'`*_)\]]{0,4}[^.\n]{0,40}?(?::|\s-|\u2014|\u2013|->|\u2192|=>)\s+[\"'`*]{0,2}[a-z]", re.IGNORECASE)
DOCUMENTING = re.compile(r"#{1,6}\s.*\b(?:troubleshoot\w*|faq|(?:common|known|typical) \w+|change ?log|release notes)\b", re.IGNORECASE)
QUOTES = ("\"", "\u201c", "\u201e")
QUOTED = re.compile(r"[\"\u201d]\s+[a-z]+\s+[a-z]+(?![^\n]{0,30}=)")
FAILING = re.compile(r"error|fail|warn|exception|traceback|cannot|fatal", re.IGNORECASE)


def is_mention(view: View, found: Found) -> bool:
    """True where the line speaks of the error rather than reports it."""
    before, after = found.text[max(0, found.start - 300) : found.start], found.text[found.end : found.end + 120]
    line = found.text.lstrip()
    return bool(
        COMMENT.match(line)
        or CODE.match(before.lstrip())
        or COMPARED.search(before)
        or TEST.search(before)
        or SPEAKING.search(before)
        or CHANGE.match(before.lstrip())
        or DESCRIBED.match(after)
        or QUESTION.match(line)
        or (TABLE.match(line) and "MiB" not in line)
        or _in_backticks(before, after)
        or (before[-1:] in QUOTES and QUOTED.match(after))
        or _listed(line, before, after)
        or _introduced(view)
    )


def _in_backticks(before: str, after: str) -> bool:
    """Quoted as code within a sentence; a line that is nothing but the quotation is somebody's report."""
    if before.count("`") % 2 == 0 or "`" not in after:
        return False
    outside = before[: before.rfind("`")] + " " + after[after.find("`") :]
    return len(WORD.findall(outside)) >= 2


def _listed(line: str, before: str, after: str) -> bool:
    """An item of a list that names the error, emphasised or with its explanation behind."""
    if not BULLET.match(line):
        return False
    if re.match(r"[*`_\"]{1,3}", after):
        return True
    return len(before) < 50 and not FAILING.search(before) and DEFINED.match(after) is not None


def _introduced(view: View) -> bool:
    """Inside a block that a sentence of documentation announces, or in the middle of such a sentence."""
    lines = view.before()
    nearest = next((line for line in lines if line), "")
    if len(nearest) > 30 and nearest[-1] not in ".:;!?)`" and SPEAKING.search(nearest) and not FAILING.search(nearest):
        return True
    if any(DOCUMENTING.match(line) for line in lines):
        return True
    for line in lines:
        if INTRODUCTION.search(line) and line.rstrip("*_ ").endswith((":", "\uff1a")):
            return True
        if BULLET.match(line) or line.startswith("#"):
            return False
    return False
