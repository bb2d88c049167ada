"""What of a platform's models is no chat, and where it is asked."""

from kilo_gateway.catalog.catalogue import Place
from kilo_gateway.catalog.facts import Facts, Origin, Said, merge
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.core.types import Endpoint, Patience
from kilo_gateway.core.types import Origin as Address
from kilo_gateway.upstreams.compile import endpoint_of
from kilo_gateway.upstreams.doors import readdressed


def vertex(*outputs: str) -> Endpoint:
    upstream = UpstreamSettings(
        "vertex", "gemini", Address("h", 443, True), "", Secret("token"), (), Patience(), "", False, "test", region="europe-west1",
        platform="vertex", project="lab",
    )  # fmt: skip
    card = merge([Said(Facts(output_modalities=outputs or None), Origin("test", 0))])
    return endpoint_of(upstream, "google/x", Place("vertex", "gemini-embedding-001", card), "hop")


def test_vertex_embeds_by_predict() -> None:
    for endpoint in (vertex(), vertex("embeddings")):
        head = readdressed(endpoint, "embeddings", b"")
        path = b"/v1/projects/lab/locations/europe-west1/publishers/google/models/gemini-embedding-001:predict"
        assert head.startswith(b"POST %b HTTP/1.1\r\n" % path) and b"Authorization: Bearer token" in head
    assert vertex("text").services == {}
