"""Files as they come: their lines are numbered as an editor numbers them, and none is too long."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from envcheck.explain import explain_stream, explain_text
from envcheck.explain.reading import AROUND, LONGEST, pieces

FAULT = "RuntimeError: No CUDA GPUs are available"


def only(data: bytes) -> tuple[str, int, str]:
    (match,) = explain_stream(io.BytesIO(data))
    return match.cause, match.line, match.evidence


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", [0, 1, 2, 5000, 60_000])
def test_lines_are_counted_across_pieces(before: int, end: str) -> None:
    text = f"{'x' * 40}{end}" * before + FAULT + end
    assert only(text.encode()) == ("cuda-devices-masked", before + 1, FAULT)


def test_a_progress_bar_is_one_line_and_not_part_of_the_evidence() -> None:
    assert only(b"a\n 1%\r 2%\r" + FAULT.encode() + b"\nb\n") == ("cuda-devices-masked", 2, FAULT)


def test_a_message_wrapped_over_two_lines_is_shown_whole() -> None:
    wrapped = b'docker: Error response from daemon: could not select device driver "" wi\nth capabilities: [[gpu]].'
    cause, line, evidence = only(wrapped.replace(b"select device", b"select dev\nice"))
    assert (cause, line) == ("container-no-gpu-runtime", 1)
    assert evidence == 'docker: Error response from daemon: could not select dev ice driver "" wi'


def test_the_end_of_one_line_and_the_begin_of_another_are_not_put_together() -> None:
    assert (
        explain_text("NCCL INFO cudaDriverVersion 12080\n" + "error 803 of 10000 images, all of them looked at again")
        == ()
    )
    assert explain_text("2026-11-23 10:00:00 no kernel\n2026-11-23 10:00:01 image is available for download now") == ()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23 10:00:00 all steps ran on the only GPU\n2026-11-23 10:00:01 out of memory: none",
        "no kernel image\nis available",
    ],
)
def test_lines_of_their_own_are_not_taken_for_a_wrapped_one(text: str) -> None:
    assert explain_text(text) == ()


def test_evidence_on_a_line_of_many_megabytes_is_cut_around_what_was_found() -> None:
    cause, line, evidence = only(b"a\n" + b"loss 0.1 " * 100_000 + FAULT.encode() + b" step 1" * 100_000)
    assert (cause, line) == ("cuda-devices-masked", 2)
    assert FAULT in evidence and len(evidence) < 500


def test_the_lines_after_a_line_of_many_megabytes_are_numbered_right() -> None:
    data = b"x" * 9_000_000 + b"\n" + FAULT.encode() + b"\n"
    assert only(data)[:2] == ("cuda-devices-masked", 2)


def test_of_an_endless_line_only_its_begin_and_end_are_looked_at() -> None:
    looked = [piece for piece in pieces(io.BytesIO(b"x" * 100_000), size=1000) if piece.stop > piece.start]
    assert len(looked) == LONGEST + 1
    assert explain_stream(io.BytesIO(b"x" * 9_000_000 + b" " + FAULT.encode()))[0].line == 1


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 1 << 18])
def test_every_line_is_judged_once_with_all_that_is_around_it(size: int) -> None:
    lines = [b"%d" % number * (number % 4) for number in range(1, 101)]
    judged: list[tuple[int, bytes]] = []
    for piece in pieces(io.BytesIO(b"\n".join(lines) + b"\n"), size=max(size, 50)):
        for index in range(piece.start, piece.stop):
            number = piece.first + index
            judged.append((number, piece.lines[index]))
            assert piece.lines[max(0, index - AROUND) : index] == lines[max(0, number - 1 - AROUND) : number - 1]
            assert piece.lines[index + 1 : index + 1 + AROUND] == lines[number : number + AROUND]
    assert judged == list(enumerate(lines, start=1))


def test_a_long_line_is_cut_between_words() -> None:
    secret = "token=" + "s" * 390
    (match,) = explain_text(f"{secret} {'a ' * 70}{FAULT} {'b ' * 400}")
    assert FAULT in match.evidence and "sss" not in match.evidence and len(match.evidence) < 420
    assert match.evidence.startswith("... a ") and match.evidence.endswith(" b ...")


def test_memory_does_not_grow_with_the_text() -> None:
    def peak(lines: int) -> int:
        data = io.BytesIO(b"12.5 loss 0.25 out of memory? no, 3 of 4 GiB in use, unknown error rate 0.1\n" * lines)
        tracemalloc.start()
        try:
            explain_stream(data)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    explain_text("compile the tables first")
    assert peak(24_000) < 1.3 * peak(8_000)


def test_nothing_is_named_for_no_text() -> None:
    assert explain_text("") == () and explain_text("\n\n\n") == () and explain_stream(io.BytesIO(b"\xff\xfe")) == ()
    assert explain_text("\ud800 a lone surrogate") == ()
