"""Whether a text reports an error or only speaks of one: documentation, changelogs, source code, comments.

Careful in one direction: what a program printed must never be taken for prose. So what is judged is what stands
right before and right behind the error, and the sentence that introduces the block it stands in.
"""

from __future__ import annotations

from envcheck.explain import phrases
from envcheck.explain.view import Found, View

BEFORE = 300
BEHIND = 120
# A list item whose error stands further from its mark is a report with something in front.
ITEM = 50
SENTENCE = 30
COLUMNS = 2


def is_mention(view: View, found: Found) -> bool:
    """True where the line speaks of the error rather than reports it."""
    before, behind = found.text[max(0, found.start - BEFORE) : found.start], found.text[found.end : found.end + BEHIND]
    return (
        _by_start(found.text.lstrip(), before.lstrip())
        or any(phrase.search(before) for phrase in (phrases.SPEAKING, phrases.COMPARED, phrases.TEST))
        or phrases.DESCRIBED.match(behind) is not None
        or (before[-1:] in phrases.QUOTES and phrases.QUOTED.match(behind) is not None)
        or _in_backticks(before, behind)
        or _listed(found.text.lstrip(), before, behind)
        or _introduced(view)
    )


def _by_start(line: str, before: str) -> bool:
    """A comment, a question, a statement, a line of a changelog or of a table of documentation."""
    if phrases.COMMENT.match(line) or phrases.QUESTION.match(line):
        return True
    if phrases.CODE.match(before) or phrases.CHANGE.match(before):
        return True
    # The tables of nvidia-smi have the same form.
    table = line.startswith("|") and line.rstrip().endswith("|") and line.count("|") > COLUMNS
    return table and "MiB" not in line and "00000000:" not in line


def _in_backticks(before: str, behind: str) -> bool:
    """Quoted as code within a sentence; a line that is nothing but the quotation is somebody's report."""
    if before.count("`") % 2 == 0 or "`" not in behind:
        return False
    outside = before[: before.rfind("`")] + " " + behind[behind.find("`") :]
    return len(phrases.WORD.findall(outside)) >= 2


def _listed(line: str, before: str, behind: str) -> bool:
    """An item of a list that names the error, emphasised or with its explanation behind."""
    if not phrases.BULLET.match(line):
        return False
    if phrases.EMPHASIS.match(behind):
        return True
    return len(before) < ITEM and not phrases.FAILING.search(before) and phrases.DEFINED.match(behind) is not None


def _introduced(view: View) -> bool:
    """Inside a block that a sentence of documentation announces, or in the middle of such a sentence."""
    lines = view.before()
    nearest = next((line for line in lines if line), "")
    unfinished = len(nearest) > SENTENCE and nearest[-1] not in '.:;!?)`}"'
    if unfinished and phrases.SPEAKING.search(nearest) and not phrases.FAILING.search(nearest):
        return True
    if any(phrases.DOCUMENTING.match(line) for line in lines):
        return True
    for line in lines:
        announced = phrases.INTRODUCTION.search(line) and not phrases.REPORTED.search(line)
        if announced and line.rstrip("*_ ").endswith((":", "\uff1a")):
            return True
        if phrases.BULLET.match(line) or line.startswith("#"):
            return False
    return False
