"""The list as RSS 2.0, for those who want to be told of new models."""

import re
from collections.abc import Iterable
from email.utils import formatdate
from urllib.parse import quote
from xml.sax.saxutils import escape

from kilo_gateway.catalog.catalogue import Entry
from kilo_gateway.control.listing.rows import name
from kilo_gateway.core.brand import PRODUCT

MEDIA_TYPE = "application/rss+xml"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what no XML document may hold
_LAST_SECOND = 253_402_300_799  # of the year 9999


def rss(entries: Iterable[Entry], base: str) -> bytes:
    """`base`: scheme and host of the links."""
    items = "".join(_item(entry, base) for entry in entries)
    about = f"<title>{_text(PRODUCT)}</title><link>{_text(base)}/</link><description>Models, newest first.</description>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>{about}{items}</channel></rss>\n'.encode()


def _item(entry: Entry, base: str) -> str:
    created = entry.facts.created
    date = f"<pubDate>{formatdate(created, usegmt=True)}</pubDate>" if created and 0 < created <= _LAST_SECOND else ""
    link = f"{base}/api/v1/model/{quote(entry.id, safe='/:~')}"
    return (
        f"<item><title>{_text(name(entry))}</title><link>{_text(link)}</link>"
        f'<guid isPermaLink="false">{_text(entry.id)}</guid>{date}'
        f"<description>{_text(entry.facts.description or '')}</description></item>\n"
    )


def _text(value: str) -> str:
    return escape(_FORBIDDEN.sub("", value))
