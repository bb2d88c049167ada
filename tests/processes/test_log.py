"""The log: one JSON line a fact, and never a flood."""

import logging
import os

import msgspec

from kilo_gateway.processes.log import MAX_LINES_PER_S, Defects, Log


def _lines(file: int) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in os.read(file, 1 << 20).splitlines()]


def test_a_flood_of_refusals_is_cut_and_counted() -> None:
    out, into = os.pipe()
    now = [1_700_000_000.5]
    log = Log("worker-0", lambda: now[0], into)
    for _ in range(MAX_LINES_PER_S + 25):
        log("request.refused", status=401)
    now[0] += 1
    log("request.refused", status=401)
    lines = _lines(out)
    assert len(lines) == MAX_LINES_PER_S + 2
    assert [line["lines"] for line in lines if line["event"] == "log.dropped"] == [25]
    os.close(out)
    os.close(into)


def test_control_characters_of_a_caller_stay_inside_their_line() -> None:
    out, into = os.pipe()
    Log("worker-0", lambda: 0.0, into)("request.refused", path='/v1\r\n{"event":"forged"}')
    [line] = _lines(out)
    assert (line["event"], line["at"]) == ("request.refused", "1970-01-01T00:00:00.000Z")
    os.close(out)
    os.close(into)


def test_an_output_that_nobody_reads_does_not_stop_the_gateway() -> None:
    out, into = os.pipe()
    os.close(out)
    Log("worker-0", lambda: 0.0, into)("request.refused", status=401)
    os.close(into)


def test_what_a_library_reports_is_one_line_without_its_words() -> None:
    out, into = os.pipe()
    logger = logging.Logger("library")
    logger.addHandler(Defects(Log("control", lambda: 0.0, into)))
    try:
        raise ValueError("s3cret words")
    except ValueError:
        logger.exception("s3cret %s", "words")
    logger.warning("s3cret words")
    logger.info("s3cret words")
    raised, said = _lines(out)
    assert (raised["event"], raised["library"], raised["reason"]) == ("process.defect", "library", "ValueError")
    assert "test_log.py:" in str(raised["where"]) and "test_log.py:" in str(said["where"])
    assert "s3cret" not in str([raised, said])
    os.close(out)
    os.close(into)
