"""Access tokens are got from a real little endpoint, and kept in force whatever becomes of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.bench import InLoop
from tests.chaos import json_answer, running, says
from tests.control.listed import HOP, NOW, Said, new_pool

from kilo_gateway.control.tokens import Tokens
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import TokenSettings, UpstreamSettings
from kilo_gateway.core.types import Origin, Patience


class Field:
    """`steps`: what happens at each pause, in their order; with the last one the run ends."""

    def __init__(self, path: Path, port: int, fingerprint: str = "f") -> None:
        self.now = NOW
        self.said: Said = []
        self.pauses: list[float] = []
        self.changes: list[dict[str, str]] = []
        self.breaks = 0
        self.steps: list[Callable[[], object]] = []
        self._pool = new_pool()
        self._port = port
        self.tokens = Tokens(path, fingerprint, self._pool, HOP, self._changed, self._say, lambda: self.now, sleep=self._pause)

    def upstream(self) -> UpstreamSettings:
        origin = Origin("127.0.0.1", self._port, is_trusted=True)
        source = TokenSettings("client", "http://x/token", origin, "/t/token", "me", Secret("canary"), "scope")
        return UpstreamSettings(
            "far", "openai-chat", origin, "", Secret("canary"), (), Patience(), "", False, "test", platform="azure", tokens=source
        )  # fmt: skip

    async def run(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)
        with suppress(asyncio.CancelledError):
            await self.tokens.run(self.upstream())
        self._pool.close()

    def pass_time(self, seconds: int) -> Callable[[], object]:
        def step() -> None:
            self.now += seconds

        return step

    def events(self) -> list[str]:
        return [event for event, _ in self.said]

    def _say(self, event: str, **facts: object) -> None:
        self.said.append((event, facts))

    async def _changed(self) -> None:
        if self.breaks:
            self.breaks -= 1
            raise RuntimeError("the disk is full")
        self.changes.append(dict(self.tokens.held()))

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.steps:
            raise asyncio.CancelledError
        self.steps.pop(0)()


def token(value: str, life_s: int = 3600) -> bytes:
    return json_answer(json.dumps({"access_token": value, "expires_in": life_s}).encode())


NO = json_answer(b'{"error":"invalid_client"}', b"401 Unauthorized")
FieldTest = Callable[[Field], Awaitable[None]]
WithField = Callable[..., None]


@pytest.fixture
def with_field(in_loop: InLoop, tmp_path: Path) -> WithField:
    """Each answer goes to one connection; the last one repeats."""

    def run_it(test: FieldTest, *answers: bytes) -> None:
        async def main() -> None:
            async with running(*[says(answer, then="close") for answer in answers]) as chaos:
                field = Field(tmp_path / "tokens", chaos.port)
                await test(field)
                for received in chaos.received:
                    assert received.head.startswith(b"POST /t/token HTTP/1.1\r\n")
                    assert received.body == b"client_id=me&client_secret=canary&grant_type=client_credentials&scope=scope"

        in_loop(main)

    return run_it


def test_a_token_is_got_told_kept_and_renewed_well_before_it_expires(with_field: WithField, tmp_path: Path) -> None:
    async def test(field: Field) -> None:
        await field.run(field.pass_time(2699), field.pass_time(1), field.pass_time(30))
        assert field.changes == [{"far": "one"}, {"far": "two"}]
        assert field.pauses[:2] == [30.0, 1.0]  # a clock that jumps is noticed
        assert field.events() == ["token.renewed", "token.renewed"]
        assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o600
        assert dict(Field(tmp_path / "tokens", 1).tokens.held()) == {"far": "two"}
        assert dict(Field(tmp_path / "tokens", 1, "another configuration").tokens.held()) == {}

    with_field(test, token("one"), token("two"))


def test_while_the_endpoint_fails_the_old_token_serves_until_it_expires_and_then_none(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        waits = [field.pass_time(2700), *[field.pass_time(300)] * 4]
        await field.run(*waits)
        assert field.changes == [{"far": "one"}, {}]
        assert field.events() == ["token.renewed", *["token.failed"] * 3, "token.expired", *["token.failed"] * 2]
        reasons = [facts for event, facts in field.said if event == "token.failed"]
        assert reasons[0] == {
            "upstream": "far", "reason": "the token endpoint answered 401 (invalid_client)", "in_force": "the present token holds for 900 s more"
        }  # fmt: skip
        assert reasons[-1]["in_force"] == "there is none: it serves nothing"
        assert field.pauses[1:5] == [1.0, 2.0, 4.0, 8.0]
        assert "canary" not in str(field.said)

    with_field(test, token("one"), NO)


def test_a_token_that_could_not_be_told_is_told_again(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.breaks = 2
        await field.run(lambda: None, lambda: None)
        assert field.changes == [{"far": "one"}]
        assert field.events() == ["token.renewed", "token.failed", "token.failed"]

    with_field(test, token("one"))


def test_an_endpoint_that_is_not_there_is_asked_again_ever_less_often(in_loop: InLoop, tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path / "tokens", 1)
        await field.run(*[lambda: None] * 8)
        assert field.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        assert field.changes == []

    in_loop(main)


def test_a_file_that_is_no_tokens_is_none(tmp_path: Path, in_loop: InLoop) -> None:
    async def main() -> None:
        (tmp_path / "tokens").write_bytes(b"\xff\x00garbage")
        assert dict(Field(tmp_path / "tokens", 1).tokens.held()) == {}

    in_loop(main)
