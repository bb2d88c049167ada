"""A disk without room: requests are served as long as what they cost can be kept, and refused after that."""

from tests.bench import Bench, Run, Wishes

SMALL = Wishes(file_bytes=600, max_waiting_bytes=2000)


async def served_until_refused(bench: Bench) -> int:
    """How many requests were answered on a full disk before one was refused."""
    (bench.directory / "bench-2.new").mkdir()  # in the way of the journal's next file
    for served in range(100):
        answer = await bench.call()
        if answer.status != 200:
            assert (answer.status, answer.error()["code"], answer.headers["retry-after"]) == (503, "journal_full", "1")
            return served
    raise AssertionError("nothing was refused")


def test_requests_are_refused_before_their_cost_would_be_lost(run: Run) -> None:
    async def test(bench: Bench) -> None:
        served = await served_until_refused(bench)
        assert 3 < served < 20
        assert (await bench.call()).status == 503
        assert len(bench.first.received) == served
        assert bench.reported[-1][1]["code"] == "journal_full"

    run(test, SMALL)


def test_when_there_is_room_again_all_is_booked_and_requests_are_served(run: Run) -> None:
    async def test(bench: Bench) -> None:
        served = await served_until_refused(bench)
        (bench.directory / "bench-2.new").rmdir()
        bench.journal.retry()
        assert bench.journal.backlog == 0
        assert (await bench.call()).status == 200
        assert [line.outcome for line in bench.ended()] == ["ok"] * (served + 1)

    run(test, SMALL)
