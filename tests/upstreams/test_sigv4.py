"""Signatures are those that botocore, AWS's own client, makes of the same request."""

from datetime import UTC, datetime
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from kilo_gateway.upstreams.sigv4 import Credentials, signed

HOST = "bedrock-runtime.us-east-1.amazonaws.com"
visible = st.characters(min_codepoint=33, max_codepoint=126)
models = st.one_of(
    st.sampled_from(["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/a b+c~d"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
)
paths = st.one_of(
    st.tuples(models, st.sampled_from(["converse", "converse-stream", "invoke"])).map(lambda each: f"/model/{quote(each[0], safe='')}/{each[1]}"),
    st.lists(st.one_of(st.sampled_from(["", ".", "..", "a%2Fb", "%25"]), st.text("ab~-_.%3A=@", max_size=6)), max_size=6).map(lambda parts: "/" + "/".join(parts)),
)
header_names = st.sampled_from(["content-type", "Accept", "x-amzn-bedrock-trace", "X-Odd", "user-agent", "traceparent", "transfer-encoding"])
lines = st.dictionaries(header_names, st.text(st.one_of(visible, st.just(" ")), min_size=1, max_size=20), max_size=5)


def theirs(method: str, path: str, headers: dict[str, str], body: bytes, keys: tuple[str, str, str], region: str, service: str, at_s: float) -> dict[str, str]:
    request = AWSRequest(method=method, url=f"https://{HOST}{path}", headers=headers, data=body)
    signer = botocore.auth.SigV4Auth(TheirCredentials(keys[0], keys[1], keys[2] or None), service, region)
    request.context["timestamp"] = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    st.sampled_from(["POST", "PUT"]), paths, lines, st.binary(max_size=200),
    st.tuples(st.text(visible, min_size=16, max_size=24), st.text(visible, min_size=20, max_size=60), st.one_of(st.just(""), st.text(visible, min_size=1, max_size=300))),
    st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1"]), st.sampled_from(["bedrock", "sagemaker"]),
    st.integers(946_684_800, 4_102_444_800),
)  # fmt: skip
@example("POST", "/model/us.anthropic.claude-opus-4-1-20250805-v1%3A0/converse-stream", {"content-type": "application/json"}, b"{}", ("A" * 16, "s" * 40, ""), "us-east-1", "bedrock", 1_764_000_000)
def test_a_request_is_signed_as_botocore_signs_it(
    method: str, path: str, headers: dict[str, str], body: bytes, keys: tuple[str, str, str], region: str, service: str, at_s: int
) -> None:
    added = signed(method, HOST, path, headers, body, credentials=Credentials(*keys), region=region, service=service, at_s=at_s)
    expected = theirs(method, path, headers, body, keys, region, service, at_s)
    assert added == {name: expected[name] for name in added}
    assert ("x-amz-security-token" in added) == bool(keys[2])


def test_a_date_and_a_credential_of_the_caller_s_are_not_what_is_signed() -> None:
    keys = Credentials("AKIDEXAMPLE", "secret")
    plain = signed("POST", HOST, "/model/m/converse", {}, b"{}", credentials=keys, region="us-east-1", service="bedrock", at_s=0)
    told = signed("POST", HOST, "/model/m/converse", {"authorization": "Bearer x", "x-amz-date": "19700101T000001Z", "Host": "elsewhere"}, b"{}", credentials=keys, region="us-east-1", service="bedrock", at_s=0)
    assert told == plain


def test_secrets_are_not_in_the_representation() -> None:
    assert "secret" not in repr(Credentials("AKIDEXAMPLE", "secret", "secret-too"))
