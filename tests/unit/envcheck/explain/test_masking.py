"""Evidence is shown to others: what looks like a secret is not in it."""

from __future__ import annotations

import pytest

from envcheck.explain import explain_text
from envcheck.explain.masking import masked

SECRETS = [
    ("GET /lab?token=0123456789abcdef HTTP/1.1", "0123456789abcdef"),
    ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
    ('{"authorization": "Basic dXNlcjpwYXNzd29yZA=="}', "dXNlcjpwYXNzd29yZA"),
    ("using hf_AbCdEfGhIjKlMnOpQr for the Hub", "AbCdEfGhIjKlMnOpQr"),
    ("HF_TOKEN=hf_AbCdEfGhIjKlMnOpQr", "AbCdEfGhIjKlMnOpQr"),
    ("remote: ghp_0123456789abcdefghij", "0123456789abcdefghij"),
    ("password='correct horse'", "correct"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    ("key AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    ("pulling https://user:hunter22@registry.example/v2/", "hunter22"),
    ("proxy http://:hunter22@proxy:3128", "hunter22"),
    ("cookie eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh", "eyJzdWIiOiIxMjM0In0"),
    ("api_key: sk-0123456789abcdef", "0123456789abcdef"),
]


@pytest.mark.parametrize(("line", "secret"), SECRETS)
def test_a_secret_is_masked(line: str, secret: str) -> None:
    assert secret not in masked(line) and "***" in masked(line)


@pytest.mark.parametrize(
    "line",
    [
        "tokenizer=bert-base max_tokens 4096 tokens: 12",
        "RuntimeError: No CUDA GPUs are available",
        "NVRM: Xid (PCI:0000:3b:00): 79, pid=1",
        "https://nvcr.io/v2/nvidia/pytorch/manifests/25.01-py3",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert masked(line) == line


def test_evidence_is_masked_and_is_one_line() -> None:
    text = "before token=first-secret\nError: toomanyrequests: token=second-secret\nafter token=third-secret"
    (match,) = explain_text(text)
    assert match.evidence == "Error: toomanyrequests: token=***"
