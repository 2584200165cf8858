"""What programs put in front of a line: who wrote it, and when. Taken off before it is judged, never from evidence."""

from __future__ import annotations

import re

TIME = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
DATE = r"\d{4}[-/]\d\d[-/]\d\d"
PREFIXES = (
    r"[\w.-]{1,80}\s{0,40}\|\s",  # docker compose
    rf"\[?{DATE}[T ]{TIME}\s?(?:Z|UTC|[+-]\d\d:?\d\d)?(?:\]\s{{0,4}}|\s{{1,4}})",  # ISO 8601
    r"(?:stdout|stderr)\s[FP]\s",  # the CRI log format of Kubernetes
    rf"[A-Z][a-z]{{2}}\s{{1,2}}\d{{1,2}}\s{TIME}\s\S{{1,80}}\s[\w./@-]{{1,80}}(?:\[\d{{1,9}}\])?:\s",  # syslog
    r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\]\s",  # dmesg -T
    r"\[\s{0,8}\d{1,9}\.\d{1,9}\](?:\[\s?[TC]\d{1,9}\])?\s",  # dmesg
    r"[IWEF]\d{4}\s\d\d:\d\d:\d\d\.\d{1,9}\s{1,9}\d{1,9}\s[^\s\]]{1,80}\]\s",  # klog, glog
    r"#\d{1,5}\s(?:\d{1,6}\.\d{1,6}\s)?",  # BuildKit
    r"\[(?:rank|default)\d{1,6}\]:(?:\[[A-Z][^\]\n]{0,60}\])?\s?",  # torchrun
    r"\[\d{1,6},\d{1,6}\]<std(?:err|out|diag)>:\s?",  # mpirun --tag-output
    r"[\w.-]{1,80}:\d{1,9}:\d{1,9} \[\d{1,4}\] (?:\S{1,80}:\d{1,5} )?",  # NCCL
    r"\d{1,5}:\s",  # srun --label
    r"\((?:\w{1,60}\s)?(?:pid|TP|rank)[^()\n]{1,80}\)\s",  # Ray, vLLM
    rf"(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\s(?:{DATE}|\d\d-\d\d)\s{TIME}\s\[[^\]\n]{{1,80}}\]\s",  # vLLM
    r"[\u2500-\u257f]\s?",  # a frame around a traceback
    r"E\s{3}",  # pytest
    r">\s",  # a quotation
)
PREFIX = re.compile(rf"\s{{0,200}}(?:{'|'.join(PREFIXES)})")
MOST = 6


def split_prefix(line: str) -> tuple[str, str]:
    """What a collector of logs or a framework put in front, and the rest without a frame or margin around it."""
    start = 0
    for _ in range(MOST):
        found = PREFIX.match(line, start)
        if found is None:
            break
        start = found.end()
    return line[:start], line[start:].strip().rstrip("\u2502").rstrip()


def without_prefix(line: str) -> str:
    """The second half of split_prefix."""
    return split_prefix(line)[1]
