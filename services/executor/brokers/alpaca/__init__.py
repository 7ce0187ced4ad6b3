"""Alpaca as a broker: orders over REST, wake-ups over its websocket. Found by the registry."""

from services.executor.brokers.alpaca.connection import connect as connect
