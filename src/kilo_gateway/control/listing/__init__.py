"""The catalogue as HTTP tells it: pure views of one Catalogue value, and the handlers that answer with them.

query, filters, order and pages choose rows; rows, prices, endpoints and the others word them; shelf keeps what was rendered;
handlers and entries are HTTP. Nothing here knows where a model comes from.
"""
