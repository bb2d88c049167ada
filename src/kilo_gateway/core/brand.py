"""The product's own names. Wire names of other products (`kilo/auto`, `KILOCODE_API_KEY`) are facts and stay where used."""

PRODUCT = "Kilo Gateway"
PACKAGE = "kilo-gateway"
VERSION = "0.1.0"
DISCLAIMER = "Independent; not affiliated with Kilo Code, Inc."
ENVIRONMENT_PREFIX = "KILO_GATEWAY_"
HOP_HEADER = "x-kilo-hop"
KEY_PREFIX = "kilo_"
